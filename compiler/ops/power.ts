/** Powers and roots. */
import { fail } from '../errors.js';
import type { Arith } from '../ir/arith.js';
import { isFloat, isInt } from '../ir/dtype.js';
import type { Expr } from '../ir/kernel.js';
import { div, mul, neg, sub } from './arithmetic.js';
import { eq, ge } from './comparison.js';
import { composite, type Op, pointwise, scalarType } from './define.js';
import { type Binary, elementary, infinity, isFloatExpr, needsFloat, on, type Unary } from './elementwise.js';
import { logicalAnd } from './logic.js';
import { integers, random, sample, sampleWithoutGradient } from './samples.js';
import { where } from './selection.js';
import { type Scalar, WeakFloat } from './signature.js';
import { Tensor } from './tensor.js';

/** x^n for a small whole n >= 0 by squaring. */
function wholePower(s: Arith, x: Expr, n: number): Expr {
  if (n === 0) return s.constant(x.dtype, 1);
  if (n === 1) return x;
  const half = wholePower(s, x, Math.floor(n / 2));
  const even = s.mul(half, half);
  return n % 2 === 0 ? even : s.mul(even, x);
}

/** Bits of an exponent that count: all of the dtype's but the sign, of int64's those that any program has use for. */
const bitsOfExponent: Partial<Record<string, number>> = { int8: 7, uint8: 8, int16: 15, int32: 31, int64: 32 };

/**
 * x^n of integers, wrapping. A negative power of anything but ±1 is 0. Squares stand in no choice: what two conditions share is
 * written under each in CUDA C.
 */
function integerPower(s: Arith, x: Expr, n: Expr): Expr {
  const one = s.constant(x.dtype, 1);
  let result: Expr = one;
  let square: Expr = x;
  for (let bit = 0; bit < bitsOfExponent[x.dtype]!; bit++) {
    const isSet = s.mod(s.floorDiv(n, 2 ** bit), 2);
    result = s.mul(result, s.add(one, s.mul(isSet, s.sub(square, one))));
    square = s.mul(square, square);
  }
  const zero = s.constant(x.dtype, 0);
  const unit = s.select(s.eq(x, 1), one, s.select(s.eq(s.mod(n, 2), 0), one, s.constant(x.dtype, -1)));
  const isUnit = s.or(s.eq(x, 1), s.eq(x, -1));
  const counts = s.select(s.or(isUnit, s.lt(n, 0)), zero, one);
  return s.add(s.mul(counts, result), s.select(isUnit, unit, zero));
}

/** Powers up to this are multiplied out. */
const largestWholePower = 8;

export const powScalar: Op<(input: Tensor, exponent: Scalar) => Tensor> = pointwise({
  name: 'powScalar',
  doc: 'input to the power of a plain number: small whole powers are multiplied out.',
  signature: 'input: tensor, exponent: number',
  types: 'number',
  gradName: 'PowBackward0',
  check(promoted, _, { exponent }) {
    if (isFloat(promoted)) return;
    if (!Number.isInteger(Number(exponent))) needsFloat('powScalar')(promoted);
    if (Number(exponent) < 0)
      fail('E110', { op: 'pow', problem: 'Integers to negative integer powers are not allowed.' });
  },
  body(s, x, { exponent }) {
    const n = Number(exponent);
    if (Number.isInteger(n) && n >= 0 && (n <= largestWholePower || !isFloatExpr(x))) return wholePower(s, x, n);
    if (n === 0.5) return s.sqrt(x);
    if (n === -0.5) return s.div(1, s.sqrt(x));
    if (n === -1) return s.div(1, x);
    return s.pow(x, n);
  },
  vjp: c => {
    const exponent = Number(c.attrs.exponent);
    if (exponent === 0) return [c.grad.zerosLike()];
    return [mul(c.grad, mul(powScalar(c.in(0), new WeakFloat(exponent - 1)), exponent))];
  },
  samples: [
    sample(random([2, 3]), 2),
    sample(random([4]), 3),
    sample(random([4], 0.2, 2), -1.5),
    sample(random([4], 0.2, 2), 0.5),
    sampleWithoutGradient(integers([4], -5, 5), 3),
  ],
});

