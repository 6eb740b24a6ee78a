/**
 * PyTorch's names to gradc's: the one adapter through which reference cases run, expression trees and scripts alike.
 *
 * `torch.log_softmax(x, dim=1)` becomes `logSoftmax(x, { dim: 1 })` by rule (see torch-adapter-binding.ts); only what differs
 * by more than spelling has an entry in a table (torch-adapter-functions.ts). A name that gradc lacks is `Unsupported`, by
 * name.
 */
import * as gradc from 'gradc';
import * as functional from 'gradc/functional';
import { GradcError } from '../../compiler/errors.js';
import { allComposites, allOps } from '../../compiler/ops/define.js';
import type { Param } from '../../compiler/ops/signature.js';
import { Tensor, withExecutor } from '../../compiler/ops/tensor.js';
import { eager } from '../../runtime/eager.js';
import { Unsupported } from './python/errors.js';
import { Evaluator, type Host } from './python/evaluate.js';
import { Deferred, type Kwargs, Namespace, NativeFunction, noKwargs, PyFloat, type Value } from './python/values.js';
import { behaviours, type IndexItem, isTensorAttribute } from './torch-adapter-behaviours.js';
import {
  camelCase,
  lower,
  nameArguments,
  placeArguments,
  raise,
  raiseFrom,
  splitArguments,
  takeArguments,
} from './torch-adapter-binding.js';
import { handlers } from './torch-adapter-functions.js';
import { hostModules } from './torch-adapter-modules.js';
import { values } from './torch-adapter-names.js';
import { classOrders, functionOrders } from './torch-adapter-orders.js';
import { isKnown, readLater } from './torch-adapter-reading.js';
import { NativeClass } from './torch-adapter-values.js';

export type Api = Readonly<Record<string, unknown>>;
/** Where each of PyTorch's namespaces lives in gradc. */
const homes: Readonly<Record<string, readonly Api[]>> = {
  torch: [gradc as Api, functional as Api],
  'torch.random': [gradc as Api],
  'nn.functional': [functional as Api, gradc as Api],
  nn: [child(gradc as Api, 'nn')],
  'nn.init': [child(gradc as Api, 'nn', 'init'), child(gradc as Api, 'init')],
  'nn.utils': [child(gradc as Api, 'nn', 'utils')],
  'torch.optim': [child(gradc as Api, 'optim')],
  'torch.optim.lr_scheduler': [child(gradc as Api, 'optim', 'lrScheduler'), child(gradc as Api, 'optim')],
  'torch.autograd': [child(gradc as Api, 'autograd'), gradc as Api],
  'torch.autograd.functional': [child(gradc as Api, 'autograd'), gradc as Api],
  'torch.linalg': [child(gradc as Api, 'linalg')],
  'torch.special': [child(gradc as Api, 'special'), gradc as Api],
  'torch.utils.data': [child(gradc as Api, 'data'), child(gradc as Api, 'utils', 'data')],
};

function child(api: Api, ...path: readonly string[]): Api {
  return path.reduce<Api>((at, name) => (at[name] as Api | undefined) ?? {}, api);
}

const params: ReadonlyMap<string, readonly Param[]> = new Map(
  [...allOps(), ...allComposites()].map(def => [def.name, def.params]),
);
const paramsOf = (fn: unknown, name: string): readonly Param[] | undefined =>
  (fn as { params?: readonly Param[] }).params ?? params.get(name) ?? params.get(name.replace(/_$/, ''));

const isClass = (value: unknown): value is new (...args: never[]) => object =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

/** What a handler works with. */
export interface Torch {
  readonly python: Evaluator;
  /** Make something eagerly, inside a trace too. */
  beforehand<T>(make: () => T): T;
  /** The folder of the reference set, for files. */
  readonly root: string;
  /** Call by PyTorch's name. */
  call(path: string, args: readonly Value[], kwargs?: Kwargs): Value;
  /** A function of gradc by its own name, from where a PyTorch namespace lives; Unsupported when there is none. */
  native(name: string, path?: string): (...args: unknown[]) => unknown;
}

export class TorchAdapter implements Torch {
  readonly python: Evaluator;
  readonly root: string;

  constructor(root: string, globals: ReadonlyMap<string, Value> = new Map()) {
    this.root = root;
    this.python = new Evaluator(this.#host(globals));
  }

  #host(globals: ReadonlyMap<string, Value>): Host {
    const torch = this.namespace('torch');
    const nn = this.namespace('nn');
    const names = new Map<string, Value>([
      ['torch', torch],
      ['nn', nn],
      ['F', this.namespace('nn.functional')],
      ['autograd', this.namespace('torch.autograd')],
      ...hostModules(this),
      ['inf', new PyFloat(Infinity)],
      ['nan', new PyFloat(Number.NaN)],
      ['ROOT', this.root],
      ...globals,
    ]);
    return {
      globals: names,
      behaviours: behaviours(this),
      importModule: path =>
        path
          .slice(1)
          .reduce<Value>(
            (module, name) => (module as Namespace).find(name),
            names.get(path[0] === 'numpy' ? 'np' : path[0]) ?? unknownModule(path),
          ),
      classOfError,
    };
  }

