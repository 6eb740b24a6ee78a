/**
 * Random distributions, each in two forms: the numbers that PyTorch's generator gives, drawn in PyTorch's order, and a
 * computation on uniform numbers of the counter-based generator, which a compiled entry can do.
 *
 * Box and Muller, "A note on the generation of random normal deviates" (1958), for normal values; the others invert their
 * distribution function.
 */
import { type DType, isComplexDType, isFloat, limitsOf } from '../compiler/ir/dtype.js';
import type { Shape } from '../compiler/ir/shape.js';
import { counterUniform } from '../compiler/ops/random.js';
import { noGrad } from '../compiler/ops/tape.js';
import { refuseComplex, type Tensor, tensorOver } from '../compiler/ops/tensor.js';
import { store } from './elements.js';
import type { Generator } from './generator.js';

type Values = Float64Array | BigInt64Array;

export interface Distribution {
  /** Values for `count` elements in row-major order. `contiguous` tells how the target lies: PyTorch draws differently then. */
  readonly draw: (g: Generator, count: number, dtype: DType, contiguous: boolean) => Values;
  /** The same distribution from the counter-based generator. */
  readonly compute: (shape: Shape, dtype: DType) => Tensor;
}

/** New values of a distribution: from a generator, or where that is null from the counter-based one. */
export function sample(
  { draw, compute }: Distribution,
  g: Generator | null,
  shape: Shape,
  dtype: DType,
  contiguous = true,
): Tensor {
  if (isComplexDType(dtype)) refuseComplex('drawing random numbers', dtype);
  if (g === null) return noGrad(() => compute(shape, dtype).to(dtype));
  const count = shape.reduce((product, dim) => product * dim, 1);
  return valuesAs(draw(g, count, dtype, contiguous), shape, dtype);
}

export const valuesAs = (values: Values, shape: Shape, dtype: DType): Tensor =>
  tensorOver(store(dtype, values as ArrayLike<number | bigint>), { dtype, shape });

// ── building blocks ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bits of a uniform number of a dtype. */
const mantissa = (dtype: DType): 8 | 11 | 24 | 53 =>
  dtype === 'float64' ? 53 : dtype === 'float16' ? 11 : dtype === 'bfloat16' ? 8 : 24;
const rounding = (dtype: DType): ((x: number) => number) => (dtype === 'float64' ? x => x : Math.fround);
/** So many values, drawn one after the other. A plain loop: networks start with millions of them. */
function drawn(count: number, value: () => number): Float64Array {
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = value();
  return values;
}
const each =
  (value: (g: Generator, dtype: DType) => number): Distribution['draw'] =>
  (g, count, dtype) =>
    drawn(count, () => value(g, dtype));

/** Uniform float64 numbers in [0, 1) of 48 bits. */
const fineUniform = (shape: Shape): Tensor =>
  counterUniform(shape)
    .to('float64')
    .add(
      counterUniform(shape)
        .to('float64')
        .mul(2 ** -24),
    );

/** Uniform in [0, 1), with no more bits than the dtype holds, so that rounding never gives 1. */
function counterUniformIn(shape: Shape, dtype: DType): Tensor {
  if (dtype === 'float64') return fineUniform(shape);
  const steps = 2 ** mantissa(dtype);
  const u = counterUniform(shape);
  return steps === 2 ** 24 ? u : u.mul(steps).floor().div(steps);
}

/** Uniform in (0, 1]: what logarithms are taken of. In single precision, or double for doubles. */
const positiveUniform = (shape: Shape, dtype: DType): Tensor =>
  (dtype === 'float64' ? fineUniform(shape) : counterUniform(shape)).neg().add(1);

/** 63 random bits as non-negative int64. */
function counterBits(shape: Shape): Tensor {
  const part = (bits: number): Tensor =>
    counterUniform(shape)
      .mul(2 ** bits)
      .floor()
      .to('int64');
  return part(23)
    .mul(2 ** 40)
    .add(part(24).mul(2 ** 16))
    .add(part(16));
}

/** Integers below `extent`: whole parts of uniform numbers, or remainders of more bits where those have too few. */
const counterBelow = (shape: Shape, extent: bigint): Tensor =>
  extent <= 1n << 32n
    ? fineUniform(shape).mul(Number(extent)).floor().to('int64')
    : extent >= 1n << 63n
      ? counterBits(shape)
      : counterBits(shape).remainder(extent);

// ── continuous ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Product and sum are rounded once, as PyTorch's fused multiply-add does. */
export const uniform = (from: number, to: number): Distribution => ({
  draw(g, count, dtype) {
    const [round, bits] = [rounding(dtype), mantissa(dtype)];
    const least = round(from);
    const width = round(round(to) - least);
    return drawn(count, () => round(g.uniform(bits) * width + least));
  },
  compute: (shape, dtype) =>
    counterUniformIn(shape, dtype)
      .mul(to - from)
      .add(from),
});

