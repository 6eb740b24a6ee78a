/**
 * Order: sort, topk, medians, quantiles, searching, counting.
 *
 * Everything rests on one program that sorts positions: merge exchange (D. E. Knuth, The Art of Computer Programming,
 * vol. 3, Algorithm 5.2.2M), a network whose steps are fixed by the length alone, so that it needs no data-dependent
 * loop on any backend. Equal elements are told apart by their position, which makes it stable. NaN counts as the
 * largest.
 */
import { fail } from '../errors.js';
import { arith } from '../ir/arith.js';
import { type DType, isFloat, isInt } from '../ir/dtype.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  cast,
  type Expr,
  floorDivIndex,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  modIndex,
  type Stmt,
  store,
  when,
} from '../ir/kernel.js';
import { formatShape, normalizeDim } from '../ir/shape.js';
import { iota } from './creation.js';
import { composite, define, type Op, type OpDef, type Operand } from './define.js';
import { needsFloat } from './elementwise.js';
import { type Picked, picked, pickOne } from './reduction.js';
import {
  eagerSample,
  eagerSampleWithoutGradient,
  exactly,
  integers,
  random,
  sample,
  sampleWithoutGradient,
} from './samples.js';
import { where } from './selection.js';
import type { Param } from './signature.js';
import { elements, type Tensor, tensorOver } from './tensor.js';

// ── sorting positions ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The compare-exchanges of merge exchange for n elements: in each step, all i with (i & p) = r are compared with i + d.
 */
function* exchangeSteps(n: number): Generator<{ p: number; r: number; d: number }> {
  const top = 2 ** (Math.ceil(Math.log2(n)) - 1);
  for (let p = top; p >= 1; p /= 2) {
    yield { p, r: 0, d: p };
    for (let q = top; q > p; q /= 2) yield { p, r: p, d: q - p };
  }
}

const isNan = (x: Expr): Expr => (x.dtype !== 'index' && isFloat(x.dtype) ? arith.isNan(x) : call('ne', x, x));

/** Must position `a` stand after position `b`? */
function outOfOrder(a: Expr, b: Expr, key: (position: Expr) => Expr, descending: boolean): Expr {
  const [x, y] = [key(a), key(b)];
  const greater = (u: Expr, v: Expr): Expr => arith.or(arith.gt(u, v), arith.and(isNan(u), arith.not(isNan(v))));
  const after = descending ? greater(y, x) : greater(x, y);
  const before = descending ? greater(x, y) : greater(y, x);
  return arith.or(after, arith.and(arith.not(before), arith.gt(a, b)));
}

/** One line sorted; `out` holds its order of positions. */
function sortLine(
  n: number,
  out: { load(i: Expr): Expr; store(i: Expr, value: Expr): Stmt },
  key: (position: Expr) => Expr,
  descending: boolean,
): Stmt[] {
  const start = makeIter('i', n);
  const steps = [...(n > 1 ? exchangeSteps(n) : [])].map(({ p, r, d }) => {
    const iter = makeIter('i', n - d);
    const [low, high] = [iterOf(iter), addIndex(iterOf(iter), d)];
    const swap = (): Stmt[] => {
      const held: Buffer = { name: 'held', dtype: 'int64', size: 1, scope: 'register' };
      const keep = store(held, index(0), out.load(low));
      return [alloc(held, [keep, out.store(low, out.load(high)), out.store(high, load(held, index(0)))])];
    };
    const takesPart = call('eq', modIndex(floorDivIndex(low, p), 2), index(r === 0 ? 0 : 1));
    const exchange = when(outOfOrder(out.load(low), out.load(high), key, descending), swap());
    return loop(iter, 'serial', when(takesPart, exchange));
  });
  return [loop(start, 'serial', [out.store(iterOf(start), cast('int64', iterOf(start)))]), ...steps];
}

const along = (at: readonly Expr[], dim: number, i: Expr): Expr[] => [...at.slice(0, dim), i, ...at.slice(dim)];

