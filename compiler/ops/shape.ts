/** Ops that copy elements to other places: padding, joining. What shares memory instead is in `view.ts`. */
import { fail } from '../errors.js';
import { computeType, type DType, isFloat, promoteTypes } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import {
  addIndex,
  both,
  call,
  cast,
  select as choose,
  constant,
  type Expr,
  floorDivIndex,
  index,
  modIndex,
  mulIndex,
  subIndex,
} from '../ir/kernel.js';
import { formatShape, normalizeDim, normalizeDims, type Shape, sameShape } from '../ir/shape.js';
import { composite, define, type Op } from './define.js';
import { eagerSample, exactly, random, sample } from './samples.js';
import { where } from './selection.js';
import type { Scalar } from './signature.js';
import { elements, type Tensor } from './tensor.js';
import type { DiagonalOptions, SliceOptions } from './view.js';

/** `position` lies in [0, extent). */
export const inside = (position: Expr, extent: number): Expr | null => {
  const cond = both(call('ge', position, index(0)), call('lt', position, index(extent)));
  return cond !== null && cond.kind === 'const' && cond.value ? null : cond;
};

/** A number as an element of a type, as PyTorch converts it: what is not 0 is true, integers drop the fraction. */
function asElement(value: number, dtype: DType): number {
  if (dtype === 'bool') return Number(value !== 0);
  return isFloat(dtype) ? value : Math.trunc(value);
}

export const constantPad: Op<
  (input: Tensor, pads: readonly number[], value?: Scalar | { readonly value?: Scalar }) => Tensor
> = define({
  name: 'constantPad',
  doc: 'The input surrounded by a value; `pads` holds [before, after] of each dim in order, negative ones crop.',
  signature: 'input: tensor, pads: ints, value: number = 0',
  fusion: 'pointwise',
  gradName: 'ConstantPadNdBackward0',
  infer([input], attrs) {
    const pads = attrs.pads as number[];
    if (pads.length !== 2 * input.shape.length)
      fail('E107', {
        op: 'constantPad',
        problem: `expected ${2 * input.shape.length} pads for a tensor of ${input.shape.length} dims, got ${pads.length}`,
      });
    const shape = input.shape.map((dim, d) => dim + pads[2 * d] + pads[2 * d + 1]);
    if (shape.some(dim => dim < 0))
      fail('E107', {
        op: 'constantPad',
        problem: `pads [${pads.join(', ')}] crop more than there is of shape [${input.shape.join(', ')}]`,
      });
    return { dtype: input.dtype, shape };
  },
  lower: {
    kind: 'map',
    element(at, [input], attrs, type) {
      const pads = attrs.pads as number[];
      const position = at.map((i, d) => subIndex(i, pads[2 * d]));
      const valid = position.map((i, d) => inside(i, input.type.shape[d])).reduce(both, null);
      const value = input.at(position);
      const filling = asElement(attrs.value as number, type.dtype);
      return valid === null ? value : choose(valid, value, constant(computeType(type.dtype), filling));
    },
  },
  vjp: c => [
    constantPad(
      c.grad,
      (c.attrs.pads as number[]).map(pad => -pad),
    ),
  ],
  samples: [sample(random([2, 3]), [1, 0, 2, 1]), sample(random([4]), [-1, 2], 0.5)],
});

/** A position along a dim spread over several others: what undoes `slice`. */
export const unslice: Op<
  (input: Tensor, dim: number, size: number, start: number, step?: number | { readonly step?: number }) => Tensor
