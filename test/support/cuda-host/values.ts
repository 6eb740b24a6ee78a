/** Typed arrays of every dtype from plain numbers and back, and random ones from a seed. */
import { fromBfloat, fromHalf, toBfloat, toHalf } from '../../../backends/js/math.js';
import { arrayOf, type DType, type TypedArray } from '../../../compiler/ir/dtype.js';

export class Bits {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  /** An integer in [0, bound): a linear congruential generator, high bits. */
  below(bound: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * bound);
  }

  floats(dtype: DType, size: number): TypedArray {
    return Bits.array(
      dtype,
      Array.from({ length: size }, () => this.below(2 ** 24) / 2 ** 23 - 1),
    );
  }

  static array(dtype: DType, values: readonly number[]): TypedArray {
    if (dtype === 'float16') return Uint16Array.from(values, toHalf);
    if (dtype === 'bfloat16') return Uint16Array.from(values, toBfloat);
    if (dtype === 'int64') return BigInt64Array.from(values, value => BigInt(value));
    return (arrayOf(dtype) as unknown as { from(values: readonly number[]): TypedArray }).from(values);
  }

  static numbers(array: TypedArray, dtype: DType): number[] {
    if (dtype === 'float16') return Array.from(array as Uint16Array, fromHalf);
    if (dtype === 'bfloat16') return Array.from(array as Uint16Array, fromBfloat);
    return Array.from(array as ArrayLike<number | bigint>, Number);
  }
}
