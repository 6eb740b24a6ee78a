/** Views: the elements of one tensor seen in another arrangement. */
import { fail } from '../errors.js';
import { addIndex, type Expr, floorDivIndex, index, iterOf, loop, makeIter, modIndex, mulIndex, type Stmt } from '../ir/kernel.js';
import { contiguousStrides, formatShape, inferSize, normalizeDim, numel, type Shape } from '../ir/shape.js';
import { broadcastIndex, define, type Op, view } from './define.js';
import { random, sample } from './samples.js';
import type { Tensor } from './tensor.js';

/** Row-major position in `to` of the element at row-major position `at` in `from`. */
export function reindex(at: readonly Expr[], from: Shape, to: Shape): Expr[] {
  const strides = contiguousStrides(from);
  const linear = at.reduce<Expr>((sum, i, d) => addIndex(sum, mulIndex(i, strides[d])), index(0));
  return contiguousStrides(to).map((stride, d) => {
    const quotient = floorDivIndex(linear, stride);
    return d === 0 ? quotient : modIndex(quotient, to[d]);
  });
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

export const reshape: Op<(input: Tensor, ...shape: SizeArgs) => Tensor> = view({
  name: 'reshape',
  doc: 'The same elements in row-major order under another shape; one size may be -1. A view where strides allow.',
  signature: 'input: tensor, shape: size',
  attrs: ({ shape }, input) => ({ shape: inferSize('reshape', shape, input.numel()) }),
  infer: (input, attrs) => ({ dtype: input.dtype, shape: attrs.shape as Shape }),
  map: (at, input, _, type) => reindex(at, type.shape, input.shape),
  strides(input, strides, _, type) {
    const found = reshapeStrides(input.shape, strides, type.shape);
    return found && { offset: 0, strides: found };
  },
  vjp: c => [c.grad.reshape(c.types[0].shape)],
  samples: [sample(random([2, 3]), [3, 2]), sample(random([2, 3, 4]), [-1, 4]), sample(random([1]), [])],
  errors: [{ args: [random([2, 3]), [4, 2]], message: /shape '\[4, 2\]' is invalid for input of size 6/ }],
});

export const permute: Op<(input: Tensor, ...dims: SizeArgs) => Tensor> = view({
  name: 'permute',
  doc: 'The dims in another order.',
  signature: 'input: tensor, dims: size',
  attrs({ dims }, input) {
    if (dims.length !== input.ndim) fail('E107', { op: 'permute', problem: `number of dims don't match: ${dims.length} given for a tensor of shape ${formatShape(input.shape)}` });
    const normal = dims.map((dim: number) => normalizeDim('permute', dim, input.ndim));
    if (new Set(normal).size !== normal.length) fail('E104', { op: 'permute', dim: normal.find((dim: number, i: number) => normal.indexOf(dim) !== i) });
    return { dims: normal };
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: (attrs.dims as number[]).map(dim => input.shape[dim]) }),
  map: (at, input, attrs) => input.shape.map((_, d) => at[(attrs.dims as number[]).indexOf(d)]),
  vjp: c => [c.grad.permute(c.types[0].shape.map((_, d) => (c.attrs.dims as number[]).indexOf(d)))],
  samples: [sample(random([2, 3, 4]), [2, 0, 1]), sample(random([2, 3]), [-1, 0])],
});