export const powTensor: Binary = pointwise({
  name: 'powTensor',
  doc: 'input to the power of other, element by element.',
  types: 'number',
  gradName: 'PowBackward1',
  check(promoted) {
    if (promoted === 'bool') fail('E108', { op: 'pow', problem: '"pow" not implemented for \'Bool\'' });
  },
  body: (s, x, n) => (isFloatExpr(x) ? s.pow(x, n) : integerPower(s, x, n)),
  vjp: c => {
    const [base, exponent] = [c.in(0), c.in(1)];
    const zeroPower = eq(exponent, 0);
    const byBase = (): Tensor => where(zeroPower, 0, mul(c.grad, mul(exponent, powTensor(base, sub(exponent, 1)))));
    const flat = logicalAnd(eq(base, 0), ge(exponent, 0));
    const byExponent = (): Tensor => mul(c.grad, where(flat, 0, mul(c.out, base.log())));
    return [c.needs(0) ? byBase() : null, c.needs(1) ? byExponent() : null];
  },
  samples: [
    sample(random([2, 3], 0.2, 2), random([3])),
    sample(2, random([4])),
    sampleWithoutGradient(integers([6], -5, 5), integers([6], 0, 7)),
  ],
});

export const pow: Binary = composite({
  name: 'pow',
  doc: 'input to the power of other.',
  signature: 'input: operand, other: operand',
  compute({ input, other }) {
    if (other instanceof Tensor || !(input instanceof Tensor)) return powTensor(input, other);
    const keepsType = isFloat(input.dtype) || (isInt(input.dtype) && !isFloat(scalarType(other)));
    return keepsType ? powScalar(input, other) : powTensor(input, other);
  },
  samples: [sample(random([2, 3]), 2), sample(random([3], 0.2, 2), random([3])), sample(0.5, random([3]))],
});

export const floatPower: Binary = composite({
  name: 'floatPower',
  doc: 'input to the power of other, in float64.',
  signature: 'input: operand, other: operand',
  compute({ input, other }) {
    const wide = (value: Tensor | Scalar): Tensor | Scalar => (value instanceof Tensor ? value.to('float64') : value);
    return pow(wide(input), wide(other));
  },
  samples: [sample(random([3], 0.2, 2), random([3]))],
});

// biome-ignore format: one op a line reads as a table
export const sqrt: Unary = elementary('sqrt', 'Square root.', (s, x) => s.sqrt(x), c => div(c.grad, mul(c.out, 2)), on(0.1, 4));
// biome-ignore format: one op a line reads as a table
export const rsqrt: Unary = elementary('rsqrt', '1 / √input.', (s, x) => s.div(1, s.sqrt(x)), c => mul(mul(c.grad, -0.5), powScalar(c.out, 3)), on(0.1, 4));
// biome-ignore format: one op a line reads as a table
export const reciprocal: Unary = elementary('reciprocal', '1 / input.', (s, x) => s.div(1, x), c => neg(mul(c.grad, mul(c.out, c.out))), on(0.3, 4));

export const square: Unary = pointwise({
  name: 'square',
  doc: 'input · input.',
  types: 'number',
  gradName: 'PowBackward0',
  body: (s, x) => s.mul(x, x),
  vjp: c => [mul(c.grad, mul(c.in(0), 2))],
  samples: on(-2, 2),
});

export const hypot: Binary = pointwise({
  name: 'hypot',
  doc: '√(input² + other²), without overflow on the way.',
  types: 'keep',
  check: needsFloat('hypot'),
  body(s, x, y) {
    const [big, small] = [s.max(s.abs(x), s.abs(y)), s.min(s.abs(x), s.abs(y))];
    const ratio = s.div(small, big);
    const infinite = s.or(s.eq(s.abs(x), infinity), s.eq(s.abs(y), infinity));
    const length = s.mul(big, s.sqrt(s.add(1, s.square(ratio))));
    return s.select(infinite, s.constant(x.dtype, infinity), s.select(s.eq(big, 0), big, length));
  },
  vjp: c => [
    c.needs(0) ? mul(c.grad, div(c.in(0), c.out)) : null,
    c.needs(1) ? mul(c.grad, div(c.in(1), c.out)) : null,
  ],
  samples: [sample(random([4]), random([4]))],
});