> = define({
  name: 'unslice',
  doc: 'Zeros of `size` along a dim, with the input at every step-th position from start: the gradient of slice.',
  signature: 'input: tensor, dim: int, size: int, start: int, step: int = 1',
  fusion: 'pointwise',
  infer([input], attrs) {
    const { dim, size, start, step } = attrs as { dim: number; size: number; start: number; step: number };
    const given = input.shape[dim];
    if (given === undefined || (given > 0 && start + (given - 1) * step >= size)) {
      const problem = `${formatShape(input.shape)} does not fit into ${size} along dim ${dim} from ${start} in steps of ${step}`;
      fail('E110', { op: 'unslice', problem });
    }
    return { dtype: input.dtype, shape: input.shape.map((extent, d) => (d === dim ? size : extent)) };
  },
  lower: {
    kind: 'map',
    element(at, [input], attrs, type) {
      const { dim, start, step } = attrs as { dim: number; start: number; step: number };
      const shifted = subIndex(at[dim], start);
      const position = floorDivIndex(shifted, step);
      const aligned = step === 1 ? null : call('eq', modIndex(shifted, step), index(0));
      const valid = both(aligned, inside(position, input.type.shape[dim]));
      const value = input.at(at.map((i, d) => (d === dim ? position : i)));
      return valid === null ? value : choose(valid, value, constant(computeType(type.dtype), 0));
    },
  },
  vjp: c => {
    const { dim, start, step } = c.attrs as { dim: number; start: number; step: number };
    const last = start + (c.types[0].shape[dim] - 1) * step;
    return [c.grad.slice(dim, start, Math.max(start, last + 1), step)];
  },
  samples: [sample(random([2, 3]), 1, 5, 2), sample(random([2, 3]), 1, 8, 1, 2), sample(random([2, 0]), 1, 2, 0, 2)],
});

export const foldDim: Op<(input: Tensor, dim: number, size: number, step: number) => Tensor> = define({
  name: 'foldDim',
  doc: 'Windows (last dim) laid over each other along a dim and summed: the gradient of unfold.',
  signature: 'input: tensor, dim: int, size: int, step: int',
  fusion: 'reduction',
  infer([input], attrs) {
    const { dim, size, step } = attrs as { dim: number; size: number; step: number };
    const window = input.shape[input.shape.length - 1];
    const windows = Math.max(0, Math.floor((size - window) / step) + 1);
    if (input.shape[dim] !== windows)
      fail('E107', {
        op: 'foldDim',
        problem: `${input.shape[dim]} windows of ${window} do not make up ${size} elements, which have ${windows}`,
      });
    return {
      dtype: input.dtype,
      shape: input.shape.slice(0, -1).map((extent, d) => (d === dim ? size : extent)),
    };
  },
  lower: {
    kind: 'reduce',
    fn: 'add',
    extents: ([input], attrs) => [Math.ceil(input.shape[input.shape.length - 1] / (attrs.step as number))],
    element(at, [back], [input], attrs, type) {
      const { dim, step } = attrs as { dim: number; step: number };
      const window = subIndex(floorDivIndex(at[dim], step), back);
      const within = subIndex(at[dim], mulIndex(window, step));
      const valid = both(
        inside(window, input.type.shape[dim]),
        inside(within, input.type.shape[input.type.shape.length - 1]),
      );
      const value = cast(computeType(type.dtype), input.at([...at.map((i, d) => (d === dim ? window : i)), within]));
      return valid === null ? value : choose(valid, value, constant(computeType(type.dtype), 0));
    },
  },
  vjp: c => [
    c.grad.unfold(c.attrs.dim as number, c.types[0].shape[c.types[0].shape.length - 1], c.attrs.step as number),
  ],
  samples: [sample(random([4, 3]), 0, 6, 1), sample(random([2, 3, 2]), 1, 6, 2)],
});

export const placeDiagonal: Op<(input: Tensor, size: Shape, offset: number, dim1: number, dim2: number) => Tensor> =
  define({
    name: 'placeDiagonal',
    doc: 'Zeros of a shape with the last dim of the input on a diagonal: the gradient of diagonal.',
    signature: 'input: tensor, size: ints, offset: int, dim1: int, dim2: int',
    fusion: 'pointwise',
    infer: ([input], attrs) => ({ dtype: input.dtype, shape: attrs.size as Shape }),
    lower: {
      kind: 'map',
      element(at, [input], attrs, type) {
        const { offset, dim1, dim2 } = attrs as { offset: number; dim1: number; dim2: number };
        const along = subIndex(at[dim1], Math.max(-offset, 0));
        const other = subIndex(at[dim2], Math.max(offset, 0));
        const valid = both(call('eq', along, other), inside(along, input.type.shape[input.type.shape.length - 1]));
        const value = input.at([...at.filter((_, d) => d !== dim1 && d !== dim2), along]);
        return valid === null ? value : choose(valid, value, constant(computeType(type.dtype), 0));
      },
    },
    vjp: c => [c.grad.diagonal(c.attrs.offset as number, c.attrs.dim1 as number, c.attrs.dim2 as number)],
    samples: [sample(random([3]), [3, 3], 0, 0, 1), sample(random([2, 2]), [2, 2, 3], 1, 1, 2)],
  });

