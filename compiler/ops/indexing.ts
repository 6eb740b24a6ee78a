/**
 * Elements picked and placed by position: gather, scatter, embedding, masks.
 *
 * What picks one element per place is a map and fuses; what may hit a place twice (scatter, the gradient of gather) is
 * a program. PyTorch's square brackets are in `brackets.ts`.
 */
import { fail } from '../errors.js';
import { isFloat, isInt } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import {
  addIndex,
  call,
  cast,
  select as choose,
  constant,
  type Expr,
  iterOf,
  loop,
  makeIter,
  type Stmt,
} from '../ir/kernel.js';
import type { ReduceFn } from '../ir/scalar.js';
import { broadcastShapes, formatShape, normalizeDim, numel, type Shape } from '../ir/shape.js';
import { acceptedValues, requireValues } from './checks.js';
import { iota } from './creation.js';
import { composite, define, type Op, type Operand, type OutputWriter } from './define.js';
import {
  eagerSample,
  eagerSampleWithoutGradient,
  exactly,
  integers,
  random,
  sample,
  sampleWithFirstGradient,
  sampleWithoutGradient,
} from './samples.js';
import { where } from './selection.js';
import type { Scalar } from './signature.js';
import { assignInPlace, noGrad, type VjpContext } from './tape.js';
import { elements, Tensor, tensorOver } from './tensor.js';

function needsPositions(op: string, type: TensorType): void {
  if (!isInt(type.dtype)) {
    fail('E108', {
      op,
      problem: `expected positions of an integer dtype, but got ${type.dtype}`,
      hint: 'convert with .long()',
    });
  }
}

/** An index read from memory: negative ones count from the end. */
function position(value: Expr, extent: number): Expr {
  const at = cast('index', value);
  return choose(call('lt', value, constant(value.dtype, 0)), addIndex(at, extent), at);
}

/**
 * An index beyond the end is an error, as in PyTorch. Brackets and `take` count negative ones from the end, the ops that name
 * a dim refuse them. The positions to go on with are returned.
 */
export function checkPositions(op: string, positions: Tensor, extent: number, least = -extent): Tensor {
  return acceptedValues(positions, {
    op,
    accepts: at => at >= least && at < extent,
    acceptsAll: all => all.ge(least).logicalAnd(all.lt(extent)),
    refuse: at =>
      fail('E109', { op, problem: `index ${at ?? 'given'} is out of bounds for dimension with size ${extent}` }),
  });
}

/** Loops over a shape, as programs write them: one after another, since two steps may meet in one place. */
function overAll(shape: Shape, body: (at: Expr[]) => Stmt[]): Stmt[] {
  const iters = shape.map((extent, d) => makeIter(`i${d}`, extent));
  return iters.reduceRight<Stmt[]>(
    (inner, iter) => (iter.extent === 1 ? inner : [loop(iter, 'serial', inner)]),
    body(iters.map(iterOf)),
  );
}
/** The output starts as a copy of an operand. */
const startFrom = (source: Operand, out: OutputWriter): Stmt[] =>
  overAll(source.type.shape, at => [out.store(at, source.at(at))]);

// ── gather and scatter ─────────────────────────────────────────────────────────────────────────────────────────────────

const checkAlong = (op: string, input: TensorType, positions: TensorType): void => {
  needsPositions(op, positions);
  if (input.shape.length !== positions.shape.length) {
    fail('E107', {
      op,
      problem: `Index tensor must have the same number of dimensions as input tensor: ${formatShape(positions.shape)} and ${formatShape(input.shape)}`,
    });
  }
};

type Along = Op<(input: Tensor, dim: number, index: Tensor) => Tensor>;

