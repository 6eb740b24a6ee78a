/** How far two tensors are apart, and whether that is close enough. */
import type { TypedArray } from '../ir/dtype.js';

/** A tensor agrees where |a - b| <= atol + rtol · max|a| for all of its elements. Defaults 1e-6 and 1e-4. */
export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}
export interface Closeness {
  /** Largest |a - b|, and the same over the largest |a|. */
  readonly absolute: number;
  readonly relative: number;
  readonly agrees: boolean;
}

/** NaN agrees with NaN, an infinity with itself. */
export function closeness(
  expected: TypedArray,
  actual: TypedArray,
  { rtol = 1e-4, atol = 1e-6 }: Tolerance,
): Closeness {
  let absolute = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [Number(expected[i]), Number(actual[i])];
    if (Number.isFinite(a)) largest = Math.max(largest, Math.abs(a));
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    absolute = Math.max(absolute, Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.abs(a - b));
  }
  const relative = absolute === 0 ? 0 : absolute / Math.max(largest, Number.MIN_VALUE);
  return { absolute, relative, agrees: absolute <= atol + rtol * largest };
}
