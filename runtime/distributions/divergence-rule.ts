/** One closed form of a divergence: the families of the two distributions, and what to compute. */
import { fullLike } from '../../compiler/ops/creation.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { Distribution } from './distribution.js';

type Family<D extends Distribution> = abstract new (...args: never[]) => D;
export interface Rule {
  readonly families: readonly [p: Family<Distribution>, q: Family<Distribution>];
  readonly between: (p: Distribution, q: Distribution) => Tensor;
}

export const rule = <P extends Distribution, Q extends Distribution>(
  p: Family<P>,
  q: Family<Q>,
  between: (p: P, q: Q) => Tensor,
): Rule => ({ families: [p, q], between: between as Rule['between'] });

/** For a first distribution that reaches where the second does not; `like` is of the shape of its batch. */
export const infinite = <P extends Distribution>(p: Family<P>, q: Family<Distribution>, like: (p: P) => Tensor): Rule =>
  rule(p, q, of => fullLike(like(of), Number.POSITIVE_INFINITY));
