/**
 * Special functions: gamma and its derivatives, the inverse error function, Bessel, and whole-number arithmetic.
 *
 * Written out in elementary functions, so that every backend computes the same.
 */
import { fail } from '../errors.js';
import { type Arith, arith } from '../ir/arith.js';
import { type DType, isFloat } from '../ir/dtype.js';
import {
  alloc,
  type Buffer,
  constant,
  type Expr,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  type Stmt,
  store,
  when,
} from '../ir/kernel.js';
import { broadcastShapes } from '../ir/shape.js';
import { composite, define, full, type Op, pointwise, promoteOperands } from './define.js';
import { logGamma } from './log-gamma.js';
import { pow } from './power.js';
import { exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import { WeakFloat } from './signature.js';
import type { Tensor } from './tensor.js';

type Unary = Op<(input: Tensor) => Tensor>;

const nan = (x: Expr): Expr => constant(x.dtype, Number.NaN);
const infinite = (x: Expr): Expr => constant(x.dtype, Number.POSITIVE_INFINITY);

// ── gamma ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** ψ(x) for x >= 0.5 by recurrence up to 8 and the asymptotic series (Abramowitz & Stegun 6.3.18). */
function digammaRight(s: Arith, x: Expr): Expr {
  const steps = 8;
  let shifted: Expr = constant(x.dtype, 0);
  for (let i = 0; i < steps; i++) shifted = s.add(shifted, s.div(1, s.add(x, i)));
  const y = s.add(x, steps);
  const inverse = s.div(1, s.square(y));
  const series = s.mul(inverse, s.poly(inverse, [1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12]));
  return s.sub(s.sub(s.sub(s.log(y), s.div(0.5, y)), series), shifted);
}

function digammaOf(s: Arith, x: Expr): Expr {
  const left = s.lt(x, 0.5);
  const right = digammaRight(s, s.select(left, s.sub(1, x), x));
  const angle = s.mul(s.sub(x, s.floor(x)), Math.PI);
  const reflected = s.sub(right, s.div(s.mul(s.cos(angle), Math.PI), s.sin(angle)));
  const pole = s.and(s.le(x, 0), s.eq(x, s.floor(x)));
  const atPole = s.select(s.eq(x, 0), s.copysign(infinite(x), s.neg(x)), nan(x));
  return s.select(pole, atPole, s.select(left, reflected, right));
}

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
/** B₂ … B₁₂, the Bernoulli numbers of even index. */
const bernoulli = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730];

const power = (s: Arith, x: Expr, n: number): Expr =>
  n === 1 ? x : n % 2 === 0 ? s.square(power(s, x, n / 2)) : s.mul(power(s, x, n - 1), x);

/** (-1)^(n+1) ψ⁽ⁿ⁾(x), n >= 1, by recurrence over 12 steps and the asymptotic series (6.4.11). */
function polygammaRight(s: Arith, x: Expr, n: number): Expr {
  const steps = 12;
  const inverse = s.div(1, s.add(x, steps));
  const square = s.square(inverse);
  const series = bernoulli.map((b, k) => (b * factorial(2 * k + 1 + n)) / factorial(2 * k + 2));
  const tail = s.mul(s.mul(power(s, inverse, n), square), s.poly(square, series.reverse()));
  const head = s.mul(power(s, inverse, n), s.add(s.mul(inverse, factorial(n) / 2), factorial(n - 1)));
  let sum = s.add(head, tail);
  for (let i = 0; i < steps; i++) sum = s.add(sum, s.div(factorial(n), power(s, s.add(x, i), n + 1)));
  return sum;
}

function polygammaOf(s: Arith, x: Expr, n: number): Expr {
  if (n > 1) return s.mul(polygammaRight(s, x, n), n % 2 === 0 ? -1 : 1);
  const left = s.lt(x, 0.5);
  const right = polygammaRight(s, s.select(left, s.sub(1, x), x), 1);
  const sine = s.sin(s.mul(s.sub(x, s.floor(x)), Math.PI));
  return s.select(left, s.sub(s.div(Math.PI * Math.PI, s.square(sine)), right), right);
}

