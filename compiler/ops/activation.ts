/**
 * Activation functions: functional only, as in PyTorch (relu, sigmoid and tanh are methods too and are in extrema.ts,
 * exponential.ts and trigonometry.ts).
 */
import { fail } from '../errors.js';
import type { DType } from '../ir/dtype.js';
import { normalizeDim } from '../ir/shape.js';
import { composite, type Op, pointwise } from './define.js';
import { isFloatExpr, needsFloat, needsNumber } from './elementwise.js';
import { exactly, random, sample } from './samples.js';
import { where } from './selection.js';
import type { Tensor } from './tensor.js';

type Unary = Op<(input: Tensor) => Tensor>;

/** Values on both sides of each kink, where central differences see one slope. */
const around = (...kinks: number[]) =>
  exactly(
    [kinks.length * 2],
    kinks.flatMap(kink => [kink - 0.3, kink + 0.4]),
  );

export const gelu: Op<(input: Tensor, options?: { approximate?: 'none' | 'tanh' }) => Tensor> = pointwise({
  name: 'gelu',
  doc: "x · Φ(x), by the error function, or by tanh with approximate: 'tanh'.",
  signature: "input: tensor, *, approximate: string = 'none'",
  types: 'float',
  body(s, x, { approximate }) {
    if (approximate === 'none') return s.mul(s.mul(x, 0.5), s.add(1, s.erf(s.mul(x, Math.SQRT1_2))));
    // (1 + tanh u) / 2 = sigmoid(2u)
    return s.mul(x, s.sigmoid(s.mul(x, s.add(s.mul(s.mul(x, x), 2 * geluScale * geluCubic), 2 * geluScale))));
  },
  vjp: c => {
    const x = c.in(0);
    if (c.attrs.approximate === 'none') {
      const density = x
        .square()
        .mul(-0.5)
        .exp()
        .mul(1 / Math.sqrt(2 * Math.PI));
      return [c.grad.mul(x.mul(Math.SQRT1_2).erf().add(1).mul(0.5).add(x.mul(density)))];
    }
    const square = x.square();
    const gate = square
      .mul(2 * geluScale * geluCubic)
      .add(2 * geluScale)
      .mul(x)
      .sigmoid();
    const inner = square.mul(6 * geluScale * geluCubic).add(2 * geluScale);
    // in this order as far as squares go without overflow
    const slope = gate.neg().add(1).mul(gate).mul(x).mul(inner).add(gate);
    return [c.grad.mul(slope)];
  },
  check(promoted, _, { approximate }) {
    needsFloat('gelu')(promoted);
    if (approximate !== 'none' && approximate !== 'tanh')
      fail('E110', { op: 'gelu', problem: `approximate argument must be either none or tanh, got ${approximate}` });
  },
  samples: [sample(random([2, 3], -3, 3)), sample(random([2, 3], -3, 3), { approximate: 'tanh' })],
});
const geluScale = Math.sqrt(2 / Math.PI);
const geluCubic = 0.044715;

export const silu: Unary = pointwise({
  name: 'silu',
  doc: 'x · sigmoid(x).',
  types: 'float',
  check: needsFloat('silu'),
  body: (s, x) => s.mul(x, s.sigmoid(x)),
  vjp: c => {
    const x = c.in(0);
    const gate = x.sigmoid();
    return [c.grad.mul(gate.mul(x.mul(gate.neg().add(1)).add(1)))];
  },
  samples: [sample(random([2, 3], -4, 4))],
});

export const mish: Unary = composite({
  name: 'mish',
  doc: 'x · tanh(softplus(x)).',
  signature: 'input: tensor',
  compute: ({ input }) => input.mul(softplus(input).tanh()),
  gradName: 'MishBackward0',
  samples: [sample(random([2, 3], -4, 4))],
});

interface SoftplusOptions {
  readonly beta?: number;
  readonly threshold?: number;
}
export const softplus: Op<
  (input: Tensor, beta?: number | SoftplusOptions, threshold?: number | SoftplusOptions) => Tensor
