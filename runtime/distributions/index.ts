/** Probability distributions: `new distributions.Normal(0, 1).sample([3])`, `new distributions.Categorical({ logits })`. */
export { Exponential, Uniform } from './continuous.js';
export {
  Bernoulli,
  Categorical,
  type Chances,
  Geometric,
  OneHotCategorical,
  type ProbsOrLogits,
} from './discrete.js';
export { Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
export { klDivergence } from './divergence.js';
export type { Domain } from './domain.js';
export { Cauchy, Gumbel, HalfNormal, Laplace, LogNormal, Normal } from './location-scale.js';
export { type Covariance, Independent, MultivariateNormal } from './multivariate.js';
