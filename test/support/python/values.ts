/**
 * The values of the small Python evaluator.
 *
 * None is `null`, bool a JS boolean, int a number or (beyond 2^53) a bigint, str a string, list an array. A Python float is
 * a `PyFloat`, so that 2 and 2.0 stay different: PyTorch's type promotion depends on it. What gradc provides (tensors,
 * modules, optimizers) are ordinary JS objects; `Behaviour`s say how they take part in the language.
 */
import { PythonError, Unsupported } from './errors.js';

export type Value = unknown;
export type Kwargs = ReadonlyMap<string, Value>;
export const noKwargs: Kwargs = new Map();

export class PyFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}
/** `torch.Size`: a tuple that prints its name. */
export class Size extends Tuple {}

export class Slice {
  readonly start: Value;
  readonly stop: Value;
  readonly step: Value;
  constructor(start: Value, stop: Value, step: Value) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }
}

export class Range {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  constructor(start: number, stop: number, step: number) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }
  get length(): number {
    return Math.max(0, Math.ceil((this.stop - this.start) / this.step));
  }
  *[Symbol.iterator](): Generator<number> {
    for (let at = 0; at < this.length; at++) yield this.start + at * this.step;
  }
}

export const ellipsis = { toString: () => 'Ellipsis' } as const;

