/**
 * Random tensors, and where their numbers come from.
 *
 * Eagerly: PyTorch's CPU generator, drawn from as PyTorch draws, so that seeds agree bit for bit. In a traced entry: the
 * counter-based generator (`compiler/ops/random.ts`), whose state is the model's, so that each call draws anew. Where the
 * entry itself seeds a generator, every call starts from that seed: the draws that follow are PyTorch's again, the same in
 * each call, and so constants of the compiled program.
 */
import { fail } from '../compiler/errors.js';
import { type DType, getDefaultDtype, isComplexDType, isFloat, partType } from '../compiler/ir/dtype.js';
import { formatShape, type Shape } from '../compiler/ir/shape.js';
import { requireValues } from '../compiler/ops/checks.js';
import { viewAsComplex } from '../compiler/ops/complex/index.js';
import { setComplexRule } from '../compiler/ops/complex/rules.js';
import { scalarValue } from '../compiler/ops/define.js';
import { bindArguments, parseSignature, type Scalar } from '../compiler/ops/signature.js';
import { assignInPlace, noGrad } from '../compiler/ops/tape.js';
import { isConstant, Tensor } from '../compiler/ops/tensor.js';
import { elementsOf } from './bridge.js';
import type { CreationOptions, SizeArguments } from './creation.js';
import * as draws from './draws.js';
import { type Distribution, sample, valuesAs } from './draws.js';
import { defaultGenerator, type Generator } from './generator.js';
import { type InOrder, type NeededInOrder, needed, settingsByName } from './in-order.js';

export interface RandomOptions {
  readonly generator?: Generator | null;
}
type RandomCreation = CreationOptions & RandomOptions;

/** The generator to draw from; null where the counter-based one is meant. */
export function sourceFor(op: string, given: Generator | null | undefined): Generator | null {
  const generator = given ?? defaultGenerator;
  if (generator.isSetHere) return generator;
  if (given) {
    fail('E304', {
      problem: `${op} draws from a generator that was seeded outside the entry being traced; the compiled entry would repeat the same numbers`,
      hint: "leave the generator out: the numbers then come from the model's own state and differ from call to call; or seed it inside the entry, if each call is to draw the same",
    });
  }
  return null;
}

/** A seed for another generator, as PyTorch draws it. Throws E304 in an entry that has not seeded the one drawn from. */
export function drawSeed(generator: Generator | null): bigint {
  const source = generator ?? defaultGenerator;
  if (!source.isSetHere)
    fail('E304', {
      problem: 'the entry being traced shuffles data; the compiled entry would repeat the same order',
      hint: 'load data outside the entry and pass it in; or call manualSeed() in the entry, if each call is to have one order',
    });
  return BigInt.asUintN(63, source.random64());
}

// ── new tensors ────────────────────────────────────────────────────────────────────────────────────────────────────────

const drawn = (
  op: string,
  distribution: Distribution,
  shape: Shape,
  dtype: DType,
  generator?: Generator | null,
): Tensor => sample(distribution, sourceFor(op, generator), shape, dtype);

const randomParams = parseSignature(
  'size: size = [], *, dtype: dtype = null, requiresGrad: bool = false, generator: any = null',
);
function randomTensor(op: string, distribution: Distribution, args: SizeArguments): Tensor {
  const { size, dtype, requiresGrad, generator } = bindArguments(op, randomParams, args);
  const resolved: DType = dtype ?? getDefaultDtype();
  if (isComplexDType(resolved)) {
    const parts = randomTensor(op, distribution, [
      [...[size].flat(), 2],
      { dtype: partType(resolved), generator } as CreationOptions,
    ]);
    const numbers = viewAsComplex(op === 'randn' ? parts.mul(Math.SQRT1_2) : parts);
    return requiresGrad ? numbers.requiresGrad_() : numbers;
  }
  if (!isFloat(resolved))
    fail('E108', { op, problem: `draws floating-point numbers, not ${resolved}`, hint: 'use randint for integers' });
  const made = drawn(op, distribution, size, resolved, generator);
  return requiresGrad ? made.requiresGrad_() : made;
}

