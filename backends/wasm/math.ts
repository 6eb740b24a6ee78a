/**
 * The transcendental functions in float64 in terms of arithmetic, as expressions of the loop IR; those that models spend
 * their time in have a float32 form in math-single.ts.
 *
 * Sources: FreeBSD's msun (exp, expm1, log, sin, cos, erf: the polynomials and argument reductions of e_exp.c, e_log.c,
 * k_sin.c, k_cos.c, s_atan.c, s_erf.c); large angles after M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric
 * functions" (1983). Comments give formulas where they are not plain from the code.
 */
import { arith as s } from '../../compiler/ir/arith.js';
import {
  alloc,
  type Buffer,
  bitcast,
  constant,
  type Expr,
  index,
  load,
  loop,
  makeIter,
  type Stmt,
  store,
  when,
} from '../../compiler/ir/kernel.js';

/** Statements that leave f(args) in `result[0]`. */
export type Definition = (result: Buffer, args: readonly Expr[]) => readonly Stmt[];

export const defined =
  (expand: (...args: Expr[]) => Expr): Definition =>
  (result, args) => [store(result, index(0), expand(...args))];

const register = (name: string, dtype: Buffer['dtype']): Buffer => ({ name, dtype, size: 1, scope: 'register' });

/** A float32 function by way of its float64 form. */
export const viaDouble =
  (define: Definition): Definition =>
  (result, args) => {
    const wide = register('wide', 'float64');
    const body = define(
      wide,
      args.map(arg => s.cast('float64', arg)),
    );
    return [alloc(wide, [...body, store(result, index(0), s.cast('float32', load(wide, index(0))))])];
  };

const f64 = (value: number): Expr => constant('float64', value);
const i64 = (value: bigint): Expr => constant('int64', value);
const NAN = Number.NaN;

// ── float64: exponentials ───────────────────────────────────────────────────────────────────────────────────────────

const LN2_HI = 0.6931471803691238;
const LN2_LO = 1.9082149292705877e-10;

/** 2^k for k in [-1022, 1023]. */
const powerOf2 = (k: Expr): Expr => bitcast('float64', s.shl(s.add(k, i64(1023n)), i64(52n)));

/** y · 2^k, in two steps so that overflow and denormals come out right. */
function scale(y: Expr, k: Expr): Expr {
  const half = s.shr(k, i64(1n));
  return s.mul(s.mul(y, powerOf2(half)), powerOf2(s.sub(k, half)));
}

/** x + tail = k·ln 2 + r with |r| <= ln(2)/2; `em1` is e^r - 1. */
function reduceExp(x: Expr, tail: Expr | number): { k: Expr; em1: Expr } {
  const rounded = s.round(s.mul(x, Math.LOG2E));
  const hi = s.sub(x, s.mul(rounded, LN2_HI));
  const lo = s.sub(s.mul(rounded, LN2_LO), tail);
  const r = s.sub(hi, lo);
  const t = s.square(r);
  const p = s.poly(
    t,
    [4.1381367970572385e-8, -1.6533902205465252e-6, 6.613756321437934e-5, -0.0027777777777015593, 0.16666666666666602],
  );
  const c = s.sub(r, s.mul(t, p));
  const em1 = s.sub(hi, s.sub(lo, s.div(s.mul(r, c), s.sub(2, c))));
  return { k: s.cast('int64', rounded), em1 };
}

export const clamp = (x: Expr, low: number, high: number): Expr => s.min(s.max(x, low), high);

function expWithTail(x: Expr, tail: Expr | number): Expr {
  const { k, em1 } = reduceExp(clamp(x, -746, 710), tail);
  return scale(s.add(em1, 1), k);
}
export const exp = (x: Expr): Expr => expWithTail(x, 0);

/** e^x - 1 = 2^k (e^r - 1) + (2^k - 1). */
export function expm1(x: Expr): Expr {
  const { k, em1 } = reduceExp(clamp(x, -50, 710), 0);
  const power = powerOf2(k);
  const exact = s.add(s.mul(power, em1), s.sub(power, 1));
  return s.select(s.gt(k, i64(60n)), scale(s.add(em1, 1), k), exact);
}