/** The positions along a dim in the order of their elements. */
const order: Op<(input: Tensor, dim: number, descending: boolean) => Tensor> = define({
  name: 'order',
  doc: 'Positions along a dim in ascending (or descending) order of their elements; equal ones keep their order.',
  signature: 'input: tensor, dim: int, descending: bool',
  fusion: 'opaque',
  differentiable: false,
  infer([{ shape }], { dim }) {
    if (shape[dim as number] === undefined)
      fail('E110', { op: 'order', problem: `there is no dim ${dim} in ${formatShape(shape)}` });
    return { dtype: 'int64', shape };
  },
  lower: {
    kind: 'program',
    build({ inputs: [input], attrs, type, out }) {
      const { dim, descending } = attrs as { dim: number; descending: boolean };
      const lines = type.shape.filter((_, d) => d !== dim).map((extent, d) => makeIter(`l${d}`, extent));
      const at = lines.map(iterOf);
      const line = {
        load: (i: Expr) => out.load(along(at, dim, i)),
        store: (i: Expr, value: Expr) => out.store(along(at, dim, i), value),
      };
      const key = (position: Expr): Expr => comparable(input, along(at, dim, cast('index', position)));
      const body = sortLine(type.shape[dim], line, key, descending);
      return lines.reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, 'parallel', inner)], body);
    },
  },
  samples: [
    sampleWithoutGradient(random([2, 7]), 1, false),
    sampleWithoutGradient(integers([9], 0, 4), 0, true),
    sampleWithoutGradient(exactly([4], [2, Number.NaN, -1, 2]), 0, false),
  ],
  errors: [{ args: [random([3]), 1, false], message: /no dim 1 in \[3\]/ }],
});
/** Bools compare as numbers. */
const comparable = (input: Operand, at: readonly Expr[]): Expr => {
  const value = input.at(at);
  return value.dtype === 'bool' ? cast('int32', value) : value;
};

const orderAlong = (op: string, input: Tensor, dim: number, descending: boolean): Tensor =>
  input.ndim === 0
    ? input.zerosLike({ dtype: 'int64' })
    : order(input.detach(), normalizeDim(op, dim, input.ndim), descending);

const pickAlong = (input: Tensor, dim: number, indices: Tensor): Tensor =>
  input.ndim === 0 ? input.clone() : input.gather(dim, indices);

interface SortOptions {
  readonly dim?: number;
  readonly descending?: boolean;
  readonly stable?: boolean | null;
}

export const argsort: Op<(input: Tensor, dim?: number | SortOptions, descending?: boolean) => Tensor> = composite({
  name: 'argsort',
  doc: 'The positions that sort a dim; equal elements keep their order.',
  signature: 'input: tensor, dim: int = -1, descending: bool = false, *, stable: bool = null',
  compute: ({ input, dim, descending }) => orderAlong('argsort', input, dim, descending),
  samples: [sampleWithoutGradient(random([2, 5])), sampleWithoutGradient(random([5, 2]), 0, true)],
});

export const sort: Op<(input: Tensor, dim?: number | SortOptions, descending?: boolean | SortOptions) => Picked> =
  composite({
    name: 'sort',
    gradName: 'SortBackward0',
    doc: 'A dim in order, as [values, indices]; equal elements keep their order.',
    signature: 'input: tensor, dim: int = -1, descending: bool = false, *, stable: bool = null',
    compute({ input, dim, descending }) {
      const indices = orderAlong('sort', input, dim, descending);
      return picked(pickAlong(input, dim, indices), indices);
    },
    samples: [
      sample(random([2, 5])),
      sample(random([5, 2]), 0, { descending: true }),
      sampleWithoutGradient(random([])),
    ],
  });

export const msort: Op<(input: Tensor) => Tensor> = composite({
  name: 'msort',
  doc: 'The first dim in ascending order.',
  signature: 'input: tensor',
  compute: ({ input }) => sort(input, 0).values,
  samples: [sample(random([4, 2]))],
});

export const topk: Op<
  (
    input: Tensor,
    k: number,
    dim?: number | { dim?: number; largest?: boolean; sorted?: boolean },
    largest?: boolean,
    sorted?: boolean,
  ) => Picked
