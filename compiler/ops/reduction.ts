/** Reductions: sums, extrema and what is built from them. */
import { fail } from '../errors.js';
import { arith } from '../ir/arith.js';
import { type DType, isFloat } from '../ir/dtype.js';
import type { Attrs } from '../ir/graph.js';
import { cast, constant, type Expr, select } from '../ir/kernel.js';
import { normalizeDim, normalizeDims, numel, type Shape, sameShape } from '../ir/shape.js';
import { composite, define, type Op, type OpDef, pointwise, reducedShape, reduction } from './define.js';
import { needsFloat } from './elementwise.js';
import { implicitDim } from './implicit-dim.js';
import { type NamedTuple, namedTuple } from './named-tuple.js';
import { eagerSampleWithoutGradient, exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import type { Param } from './signature.js';
import { renameStep, type VjpContext } from './tape.js';
import { eagerValue, type Tensor } from './tensor.js';

export interface ReduceOptions {
  readonly dim?: number | readonly number[] | null;
  readonly keepdim?: boolean;
}
export interface SumOptions extends ReduceOptions {
  readonly dtype?: DType | null;
}
type Dims = number | readonly number[] | null;
export type Reduction<Options = ReduceOptions> = Op<
  (input: Tensor, dim?: Dims | Options, keepdim?: boolean | Options, options?: Options) => Tensor
>;

/** A reduced tensor spread over the shape it was reduced from. */
export const spread = (reduced: Tensor, shape: Shape, dims: readonly number[], keepdim: boolean): Tensor =>
  (keepdim ? reduced : dims.reduce((t, d) => t.unsqueeze(d), reduced)).expand(shape);

/** The gradient of a reduction, or its result, spread over the input. */
const spreadGrad = (c: VjpContext): Tensor =>
  spread(c.grad, c.types[0].shape, c.attrs.dim as number[], c.attrs.keepdim as boolean);
const spreadOut = (c: VjpContext): Tensor =>
  spread(c.out, c.types[0].shape, c.attrs.dim as number[], c.attrs.keepdim as boolean);

const reduceSamples = [
  sample(random([2, 3])),
  sample(random([2, 3, 4]), 1),
  sample(random([2, 3, 4]), [0, -1], { keepdim: true }),
];
/** What integers and bools are summed in. */
const wideInteger = (input: DType, attrs: Attrs): DType =>
  (attrs.dtype as DType | null | undefined) ?? (isFloat(input) ? input : 'int64');

// ── sums and means ─────────────────────────────────────────────────────────────────────────────────────────────────────

export const sum: Reduction<SumOptions> = reduction({
  name: 'sum',
  doc: 'Sum over the given dims, or all. Integers and bools sum to int64.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  fn: 'add',
  dtype: wideInteger,
  gradName: ([input], attrs) =>
    (attrs.dim as number[]).length === input.shape.length ? 'SumBackward0' : 'SumBackward1',
  vjp: c => [spreadGrad(c).to(c.types[0].dtype)],
  samples: [...reduceSamples, sample(random([0, 3]), 0), sampleWithoutGradient(integers([2, 3], 0, 2, 'bool'), 0)],
  errors: [{ args: [random([2, 3]), 2], message: /Dimension out of range/ }],
});

export const sumToSize: Op<(input: Tensor, size: Shape) => Tensor> = composite({
  name: 'sumToSize',
  doc: 'Sum over the dims that broadcasting from `size` would have added or stretched.',
  signature: 'input: tensor, size: size',
  compute({ input, size }: { input: Tensor; size: Shape }) {
    if (sameShape(input.shape, size)) return input;
    const lead = input.ndim - size.length;
    const dims = input.shape.map((_, d) => d).filter(d => d < lead || (size[d - lead] === 1 && input.shape[d] !== 1));
    const summed = dims.length === 0 ? input : input.sum(dims, { keepdim: true, dtype: input.dtype });
    return numel(summed.shape) === numel(size) ? summed.reshape(size) : summed;
  },
  samples: [sample(random([2, 3]), [3]), sample(random([2, 3]), [2, 1])],
});

/** Elements that go into one result. */
const reducedCount = (op: string, input: Tensor, dim: Dims): number =>
  normalizeDims(op, dim, input.ndim).reduce((count, d) => count * input.shape[d], 1);

export const mean: Reduction<SumOptions> = composite({
  name: 'mean',
  doc: 'Mean over the given dims, or all; of floats only.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  gradName: ({ dim }) => (dim === null ? 'MeanBackward0' : 'MeanBackward1'),
  compute({ input, dim, keepdim, dtype }) {
    if (!isFloat(dtype ?? input.dtype)) {
      fail('E108', {
        op: 'mean',
        problem: `could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ${input.dtype}`,
        hint: 'convert with .float() first',
      });
    }
    const count = reducedCount('mean', input, dim);
    return input.sum(dim, { keepdim, dtype }).div(count);
  },
  samples: [...reduceSamples],
  errors: [{ args: [integers([3], 0, 5)], message: /Input dtype must be either a floating point/ }],
});

export const nanmean: Reduction<SumOptions> = composite({
  name: 'nanmean',
  doc: 'Mean of the elements that are not NaN.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  compute({ input, dim, keepdim, dtype }) {
    needsFloat('nanmean')(input.dtype);
    const missing = input.isnan();
    const total = input.maskedFill(missing, 0).sum(dim, { keepdim, dtype });
    return total.div(missing.logicalNot().sum(dim, { keepdim, dtype: total.dtype }));
  },
  samples: [sample(random([2, 3]), 1), sampleWithoutGradient(exactly([2, 2], [1, Number.NaN, 2, 4]), 1)],
});

