/**
 * What reading a file may cost in memory.
 *
 * Formats with compression or with many small objects can turn a small file into much memory. What they make is counted
 * before it is made, and reading stops where the count passes the limit. The process takes more than what is counted, since
 * garbage waits to be collected: with the limits here it stays below twice the file and 16 MB, which test/fuzz measures.
 */
import { fail } from '../../compiler/errors.js';

export interface ReadOptions {
  /** Bytes that the contents of the file may take; by default half as much again as the file, and some megabytes. */
  readonly maxMemory?: number;
}

/** What even the smallest file may cost. */
const allowance = 6 * 2 ** 20;
/** What comes to it for every byte of the file. */
const perByte = 1.5;

export class Budget {
  readonly #format: string;
  readonly #limit: number;
  #left: number;

  /** For a file of `length` bytes. */
  constructor(format: string, length: number, { maxMemory }: ReadOptions) {
    this.#format = format;
    this.#limit = maxMemory ?? allowance + perByte * length;
    this.#left = this.#limit;
  }

  /** Count `bytes` that are about to be allocated. Throws E402 where they are too many. */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    fail('E402', {
      problem: `${this.#format}: its contents take more than ${Math.floor(this.#limit)} bytes of memory`,
      hint: 'if you trust the file, allow more with the option maxMemory',
    });
  }
}