export const gather: Along = define({
  name: 'gather',
  doc: 'out[…, i, …] = input[…, index[…, i, …], …]: positions along one dim, given for each place.',
  signature: 'input: tensor, dim: int, index: tensor',
  fusion: 'pointwise',
  prepare({ input, dim, index: positions }) {
    const d = normalizeDim('gather', dim, input.ndim);
    const checked = checkPositions('gather', positions, input.ndim === 0 ? 1 : input.shape[d], 0);
    return { inputs: [input, checked], attrs: { dim: d } };
  },
  infer([input, positions], attrs) {
    checkAlong('gather', input, positions);
    const tooLarge = positions.shape.findIndex((extent, d) => d !== attrs.dim && extent > input.shape[d]);
    if (tooLarge >= 0) {
      fail('E107', {
        op: 'gather',
        problem: `Size does not match at dimension ${tooLarge} expected index ${formatShape(positions.shape)} to be smaller than self ${formatShape(input.shape)} apart from dimension ${attrs.dim}`,
      });
    }
    return { dtype: input.dtype, shape: positions.shape };
  },
  lower: {
    kind: 'map',
    element(at, [input, positions], attrs) {
      if (input.type.shape.length === 0) return input.at([]);
      const picked = position(positions.at(at), input.type.shape[attrs.dim as number]);
      return input.at(at.map((i, d) => (d === attrs.dim ? picked : i)));
    },
  },
  vjp: c => {
    const dim = c.attrs.dim as number;
    const { shape } = c.types[0];
    const onePerPlace = shape.every((extent, d) =>
      d === dim ? c.types[1].shape[d] === 1 : c.types[1].shape[d] === extent,
    );
    if (onePerPlace) return [placeAlong(c.grad, dim, c.in(1), shape[dim]), null];
    return [scatterAdd(c.grad.zerosLike().sum().expand(shape), dim, c.in(1), c.grad), null];
  },
  samples: [
    sample(random([2, 3]), 1, integers([2, 4], 0, 3)),
    sample(random([3, 2]), 0, integers([1, 2], 0, 3)),
    sample(random([3]), 0, exactly([4], [0, 2, 2, 1], 'int64')),
  ],
  errors: [
    {
      args: [random([2, 3]), 1, exactly([1, 1], [3], 'int64')],
      message: /index 3 is out of bounds for dimension with size 3/,
    },
  ],
});

/** Zeros with one value along a dim at the position given: the gradient of picking one element, as a map. */
const placeAlong = (value: Tensor, dim: number, positions: Tensor, extent: number): Tensor => {
  const shape = value.shape.map((_, d) => (d === dim ? extent : 1));
  const wrapped = positions.lt(0).to(positions.dtype).mul(extent).add(positions);
  const chosen = iota(extent, { dtype: positions.dtype }).reshape(shape).eq(wrapped);
  return value.expand(value.shape.map((size, d) => (d === dim ? extent : size))).maskedFill(chosen.logicalNot(), 0);
};

export const takeAlongDim: Op<
  (input: Tensor, indices: Tensor, dim?: number | null | { readonly dim?: number | null }) => Tensor
> = composite({
  name: 'takeAlongDim',
  doc: 'As gather, with the other dims broadcast; without a dim from the flattened input.',
  signature: 'input: tensor, indices: tensor, dim: int = null',
  compute({ input, indices, dim }) {
    if (dim === null) return gather(input.reshape([-1]), 0, indices.reshape([-1]));
    const d = normalizeDim('takeAlongDim', dim, input.ndim);
    const other = (shape: Shape): number[] => shape.map((extent, e) => (e === d ? 1 : extent));
    const common = broadcastShapes('takeAlongDim', other(input.shape), other(indices.shape));
    const as = (tensor: Tensor): Tensor =>
      tensor.expand(common.map((extent, e) => (e === d ? tensor.shape[d] : extent)));
    return gather(as(input), d, as(indices));
  },
  samples: [sample(random([2, 3]), integers([2, 1], 0, 3), 1), sample(random([2, 3]), integers([4], 0, 6))],
});

type ScatterOp = Op<(input: Tensor, dim: number, index: Tensor, src: Tensor) => Tensor>;

