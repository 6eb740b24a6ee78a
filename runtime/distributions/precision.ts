/** How fine floating-point numbers are. */
import type { DType } from '../../compiler/ir/dtype.js';

/** The distance from 1 to the next number. */
export const smallestStep = (dtype: DType): number =>
  (({ float64: 2 ** -52, float16: 2 ** -10, bfloat16: 2 ** -7 }) as Partial<Record<DType, number>>)[dtype] ?? 2 ** -23;

/** The smallest positive number of full precision. */
export const smallestNormal = (dtype: DType): number =>
  (({ float64: 2 ** -1022, float16: 2 ** -14 }) as Partial<Record<DType, number>>)[dtype] ?? 2 ** -126;
