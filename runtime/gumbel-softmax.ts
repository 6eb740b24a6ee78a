/** Samples of a categorical distribution that have a gradient: E. Jang et al., "Categorical reparameterization" (2017). */
import { bindArguments, type Param, parseSignature } from '../compiler/ops/signature.js';
import { noGrad } from '../compiler/ops/tape.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { emptyLike } from './creation.js';

export interface GumbelOptions {
  readonly tau?: number;
  /** One-hot on the way forward, with the gradient of the soft sample. */
  readonly hard?: boolean;
  readonly dim?: number;
}
export interface GumbelSoftmax {
  (logits: Tensor, tau?: number | GumbelOptions, hard?: boolean | GumbelOptions): Tensor;
  readonly params: readonly Param[];
}

const params = parseSignature('logits: tensor, tau: number = 1, hard: bool = false, dim: int = -1');

export const gumbelSoftmax: GumbelSoftmax = Object.assign(
  (...args: unknown[]): Tensor => {
    const { logits, tau, hard, dim } = bindArguments('gumbelSoftmax', params, args);
    const noise: Tensor = noGrad(() => emptyLike(logits).exponential_().log().neg());
    const soft: Tensor = logits.add(noise).div(tau).softmax(dim);
    if (!hard) return soft;
    const chosen = soft.detach().argmax(dim, { keepdim: true });
    const oneHot = soft.detach().zerosLike().scatter(dim, chosen, 1);
    return oneHot.sub(soft.detach()).add(soft);
  },
  { params },
);
