/** What of the normal distribution needs care in the tails: scaled erfc, the logarithm of its area, its quantiles. */
import type { Arith } from '../ir/arith.js';
import type { Expr } from '../ir/kernel.js';
import { pointwise } from './define.js';
import type { Unary } from './elementwise.js';
import { complementaryErf, scaledErfcOfLarge } from './erfc.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';

const infinity = Number.POSITIVE_INFINITY;

function scaledErfc(s: Arith, x: Expr): Expr {
  const magnitude = s.abs(x);
  const growth = s.exp(s.square(x));
  const tail = scaledErfcOfLarge(s, s.max(magnitude, 0.46875));
  const mirrored = s.select(s.lt(x, 0), s.sub(s.mul(growth, 2), tail), tail);
  return s.select(s.le(magnitude, 0.46875), s.mul(growth, s.sub(1, s.erf(x))), mirrored);
}

export const erfcx: Unary = pointwise({
  name: 'erfcx',
  doc: 'e^(input²) · erfc(input), which does not vanish where erfc does.',
  types: 'float',
  body: scaledErfc,
  vjp: c => [
    c.grad.mul(
      c
        .in(0)
        .mul(c.out)
        .mul(2)
        .sub(2 / Math.sqrt(Math.PI)),
    ),
  ],
  samples: [
    sample(random([6], -1.5, 1.5)),
    sample(exactly([3], [-0.2, 3, 5])),
    sampleWithoutGradient(exactly([1], [40])),
  ],
});

export const logNdtr: Unary = pointwise({
  name: 'logNdtr',
  doc: 'The logarithm of the area under the standard normal curve up to the input, also where that vanishes.',
  types: 'float',
  body(s, x) {
    const z = s.mul(x, Math.SQRT1_2);
    const left = s.sub(s.log(s.mul(scaledErfc(s, s.neg(s.min(z, 0))), 0.5)), s.square(z));
    const right = s.log1p(s.mul(complementaryErf(s, z), -0.5));
    return s.select(s.lt(x, -1), left, right);
  },
  vjp: c => [c.grad.div(erfcx(c.in(0).mul(-Math.SQRT1_2))).mul(Math.sqrt(2 / Math.PI))],
  samples: [sample(random([6], -3, 3)), sample(exactly([2], [-9, -30])), sampleWithoutGradient(exactly([2], [0, 20]))],
});

/** P. Acklam's rational approximations of the quantiles (2003), of nine digits. */
const central = {
  p: [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
  ],
  q: [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1],
};
const tail = {
  p: [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ],
  q: [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1],
};
const tailEnd = 0.02425;

/** The quantile of p <= 0.5: Acklam's, bettered by a step of Halley's method. */
function lowerQuantile(s: Arith, p: Expr): Expr {
  const middle = s.sub(p, 0.5);
  const square = s.square(middle);
  const far = s.sqrt(s.mul(s.log(s.min(p, tailEnd)), -2));
  const start = s.select(
    s.lt(p, tailEnd),
    s.div(s.poly(far, tail.p), s.poly(far, tail.q)),
    s.div(s.mul(middle, s.poly(square, central.p)), s.poly(square, central.q)),
  );
  const area = s.mul(complementaryErf(s, s.mul(start, -Math.SQRT1_2)), 0.5);
  const step = s.mul(s.mul(s.sub(area, p), Math.sqrt(2 * Math.PI)), s.exp(s.mul(s.square(start), 0.5)));
  return s.sub(start, s.div(step, s.add(1, s.mul(s.mul(start, step), 0.5))));
}

export const ndtri: Unary = pointwise({
  name: 'ndtri',
  doc: 'The number up to which the area under the standard normal curve is the input.',
  types: 'float',
  body(s, p) {
    const mirrored = s.gt(p, 0.5);
    const lower = lowerQuantile(s, s.select(mirrored, s.sub(1, p), p));
    const found = s.select(mirrored, s.neg(lower), lower);
    const edge = s.select(
      s.eq(p, 0),
      s.constant(p.dtype, -infinity),
      s.select(s.eq(p, 1), s.constant(p.dtype, infinity), found),
    );
    return s.select(s.or(s.lt(p, 0), s.gt(p, 1)), s.constant(p.dtype, Number.NaN), edge);
  },
  vjp: c => [
    c.grad.mul(
      c.out
        .square()
        .mul(0.5)
        .exp()
        .mul(Math.sqrt(2 * Math.PI)),
    ),
  ],
  samples: [
    sample(random([6], 0.1, 0.9)),
    sampleWithoutGradient(exactly([5], [0, 1, 0.5, 0.001, 1e-9])),
    sampleWithoutGradient(exactly([2], [-0.5, 2])),
  ],
});