/** Of a complex dtype, both parts are drawn; those of `randn` with a variance of 1/2 each. */
for (const op of ['rand', 'randn']) setComplexRule(op, 'as written');

/** Uniform in [0, 1). */
export const rand = (...size: readonly (number | readonly number[] | RandomCreation)[]): Tensor =>
  randomTensor('rand', draws.uniform(0, 1), size);
/** Standard normal. */
export const randn = (...size: readonly (number | readonly number[] | RandomCreation)[]): Tensor =>
  randomTensor('randn', draws.normal(0, 1), size);
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
  const made = drawn('randint', draws.integers(from, to), size, options.dtype ?? 'int64', options.generator);
  return options.requiresGrad ? made.requiresGrad_() : made;
}

/** Integers in [0, high), or in [low, high), of the shape and dtype of a tensor. */
export function randintLike(input: Tensor, high: number | bigint, options?: RandomCreation): Tensor;
export function randintLike(
  input: Tensor,
  low: number | bigint,
  high: number | bigint,
  options?: RandomCreation,
): Tensor;
export function randintLike(
  input: Tensor,
  first: number | bigint,
  second?: number | bigint | RandomCreation,
  third: RandomCreation = {},
): Tensor {
  const [low, high, options] =
    typeof second === 'object' || second === undefined ? [0, first, second] : [first, second, third];
  return randint(low, high, input.shape, { dtype: input.dtype, ...options });
}

/** The integers below n in random order. */
export function randperm(n: number, options: RandomCreation = {}): Tensor {
  if (!(n >= 0)) fail('E110', { op: 'randperm', problem: `n must be non-negative, got ${n}` });
  return drawn('randperm', draws.permutation(n), [n], options.dtype ?? 'int64', options.generator);
}

/** 1 with the probability that each element gives, else 0. */
export function bernoulli(input: Tensor, options: RandomOptions & { readonly p?: number } = {}): Tensor {
  const { p, generator } = options;
  if (p !== undefined) return noGrad(() => input.zerosLike().bernoulli_(p, options));
  return noGrad(() => successes('bernoulli', input, generator).to(input.dtype));
}

/** Where a uniform number falls below a probability; compared in single precision, or in double for doubles. */
function successes(op: string, probabilities: Tensor, generator: Generator | null | undefined): Tensor {
  const { dtype, shape } = probabilities;
  if (!isFloat(dtype)) fail('E108', { op, problem: `expects floating-point probabilities, got ${dtype}` });
  if (isConstant(probabilities)) {
    const bad = (elementsOf(probabilities, op) as number[]).find(p => !(p >= 0 && p <= 1));
    if (bad !== undefined) fail('E110', { op, problem: `Expected p_in >= 0 && p_in <= 1, but got ${bad}` });
  }
  const precision = dtype === 'float64' ? 'float64' : 'float32';
  return drawn(op, draws.uniform(0, 1), shape, precision, generator).lt(probabilities.to(precision));
}