// ── joining ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** PyTorch lets a plain empty tensor stand beside any shape. */
const isLegacyEmpty = (type: TensorType): boolean => type.shape.length === 1 && type.shape[0] === 0;

type Join = Op<(tensors: readonly Tensor[], dim?: number | { readonly dim?: number }) => Tensor>;

export const cat: Join = define({
  name: 'cat',
  doc: 'Tensors one after another along a dim.',
  signature: 'tensors: tensors, dim: int = 0',
  fusion: 'pointwise',
  prepare({ tensors, dim }) {
    if (tensors.length === 0) fail('E110', { op: 'cat', problem: 'expected a non-empty list of Tensors' });
    const given = (tensors as Tensor[]).filter(tensor => !isLegacyEmpty(tensor.type));
    const inputs = given.length === 0 ? tensors.slice(0, 1) : given;
    return { inputs, attrs: { dim: normalizeDim('cat', dim, inputs[0].ndim) } };
  },
  infer(inputs, attrs) {
    const dim = attrs.dim as number;
    const [first] = inputs;
    for (const [i, { shape }] of inputs.entries()) {
      if (shape.length === 0)
        fail('E107', {
          op: 'cat',
          problem: `zero-dimensional tensor (at position ${i}) cannot be concatenated`,
          hint: 'use stack()',
        });
      const fits =
        shape.length === first.shape.length && shape.every((extent, d) => d === dim || extent === first.shape[d]);
      if (!fits) {
        fail('E107', {
          op: 'cat',
          problem: `Sizes of tensors must match except in dimension ${dim}: ${formatShape(first.shape)} and ${formatShape(shape)} (tensor number ${i} in the list)`,
        });
      }
    }
    const total = inputs.reduce((sum, input) => sum + input.shape[dim], 0);
    return {
      dtype: inputs.map(input => input.dtype).reduce(promoteTypes),
      shape: first.shape.map((extent, d) => (d === dim ? total : extent)),
    };
  },
  lower: {
    kind: 'map',
    element(at, inputs, attrs, type) {
      const dim = attrs.dim as number;
      const starts = inputs.map((_, i) => inputs.slice(0, i).reduce((sum, input) => sum + input.type.shape[dim], 0));
      const read = (i: number): Expr =>
        cast(
          computeType(type.dtype),
          inputs[i].at(at.map((position, d) => (d === dim ? subIndex(position, starts[i]) : position))),
        );
      return inputs
        .slice(0, -1)
        .reduceRight(
          (rest, _, i) => choose(call('lt', at[dim], index(starts[i + 1])), read(i), rest),
          read(inputs.length - 1),
        );
    },
  },
  vjp(c) {
    const dim = c.attrs.dim as number;
    let start = 0;
    return c.types.map((type, i) => {
      const from = start;
      start += type.shape[dim];
      return c.needs(i) ? c.grad.slice(dim, from, start).to(type.dtype) : null;
    });
  },
  samples: [
    sample([random([2, 3]), random([1, 3])]),
    sample([random([2, 1]), random([2, 3]), random([2, 2])], 1),
    sample([random([2]), random([0]), random([1])]),
  ],
  errors: [{ args: [[random([2, 3]), random([2, 2])]], message: /Sizes of tensors must match except in dimension 0/ }],
});
export const concat: typeof cat = composite({
  name: 'concat',
  doc: 'Another name of cat.',
  signature: 'tensors: tensors, dim: int = 0',
  compute: ({ tensors, dim }) => cat(tensors, dim),
  samples: [sample([random([2, 3]), random([1, 3])])],
});

