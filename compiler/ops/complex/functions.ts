/**
 * Elementary functions of complex numbers, with PyTorch's branch cuts: along the negative real axis for logarithm, root and
 * power, continuous from the side that the sign of the imaginary part names.
 *
 * The root after W. Kahan, "Branch cuts for complex elementary functions", 1987; the hyperbolic tangent in terms of the tangents
 * of the parts, neither of which overflows.
 */
import * as exponential from '../exponential.js';
import * as power from '../power.js';
import { where } from '../selection.js';
import type { Operand } from '../signature.js';
import { renameStep } from '../tape.js';
import { Tensor } from '../tensor.js';
import * as trigonometry from '../trigonometry.js';
import { inverseOf, times } from './arithmetic.js';
import { asComplex, fromParts, imaginaryPart, partsOf, promotedType, realPart, rule } from './parts.js';

const exponentialOf = (z: Tensor): Tensor => {
  const [re, im] = partsOf(z);
  const length = re.exp();
  return fromParts(length.mul(im.cos()), length.mul(im.sin()));
};
const logarithmOf = (z: Tensor): Tensor => {
  const [re, im] = partsOf(z);
  return fromParts(power.hypot(re, im).log(), im.atan2(re));
};

/** i·z and -i·z: quarter turns. */
const turned = (z: Tensor): Tensor => {
  const [re, im] = partsOf(z);
  return fromParts(im.neg(), re);
};
const turnedBack = (z: Tensor): Tensor => {
  const [re, im] = partsOf(z);
  return fromParts(im, re.neg());
};

function rootOf(z: Tensor): Tensor {
  const [re, im] = partsOf(z);
  const zero = re.eq(0).logicalAnd(im.eq(0));
  const [down, left] = [im.signbit(), re.lt(0)];
  const [height, width] = [where(down, im.neg(), im), where(left, re.neg(), re)];
  const large = power.hypot(re, im).add(width).mul(0.5).sqrt();
  const small = height.div(large.mul(2));
  const signed = (part: Tensor): Tensor => where(down, part.neg(), part);
  return fromParts(where(zero, 0, where(left, small, large)), where(zero, im, signed(where(left, large, small))));
}

function hyperbolicTangentOf(z: Tensor): Tensor {
  const [re, im] = partsOf(z);
  const [u, t] = [re.tanh(), im.tan()];
  const below = u.mul(t).square().add(1);
  return fromParts(u.mul(t.square().add(1)).div(below), t.div(re.cosh().square()).div(below));
}

// ── inverse functions, after Kahan ─────────────────────────────────────────────────────────────────────────────────────

/** √(1 + z) and √(1 - z), of which the imaginary parts keep the sign of a zero. */
const rootsBeside = (z: Tensor): [Tensor, Tensor] => {
  const [re, im] = partsOf(z);
  return [rootOf(fromParts(re.add(1), im)), rootOf(fromParts(re.neg().add(1), im.neg()))];
};
/** The parts of conj(a)·b. */
const conjugateProduct = (a: Tensor, b: Tensor): [re: Tensor, im: Tensor] => {
  const [[ar, ai], [br, bi]] = [partsOf(a), partsOf(b)];
  return [ar.mul(br).add(ai.mul(bi)), ar.mul(bi).sub(ai.mul(br))];
};
function arcsineOf(z: Tensor): Tensor {
  const [plus, minus] = rootsBeside(z);
  const along = conjugateProduct(minus.conj(), plus)[0];
  return fromParts(realPart(z).atan2(along), conjugateProduct(minus, plus)[1].asinh());
}
function arccosineOf(z: Tensor): Tensor {
  const [plus, minus] = rootsBeside(z);
  return fromParts(realPart(minus).atan2(realPart(plus)).mul(2), conjugateProduct(plus, minus)[1].asinh());
}
function hyperbolicArccosineOf(z: Tensor): Tensor {
  const [re, im] = partsOf(z);
  const [plus, minus] = [rootOf(fromParts(re.add(1), im)), rootOf(fromParts(re.sub(1), im))];
  return fromParts(conjugateProduct(minus, plus)[0].asinh(), imaginaryPart(minus).atan2(realPart(plus)).mul(2));
}
function hyperbolicArctangentOf(z: Tensor): Tensor {
  const [re, im] = partsOf(z);
  const beside = re.neg().add(1);
  const gap = beside.square().add(im.square());
  const angle = im.mul(2).atan2(beside.mul(re.add(1)).sub(im.square()));
  return fromParts(re.mul(4).div(gap).log1p().mul(0.25), angle.mul(0.5));
}