export const expand: Op<(input: Tensor, ...size: SizeArgs) => Tensor> = view({
  name: 'expand',
  doc: 'Dims of size 1, and new ones in front, repeated without copying; -1 keeps a size.',
  signature: 'input: tensor, size: size',
  attrs({ size }, input) {
    const lead = size.length - input.ndim;
    if (lead < 0) {
      fail('E107', { op: 'expand', problem: `the number of sizes provided (${size.length}) must be greater or equal to the number of dimensions in the tensor (${input.ndim})` });
    }
    return {
      size: size.map((dim: number, d: number) => {
        const own = d < lead ? 1 : input.shape[d - lead];
        if (dim === -1 && d >= lead) return own;
        if (dim < 0) fail('E107', { op: 'expand', problem: `The expanded size of the tensor (${dim}) isn't allowed in a leading, non-existing dimension ${d}` });
        if (own !== 1 && own !== dim) {
          fail('E107', { op: 'expand', problem: `The expanded size of the tensor (${dim}) must match the existing size (${own}) at non-singleton dimension ${d}.  Target sizes: ${formatShape(size)}.  Tensor sizes: ${formatShape(input.shape)}` });
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

export const select: Op<(input: Tensor, dim: number, index: number) => Tensor> = view({
  name: 'select',
  doc: 'One position along a dim, which disappears.',
  signature: 'input: tensor, dim: int, index: int',
  attrs({ dim, index: position }, input) {
    if (input.ndim === 0) fail('E109', { op: 'select', problem: 'select() cannot be applied to a 0-dim tensor.' });
    const d = normalizeDim('select', dim, input.ndim);
    const extent = input.shape[d];
    if (position < -extent || position >= extent) fail('E109', { op: 'select', problem: `index ${position} is out of bounds for dimension ${d} with size ${extent}` });
    return { dim: d, index: position < 0 ? position + extent : position };
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: input.shape.filter((_, d) => d !== attrs.dim) }),
  map: (at, _, attrs) => [...at.slice(0, attrs.dim as number), index(attrs.index as number), ...at.slice(attrs.dim as number)],
  vjp: c => {
    const dim = c.attrs.dim as number;
    const at = c.attrs.index as number;
    return [c.grad.unsqueeze(dim).padDim(dim, at, c.types[0].shape[dim] - at - 1)];
  },
  samples: [sample(random([2, 3]), 0, 1), sample(random([2, 3, 4]), -1, -2)],
});

export const unsqueeze: Op<(input: Tensor, dim: number) => Tensor> = view({
  name: 'unsqueeze',
  doc: 'A new dim of size 1 at the given place.',
  signature: 'input: tensor, dim: int',
  attrs: ({ dim }, input) => ({ dim: normalizeDim('unsqueeze', dim, input.ndim + 1) }),
  infer: (input, attrs) => ({ dtype: input.dtype, shape: [...input.shape.slice(0, attrs.dim as number), 1, ...input.shape.slice(attrs.dim as number)] }),
  map: (at, _, attrs) => at.filter((_i, d) => d !== attrs.dim),
  strides: (input, strides, attrs) => {
    const dim = attrs.dim as number;
    const own = dim < input.shape.length ? input.shape[dim] * strides[dim] : 1;
    return { offset: 0, strides: [...strides.slice(0, dim), own, ...strides.slice(dim)] };
  },
  vjp: c => [c.grad.squeeze(c.attrs.dim as number)],
  samples: [sample(random([2, 3]), 0), sample(random([2, 3]), -1)],
});

export const squeeze: Op<(input: Tensor, dim?: number) => Tensor> = view({
  name: 'squeeze',
  doc: 'Without the dims of size 1, or without the one given if its size is 1.',
  signature: 'input: tensor, dim: int = null',
  attrs({ dim }, input) {
    const wanted = dim === null ? input.shape.map((_, d) => d) : [normalizeDim('squeeze', dim, input.ndim)];
    return { dims: wanted.filter((d: number) => input.shape[d] === 1) };
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: input.shape.filter((_, d) => !(attrs.dims as number[]).includes(d)) }),
  map(at, input, attrs) {
    let next = 0;
    return input.shape.map((_, d) => ((attrs.dims as number[]).includes(d) ? index(0) : at[next++]));
  },
  vjp: c => [(c.attrs.dims as number[]).reduce((grad, d) => grad.unsqueeze(d), c.grad)],
  samples: [sample(random([2, 1, 3, 1])), sample(random([2, 1, 3]), 1), sample(random([2, 1, 3]), 0)],
});

export const detach: Op<(input: Tensor) => Tensor> = view({
  name: 'detach',
  doc: 'The same memory without history.',
  signature: 'input: tensor',
  attrs: () => ({}),
  infer: input => input,
  map: at => at,
  strides: (_, strides) => ({ offset: 0, strides: [...strides] }),
  differentiable: false,
  samples: [{ args: [random([2, 3])], gradient: false }],
});

export const transpose: Op<(input: Tensor, dim0: number, dim1: number) => Tensor> = view({
  name: 'transpose',
  doc: 'Two dims swapped.',
  signature: 'input: tensor, dim0: int, dim1: int',
  attrs: ({ dim0, dim1 }, input) => ({ dim0: normalizeDim('transpose', dim0, input.ndim), dim1: normalizeDim('transpose', dim1, input.ndim) }),
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

export const asStrided: Op<(input: Tensor, size: Shape, stride: readonly number[], storageOffset?: number) => Tensor> = view({
  name: 'asStrided',
  doc: 'The memory of the input under another size, stride and offset (in elements). Compiled, the input counts as contiguous.',
  signature: 'input: tensor, size: size, stride: ints, storageOffset: int = 0',
  infer: (input, attrs) => ({ dtype: input.dtype, shape: attrs.size as Shape }),
  map(at, input, attrs) {
    const strides = attrs.stride as number[];
    const linear = at.reduce<Expr>((sum, i, d) => addIndex(sum, mulIndex(i, strides[d])), index(attrs.storageOffset as number));
    return reindex([linear], [numel(input.shape)], input.shape);
  },
  strides: (_input, _strides, attrs) => ({ offset: attrs.storageOffset as number, strides: [...(attrs.stride as number[])] }),
  vjp: c => [asStridedBackward(c.grad, c.types[0].shape, c.attrs.stride as number[], c.attrs.storageOffset as number)],
  samples: [sample(random([4, 3]), [3, 2], [1, 3], 1)],
});

/** The gradient of `asStrided`: every element added where it was read. */
const asStridedBackward: Op<(grad: Tensor, shape: Shape, stride: readonly number[], storageOffset: number) => Tensor> = define({
  name: 'asStridedBackward',
  doc: 'Zeros of the given shape with the gradient added at the places that the strides name.',
  signature: 'grad: tensor, shape: ints, stride: ints, storageOffset: int',
  fusion: 'opaque',
  infer: ([grad], attrs) => ({ dtype: grad.dtype, shape: attrs.shape as Shape }),
  lower: {
    kind: 'program',
    build({ inputs: [grad], attrs, type, out }) {
      const iters = grad.type.shape.map((extent, d) => makeIter(`i${d}`, extent));
      const at = iters.map(iterOf);
      const strides = attrs.stride as number[];
      const linear = at.reduce<Expr>((sum, i, d) => addIndex(sum, mulIndex(i, strides[d])), index(attrs.storageOffset as number));
      const accumulate: readonly Stmt[] = [out.reduce(reindex([linear], [numel(type.shape)], type.shape), 'add', grad.at(at))];
      return [out.fill(0), ...iters.reduceRight<readonly Stmt[]>((body, iter) => [loop(iter, 'serial', body)], accumulate)];
    },
  },
  vjp: c => [asStrided(c.grad, c.types[0].shape, c.attrs.stride as number[], c.attrs.storageOffset as number)],
  samples: [sample(random([3, 2]), [4, 3], [1, 3], 1)],
});
