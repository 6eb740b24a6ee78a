/**
 * How accurate a compiled tensor is, and whether that is enough.
 *
 * Rule: compiled may be as far from the float64 oracle as twice eager's own error, and a floor on top. Where there is no
 * oracle, or eager is further from it than rounding explains (then the oracle, which follows what was traced, does something
 * else than the model), eager stands for it. Elements that eager itself cannot represent (NaN, infinities) must be the same.
 *
 * Eager's error is one sample of what rounding does, and luck may have made it small. Before compiled is rejected it is also
 * held against samples in which every op rounds at random: a tensor that is nothing but rounding (the gradient of the key
 * bias of attention is zero, and Adam divides noise by its own size) differs from run to run by all it has.
 */
import type { DType, TypedArray } from '../../ir/dtype.js';
import { toFloat64 } from './values.js';

/** The floor: atol + rtol · largest element. Defaults 1e-6 and 1e-4. */
export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

/** An error over the elements of a tensor. */
export interface Distance {
  /** The largest |a - b|. */
  readonly absolute: number;
  /** The same over the largest element of the tensor. */
  readonly relative: number;
  /** The same in units in the last place of the largest element; null for integers. */
  readonly ulps: number | null;
}

/** How far eager and compiled are from one another, and each from the oracle (null where there is none). */
export interface Accuracy extends Distance {
  readonly eagerError: Distance | null;
  readonly compiledError: Distance | null;
  readonly agrees: boolean;
  /** It agrees only because rounding alone moves the tensor this far: what it holds is noise. */
  readonly noise: boolean;
}

/** Three runs of the same tensor. */
export interface Tensors {
  readonly dtype: DType;
  readonly eager: TypedArray;
  readonly compiled: TypedArray;
  /** In float64. */
  readonly exact: TypedArray | null;
  /**
   * Further runs in which every op rounded at random, in float64; asked for only where compiled would not be accepted, and
   * no more of them than it takes to accept it.
   */
  readonly noise: () => Iterable<TypedArray>;
}

export function accuracyOf(tensors: Tensors, tolerance: Tolerance): Accuracy {
  const { dtype, exact } = tensors;
  const errors = errorsOf(tensors);
  const { largest, apart, eagerError, compiledError } = errors;
  const distance = (absolute: number): Distance => ({
    absolute,
    relative: absolute === 0 ? 0 : absolute / Math.max(largest, Number.MIN_VALUE),
    ulps: dtype in mantissaBits ? absolute / ulp(largest, dtype) : null,
  });
  const accepted = acceptance(tensors, tolerance, errors);
  return {
    ...distance(apart),
    eagerError: exact && distance(eagerError),
    compiledError: exact && distance(compiledError),
    agrees: accepted !== null,
    noise: accepted === 'noise',
  };
}

/** By what compiled is accepted; null where it is not. */
function acceptance(
  { dtype, exact, noise }: Tensors,
  tolerance: Tolerance,
  { truths, largest, apart, eagerError, compiledError }: Errors,
): 'rule' | 'noise' | null {
  const limit = (error: number): number => allowed(error, largest, dtype, tolerance);
  const isRounding = (error: number): boolean => {
    if (exact !== null) for (const sample of noise()) if (error <= limit(farthest(truths, sample, error))) return true;
    return false;
  };
  const isTrusted = eagerError <= limit(0) || isRounding(eagerError);
  if (!isTrusted) return apart <= limit(0) ? 'rule' : null;
  if (compiledError <= limit(eagerError)) return 'rule';
  return isRounding(compiledError) ? 'noise' : null;
}

/** How far from the oracle compiled may be, given how far something computed with the same precision is. */
function allowed(error: number, largest: number, dtype: DType, { rtol = 1e-4, atol = 1e-6 }: Tolerance): number {
  const roundings = rtol > 0 ? 4 * 2 ** -(mantissaBits[dtype] ?? 52) : 0;
  return 2 * error + atol + Math.max(rtol, roundings) * largest;
}

interface Errors {
  /** The oracle; where eager is finite and the oracle is not, eager. */
  readonly truths: ArrayLike<number>;
  /** The largest finite element. */
  readonly largest: number;
  readonly apart: number;
  readonly eagerError: number;
  readonly compiledError: number;
}

/** The largest errors over all elements. */
function errorsOf({ dtype, eager, compiled, exact }: Tensors): Errors {
  const [a, b] = [eager, compiled].map(array => numbers(toFloat64(array, dtype)));
  const oracle = exact === null ? a : numbers(exact);
  const truths = Float64Array.from(oracle, (told, i) =>
    Number.isFinite(told) || !Number.isFinite(a[i]) ? told : a[i],
  );
  let [largest, apart, eagerError, compiledError] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const seen = a[i];
    const made = b[i];
    const truth = truths[i];
    if (Number.isFinite(seen)) {
      largest = Math.max(largest, Math.abs(truth));
      apart = Math.max(apart, between(seen, made));
      eagerError = Math.max(eagerError, between(truth, seen));
      compiledError = Math.max(compiledError, between(truth, made));
    } else if (!Object.is(made, seen)) {
      apart = Number.POSITIVE_INFINITY;
      compiledError = Math.max(compiledError, between(truth, made));
    }
  }
  return { truths, largest, apart, eagerError, compiledError };
}

/** How far a sample goes, finitely or not as the error that it may explain: one element that may be NaN excuses no others. */
function farthest(truths: ArrayLike<number>, sample: TypedArray, error: number): number {
  const values = numbers(sample);
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const distance = Object.is(truths[i], values[i]) ? 0 : between(truths[i], values[i]);
    if (Number.isFinite(distance) === Number.isFinite(error)) most = Math.max(most, distance);
  }
  return most;
}

/** The elements as JavaScript's own numbers. */
const numbers = (array: TypedArray): ArrayLike<number> =>
  array instanceof BigInt64Array ? Float64Array.from(array, Number) : array;

const between = (a: number, b: number): number => (Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.abs(a - b));

const mantissaBits: Partial<Record<DType, number>> = { float64: 52, float32: 23, float16: 10, bfloat16: 7 };

/** The distance between neighbouring numbers of a type around `size`. */
const ulp = (size: number, dtype: DType): number =>
  2 ** ((size > 0 ? Math.floor(Math.log2(size)) : 0) - mantissaBits[dtype]!);