// ── products ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * ∂prod/∂x = the product of the others: out / x, and where zeros stand in the way the product of the nonzero others.
 */
function productGradient(c: VjpContext): Tensor {
  const x = c.in(0).to(c.grad.dtype);
  const { dim, keepdim } = c.attrs as { dim: readonly number[]; keepdim: boolean };
  const spreadOver = (t: Tensor): Tensor => spread(t, x.shape, dim, keepdim);
  const zero = x.eq(0);
  const zeros = spreadOver(zero.sum(dim, { keepdim }));
  const nonzero = spreadOver(prod(x.maskedFill(zero, 1), dim, { keepdim }));
  const others = nonzero.div(x.maskedFill(zero, 1));
  const share = zeros.eq(0).logicalOr(zero.logicalAnd(zeros.eq(1)));
  return spreadGrad(c).mul(where(share, others)).to(c.types[0].dtype);
}
const where = (mask: Tensor, value: Tensor): Tensor => value.maskedFill(mask.logicalNot(), 0);

export const nansum: Reduction<SumOptions> = reduction({
  name: 'nansum',
  doc: 'Sum over the given dims, or all, counting NaN as 0.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  fn: 'add',
  dtype: wideInteger,
  element: (s, x) => (isFloat(x.dtype as DType) ? s.select(s.isNan(x), 0, x) : x),
  vjp: c => [where(c.in(0).isnan().logicalNot(), spreadGrad(c))],
  samples: [
    sample(random([2, 3])),
    sample(random([2, 3, 4]), [0, -1], { keepdim: true }),
    sampleWithoutGradient(exactly([2, 2], [1, Number.NaN, Number.NaN, Number.NaN]), 1),
  ],
});

export const prod: Reduction<SumOptions> = reduction({
  name: 'prod',
  doc: 'Product over a dim, or of all elements. Integers and bools multiply to int64.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  fn: 'mul',
  dtype: wideInteger,
  gradName: ([input], attrs) =>
    (attrs.dim as number[]).length === input.shape.length ? 'ProdBackward0' : 'ProdBackward1',
  vjp: c => [productGradient(c)],
  samples: [
    sample(random([2, 3], 0.5, 2)),
    sample(random([2, 3], 0.5, 2), 1),
    sampleWithoutGradient(exactly([2, 3], [1, 0, 2, 0, 0, 3]), 1),
  ],
});

