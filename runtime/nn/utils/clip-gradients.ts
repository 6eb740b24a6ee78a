/** Gradients kept small. These work inside traced steps too. */
import { fail } from '../../../compiler/errors.js';
import { requireValues } from '../../../compiler/ops/checks.js';
import { full } from '../../../compiler/ops/define.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import { Tensor } from '../../../compiler/ops/tensor.js';

export interface ClipOptions {
  /** The p of the p-norm; may be Infinity. */
  readonly normType?: number | 'inf';
  /** Throw E208 where the norm is NaN or infinite; compiled, only where values are checked. */
  readonly errorIfNonfinite?: boolean;
}

const gradsOf = (parameters: Iterable<Tensor> | Tensor): Tensor[] =>
  (parameters instanceof Tensor ? [parameters] : [...parameters]).flatMap(p => p.grad ?? []);

/** Scale all gradients by one factor so that their joint norm is at most `maxNorm`. Returns the norm they had. */
export function clipGradNorm_(
  parameters: Iterable<Tensor> | Tensor,
  maxNorm: number,
  { normType = 2, errorIfNonfinite = false }: ClipOptions = {},
): Tensor {
  const grads = gradsOf(parameters);
  if (grads.length === 0) return full([], 0, { dtype: 'float32' });
  return noGrad(() => {
    const total = normOf(grads, Number(normType === 'inf' ? Number.POSITIVE_INFINITY : normType));
    if (errorIfNonfinite) requireFinite(total, normType);
    const factor = total.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1);
    for (const grad of grads) grad.mul_(factor);
    return total;
  });
}

function normOf(grads: readonly Tensor[], p: number): Tensor {
  const magnitudes = grads.map(grad => grad.abs());
  if (p === Number.POSITIVE_INFINITY) return magnitudes.map(m => m.max()).reduce((a, b) => a.maximum(b));
  return magnitudes
    .map(m => m.pow(p).sum())
    .reduce((a, b) => a.add(b))
    .pow(1 / p);
}

const requireFinite = (norm: Tensor, normType: number | 'inf'): void =>
  requireValues(norm, {
    op: 'clipGradNorm_',
    accepts: Number.isFinite,
    acceptsAll: values => values.isfinite(),
    refuse: () =>
      fail('E208', {
        problem: `The total norm of order ${normType} for gradients from \`parameters\` is non-finite, so it cannot be clipped.`,
        hint: 'leave out errorIfNonfinite to scale the gradients all the same',
      }),
  });

/** Limit every element of every gradient to [-clipValue, clipValue]. */
export function clipGradValue_(parameters: Iterable<Tensor> | Tensor, clipValue: number): void {
  noGrad(() => {
    for (const grad of gradsOf(parameters)) grad.clamp_(-clipValue, clipValue);
  });
}
