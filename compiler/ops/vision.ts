/**
 * Images: resizing, sampling at points, rearranging pixels, windows as columns.
 *
 * Resizing one dim is a product with a small matrix of weights, made from positions inside the graph; so its gradient
 * is the product with the transposed matrix.
 */
import { fail } from '../errors.js';
import { formatShape, numel } from '../ir/shape.js';
import { iota } from './creation.js';
import { composite, type Op } from './define.js';
import { adaptiveAvgPool1d, adaptiveAvgPool2d } from './pooling.js';
import { random, sample } from './samples.js';
import { where } from './selection.js';
import { cat, constantPad, foldDim } from './shape.js';
import type { Tensor } from './tensor.js';

type Size = number | readonly number[];
const sizes = (op: string, what: string, value: Size, count: number): number[] => {
  const list = typeof value === 'number' ? [value] : value;
  if (list.length === 1) return new Array<number>(count).fill(list[0]);
  if (list.length !== count) {
    fail('E107', { op, problem: `${what} must be one integer or ${count}, but is [${list.join(', ')}]` });
  }
  return [...list];
};

// ── pixels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Shuffle = Op<(input: Tensor, factor: number) => Tensor>;

export const pixelShuffle: Shuffle = composite({
  name: 'pixelShuffle',
  doc: '[…, C·r², H, W] to […, C, H·r, W·r].',
  signature: 'input: tensor, upscaleFactor: int',
  compute({ input, upscaleFactor: r }) {
    const lead = input.shape.slice(0, -3);
    const [c, h, w] = input.shape.slice(-3);
    const n = lead.length;
    const order = [...lead.keys(), n, n + 3, n + 1, n + 4, n + 2];
    return input
      .reshape([...lead, c / (r * r), r, r, h, w])
      .permute(order)
      .reshape([...lead, c / (r * r), h * r, w * r]);
  },
  samples: [sample(random([1, 8, 2, 3]), 2)],
});

export const pixelUnshuffle: Shuffle = composite({
  name: 'pixelUnshuffle',
  doc: '[…, C, H·r, W·r] to […, C·r², H, W].',
  signature: 'input: tensor, downscaleFactor: int',
  compute({ input, downscaleFactor: r }) {
    const lead = input.shape.slice(0, -3);
    const [c, h, w] = input.shape.slice(-3);
    const n = lead.length;
    const order = [...lead.keys(), n, n + 2, n + 4, n + 1, n + 3];
    return input
      .reshape([...lead, c, h / r, r, w / r, r])
      .permute(order)
      .reshape([...lead, c * r * r, h / r, w / r]);
  },
  samples: [sample(random([1, 2, 4, 6]), 2)],
});

// ── windows as columns ─────────────────────────────────────────────────────────────────────────────────────────────────

interface WindowOptions {
  readonly dilation?: Size;
  readonly padding?: Size;
  readonly stride?: Size;
}
interface Windows {
  readonly kernel: number[];
  readonly dilation: number[];
  readonly padding: number[];
  readonly stride: number[];
  /** Cells from the first to the last tap. */
  readonly reach: number[];
}
function windowsOf(op: string, bound: { kernelSize: Size; dilation: Size; padding: Size; stride: Size }): Windows {
  const [kernel, dilation, padding, stride] = (['kernelSize', 'dilation', 'padding', 'stride'] as const).map(what =>
    sizes(op, what, bound[what], 2),
  );
  return { kernel, dilation, padding, stride, reach: kernel.map((size, d) => dilation[d] * (size - 1) + 1) };
}
const blocks = (size: readonly number[], { reach, padding, stride }: Windows): number[] =>
  size.map((extent, d) => Math.floor((extent + 2 * padding[d] - reach[d]) / stride[d]) + 1);
const columnSignature = 'kernelSize: ints, dilation: ints = 1, padding: ints = 0, stride: ints = 1';