> = composite({
  name: 'topk',
  gradName: 'TopkBackward0',
  doc: 'The k largest (or smallest) along a dim, in order, as [values, indices].',
  signature: 'input: tensor, k: int, dim: int = -1, largest: bool = true, sorted: bool = true',
  compute({ input, k, dim, largest }) {
    const d = normalizeDim('topk', dim, input.ndim);
    if (input.ndim > 0 && (k < 0 || k > input.shape[d]))
      fail('E109', { op: 'topk', problem: 'selected index k out of range' });
    const indices = orderAlong('topk', input, d, largest);
    const first = input.ndim === 0 ? indices : indices.slice(d, 0, k);
    return picked(pickAlong(input, d, first), first);
  },
  samples: [sample(random([2, 5]), 3), sample(random([5, 2]), 2, { dim: 0, largest: false })],
  errors: [{ args: [random([3]), 4], message: /index k out of range/ }],
});

// ── order statistics ───────────────────────────────────────────────────────────────────────────────────────────────────

interface DimOptions {
  readonly dim?: number | null;
  readonly keepdim?: boolean;
}

/** One element along a dim by its place in the order; `place` has size 1 there. */
function statistic(input: Tensor, dim: number, place: Tensor, keepdim: boolean): Picked {
  return pickOne(input, dim, order(input.detach(), dim, false).gather(dim, place), keepdim);
}

const constantPlace = (input: Tensor, dim: number, place: number): Tensor =>
  input.detach().slice(dim, 0, 1).zerosLike({ dtype: 'int64' }).add(place);

export const kthvalue: Op<(input: Tensor, k: number, dim?: number | DimOptions, keepdim?: boolean) => Picked> =
  composite({
    name: 'kthvalue',
    gradName: 'KthvalueBackward0',
    doc: 'The k-th smallest along a dim, as [values, indices].',
    signature: 'input: tensor, k: int, dim: int = -1, keepdim: bool = false',
    compute({ input, k, dim, keepdim }) {
      const d = normalizeDim('kthvalue', dim, input.ndim);
      if (input.ndim === 0) return picked(input.clone(), input.zerosLike({ dtype: 'int64' }));
      if (k < 1 || k > input.shape[d])
        fail('E109', { op: 'kthvalue', problem: 'selected number k out of range for dimension' });
      return statistic(input, d, constantPlace(input, d, k - 1), keepdim);
    },
    samples: [sample(random([2, 5]), 2), sample(random([5]), 4, { keepdim: true })],
  });

/** The place of the lower median, and of NaN where there is one (sorted last) unless it is to be ignored. */
function medianPlace(input: Tensor, dim: number, ignoreNan: boolean): Tensor {
  const extent = input.shape[dim];
  if (!isFloat(input.dtype)) return constantPlace(input, dim, Math.floor((extent - 1) / 2));
  const numbers = input.detach().isnan().logicalNot().sum(dim, { keepdim: true });
  const middle = numbers.sub(1).div(2, { roundingMode: 'floor' }).clamp({ min: 0 });
  return ignoreNan ? middle : where(numbers.lt(extent), numbers, middle);
}

/** Its overloads do not fit the type of a call, so that the op's type is written out. */
interface Median {
  (input: Tensor): Tensor;
  (input: Tensor, dim: number | DimOptions, keepdim?: boolean | DimOptions): Picked;
  readonly def: OpDef;
  readonly params: readonly Param[];
  readonly method: { (): Tensor; (dim: number | DimOptions, keepdim?: boolean | DimOptions): Picked };
}

