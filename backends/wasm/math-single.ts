/**
 * The transcendental functions in float32, as expressions of the loop IR without branches: four at a time in vectors, and
 * the same expression in scalar code, so that an element's value does not depend on where it lies.
 *
 * Sources: Cephes (S. L. Moshier: expf.c, logf.c, sinf.c, tanf.c, asinf.c, atanf.c, sinhf.c: the polynomials and the
 * argument reductions, pi/2 in four pieces here). The quotient for erf was fitted here, by iteratively reweighted linear
 * least squares on Chebyshev nodes, then by a search among neighbouring float32 coefficients.
 *
 * Largest errors in ulp over all of float32, held to by test/vector-math.test.ts (which has the list, with the activations
 * made of these): exp 1, log 1, log10 1, expm1 1.5, log2 1.5, acos 1.5, sin 2, cos 2, log1p 2.5, tanh 2.5, sigmoid 2.5, asin 2.5,
 * atan 2.5, acosh 2.5, tan 3, sinh 3, cosh 3, asinh 3, atanh 3, pow 3.5, erf 4.5. What is not here (atan2, fmod) goes by way of
 * float64.
 */
import { arith as s } from '../../compiler/ir/arith.js';
import { bitcast, constant, type Expr } from '../../compiler/ir/kernel.js';
import { clamp, log1pBy, logSpecial } from './math.js';

const i32 = (value: number): Expr => constant('int32', value);

const powerOf2Single = (k: Expr): Expr => bitcast('float32', s.shl(s.add(k, 127), i32(23)));

/** 1.5·2^23: added to a small number, it leaves the nearest integer in the last bits. */
const shifter = 12582912;

/** e^r - 1 = r + r²·P(r) for |r| <= ln(2)/2. */
function smallExpm1(r: Expr): Expr {
  const square = s.square(r);
  const pair = (high: number, low: number): Expr => s.add(s.mul(high, r), low);
  const p = s.add(
    s.mul(s.add(s.mul(pair(1.98756915e-4, 1.3981999507e-3), square), pair(8.3334519073e-3, 4.1665795894e-2)), square),
    pair(1.6666665459e-1, 5.0000001201e-1),
  );
  return s.add(s.mul(square, p), r);
}

/** x = k·ln 2 + r; `em1` is e^r - 1, and the last bits of `shifted` are those of k + bias. */
function reduceExpSingle(x: Expr, bias: number): { shifted: Expr; em1: Expr } {
  const shifted = s.add(s.mul(x, Math.LOG2E), shifter + bias);
  const rounded = s.sub(shifted, shifter + bias);
  const r = s.sub(s.sub(x, s.mul(rounded, 0.693359375)), s.mul(rounded, -2.1219444e-4));
  return { shifted: bitcast('int32', shifted), em1: smallExpm1(r) };
}

/** The exponent of a float32 that is 1. */
const ONE = 127;
/** The last bits of a number as an exponent: 2^k of k + ONE. */
const asExponent = (bits: Expr): Expr => s.shl(bits, i32(23));

/**
 * Powers of 2 with exponents beyond those of normal numbers are made in two steps, by 2^64 or 2^-64 with the sign of x, so that
 * overflow and denormals come out right.
 */
export function exp32(x: Expr): Expr {
  const half = 64;
  const { shifted, em1 } = reduceExpSingle(clamp(x, -104, 89), ONE - half);
  const shift = s.and(s.shrU(bitcast('int32', x), i32(1)), i32((2 * half) << 23));
  const power = bitcast('float32', s.add(asExponent(shifted), shift));
  const rest = bitcast('float32', s.sub(i32((ONE + half) << 23), shift));
  // machines take long over a product that vanishes, not over one with 0
  return s.mul(s.mul(s.select(s.lt(x, -104), 0, s.add(em1, 1)), power), rest);
}

export function expm1of32(x: Expr): Expr {
  const { shifted, em1 } = reduceExpSingle(clamp(x, -30, 89), 0);
  const k = s.sub(shifted, 0x4b400000);
  const half = s.shr(k, i32(1));
  const power = powerOf2Single(k);
  const exact = s.add(s.mul(power, em1), s.sub(power, 1));
  const scaled = s.mul(s.mul(s.add(em1, 1), powerOf2Single(half)), powerOf2Single(s.sub(k, half)));
  return s.select(s.eq(x, 0), x, s.select(s.gt(k, i32(30)), scaled, exact));
}

export function tanh32(x: Expr): Expr {
  const { shifted, em1 } = reduceExpSingle(s.min(s.mul(2, s.abs(x)), 30), ONE);
  const power = bitcast('float32', asExponent(shifted));
  const t = s.add(s.mul(power, em1), s.sub(power, 1));
  return withSignOf(s.div(t, s.add(t, 2)), x);
}

