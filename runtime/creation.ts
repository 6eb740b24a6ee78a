/**
 * New tensors: from JavaScript data, and from a rule (zeros, arange, linspace, ...).
 *
 * JavaScript does not tell 2 from 2.0, so `tensor([1, 2])` holds integers; write `tensor([1, 2], { dtype: float32 })`, or
 * `tensor([float(1), 2])`, for floats. Filled tensors are the op `full`; the rest are values, constants inside a trace.
 */
import { fail } from '../compiler/errors.js';
import type { TypedArray } from '../compiler/ir/dtype.js';
import { arrayOf, complexTypeOf, type DType, getDefaultDtype, isComplexDType } from '../compiler/ir/dtype.js';
import { formatShape, type Shape } from '../compiler/ir/shape.js';
import { Complex, type ComplexParts, isComplexParts } from '../compiler/ops/complex/number.js';
import { setComplexRule } from '../compiler/ops/complex/rules.js';
import { full as fullOp, scalarType, scalarValue } from '../compiler/ops/define.js';
import { bindArguments, parseSignature, type Scalar, WeakFloat } from '../compiler/ops/signature.js';
import { isComplexTensor, realForm, Tensor, tensorOver } from '../compiler/ops/tensor.js';
import { complexElementsOf, elementsOf, fromTypedArray, isTypedArray } from './bridge.js';
import { store } from './elements.js';

export interface CreationOptions {
  readonly dtype?: DType | null;
  readonly requiresGrad?: boolean;
}
/** A size as a list, or as separate numbers, with options last. */
export type SizeArguments = readonly (number | readonly number[] | CreationOptions)[];

export type TensorData = Scalar | Complex | ComplexParts | TypedArray | Tensor | readonly TensorData[];

const withGrad = (made: Tensor, requiresGrad: boolean): Tensor => (requiresGrad ? made.requiresGrad_() : made);

// ── from data ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function shapeOf(data: TensorData): number[] {
  if (data instanceof Tensor) return [...data.shape];
  if (isTypedArray(data)) return [data.length];
  return Array.isArray(data) ? [data.length, ...(data.length > 0 ? shapeOf(data[0]) : [])] : [];
}

type Value = Scalar | Complex;

/** The numbers of nested data in row-major order. Throws E110 where lists differ in length. */
function flatten(data: TensorData, shape: Shape): Value[] {
  const own = shapeOf(data);
  if (own.length === 0 ? shape.length > 0 : own[0] !== shape[0]) {
    fail('E110', {
      op: 'tensor',
      problem: `expected sequence of length ${shape[0] ?? 1} at dim, got ${own.length === 0 ? String(data) : `length ${own[0]}`}`,
      hint: 'all lists of one nesting level must have the same length',
    });
  }
  if (data instanceof Tensor)
    return isComplexTensor(data) ? complexElementsOf(data, 'tensor()') : elementsOf(data, 'tensor()');
  if (isTypedArray(data)) return Array.from(data as ArrayLike<number | bigint>);
  if (!Array.isArray(data)) return [checkScalar(data)];
  return data.flatMap(item => flatten(item, shape.slice(1)));
}

function checkScalar(value: unknown): Value {
  const plain = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
  if (plain || value instanceof WeakFloat || value instanceof Complex) return value;
  if (isComplexParts(value)) return new Complex(value.re, value.im);
  return fail('E108', {
    op: 'tensor',
    problem: `cannot make a tensor of ${value === null ? 'null' : typeof value}`,
    hint: 'give numbers, booleans, { re, im }, lists of them, typed arrays or tensors',
  });
}

const isIntegral = (value: Value): boolean =>
  typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));

/** complex where any value is, else float where any is one, else int64 where any is an integer, else bool. */
function inferDtype(data: TensorData, values: readonly Value[]): DType {
  if (data instanceof Tensor) return data.dtype;
  if (isTypedArray(data)) return fromTypedArray(data).dtype;
  if (values.some(value => value instanceof Complex)) return complexTypeOf(getDefaultDtype());
  if (values.length === 0 || values.some(value => typeof value !== 'boolean' && !isIntegral(value)))
    return getDefaultDtype();
  return values.some(isIntegral) ? 'int64' : 'bool';
}

/** A tensor that owns a copy of nested lists, numbers, booleans, typed arrays or tensors. */
export function tensor(data: TensorData, options: CreationOptions = {}): Tensor {
  if (data instanceof Tensor && realForm(data).value.kind === 'traced') {
    const copy = data.detach().clone();
    return withGrad(options.dtype ? copy.to(options.dtype) : copy, options.requiresGrad ?? false);
  }
  const shape = shapeOf(data);
  const values = flatten(data, shape);
  const dtype = options.dtype ?? inferDtype(data, values);
  return withGrad(tensorOver(store(dtype, values), { dtype, shape }), options.requiresGrad ?? false);
}

