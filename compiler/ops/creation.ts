/** New tensors like given ones. Those from sizes alone are in the runtime, which knows the default dtype and the generator. */
import type { DType } from '../ir/dtype.js';
import { composite, full, type Op } from './define.js';
import { random, sampleWithoutGradient } from './samples.js';
import type { Scalar } from './signature.js';
import type { Tensor } from './tensor.js';

export { full };

interface LikeOptions {
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
