/** Divergences between distributions of two families, where there is a closed form, as in PyTorch. */
import { where } from '../../compiler/ops/selection.js';
import { digamma, lgamma } from '../../compiler/ops/special.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Exponential, Uniform } from './continuous.js';
import { Binomial, Poisson } from './counts.js';
import { Beta } from './dirichlet.js';
import { Bernoulli } from './discrete.js';
import { infinite, type Rule, rule } from './divergence-rule.js';
import { Gamma } from './gamma.js';
import { gamma as euler, Gumbel, Laplace, Normal } from './location-scale.js';
import { Pareto } from './transformed.js';

const twoPi = 2 * Math.PI;

/** -E log q for a gamma q, from E log x and E x. */
const crossGamma = (q: Gamma, meanLog: Tensor, mean: Tensor): Tensor =>
  lgamma(q.concentration)
    .sub(q.concentration.mul(q.rate.log()))
    .sub(q.concentration.sub(1).mul(meanLog))
    .add(q.rate.mul(mean));

/** -E log q for an exponential q, from E x. */
const crossExponential = (q: Exponential, mean: Tensor): Tensor => q.rate.mul(mean).sub(q.rate.log());

/** -E log q for a normal q, from E x and the variance of x. */
const crossNormal = (q: Normal, mean: Tensor, variance: Tensor): Tensor =>
  variance
    .add(mean.sub(q.loc).square())
    .div(q.scale.square().mul(2))
    .add(q.scale.log())
    .add(0.5 * Math.log(twoPi));

/** -E log q for a Gumbel q, from E x and E exp(-x / scale). */
const crossGumbel = (q: Gumbel, mean: Tensor, decay: Tensor): Tensor =>
  mean.sub(q.loc).div(q.scale).add(q.loc.div(q.scale).exp().mul(decay)).add(q.scale.log());

const less = (cross: Tensor, p: { entropy(): Tensor }): Tensor => cross.sub(p.entropy());
const logMean = (p: Beta): Tensor => digamma(p.concentration1).sub(digamma(p.concentration1.add(p.concentration0)));

/** x log x, 0 at 0. */
const xLogX = (x: Tensor): Tensor => x.xlogy(x);
/** E log x of a uniform variable. */
const uniformLogMean = (low: Tensor, high: Tensor): Tensor => xLogX(high).sub(xLogX(low)).div(high.sub(low)).sub(1);
const exceptWhere = (isInfinite: Tensor, value: Tensor): Tensor => where(isInfinite, Number.POSITIVE_INFINITY, value);

const fromBeta: readonly Rule[] = [
  infinite(Beta, Pareto, p => p.mean),
  rule(Beta, Exponential, (p, q) => less(crossExponential(q, p.mean), p)),
  rule(Beta, Gamma, (p, q) => less(crossGamma(q, logMean(p), p.mean), p)),
  rule(Beta, Normal, (p, q) => less(crossNormal(q, p.mean, p.variance), p)),
  rule(Beta, Uniform, (p, q) => exceptWhere(q.low.gt(0).logicalOr(q.high.lt(1)), less(q.high.sub(q.low).log(), p))),
];

const fromExponential: readonly Rule[] = [
  ...[Beta, Pareto, Uniform].map(family => infinite(Exponential, family, (p: Exponential) => p.rate)),
  rule(Exponential, Gamma, (p, q) => less(crossGamma(q, p.rate.log().add(euler).neg(), p.mean), p)),
  rule(Exponential, Gumbel, (p, q) => {
    const product = p.rate.mul(q.scale);
    return less(crossGumbel(q, p.mean, product.div(product.add(1))), p);
  }),
  rule(Exponential, Normal, (p, q) => less(crossNormal(q, p.mean, p.variance), p)),
];

const fromGamma: readonly Rule[] = [
  ...[Beta, Pareto, Uniform].map(family => infinite(Gamma, family, (p: Gamma) => p.rate)),
  rule(Gamma, Exponential, (p, q) => less(crossExponential(q, p.mean), p)),
  rule(Gamma, Gumbel, (p, q) => {
    const decay = p.rate.mul(q.scale).reciprocal().add(1).pow(p.concentration.neg());
    return less(crossGumbel(q, p.mean, decay), p);
  }),
  rule(Gamma, Normal, (p, q) => less(crossNormal(q, p.mean, p.variance), p)),
];

