/** Exponentials, logarithms and the logistic function. */
import type { Arith } from '../ir/arith.js';
import type { Expr } from '../ir/kernel.js';
import { add, div, mul, neg, sub } from './arithmetic.js';
import { eq, gt, le, lt } from './comparison.js';
import { type Op, pointwise } from './define.js';
import { type Binary, elementary, needsFloat, on, type Unary } from './elementwise.js';
import { logicalAnd, logicalOr } from './logic.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { where } from './selection.js';
import type { Tensor } from './tensor.js';

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
  check: needsFloat('logaddexp'),
  body: (s, x, y) => logAddExp(s, x, y, 1),
  vjp: c => {
    const share = (i: number): Tensor => mul(c.grad, sigmoid(sub(c.in(i), c.in(1 - i))));
    return [c.needs(0) ? share(0) : null, c.needs(1) ? share(1) : null];
  },
  samples: [sample(random([4]), random([4])), sample(exactly([1], [1000]), exactly([1], [1001]))],
});

export const logaddexp2: Binary = pointwise({
  name: 'logaddexp2',
  doc: 'log2(2^input + 2^other).',
  types: 'float',
  check: needsFloat('logaddexp2'),
  body: (s, x, y) => logAddExp(s, x, y, ln2),
  vjp: c => {
    const share = (i: number): Tensor => mul(c.grad, sigmoid(mul(sub(c.in(i), c.in(1 - i)), ln2)));
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

// biome-ignore format: one op a line reads as a table
export const sigmoid: Unary = elementary('sigmoid', '1 / (1 + e^-input).', (s, x) => s.sigmoid(x), c => mul(c.grad, mul(sub(1, c.out), c.out)), on(-4, 4));

export const logit: Op<(input: Tensor, eps?: number | null | { readonly eps?: number | null }) => Tensor> = pointwise({
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
    if (c.attrs.eps === null) return [where(logicalOr(lt(x, 0), gt(x, 1)), Number.NaN, slope)];
    const eps = c.attrs.eps as number;
    return [where(logicalOr(lt(x, eps), gt(x, 1 - eps)), 0, slope)];
  },
  samples: [sample(random([4], 0.1, 0.9)), sample(exactly([4], [0.01, 0.3, 0.7, 0.99]), 0.1)],
});