/** Over all elements equal ones share the gradient; along a dim the one returned has it. */
const medianOp = (name: string, doc: string, ignoreNan: boolean): Median =>
  composite({
    name,
    gradName: ({ dim }) => `${name[0].toUpperCase()}${name.slice(1)}Backward${dim === null ? 0 : 1}`,
    doc: `${doc}; of two middle elements the lower. Along a dim as [values, indices].`,
    signature: 'input: tensor, dim: int = null, keepdim: bool = false',
    compute({ input, dim, keepdim }: { input: Tensor; dim: number | null; keepdim: boolean }): Tensor | Picked {
      if (dim !== null) {
        if (input.ndim === 0) return picked(input.clone(), input.zerosLike({ dtype: 'int64' }));
        const d = normalizeDim(name, dim, input.ndim);
        return statistic(input, d, medianPlace(input, d, ignoreNan), keepdim);
      }
      const flat = input.reshape([-1]);
      if (flat.numel() === 0) return input.sum().mul(Number.NaN);
      const value = statistic(flat.detach(), 0, medianPlace(flat, 0, ignoreNan), false).values;
      const chosen = isFloat(flat.dtype)
        ? flat.eq(value).logicalOr(flat.isnan().logicalAnd(value.isnan()))
        : flat.eq(value);
      return isFloat(flat.dtype) ? flat.maskedFill(chosen.logicalNot(), 0).sum().div(chosen.sum()) : value;
    },
    samples: [sample(random([5])), sample(random([2, 6]), 1), sampleWithoutGradient(integers([7], 0, 9))],
  }) as unknown as Median;

export const median: Median = medianOp('median', 'The median; NaN if any element is', false);
export const nanmedian: Median = medianOp('nanmedian', 'The median of the elements that are not NaN', true);

export const mode: Op<(input: Tensor, dim?: number | DimOptions, keepdim?: boolean) => Picked> = composite({
  name: 'mode',
  gradName: 'ModeBackward0',
  doc: 'The most frequent element along a dim, the smallest of equally frequent ones, as [values, indices].',
  signature: 'input: tensor, dim: int = -1, keepdim: bool = false',
  compute({ input, dim, keepdim }) {
    const d = normalizeDim('mode', dim, input.ndim);
    if (input.ndim === 0) return picked(input.clone(), input.zerosLike({ dtype: 'int64' }));
    const sorted = sort(input.detach(), d);
    const counts = sorted.values
      .unsqueeze(d)
      .eq(sorted.values.unsqueeze(d + 1))
      .sum(d + 1);
    const smallest = counts.argmax(d, { keepdim: true });
    const most = counts.gather(d, smallest);
    const indices = sorted.indices.gather(d, smallest.add(most).sub(1));
    return pickOne(input, d, indices, keepdim);
  },
  samples: [
    sample(exactly([2, 3], [3, 1, 2, 0, 5, 4])),
    sampleWithoutGradient(integers([2, 7], 0, 3)),
    sampleWithoutGradient(exactly([5], [3, 1, 1, 3, 2])),
  ],
});

// ── searching and counting ─────────────────────────────────────────────────────────────────────────────────────────────

interface SearchOptions {
  readonly outInt32?: boolean;
  readonly right?: boolean;
  readonly side?: 'left' | 'right' | null;
}

const countBefore = (sorted: Tensor, values: Tensor, right: boolean, dtype: DType): Tensor => {
  const [line, wanted] = [sorted.unsqueeze(-2), values.unsqueeze(-1)];
  return (right ? line.le(wanted) : line.lt(wanted)).sum(-1).to(dtype);
};

export const searchsorted: Op<(sortedSequence: Tensor, input: Tensor | number, options?: SearchOptions) => Tensor> =
  composite({
    name: 'searchsorted',
    doc: 'Where along the last dim of a sorted sequence values would be inserted, before equal ones or (right) after them.',
    signature:
      'sortedSequence: tensor, input: operand, *, outInt32: bool = false, right: bool = false, side: string = null',
    compute({ sortedSequence, input, outInt32, right, side }) {
      if (right && side === 'left')
        fail('E110', { op: 'searchsorted', problem: "side and right can't be set to opposites: left and true" });
      const dtype = outInt32 ? 'int32' : 'int64';
      const after = right || side === 'right';
      const values = typeof input === 'number' ? sortedSequence.detach().sum().mul(0).add(input) : input;
      if (sortedSequence.ndim > 1 || values.ndim > 1 || values.ndim === 0) {
        const flat = sortedSequence.ndim === 1 ? values.reshape([-1]) : values;
        return countBefore(sortedSequence, flat, after, dtype).reshape(values.shape);
      }
      return countBefore(sortedSequence, values, after, dtype);
    },
    samples: [
      sampleWithoutGradient(exactly([4], [1, 3, 3, 7]), exactly([3], [0, 3, 9])),
      sampleWithoutGradient(exactly([4], [1, 3, 3, 7]), exactly([3], [0, 3, 9]), { right: true }),
    ],
  });

