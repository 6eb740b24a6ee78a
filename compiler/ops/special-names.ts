/** `special`: what `torch.special` gathers, mostly second names of ops. */
export { erf, erfc, ndtr } from './error-function.js';
export { entr, exp2, expm1, log1p, logit, xlog1py, xlogy } from './exponential.js';
export { igamma as gammainc, igammac as gammaincc, mvlgamma as multigammaln, zeta } from './incomplete-gamma.js';
export { erfcx, logNdtr, ndtri } from './normal-distribution.js';
export {
  chebyshevPolynomialT,
  chebyshevPolynomialU,
  chebyshevPolynomialV,
  chebyshevPolynomialW,
  hermitePolynomialH,
  hermitePolynomialHe,
  laguerrePolynomialL,
  legendrePolynomialP,
  shiftedChebyshevPolynomialT,
  shiftedChebyshevPolynomialU,
  shiftedChebyshevPolynomialV,
  shiftedChebyshevPolynomialW,
} from './orthogonal-polynomials.js';
export { logSoftmax, logsumexp, softmax } from './reduction.js';
export { round } from './rounding.js';
export {
  digamma,
  digamma as psi,
  erfinv,
  expit,
  i0,
  i0 as modifiedBesselI0,
  i0e,
  i1,
  i1 as modifiedBesselI1,
  i1e,
  lgamma as gammaln,
  polygamma,
} from './special.js';
export { sinc } from './trigonometry.js';
