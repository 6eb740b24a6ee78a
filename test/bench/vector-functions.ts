/**
 * The float32 functions that models spend their time in, as WebAssembly computes them four at a time: what each stands
 * for in float64, and how far it may be from that. `test/vector-math.test.ts` holds them to it over the whole range of
 * float32; `npm run bench -- --math` measures their speed.
 */
import type { Tensor } from 'gradc';
import * as F from 'gradc/functional';
import { erf } from '../../backends/js/math.js';

export interface VectorFunction {
  /** Of the scalar function of kernels, where it is one. */
  readonly name: string;
  readonly compute: (x: Tensor, y: Tensor) => Tensor;
  readonly exact: (x: number, y: number) => number;
  /** The largest error, in units in the last place of the exact result. */
  readonly ulp: number;
  /** Of what else the error is measured in units of the last place: the argument, where 1 + f(x) cancels. */
  readonly of: 'result' | 'argument';
  /** Errors below this do not count: e^-x overflows before 1 / (1 + e^-x) is denormal, as in PyTorch. */
  readonly floor: number;
  /** Where networks call it, for measuring its speed. */
  readonly usual: readonly [low: number, high: number];
}

const one = (
  name: string,
  ulp: number,
  compute: (x: Tensor) => Tensor,
  exact: (x: number) => number,
  { usual = [-4, 4], of = 'result', floor = 0 }: Partial<VectorFunction> = {},
): VectorFunction => ({ name, ulp, compute, exact, usual, of, floor });

const positive = { usual: [0.01, 10] } as const;
const sine = { usual: [-1, 1] } as const;

export const vectorFunctions: readonly VectorFunction[] = [
  one('exp', 1, x => x.exp(), Math.exp, { usual: [-10, 2] }),
  one('expm1', 1.5, x => x.expm1(), Math.expm1),
  one('log', 1, x => x.log(), Math.log, positive),
  one('log1p', 2.5, x => x.log1p(), Math.log1p, positive),
  one('log2', 1.5, x => x.log2(), Math.log2, positive),
  one('log10', 1, x => x.log10(), Math.log10, positive),
  one('tanh', 2.5, x => x.tanh(), Math.tanh),
  one(
    'sigmoid',
    2.5,
    x => x.sigmoid(),
    x => 1 / (1 + Math.exp(-x)),
    { floor: 2 ** -126 },
  ),
  one('erf', 4.5, x => x.erf(), erf),
  one('sin', 2, x => x.sin(), Math.sin),
  one('cos', 2, x => x.cos(), Math.cos),
  one('tan', 3, x => x.tan(), Math.tan),
  one('asin', 2.5, x => x.asin(), Math.asin, sine),
  one('acos', 1.5, x => x.acos(), Math.acos, sine),
  one('atan', 2.5, x => x.atan(), Math.atan),
  one('sinh', 3, x => x.sinh(), Math.sinh),
  one('cosh', 3, x => x.cosh(), Math.cosh),
  one('asinh', 3, x => x.asinh(), Math.asinh),
  one('acosh', 2.5, x => x.acosh(), Math.acosh, { usual: [1, 4] }),
  one('atanh', 3, x => x.atanh(), Math.atanh, sine),
  one(
    'rsqrt',
    1.5,
    x => x.rsqrt(),
    x => 1 / Math.sqrt(x),
    positive,
  ),
  one(
    'silu',
    3,
    x => F.silu(x),
    x => x / (1 + Math.exp(-x)),
    { floor: 2 ** -119 },
  ),
  one(
    'gelu',
    4,
    x => F.gelu(x),
    x => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    { of: 'argument' },
  ),
  one('gelu (tanh)', 3, x => F.gelu(x, { approximate: 'tanh' }), geluTanh, { of: 'argument' }),
  { ...one('pow', 3.5, x => x, Number, positive), compute: (x, y) => x.pow(y), exact: Math.pow },
];

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** Every exponent of float32, both signs, denormals, infinities and NaN, with mantissas spread over each. */
export function wholeRange(mantissas: number): Float32Array {
  const words = Uint32Array.from({ length: 512 * mantissas }, (_, i) => {
    const mantissa = [0, 1, 0x7fffff][i % mantissas] ?? Math.imul(i, 0x9e3779b9) >>> 9;
    return ((Math.floor(i / mantissas) << 23) | mantissa) >>> 0;
  });
  return new Float32Array(words.buffer);
}

/** The distance of neighbouring float32 numbers at x. */
function unitOf(x: number): number {
  const exponent = (new Uint32Array(Float32Array.of(x).buffer)[0] >>> 23) & 255;
  return 2 ** (Math.max(exponent, 1) - 150);
}

/** How far a float32 result is from the exact one, in units; infinite where only one of them is NaN, infinite or -0. */
export function errorOf({ of, floor }: VectorFunction, actual: number, exact: number, argument: number): number {
  const rounded = Math.fround(exact);
  const isSame = Object.is(actual, rounded);
  if (isSame && (exact === 0 || !Number.isFinite(rounded))) return 0;
  const apart = Math.abs(actual - (Number.isFinite(rounded) ? exact : rounded));
  if (apart <= floor && Math.sign(actual) * Math.sign(exact) >= 0) return 0;
  const isWrongZero = actual === 0 && exact === 0 && of === 'result';
  return Number.isNaN(apart) || isWrongZero
    ? Number.POSITIVE_INFINITY
    : apart / unitOf(of === 'argument' ? argument : exact);
}
