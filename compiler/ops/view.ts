/** Views: the elements of one tensor seen in another arrangement. */
import { fail, invariant } from '../errors.js';
import { addIndex, type Expr, floorDivIndex, index, modIndex, mulIndex } from '../ir/kernel.js';
import {
  contiguousStrides,
  formatShape,
  inferSize,
  normalizeDim,
  normalizeDims,
  numel,
  type Shape,
} from '../ir/shape.js';
import { broadcastIndex, composite, view as defineView, type Op, type ViewSpec } from './define.js';
import { random, sample, sampleWithoutGradient } from './samples.js';
import type { Tensor } from './tensor.js';

/**
 * Row-major position in `to` of the element at row-major position `at` in `from`. Dims that correspond keep their index
 * as it is, so that an index that reaches outside under a guard stays a sum.
 */
export function reindex(at: readonly Expr[], from: Shape, to: Shape): Expr[] {
  invariant(numel(from) === numel(to), () => `no reshape from ${formatShape(from)} to ${formatShape(to)}`);
  const out: Expr[] = to.map(() => index(0));
  if (numel(to) === 0) return out;
  for (const run of matchingRuns(from, to)) {
    let linear = run.from.reduce<Expr>((sum, d) => addIndex(mulIndex(sum, from[d]), at[d]), index(0));
    for (const d of run.to.slice(1).reverse()) {
      out[d] = modIndex(linear, to[d]);
      linear = floorDivIndex(linear, to[d]);
    }
    out[run.to[0]] = linear;
  }
  return out;
}

/** The shortest runs of dims of two shapes with as many elements each; dims of size 1 left out. */
function matchingRuns(from: Shape, to: Shape): { from: number[]; to: number[] }[] {
  const [left, right] = [from, to].map(shape => shape.map((_, d) => d).filter(d => shape[d] !== 1));
  const runs: { from: number[]; to: number[] }[] = [];
  while (left.length > 0 && right.length > 0) {
    const run = { from: [left.shift()!], to: [right.shift()!] };
    const elements = (): [number, number] => [numel(run.from.map(d => from[d])), numel(run.to.map(d => to[d]))];
    for (let [m, n] = elements(); m !== n; [m, n] = elements()) {
      if (m < n) run.from.push(left.shift()!);
      else run.to.push(right.shift()!);
    }
    runs.push(run);
  }
  return runs;
}

/** Strides that show memory of shape `from` as `to`; null where a copy is needed. After PyTorch's `computeStride`. */
function reshapeStrides(from: Shape, strides: readonly number[], to: Shape): number[] | null {
  if (numel(from) === 0) return contiguousStrides(to);
  const out = new Array<number>(to.length);
  let d = to.length - 1;
  let chunkStride = strides[strides.length - 1] ?? 1;
  let chunk = 1;
  let seen = 1;
  for (let s = from.length - 1; s >= 0; s--) {
    chunk *= from[s];
    const ends = s === 0 || (from[s - 1] !== 1 && strides[s - 1] !== chunk * chunkStride);
    if (!ends) continue;
    while (d >= 0 && (seen < chunk || to[d] === 1)) {
      out[d] = seen * chunkStride;
      seen *= to[d--];
    }
    if (seen !== chunk) return null;
    if (s > 0) {
      chunkStride = strides[s - 1];
      chunk = 1;
      seen = 1;
    }
  }
  for (; d >= 0; d--) out[d] = chunkStride;
  return out;
}

type SizeArgs = [size: readonly number[]] | number[];

/** What reshape and view share; they differ in whether a copy will do. */
const rearranged: Pick<ViewSpec, 'signature' | 'infer' | 'map' | 'inverse' | 'strides' | 'vjp'> = {
  inverse: (at, input, _, type) => reindex(at, input.shape, type.shape),
  signature: 'input: tensor, shape: size',
  infer: (input, attrs) => ({ dtype: input.dtype, shape: attrs.shape as Shape }),
  map: (at, input, _, type) => reindex(at, type.shape, input.shape),
  strides(input, strides, _, type) {
    const found = reshapeStrides(input.shape, strides, type.shape);
    return found && { offset: 0, strides: found };
  },
  vjp: c => [c.grad.reshape(c.types[0].shape)],
};

