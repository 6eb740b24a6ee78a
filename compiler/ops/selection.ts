/** Elements chosen by a condition. */
import { fail } from '../errors.js';
import type { DType } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import { cast } from '../ir/kernel.js';
import { type Op, type OpDef, pointwise } from './define.js';
import { integers, random, sample } from './samples.js';
import type { Operand, Param } from './signature.js';
import type { Tensor } from './tensor.js';

const needsCondition =
  (op: string, at: number, hint = 'compare first, as in x.ne(0)') =>
  (_: DType, inputs: readonly TensorType[]): void => {
    const { dtype } = inputs[at];
    if (dtype !== 'bool' && dtype !== 'uint8') {
      fail('E108', {
        op,
        problem: `expected condition to be a boolean tensor, but got a tensor with dtype ${dtype}`,
        hint,
      });
    }
  };

/** The method is that of the input, the second argument, so that the op's type is written out. */
interface Where {
  (condition: Tensor, input: Operand, other: Operand): Tensor;
  readonly def: OpDef;
  readonly params: readonly Param[];
  readonly method: (condition: Tensor, other: Operand) => Tensor;
}
export const where = pointwise({
  name: 'where',
  doc: 'input where the condition holds, other elsewhere.',
  types: 'keep',
  signature: 'condition: tensor, input: operand, other: operand',
  untyped: [0],
  check: needsCondition(
    'where',
    0,
    'the method is that of the values: for cond.where(a, b) write where(cond, a, b), or a.where(cond, b); a condition is made by comparing, as in x.ne(0)',
  ),
  body: (s, condition, x, y) => s.select(cast('bool', condition), x, y),
  vjp: c => [null, c.needs(1) ? where(c.in(0), c.grad, 0) : null, c.needs(2) ? where(c.in(0), 0, c.grad) : null],
  samples: [
    sample(integers([2, 3], 0, 2, 'bool'), random([2, 3]), random([3])),
    sample(integers([2, 3], 0, 2, 'bool'), random([2, 1]), 0.5),
  ],
}) as unknown as Where;

export const maskedFill: Op<(input: Tensor, mask: Tensor, value: Operand) => Tensor> = pointwise({
  name: 'maskedFill',
  doc: 'The input with value where the mask holds; the dtype stays that of the input.',
  types: 'keep',
  signature: 'input: tensor, mask: tensor, value: operand',
  untyped: [1, 2],
  check: needsCondition('maskedFill', 1),
  body: (s, x, mask, value) => s.select(cast('bool', mask), s.cast(x.dtype, value), x),
  vjp: c => [where(c.in(1), 0, c.grad), null, c.needs(2) ? where(c.in(1), c.grad, 0) : null],
  samples: [
    sample(random([2, 3]), integers([2, 3], 0, 2, 'bool'), 0.5),
    sample(random([2, 3]), integers([3], 0, 2, 'bool'), random([])),
  ],
});