export const bucketize: Op<(input: Tensor, boundaries: Tensor, options?: SearchOptions) => Tensor> = composite({
  name: 'bucketize',
  doc: 'The bucket each value falls into between sorted boundaries.',
  signature: 'input: tensor, boundaries: tensor, *, outInt32: bool = false, right: bool = false',
  compute: ({ input, boundaries, outInt32, right }) => searchsorted(boundaries, input, { outInt32, right }),
  samples: [sampleWithoutGradient(exactly([3], [0, 3, 9]), exactly([3], [1, 3, 7]))],
});

interface BincountOptions {
  readonly weights?: Tensor | null;
  readonly minlength?: number;
}
export const bincount: Op<
  (input: Tensor, weights?: Tensor | null | BincountOptions, minlength?: number | BincountOptions) => Tensor
> = composite({
  name: 'bincount',
  doc: 'How often each integer occurs, or the sum of its weights. Its length depends on the data: not inside a trace.',
  signature: 'input: tensor, weights: tensor = null, minlength: int = 0',
  compute({ input, weights, minlength }) {
    if (!isInt(input.dtype)) fail('E108', { op: 'bincount', problem: `is defined on integers, not on ${input.dtype}` });
    const values = elements(input, 'bincount()').map(Number);
    if (values.some(value => value < 0))
      fail('E110', { op: 'bincount', problem: '1-d non-negative integral values only' });
    const length = Math.max(minlength, 0, ...values.map(value => value + 1));
    const counted: Tensor = weights ?? input.onesLike({ dtype: 'int64' });
    return iota(length).zerosLike({ dtype: counted.dtype }).scatterAdd(0, input.long(), counted);
  },
  samples: [
    eagerSampleWithoutGradient(exactly([5], [1, 0, 3, 1, 1], 'int64')),
    eagerSample(exactly([3], [1, 0, 1], 'int64'), random([3]), { minlength: 4 }),
  ],
});

function checkBins(input: Tensor, bins: number, min: number, max: number): void {
  needsFloat('histc')(input.dtype);
  if (bins <= 0) fail('E110', { op: 'histc', problem: `bins must be > 0, but got ${bins}` });
  if (!Number.isFinite(min) || !Number.isFinite(max))
    fail('E110', { op: 'histc', problem: `range of [${min}, ${max}] is not finite` });
  if (min > max) fail('E110', { op: 'histc', problem: `max must be larger than min, but they are ${max} and ${min}` });
}

interface HistcOptions {
  readonly bins?: number;
  readonly min?: number;
  readonly max?: number;
}
export const histc: Op<
  (input: Tensor, bins?: number | HistcOptions, min?: number | HistcOptions, max?: number | HistcOptions) => Tensor
> = composite({
  name: 'histc',
  doc: 'How many elements fall into each of equally wide bins between min and max (those of the data where both are the same).',
  signature: 'input: tensor, bins: int = 100, min: number = 0, max: number = 0',
  compute({ input, bins, min, max }) {
    checkBins(input, bins, Number(min), Number(max));
    const flat = input.detach().reshape([-1]);
    const fromData = Number(min) === Number(max);
    if (flat.numel() === 0) return flat.zerosLike().sum().expand([bins]).clone();
    const [least, most] = fromData ? [flat.amin(), flat.amax()] : [min, max].map(end => flat.sum().mul(0).add(end));
    const spare = least.eq(most).to(flat.dtype);
    const [low, high] = [least.sub(spare), most.add(spare)];
    const inside = flat.ge(low).logicalAnd(flat.le(high));
    const bin = flat
      .sub(low)
      .div(high.sub(low))
      .mul(bins)
      .floor()
      .clamp(0, bins - 1);
    const target = where(inside, bin, bins).long();
    return iota(bins + 1)
      .zerosLike({ dtype: flat.dtype })
      .scatterAdd(0, target, flat.onesLike())
      .slice(0, 0, bins);
  },
  samples: [sampleWithoutGradient(random([20]), 4, -2, 2), sampleWithoutGradient(random([20]), 5)],
});