export const reshape: Op<(input: Tensor, ...shape: SizeArgs) => Tensor> = defineView({
  ...rearranged,
  name: 'reshape',
  doc: 'The same elements in row-major order under another shape; one size may be -1. A view where strides allow.',
  gradName: 'ReshapeAliasBackward0',
  attrs: ({ shape }, input) => ({ shape: inferSize('reshape', shape, input.numel()) }),
  samples: [sample(random([2, 3]), [3, 2]), sample(random([2, 3, 4]), [-1, 4]), sample(random([1]), [])],
  errors: [{ args: [random([2, 3]), [4, 2]], message: /shape '\[4, 2\]' is invalid for input of size 6/ }],
});

export const view: Op<(input: Tensor, ...shape: SizeArgs) => Tensor> = defineView({
  ...rearranged,
  name: 'view',
  doc: 'The same memory under another shape; an error where only a copy would do.',
  attrs({ shape }, input) {
    const size = inferSize('view', shape, input.numel());
    if (reshapeStrides(input.shape, input.stride(), size) === null) {
      fail('E107', {
        op: 'view',
        problem:
          "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces).",
        hint: 'use .reshape(...) instead',
      });
    }
    return { shape: size };
  },
  samples: [sample(random([2, 3]), [3, 2]), sample(random([2, 3, 4]), -1)],
  errors: [{ args: [random([2, 3]), [4, 2]], message: /shape '\[4, 2\]' is invalid for input of size 6/ }],
});

export const permute: Op<(input: Tensor, ...dims: SizeArgs) => Tensor> = defineView({
  name: 'permute',
  doc: 'The dims in another order.',
  signature: 'input: tensor, dims: size',
  attrs({ dims }, input) {
    if (dims.length !== input.ndim)
      fail('E107', {
        op: 'permute',
        problem: `number of dims don't match: ${dims.length} given for a tensor of shape ${formatShape(input.shape)}`,
      });
    const normal = dims.map((dim: number) => normalizeDim('permute', dim, input.ndim));
    if (new Set(normal).size !== normal.length)
      fail('E104', { op: 'permute', dim: normal.find((dim: number, i: number) => normal.indexOf(dim) !== i) });
    return { dims: normal };
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: (attrs.dims as number[]).map(dim => input.shape[dim]) }),
  map: (at, input, attrs) => input.shape.map((_, d) => at[(attrs.dims as number[]).indexOf(d)]),
  inverse: (at, _, attrs) => (attrs.dims as number[]).map(d => at[d]),
  vjp: c => [c.grad.permute(c.types[0].shape.map((_, d) => (c.attrs.dims as number[]).indexOf(d)))],
  samples: [sample(random([2, 3, 4]), [2, 0, 1]), sample(random([2, 3]), [-1, 0])],
});

export const expand: Op<(input: Tensor, ...size: SizeArgs) => Tensor> = defineView({
  name: 'expand',
  doc: 'Dims of size 1, and new ones in front, repeated without copying; -1 keeps a size.',
  signature: 'input: tensor, size: size',
  attrs({ size }, input) {
    const lead = size.length - input.ndim;
    if (lead < 0) {
      fail('E107', {
        op: 'expand',
        problem: `the number of sizes provided (${size.length}) must be greater or equal to the number of dimensions in the tensor (${input.ndim})`,
      });
    }
    return {
      size: size.map((dim: number, d: number) => {
        const own = d < lead ? 1 : input.shape[d - lead];
        if (dim === -1 && d >= lead) return own;
        if (dim < 0)
          fail('E107', {
            op: 'expand',
            problem: `The expanded size of the tensor (${dim}) isn't allowed in a leading, non-existing dimension ${d}`,
          });
        if (own !== 1 && own !== dim) {
          fail('E107', {
            op: 'expand',
            problem: `The expanded size of the tensor (${dim}) must match the existing size (${own}) at non-singleton dimension ${d}.  Target sizes: ${formatShape(size)}.  Tensor sizes: ${formatShape(input.shape)}`,
          });
        }
        return dim;
      }),
    };
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: attrs.size as Shape }),
  map: (at, input) => broadcastIndex(at, input.shape),
  vjp: c => [c.grad.sumToSize(c.types[0].shape)],
  samples: [sample(random([3, 1]), [2, 3, 4]), sample(random([2, 1]), [-1, 3])],
});