const scatterProgram = (
  name: string,
  doc: string,
  fn: ReduceFn | null,
): Omit<Parameters<typeof define>[0], 'samples' | 'vjp'> => ({
  name,
  doc,
  signature: 'input: tensor, dim: int, index: tensor, src: tensor',
  fusion: 'opaque',
  prepare({ input, dim, index: positions, src }) {
    const d = normalizeDim(name, dim, input.ndim);
    const checked = checkPositions(name, positions, input.ndim === 0 ? 1 : input.shape[d], 0);
    return { inputs: [input, checked, src], attrs: { dim: d } };
  },
  infer([input, positions, src], attrs) {
    checkAlong(name, input, positions);
    if (input.dtype !== src.dtype)
      fail('E108', {
        op: name,
        problem: `expected self.dtype to be equal to src.dtype, but they are ${input.dtype} and ${src.dtype}`,
      });
    const fits = positions.shape.every(
      (extent, d) => extent <= src.shape[d] && (d === attrs.dim || extent <= input.shape[d]),
    );
    if (!fits) {
      fail('E107', {
        op: name,
        problem: `Expected index ${formatShape(positions.shape)} to be smaller than self ${formatShape(input.shape)} apart from dimension ${attrs.dim} and to be smaller size than src ${formatShape(src.shape)}`,
      });
    }
    return input;
  },
  lower: {
    kind: 'program',
    build({ inputs: [input, positions, src], attrs, out, type }) {
      const extent = type.shape[attrs.dim as number];
      const put = (at: Expr[]): Stmt[] => {
        const target = at.map((i, d) => (d === attrs.dim ? position(positions.at(at), extent) : i));
        return [fn === null ? out.store(target, src.at(at)) : out.reduce(target, fn, src.at(at))];
      };
      return [...startFrom(input, out), ...overAll(positions.type.shape, put)];
    },
  },
});

/** The part of a tensor that an index tensor of smaller shape covers. */
const covered = (tensor: Tensor, shape: Shape): Tensor =>
  shape.reduce((t, extent, d) => (t.shape[d] === extent ? t : t.slice(d, 0, extent)), tensor);
/** Zeros around a gradient up to the shape of what it belongs to. */
const uncovered = (grad: Tensor, shape: Shape): Tensor =>
  shape.reduce((t, extent, d) => (t.shape[d] === extent ? t : t.unslice(d, extent, 0)), grad);

export const scatterAdd: ScatterOp = define({
  ...scatterProgram('scatterAdd', 'out[…, index[…, i, …], …] += src[…, i, …], starting from the input.', 'add'),
  vjp: c => [
    c.grad,
    null,
    c.needs(2) ? uncovered(gather(c.grad, c.attrs.dim as number, c.in(1)), c.types[2].shape) : null,
  ],
  samples: [
    sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4])),
    sample(random([3, 2]), 0, integers([2, 2], 0, 3), random([3, 2])),
  ],
});

const scatterSource: ScatterOp = define({
  ...scatterProgram('scatterSource', 'out[…, index[…, i, …], …] = src[…, i, …], starting from the input.', null),
  gradName: 'ScatterBackward0',
  vjp: c => {
    const dim = c.attrs.dim as number;
    const hole = (): Tensor => scatterSource(c.grad, dim, c.in(1), covered(c.grad, c.types[1].shape).zerosLike());
    return [
      c.needs(0) ? hole() : null,
      null,
      c.needs(2) ? uncovered(gather(c.grad, dim, c.in(1)), c.types[2].shape) : null,
    ];
  },
  samples: [sample(random([2, 3]), 1, exactly([2, 2], [0, 2, 1, 0], 'int64'), random([2, 2]))],
});

export const scatter: Op<
  (input: Tensor, dim: number, index: Tensor, src: Tensor | Scalar, options?: { reduce?: string | null }) => Tensor
> = composite({
  name: 'scatter',
  gradName: ({ src, reduce }) => (reduce === null && !(src instanceof Tensor) ? 'ScatterBackward1' : null),
  doc: 'The input with src (or one value) written to the positions given along a dim; reduce adds or multiplies instead.',
  signature: 'input: tensor, dim: int, index: tensor, src: operand, *, reduce: string = null',
  compute({ input, dim, index: positions, src, reduce }) {
    const source =
      src instanceof Tensor ? src : input.detach().zerosLike().sum().add(src).to(input.dtype).expand(positions.shape);
    if (reduce === null) return scatterSource(input, dim, positions, source);
    return scatterReduce(input, dim, positions, source, reduce === 'add' ? 'sum' : 'prod');
  },
  samples: [
    sample(random([2, 3]), 1, exactly([2, 2], [0, 2, 1, 0], 'int64'), random([2, 2])),
    sample(random([2, 3]), 0, exactly([1, 3], [0, 1, 1], 'int64'), 5),
  ],
});

