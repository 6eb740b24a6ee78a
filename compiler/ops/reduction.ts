/** Reductions: sums, extrema and what is built from them. */
import { isFloat, type DType } from '../ir/dtype.js';
import { numel, sameShape, type Shape } from '../ir/shape.js';
import { composite, type Op, reduction } from './define.js';
import { random, sample } from './samples.js';
import type { Tensor } from './tensor.js';

export interface ReduceOptions {
  readonly dim?: number | readonly number[] | null;
  readonly keepdim?: boolean;
}
export interface SumOptions extends ReduceOptions {
  readonly dtype?: DType;
}

/** A reduced tensor spread over the shape it was reduced from. */
export const spread = (reduced: Tensor, shape: Shape, dims: readonly number[], keepdim: boolean): Tensor =>
  (keepdim ? reduced : dims.reduce((t, d) => t.unsqueeze(d), reduced)).expand(shape);

export const sum: Op<(input: Tensor, dim?: number | readonly number[] | null | SumOptions, options?: SumOptions | boolean) => Tensor> = reduction({
  name: 'sum',
  doc: 'Sum over the given dims, or all. Integers and bools sum to int64.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  fn: 'add',
  dtype: (input, attrs) => (attrs.dtype as DType | null) ?? (isFloat(input) ? input : 'int64'),
  vjp: c => {
    const spreadGrad = spread(c.grad, c.types[0].shape, c.attrs.dim as number[], c.attrs.keepdim as boolean);
    return [c.types[0].dtype === c.grad.dtype ? spreadGrad : spreadGrad.to(c.types[0].dtype)];
  },
  samples: [sample(random([2, 3])), sample(random([2, 3, 4]), 1), sample(random([2, 3, 4]), [0, -1], { keepdim: true }), sample(random([0, 3]), 0)],
  errors: [{ args: [random([2, 3]), 2], message: /Dimension out of range/ }],
});

export const sumToSize: Op<(input: Tensor, size: Shape) => Tensor> = composite({
  name: 'sumToSize',
  doc: 'Sum over the dims that broadcasting from `size` would have added or stretched.',
  signature: 'input: tensor, size: size',
  compute({ input, size }: { input: Tensor; size: Shape }) {
    if (sameShape(input.shape, size)) return input;
    const lead = input.ndim - size.length;
    const dims = input.shape.map((_, d) => d).filter(d => d < lead || (size[d - lead] === 1 && input.shape[d] !== 1));
    const summed = dims.length === 0 ? input : input.sum(dims, { keepdim: true, dtype: input.dtype });
    return numel(summed.shape) === numel(size) ? summed.reshape(size) : summed;
  },
  samples: [sample(random([2, 3]), [3]), sample(random([2, 3]), [2, 1])],
});