/** Length from which PyTorch fills uniforms first and turns them into normals in blocks of 16. */
const blockedFrom = 16;

export const normal = (mean: number, std: number): Distribution => ({
  draw(g, count, dtype, contiguous) {
    if (count < blockedFrom || !contiguous) return drawn(count, () => g.normal() * std + mean);
    const [round, bits] = [rounding(dtype), mantissa(dtype)];
    const values = drawn(count, () => g.uniform(bits));
    for (let start = 0; start + blockedFrom <= count; start += blockedFrom) boxMuller(values, start, mean, std, round);
    if (count % blockedFrom !== 0) {
      const start = count - blockedFrom;
      for (let i = start; i < count; i++) values[i] = g.uniform(bits);
      boxMuller(values, start, mean, std, round);
    }
    return values;
  },
  compute(shape, dtype) {
    const radius = positiveUniform(shape, dtype).log().mul(-2).sqrt();
    const angle = positiveUniform(shape, dtype).mul(2 * Math.PI);
    return radius.mul(angle.cos()).mul(std).add(mean);
  },
});

/** 16 uniforms to 16 normals: the first 8 give radii, the last 8 angles. */
function boxMuller(values: Float64Array, start: number, mean: number, std: number, round: (x: number) => number): void {
  for (let i = start; i < start + 8; i++) {
    const radius = round(Math.sqrt(round(-2 * round(Math.log(1 - values[i])))));
    const angle = round(2 * Math.PI * values[i + 8]);
    values[i] = round(round(radius * round(Math.cos(angle))) * std + mean);
    values[i + 8] = round(round(radius * round(Math.sin(angle))) * std + mean);
  }
}

export const logNormal = (mean: number, std: number): Distribution => ({
  draw: each(g => Math.exp(g.normal() * std + mean)),
  compute: (shape, dtype) => normal(mean, std).compute(shape, dtype).exp(),
});

export const exponential = (lambda: number): Distribution => ({
  draw: each(g => -Math.log1p(-g.uniform(53)) / lambda),
  compute: (shape, dtype) => positiveUniform(shape, dtype).log().div(-lambda),
});

export const cauchy = (median: number, sigma: number): Distribution => ({
  draw: each(g => median + sigma * Math.tan(Math.PI * (g.uniform(53) - 0.5))),
  compute: (shape, dtype) => positiveUniform(shape, dtype).sub(0.5).mul(Math.PI).tan().mul(sigma).add(median),
});

// ── discrete ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** How often one tries until the first success. */
export const geometric = (p: number): Distribution => ({
  draw: each(g => Math.ceil(Math.log(g.uniform(53)) / Math.log1p(-p))),
  compute: shape => fineUniform(shape).neg().add(1).log().div(Math.log1p(-p)).ceil().clampMin(1),
});

/** 1 with probability p, else 0. */
export const bernoulli = (p: number): Distribution => ({
  draw: each(g => Number(g.uniform(53) < p)),
  compute: shape => counterUniform(shape).lt(p),
});

/** Integers in [from, to): a 64-bit draw where the range needs one. */
export function integers(from: bigint, to: bigint): Distribution {
  const span = to - from;
  const compute = (shape: Shape): Tensor => counterBelow(shape, span).add(from);
  if (span >= 1n << 32n) {
    return {
      draw: (g, count) => BigInt64Array.from({ length: count }, () => BigInt.asIntN(64, (g.random64() % span) + from)),
      compute,
    };
  }
  const [low, extent] = [Number(from), Number(span)];
  return { draw: each(g => (g.random32() % extent) + low), compute };
}

/** All non-negative integers that the dtype can hold exactly. */
export const fullRange: Distribution = {
  draw(g, count, dtype) {
    if (dtype === 'bool') return drawn(count, () => g.random32() & 1);
    if (dtype === 'int64') return BigInt64Array.from({ length: count }, () => g.random64() % (1n << 63n));
    if (dtype === 'float64') return drawn(count, () => Number(g.random64() % ((1n << 53n) + 1n)));
    const limit = Number(rangeOf(dtype));
    return drawn(count, () => g.random32() % limit);
  },
  compute: (shape, dtype) => counterBelow(shape, rangeOf(dtype)),
};

function rangeOf(dtype: DType): bigint {
  if (dtype === 'bool') return 2n;
  if (dtype === 'int64') return 1n << 63n;
  return BigInt(isFloat(dtype) ? 2 ** mantissa(dtype) + 1 : limitsOf(dtype).max + 1);
}

/** The integers below n in random order: Fisher and Yates from the front. */
export const permutation = (n: number): Distribution => ({
  draw(g) {
    const order = Float64Array.from({ length: n }, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const j = i + (g.random32() % (n - i));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  },
  compute: () => fineUniform([n]).argsort(0),
});