/** Where a chosen element lies: in the input and in src, each as 0 or 1, for an output that equals one of them. */
function chosenIn(c: VjpContext): { own: Tensor; other: Tensor } {
  const [positions, shape] = [c.in(1), c.types[1].shape];
  const dim = c.attrs.dim as number;
  return {
    own: c.in(0).eq(c.out).to(c.grad.dtype),
    other: covered(c.in(2), shape)
      .eq(gather(c.out, dim, positions))
      .to(c.grad.dtype),
  };
}

const scatterExtreme = (name: string, fn: 'max' | 'min'): ScatterOp =>
  define({
    ...scatterProgram(name, `The ${fn} of the input and all src elements whose index is the place.`, fn),
    gradName: 'ScatterReduceBackward0',
    vjp: c => {
      const dim = c.attrs.dim as number;
      const { own, other } = chosenIn(c);
      const share = c.grad.div(scatterAdd(own, dim, c.in(1), other));
      const ofSrc = gather(share, dim, c.in(1)).mul(other);
      return [share.mul(own), null, uncovered(ofSrc, c.types[2].shape)];
    },
    samples: [
      sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4])),
      sample(random([3, 2]), 0, integers([2, 2], 0, 3), random([3, 2])),
    ],
  });
const scatterMax: ScatterOp = scatterExtreme('scatterMax', 'max');
const scatterMin: ScatterOp = scatterExtreme('scatterMin', 'min');

const scatterMul: ScatterOp = define({
  ...scatterProgram('scatterMul', 'The product of the input and all src elements whose index is the place.', 'mul'),
  gradName: 'ScatterReduceBackward0',
  vjp: c => {
    const [input, positions, dim] = [c.in(0), c.in(1), c.attrs.dim as number];
    const src = covered(c.in(2), c.types[1].shape);
    const zeros = (x: Tensor): Tensor => x.eq(0).to(c.grad.dtype);
    const without = (x: Tensor): Tensor => x.maskedFill(x.eq(0), 1);
    // a factor's gradient is the product of the others: zeros are left out of the product, and counted
    const product = scatterMul(without(input), dim, positions, without(src)).mul(c.grad);
    const count = scatterAdd(zeros(input), dim, positions, zeros(src));
    const share = (x: Tensor, total: Tensor, among: Tensor): Tensor =>
      where(among.eq(zeros(x)), total.div(without(x)), 0);
    const ofSrc = share(src, gather(product, dim, positions), gather(count, dim, positions));
    return [share(input, product, count), null, uncovered(ofSrc, c.types[2].shape)];
  },
  samples: [
    sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4])),
    sample(random([3, 2]), 0, integers([2, 2], 0, 3), random([3, 2])),
    sampleWithFirstGradient(
      exactly([3], [0, 2, 3]),
      0,
      exactly([4], [0, 1, 1, 2], 'int64'),
      exactly([4], [5, 0, 4, 2]),
    ),
  ],
});

export const scatterReduce: Op<
  (
    input: Tensor,
    dim: number,
    index: Tensor,
    src: Tensor,
    reduce: string | { reduce: string; includeSelf?: boolean },
    options?: { includeSelf?: boolean },
  ) => Tensor