/** The tensor itself, or a view of a typed array, where no conversion is needed; a new tensor otherwise. */
export function asTensor(data: TensorData, options: CreationOptions = {}): Tensor {
  if (data instanceof Tensor) return options.dtype ? data.to(options.dtype) : data;
  if (isTypedArray(data)) {
    const shared = fromTypedArray(data);
    if (!options.dtype || options.dtype === shared.dtype) return shared;
  }
  return tensor(data, options);
}

/** PyTorch's class-like constructors: sizes give zeroed memory, one list gives its elements. */
const legacyConstructor =
  (dtype: DType | null) =>
  (...args: [TensorData] | number[]): Tensor => {
    const resolved = dtype ?? getDefaultDtype();
    if (args.length === 1 && typeof args[0] !== 'number') return tensor(args[0], { dtype: resolved });
    return fullOp(args as number[], 0, { dtype: resolved });
  };
/** `torch.Tensor(...)`: of the default dtype. */
export const newTensor = legacyConstructor(null);
export const FloatTensor = legacyConstructor('float32');
export const DoubleTensor = legacyConstructor('float64');
export const HalfTensor = legacyConstructor('float16');
export const BFloat16Tensor = legacyConstructor('bfloat16');
export const LongTensor = legacyConstructor('int64');
export const IntTensor = legacyConstructor('int32');
export const ShortTensor = legacyConstructor('int16');
export const CharTensor = legacyConstructor('int8');
export const ByteTensor = legacyConstructor('uint8');
export const BoolTensor = legacyConstructor('bool');

// ── filled ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const sizeParams = parseSignature('size: size = [], *, dtype: dtype = null, requiresGrad: bool = false');

function filled(op: string, value: number, args: SizeArguments): Tensor {
  const { size, dtype, requiresGrad } = bindArguments(op, sizeParams, args);
  checkSize(op, size);
  return withGrad(fullOp(size, value, { dtype: dtype ?? getDefaultDtype() }), requiresGrad);
}

function checkSize(op: string, size: Shape): void {
  const negative = size.find(dim => dim < 0);
  if (negative !== undefined)
    fail('E107', { op, problem: `Trying to create tensor with negative dimension ${negative}: ${formatShape(size)}` });
}

for (const op of ['zeros', 'ones', 'empty']) setComplexRule(op, 'as written');

export const zeros = (...size: SizeArguments): Tensor => filled('zeros', 0, size);
export const ones = (...size: SizeArguments): Tensor => filled('ones', 1, size);
/** Memory to be written: here always zeroed. */
export const empty = (...size: SizeArguments): Tensor => filled('empty', 0, size);

/** Memory to be written, with the shape and dtype of the input. */
export const emptyLike = (input: Tensor, options: CreationOptions = {}): Tensor =>
  empty(input.shape, { dtype: input.dtype, ...options });

const typeOfValue = (value: Value): DType =>
  value instanceof Complex ? complexTypeOf(getDefaultDtype()) : scalarType(value);
const fullParams = parseSignature('size: size, fillValue: number, *, dtype: dtype = null, requiresGrad: bool = false');
/** One value everywhere; the dtype follows the value unless given. */
export function full(size: number | Shape, fillValue: Scalar | Complex, options: CreationOptions = {}): Tensor {
  const bound = bindArguments('full', fullParams, [typeof size === 'number' ? [size] : size, fillValue, options]);
  checkSize('full', bound.size);
  return withGrad(fullOp(bound.size, fillValue, { dtype: bound.dtype ?? typeOfValue(fillValue) }), bound.requiresGrad);
}

// ── sequences ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function sequence(count: number, dtype: DType, requiresGrad: boolean, at: (i: number) => number): Tensor {
  const values = Array.from({ length: count }, (_, i) => at(i));
  return withGrad(tensorOver(store(dtype, values), { dtype, shape: [count] }), requiresGrad);
}

const rangeParams = parseSignature(
  'start: number, end: number = null, step: number = 1, *, dtype: dtype = null, requiresGrad: bool = false',
);

interface RangeOptions extends CreationOptions {
  readonly start?: Scalar;
  readonly end?: Scalar;
  readonly step?: Scalar;
}