/** 1 / (1 + e^-x): where e^-x is no normal number, 1 or 0; its exponent becomes that of infinity by itself. */
export function sigmoid32(x: Expr): Expr {
  const { shifted, em1 } = reduceExpSingle(clamp(s.neg(x), -87, 89), ONE);
  const power = bitcast('float32', asExponent(shifted));
  return s.div(1, s.add(s.mul(power, s.add(em1, 1)), 1));
}

/** x = 2^e·(1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = f + rest = f + (f³·P(f) - f²/2). */
function reduceLogSingle(x: Expr): { e: Expr; f: Expr; cubic: Expr; half: Expr } {
  const denormal = s.lt(x, 1.17549435e-38);
  const bits = bitcast('int32', s.select(denormal, s.mul(x, 2 ** 25), x));
  const exponent = s.shr(s.sub(bits, 0x3f3504f3), i32(23));
  const f = s.sub(bitcast('float32', s.sub(bits, s.shl(exponent, i32(23)))), 1);
  const e = s.cast('float32', s.sub(exponent, s.select(denormal, i32(25), i32(0))));
  const p = s.poly(
    f,
    [
      7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
      2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    ],
  );
  const square = s.square(f);
  return { e, f, cubic: s.mul(s.mul(f, square), p), half: s.mul(0.5, square) };
}

export function log32(x: Expr): Expr {
  const { e, f, cubic, half } = reduceLogSingle(x);
  const tail = s.sub(s.add(cubic, s.mul(e, -2.1219444e-4)), half);
  return logSpecial(x, s.add(s.add(f, tail), s.mul(e, 0.693359375)));
}

/** log(1 + f) times a factor of one bit and the rest of the factor, and e times the logarithm of 2 in two pieces. */
function otherBase(x: Expr, factor: number, [high, low]: readonly [high: number, low: number]): Expr {
  const { e, f, cubic, half } = reduceLogSingle(x);
  const rest = s.sub(cubic, half);
  const coarse = factor > 1 ? 1 : 0.5;
  const fine = factor - coarse;
  const small = s.add(s.mul(rest, fine), s.mul(f, fine));
  const scaled = s.add(s.add(s.add(small, s.mul(e, low)), s.mul(rest, coarse)), s.mul(f, coarse));
  return logSpecial(x, s.add(scaled, s.mul(e, high)));
}
export const log2of32 = (x: Expr): Expr => otherBase(x, Math.LOG2E, [1, 0]);
export const log10of32 = (x: Expr): Expr => otherBase(x, Math.LOG10E, [0.30078125, 2.48745663981195213739e-4]);

export const log1pOf32 = (x: Expr): Expr => log1pBy(log32, x);

/** A polynomial of degree 5 by its even and odd parts, which rounds less than Horner's rule where all terms have one sign. */
function halves(x: Expr, [c5, c4, c3, c2, c1, c0]: readonly number[]): Expr {
  const square = s.square(x);
  return s.add(s.poly(square, [c4, c2, c0]), s.mul(x, s.poly(square, [c5, c3, c1])));
}

/** x·P(x²)/Q(x²), 1 from |x| = 3.925 on. */
export function erf32(x: Expr): Expr {
  const inside = clamp(x, -3.925, 3.925);
  const z = s.square(inside);
  const p = halves(
    z,
    [
      1.3175667845644057e-6, 1.8342002294957638e-4, 2.4291325826197863e-3, 3.398109972476959e-2, 1.227312758564949e-1,
      7.266457676887512e-1,
    ],
  );
  const q = halves(
    z,
    [
      2.4500914150848985e-5, 7.494140882045031e-4, 9.648201055824757e-3, 7.352802157402039e-2, 3.234250843524933e-1,
      6.439730525016785e-1,
    ],
  );
  return clamp(s.div(s.mul(inside, p), q), -1, 1);
}

/** Bit by bit, since vectors have no instruction for it. */
export const copysign32 = (magnitude: Expr, sign: Expr): Expr =>
  withSignOf(bitcast('float32', s.and(bitcast('int32', magnitude), 0x7fffffff)), sign);

/** Of a magnitude that is not negative. */
const withSignOf = (magnitude: Expr, sign: Expr): Expr =>
  bitcast('float32', s.or(bitcast('int32', magnitude), s.and(bitcast('int32', sign), -0x80000000)));

// ── powers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The leading 12 bits: products of two such numbers are exact. */
const leading = (x: Expr): Expr => bitcast('float32', s.and(bitcast('int32', x), -0x1000));

const LOG2E_LEADING = 1.4423828125;
const LOG2E_REST = 3.12228388963387e-4;

