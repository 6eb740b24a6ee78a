/**
 * Writing Python's pickles, protocol 2: plain data, and objects that the caller describes as calls of named functions.
 *
 * What is met twice is written once and remembered, so that shared lists and tensors are shared again when they are read.
 */
import { fail } from '../../compiler/errors.js';
import { WeakFloat } from '../../compiler/ops/signature.js';
import { Tuple } from './pickle.js';
import { type Opcode, opcodes } from './pickle-opcodes.js';
import { deepestNesting } from './torch-format.js';

/** A function or class of a Python module. */
export class GlobalName {
  readonly module: string;
  readonly name: string;
  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }
}
/** A call: what reading gives is its result. */
export class Call {
  readonly callee: GlobalName;
  readonly args: Tuple;
  constructor(callee: GlobalName, args: Tuple) {
    this.callee = callee;
    this.args = args;
  }
}
/** An object that lies outside of the pickle. */
export class PersistentId {
  readonly id: Tuple;
  constructor(id: Tuple) {
    this.id = id;
  }
}

/** A pickle of `value`. `describe` says what stands for an object that is no plain data; undefined where nothing does. */
export function writePickle(value: unknown, describe: (object: object) => unknown = () => undefined): Uint8Array {
  const writer = new PickleWriter(describe);
  writer.op('PROTO', protocol);
  writer.value(value);
  writer.op('STOP');
  return writer.bytes();
}

const protocol = 2;
/** Items that Python puts on the stack at once. */
const batch = 1000;

class PickleWriter {
  readonly #describe: (object: object) => unknown;
  #buffer = new Uint8Array(1024);
  #length = 0;
  readonly #memo = new Map<unknown, number>();
  readonly #open = new Set<object>();

  constructor(describe: (object: object) => unknown) {
    this.#describe = describe;
  }

  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  op(name: Opcode, ...operands: readonly number[]): void {
    this.#reserve(1 + operands.length).set([opcodes[name], ...operands]);
  }

  value(value: unknown): void {
    if (value === null) this.op('NONE');
    else if (typeof value === 'boolean') this.op(value ? 'NEWTRUE' : 'NEWFALSE');
    else if (typeof value === 'bigint') this.#integer(value);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') this.#once(value, () => this.#text(value));
    else if (typeof value === 'object') this.#object(value);
    else unsupported(`a value of type ${typeof value}`);
  }

  #object(object: object): void {
    if (this.#open.has(object)) unsupported('a value that contains itself');
    if (this.#open.size === deepestNesting) unsupported(`values nested deeper than ${deepestNesting} levels`);
    if (this.#recall(object)) return;
    this.#open.add(object);
    this.#whole(object);
    this.#open.delete(object);
  }

  #whole(object: object): void {
    if (object instanceof WeakFloat) this.#float(object.value);
    else if (object instanceof GlobalName) this.#global(object);
    else if (object instanceof PersistentId) this.#persistent(object);
    else if (object instanceof Call) this.#call(object);
    else if (object instanceof Tuple) this.#tuple(object.items);
    else if (Array.isArray(object)) this.#array(object);
    else if (object instanceof Map) this.#dict(object, [...object]);
    else if (isPlain(object)) this.#dict(object, Object.entries(object));
    else this.#described(object);
  }

  // ── objects ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #described(object: object): void {
    const description = this.#describe(object);
    if (description === undefined) unsupported(`an object of class ${object.constructor.name}`);
    this.value(description);
    this.#remember(object);
  }
  #persistent({ id }: PersistentId): void {
    this.value(id);
    this.op('BINPERSID');
  }
  #call({ callee, args }: Call): void {
    this.value(callee);
    this.value(args);
    this.op('REDUCE');
  }
  #tuple(items: readonly unknown[]): void {
    const short = (['EMPTY_TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3'] as const)[items.length];
    if (short === undefined) this.op('MARK');
    for (const item of items) this.value(item);
    this.op(short ?? 'TUPLE');
  }
  /** A list, or a tuple where it is frozen. */
  #array(items: readonly unknown[]): void {
    if (Object.isFrozen(items)) {
      this.#tuple(items);
      this.#remember(items);
      return;
    }
    this.op('EMPTY_LIST');
    this.#remember(items);
    this.#batches(items, 'APPENDS', item => this.value(item));
  }
  #dict(object: object, entries: readonly (readonly [unknown, unknown])[]): void {
    this.op('EMPTY_DICT');
    this.#remember(object);
    this.#batches(entries, 'SETITEMS', ([key, item]) => {
      if (typeof key === 'object' && key !== null && !(key instanceof WeakFloat))
        unsupported('a Map with keys that are neither strings nor numbers');
      this.value(key);
      this.value(item);
    });
  }
  #batches<T>(items: readonly T[], finish: Opcode, write: (item: T) => void): void {
    for (let at = 0; at < items.length; at += batch) {
      this.op('MARK');
      for (const item of items.slice(at, at + batch)) write(item);
      this.op(finish);
    }
  }
  #global({ module, name }: GlobalName): void {
    this.#once(`${module}\n${name}\n`, key => {
      this.op('GLOBAL');
      this.#raw(new TextEncoder().encode(key));
    });
  }

  // ── memo ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Write a string or a name, or refer to where it was written before. */
  #once(key: string, write: (key: string) => void): void {
    if (this.#recall(key)) return;
    write(key);
    this.#remember(key);
  }
  #remember(key: unknown): void {
    const index = this.#memo.size;
    this.#memo.set(key, index);
    if (index < 256) this.op('BINPUT', index);
    else this.op('LONG_BINPUT', ...littleEndian(BigInt(index), 4));
  }
  #recall(key: unknown): boolean {
    const index = this.#memo.get(key);
    if (index === undefined) return false;
    if (index < 256) this.op('BINGET', index);
    else this.op('LONG_BINGET', ...littleEndian(BigInt(index), 4));
    return true;
  }

  // ── plain values ───────────────────────────────────────────────────────────────────────────────────────────────────

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.#integer(BigInt(value));
    else this.#float(value);
  }
  #integer(value: bigint): void {
    if (value === BigInt.asUintN(8, value)) this.op('BININT1', Number(value));
    else if (value === BigInt.asUintN(16, value)) this.op('BININT2', ...littleEndian(value, 2));
    else if (value === BigInt.asIntN(32, value)) this.op('BININT', ...littleEndian(value, 4));
    else {
      const length = Math.ceil(value.toString(16).replace('-', '').length / 2) + 1;
      if (length > 255) unsupported('an integer of more than 254 bytes');
      this.op('LONG1', length, ...littleEndian(value, length));
    }
  }
  #float(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, false);
    this.op('BINFLOAT', ...bytes);
  }
  #text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.op('BINUNICODE', ...littleEndian(BigInt(bytes.length), 4));
    this.#raw(bytes);
  }

  // ── bytes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length).set(bytes);
  }
  /** The next `count` bytes of the buffer, which grows as it must. */
  #reserve(count: number): Uint8Array {
    const end = this.#length + count;
    if (end > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#length = end;
    return this.#buffer.subarray(end - count, end);
  }
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === Object.prototype || prototype === null;
}

const littleEndian = (value: bigint, length: number): number[] =>
  Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));

const unsupported: (what: string) => never = what =>
  fail('E208', {
    problem: `save(): ${what} cannot be saved`,
    hint: 'a file holds tensors, numbers, strings, booleans, null, arrays, plain objects and Maps of these',
  });