function boundRange(op: string, args: readonly unknown[]) {
  const last = args[args.length - 1];
  const named = typeof last === 'object' && last !== null && !(last instanceof WeakFloat) ? (last as RangeOptions) : {};
  const bound = bindArguments(
    op,
    rangeParams,
    named.end !== undefined && named.start === undefined && args.length === 1 ? [0, ...args] : args,
  );
  const given: Scalar[] = bound.end === null ? [0, bound.start, bound.step] : [bound.start, bound.end, bound.step];
  const [start, end, step] = given.map(value => Number(scalarValue(value)));
  if (step === 0) fail('E110', { op, problem: 'step must be nonzero' });
  if (step > 0 ? start > end : start < end) {
    fail('E110', {
      op,
      problem: `upper bound and larger bound inconsistent with step sign: from ${start} to ${end} by ${step}`,
    });
  }
  return {
    start,
    end,
    step,
    integral: given.every(isIntegral),
    dtype: bound.dtype as DType | null,
    requiresGrad: bound.requiresGrad as boolean,
  };
}

/** `arange(end)`, `arange(start, end, step)`: the end is left out. Integers where all arguments are. */
export function arange(...args: readonly (Scalar | RangeOptions)[]): Tensor {
  const { start, end, step, integral, dtype, requiresGrad } = boundRange('arange', args);
  const count = Math.max(0, Math.ceil((end - start) / step));
  return sequence(count, dtype ?? (integral ? 'int64' : getDefaultDtype()), requiresGrad, i => start + i * step);
}

/** Like `arange`, but with its end, and always floats unless a dtype is given. */
export function range(...args: readonly (Scalar | RangeOptions)[]): Tensor {
  const { start, end, step, dtype, requiresGrad } = boundRange('range', args);
  return sequence(
    Math.floor((end - start) / step) + 1,
    dtype ?? getDefaultDtype(),
    requiresGrad,
    i => start + i * step,
  );
}

/** Steps from start to end, computed from both ends so that the last one is exact, in the precision of the dtype. */
function linearSteps(op: string, start: number, end: number, steps: number, dtype: DType): (i: number) => number {
  if (!Number.isInteger(steps) || steps < 0)
    fail('E110', { op, problem: `number of steps must be non-negative, got ${steps}` });
  const round = dtype === 'float64' ? (x: number) => x : Math.fround;
  const step = steps > 1 ? round((end - start) / (steps - 1)) : 0;
  return i => (i < steps / 2 ? round(start + round(step * i)) : round(end - round(step * (steps - 1 - i))));
}

export function linspace(start: Scalar, end: Scalar, steps: number, options: CreationOptions = {}): Tensor {
  const dtype = options.dtype ?? getDefaultDtype();
  const at = linearSteps('linspace', Number(scalarValue(start)), Number(scalarValue(end)), steps, dtype);
  return sequence(steps, dtype, options.requiresGrad ?? false, steps === 1 ? () => Number(scalarValue(start)) : at);
}

/** base to the power of `steps` values from start to end. */
export function logspace(
  start: Scalar,
  end: Scalar,
  steps: number,
  options: CreationOptions & { readonly base?: Scalar } = {},
): Tensor {
  const dtype = options.dtype ?? getDefaultDtype();
  const base = Number(scalarValue(options.base ?? 10));
  const at = linearSteps('logspace', Number(scalarValue(start)), Number(scalarValue(end)), steps, dtype);
  return sequence(
    steps,
    dtype,
    options.requiresGrad ?? false,
    i => base ** (steps === 1 ? Number(scalarValue(start)) : at(i)),
  );
}

/** Memory that is not to be read before it is written, with the given strides. */
export function emptyStrided(size: Shape, stride: readonly number[], options: CreationOptions = {}): Tensor {
  checkSize('emptyStrided', size);
  if (size.length !== stride.length || stride.some(step => !Number.isInteger(step) || step < 0)) {
    fail('E110', {
      op: 'emptyStrided',
      problem: `strides must be as many whole numbers from 0 on as there are dims, but are ${formatShape(stride)} for ${formatShape(size)}`,
    });
  }
  const dtype = options.dtype ?? getDefaultDtype();
  const length = size.includes(0) ? 0 : size.reduce((last, extent, d) => last + (extent - 1) * stride[d], 1);
  const array = new (arrayOf(dtype))(isComplexDType(dtype) ? 2 * length : length);
  return withGrad(tensorOver(array, { dtype, shape: size }, stride), options.requiresGrad ?? false);
}

// ── matrices and windows ───────────────────────────────────────────────────────────────────────────────────────────────