> = pointwise({
  name: 'softplus',
  doc: 'log(1 + e^(beta·x)) / beta, and x itself where beta·x is above the threshold.',
  signature: 'input: tensor, beta: number = 1, threshold: number = 20',
  types: 'float',
  check: needsFloat('softplus'),
  body(s, x, { beta, threshold }) {
    const scaled = s.mul(x, beta);
    return s.select(s.gt(scaled, threshold), x, s.div(s.log1p(s.exp(scaled)), beta));
  },
  vjp: c => {
    const { beta, threshold } = c.attrs as { beta: number; threshold: number };
    const scaled = c.in(0).mul(beta);
    return [c.grad.mul(scaled.sigmoid().maskedFill(scaled.gt(threshold), 1))];
  },
  samples: [sample(random([2, 3], -4, 4)), sample(random([4], -8, 8), 2, 5)],
});

export const logsigmoid: Unary = pointwise({
  name: 'logsigmoid',
  doc: 'log(sigmoid(x)), accurate for large |x|.',
  types: 'float',
  check: needsFloat('logsigmoid'),
  gradName: 'LogSigmoidBackward0',
  body: (s, x) => s.sub(s.min(x, 0), s.log1p(s.exp(s.neg(s.abs(x))))),
  vjp: c => [c.grad.mul(c.in(0).neg().sigmoid())],
  samples: [sample(random([2, 3], -4, 4)), sample(exactly([2], [-1000, 1000]))],
});

export const leakyRelu: Op<(input: Tensor, negativeSlope?: number) => Tensor> = pointwise({
  name: 'leakyRelu',
  doc: 'x above 0, negativeSlope · x at and below.',
  signature: 'input: tensor, negativeSlope: number = 0.01',
  types: 'float',
  check: needsFloat('leakyRelu'),
  body: (s, x, { negativeSlope }) => s.select(s.gt(x, 0), x, s.mul(x, negativeSlope)),
  vjp: c => [where(c.in(0).gt(0), c.grad, c.grad.mul(c.attrs.negativeSlope as number))],
  samples: [sample(random([2, 3])), sample(random([4]), 0.2)],
});

export const prelu: Op<(input: Tensor, weight: Tensor) => Tensor> = composite({
  name: 'prelu',
  doc: 'leakyRelu with a learned slope, one for all or one for each channel (dim 1).',
  signature: 'input: tensor, weight: tensor',
  compute({ input, weight }: { input: Tensor; weight: Tensor }) {
    const perChannel = input.ndim > 1 && weight.numel() > 1;
    const slope = weight.reshape(input.shape.map((_, d) => (perChannel && d === 1 ? weight.numel() : 1)));
    return where(input.gt(0), input, input.mul(slope));
  },
  gradName: 'PreluBackward0',
  samples: [sample(random([2, 3, 2]), random([3])), sample(random([2, 3]), random([1]))],
});

export const elu: Op<(input: Tensor, alpha?: number) => Tensor> = pointwise({
  name: 'elu',
  doc: 'x above 0, alpha · (e^x - 1) below; the derivative at 0 is 1 times alpha.',
  signature: 'input: tensor, alpha: number = 1',
  types: 'float',
  check: needsFloat('elu'),
  body: (s, x, { alpha }) => s.select(s.gt(x, 0), x, s.mul(s.expm1(x), alpha)),
  vjp: c => [
    where(
      c.in(0).gt(0),
      c.grad,
      c.grad.mul(
        c
          .in(0)
          .exp()
          .mul(c.attrs.alpha as number),
      ),
    ),
  ],
  samples: [sample(random([2, 3])), sample(random([4]), 0.5)],
});

