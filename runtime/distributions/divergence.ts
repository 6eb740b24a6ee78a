/** The Kullback–Leibler divergence between two distributions: the mean of log p - log q under p. */
import { fail } from '../../compiler/errors.js';
import { softplus } from '../../compiler/ops/activation.js';
import { requireValues } from '../../compiler/ops/checks.js';
import * as linalg from '../../compiler/ops/linalg.js';
import { where } from '../../compiler/ops/selection.js';
import { stack } from '../../compiler/ops/shape.js';
import { digamma, lgamma } from '../../compiler/ops/special.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Exponential, Uniform } from './continuous.js';
import { Binomial, Poisson } from './counts.js';
import { Beta, Dirichlet } from './dirichlet.js';
import { Bernoulli, Categorical, Geometric, OneHotCategorical } from './discrete.js';
import type { Distribution } from './distribution.js';
import { rulesAcross } from './divergence-across.js';
import { type Rule, rule } from './divergence-rule.js';
import { Gamma } from './gamma.js';
import { Cauchy, Gumbel, gamma, HalfNormal, Laplace, LogNormal, Normal } from './location-scale.js';
import { Independent, MultivariateNormal } from './multivariate.js';
import { Pareto, TransformedDistribution } from './transformed.js';

/** Between two of one family. */
const within = <D extends Distribution>(
  family: abstract new (...args: never[]) => D,
  between: (p: D, q: D) => Tensor,
): Rule => rule(family, family, between);

/** Of normal variables whose means lie a squared `distance` apart, in widths of the second. */
function betweenWidths(p: Tensor, q: Tensor, distance: Tensor | number): Tensor {
  const ratio = p.div(q).square();
  return ratio.add(distance).sub(1).sub(ratio.log()).mul(0.5);
}

const betweenNormals = (p: Normal | LogNormal, q: Normal | LogNormal): Tensor =>
  betweenWidths(p.scale, q.scale, p.loc.sub(q.loc).div(q.scale).square());

function betweenCategoricals(p: Categorical | OneHotCategorical, q: Categorical | OneHotCategorical): Tensor {
  const terms = p.probs.mul(p.logits.sub(q.logits));
  const bounded = where(q.probs.eq(0), Number.POSITIVE_INFINITY, terms);
  return where(p.probs.eq(0), 0, bounded).sum(-1);
}

function betweenNormalVectors(p: MultivariateNormal, q: MultivariateNormal): Tensor {
  const standardized = (columns: Tensor): Tensor => linalg.solveTriangular(q.scaleTril, columns, { upper: false });
  const trace = standardized(p.scaleTril).square().sum([-2, -1]);
  const distance = standardized(q.loc.sub(p.loc).unsqueeze(-1)).square().sum([-2, -1]);
  const shift = trace.add(distance).sub(p.eventShape[0]).mul(0.5);
  return q.halfLogDeterminant().sub(p.halfLogDeterminant()).add(shift);
}

/** Along the last dim. */
function betweenShares(p: Tensor, q: Tensor): Tensor {
  const [totalP, totalQ] = [p.sum(-1), q.sum(-1)];
  const shift = digamma(p).sub(digamma(totalP).unsqueeze(-1));
  return lgamma(totalP)
    .sub(lgamma(totalQ))
    .sub(lgamma(p).sub(lgamma(q)).sum(-1))
    .add(p.sub(q).mul(shift).sum(-1));
}
const bothOf = ({ concentration1, concentration0 }: Beta): Tensor => stack([concentration1, concentration0], -1);

const refuseFewer = (p: Binomial, q: Binomial): void =>
  requireValues(p.totalCount.detach().sub(q.totalCount.detach()), {
    op: 'klDivergence',
    accepts: difference => difference >= 0,
    acceptsAll: differences => differences.ge(0),
    refuse: () =>
      fail('E208', { problem: 'klDivergence: there is no closed form for a Binomial and one of a larger total count' }),
  });