> = composite({
  name: 'scatterReduce',
  doc: 'As scatterAdd, with sum, prod, mean, amax or amin; the input takes part unless includeSelf is false.',
  signature: 'input: tensor, dim: int, index: tensor, src: tensor, reduce: string, *, includeSelf: bool = true',
  compute({ input, dim, index: positions, src, reduce, includeSelf }) {
    const starts: Record<string, () => number | Tensor> = {
      sum: () => 0,
      mean: () => 0,
      prod: () => 1,
      // of integers there is no infinity, but none that comes is beyond the least or largest of all
      amax: () => (isFloat(src.dtype) ? Number.NEGATIVE_INFINITY : src.amin()),
      amin: () => (isFloat(src.dtype) ? Number.POSITIVE_INFINITY : src.amax()),
    };
    if (!(reduce in starts))
      fail('E110', {
        op: 'scatterReduce',
        problem: `reduce argument must be either sum, prod, mean, amax or amin, got ${reduce}`,
      });
    const ones = input.detach().zerosLike().sum().add(1).to(input.dtype);
    const hits = scatterAdd(input.detach().zerosLike(), dim, positions, ones.expand(src.shape));
    const keepsAll = includeSelf || src.numel() === 0;
    const start = keepsAll ? input : input.maskedFill(hits.ne(0), starts[reduce]());
    if (reduce === 'prod') return scatterMul(start, dim, positions, src);
    if (reduce === 'amax') return scatterMax(start, dim, positions, src);
    if (reduce === 'amin') return scatterMin(start, dim, positions, src);
    const total = scatterAdd(start, dim, positions, src);
    if (reduce === 'sum') return total;
    const count = (includeSelf ? hits.add(1) : hits).clamp(1);
    return isFloat(total.dtype) ? total.div(count) : total.div(count, { roundingMode: 'floor' });
  },
  samples: [
    sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4]), 'sum'),
    sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4]), 'mean', { includeSelf: false }),
    sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4]), 'amax'),
    sample(random([2, 3]), 1, integers([2, 4], 0, 3), random([2, 4]), 'prod'),
    sampleWithoutGradient(integers([2, 3], -9, 9), 1, integers([2, 4], 0, 3), integers([2, 4], -9, 9), 'amin', {
      includeSelf: false,
    }),
  ],
});

// ── positions along one dim ────────────────────────────────────────────────────────────────────────────────────────────

/** The shape with a dim replaced by those of the index. */
const withIndexShape = (shape: Shape, dim: number, positions: Shape): number[] => [
  ...shape.slice(0, dim),
  ...positions,
  ...shape.slice(dim + 1),
];

/** out[a, i, b] = input[a, index[i], b], for an index of any rank. */
export const selectAlong: Op<(input: Tensor, dim: number, index: Tensor) => Tensor> = define({
  name: 'selectAlong',
  doc: 'Positions along a dim by an index of any shape, whose dims take its place.',
  signature: 'input: tensor, dim: int, index: tensor',
  fusion: 'pointwise',
  gradName: 'IndexSelectBackward0',
  infer([input, positions], attrs) {
    needsPositions('indexSelect', positions);
    return { dtype: input.dtype, shape: withIndexShape(input.shape, attrs.dim as number, positions.shape) };
  },
  lower: {
    kind: 'map',
    element(at, [input, positions], attrs) {
      const dim = attrs.dim as number;
      const rank = positions.type.shape.length;
      const picked = position(positions.at(at.slice(dim, dim + rank)), input.type.shape[dim]);
      return input.at([...at.slice(0, dim), picked, ...at.slice(dim + rank)]);
    },
  },
  vjp: c => [addAlong(c.grad, c.attrs.dim as number, c.in(1), c.types[0].shape[c.attrs.dim as number]), null],
  samples: [sample(random([3, 2]), 0, integers([4], 0, 3)), sample(random([2, 3]), 1, integers([2, 2], 0, 3))],
});

/** The gradient of selectAlong: every picked piece added to where it came from. */
const addAlong: Op<(input: Tensor, dim: number, index: Tensor, extent: number) => Tensor> = define({
  name: 'addAlong',
  doc: 'out[a, index[i], b] += input[a, i, b], starting from zeros.',
  signature: 'input: tensor, dim: int, index: tensor, extent: int',
  fusion: 'opaque',
  infer([input, positions], attrs) {
    const dim = attrs.dim as number;
    const rest = input.shape.slice(dim + positions.shape.length);
    return { dtype: input.dtype, shape: [...input.shape.slice(0, dim), attrs.extent as number, ...rest] };
  },
  lower: {
    kind: 'program',
    build({ inputs: [input, positions], attrs, out, type }) {
      const dim = attrs.dim as number;
      const rank = positions.type.shape.length;
      const put = (at: Expr[]): Stmt[] => {
        const picked = position(positions.at(at.slice(dim, dim + rank)), type.shape[dim]);
        return [out.reduce([...at.slice(0, dim), picked, ...at.slice(dim + rank)], 'add', input.at(at))];
      };
      return [out.fill(0), ...overAll(input.type.shape, put)];
    },
  },
  vjp: c => [selectAlong(c.grad, c.attrs.dim as number, c.in(1)), null],
  samples: [sample(random([4, 2]), 0, integers([4], 0, 3), 3)],
});

