/**
 * Images and volumes read at points: where an affine map sends the cells of one, and what is there.
 *
 * Points are in [-1, 1], first coordinate along the last dim. A read is a weighted sum of the cells around the point, each
 * gathered from the flattened image; the weights carry the gradient to the points.
 */
import { fail } from '../errors.js';
import { formatShape, numel, type Shape } from '../ir/shape.js';
import { iota } from './creation.js';
import { cubicWeight } from './cubic.js';
import { composite, full, type Op } from './define.js';
import { random, sample } from './samples.js';
import { stack } from './shape.js';
import type { Tensor } from './tensor.js';

// ── where an affine map sends the cells ────────────────────────────────────────────────────────────────────────────────

/** The coordinates of the cells along a dim. */
function cellCoordinates(count: number, like: Tensor, alignCorners: boolean): Tensor {
  const steps = iota(count, { dtype: like.dtype });
  if (!alignCorners) return steps.mul(2).add(1).div(count).sub(1);
  return count > 1 ? steps.mul(2 / (count - 1)).sub(1) : steps;
}

export const affineGrid: Op<
  (theta: Tensor, size: readonly number[], alignCorners?: boolean | { alignCorners?: boolean }) => Tensor
> = composite({
  name: 'affineGrid',
  gradName: 'AffineGridGeneratorBackward0',
  doc: 'The points [N, H, W, 2] that an affine map [N, 2, 3] sends the cells of [N, C, H, W] to; [N, D, H, W, 3] by [N, 3, 4].',
  signature: 'theta: tensor, size: size, alignCorners: bool = false',
  compute({ theta, size, alignCorners }: { theta: Tensor; size: readonly number[]; alignCorners: boolean }) {
    const spatial = size.slice(2);
    const rank = spatial.length;
    const expected = [size[0], rank, rank + 1];
    if (rank !== 2 && rank !== 3)
      fail('E107', { op: 'affineGrid', problem: `only supports sizes of 4 or 5 dims, not ${formatShape(size)}` });
    if (formatShape(theta.shape) !== formatShape(expected)) {
      const problem = `expected affine maps of shape ${formatShape(expected)}, but got ${formatShape(theta.shape)}`;
      fail('E107', { op: 'affineGrid', problem });
    }
    const along = (axis: number): Tensor => {
      const d = rank - 1 - axis;
      const shape = spatial.map((extent, e) => (e === d ? extent : 1));
      return cellCoordinates(spatial[d], theta, alignCorners).reshape(shape);
    };
    const coefficient = (row: number, column: number): Tensor =>
      theta
        .select(1, row)
        .select(1, column)
        .reshape([size[0], ...spatial.map(() => 1)]);
    const image = (row: number): Tensor => {
      const terms = spatial.map((_, axis) => coefficient(row, axis).mul(along(axis)));
      return terms.reduce((sum, term) => sum.add(term), coefficient(row, rank)).expand([size[0], ...spatial]);
    };
    return stack(
      spatial.map((_, row) => image(row)),
      -1,
    );
  },
  samples: [
    sample(random([1, 2, 3]), [1, 1, 2, 3]),
    sample(random([1, 2, 3]), [1, 1, 2, 3], { alignCorners: true }),
    sample(random([1, 3, 4]), [1, 1, 2, 2, 3]),
  ],
});

// ── what is at the points ──────────────────────────────────────────────────────────────────────────────────────────────

type Padding = 'zeros' | 'border' | 'reflection';
type Mode = 'bilinear' | 'nearest' | 'bicubic';
const paddings = ['zeros', 'border', 'reflection'];
interface SampleOptions {
  readonly mode?: Mode;
  readonly paddingMode?: Padding;
  readonly alignCorners?: boolean | null;
}

/** Coordinates in [-1, 1] as positions in cells. */
const toCells = (at: Tensor, extent: number, alignCorners: boolean): Tensor =>
  alignCorners ? at.add(1).mul((extent - 1) / 2) : at.add(1).mul(extent).sub(1).div(2);

/** Positions outside brought inside, by stopping at the border or by mirrors at both ends. */
function bringInside(at: Tensor, extent: number, padding: Padding, alignCorners: boolean): Tensor {
  if (padding === 'zeros') return at;
  if (padding === 'border') return at.clamp(0, extent - 1);
  const [low, span] = alignCorners ? [0, extent - 1] : [-0.5, extent];
  if (span === 0) return at.mul(0);
  const folded = at
    .sub(low)
    .abs()
    .remainder(2 * span);
  return folded
    .minimum(folded.neg().add(2 * span))
    .add(low)
    .clamp(0, extent - 1);
}

/** Elements of [N, C, …] at whole positions, one list [N, P] per spatial dim; 0 outside. */
function cellsAt(input: Tensor, at: readonly Tensor[]): Tensor {
  const [n, c, ...spatial] = input.shape;
  const within = at.map((place, d) => place.ge(0).logicalAnd(place.le(spatial[d] - 1)));
  const outside = within.reduce((a, b) => a.logicalAnd(b)).logicalNot();
  const flat = at
    .map((place, d) => place.clamp(0, spatial[d] - 1).mul(numel(spatial.slice(d + 1))))
    .reduce((a, b) => a.add(b))
    .maskedFill(outside, 0)
    .long();
  return input
    .reshape([n, c, numel(spatial)])
    .gather(2, flat.unsqueeze(1).expand([n, c, flat.shape[1]]))
    .maskedFill(outside.unsqueeze(1), 0);
}

