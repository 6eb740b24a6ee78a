/**
 * Deflate (RFC 1951), undone into memory of a known size: nothing else is allocated, and no byte is written beyond
 * it, whatever the data say.
 *
 * Codes of up to nine bits are looked up, longer ones are counted out bit by bit, as Mark Adler's "puff" does; a table for all
 * fifteen bits would cost more to make than a short block costs to read.
 */

/** What the caller says of data that cannot be undone. */
export interface InflateFaults {
  broken(problem: string): never;
  /** There is more than the memory holds. */
  overfull(): never;
}

/** Fills `out` from `packed`; returns how many bytes there were. */
export const inflateInto = (packed: Uint8Array, out: Uint8Array, faults: InflateFaults): number =>
  new Inflater(packed, out, faults).run();

const longestCode = 15;
const fastBits = 9;
const endOfBlock = 256;
/** Lengths 3 to 258 and distances 1 to 32768: where each code begins, and how many bits follow it. */
const lengthExtra = [...[0, 1, 2, 3, 4, 5].flatMap(bits => Array(bits === 0 ? 8 : 4).fill(bits)), 0] as number[];
const lengthBase = [...runningSums(3, lengthExtra.slice(0, -1)).slice(0, -1), 258];
const distanceExtra = Array.from({ length: 30 }, (_, code) => Math.max(0, (code >> 1) - 1));
const distanceBase = runningSums(1, distanceExtra).slice(0, -1);
/** In which order the lengths of the codes for lengths of codes come. */
const metaOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function runningSums(start: number, bits: readonly number[]): number[] {
  const sums = [start];
  for (const count of bits) sums.push(sums[sums.length - 1] + 2 ** count);
  return sums;
}

/** A canonical prefix code. */
class Code {
  /** By the next nine bits: symbol × 16 + bits it takes; 0 where the code is longer. */
  readonly #fast = new Uint16Array(1 << fastBits);
  /** How many codes take so many bits. */
  readonly #counts = new Uint16Array(longestCode + 1);
  /** In the order of their codes. */
  readonly #symbols = new Uint16Array(288);
  /** While a code is made: the next code of each number of bits, and its place among the symbols. */
  readonly #next = new Uint16Array(longestCode + 1);
  readonly #places = new Uint16Array(longestCode + 1);

