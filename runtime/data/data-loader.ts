/** Batches of a data set, in order or shuffled as PyTorch shuffles. */
import { fail } from '../../compiler/errors.js';
import { stack } from '../../compiler/ops/shape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { tensor } from '../creation.js';
import { defaultGenerator, type Generator } from '../generator.js';
import { drawSeed } from '../random.js';
import { type DatasetLike, itemAt } from './dataset.js';
import { BatchSampler, RandomSampler, type Sampler, SequentialSampler } from './sampler.js';

/** What the default collation makes of items: tensors stacked, numbers in a tensor, lists and objects part by part. */
export type Collated<T> = T extends Tensor | number | bigint | boolean
  ? Tensor
  : T extends string
    ? string[]
    : T extends readonly (infer I)[]
      ? Collated<I>[]
      : { [K in keyof T]: Collated<T[K]> };

/** Items of one shape as one: stacked tensors, at every place of lists and objects. */
export function defaultCollate<T>(items: readonly T[]): Collated<T> {
  const [first] = items as readonly unknown[];
  const collate = (): unknown => {
    if (first instanceof Tensor) return stack(items as readonly Tensor[]);
    if (typeof first === 'number') {
      return tensor(items as readonly number[], { dtype: items.every(Number.isInteger) ? 'int64' : 'float64' });
    }
    if (typeof first === 'bigint' || typeof first === 'boolean') return tensor(items as readonly boolean[]);
    if (typeof first === 'string') return [...items];
    if (Array.isArray(first)) {
      const lists = items as readonly unknown[][];
      if (lists.some(list => list.length !== first.length))
        fail('E208', { problem: 'each element in list of batch should be of equal size' });
      return first.map((_, i) => defaultCollate(lists.map(list => list[i])));
    }
    if (typeof first === 'object' && first !== null) {
      const objects = items as readonly Record<string, unknown>[];
      return Object.fromEntries(
        Object.keys(first).map(key => [key, defaultCollate(objects.map(object => object[key]))]),
      );
    }
    return fail('E208', {
      problem: `the default collation takes tensors, numbers, strings, lists and objects, not ${typeof first}`,
      hint: 'give the DataLoader a collateFn',
    });
  };
  return collate() as Collated<T>;
}

export interface DataLoaderOptions<T, B> {
  /** Items per batch. Default 1. */
  readonly batchSize?: number;
  readonly shuffle?: boolean;
  readonly sampler?: Sampler | null;
  readonly batchSampler?: Sampler<number[]> | null;
  readonly dropLast?: boolean;
  readonly generator?: Generator | null;
  /** Makes a batch of items. Default: `defaultCollate`. */
  readonly collateFn?: (items: readonly T[]) => B;
}

export class DataLoader<T, B = Collated<T>> {
  readonly dataset: DatasetLike<T>;
  readonly batchSampler: Sampler<number[]>;
  readonly #generator: Generator | null;
  readonly #collate: (items: readonly T[]) => B;

  constructor(dataset: DatasetLike<T>, options: DataLoaderOptions<T, B> = {}) {
    const {
      batchSize = 1,
      shuffle = false,
      sampler = null,
      batchSampler = null,
      dropLast = false,
      generator = null,
    } = options;
    if (sampler !== null && shuffle) fail('E208', { problem: 'sampler option is mutually exclusive with shuffle' });
    if (batchSampler !== null && (sampler !== null || shuffle || dropLast || options.batchSize !== undefined)) {
      fail('E208', {
        problem: 'batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last',
      });
    }
    this.dataset = dataset;
    const order = sampler ?? (shuffle ? new RandomSampler(dataset, { generator }) : new SequentialSampler(dataset));
    this.batchSampler = batchSampler ?? new BatchSampler(order, batchSize, dropLast);
    this.#generator = generator;
    this.#collate = options.collateFn ?? (items => defaultCollate(items) as unknown as B);
  }

  /** Number of batches. */
  get length(): number {
    return this.batchSampler.length;
  }

  *[Symbol.iterator](): IterableIterator<B> {
    // PyTorch draws a base seed for its workers before the sampler draws its own; without it the orders would differ.
    const source = this.#generator ?? defaultGenerator;
    if (source.isSetHere) drawSeed(source);
    for (const indices of this.batchSampler) yield this.#collate(indices.map(index => itemAt(this.dataset, index)));
  }
}
