/** Data sets: anything with a length and items by index. */
import { fail } from '../../compiler/errors.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import type { Generator } from '../generator.js';
import { randperm } from '../random.js';

/** What a DataLoader draws from; an array is one. */
export interface Dataset<T> {
  readonly length: number;
  /** The item at an index. */
  get(index: number): T;
}
export type DatasetLike<T> = Dataset<T> | readonly T[];

export const itemAt = <T>(dataset: DatasetLike<T>, index: number): T =>
  Array.isArray(dataset) ? (dataset as readonly T[])[index] : (dataset as Dataset<T>).get(index);

/** Rows of tensors of one length, as lists with one tensor each. */
export class TensorDataset implements Dataset<Tensor[]> {
  readonly tensors: readonly Tensor[];
  constructor(...tensors: readonly Tensor[]) {
    if (tensors.length === 0 || tensors.some(tensor => tensor.ndim === 0 || tensor.shape[0] !== tensors[0].shape[0])) {
      fail('E208', {
        problem: `Size mismatch between tensors: ${tensors.map(t => `[${t.shape.join(', ')}]`).join(', ')}`,
        hint: 'all tensors of a TensorDataset must have the same first dim',
      });
    }
    this.tensors = tensors;
  }
  get length(): number {
    return this.tensors[0].shape[0];
  }
  get(index: number): Tensor[] {
    return this.tensors.map(tensor => tensor.select(0, index));
  }
}

/** Some items of a data set. */
export class Subset<T> implements Dataset<T> {
  constructor(
    readonly dataset: DatasetLike<T>,
    readonly indices: readonly number[],
  ) {}
  get length(): number {
    return this.indices.length;
  }
  get(index: number): T {
    return itemAt(this.dataset, this.indices[index]);
  }
}

/** Several data sets one after another. */
export class ConcatDataset<T> implements Dataset<T> {
  constructor(readonly datasets: readonly DatasetLike<T>[]) {}
  get length(): number {
    return this.datasets.reduce((sum, dataset) => sum + dataset.length, 0);
  }
  get(index: number): T {
    let rest = index;
    for (const dataset of this.datasets) {
      if (rest < dataset.length) return itemAt(dataset, rest);
      rest -= dataset.length;
    }
    return fail('E109', { op: 'ConcatDataset', problem: `index ${index} is out of range for ${this.length} items` });
  }
}

/** Disjoint random parts of a data set, of the given lengths, or of shares that add up to 1. */
export function randomSplit<T>(
  dataset: DatasetLike<T>,
  lengths: readonly number[],
  { generator }: { readonly generator?: Generator } = {},
): Subset<T>[] {
  const sizes = lengths.every(length => length < 1) ? fromShares(dataset.length, lengths) : lengths;
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total !== dataset.length) {
    fail('E208', {
      problem: `Sum of input lengths (${total}) does not equal the length of the input dataset (${dataset.length})!`,
    });
  }
  const order = elementsOf(randperm(total, { generator }), 'randomSplit') as number[];
  let start = 0;
  return sizes.map(size => {
    start += size;
    return new Subset(dataset, order.slice(start - size, start));
  });
}

/** Whole numbers of items for shares: rounded down, what remains handed out from the front. */
function fromShares(count: number, shares: readonly number[]): number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) > 1e-9)
    fail('E208', { problem: `shares of a data set must add up to 1, these add up to ${sum}` });
  const sizes = shares.map(share => Math.floor(count * share));
  const rest = count - sizes.reduce((a, b) => a + b, 0);
  return sizes.map((size, i) => size + (i < rest ? 1 : 0));
}