export const indexSelect: Along = composite({
  name: 'indexSelect',
  doc: 'The positions along a dim that a vector of indices names.',
  signature: 'input: tensor, dim: int, index: tensor',
  compute({ input, dim, index: positions }): Tensor {
    const d = normalizeDim('indexSelect', dim, input.ndim);
    if (positions.ndim > 1) fail('E107', { op: 'indexSelect', problem: 'Index is supposed to be a vector' });
    if (input.ndim === 0) {
      if (positions.numel() !== 1)
        fail('E107', { op: 'indexSelect', problem: 'a tensor without dims has one place to select, not several' });
      return indexSelect(input.reshape([1]), 0, positions).reshape([]);
    }
    return selectAlong(input, d, checkPositions('indexSelect', positions, input.shape[d], 0).reshape([-1]));
  },
  samples: [
    sample(random([3, 2]), 0, exactly([2], [2, 0], 'int64')),
    sample(random([2, 3]), -1, exactly([4], [1, 1, 0, 2], 'int64')),
  ],
  errors: [{ args: [random([3]), 0, exactly([1], [3], 'int64')], message: /index 3 is out of bounds/ }],
});

type AlongSource = Op<
  (input: Tensor, dim: number, index: Tensor, source: Tensor, options?: { alpha?: number }) => Tensor
>;

/** A vector of positions along a dim as the index of a scatter. */
const spreadIndex = (positions: Tensor, dim: number, shape: Shape): Tensor =>
  positions.reshape(shape.map((_, d) => (d === dim ? -1 : 1))).expand(shape);

export const indexAdd: AlongSource = composite({
  name: 'indexAdd',
  gradName: 'IndexAddBackward0',
  doc: 'The input with alpha · source added at positions along a dim.',
  signature: 'input: tensor, dim: int, index: tensor, source: tensor, *, alpha: number = 1',
  compute({ input, dim, index: positions, source, alpha }): Tensor {
    const d = normalizeDim('indexAdd', dim, input.ndim);
    if (input.ndim === 0) return indexAdd(input.reshape([1]), 0, positions, source.reshape([1]), { alpha }).reshape([]);
    return scatterAdd(
      input,
      d,
      spreadIndex(positions, d, source.shape),
      Number(alpha) === 1 ? source : source.mul(alpha),
    );
  },
  samples: [sample(random([3, 2]), 0, exactly([4], [0, 2, 2, 1], 'int64'), random([4, 2]), { alpha: 2 })],
});

export const indexCopy: Op<(input: Tensor, dim: number, index: Tensor, source: Tensor) => Tensor> = composite({
  name: 'indexCopy',
  gradName: 'IndexCopyBackward0',
  doc: 'The input with source written at positions along a dim.',
  signature: 'input: tensor, dim: int, index: tensor, source: tensor',
  compute({ input, dim, index: positions, source }) {
    const d = normalizeDim('indexCopy', dim, input.ndim);
    return scatterSource(input, d, spreadIndex(positions, d, source.shape), source);
  },
  samples: [sample(random([3, 2]), 0, exactly([2], [0, 2], 'int64'), random([2, 2]))],
});

export const indexFill: Op<(input: Tensor, dim: number, index: Tensor, value: Scalar | Tensor) => Tensor> = composite({
  name: 'indexFill',
  gradName: 'IndexFillBackward0',
  doc: 'The input with one value at positions along a dim.',
  signature: 'input: tensor, dim: int, index: tensor, value: operand',
  compute({ input, dim, index: positions, value }): Tensor {
    const d = normalizeDim('indexFill', dim, input.ndim);
    checkPositions('indexFill', positions, input.ndim === 0 ? 1 : input.shape[d]);
    if (input.ndim === 0) return indexFill(input.reshape([1]), 0, positions, value).reshape([]);
    const marked = iota(input.shape[d])
      .unsqueeze(1)
      .eq(positions.reshape([1, -1]))
      .any(1);
    return input.maskedFill(marked.reshape(input.shape.map((_: number, e: number) => (e === d ? -1 : 1))), value);
  },
  samples: [sample(random([3, 2]), 0, exactly([2], [0, 2], 'int64'), 7)],
});

