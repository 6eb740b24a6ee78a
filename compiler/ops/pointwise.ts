/**
 * Elementwise ops: arithmetic, comparisons, exponentials, selection, conversion.
 *
 * Each carries its derivative beside it; the helper `pointwise` adds broadcasting, promotion, in-place variants, lowering and
 * the reduction of gradients to the shape of each operand.
 */
import { fail } from '../errors.js';
import { computeType, type DType, isFloat } from '../ir/dtype.js';
import { cast } from '../ir/kernel.js';
import { composite, define, type Op, pointwise } from './define.js';
import { random, sample, sampleWithoutGradient } from './samples.js';
import type { Scalar } from './signature.js';
import type { Tensor } from './tensor.js';

export type Unary = Op<(input: Tensor) => Tensor>;
export type Binary = Op<(input: Tensor | Scalar, other: Tensor | Scalar) => Tensor>;

// ── arithmetic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const add: Op<(input: Tensor | Scalar, other: Tensor | Scalar, options?: { alpha?: number }) => Tensor> = pointwise({
  name: 'add',
  doc: 'input + alpha · other.',
  types: 'number',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  body: (s, x, y, { alpha }) => s.add(x, alpha === 1 ? y : s.mul(y, alpha)),
  vjp: ({ grad, attrs }) => [grad, attrs.alpha === 1 ? grad : mul(grad, attrs.alpha as number)],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([2, 3]), random([3])),
    sample(random([2, 1, 3]), random([4, 1]), { alpha: 0.5 }),
    sample(random([5]), 2.5),
  ],
  errors: [{ args: [random([2, 3]), random([4])], message: /size of tensor a \(3\) must match the size of tensor b \(4\)/ }],
});

export const sub: Op<(input: Tensor | Scalar, other: Tensor | Scalar, options?: { alpha?: number }) => Tensor> = pointwise({
  name: 'sub',
  doc: 'input - alpha · other.',
  types: 'keep',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  check(promoted) {
    if (promoted === 'bool') fail('E108', { op: 'sub', problem: 'Subtraction, the `-` operator, with two bool tensors is not supported.', hint: 'use bitwiseXor or logicalXor' });
  },
  body: (s, x, y, { alpha }) => s.sub(x, alpha === 1 ? y : s.mul(y, alpha)),
  vjp: ({ grad, attrs }) => [grad, mul(grad, -(attrs.alpha as number))],
  samples: [sample(random([2, 3]), random([2, 3])), sample(random([3]), random([2, 1])), sample(1, random([4]))],
});

export const mul: Binary = pointwise({
  name: 'mul',
  doc: 'input · other.',
  types: 'number',
  body: (s, x, y) => s.mul(x, y),
  vjp: c => [c.needs(0) ? mul(c.grad, c.in(1)) : null, c.needs(1) ? mul(c.grad, c.in(0)) : null],
  samples: [sample(random([2, 3]), random([2, 3])), sample(random([2, 3]), random([2, 1])), sample(random([3]), -0.5)],
});

export const div: Op<(input: Tensor | Scalar, other: Tensor | Scalar) => Tensor> = pointwise({
  name: 'div',
  doc: 'input / other, true division: integers give floats.',
  types: 'float',
  body: (s, x, y) => s.div(x, y),
  vjp: c => [c.needs(0) ? div(c.grad, c.in(1)) : null, c.needs(1) ? neg(mul(c.grad, div(div(c.in(0), c.in(1)), c.in(1)))) : null],
  samples: [sample(random([2, 3]), random([2, 3], 0.5, 2)), sample(random([2, 3]), random([3], -2, -0.5)), sample(1, random([4], 0.5, 2))],
});

export const neg: Unary = pointwise({
  name: 'neg',
  doc: '-input.',
  types: 'keep',
  check(promoted) {
    if (promoted === 'bool') fail('E108', { op: 'neg', problem: 'Negation, the `-` operator, on a bool tensor is not supported.', hint: 'use logicalNot()' });
  },
  body: (s, x) => s.neg(x),
  vjp: ({ grad }) => [neg(grad)],
  samples: [sample(random([2, 3]))],
});

// ── exponentials ───────────────────────────────────────────────────────────────────────────────────────────────────────

export const exp: Unary = pointwise({
  name: 'exp',
  doc: 'e to the power of the input.',
  types: 'float',
  body: (s, x) => s.exp(x),
  vjp: ({ grad, out }) => [mul(grad, out)],
  samples: [sample(random([2, 3]))],
});

