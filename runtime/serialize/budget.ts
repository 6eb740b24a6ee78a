/**
 * What reading a file may cost in memory.
 *
 * Formats with compression or with many small objects can turn a small file into much memory. What they make is counted
 * before it is made, and reading stops where the count passes the limit.
 */
import { fail } from '../../compiler/errors.js';

export interface ReadOptions {
  /** Bytes that the contents of the file may take; by default some megabytes more than the file. */
  readonly maxMemory?: number;
}

/** What even the smallest file may cost. */
const allowance = 12 * 2 ** 20;

export class Budget {
  readonly #format: string;
  readonly #limit: number;
  #left: number;

  /** For a file of `length` bytes whose contents may be `ratio` times as large. */
  constructor(format: string, length: number, { maxMemory }: ReadOptions, ratio = 1) {
    this.#format = format;
    this.#limit = maxMemory ?? allowance + ratio * length;
    this.#left = this.#limit;
  }

  /** Count `bytes` that are about to be allocated. Throws E402 where they are too many. */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    fail('E402', {
      problem: `${this.#format}: its contents take more than ${this.#limit} bytes of memory`,
      hint: 'if you trust the file, allow more with the option maxMemory',
    });
  }
}
