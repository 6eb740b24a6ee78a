/**
 * Elementwise ops: arithmetic, powers, exponentials, comparisons, selection.
 *
 * Each carries its derivative beside it; the helper `pointwise` adds broadcasting, promotion, in-place variants,
 * lowering and the reduction of gradients to the shape of each operand. Derivatives at kinks and ties are those of
 * PyTorch.
 */
import { fail } from '../errors.js';
import type { Arith } from '../ir/arith.js';
import { type DType, isFloat, isInt } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import { cast, type Expr } from '../ir/kernel.js';
import { composite, type Op, pointwise, scalarType } from './define.js';
import { exactly, integers, random, type Sample, sample, sampleWithoutGradient } from './samples.js';
import { type Scalar, WeakFloat } from './signature.js';
import type { VjpContext } from './tape.js';
import { elements, Tensor } from './tensor.js';

export type Unary = Op<(input: Tensor) => Tensor>;
export type Binary = Op<(input: Tensor | Scalar, other: Tensor | Scalar) => Tensor>;
export type Comparison = Binary;

const infinity = Number.POSITIVE_INFINITY;

const isFloatExpr = (x: Expr): boolean => x.dtype !== 'index' && isFloat(x.dtype);
const needsFloat =
  (op: string) =>
  (promoted: DType): void => {
    if (!isFloat(promoted)) {
      fail('E108', { op, problem: `is defined on floats, not on ${promoted}`, hint: 'convert with .float() first' });
    }
  };

// ── arithmetic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type Scaled = Op<(input: Tensor | Scalar, other: Tensor | Scalar, options?: { alpha?: number }) => Tensor>;

export const add: Scaled = pointwise({
  name: 'add',
  doc: 'input + alpha · other.',
  types: 'number',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  body: (s, x, y, { alpha }) => s.add(x, alpha === 1 ? y : s.mul(y, alpha)),
  vjp: ({ grad, attrs }) => [grad, attrs.alpha === 1 ? grad : mul(grad, attrs.alpha as number)],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([2, 3]), random([3])),
    sample(random([2, 1, 3]), random([4, 1]), { alpha: 0.5 }),
    sample(random([5]), 2.5),
    sampleWithoutGradient(integers([3], -5, 5), integers([2, 3], -5, 5)),
  ],
  errors: [
    {
      args: [random([2, 3]), random([4])],
      message: /size of tensor a \(3\) must match the size of tensor b \(4\)/,
    },
  ],
});

export const sub: Scaled = pointwise({
  name: 'sub',
  doc: 'input - alpha · other.',
  types: 'keep',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  check(_, inputs) {
    if (inputs.some(input => input.dtype === 'bool')) {
      fail('E108', {
        op: 'sub',
        problem: 'Subtraction, the `-` operator, with a bool tensor is not supported.',
        hint: 'use bitwiseXor, logicalXor or logicalNot',
      });
    }
  },
  body: (s, x, y, { alpha }) => s.sub(x, alpha === 1 ? y : s.mul(y, alpha)),
  vjp: ({ grad, attrs }) => [grad, attrs.alpha === 1 ? neg(grad) : mul(grad, -(attrs.alpha as number))],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([3]), random([2, 1]), { alpha: 2 }),
    sample(1, random([4])),
  ],
});

export const rsub: Scaled = composite({
  name: 'rsub',
  doc: 'other - alpha · input.',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  compute: ({ input, other, alpha }) => sub(other, input, { alpha }),
  samples: [sample(random([3]), 2)],
});

export const mul: Binary = pointwise({
  name: 'mul',
  doc: 'input · other.',
  types: 'number',
  body: (s, x, y) => s.mul(x, y),
  vjp: c => [c.needs(0) ? mul(c.grad, c.in(1)) : null, c.needs(1) ? mul(c.grad, c.in(0)) : null],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([2, 3]), random([2, 1])),
    sample(random([3]), -0.5),
    sampleWithoutGradient(integers([3], -5, 5), integers([3], -5, 5)),
  ],
});

/** Floor of the quotient: exact for integers; for floats by way of the remainder, as Python does it. */
function floorQuotient(s: Arith, x: Expr, y: Expr): Expr {
  if (!isFloatExpr(x)) return x.dtype === 'bool' ? s.and(x, y) : s.floorDiv(x, y);
  const r = s.rem(x, y);
  const exact = s.div(s.sub(x, r), y);
  const quotient = s.select(wrongSign(s, r, y), s.sub(exact, 1), exact);
  const nearest = s.floor(quotient);
  const rounded = s.select(s.gt(s.sub(quotient, nearest), 0.5), s.add(nearest, 1), nearest);
  const zero = s.copysign(s.constant(x.dtype, 0), s.div(x, y));
  return s.select(s.eq(y, 0), s.div(x, y), s.select(s.eq(quotient, 0), zero, rounded));
}

/** A remainder that is not 0 and differs in sign from the divisor. */
const wrongSign = (s: Arith, r: Expr, y: Expr): Expr => s.and(s.ne(r, 0), s.xor(s.lt(r, 0), s.lt(y, 0)));

function floatRemainder(s: Arith, x: Expr, y: Expr): Expr {
  const r = s.rem(x, y);
  return s.select(wrongSign(s, r, y), s.add(r, y), r);
}

