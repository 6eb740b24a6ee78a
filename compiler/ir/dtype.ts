/**
 * Element types: their widths, the typed arrays that hold them, and PyTorch's promotion rules.
 *
 * A dtype is a plain string, so that it prints, hashes and serialises by itself. `int64` lives in `BigInt64Array`s (exact,
 * wraps as PyTorch does) and is shown to users as numbers; the 16-bit floats are stored as bits and computed in float32.
 *
 * Graphs and kernels hold real numbers only. A complex tensor is a facade over a real one with one more dim of 2, real and
 * imaginary part (ops/complex); promotion is the one thing the complex dtypes are asked here.
 */

export const dtypes = [
  'bool',
  'uint8',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'bfloat16',
  'float32',
  'float64',
] as const;
export type RealDType = (typeof dtypes)[number];
export const complexDtypes = ['complex64', 'complex128'] as const;
export type ComplexDType = (typeof complexDtypes)[number];
export type DType = RealDType | ComplexDType;

export const bool = 'bool';
export const uint8 = 'uint8';
export const int8 = 'int8';
export const int16 = 'int16';
export const int32 = 'int32';
export const int64 = 'int64';
export const float16 = 'float16';
export const bfloat16 = 'bfloat16';
export const float32 = 'float32';
export const float64 = 'float64';
export const complex64 = 'complex64';
export const complex128 = 'complex128';

/** The categories of the promotion lattice, lowest first. */
export type Category = 'bool' | 'int' | 'float' | 'complex';
export const categoryRank: Record<Category, number> = { bool: 0, int: 1, float: 2, complex: 3 };

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