/** `unfold` of the functional API; the method `unfold` of Tensor makes windows along one dim. */
export const imageToColumns: Op<(input: Tensor, kernelSize: Size, options?: WindowOptions) => Tensor> = composite({
  name: 'imageToColumns',
  doc: 'The windows of [N, C, H, W] as columns: [N, C·kh·kw, L].',
  signature: `input: tensor, ${columnSignature}`,
  compute({ input, ...bound }) {
    const windows = windowsOf('unfold', bound);
    const { reach, dilation, stride, padding, kernel } = windows;
    const [n, c, h, w] = input.shape;
    const padded = constantPad(input, [0, 0, 0, 0, padding[0], padding[0], padding[1], padding[1]]);
    const rows = padded.unfold(2, reach[0], stride[0]).slice(-1, null, null, dilation[0]);
    const cells = rows.unfold(3, reach[1], stride[1]).slice(-1, null, null, dilation[1]);
    return cells.permute([0, 1, 4, 5, 2, 3]).reshape([n, c * numel(kernel), numel(blocks([h, w], windows))]);
  },
  samples: [
    sample(random([1, 2, 4, 5]), [2, 3]),
    sample(random([1, 1, 5, 5]), 2, { dilation: 2, padding: 1, stride: 2 }),
  ],
});

/** `fold` of the functional API. */
export const columnsToImage: Op<
  (input: Tensor, outputSize: Size, kernelSize: Size, options?: WindowOptions) => Tensor
> = composite({
  name: 'columnsToImage',
  doc: 'Columns [N, C·kh·kw, L] laid over each other as windows of [N, C, H, W] and summed.',
  signature: `input: tensor, outputSize: ints, ${columnSignature}`,
  compute({ input, outputSize, ...bound }) {
    const windows = windowsOf('fold', bound);
    const { reach, dilation, stride, padding, kernel } = windows;
    const size = sizes('fold', 'outputSize', outputSize, 2);
    const [n, columns] = input.shape;
    const [p, q] = blocks(size, windows);
    if (input.shape[2] !== p * q)
      fail('E107', {
        op: 'fold',
        problem: `expected ${p * q} blocks for output size ${formatShape(size)}, but got ${input.shape[2]}`,
      });
    const cells = input.reshape([n, columns / numel(kernel), ...kernel, p, q]).permute([0, 1, 4, 5, 3, 2]);
    const rows = foldDim(cells.unslice(5, reach[0], 0, dilation[0]), 2, size[0] + 2 * padding[0], stride[0]);
    const whole = foldDim(rows.unslice(4, reach[1], 0, dilation[1]), 3, size[1] + 2 * padding[1], stride[1]);
    return constantPad(whole, [0, 0, 0, 0, -padding[0], -padding[0], -padding[1], -padding[1]]);
  },
  samples: [
    sample(random([1, 4, 6]), [3, 4], 2),
    sample(random([1, 4, 9]), [5, 5], 2, { dilation: 2, padding: 1, stride: 2 }),
  ],
});

// ── resizing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

type Mode = 'nearest' | 'nearest-exact' | 'linear' | 'bilinear' | 'trilinear' | 'bicubic' | 'area';
interface Resize {
  readonly from: number;
  readonly to: number;
  /** Input cells per output cell. */
  readonly scale: number;
  readonly alignCorners: boolean;
}

/** Keys' cubic with a = -0.75 at distance |x| (R. Keys, 1981). */
function cubicWeight(x: Tensor): Tensor {
  const a = -0.75;
  const near = x
    .mul(a + 2)
    .sub(a + 3)
    .mul(x)
    .mul(x)
    .add(1);
  const far = x
    .mul(a)
    .sub(5 * a)
    .mul(x)
    .add(8 * a)
    .mul(x)
    .sub(4 * a);
  return where(x.le(1), near, where(x.lt(2), far, 0));
}

/** Where output positions look in the input. */
function sourcePositions({ from, to, scale, alignCorners }: Resize, cubic: boolean): Tensor {
  const at = iota(to, { dtype: 'float64' });
  if (alignCorners) return at.mul(to > 1 ? (from - 1) / (to - 1) : 0);
  const centered = at.add(0.5).mul(scale).sub(0.5);
  return cubic ? centered : centered.clamp(0);
}

/** The weight of each input position (columns) for each output position (rows). */
function resizeWeights(mode: Mode, resize: Resize): Tensor {
  const { from, to, scale } = resize;
  const columns = iota(from, { dtype: 'float64' }).unsqueeze(0);
  const at = (positions: Tensor): Tensor => columns.eq(positions.clamp(0, from - 1).unsqueeze(1)).to('float64');
  if (mode === 'nearest') return at(iota(to, { dtype: 'float32' }).mul(scale).floor().to('float64'));
  if (mode === 'nearest-exact') return at(iota(to, { dtype: 'float32' }).add(0.5).mul(scale).floor().to('float64'));
  const source = sourcePositions(resize, mode === 'bicubic');
  const low = source.floor();
  const rest = source.sub(low);
  const taps = mode === 'bicubic' ? [-1, 0, 1, 2] : [0, 1];
  const weightOf = (tap: number): Tensor => {
    const distance = rest.sub(tap).abs();
    return mode === 'bicubic' ? cubicWeight(distance) : distance.neg().add(1).clamp(0);
  };
  return taps.map(tap => at(low.add(tap)).mul(weightOf(tap).unsqueeze(1))).reduce((a, b) => a.add(b));
}

