/** The error function and the normal distribution's. */
import type { Arith } from '../ir/arith.js';
import type { Expr } from '../ir/kernel.js';
import { mul, neg } from './arithmetic.js';
import { pointwise } from './define.js';
import { elementary, on, type Unary } from './elementwise.js';
import { exp } from './exponential.js';
import { square } from './power.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';

// biome-ignore format: one op a line reads as a table
export const erf: Unary = elementary('erf', 'Error function.', (s, x) => s.erf(x), c => mul(c.grad, mul(exp(neg(square(c.in(0)))), 2 / Math.sqrt(Math.PI))), on(-2, 2));

/** Rational approximations of erfc beyond 0.46875 (W. J. Cody, 1969): up to 4, and above in powers of 1 / x². */
const erfcNear = {
  p: [
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
    8.8195222124176909e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
  ],
  q: [
    1, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
  ],
};

const erfcFar = {
  p: [
    -1.63153871373020978e-2, -3.05326634961232344e-1, -3.60344899949804439e-1, -1.25781726111229246e-1,
    -1.60837851487422766e-2, -6.58749161529837803e-4,
  ],
  q: [
    1, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3,
  ],
};

/** erfc of x >= 0.46875. e^(-x²) is a product of two, so that the rounding of x² does not grow with x. */
function erfcOfLarge(s: Arith, x: Expr): Expr {
  const high = s.div(s.trunc(s.mul(x, 16)), 16);
  const scale = s.mul(s.exp(s.neg(s.mul(high, high))), s.exp(s.neg(s.mul(s.sub(x, high), s.add(x, high)))));
  const near = s.div(s.poly(x, erfcNear.p), s.poly(x, erfcNear.q));
  const inverse = s.div(1, s.square(x));
  const far = s.div(
    s.add(1 / Math.sqrt(Math.PI), s.mul(inverse, s.div(s.poly(inverse, erfcFar.p), s.poly(inverse, erfcFar.q)))),
    x,
  );
  return s.mul(scale, s.select(s.le(x, 4), near, far));
}

export const erfc: Unary = pointwise({
  name: 'erfc',
  doc: '1 - erf(input), accurate where erf is near 1.',
  types: 'float',
  body(s, x) {
    const magnitude = s.abs(x);
    const tail = erfcOfLarge(s, s.min(s.max(magnitude, 0.46875), 30));
    const mirrored = s.select(s.lt(x, 0), s.sub(2, tail), tail);
    return s.select(s.isNan(x), x, s.select(s.le(magnitude, 0.46875), s.sub(1, s.erf(x)), mirrored));
  },
  vjp: c => [mul(c.grad, mul(exp(neg(square(c.in(0)))), -2 / Math.sqrt(Math.PI)))],
  samples: [
    sample(random([2, 3], -2, 2)),
    sample(random([6], 2, 6)),
    sampleWithoutGradient(exactly([4], [0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])),
  ],
});

// biome-ignore format: one op a line reads as a table
export const ndtr: Unary = elementary('ndtr', 'Area under the standard normal curve up to the input.', (s, x) => s.mul(s.add(s.erf(s.mul(x, Math.SQRT1_2)), 1), 0.5), c => mul(c.grad, mul(exp(mul(square(c.in(0)), -0.5)), 1 / Math.sqrt(2 * Math.PI))), on(-2, 2));