  /** A PyTorch namespace by its path; names are resolved when they are used. */
  namespace(path: string): Namespace {
    return new Namespace(path, name => this.find(path, name));
  }

  /** What a name of a PyTorch namespace stands for; undefined when gradc has nothing of the kind. */
  find(path: string, name: string): Value | undefined {
    const full = canonical(path === '' ? name : `${path}.${name}`);
    if (full in homes || namespaces.has(full)) return this.namespace(full);
    const value = values(this, full);
    if (value !== undefined) return value;
    const call = this.resolve(full);
    return call;
  }

  /** The callable a dotted PyTorch name stands for. */
  resolve(full: string): Value | undefined {
    const [path, name] = splitPath(full);
    const handler = handlers[full] ?? (path === 'Tensor' ? handlers[`torch.${name}`] : undefined);
    if (handler !== undefined) {
      return new NativeFunction(full, (args, kwargs) =>
        handler.run(this, takeArguments(full, handler.signature, args, kwargs)),
      );
    }
    if (path === 'Tensor') return this.#method(full, name);
    if ((path === 'torch' || path === 'nn.functional') && isOverwriting(name)) {
      return new NativeFunction(full, (args, kwargs) =>
        this.call(`nn.functional.${name.slice(0, -1)}`, args, new Map([...kwargs, ['inplace', true]])),
      );
    }
    const own = camelCase(name);
    for (const home of homes[path] ?? []) {
      const found = home[own] ?? home[name];
      if (isClass(found)) return new NativeClass(full, found);
      if (typeof found === 'function') return this.#function(full, own, found as (...args: unknown[]) => unknown);
    }
    return (path === 'torch' || path === 'nn.functional') && own in Tensor.prototype
      ? this.#method(full, name)
      : undefined;
  }

