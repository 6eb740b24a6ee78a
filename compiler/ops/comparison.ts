/** Comparisons of elements, and questions about each: NaN, infinite, sign. */
import type { Arith } from '../ir/arith.js';
import type { Expr } from '../ir/kernel.js';
import { type Op, pointwise } from './define.js';
import { type Comparison, infinity, isFloatExpr, type Unary } from './elementwise.js';
import { exactly, integers, random, sampleWithoutGradient } from './samples.js';
import type { Tensor } from './tensor.js';

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
