/**
 * The JSON header of a safetensors file, read from its bytes: names of tensors, what each says of itself, and the metadata. The
 * text as a whole is never decoded and no value is made but those that are asked for, each paid for first.
 */
import type { Budget } from './budget.js';
import { damaged, refused, shown } from './elements.js';
import { readText } from './text.js';

/** What the header says of a tensor; anything may be in the fields. */
export interface Described {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly offsets: readonly number[];
}

export interface HeaderVisitor {
  tensor(name: string, described: Described): void;
  metadata(key: string, value: string): void;
}

const format = 'safetensors';
const metadataKey = '__metadata__';
/** Longer lists are of no tensor. */
const longestList = 65;
const longestNumber = 40;
/** Values of fields with other names are passed over; how deep they may go. */
const deepest = 3;
/** What a name takes in the set of those seen, about, a list, and a number in it and in what is made of it. */
const [nameBytes, listBytes, numberBytes] = [72, 64, 24];

/** Tells `visitor` what lies in `bytes[start, end)`. */
export const readSafetensorsHeader = (
  bytes: Uint8Array,
  start: number,
  end: number,
  budget: Budget,
  visitor: HeaderVisitor,
): void => new HeaderReader(bytes, start, end, budget).read(visitor);

const code = (character: string): number => character.charCodeAt(0);
const [quote, backslash, comma, colon] = [code('"'), code('\\'), code(','), code(':')];
const [openBrace, closeBrace, openBracket, closeBracket] = [code('{'), code('}'), code('['), code(']')];

const zero = code('0');
const isDigit = (byte: number): boolean => byte >= zero && byte < zero + 10;
const otherOfNumbers = new Set([...'+-.eE'].map(code));
const isOfNumbers = (byte: number): boolean => isDigit(byte) || otherOfNumbers.has(byte);
const words = ['true', 'false', 'null'].map(word => [...word].map(code));

class HeaderReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #budget: Budget;
  #at: number;
  /** The list that is being read. */
  readonly #list: number[] = Array(longestList).fill(0);

  constructor(bytes: Uint8Array, start: number, end: number, budget: Budget) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#budget = budget;
  }

  read(visitor: HeaderVisitor): void {
    if (this.#next() !== openBrace) damaged(format, 'the header is not a JSON object');
    this.#object('the header', name => {
      if (name === metadataKey) this.#metadata(visitor);
      else visitor.tensor(name, this.#tensor(name));
    });
    if (this.#next() !== undefined) this.#unreadable();
  }

  /** Metadata: texts by name. */
  #metadata(visitor: HeaderVisitor): void {
    const wrong = (): never => damaged(format, `${metadataKey} must map strings to strings`);
    if (this.#next() !== openBrace) wrong();
    this.#object(metadataKey, key => visitor.metadata(key, this.#next() === quote ? this.#string() : wrong()));
  }

  #tensor(name: string): Described {
    const of = `${format} tensor '${name.slice(0, 100)}'`;
    let dtype = '';
    let shape: readonly number[] | null = null;
    let offsets: readonly number[] = [];
    if (this.#next() !== openBrace) damaged(of, `it is described by ${this.#excerpt()}, which is no object`);
    this.#object(`tensor '${name.slice(0, 100)}'`, field => {
      if (field === 'dtype')
        dtype = this.#next() === quote ? this.#string() : damaged(of, `unknown dtype ${this.#excerpt()}`);
      else if (field === 'shape') shape = this.#numbers(of, 'impossible shape');
      else if (field === 'data_offsets') offsets = this.#numbers(of, 'impossible offsets');
      else this.#skip(deepest);
    });
    return { dtype, shape: shape ?? damaged(of, 'it has no shape'), offsets };
  }

  // ── JSON ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #unreadable(): never {
    return damaged(format, `the header is not a JSON object that can be read: byte ${this.#at}`);
  }

  /** What comes after spaces, which stays there; undefined at the end. */
  #next(): number | undefined {
    for (; this.#at < this.#end; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
    }
    return undefined;
  }
  #expect(byte: number): void {
    if (this.#next() !== byte) this.#unreadable();
    this.#at++;
  }

  /** `value` reads what follows each name, of which none may come twice. */
  #object(what: string, value: (name: string) => void): void {
    const names = new Set<string>();
    this.#expect(openBrace);
    if (this.#next() === closeBrace) {
      this.#at++;
      return;
    }
    for (;;) {
      const name = this.#next() === quote ? this.#string() : this.#unreadable();
      if (name === '__proto__') refused(format, `something is named '${name}'`, 'give it another name');
      if (names.has(name)) damaged(format, `${what} has a name twice: ${shown(name)}`);
      this.#budget.spend(nameBytes + 2 * name.length);
      names.add(name);
      this.#expect(colon);
      value(name);
      if (this.#next() !== comma) break;
      this.#at++;
    }
    this.#expect(closeBrace);
  }

  #string(): string {
    const start = ++this.#at;
    let escaped = false;
    for (; this.#at < this.#end; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte === quote) {
        const text = readText(format, this.#bytes, start, this.#at++, this.#budget);
        return escaped ? this.#unescaped(text) : text;
      }
      if (byte < 0x20) this.#unreadable();
      if (byte !== backslash) continue;
      escaped = true;
      this.#at++;
    }
    return this.#unreadable();
  }
  #unescaped(text: string): string {
    this.#budget.spend(6 * text.length);
    try {
      return JSON.parse(`"${text}"`) as string;
    } catch {
      return this.#unreadable();
    }
  }

  #numbers(of: string, problem: string): number[] {
    if (this.#next() !== openBracket) damaged(of, `${problem} ${this.#excerpt()}`);
    const start = this.#at++;
    let count = 0;
    if (this.#next() === closeBracket) {
      this.#at++;
      return [];
    }
    for (;;) {
      const number = this.#number();
      if (number === undefined || count === longestList) {
        this.#at = start;
        return damaged(of, number === undefined ? `${problem} ${this.#excerpt()}` : `a list of many numbers`);
      }
      this.#list[count++] = number;
      if (this.#next() !== comma) break;
      this.#at++;
    }
    this.#expect(closeBracket);
    this.#budget.spend(listBytes + numberBytes * count);
    return this.#list.slice(0, count);
  }
  /** Undefined where there is none. */
  #number(): number | undefined {
    this.#next();
    const start = this.#at;
    let value = 0;
    for (; this.#at < this.#end && isDigit(this.#bytes[this.#at]); this.#at++)
      value = 10 * value + this.#bytes[this.#at] - zero;
    const digits = this.#at - start;
    const plain = digits > 0 && (digits === 1 || this.#bytes[start] !== zero) && value <= Number.MAX_SAFE_INTEGER;
    return plain && !isOfNumbers(this.#bytes[this.#at]) ? value : this.#otherNumber(start);
  }
  /** One with a sign, a fraction or an exponent, or too large to be a size. */
  #otherNumber(start: number): number | undefined {
    const limit = Math.min(this.#end, start + longestNumber);
    for (this.#at = start; this.#at < limit && isOfNumbers(this.#bytes[this.#at]); ) this.#at++;
    const text = String.fromCharCode(...this.#bytes.subarray(start, this.#at));
    return /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(text) ? Number(text) : undefined;
  }

  /** A value of no meaning here. */
  #skip(depth: number): void {
    const first = this.#next();
    if (depth === 0) damaged(format, `the header is nested deeper than ${deepest} levels`);
    if (first === openBrace) this.#object('a value', () => this.#skip(depth - 1));
    else if (first === openBracket) this.#skipList(depth);
    else if (first === quote) this.#string();
    else if (!this.#skipWord() && this.#number() === undefined) this.#unreadable();
  }
  #skipList(depth: number): void {
    this.#at++;
    if (this.#next() === closeBracket) {
      this.#at++;
      return;
    }
    for (;;) {
      this.#skip(depth - 1);
      if (this.#next() !== comma) break;
      this.#at++;
    }
    this.#expect(closeBracket);
  }
  #skipWord(): boolean {
    const word = words.find(
      candidate =>
        candidate[0] === this.#bytes[this.#at] && candidate.every((byte, i) => this.#bytes[this.#at + i] === byte),
    );
    this.#at += word?.length ?? 0;
    return word !== undefined;
  }

  /** What lies here, for an error. */
  #excerpt(): string {
    const end = Math.min(this.#end, this.#at + 60);
    return new TextDecoder().decode(this.#bytes.subarray(this.#at, end));
  }
}
