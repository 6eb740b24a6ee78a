/**
 * Signatures: what a call of an op accepts, written once as text, from which calls are bound, checked and documented.
 *
 *   'input: tensor, dim: dims = null, keepdim: bool = false'
 *
 * Arguments come positionally in this order; a plain object in last place gives any of them by name:
 * `x.sum(1, true)`, `x.sum(1, { keepdim: true })` and `x.sum({ dim: 1, keepdim: true })` are the same call.
 * A parameter after `*` is given by name only.
 */
import { fail, InternalError } from '../errors.js';
import { type DType, isComplexDType, isDType } from '../ir/dtype.js';
import type { AttrValue } from '../ir/graph.js';
import { Complex } from './complex/number.js';
import { checkComplexArguments } from './complex/rules.js';
import { Tensor } from './tensor.js';

/** A plain number that promotes like a Python float even where its value is integral: `float(2)`. */
export class WeakFloat {
  constructor(readonly value: number) {}
  valueOf(): number {
    return this.value;
  }
}
/** A plain float: `x.mul(float(2))` is a float for an integer `x`, where `x.mul(2)` stays integer. */
export const float = (value: number): WeakFloat => new WeakFloat(value);

/** What may stand for a tensor in arithmetic. */
export type Scalar = number | bigint | boolean | WeakFloat;
/** The same in arithmetic that knows complex numbers. */
export type Operand = Tensor | Scalar | Complex;

/**
 * tensor: a Tensor. operand: a Tensor or a plain number. number: int or float.
 * tensors: a list of Tensors, or the rest of the positional arguments.
 * ints: a list of integers, or one. dims: the same, naming dims. size: a list, or the rest of the positional arguments.
 */
const kinds = [
  'tensor',
  'operand',
  'tensors',
  'int',
  'number',
  'bool',
  'string',
  'ints',
  'dims',
  'size',
  'numbers',
  'dtype',
  'any',
] as const;
export type ParamKind = (typeof kinds)[number];

export interface Param {
  readonly name: string;
  readonly kind: ParamKind;
  readonly optional: boolean;
  readonly defaultValue: AttrValue;
  readonly keywordOnly: boolean;
}

