/** Pooling under PyTorch's names: over windows given by their size, and to a given output size. */
import { fail } from '../errors.js';
import { type Dim, formatShape, numel, type Shape } from '../ir/shape.js';
import { batched, perDim } from './convolution.js';
import { composite, full, type Op } from './define.js';
import { maxPool, maxPoolIndices, pooledSize, sumPool, type Window, type WindowArgs } from './pooling-window.js';
import { exactly, random, type Sample, sample } from './samples.js';
import { type Tensor, tensorOver } from './tensor.js';

/** Spatial dims, and how the shape of an input with that many is written. */
type Rank = 1 | 2 | 3;
const layout: Readonly<Record<Rank, string>> = { 1: '[N, C, L]', 2: '[N, C, H, W]', 3: '[N, C, D, H, W]' };

type Size = number | readonly number[];
export interface MaxPoolOptions {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly dilation?: Size;
  readonly ceilMode?: boolean;
}
export interface AvgPoolOptions {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly ceilMode?: boolean;
  readonly countIncludePad?: boolean;
  readonly divisorOverride?: number | null;
}

interface PoolBound {
  input: Tensor;
  kernelSize: Size;
  stride: Size | null;
  padding: Size;
  dilation?: Size;
  ceilMode: boolean;
  countIncludePad?: boolean;
  divisorOverride?: number | null;
}

function windowFrom(op: string, rank: number, bound: PoolBound): WindowArgs {
  const kernel = perDim(op, 'kernelSize', bound.kernelSize, rank);
  const { stride } = bound;
  const useKernel = stride === null || (Array.isArray(stride) && stride.length === 0);
  const strides = useKernel ? kernel : perDim(op, 'stride', stride as Size, rank);
  const padding = perDim(op, 'padding', bound.padding, rank);
  const dilation = perDim(op, 'dilation', bound.dilation ?? 1, rank);
  const refuse = (problem: string): never => fail('E110', { op, problem });
  if ([...kernel, ...strides, ...dilation].some(size => size < 1))
    refuse(`kernel size, stride and dilation must be greater than zero: [${kernel}], [${strides}], [${dilation}]`);
  if (padding.some(size => size < 0)) refuse(`padding must be non-negative, but is [${padding}]`);
  return [kernel, strides, padding, dilation, bound.ceilMode];
}

function checkRank(op: string, input: Tensor, rank: number): void {
  if (input.ndim !== rank + 1 && input.ndim !== rank + 2) {
    fail('E107', {
      op,
      problem: `expected ${rank + 1}D or ${rank + 2}D (batch mode) tensor for input, but got ${formatShape(input.shape)}`,
    });
  }
}

/** What is the same for every rank, with a window that is bound to the call. */
function overWindows<R>(op: string, rank: Rank, pool: (input: Tensor, window: WindowArgs, bound: PoolBound) => R) {
  return (bound: PoolBound): R => {
    checkRank(op, bound.input, rank);
    return pool(bound.input, windowFrom(op, rank, bound), bound);
  };
}

// ── max ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

type MaxPooling<R> = Op<
  (
    input: Tensor,
    kernelSize: Size | (MaxPoolOptions & { kernelSize: Size }),
    stride?: Size | null | MaxPoolOptions,
    padding?: Size | MaxPoolOptions,
    dilation?: Size,
    ceilMode?: boolean,
  ) => R
>;
type MaxPool = MaxPooling<Tensor>;
type MaxPoolWithIndices = MaxPooling<[values: Tensor, indices: Tensor]>;
const maxSignature =
  'input: tensor, kernelSize: ints, stride: ints = null, padding: ints = 0, dilation: ints = 1, ceilMode: bool = false';

const maxPooling = (rank: Rank, samples: readonly Sample[]): MaxPool =>
  composite({
    name: `maxPool${rank}d`,
    doc: `Max pooling over ${layout[rank]}.`,
    signature: maxSignature,
    compute: overWindows(`maxPool${rank}d`, rank, (input, window) => batched(input, rank, x => maxPool(x, ...window))),
    samples,
  });
export const maxPool1d: MaxPool = maxPooling(1, [sample(random([1, 2, 7]), 3, 2)]);
export const maxPool2d: MaxPool = maxPooling(2, [
  sample(random([1, 2, 4, 6]), 2),
  sample(random([2, 5, 5]), [3, 2], { stride: 2, padding: 1 }),
]);
export const maxPool3d: MaxPool = maxPooling(3, [sample(random([1, 1, 4, 4, 4]), 2)]);

