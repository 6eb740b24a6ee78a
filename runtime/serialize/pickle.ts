/**
 * Reading Python's pickles, as far as checkpoints use them (docs.python.org/3/library/pickletools).
 *
 * A pickle is a program for a stack machine that may name any Python function and call it. Here nothing is run: only the
 * operations in the table below exist, and only the names that the caller knows can be called, with the caller's meaning.
 * Every operation does a bounded amount of work and pays for the memory it takes, so that no pickle hangs or floods memory.
 */
import type { Budget } from './budget.js';
import { damaged, refused } from './elements.js';
import { type Opcode, opcodeName } from './pickle-opcodes.js';
import { readText } from './text.js';

/** What the names and persistent ids in a pickle stand for. */
export interface PickleWorld {
  /** The value of a dotted name; undefined refuses the pickle. */
  find(name: string): unknown;
  /** The object that a persistent id stands for. */
  persistent(id: unknown): unknown;
}

/** A name that a pickle may call. */
export class Callable {
  readonly name: string;
  readonly call: (args: readonly unknown[]) => unknown;
  constructor(name: string, call: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/** A Python tuple, told apart from a list. */
export class Tuple {
  readonly items: readonly unknown[];
  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A Python float whose value is whole, told apart from an int. Other floats are plain numbers. */
export class WholeFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/**
 * What objects take in memory, about: a place on the stack (arrays that grow keep room, and leave behind what they outgrew),
 * one in an array, a number that is none of the small integers, one that had many digits, a tuple, an array, a Map and an
 * entry of it.
 */
const [stackBytes, slotBytes, boxBytes, bigBytes] = [40, 8, 24, 80];
const [tupleBytes, listBytes, dictBytes, entryBytes] = [104, 48, 250, 90];
/** An array that grows makes room for so many at first, and later has, with what it leaves behind, so many for each item. */
const [firstRoom, grownSlots] = [17, 5];
const newestProtocol = 5;
const hexadecimal = [...'0123456789abcdef'].map(digit => digit.charCodeAt(0));
/** Of the integer that is being read, which has at most 255 bytes. */
const digits: number[] = [];

/** The value of the pickle that begins at `start`, and where it ends. Throws E401 and E402. */
export function readPickle(
  bytes: Uint8Array,
  world: PickleWorld,
  budget: Budget,
  start = 0,
): { readonly value: unknown; readonly end: number } {
  const machine = new Machine(bytes, world, budget, start);
  const value = machine.run();
  return { value, end: machine.at };
}

class Machine {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #world: PickleWorld;
  readonly #budget: Budget;
  readonly #stack: unknown[] = [];
  /** The most that was on the stack and is paid for. */
  #highest = 0;
  /** Heights of the stack at the marks; values below the last are out of reach. */
  readonly #marks: number[] = [];
  /** Picklers number what they remember one after another. */
  readonly #memo: unknown[] = [];

  constructor(bytes: Uint8Array, world: PickleWorld, budget: Budget, start: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#world = world;
    this.#budget = budget;
    this.at = start;
  }

  run(): unknown {
    for (;;) {
      const at = this.at;
      const code = this.u8();
      const name = opcodeName(code);
      if (name === undefined) damaged('pickle', `0x${code.toString(16)} at byte ${at} is no operation`);
      if (name === 'STOP') return this.#result();
      const operation = operations[name];
      if (operation === undefined)
        refused(
          'pickle',
          `the operation ${name} at byte ${at}`,
          'save plain data: tensors, numbers, strings, lists, dicts',
        );
      operation(this);
    }
  }

  #result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) damaged('pickle', 'it ends with values left on the stack');
    return value;
  }

  // ── the bytes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Where the next `count` bytes begin; they are done with. */
  #next(count: number): number {
    const start = this.at;
    this.at += count;
    if (this.at > this.#bytes.length)
      damaged('pickle', `it ends at byte ${this.#bytes.length}, in the middle of an operation`);
    return start;
  }
  u8(): number {
    return this.#view.getUint8(this.#next(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#next(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#next(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#next(4), true);
  }
  u64(): number {
    return Number(this.#view.getBigUint64(this.#next(8), true));
  }
  float(): number | WholeFloat {
    const value = this.#view.getFloat64(this.#next(8), false);
    this.#budget.spend(2 * boxBytes);
    return Number.isInteger(value) ? new WholeFloat(value) : value;
  }
  text(length: number): string {
    const start = this.#next(length);
    return readText('pickle', this.#bytes, start, this.at, this.#budget);
  }
  /** Little-endian two's complement. */
  integer(length: number): number | bigint {
    this.#budget.spend(bigBytes + 4 * length);
    const start = this.#next(length);
    digits.length = 0;
    for (let at = this.at - 1; at >= start; at--)
      digits.push(hexadecimal[this.#bytes[at] >> 4], hexadecimal[this.#bytes[at] & 15]);
    const text = `0x0${String.fromCharCode.apply(null, digits)}`;
    const signed = BigInt.asIntN(8 * length, BigInt(text));
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) damaged('pickle', `the line that begins at byte ${this.at} does not end`);
    const text = this.text(end - this.at);
    this.at++;
    return text;
  }

  // ── the stack ──────────────────────────────────────────────────────────────────────────────────────────────────────

  push(value: unknown): void {
    this.#stack.push(value);
    if (this.#stack.length <= this.#highest) return;
    this.#highest = this.#stack.length;
    this.#budget.spend(stackBytes);
  }
  pop(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) damaged('pickle', 'the stack is empty');
    return this.#stack.pop();
  }
  #top(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) damaged('pickle', 'the stack is empty');
    return this.#stack[this.#stack.length - 1];
  }
  mark(): void {
    this.#budget.spend(stackBytes);
    this.#marks.push(this.#stack.length);
  }
  /** What lies above the last mark, which goes too. */
  aboveMark(): unknown[] {
    const height = this.#marks.pop();
    return height === undefined ? damaged('pickle', 'there is no mark on the stack') : this.#stack.splice(height);
  }

  // ── objects ────────────────────────────────────────────────────────────────────────────────────────────────────────

  tuple(items: readonly unknown[]): void {
    this.#budget.spend(tupleBytes + slotBytes * items.length);
    this.push(new Tuple(items));
  }
  list(items: unknown[]): void {
    this.#budget.spend(listBytes + slotBytes * items.length);
    this.push(items);
  }
  dict(items: readonly unknown[]): void {
    this.#budget.spend(dictBytes);
    this.push(new Map());
    this.set(items);
  }
  append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) damaged('pickle', 'items are appended to what is no list');
    this.#budget.spend(
      list.length === 0 ? slotBytes * (firstRoom + items.length) : grownSlots * slotBytes * items.length,
    );
    for (const item of items) list.push(item);
  }
  set(items: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) damaged('pickle', 'items are set in what is no dict');
    if (items.length % 2 !== 0) damaged('pickle', 'a key of a dict comes without a value');
    for (let i = 0; i < items.length; i += 2) this.#setItem(dict, items[i], items[i + 1]);
  }
  #setItem(dict: Map<unknown, unknown>, given: unknown, value: unknown): void {
    const key = given instanceof WholeFloat ? given.value : given;
    if (typeof key === 'object' && key !== null)
      refused('pickle', 'a dict has a key that is neither a string nor a number', 'use strings as keys');
    if (dict.has(key)) damaged('pickle', `a dict has the key ${JSON.stringify(String(key)).slice(0, 200)} twice`);
    this.#budget.spend(entryBytes);
    dict.set(key, value);
  }
  remember(index: number): void {
    if (index > this.#memo.length) damaged('pickle', `memo ${index} comes before memo ${this.#memo.length}`);
    if (index === this.#memo.length) this.#budget.spend(stackBytes);
    this.#memo[index] = this.#top();
  }
  memoize(): void {
    this.remember(this.#memo.length);
  }
  recall(index: number): void {
    if (index >= this.#memo.length) damaged('pickle', `memo ${index} was never set`);
    this.push(this.#memo[index]);
  }

  // ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  global(module: unknown, name: unknown): void {
    const dotted = `${typeof module === 'string' ? module : '?'}.${typeof name === 'string' ? name : '?'}`.slice(
      0,
      200,
    );
    const value = this.#world.find(dotted);
    if (value === undefined)
      refused(
        'pickle',
        `it names ${dotted}, which is neither a tensor nor plain data`,
        'nothing in the file was run; save a state dict instead of objects of your own classes',
      );
    this.push(value);
  }
  reduce(): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(callee instanceof Callable) || !(args instanceof Tuple))
      damaged('pickle', 'it calls what is no function, or without a tuple of arguments');
    this.push(callee.call(args.items));
  }
  /** Attributes of an object: those of dicts (the versions of a state dict) say nothing about tensors. */
  build(): void {
    this.pop();
    if (!(this.#top() instanceof Map))
      refused('pickle', 'it sets attributes of what is no dict', 'save a state dict instead of objects');
  }
  persistent(): void {
    this.push(this.#world.persistent(this.pop()));
  }
}

type Operation = (machine: Machine) => void;

/** The operations that pickles of plain data and tensors are made of. */
const operations: Readonly<Partial<Record<Opcode, Operation>>> = {
  PROTO: m => {
    const protocol = m.u8();
    if (protocol > newestProtocol) damaged('pickle', `it is of protocol ${protocol}, the newest is ${newestProtocol}`);
  },
  FRAME: m => void m.u64(),

  NONE: m => m.push(null),
  NEWTRUE: m => m.push(true),
  NEWFALSE: m => m.push(false),
  BININT: m => m.push(m.i32()),
  BININT1: m => m.push(m.u8()),
  BININT2: m => m.push(m.u16()),
  LONG1: m => m.push(m.integer(m.u8())),
  BINFLOAT: m => m.push(m.float()),
  BINUNICODE: m => m.push(m.text(m.u32())),
  SHORT_BINUNICODE: m => m.push(m.text(m.u8())),
  BINUNICODE8: m => m.push(m.text(m.u64())),
  BINSTRING: m => m.push(m.text(m.u32())),
  SHORT_BINSTRING: m => m.push(m.text(m.u8())),

  MARK: m => m.mark(),
  POP: m => void m.pop(),
  POP_MARK: m => void m.aboveMark(),
  EMPTY_TUPLE: m => m.tuple([]),
  TUPLE1: m => m.tuple([m.pop()]),
  TUPLE2: m => m.tuple([m.pop(), m.pop()].reverse()),
  TUPLE3: m => m.tuple([m.pop(), m.pop(), m.pop()].reverse()),
  TUPLE: m => m.tuple(m.aboveMark()),
  EMPTY_LIST: m => m.list([]),
  LIST: m => m.list(m.aboveMark()),
  APPEND: m => m.append([m.pop()]),
  APPENDS: m => m.append(m.aboveMark()),
  EMPTY_DICT: m => m.dict([]),
  DICT: m => m.dict(m.aboveMark()),
  SETITEM: m => m.set([m.pop(), m.pop()].reverse()),
  SETITEMS: m => m.set(m.aboveMark()),

  BINPUT: m => m.remember(m.u8()),
  LONG_BINPUT: m => m.remember(m.u32()),
  MEMOIZE: m => m.memoize(),
  BINGET: m => m.recall(m.u8()),
  LONG_BINGET: m => m.recall(m.u32()),

  GLOBAL: m => m.global(m.line(), m.line()),
  STACK_GLOBAL: m => {
    const name = m.pop();
    m.global(m.pop(), name);
  },
  REDUCE: m => m.reduce(),
  BUILD: m => m.build(),
  BINPERSID: m => m.persistent(),
};
