/** Helpers on parameters: clipping gradients, and parameters as one vector. They work inside traced steps too. */
import { full } from '../../compiler/ops/define.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { Tensor } from '../../compiler/ops/tensor.js';

export interface ClipOptions {
  readonly normType?: number;
}

const gradsOf = (parameters: Iterable<Tensor> | Tensor): Tensor[] =>
  (parameters instanceof Tensor ? [parameters] : [...parameters]).flatMap(p => p.grad ?? []);

/** Scale all gradients by one factor so that their joint norm is at most `maxNorm`. Returns the norm they had. */
export function clipGradNorm_(
  parameters: Iterable<Tensor> | Tensor,
  maxNorm: number,
  { normType = 2 }: ClipOptions = {},
): Tensor {
  const grads = gradsOf(parameters);
  if (grads.length === 0) return full([], 0, { dtype: 'float32' });
  return noGrad(() => {
    const magnitudes = grads.map(grad => grad.abs());
    const total =
      normType === Number.POSITIVE_INFINITY
        ? magnitudes.map(m => m.max()).reduce((a, b) => a.maximum(b))
        : magnitudes
            .map(m => m.pow(normType).sum())
            .reduce((a, b) => a.add(b))
            .pow(1 / normType);
    const factor = total.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1);
    for (const grad of grads) grad.mul_(factor);
    return total;
  });
}

/** Limit every element of every gradient to [-clipValue, clipValue]. */
export function clipGradValue_(parameters: Iterable<Tensor> | Tensor, clipValue: number): void {
  noGrad(() => {
    for (const grad of gradsOf(parameters)) grad.clamp_(-clipValue, clipValue);
  });
}