export const lgamma: Unary = pointwise({
  name: 'lgamma',
  doc: 'log |Γ(input)|.',
  types: 'float',
  body: logGamma,
  vjp: c => [c.grad.mul(digamma(c.in(0)))],
  samples: [sample(random([6], 0.2, 6)), sample(random([4], -2.9, -2.1))],
});

export const digamma: Unary = pointwise({
  name: 'digamma',
  doc: 'The derivative of log Γ.',
  types: 'float',
  body: digammaOf,
  vjp: c => [c.grad.mul(derivativeOfGamma(c.in(0), 1))],
  samples: [sample(random([6], 0.2, 6)), sample(random([4], -2.9, -2.1))],
});

const derivativeOfGamma: Op<(input: Tensor, n: number) => Tensor> = pointwise({
  name: 'derivativeOfGamma',
  doc: 'The derivative of order n >= 1 of digamma; beyond the first for inputs above -4.',
  signature: 'input: tensor, n: int',
  types: 'float',
  gradName: 'PolygammaBackward0',
  body: (s, x, { n }) => polygammaOf(s, x, n),
  vjp: c => [c.grad.mul(derivativeOfGamma(c.in(0), (c.attrs.n as number) + 1))],
  samples: [sample(random([6], 0.2, 6), 1), sample(random([4], -2.9, -2.1), 1), sample(random([4], 0.2, 6), 3)],
});

export const polygamma: Op<(n: number, input: Tensor) => Tensor> = composite({
  name: 'polygamma',
  doc: 'The derivative of order n of digamma.',
  signature: 'n: int, input: tensor',
  compute({ n, input }) {
    if (n < 0) fail('E110', { op: 'polygamma', problem: 'polygamma(n, x) does not support negative n.' });
    return n === 0 ? digamma(input) : derivativeOfGamma(input, n);
  },
  samples: [sample(2, random([4], 0.2, 6))],
});

// ── inverse error function ─────────────────────────────────────────────────────────────────────────────────────────────

/** Start of the iteration: M. Giles, "Approximating the erfinv function" (2010), single precision. */
const gilesCentral = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3, -4.17768164e-3,
  0.246640727, 1.50140941,
];
const gilesTail = [
  -2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3, 9.43887047e-3, 1.00167406,
  2.83297682,
];

function inverseErf(s: Arith, x: Expr): Expr {
  const w = s.neg(s.log(s.mul(s.sub(1, x), s.add(1, x))));
  const central = s.poly(s.sub(w, 2.5), gilesCentral);
  const tail = s.poly(s.sub(s.sqrt(s.max(w, 5)), 3), gilesTail);
  let y = s.mul(s.select(s.lt(w, 5), central, tail), x);
  for (let step = 0; step < 2; step++) {
    const slope = s.mul(s.exp(s.neg(s.square(y))), 2 / Math.sqrt(Math.PI));
    y = s.sub(y, s.div(s.sub(s.erf(y), x), slope));
  }
  const edge = s.eq(s.abs(x), 1);
  return s.select(s.gt(s.abs(x), 1), nan(x), s.select(edge, s.mul(x, infinite(x)), y));
}

export const erfinv: Unary = pointwise({
  name: 'erfinv',
  doc: 'The number whose error function is the input.',
  types: 'float',
  body: inverseErf,
  vjp: c => [
    c.grad.mul(
      c.out
        .square()
        .exp()
        .mul(Math.sqrt(Math.PI) / 2),
    ),
  ],
  samples: [sample(random([6], -0.9, 0.9)), sampleWithoutGradient(exactly([3], [-1, 1, 0]))],
});

// ── Bessel ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Up to here the power series is taken, beyond it the asymptotic one. */
const besselBorder = 20;

