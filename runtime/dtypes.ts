/** Questions about dtypes, as PyTorch answers them. */
import { fail } from '../compiler/errors.js';
import {
  bytesOf,
  categoryOf,
  categoryRank,
  type DType,
  getDefaultDtype,
  isComplexDType,
  isFloat,
  isInt,
  limitsOf,
  partType,
  precisionOf,
} from '../compiler/ir/dtype.js';
import { promoteOperands } from '../compiler/ops/define.js';
import type { Scalar } from '../compiler/ops/signature.js';
import type { Tensor } from '../compiler/ops/tensor.js';

export { promoteTypes } from '../compiler/ir/dtype.js';

/** The dtype in which an operation on two operands computes. */
export const resultType = (a: Tensor | Scalar, b: Tensor | Scalar): DType => promoteOperands([a, b]);

/** May a result of dtype `from` be stored as `to`? Not where its category would be lost. */
export const canCast = (from: DType, to: DType): boolean =>
  categoryRank[categoryOf(from)] <= categoryRank[categoryOf(to)];

export interface FloatInfo {
  readonly dtype: DType;
  readonly bits: number;
  readonly min: number;
  readonly max: number;
  /** The distance from 1 to the next number. */
  readonly eps: number;
  /** The smallest positive number of full precision; `tiny` is its older name. */
  readonly smallestNormal: number;
  readonly tiny: number;
  /** The decimal digits that hold: 1e-6 for six of them. */
  readonly resolution: number;
}
/** The limits of a float type, or of the parts of a complex one. Throws E108 for others. */
export function finfo(dtype: DType = getDefaultDtype()): FloatInfo {
  const real = isComplexDType(dtype) ? partType(dtype) : dtype;
  if (!isFloat(real)) fail('E108', { op: 'finfo', problem: `expects a float type, not ${dtype}`, hint: 'use iinfo' });
  const { epsilon: eps, smallestNormal } = precisionOf(real);
  const { min, max } = limitsOf(real);
  const resolution = Number(`1e${Math.ceil(Math.log10(eps))}`);
  return { dtype: real, bits: 8 * bytesOf(real), min, max, eps, smallestNormal, tiny: smallestNormal, resolution };
}

export interface IntegerInfo<Value> {
  readonly dtype: DType;
  readonly bits: number;
  readonly min: Value;
  readonly max: Value;
}
/** The limits of an integer type, those of int64 as bigints, since numbers do not hold them. Throws E108 for others. */
export function iinfo<D extends DType>(dtype: D): IntegerInfo<D extends 'int64' ? bigint : number>;
export function iinfo(dtype: DType): IntegerInfo<number | bigint> {
  if (!isInt(dtype)) fail('E108', { op: 'iinfo', problem: `expects an integer type, not ${dtype}`, hint: 'use finfo' });
  const limits = dtype === 'int64' ? { min: -(2n ** 63n), max: 2n ** 63n - 1n } : limitsOf(dtype);
  return { dtype, bits: 8 * bytesOf(dtype), min: limits.min, max: limits.max };
}