// ── extrema ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Elements equal to the extreme share its gradient; NaN equals NaN. */
function sharedGradient(c: VjpContext): Tensor {
  const x = c.in(0);
  const out = spreadOut(c);
  const chosen = x.eq(out).logicalOr(x.isnan().logicalAnd(out.isnan())).to(c.grad.dtype);
  const { dim, keepdim } = c.attrs as { dim: readonly number[]; keepdim: boolean };
  const count = spread(chosen.sum(dim, { keepdim }), x.shape, dim, keepdim);
  return spreadGrad(c).mul(chosen).div(count);
}

const extreme = (name: string, doc: string, fn: 'max' | 'min', gradName?: string): Reduction =>
  reduction({
    name,
    doc: `${doc}; NaN if any is NaN. Equal elements share the gradient.`,
    fn,
    gradName,
    dtype: input => input,
    emptyError: `Expected reduction dim to be specified for input.numel() == 0, or to have non-zero size.`,
    vjp: c => [sharedGradient(c)],
    samples: [...reduceSamples, sampleWithoutGradient(integers([2, 3], -9, 9), 1)],
    errors: [{ args: [random([0, 3]), 0], message: /non-zero size/ }],
  });

export const amax: Reduction = extreme('amax', 'The largest over the given dims, or all', 'max');
export const amin: Reduction = extreme('amin', 'The smallest over the given dims, or all', 'min');

/** First position along a dim that holds the extreme; the second step of argmax, and fusable with the first. */
const positionOf: Op<(input: Tensor, extreme: Tensor, dim: number) => Tensor> = define({
  name: 'positionOf',
  doc: 'The first position along a dim where the input equals `extreme` (NaN equals NaN).',
  signature: 'input: tensor, extreme: tensor, dim: int',
  fusion: 'reduction',
  differentiable: false,
  prepare: ({ input, extreme, dim }) => ({ inputs: [input, extreme], attrs: { dim: [dim], keepdim: false } }),
  infer: ([input], attrs) => ({ dtype: 'int64', shape: reducedShape(input.shape, attrs.dim as number[], false) }),
  lower: {
    kind: 'reduce',
    fn: 'min',
    extents: ([input], attrs) => [input.shape[(attrs.dim as number[])[0]]],
    element(at, [position], [input, extreme], attrs) {
      const [dim] = attrs.dim as number[];
      const value = input.at([...at.slice(0, dim), position, ...at.slice(dim)]);
      const last = constant('int64', input.type.shape[dim] - 1);
      return select(sameOrNan(value, extreme.at(at)), cast('int64', position), last);
    },
  },
  samples: [sampleWithoutGradient(exactly([2, 3], [1, 3, 3, 2, 0, 1]), exactly([2], [3, 2]), 1)],
});

const sameOrNan = (value: Expr, extreme: Expr): Expr => arith.or(arith.eq(value, extreme), arith.isNan(value));

const asNumber = (input: Tensor): Tensor => (input.dtype === 'bool' ? input.to('uint8') : input);

function positionOfExtreme(op: 'argmax' | 'argmin', input: Tensor, dim: number | null, keepdim: boolean): Tensor {
  if (dim === null) {
    const flat = positionOfExtreme(op, input.reshape([-1]), 0, false);
    return keepdim ? flat.reshape(input.shape.map(() => 1)) : flat;
  }
  const values = asNumber(input.detach());
  const d = normalizeDim(op, dim, input.ndim);
  if (input.ndim === 0) return positionOfExtreme(op, input.reshape([1]), 0, false);
  if (input.shape[d] === 0) {
    fail('E109', { op, problem: `Expected reduction dim ${d} to have non-zero size.` });
  }
  const position = positionOf(values, op === 'argmax' ? values.amax(d) : values.amin(d), d);
  return keepdim ? position.unsqueeze(d) : position;
}

type ArgReduction = Op<
  (input: Tensor, dim?: number | null | ReduceOptions, keepdim?: boolean | ReduceOptions) => Tensor
>;