/**
 * log2 a as a sum of two numbers, as msun's e_pow.c does it: with q = f / (2 + f) in two pieces,
 * log(1 + f) = 2q + 2q·(q²/3 + q⁴/5 + …).
 */
function log2InTwo(a: Expr): { high: Expr; low: Expr } {
  const { e, f } = reduceLogSingle(a);
  const t = s.add(2, f);
  const q = s.div(f, t);
  const qHigh = leading(q);
  const tHigh = leading(t);
  const tLow = s.sub(f, s.sub(tHigh, 2));
  const qLow = s.div(s.sub(s.sub(f, s.mul(qHigh, tHigh)), s.mul(qHigh, tLow)), t);
  const z = s.square(q);
  const series = s.mul(q, s.mul(z, s.poly(z, [1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3])));
  const twice = s.mul(2, qHigh);
  const main = s.mul(twice, LOG2E_LEADING);
  const rest = s.add(s.mul(twice, LOG2E_REST), s.mul(s.add(qLow, series), 2 * Math.LOG2E));
  const high = s.add(e, main);
  return { high, low: s.add(s.sub(main, s.sub(high, e)), rest) };
}

/** b·log2 a as a sum of two numbers, the first of them exact. */
function exponentInTwo(a: Expr, b: Expr): { high: Expr; low: Expr } {
  const log = log2InTwo(a);
  const [bHigh, logHigh] = [leading(b), leading(log.high)];
  const logLow = s.add(s.sub(log.high, logHigh), log.low);
  return { high: s.mul(bHigh, logHigh), low: s.add(s.mul(s.sub(b, bHigh), logHigh), s.mul(b, logLow)) };
}

/** Where powers are computed in float32: of normal numbers above 0 to normal numbers. */
export function isModeratePower(a: Expr, b: Expr): Expr {
  const isNormal = s.and(s.ge(a, 1.17549435e-38), s.lt(a, Number.POSITIVE_INFINITY));
  return s.and(isNormal, s.lt(s.abs(exponentInTwo(a, b).high), 125));
}

/** 2^n·e^(r·ln 2) with n + r = b·log2 a. */
export function pow32(a: Expr, b: Expr): Expr {
  const { high, low } = exponentInTwo(a, b);
  const n = s.round(s.add(high, low));
  const r = s.mul(s.add(s.sub(high, n), low), Math.LN2);
  return s.mul(s.add(1, smallExpm1(r)), powerOf2Single(s.cast('int32', n)));
}

// ── hyperbolic functions ────────────────────────────────────────────────────────────────────────────────────────────

/** e^|x| / 2 = (e^(|x|/2) / 2)·e^(|x|/2), which does not overflow before its product does, and its inverse over 4. */
function halfExponentials(x: Expr): { growing: Expr; shrinking: Expr } {
  const root = exp32(s.mul(0.5, s.abs(x)));
  const growing = s.mul(s.mul(0.5, root), root);
  return { growing, shrinking: s.div(0.25, growing) };
}

export function cosh32(x: Expr): Expr {
  const { growing, shrinking } = halfExponentials(x);
  return s.add(growing, shrinking);
}

export function sinh32(x: Expr): Expr {
  const { growing, shrinking } = halfExponentials(x);
  const z = s.square(x);
  const series = s.poly(z, [2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1]);
  const small = s.add(x, s.mul(s.mul(x, z), series));
  return s.select(s.gt(s.abs(x), 1), copysign32(s.sub(growing, shrinking), x), small);
}

/** log(x + root), the argument less 1; where squares would overflow, log x + log 2. */
function logOfSum(x: Expr, argumentLess1: Expr): Expr {
  const isLarge = s.gt(x, 2 ** 30);
  const logarithm = log1pOf32(s.select(isLarge, x, argumentLess1));
  return s.add(logarithm, s.select(isLarge, constant('float32', Math.LN2), 0));
}

/** x + sqrt(x² + 1) - 1 = x + x² / (1 + sqrt(x² + 1)). */
export function asinh32(x: Expr): Expr {
  const magnitude = s.abs(x);
  const square = s.square(x);
  const less1 = s.add(magnitude, s.div(square, s.add(1, s.sqrt(s.add(square, 1)))));
  return copysign32(logOfSum(magnitude, less1), x);
}

/** x + sqrt(x² - 1) - 1 = t + sqrt(2t + t²) with t = x - 1. */
export function acosh32(x: Expr): Expr {
  const t = s.sub(x, 1);
  const inside = logOfSum(x, s.add(t, s.sqrt(s.add(s.mul(2, t), s.square(t)))));
  return s.select(s.lt(x, 1), constant('float32', Number.NaN), inside);
}