export const stack: Join = composite({
  name: 'stack',
  doc: 'Tensors of one shape along a new dim.',
  signature: 'tensors: tensors, dim: int = 0',
  gradName: 'StackBackward0',
  compute({ tensors, dim }: { tensors: readonly Tensor[]; dim: number }) {
    if (tensors.length === 0) return fail('E110', { op: 'stack', problem: 'expects a non-empty list of tensors' });
    const [first] = tensors;
    const odd = tensors.findIndex(tensor => !sameShape(tensor.shape, first.shape));
    if (odd >= 0)
      fail('E107', {
        op: 'stack',
        problem: `expects each tensor to be equal size, but got ${formatShape(first.shape)} at entry 0 and ${formatShape(tensors[odd].shape)} at entry ${odd}`,
      });
    const d = normalizeDim('stack', dim, first.ndim + 1);
    return cat(
      tensors.map(tensor => tensor.unsqueeze(d)),
      d,
    );
  },
  samples: [sample([random([2, 3]), random([2, 3])]), sample([random([2]), random([2])], -1)],
  errors: [{ args: [[random([2]), random([3])]], message: /each tensor to be equal size/ }],
});

// ── padding ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export const padDim: Op<(input: Tensor, dim: number, before: number, after: number) => Tensor> = composite({
  name: 'padDim',
  doc: 'Zeros before and after along one dim.',
  signature: 'input: tensor, dim: int, before: int, after: int',
  compute({ input, dim, before, after }) {
    const d = normalizeDim('padDim', dim, input.ndim);
    return constantPad(
      input,
      (input as Tensor).shape.flatMap((_, e) => (e === d ? [before, after] : [0, 0])),
    );
  },
  samples: [sample(random([2, 3]), 1, 2, 0)],
});

// ── rearranged copies ──────────────────────────────────────────────────────────────────────────────────────────────────

export const flip: Op<(input: Tensor, ...dims: [readonly number[]] | number[]) => Tensor> = define({
  name: 'flip',
  doc: 'The order of the positions along dims reversed.',
  signature: 'input: tensor, dims: size',
  fusion: 'pointwise',
  prepare: ({ input, dims }) => ({
    inputs: [input],
    attrs: { dims: dims.length === 0 ? [] : normalizeDims('flip', dims, input.ndim) },
  }),
  infer: ([input]) => input,
  lower: {
    kind: 'map',
    element: (at, [input], attrs) =>
      input.at(
        at.map((i, d) => ((attrs.dims as number[]).includes(d) ? subIndex(index(input.type.shape[d] - 1), i) : i)),
      ),
  },
  vjp: c => [flip(c.grad, c.attrs.dims as number[])],
  samples: [sample(random([2, 3]), [0]), sample(random([2, 3]), 0, 1)],
});

type Flip = Op<(input: Tensor) => Tensor>;
const flipAlong = (name: string, doc: string, dim: number): Flip =>
  composite({
    name,
    doc,
    signature: 'input: tensor',
    compute: ({ input }) => flip(input, [dim]),
    samples: [sample(random([2, 3]))],
  });
export const fliplr: Flip = flipAlong('fliplr', 'Left and right swapped.', 1);
export const flipud: Flip = flipAlong('flipud', 'Up and down swapped.', 0);

export const rollDims: Op<(input: Tensor, shifts: readonly number[]) => Tensor> = define({
  name: 'rollDims',
  doc: 'Positions along each dim moved on by a shift, around the end.',
  signature: 'input: tensor, shifts: ints',
  fusion: 'pointwise',
  gradName: 'RollBackward0',
  infer: ([input]) => input,
  lower: {
    kind: 'map',
    element: (at, [input], attrs) =>
      input.at(
        at.map((i, d) => {
          const extent = Math.max(input.type.shape[d], 1);
          const shift = (((attrs.shifts as number[])[d] % extent) + extent) % extent;
          return shift === 0 ? i : modIndex(addIndex(i, extent - shift), extent);
        }),
      ),
  },
  vjp: c => [
    rollDims(
      c.grad,
      (c.attrs.shifts as number[]).map(shift => -shift),
    ),
  ],
  samples: [sample(random([2, 3]), [1, -1])],
});

type Dims = number | readonly number[] | null;
export const roll: Op<
  (input: Tensor, shifts: number | readonly number[], dims?: Dims | { readonly dims?: Dims }) => Tensor
