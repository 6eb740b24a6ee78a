/** The error function and the normal distribution's. */
import { mul, neg } from './arithmetic.js';
import { pointwise } from './define.js';
import { elementary, on, type Unary } from './elementwise.js';
import { complementaryErf } from './erfc.js';
import { exp } from './exponential.js';
import { square } from './power.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';

// biome-ignore format: one op a line reads as a table
export const erf: Unary = elementary('erf', 'Error function.', (s, x) => s.erf(x), c => mul(c.grad, mul(exp(neg(square(c.in(0)))), 2 / Math.sqrt(Math.PI))), on(-2, 2));

export const erfc: Unary = pointwise({
  name: 'erfc',
  doc: '1 - erf(input), accurate where erf is near 1.',
  types: 'float',
  body: complementaryErf,
  vjp: c => [mul(c.grad, mul(exp(neg(square(c.in(0)))), -2 / Math.sqrt(Math.PI)))],
  samples: [
    sample(random([2, 3], -2, 2)),
    sample(random([6], 2, 6)),
    sampleWithoutGradient(exactly([4], [0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])),
  ],
});

// biome-ignore format: one op a line reads as a table
export const ndtr: Unary = elementary('ndtr', 'Area under the standard normal curve up to the input.', (s, x) => s.mul(s.add(s.erf(s.mul(x, Math.SQRT1_2)), 1), 0.5), c => mul(c.grad, mul(exp(mul(square(c.in(0)), -0.5)), 1 / Math.sqrt(2 * Math.PI))), on(-2, 2));