/** Σ (x²/4)^k / (k!)² or its companions, whose terms are positive; in x over the border, so that no coefficient vanishes. */
function besselSeries(s: Arith, x: Expr, order: 0 | 1): Expr {
  const coefficients = [1];
  for (let k = 1; k <= 48; k++) coefficients.unshift((coefficients[0] * besselBorder ** 2) / (4 * k * (k + order)));
  const sum = s.poly(s.square(s.div(x, besselBorder)), coefficients);
  return order === 0 ? sum : s.mul(sum, s.mul(x, 0.5));
}

/** Σ / √(2π|x|) of the asymptotic series (Abramowitz & Stegun 9.7.1), which e^|x| makes the function of large |x|. */
function besselAsymptotic(s: Arith, x: Expr, order: 0 | 1): Expr {
  const magnitude = s.max(s.abs(x), besselBorder / 2);
  const coefficients = [1];
  for (let k = 1; k <= 30; k++)
    coefficients.unshift((-coefficients[0] * (4 * order * order - (2 * k - 1) ** 2)) / (8 * k));
  const sum = s.poly(s.div(1, magnitude), coefficients);
  const value = s.div(sum, s.sqrt(s.mul(magnitude, 2 * Math.PI)));
  return order === 0 ? value : s.mul(value, s.select(s.lt(x, 0), constant(x.dtype, -1), constant(x.dtype, 1)));
}

const isSmall = (s: Arith, x: Expr): Expr => s.le(s.abs(x), besselBorder);
const bessel = (s: Arith, x: Expr, order: 0 | 1): Expr =>
  s.select(isSmall(s, x), besselSeries(s, x, order), s.mul(s.exp(s.abs(x)), besselAsymptotic(s, x, order)));
/** The same without the growth: times e^-|x|. */
const scaledBessel = (s: Arith, x: Expr, order: 0 | 1): Expr =>
  s.select(isSmall(s, x), s.mul(s.exp(s.neg(s.abs(x))), besselSeries(s, x, order)), besselAsymptotic(s, x, order));

export const i0: Unary = pointwise({
  name: 'i0',
  doc: 'Modified Bessel function of the first kind, order 0.',
  types: 'float',
  body: (s, x) => bessel(s, x, 0),
  vjp: c => [c.grad.mul(i1(c.in(0)))],
  samples: [sample(random([6], -4, 4))],
});

export const i1: Unary = pointwise({
  name: 'i1',
  doc: 'Modified Bessel function of the first kind, order 1.',
  types: 'float',
  body: (s, x) => bessel(s, x, 1),
  vjp: c => [c.grad.mul(i0(c.in(0)).sub(c.out.div(c.in(0)).maskedFill(c.in(0).eq(0), 0.5)))],
  samples: [sample(random([6], -4, 4))],
});

export const i0e: Unary = pointwise({
  name: 'i0e',
  doc: 'i0 times e^-|input|.',
  types: 'float',
  body: (s, x) => scaledBessel(s, x, 0),
  vjp: c => [c.grad.mul(i1e(c.in(0)).sub(c.in(0).sign().mul(c.out)))],
  samples: [sample(random([6], -4, 4)), sample(exactly([2], [-20, 300]))],
});

export const i1e: Unary = pointwise({
  name: 'i1e',
  doc: 'i1 times e^-|input|.',
  types: 'float',
  body: (s, x) => scaledBessel(s, x, 1),
  vjp: c => {
    const [x, out] = [c.in(0), c.out];
    const own = out.mul(x.sign()).add(out.div(x).maskedFill(x.eq(0), 0.5));
    return [c.grad.mul(i0e(x).sub(own))];
  },
  samples: [sample(random([6], -4, 4)), sample(exactly([2], [-20, 300]))],
});

// ── whole numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Steps of Euclid's algorithm that 64 bits can need. */
const euclidSteps = 93;