function resizeDim(input: Tensor, dim: number, mode: Mode, resize: Resize): Tensor {
  if (resize.from === resize.to && resize.scale === 1) return input;
  const weights = resizeWeights(mode, resize).to(input.dtype);
  return input.transpose(dim, -1).matmul(weights.t()).transpose(dim, -1);
}

/** For how many spatial dims each mode is meant. */
const spatialDims: Readonly<Record<string, readonly number[]>> = {
  nearest: [1, 2, 3],
  'nearest-exact': [1, 2, 3],
  area: [1, 2],
  linear: [1],
  bilinear: [2],
  bicubic: [2],
  trilinear: [3],
};

function checkMode(mode: string, spatial: number): void {
  if (spatialDims[mode]?.includes(spatial)) return;
  const fitting = Object.keys(spatialDims).filter(name => spatialDims[name].includes(spatial));
  fail('E110', {
    op: 'interpolate',
    problem: `no mode '${mode}' for an input of ${spatial + 2} dims`,
    hint:
      fitting.length > 0 ? `modes for it: ${fitting.join(', ')}` : 'the input is [N, C, …] with one to three more dims',
  });
}

export interface InterpolateOptions {
  readonly size?: Size | null;
  readonly scaleFactor?: number | readonly number[] | null;
  readonly mode?: Mode;
  readonly alignCorners?: boolean | null;
  readonly recomputeScaleFactor?: boolean | null;
}
export const interpolate: Op<
  (input: Tensor, size?: Size | null | InterpolateOptions, options?: InterpolateOptions) => Tensor
> = composite({
  name: 'interpolate',
  doc: 'The spatial dims of [N, C, …] resized, to a size or by a factor.',
  signature:
    "input: tensor, size: ints = null, scaleFactor: numbers = null, mode: string = 'nearest', alignCorners: bool = null, recomputeScaleFactor: bool = null",
  compute({ input, size, scaleFactor, mode, alignCorners, recomputeScaleFactor }) {
    const spatial = input.ndim - 2;
    const from = input.shape.slice(2);
    checkMode(mode, spatial);
    if ((size === null) === (scaleFactor === null)) {
      return fail('E110', { op: 'interpolate', problem: 'only one of size or scale_factor should be defined' });
    }
    const factors: number[] | null =
      scaleFactor === null
        ? null
        : typeof scaleFactor === 'number'
          ? from.map(() => scaleFactor)
          : scaleFactor.map(Number);
    const to =
      factors === null
        ? sizes('interpolate', 'size', size, spatial)
        : from.map((extent: number, d: number) => Math.floor(extent * factors[d]));
    if (mode === 'area') return spatial === 1 ? adaptiveAvgPool1d(input, to) : adaptiveAvgPool2d(input, to);
    const given = recomputeScaleFactor === true ? null : factors;
    return to.reduce(
      (x: Tensor, extent: number, d: number) =>
        resizeDim(x, d + 2, mode, {
          from: from[d],
          to: extent,
          scale: given === null ? from[d] / extent : 1 / given[d],
          alignCorners: alignCorners ?? false,
        }),
      input,
    );
  },
  samples: [
    sample(random([1, 1, 3, 4]), { scaleFactor: 2 }),
    sample(random([1, 1, 3, 4]), [5, 6], { mode: 'bilinear' }),
    sample(random([1, 1, 3, 4]), [5, 6], { mode: 'bilinear', alignCorners: true }),
    sample(random([1, 1, 4, 4]), [7, 3], { mode: 'bicubic' }),
    sample(random([1, 2, 6]), 4, { mode: 'linear' }),
  ],
  errors: [{ args: [random([1, 2, 6, 6]), 4, { mode: 'linear' }], message: /no mode 'linear' for an input of 4 dims/ }],
});

// ── sampling at points ─────────────────────────────────────────────────────────────────────────────────────────────────

export const affineGrid: Op<
  (theta: Tensor, size: readonly number[], alignCorners?: boolean | { alignCorners?: boolean }) => Tensor