/** (e^|x| - e^-|x|) / 2 with t = e^|x| - 1; beyond 22 only the first term counts, halved before it can overflow. */
export function sinh(x: Expr): Expr {
  const magnitude = s.abs(x);
  const t = expm1(s.min(magnitude, 23));
  const small = s.mul(0.5, s.add(t, s.div(t, s.add(t, 1))));
  const root = exp(s.mul(0.5, magnitude));
  const large = s.mul(s.mul(0.5, root), root);
  return s.copysign(s.select(s.gt(magnitude, 22), large, small), x);
}
export function cosh(x: Expr): Expr {
  const magnitude = s.abs(x);
  const t = exp(s.min(magnitude, 23));
  const small = s.add(s.mul(0.5, t), s.div(0.5, t));
  const root = exp(s.mul(0.5, magnitude));
  const large = s.mul(s.mul(0.5, root), root);
  return s.select(s.gt(magnitude, 22), large, small);
}
/** t / (t + 2) with t = e^(2|x|) - 1. */
export function tanh(x: Expr): Expr {
  const t = expm1(s.min(s.mul(2, s.abs(x)), 60));
  return s.copysign(s.div(t, s.add(t, 2)), x);
}

/** 1 / (1 + e^-x). */
export const sigmoid = (x: Expr): Expr => s.div(1, s.add(1, exp(s.neg(x))));

// ── float64: logarithms and powers ──────────────────────────────────────────────────────────────────────────────────

/** x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), for positive finite x. */
function reduceLog(x: Expr): { k: Expr; f: Expr } {
  const denormal = s.lt(x, 2.2250738585072014e-308);
  const normal = s.select(denormal, s.mul(x, 2 ** 54), x);
  const bits = bitcast('int64', normal);
  const exponent = s.shr(s.sub(bits, i64(0x3fe6a09e667f3bcdn)), i64(52n));
  const mantissa = bitcast('float64', s.sub(bits, s.shl(exponent, i64(52n))));
  const k = s.cast('float64', s.sub(exponent, s.select(denormal, i64(54n), i64(0n))));
  return { k, f: s.sub(mantissa, 1) };
}

/** With q = f / (2 + f): log(1 + f) = 2q + q·R(q²). */
function logSeries(q: Expr): Expr {
  const z = s.square(q);
  return s.mul(
    z,
    s.poly(
      z,
      [
        0.14798198605116586, 0.15313837699209373, 0.1818357216161805, 0.22222198432149784, 0.2857142874366239,
        0.3999999999940942, 0.6666666666666735,
      ],
    ),
  );
}

/** log(1 + f), and the sum with k·ln 2 in an order that loses nothing. */
function logOf({ k, f }: { k: Expr; f: Expr }): Expr {
  const q = s.div(f, s.add(2, f));
  const half = s.mul(0.5, s.square(f));
  const low = s.add(s.mul(q, s.add(half, logSeries(q))), s.mul(k, LN2_LO));
  return s.sub(s.mul(k, LN2_HI), s.sub(s.sub(half, low), f));
}

/** The values of a logarithm outside the positive finite numbers. */
export function logSpecial(x: Expr, inside: Expr): Expr {
  const infinite = s.select(s.eq(x, Number.POSITIVE_INFINITY), x, inside);
  const outside = s.select(s.eq(x, 0), constant(x.dtype, Number.NEGATIVE_INFINITY), NAN);
  return s.select(s.gt(x, 0), infinite, outside);
}

export const log = (x: Expr): Expr => logSpecial(x, logOf(reduceLog(x)));

/** log(1 + f) alone, for the other bases: k contributes exactly there. */
function otherBase(x: Expr, perNatural: number, perDoubling: number): Expr {
  const { k, f } = reduceLog(x);
  return logSpecial(x, s.add(s.mul(k, perDoubling), s.mul(logOf({ k: f64(0), f }), perNatural)));
}
export const log2 = (x: Expr): Expr => otherBase(x, Math.LOG2E, 1);
export const log10 = (x: Expr): Expr => otherBase(x, Math.LOG10E, Math.log10(2));