export const argmax: ArgReduction = composite({
  name: 'argmax',
  doc: 'Position of the first largest element along a dim, or among all in row-major order.',
  signature: 'input: tensor, dim: int = null, keepdim: bool = false',
  compute: ({ input, dim, keepdim }) => positionOfExtreme('argmax', input, dim, keepdim),
  samples: [sampleWithoutGradient(random([2, 3])), sampleWithoutGradient(random([2, 3]), 1, { keepdim: true })],
  errors: [{ args: [random([2, 0]), 1], message: /non-zero size/ }],
});

export const argmin: ArgReduction = composite({
  name: 'argmin',
  doc: 'Position of the first smallest element along a dim, or among all in row-major order.',
  signature: 'input: tensor, dim: int = null, keepdim: bool = false',
  compute: ({ input, dim, keepdim }) => positionOfExtreme('argmin', input, dim, keepdim),
  samples: [sampleWithoutGradient(random([2, 3])), sampleWithoutGradient(random([2, 3]), 0)],
});

/** Values and where they stood: what reductions along one dim that pick elements return. */
export type Picked = NamedTuple<['values', 'indices']>;
/** A tuple of both. */
export const picked = (values: Tensor, indices: Tensor): Picked =>
  namedTuple<['values', 'indices']>({ values, indices });

/** One element along a dim by its index, which has size 1 there. */
export function pickOne(input: Tensor, dim: number, indices: Tensor, keepdim: boolean): Picked {
  const values = input.gather(dim, indices);
  return keepdim ? picked(values, indices) : picked(values.squeeze(dim), indices.squeeze(dim));
}

export interface Extreme {
  (): Tensor;
  (other: Tensor | { readonly other: Tensor }): Tensor;
  (dim: number, keepdim?: boolean | ReduceOptions): Picked;
  (options: ReduceOptions): Picked;
}
/** Its overloads do not fit the type of a call, so that the op's type is written out. */
interface ExtremeOp {
  (input: Tensor): Tensor;
  (input: Tensor, other: Tensor | { readonly other: Tensor }): Tensor;
  (input: Tensor, dim: number | ReduceOptions, keepdim?: boolean | ReduceOptions): Picked;
  readonly def: OpDef;
  readonly params: readonly Param[];
  readonly method: Extreme;
}

const extremeOp = (name: 'max' | 'min', doc: string): ExtremeOp =>
  composite({
    name,
    doc: `${doc} of all elements, of two tensors, or along a dim as [values, indices].`,
    signature: 'input: tensor, dim: any = null, keepdim: bool = false, *, other: tensor = null',
    compute({ input, dim, keepdim, other }): Tensor | Picked {
      const second = other ?? (typeof dim === 'object' ? dim : null);
      if (second !== null) return name === 'max' ? input.maximum(second) : input.minimum(second);
      const step = name === 'max' ? 'MaxBackward' : 'MinBackward';
      if (dim === null) return named(fullExtreme(name, input), `${step}1`);
      const { values, indices } = extremeAlong(name, input, dim, keepdim);
      return picked(named(values, `${step}0`), indices);
    },
    samples: [
      sample(random([2, 3])),
      sample(random([2, 3]), 1),
      sample(random([2, 3]), 0, { keepdim: true }),
      sample(random([3]), random([3])),
    ],
  }) as unknown as ExtremeOp;

export const max: ExtremeOp = extremeOp('max', 'The largest');
export const min: ExtremeOp = extremeOp('min', 'The smallest');

/** Under the name that PyTorch gives the step. */
function named(tensor: Tensor, step: string): Tensor {
  renameStep(tensor, step);
  return tensor;
}

function fullExtreme(name: 'max' | 'min', input: Tensor): Tensor {
  const output = name === 'max' ? asNumber(input).amax() : asNumber(input).amin();
  return output.to(input.dtype);
}

function extremeAlong(name: 'max' | 'min', input: Tensor, dim: number, keepdim: boolean): Picked {
  const indices = positionOfExtreme(name === 'max' ? 'argmax' : 'argmin', input, dim, true);
  const d = normalizeDim(name, dim, input.ndim);
  if (input.ndim === 0) return picked(input.clone(), indices);
  return pickOne(input, d, indices, keepdim);
}