/** Every choice of one tap per dim. */
const choices = (taps: readonly number[], rank: number): number[][] =>
  rank === 0 ? [[]] : taps.flatMap(tap => choices(taps, rank - 1).map(rest => [tap, ...rest]));

/** The cells around points, weighted by their distance along each dim. */
function weighted(
  input: Tensor,
  at: readonly Tensor[],
  taps: readonly number[],
  weight: (distance: Tensor) => Tensor,
  place: (tapped: Tensor, d: number) => Tensor,
): Tensor {
  const low = at.map(position => position.detach().floor());
  const parts = choices(taps, at.length).map(chosen => {
    const tapped = low.map((position, d) => position.add(chosen[d]));
    // Distances from the cell below the point grow with it, those to the cells above it shrink, at the cell too.
    const distance = (d: number): Tensor => {
      const within = at[d].sub(low[d]);
      return chosen[d] <= 0 ? within.sub(chosen[d]) : within.neg().add(chosen[d]);
    };
    const factor = tapped.map((_, d) => weight(distance(d))).reduce((a, b) => a.mul(b));
    return cellsAt(input, tapped.map(place)).mul(factor.unsqueeze(1));
  });
  return parts.reduce((sum, part) => sum.add(part));
}

function checkSampling(input: Tensor, grid: Tensor, mode: string, padding: string): void {
  const refuse = (problem: string): never => fail('E110', { op: 'gridSample', problem });
  const rank = input.ndim - 2;
  if (rank !== 2 && rank !== 3) refuse(`expected an input of 4 or 5 dims, but got ${formatShape(input.shape)}`);
  if (grid.ndim !== input.ndim || grid.shape[0] !== input.shape[0] || grid.shape[grid.ndim - 1] !== rank) {
    const expected: Shape = [input.shape[0], ...new Array<number>(rank).fill(-1), rank];
    refuse(`expected a grid of shape ${formatShape(expected)}, but got ${formatShape(grid.shape)}`);
  }
  if (mode !== 'bilinear' && mode !== 'nearest' && mode !== 'bicubic')
    refuse(`mode must be bilinear, nearest or bicubic, but is ${mode}`);
  if (mode === 'bicubic' && rank === 3) refuse('bicubic interpolation only supports 4D input');
  if (!paddings.includes(padding)) refuse(`paddingMode must be one of ${paddings.join(', ')}, but is ${padding}`);
}

interface SampleBound {
  readonly input: Tensor;
  readonly grid: Tensor;
  readonly mode: Mode;
  readonly paddingMode: Padding;
  readonly alignCorners: boolean | null;
}

export const gridSample: Op<(input: Tensor, grid: Tensor, options?: SampleOptions) => Tensor> = composite({
  name: 'gridSample',
  gradName: ({ input }) => `GridSampler${input.ndim - 2}DBackward0`,
  doc: 'An image [N, C, H, W] read at the points of a grid [N, H′, W′, 2] of (x, y) in [-1, 1], or a volume at (x, y, z).',
  signature:
    "input: tensor, grid: tensor, mode: string = 'bilinear', paddingMode: string = 'zeros', alignCorners: bool = null",
  compute({ input, grid, mode, paddingMode, alignCorners }: SampleBound) {
    checkSampling(input, grid, mode, paddingMode);
    const [n, c, ...spatial] = input.shape;
    const wanted = grid.shape.slice(1, -1);
    const aligned = alignCorners ?? false;
    const inside = (at: Tensor, d: number): Tensor => bringInside(at, spatial[d], paddingMode, aligned);
    const points = spatial.map((extent, d) =>
      toCells(grid.select(-1, spatial.length - 1 - d).reshape([n, numel(wanted)]), extent, aligned),
    );
    const shaped = (cells: Tensor): Tensor => cells.reshape([n, c, ...wanted]);
    if (mode === 'bicubic') return shaped(weighted(input, points, [-1, 0, 1, 2], cubicWeight, inside));
    const at = points.map(inside);
    if (mode === 'bilinear')
      return shaped(
        weighted(
          input,
          at,
          [0, 1],
          distance => distance.neg().add(1),
          tapped => tapped,
        ),
      );
    // The nearest cell does not change with the point: a gradient of 0, not none.
    const still = full([], 0, { dtype: input.dtype }).mul(
      at.reduce((sum, place) => sum.add(place.sign()), at[0].sign()),
    );
    return shaped(
      cellsAt(
        input,
        at.map(place => place.detach().round()),
      ).add(still.unsqueeze(1)),
    );
  },
  samples: [
    sample(random([1, 2, 3, 4]), random([1, 2, 2, 2], -0.9, 0.9)),
    sample(random([1, 1, 3, 4]), random([1, 2, 2, 2], -1.4, 1.4), { paddingMode: 'border', alignCorners: true }),
    sample(random([1, 1, 3, 4]), random([1, 2, 2, 2], -1.4, 1.4), { paddingMode: 'reflection' }),
    sample(random([1, 1, 3, 4]), random([1, 2, 2, 2], -0.9, 0.9), { mode: 'nearest' }),
    sample(random([1, 1, 4, 4]), random([1, 2, 2, 2], -0.9, 0.9), { mode: 'bicubic' }),
    sample(random([1, 1, 2, 3, 2]), random([1, 1, 2, 2, 3], -0.9, 0.9)),
  ],
  errors: [{ args: [random([1, 1, 2, 2]), random([1, 1, 1, 3])], message: /expected a grid of shape/ }],
});