const rules: readonly Rule[] = [
  within(Normal, betweenNormals),
  within(LogNormal, betweenNormals),
  within(Bernoulli, (p, q) => {
    const success = p.probs.mul(softplus(q.logits.neg()).sub(softplus(p.logits.neg())));
    const failure = p.probs
      .neg()
      .add(1)
      .mul(softplus(q.logits).sub(softplus(p.logits)));
    const possible = where(q.probs.eq(0).logicalAnd(p.probs.gt(0)), Number.POSITIVE_INFINITY, success);
    return possible.add(where(q.probs.eq(1).logicalAnd(p.probs.lt(1)), Number.POSITIVE_INFINITY, failure));
  }),
  within(Categorical, betweenCategoricals),
  within(OneHotCategorical, betweenCategoricals),
  within(Exponential, (p, q) => {
    const ratio = q.rate.div(p.rate);
    return ratio.sub(1).sub(ratio.log());
  }),
  within(Geometric, (p, q) =>
    p.entropy().neg().sub(q.probs.neg().log1p().div(p.probs)).add(q.probs.neg().log1p()).sub(q.probs.log()),
  ),
  within(Laplace, (p, q) => {
    const ratio = p.scale.div(q.scale);
    const distance = p.loc.sub(q.loc).abs();
    return ratio.mul(distance.div(p.scale).neg().exp()).add(distance.div(q.scale)).sub(1).sub(ratio.log());
  }),
  within(HalfNormal, (p, q) => betweenWidths(p.scale, q.scale, 0)),
  within(Cauchy, (p, q) => {
    const widths = p.scale.add(q.scale).square();
    const distance = p.loc.sub(q.loc).square();
    return widths.add(distance).div(p.scale.mul(q.scale).mul(4)).log();
  }),
  within(Gumbel, (p, q) => {
    const ratio = p.scale.div(q.scale);
    const distance = p.loc.sub(q.loc).div(q.scale);
    const mean = distance
      .neg()
      .add(lgamma(ratio.add(1)))
      .exp();
    return distance
      .sub(ratio.log())
      .add(ratio.mul(gamma))
      .add(mean)
      .sub(1 + gamma);
  }),
  within(Uniform, (p, q) => {
    const isInside = q.low.le(p.low).logicalAnd(q.high.ge(p.high));
    return where(isInside, q.high.sub(q.low).div(p.high.sub(p.low)).log(), Number.POSITIVE_INFINITY);
  }),
  within(MultivariateNormal, betweenNormalVectors),
  within(Gamma, (p, q) =>
    q.concentration
      .mul(p.rate.div(q.rate).log())
      .add(lgamma(q.concentration).sub(lgamma(p.concentration)))
      .add(p.concentration.sub(q.concentration).mul(digamma(p.concentration)))
      .add(q.rate.sub(p.rate).mul(p.mean)),
  ),
  within(Dirichlet, (p, q) => betweenShares(p.concentration, q.concentration)),
  within(Beta, (p, q) => betweenShares(bothOf(p), bothOf(q))),
  within(Poisson, (p, q) => p.rate.mul(p.rate.log().sub(q.rate.log())).sub(p.rate.sub(q.rate))),
  within(Binomial, (p, q) => {
    const each = p.logits.sub(q.logits).mul(p.probs).add(p.probs.neg().log1p()).sub(q.probs.neg().log1p());
    const isImpossible = p.totalCount.gt(q.totalCount);
    refuseFewer(p, q);
    return where(isImpossible, Number.POSITIVE_INFINITY, p.totalCount.mul(each));
  }),
  within(Pareto, (p, q) => {
    const ratio = q.alpha.div(p.alpha);
    const divergence = q.alpha.mul(p.scale.div(q.scale).log()).sub(ratio.log()).add(ratio).sub(1);
    return where(p.scale.lt(q.scale), Number.POSITIVE_INFINITY, divergence);
  }),
  within(TransformedDistribution, (p, q) => {
    const isSame = p.transforms.length === q.transforms.length && p.transforms.every((t, i) => t === q.transforms[i]);
    return isSame ? klDivergence(p.base, q.base) : refusePair(p, q);
  }),
  within(Independent, (p, q) => {
    if (p.reinterpretedBatchNdims !== q.reinterpretedBatchNdims)
      fail('E208', { problem: 'klDivergence: the two Independent distributions have events of different ranks' });
    return p.overEvent(klDivergence(p.base, q.base));
  }),
  ...rulesAcross,
];

/** The divergence of q from p: [...batchShape]. Throws E208 for a pair without a closed form here. */
export function klDivergence(p: Distribution, q: Distribution): Tensor {
  const found =
    rules.find(({ families: [a, b] }) => p.constructor === a && q.constructor === b) ??
    rules.find(({ families: [a, b] }) => p instanceof a && q instanceof b);
  return found === undefined ? refusePair(p, q) : found.between(p, q);
}

function refusePair(p: Distribution, q: Distribution): never {
  const [a, b] = [p.constructor.name, q.constructor.name];
  return fail('E208', {
    problem: `klDivergence: there is no closed form for ${a} and ${b}`,
    hint: 'estimate it from samples: p.logProb(x).sub(q.logProb(x)).mean() over x = p.sample([n])',
  });
}
