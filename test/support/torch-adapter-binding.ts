/**
 * Python calls to gradc calls: names from snake_case to camelCase, keyword arguments to the trailing options object, values to
 * plain JavaScript and results back.
 *
 * gradc's ops carry their parameters, so where an argument goes is derived from them. Only where the two differ is there a
 * line in a table: `aliases` for a parameter under another name, `orders` for functions and classes that carry no parameters.
 */
import { isDType } from '../../compiler/ir/dtype.js';
import { float, type Param, WeakFloat } from '../../compiler/ops/signature.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import type { Evaluator } from './python/evaluate.js';
import { Dict, type Kwargs, PyFloat, Range, Size, Tuple, type Value } from './python/values.js';
import { NamedTuple, NdArray, TorchDtype } from './torch-adapter-values.js';

/** `log_softmax` to `logSoftmax`; a leading or trailing underscore stays. */
export const camelCase = (name: string): string =>
  name
    .replace(/^[A-Z](?=_)/, letter => letter.toLowerCase())
    .replace(/(?<=[a-zA-Z0-9])_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
export const snakeCase = (name: string): string =>
  name.replace(/(?<=[a-z0-9])([A-Z])/g, (_, letter: string) => `_${letter.toLowerCase()}`);

/** PyTorch's parameter names where gradc's differ by more than the case: `<function>.<parameter>` or `<parameter>`. */
const aliases: Readonly<Record<string, string>> = {
  axis: 'dim',
  axis0: 'dim0',
  axis1: 'dim1',
  'clamp_max.max': 'other',
  'clamp_min.min': 'other',
  exponent: 'other',
  fill_value: 'value',
  'heaviside.values': 'other',
  mat2: 'other',
  'scatter.value': 'src',
  split_size_or_sections: 'splitSize',
  'tensordot.b': 'other',
  vec: 'other',
  vec2: 'other',
  'where.x': 'input',
  'where.y': 'other',
};

/** Parameter kinds for which a Python float must stay one even where its value is integral. */
const promoting: ReadonlySet<string> = new Set(['operand', 'number', 'numbers', 'any']);

/** A value as gradc takes it. */
export function lower(python: Evaluator, value: Value, keepFloats = false): unknown {
  if (value instanceof PyFloat) return keepFloats && Number.isInteger(value.value) ? float(value.value) : value.value;
  if (value instanceof Tensor || value === null || typeof value !== 'object') return value;
  if (value instanceof TorchDtype) return value.name;
  if (value instanceof Tuple) return value.items.map(item => lower(python, item, keepFloats));
  if (Array.isArray(value)) return value.map(item => lower(python, item, keepFloats));
  if (value instanceof Range) return [...value];
  if (value instanceof NdArray) return value.tensor;
  if (value instanceof Dict)
    return Object.fromEntries(
      value.entries().map(([key, item]) => [camelCase(String(key)), lower(python, item, keepFloats)]),
    );
  if (python.isCallable(value) && !python.isHostObject(value))
    return (...args: unknown[]) => lower(python, python.call(value, args.map(raise)));
  return value;
}

/** The names of a named tuple's fields; none of a plain array. */
const namesOf = (value: readonly unknown[]): string[] =>
  Object.getOwnPropertyNames(value).filter(name => name !== 'length' && Number.isNaN(Number(name)));

/** A result of gradc as Python sees it. */
export const raise = (value: unknown): Value => raiseFrom('', value);

/** The same of a function by its PyTorch name, which its named tuples bear. */
export function raiseFrom(from: string, value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') return Number.isInteger(value) ? value : new PyFloat(value);
  if (value instanceof WeakFloat) return new PyFloat(value.value);
  if (Array.isArray(value) && namesOf(value).length > 0)
    return new NamedTuple(namesOf(value), value, from.slice(from.lastIndexOf('.') + 1));
  if (Array.isArray(value))
    return value.length > 0 && value.every(item => item instanceof Tensor)
      ? new Tuple(value)
      : value.map(item => raise(item));
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const entries = Object.entries(value);
    if (entries.every(([, item]) => item instanceof Tensor))
      return new NamedTuple(
        entries.map(([name]) => name),
        entries.map(([, item]) => item),
        from.slice(from.lastIndexOf('.') + 1),
      );
    return new Dict(entries.map(([name, item]) => [snakeCase(name), raise(item)] as const));
  }
  if (value instanceof Map) return new Dict([...value].map(([key, item]) => [raise(key), raise(item)] as const));
  return value;
}

/** An int list that came out of gradc as a shape. */
export const raiseSize = (shape: readonly number[]): Size => new Size(shape);

/** Positional arguments under PyTorch's names, for a function whose parameters gradc has in another order. */
export function nameArguments(
  order: readonly string[] | undefined,
  args: readonly Value[],
  kwargs: Kwargs,
): [readonly Value[], Kwargs] {
  if (order === undefined || args.length === 0 || args.length > order.length) return [args, kwargs];
  return [[], new Map([...args.map((value, i) => [order[i], value] as const), ...kwargs])];
}

