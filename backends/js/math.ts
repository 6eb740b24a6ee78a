/**
 * What JavaScript's Math lacks: erf, rounding half to even, 16-bit floats, 64-bit integer division.
 *
 * erf follows W. J. Cody, "Rational Chebyshev approximations for the error function" (1969): below 2 ulp in float64.
 */
import { erfcFar, erfcNear, erfSmall, inverseSqrtPi } from '../../compiler/ir/erf-coefficients.js';

const horner = (c: readonly number[], x: number): number => c.reduce((sum, a) => sum * x + a, 0);

/** erfc for x > 0.46875. exp(-x²) is split so that the square loses nothing. */
function erfcPositive(x: number): number {
  const high = Math.trunc(x * 16) / 16;
  const scale = Math.exp(-high * high) * Math.exp(-(x - high) * (x + high));
  if (x <= 4) return (scale * horner(erfcNear.p, x)) / horner(erfcNear.q, x);
  if (x > 27) return 0;
  const inverse = 1 / (x * x);
  return (scale * (inverseSqrtPi + (inverse * horner(erfcFar.p, inverse)) / horner(erfcFar.q, inverse))) / x;
}

export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (magnitude <= 0.46875) return (x * horner(erfSmall.p, x * x)) / horner(erfSmall.q, x * x);
  return Math.sign(x) * (1 - erfcPositive(magnitude));
}

/** Round to nearest, ties to even. */
export function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest < 0.5) return down === 0 && x < 0 ? -0 : down;
  if (rest > 0.5) return down === -1 ? -0 : down + 1;
  if (Number.isNaN(rest)) return x;
  return down % 2 === 0 ? (down === 0 && x < 0 ? -0 : down) : down === -1 ? -0 : down + 1;
}

const word = new DataView(new ArrayBuffer(8));

/** float16 bits to number. */
export function fromHalf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Number to float16 bits, to nearest even. */
export function toHalf(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  const scaled = roundEven(magnitude * 2 ** (10 - exponent));
  return sign | (((exponent + 15) << 10) + (scaled - 1024));
}

/** bfloat16 bits to number. */
export function fromBfloat(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** Number to bfloat16 bits, to nearest even. */
export function toBfloat(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0;
  word.setFloat32(0, x);
  const bits = word.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Float to int64, truncating; NaN gives 0, out of range saturates. */
export function toInt64(x: number): bigint {
  if (Number.isNaN(x)) return 0n;
  if (x >= 2 ** 63) return 0x7fffffffffffffffn;
  if (x <= -(2 ** 63)) return -0x8000000000000000n;
  return BigInt(Math.trunc(x));
}

export function floorDivBig(a: bigint, b: bigint): bigint {
  if (b === 0n) return 0n;
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}
export const modBig = (a: bigint, b: bigint): bigint => (b === 0n ? 0n : a - floorDivBig(a, b) * b);
export const truncDivBig = (a: bigint, b: bigint): bigint => (b === 0n ? 0n : a / b);
export const remBig = (a: bigint, b: bigint): bigint => (b === 0n ? 0n : a % b);
export const minBig = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const maxBig = (a: bigint, b: bigint): bigint => (a > b ? a : b);

export const mulHiU = (a: number, b: number): number => Number((BigInt(a >>> 0) * BigInt(b >>> 0)) >> 32n) | 0;
export const floorDivInt = (a: number, b: number): number => (b === 0 ? 0 : Math.floor(a / b));
export const modInt = (a: number, b: number): number => (b === 0 ? 0 : a - Math.floor(a / b) * b);
export const truncDivInt = (a: number, b: number): number => (b === 0 ? 0 : Math.trunc(a / b));
export const remInt = (a: number, b: number): number => (b === 0 ? 0 : a % b);
/** C's pow: 1 to any power is 1, where JavaScript says NaN. */
export const pow = (a: number, b: number): number =>
  a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b;
export const copysign = (a: number, b: number): number => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a));

export function bitsOf(x: number | bigint, from: string): DataView {
  if (from === 'float32') word.setFloat32(0, x as number);
  else if (from === 'float64') word.setFloat64(0, x as number);
  else if (from === 'int64') word.setBigInt64(0, x as bigint);
  else word.setInt32(0, x as number);
  return word;
}