export const aminmax: Op<(input: Tensor, options?: ReduceOptions) => NamedTuple<['min', 'max']>> = composite({
  name: 'aminmax',
  doc: 'The smallest and the largest along a dim, or of all elements.',
  signature: 'input: tensor, *, dim: int = null, keepdim: bool = false',
  compute: ({ input, dim, keepdim }) => namedTuple({ min: input.amin(dim, keepdim), max: input.amax(dim, keepdim) }),
  samples: [sample(random([2, 3])), sample(random([2, 3]), { dim: 1 })],
});

// ── logic ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const quantifier = (name: string, doc: string, fn: 'or' | 'and'): Reduction =>
  reduction({
    name,
    doc,
    fn,
    dtype: input => (input === 'uint8' ? 'uint8' : 'bool'),
    element: (s, x) => (x.dtype === 'bool' ? x : s.cast(x.dtype, s.ne(x, 0))),
    differentiable: false,
    samples: [
      sampleWithoutGradient(integers([2, 3], 0, 2, 'bool')),
      sampleWithoutGradient(integers([2, 3], 0, 2), 1, { keepdim: true }),
      sampleWithoutGradient(random([0, 2]), 0),
    ],
  });

export const countNonzero: Reduction = composite({
  name: 'countNonzero',
  doc: 'How many elements are not zero, over the given dims or all.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false',
  compute: ({ input, dim, keepdim }) => input.ne(0).sum(dim, { keepdim }),
  samples: [sampleWithoutGradient(integers([2, 3], 0, 2)), sampleWithoutGradient(integers([2, 3], 0, 2), 1)],
});

export const any: Reduction = quantifier('any', 'Is any element nonzero?', 'or');
export const all: Reduction = quantifier('all', 'Are all elements nonzero?', 'and');

export const equal: Op<(input: Tensor, other: Tensor) => boolean> = composite({
  name: 'equal',
  doc: 'Same shape and same elements? The answer is a plain boolean.',
  signature: 'input: tensor, other: tensor',
  compute: ({ input, other }) => sameShape(input.shape, other.shape) && readBool(input.eq(other).all()),
  samples: [eagerSampleWithoutGradient(random([2]), random([2]))],
});

export const allclose: Op<
  (input: Tensor, other: Tensor, options?: { rtol?: number; atol?: number; equalNan?: boolean }) => boolean
> = composite({
  name: 'allclose',
  doc: 'Are all elements close? The answer is a plain boolean.',
  signature: 'input: tensor, other: tensor, rtol: number = 1e-5, atol: number = 1e-8, equalNan: bool = false',
  compute: ({ input, other, rtol, atol, equalNan }) => readBool(input.isclose(other, { rtol, atol, equalNan }).all()),
  samples: [eagerSampleWithoutGradient(random([2]), random([2]))],
});

const readBool = (value: Tensor): boolean => Boolean(eagerValue(value, 'a plain boolean').storage.array[0]);

// ── moments and norms ──────────────────────────────────────────────────────────────────────────────────────────────────

export interface VarOptions extends ReduceOptions {
  readonly unbiased?: boolean;
  readonly correction?: number | null;
}
type Moment = Op<
  (input: Tensor, dim?: Dims | boolean | VarOptions, options?: VarOptions | boolean, keepdim?: boolean) => Tensor
>;

/** Torch's overloads: (unbiased), (dim, unbiased, keepdim), and names for all. */
const varSignature =
  'input: tensor, dim: any = null, unbiased: bool = true, keepdim: bool = false, *, correction: int = null';

function centralMoment(bound: {
  input: Tensor;
  dim: Dims | boolean;
  unbiased: boolean;
  keepdim: boolean;
  correction: number | null;
}): Tensor {
  const { input, keepdim } = bound;
  const dim = typeof bound.dim === 'boolean' ? null : bound.dim;
  const unbiased = typeof bound.dim === 'boolean' ? bound.dim : bound.unbiased;
  const correction = bound.correction ?? (unbiased ? 1 : 0);
  const count = reducedCount('var', input, dim);
  const centered = input.sub(input.mean(dim, { keepdim: true }));
  return centered
    .square()
    .sum(dim, { keepdim })
    .div(Math.max(count - correction, 0));
}