/** log(u)·(x / (u - 1)) with u = 1 + x: the rounding of u cancels (Kahan). */
export const log1p = (x: Expr): Expr => log1pBy(log, x);
export function log1pBy(logarithm: (x: Expr) => Expr, x: Expr): Expr {
  const u = s.add(1, x);
  const corrected = s.mul(logarithm(u), s.div(x, s.sub(u, 1)));
  return s.select(s.eq(u, 1), x, s.select(s.eq(u, Number.POSITIVE_INFINITY), u, corrected));
}

/** log(|x| + sqrt(x² + 1)); beyond 2^28 the root is |x|. */
export function asinh(x: Expr): Expr {
  const magnitude = s.abs(x);
  const square = s.square(magnitude);
  const moderate = log1p(s.add(magnitude, s.div(square, s.add(1, s.sqrt(s.add(square, 1))))));
  return s.copysign(s.select(s.gt(magnitude, 2 ** 28), s.add(log(magnitude), Math.LN2), moderate), x);
}
export function acosh(x: Expr): Expr {
  const t = s.sub(x, 1);
  const moderate = log1p(s.add(t, s.sqrt(s.add(s.mul(2, t), s.square(t)))));
  return s.select(s.lt(x, 1), NAN_64, s.select(s.gt(x, 2 ** 28), s.add(log(x), Math.LN2), moderate));
}
export function atanh(x: Expr): Expr {
  const magnitude = s.abs(x);
  const t = s.div(s.mul(2, magnitude), s.sub(1, magnitude));
  return s.copysign(s.mul(0.5, log1p(t)), x);
}
const NAN_64 = f64(NAN);

/** The leading bits of x, few enough that the product of two such numbers is exact. */
const leading = (x: Expr): Expr => bitcast('float64', s.and(bitcast('int64', x), i64(-0x100000000n)));

/** log x as a sum of two numbers: |x| finite and positive. */
function logInTwo(x: Expr): { high: Expr; low: Expr } {
  const { k, f } = reduceLog(x);
  const t = s.add(2, f);
  const q = s.div(f, t);
  const qHigh = leading(q);
  const tHigh = leading(t);
  const tLow = s.sub(f, s.sub(tHigh, 2));
  const qLow = s.div(s.sub(s.sub(f, s.mul(qHigh, tHigh)), s.mul(qHigh, tLow)), t);
  const a = s.mul(k, LN2_HI);
  const b = s.mul(2, qHigh);
  const high = s.add(a, b);
  const rounding = s.sub(b, s.sub(high, a));
  const low = s.add(rounding, s.add(s.add(s.mul(2, qLow), s.mul(q, logSeries(q))), s.mul(k, LN2_LO)));
  return { high, low };
}

/** |a|^b = e^(b·log|a|), the product to about 80 bits. */
function powMagnitude(a: Expr, b: Expr): Expr {
  const rough = s.mul(b, log(a));
  const { high, low } = logInTwo(a);
  const bHigh = leading(b);
  const logHigh = leading(high);
  const product = s.mul(bHigh, logHigh);
  const rest = s.add(s.mul(s.sub(b, bHigh), logHigh), s.mul(b, s.add(s.sub(high, logHigh), low)));
  const sum = s.add(product, rest);
  const tail = s.sub(rest, s.sub(sum, product));
  const ordinary = s.lt(s.abs(rough), 1000);
  return expWithTail(s.select(ordinary, sum, rough), s.select(ordinary, tail, 0));
}

/** C's pow from the magnitude |a|^b: signs of negative bases, and the cases where 1 comes out whatever the other is. */
function powSpecial(a: Expr, b: Expr, magnitude: Expr): Expr {
  const half = s.mul(b, 0.5);
  const isInteger = s.eq(s.floor(b), b);
  const isOdd = s.and(isInteger, s.ne(s.floor(half), half));
  const signBit = s.lt(bitcast('int64', a), i64(0n));
  const signed = s.select(s.and(isOdd, signBit), s.neg(magnitude), magnitude);
  const isRoot = s.and(s.and(s.lt(a, 0), s.gt(a, Number.NEGATIVE_INFINITY)), s.not(isInteger));
  const minusOneToInfinity = s.and(s.eq(a, -1), s.eq(s.abs(b), Number.POSITIVE_INFINITY));
  const isOne = s.or(s.or(s.eq(b, 0), s.eq(a, 1)), minusOneToInfinity);
  return s.select(isOne, 1, s.select(isRoot, NAN_64, signed));
}
export const pow = (a: Expr, b: Expr): Expr => powSpecial(a, b, powMagnitude(s.abs(a), b));
/** With arguments that are float32 the plain product is accurate enough. */
export const powOfSingles = (a: Expr, b: Expr): Expr => powSpecial(a, b, exp(s.mul(b, log(s.abs(a)))));