export const take: Op<(input: Tensor, index: Tensor) => Tensor> = composite({
  name: 'take',
  gradName: 'TakeBackward0',
  doc: 'Elements by their positions in the flattened input.',
  signature: 'input: tensor, index: tensor',
  compute({ input, index: positions }) {
    return selectAlong(input.reshape([-1]), 0, checkPositions('take', positions, input.numel()));
  },
  samples: [sample(random([2, 3]), integers([2, 2], 0, 6))],
});

export const embeddingLookup: Op<(weight: Tensor, indices: Tensor, paddingIdx: number) => Tensor> = define({
  name: 'embeddingLookup',
  doc: 'Rows of a table by index; the row `paddingIdx` gets no gradient (-1: every row gets one).',
  signature: 'weight: tensor, indices: tensor, paddingIdx: int',
  fusion: 'pointwise',
  gradName: 'EmbeddingBackward0',
  infer([weight, indices]) {
    needsPositions('embedding', indices);
    return { dtype: weight.dtype, shape: [...indices.shape, ...weight.shape.slice(1)] };
  },
  lower: {
    kind: 'map',
    element(at, [weight, indices]) {
      const rank = indices.type.shape.length;
      return weight.at([cast('index', indices.at(at.slice(0, rank))), ...at.slice(rank)]);
    },
  },
  vjp: c => {
    const padding = c.attrs.paddingIdx as number;
    const indices = c.in(1);
    const kept = padding < 0 ? c.grad : c.grad.maskedFill(indices.eq(padding).unsqueeze(-1), 0);
    return [addAlong(kept, 0, indices, c.types[0].shape[0]), null];
  },
  samples: [
    sample(random([4, 3]), integers([2, 2], 0, 4), -1),
    sample(random([4, 3]), exactly([3], [1, 0, 1], 'int64'), -1),
  ],
});

export interface EmbeddingOptions {
  readonly paddingIdx?: number | null;
  /** Rows used whose norm is above this are scaled down in place first. */
  readonly maxNorm?: number | null;
  readonly normType?: number;
}

/** Rows that are looked up and longer than allowed are shortened in the table itself, without history. */
function limitRows(weight: Tensor, indices: Tensor, maxNorm: number, normType: number): void {
  noGrad(() => {
    const used = iota(weight.shape[0])
      .unsqueeze(1)
      .eq(indices.reshape([1, -1]))
      .any(1);
    const norms = weight.norm(normType, 1);
    const scale = where(used.logicalAnd(norms.gt(maxNorm)), norms.add(1e-7).reciprocal().mul(maxNorm), 1);
    assignInPlace(weight, weight.mul(scale.unsqueeze(1)));
  });
}

export const embedding: Op<
  (input: Tensor, weight: Tensor, paddingIdx?: number | null | EmbeddingOptions, options?: EmbeddingOptions) => Tensor
> = composite({
  name: 'embedding',
  doc: 'Rows of `weight` by index.',
  signature: 'input: tensor, weight: tensor, paddingIdx: int = null, maxNorm: number = null, normType: number = 2',
  compute({ input, weight, paddingIdx, maxNorm, normType }) {
    if (weight.ndim !== 2)
      fail('E107', { op: 'embedding', problem: `'weight' must be 2-D, but has shape ${formatShape(weight.shape)}` });
    const rows = weight.shape[0];
    const positions = checkPositions('embedding', input, rows, 0);
    if (maxNorm !== null) limitRows(weight, positions, Number(maxNorm), Number(normType));
    const padding = paddingIdx === null ? -1 : paddingIdx < 0 ? paddingIdx + rows : paddingIdx;
    return embeddingLookup(weight, positions, padding);
  },
  samples: [sample(integers([2, 2], 0, 4), random([4, 3]))],
  errors: [{ args: [exactly([1], [4], 'int64'), random([4, 3])], message: /index 4 is out of bounds/ }],
});

