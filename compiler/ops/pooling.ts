/**
 * Pooling over windows, in any number of dims.
 *
 * Max pooling remembers where each maximum was (the first of equal ones, NaN wins), and its gradient reads back: an
 * input element collects from the windows that cover it and point to it. Average pooling is a sum over the window,
 * divided by a count. So gradients are reductions over window positions too, and none scatters.
 */
import { fail } from '../errors.js';
import type { Attrs, TensorType } from '../ir/graph.js';
import {
  addIndex,
  both,
  call,
  cast,
  constant,
  type Expr,
  floorDivIndex,
  index,
  modIndex,
  mulIndex,
  select,
  subIndex,
} from '../ir/kernel.js';
import { contiguousStrides, type Dim, formatShape, numel, type Shape } from '../ir/shape.js';
import { batched, perDim } from './convolution.js';
import { composite, define, type Op } from './define.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { inside } from './shape.js';
import { type Tensor, tensorOver } from './tensor.js';
import { reindex } from './view.js';

interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly ceilMode: boolean;
}
const windowOf = (attrs: Attrs): Window => attrs as unknown as Window;
const signature = 'kernel: ints, stride: ints, padding: ints, dilation: ints, ceilMode: bool';
type WindowArgs = [
  kernel: readonly number[],
  stride: readonly number[],
  padding: readonly number[],
  dilation: readonly number[],
  ceilMode: boolean,
];
const argsOf = ({ kernel, stride, padding, dilation, ceilMode }: Window): WindowArgs => [
  kernel,
  stride,
  padding,
  dilation,
  ceilMode,
];

/** With `ceilMode` a last partial window counts if it starts inside the input or its left padding. */
function pooledSize(op: string, size: Dim, { kernel, stride, padding, dilation, ceilMode }: Window, d: number): Dim {
  const reach = size + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1;
  let out = (ceilMode ? Math.ceil(reach / stride[d]) : Math.floor(reach / stride[d])) + 1;
  if (ceilMode && (out - 1) * stride[d] >= size + padding[d]) out--;
  if (out < 1)
    fail('E107', {
      op,
      problem: `input of size ${size} in dim ${d} is smaller than the window of ${kernel[d]}: calculated output size ${out} is too small`,
    });
  return out;
}

function inferPooled(op: string, input: TensorType, attrs: Attrs): Dim[] {
  const window = windowOf(attrs);
  for (const [d, pad] of window.padding.entries()) {
    if (pad * 2 > window.kernel[d])
      fail('E107', {
        op,
        problem: `pad should be at most half of kernel size, but got pad=${pad} and kernel_size=${window.kernel[d]}`,
      });
  }
  return [...input.shape.slice(0, 2), ...input.shape.slice(2).map((size, d) => pooledSize(op, size, window, d))];
}

const positions = (s: readonly Expr[], k: readonly Expr[], { stride, padding, dilation }: Window): Expr[] =>
  s.map((i, d) => subIndex(addIndex(mulIndex(i, stride[d]), mulIndex(k[d], dilation[d])), padding[d]));
const within = (position: readonly Expr[], size: Shape): Expr | null =>
  position.map((p, d) => inside(p, size[d])).reduce(both, null);
const guard = (valid: Expr | null, value: Expr, otherwise: number): Expr =>
  valid === null ? value : select(valid, value, constant(value.dtype, otherwise));

/** How many windows may show one input position: where taps lie side by side, one tap in `stride` can be the one. */
const windowsShowing = ({ kernel, stride, dilation }: Window): number[] =>
  kernel.map((size, d) => (dilation[d] === 1 ? Math.ceil(size / stride[d]) : size));

/** The j-th window that may show position `i` along dim `d`, and the condition that it does. */
function windowShowing(
  i: Expr,
  j: Expr,
  pooled: Dim,
  { kernel, stride, padding, dilation }: Window,
  d: number,
): { s: Expr; valid: Expr | null } {
  const shifted = addIndex(i, padding[d]);
  if (dilation[d] === 1) {
    const s = subIndex(floorDivIndex(shifted, stride[d]), j);
    const tap = addIndex(modIndex(shifted, stride[d]), mulIndex(j, stride[d]));
    return { s, valid: both(inside(s, pooled), inside(tap, kernel[d])) };
  }
  const start = subIndex(shifted, mulIndex(j, dilation[d]));
  const s = floorDivIndex(start, stride[d]);
  const aligned = stride[d] === 1 ? null : call('eq', modIndex(start, stride[d]), index(0));
  return { s, valid: both(aligned, inside(s, pooled)) };
}