// ── distinct elements: eager only ──────────────────────────────────────────────────────────────────────────────────────

export interface UniqueOptions {
  readonly sorted?: boolean;
  readonly returnInverse?: boolean;
  readonly returnCounts?: boolean;
}
type Unique = Op<(input: Tensor, options?: UniqueOptions) => Tensor | Tensor[]>;

const longs = (values: readonly number[], shape: readonly number[]): Tensor =>
  tensorOver(BigInt64Array.from(values, BigInt), { dtype: 'int64', shape });

/** Runs of equal elements in an order: the first of each, the run of each element, and the lengths. */
function runsOf(
  input: Tensor,
  positions: readonly number[],
  { returnInverse, returnCounts }: UniqueOptions,
): Tensor | Tensor[] {
  const flat = input.reshape([-1]);
  const values = elements(flat, 'unique()');
  const starts: number[] = [];
  const inverse = new Array<number>(positions.length);
  const counts: number[] = [];
  for (const [i, at] of positions.entries()) {
    if (i === 0 || values[at] !== values[positions[i - 1]]) {
      starts.push(at);
      counts.push(0);
    }
    inverse[at] = starts.length - 1;
    counts[counts.length - 1]++;
  }
  const output = flat.indexSelect(0, longs(starts, [starts.length]));
  if (!returnInverse && !returnCounts) return output;
  return [
    output,
    ...(returnInverse ? [longs(inverse, input.shape)] : []),
    ...(returnCounts ? [longs(counts, [counts.length])] : []),
  ];
}

export const unique: Unique = composite({
  name: 'unique',
  doc: 'The distinct elements in ascending order; on request where each element went, and how often each occurs.',
  signature: 'input: tensor, sorted: bool = true, returnInverse: bool = false, returnCounts: bool = false',
  compute({ input, ...options }) {
    return runsOf(input, elements(argsort(input.reshape([-1]), 0), 'unique()').map(Number), options);
  },
  samples: [
    eagerSample(exactly([4], [3, 1, 4, 2])),
    eagerSampleWithoutGradient(exactly([5], [3, 1, 3, 2, 1])),
    eagerSampleWithoutGradient(exactly([4], [3, 1, 3, 2]), { returnInverse: true, returnCounts: true }),
  ],
});

export const uniqueConsecutive: Unique = composite({
  name: 'uniqueConsecutive',
  doc: 'The first of each run of equal elements; on request the run of each element, and the lengths.',
  signature: 'input: tensor, returnInverse: bool = false, returnCounts: bool = false',
  compute: ({ input, ...options }) =>
    runsOf(
      input,
      Array.from({ length: input.numel() }, (_, i) => i),
      options,
    ),
  samples: [
    eagerSample(exactly([3], [3, 1, 3])),
    eagerSampleWithoutGradient(exactly([5], [3, 3, 1, 1, 3]), { returnCounts: true }),
  ],
});

// ── distances ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export const cdist: Op<(x1: Tensor, x2: Tensor, p?: number | { readonly p?: number }) => Tensor> = composite({
  name: 'cdist',
  gradName: 'CdistBackward0',
  doc: 'The p-norm distance of every row of one batch to every row of the other.',
  signature: 'x1: tensor, x2: tensor, p: number = 2',
  compute({ x1, x2, p }) {
    if (x1.shape[x1.ndim - 1] !== x2.shape[x2.ndim - 1])
      fail('E107', {
        op: 'cdist',
        problem: `X1 and X2 must have the same number of columns: ${formatShape(x1.shape)} and ${formatShape(x2.shape)}`,
      });
    if (Number(p) < 0) fail('E110', { op: 'cdist', problem: `only supports non-negative p values, not ${p}` });
    return x1.unsqueeze(-2).sub(x2.unsqueeze(-3)).norm(Number(p), -1);
  },
  samples: [sample(random([3, 2]), random([4, 2])), sample(random([3, 2]), random([4, 2]), 1)],
});

