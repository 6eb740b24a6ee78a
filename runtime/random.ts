/**
 * Random tensors from PyTorch's CPU generator: which draws each function makes, in which order, so that seeds agree.
 *
 * They are values, not graph nodes: inside a trace they would be frozen into constants, so there they throw E304. The random
 * ops of traced entries are counter-based (`compiler/ops/random.ts`).
 */
import { fail } from '../compiler/errors.js';
import { type DType, getDefaultDtype, isFloat, limitsOf } from '../compiler/ir/dtype.js';
import { formatShape, numel, type Shape } from '../compiler/ir/shape.js';
import { scalarValue } from '../compiler/ops/define.js';
import { bindArguments, parseSignature, type Scalar } from '../compiler/ops/signature.js';
import { assignInPlace, noGrad } from '../compiler/ops/tape.js';
import { executor, Tensor, tensorOver } from '../compiler/ops/tensor.js';
import { elementsOf } from './bridge.js';
import type { CreationOptions, SizeArguments } from './creation.js';
import { store } from './elements.js';
import { defaultGenerator, type Generator } from './generator.js';

export interface RandomOptions {
  readonly generator?: Generator | null;
}
type RandomCreation = CreationOptions & RandomOptions;

function sourceFor(op: string, generator: Generator | null | undefined): Generator {
  if (executor().kind === 'trace') {
    fail('E304', {
      problem: `${op} draws from the eager generator while an entry is being traced; the compiled entry would repeat the same numbers`,
      hint: 'draw before the entry and pass the tensor in, or use dropout, whose generator is part of the state',
    });
  }
  return generator ?? defaultGenerator;
}

// ── distributions: the values of one fill, in row-major order ──────────────────────────────────────────────────────────

type Values = Float64Array | BigInt64Array;
/** Values for `count` elements of a dtype. `contiguous` tells how the target lies: PyTorch draws differently then. */
type Draw = (g: Generator, count: number, dtype: DType, contiguous: boolean) => Values;

const mantissa = (dtype: DType): 8 | 11 | 24 | 53 =>
  dtype === 'float64' ? 53 : dtype === 'float16' ? 11 : dtype === 'bfloat16' ? 8 : 24;
const rounding = (dtype: DType): ((x: number) => number) => (dtype === 'float64' ? x => x : Math.fround);
const each =
  (value: (g: Generator, dtype: DType) => number): Draw =>
  (g, count, dtype) =>
    Float64Array.from({ length: count }, () => value(g, dtype));

const uniformDraw = (from: number, to: number): Draw =>
  each((g, dtype) => {
    const round = rounding(dtype);
    return round(round(g.uniform(mantissa(dtype)) * round(to - from)) + from);
  });

/** Length from which PyTorch fills uniforms first and turns them into normals in blocks of 16. */
const blockedFrom = 16;

function normalDraw(mean: number, std: number): Draw {
  return (g, count, dtype, contiguous) => {
    if (count < blockedFrom || !contiguous) return Float64Array.from({ length: count }, () => g.normal() * std + mean);
    const round = rounding(dtype);
    const values = Float64Array.from({ length: count }, () => g.uniform(mantissa(dtype)));
    for (let start = 0; start + blockedFrom <= count; start += blockedFrom) boxMuller(values, start, mean, std, round);
    if (count % blockedFrom !== 0) {
      const start = count - blockedFrom;
      for (let i = start; i < count; i++) values[i] = g.uniform(mantissa(dtype));
      boxMuller(values, start, mean, std, round);
    }
    return values;
  };
}

/** 16 uniforms to 16 normals: the first 8 give radii, the last 8 angles. */
function boxMuller(values: Float64Array, start: number, mean: number, std: number, round: (x: number) => number): void {
  for (let i = start; i < start + 8; i++) {
    const radius = round(Math.sqrt(round(-2 * round(Math.log(1 - values[i])))));
    const angle = round(2 * Math.PI * values[i + 8]);
    values[i] = round(round(radius * round(Math.cos(angle))) * std + mean);
    values[i + 8] = round(round(radius * round(Math.sin(angle))) * std + mean);
  }
}

/** Integers in [from, to): a 64-bit draw where the range needs one. */
function integerDraw(from: bigint, to: bigint): Draw {
  const span = to - from;
  if (span >= 1n << 32n)
    return (g, count) => BigInt64Array.from({ length: count }, () => BigInt.asIntN(64, (g.random64() % span) + from));
  const [low, extent] = [Number(from), Number(span)];
  return each(g => (g.random32() % extent) + low);
}