/** Euclid's algorithm for one pair, in two registers. */
function euclid(x: Expr, y: Expr, found: (divisor: Expr) => Stmt): Stmt {
  const register = (name: string): Buffer => ({ name, dtype: x.dtype as DType, size: 1, scope: 'register' });
  const [a, b, rest] = ['a', 'b', 'rest'].map(register);
  const [zero, read] = [index(0), (buffer: Buffer): Expr => load(buffer, index(0))];
  const step = when(arith.ne(read(b), 0), [
    store(rest, zero, arith.rem(read(a), read(b))),
    store(a, zero, read(b)),
    store(b, zero, read(rest)),
  ]);
  const steps = loop(makeIter('step', euclidSteps), 'serial', step);
  const run = [store(a, zero, x), store(b, zero, y), steps, found(read(a))];
  return alloc(a, [alloc(b, [alloc(rest, run)])]);
}

const commonDivisor: Op<(input: Tensor, other: Tensor) => Tensor> = define({
  name: 'commonDivisor',
  doc: 'Greatest common divisors of two integer tensors of one shape and dtype.',
  signature: 'input: tensor, other: tensor',
  fusion: 'opaque',
  differentiable: false,
  infer: ([input]) => input,
  lower: {
    kind: 'program',
    build({ inputs: [x, y], type, out }) {
      const iters = type.shape.map((extent, d) => makeIter(`i${d}`, extent));
      const at = iters.map(iterOf);
      const pair = euclid(arith.abs(x.at(at)), arith.abs(y.at(at)), divisor => out.store(at, divisor));
      return iters.reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, 'parallel', inner)], [pair]);
    },
  },
  samples: [sampleWithoutGradient(integers([5], -30, 30), integers([5], 1, 30))],
});

/** Two integer operands brought to one dtype and shape. */
function integerPair(op: string, input: Tensor, other: Tensor | number): [Tensor, Tensor] {
  const dtype = promoteOperands([input, other]);
  if (isFloat(dtype) || dtype === 'bool') fail('E108', { op, problem: `is defined on integers, not on ${dtype}` });
  const second = typeof other === 'number' ? full([], other, { dtype }) : other;
  const shape = broadcastShapes(op, input.shape, second.shape);
  return [input.to(dtype).expand(shape), second.to(dtype).expand(shape)];
}

type Whole = Op<(input: Tensor, other: Tensor | number) => Tensor>;

export const gcd: Whole = composite({
  name: 'gcd',
  doc: 'Greatest common divisor.',
  signature: 'input: tensor, other: operand',
  compute: ({ input, other }) => commonDivisor(...integerPair('gcd', input, other)),
  samples: [sampleWithoutGradient(integers([5], -30, 30), integers([2, 1], 1, 30))],
  errors: [{ args: [random([2]), random([2])], message: /is defined on integers/ }],
});

export const lcm: Whole = composite({
  name: 'lcm',
  doc: 'Least common multiple.',
  signature: 'input: tensor, other: operand',
  compute({ input, other }) {
    const [x, y] = integerPair('lcm', input, other);
    return x.div(commonDivisor(x, y).clamp(1), { roundingMode: 'trunc' }).mul(y).abs();
  },
  samples: [sampleWithoutGradient(integers([5], 1, 12), integers([5], 1, 12))],
});

export const ldexp: Op<(input: Tensor, other: Tensor | number) => Tensor> = composite({
  name: 'ldexp',
  doc: 'input · 2^other.',
  signature: 'input: tensor, other: operand',
  compute: ({ input, other }) => input.mul(pow(new WeakFloat(2), other)),
  samples: [sample(random([3]), 3)],
});

export const expit: Unary = composite({
  name: 'expit',
  doc: 'Another name of sigmoid.',
  signature: 'input: tensor',
  compute: ({ input }) => input.sigmoid(),
  samples: [sample(random([3]))],
});