export const log: Unary = pointwise({
  name: 'log',
  doc: 'Natural logarithm.',
  types: 'float',
  body: (s, x) => s.log(x),
  vjp: c => [div(c.grad, c.in(0))],
  samples: [sample(random([2, 3], 0.1, 4))],
});

export const tanh: Unary = pointwise({
  name: 'tanh',
  doc: 'Hyperbolic tangent.',
  types: 'float',
  body: (s, x) => s.tanh(x),
  vjp: ({ grad, out }) => [mul(grad, sub(1, mul(out, out)))],
  samples: [sample(random([2, 3]))],
});

export const relu: Unary = pointwise({
  name: 'relu',
  doc: 'max(input, 0); NaN stays NaN. The derivative at 0 is 0.',
  types: 'keep',
  body: (s, x) => s.max(x, 0),
  vjp: ({ grad, out }) => [where(gt(out, 0), grad, 0)],
  samples: [sample(random([3, 4]))],
});

// ── comparison and selection ───────────────────────────────────────────────────────────────────────────────────────────

export const gt: Binary = pointwise({
  name: 'gt',
  doc: 'input > other.',
  types: 'compare',
  differentiable: false,
  body: (s, x, y) => s.gt(x, y),
  samples: [sampleWithoutGradient(random([2, 3]), random([3])), sampleWithoutGradient(random([4]), 0)],
});

export const where: Op<(condition: Tensor, input: Tensor | Scalar, other: Tensor | Scalar) => Tensor> = pointwise({
  name: 'where',
  doc: 'input where the condition holds, other elsewhere.',
  types: 'keep',
  signature: 'condition: tensor, input: operand, other: operand',
  untyped: [0],
  check(_, [condition]) {
    if (condition.dtype !== 'bool' && condition.dtype !== 'uint8') fail('E108', { op: 'where', problem: `expected condition to be a boolean tensor, but got a tensor with dtype ${condition.dtype}`, hint: 'compare first, as in x.ne(0)' });
  },
  body: (s, condition, x, y) => s.select(cast('bool', condition), x, y),
  vjp: c => [null, c.needs(1) ? where(c.in(0), c.grad, 0) : null, c.needs(2) ? where(c.in(0), 0, c.grad) : null],
  samples: [sample(random([2, 3], 0, 2, 'bool'), random([2, 3]), random([3])), sample(random([2, 3], 0, 2, 'bool'), random([2, 1]), 0.5)],
});

// ── conversion and copies ──────────────────────────────────────────────────────────────────────────────────────────────

/** Elementwise conversion; `to` on the Tensor class returns the tensor itself where the dtype is already right. */
export const castTo: Op<(input: Tensor, dtype: DType) => Tensor> = define({
  name: 'castTo',
  gradName: 'ToCopyBackward0',
  doc: 'The input converted to another dtype: floats truncate to integers, anything nonzero is true.',
  signature: 'input: tensor, dtype: dtype',
  fusion: 'pointwise',
  elementwise: true,
  infer: ([input], attrs) => ({ dtype: attrs.dtype as DType, shape: input.shape }),
  lower: { kind: 'map', element: (at, [input], _, type) => cast(computeType(type.dtype), input.at(at)) },
  vjp: c => [isFloat(c.types[0].dtype) ? castTo(c.grad, c.types[0].dtype) : null],
  samples: [sampleWithoutGradient(random([2, 3]), 'int32'), sample(random([2, 3]), 'float64'), sampleWithoutGradient(random([2, 3]), 'bool')],
});

export const clone: Unary = define({
  name: 'clone',
  doc: 'A copy with memory of its own; gradients pass through.',
  signature: 'input: tensor',
  fusion: 'pointwise',
  elementwise: true,
  infer: ([input]) => input,
  lower: { kind: 'map', element: (at, [input]) => input.at(at) },
  vjp: ({ grad }) => [grad],
  samples: [sample(random([2, 3]))],
});

export const to: Op<(input: Tensor, dtype: DType) => Tensor> = composite({
  name: 'to',
  doc: 'The input in another dtype; itself where it has that dtype already.',
  signature: 'input: tensor, dtype: dtype',
  compute: ({ input, dtype }) => (input.dtype === dtype ? input : castTo(input, dtype)),
  samples: [sample(random([2, 3]), 'float64'), sampleWithoutGradient(random([2, 3]), 'int64')],
});