export const select: Op<(input: Tensor, dim: number, index: number) => Tensor> = defineView({
  name: 'select',
  doc: 'One position along a dim, which disappears.',
  signature: 'input: tensor, dim: int, index: int',
  attrs({ dim, index: position }, input) {
    if (input.ndim === 0) fail('E109', { op: 'select', problem: 'select() cannot be applied to a 0-dim tensor.' });
    const d = normalizeDim('select', dim, input.ndim);
    const extent = input.shape[d];
    if (position < -extent || position >= extent)
      fail('E109', {
        op: 'select',
        problem: `index ${position} is out of bounds for dimension ${d} with size ${extent}`,
      });
    return { dim: d, index: position < 0 ? position + extent : position };
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: input.shape.filter((_, d) => d !== attrs.dim) }),
  map: (at, _, attrs) => [
    ...at.slice(0, attrs.dim as number),
    index(attrs.index as number),
    ...at.slice(attrs.dim as number),
  ],
  vjp: c => {
    const dim = c.attrs.dim as number;
    const at = c.attrs.index as number;
    return [c.grad.unsqueeze(dim).unslice(dim, c.types[0].shape[dim], at)];
  },
  samples: [sample(random([2, 3]), 0, 1), sample(random([2, 3, 4]), -1, -2)],
});

export const unsqueeze: Op<(input: Tensor, dim: number) => Tensor> = defineView({
  name: 'unsqueeze',
  doc: 'A new dim of size 1 at the given place.',
  signature: 'input: tensor, dim: int',
  attrs: ({ dim }, input) => ({ dim: normalizeDim('unsqueeze', dim, input.ndim + 1) }),
  infer: (input, attrs) => ({
    dtype: input.dtype,
    shape: [...input.shape.slice(0, attrs.dim as number), 1, ...input.shape.slice(attrs.dim as number)],
  }),
  map: (at, _, attrs) => at.filter((_i, d) => d !== attrs.dim),
  strides: (input, strides, attrs) => {
    const dim = attrs.dim as number;
    const own = dim < input.shape.length ? input.shape[dim] * strides[dim] : 1;
    return { offset: 0, strides: [...strides.slice(0, dim), own, ...strides.slice(dim)] };
  },
  vjp: c => [c.grad.squeeze(c.attrs.dim as number)],
  samples: [sample(random([2, 3]), 0), sample(random([2, 3]), -1)],
});

type Dims = number | readonly number[];
export const squeeze: Op<(input: Tensor, dim?: Dims | { readonly dim?: Dims }) => Tensor> = defineView({
  name: 'squeeze',
  callName: ({ dim }) => (dim === null ? null : 'SqueezeBackward1'),
  doc: 'Without the dims of size 1, or without those given whose size is 1.',
  signature: 'input: tensor, dim: dims = null',
  attrs({ dim }, input) {
    const wanted = normalizeDims('squeeze', dim, input.ndim);
    return { dims: wanted.filter((d: number) => input.shape[d] === 1) };
  },
  infer: (input, attrs) => ({
    dtype: input.dtype,
    shape: input.shape.filter((_, d) => !(attrs.dims as number[]).includes(d)),
  }),
  map(at, input, attrs) {
    let next = 0;
    return input.shape.map((_, d) => ((attrs.dims as number[]).includes(d) ? index(0) : at[next++]));
  },
  vjp: c => [(c.attrs.dims as number[]).reduce((grad, d) => grad.unsqueeze(d), c.grad)],
  samples: [sample(random([2, 1, 3, 1])), sample(random([2, 1, 3]), 1), sample(random([2, 1, 3]), 0)],
});

export const detach: Op<(input: Tensor) => Tensor> = defineView({
  name: 'detach',
  doc: 'The same memory without history.',
  signature: 'input: tensor',
  attrs: () => ({}),
  infer: input => input,
  map: at => at,
  strides: (_, strides) => ({ offset: 0, strides: [...strides] }),
  differentiable: false,
  /** Not for gradients: how a trace writes through it. */
  vjp: c => [c.grad],
  samples: [{ args: [random([2, 3])], gradient: false }],
});

export const transpose: Op<(input: Tensor, dim0: number, dim1: number) => Tensor> = defineView({
  name: 'transpose',
  doc: 'Two dims swapped.',
  signature: 'input: tensor, dim0: int, dim1: int',
  attrs: ({ dim0, dim1 }, input) => ({
    dim0: normalizeDim('transpose', dim0, input.ndim),
    dim1: normalizeDim('transpose', dim1, input.ndim),
  }),
  infer: (input, attrs) => ({ dtype: input.dtype, shape: swapped(input.shape, attrs) }),
  map: (at, _, attrs) => swapped(at, attrs),
  vjp: c => [c.grad.transpose(c.attrs.dim0 as number, c.attrs.dim1 as number)],
  samples: [sample(random([2, 3]), 0, 1), sample(random([2, 3, 4]), -1, 0)],
});