const meanBeside = ({ input, dim, keepdim }: { input: Tensor; dim: Dims | boolean; keepdim: boolean }): Tensor =>
  input.mean(typeof dim === 'boolean' ? null : dim, { keepdim });

const momentSamples = [
  sample(random([5])),
  sample(random([2, 5]), 1),
  sample(random([2, 5]), 1, { unbiased: false, keepdim: true }),
  sample(random([2, 5]), { correction: 2 }),
];

// `var` is a reserved word of JavaScript: the op is exported under its name at the end of the file.
const variance: Moment = composite({
  name: 'var',
  doc: 'Variance over the given dims, or all; divides by n - 1 unless told otherwise.',
  signature: varSignature,
  gradName: 'VarBackward0',
  compute: centralMoment,
  samples: momentSamples,
});

export { variance as var };

export const std: Moment = composite({
  name: 'std',
  doc: 'Standard deviation: the square root of the variance. The derivative where it is 0 is 0.',
  signature: varSignature,
  gradName: 'StdBackward0',
  compute: bound => rootOrFlat(centralMoment(bound)),
  samples: momentSamples,
});

/** Square root whose derivative at 0 is 0. */
export const rootOrFlat: Op<(input: Tensor) => Tensor> = define({
  name: 'rootOrFlat',
  doc: 'Square root; the derivative at 0 is taken as 0.',
  signature: 'input: tensor',
  fusion: 'pointwise',
  elementwise: true,
  infer([input]) {
    const problem = `is defined on floats, not on ${input.dtype}`;
    if (!isFloat(input.dtype)) fail('E108', { op: 'rootOrFlat', problem });
    return input;
  },
  lower: { kind: 'map', element: (at, [input]) => arith.sqrt(input.at(at)) },
  vjp: c => [c.grad.div(c.out.mul(2)).maskedFill(c.out.eq(0), 0)],
  samples: [sample(random([3], 0.2, 2))],
  errors: [{ args: [integers([3], 0, 4)], message: /is defined on floats, not on int64/ }],
});

export const varMean: Op<(input: Tensor, dim?: Dims | VarOptions, options?: VarOptions) => [Tensor, Tensor]> =
  composite({
    name: 'varMean',
    gradName: 'VarMeanBackward0',
    doc: 'Variance and mean.',
    signature: varSignature,
    compute: bound => [centralMoment(bound), meanBeside(bound)],
    samples: [sample(random([2, 5]), 1)],
  });

export const stdMean: Op<(input: Tensor, dim?: Dims | VarOptions, options?: VarOptions) => [Tensor, Tensor]> =
  composite({
    name: 'stdMean',
    gradName: 'StdMeanBackward0',
    doc: 'Standard deviation and mean.',
    signature: varSignature,
    compute: bound => [rootOrFlat(centralMoment(bound)), meanBeside(bound)],
    samples: [sample(random([2, 5]), 1)],
  });

type Order = number | 'fro' | 'inf' | '-inf';
export interface NormOptions extends SumOptions {
  readonly p?: Order;
}

export const norm: Op<
  (input: Tensor, p?: Order | NormOptions, dim?: Dims | NormOptions, options?: NormOptions) => Tensor
> = composite({
  name: 'norm',
  doc: 'The p-norm of the elements over the given dims, or all. The derivative of the 2-norm at the zero vector is 0.',
  signature: 'input: tensor, p: any = 2, dim: dims = null, keepdim: bool = false, *, dtype: dtype = null',
  gradName: 'NormBackward1',
  compute({ input, p, dim, keepdim, dtype }) {
    const x: Tensor = dtype === null ? input : input.to(dtype);
    needsFloat('norm')(x.dtype);
    if (typeof p === 'string' && !namedOrders.includes(p))
      fail('E110', { op: 'norm', problem: `only valid string values are 'fro' and 'nuc', found ${p}` });
    if (p === 'nuc')
      fail('E110', { op: 'norm', problem: 'the nuclear norm is that of matrices', hint: 'use linalg.matrixNorm' });
    const order = p === 'fro' || p === null ? 2 : Number(p === 'inf' ? infinity : p === '-inf' ? -infinity : p);
    return vectorNorm(x, order, dim, keepdim);
  },
  samples: [
    sample(random([2, 3])),
    sample(random([2, 3]), 1, 1),
    sample(random([2, 3]), 3, 0, { keepdim: true }),
    sample(random([2, 3]), Number.POSITIVE_INFINITY, 1),
    sampleWithoutGradient(random([2, 3]), 0),
  ],
});
const infinity = Number.POSITIVE_INFINITY;
const namedOrders = ['fro', 'nuc', 'inf', '-inf'];