> = composite({
  name: 'roll',
  doc: 'Positions moved on by shifts along dims, around the end; without dims over the flattened tensor.',
  signature: 'input: tensor, shifts: ints, dims: ints = null',
  compute({ input, shifts, dims }) {
    const list = [shifts].flat();
    if (dims === null && list.length !== 1)
      fail('E107', { op: 'roll', problem: `shifts and dimensions must align. shifts: ${list.length}, dims: 0` });
    if (dims === null) return rollDims(input.reshape([-1]), [list[0]]).reshape(input.shape);
    if (input.ndim === 0)
      fail('E109', { op: 'roll', problem: `Dimension specified as ${[dims].flat()[0]} but tensor has no dimensions` });
    const places = [dims].flat().map((dim: number) => normalizeDim('roll', dim, input.ndim));
    if (places.length !== list.length)
      fail('E107', {
        op: 'roll',
        problem: `shifts and dimensions must align. shifts: ${list.length}, dims: ${places.length}`,
      });
    return rollDims(
      input,
      input.shape.map((_: number, d: number) =>
        list.reduce((sum: number, shift: number, i: number) => (places[i] === d ? sum + shift : sum), 0),
      ),
    );
  },
  gradName: 'RollBackward0',
  samples: [sample(random([2, 3]), 1), sample(random([2, 3]), [1, 2], [0, 1])],
});

interface Rot90Options {
  readonly k?: number;
  readonly dims?: readonly number[];
}
export const rot90: Op<(input: Tensor, k?: number | Rot90Options, dims?: readonly number[] | Rot90Options) => Tensor> =
  composite({
    name: 'rot90',
    gradName: 'Rot90Backward0',
    doc: 'Rotated by k quarter turns from the first of two dims toward the second.',
    signature: 'input: tensor, k: int = 1, dims: ints = [0, 1]',
    compute({ input, k, dims: [a, b] }) {
      if (normalizeDim('rot90', a, input.ndim) === normalizeDim('rot90', b, input.ndim))
        fail('E107', {
          op: 'rot90',
          problem: `expected rotation dims to be different, but got dim0 = ${a} and dim1 = ${b}`,
        });
      const turns = ((k % 4) + 4) % 4;
      if (turns === 0) return input.clone();
      if (turns === 2) return flip(input, [a, b]);
      return turns === 1 ? flip(input, [b]).transpose(a, b) : flip(input.transpose(a, b), [b]);
    },
    samples: [sample(random([2, 3])), sample(random([2, 3]), -1), sample(random([2, 3]), 2)],
  });

export const repeat: Op<(input: Tensor, ...repeats: [readonly number[]] | number[]) => Tensor> = define({
  name: 'repeat',
  doc: 'The input laid out several times along each dim; more repeats than dims add dims in front.',
  signature: 'input: tensor, repeats: size',
  fusion: 'pointwise',
  infer([input], attrs) {
    const repeats = attrs.repeats as number[];
    const lead = repeats.length - input.shape.length;
    if (lead < 0)
      fail('E107', {
        op: 'repeat',
        problem: 'Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor',
      });
    if (repeats.some(times => times < 0))
      fail('E107', { op: 'repeat', problem: `repeats must not be negative, but are ${formatShape(repeats)}` });
    return { dtype: input.dtype, shape: repeats.map((times, d) => times * (d < lead ? 1 : input.shape[d - lead])) };
  },
  lower: {
    kind: 'map',
    element: (at, [input]) =>
      input.at(input.type.shape.map((extent, d) => modIndex(at[at.length - input.type.shape.length + d], extent))),
  },
  vjp(c) {
    const repeats = c.attrs.repeats as number[];
    const lead = repeats.length - c.types[0].shape.length;
    const split = repeats.flatMap((times, d) => (d < lead ? [times] : [times, c.types[0].shape[d - lead]]));
    const copies = repeats.map((_, d) => (d < lead ? d : lead + 2 * (d - lead)));
    return [c.grad.reshape(split).sum(copies)];
  },
  samples: [sample(random([2, 3]), [2, 2]), sample(random([3]), 2, 1)],
});

export const tile: Op<(input: Tensor, ...dims: [readonly number[]] | number[]) => Tensor> = composite({
  name: 'tile',
  doc: 'As repeat, where missing repeats count as 1.',
  signature: 'input: tensor, dims: size',
  compute: ({ input, dims }) => repeat(input, [...new Array(Math.max(0, input.ndim - dims.length)).fill(1), ...dims]),
  samples: [sample(random([2, 3]), [2])],
});

export const repeatInterleave: Op<
  (input: Tensor, repeats: number | Tensor, dim?: number | null | { readonly dim?: number | null }) => Tensor