/** Ones on the diagonal. */
export function eye(n: number, m: number | CreationOptions = n, options: CreationOptions = {}): Tensor {
  const [columns, rest] = typeof m === 'number' ? [m, options] : [n, m];
  checkSize('eye', [n, columns]);
  const dtype = rest.dtype ?? getDefaultDtype();
  const values = Array.from({ length: n * columns }, (_, i) => Number(Math.floor(i / columns) === i % columns));
  return withGrad(tensorOver(store(dtype, values), { dtype, shape: [n, columns] }), rest.requiresGrad ?? false);
}

/** Row and column indices of the elements that `keep` selects, row by row. */
function indicesWhere(
  rows: number,
  columns: number,
  dtype: DType,
  keep: (row: number, column: number) => boolean,
): Tensor {
  const found: [number, number][] = [];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) if (keep(row, column)) found.push([row, column]);
  const values = [...found.map(([row]) => row), ...found.map(([, column]) => column)];
  return tensorOver(store(dtype, values), { dtype, shape: [2, found.length] });
}
/** Indices of the lower triangle of a matrix, up to the diagonal `offset`. */
export const trilIndices = (rows: number, columns: number, offset = 0, options: CreationOptions = {}): Tensor =>
  indicesWhere(rows, columns, options.dtype ?? 'int64', (row, column) => column - row <= offset);
/** Indices of the upper triangle of a matrix, from the diagonal `offset` on. */
export const triuIndices = (rows: number, columns: number, offset = 0, options: CreationOptions = {}): Tensor =>
  indicesWhere(rows, columns, options.dtype ?? 'int64', (row, column) => column - row >= offset);

/** Windows of the form sum of aₖ cos(2πki/n). */
function cosineWindow(
  op: string,
  length: number,
  periodic: boolean,
  options: CreationOptions,
  coefficients: readonly number[],
): Tensor {
  checkSize(op, [length]);
  const dtype = options.dtype ?? getDefaultDtype();
  const span = periodic ? length : length - 1;
  const at = (i: number) => coefficients.reduce((sum, a, k) => sum + a * Math.cos((2 * Math.PI * k * i) / span), 0);
  return sequence(length, dtype, options.requiresGrad ?? false, length === 1 ? () => 1 : at);
}
export const hannWindow = (length: number, periodic = true, options: CreationOptions = {}): Tensor =>
  cosineWindow('hannWindow', length, periodic, options, [0.5, -0.5]);
export const hammingWindow = (length: number, periodic = true, options: CreationOptions = {}): Tensor =>
  cosineWindow('hammingWindow', length, periodic, options, [0.54, -0.46]);
export const blackmanWindow = (length: number, periodic = true, options: CreationOptions = {}): Tensor =>
  cosineWindow('blackmanWindow', length, periodic, options, [0.42, -0.5, 0.08]);

// ── methods: new tensors of the dtype of this one ──────────────────────────────────────────────────────────────────────

declare module '../compiler/ops/tensor.js' {
  interface Tensor {
    newTensor(data: TensorData, options?: CreationOptions): Tensor;
    newZeros(...size: SizeArguments): Tensor;
    newOnes(...size: SizeArguments): Tensor;
    newEmpty(...size: SizeArguments): Tensor;
    emptyLike(options?: CreationOptions): Tensor;
    newFull(size: number | Shape, fillValue: Scalar | Complex, options?: CreationOptions): Tensor;
  }
}

/** The arguments of a creation function with a dtype where none was given. */
function withDtype(dtype: DType, args: SizeArguments): SizeArguments {
  const last = args[args.length - 1];
  const given = typeof last === 'object' && !Array.isArray(last) ? (last as CreationOptions) : null;
  return given ? [...args.slice(0, -1), { dtype, ...given }] : [...args, { dtype }];
}

Object.assign(Tensor.prototype, {
  newTensor(this: Tensor, data: TensorData, options: CreationOptions = {}): Tensor {
    return tensor(data, { dtype: this.dtype, ...options });
  },
  newZeros(this: Tensor, ...size: SizeArguments): Tensor {
    return zeros(...withDtype(this.dtype, size));
  },
  newOnes(this: Tensor, ...size: SizeArguments): Tensor {
    return ones(...withDtype(this.dtype, size));
  },
  newEmpty(this: Tensor, ...size: SizeArguments): Tensor {
    return empty(...withDtype(this.dtype, size));
  },
  emptyLike(this: Tensor, options: CreationOptions = {}): Tensor {
    return emptyLike(this, options);
  },
  newFull(this: Tensor, size: number | Shape, fillValue: Scalar | Complex, options: CreationOptions = {}): Tensor {
    return full(size, fillValue, { dtype: this.dtype, ...options });
  },
});