/** A dict in insertion order; keys compare as in Python (1 == 1.0 == True, objects by identity). */
export class Dict {
  readonly #entries = new Map<unknown, { key: Value; value: Value }>();
  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }
  get size(): number {
    return this.#entries.size;
  }
  has(key: Value): boolean {
    return this.#entries.has(hashOf(key));
  }
  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.value;
  }
  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    const entry = this.#entries.get(hash);
    if (entry === undefined) this.#entries.set(hash, { key, value });
    else entry.value = value;
  }
  delete(key: Value): boolean {
    return this.#entries.delete(hashOf(key));
  }
  clear(): void {
    this.#entries.clear();
  }
  keys(): Value[] {
    return [...this.#entries.values()].map(entry => entry.key);
  }
  values(): Value[] {
    return [...this.#entries.values()].map(entry => entry.value);
  }
  entries(): [Value, Value][] {
    return [...this.#entries.values()].map(entry => [entry.key, entry.value]);
  }
}

export class PySet {
  readonly members: Dict;
  constructor(items: Iterable<Value> = []) {
    this.members = new Dict([...items].map(item => [item, null] as const));
  }
}

function hashOf(key: Value): unknown {
  if (typeof key === 'boolean') return Number(key);
  if (key instanceof PyFloat) return key.value;
  if (key instanceof Tuple) return `(${key.items.map(item => `${typeof item}:${String(hashOf(item))}`).join()})`;
  if (Array.isArray(key) || key instanceof Dict || key instanceof PySet)
    throw new PythonError('TypeError', 'unhashable type');
  return typeof key === 'string' ? `'${key}` : key;
}

/** A function of the evaluator or the host, called with Python's positional and keyword arguments. */
export class NativeFunction {
  readonly name: string;
  readonly call: (args: readonly Value[], kwargs: Kwargs) => Value;
  /** Its result depends on nothing but its arguments, so it can wait for arguments that are not known yet. */
  readonly pure: boolean;
  constructor(name: string, call: (args: readonly Value[], kwargs: Kwargs) => Value, pure = false) {
    this.name = name;
    this.call = call;
    this.pure = pure;
  }
}

/** A type object: what `type(x)`, `isinstance` and conversions such as `int(x)` use. */
export class NativeType {
  readonly name: string;
  readonly test: (value: Value) => boolean;
  readonly construct: (args: readonly Value[], kwargs: Kwargs) => Value;
  readonly statics: ReadonlyMap<string, Value>;
  constructor(
    name: string,
    test: (value: Value) => boolean,
    construct: (args: readonly Value[], kwargs: Kwargs) => Value = () => {
      throw new Unsupported(`constructing ${name}`);
    },
    statics: ReadonlyMap<string, Value> = new Map(),
  ) {
    this.name = name;
    this.test = test;
    this.construct = construct;
    this.statics = statics;
  }
}

/** A module such as `torch` or `math`: names, looked up when they are used. */
export class Namespace {
  readonly name: string;
  readonly find: (name: string) => Value | undefined;
  constructor(name: string, find: (name: string) => Value | undefined) {
    this.name = name;
    this.find = find;
  }
}

/** An exception object: what `except E as e` binds. */
export class ExceptionValue {
  readonly className: string;
  readonly args: readonly Value[];
  constructor(className: string, args: readonly Value[]) {
    this.className = className;
    this.args = args;
  }
}

/**
 * A value that exists only after the compiled program has run: `loss.item()` inside a trace, and what is computed from it.
 * It can be stored, printed and returned; a decision cannot be taken on it.
 */
export class Deferred {
  readonly settle: () => Value;
  constructor(settle: () => Value) {
    this.settle = settle;
  }
}

const hasDeferred = (value: Value): boolean =>
  value instanceof Deferred ||
  (Array.isArray(value) && value.some(hasDeferred)) ||
  (value instanceof Tuple && value.items.some(hasDeferred)) ||
  (value instanceof Dict && value.values().some(hasDeferred));

/** A value with everything deferred inside it replaced by what it turned out to be. */
export function settled(value: Value): Value {
  if (value instanceof Deferred) return settled(value.settle());
  if (Array.isArray(value)) return value.map(settled);
  if (value instanceof Size) return new Size(value.items.map(settled));
  if (value instanceof Tuple) return new Tuple(value.items.map(settled));
  if (value instanceof Dict) return new Dict(value.entries().map(([key, item]) => [key, settled(item)] as const));
  return value;
}

/** Compute now, or later if one of the operands is not known yet. */
export function whenKnown(operands: readonly Value[], compute: (...operands: Value[]) => Value): Value {
  return operands.some(hasDeferred) ? new Deferred(() => compute(...operands.map(settled))) : compute(...operands);
}

/**
 * How a kind of object takes part in the language: Python's data model, for what the evaluator does not know itself. What a
 * behaviour leaves out, or answers with `undefined`, the object does not support.
 */
export interface Behaviour {
  readonly matches: (value: Value) => boolean;
  readonly typeName: (value: never) => string;
  readonly getattr?: (value: never, name: string) => Value | undefined;
  /** Of an instance of a Python class: what the instance itself holds, before its class is asked. */
  readonly own?: (value: never, name: string) => Value | undefined;
  readonly setattr?: (value: never, name: string, to: Value) => boolean;
  readonly getitem?: (value: never, index: Value) => Value;
  readonly setitem?: (value: never, index: Value, to: Value) => void;
  readonly iterate?: (value: never) => Iterable<Value>;
  readonly length?: (value: never) => number;
  readonly truth?: (value: never) => boolean;
  readonly call?: (value: never, args: readonly Value[], kwargs: Kwargs) => Value;
  /** Tried when either operand is of this kind. */
  readonly binary?: (op: string, left: Value, right: Value) => Value | undefined;
  readonly augment?: (op: string, left: never, right: Value) => Value | undefined;
  readonly unary?: (op: string, value: never) => Value | undefined;
  readonly compare?: (op: string, left: Value, right: Value) => Value | undefined;
  readonly repr?: (value: never) => Value;
  readonly format?: (value: never, spec: string) => Value;
  /** `float(x)`, `int(x)`: the number it holds. */
  readonly number?: (value: never) => Value;
  /** Of a type of the host: whether `value` is an instance. */
  readonly isInstance?: (type: never, value: Value) => boolean;
  readonly enter?: (value: never) => Value;
  readonly exit?: (value: never) => void;
  /** `class Sub(value)`: the host makes the instances; returns how. */
  readonly subclass?: (value: never, sub: Subclass) => (args: readonly Value[], kwargs: Kwargs) => Value;
  /** A member that such a class inherits from the host's, as in `MyFunction.apply`. */
  readonly classMember?: (value: never, sub: Subclass, name: string) => Value | undefined;
}

/** What a host needs to know of a Python class that extends one of its own. */
export interface Subclass {
  readonly name: string;
  /** A method of the class, bound to nothing; undefined when neither it nor a Python base has it. */
  readonly method: (name: string) => Value | undefined;
  /** Call a method on an instance, or (self null) a static one. */
  readonly callMethod: (self: Value, name: string, args: readonly Value[], kwargs?: Kwargs) => Value;
  /** Say that `instance` is an instance of this class, so that its attributes are looked up there too. */
  readonly adopt: (instance: object) => void;
}