export function vectorNorm(x: Tensor, p: number, dim: Dims, keepdim: boolean): Tensor {
  needsFloat('norm')(x.dtype);
  if (p === 0) return countedNonzero(x).sum(dim, { keepdim });
  if (p === 1) return x.abs().sum(dim, { keepdim });
  if (p === 2) return rootOrFlat(x.square().sum(dim, { keepdim }));
  if (p === infinity && dim === null && numel(x.shape) === 0) return x.abs().sum(dim, { keepdim });
  if (p === infinity) return x.abs().amax(dim, { keepdim });
  if (p === -infinity) return x.abs().amin(dim, { keepdim });
  const magnitudes = x.abs();
  const powers = p < 0 ? magnitudes.pow(p) : flatPower(magnitudes, p);
  return flatPower(powers.sum(dim, { keepdim }), 1 / p);
}

/** 1 for each element that is not zero, whose derivative is 0. */
const countedNonzero: Op<(input: Tensor) => Tensor> = pointwise({
  name: 'countedNonzero',
  doc: '1 where the input is not zero; the derivative is 0.',
  types: 'keep',
  body: (s, x) => s.select(s.eq(x, 0), s.constant(x.dtype, 0), s.constant(x.dtype, 1)),
  vjp: ({ grad }) => [grad.zerosLike()],
  samples: [sample(random([4]))],
});

/** A power of what is not negative, whose derivative at 0 is taken as 0. */
const flatPower: Op<(input: Tensor, exponent: number) => Tensor> = pointwise({
  name: 'flatPower',
  doc: 'A power of numbers from 0 on; the derivative at 0 is taken as 0.',
  signature: 'input: tensor, exponent: number',
  types: 'keep',
  check: needsFloat('flatPower'),
  body: (s, x, { exponent }) => s.pow(x, exponent),
  vjp(c) {
    const exponent = c.attrs.exponent as number;
    const slope = c
      .in(0)
      .pow(exponent - 1)
      .mul(exponent);
    return [c.grad.mul(slope).maskedFill(c.in(0).eq(0), 0)];
  },
  samples: [sample(random([4], 0.2, 2), 1.5)],
});

export const dist: Op<(input: Tensor, other: Tensor, p?: number | { readonly p?: number }) => Tensor> = composite({
  name: 'dist',
  gradName: 'DistBackward0',
  doc: 'The p-norm of the difference.',
  signature: 'input: tensor, other: tensor, p: number = 2',
  compute: ({ input, other, p }) => vectorNorm(input.sub(other), Number(p), null, false),
  samples: [sample(random([2, 3]), random([2, 3]))],
});

// ── softmax ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A maximum to subtract before exponentials: 0 where it is infinite, so that ∞ - ∞ does not arise. */
const finiteMaximum = (input: Tensor, dim: Dims): Tensor => {
  const largest = input.detach().amax(dim, { keepdim: true });
  return largest.maskedFill(largest.abs().eq(infinity), 0);
};

export const logsumexp: Reduction = composite({
  name: 'logsumexp',
  doc: 'log Σ e^input over the given dims, safe for large inputs.',
  signature: 'input: tensor, dim: dims = null, keepdim: bool = false',
  gradName: 'LogsumexpBackward0',
  compute({ input, dim, keepdim }) {
    const x: Tensor = isFloat(input.dtype) ? input : input.float();
    if (reducedCount('logsumexp', x, dim) === 0) return x.exp().sum(dim, { keepdim }).log();
    const largest = finiteMaximum(x, dim);
    const total = x.sub(largest).exp().sum(dim, { keepdim: true }).log().add(largest);
    return keepdim ? total : total.reshape(reducedShape(x.shape, normalizeDims('logsumexp', dim, x.ndim), false));
  },
  samples: [sample(random([2, 3]), 1), sample(random([2, 3]), [0, 1]), sample(exactly([2], [1000, 1001]), 0)],
});