export interface TypedArrayConstructor {
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

interface DTypeInfo {
  readonly bytes: number;
  readonly category: Category;
  /** The typed array that stores it; 16-bit floats are stored as their bits, complex numbers as pairs. */
  readonly array: TypedArrayConstructor;
  /** Smallest and largest value of an integer type, machine limits of a float type. */
  readonly min: number;
  readonly max: number;
}

/** How fine the numbers of a float type are. */
interface FloatPrecision {
  /** The distance from 1 to the next number. */
  readonly epsilon: number;
  /** The smallest positive number of full precision. */
  readonly smallestNormal: number;
}

const info: Record<DType, DTypeInfo> = {
  bool: { bytes: 1, category: 'bool', array: Uint8Array, min: 0, max: 1 },
  uint8: { bytes: 1, category: 'int', array: Uint8Array, min: 0, max: 255 },
  int8: { bytes: 1, category: 'int', array: Int8Array, min: -128, max: 127 },
  int16: { bytes: 2, category: 'int', array: Int16Array, min: -32768, max: 32767 },
  int32: { bytes: 4, category: 'int', array: Int32Array, min: -2147483648, max: 2147483647 },
  int64: { bytes: 8, category: 'int', array: BigInt64Array, min: -(2 ** 63), max: 2 ** 63 },
  float16: { bytes: 2, category: 'float', array: Uint16Array, min: -65504, max: 65504 },
  bfloat16: {
    bytes: 2,
    category: 'float',
    array: Uint16Array,
    min: -3.3895313892515355e38,
    max: 3.3895313892515355e38,
  },
  float32: {
    bytes: 4,
    category: 'float',
    array: Float32Array,
    min: -3.4028234663852886e38,
    max: 3.4028234663852886e38,
  },
  float64: { bytes: 8, category: 'float', array: Float64Array, min: -Number.MAX_VALUE, max: Number.MAX_VALUE },
  complex64: { bytes: 8, category: 'complex', array: Float32Array, min: Number.NaN, max: Number.NaN },
  complex128: { bytes: 16, category: 'complex', array: Float64Array, min: Number.NaN, max: Number.NaN },
};

const precisions = {
  float16: { epsilon: 2 ** -10, smallestNormal: 2 ** -14 },
  bfloat16: { epsilon: 2 ** -7, smallestNormal: 2 ** -126 },
  float32: { epsilon: 2 ** -23, smallestNormal: 2 ** -126 },
  float64: { epsilon: 2 ** -52, smallestNormal: 2 ** -1022 },
};

/** Bytes of one element. */
export const bytesOf = (dtype: DType): number => info[dtype].bytes;
export const categoryOf = (dtype: DType): Category => info[dtype].category;
export const arrayOf = (dtype: DType): TypedArrayConstructor => info[dtype].array;
export const limitsOf = (dtype: DType): { min: number; max: number } => info[dtype];
/** Of a float type. */
export const precisionOf = (dtype: DType): FloatPrecision => precisions[dtype as keyof typeof precisions];
export const isFloat = (dtype: DType): boolean => info[dtype].category === 'float';
export const isInt = (dtype: DType): boolean => info[dtype].category === 'int';
/** Is it the name of a dtype that graphs and kernels may hold? */
export const isDType = (value: unknown): value is RealDType =>
  typeof value === 'string' && value in info && !isComplexDType(value);
export const isComplexDType = (value: unknown): value is ComplexDType =>
  value === 'complex64' || value === 'complex128';
/** The dtype of the parts of a complex number. */
export const partType = (dtype: ComplexDType): DType => (dtype === 'complex64' ? 'float32' : 'float64');
/** The dtype of something in a graph. */
export function asReal(dtype: DType): RealDType {
  if (isComplexDType(dtype)) throw new TypeError(`${dtype} in a graph, which holds real numbers only`);
  return dtype;
}
/** A table for what graphs hold: the verifier keeps complex dtypes out, so that nobody looks one up. */
export const tableOfReals = <K extends string = DType>(table: Record<Exclude<K, ComplexDType>, string>) =>
  table as Readonly<Record<K, string>>;
/** The complex dtype that holds numbers of a real one exactly, where there is one; else that of the default dtype. */
export function complexTypeOf(dtype: DType): ComplexDType {
  if (isComplexDType(dtype)) return dtype;
  return (isFloat(dtype) ? dtype : defaultFloat) === 'float64' ? 'complex128' : 'complex64';
}

/** The type in which arithmetic on `dtype` is done: 16-bit floats compute in float32. */
export const computeType = (dtype: DType): DType => (dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype);

let defaultFloat: DType = 'float32';
/** The dtype of float data that names none (PyTorch's `get_default_dtype`). */
export const getDefaultDtype = (): DType => defaultFloat;
export function setDefaultDtype(dtype: DType): void {
  if (!isFloat(dtype)) throw new TypeError(`setDefaultDtype: only floating-point types are supported, got ${dtype}`);
  defaultFloat = dtype;
}

const intOrder: readonly DType[] = ['int8', 'int16', 'int32', 'int64'];

/** The smallest dtype that both can be converted to (PyTorch's `promote_types`). */
export function promoteTypes(a: DType, b: DType): DType {
  if (a === b) return a;
  const [low, high] = categoryRank[info[a].category] <= categoryRank[info[b].category] ? [a, b] : [b, a];
  if (info[high].category === 'complex') return promoteComplex(low, high as ComplexDType);
  if (info[low].category !== info[high].category) return high;
  if (info[low].category === 'float') {
    if (info[low].bytes === info[high].bytes) return 'float32';
    return info[low].bytes > info[high].bytes ? low : high;
  }
  if (low === 'uint8' || high === 'uint8') {
    const signed = low === 'uint8' ? high : low;
    return signed === 'int8' ? 'int16' : signed;
  }
  return intOrder[Math.max(intOrder.indexOf(low), intOrder.indexOf(high))];
}

const promoteComplex = (low: DType, high: ComplexDType): ComplexDType =>
  low === 'float64' || low === 'complex128' ? 'complex128' : high;

/** One operand as promotion sees it: tensors with dims outrank 0-d tensors, which outrank plain numbers. */
export interface PromotionOperand {
  readonly dtype: DType;
  readonly tier: 'dims' | 'zerodim' | 'number';
}

/**
 * The result dtype of an operation on several operands (PyTorch's `result_type`): a lower tier changes the dtype only when
 * its category is higher, and then a plain number contributes the default dtype of its category.
 */
export function resultType(operands: readonly PromotionOperand[]): DType {
  let result: DType | null = null;
  for (const tier of ['dims', 'zerodim', 'number'] as const) {
    let ofTier: DType | null = null;
    for (const operand of operands) {
      if (operand.tier === tier) ofTier = ofTier === null ? operand.dtype : promoteTypes(ofTier, operand.dtype);
    }
    if (ofTier === null) continue;
    if (result === null) result = ofTier;
    else if (categoryRank[info[ofTier].category] > categoryRank[info[result].category])
      result = promoteTypes(result, ofTier);
  }
  if (result === null) throw new TypeError('resultType: no operands');
  return result;
}

/** The dtype of a plain number in an operation: what it promotes to when it decides. */
export function numberType(value: number | bigint | boolean): DType {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint' || Number.isInteger(value)) return 'int64';
  return defaultFloat;
}