/** What `random_()` draws: all non-negative integers that the dtype can hold exactly. */
const fullRangeDraw: Draw = (g, count, dtype) => {
  if (dtype === 'bool') return Float64Array.from({ length: count }, () => g.random32() & 1);
  if (dtype === 'int64') return BigInt64Array.from({ length: count }, () => g.random64() % (1n << 63n));
  if (dtype === 'float64') return Float64Array.from({ length: count }, () => Number(g.random64() % ((1n << 53n) + 1n)));
  const limit = isFloat(dtype) ? 2 ** mantissa(dtype) + 1 : limitsOf(dtype).max + 1;
  return Float64Array.from({ length: count }, () => g.random32() % limit);
};

const exponentialDraw = (lambda: number): Draw => each(g => -Math.log1p(-g.uniform(53)) / lambda);
const cauchyDraw = (median: number, sigma: number): Draw =>
  each(g => median + sigma * Math.tan(Math.PI * (g.uniform(53) - 0.5)));
const geometricDraw = (p: number): Draw => each(g => Math.ceil(Math.log(g.uniform(53)) / Math.log1p(-p)));
const logNormalDraw = (mean: number, std: number): Draw => each(g => Math.exp(g.normal() * std + mean));
/** One draw per probability, each compared in single or double precision. */
const bernoulliDraw =
  (p: (i: number) => number, bits: 24 | 53): Draw =>
  (g, count) =>
    Float64Array.from({ length: count }, (_, i) => Number(g.uniform(bits) < p(i)));

// ── new tensors ────────────────────────────────────────────────────────────────────────────────────────────────────────

function storeDrawn(dtype: DType, values: Values): ReturnType<typeof store> {
  return store(dtype, values as ArrayLike<number | bigint>);
}

function drawn(op: string, draw: Draw, shape: Shape, dtype: DType, generator?: Generator | null): Tensor {
  const values = draw(sourceFor(op, generator), numel(shape), dtype, true);
  return tensorOver(storeDrawn(dtype, values), { dtype, shape });
}

const randomParams = parseSignature(
  'size: size = [], *, dtype: dtype = null, requiresGrad: bool = false, generator: any = null',
);
function randomTensor(op: string, draw: Draw, args: SizeArguments): Tensor {
  const { size, dtype, requiresGrad, generator } = bindArguments(op, randomParams, args);
  const resolved: DType = dtype ?? getDefaultDtype();
  if (!isFloat(resolved))
    fail('E108', { op, problem: `draws floating-point numbers, not ${resolved}`, hint: 'use randint for integers' });
  const made = drawn(op, draw, size, resolved, generator);
  return requiresGrad ? made.requiresGrad_() : made;
}

/** Uniform in [0, 1). */
export const rand = (...size: readonly (number | readonly number[] | RandomCreation)[]): Tensor =>
  randomTensor('rand', uniformDraw(0, 1), size);
/** Standard normal. */
export const randn = (...size: readonly (number | readonly number[] | RandomCreation)[]): Tensor =>
  randomTensor('randn', normalDraw(0, 1), size);
export const randLike = (input: Tensor, options: RandomCreation = {}): Tensor =>
  rand(input.shape, { dtype: input.dtype, ...options });
export const randnLike = (input: Tensor, options: RandomCreation = {}): Tensor =>
  randn(input.shape, { dtype: input.dtype, ...options });

function checkRange(op: string, from: bigint, to: bigint): void {
  if (from >= to)
    fail('E110', { op, problem: `expects 'from' to be less than 'to', but got from=${from} >= to=${to}` });
}

/** Integers in [0, high), or in [low, high). */
export function randint(high: number | bigint, size: Shape, options?: RandomCreation): Tensor;
export function randint(low: number | bigint, high: number | bigint, size: Shape, options?: RandomCreation): Tensor;
export function randint(
  first: number | bigint,
  second: number | bigint | Shape,
  third?: Shape | RandomCreation,
  fourth: RandomCreation = {},
): Tensor {
  const [low, high, size, options] =
    typeof second === 'object'
      ? [0, first, second, (third as RandomCreation) ?? {}]
      : [first, second, third as Shape, fourth];
  const [from, to] = [BigInt(low), BigInt(high)];
  checkRange('randint', from, to);
  const made = drawn('randint', integerDraw(from, to), size, options.dtype ?? 'int64', options.generator);
  return options.requiresGrad ? made.requiresGrad_() : made;
}