function swapped<T>(list: readonly T[], attrs: { readonly [name: string]: unknown }): T[] {
  const out = [...list];
  if (out.length === 0) return out;
  [out[attrs.dim0 as number], out[attrs.dim1 as number]] = [out[attrs.dim1 as number], out[attrs.dim0 as number]];
  return out;
}

export const t: Op<(input: Tensor) => Tensor> = defineView({
  name: 't',
  doc: 'The transpose of a matrix; vectors and scalars stay as they are.',
  signature: 'input: tensor',
  attrs(_, input) {
    if (input.ndim > 2)
      fail('E107', {
        op: 't',
        problem: `t() expects a tensor with <= 2 dimensions, but self is ${input.ndim}D`,
        hint: 'use transpose(d0, d1)',
      });
    return {};
  },
  infer: input => ({ dtype: input.dtype, shape: [...input.shape].reverse() }),
  map: at => [...at].reverse(),
  vjp: c => [c.grad.t()],
  samples: [sample(random([2, 3])), sample(random([3]))],
});

export interface SliceOptions {
  readonly dim?: number;
  readonly start?: number | null;
  readonly end?: number | null;
  readonly step?: number;
}
export const slice: Op<
  (
    input: Tensor,
    dim?: number | SliceOptions,
    start?: number | null | SliceOptions,
    end?: number | null | SliceOptions,
    step?: number | SliceOptions,
  ) => Tensor
> = defineView({
  name: 'slice',
  doc: 'Every step-th position from start up to end along a dim; negative positions count from the end.',
  signature: 'input: tensor, dim: int = 0, start: int = null, end: int = null, step: int = 1',
  attrs({ dim, start, end, step }, input) {
    if (step <= 0)
      fail('E110', { op: 'slice', problem: 'slice step must be positive', hint: 'use flip() to go backwards' });
    const d = normalizeDim('slice', dim, input.ndim);
    const extent = input.shape[d];
    const place = (position: number): number =>
      Math.min(Math.max(position < 0 ? position + extent : position, 0), extent);
    const first = place(start ?? 0);
    return { dim: d, start: first, length: Math.max(0, Math.ceil((place(end ?? extent) - first) / step)), step };
  },
  infer: (input, attrs) => ({
    dtype: input.dtype,
    shape: input.shape.map((dim, d) => (d === attrs.dim ? (attrs.length as number) : dim)),
  }),
  map: (at, _, attrs) =>
    at.map((i, d) => (d === attrs.dim ? addIndex(mulIndex(i, attrs.step as number), attrs.start as number) : i)),
  vjp: c => {
    const { dim, start, step } = c.attrs as { dim: number; start: number; step: number };
    return [c.grad.unslice(dim, c.types[0].shape[dim], start, step)];
  },
  samples: [
    sample(random([4, 3]), 0, 1, 3),
    sample(random([2, 7]), 1, 1, null, 2),
    sample(random([5]), 0, -3),
    sampleWithoutGradient(random([3]), 0, 2, 1),
  ],
});

export const narrow: Op<(input: Tensor, dim: number, start: number, length: number) => Tensor> = composite({
  name: 'narrow',
  doc: '`length` positions from `start` along a dim.',
  signature: 'input: tensor, dim: int, start: int, length: int',
  compute({ input, dim, start, length }) {
    const extent = input.shape[normalizeDim('narrow', dim, input.ndim)];
    const first = start < 0 ? start + extent : start;
    if (first < 0 || length < 0 || first + length > extent) {
      fail('E109', {
        op: 'narrow',
        problem: `start (${start}) + length (${length}) exceeds dimension size (${extent}).`,
      });
    }
    return slice(input, dim, first, first + length);
  },
  samples: [sample(random([4, 3]), 0, 1, 2)],
  errors: [{ args: [random([3]), 0, 2, 2], message: /exceeds dimension size/ }],
});

export interface DiagonalOptions {
  readonly offset?: number;
  readonly dim1?: number;
  readonly dim2?: number;
}
export const diagonal: Op<
  (
    input: Tensor,
    offset?: number | DiagonalOptions,
    dim1?: number | DiagonalOptions,
    dim2?: number | DiagonalOptions,
  ) => Tensor