> = composite({
  name: 'repeatInterleave',
  gradName: 'IndexSelectBackward0',
  doc: 'Each position repeated along a dim (flattened without one); a tensor of repeats gives each position its own.',
  signature: 'input: tensor, repeats: any, dim: int = null',
  compute({ input, repeats, dim }) {
    if (dim === null) return repeatInterleave(input.reshape([-1]), repeats, 0);
    const d = normalizeDim('repeatInterleave', dim, input.ndim);
    if (typeof repeats === 'number') {
      const copied = input
        .unsqueeze(d + 1)
        .expand([...input.shape.slice(0, d + 1), repeats, ...input.shape.slice(d + 1)]);
      return copied.reshape([...input.shape.slice(0, d), input.shape[d] * repeats, ...input.shape.slice(d + 1)]);
    }
    const listed = elements(repeats, 'the length of the result').map(Number);
    const counts = listed.length === 1 ? new Array<number>(input.shape[d]).fill(listed[0]) : listed;
    if (counts.length !== input.shape[d])
      fail('E107', {
        op: 'repeatInterleave',
        problem: `repeats must have the same size as input along dim: ${counts.length} and ${input.shape[d]}`,
      });
    const pieces = counts.flatMap((count, i) =>
      count === 0
        ? []
        : [input.slice(d, i, i + 1).expand(input.shape.map((extent: number, e: number) => (e === d ? count : extent)))],
    );
    return pieces.length === 0 ? input.slice(d, 0, 0) : cat(pieces, d);
  },
  samples: [
    sample(random([2, 3]), 2),
    sample(random([2, 3]), 3, { dim: 0 }),
    eagerSample(random([3]), exactly([3], [2, 0, 1], 'int64'), 0),
  ],
});

type OfDiagonal = Op<(input: Tensor, diagonal?: number | { readonly diagonal?: number }) => Tensor>;
const triangle = (name: string, doc: string, keeps: 'le' | 'ge'): OfDiagonal =>
  define({
    name,
    doc,
    signature: 'input: tensor, diagonal: int = 0',
    fusion: 'pointwise',
    infer([input]) {
      if (input.shape.length < 2) fail('E107', { op: name, problem: 'input tensor must have at least 2 dimensions' });
      return input;
    },
    lower: {
      kind: 'map',
      element(at, [input], attrs, type) {
        const [row, column] = at.slice(-2);
        const kept = call(keeps, subIndex(column, row), index(attrs.diagonal as number));
        return choose(kept, input.at(at), constant(computeType(type.dtype), 0));
      },
    },
    vjp: c => [(name === 'tril' ? tril : triu)(c.grad, c.attrs.diagonal as number)],
    samples: [sample(random([3, 3])), sample(random([2, 3, 4]), 1), sample(random([3, 4]), -1)],
    errors: [{ args: [random([3])], message: /at least 2 dimensions/ }],
  });
export const tril: OfDiagonal = triangle('tril', 'The part on and below a diagonal; zeros above.', 'le');
export const triu: OfDiagonal = triangle('triu', 'The part on and above a diagonal; zeros below.', 'ge');

// ── diagonals and grids ────────────────────────────────────────────────────────────────────────────────────────────────

export const diagEmbed: Op<
  (
    input: Tensor,
    offset?: number | DiagonalOptions,
    dim1?: number | DiagonalOptions,
    dim2?: number | DiagonalOptions,
  ) => Tensor
> = composite({
  name: 'diagEmbed',
  gradName: 'DiagEmbedBackward0',
  doc: 'Matrices with the last dim of the input on a diagonal.',
  signature: 'input: tensor, offset: int = 0, dim1: int = -2, dim2: int = -1',
  compute({ input, offset, dim1, dim2 }) {
    const rank = input.ndim + 1;
    const [a, b] = [normalizeDim('diagEmbed', dim1, rank), normalizeDim('diagEmbed', dim2, rank)];
    const side = input.shape[input.ndim - 1] + Math.abs(offset);
    const batch = input.shape.slice(0, -1);
    const size = Array.from({ length: rank }, (_, d) => (d === a || d === b ? side : batch.shift()));
    return placeDiagonal(input, size, offset, a, b);
  },
  samples: [sample(random([2, 3])), sample(random([2]), 1)],
});