  #function(full: string, own: string, fn: (...args: unknown[]) => unknown): NativeFunction {
    const signature = paramsOf(fn, own);
    return new NativeFunction(full, (args, kwargs) => {
      if (kwargs.get('inplace') === true && !signature?.some(({ name }) => name === 'inplace'))
        return this.#inPlace(full, args, kwargs);
      if (signature !== undefined) {
        const [rest, named] = nameArguments(functionOrders[full]?.names, args, kwargs);
        return raiseFrom(full, fn(placeArguments(this.python, full, signature, rest, named)));
      }
      const order = functionOrders[full] ?? { positional: args.length, names: args.map((_, i) => `argument ${i}`) };
      return raise(fn(...splitArguments(this.python, full, order.names, order.positional, args, kwargs)));
    });
  }

  /** `relu(x, inplace=True)` is `x.relu_()`. */
  #inPlace(full: string, args: readonly Value[], kwargs: Kwargs): Value {
    const rest = [...kwargs].filter(([name]) => name !== 'inplace');
    return this.call(`Tensor.${splitPath(full)[1]}_`, args, new Map(rest));
  }

  /** A method of Tensor; the tensor comes first. */
  #method(full: string, name: string): NativeFunction | undefined {
    const own = camelCase(name);
    const method = (Tensor.prototype as unknown as Api)[own];
    if (typeof method !== 'function') return undefined;
    const signature = paramsOf(method, own);
    return new NativeFunction(full, (args, kwargs) => {
      const [self, rest, named] = receiver(args, kwargs);
      if (signature !== undefined) {
        const placed = placeArguments(this.python, full, signature.slice(1), rest, named);
        return raiseFrom(full, Reflect.apply(method, self, Object.keys(placed).length === 0 ? [] : [placed]));
      }
      const order = functionOrders[full] ?? { positional: rest.length, names: rest.map((_, i) => `argument ${i}`) };
      return raise(
        Reflect.apply(method, self, splitArguments(this.python, full, order.names, order.positional, rest, named)),
      );
    });
  }

  construct(type: NativeClass, args: readonly Value[], kwargs: Kwargs): object {
    const given = this.constructorArguments(type, args, kwargs);
    const make = (): object => Reflect.construct(type.constructor_, given) as object;
    return type.constructor_.prototype instanceof gradc.nn.Module ? this.beforehand(make) : make();
  }

  /**
   * Make something eagerly, inside a trace too: modules and what files hold are made before a program runs, as in a model
   * file, and become its state. What is made in the trace itself, such as an optimizer, is new in each call.
   */
  beforehand<T>(make: () => T): T {
    return withExecutor(eager, make);
  }

  /** Constructor arguments: those before the options object in place, by PyTorch's order, the others as options. */
  constructorArguments(type: NativeClass, args: readonly Value[], kwargs: Kwargs): unknown[] {
    const order = classOrders[type.path];
    if (order === undefined) {
      if (kwargs.size > 0) throw new Unsupported(`${type.path}(${[...kwargs.keys()].join('=, ')}=)`);
      return splitArguments(
        this.python,
        type.path,
        args.map((_, i) => `argument ${i}`),
        args.length,
        args,
        noKwargs,
      );
    }
    return splitArguments(this.python, type.path, order.names, order.positional, args, kwargs);
  }

  call(path: string, args: readonly Value[], kwargs: Kwargs = noKwargs): Value {
    const callee = values(this, canonical(path)) ?? this.resolve(canonical(path));
    if (callee === undefined) throw new Unsupported(path);
    return this.python.call(callee, args, kwargs);
  }

  /** Is it a plain attribute of a tensor in PyTorch, not a method? */
  isAttribute(name: string): boolean {
    return isTensorAttribute(name);
  }

  index(tensor: Tensor, items: readonly IndexItem[]): Tensor {
    return (this.#tensorMethod('index') as (...args: readonly IndexItem[]) => Tensor).apply(
      tensor,
      items as IndexItem[],
    );
  }

  assignIndex(tensor: Tensor, items: readonly IndexItem[], to: Value): void {
    this.#tensorMethod('indexPut_').call(tensor, [...items], lower(this.python, to, true));
  }

  #tensorMethod(name: string): (...args: unknown[]) => unknown {
    const method = (Tensor.prototype as unknown as Api)[name];
    if (typeof method !== 'function') throw new Unsupported(`Tensor.${name}`);
    return method as (...args: unknown[]) => unknown;
  }

  /** The text of a tensor; of a traced one, once its value is known, with the history it has now. */
  show(tensor: Tensor): Value {
    if (isKnown(tensor)) return String(tensor);
    const settle = readLater(tensor);
    const options = gradc.getPrintoptions();
    const { node, requiresGrad } = tensor.meta;
    return new Deferred(() => {
      const value = settle();
      Object.assign(value.meta, { node, requiresGrad });
      return withPrintOptions(options, () => String(value));
    });
  }

  native(name: string, path = 'torch'): (...args: unknown[]) => unknown {
    const found = homes[path].map(home => home[name]).find(value => typeof value === 'function');
    if (found === undefined) throw new Unsupported(`${path}.${name}`);
    return found as (...args: unknown[]) => unknown;
  }
}

/** An activation that overwrites its input: `relu_`. */
const isOverwriting = (name: string): boolean => name.endsWith('_') && camelCase(name.slice(0, -1)) in functional;

function withPrintOptions<T>(options: gradc.PrintOptions, run: () => T): T {
  const before = gradc.getPrintoptions();
  gradc.setPrintoptions(options);
  try {
    return run();
  } finally {
    gradc.setPrintoptions(before);
  }
}

function receiver(args: readonly Value[], kwargs: Kwargs): [Value, readonly Value[], Kwargs] {
  if (args.length > 0) return [args[0], args.slice(1), kwargs];
  const [[first, self], ...rest] = [...kwargs];
  if (first !== 'self' && first !== 'input') throw new Unsupported(`a method called without a tensor, with ${first}=`);
  return [self, [], new Map(rest)];
}

function unknownModule(path: readonly string[]): never {
  throw new Unsupported(`import ${path.join('.')}`);
}

const namespaces: ReadonlySet<string> = new Set([
  'torch.utils',
  'torch.cuda',
  'torch.nn',
  'nn.parameter',
  'nn.utils.rnn',
  'nn.modules',
  'safetensors.torch',
]);

/** One path for what PyTorch reaches by several: `torch.nn.functional.relu` is `nn.functional.relu`. */
function canonical(path: string): string {
  return path
    .replace(/^torch\.nn\b/, 'nn')
    .replace(/^autograd\b/, 'torch.autograd')
    .replace(/^nn\.parameter\./, 'nn.')
    .replace(/^nn\.modules\./, 'nn.');
}

function splitPath(full: string): [string, string] {
  const at = full.lastIndexOf('.');
  return [full.slice(0, at), full.slice(at + 1)];
}

/** Which exception of Python's an error of gradc's stands for. Internal errors stand for none: no program meant them. */
function classOfError(error: unknown): string | null {
  if (!(error instanceof GradcError)) return null;
  const classes: Partial<Record<string, string>> = {
    IndexError: 'IndexError',
    ValueError: 'ValueError',
    TypeError: 'TypeError',
  };
  return classes[error.kind] ?? 'RuntimeError';
}