> = defineView({
  name: 'diagonal',
  doc: 'The diagonal of two dims, as a new last dim; a positive offset lies above the main one.',
  signature: 'input: tensor, offset: int = 0, dim1: int = 0, dim2: int = 1',
  attrs({ offset, dim1, dim2 }, input) {
    const [a, b] = [normalizeDim('diagonal', dim1, input.ndim), normalizeDim('diagonal', dim2, input.ndim)];
    if (a === b) fail('E104', { op: 'diagonal', dim: a });
    return { offset, dim1: a, dim2: b };
  },
  infer(input, attrs) {
    const { offset, dim1, dim2 } = attrs as { offset: number; dim1: number; dim2: number };
    const length = Math.max(
      0,
      offset >= 0
        ? Math.min(input.shape[dim1], input.shape[dim2] - offset)
        : Math.min(input.shape[dim1] + offset, input.shape[dim2]),
    );
    return { dtype: input.dtype, shape: [...input.shape.filter((_, d) => d !== dim1 && d !== dim2), length] };
  },
  map(at, input, attrs) {
    const { offset, dim1, dim2 } = attrs as { offset: number; dim1: number; dim2: number };
    const along = at[at.length - 1];
    let next = 0;
    return input.shape.map((_, d) =>
      d === dim1
        ? addIndex(along, Math.max(-offset, 0))
        : d === dim2
          ? addIndex(along, Math.max(offset, 0))
          : at[next++],
    );
  },
  vjp: c => [
    c.grad.placeDiagonal(c.types[0].shape, c.attrs.offset as number, c.attrs.dim1 as number, c.attrs.dim2 as number),
  ],
  samples: [sample(random([3, 3])), sample(random([2, 3, 4]), 1, 1, 2), sample(random([3, 2]), -1)],
});

export const unfold: Op<(input: Tensor, dimension: number, size: number, step: number) => Tensor> = defineView({
  name: 'unfold',
  doc: 'Windows of `size` along a dim, `step` apart; the position in the window is a new last dim.',
  signature: 'input: tensor, dimension: int, size: int, step: int',
  attrs({ dimension, size, step }, input) {
    const dim = normalizeDim('unfold', dimension, input.ndim);
    if (size < 0 || step < 1)
      fail('E107', { op: 'unfold', problem: `size must not be negative and step at least 1: ${size} and ${step}` });
    if (input.ndim === 0) fail('E107', { op: 'unfold', problem: 'expects input to be at least one-dimensional' });
    if (size > input.shape[dim])
      fail('E107', {
        op: 'unfold',
        problem: `maximum size for tensor at dimension ${dim} is ${input.shape[dim]} but size is ${size}`,
      });
    return { dim, size, step };
  },
  infer(input, attrs) {
    const { dim, size, step } = attrs as { dim: number; size: number; step: number };
    const windows = Math.floor((input.shape[dim] - size) / step) + 1;
    return { dtype: input.dtype, shape: [...input.shape.map((extent, d) => (d === dim ? windows : extent)), size] };
  },
  map(at, _, attrs) {
    const within = at[at.length - 1];
    return at.slice(0, -1).map((i, d) => (d === attrs.dim ? addIndex(mulIndex(i, attrs.step as number), within) : i));
  },
  vjp: c => [c.grad.foldDim(c.attrs.dim as number, c.types[0].shape[c.attrs.dim as number], c.attrs.step as number)],
  samples: [sample(random([6]), 0, 3, 1), sample(random([2, 7]), 1, 2, 2), sample(random([5, 2]), 0, 2, 3)],
});

// ── composed views ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface FlattenOptions {
  readonly startDim?: number;
  readonly endDim?: number;
}
export const flatten: Op<
  (input: Tensor, startDim?: number | FlattenOptions, endDim?: number | FlattenOptions) => Tensor
> = composite({
  name: 'flatten',
  doc: 'The dims from startDim to endDim merged into one.',
  signature: 'input: tensor, startDim: int = 0, endDim: int = -1',
  compute({ input, startDim, endDim }) {
    const [first, last] = [normalizeDim('flatten', startDim, input.ndim), normalizeDim('flatten', endDim, input.ndim)];
    if (first > last) fail('E107', { op: 'flatten', problem: 'start_dim cannot come after end_dim' });
    if (input.ndim === 0) return reshape(input, [1]);
    if (first === last) return input;
    return reshape(input, [
      ...input.shape.slice(0, first),
      numel(input.shape.slice(first, last + 1)),
      ...input.shape.slice(last + 1),
    ]);
  },
  samples: [sample(random([2, 3, 4])), sample(random([2, 3, 4]), 1), sample(random([2, 3, 4]), 0, 1)],
});

