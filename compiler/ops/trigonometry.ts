/** Trigonometric and hyperbolic functions. */
import { add, div, mul, neg, sub } from './arithmetic.js';
import { eq } from './comparison.js';
import { pointwise } from './define.js';
import { type Binary, elementary, on, type Unary } from './elementwise.js';
import { rsqrt, square } from './power.js';
import { random, sample } from './samples.js';
import { where } from './selection.js';

// biome-ignore format: one op a line reads as a table
export const sin: Unary = elementary('sin', 'Sine.', (s, x) => s.sin(x), c => mul(c.grad, cos(c.in(0))), on(-4, 4));
// biome-ignore format: one op a line reads as a table
export const cos: Unary = elementary('cos', 'Cosine.', (s, x) => s.cos(x), c => neg(mul(c.grad, sin(c.in(0)))), on(-4, 4));
// biome-ignore format: one op a line reads as a table
export const tan: Unary = elementary('tan', 'Tangent.', (s, x) => s.tan(x), c => mul(c.grad, add(square(c.out), 1)), on(-1.4, 1.4));
// biome-ignore format: one op a line reads as a table
export const asin: Unary = elementary('asin', 'Arc sine.', (s, x) => s.asin(x), c => mul(c.grad, rsqrt(sub(1, square(c.in(0))))), on(-0.9, 0.9));
// biome-ignore format: one op a line reads as a table
export const acos: Unary = elementary('acos', 'Arc cosine.', (s, x) => s.acos(x), c => neg(mul(c.grad, rsqrt(sub(1, square(c.in(0)))))), on(-0.9, 0.9));
// biome-ignore format: one op a line reads as a table
export const atan: Unary = elementary('atan', 'Arc tangent.', (s, x) => s.atan(x), c => div(c.grad, add(square(c.in(0)), 1)), on(-4, 4));
// biome-ignore format: one op a line reads as a table
export const sinh: Unary = elementary('sinh', 'Hyperbolic sine.', (s, x) => s.sinh(x), c => mul(c.grad, cosh(c.in(0))), on(-2, 2));
// biome-ignore format: one op a line reads as a table
export const cosh: Unary = elementary('cosh', 'Hyperbolic cosine.', (s, x) => s.cosh(x), c => mul(c.grad, sinh(c.in(0))), on(-2, 2));
// biome-ignore format: one op a line reads as a table
export const tanh: Unary = elementary('tanh', 'Hyperbolic tangent.', (s, x) => s.tanh(x), c => mul(c.grad, sub(1, mul(c.out, c.out))), on(-2, 2));
// biome-ignore format: one op a line reads as a table
export const asinh: Unary = elementary('asinh', 'Inverse hyperbolic sine.', (s, x) => s.asinh(x), c => mul(c.grad, rsqrt(add(square(c.in(0)), 1))), on(-3, 3));
// biome-ignore format: one op a line reads as a table
export const acosh: Unary = elementary('acosh', 'Inverse hyperbolic cosine.', (s, x) => s.acosh(x), c => mul(c.grad, rsqrt(sub(square(c.in(0)), 1))), on(1.2, 4));
// biome-ignore format: one op a line reads as a table
export const atanh: Unary = elementary('atanh', 'Inverse hyperbolic tangent.', (s, x) => s.atanh(x), c => div(c.grad, sub(1, square(c.in(0)))), on(-0.9, 0.9));
// biome-ignore format: one op a line reads as a table
export const deg2rad: Unary = elementary('deg2rad', 'Degrees to radians.', (s, x) => s.mul(x, Math.PI / 180), c => mul(c.grad, Math.PI / 180), on(-90, 90));
// biome-ignore format: one op a line reads as a table
export const rad2deg: Unary = elementary('rad2deg', 'Radians to degrees.', (s, x) => s.mul(x, 180 / Math.PI), c => mul(c.grad, 180 / Math.PI), on(-3, 3));

export const atan2: Binary = pointwise({
  name: 'atan2',
  doc: 'The angle of the point (other, input).',
  types: 'float',
  body: (s, y, x) => s.atan2(y, x),
  vjp: c => {
    const scaled = div(c.grad, add(square(c.in(0)), square(c.in(1))));
    return [c.needs(0) ? mul(scaled, c.in(1)) : null, c.needs(1) ? neg(mul(scaled, c.in(0))) : null];
  },
  samples: [sample(random([6]), random([6]))],
});

export const sinc: Unary = pointwise({
  name: 'sinc',
  doc: 'sin(πx) / (πx), 1 at 0.',
  types: 'float',
  body(s, x) {
    const angle = s.mul(x, Math.PI);
    return s.select(s.eq(x, 0), s.constant(x.dtype, 1), s.div(s.sin(angle), angle));
  },
  vjp: c => {
    const angle = mul(c.in(0), Math.PI);
    const slope = div(sub(mul(cos(angle), angle), sin(angle)), mul(angle, c.in(0)));
    return [mul(c.grad, where(eq(c.in(0), 0), 0, slope))];
  },
  samples: on(0.1, 3),
});
