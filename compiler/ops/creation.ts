/** New tensors that need no generator and no data: constants, sequences, and tensors like given ones. */
import { computeType, type DType } from '../ir/dtype.js';
import { cast } from '../ir/kernel.js';
import { composite, define, full, type Op } from './define.js';
import { random, sampleWithoutGradient } from './samples.js';
import type { Scalar } from './signature.js';
import type { Tensor } from './tensor.js';

export { full };

export interface LikeOptions {
  readonly dtype?: DType;
}

export const fullLike: Op<(input: Tensor, value: Scalar, options?: LikeOptions) => Tensor> = composite({
  name: 'fullLike',
  doc: 'A tensor of one value with the shape and dtype of the input.',
  signature: 'input: tensor, value: number, *, dtype: dtype = null',
  compute: ({ input, value, dtype }) => full(input.shape, value, { dtype: dtype ?? input.dtype }),
  samples: [sampleWithoutGradient(random([2, 3]), 3.5)],
});

export const zerosLike: Op<(input: Tensor, options?: LikeOptions) => Tensor> = composite({
  name: 'zerosLike',
  doc: 'Zeros with the shape and dtype of the input.',
  signature: 'input: tensor, *, dtype: dtype = null',
  compute: ({ input, dtype }) => full(input.shape, 0, { dtype: dtype ?? input.dtype }),
  samples: [sampleWithoutGradient(random([2, 3]))],
});

export const onesLike: Op<(input: Tensor, options?: LikeOptions) => Tensor> = composite({
  name: 'onesLike',
  doc: 'Ones with the shape and dtype of the input.',
  signature: 'input: tensor, *, dtype: dtype = null',
  compute: ({ input, dtype }) => full(input.shape, 1, { dtype: dtype ?? input.dtype }),
  samples: [sampleWithoutGradient(random([2, 3]))],
});

/** The numbers 0 … n - 1 along one dim: what index arithmetic on tensors starts from. */
export const iota: Op<(length: number, options?: LikeOptions) => Tensor> = define({
  name: 'iota',
  doc: '0, 1, … length - 1.',
  signature: "length: int, *, dtype: dtype = 'int64'",
  fusion: 'pointwise',
  differentiable: false,
  infer: (_, attrs) => ({ dtype: attrs.dtype as DType, shape: [attrs.length as number] }),
  lower: { kind: 'map', element: ([i], _, __, { dtype }) => cast(computeType(dtype), i) },
  samples: [sampleWithoutGradient(5), sampleWithoutGradient(3, { dtype: 'float32' })],
});