export const ravel: Op<(input: Tensor) => Tensor> = composite({
  name: 'ravel',
  doc: 'All elements in one dim.',
  signature: 'input: tensor',
  compute: ({ input }) => reshape(input, [-1]),
  samples: [sample(random([2, 3]))],
});

export const unflatten: Op<(input: Tensor, dim: number, sizes: readonly number[]) => Tensor> = composite({
  name: 'unflatten',
  doc: 'One dim split into several.',
  signature: 'input: tensor, dim: int, sizes: ints',
  compute({ input, dim, sizes }) {
    const d = normalizeDim('unflatten', dim, input.ndim);
    return reshape(input, [
      ...input.shape.slice(0, d),
      ...inferSize('unflatten', sizes, input.shape[d]),
      ...input.shape.slice(d + 1),
    ]);
  },
  samples: [sample(random([2, 6]), 1, [2, -1])],
});

type Like = Op<(input: Tensor, other: Tensor) => Tensor>;
const like = (
  name: string,
  doc: string,
  op: (input: Tensor, size: readonly number[]) => Tensor,
  from: Shape,
  to: Shape,
): Like =>
  composite({
    name,
    doc,
    signature: 'input: tensor, other: tensor',
    compute: ({ input, other }) => op(input, other.shape),
    samples: [sample(random(from), random(to))],
  });
export const viewAs: Like = like(
  'viewAs',
  'The input viewed in the shape of another tensor.',
  (x, size) => view(x, size),
  [2, 3],
  [6],
);
export const reshapeAs: Like = like(
  'reshapeAs',
  'The input in the shape of another tensor.',
  (x, size) => reshape(x, size),
  [2, 3],
  [6],
);
export const expandAs: Like = like(
  'expandAs',
  'The input expanded to the shape of another tensor.',
  (x, size) => expand(x, size),
  [1, 3],
  [2, 3],
);

export const broadcastTo: Op<(input: Tensor, ...size: SizeArgs) => Tensor> = composite({
  name: 'broadcastTo',
  doc: 'The input expanded to a shape.',
  signature: 'input: tensor, size: size',
  compute: ({ input, size }) => expand(input, size),
  samples: [sample(random([1, 3]), [2, 3])],
});

export const movedim: Op<
  (input: Tensor, source: number | readonly number[], destination: number | readonly number[]) => Tensor
> = composite({
  name: 'movedim',
  doc: 'Dims moved to other places; the rest keep their order.',
  signature: 'input: tensor, source: ints, destination: ints',
  compute({ input, source, destination }) {
    const from = [source].flat().map((dim: number) => normalizeDim('movedim', dim, input.ndim));
    const to = [destination].flat().map((dim: number) => normalizeDim('movedim', dim, input.ndim));
    if (from.length !== to.length)
      fail('E107', { op: 'movedim', problem: 'source and destination must have the same number of dims' });
    const rest = input.shape.map((_: number, d: number) => d).filter((d: number) => !from.includes(d));
    return permute(
      input,
      input.shape.map((_: number, d: number) => (to.includes(d) ? from[to.indexOf(d)] : rest.shift())),
    );
  },
  samples: [sample(random([2, 3, 4]), 0, 2), sample(random([2, 3, 4]), [0, 1], [1, 2])],
});
export const moveaxis: typeof movedim = composite({
  name: 'moveaxis',
  doc: 'Another name of movedim.',
  signature: 'input: tensor, source: ints, destination: ints',
  compute: ({ input, source, destination }) => movedim(input, source, destination),
  samples: [sample(random([2, 3, 4]), 0, 2)],
});

type Swap = Op<(input: Tensor, dim0: number, dim1: number) => Tensor>;
const swap = (name: string): Swap =>
  composite({
    name,
    doc: 'Another name of transpose.',
    signature: 'input: tensor, dim0: int, dim1: int',
    compute: ({ input, dim0, dim1 }) => transpose(input, dim0, dim1),
    samples: [sample(random([2, 3]), 0, 1)],
  });
export const swapaxes: Swap = swap('swapaxes');
export const swapdims: Swap = swap('swapdims');

export const adjoint: Op<(input: Tensor) => Tensor> = composite({
  name: 'adjoint',
  doc: 'The last two dims swapped.',
  signature: 'input: tensor',
  compute: ({ input }) => transpose(input, -2, -1),
  samples: [sample(random([2, 3]))],
});
