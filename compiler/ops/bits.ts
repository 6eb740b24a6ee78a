/** Functions of how floats are written in bits (IEEE 754): their neighbours, their exponents. */
import { fail } from '../errors.js';
import type { Arith } from '../ir/arith.js';
import type { DType } from '../ir/dtype.js';
import { bitcast, type Expr } from '../ir/kernel.js';
import { composite, type Op, pointwise } from './define.js';
import { type NamedTuple, namedTuple } from './named-tuple.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import type { Tensor } from './tensor.js';

const needsSingleOrDouble =
  (op: string) =>
  (promoted: DType): void => {
    if (promoted !== 'float32' && promoted !== 'float64')
      fail('E108', { op, problem: `is defined on float32 and float64, not on ${promoted}` });
  };

const bitsOf = (x: Expr): Expr => bitcast(x.dtype === 'float64' ? 'int64' : 'int32', x);

/** Away from zero the bits count up. */
function neighbour(s: Arith, x: Expr, y: Expr): Expr {
  const dtype = x.dtype as DType;
  const bits = bitsOf(x);
  const outward = s.eq(s.gt(y, x), s.gt(x, 0));
  const moved = bitcast(dtype, s.select(outward, s.add(bits, 1), s.sub(bits, 1)));
  const least = s.copysign(bitcast(dtype, s.constant(bits.dtype, 1)), y);
  const near = s.select(s.eq(x, 0), least, moved);
  return s.select(s.or(s.isNan(x), s.isNan(y)), s.add(x, y), s.select(s.eq(x, y), y, near));
}

export const nextafter: Op<(input: Tensor, other: Tensor) => Tensor> = pointwise({
  name: 'nextafter',
  doc: 'The next float from input toward other.',
  signature: 'input: tensor, other: tensor',
  types: 'keep',
  differentiable: false,
  check: needsSingleOrDouble('nextafter'),
  body: neighbour,
  samples: [
    sampleWithoutGradient(random([6]), random([6])),
    sampleWithoutGradient(exactly([5], [0, 0, 1, -1, 2]), exactly([5], [1, -1, 1, 0, Number.NaN])),
  ],
  errors: [{ args: [exactly([1], [1], 'int64'), exactly([1], [1], 'int64')], message: /not on int64/ }],
});

const layouts = {
  float32: { fraction: 23, bias: 127, lift: 32 },
  float64: { fraction: 52, bias: 1023, lift: 64 },
} as const;

/** x = mantissa · 2^exponent with 0.5 <= |mantissa| < 1; what has no such form, 0 among it, is its own mantissa. */
function split(s: Arith, x: Expr): { mantissa: Expr; exponent: Expr } {
  const dtype = x.dtype as 'float32' | 'float64';
  const { fraction, bias, lift } = layouts[dtype];
  const isSubnormal = s.lt(s.abs(x), 2 ** (1 - bias));
  const bits = bitsOf(s.select(isSubnormal, s.mul(x, 2 ** lift), x));
  const power = s.cast(dtype, s.and(s.shrU(bits, fraction), 2 * bias + 1));
  const exponent = s.sub(power, s.select(isSubnormal, s.constant(dtype, bias - 1 + lift), bias - 1));
  const scale = s.and(s.shl(s.constant(bits.dtype, 2 * bias + 1), fraction), bits);
  const half = s.shl(s.constant(bits.dtype, bias - 1), fraction);
  const mantissa = bitcast(dtype, s.or(s.xor(bits, scale), half));
  const hasNone = s.or(s.eq(x, 0), s.or(s.isNan(x), s.eq(s.abs(x), Number.POSITIVE_INFINITY)));
  return { mantissa: s.select(hasNone, x, mantissa), exponent: s.select(hasNone, s.constant(dtype, 0), exponent) };
}

const exponentOf: Op<(input: Tensor) => Tensor> = pointwise({
  name: 'exponentOf',
  doc: 'The whole number e with |input| in [0.5, 1) · 2^e, as a float.',
  types: 'keep',
  differentiable: false,
  check: needsSingleOrDouble('frexp'),
  body: (s, x) => split(s, x).exponent,
  samples: [sampleWithoutGradient(random([4])), sampleWithoutGradient(exactly([5], [0, 1, 0.75, -8, 1e-40]))],
});

const mantissaOf: Op<(input: Tensor) => Tensor> = pointwise({
  name: 'mantissaOf',
  doc: 'The input over the power of two that brings its magnitude to [0.5, 1).',
  types: 'keep',
  gradName: 'FrexpBackward0',
  check: needsSingleOrDouble('frexp'),
  body: (s, x) => split(s, x).mantissa,
  vjp: c => [c.grad.div(exponentOf(c.in(0)).exp2())],
  samples: [sample(exactly([4], [0.6, 1.3, -3, 7.5])), sampleWithoutGradient(exactly([4], [0, 1, -8, 1e-40]))],
});

export const frexp: Op<(input: Tensor) => NamedTuple<['mantissa', 'exponent']>> = composite({
  name: 'frexp',
  doc: 'input = mantissa · 2^exponent with a magnitude of the mantissa in [0.5, 1); both 0 for 0.',
  signature: 'input: tensor',
  compute: ({ input }) => namedTuple({ mantissa: mantissaOf(input), exponent: exponentOf(input).to('int32') }),
  samples: [sample(exactly([3], [0.6, -3, 7.5]))],
});
