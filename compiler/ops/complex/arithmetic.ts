/**
 * Arithmetic of complex numbers. A real factor or divisor scales both parts, also where these are infinite.
 *
 * A divisor is scaled by its larger part first, so that its square does not overflow, after R. L. Smith, "Algorithm 116: complex
 * division", Communications of the ACM 5, 1962.
 */
import * as arithmetic from '../arithmetic.js';
import * as comparison from '../comparison.js';
import * as conversion from '../conversion.js';
import { maximum } from '../extrema.js';
import * as logic from '../logic.js';
import * as power from '../power.js';
import * as realNumbers from '../real-numbers.js';
import { where } from '../selection.js';
import type { Operand } from '../signature.js';
import { isComplexTensor, overPair, realForm, refuseComplex, Tensor } from '../tensor.js';
import {
  asComplex,
  asWritten,
  fromParts,
  imaginaryPart,
  partsOf,
  promoted,
  promotedType,
  realFactor,
  realPart,
  rule,
} from './parts.js';

// ── parts and magnitudes ───────────────────────────────────────────────────────────────────────────────────────────────

rule(realNumbers.real, ({ input }) => realPart(input));
rule(realNumbers.imag, ({ input }) => imaginaryPart(input));
rule(realNumbers.conj, ({ input }) => fromParts(realPart(input), arithmetic.neg(imaginaryPart(input))));
rule(realNumbers.isreal, ({ input }) => imaginaryPart(input).eq(0));

const isZero = (re: Tensor, im: Tensor): Tensor => re.eq(0).logicalAnd(im.eq(0));

/** |z|, with derivative 0 at 0. */
export function magnitude(z: Tensor): Tensor {
  const [re, im] = partsOf(z);
  const zero = isZero(re, im);
  return where(zero, 0, power.hypot(where(zero, 1, re), im));
}
/** The argument of z, with derivative 0 at 0. */
export function argument(z: Tensor): Tensor {
  const [re, im] = partsOf(z);
  const zero = isZero(re, im);
  return where(zero, im.detach().atan2(re.detach()), im.atan2(where(zero, 1, re)));
}
rule(arithmetic.abs, ({ input }) => magnitude(input));
rule(realNumbers.angle, ({ input }) => argument(input));
rule(arithmetic.sgn, ({ input }) => {
  const length = magnitude(input).unsqueeze(-1);
  const zero = length.eq(0);
  return overPair(where(zero, 0, arithmetic.div(realForm(input), where(zero, 1, length))));
});

// ── sums, products, quotients ──────────────────────────────────────────────────────────────────────────────────────────

const plus = (a: Tensor, b: Tensor): Tensor => overPair(arithmetic.add(realForm(a), realForm(b)));
const minus = (a: Tensor, b: Tensor): Tensor => overPair(arithmetic.sub(realForm(a), realForm(b)));
const scaled = (z: Tensor, factor: Tensor): Tensor => overPair(arithmetic.mul(realForm(z), factor));
const quotientBy = (z: Tensor, divisor: Tensor): Tensor => overPair(arithmetic.div(realForm(z), divisor));
const negated = (z: Tensor): Tensor => overPair(arithmetic.neg(realForm(z)));

export function times(a: Tensor, b: Tensor): Tensor {
  const [[ar, ai], [br, bi]] = [partsOf(a), partsOf(b)];
  return fromParts(ar.mul(br).sub(ai.mul(bi)), ar.mul(bi).add(ai.mul(br)));
}
function divided(a: Tensor, b: Tensor): Tensor {
  const [re, im] = partsOf(b);
  const scale = maximum(re.abs(), im.abs()).detach().unsqueeze(-1);
  const divisor = quotientBy(b, scale);
  const [c, d] = partsOf(divisor);
  const product = times(quotientBy(a, scale), fromParts(c, d.neg()));
  return quotientBy(product, c.square().add(d.square()).unsqueeze(-1));
}
const one = (like: Tensor): Tensor => asComplex(1, promotedType([like]));
export const inverseOf = (z: Tensor): Tensor => divided(one(z), z);

/** The second summand, times what it is scaled by. */
const withAlpha = (other: Operand, alpha: Operand): Operand => (alpha === 1 ? other : arithmetic.mul(other, alpha));