export function atanh32(x: Expr): Expr {
  const magnitude = s.abs(x);
  const ratio = s.div(s.mul(2, magnitude), s.sub(1, magnitude));
  return copysign32(s.mul(0.5, log1pOf32(ratio)), x);
}

// ── circular functions ──────────────────────────────────────────────────────────────────────────────────────────────

/** pi/2 in pieces of 11 bits, whose products with integers of 13 bits are exact, and a rest. */
const halfPiPieces = [1.5703125, 4.8375129699707031e-4, 7.5495336204767227e-8, 2.5633441515945188e-12];

/** Where angles are reduced in float32; the others go by way of float64. */
export const isModerateAngle = (x: Expr): Expr => s.le(s.abs(x), 8192);

/** x = n·pi/2 + r, |r| <= pi/4, for moderate angles. */
function reduceAngle(x: Expr): { n: Expr; r: Expr } {
  const n = s.round(s.mul(x, 2 / Math.PI));
  const r = halfPiPieces.reduce((rest, piece) => s.sub(rest, s.mul(n, piece)), x);
  return { n: s.cast('int32', n), r };
}

/** sin(x + quarters·pi/2). */
function sinShifted(x: Expr, quarters: number): Expr {
  const { n, r } = reduceAngle(x);
  const z = s.square(r);
  const sine = s.add(r, s.mul(s.mul(r, z), s.poly(z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])));
  const cosine = s.add(
    s.sub(1, s.mul(0.5, z)),
    s.mul(s.square(z), s.poly(z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])),
  );
  const quadrant = s.add(n, quarters);
  const value = s.select(s.ne(s.and(quadrant, 1), 0), cosine, sine);
  const sign = s.shl(s.and(quadrant, 2), i32(30));
  return bitcast('float32', s.xor(bitcast('int32', value), sign));
}
/** The sine of -0 is -0. */
export const sin32 = (x: Expr): Expr => s.select(s.eq(x, 0), x, sinShifted(x, 0));
export const cos32 = (x: Expr): Expr => sinShifted(x, 1);

export function tan32(x: Expr): Expr {
  const { n, r } = reduceAngle(x);
  const z = s.square(r);
  const series = s.poly(
    z,
    [9.38540185543e-3, 3.11992232697e-3, 2.44301354525e-2, 5.34112807005e-2, 1.33387994085e-1, 3.33331568548e-1],
  );
  const tangent = s.add(r, s.mul(s.mul(r, z), series));
  return s.select(s.eq(x, 0), x, s.select(s.ne(s.and(n, 1), 0), s.div(-1, tangent), tangent));
}

/** atan t = angle + atan(reduced), the reduced argument at most tan(pi/8). */
export function atan32(x: Expr): Expr {
  const t = s.abs(x);
  const [isLarge, isMiddle] = [s.gt(t, 2.414213562373095), s.gt(t, 0.414213562373095)];
  const reduced = s.select(isLarge, s.div(-1, t), s.select(isMiddle, s.div(s.sub(t, 1), s.add(t, 1)), t));
  const angle = s.select(
    isLarge,
    constant('float32', Math.PI / 2),
    s.select(isMiddle, constant('float32', Math.PI / 4), 0),
  );
  const z = s.square(reduced);
  const series = s.poly(z, [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1]);
  return copysign32(s.add(angle, s.add(reduced, s.mul(s.mul(reduced, z), series))), x);
}

/** asin t for t in [0, 1/2], of z = t². */
const asinSeries = (t: Expr, z: Expr): Expr =>
  s.add(
    t,
    s.mul(
      s.mul(t, z),
      s.poly(z, [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1]),
    ),
  );

/** Beyond 1/2: asin t = pi/2 - 2·asin(sqrt((1 - t) / 2)). */
function reduceAsin(x: Expr): { isLarge: Expr; inner: Expr } {
  const t = s.abs(x);
  const isLarge = s.gt(t, 0.5);
  const z = s.select(isLarge, s.mul(0.5, s.sub(1, t)), s.square(t));
  return { isLarge, inner: asinSeries(s.select(isLarge, s.sqrt(z), t), z) };
}
export function asin32(x: Expr): Expr {
  const { isLarge, inner } = reduceAsin(x);
  return copysign32(s.select(isLarge, s.sub(Math.PI / 2, s.mul(2, inner)), inner), x);
}
export function acos32(x: Expr): Expr {
  const { isLarge, inner } = reduceAsin(x);
  const twice = s.mul(2, inner);
  const far = s.select(s.lt(x, 0), s.sub(Math.PI, twice), twice);
  return s.select(isLarge, far, s.sub(Math.PI / 2, copysign32(inner, x)));
}
