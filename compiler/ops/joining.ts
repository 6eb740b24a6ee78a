/**
 * Several tensors as one, and what is built that way: stacks side by side, blocks, grids, powers, membership.
 *
 * Functions only, as in PyTorch; `cat` and `stack`, on which they rest, are in `shape.ts`.
 */
import { fail } from '../errors.js';
import { broadcastShapes, formatShape } from '../ir/shape.js';
import { composite, type Op } from './define.js';
import { exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import { cat, constantPad, stack } from './shape.js';
import type { Tensor } from './tensor.js';

type List = Op<(...tensors: [readonly Tensor[]] | Tensor[]) => Tensor>;
const joined = (name: string, doc: string, join: (tensors: readonly Tensor[]) => Tensor): List =>
  composite({
    name,
    doc,
    signature: 'tensors: tensors',
    compute: ({ tensors }) => join(tensors),
    samples: [sample([random([2, 3]), random([2, 3])]), sample([random([3]), random([3])])],
  });
const atLeast = (tensor: Tensor, rank: number): Tensor => {
  if (rank === 3 && tensor.ndim === 2) return tensor.unsqueeze(2);
  return tensor.ndim >= rank
    ? tensor
    : rank === 3
      ? atLeast(tensor, 2).unsqueeze(2)
      : tensor.reshape([...new Array(rank - tensor.ndim).fill(1), ...tensor.shape]);
};
export const hstack: List = joined('hstack', 'Joined side by side.', tensors => {
  const wide = tensors.map(tensor => atLeast(tensor, 1));
  return cat(wide, wide[0].ndim === 1 ? 0 : 1);
});
export const vstack: List = joined('vstack', 'Joined on top of each other.', tensors =>
  cat(
    tensors.map(tensor => atLeast(tensor, 2)),
    0,
  ),
);
export const dstack: List = joined('dstack', 'Joined along the third dim.', tensors =>
  cat(
    tensors.map(tensor => atLeast(tensor, 3)),
    2,
  ),
);

export const columnStack: List = joined(
  'columnStack',
  'Vectors as columns beside each other, matrices beside each other.',
  tensors =>
    cat(
      tensors.map(tensor => (tensor.ndim < 2 ? tensor.reshape([-1, 1]) : tensor)),
      1,
    ),
);

type AtLeast = Op<(input: Tensor) => Tensor>;
const atLeastOp = (rank: number): AtLeast =>
  composite({
    name: `atleast${rank}d`,
    doc: `The input with at least ${rank} dims.`,
    signature: 'input: tensor',
    compute: ({ input }) => atLeast(input, rank),
    samples: [sample(random([])), sample(random([3]))],
  });
export const atleast1d: AtLeast = atLeastOp(1);
export const atleast2d: AtLeast = atLeastOp(2);
export const atleast3d: AtLeast = atLeastOp(3);

export const blockDiag: List = composite({
  name: 'blockDiag',
  doc: 'Matrices along a diagonal.',
  signature: 'tensors: tensors',
  compute({ tensors }: { tensors: readonly Tensor[] }) {
    const blocks = tensors.map(tensor => atLeast(tensor, 2));
    const columns = blocks.reduce((sum, block) => sum + block.shape[1], 0);
    let before = 0;
    return cat(
      blocks.map(block => {
        const padded = constantPad(block, [0, 0, before, columns - before - block.shape[1]]);
        before += block.shape[1];
        return padded;
      }),
    );
  },
  samples: [sample([random([2, 2]), random([1, 3])])],
});

export const broadcastTensors: Op<(...tensors: [readonly Tensor[]] | Tensor[]) => Tensor[]> = composite({
  name: 'broadcastTensors',
  doc: 'All tensors expanded to their common shape.',
  signature: 'tensors: tensors',
  compute({ tensors }: { tensors: readonly Tensor[] }) {
    const shape = tensors.map(tensor => tensor.shape).reduce((a, b) => broadcastShapes('broadcastTensors', a, b));
    return tensors.map(tensor => tensor.expand(shape));
  },
  samples: [sample([random([2, 1]), random([3])])],
});

export const meshgrid: Op<(tensors: readonly Tensor[], options?: { indexing?: 'ij' | 'xy' }) => Tensor[]> = composite({
  name: 'meshgrid',
  doc: 'The coordinates of a grid, one tensor per axis.',
  signature: "tensors: tensors, *, indexing: string = 'ij'",
  compute({ tensors, indexing }: { tensors: readonly Tensor[]; indexing: string }) {
    if (tensors.some(axis => axis.ndim > 1))
      fail('E107', { op: 'meshgrid', problem: 'expected tensors of no or one dim' });
    const swapped = indexing === 'xy' && tensors.length >= 2;
    const axes = swapped ? [tensors[1], tensors[0], ...tensors.slice(2)] : tensors;
    const shape = axes.map(axis => axis.numel());
    const grids = axes.map((axis, d) => axis.reshape(shape.map((extent, e) => (e === d ? extent : 1))).expand(shape));
    return swapped ? [grids[1], grids[0], ...grids.slice(2)] : grids;
  },
  samples: [sample([random([2]), random([3])]), sample([random([2]), random([3])], { indexing: 'xy' })],
});

interface VanderOptions {
  readonly N?: number | null;
  readonly increasing?: boolean;
}
export const vander: Op<
  (x: Tensor, n?: number | null | VanderOptions, increasing?: boolean | VanderOptions) => Tensor
> = composite({
  name: 'vander',
  doc: 'Powers of the elements of a vector, one column each.',
  signature: 'x: tensor, N: int = null, increasing: bool = false',
  compute({ x, N, increasing }) {
    if (x.ndim !== 1) fail('E107', { op: 'vander', problem: 'x must be a one-dimensional tensor.' });
    const count = N ?? x.shape[0];
    if (count === 0) return x.unsqueeze(1).narrow(1, 0, 0);
    const powers = Array.from({ length: count }, (_, k) => x.pow(k));
    return stack(increasing ? powers : powers.reverse(), 1);
  },
  samples: [sample(random([3])), sample(random([3]), 4, true)],
});

export const cartesianProd: List = composite({
  name: 'cartesianProd',
  doc: 'All combinations of the elements of vectors, one a row.',
  signature: 'tensors: tensors',
  compute({ tensors }: { tensors: readonly Tensor[] }) {
    const wrong = tensors.find(tensor => tensor.ndim !== 1);
    if (wrong)
      fail('E107', { op: 'cartesianProd', problem: `Expect a 1D vector, but got shape ${formatShape(wrong.shape)}` });
    if (tensors.length === 1) return tensors[0];
    return stack(
      meshgrid(tensors).map(grid => grid.reshape([-1])),
      1,
    );
  },
  samples: [sample([random([2]), random([3])])],
});

export const isin: Op<
  (elements: Tensor, testElements: Tensor, options?: { assumeUnique?: boolean; invert?: boolean }) => Tensor
> = composite({
  name: 'isin',
  doc: 'Is each element among the test elements?',
  signature: 'elements: tensor, testElements: tensor, *, assumeUnique: bool = false, invert: bool = false',
  compute({ elements: values, testElements, invert }) {
    const found = values
      .unsqueeze(-1)
      .eq(testElements.reshape([-1]))
      .any(-1);
    return invert ? found.logicalNot() : found;
  },
  samples: [sampleWithoutGradient(integers([5], 0, 5), exactly([2], [1, 3], 'int64'))],
});