interface SoftmaxOptions {
  readonly dim?: number;
  readonly dtype?: DType | null;
}
type Softmax = Op<(input: Tensor, dim?: number | SoftmaxOptions | null, options?: SoftmaxOptions) => Tensor>;

/** Ops of their own for their derivative, computed as a row kernel: maximum, sum of exponentials, quotient. */
const softmaxAlong: Op<(input: Tensor, dim: number) => Tensor> = define({
  name: 'softmaxAlong',
  doc: 'e^input divided by its sum along a dim.',
  signature: 'input: tensor, dim: int',
  fusion: 'composite',
  gradName: 'SoftmaxBackward0',
  infer([input]) {
    needsFloat('softmax')(input.dtype);
    return input;
  },
  decompose([input], attrs) {
    const dim = attrs.dim as number;
    const exponentials = input.sub(input.amax(dim, { keepdim: true })).exp();
    return exponentials.div(exponentials.sum(dim, { keepdim: true }));
  },
  vjp: c => {
    const weighted = c.grad.mul(c.out);
    return [weighted.sub(c.out.mul(weighted.sum(c.attrs.dim as number, { keepdim: true })))];
  },
  samples: [sample(random([2, 3]), 1), sample(random([2, 3, 2]), 1)],
});

const logSoftmaxAlong: Op<(input: Tensor, dim: number) => Tensor> = define({
  name: 'logSoftmaxAlong',
  doc: 'log(softmax(input)) along a dim.',
  signature: 'input: tensor, dim: int',
  fusion: 'composite',
  gradName: 'LogSoftmaxBackward0',
  infer([input]) {
    needsFloat('logSoftmax')(input.dtype);
    return input;
  },
  decompose([input], attrs) {
    const dim = attrs.dim as number;
    const shifted = input.sub(input.amax(dim, { keepdim: true }));
    return shifted.sub(shifted.exp().sum(dim, { keepdim: true }).log());
  },
  vjp: c => [c.grad.sub(c.out.exp().mul(c.grad.sum(c.attrs.dim as number, { keepdim: true })))],
  samples: [sample(random([2, 3]), 1), sample(random([2, 3, 2]), 1)],
});

function alongDim(
  name: string,
  op: Op<(input: Tensor, dim: number) => Tensor>,
  input: Tensor,
  dim: number | null,
  dtype: DType | null,
): Tensor {
  const x = dtype !== null ? input.to(dtype) : input;
  if (!isFloat(x.dtype)) {
    fail('E108', {
      op: name,
      problem: `is defined on floats, not on ${x.dtype}`,
      hint: 'give a dtype, or convert with .float() first',
    });
  }
  const along = normalizeDim(name, dim ?? implicitDim(name, x.ndim), x.ndim);
  if (numel(x.shape) === 0) return x.clone();
  return x.ndim === 0 ? op(x.reshape([1]), along).reshape([]) : op(x, along);
}

export const softmax: Softmax = composite({
  name: 'softmax',
  doc: 'e^input divided by its sum along a dim.',
  signature: 'input: tensor, dim: int = null, *, dtype: dtype = null',
  compute: ({ input, dim, dtype }) => alongDim('softmax', softmaxAlong, input, dim, dtype),
  samples: [sample(random([2, 3]), -1), sample(exactly([2], [1000, 1001]), 0)],
});

export const logSoftmax: Softmax = composite({
  name: 'logSoftmax',
  doc: 'log(softmax(input)) along a dim, accurate for small probabilities.',
  signature: 'input: tensor, dim: int = null, *, dtype: dtype = null',
  compute: ({ input, dim, dtype }) => alongDim('logSoftmax', logSoftmaxAlong, input, dim, dtype),
  samples: [sample(random([2, 3]), -1), sample(exactly([2], [1000, 1001]), 0)],
});
