/** Questions about dtypes, as PyTorch answers them. */
import { categoryOf, categoryRank, type DType } from '../compiler/ir/dtype.js';
import { promoteOperands } from '../compiler/ops/define.js';
import type { Scalar } from '../compiler/ops/signature.js';
import type { Tensor } from '../compiler/ops/tensor.js';

export { promoteTypes } from '../compiler/ir/dtype.js';

/** The dtype in which an operation on two operands computes. */
export const resultType = (a: Tensor | Scalar, b: Tensor | Scalar): DType => promoteOperands([a, b]);

/** May a result of dtype `from` be stored as `to`? Not where its category would be lost. */
export const canCast = (from: DType, to: DType): boolean =>
  categoryRank[categoryOf(from)] <= categoryRank[categoryOf(to)];