export const diag: OfDiagonal = composite({
  name: 'diag',
  doc: 'A matrix from its diagonal, or the diagonal of a matrix.',
  signature: 'input: tensor, diagonal: int = 0',
  compute({ input, diagonal }) {
    if (input.ndim !== 1 && input.ndim !== 2)
      fail('E107', { op: 'diag', problem: `matrix or a vector expected, not ${formatShape(input.shape)}` });
    return input.ndim === 1 ? diagEmbed(input, diagonal) : input.diagonal(diagonal).clone();
  },
  gradName: 'DiagBackward0',
  samples: [sample(random([3])), sample(random([3, 3]), 1)],
});

export const diagflat: Op<(input: Tensor, offset?: number | { readonly offset?: number }) => Tensor> = composite({
  name: 'diagflat',
  doc: 'A matrix with the elements of the input on a diagonal.',
  signature: 'input: tensor, offset: int = 0',
  compute: ({ input, offset }) => diagEmbed(input.reshape([-1]), offset),
  samples: [sample(random([2, 2]), -1)],
});

/** The input with a part of it replaced: zeros around the new part, and the old elements elsewhere. */
const replaced = (input: Tensor, around: (part: Tensor) => Tensor, part: Tensor): Tensor => {
  const inPart = around(part.detach().onesLike()).ne(0);
  return where(inPart, around(part), input);
};

export const selectScatter: Op<(input: Tensor, src: Tensor, dim: number, index: number) => Tensor> = composite({
  name: 'selectScatter',
  doc: 'A copy with one position along a dim replaced.',
  signature: 'input: tensor, src: tensor, dim: int, index: int',
  compute({ input, src, dim, index: position }) {
    const d = normalizeDim('selectScatter', dim, input.ndim);
    const at = position < 0 ? position + input.shape[d] : position;
    return replaced(input, part => unslice(part.unsqueeze(d), d, input.shape[d], at), src);
  },
  samples: [sample(random([2, 3]), random([2]), 1, -1)],
});

export const sliceScatter: Op<
  (
    input: Tensor,
    src: Tensor,
    dim?: number | SliceOptions,
    start?: number | null | SliceOptions,
    end?: number | null | SliceOptions,
    step?: number | SliceOptions,
  ) => Tensor
> = composite({
  name: 'sliceScatter',
  doc: 'A copy with a slice along a dim replaced.',
  signature: 'input: tensor, src: tensor, dim: int = 0, start: int = null, end: int = null, step: int = 1',
  compute({ input, src, dim, start, end, step }) {
    const d = normalizeDim('sliceScatter', dim, input.ndim);
    const first = Math.max(0, start === null ? 0 : start < 0 ? start + input.shape[d] : start);
    const { shape } = input.slice(d, start, end, step);
    if (!sameShape(shape, src.shape)) {
      fail('E107', {
        op: 'sliceScatter',
        problem: `expected src to have a size equal to the slice of self. src size = ${formatShape(src.shape)}, slice size = ${formatShape(shape)}`,
      });
    }
    return replaced(input, part => unslice(part, d, input.shape[d], first, step), src);
  },
  samples: [sample(random([5, 2]), random([2, 2]), 0, 1, null, 2)],
});

export const diagonalScatter: Op<
  (
    input: Tensor,
    src: Tensor,
    offset?: number | DiagonalOptions,
    dim1?: number | DiagonalOptions,
    dim2?: number | DiagonalOptions,
  ) => Tensor
> = composite({
  name: 'diagonalScatter',
  doc: 'A copy with a diagonal replaced.',
  signature: 'input: tensor, src: tensor, offset: int = 0, dim1: int = 0, dim2: int = 1',
  compute({ input, src, offset, dim1, dim2 }) {
    const [a, b] = [dim1, dim2].map(dim => normalizeDim('diagonalScatter', dim, input.ndim));
    return replaced(input, part => placeDiagonal(part, input.shape, offset, a, b), src);
  },
  samples: [sample(random([3, 3]), random([3]))],
});

export const trace: Op<(input: Tensor) => Tensor> = composite({
  name: 'trace',
  doc: 'The sum of the diagonal of a matrix.',
  signature: 'input: tensor',
  compute({ input }) {
    if (input.ndim !== 2) fail('E107', { op: 'trace', problem: 'expected a matrix' });
    return input.diagonal().sum();
  },
  gradName: 'TraceBackward0',
  samples: [sample(random([3, 3]))],
});