/** `run` on an input with a batch dim, which both of its results lose again if the input had none. */
function withBatch(input: Tensor, rank: Rank, run: (x: Tensor) => [Tensor, Tensor]): [Tensor, Tensor] {
  if (input.ndim === rank + 2) return run(input);
  const [values, indices] = run(input.unsqueeze(0));
  return [values.squeeze(0), indices.squeeze(0)];
}

const maxPoolingWithIndices = (rank: Rank, samples: readonly Sample[]): MaxPoolWithIndices =>
  composite({
    name: `maxPool${rank}dWithIndices`,
    doc: `Max pooling over ${layout[rank]}, and where the maxima are.`,
    signature: maxSignature,
    compute: overWindows(`maxPool${rank}d`, rank, (input, window) =>
      withBatch(input, rank, x => {
        const values = maxPool(x, ...window);
        return [values, maxPoolIndices(x.detach(), values.detach(), ...window).to('int64')];
      }),
    ),
    samples,
  });
export const maxPool1dWithIndices: MaxPoolWithIndices = maxPoolingWithIndices(1, [sample(random([1, 2, 7]), 3, 2)]);
export const maxPool2dWithIndices: MaxPoolWithIndices = maxPoolingWithIndices(2, [sample(random([1, 2, 4, 6]), 2)]);
export const maxPool3dWithIndices: MaxPoolWithIndices = maxPoolingWithIndices(3, [sample(random([1, 1, 4, 4, 2]), 2)]);

// ── average ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Elements in each window as average pooling counts them: cells beyond the padded input never count. */
function windowCounts(spatial: Shape, window: Window, includePadding: boolean): Tensor | number {
  const area = window.kernel.reduce((a, b) => a * b, 1);
  const sizes = spatial.map((size, d) => pooledSize('avgPool', size, window, d));
  const perDimension = sizes.map((count, d) =>
    Array.from({ length: count }, (_, s) => {
      const start = s * window.stride[d] - window.padding[d];
      const end = Math.min(start + window.kernel[d], spatial[d] + window.padding[d]);
      return includePadding ? end - start : Math.min(end, spatial[d]) - Math.max(start, 0);
    }),
  );
  if (perDimension.every((counts, d) => counts.every(count => count === window.kernel[d]))) return area;
  const counts = perDimension.reduce<number[]>((all, counts) => all.flatMap(a => counts.map(b => a * b)), [1]);
  return tensorOver(Float64Array.from(counts), { dtype: 'float64', shape: sizes });
}

type AvgPool = Op<
  (
    input: Tensor,
    kernelSize: Size | (AvgPoolOptions & { kernelSize: Size }),
    stride?: Size | null | AvgPoolOptions,
    padding?: Size | AvgPoolOptions,
    ceilMode?: boolean,
    countIncludePad?: boolean,
    divisorOverride?: number | null,
  ) => Tensor
>;
const avgSignature =
  'input: tensor, kernelSize: ints, stride: ints = null, padding: ints = 0, ceilMode: bool = false, countIncludePad: bool = true, divisorOverride: int = null';

const avgPooling = (rank: Rank, samples: readonly Sample[]): AvgPool =>
  composite({
    name: `avgPool${rank}d`,
    gradName: rank === 1 ? 'SqueezeBackward1' : `AvgPool${rank}DBackward0`,
    doc: `Average pooling over ${layout[rank]}.`,
    signature: avgSignature,
    compute: overWindows(`avgPool${rank}d`, rank, (input, args, { divisorOverride, countIncludePad }) => {
      const [kernel, stride, padding, dilation, ceilMode] = args;
      return batched(input, rank, x => {
        if (divisorOverride === 0) fail('E110', { op: `avgPool${rank}d`, problem: 'divisorOverride must not be zero' });
        const count =
          divisorOverride ??
          windowCounts(x.shape.slice(2), { kernel, stride, padding, dilation, ceilMode }, countIncludePad ?? true);
        return sumPool(x, ...args).div(typeof count === 'number' ? count : count.to(x.dtype));
      });
    }),
    samples,
  });
export const avgPool1d: AvgPool = avgPooling(1, [sample(random([1, 2, 7]), 3, 2, 1)]);
export const avgPool2d: AvgPool = avgPooling(2, [
  sample(random([1, 2, 5, 6]), 2),
  sample(random([2, 5, 5]), 3, { stride: 2, padding: 1, countIncludePad: false, ceilMode: true }),
]);
export const avgPool3d: AvgPool = avgPooling(3, [sample(random([1, 1, 4, 4, 4]), 2)]);

