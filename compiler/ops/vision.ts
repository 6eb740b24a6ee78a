/**
 * Images: resizing, rearranging pixels, windows as columns.
 *
 * Resizing one dim is a product with a small matrix of weights, made from positions inside the graph; so its gradient
 * is the product with the transposed matrix.
 */
import { fail } from '../errors.js';
import { formatShape, numel } from '../ir/shape.js';
import { iota } from './creation.js';
import { cubicWeight } from './cubic.js';
import { composite, type Op } from './define.js';
import { adaptiveAvgPool1d, adaptiveAvgPool2d } from './pooling.js';
import { random, sample } from './samples.js';
import { constantPad, foldDim } from './shape.js';
import type { Bound } from './signature.js';
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
  gradName: 'PixelShuffleBackward0',
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

export const channelShuffle: Op<(input: Tensor, groups: number) => Tensor> = composite({
  name: 'channelShuffle',
  gradName: 'ChannelShuffleBackward0',
  doc: 'The channels of [N, C, …] taken in turn from each of the groups into which they are divided.',
  signature: 'input: tensor, groups: int',
  compute({ input, groups }) {
    const op = 'channelShuffle';
    if (input.ndim < 3)
      fail('E107', { op, problem: `expects input with > 2 dims, but got ${formatShape(input.shape)}` });
    const [n, channels, ...rest] = input.shape;
    if (groups <= 0)
      fail('E110', {
        op,
        problem: `Number of groups to divide channels in must be positive. Value of groups:${groups}`,
      });
    if (channels % groups !== 0)
      fail('E110', {
        op,
        problem: `Number of channels must be divisible by groups. Got ${channels} channels and ${groups} groups.`,
      });
    return input
      .reshape([n, groups, channels / groups, ...rest])
      .transpose(1, 2)
      .reshape(input.shape);
  },
  samples: [sample(random([1, 6, 2]), 3)],
  errors: [{ args: [random([1, 5, 2]), 2], message: /divisible by groups. Got 5 channels and 2 groups/ }],
});

export const pixelUnshuffle: Shuffle = composite({
  name: 'pixelUnshuffle',
  gradName: 'PixelUnshuffleBackward0',
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
function windowsOf(op: string, bound: Bound): Windows {
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
  gradName: 'Im2ColBackward0',
  doc: 'The windows of [N, C, H, W] as columns: [N, C·kh·kw, L].',
  signature: `input: tensor, ${columnSignature}`,
  compute({ input, kernelSize, ...bound }): Tensor {
    if (input.ndim === 3) return imageToColumns(input.unsqueeze(0), kernelSize, bound).squeeze(0);
    const windows = windowsOf('unfold', { kernelSize, ...bound });
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
  gradName: 'Col2ImBackward0',
  doc: 'Columns [N, C·kh·kw, L] laid over each other as windows of [N, C, H, W] and summed.',
  signature: `input: tensor, outputSize: ints, ${columnSignature}`,
  compute({ input, outputSize, kernelSize, ...bound }): Tensor {
    if (input.ndim === 2) return columnsToImage(input.unsqueeze(0), outputSize, kernelSize, bound).squeeze(0);
    const windows = windowsOf('fold', { kernelSize, ...bound });
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

const stepOfMode: Readonly<Record<string, string>> = {
  nearest: 'Nearest',
  'nearest-exact': 'NearestExact',
  linear: 'Linear',
  bilinear: 'Bilinear',
  trilinear: 'Trilinear',
  bicubic: 'Bicubic',
};
/** PyTorch's step for a mode; `area` is adaptive pooling. */
const resizeStep = (mode: string, spatial: number): string | null =>
  mode in stepOfMode ? `Upsample${stepOfMode[mode]}${spatial}DBackward1` : null;

/** Options that do not go together. */
function checkResize({ input, size, scaleFactor, mode, alignCorners, recomputeScaleFactor }: Bound): void {
  const refuse = (problem: string): never => fail('E110', { op: 'interpolate', problem });
  if (alignCorners !== null && !mode.endsWith('linear') && mode !== 'bicubic')
    refuse('alignCorners can only be set with the modes linear, bilinear, bicubic and trilinear');
  if (recomputeScaleFactor === true && size !== null)
    refuse('recomputeScaleFactor is not meaningful with an explicit size');
  if (Array.isArray(scaleFactor) && scaleFactor.length !== input.ndim - 2)
    refuse(`expected a factor for each of the ${input.ndim - 2} spatial dims, but got ${scaleFactor.length}`);
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
  gradName: ({ input, mode }) => resizeStep(mode, input.ndim - 2),
  doc: 'The spatial dims of [N, C, …] resized, to a size or by a factor.',
  signature:
    "input: tensor, size: ints = null, scaleFactor: numbers = null, mode: string = 'nearest', alignCorners: bool = null, recomputeScaleFactor: bool = null",
  compute(bound) {
    const { input, size, scaleFactor, mode, alignCorners, recomputeScaleFactor } = bound;
    const spatial = input.ndim - 2;
    const from = input.shape.slice(2);
    checkMode(mode, spatial);
    checkResize(bound);
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
    if (to.some((extent: number) => extent < 1)) {
      const problem = `Input and output sizes should be greater than 0, but got ${formatShape(from)} and ${formatShape(to)}`;
      fail('E110', { op: 'interpolate', problem });
    }
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

export { interpolate as upsample };

type Upsample = Op<
  (
    input: Tensor,
    size?: Size | null | { readonly size?: Size; readonly scaleFactor?: number | readonly number[] },
    scaleFactor?: number | readonly number[] | null,
  ) => Tensor
>;
export const upsampleNearest: Upsample = composite({
  name: 'upsampleNearest',
  doc: 'The spatial dims resized by taking the nearest element; interpolate does more.',
  signature: 'input: tensor, size: ints = null, scaleFactor: numbers = null',
  compute: ({ input, size, scaleFactor }) => interpolate(input, { size, scaleFactor, mode: 'nearest' }),
  samples: [sample(random([1, 1, 3, 4]), { scaleFactor: 2 })],
});
export const upsampleBilinear: Upsample = composite({
  name: 'upsampleBilinear',
  doc: 'The spatial dims of images resized between corners that stay where they are; interpolate does more.',
  signature: 'input: tensor, size: ints = null, scaleFactor: numbers = null',
  compute: ({ input, size, scaleFactor }) =>
    interpolate(input, { size, scaleFactor, mode: 'bilinear', alignCorners: true }),
  samples: [sample(random([1, 1, 3, 4]), [5, 6])],
});
