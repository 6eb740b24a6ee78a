/** The error function and the normal distribution's. */
import type { Arith } from '../ir/arith.js';
import { erfcFar, erfcNear, inverseSqrtPi } from '../ir/erf-coefficients.js';
import type { Expr } from '../ir/kernel.js';
import { mul, neg } from './arithmetic.js';
import { pointwise } from './define.js';
import { elementary, on, type Unary } from './elementwise.js';
import { exp } from './exponential.js';
import { square } from './power.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';

// biome-ignore format: one op a line reads as a table
export const erf: Unary = elementary('erf', 'Error function.', (s, x) => s.erf(x), c => mul(c.grad, mul(exp(neg(square(c.in(0)))), 2 / Math.sqrt(Math.PI))), on(-2, 2));

/** erfc of x >= 0.46875. e^(-x²) is a product of two, so that the rounding of x² does not grow with x. */
function erfcOfLarge(s: Arith, x: Expr): Expr {
  const high = s.div(s.trunc(s.mul(x, 16)), 16);
  const scale = s.mul(s.exp(s.neg(s.mul(high, high))), s.exp(s.neg(s.mul(s.sub(x, high), s.add(x, high)))));
  const near = s.div(s.poly(x, erfcNear.p), s.poly(x, erfcNear.q));
  const inverse = s.div(1, s.square(x));
  const far = s.div(
    s.add(inverseSqrtPi, s.mul(inverse, s.div(s.poly(inverse, erfcFar.p), s.poly(inverse, erfcFar.q)))),
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