// ── float64: circular functions ─────────────────────────────────────────────────────────────────────────────────────

/** pi/2 in pieces of 33 bits, whose products with integers of 20 bits are exact. */
const HALF_PI_PARTS = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21] as const;
const HALF_PI_REST = 8.4784276603689e-32;

interface Angle {
  /** Modulo 4 at least. */
  readonly n: Expr;
  readonly r: Expr;
  readonly tail: Expr;
}

/** A function of x = n·pi/2 + (r + tail), |r| <= pi/4. */
const circular =
  (value: (angle: Angle, x: Expr) => Expr): Definition =>
  (result, [x]) => {
    const registers = { n: register('n', 'int64'), r: register('r', 'float64'), tail: register('tail', 'float64') };
    const keep = ({ n, r, tail }: Angle): Stmt[] => [
      store(registers.n, index(0), n),
      store(registers.r, index(0), r),
      store(registers.tail, index(0), tail),
    ];
    const [n, r, tail] = [registers.n, registers.r, registers.tail].map(buffer => load(buffer, index(0)));
    const magnitude = s.abs(x);
    const isLarge = s.and(s.gt(magnitude, 2 ** 30), s.lt(magnitude, Number.POSITIVE_INFINITY));
    const body = [
      ...when(isLarge, keep(reduceLargeAngle(x)), keep(reduceModerateAngle(x))),
      store(result, index(0), value({ n, r, tail }, x)),
    ];
    return [alloc(registers.n, [alloc(registers.r, [alloc(registers.tail, body)])])];
  };

/** n is split in two so that its products with the pieces of pi/2 stay exact. */
function reduceModerateAngle(x: Expr): Angle {
  const n = s.round(s.mul(x, 0.6366197723675814));
  const coarse = s.mul(s.round(s.mul(n, 2 ** -20)), 2 ** 20);
  const fine = s.sub(n, coarse);
  const [p1, p2, p3] = HALF_PI_PARTS;
  const without = (y: Expr, part: number): Expr => s.sub(s.sub(y, s.mul(coarse, part)), s.mul(fine, part));
  const first = without(x, p1);
  const second = without(first, p2);
  const lost = s.sub(s.sub(s.sub(first, second), s.mul(coarse, p2)), s.mul(fine, p2));
  const correction = s.sub(s.sub(lost, s.mul(n, p3)), s.mul(n, HALF_PI_REST));
  const r = s.add(second, correction);
  return { n: s.cast('int64', n), r, tail: s.add(s.sub(second, r), correction) };
}

/** A word of zeros, then the bits of 2/pi behind the point, 64 to a word. */
const TWO_OVER_PI = [
  0n,
  0xa2f9836e4e441529n,
  0xfc2757d1f534ddc0n,
  0xdb6295993c439041n,
  0xfe5163abdebbc561n,
  0xb7246e3a424dd2e0n,
  0x06492eea09d1921cn,
  0xfe1deb1cb129a73en,
  0xe88235f52ebb4484n,
  0xe99c7026b45f7e41n,
  0x3991d639835339f4n,
  0x9c845f8bbdf9283bn,
  0x1ff897ffde05980fn,
  0xef2f118b5a0a6d1fn,
  0x6d367ecf27cb09b7n,
  0x4f463f669e5fea2dn,
  0x7527bac7ebe5f17bn,
  0x3d0739f78a5292ean,
  0x6bfb5fb11f8d5d08n,
].map(word => BigInt.asIntN(64, word));

/**
 * With x = m·2^e, m of 53 bits: of the bits of 2/pi those that m·2^e makes multiples of 4 are of no interest, and those far
 * behind too small to matter. Of the product of m with the 128 bits between, the first two are n modulo 4, the others the
 * fraction: exact to 2^-62.
 */