/** Eagerly, dividing integers by zero is an error. */
function checkDivisor(op: string, promoted: DType, divisor: Tensor): void {
  if (isFloat(promoted) || divisor.value.kind !== 'eager') return;
  if (elements(divisor, op).some(value => Number(value) === 0)) {
    fail('E110', { op, problem: 'ZeroDivisionError: integer division or modulo by zero' });
  }
}

const roundQuotient = (s: Arith, x: Expr, y: Expr, roundingMode: string): Expr => {
  if (roundingMode === 'floor') return floorQuotient(s, x, y);
  return isFloatExpr(x) ? s.trunc(s.div(x, y)) : s.truncDiv(x, y);
};

export const div: Op<
  (input: Tensor | Scalar, other: Tensor | Scalar, options?: { roundingMode?: 'floor' | 'trunc' | null }) => Tensor
> = pointwise({
  name: 'div',
  doc: 'input / other. True division, in which integers give floats, unless a rounding mode is given.',
  signature: 'input: operand, other: operand, *, roundingMode: string = null',
  types: attrs => (attrs.roundingMode === null ? 'float' : 'keep'),
  check(_, __, { roundingMode }) {
    if (roundingMode !== null && roundingMode !== 'floor' && roundingMode !== 'trunc') {
      fail('E110', {
        op: 'div',
        problem: `roundingMode must be null, 'trunc' or 'floor', but is '${roundingMode}'`,
      });
    }
  },
  body: (s, x, y, { roundingMode }) => (roundingMode === null ? s.div(x, y) : roundQuotient(s, x, y, roundingMode)),
  checkValues(promoted, [, other], { roundingMode }) {
    if (roundingMode !== null) checkDivisor('div', promoted, other);
  },
  vjp(c) {
    if (c.attrs.roundingMode !== null) return [c.grad.zerosLike(), c.grad.zerosLike()];
    return [
      c.needs(0) ? div(c.grad, c.in(1)) : null,
      c.needs(1) ? neg(mul(c.grad, div(div(c.in(0), c.in(1)), c.in(1)))) : null,
    ];
  },
  samples: [
    sample(random([2, 3]), random([2, 3], 0.5, 2)),
    sample(random([2, 3]), random([3], -2, -0.5)),
    sample(1, random([4], 0.5, 2)),
    sampleWithoutGradient(random([6], -8, 8), random([6], 0.5, 2), { roundingMode: 'floor' }),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], 1, 4), { roundingMode: 'trunc' }),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], 1, 4)),
  ],
});

export const floorDivide: Binary = composite({
  name: 'floorDivide',
  doc: 'input / other, rounded down.',
  signature: 'input: operand, other: operand',
  compute: ({ input, other }) => div(input, other, { roundingMode: 'floor' }),
  samples: [
    sampleWithoutGradient(random([6], -8, 8), random([6], 0.5, 2)),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], -4, -1)),
  ],
});

export const remainder: Binary = pointwise({
  name: 'remainder',
  doc: 'What is left of input after division by other, with the sign of other (Python %).',
  types: 'keep',
  body: (s, x, y) => (isFloatExpr(x) ? floatRemainder(s, x, y) : s.mod(x, y)),
  checkValues: (promoted, [, other]) => checkDivisor('remainder', promoted, other),
  vjp: c => [c.grad, c.needs(1) ? neg(mul(c.grad, div(c.in(0), c.in(1), { roundingMode: 'floor' }))) : null],
  samples: [
    sample(exactly([4], [5.3, -5.3, 5.3, -5.3]), exactly([4], [2, 2, -2, -2])),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], -4, -1)),
  ],
});

export const fmod: Binary = pointwise({
  name: 'fmod',
  doc: 'What is left of input after division by other, with the sign of input (C fmod).',
  types: 'keep',
  body: (s, x, y) => s.rem(x, y),
  checkValues: (promoted, [, other]) => checkDivisor('fmod', promoted, other),
  vjp: c => [c.grad, c.needs(1) ? neg(mul(c.grad, div(c.in(0), c.in(1), { roundingMode: 'trunc' }))) : null],
  samples: [
    sample(exactly([4], [5.3, -5.3, 5.3, -5.3]), exactly([4], [2, 2, -2, -2])),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], 1, 4)),
  ],
});

export const neg: Unary = pointwise({
  name: 'neg',
  doc: '-input.',
  types: 'keep',
  check(promoted) {
    if (promoted === 'bool') {
      fail('E108', {
        op: 'neg',
        problem: 'Negation, the `-` operator, on a bool tensor is not supported.',
        hint: 'use logicalNot()',
      });
    }
  },
  body: (s, x) => s.neg(x),
  vjp: ({ grad }) => [neg(grad)],
  samples: [sample(random([2, 3])), sampleWithoutGradient(integers([3], -5, 5))],
});

export const positive: Unary = composite({
  name: 'positive',
  doc: '+input: the input itself.',
  signature: 'input: tensor',
  compute: ({ input }) => input,
  samples: [sample(random([3]))],
});

export const abs: Unary = pointwise({
  name: 'abs',
  doc: 'Absolute value; the derivative at 0 is 0.',
  types: 'keep',
  body: (s, x) => s.abs(x),
  vjp: c => [mul(c.grad, sign(c.in(0)))],
  samples: [sample(random([2, 3])), sampleWithoutGradient(integers([4], -5, 5))],
});