function windowsAt(
  p: readonly Expr[],
  j: readonly Expr[],
  pooled: Shape,
  window: Window,
): { s: Expr[]; valid: Expr | null } {
  const along = p.map((i, d) => windowShowing(i, j[d], pooled[d], window, d));
  return { s: along.map(({ s }) => s), valid: along.map(({ valid }) => valid).reduce(both, null) };
}

/** Row-major index of a position in the spatial dims. */
const flatIndex = (position: readonly Expr[], size: Shape): Expr => {
  const strides = contiguousStrides(size);
  return position.reduce<Expr>((sum, p, d) => addIndex(sum, mulIndex(p, strides[d])), index(0));
};

// ── max pooling ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const maxPool: Op<(input: Tensor, ...window: WindowArgs) => Tensor> = define({
  name: 'maxPool',
  doc: 'The largest element of each window of [N, C, ...]; padding counts as -inf.',
  signature: `input: tensor, ${signature}`,
  gradName: 'MaxPool2DWithIndicesBackward0',
  fusion: 'reduction',
  infer: ([input], attrs) => ({ dtype: input.dtype, shape: inferPooled('maxPool', input, attrs) }),
  lower: {
    kind: 'reduce',
    fn: 'max',
    extents: (_, attrs) => windowOf(attrs).kernel,
    element([n, c, ...s], k, [input], attrs) {
      const position = positions(s, k, windowOf(attrs));
      return guard(
        within(position, input.type.shape.slice(2)),
        input.at([n, c, ...position]),
        Number.NEGATIVE_INFINITY,
      );
    },
  },
  vjp: c => {
    const window = argsOf(windowOf(c.attrs));
    return [maxPoolBackward(c.grad, maxPoolIndices(c.in(0), c.out, ...window), c.types[0].shape, ...window)];
  },
  samples: [
    sample(random([2, 2, 4, 4]), [2, 2], [2, 2], [0, 0], [1, 1], false),
    sample(random([1, 2, 5, 7]), [3, 2], [2, 1], [1, 1], [1, 2], true),
    sample(random([1, 2, 7]), [3], [2], [0], [1], true),
  ],
});

/** Where each window's maximum lies: row-major in the input's spatial dims, int32; the first of equal ones. */
export const maxPoolIndices: Op<(input: Tensor, pooled: Tensor, ...window: WindowArgs) => Tensor> = define({
  name: 'maxPoolIndices',
  doc: 'The position of the maximum of each window, given the maxima.',
  signature: `input: tensor, pooled: tensor, ${signature}`,
  fusion: 'reduction',
  differentiable: false,
  infer: ([, pooled]) => ({ dtype: 'int32', shape: pooled.shape }),
  lower: {
    kind: 'reduce',
    fn: 'min',
    extents: (_, attrs) => windowOf(attrs).kernel,
    element([n, c, ...s], k, [input, pooled], attrs) {
      const size = input.type.shape.slice(2);
      const position = positions(s, k, windowOf(attrs));
      const [value, best] = [input.at([n, c, ...position]), pooled.at([n, c, ...s])];
      const found = call('or', call('eq', value, best), both(call('ne', value, value), call('ne', best, best))!);
      // the element is read only where it exists: `and` evaluates both sides
      const index = guard(found, cast('int32', flatIndex(position, size)), numel(size));
      return guard(within(position, size), index, numel(size));
    },
  },
  samples: [
    sampleWithoutGradient(random([2, 2, 4, 4]), random([2, 2, 2, 2]), [2, 2], [2, 2], [0, 0], [1, 1], false),
    sampleWithoutGradient(random([1, 1, 3, 3]), random([1, 1, 4, 4]), [2, 2], [1, 1], [1, 1], [1, 1], false),
  ],
});