function reduceLargeAngle(x: Expr): Angle {
  const bits = bitcast('int64', s.abs(x));
  const mantissa = s.or(s.and(bits, i64(0xfffffffffffffn)), i64(0x10000000000000n));
  // The first bit of interest has weight 2 after multiplying by 2^e, e = exponent - 1075: it is bit e - 2 behind the point.
  const first = s.sub(s.shr(bits, i64(52n)), i64(1077n - 64n));
  const [high, low] = bitsOfTwoOverPi(first);
  const product = multiplyHigh(mantissa, high, low);
  const n = s.shr(s.add(product, i64(1n << 61n)), i64(62n));
  const fraction = s.cast('float64', s.sub(product, s.shl(n, i64(62n))));
  const angle = s.mul(fraction, (Math.PI / 2) * 2 ** -62);
  const negative = s.lt(x, 0);
  return { n: s.select(negative, s.neg(n), n), r: s.select(negative, s.neg(angle), angle), tail: f64(0) };
}

/** 128 bits of 2/pi from bit `first` on. */
function bitsOfTwoOverPi(first: Expr): [high: Expr, low: Expr] {
  const index = s.shr(first, i64(6n));
  const shift = s.and(first, i64(63n));
  const word = (skip: number): Expr =>
    TWO_OVER_PI.slice(skip).reduceRight<Expr>(
      (rest, bits, i) => s.select(s.eq(index, i64(BigInt(i))), i64(bits), rest),
      i64(0n),
    );
  const [a, b, c] = [0, 1, 2].map(word);
  const joined = (left: Expr, right: Expr): Expr =>
    s.or(s.shl(left, shift), s.shrU(s.shrU(right, i64(1n)), s.sub(i64(63n), shift)));
  return [joined(a, b), joined(b, c)];
}

/** The high 64 bits, modulo 2^64, of m·(high·2^64 + low) with m below 2^53: all but the last product, of words of 32 bits. */
function multiplyHigh(m: Expr, high: Expr, low: Expr): Expr {
  const word = (x: Expr): Expr => s.and(x, i64(0xffffffffn));
  const upper = (x: Expr): Expr => s.shrU(x, i64(32n));
  const [m0, m1, l0, l1] = [word(m), upper(m), word(low), upper(low)];
  const middle = s.add(s.mul(m0, l1), upper(s.mul(m0, l0)));
  const cross = s.add(s.mul(m1, l0), word(middle));
  const carried = s.add(s.add(s.mul(m1, l1), upper(middle)), upper(cross));
  return s.add(s.mul(m, high), carried);
}

function sinKernel(x: Expr, tail: Expr): Expr {
  const z = s.square(x);
  const v = s.mul(z, x);
  const r = s.poly(
    z,
    [1.58969099521155e-10, -2.5050760253406863e-8, 2.7557313707070068e-6, -0.0001984126982985795, 0.00833333333332249],
  );
  const corrected = s.sub(s.mul(z, s.sub(s.mul(0.5, tail), s.mul(v, r))), tail);
  return s.sub(x, s.sub(corrected, s.mul(v, -0.16666666666666632)));
}
function cosKernel(x: Expr, tail: Expr): Expr {
  const z = s.square(x);
  const r = s.mul(
    z,
    s.poly(
      z,
      [
        -1.1359647557788195e-11, 2.087572321298175e-9, -2.7557314351390663e-7, 2.480158728947673e-5,
        -0.001388888888887411, 0.0416666666666666,
      ],
    ),
  );
  const half = s.mul(0.5, z);
  const w = s.sub(1, half);
  return s.add(w, s.add(s.sub(s.sub(1, w), half), s.sub(s.mul(z, r), s.mul(x, tail))));
}

/** sin(x + quarters·pi/2). */
function sinShifted({ n, r, tail }: Angle, quarters: bigint): Expr {
  const quadrant = s.and(s.add(n, i64(quarters)), i64(3n));
  const odd = s.ne(s.and(quadrant, i64(1n)), i64(0n));
  const value = s.select(odd, cosKernel(r, tail), sinKernel(r, tail));
  return s.select(s.gt(quadrant, i64(1n)), s.neg(value), value);
}
/** The sine of -0 is -0. */
const sinOf = (angle: Angle, x: Expr): Expr => s.select(s.eq(x, 0), x, sinShifted(angle, 0n));
export const sin = circular(sinOf);
export const cos = circular(angle => sinShifted(angle, 1n));
export const tan = circular((angle, x) => s.div(sinOf(angle, x), sinShifted(angle, 1n)));