export const oneHot: Op<(input: Tensor, numClasses?: number | { readonly numClasses?: number }) => Tensor> = composite({
  name: 'oneHot',
  doc: 'A new last dim with 1 at the position given and 0 elsewhere; -1 classes means as many as the largest needs.',
  signature: 'input: tensor, numClasses: int = -1',
  compute({ input, numClasses }) {
    if (input.dtype !== 'int64')
      fail('E108', { op: 'oneHot', problem: `is only applicable to index tensors (int64), not to ${input.dtype}` });
    if (numClasses < 0 && input.numel() === 0)
      fail('E110', { op: 'oneHot', problem: 'Can not infer total number of classes from empty tensor.' });
    const classes = numClasses < 0 ? largestOf(input) + 1 : numClasses;
    requireValues(input, {
      op: 'oneHot',
      accepts: at => at >= 0 && at < classes,
      acceptsAll: all => all.ge(0).logicalAnd(all.lt(classes)),
      refuse: at =>
        fail('E110', { op: 'oneHot', problem: `class ${at ?? 'given'} is none of the classes 0 to ${classes - 1}` }),
    });
    return input.unsqueeze(-1).eq(iota(classes)).to('int64');
  },
  samples: [
    sampleWithoutGradient(integers([2, 2], 0, 4), 4),
    eagerSampleWithoutGradient(exactly([3], [1, 0, 2], 'int64')),
  ],
});

const largestOf = (tensor: Tensor): number =>
  Math.max(-1, ...Array.from(elements(tensor, 'oneHot without numClasses'), Number));

// ── ops whose result has as many elements as the data says: eager only ─────────────────────────────────────────────────

export const nonzero: Op<(input: Tensor) => Tensor> = composite({
  name: 'nonzero',
  doc: 'Positions of the nonzero elements, one a row. Its size depends on the data: not inside a trace.',
  signature: 'input: tensor',
  compute({ input }: { input: Tensor }) {
    const flags = Array.from(elements(input.ne(0), 'nonzero()'), Number);
    const found = flags.flatMap((flag, i) => (flag ? [i] : []));
    const rows = found.flatMap(flat => {
      let rest = flat;
      return input.shape
        .map((_, d) => numel(input.shape.slice(d + 1)))
        .map(stride => {
          const at = Math.floor(rest / stride);
          rest -= at * stride;
          return BigInt(at);
        });
    });
    return tensorOver(BigInt64Array.from(rows), { dtype: 'int64', shape: [found.length, input.ndim] });
  },
  samples: [eagerSampleWithoutGradient(exactly([2, 2], [0, 1, 2, 0]))],
});

/** The flat positions at which a mask holds. */
const positionsOf = (mask: Tensor): Tensor => nonzero(mask.reshape([-1])).reshape([-1]);

export const maskedSelect: Op<(input: Tensor, mask: Tensor) => Tensor> = composite({
  name: 'maskedSelect',
  gradName: 'MaskedSelectBackward0',
  doc: 'The elements where the mask holds, in row-major order. Its size depends on the data: not inside a trace.',
  signature: 'input: tensor, mask: tensor',
  compute({ input, mask }) {
    if (mask.dtype !== 'bool' && mask.dtype !== 'uint8')
      fail('E108', { op: 'maskedSelect', problem: `expected a mask of bools, but got ${mask.dtype}` });
    const shape = broadcastShapes('maskedSelect', input.shape, mask.shape);
    return selectAlong(input.expand(shape).reshape([-1]), 0, positionsOf(mask.expand(shape)));
  },
  samples: [eagerSample(random([2, 2]), exactly([2, 2], [0, 1, 1, 0], 'bool'))],
});

export const maskedScatter: Op<(input: Tensor, mask: Tensor, source: Tensor) => Tensor> = composite({
  name: 'maskedScatter',
  gradName: 'MaskedScatterBackward0',
  doc: 'The input with the elements of source, in order, where the mask holds.',
  signature: 'input: tensor, mask: tensor, source: tensor',
  compute({ input, mask, source }) {
    const shape = broadcastShapes('maskedScatter', input.shape, mask.shape);
    const holds = mask.expand(shape).reshape([-1]);
    const order = holds.to('int64').cumsum(0).sub(1).clamp(0);
    const values = selectAlong(source.reshape([-1]), 0, order);
    return input
      .expand(shape)
      .reshape([-1])
      .maskedFill(holds, 0)
      .add(values.maskedFill(holds.logicalNot(), 0))
      .reshape(shape);
  },
  samples: [sample(random([2, 2]), exactly([2, 2], [0, 1, 1, 0], 'bool'), random([3]))],
});