rule(trigonometry.asin, ({ input }) => arcsineOf(input));
rule(trigonometry.acos, ({ input }) => arccosineOf(input));
rule(trigonometry.asinh, ({ input }) => turnedBack(arcsineOf(turned(input))));
rule(trigonometry.acosh, ({ input }) => hyperbolicArccosineOf(input));
rule(trigonometry.atanh, ({ input }) => hyperbolicArctangentOf(input));
rule(trigonometry.atan, ({ input }) => turnedBack(hyperbolicArctangentOf(turned(input))));

// ── exponentials, roots and their like ─────────────────────────────────────────────────────────────────────────────────

rule(exponential.exp, ({ input }) => exponentialOf(input));
rule(exponential.log, ({ input }) => logarithmOf(input));
rule(exponential.log2, ({ input }) => logarithmOf(input).mul(Math.LOG2E));
rule(exponential.log10, ({ input }) => logarithmOf(input).mul(Math.LOG10E));
rule(exponential.sigmoid, ({ input }) => inverseOf(exponentialOf(input.neg()).add(1)));
rule(power.sqrt, ({ input }) => rootOf(input));
rule(power.rsqrt, ({ input }) => inverseOf(rootOf(input)));

rule(trigonometry.sin, ({ input }) => {
  const [re, im] = partsOf(input);
  return fromParts(re.sin().mul(im.cosh()), re.cos().mul(im.sinh()));
});
rule(trigonometry.cos, ({ input }) => {
  const [re, im] = partsOf(input);
  return fromParts(re.cos().mul(im.cosh()), re.sin().mul(im.sinh()).neg());
});
rule(trigonometry.sinh, ({ input }) => {
  const [re, im] = partsOf(input);
  return fromParts(re.sinh().mul(im.cos()), re.cosh().mul(im.sin()));
});
rule(trigonometry.cosh, ({ input }) => {
  const [re, im] = partsOf(input);
  return fromParts(re.cosh().mul(im.cos()), re.sinh().mul(im.sin()));
});
rule(trigonometry.tanh, ({ input }) => hyperbolicTangentOf(input));
rule(trigonometry.tan, ({ input }) => turnedBack(hyperbolicTangentOf(turned(input))));

// ── powers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whole powers up to this are multiplied out, by squaring. */
const largestWholePower = 8;

function wholePower(z: Tensor, n: number): Tensor {
  if (n === 1) return z;
  const half = wholePower(z, Math.floor(n / 2));
  const even = times(half, half);
  return n % 2 === 0 ? even : times(even, z);
}

/** e^(w·log z), and 0 for a base of 0, but 1 for an exponent of 0. */
function generalPower(z: Tensor, w: Tensor): Tensor {
  const zero = z.eq(0);
  const base = where(zero, 1, z);
  const result = exponentialOf(times(w, logarithmOf(base)));
  return where(zero, where(w.eq(0), asComplex(1, promotedType([z])), asComplex(0, promotedType([z]))), result);
}

function powerOf(base: Operand, exponent: Operand): Tensor {
  const dtype = promotedType([base, exponent]);
  const z = asComplex(base, dtype);
  const n = typeof exponent === 'number' ? exponent : null;
  if (n === 0) return fromParts(realPart(z).pow(0), imaginaryPart(z).pow(0).sub(1));
  if (n === 0.5) return rootOf(z);
  if (n !== null && Number.isInteger(n) && Math.abs(n) <= largestWholePower)
    return n > 0 ? wholePower(z, n) : inverseOf(wholePower(z, -n));
  return generalPower(z, asComplex(exponent, dtype));
}
rule(power.pow, ({ input, other }) => {
  const result = powerOf(input, other);
  renameStep(result, other instanceof Tensor ? 'PowBackward1' : 'PowBackward0');
  return result;
});