/** Normal with the given mean and deviation: tensors that broadcast, or two numbers and a size. */
export function normal(
  mean: Tensor | number,
  std: Tensor | number,
  size: Shape | RandomOptions = [],
  options: RandomOptions = {},
): Tensor {
  if (!(std instanceof Tensor) && !(std >= 0))
    fail('E110', { op: 'normal', problem: `expects std >= 0.0, but found std ${std}` });
  if (std instanceof Tensor)
    requireValues(std, {
      op: 'normal',
      accepts: value => value >= 0,
      acceptsAll: all => all.ge(0),
      refuse: () => fail('E110', { op: 'normal', problem: 'expects all elements of std >= 0.0' }),
    });
  if (!(mean instanceof Tensor) && !(std instanceof Tensor)) {
    const [shape, rest] = Array.isArray(size) ? [size as Shape, options] : [[], size as RandomOptions];
    return drawn('normal', draws.normal(mean, std), shape, getDefaultDtype(), rest.generator);
  }
  const { generator } = Array.isArray(size) ? options : (size as RandomOptions);
  return noGrad(() => {
    const like = mean instanceof Tensor ? (std instanceof Tensor ? mean.add(std) : mean) : (std as Tensor);
    return drawn('normal', draws.normal(0, 1), like.shape, like.dtype, generator).mul(std).add(mean);
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
  const g = sourceFor('multinomial', options.generator);
  if (g === null || !isConstant(input))
    return noGrad(() => (replacement ? computedPicks : computedRace)(g, input.to('float64'), numSamples));
  const weights = elementsOf(input, 'multinomial') as number[];
  if (weights.some(w => !(w >= 0 && w < Number.POSITIVE_INFINITY)))
    problem('probability tensor contains either `inf`, `nan` or element < 0');
  const rows = Array.from({ length: weights.length / categories }, (_, r) =>
    weights.slice(r * categories, (r + 1) * categories),
  );
  if (rows.some(row => row.every(w => w === 0)))
    problem('invalid multinomial distribution (sum of probabilities <= 0)');
  const picks = replacement ? rows.flatMap(row => withReplacement(g, row, numSamples)) : race(g, rows, numSamples);
  return valuesAs(Float64Array.from(picks), [...input.shape.slice(0, -1), numSamples], 'int64');
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

/** The same on tensors: as many categories lie before a draw as end below it. */
function computedPicks(g: Generator | null, weights: Tensor, count: number): Tensor {
  const sums = weights.cumsum(-1);
  const ends = sums.div(sums.narrow(-1, sums.shape[sums.ndim - 1] - 1, 1)).narrow(-1, 0, weights.size(-1) - 1);
  const u = sample(draws.uniform(0, 1), g, [...weights.shape.slice(0, -1), count], 'float64');
  return ends.unsqueeze(-2).lt(u.unsqueeze(-1)).sum(-1);
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

/** The same on tensors. */
function computedRace(g: Generator | null, weights: Tensor, count: number): Tensor {
  const times = sample(draws.exponential(1), g, weights.shape, 'float64');
  return weights.div(times).argsort(-1, true).narrow(-1, 0, count);
}

// ── in place ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function fillWith(op: string, target: Tensor, distribution: Distribution, { generator }: RandomOptions): Tensor {
  const source = sourceFor(op, generator);
  return assignInPlace(target, sample(distribution, source, target.shape, target.dtype, target.isContiguous()));
}

/** Numbers that say how a distribution lies, and where it is drawn from. */
type Filling<Names extends string> = { readonly [N in Names]?: Scalar } & RandomOptions;
const filling = <Name extends string>(op: string, order: readonly Name[], given: readonly unknown[]): Filling<Name> =>
  settingsByName(op, order, ['generator'], given) as Filling<Name>;

declare module '../compiler/ops/tensor.js' {
  interface Tensor {
    /** 1 with the probability that each element gives, or with probability `p` for all; else 0. */
    bernoulli(p?: number, options?: RandomOptions): Tensor;
    /** Indices drawn with the weights in each row. */
    multinomial(numSamples: number, replacement?: boolean, options?: RandomOptions): Tensor;
    /** Uniform in [from, to). */
    uniform_(...given: InOrder<Filling<'from' | 'to'>, ['from', 'to']>): this;
    normal_(...given: InOrder<Filling<'mean' | 'std'>, ['mean', 'std']>): this;
    /** 1 with probability `p`, given as a number or per element. */
    bernoulli_(p?: Scalar | Tensor, options?: RandomOptions): this;
    exponential_(...given: InOrder<Filling<'lambd'>, ['lambd']>): this;
    cauchy_(...given: InOrder<Filling<'median' | 'sigma'>, ['median', 'sigma']>): this;
    geometric_(...given: NeededInOrder<Filling<'p'> & { readonly p: Scalar }, ['p'], []>): this;
    logNormal_(...given: InOrder<Filling<'mean' | 'std'>, ['mean', 'std']>): this;
    /** Integers below `to`, from `from` on, or of the whole range of the dtype. */
    random_(options?: RandomOptions): this;
    random_(to: number | bigint, options?: RandomOptions): this;
    random_(from: number | bigint, to: number | bigint, options?: RandomOptions): this;
  }
}

const num = (value: Scalar): number => Number(scalarValue(value));

Object.assign(Tensor.prototype, {
  bernoulli(this: Tensor, p?: number, options: RandomOptions = {}): Tensor {
    return bernoulli(this, { p, ...options });
  },
  multinomial(this: Tensor, numSamples: number, replacement?: boolean, options?: RandomOptions): Tensor {
    return multinomial(this, numSamples, replacement, options);
  },
  uniform_(this: Tensor, ...given: readonly unknown[]): Tensor {
    const { from = 0, to = 1, ...options } = filling('uniform_', ['from', 'to'], given);
    if (num(from) > num(to))
      fail('E110', {
        op: 'uniform_',
        problem: `expects to return a [from, to) range, but found from=${num(from)} > to=${num(to)}`,
      });
    return fillWith('uniform_', this, draws.uniform(num(from), num(to)), options);
  },
  normal_(this: Tensor, ...given: readonly unknown[]): Tensor {
    const { mean = 0, std = 1, ...options } = filling('normal_', ['mean', 'std'], given);
    if (!(num(std) >= 0)) fail('E110', { op: 'normal_', problem: `expects std >= 0.0, but found std ${num(std)}` });
    return fillWith('normal_', this, draws.normal(num(mean), num(std)), options);
  },
  bernoulli_(this: Tensor, p: Scalar | Tensor = 0.5, options: RandomOptions = {}): Tensor {
    if (p instanceof Tensor)
      return this.copy_(noGrad(() => successes('bernoulli_', p.expand(this.shape), options.generator)));
    if (!(num(p) >= 0 && num(p) <= 1))
      fail('E110', { op: 'bernoulli_', problem: `expects p to be in [0, 1], but got p=${num(p)}` });
    return fillWith('bernoulli_', this, draws.bernoulli(num(p)), options);
  },
  exponential_(this: Tensor, ...given: readonly unknown[]): Tensor {
    const { lambd = 1, ...options } = filling('exponential_', ['lambd'], given);
    if (!(num(lambd) >= 0))
      fail('E110', { op: 'exponential_', problem: `expects lambda >= 0.0, but found lambda=${num(lambd)}` });
    return fillWith('exponential_', this, draws.exponential(num(lambd)), options);
  },
  cauchy_(this: Tensor, ...given: readonly unknown[]): Tensor {
    const { median = 0, sigma = 1, ...options } = filling('cauchy_', ['median', 'sigma'], given);
    return fillWith('cauchy_', this, draws.cauchy(num(median), num(sigma)), options);
  },
  geometric_(this: Tensor, ...given: readonly unknown[]): Tensor {
    const { p, ...options } = needed('geometric_', ['p'], filling('geometric_', ['p'], given)) as { p: Scalar };
    if (!(num(p) > 0 && num(p) < 1))
      fail('E110', { op: 'geometric_', problem: `expects p to be in (0, 1), but got p=${num(p)}` });
    return fillWith('geometric_', this, draws.geometric(num(p)), options);
  },
  logNormal_(this: Tensor, ...given: readonly unknown[]): Tensor {
    const { mean = 1, std = 2, ...options } = filling('logNormal_', ['mean', 'std'], given);
    return fillWith('logNormal_', this, draws.logNormal(num(mean), num(std)), options);
  },
  random_(this: Tensor, ...args: (number | bigint | RandomOptions)[]): Tensor {
    const options = args.find(arg => typeof arg === 'object') ?? {};
    const bounds = args.filter(arg => typeof arg !== 'object').map(BigInt);
    if (bounds.length === 0) return fillWith('random_', this, draws.fullRange, options);
    const [from, to] = bounds.length === 1 ? [0n, bounds[0]] : bounds;
    checkRange('random_', from, to);
    return fillWith('random_', this, draws.integers(from, to), options);
  },
});
