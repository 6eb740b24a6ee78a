/**
 * gradc's classes and their instances as Python sees them: constructing `nn.Linear(4, 3, bias=False)`, subclassing
 * `nn.Module`, reading `opt.param_groups`, calling `net(x)`.
 *
 * An instance of a Python class that extends one of gradc's is a real instance of a subclass of it, made on the spot, whose
 * `forward` runs the Python method; so gradc's own machinery finds its parameters, prints it and trains it.
 */
import * as gradc from 'gradc';
import { Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import {
  type Behaviour,
  Dict,
  type Kwargs,
  NativeFunction,
  PyFloat,
  type Subclass,
  Tuple,
  type Value,
} from './python/values.js';
import type { TorchAdapter } from './torch-adapter.js';
import { camelCase, lower, raise, snakeCase } from './torch-adapter-binding.js';
import { dtypeFor } from './torch-adapter-handler.js';
import { hookHandle } from './torch-adapter-methods.js';
import { NativeClass, TorchDtype } from './torch-adapter-values.js';

type Members = Record<string, unknown>;
const { Module } = gradc.nn;

/** Settings that are floats whatever their value: JavaScript does not show it. */
const floatSettings: ReadonlySet<string> = new Set([
  'lr',
  'momentum',
  'dampening',
  'weight_decay',
  'eps',
  'alpha',
  'rho',
  'lambd',
  'max_momentum',
  'base_momentum',
  'initial_lr',
  'lr_decay',
  'p',
]);

/** An attribute of a gradc object: under Python's name, or in camelCase. */
function member(torch: TorchAdapter, object: object, name: string): Value | undefined {
  const own = [name, camelCase(name)].find(candidate => candidate in object);
  if (own === undefined) return undefined;
  const value = (object as Members)[own];
  if (name === 'load_state_dict' && object instanceof gradc.optim.Optimizer)
    return new NativeFunction(name, ([state]) => {
      object.loadStateDict(asTorchNames(torch, state) as gradc.optim.TorchOptimizerState);
      return null;
    });
  if (name === 'param_groups') return (value as Members[]).map(group => new Settings(group));
  if (typeof value !== 'function') return setting(name, value);
  return new NativeFunction(name, (args, kwargs) => {
    const result = Reflect.apply(value, object, methodArguments(torch, args, kwargs));
    return name.endsWith('_hook') ? hookHandle(result) : raiseMembers(result);
  });
}

/** Dicts as objects, keys as they are. */
function asTorchNames(torch: TorchAdapter, value: Value): unknown {
  if (Array.isArray(value)) return value.map(item => asTorchNames(torch, item));
  if (!(value instanceof Dict)) return lower(torch.python, value);
  return Object.fromEntries(value.entries().map(([key, item]) => [String(key), asTorchNames(torch, item)]));
}

const setting = (name: string, value: unknown): Value =>
  typeof value === 'number' && floatSettings.has(name) ? new PyFloat(value) : raiseMembers(value);

/** The settings of a parameter group: a dict that writes through. */
class Settings {
  readonly of: Members;
  constructor(of: Members) {
    this.of = of;
  }
  get dict(): Dict {
    return new Dict(
      Object.entries(this.of).map(([key, value]) => [snakeCase(key), setting(snakeCase(key), value)] as const),
    );
  }
}

export function settingsBehaviour(torch: TorchAdapter): Behaviour {
  return {
    matches: value => value instanceof Settings,
    typeName: () => 'dict',
    getitem: ({ dict }: Settings, key) => torch.python.getitem(dict, key),
    setitem: ({ of }: Settings, key, to) => {
      of[camelCase(String(key))] = lower(torch.python, to);
    },
    iterate: ({ dict }: Settings) => dict.keys(),
    length: ({ dict }: Settings) => dict.size,
    getattr: ({ dict }: Settings, name) => torch.python.findattr(dict, name),
    repr: ({ dict }: Settings) => torch.python.repr(dict),
  };
}

function* raisedMembers(values: Iterable<unknown>): IterableIterator<Value> {
  for (const value of values) yield raiseMembers(value);
}

/** Like `raise`, but settings objects keep their floats, and iterators become lists. */
function raiseMembers(value: unknown): Value {
  if (typeof value === 'object' && value !== null && !(value instanceof Tensor)) {
    if (Array.isArray(value)) return value.map(raiseMembers);
    if (value instanceof Map)
      return new Dict([...value].map(([key, item]) => [raise(key), raiseMembers(item)] as const));
    if (Object.getPrototypeOf(value) === Object.prototype) {
      return new Dict(
        Object.entries(value).map(
          ([key, item]) => [/^\d+$/.test(key) ? Number(key) : snakeCase(key), setting(snakeCase(key), item)] as const,
        ),
      );
    }
    if (Symbol.iterator in value && 'next' in value)
      return [...(value as unknown as Iterable<unknown>)].map(raiseMembers);
  }
  return raise(value);
}

function methodArguments(torch: TorchAdapter, args: readonly Value[], kwargs: Kwargs): unknown[] {
  const positional = args.map(value => lower(torch.python, value));
  if (kwargs.size === 0) return positional;
  return [
    ...positional,
    Object.fromEntries([...kwargs].map(([name, value]) => [camelCase(name), lower(torch.python, value)])),
  ];
}

export function nativeClassBehaviour(torch: TorchAdapter): Behaviour {
  return {
    matches: value => value instanceof NativeClass,
    typeName: (type: NativeClass) => type.path.slice(type.path.lastIndexOf('.') + 1),
    call: (type: NativeClass, args, kwargs) => torch.construct(type, args, kwargs),
    isInstance: (type: NativeClass, value) => value instanceof type.constructor_,
    getattr: (type: NativeClass, name) =>
      name === '__name__' ? type.path.slice(type.path.lastIndexOf('.') + 1) : undefined,
    subclass: (type: NativeClass, sub) => subclass(torch, type, sub),
    classMember: (type: NativeClass, sub, name) =>
      type.path === 'torch.autograd.Function' && name === 'apply' ? applyFunction(torch, sub) : undefined,
  };
}

/** `apply` of a Python class with static `forward` and `backward`. */
function applyFunction(torch: TorchAdapter, sub: Subclass): NativeFunction {
  const method =
    (name: string) =>
    (context: object, ...args: readonly unknown[]) =>
      lower(torch.python, sub.callMethod(null, name, [context, ...args.map(raise)]));
  const custom = { name: sub.name, forward: method('forward'), backward: method('backward') };
  return new NativeFunction('apply', args =>
    raise(torch.native('apply', 'torch.autograd')(custom, ...args.map(value => lower(torch.python, value)))),
  );
}

/** How instances of a Python class over a gradc class are made. */
function subclass(
  torch: TorchAdapter,
  type: NativeClass,
  sub: Subclass,
): (args: readonly Value[], kwargs: Kwargs) => Value {
  const base = type.constructor_ as new (...args: unknown[]) => object;
  const made = { [sub.name]: class extends base {} }[sub.name];
  if (sub.method('forward') !== undefined) {
    Object.defineProperty(made.prototype, 'forward', {
      value(this: object, ...args: unknown[]) {
        const result = sub.callMethod(this, 'forward', args.map(raise));
        return result instanceof Dict ? result : lower(torch.python, result);
      },
    });
  }
  return (args, kwargs) => {
    const hasInit = sub.method('__init__') !== undefined;
    if (hasInit && base !== Module && base.length > 0) throw new Unsupported(`a Python __init__ over ${type.path}`);
    const instance = Reflect.construct(made, hasInit ? [] : torch.constructorArguments(type, args, kwargs)) as object;
    sub.adopt(instance);
    if (hasInit) sub.callMethod(instance, '__init__', args, kwargs);
    return instance;
  };
}

/** Methods of a module whose results have another form in Python. */
const moduleMethods: Readonly<
  Record<string, (module: gradc.nn.Module, torch: TorchAdapter, args: readonly Value[], kwargs: Kwargs) => Value>
> = {
  parameters: module => [...module.parameters()],
  named_parameters: module => [...module.namedParameters()].map(pair => new Tuple(pair)),
  state_dict: module => new Dict(entriesOf(module.stateDict())),
  items: module => [...module.namedChildren()].map(pair => new Tuple(pair)),
  ...Object.fromEntries(
    (['half', 'bfloat16', 'float', 'double'] as const).map(name => [
      name,
      (module: gradc.nn.Module, torch: TorchAdapter) => torch.beforehand(() => module[name]()),
    ]),
  ),
  to: (module, torch, args, kwargs) => {
    const given: readonly Value[] = [...args, ...kwargs.values()];
    const [dtype] = given.flatMap(arg =>
      arg instanceof TorchDtype ? [arg.name] : arg instanceof Tensor ? [arg.dtype] : [],
    );
    return dtype === undefined ? module : torch.beforehand(() => module.to(dtype));
  },
  type: (module, torch, [dtype]) => torch.beforehand(() => module.type(dtypeFor(dtype)!)),
  cpu: module => module,
  load_state_dict: (module, torch, [state]) => {
    module.loadStateDict(lowerState(torch, state) as never);
    return null;
  },
};

const entriesOf = (state: unknown): [string, Value][] =>
  (state instanceof Map ? [...state] : Object.entries(state as Members)) as [string, Value][];

/** A state dict keeps its names as they are. */
function lowerState(torch: TorchAdapter, state: Value): Record<string, unknown> {
  if (!(state instanceof Dict)) throw new Unsupported(`a state dict of type ${torch.python.typeName(state)}`);
  return Object.fromEntries(state.entries().map(([key, value]) => [String(key), lower(torch.python, value)]));
}

/** What Python code keeps on a module and gradc does not look at: numbers, lists, dicts, as Python values. */
const pythonFields = new WeakMap<object, Map<string, Value>>();

export function moduleBehaviour(torch: TorchAdapter): Behaviour {
  const own = (module: object, name: string): Value | undefined => {
    const fields = pythonFields.get(module);
    if (fields?.has(name)) return fields.get(name);
    return Object.hasOwn(module, name) ? member(torch, module, name) : undefined;
  };
  return {
    matches: value => value instanceof Module,
    typeName: (module: object) => module.constructor.name,
    getattr: (module: gradc.nn.Module, name) => {
      if (name === 'super().__init__') return new NativeFunction('__init__', args => noArguments(args));
      const isOther = name === 'items' && !(module instanceof gradc.nn.ModuleDict);
      if (Object.hasOwn(moduleMethods, name) && !isOther)
        return new NativeFunction(name, (args, kwargs) => moduleMethods[name](module, torch, args, kwargs));
      const held = own(module, name);
      return held === undefined ? member(torch, module, name) : held;
    },
    own,
    setattr: (module: object, name, to) => {
      const known = [name, camelCase(name)].find(candidate => candidate in module);
      pythonFields.get(module)?.delete(name);
      if (known !== undefined || to instanceof Tensor || to instanceof Module)
        (module as Members)[known ?? name] = lower(torch.python, to);
      else pythonFields.set(module, (pythonFields.get(module) ?? new Map()).set(name, to));
      return true;
    },
    call: (module: gradc.nn.Module, args, kwargs) =>
      raise(Reflect.apply(module.forward, module, methodArguments(torch, args, kwargs))),
    getitem: (module: object, index) => {
      const name = typeof index === 'string' ? 'get' : 'at';
      if (!(name in module) || typeof index === 'object') throw new Unsupported(`${module.constructor.name}[…]`);
      return (module as Record<string, (at: unknown) => Value>)[name](index);
    },
    iterate: (module: object) => {
      if (!(Symbol.iterator in module)) throw new Unsupported(`iterating over ${module.constructor.name}`);
      return [...(module as Iterable<Value>)];
    },
    length: (module: object) => Number((module as { length?: number }).length),
    repr: (module: object) => String(module),
  };
}

function noArguments(args: readonly Value[]): null {
  if (args.length > 0) throw new Unsupported('super().__init__() with arguments');
  return null;
}

const isDataset = (object: object): object is gradc.data.Dataset<unknown> => 'length' in object && 'get' in object;

/** Any other object of gradc's: optimizers, schedulers, generators. */
export function nativeObjectBehaviour(torch: TorchAdapter): Behaviour {
  const isNative = (value: Value): value is object =>
    typeof value === 'object' && value !== null && value.constructor !== Object && !Array.isArray(value);
  return {
    matches: value => isNative(value) && gradcClasses.has(value.constructor),
    typeName: (object: object) => object.constructor.name,
    getattr: (object: object, name) => member(torch, object, name),
    setattr: (object: object, name, to) => {
      const own = [name, camelCase(name)].find(candidate => candidate in object);
      if (own === undefined && !(object instanceof gradc.autograd.FunctionContext)) return false;
      (object as Members)[own ?? name] = lower(torch.python, to);
      return true;
    },
    iterate: (object: object) => {
      if (isDataset(object)) return Array.from({ length: object.length }, (_, i) => raiseMembers(object.get(i)));
      if (!(Symbol.iterator in object)) throw new Unsupported(`iterating over ${object.constructor.name}`);
      return raisedMembers(object as Iterable<unknown>);
    },
    getitem: (object: object, index) => {
      if (!isDataset(object) || typeof index !== 'number') throw new Unsupported(`${object.constructor.name}[…]`);
      return raiseMembers(object.get(index));
    },
    length: (object: object) => {
      if (!('length' in object)) throw new Unsupported(`len() of ${object.constructor.name}`);
      return Number(object.length);
    },
    repr: (object: object) => (object.toString === Object.prototype.toString ? undefined : String(object)),
  };
}

/** Every class that gradc exports, at any depth: their instances are host objects. */
const gradcClasses: ReadonlySet<unknown> = new Set(classesIn(gradc as unknown as Members));
function classesIn(api: Members, depth = 0): unknown[] {
  return Object.values(api).flatMap(value => {
    if (typeof value === 'function' && value.prototype !== undefined) return [value];
    const isNamespace = typeof value === 'object' && value !== null && depth < 3 && isPlain(value);
    return isNamespace ? classesIn(value as Members, depth + 1) : [];
  });
}

/** A module's namespace, as the engine or a bundler makes it. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