rule(arithmetic.add, ({ input, other, alpha }) => {
  const [a, b] = promoted(input, withAlpha(other, alpha));
  return plus(a, b);
});
const isBool = (operand: Operand): boolean =>
  typeof operand === 'boolean' || (operand instanceof Tensor && operand.dtype === 'bool');
rule(arithmetic.sub, ({ input, other, alpha }) => {
  if (isBool(input) || isBool(other)) arithmetic.refuseBoolDifference();
  const [a, b] = promoted(input, withAlpha(other, alpha));
  return minus(a, b);
});
rule(arithmetic.mul, ({ input, other }) => {
  const dtype = promotedType([input, other]);
  const [left, right] = [realFactor(input, dtype), realFactor(other, dtype)];
  if (left !== null) return scaled(asComplex(other, dtype), left);
  if (right !== null) return scaled(asComplex(input, dtype), right);
  return times(asComplex(input, dtype), asComplex(other, dtype));
});
rule(arithmetic.div, ({ input, other, roundingMode }) => {
  const dtype = promotedType([input, other]);
  if (roundingMode !== null) refuseComplex(`div with roundingMode '${roundingMode}'`, dtype);
  const divisor = realFactor(other, dtype);
  const dividend = asComplex(input, dtype);
  return divisor === null ? divided(dividend, asComplex(other, dtype)) : quotientBy(dividend, divisor);
});
rule(arithmetic.neg, ({ input }) => negated(input));
rule(arithmetic.lerp, ({ input, end, weight }) => input.add(end.sub(input).mul(weight)));
rule(arithmetic.addcmul, ({ input, tensor1, tensor2, value }) => input.add(tensor1.mul(tensor2).mul(value)));
rule(arithmetic.addcdiv, ({ input, tensor1, tensor2, value }) => input.add(tensor1.div(tensor2).mul(value)));
rule(arithmetic.positive, ({ input }) => input);
rule(power.reciprocal, ({ input }) => inverseOf(input));
rule(power.square, ({ input }) => times(input, input));
asWritten(arithmetic.rsub);

// ── questions ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type Pairwise = (a: Tensor, b: Tensor) => Tensor;
const bothParts =
  (compare: Pairwise, join: Pairwise) =>
  ({ input, other }: { input: Operand; other: Operand }): Tensor => {
    const [[ar, ai], [br, bi]] = promoted(input, other).map(partsOf);
    return join(compare(ar, br), compare(ai, bi));
  };
rule(comparison.eq, bothParts(comparison.eq, logic.logicalAnd));
rule(comparison.ne, bothParts(comparison.ne, logic.logicalOr));

const ofParts =
  (ask: (part: Tensor) => Tensor, join: Pairwise) =>
  ({ input }: { input: Tensor }): Tensor =>
    join(ask(realPart(input)), ask(imaginaryPart(input)));
rule(comparison.isnan, ofParts(comparison.isnan, logic.logicalOr));
rule(comparison.isinf, ofParts(comparison.isinf, logic.logicalOr));
rule(comparison.isfinite, ofParts(comparison.isfinite, logic.logicalAnd));

rule(comparison.isclose, ({ input, other, rtol, atol, equalNan }) => {
  const [a, b] = promoted(input, other);
  const isNear = magnitude(minus(a, b)).le(magnitude(b).mul(rtol).add(atol)).logicalAnd(comparison.isfinite(b));
  const isSame = comparison.eq(a, b).logicalOr(isNear);
  return equalNan ? isSame.logicalOr(comparison.isnan(a).logicalAnd(comparison.isnan(b))) : isSame;
});

const truth = (operand: Operand): Operand => (isComplexTensor(operand) ? comparison.ne(operand, 0) : operand);
for (const op of [logic.logicalAnd, logic.logicalOr, logic.logicalXor])
  rule(op, ({ input, other }) => op(truth(input), truth(other)));
rule(logic.logicalNot, ({ input }) => logic.logicalNot(truth(input) as Tensor));

// ── conversions ────────────────────────────────────────────────────────────────────────────────────────────────────────

rule(conversion.castTo, ({ input, dtype }) => {
  if (dtype === 'complex64' || dtype === 'complex128') return asComplex(input, dtype);
  return dtype === 'bool' ? truth(input) : conversion.castTo(realPart(input), dtype);
});
asWritten(
  conversion.float,
  conversion.double,
  conversion.half,
  conversion.bfloat16,
  conversion.long,
  conversion.int,
  conversion.short,
  conversion.char,
  conversion.byte,
  conversion.bool,
);
