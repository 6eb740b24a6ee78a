/** Tensors taken apart along a dim: lists of views. */
import { fail } from '../errors.js';
import { formatShape, normalizeDim } from '../ir/shape.js';
import { composite, type Op } from './define.js';
import { random, sample } from './samples.js';
import type { Tensor } from './tensor.js';
import { select, slice } from './view.js';

/** Consecutive slices of the given sizes. */
function slicesOf(input: Tensor, dim: number, sizes: readonly number[]): Tensor[] {
  let start = 0;
  return sizes.map(size => slice(input, dim, start, (start += size)));
}
const evenSizes = (extent: number, size: number): number[] =>
  Array.from({ length: Math.max(1, Math.ceil(extent / size)) }, (_, i) => Math.min(size, extent - i * size));

function needsDim(op: string, input: Tensor): void {
  if (input.ndim === 0) fail('E107', { op, problem: 'expects at least a 1-dimensional tensor' });
}

/** How many pieces. */
function checkCount(op: string, count: number): void {
  if (count <= 0) fail('E110', { op, problem: `the number of pieces must be greater than 0, but is ${count}` });
}

function checkPieceSize(size: number, extent: number): void {
  if (size < 0 || (size === 0 && extent > 0)) {
    const problem = `splitSize can only be 0 if the dim has size 0, and is never negative: ${size}, of a dim of ${extent}`;
    fail('E110', { op: 'split', problem });
  }
}

export const split: Op<
  (input: Tensor, splitSize: number | readonly number[], dim?: number | { readonly dim?: number }) => Tensor[]
> = composite({
  name: 'split',
  gradName: ({ splitSize }) => (typeof splitSize === 'number' ? 'SplitBackward0' : 'SplitWithSizesBackward0'),
  doc: 'Pieces of a size, or of the sizes listed, along a dim.',
  signature: 'input: tensor, splitSize: ints, dim: int = 0',
  compute({ input, splitSize, dim }) {
    needsDim('split', input);
    const d = normalizeDim('split', dim, input.ndim);
    const extent = input.shape[d];
    if (typeof splitSize === 'number') {
      checkPieceSize(splitSize, extent);
      return slicesOf(input, d, splitSize === 0 ? [0] : evenSizes(extent, splitSize));
    }
    for (const size of splitSize) if (size < 0) checkPieceSize(size, extent);
    const total = splitSize.reduce((sum: number, size: number) => sum + size, 0);
    if (total !== extent)
      fail('E107', {
        op: 'split',
        problem: `split_with_sizes expects split_sizes to sum exactly to ${extent} (input tensor's size at dimension ${d}), but got split_sizes=${formatShape(splitSize)}`,
      });
    return slicesOf(input, d, splitSize);
  },
  samples: [sample(random([5, 2]), 2), sample(random([2, 5]), [1, 4], 1)],
  errors: [{ args: [random([5]), [1, 2]], message: /sum exactly to 5/ }],
});

export const splitWithSizes: Op<
  (input: Tensor, splitSizes: readonly number[], dim?: number | { readonly dim?: number }) => Tensor[]
> = composite({
  name: 'splitWithSizes',
  doc: 'Pieces of the sizes listed, along a dim.',
  signature: 'input: tensor, splitSizes: ints, dim: int = 0',
  compute: ({ input, splitSizes, dim }) => split(input, [splitSizes].flat(), dim),
  samples: [sample(random([2, 5]), [1, 4], 1)],
});

export const chunk: Op<(input: Tensor, chunks: number, dim?: number | { readonly dim?: number }) => Tensor[]> =
  composite({
    name: 'chunk',
    gradName: 'SplitBackward0',
    doc: 'At most `chunks` equal pieces along a dim; the last may be smaller.',
    signature: 'input: tensor, chunks: int, dim: int = 0',
    compute({ input, chunks, dim }) {
      needsDim('chunk', input);
      checkCount('chunk', chunks);
      const d = normalizeDim('chunk', dim, input.ndim);
      if (input.shape[d] === 0) return slicesOf(input, d, new Array<number>(chunks).fill(0));
      return slicesOf(input, d, evenSizes(input.shape[d], Math.max(1, Math.ceil(input.shape[d] / chunks))));
    },
    samples: [sample(random([5, 2]), 2), sample(random([2, 6]), 3, 1)],
  });

export const tensorSplit: Op<
  (input: Tensor, indicesOrSections: number | readonly number[], dim?: number | { readonly dim?: number }) => Tensor[]
> = composite({
  name: 'tensorSplit',
  doc: 'As many pieces as asked for, the first ones larger by one, or pieces between the given positions.',
  signature: 'input: tensor, indicesOrSections: ints, dim: int = 0',
  compute({ input, indicesOrSections, dim }) {
    const d = normalizeDim('tensorSplit', dim, input.ndim);
    const extent = input.shape[d];
    if (typeof indicesOrSections !== 'number') {
      const bounds = [0, ...indicesOrSections, extent];
      return bounds.slice(1).map((end, i) => slice(input, d, bounds[i], end));
    }
    checkCount('tensorSplit', indicesOrSections);
    const size = Math.floor(extent / indicesOrSections);
    const larger = extent % indicesOrSections;
    return slicesOf(
      input,
      d,
      Array.from({ length: indicesOrSections }, (_, i) => size + (i < larger ? 1 : 0)),
    );
  },
  samples: [sample(random([5, 2]), 3), sample(random([5]), [1, 3])],
});

type SplitAt = Op<(input: Tensor, indicesOrSections: number | readonly number[]) => Tensor[]>;
const splitAlong = (name: string, doc: string, dimOf: (input: Tensor) => number): SplitAt =>
  composite({
    name,
    doc,
    signature: 'input: tensor, indicesOrSections: ints',
    compute({ input, indicesOrSections }) {
      const extent = input.shape[dimOf(input)];
      if (typeof indicesOrSections === 'number' && extent % indicesOrSections !== 0) {
        const problem = `the size of the dimension, ${extent}, is not divisible by the split size ${indicesOrSections}`;
        fail('E107', { op: name, problem });
      }
      return tensorSplit(input, indicesOrSections, dimOf(input));
    },
    samples: [sample(random([2, 4, 2]), 2)],
  });
export const hsplit: SplitAt = splitAlong('hsplit', 'Pieces side by side.', input => (input.ndim === 1 ? 0 : 1));
export const vsplit: SplitAt = splitAlong('vsplit', 'Pieces on top of each other.', () => 0);
export const dsplit: SplitAt = splitAlong('dsplit', 'Pieces along the third dim.', () => 2);

export const unbind: Op<(input: Tensor, dim?: number | { readonly dim?: number }) => Tensor[]> = composite({
  name: 'unbind',
  gradName: 'UnbindBackward0',
  doc: 'All positions along a dim, each without that dim.',
  signature: 'input: tensor, dim: int = 0',
  compute({ input, dim }) {
    needsDim('unbind', input);
    const d = normalizeDim('unbind', dim, input.ndim);
    return Array.from({ length: input.shape[d] }, (_, i) => select(input, d, i));
  },
  samples: [sample(random([2, 3]), 1)],
});