/**
 * Where the argument reduction of atan changes, the angle subtracted there (as two numbers), and the reduced argument.
 */
const atanSteps: readonly { from: number; angle: number; low: number; reduce: (t: Expr) => Expr }[] = [
  {
    from: 7 / 16,
    angle: 0.4636476090008061,
    low: 2.2698777452961687e-17,
    reduce: t => s.div(s.sub(s.mul(2, t), 1), s.add(2, t)),
  },
  {
    from: 11 / 16,
    angle: 0.7853981633974483,
    low: 3.061616997868383e-17,
    reduce: t => s.div(s.sub(t, 1), s.add(t, 1)),
  },
  {
    from: 19 / 16,
    angle: 0.982793723247329,
    low: 1.3903311031230998e-17,
    reduce: t => s.div(s.sub(t, 1.5), s.add(1, s.mul(1.5, t))),
  },
  { from: 39 / 16, angle: 1.5707963267948966, low: 6.123233995736766e-17, reduce: t => s.div(-1, t) },
];

/** atan t = angle + atan(reduced), with |reduced| <= 7/16. */
export function atan(x: Expr): Expr {
  const t = s.abs(x);
  const pick = (start: Expr, of: (step: (typeof atanSteps)[number]) => Expr): Expr =>
    atanSteps.reduce((value, step) => s.select(s.ge(t, step.from), of(step), value), start);
  const reduced = pick(t, step => step.reduce(t));
  const z = s.square(reduced);
  const series = s.mul(
    z,
    s.poly(
      z,
      [
        0.016285820115365782, -0.036531572744216916, 0.049768779946159324, -0.058335701337905735, 0.06661073137387531,
        -0.0769187620504483, 0.09090887133436507, -0.11111110405462356, 0.14285714272503466, -0.19999999999876483,
        0.3333333333333293,
      ],
    ),
  );
  const rest = s.sub(
    s.sub(
      s.mul(reduced, series),
      pick(f64(0), step => f64(step.low)),
    ),
    reduced,
  );
  return s.copysign(
    s.sub(
      pick(f64(0), step => f64(step.angle)),
      rest,
    ),
    x,
  );
}
export const asin = (x: Expr): Expr => atan(s.div(x, s.sqrt(s.mul(s.sub(1, x), s.add(1, x)))));
export const acos = (x: Expr): Expr => s.mul(2, atan(s.sqrt(s.div(s.sub(1, x), s.add(1, x)))));

/** The angle of (x, y), from atan |y/x| by quadrant. */
export function atan2(y: Expr, x: Expr): Expr {
  const [ay, ax] = [s.abs(y), s.abs(x)];
  const bothInfinite = s.and(s.eq(ay, Number.POSITIVE_INFINITY), s.eq(ax, Number.POSITIVE_INFINITY));
  const ratio = s.select(bothInfinite, f64(1), s.select(s.eq(ay, 0), ay, s.div(ay, ax)));
  const angle = atan(ratio);
  const left = s.lt(bitcast('int64', x), i64(0n));
  const signed = s.copysign(s.select(left, s.sub(Math.PI, s.sub(angle, 1.2246467991473532e-16)), angle), y);
  return s.select(s.or(s.isNan(x), s.isNan(y)), NAN_64, signed);
}

// ── float64: erf and fmod ───────────────────────────────────────────────────────────────────────────────────────────