export const sign: Unary = pointwise({
  name: 'sign',
  doc: '1, 0 or -1; 0 for NaN.',
  types: 'number',
  body: (s, x) =>
    s.select(s.gt(x, 0), s.constant(x.dtype, 1), s.select(s.lt(x, 0), s.constant(x.dtype, -1), s.constant(x.dtype, 0))),
  vjp: ({ grad }) => [grad.zerosLike()],
  samples: [sample(random([2, 3])), sampleWithoutGradient(exactly([3], [0, Number.NaN, -0]))],
});

export const sgn: Unary = composite({
  name: 'sgn',
  doc: 'The sign of real numbers.',
  signature: 'input: tensor',
  compute: ({ input }) => sign(input),
  samples: [sample(random([3]))],
});

// ── rounding ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const rounding = (name: string, doc: string, body: (s: Arith, x: Expr) => Expr): Unary =>
  pointwise({
    name,
    doc: `${doc}; integers stay as they are. The derivative is 0.`,
    types: 'number',
    body: (s, x) => (isFloatExpr(x) ? body(s, x) : x),
    vjp: ({ grad }) => [grad.zerosLike()],
    samples: [sample(random([6], -4, 4)), sampleWithoutGradient(exactly([5], [-1.5, -0.5, 0.5, 1.5, 2.5]))],
  });

export const floor: Unary = rounding('floor', 'Rounded down', (s, x) => s.floor(x));
export const ceil: Unary = rounding('ceil', 'Rounded up', (s, x) => s.ceil(x));
export const trunc: Unary = rounding('trunc', 'Rounded toward zero', (s, x) => s.trunc(x));

export const round: Op<(input: Tensor, options?: { decimals?: number }) => Tensor> = pointwise({
  name: 'round',
  doc: 'Rounded to the nearest integer (or to decimals), ties to even. The derivative is 0.',
  signature: 'input: tensor, *, decimals: int = 0',
  types: 'number',
  body(s, x, { decimals }) {
    if (!isFloatExpr(x)) return x;
    if (decimals === 0) return s.round(x);
    const scale = 10 ** Math.abs(decimals);
    return decimals > 0 ? s.div(s.round(s.mul(x, scale)), scale) : s.mul(s.round(s.div(x, scale)), scale);
  },
  vjp: ({ grad }) => [grad.zerosLike()],
  samples: [
    sample(random([6], -4, 4)),
    sampleWithoutGradient(exactly([5], [-1.5, -0.5, 0.5, 1.5, 2.5])),
    sampleWithoutGradient(exactly([2], [1.126, -17.2]), { decimals: 1 }),
  ],
});

export const frac: Unary = pointwise({
  name: 'frac',
  doc: 'The part after the point: input - trunc(input).',
  types: 'keep',
  check: needsFloat('frac'),
  body: (s, x) => s.sub(x, s.trunc(x)),
  vjp: ({ grad }) => [grad],
  samples: [sample(exactly([4], [1.25, -1.25, 0.5, 3.75]))],
});

// ── powers and roots ───────────────────────────────────────────────────────────────────────────────────────────────────

/** x^n for a small whole n >= 0 by squaring. */
function wholePower(s: Arith, x: Expr, n: number): Expr {
  if (n === 0) return s.constant(x.dtype, 1);
  if (n === 1) return x;
  const half = wholePower(s, x, Math.floor(n / 2));
  const even = s.mul(half, half);
  return n % 2 === 0 ? even : s.mul(even, x);
}

