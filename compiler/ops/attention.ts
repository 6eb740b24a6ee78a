/** Attention as `nn.functional` has it. */
import { computeType, isFloat, precisionOf } from '../ir/dtype.js';
import { composite, type Op } from './define.js';
import { random, sample } from './samples.js';
import type { Tensor } from './tensor.js';

export interface WeightOptions {
  /** Added to the scores, or where it is boolean: the places that take part. */
  readonly attnMask?: Tensor | null;
  /** Each place attends to those before it and itself. */
  readonly isCausal?: boolean;
  /** Default: 1 / √(size of the last dim). */
  readonly scale?: number | null;
}

export const attentionWeights: Op<(query: Tensor, key: Tensor, options?: WeightOptions) => Tensor> = composite({
  name: 'attentionWeights',
  doc: 'softmax(query · keyᵀ · scale + mask): how much each place of the query takes of each value.',
  signature: 'query: tensor, key: tensor, *, attnMask: tensor = null, isCausal: bool = false, scale: number = null',
  compute({ query, key, attnMask, isCausal, scale }) {
    let scores: Tensor = query.matmul(key.transpose(-2, -1)).mul(scale ?? 1 / Math.sqrt(query.shape[query.ndim - 1]));
    if (isCausal) scores = scores.maskedFill(scores.detach().onesLike().tril().eq(0), Number.NEGATIVE_INFINITY);
    if (attnMask !== null) {
      const mask: Tensor = attnMask;
      scores = isFloat(mask.dtype) ? scores.add(mask) : scores.maskedFill(mask.logicalNot(), Number.NEGATIVE_INFINITY);
    }
    return scores.softmax(-1);
  },
  samples: [
    sample(random([2, 3, 4]), random([2, 3, 4])),
    sample(random([1, 3, 4]), random([1, 3, 4]), { isCausal: true }),
    sample(random([3, 4]), random([2, 4]), { attnMask: random([3, 2]), scale: 0.5 }),
  ],
});

interface RmsNormOptions {
  readonly weight?: Tensor | null;
  readonly eps?: number | null;
}
export const rmsNorm: Op<
  (
    input: Tensor,
    normalizedShape: readonly number[],
    weight?: Tensor | null | RmsNormOptions,
    eps?: number | null | RmsNormOptions,
  ) => Tensor
> = composite({
  name: 'rmsNorm',
  doc: 'The input divided by the root of the mean of its squares over the last dims, times a weight.',
  signature: 'input: tensor, normalizedShape: ints, weight: tensor = null, eps: number = null',
  compute({ input, normalizedShape, weight, eps }) {
    const dims = [normalizedShape].flat().map((_, i) => -1 - i);
    const normal = input.mul(
      input
        .square()
        .mean(dims, { keepdim: true })
        .add(eps ?? precisionOf(computeType(input.dtype)).epsilon)
        .rsqrt(),
    );
    return weight === null ? normal : normal.mul(weight);
  },
  samples: [sample(random([2, 3]), [3], random([3])), sample(random([2, 2, 3]), [2, 3])],
});