/** Parse a signature. A default of `null` makes an argument optional. */
export function parseSignature(text: string): Param[] {
  let keywordOnly = false;
  const params: Param[] = [];
  for (const part of text.split(/,(?![^[]*\])/).map(piece => piece.trim())) {
    if (part === '*') {
      keywordOnly = true;
      continue;
    }
    const match = /^(\w+): (\w+)(?: = (.+))?$/.exec(part);
    if (!match || !(kinds as readonly string[]).includes(match[2]))
      throw new InternalError(`bad parameter '${part}' in signature '${text}'`);
    params.push({
      name: match[1],
      kind: match[2] as ParamKind,
      optional: match[3] !== undefined,
      defaultValue: match[3] === undefined ? null : (JSON.parse(match[3].replace(/'/g, '"')) as AttrValue),
      keywordOnly,
    });
  }
  return params;
}

/** The arguments of one call by parameter name, checked against the signature; each op gives them their types back. */
// biome-ignore lint/suspicious/noExplicitAny: the types are those the signature text names
export type Bound = any;

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/**
 * Arguments by name, checked. Throws E108 for a missing, unknown, doubled or mistyped argument, E111 for a complex one that
 * the op does not take.
 */
export function bindArguments(op: string, params: readonly Param[], args: readonly unknown[]): Bound {
  const problem = (text: string, hint?: string): never => fail('E108', { op, problem: text, hint });
  const positional = params.filter(param => !param.keywordOnly);
  const bound: Record<string, unknown> = {};
  let rest = args;
  let options: Record<string, unknown> = {};
  const last = args[args.length - 1];
  if (isPlainObject(last)) {
    options = last;
    rest = args.slice(0, -1);
  }
  let next = 0;
  for (const param of positional) {
    if (next >= rest.length) break;
    const first = rest[next];
    if ((param.kind === 'size' && typeof first === 'number') || (param.kind === 'tensors' && first instanceof Tensor)) {
      bound[param.name] = rest.slice(next);
      next = rest.length;
    } else bound[param.name] = rest[next++];
  }
  if (next < rest.length)
    problem(
      `takes ${positional.length} positional arguments but ${rest.length} were given`,
      `its arguments: ${describeParams(params)}`,
    );
  for (const [name, value] of Object.entries(options)) {
    if (!params.some(param => param.name === name))
      problem(`got an unexpected option '${name}'`, `its arguments: ${describeParams(params)}`);
    if (value === undefined) continue;
    if (bound[name] !== undefined) problem(`got argument '${name}' twice`);
    bound[name] = value;
  }
  for (const param of params) {
    const value = bound[param.name];
    if (value === undefined || (value === null && param.optional)) {
      if (!param.optional) problem(`missing argument '${param.name}'`, `its arguments: ${describeParams(params)}`);
      bound[param.name] = value === null ? null : param.defaultValue;
    } else bound[param.name] = checkArgument(param, value, problem);
  }
  checkComplexArguments(op, bound);
  return bound;
}

const describeParams = (params: readonly Param[]): string =>
  params
    .map(
      ({ name, kind, optional, defaultValue }) =>
        `${name}: ${kind}${optional ? ` = ${JSON.stringify(defaultValue)}` : ''}`,
    )
    .join(', ');

const isNumber = (value: unknown): value is Scalar =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' || value instanceof WeakFloat;
const isIntList = (value: unknown): boolean => Array.isArray(value) && value.every(Number.isInteger);

function checkArgument(param: Param, value: unknown, problem: (text: string, hint?: string) => never): unknown {
  const accepted: Record<ParamKind, () => boolean> = {
    tensor: () => value instanceof Tensor,
    operand: () => value instanceof Tensor || isNumber(value) || value instanceof Complex,
    tensors: () => Array.isArray(value) && value.every(item => item instanceof Tensor),
    int: () => Number.isInteger(value),
    number: () => isNumber(value) || value instanceof Complex,
    bool: () => typeof value === 'boolean',
    string: () => typeof value === 'string',
    ints: () => Number.isInteger(value) || isIntList(value),
    dims: () => Number.isInteger(value) || isIntList(value),
    size: () => isIntList(value) || Number.isInteger(value),
    numbers: () => typeof value === 'number' || (Array.isArray(value) && value.every(isNumber)),
    dtype: () => isDType(value) || isComplexDType(value),
    any: () => true,
  };
  if (accepted[param.kind]()) return value;
  return problem(`argument '${param.name}' must be ${expectation[param.kind]}, not ${describeValue(value)}`);
}

const expectation: Record<ParamKind, string> = {
  tensor: 'a Tensor',
  operand: 'a Tensor or a number',
  tensors: 'a list of Tensors',
  int: 'an integer',
  number: 'a number',
  bool: 'true or false',
  string: 'a string',
  ints: 'an integer or a list of integers',
  dims: 'a dim or a list of dims',
  size: 'a list of integers',
  numbers: 'a number or a list of numbers',
  dtype: 'a dtype',
  any: 'anything',
};

function describeValue(value: unknown): string {
  if (value instanceof Tensor) return `a Tensor of shape [${value.shape.join(', ')}]`;
  if (Array.isArray(value))
    return `the list [${value.map(item => (item instanceof Tensor ? 'Tensor' : String(item))).join(', ')}]`;
  if (value === null || typeof value !== 'object') return `${typeof value === 'string' ? `'${value}'` : String(value)}`;
  return `an object of class ${value.constructor?.name ?? 'Object'}`;
}

export const listOfInts = (value: number | readonly number[]): readonly number[] =>
  typeof value === 'number' ? [value] : value;
export type { DType };