export const celu: Op<(input: Tensor, alpha?: number) => Tensor> = pointwise({
  name: 'celu',
  doc: 'x above 0, alpha · (e^(x/alpha) - 1) below.',
  signature: 'input: tensor, alpha: number = 1',
  types: 'float',
  check: needsFloat('celu'),
  body: (s, x, { alpha }) => s.select(s.gt(x, 0), x, s.mul(s.expm1(s.div(x, alpha)), alpha)),
  vjp: c => [
    where(
      c.in(0).gt(0),
      c.grad,
      c.grad.mul(
        c
          .in(0)
          .div(c.attrs.alpha as number)
          .exp(),
      ),
    ),
  ],
  samples: [sample(random([2, 3])), sample(random([4]), 0.5)],
});

const seluAlpha = 1.6732632423543772;
const seluScale = 1.0507009873554805;
export const selu: Unary = composite({
  name: 'selu',
  doc: 'elu scaled so that activations keep mean 0 and variance 1.',
  signature: 'input: tensor',
  compute: ({ input }) => elu(input, seluAlpha).mul(seluScale),
  gradName: 'EluBackward0',
  samples: [sample(random([2, 3]))],
});

export const relu6: Unary = hardLimits('relu6', 'Between 0 and 6.', 0, 6);

function hardLimits(name: string, doc: string, low: number, high: number): Unary {
  return composite({
    name,
    doc,
    signature: 'input: tensor',
    compute: ({ input }) => hardtanh(input, low, high),
    samples: [sample(random([4], -2, 8))],
  });
}

export const hardtanh: Op<(input: Tensor, minVal?: number, maxVal?: number) => Tensor> = pointwise({
  name: 'hardtanh',
  doc: 'The input limited to [minVal, maxVal]; the derivative at the limits is 0.',
  signature: 'input: tensor, minVal: number = -1, maxVal: number = 1',
  types: 'keep',
  check(promoted, _, { minVal }) {
    needsNumber('hardtanh')(promoted);
    if (promoted === 'uint8' && (minVal as number) < 0)
      fail('E110', { op: 'hardtanh', problem: 'cannot do hardtanh on an unsigned type with negative limits' });
  },
  body(s, x, { minVal, maxVal }) {
    const [least, most] = [minVal, maxVal].map(limit => (isFloatExpr(x) ? limit : Math.trunc(limit as number)));
    return s.min(s.max(x, least), most);
  },
  vjp: c => {
    const { minVal, maxVal } = c.attrs as { minVal: number; maxVal: number };
    return [c.grad.maskedFill(c.in(0).le(minVal).logicalOr(c.in(0).ge(maxVal)), 0)];
  },
  samples: [sample(random([6])), sample(random([6]), -0.5, 0.7)],
});

export const hardsigmoid: Unary = pointwise({
  name: 'hardsigmoid',
  doc: 'min(max(x + 3, 0), 6) / 6.',
  types: 'float',
  check: needsFloat('hardsigmoid'),
  body: (s, x) => s.div(s.min(s.max(s.add(x, 3), 0), 6), 6),
  vjp: c => [c.grad.div(6).maskedFill(c.in(0).abs().ge(3), 0)],
  samples: [sample(around(-3, 3, 0))],
});

export const hardswish: Unary = pointwise({
  name: 'hardswish',
  doc: 'x · min(max(x + 3, 0), 6) / 6.',
  types: 'float',
  check: needsFloat('hardswish'),
  body: (s, x) => s.div(s.mul(x, s.min(s.max(s.add(x, 3), 0), 6)), 6),
  vjp: c => {
    const x = c.in(0);
    const inner = c.grad.mul(x.div(3).add(0.5));
    return [where(x.lt(-3), c.grad.mul(0), where(x.gt(3), c.grad, inner))];
  },
  samples: [sample(around(-3, 3, 0))],
});

const shrinkSignature = 'input: tensor, lambd: number = 0.5';
type Shrink = Op<(input: Tensor, lambd?: number | { readonly lambd?: number }) => Tensor>;

export const hardshrink: Shrink = pointwise({
  name: 'hardshrink',
  doc: 'x where |x| > lambd, else 0.',
  signature: shrinkSignature,
  types: 'float',
  check: needsFloat('hardshrink'),
  body: (s, x, { lambd }) => s.select(s.le(s.abs(x), lambd), s.constant(x.dtype, 0), x),
  vjp: c => [
    c.grad.maskedFill(
      c
        .in(0)
        .abs()
        .le(c.attrs.lambd as number),
      0,
    ),
  ],
  samples: [sample(around(-0.5, 0.5))],
});