export const pdist: Op<(input: Tensor, p?: number | { readonly p?: number }) => Tensor> = composite({
  name: 'pdist',
  gradName: 'PdistBackward0',
  doc: 'The p-norm distance of every two rows, the pairs in order.',
  signature: 'input: tensor, p: number = 2',
  compute({ input, p }) {
    if (input.ndim !== 2) fail('E107', { op: 'pdist', problem: `only supports 2D tensors, got: ${input.ndim}D` });
    if (Number(p) < 0) fail('E110', { op: 'pdist', problem: 'only supports non-negative p values' });
    const n = input.shape[0];
    const firsts = Array.from({ length: n }, (_, i) => new Array<number>(n - 1 - i).fill(i)).flat();
    const seconds = Array.from({ length: n }, (_, i) => Array.from({ length: n - 1 - i }, (_, j) => i + 1 + j)).flat();
    const rows = (places: readonly number[]): Tensor => input.indexSelect(0, longs(places, [places.length]));
    return rows(firsts).sub(rows(seconds)).norm(Number(p), -1);
  },
  samples: [sample(random([4, 3])), sample(random([3, 2]), 1)],
  errors: [{ args: [random([3])], message: /only supports 2D tensors, got: 1D/ }],
});

export const renorm: Op<(input: Tensor, p: number, dim: number, maxnorm: number) => Tensor> = composite({
  name: 'renorm',
  gradName: 'RenormBackward0',
  doc: 'Slices along a dim whose p-norm is above maxnorm are scaled down to it.',
  signature: 'input: tensor, p: number, dim: int, maxnorm: number',
  compute({ input, p, dim, maxnorm }) {
    if (input.ndim < 2)
      fail('E107', { op: 'renorm', problem: `input needs at least 2 dimensions, got ${input.ndim} dimensions` });
    if (Number(p) <= 0) fail('E110', { op: 'renorm', problem: `needs a norm of positive order, not ${p}` });
    if (Number(maxnorm) < 0) fail('E110', { op: 'renorm', problem: `expected maxnorm to be >= 0 but got ${maxnorm}` });
    const d = normalizeDim('renorm', dim, input.ndim);
    const others = input.shape.map((_: number, e: number) => e).filter((e: number) => e !== d);
    const norm = input.norm(Number(p), others, { keepdim: true });
    return input.mul(where(norm.gt(maxnorm), norm.add(1e-7).reciprocal().mul(maxnorm), 1));
  },
  samples: [sample(random([3, 4]), 2, 0, 1.5)],
});

interface CovOptions {
  readonly correction?: number;
  readonly fweights?: Tensor | null;
  readonly aweights?: Tensor | null;
}
export const cov: Op<(input: Tensor, options?: CovOptions) => Tensor> = composite({
  name: 'cov',
  doc: 'Covariances of the rows.',
  signature: 'input: tensor, *, correction: int = 1, fweights: tensor = null, aweights: tensor = null',
  compute({ input, correction, fweights, aweights }) {
    const rows: Tensor = input.ndim < 2 ? input.reshape([1, -1]) : input;
    const given: Tensor | null =
      fweights === null ? aweights : aweights === null ? fweights.to(rows.dtype) : fweights.mul(aweights);
    const weights: Tensor = given ?? rows.detach().select(0, 0).onesLike();
    const total = weights.sum();
    const centered = rows.sub(rows.mul(weights).sum(1, { keepdim: true }).div(total));
    const spare =
      aweights === null ? total.sub(correction) : total.sub(weights.mul(aweights).sum().div(total).mul(correction));
    const matrix = centered.mul(weights).matmul(centered.t()).div(spare.clamp(0));
    return input.ndim < 2 ? matrix.reshape([]) : matrix;
  },
  samples: [sample(random([2, 5])), sample(random([5]))],
});

export const corrcoef: Op<(input: Tensor) => Tensor> = composite({
  name: 'corrcoef',
  doc: 'Correlations of the rows.',
  signature: 'input: tensor',
  compute({ input }) {
    const matrix = cov(input);
    if (matrix.ndim === 0) return matrix.div(matrix);
    const deviation = matrix.diagonal().sqrt();
    return matrix.div(deviation.unsqueeze(1)).div(deviation.unsqueeze(0)).clamp(-1, 1);
  },
  samples: [sample(random([3, 5]))],
});