/** Gradient of max pooling: each input element collects from the windows that point to it. */
export const maxPoolBackward: Op<(grad: Tensor, indices: Tensor, shape: Shape, ...window: WindowArgs) => Tensor> =
  define({
    name: 'maxPoolBackward',
    doc: 'The input gradient of max pooling with the given maxima positions.',
    signature: `grad: tensor, indices: tensor, shape: ints, ${signature}`,
    fusion: 'reduction',
    infer: ([grad], attrs) => ({ dtype: grad.dtype, shape: attrs.shape as Shape }),
    lower: {
      kind: 'reduce',
      fn: 'add',
      extents: (_, attrs) => windowsShowing(windowOf(attrs)),
      element([n, c, ...p], j, [grad, indices], attrs) {
        const { s, valid } = windowsAt(p, j, grad.type.shape.slice(2), windowOf(attrs));
        const here = cast(indices.type.dtype, flatIndex(p, (attrs.shape as Shape).slice(2)));
        const value = grad.at([n, c, ...s]);
        // the index is read only where it exists: `and` evaluates both sides
        return guard(valid, guard(call('eq', indices.at([n, c, ...s]), here), value, 0), 0);
      },
    },
    vjp: c => [maxPoolGather(c.grad, c.in(1)), null],
    samples: [
      sample(
        random([1, 2, 2, 2]),
        exactly([1, 2, 2, 2], [4, 1, 3, 8, 0, 5, 6, 4], 'int64'),
        [1, 2, 3, 3],
        [2, 2],
        [1, 1],
        [0, 0],
        [1, 1],
        false,
      ),
    ],
  });

/** The elements of [N, C, ...] that indices into their spatial dims name. */
export const maxPoolGather: Op<(input: Tensor, indices: Tensor) => Tensor> = define({
  name: 'maxPoolGather',
  doc: 'input[n, c, indices[n, c, ...]], indices being row-major in the spatial dims.',
  signature: 'input: tensor, indices: tensor',
  fusion: 'pointwise',
  infer: ([input, indices]) => ({ dtype: input.dtype, shape: indices.shape }),
  lower: {
    kind: 'map',
    element(at, [input, indices]) {
      const size = input.type.shape.slice(2);
      return input.at([at[0], at[1], ...reindex([cast('index', indices.at(at))], [numel(size)], size)]);
    },
  },
  vjp: c => {
    const { shape } = c.types[0];
    const flat = (x: Tensor): Tensor => x.reshape([shape[0], shape[1], -1]);
    return [
      flat(c.in(0).zerosLike())
        .scatterAdd(2, flat(c.in(1)), flat(c.grad))
        .reshape(shape),
      null,
    ];
  },
  samples: [sample(random([1, 2, 3, 3]), random([1, 2, 2, 2], 0, 9, 'int64'))],
});

// ── sum and average pooling ────────────────────────────────────────────────────────────────────────────────────────────

export const sumPool: Op<(input: Tensor, ...window: WindowArgs) => Tensor> = define({
  name: 'sumPool',
  doc: 'The sum of each window of [N, C, ...]; padding counts as 0.',
  signature: `input: tensor, ${signature}`,
  gradName: 'AvgPool2DBackward0',
  fusion: 'reduction',
  infer: ([input], attrs) => ({ dtype: input.dtype, shape: inferPooled('avgPool', input, attrs) }),
  lower: {
    kind: 'reduce',
    fn: 'add',
    extents: (_, attrs) => windowOf(attrs).kernel,
    element([n, c, ...s], k, [input], attrs) {
      const position = positions(s, k, windowOf(attrs));
      return guard(within(position, input.type.shape.slice(2)), input.at([n, c, ...position]), 0);
    },
  },
  vjp: c => [sumPoolBackward(c.grad, c.types[0].shape, ...argsOf(windowOf(c.attrs)))],
  samples: [
    sample(random([2, 2, 4, 4]), [2, 2], [2, 2], [0, 0], [1, 1], false),
    sample(random([1, 2, 5, 7]), [3, 2], [2, 1], [1, 1], [1, 1], true),
  ],
});

export const sumPoolBackward: Op<(grad: Tensor, shape: Shape, ...window: WindowArgs) => Tensor> = define({
  name: 'sumPoolBackward',
  doc: 'The input gradient of sum pooling: each element collects from the windows that cover it.',
  signature: `grad: tensor, shape: ints, ${signature}`,
  fusion: 'reduction',
  infer: ([grad], attrs) => ({ dtype: grad.dtype, shape: attrs.shape as Shape }),
  lower: {
    kind: 'reduce',
    fn: 'add',
    extents: (_, attrs) => windowsShowing(windowOf(attrs)),
    element([n, c, ...p], j, [grad], attrs) {
      const { s, valid } = windowsAt(p, j, grad.type.shape.slice(2), windowOf(attrs));
      return guard(valid, grad.at([n, c, ...s]), 0);
    },
  },
  vjp: c => [sumPool(c.grad, ...argsOf(windowOf(c.attrs)))],
  samples: [sample(random([1, 2, 2, 2]), [1, 2, 3, 3], [2, 2], [1, 1], [0, 0], [1, 1], false)],
});

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