/** The integers below n in random order: Fisher and Yates from the front. */
export function randperm(n: number, options: RandomCreation = {}): Tensor {
  const g = sourceFor('randperm', options.generator);
  const order = Float64Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const j = i + (g.random32() % (n - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const dtype = options.dtype ?? 'int64';
  return tensorOver(storeDrawn(dtype, order), { dtype, shape: [n] });
}

/** 1 with the probability that each element gives, else 0. */
export function bernoulli(input: Tensor, options: RandomOptions & { readonly p?: number } = {}): Tensor {
  const { p } = options;
  if (p !== undefined) return noGrad(() => input.zerosLike().bernoulli_(p, options));
  const probabilities = probabilitiesOf('bernoulli', input);
  return drawn(
    'bernoulli',
    bernoulliDraw(i => probabilities[i], input.dtype === 'float64' ? 53 : 24),
    input.shape,
    input.dtype,
    options.generator,
  );
}

function probabilitiesOf(op: string, input: Tensor): readonly number[] {
  const probabilities = elementsOf(input, op) as number[];
  if (!isFloat(input.dtype)) fail('E108', { op, problem: `expects floating-point probabilities, got ${input.dtype}` });
  const bad = probabilities.find(p => !(p >= 0 && p <= 1));
  if (bad !== undefined) fail('E110', { op, problem: `Expected p_in >= 0 && p_in <= 1, but got ${bad}` });
  return probabilities;
}

/** Normal with the given mean and deviation: tensors that broadcast, or two numbers and a size. */
export function normal(
  mean: Tensor | number,
  std: Tensor | number,
  size: Shape | RandomOptions = [],
  options: RandomOptions = {},
): Tensor {
  if (!(mean instanceof Tensor) && !(std instanceof Tensor)) {
    const [shape, rest] = Array.isArray(size) ? [size as Shape, options] : [[], size as RandomOptions];
    return drawn('normal', normalDraw(mean, std), shape, getDefaultDtype(), rest.generator);
  }
  const { generator } = Array.isArray(size) ? options : (size as RandomOptions);
  return noGrad(() => {
    const like = mean instanceof Tensor ? (std instanceof Tensor ? mean.add(std) : mean) : (std as Tensor);
    return drawn('normal', normalDraw(0, 1), like.shape, like.dtype, generator).mul(std).add(mean);
  });
}

// ── multinomial ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Indices drawn with the given weights, row by row. */
export function multinomial(
  input: Tensor,
  numSamples: number,
  replacement = false,
  options: RandomOptions = {},
): Tensor {
  const problem = (text: string): never => fail('E110', { op: 'multinomial', problem: text });
  if (input.ndim < 1 || input.ndim > 2) problem(`prob_dist must be 1 or 2 dim, got shape ${formatShape(input.shape)}`);
  const categories = input.shape[input.ndim - 1];
  if (numSamples <= 0) problem(`cannot sample n_sample <= 0 samples, got ${numSamples}`);
  if (!replacement && numSamples > categories)
    problem(`cannot sample n_sample > prob_dist.size(-1) samples without replacement: ${numSamples} > ${categories}`);
  const weights = elementsOf(input, 'multinomial') as number[];
  if (weights.some(w => !(w >= 0 && w < Number.POSITIVE_INFINITY)))
    problem('probability tensor contains either `inf`, `nan` or element < 0');
  const g = sourceFor('multinomial', options.generator);
  const rows = Array.from({ length: weights.length / categories }, (_, r) =>
    weights.slice(r * categories, (r + 1) * categories),
  );
  if (rows.some(row => row.every(w => w === 0)))
    problem('invalid multinomial distribution (sum of probabilities <= 0)');
  const picks =
    replacement && numSamples > 1
      ? rows.flatMap(row => withReplacement(g, row, numSamples))
      : race(g, rows, numSamples);
  return tensorOver(storeDrawn('int64', Float64Array.from(picks)), {
    dtype: 'int64',
    shape: [...input.shape.slice(0, -1), numSamples],
  });
}

/** Each draw is looked up in the cumulative distribution. */
function withReplacement(g: Generator, weights: readonly number[], count: number): number[] {
  let total = 0;
  const sums = weights.map(w => (total += w));
  const cumulative = sums.map(sum => sum / total);
  cumulative[cumulative.length - 1] = 1;
  return Array.from({ length: count }, () => {
    const u = g.uniform(53);
    let [left, right] = [0, cumulative.length];
    while (left < right) {
      const middle = (left + right) >> 1;
      if (cumulative[middle] < u) left = middle + 1;
      else right = middle;
    }
    return left;
  });
}

/** Exponential clocks race; the heavier the weight, the sooner its clock rings: the first `count` of each row win. */
function race(g: Generator, rows: readonly (readonly number[])[], count: number): number[] {
  return rows
    .map(row => row.map(w => w / -Math.log1p(-g.uniform(53))))
    .flatMap(speeds =>
      speeds
        .map((_, i) => i)
        .sort((a, b) => speeds[b] - speeds[a])
        .slice(0, count),
    );
}

// ── in place ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function fillWith(op: string, target: Tensor, draw: Draw, { generator }: RandomOptions): Tensor {
  const values = draw(sourceFor(op, generator), target.numel(), target.dtype, target.isContiguous());
  return assignInPlace(target, tensorOver(storeDrawn(target.dtype, values), target.type));
}

declare module '../compiler/ops/tensor.js' {
  interface Tensor {
    /** Uniform in [from, to). */
    uniform_(from?: Scalar, to?: Scalar, options?: RandomOptions): this;
    normal_(mean?: Scalar, std?: Scalar, options?: RandomOptions): this;
    /** 1 with probability `p`, given as a number or per element. */
    bernoulli_(p?: Scalar | Tensor, options?: RandomOptions): this;
    exponential_(lambd?: Scalar, options?: RandomOptions): this;
    cauchy_(median?: Scalar, sigma?: Scalar, options?: RandomOptions): this;
    geometric_(p: Scalar, options?: RandomOptions): this;
    logNormal_(mean?: Scalar, std?: Scalar, options?: RandomOptions): this;
    /** Integers below `to`, from `from` on, or of the whole range of the dtype. */
    random_(options?: RandomOptions): this;
    random_(to: number | bigint, options?: RandomOptions): this;
    random_(from: number | bigint, to: number | bigint, options?: RandomOptions): this;
  }
}

const num = (value: Scalar): number => Number(scalarValue(value));

Object.assign(Tensor.prototype, {
  uniform_(this: Tensor, from: Scalar = 0, to: Scalar = 1, options: RandomOptions = {}): Tensor {
    if (num(from) > num(to))
      fail('E110', {
        op: 'uniform_',
        problem: `expects to return a [from, to) range, but found from=${num(from)} > to=${num(to)}`,
      });
    return fillWith('uniform_', this, uniformDraw(num(from), num(to)), options);
  },
  normal_(this: Tensor, mean: Scalar = 0, std: Scalar = 1, options: RandomOptions = {}): Tensor {
    if (!(num(std) >= 0)) fail('E110', { op: 'normal_', problem: `expects std >= 0.0, but found std ${num(std)}` });
    return fillWith('normal_', this, normalDraw(num(mean), num(std)), options);
  },
  bernoulli_(this: Tensor, p: Scalar | Tensor = 0.5, options: RandomOptions = {}): Tensor {
    if (p instanceof Tensor) {
      const probabilities = probabilitiesOf('bernoulli_', p.expand(this.shape));
      return fillWith(
        'bernoulli_',
        this,
        bernoulliDraw(i => probabilities[i], p.dtype === 'float64' ? 53 : 24),
        options,
      );
    }
    if (!(num(p) >= 0 && num(p) <= 1))
      fail('E110', { op: 'bernoulli_', problem: `expects p to be in [0, 1], but got p=${num(p)}` });
    return fillWith(
      'bernoulli_',
      this,
      bernoulliDraw(() => num(p), 53),
      options,
    );
  },
  exponential_(this: Tensor, lambd: Scalar = 1, options: RandomOptions = {}): Tensor {
    if (!(num(lambd) >= 0))
      fail('E110', { op: 'exponential_', problem: `expects lambda >= 0.0, but found lambda=${num(lambd)}` });
    return fillWith('exponential_', this, exponentialDraw(num(lambd)), options);
  },
  cauchy_(this: Tensor, median: Scalar = 0, sigma: Scalar = 1, options: RandomOptions = {}): Tensor {
    return fillWith('cauchy_', this, cauchyDraw(num(median), num(sigma)), options);
  },
  geometric_(this: Tensor, p: Scalar, options: RandomOptions = {}): Tensor {
    if (!(num(p) > 0 && num(p) < 1))
      fail('E110', { op: 'geometric_', problem: `expects p to be in (0, 1), but got p=${num(p)}` });
    return fillWith('geometric_', this, geometricDraw(num(p)), options);
  },
  logNormal_(this: Tensor, mean: Scalar = 1, std: Scalar = 2, options: RandomOptions = {}): Tensor {
    return fillWith('logNormal_', this, logNormalDraw(num(mean), num(std)), options);
  },
  random_(this: Tensor, ...args: (number | bigint | RandomOptions)[]): Tensor {
    const options = args.find(arg => typeof arg === 'object') ?? {};
    const bounds = args.filter(arg => typeof arg !== 'object').map(BigInt);
    if (bounds.length === 0) return fillWith('random_', this, fullRangeDraw, options);
    const [from, to] = bounds.length === 1 ? [0n, bounds[0]] : bounds;
    checkRange('random_', from, to);
    return fillWith('random_', this, integerDraw(from, to), options);
  },
});