export interface LpPoolOptions {
  readonly stride?: Size | null;
  readonly ceilMode?: boolean;
}
type LpPool = Op<
  (
    input: Tensor,
    normType: number,
    kernelSize: Size,
    stride?: Size | null | LpPoolOptions,
    ceilMode?: boolean | LpPoolOptions,
  ) => Tensor
>;
const lpPooling = (rank: Rank, samples: readonly Sample[]): LpPool =>
  composite({
    name: `lpPool${rank}d`,
    doc: `The p-norm of each window over ${layout[rank]}.`,
    signature: 'input: tensor, normType: number, kernelSize: ints, stride: ints = null, ceilMode: bool = false',
    compute(bound) {
      const { input, normType, kernelSize, stride, ceilMode } = bound;
      const p = Number(normType);
      const window = windowFrom(`lpPool${rank}d`, rank, { input, kernelSize, stride, ceilMode, padding: 0 });
      // As PyTorch: the mean over what a window covers, times the cells of a whole one.
      const [kernel, strides, padding, dilation, ceil] = window;
      const all = { kernel, stride: strides, padding, dilation, ceilMode: ceil };
      const count = windowCounts(input.shape.slice(-rank), all, true);
      const sums = batched(input.pow(p), rank, x => sumPool(x, ...window));
      const powers = typeof count === 'number' ? sums : sums.div(count.to(sums.dtype)).mul(numel(kernel));
      return powers
        .sign()
        .mul(powers.abs().relu())
        .pow(1 / p);
    },
    samples,
  });
export const lpPool1d: LpPool = lpPooling(1, [sample(random([1, 2, 4], 0.2, 2), 2, 2)]);
export const lpPool2d: LpPool = lpPooling(2, [sample(random([1, 2, 4, 4], 0.2, 2), 2, 2)]);

// ── to a given size ────────────────────────────────────────────────────────────────────────────────────────────────────

type OutputSize = Size | readonly (number | null)[];
interface AdaptiveBound {
  readonly input: Tensor;
  readonly outputSize: OutputSize;
}

/** The output size, where null keeps a dim as it is, and the windows where they are all of one size. */
function adaptiveSizes(op: string, rank: Rank, { input, outputSize }: AdaptiveBound): [number[], WindowArgs | null] {
  checkRank(op, input, rank);
  const spatial = input.shape.slice(-rank);
  if (Array.isArray(outputSize) && outputSize.length !== rank)
    fail('E107', { op, problem: `outputSize must be one integer or ${rank}, but is [${outputSize}]` });
  const wanted = spatial.map((size, d) => (Array.isArray(outputSize) ? outputSize[d] : outputSize) ?? size) as number[];
  if (spatial.some((size, d) => size % wanted[d] !== 0)) return [wanted, null];
  const kernel = spatial.map((size, d) => size / wanted[d]);
  return [wanted, [kernel, kernel, kernel.map(() => 0), kernel.map(() => 1), false]];
}

/** Where the i-th of `to` windows over `from` cells begins and ends: they share out the cells and may overlap by one. */
const adaptiveWindow = (i: number, from: Dim, to: Dim): [start: number, end: number] => [
  Math.floor((i * from) / to),
  Math.ceil(((i + 1) * from) / to),
];

/** A matrix [from, to] whose column i averages the rows of window i. */
function averagingMatrix(from: Dim, to: Dim): Tensor {
  const weights = new Float64Array(from * to);
  for (let i = 0; i < to; i++) {
    const [start, end] = adaptiveWindow(i, from, to);
    for (let p = start; p < end; p++) weights[p * to + i] = 1 / (end - start);
  }
  return tensorOver(weights, { dtype: 'float64', shape: [from, to] });
}

/** PyTorch averages over everything by its mean, and pools one dim as two. */
const adaptiveStep =
  (rank: Rank, kind: 'Avg' | 'Max') =>
  ({ outputSize }: AdaptiveBound): string => {
    if (rank === 1) return 'SqueezeBackward1';
    const isMean = kind === 'Avg' && [outputSize].flat().every(size => size === 1);
    return isMean ? 'MeanBackward1' : `Adaptive${kind}Pool${rank}DBackward0`;
  };

