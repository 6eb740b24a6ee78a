/** erfc in elementary functions: rational functions of x, or of 1/x², times e^(-x²). */
import type { Arith } from '../ir/arith.js';
import { erfcFar, erfcNear, inverseSqrtPi } from '../ir/erf-coefficients.js';
import type { Expr } from '../ir/kernel.js';

/** e^(x²)·erfc(x) for x >= 0.46875. */
export function scaledErfcOfLarge(s: Arith, x: Expr): Expr {
  const near = s.div(s.poly(x, erfcNear.p), s.poly(x, erfcNear.q));
  const inverse = s.div(1, s.square(x));
  const far = s.div(
    s.add(inverseSqrtPi, s.mul(inverse, s.div(s.poly(inverse, erfcFar.p), s.poly(inverse, erfcFar.q)))),
    x,
  );
  return s.select(s.le(x, 4), near, far);
}

/** erfc of x >= 0.46875. e^(-x²) is a product of two, so that the rounding of x² does not grow with x. */
function erfcOfLarge(s: Arith, x: Expr): Expr {
  const high = s.div(s.trunc(s.mul(x, 16)), 16);
  const scale = s.mul(s.exp(s.neg(s.mul(high, high))), s.exp(s.neg(s.mul(s.sub(x, high), s.add(x, high)))));
  return s.mul(scale, scaledErfcOfLarge(s, x));
}

/** erfc of any number. */
export function complementaryErf(s: Arith, x: Expr): Expr {
  const magnitude = s.abs(x);
  const tail = erfcOfLarge(s, s.min(s.max(magnitude, 0.46875), 30));
  const mirrored = s.select(s.lt(x, 0), s.sub(2, tail), tail);
  return s.select(s.isNan(x), x, s.select(s.le(magnitude, 0.46875), s.sub(1, s.erf(x)), mirrored));
}
