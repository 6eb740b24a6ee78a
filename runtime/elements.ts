/**
 * Elements between memory and JavaScript: how one element of each dtype is read as a number, bigint or boolean, and written.
 *
 * The 16-bit floats are stored as bits and int64 as bigints; a user sees numbers, and a bigint only where a number would
 * lose digits.
 */
import { fromBfloat, fromHalf, toBfloat, toHalf } from '../backends/js/math.js';
import { fail } from '../compiler/errors.js';
import { arrayOf, type DType, isComplexDType, partType, type TypedArray } from '../compiler/ir/dtype.js';
import { Complex } from '../compiler/ops/complex/number.js';
import { type Scalar, WeakFloat } from '../compiler/ops/signature.js';

/** An element as users see it. */
export type Element = number | bigint | boolean;
type Stored = number | bigint;

/** The element that a stored value stands for. */
export function decode(dtype: DType, stored: Stored): Element {
  if (dtype === 'bool') return stored !== 0;
  if (dtype === 'int64') return Number.isSafeInteger(Number(stored)) ? Number(stored) : stored;
  if (dtype === 'float16') return fromHalf(stored as number);
  if (dtype === 'bfloat16') return fromBfloat(stored as number);
  return stored;
}

/** The stored form of a number: truncated for integers, 0 or 1 for bool. */
export function encode(dtype: DType, value: Scalar): Stored {
  const plain = value instanceof WeakFloat ? value.value : value;
  if (dtype === 'int64')
    return typeof plain === 'bigint' ? BigInt.asIntN(64, plain) : BigInt(Math.trunc(Number(plain)));
  const number = Number(plain);
  if (dtype === 'bool') return number === 0 ? 0 : 1;
  if (dtype === 'float16') return toHalf(number);
  if (dtype === 'bfloat16') return toBfloat(number);
  return number;
}

function realValue(value: Scalar | Complex): Scalar {
  if (!(value instanceof Complex)) return value;
  return fail('E108', {
    op: 'tensor',
    problem: `the complex number ${value} does not fit a real dtype`,
    hint: 'leave the dtype out, or name complex64 or complex128',
  });
}

/** Dtypes whose stored form is more than the number put into their array. */
const encoded: ReadonlySet<DType> = new Set(['bool', 'int64', 'float16', 'bfloat16']);

/** New memory holding the given numbers; of a complex dtype in pairs. */
export function store(dtype: DType, values: ArrayLike<Scalar | Complex>): TypedArray {
  if (isComplexDType(dtype)) {
    const parts = Array.from(values, value =>
      value instanceof Complex ? [value.re, value.im] : [Number(encode('float64', value)), 0],
    );
    return store(partType(dtype), parts.flat());
  }
  const array = new (arrayOf(dtype))(values.length);
  if (values instanceof Float64Array && !encoded.has(dtype)) (array as Float64Array).set(values);
  else for (let i = 0; i < values.length; i++) array[i] = encode(dtype, realValue(values[i]));
  return array;
}
