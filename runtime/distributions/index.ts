/** Probability distributions: `new distributions.Normal(0, 1).sample([3])`, `new distributions.Categorical({ logits })`. */
export { Exponential, Uniform } from './continuous.js';
export { Binomial, Multinomial, NegativeBinomial, Poisson } from './counts.js';
export { Beta, Dirichlet } from './dirichlet.js';
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
export { Chi2, FisherSnedecor, Gamma, StudentT } from './gamma.js';
export { Cauchy, Gumbel, HalfCauchy, HalfNormal, Laplace, LogNormal, Normal } from './location-scale.js';
export { MixtureSameFamily } from './mixture.js';
export { type Covariance, Independent, MultivariateNormal } from './multivariate.js';
export { OneHotCategoricalStraightThrough, RelaxedBernoulli, RelaxedOneHotCategorical } from './relaxed.js';
export { Kumaraswamy, LogisticNormal, Pareto, TransformedDistribution, Weibull } from './transformed.js';
export * as transforms from './transforms.js';
export { VonMises } from './von-mises.js';
