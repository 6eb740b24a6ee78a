/** Orders in which the items of a data set are visited. */
import { fail } from '../../compiler/errors.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import { tensor } from '../creation.js';
import { Generator } from '../generator.js';
import { drawSeed, multinomial, randint, randperm } from '../random.js';

/** Yields indices; each iteration may give another order. */
export interface Sampler<T = number> extends Iterable<T> {
  readonly length: number;
}

interface Sized {
  readonly length: number;
}

const listOf = (order: Tensor): number[] => elementsOf(order, 'a sampler') as number[];

export class SequentialSampler implements Sampler {
  constructor(readonly dataSource: Sized) {}
  get length(): number {
    return this.dataSource.length;
  }
  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.dataSource.length; i++) yield i;
  }
}

export interface RandomSamplerOptions {
  readonly replacement?: boolean;
  readonly numSamples?: number | null;
  readonly generator?: Generator | null;
}
/** A new random order each time. Without a generator, each iteration seeds one from the default generator. */
export class RandomSampler implements Sampler {
  readonly replacement: boolean;
  readonly length: number;
  readonly generator: Generator | null;
  constructor(
    readonly dataSource: Sized,
    { replacement = false, numSamples = null, generator = null }: RandomSamplerOptions = {},
  ) {
    this.replacement = replacement;
    this.length = numSamples ?? dataSource.length;
    this.generator = generator;
    if (!(this.length > 0)) {
      fail('E208', { problem: `num_samples should be a positive integer value, but got num_samples=${this.length}` });
    }
  }
  *[Symbol.iterator](): IterableIterator<number> {
    const generator = this.generator ?? new Generator().manualSeed(drawSeed(null));
    const count = this.dataSource.length;
    if (this.replacement) {
      const block = 32;
      for (let start = 0; start < this.length; start += block) {
        yield* listOf(randint(count, [Math.min(block, this.length - start)], { generator }));
      }
      return;
    }
    for (let done = 0; done < this.length; done += count) {
      yield* listOf(randperm(count, { generator })).slice(0, this.length - done);
    }
  }
}

/** Items of given indices in random order. */
export class SubsetRandomSampler implements Sampler {
  readonly generator: Generator | null;
  constructor(
    readonly indices: readonly number[],
    { generator = null }: { readonly generator?: Generator | null } = {},
  ) {
    this.generator = generator;
  }
  get length(): number {
    return this.indices.length;
  }
  *[Symbol.iterator](): IterableIterator<number> {
    for (const i of listOf(randperm(this.indices.length, { generator: this.generator }))) yield this.indices[i];
  }
}

/** Items drawn with given weights. */
export class WeightedRandomSampler implements Sampler {
  readonly weights: Tensor;
  readonly length: number;
  readonly replacement: boolean;
  readonly generator: Generator | null;
  constructor(
    weights: readonly number[] | Tensor,
    numSamples: number,
    replacement: boolean | RandomSamplerOptions = true,
    options: RandomSamplerOptions = typeof replacement === 'object' ? replacement : {},
  ) {
    this.weights = weights instanceof Tensor ? weights.to('float64') : tensor(weights, { dtype: 'float64' });
    this.length = numSamples;
    this.replacement = typeof replacement === 'boolean' ? replacement : (replacement.replacement ?? true);
    this.generator = options.generator ?? null;
  }
  *[Symbol.iterator](): IterableIterator<number> {
    yield* listOf(multinomial(this.weights, this.length, this.replacement, { generator: this.generator }));
  }
}

/** Indices of a sampler in groups. */
export class BatchSampler implements Sampler<number[]> {
  constructor(
    readonly sampler: Sampler,
    readonly batchSize: number,
    readonly dropLast: boolean,
  ) {
    if (!Number.isInteger(batchSize) || batchSize <= 0) {
      fail('E208', { problem: `batch_size should be a positive integer value, but got batch_size=${batchSize}` });
    }
  }
  get length(): number {
    return Math[this.dropLast ? 'floor' : 'ceil'](this.sampler.length / this.batchSize);
  }
  *[Symbol.iterator](): IterableIterator<number[]> {
    let batch: number[] = [];
    for (const index of this.sampler) {
      batch.push(index);
      if (batch.length < this.batchSize) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0 && !this.dropLast) yield batch;
  }
}
