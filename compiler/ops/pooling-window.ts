/**
 * Pooling over windows, in any number of dims.
 *
 * Max pooling remembers where each maximum was (the first of equal ones, NaN wins), and its gradient reads back: an
 * input element collects from the windows that cover it and point to it. Average pooling is a sum over the window,
 * divided by a count. So gradients are reductions over window positions too, and none scatters.
 */
import { fail } from '../errors.js';
import { computeType } from '../ir/dtype.js';
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
  neutral,
  select,
  subIndex,
} from '../ir/kernel.js';
import type { ReduceFn } from '../ir/scalar.js';
import { contiguousStrides, type Dim, numel, type Shape } from '../ir/shape.js';
import { define, type Op, type Operand, type ReduceLowering } from './define.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { inside } from './shape.js';
import type { Tensor } from './tensor.js';
import { reindex } from './view.js';

export interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly ceilMode: boolean;
}
const windowOf = (attrs: Attrs): Window => attrs as unknown as Window;
const signature = 'kernel: ints, stride: ints, padding: ints, dilation: ints, ceilMode: bool';
export type WindowArgs = [
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
export function pooledSize(
  op: string,
  size: Dim,
  { kernel, stride, padding, dilation, ceilMode }: Window,
  d: number,
): Dim {
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
const guard = (valid: Expr | null, value: Expr, otherwise: Expr | number): Expr => {
  if (valid === null) return value;
  return select(valid, value, typeof otherwise === 'number' ? constant(value.dtype, otherwise) : otherwise);
};

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

/** The elements under each window combined; padding changes nothing. */
const overWindow = (fn: ReduceFn): ReduceLowering => ({
  kind: 'reduce',
  fn,
  extents: (_, attrs) => windowOf(attrs).kernel,
  element([n, c, ...s], k, [input], attrs) {
    const position = positions(s, k, windowOf(attrs));
    const value = input.at([n, c, ...position]);
    return guard(within(position, input.type.shape.slice(2)), value, neutral(fn, computeType(input.type.dtype)));
  },
});

/** What each position `p` gets from the windows that show it: `share` of the value of the window `at`. */
const fromWindows = (
  share: (at: readonly Expr[], value: Expr, p: readonly Expr[], inputs: readonly Operand[], attrs: Attrs) => Expr,
): ReduceLowering => ({
  kind: 'reduce',
  fn: 'add',
  extents: (_, attrs) => windowsShowing(windowOf(attrs)),
  element([n, c, ...p], j, inputs, attrs) {
    const { s, valid } = windowsAt(p, j, inputs[0].type.shape.slice(2), windowOf(attrs));
    const at = [n, c, ...s];
    return guard(valid, share(at, inputs[0].at(at), p, inputs, attrs), 0);
  },
});

// ── max pooling ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const maxPool: Op<(input: Tensor, ...window: WindowArgs) => Tensor> = define({
  name: 'maxPool',
  doc: 'The largest element of each window of [N, C, ...]; padding counts as -inf.',
  signature: `input: tensor, ${signature}`,
  gradName: 'MaxPool2DWithIndicesBackward0',
  fusion: 'reduction',
  infer: ([input], attrs) => ({ dtype: input.dtype, shape: inferPooled('maxPool', input, attrs) }),
  lower: overWindow('max'),
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
const maxPoolBackward: Op<(grad: Tensor, indices: Tensor, shape: Shape, ...window: WindowArgs) => Tensor> = define({
  name: 'maxPoolBackward',
  doc: 'The input gradient of max pooling with the given maxima positions.',
  signature: `grad: tensor, indices: tensor, shape: ints, ${signature}`,
  fusion: 'reduction',
  infer: ([grad], attrs) => ({ dtype: grad.dtype, shape: attrs.shape as Shape }),
  lower: fromWindows((at, value, p, [, indices], attrs) => {
    const here = cast(indices.type.dtype, flatIndex(p, (attrs.shape as Shape).slice(2)));
    // the index is read only where it exists: `and` evaluates both sides
    return guard(call('eq', indices.at(at), here), value, 0);
  }),
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
  lower: overWindow('add'),
  vjp: c => [sumPoolBackward(c.grad, c.types[0].shape, ...argsOf(windowOf(c.attrs)))],
  samples: [
    sample(random([2, 2, 4, 4]), [2, 2], [2, 2], [0, 0], [1, 1], false),
    sample(random([1, 2, 5, 7]), [3, 2], [2, 1], [1, 1], [1, 1], true),
  ],
});

const sumPoolBackward: Op<(grad: Tensor, shape: Shape, ...window: WindowArgs) => Tensor> = define({
  name: 'sumPoolBackward',
  doc: 'The input gradient of sum pooling: each element collects from the windows that cover it.',
  signature: `grad: tensor, shape: ints, ${signature}`,
  fusion: 'reduction',
  infer: ([grad], attrs) => ({ dtype: grad.dtype, shape: attrs.shape as Shape }),
  lower: fromWindows((_, value) => value),
  vjp: c => [sumPool(c.grad, ...argsOf(windowOf(c.attrs)))],
  samples: [sample(random([1, 2, 2, 2]), [1, 2, 3, 3], [2, 2], [1, 1], [0, 0], [1, 1], false)],
});