type AdaptivePooling<R> = Op<(input: Tensor, outputSize: OutputSize) => R>;
type AdaptivePool = AdaptivePooling<Tensor>;
const adaptiveSignature = 'input: tensor, outputSize: any';

/** Averages over windows that share each dim out evenly: where these differ in size, one small matrix product per dim. */
const adaptiveAverage = (rank: Rank, samples: readonly Sample[]): AdaptivePool =>
  composite({
    name: `adaptiveAvgPool${rank}d`,
    gradName: adaptiveStep(rank, 'Avg'),
    doc: 'Average pooling to a given size; null keeps a dim.',
    signature: adaptiveSignature,
    compute(bound) {
      const { input } = bound as unknown as AdaptiveBound;
      const [wanted, window] = adaptiveSizes(`adaptiveAvgPool${rank}d`, rank, { input, outputSize: bound.outputSize });
      if (window !== null) return batched(input, rank, x => sumPool(x, ...window).div(numel(window[0])));
      return wanted.reduce((x, to, d) => {
        const dim = x.ndim - rank + d;
        if (x.shape[dim] === to) return x;
        return x.transpose(dim, -1).matmul(averagingMatrix(x.shape[dim], to).to(x.dtype)).transpose(dim, -1);
      }, input);
    },
    samples,
  });
export const adaptiveAvgPool1d: AdaptivePool = adaptiveAverage(1, [sample(random([1, 2, 7]), 3)]);
export const adaptiveAvgPool2d: AdaptivePool = adaptiveAverage(2, [
  sample(random([1, 2, 6, 4]), [3, 2]),
  sample(random([1, 2, 5, 7]), [3, null]),
]);
export const adaptiveAvgPool3d: AdaptivePool = adaptiveAverage(3, [
  sample(random([1, 2, 2, 4, 6]), [1, 2, 3]),
  sample(random([1, 1, 3, 4, 5]), 2),
]);

/** The cells of every window, in rows of one length: a short window names its last cell again. */
function windowCells(from: Dim, to: Dim): Tensor {
  const windows = Array.from({ length: to }, (_, i) => adaptiveWindow(i, from, to));
  const longest = Math.max(...windows.map(([start, end]) => end - start));
  const cells = windows.flatMap(([start, end]) =>
    Array.from({ length: longest }, (_, k) => BigInt(Math.min(start + k, end - 1))),
  );
  return tensorOver(BigInt64Array.from(cells), { dtype: 'int64', shape: [to * longest] });
}

/** Windows of different sizes brought side by side along every dim: all of one size, without gaps. */
function spreadWindows(input: Tensor, wanted: readonly number[]): { spread: Tensor; cells: readonly Tensor[] } {
  const first = input.ndim - wanted.length;
  const cells = wanted.map((to, d) => windowCells(input.shape[first + d], to));
  return { cells, spread: cells.reduce((x, at, d) => x.indexSelect(first + d, at), input) };
}

/** Positions in the spread input, row-major, as positions in the input itself. */
function positionsBefore(indices: Tensor, cells: readonly Tensor[], spatial: Shape): Tensor {
  const strides = spatial.map((_, d) => numel(spatial.slice(d + 1)));
  const spread = cells.map(at => at.shape[0]);
  return cells.reduce((sum, at, d) => {
    const along = indices.div(numel(spread.slice(d + 1)), { roundingMode: 'floor' }).remainder(spread[d]);
    return sum.add(at.take(along).mul(strides[d]));
  }, indices.zerosLike());
}

const adaptiveMaximum = (rank: Rank, samples: readonly Sample[]): AdaptivePooling<[values: Tensor, indices: Tensor]> =>
  composite({
    name: `adaptiveMaxPool${rank}dWithIndices`,
    gradName: adaptiveStep(rank, 'Max'),
    doc: 'Max pooling to a given size, and where the maxima are; null keeps a dim.',
    signature: adaptiveSignature,
    compute(bound) {
      const op = `adaptiveMaxPool${rank}d`;
      const { input } = bound as unknown as AdaptiveBound;
      const [wanted, even] = adaptiveSizes(op, rank, { input, outputSize: bound.outputSize });
      return withBatch(input, rank, x => {
        const { spread, cells } = even === null ? spreadWindows(x, wanted) : { spread: x, cells: null };
        const [, window] =
          even === null ? adaptiveSizes(op, rank, { input: spread, outputSize: wanted }) : [wanted, even];
        const values = maxPool(spread, ...window!);
        const indices = maxPoolIndices(spread.detach(), values.detach(), ...window!).to('int64');
        return [values, cells === null ? indices : positionsBefore(indices, cells, x.shape.slice(2))];
      });
    },
    samples,
  });