/** Arguments by parameter name for a function that carries its parameters. */
export function placeArguments(
  python: Evaluator,
  label: string,
  params: readonly Param[],
  args: readonly Value[],
  kwargs: Kwargs,
): Record<string, unknown> {
  const placed: Record<string, unknown> = {};
  const put = (param: Param, value: Value): void => {
    if (value instanceof TorchDtype && param.kind !== 'dtype')
      throw new Unsupported(`${label} with a dtype for ${param.name}`);
    placed[param.name] =
      param.kind === 'dtype' && !(value instanceof TorchDtype) && value !== null
        ? dtypeOf(value)
        : lower(python, value, promoting.has(param.kind));
  };
  let next = 0;
  for (const param of params) {
    if (next >= args.length) break;
    const gathers =
      (param.kind === 'size' && typeof args[next] === 'number') ||
      (param.kind === 'tensors' && args[next] instanceof Tensor);
    if (gathers) {
      put(param, args.slice(next));
      next = args.length;
    } else put(param, args[next++]);
  }
  if (next < args.length) throw new Unsupported(`${label} with ${args.length} positional arguments`);
  for (const [name, value] of kwargs) {
    if (ignored(name, value)) continue;
    const param = parameterOf(label, params, name) ?? (Object.keys(placed).length === 0 ? params[0] : undefined);
    if (param === undefined) throw new Unsupported(`${label}(${name}=…)`);
    put(param, value);
  }
  return placed;
}

/** The parameter a Python keyword names: its alias for this function, its own name, or its alias for all. */
function parameterOf(label: string, params: readonly Param[], name: string): Param | undefined {
  const own = `${label.slice(label.lastIndexOf('.') + 1)}.${name}`;
  const names = [aliases[own], camelCase(name), aliases[name]];
  return names.map(candidate => params.find(param => param.name === candidate)).find(param => param !== undefined);
}

/** Arguments that say nothing to gradc: where a tensor lives, and options left at none. */
const ignored = (name: string, value: Value): boolean =>
  name === 'device' ||
  (name === 'inplace' && value === false) ||
  (name === 'sparse_grad' && value === false) ||
  (name === 'out' && value === null) ||
  ((name === 'size_average' || name === 'reduce') && value === null);

function dtypeOf(value: Value): string {
  const name = value instanceof TorchDtype ? value.name : String((value as { name?: string } | null)?.name);
  const builtin: Record<string, string> = { int: 'int64', float: 'float64', bool: 'bool' };
  const dtype = builtin[name] ?? name;
  if (!isDType(dtype)) throw new Unsupported(`dtype ${name}`);
  return dtype;
}

/**
 * Arguments for a function or class that carries no parameters: by PyTorch's order, the first `positional` ones in place, the
 * others in an options object.
 */
export function splitArguments(
  python: Evaluator,
  label: string,
  order: readonly string[],
  positional: number,
  args: readonly Value[],
  kwargs: Kwargs,
): unknown[] {
  if (args.length > order.length) throw new Unsupported(`${label} with ${args.length} positional arguments`);
  const named = new Map<string, Value>(args.map((value, i) => [order[i], value]));
  for (const [name, value] of kwargs) if (!ignored(name, value)) named.set(name, value);
  const front: unknown[] = order.slice(0, positional).map(name => lower(python, named.get(name)));
  while (front.length > 0 && front[front.length - 1] === undefined) front.pop();
  const options = [...named].filter(([name]) => !order.slice(0, positional).includes(name));
  if (options.length === 0) return front;
  while (front.length < positional) front.push(undefined);
  return [...front, Object.fromEntries(options.map(([name, value]) => [camelCase(name), lower(python, value)]))];
}

/** A handler's own parameters, in PyTorch's order: `'input dim keepdim'`; `*size` takes the rest, one list or many numbers. */
export function takeArguments(
  label: string,
  signature: string,
  args: readonly Value[],
  kwargs: Kwargs,
): Record<string, Value> {
  const taken: Record<string, Value> = {};
  const names = signature.split(' ').filter(name => name !== '');
  let next = 0;
  for (const name of names) {
    if (next >= args.length) break;
    if (name.startsWith('*')) {
      taken[name.slice(1)] = gathered(args.slice(next));
      next = args.length;
    } else taken[name] = args[next++];
  }
  if (next < args.length) throw new Unsupported(`${label} with ${args.length} positional arguments`);
  for (const [name, value] of kwargs) {
    if (ignored(name, value)) continue;
    const known =
      names.find(candidate => candidate.replace('*', '') === name) ?? (name === 'self' ? names[0] : undefined);
    if (known === undefined) throw new Unsupported(`${label}(${name}=…)`);
    taken[known.replace('*', '')] = value;
  }
  return taken;
}

const gathered = (rest: readonly Value[]): Value =>
  rest.length === 1 && (Array.isArray(rest[0]) || rest[0] instanceof Tuple) ? rest[0] : [...rest];