const fromAnywhere: readonly Rule[] = [
  ...[Beta, Exponential, Gamma, Pareto, Uniform].flatMap(family => [
    infinite(Gumbel, family, (p: Gumbel) => p.loc),
    infinite(Laplace, family, (p: Laplace) => p.loc),
    infinite(Normal, family, (p: Normal) => p.loc),
  ]),
  rule(Gumbel, Normal, (p, q) => less(crossNormal(q, p.mean, p.variance), p)),
  rule(Laplace, Normal, (p, q) => less(crossNormal(q, p.mean, p.variance), p)),
  rule(Normal, Gumbel, (p, q) => {
    const decay = p.scale.div(q.scale).square().mul(0.5).sub(p.loc.div(q.scale)).exp();
    return less(crossGumbel(q, p.loc, decay), p);
  }),
  rule(Normal, Laplace, (p, q) => {
    const distance = p.loc.sub(q.loc);
    const z = distance.div(p.scale);
    const near = z
      .square()
      .mul(-0.5)
      .exp()
      .mul(p.scale)
      .mul(Math.sqrt(2 / Math.PI));
    const magnitude = near.add(distance.mul(z.mul(Math.SQRT1_2).erf()));
    return less(magnitude.div(q.scale).add(q.scale.mul(2).log()), p);
  }),
];

const fromPareto: readonly Rule[] = [
  ...[Beta, Uniform].map(family => infinite(Pareto, family, (p: Pareto) => p.scale)),
  rule(Pareto, Exponential, (p, q) => exceptWhere(p.alpha.le(1), less(crossExponential(q, p.mean), p))),
  rule(Pareto, Gamma, (p, q) => {
    const meanLog = p.scale.log().add(p.alpha.reciprocal());
    return exceptWhere(p.alpha.le(1), less(crossGamma(q, meanLog, p.mean), p));
  }),
  rule(Pareto, Normal, (p, q) => exceptWhere(p.alpha.le(2), less(crossNormal(q, p.mean, p.variance), p))),
];

const fromUniform: readonly Rule[] = [
  rule(Uniform, Beta, (p, q) => {
    const logs = uniformLogMean(p.low, p.high);
    const rests = uniformLogMean(p.high.neg().add(1), p.low.neg().add(1));
    const { concentration1: a, concentration0: b } = q;
    const normalizer = lgamma(a)
      .add(lgamma(b))
      .sub(lgamma(a.add(b)));
    const cross = normalizer.sub(a.sub(1).mul(logs)).sub(b.sub(1).mul(rests));
    return exceptWhere(p.high.gt(1).logicalOr(p.low.lt(0)), less(cross, p));
  }),
  rule(Uniform, Exponential, (p, q) => exceptWhere(p.low.lt(0), less(crossExponential(q, p.mean), p))),
  rule(Uniform, Gamma, (p, q) =>
    exceptWhere(p.low.lt(0), less(crossGamma(q, uniformLogMean(p.low, p.high), p.mean), p)),
  ),
  rule(Uniform, Gumbel, (p, q) => {
    const decay = p.low.div(q.scale).neg().exp().sub(p.high.div(q.scale).neg().exp());
    return less(crossGumbel(q, p.mean, decay.mul(q.scale).div(p.high.sub(p.low))), p);
  }),
  rule(Uniform, Normal, (p, q) => less(crossNormal(q, p.mean, p.variance), p)),
  rule(Uniform, Pareto, (p, q) => {
    const meanLog = uniformLogMean(p.low, p.high);
    const cross = q.alpha.add(1).mul(meanLog).sub(q.alpha.log()).sub(q.alpha.mul(q.scale.log()));
    return exceptWhere(p.low.lt(q.scale), less(cross, p));
  }),
];

const betweenCounts: readonly Rule[] = [
  rule(Bernoulli, Poisson, (p, q) => less(q.rate.sub(p.probs.mul(q.rate.log())), p)),
  infinite(Poisson, Bernoulli, p => p.rate),
  infinite(Poisson, Binomial, p => p.rate),
];

export const rulesAcross: readonly Rule[] = [
  ...fromBeta,
  ...fromExponential,
  ...fromGamma,
  ...fromAnywhere,
  ...fromPareto,
  ...fromUniform,
  ...betweenCounts,
];