/** x^n of integers, wrapping. A negative power of anything but ±1 is 0. */
function integerPower(s: Arith, x: Expr, n: Expr): Expr {
  const one = s.constant(x.dtype, 1);
  let result: Expr = one;
  let square: Expr = x;
  for (let bit = 0; bit < 6; bit++) {
    const set = s.ne(s.mod(s.floorDiv(n, 2 ** bit), 2), 0);
    result = s.mul(result, s.select(set, square, one));
    square = s.mul(square, square);
  }
  const unit = s.select(s.eq(x, 1), one, s.select(s.eq(s.mod(n, 2), 0), one, s.constant(x.dtype, -1)));
  const isUnit = s.or(s.eq(x, 1), s.eq(x, -1));
  return s.select(isUnit, unit, s.select(s.lt(n, 0), s.constant(x.dtype, 0), result));
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
    if (!isFloat(promoted) && Number(exponent) < 0) {
      fail('E110', { op: 'pow', problem: 'Integers to negative integer powers are not allowed.' });
    }
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
    const byExponent = (): Tensor => mul(c.grad, where(flat, 0, mul(c.out, log(base))));
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

/** An elementary function on floats: integers are converted. */
const elementary = (
  name: string,
  doc: string,
  body: (s: Arith, x: Expr) => Expr,
  derivative: (c: VjpContext) => Tensor,
  samples: readonly Sample[],
): Unary => pointwise({ name, doc, types: 'float', body, vjp: c => [derivative(c)], samples });
const on = (low: number, high: number): Sample[] => [sample(random([2, 3], low, high))];

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

// ── exponentials and logarithms ────────────────────────────────────────────────────────────────────────────────────────

const ln2 = Math.LN2;
const ln10 = Math.LN10;

// biome-ignore format: one op a line reads as a table
export const exp: Unary = elementary('exp', 'e to the power of the input.', (s, x) => s.exp(x), c => mul(c.grad, c.out), on(-2, 2));
// biome-ignore format: one op a line reads as a table
export const exp2: Unary = elementary('exp2', '2 to the power of the input.', (s, x) => s.pow(s.constant(x.dtype, 2), x), c => mul(c.grad, mul(c.out, ln2)), on(-2, 2));
// biome-ignore format: one op a line reads as a table
export const expm1: Unary = elementary('expm1', 'e^input - 1, accurate near 0.', (s, x) => s.expm1(x), c => mul(c.grad, add(c.out, 1)), on(-2, 2));
// biome-ignore format: one op a line reads as a table
export const log: Unary = elementary('log', 'Natural logarithm.', (s, x) => s.log(x), c => div(c.grad, c.in(0)), on(0.1, 4));
// biome-ignore format: one op a line reads as a table
export const log2: Unary = elementary('log2', 'Logarithm to base 2.', (s, x) => s.log2(x), c => div(c.grad, mul(c.in(0), ln2)), on(0.1, 4));
// biome-ignore format: one op a line reads as a table
export const log10: Unary = elementary('log10', 'Logarithm to base 10.', (s, x) => s.log10(x), c => div(c.grad, mul(c.in(0), ln10)), on(0.1, 4));
// biome-ignore format: one op a line reads as a table
export const log1p: Unary = elementary('log1p', 'log(1 + input), accurate near 0.', (s, x) => s.log1p(x), c => div(c.grad, add(c.in(0), 1)), on(-0.9, 4));

/** log(e^x + e^y) in base e or 2, exact where both are infinite. */
const logAddExp = (s: Arith, x: Expr, y: Expr, lnBase: number): Expr => {
  const gap = s.mul(s.neg(s.abs(s.sub(x, y))), lnBase);
  return s.select(s.eq(x, y), s.add(x, ln2 / lnBase), s.add(s.max(x, y), s.div(s.log1p(s.exp(gap)), lnBase)));
};

export const logaddexp: Binary = pointwise({
  name: 'logaddexp',
  doc: 'log(e^input + e^other).',
  types: 'float',
  body: (s, x, y) => logAddExp(s, x, y, 1),
  vjp: c => {
    const share = (i: number): Tensor => div(c.grad, add(exp(sub(c.in(1 - i), c.in(i))), 1));
    return [c.needs(0) ? share(0) : null, c.needs(1) ? share(1) : null];
  },
  samples: [sample(random([4]), random([4])), sample(exactly([1], [1000]), exactly([1], [1001]))],
});

export const logaddexp2: Binary = pointwise({
  name: 'logaddexp2',
  doc: 'log2(2^input + 2^other).',
  types: 'float',
  body: (s, x, y) => logAddExp(s, x, y, ln2),
  vjp: c => {
    const share = (i: number): Tensor => div(c.grad, add(exp2(sub(c.in(1 - i), c.in(i))), 1));
    return [c.needs(0) ? share(0) : null, c.needs(1) ? share(1) : null];
  },
  samples: [sample(random([4]), random([4]))],
});

export const xlogy: Binary = pointwise({
  name: 'xlogy',
  doc: 'input · log(other), 0 where input is 0 and other is not NaN.',
  types: 'float',
  body: (s, x, y) => s.select(s.isNan(y), y, s.select(s.eq(x, 0), s.constant(x.dtype, 0), s.mul(x, s.log(y)))),
  vjp: c => [
    c.needs(0) ? mul(c.grad, where(logicalAnd(eq(c.in(0), 0), le(c.in(1), 0)), 0, log(c.in(1)))) : null,
    c.needs(1) ? mul(c.grad, div(c.in(0), c.in(1))) : null,
  ],
  samples: [
    sample(random([4]), random([4], 0.2, 3)),
    sampleWithoutGradient(exactly([2], [0, 0]), exactly([2], [0, 2])),
  ],
});

export const xlog1py: Binary = pointwise({
  name: 'xlog1py',
  doc: 'input · log1p(other), 0 where input is 0 and other is not NaN.',
  types: 'float',
  body: (s, x, y) => s.select(s.isNan(y), y, s.select(s.eq(x, 0), s.constant(x.dtype, 0), s.mul(x, s.log1p(y)))),
  vjp: c => [
    c.needs(0) ? mul(c.grad, where(logicalAnd(eq(c.in(0), 0), le(c.in(1), -1)), 0, log1p(c.in(1)))) : null,
    c.needs(1) ? mul(c.grad, div(c.in(0), add(c.in(1), 1))) : null,
  ],
  samples: [sample(random([4]), random([4], -0.5, 3))],
});

export const entr: Unary = pointwise({
  name: 'entr',
  doc: '-input · log(input); 0 at 0, -∞ below.',
  types: 'float',
  body: (s, x) =>
    s.select(
      s.isNan(x),
      x,
      s.select(
        s.gt(x, 0),
        s.neg(s.mul(x, s.log(x))),
        s.select(s.eq(x, 0), s.constant(x.dtype, 0), s.constant(x.dtype, Number.NEGATIVE_INFINITY)),
      ),
    ),
  vjp: c => [mul(c.grad, sub(neg(log(c.in(0))), 1))],
  samples: on(0.1, 3),
});

// ── trigonometry ───────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── special functions ──────────────────────────────────────────────────────────────────────────────────────────────────

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
// biome-ignore format: one op a line reads as a table
export const sigmoid: Unary = elementary('sigmoid', '1 / (1 + e^-input).', (s, x) => s.div(1, s.add(1, s.exp(s.neg(x)))), c => mul(c.grad, mul(sub(1, c.out), c.out)), on(-4, 4));

export const logit: Op<(input: Tensor, eps?: number | null) => Tensor> = pointwise({
  name: 'logit',
  doc: 'log(input / (1 - input)), the inverse of sigmoid; with eps the input is first clamped to [eps, 1 - eps].',
  signature: 'input: tensor, eps: number = null',
  types: 'float',
  body(s, x, { eps }) {
    const p = eps === null ? x : s.min(s.max(x, eps), 1 - eps);
    return s.log(s.div(p, s.sub(1, p)));
  },
  vjp: c => {
    const x = c.in(0);
    const slope = div(c.grad, mul(x, sub(1, x)));
    if (c.attrs.eps === null) return [slope];
    const eps = c.attrs.eps as number;
    return [where(logicalAnd(ge(x, eps), le(x, 1 - eps)), slope, 0)];
  },
  samples: [sample(random([4], 0.1, 0.9)), sample(exactly([4], [0.01, 0.3, 0.7, 0.99]), 0.1)],
});

// ── extrema and limits ─────────────────────────────────────────────────────────────────────────────────────────────────

export const relu: Unary = pointwise({
  name: 'relu',
  doc: 'max(input, 0); NaN stays NaN. The derivative at 0 is 0.',
  types: 'keep',
  body: (s, x) => s.max(x, 0),
  vjp: ({ grad, out }) => [where(le(out, 0), 0, grad)],
  samples: [sample(random([3, 4]))],
});

/** The share of the gradient each side of a maximum or minimum gets: half each at ties. */
const shareAtTies = (c: VjpContext, loses: Comparison): (Tensor | null)[] => {
  const share = (own: Tensor, other: Tensor): Tensor =>
    where(loses(own, other), 0, where(eq(own, other), div(c.grad, 2), c.grad));
  return [c.needs(0) ? share(c.in(0), c.in(1)) : null, c.needs(1) ? share(c.in(1), c.in(0)) : null];
};

export const maximum: Binary = pointwise({
  name: 'maximum',
  doc: 'The larger of the two; NaN if either is NaN. Ties share the gradient.',
  types: 'number',
  body: (s, x, y) => s.max(x, y),
  vjp: c => shareAtTies(c, lt),
  samples: [sample(random([2, 3]), random([3])), sampleWithoutGradient(integers([4], -5, 5), integers([4], -5, 5))],
});

export const minimum: Binary = pointwise({
  name: 'minimum',
  doc: 'The smaller of the two; NaN if either is NaN. Ties share the gradient.',
  types: 'number',
  body: (s, x, y) => s.min(x, y),
  vjp: c => shareAtTies(c, gt),
  samples: [sample(random([2, 3]), random([3]))],
});

/** Extrema that ignore NaN give the whole gradient to the side chosen, to the first at ties. */
const ignoringNan = (
  name: string,
  doc: string,
  beats: (x: Tensor, y: Tensor) => Tensor,
  body: (s: Arith, x: Expr, y: Expr) => Expr,
): Binary =>
  pointwise({
    name,
    doc,
    types: 'number',
    body: (s, x, y) => s.select(s.isNan(x), y, s.select(s.isNan(y), x, body(s, x, y))),
    vjp: c => {
      const first = logicalOr(beats(c.in(0), c.in(1)), isnan(c.in(1)));
      return [where(first, c.grad, 0), where(first, 0, c.grad)];
    },
    samples: [
      sample(random([2, 3]), random([3])),
      sampleWithoutGradient(exactly([2], [Number.NaN, 1]), exactly([2], [2, Number.NaN])),
    ],
  });

export const fmax: Binary = ignoringNan(
  'fmax',
  'The larger of the two; the other one where one is NaN.',
  (x, y) => ge(x, y),
  (s, x, y) => s.max(x, y),
);
export const fmin: Binary = ignoringNan(
  'fmin',
  'The smaller of the two; the other one where one is NaN.',
  (x, y) => le(x, y),
  (s, x, y) => s.min(x, y),
);

export const clampMin: Binary = pointwise({
  name: 'clampMin',
  doc: 'max(input, other), with the gradient of clamp: all of it to the input at ties.',
  types: 'keep',
  gradName: 'ClampMinBackward0',
  body: (s, x, low) => s.max(x, low),
  vjp: c => {
    const kept = ge(c.in(0), c.in(1));
    return [where(kept, c.grad, 0), c.needs(1) ? where(kept, 0, c.grad) : null];
  },
  samples: [sample(random([4]), -0.5), sample(random([2, 3]), random([3]))],
});

export const clampMax: Binary = pointwise({
  name: 'clampMax',
  doc: 'min(input, other), with the gradient of clamp: all of it to the input at ties.',
  types: 'keep',
  gradName: 'ClampMaxBackward0',
  body: (s, x, high) => s.min(x, high),
  vjp: c => {
    const kept = le(c.in(0), c.in(1));
    return [where(kept, c.grad, 0), c.needs(1) ? where(kept, 0, c.grad) : null];
  },
  samples: [sample(random([4]), 0.5), sample(random([2, 3]), random([3]))],
});

/** Between two limits. */
const clampBetween: Op<(input: Tensor, min: Tensor | Scalar, max: Tensor | Scalar) => Tensor> = pointwise({
  name: 'clampBetween',
  doc: 'min(max(input, min), max); 1 is the derivative at both limits.',
  signature: 'input: operand, min: operand, max: operand',
  types: 'keep',
  gradName: 'ClampBackward1',
  body: (s, x, low, high) => s.min(s.max(x, low), high),
  vjp: c => {
    const [x, low, high] = [c.in(0), c.in(1), c.in(2)];
    const kept = logicalAnd(ge(x, low), le(x, high));
    return [
      where(kept, c.grad, 0),
      c.needs(1) ? where(logicalAnd(lt(x, low), lt(low, high)), c.grad, 0) : null,
      c.needs(2) ? where(logicalOr(gt(x, high), lt(high, low)), c.grad, 0) : null,
    ];
  },
  samples: [sample(random([6]), -0.5, 0.5), sample(random([2, 3]), random([3], -2, -1), random([3], 0, 1))],
});

export const clamp: Op<
  (input: Tensor, min?: Tensor | Scalar | null | ClampOptions, max?: Tensor | Scalar | null) => Tensor
> = composite({
  name: 'clamp',
  doc: 'The input limited to [min, max]; either may be left out. A min above the max gives the max.',
  signature: 'input: tensor, min: operand = null, max: operand = null',
  compute({ input, min, max }) {
    if (min === null && max === null) {
      return fail('E110', {
        op: 'clamp',
        problem: "At least one of 'min' or 'max' must not be None",
        hint: 'give a limit',
      });
    }
    if (max === null) return clampMin(input, min);
    return min === null ? clampMax(input, max) : clampBetween(input, min, max);
  },
  samples: [
    sample(random([6]), -0.5, 0.5),
    sample(random([4]), { max: 0.5 }),
    sample(random([4]), 0),
    sampleWithoutGradient(integers([6], -5, 5), -2, 2),
  ],
  errors: [{ args: [random([2])], message: /At least one of 'min' or 'max'/ }],
});
export interface ClampOptions {
  readonly min?: Tensor | Scalar | null;
  readonly max?: Tensor | Scalar | null;
}
/** PyTorch's other name for clamp. */
export const clip: typeof clamp = composite({
  name: 'clip',
  doc: 'Another name of clamp.',
  signature: 'input: tensor, min: operand = null, max: operand = null',
  compute: ({ input, min, max }) => clamp(input, min, max),
  samples: [sample(random([4]), -0.5, 0.5)],
});

export const nanToNum: Op<(input: Tensor, nan?: number, posinf?: number | null, neginf?: number | null) => Tensor> =
  pointwise({
    name: 'nanToNum',
    doc: 'NaN and the infinities replaced by numbers; by default 0 and the limits of the dtype.',
    signature: 'input: tensor, nan: number = 0, posinf: number = null, neginf: number = null',
    types: 'keep',
    body(s, x, { nan, posinf, neginf }) {
      if (!isFloatExpr(x)) return x;
      const limit = x.dtype === 'float64' ? Number.MAX_VALUE : 3.4028234663852886e38;
      const finite = s.select(
        s.eq(x, Number.POSITIVE_INFINITY),
        s.constant(x.dtype, posinf ?? limit),
        s.select(s.eq(x, Number.NEGATIVE_INFINITY), s.constant(x.dtype, neginf ?? -limit), x),
      );
      return s.select(s.isNan(x), s.constant(x.dtype, nan), finite);
    },
    vjp: c => [where(isfinite(c.in(0)), c.grad, 0)],
    samples: [
      sample(random([3])),
      sampleWithoutGradient(
        exactly([4], [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1]),
        2,
        100,
        -100,
      ),
    ],
  });

export const copysign: Binary = pointwise({
  name: 'copysign',
  doc: 'The magnitude of input with the sign of other.',
  types: 'float',
  body: (s, x, y) => s.copysign(x, y),
  vjp: c => [
    c.needs(0) ? mul(c.grad, where(eq(c.in(0), 0), 0, div(c.out, c.in(0)))) : null,
    c.needs(1) ? c.in(1).zerosLike() : null,
  ],
  samples: [sample(random([6]), random([6]))],
});

export const heaviside: Binary = pointwise({
  name: 'heaviside',
  doc: '0 below zero, 1 above, and other at zero.',
  types: 'keep',
  differentiable: false,
  body: (s, x, y) => s.select(s.eq(x, 0), y, s.select(s.gt(x, 0), s.constant(x.dtype, 1), s.constant(x.dtype, 0))),
  samples: [sampleWithoutGradient(exactly([3], [-1, 0, 2]), exactly([1], [0.5]))],
});

export const lerp: Op<(input: Tensor, end: Tensor, weight: Tensor | Scalar) => Tensor> = pointwise({
  name: 'lerp',
  doc: 'input + weight · (end - input).',
  signature: 'input: tensor, end: tensor, weight: operand',
  types: 'keep',
  body(s, x, end, weight) {
    const gap = s.sub(end, x);
    return s.select(s.lt(s.abs(weight), 0.5), s.add(x, s.mul(weight, gap)), s.sub(end, s.mul(gap, s.sub(1, weight))));
  },
  vjp: c => [
    c.needs(0) ? mul(c.grad, sub(1, c.in(2))) : null,
    c.needs(1) ? mul(c.grad, c.in(2)) : null,
    c.needs(2) ? mul(c.grad, sub(c.in(1), c.in(0))) : null,
  ],
  samples: [sample(random([3]), random([3]), 0.3), sample(random([2, 3]), random([3]), random([2, 3], 0, 1))],
});

type Fused = Op<(input: Tensor, tensor1: Tensor, tensor2: Tensor, options?: { value?: number }) => Tensor>;

export const addcmul: Fused = pointwise({
  name: 'addcmul',
  doc: 'input + value · tensor1 · tensor2.',
  signature: 'input: tensor, tensor1: tensor, tensor2: tensor, *, value: number = 1',
  types: 'keep',
  body: (s, x, a, b, { value }) => s.add(x, s.mul(s.mul(a, b), value)),
  vjp: c => {
    const scaled = mul(c.grad, c.attrs.value as number);
    return [c.grad, c.needs(1) ? mul(scaled, c.in(2)) : null, c.needs(2) ? mul(scaled, c.in(1)) : null];
  },
  samples: [sample(random([2, 3]), random([2, 3]), random([3]), { value: 0.5 })],
});

export const addcdiv: Fused = pointwise({
  name: 'addcdiv',
  doc: 'input + value · tensor1 / tensor2.',
  signature: 'input: tensor, tensor1: tensor, tensor2: tensor, *, value: number = 1',
  types: 'keep',
  check: needsFloat('addcdiv'),
  body: (s, x, a, b, { value }) => s.add(x, s.mul(s.div(a, b), value)),
  vjp: c => {
    const scaled = mul(c.grad, c.attrs.value as number);
    return [
      c.grad,
      c.needs(1) ? div(scaled, c.in(2)) : null,
      c.needs(2) ? neg(div(mul(scaled, c.in(1)), square(c.in(2)))) : null,
    ];
  },
  samples: [sample(random([2, 3]), random([2, 3]), random([3], 0.5, 2), { value: 0.5 })],
});

// ── comparison ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const comparisonSamples = [
  sampleWithoutGradient(random([2, 3]), random([3])),
  sampleWithoutGradient(random([4]), 0),
  sampleWithoutGradient(integers([6], -2, 2), integers([6], -2, 2)),
];
const comparison = (name: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge', doc: string): Comparison =>
  pointwise({
    name,
    doc,
    types: 'compare',
    differentiable: false,
    body: (s, x, y) => s[name](x, y),
    samples: comparisonSamples,
  });

export const eq: Comparison = comparison('eq', 'input = other.');
export const ne: Comparison = comparison('ne', 'input ≠ other.');
export const lt: Comparison = comparison('lt', 'input < other.');
export const le: Comparison = comparison('le', 'input ≤ other.');
export const gt: Comparison = comparison('gt', 'input > other.');
export const ge: Comparison = comparison('ge', 'input ≥ other.');

/** A question about each element; integers answer as the finite numbers they are. */
const test = (name: string, doc: string, ofInteger: boolean, body: (s: Arith, x: Expr) => Expr): Unary =>
  pointwise({
    name,
    doc,
    types: 'compare',
    differentiable: false,
    body: (s, x) => (isFloatExpr(x) ? body(s, x) : s.constant('bool', ofInteger)),
    samples: [
      sampleWithoutGradient(exactly([5], [1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])),
      sampleWithoutGradient(integers([3], -2, 2)),
    ],
  });

export const isnan: Unary = test('isnan', 'Not a number?', false, (s, x) => s.isNan(x));
export const isinf: Unary = test('isinf', 'Infinite?', false, (s, x) => s.eq(s.abs(x), infinity));
export const isposinf: Unary = test('isposinf', '+∞?', false, (s, x) => s.eq(x, infinity));
export const isneginf: Unary = test('isneginf', '-∞?', false, (s, x) => s.eq(x, -infinity));
export const isfinite: Unary = test('isfinite', 'Neither infinite nor NaN?', true, (s, x) => s.lt(s.abs(x), infinity));

export const signbit: Unary = pointwise({
  name: 'signbit',
  doc: 'Is the sign bit set? True for -0 too.',
  types: 'compare',
  differentiable: false,
  body(s, x) {
    if (x.dtype === 'bool') return s.constant('bool', false);
    return isFloatExpr(x) ? s.lt(s.copysign(s.constant(x.dtype, 1), x), 0) : s.lt(x, 0);
  },
  samples: [sampleWithoutGradient(exactly([4], [1, -1, -0, 0]))],
});

interface Closeness {
  readonly rtol?: number;
  readonly atol?: number;
  readonly equalNan?: boolean;
}

export const isclose: Op<(input: Tensor, other: Tensor, options?: Closeness) => Tensor> = pointwise({
  name: 'isclose',
  doc: '|input - other| <= atol + rtol · |other|.',
  signature: 'input: tensor, other: tensor, rtol: number = 1e-5, atol: number = 1e-8, equalNan: bool = false',
  types: 'compare',
  differentiable: false,
  body(s, x, y, { rtol, atol, equalNan }) {
    if (!isFloatExpr(x)) {
      if (x.dtype === 'bool') return s.eq(x, y);
      const [a, b] = [s.cast('float64', x), s.cast('float64', y)];
      return s.le(s.abs(s.sub(a, b)), s.add(s.mul(s.abs(b), rtol), atol));
    }
    const near = s.le(s.abs(s.sub(x, y)), s.add(s.mul(s.abs(y), rtol), atol));
    const close = s.or(s.eq(x, y), s.and(near, s.lt(s.abs(y), infinity)));
    return equalNan ? s.or(close, s.and(s.isNan(x), s.isNan(y))) : close;
  },
  samples: [
    sampleWithoutGradient(exactly([3], [1, 1, Number.NaN]), exactly([3], [1.000001, 1.1, Number.NaN]), {
      equalNan: true,
    }),
  ],
});

// ── logic and bits ─────────────────────────────────────────────────────────────────────────────────────────────────────

const logicalSamples = [
  sampleWithoutGradient(integers([6], 0, 2, 'bool'), integers([6], 0, 2, 'bool')),
  sampleWithoutGradient(integers([6], -1, 2), random([6])),
];
const logical = (name: string, doc: string, fn: 'and' | 'or' | 'xor'): Binary =>
  pointwise({
    name,
    doc,
    types: 'logical',
    differentiable: false,
    body: (s, x, y) => s[fn](x, y),
    samples: logicalSamples,
  });

export const logicalAnd: Binary = logical('logicalAnd', 'Both nonzero?', 'and');
export const logicalOr: Binary = logical('logicalOr', 'At least one nonzero?', 'or');
export const logicalXor: Binary = logical('logicalXor', 'Exactly one nonzero?', 'xor');
export const logicalNot: Unary = pointwise({
  name: 'logicalNot',
  doc: 'Zero?',
  types: 'logical',
  differentiable: false,
  body: (s, x) => s.not(x),
  samples: [
    sampleWithoutGradient(integers([6], 0, 2, 'bool')),
    sampleWithoutGradient(exactly([3], [0, 1, Number.NaN])),
  ],
});

const needsBits =
  (op: string) =>
  (promoted: DType): void => {
    if (isFloat(promoted)) fail('E108', { op, problem: `is defined on integers and bools, not on ${promoted}` });
  };
const bitwise = (name: string, doc: string, fn: 'and' | 'or' | 'xor'): Binary =>
  pointwise({
    name,
    doc,
    types: 'keep',
    differentiable: false,
    check: needsBits(name),
    body: (s, x, y) => s[fn](x, y),
    samples: [
      sampleWithoutGradient(integers([6], -9, 9), integers([6], -9, 9)),
      sampleWithoutGradient(integers([6], 0, 2, 'bool'), integers([6], 0, 2, 'bool')),
    ],
  });

export const bitwiseAnd: Binary = bitwise('bitwiseAnd', 'input & other; logical on bools.', 'and');
export const bitwiseOr: Binary = bitwise('bitwiseOr', 'input | other; logical on bools.', 'or');
export const bitwiseXor: Binary = bitwise('bitwiseXor', 'input ^ other; logical on bools.', 'xor');
export const bitwiseNot: Unary = pointwise({
  name: 'bitwiseNot',
  doc: '~input; logical on bools.',
  types: 'keep',
  differentiable: false,
  check: needsBits('bitwiseNot'),
  body: (s, x) => s.not(x),
  samples: [sampleWithoutGradient(integers([6], -9, 9)), sampleWithoutGradient(integers([6], 0, 2, 'bool'))],
});

const shift = (name: string, doc: string, fn: 'shl' | 'shr'): Binary =>
  pointwise({
    name,
    doc,
    types: 'number',
    differentiable: false,
    check: needsBits(name),
    body: (s, x, y) => s[fn](x, y),
    samples: [sampleWithoutGradient(integers([6], -9, 9), integers([6], 0, 5))],
  });
export const bitwiseLeftShift: Binary = shift('bitwiseLeftShift', 'input << other.', 'shl');
export const bitwiseRightShift: Binary = shift('bitwiseRightShift', 'input >> other, copying the sign.', 'shr');

// ── selection ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const needsCondition =
  (op: string, at: number) =>
  (_: DType, inputs: readonly TensorType[]): void => {
    const { dtype } = inputs[at];
    if (dtype !== 'bool' && dtype !== 'uint8') {
      fail('E108', {
        op,
        problem: `expected condition to be a boolean tensor, but got a tensor with dtype ${dtype}`,
        hint: 'compare first, as in x.ne(0)',
      });
    }
  };

export const where: Op<(condition: Tensor, input: Tensor | Scalar, other: Tensor | Scalar) => Tensor> = pointwise({
  name: 'where',
  doc: 'input where the condition holds, other elsewhere.',
  types: 'keep',
  signature: 'condition: tensor, input: operand, other: operand',
  untyped: [0],
  check: needsCondition('where', 0),
  body: (s, condition, x, y) => s.select(cast('bool', condition), x, y),
  vjp: c => [null, c.needs(1) ? where(c.in(0), c.grad, 0) : null, c.needs(2) ? where(c.in(0), 0, c.grad) : null],
  samples: [
    sample(integers([2, 3], 0, 2, 'bool'), random([2, 3]), random([3])),
    sample(integers([2, 3], 0, 2, 'bool'), random([2, 1]), 0.5),
  ],
});

export const maskedFill: Op<(input: Tensor, mask: Tensor, value: Tensor | Scalar) => Tensor> = pointwise({
  name: 'maskedFill',
  doc: 'The input with value where the mask holds; the dtype stays that of the input.',
  types: 'keep',
  signature: 'input: tensor, mask: tensor, value: operand',
  untyped: [1, 2],
  check: needsCondition('maskedFill', 1),
  body: (s, x, mask, value) => s.select(cast('bool', mask), s.cast(x.dtype, value), x),
  vjp: c => [where(c.in(1), 0, c.grad), null, c.needs(2) ? where(c.in(1), c.grad, 0) : null],
  samples: [
    sample(random([2, 3]), integers([2, 3], 0, 2, 'bool'), 0.5),
    sample(random([2, 3]), integers([3], 0, 2, 'bool'), random([])),
  ],
});