> = composite({
  name: 'affineGrid',
  doc: 'The points [N, H, W, 2] that an affine map [N, 2, 3] sends the cells of an image [N, C, H, W] to.',
  signature: 'theta: tensor, size: size, alignCorners: bool = false',
  compute({ theta, size, alignCorners }) {
    const [n, , h, w] = size;
    const axis = (count: number): Tensor => {
      const steps = iota(count, { dtype: theta.dtype });
      if (!alignCorners) return steps.mul(2).add(1).div(count).sub(1);
      return count > 1 ? steps.mul(2 / (count - 1)).sub(1) : steps;
    };
    const x = axis(w).reshape([1, w, 1]).expand([h, w, 1]);
    const y = axis(h).reshape([h, 1, 1]).expand([h, w, 1]);
    const product = (row: number): Tensor => {
      const [a, b, c] = [0, 1, 2].map(column => theta.select(1, row).select(1, column).reshape([n, 1, 1, 1]));
      return a.mul(x).add(b.mul(y)).add(c);
    };
    return cat([product(0), product(1)], 3);
  },
  samples: [sample(random([1, 2, 3]), [1, 1, 2, 3]), sample(random([1, 2, 3]), [1, 1, 2, 3], { alignCorners: true })],
});

type Padding = 'zeros' | 'border' | 'reflection';
interface SampleOptions {
  readonly mode?: 'bilinear' | 'nearest';
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

/** Elements of [N, C, H, W] at whole positions [N, P]; 0 outside. */
function pixelsAt(input: Tensor, x: Tensor, y: Tensor): Tensor {
  const [n, c, h, w] = input.shape;
  const outside = x
    .lt(0)
    .logicalOr(x.gt(w - 1))
    .logicalOr(y.lt(0))
    .logicalOr(y.gt(h - 1));
  const flat = y
    .clamp(0, h - 1)
    .mul(w)
    .add(x.clamp(0, w - 1))
    .long();
  const index = flat.unsqueeze(1).expand([n, c, flat.shape[1]]);
  return input
    .reshape([n, c, h * w])
    .gather(2, index)
    .maskedFill(outside.unsqueeze(1), 0);
}

export const gridSample: Op<(input: Tensor, grid: Tensor, options?: SampleOptions) => Tensor> = composite({
  name: 'gridSample',
  doc: 'An image [N, C, H, W] read at the points of a grid [N, H′, W′, 2] of (x, y) in [-1, 1].',
  signature:
    "input: tensor, grid: tensor, mode: string = 'bilinear', paddingMode: string = 'zeros', alignCorners: bool = null",
  compute({ input, grid, mode, paddingMode, alignCorners }) {
    if (mode !== 'bilinear' && mode !== 'nearest')
      fail('E110', { op: 'gridSample', problem: `mode must be bilinear or nearest, but is ${mode}` });
    const [n, c, h, w] = input.shape;
    const [, rows, columns] = grid.shape;
    const aligned = alignCorners ?? false;
    const coordinate = (axis: number, extent: number): Tensor =>
      bringInside(
        toCells(grid.select(3, axis).reshape([n, rows * columns]), extent, aligned),
        extent,
        paddingMode,
        aligned,
      );
    const [x, y] = [coordinate(0, w), coordinate(1, h)];
    const shaped = (pixels: Tensor): Tensor => pixels.reshape([n, c, rows, columns]);
    if (mode === 'nearest') return shaped(pixelsAt(input, x.detach().round(), y.detach().round()));
    const [left, top] = [x.detach().floor(), y.detach().floor()];
    const corner = (dx: number, dy: number): Tensor => {
      const [cx, cy] = [left.add(dx), top.add(dy)];
      const weight = x.sub(cx).abs().neg().add(1).mul(y.sub(cy).abs().neg().add(1));
      return pixelsAt(input, cx, cy).mul(weight.unsqueeze(1));
    };
    return shaped(corner(0, 0).add(corner(1, 0)).add(corner(0, 1)).add(corner(1, 1)));
  },
  samples: [
    sample(random([1, 2, 3, 4]), random([1, 2, 2, 2], -0.9, 0.9)),
    sample(random([1, 1, 3, 4]), random([1, 2, 2, 2], -1.4, 1.4), { paddingMode: 'border', alignCorners: true }),
    sample(random([1, 1, 3, 4]), random([1, 2, 2, 2], -1.4, 1.4), { paddingMode: 'reflection' }),
    sample(random([1, 1, 3, 4]), random([1, 2, 2, 2], -0.9, 0.9), { mode: 'nearest' }),
  ],
});