// ── as PyTorch names them ──────────────────────────────────────────────────────────────────────────────────────────────

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
  return [
    kernel,
    strides,
    perDim(op, 'padding', bound.padding, rank),
    perDim(op, 'dilation', bound.dilation ?? 1, rank),
    bound.ceilMode,
  ];
}

function checkRank(op: string, input: Tensor, rank: number): void {
  if (input.ndim !== rank + 1 && input.ndim !== rank + 2) {
    fail('E107', {
      op,
      problem: `expected ${rank + 1}D or ${rank + 2}D (batch mode) tensor for input, but got ${formatShape(input.shape)}`,
    });
  }
}

type MaxPool = Op<
  (
    input: Tensor,
    kernelSize: Size,
    stride?: Size | null | MaxPoolOptions,
    padding?: Size | MaxPoolOptions,
    dilation?: Size,
    ceilMode?: boolean,
  ) => Tensor
>;
type MaxPoolWithIndices = Op<
  (
    input: Tensor,
    kernelSize: Size,
    stride?: Size | null | MaxPoolOptions,
    padding?: Size | MaxPoolOptions,
    dilation?: Size,
    ceilMode?: boolean,
  ) => [Tensor, Tensor]
>;
const maxSignature =
  'input: tensor, kernelSize: ints, stride: ints = null, padding: ints = 0, dilation: ints = 1, ceilMode: bool = false';

function maxPooling(op: string, rank: number): (bound: PoolBound) => Tensor {
  return bound => {
    checkRank(op, bound.input, rank);
    return batched(bound.input, rank, x => maxPool(x, ...windowFrom(op, rank, bound)));
  };
}
function maxPoolingWithIndices(op: string, rank: number): (bound: PoolBound) => [Tensor, Tensor] {
  return bound => {
    checkRank(op, bound.input, rank);
    const window = windowFrom(op, rank, bound);
    const single = bound.input.ndim === rank + 1;
    const x = single ? bound.input.unsqueeze(0) : bound.input;
    const values = maxPool(x, ...window);
    const indices = maxPoolIndices(x.detach(), values.detach(), ...window).to('int64');
    return single ? [values.squeeze(0), indices.squeeze(0)] : [values, indices];
  };
}

export const maxPool1d: MaxPool = composite({
  name: 'maxPool1d',
  doc: 'Max pooling over [N, C, L].',
  signature: maxSignature,
  compute: maxPooling('maxPool1d', 1),
  samples: [sample(random([1, 2, 7]), 3, 2)],
});
export const maxPool2d: MaxPool = composite({
  name: 'maxPool2d',
  doc: 'Max pooling over [N, C, H, W].',
  signature: maxSignature,
  compute: maxPooling('maxPool2d', 2),
  samples: [sample(random([1, 2, 4, 6]), 2), sample(random([2, 5, 5]), [3, 2], { stride: 2, padding: 1 })],
});
export const maxPool3d: MaxPool = composite({
  name: 'maxPool3d',
  doc: 'Max pooling over [N, C, D, H, W].',
  signature: maxSignature,
  compute: maxPooling('maxPool3d', 3),
  samples: [sample(random([1, 1, 4, 4, 4]), 2)],
});
export const maxPool1dWithIndices: MaxPoolWithIndices = composite({
  name: 'maxPool1dWithIndices',
  doc: 'Max pooling over [N, C, L], and where the maxima are.',
  signature: maxSignature,
  compute: maxPoolingWithIndices('maxPool1d', 1),
  samples: [sample(random([1, 2, 7]), 3, 2)],
});
export const maxPool2dWithIndices: MaxPoolWithIndices = composite({
  name: 'maxPool2dWithIndices',
  doc: 'Max pooling over [N, C, H, W], and where the maxima are.',
  signature: maxSignature,
  compute: maxPoolingWithIndices('maxPool2d', 2),
  samples: [sample(random([1, 2, 4, 6]), 2)],
});

type AvgPool = Op<
  (
    input: Tensor,
    kernelSize: Size,
    stride?: Size | null | AvgPoolOptions,
    padding?: Size | AvgPoolOptions,
    ceilMode?: boolean,
    countIncludePad?: boolean,
    divisorOverride?: number | null,
  ) => Tensor