  /** From the bits that each symbol takes; false where there is no such code. */
  set(lengths: Uint8Array): boolean {
    this.#counts.fill(0);
    this.#fast.fill(0);
    for (const length of lengths) this.#counts[length]++;
    const used = lengths.length - this.#counts[0];
    this.#counts[0] = 0;
    const [next, places] = [this.#next, this.#places];
    let left = 1;
    for (let bits = 1; bits <= longestCode; bits++) {
      left = 2 * left - this.#counts[bits];
      if (left < 0) return false;
      next[bits] = (next[bits - 1] + this.#counts[bits - 1]) << 1;
      places[bits] = places[bits - 1] + this.#counts[bits - 1];
    }
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const bits = lengths[symbol];
      if (bits === 0) continue;
      this.#symbols[places[bits]++] = symbol;
      this.#remember(symbol, bits, next[bits]++);
    }
    // only a code of one symbol, or of none, may leave bits without a meaning
    return left === 0 || used === 0 || (used === 1 && this.#counts[1] === 1);
  }

  #remember(symbol: number, bits: number, code: number): void {
    if (bits > fastBits) return;
    let reversed = 0;
    for (let bit = 0; bit < bits; bit++) reversed |= ((code >> bit) & 1) << (bits - 1 - bit);
    for (let at = reversed; at < this.#fast.length; at += 1 << bits) this.#fast[at] = symbol * 16 + bits;
  }

  /** Symbol × 16 + bits it takes, for what comes next; -1 for no symbol. */
  find(upcoming: number): number {
    const found = this.#fast[upcoming & ((1 << fastBits) - 1)];
    return found !== 0 ? found : this.#countOut(upcoming);
  }
  #countOut(upcoming: number): number {
    let code = 0;
    let first = 0;
    let place = 0;
    for (let bits = 1; bits <= longestCode; bits++) {
      code |= (upcoming >>> (bits - 1)) & 1;
      const count = this.#counts[bits];
      if (code - first < count) return this.#symbols[place + code - first] * 16 + bits;
      place += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return -1;
  }
}

/** One set of tables for all: archives of many small members would make as many of them. */
const [literalCode, distanceCode, codeLengths] = [new Code(), new Code(), new Uint8Array(288 + 32)];

class Inflater {
  readonly #packed: Uint8Array;
  readonly #out: Uint8Array;
  readonly #faults: InflateFaults;
  #at = 0;
  /** Bits read ahead, the next one lowest, and how many. Beyond the end of the data they are 0. */
  #bits = 0;
  #ahead = 0;
  #filled = 0;

  constructor(packed: Uint8Array, out: Uint8Array, faults: InflateFaults) {
    this.#packed = packed;
    this.#out = out;
    this.#faults = faults;
  }

  run(): number {
    for (let last = 0; last === 0; ) {
      last = this.#take(1);
      const kind = this.#take(2);
      if (kind === 0) this.#stored();
      else if (kind === 1) this.#coded(() => this.#fixedCodes());
      else if (kind === 2) this.#coded(() => this.#ownCodes());
      else this.#faults.broken('a block of an unknown kind');
      if (this.#at - (this.#ahead >> 3) > this.#packed.length) this.#cutOff();
    }
    return this.#filled;
  }

  #cutOff(): never {
    return this.#faults.broken('its data are cut off');
  }

  /** At least 25 bits are ahead after this. */
  #fill(): void {
    while (this.#ahead <= 24) {
      if (this.#at < this.#packed.length) this.#bits |= this.#packed[this.#at] << this.#ahead;
      else if (this.#at > this.#packed.length + 4) this.#cutOff();
      this.#at++;
      this.#ahead += 8;
    }
  }
  #drop(count: number): void {
    this.#bits >>>= count;
    this.#ahead -= count;
  }
  #take(count: number): number {
    this.#fill();
    const value = this.#bits & ((1 << count) - 1);
    this.#drop(count);
    return value;
  }
  #symbol(code: Code): number {
    this.#fill();
    const found = code.find(this.#bits);
    if (found < 0) this.#faults.broken('a code that stands for nothing');
    this.#drop(found & 15);
    return found >> 4;
  }

  /** Bytes as they are, after their number and its complement. */
  #stored(): void {
    const start = this.#at - (this.#ahead >> 3) + 4;
    if (start > this.#packed.length) this.#cutOff();
    const half = (at: number): number => this.#packed[at] | (this.#packed[at + 1] << 8);
    const count = half(start - 4);
    if ((count ^ half(start - 2)) !== 0xffff) this.#faults.broken('a stored block whose length is unsure');
    if (start + count > this.#packed.length) this.#cutOff();
    if (this.#filled + count > this.#out.length) this.#faults.overfull();
    this.#out.set(this.#packed.subarray(start, start + count), this.#filled);
    this.#filled += count;
    this.#at = start + count;
    this.#bits = this.#ahead = 0;
  }

  #fixedCodes(): void {
    codeLengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280, 288).fill(5, 288, 320);
    literalCode.set(codeLengths.subarray(0, 288));
    distanceCode.set(codeLengths.subarray(288, 320));
  }

  #ownCodes(): void {
    const [literals, distances, metas] = [this.#take(5) + 257, this.#take(5) + 1, this.#take(4) + 4];
    if (literals > 286 || distances > 30) this.#faults.broken('a block with too many codes');
    codeLengths.fill(0);
    for (let i = 0; i < metas; i++) codeLengths[metaOrder[i]] = this.#take(3);
    if (!literalCode.set(codeLengths.subarray(0, metaOrder.length))) this.#badCodes();
    this.#readLengths(literals + distances);
    if (codeLengths[endOfBlock] === 0) this.#badCodes();
    const split = codeLengths.subarray(literals, literals + distances);
    if (!literalCode.set(codeLengths.subarray(0, literals)) || !distanceCode.set(split)) this.#badCodes();
  }
  #badCodes(): never {
    return this.#faults.broken('a block with impossible codes');
  }

  /** Lengths of codes, in which runs are written short. */
  #readLengths(count: number): void {
    for (let i = 0; i < count; ) {
      const symbol = this.#symbol(literalCode);
      if (symbol < 16) {
        codeLengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) this.#badCodes();
      const value = symbol === 16 ? codeLengths[i - 1] : 0;
      const times = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (i + times > count) this.#badCodes();
      codeLengths.fill(value, i, i + times);
      i += times;
    }
  }

  #coded(prepare: () => void): void {
    prepare();
    for (;;) {
      const symbol = this.#symbol(literalCode);
      if (symbol === endOfBlock) return;
      if (symbol > endOfBlock) this.#copy(symbol - endOfBlock - 1);
      else if (this.#filled < this.#out.length) this.#out[this.#filled++] = symbol;
      else this.#faults.overfull();
    }
  }
  /** Bytes that were there before. */
  #copy(lengthCode: number): void {
    if (lengthCode >= lengthBase.length) this.#faults.broken('a length that stands for nothing');
    const length = lengthBase[lengthCode] + this.#take(lengthExtra[lengthCode]);
    const code = this.#symbol(distanceCode);
    if (code >= distanceBase.length) this.#faults.broken('a distance that stands for nothing');
    const distance = distanceBase[code] + this.#take(distanceExtra[code]);
    if (distance > this.#filled) this.#faults.broken('a copy of what comes before the beginning');
    if (this.#filled + length > this.#out.length) this.#faults.overfull();
    const out = this.#out;
    let at = this.#filled;
    for (const end = at + length; at < end; at++) out[at] = out[at - distance];
    this.#filled = at;
  }
}
