/**
 * The small device functions that generated code calls; a file defines only those it uses.
 *
 * Scalar helpers give C's undefined cases a meaning. Reductions over a warp use butterfly shuffles, after which every lane
 * holds the same value; over a block, the warps' values are combined in one order by every thread, so that results are the
 * same bits in every run.
 */
import { type DType, dtypes } from '../../compiler/ir/dtype.js';
import type { ReduceFn } from '../../compiler/ir/scalar.js';
import { atom, combine, valueType } from './scalar.js';

export const warpSize = 32;

const overflow = (name: string, op: string): string => `// Two's complement: overflow wraps.
static __device__ __forceinline__ int ${name}(int a, int b) { return (int)((unsigned)a ${op} (unsigned)b); }
static __device__ __forceinline__ long long ${name}(long long a, long long b) {
  return (long long)((unsigned long long)a ${op} (unsigned long long)b);
}`;
const nanExtremum = (name: string, op: string): string => `// NaN if either is NaN.
template <class T>
static __device__ __forceinline__ T ${name}(T a, T b) { return a ${op} b || a != a ? a : b; }`;

/** By name. */
const scalarHelpers: Readonly<Record<string, string>> = {
  wrap_add: overflow('wrap_add', '+'),
  wrap_sub: overflow('wrap_sub', '-'),
  wrap_mul: overflow('wrap_mul', '*'),
  wrap_abs: `// The absolute value of the smallest integer is itself.
template <class T>
static __device__ __forceinline__ T wrap_abs(T a) { return a < 0 ? (T)(0 - (unsigned long long)a) : a; }`,
  nan_min: nanExtremum('nan_min', '<'),
  nan_max: nanExtremum('nan_max', '>'),
  trunc_div: `// Rounds toward zero; by zero it gives zero; the smallest integer over -1 wraps.
template <class T>
static __device__ __forceinline__ T trunc_div(T a, T b) {
  if (b == 0) return 0;
  if ((T)-1 < 0 && b == (T)-1) return (T)(0 - (unsigned long long)a);
  return a / b;
}`,
  trunc_mod: `// The sign of a; by zero it gives zero.
template <class T>
static __device__ __forceinline__ T trunc_mod(T a, T b) { return b == 0 || ((T)-1 < 0 && b == (T)-1) ? 0 : a % b; }`,
  floor_div: `// Rounds down; by zero it gives zero.
template <class T>
static __device__ __forceinline__ T floor_div(T a, T b) {
  if (b == 0) return 0;
  if ((T)-1 < 0 && b == (T)-1) return (T)(0 - (unsigned long long)a);
  const T quotient = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? quotient - 1 : quotient;
}`,
  floor_mod: `// The sign of b; by zero it gives zero.
template <class T>
static __device__ __forceinline__ T floor_mod(T a, T b) {
  if (b == 0 || ((T)-1 < 0 && b == (T)-1)) return 0;
  const T rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}`,
  shift_left: `// Distances count modulo the width.
static __device__ __forceinline__ int shift_left(int a, int b) { return (int)((unsigned)a << (b & 31)); }
static __device__ __forceinline__ long long shift_left(long long a, long long b) {
  return (long long)((unsigned long long)a << (b & 63));
}`,
  shift_right: `// Copies the sign; distances count modulo the width.
static __device__ __forceinline__ int shift_right(int a, int b) { return a >> (b & 31); }
static __device__ __forceinline__ long long shift_right(long long a, long long b) { return a >> (b & 63); }`,
  shift_right_zeros: `// Fills with zeros; distances count modulo the width.
static __device__ __forceinline__ int shift_right_zeros(int a, int b) { return (int)((unsigned)a >> (b & 31)); }
static __device__ __forceinline__ int shift_right_zeros(signed char a, int b) { return (unsigned char)a >> (b & 31); }
static __device__ __forceinline__ int shift_right_zeros(short a, int b) { return (unsigned short)a >> (b & 31); }
static __device__ __forceinline__ long long shift_right_zeros(long long a, long long b) {
  return (long long)((unsigned long long)a >> (b & 63));
}`,
  round_to_half:
    'static __device__ __forceinline__ float round_to_half(float a) { return __half2float(__float2half_rn(a)); }',
  round_to_bfloat16:
    'static __device__ __forceinline__ float round_to_bfloat16(float a) { return __bfloat162float(__float2bfloat16_rn(a)); }',
  half_bits:
    'static __device__ __forceinline__ short half_bits(float a) { return __half_as_short(__float2half_rn(a)); }',
  half_from_bits:
    'static __device__ __forceinline__ float half_from_bits(short a) { return __half2float(__short_as_half(a)); }',
  bfloat16_bits:
    'static __device__ __forceinline__ short bfloat16_bits(float a) { return __bfloat16_as_short(__float2bfloat16_rn(a)); }',
  bfloat16_from_bits:
    'static __device__ __forceinline__ float bfloat16_from_bits(short a) { return __bfloat162float(__short_as_bfloat16(a)); }',
};

const reduceFns: readonly ReduceFn[] = ['add', 'mul', 'max', 'min', 'and', 'or'];

function warpReduction(fn: ReduceFn, dtype: DType): string {
  const type = valueType[dtype];
  const next = combine(fn, dtype, atom('value'), atom('other')).text;
  return `static __device__ __forceinline__ ${type} warp_${fn}_${dtype}(${type} value) {
  #pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const ${type} other = __shfl_xor_sync(0xffffffffu, value, lanes);
    value = ${next};
  }
  return value;
}`;
}

function blockReduction(fn: ReduceFn, dtype: DType): string {
  const type = valueType[dtype];
  const next = combine(fn, dtype, atom('value'), atom('parts[warp]')).text;
  return `template <int threads>
static __device__ __forceinline__ ${type} block_${fn}_${dtype}(${type} value) {
  __shared__ ${type} parts[threads / 32];
  value = warp_${fn}_${dtype}(value);
  __syncthreads();  // every thread is done with the parts of an earlier call
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = parts[0];
  #pragma unroll
  for (int warp = 1; warp < threads / 32; ++warp) value = ${next};
  return value;
}`;
}

const copyFour = `// Four aligned neighbours in one access.
template <class T>
struct __align__(4 * sizeof(T)) Four { T element[4]; };
template <class T>
static __device__ __forceinline__ void copy_four(T* to, const T* from) {
  *reinterpret_cast<Four<T>*>(to) = *reinterpret_cast<const Four<T>*>(from);
}`;

/** Definitions by name, in an order in which each uses only earlier ones. */
const definitions: readonly (readonly [name: string, definition: string])[] = [
  ...Object.entries(scalarHelpers),
  ['copy_four', copyFour],
  ...reduceFns.flatMap(fn => dtypes.map(dtype => [`warp_${fn}_${dtype}`, warpReduction(fn, dtype)] as const)),
  ...reduceFns.flatMap(fn => dtypes.map(dtype => [`block_${fn}_${dtype}`, blockReduction(fn, dtype)] as const)),
];

/** The definitions that `code` needs, directly or through others, in order. */
export function helpersUsedBy(code: string): string[] {
  const words = new Set(code.match(/\w+/g));
  const used: string[] = [];
  for (const [name, definition] of definitions.toReversed()) {
    if (!words.has(name)) continue;
    used.unshift(definition);
    for (const word of definition.match(/\w+/g)!) words.add(word);
  }
  return used;
}