>;
const avgSignature =
  'input: tensor, kernelSize: ints, stride: ints = null, padding: ints = 0, ceilMode: bool = false, countIncludePad: bool = true, divisorOverride: int = null';

function avgPooling(op: string, rank: number): (bound: PoolBound) => Tensor {
  return bound => {
    checkRank(op, bound.input, rank);
    const args = windowFrom(op, rank, bound);
    const [kernel, stride, padding, dilation, ceilMode] = args;
    return batched(bound.input, rank, x => {
      const count =
        bound.divisorOverride ??
        windowCounts(x.shape.slice(2), { kernel, stride, padding, dilation, ceilMode }, bound.countIncludePad ?? true);
      const sums = sumPool(x, ...args);
      return sums.div(typeof count === 'number' ? count : count.to(x.dtype));
    });
  };
}

export const avgPool1d: AvgPool = composite({
  name: 'avgPool1d',
  doc: 'Average pooling over [N, C, L].',
  signature: avgSignature,
  compute: avgPooling('avgPool1d', 1),
  samples: [sample(random([1, 2, 7]), 3, 2, 1)],
});
export const avgPool2d: AvgPool = composite({
  name: 'avgPool2d',
  doc: 'Average pooling over [N, C, H, W].',
  signature: avgSignature,
  compute: avgPooling('avgPool2d', 2),
  samples: [
    sample(random([1, 2, 5, 6]), 2),
    sample(random([2, 5, 5]), 3, { stride: 2, padding: 1, countIncludePad: false, ceilMode: true }),
  ],
});
export const avgPool3d: AvgPool = composite({
  name: 'avgPool3d',
  doc: 'Average pooling over [N, C, D, H, W].',
  signature: avgSignature,
  compute: avgPooling('avgPool3d', 3),
  samples: [sample(random([1, 1, 4, 4, 4]), 2)],
});

/** A matrix [from, to] whose column i averages rows floor(i·from/to) to ceil((i+1)·from/to). */
function averagingMatrix(from: Dim, to: Dim): Tensor {
  const weights = new Float64Array(from * to);
  for (let i = 0; i < to; i++) {
    const start = Math.floor((i * from) / to);
    const end = Math.ceil(((i + 1) * from) / to);
    for (let p = start; p < end; p++) weights[p * to + i] = 1 / (end - start);
  }
  return tensorOver(weights, { dtype: 'float64', shape: [from, to] });
}

/** Averages over windows that share each dim out evenly: one small matrix product per dim. */
function adaptiveAverage(
  op: string,
  rank: number,
): (bound: { input: Tensor; outputSize: Size | readonly (number | null)[] }) => Tensor {
  return ({ input, outputSize }) => {
    checkRank(op, input, rank);
    const spatial = input.shape.slice(-rank);
    const wanted = Array.from(
      { length: rank },
      (_, d) => (Array.isArray(outputSize) ? outputSize[d] : outputSize) ?? spatial[d],
    ) as number[];
    if (spatial.every((size, d) => size % wanted[d] === 0)) {
      const kernel = spatial.map((size, d) => size / wanted[d]);
      const zeros = kernel.map(() => 0);
      const ones = kernel.map(() => 1);
      return batched(input, rank, x => sumPool(x, kernel, kernel, zeros, ones, false).div(numel(kernel)));
    }
    return wanted.reduce((x, to, d) => {
      const dim = x.ndim - rank + d;
      if (x.shape[dim] === to) return x;
      return x.transpose(dim, -1).matmul(averagingMatrix(x.shape[dim], to).to(x.dtype)).transpose(dim, -1);
    }, input);
  };
}

type AdaptivePool = Op<(input: Tensor, outputSize: Size | readonly (number | null)[]) => Tensor>;
const adaptiveSignature = 'input: tensor, outputSize: any';
export const adaptiveAvgPool1d: AdaptivePool = composite({
  name: 'adaptiveAvgPool1d',
  doc: 'Average pooling to a given length.',
  signature: adaptiveSignature,
  compute: adaptiveAverage('adaptiveAvgPool1d', 1),
  samples: [sample(random([1, 2, 7]), 3)],
});
export const adaptiveAvgPool2d: AdaptivePool = composite({
  name: 'adaptiveAvgPool2d',
  doc: 'Average pooling to a given size.',
  signature: adaptiveSignature,
  compute: adaptiveAverage('adaptiveAvgPool2d', 2),
  samples: [sample(random([1, 2, 6, 4]), [3, 2]), sample(random([1, 2, 5, 7]), [3, null])],
});