export const adaptiveMaxPool1dWithIndices: AdaptivePooling<[values: Tensor, indices: Tensor]> = adaptiveMaximum(1, [
  sample(random([1, 2, 7]), 3),
]);
export const adaptiveMaxPool2dWithIndices: AdaptivePooling<[values: Tensor, indices: Tensor]> = adaptiveMaximum(2, [
  sample(random([1, 2, 6, 4]), [3, 2]),
  sample(random([2, 5, 7]), [3, null]),
]);
export const adaptiveMaxPool3dWithIndices: AdaptivePooling<[values: Tensor, indices: Tensor]> = adaptiveMaximum(3, [
  sample(random([1, 1, 3, 4, 5]), 2),
]);

const maximaOf = (rank: Rank, both: AdaptivePooling<[Tensor, Tensor]>, samples: readonly Sample[]): AdaptivePool =>
  composite({
    name: `adaptiveMaxPool${rank}d`,
    doc: 'Max pooling to a given size; null keeps a dim.',
    signature: adaptiveSignature,
    compute: ({ input, outputSize }) => both(input, outputSize)[0],
    samples,
  });
export const adaptiveMaxPool1d: AdaptivePool = maximaOf(1, adaptiveMaxPool1dWithIndices, [sample(random([2, 7]), 3)]);
export const adaptiveMaxPool2d: AdaptivePool = maximaOf(2, adaptiveMaxPool2dWithIndices, [
  sample(random([1, 2, 5, 4]), [3, 2]),
]);
export const adaptiveMaxPool3d: AdaptivePool = maximaOf(3, adaptiveMaxPool3dWithIndices, [
  sample(random([1, 2, 2, 4, 6]), [1, 2, 3]),
]);

// ── back to the places of the maxima ───────────────────────────────────────────────────────────────────────────────────

interface UnpoolOptions {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly outputSize?: readonly number[] | null;
}
type Unpool = Op<
  (
    input: Tensor,
    indices: Tensor,
    kernelSize: Size,
    stride?: Size | null | UnpoolOptions,
    padding?: Size | UnpoolOptions,
    outputSize?: readonly number[] | null,
  ) => Tensor
>;
const maxUnpooling = (rank: Rank, samples: readonly Sample[]): Unpool =>
  composite({
    name: `maxUnpool${rank}d`,
    doc: `Zeros over ${layout[rank]} with each value where its index says.`,
    signature:
      'input: tensor, indices: tensor, kernelSize: ints, stride: ints = null, padding: ints = 0, outputSize: ints = null',
    compute: bound => {
      const { input, indices, outputSize } = bound;
      const op = `maxUnpool${rank}d`;
      checkRank(op, input, rank);
      const window = {
        ceilMode: false,
        input,
        kernelSize: bound.kernelSize,
        stride: bound.stride,
        padding: bound.padding,
      };
      const [kernel, stride, padding] = windowFrom(op, rank, window);
      const spatial: Shape = input.shape.slice(-rank);
      const usual = spatial.map((size, d) => (size - 1) * stride[d] - 2 * padding[d] + kernel[d]);
      const size = outputSize?.slice(-rank) ?? usual;
      const lead = input.shape.slice(0, -rank);
      const empty = full([...lead, numel(size)], 0, { dtype: input.dtype });
      return empty
        .scatter(-1, indices.reshape([...lead, -1]), input.reshape([...lead, -1]))
        .reshape([...lead, ...size]);
    },
    samples,
  });
export const maxUnpool1d: Unpool = maxUnpooling(1, [
  sample(random([1, 2, 2]), exactly([1, 2, 2], [1, 2, 0, 3], 'int64'), 2),
]);
export const maxUnpool2d: Unpool = maxUnpooling(2, [
  sample(random([1, 2, 2]), exactly([1, 2, 2], [5, 1, 2, 8], 'int64'), 2, { outputSize: [3, 3] }),
  sample(random([1, 1, 2, 2]), exactly([1, 1, 2, 2], [5, 2, 8, 15], 'int64'), [2, 2], 2),
]);
export const maxUnpool3d: Unpool = maxUnpooling(3, [
  sample(random([1, 1, 1, 1, 2]), exactly([1, 1, 1, 1, 2], [3, 14], 'int64'), 2),
]);