/** Rational approximations on [0, 0.84375], [0.84375, 1.25], [1.25, 2.857] and [2.857, 6]. */
export function erf(x: Expr): Expr {
  const t = s.abs(x);
  const z = s.square(x);
  const near = s.div(
    s.poly(
      z,
      [-2.3763016656650163e-5, -0.005770270296489442, -0.02848174957559851, -0.3250421072470015, 0.12837916709551256],
    ),
    s.poly(
      z,
      [-3.960228278775368e-6, 0.00013249473800432164, 0.005081306281875766, 0.0650222499887673, 0.39791722395915535, 1],
    ),
  );
  const u = s.sub(t, 1);
  const middle = s.div(
    s.poly(
      u,
      [
        -0.002166375594868791, 0.035478304325618236, -0.11089469428239668, 0.31834661990116175, -0.3722078760357013,
        0.41485611868374833, -0.0023621185607526594,
      ],
    ),
    s.poly(
      u,
      [
        0.011984499846799107, 0.01363708391202905, 0.12617121980876164, 0.07182865441419627, 0.540397917702171,
        0.10642088040084423, 1,
      ],
    ),
  );
  const far = s.sub(1, erfcTail(t));
  const value = s.select(s.lt(t, 1.25), s.add(0.8450629115104675, middle), s.select(s.lt(t, 6), far, 1));
  const signed = s.copysign(value, x);
  return s.select(s.isNan(x), x, s.select(s.lt(t, 0.84375), s.add(x, s.mul(x, near)), signed));
}

/** 1 - erf(t) = e^(-t² - 0.5625 + R(1/t²)) / t for t in [1.25, 6]. */
function erfcTail(t: Expr): Expr {
  const v = s.div(1, s.square(t));
  const below = s.div(
    s.poly(
      v,
      [
        -9.814329344169145, -81.2874355063066, -184.60509290671104, -162.39666946257347, -62.375332450326006,
        -10.558626225323291, -0.6938585727071818, -0.009864944034847148,
      ],
    ),
    s.poly(
      v,
      [
        -0.0604244152148581, 6.570249770319282, 108.63500554177944, 429.00814002756783, 645.3872717332679,
        434.56587747522923, 137.65775414351904, 19.651271667439257, 1,
      ],
    ),
  );
  const above = s.div(
    s.poly(
      v,
      [
        -483.5191916086514, -1025.0951316110772, -637.5664433683896, -160.63638485582192, -17.757954917754752,
        -0.799283237680523, -0.0098649429247001,
      ],
    ),
    s.poly(
      v,
      [
        -22.44095244658582, 474.52854120695537, 2553.0504064331644, 3199.8582195085955, 1536.729586084437,
        325.7925129965739, 30.33806074348246, 1,
      ],
    ),
  );
  const ratio = s.select(s.lt(t, 1 / 0.35), below, above);
  return s.div(exp(s.add(s.sub(-0.5625, s.square(t)), ratio)), t);
}

/**
 * Remainder of truncated division, exactly, by long division in binary: with e the difference of the exponents,
 * r -= |b|·2^k wherever that fits, for k = e … 0. Each subtraction is exact.
 */
export const fmod: Definition = (result, [a, b]) => {
  const remainder = register('remainder', 'float64');
  const r = load(remainder, index(0));
  const divisor = s.abs(b);
  const exponent = (x: Expr): Expr => s.cast('index', s.and(s.shr(bitcast('int64', x), i64(52n)), i64(2047n)));
  // A denormal divisor may have its highest bit up to 52 places below what its exponent says.
  const steps = s.add(
    s.sub(exponent(s.abs(a)), exponent(divisor)),
    s.select(s.lt(divisor, 2.2250738585072014e-308), index(54), index(1)),
  );
  const step = makeIter('step', 2048 + 54);
  const power = s.cast('int64', s.sub(s.sub(steps, 1), { kind: 'iter', dtype: 'index', iter: step }));
  const multiple = scale(divisor, power);
  const isNan = s.or(s.or(s.isNan(a), s.isNan(b)), s.or(s.eq(s.abs(a), Number.POSITIVE_INFINITY), s.eq(b, 0)));
  const isWhole = s.eq(divisor, Number.POSITIVE_INFINITY);
  return [
    alloc(remainder, [
      store(remainder, index(0), s.abs(a)),
      loop(step, 'serial', [store(remainder, index(0), s.select(s.ge(r, multiple), s.sub(r, multiple), r))], steps),
      store(result, index(0), s.select(isNan, NAN_64, s.select(isWhole, a, s.copysign(r, a)))),
    ]),
  ];
};

// ── integers ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The high half of the 64-bit product of two numbers read as unsigned. */
export function mulHiU(a: Expr, b: Expr): Expr {
  const wide = (x: Expr): Expr => s.and(s.cast('int64', x), i64(0xffffffffn));
  return s.cast('int32', s.shrU(s.mul(wide(a), wide(b)), i64(32n)));
}
