/** One complex number, as JavaScript has none: what `item()` of a complex tensor gives and what arithmetic takes. */

export class Complex {
  constructor(
    readonly re: number,
    readonly im: number,
  ) {}

  /** As Python writes it, but for the digits: `(1+2j)`. */
  toString(): string {
    const isNegative = this.im < 0 || Object.is(this.im, -0);
    return `(${this.re}${isNegative ? '-' : '+'}${Math.abs(this.im)}j)`;
  }
  /** JavaScript's operators see objects, so that `2 * z` would be nonsense. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint !== 'number') return this.toString();
    throw new TypeError(`${this} is no number of JavaScript's: take its parts, z.re and z.im`);
  }
}

/** A complex number given by its parts. */
export interface ComplexParts {
  readonly re: number;
  readonly im: number;
}
export const isComplexParts = (value: unknown): value is ComplexParts =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as ComplexParts).re === 'number' &&
  typeof (value as ComplexParts).im === 'number';
