/**
 * Reading Python pickles, as far as PyTorch's checkpoints use them (docs.python.org/3/library/pickletools).
 *
 * A pickle is a program for a stack machine that may name any Python function to call. Nothing is called here: the caller
 * says what each name it knows means, and a pickle that asks for another is refused.
 */
import { damaged } from './elements.js';

/** What a name in a pickle stands for, and what calling it gives. */
export interface Globals {
  /** The value of `module.name`; undefined refuses the pickle. */
  find(module: string, name: string): unknown;
  call(callee: unknown, args: readonly unknown[]): unknown;
  /** The object that a persistent id stands for. */
  persistent(id: unknown): unknown;
}

/** A Python tuple, told apart from a list. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

class Mark {}

/** A stack of more values is refused. */
const largestStack = 10_000_000;

export class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #globals: Globals;
  #at: number;
  #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();

  constructor(bytes: Uint8Array, globals: Globals, start = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#globals = globals;
    this.#at = start;
  }

  /** Where the pickle ended. */
  get end(): number {
    return this.#at;
  }

  load(): unknown {
    for (;;) {
      const at = this.#at;
      const code = this.#take(1)[0];
      if (code === stop) return this.#pop();
      const run = operations[code];
      if (run === undefined) damaged('pickle', `unsupported operation 0x${code.toString(16)} at byte ${at}`);
      run(this);
      if (this.#stack.length > largestStack) damaged('pickle', 'the stack grows beyond all bounds');
    }
  }

  // ── what operations are made of ────────────────────────────────────────────────────────────────────────────────────

  #take(count: number): Uint8Array {
    if (!(count >= 0) || this.#at + count > this.#bytes.length)
      damaged('pickle', `it ends at byte ${this.#bytes.length}, in the middle of an operation`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
  number(bytes: 1 | 2 | 4): number {
    const at = this.#at;
    this.#take(bytes);
    return bytes === 1
      ? this.#view.getUint8(at)
      : bytes === 2
        ? this.#view.getUint16(at, true)
        : this.#view.getUint32(at, true);
  }
  signed(): number {
    return this.number(4) | 0;
  }
  double(): number {
    const at = this.#at;
    this.#take(8);
    return this.#view.getFloat64(at, false);
  }
  text(length: number): string {
    return new TextDecoder().decode(this.#take(length));
  }
  /** Little-endian two's complement of any length. */
  integer(length: number): number | bigint {
    const bytes = this.#take(length);
    const value = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    const text = this.text(end - this.#at);
    this.#at++;
    return text;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }
  #pop(): unknown {
    if (this.#stack.length === 0) damaged('pickle', 'the stack is empty');
    return this.#stack.pop();
  }
  pop(count: number): unknown[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }
  #top(): unknown {
    return this.#stack[this.#stack.length - 1];
  }
  mark(): void {
    this.push(new Mark());
  }
  /** What lies above the last mark, which goes too. */
  aboveMark(): unknown[] {
    const at = this.#stack.findLastIndex(value => value instanceof Mark);
    if (at < 0) damaged('pickle', 'there is no mark on the stack');
    const items = this.#stack.slice(at + 1);
    this.#stack = this.#stack.slice(0, at);
    return items;
  }
  append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) damaged('pickle', 'items are appended to what is no list');
    for (const item of items) list.push(item);
  }
  set(items: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) damaged('pickle', 'items are set in what is no dict');
    for (let i = 0; i + 1 < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }
  remember(index: number): void {
    this.#memo.set(index, this.#top());
  }
  memoize(): void {
    this.remember(this.#memo.size);
  }
  recall(index: number): void {
    if (!this.#memo.has(index)) damaged('pickle', `memo ${index} was never set`);
    this.push(this.#memo.get(index));
  }
  global(module: string, name: string): void {
    const value = this.#globals.find(module, name);
    if (value === undefined) damaged('pickle', `it names ${module}.${name}, which is neither a tensor nor plain data`);
    this.push(value);
  }
  call(): void {
    const [callee, args] = this.pop(2);
    if (!(args instanceof Tuple)) damaged('pickle', 'a call without a tuple of arguments');
    this.push(this.#globals.call(callee, args.items));
  }
  persistent(): void {
    this.push(this.#globals.persistent(this.#pop()));
  }
}

const stop = 0x2e;
type Operation = (machine: Unpickler) => void;
const code = (character: string): number => character.charCodeAt(0);
const popped =
  (count: number): Operation =>
  m =>
    m.push(new Tuple(m.pop(count)));

const operations: Readonly<Record<number, Operation>> = {
  128: m => void m.number(1),
  149: skipFrame,
  [code('(')]: m => m.mark(),
  [code('0')]: m => void m.pop(1),
  [code('N')]: m => m.push(null),
  136: m => m.push(true),
  137: m => m.push(false),
  [code('J')]: m => m.push(m.signed()),
  [code('K')]: m => m.push(m.number(1)),
  [code('M')]: m => m.push(m.number(2)),
  138: m => m.push(m.integer(m.number(1))),
  139: m => m.push(m.integer(m.number(4))),
  [code('G')]: m => m.push(m.double()),
  [code('X')]: m => m.push(m.text(m.number(4))),
  140: m => m.push(m.text(m.number(1))),
  [code('T')]: m => m.push(m.text(m.number(4))),
  [code('U')]: m => m.push(m.text(m.number(1))),
  [code(']')]: m => m.push([]),
  [code('a')]: m => m.append(m.pop(1)),
  [code('e')]: m => m.append(m.aboveMark()),
  [code('l')]: m => m.push(m.aboveMark()),
  [code('}')]: m => m.push(new Map()),
  [code('s')]: m => m.set(m.pop(2)),
  [code('u')]: m => m.set(m.aboveMark()),
  [code(')')]: popped(0),
  133: popped(1),
  134: popped(2),
  135: popped(3),
  [code('t')]: m => m.push(new Tuple(m.aboveMark())),
  [code('q')]: m => m.remember(m.number(1)),
  [code('r')]: m => m.remember(m.number(4)),
  148: m => m.memoize(),
  [code('h')]: m => m.recall(m.number(1)),
  [code('j')]: m => m.recall(m.number(4)),
  [code('c')]: m => m.global(m.line(), m.line()),
  147: m => {
    const [module, name] = m.pop(2);
    m.global(String(module), String(name));
  },
  [code('R')]: m => m.call(),
  129: m => m.call(),
  [code('Q')]: m => m.persistent(),
  // Attributes of an object: those of dicts (the versions of a state dict) say nothing about tensors.
  [code('b')]: m => void m.pop(1),
};

function skipFrame(machine: Unpickler): void {
  machine.number(4);
  machine.number(4);
}