export const softshrink: Shrink = pointwise({
  name: 'softshrink',
  doc: 'x moved toward 0 by lambd, 0 where that crosses it.',
  signature: shrinkSignature,
  types: 'float',
  check(promoted, _, { lambd }) {
    needsFloat('softshrink')(promoted);
    if ((lambd as number) < 0)
      fail('E110', { op: 'softshrink', problem: `lambda must be greater or equal to 0, but found to be ${lambd}.` });
  },
  body: (s, x, { lambd }) =>
    s.select(s.gt(x, lambd), s.sub(x, lambd), s.select(s.lt(x, -lambd), s.add(x, lambd), s.constant(x.dtype, 0))),
  vjp: c => [
    c.grad.maskedFill(
      c
        .in(0)
        .abs()
        .le(c.attrs.lambd as number),
      0,
    ),
  ],
  samples: [sample(around(-0.5, 0.5))],
});

export const threshold: Op<(input: Tensor, threshold: number, value: number) => Tensor> = pointwise({
  name: 'threshold',
  doc: 'x above the threshold, value elsewhere.',
  signature: 'input: tensor, threshold: number, value: number',
  types: 'float',
  body: (s, x, { threshold: limit, value }) => s.select(s.le(x, limit), s.constant(x.dtype, value), x),
  vjp: c => [c.grad.maskedFill(c.in(0).le(c.attrs.threshold as number), 0)],
  samples: [sample(around(0.1), 0.1, 20)],
});

export const softsign: Unary = composite({
  name: 'softsign',
  doc: 'x / (1 + |x|).',
  signature: 'input: tensor',
  compute: ({ input }) => input.div(input.abs().add(1)),
  samples: [sample(random([4]))],
});

export const tanhshrink: Unary = composite({
  name: 'tanhshrink',
  doc: 'x - tanh(x).',
  signature: 'input: tensor',
  compute: ({ input }) => input.sub(input.tanh()),
  samples: [sample(random([4]))],
});

interface SoftminOptions {
  readonly dim?: number | null;
  readonly dtype?: DType | null;
}
export const softmin: Op<(input: Tensor, dim?: number | null | SoftminOptions, options?: SoftminOptions) => Tensor> =
  composite({
    name: 'softmin',
    doc: 'softmax(-x) along a dim.',
    signature: 'input: tensor, dim: int = null, *, dtype: dtype = null',
    compute: ({ input, dim, dtype }) => input.neg().softmax(dim, { dtype }),
    samples: [sample(random([2, 3]), 1)],
  });

export const glu: Op<(input: Tensor, dim?: number | { readonly dim?: number }) => Tensor> = composite({
  name: 'glu',
  doc: 'The first half along a dim times the sigmoid of the second.',
  signature: 'input: tensor, dim: int = -1',
  compute({ input, dim }) {
    const halved = normalizeDim('glu', dim, input.ndim);
    if (input.shape[halved] % 2 !== 0) {
      const problem = `Halving dimension must be even, but dimension ${halved} is size ${input.shape[halved]}`;
      fail('E107', { op: 'glu', problem });
    }
    const [value, gate] = input.chunk(2, dim);
    return value.mul(gate.sigmoid());
  },
  gradName: 'GluBackward0',
  samples: [sample(random([2, 4]))],
});

export const normalize: Op<(input: Tensor, options?: { p?: number; dim?: number; eps?: number }) => Tensor> = composite(
  {
    name: 'normalize',
    doc: 'The input divided by its p-norm along a dim, or by eps where that is larger.',
    signature: 'input: tensor, p: number = 2, dim: int = 1, eps: number = 1e-12',
    compute: ({ input, p, dim, eps }) => input.div(input.norm(Number(p), dim, { keepdim: true }).clamp(eps)),
    samples: [sample(random([2, 3]))],
  },
);
