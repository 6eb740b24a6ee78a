/**
 * Functions of random variables that can be undone, with the logarithm of how much they stretch: what distributions of
 * transformed variables are made of, as PyTorch's `torch.distributions.transforms`.
 */
import { fail } from '../../compiler/errors.js';
import { precisionOf } from '../../compiler/ir/dtype.js';
import { broadcastShapes, formatShape, numel, type Shape } from '../../compiler/ir/shape.js';
import { logsigmoid, softplus } from '../../compiler/ops/activation.js';
import { fullLike, zerosLike } from '../../compiler/ops/creation.js';
import { diagEmbed } from '../../compiler/ops/shape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import type { ParameterValue } from './distribution.js';
import { type Domain, positive, real, simplex, unitInterval } from './domain.js';

/** The sum over the last dims. */
export const sumRightmost = (value: Tensor, count: number): Tensor =>
  count === 0 ? value : value.sum(Array.from({ length: count }, (_, i) => -1 - i));

export abstract class Transform {
  /** How many dims one value has, before and after. */
  readonly domainDims: number = 0;
  readonly codomainDims: number = 0;
  /** Where results lie. */
  readonly codomain: Domain = real;
  /** Does it keep the order (1) or turn it round (-1)? Throws E208 where it does neither. */
  get sign(): Tensor | number {
    return fail('E208', { problem: `${this.constructor.name} neither keeps the order of numbers nor turns it round` });
  }
  abstract forward(x: Tensor): Tensor;
  abstract inverse(y: Tensor): Tensor;
  /** The logarithm of the derivative's magnitude, for `y = forward(x)`: one number for each value. */
  logAbsDetJacobian(_x: Tensor, _y: Tensor): Tensor {
    return fail('E208', { problem: `${this.constructor.name} has no logAbsDetJacobian, as it cannot be undone` });
  }
  /** The shape of the result for an input of a shape, and back. */
  forwardShape(shape: Shape): Shape {
    return shape;
  }
  inverseShape(shape: Shape): Shape {
    return shape;
  }
  /** The same the other way round. */
  get inv(): Transform {
    return new InverseTransform(this);
  }
  toString(): string {
    return `${this.constructor.name}()`;
  }
}

class InverseTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;
  constructor(private readonly of: Transform) {
    super();
    this.domainDims = of.codomainDims;
    this.codomainDims = of.domainDims;
  }
  override get sign(): Tensor | number {
    return this.of.sign;
  }
  override forward(x: Tensor): Tensor {
    return this.of.inverse(x);
  }
  override inverse(y: Tensor): Tensor {
    return this.of.forward(y);
  }
  override logAbsDetJacobian(x: Tensor, y: Tensor): Tensor {
    return this.of.logAbsDetJacobian(y, x).neg();
  }
  override forwardShape(shape: Shape): Shape {
    return this.of.inverseShape(shape);
  }
  override inverseShape(shape: Shape): Shape {
    return this.of.forwardShape(shape);
  }
  override get inv(): Transform {
    return this.of;
  }
}

// ── of each number by itself ───────────────────────────────────────────────────────────────────────────────────────────

export class ExpTransform extends Transform {
  override readonly codomain = positive;
  override get sign(): number {
    return 1;
  }
  override forward(x: Tensor): Tensor {
    return x.exp();
  }
  override inverse(y: Tensor): Tensor {
    return y.log();
  }
  override logAbsDetJacobian(x: Tensor): Tensor {
    return x;
  }
}

const shapeOf = (value: ParameterValue): Shape => (value instanceof Tensor ? value.shape : []);

export class PowerTransform extends Transform {
  override readonly codomain = positive;
  override get sign(): number {
    return 1;
  }
  constructor(readonly exponent: ParameterValue) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return x.pow(this.exponent as Tensor);
  }
  override inverse(y: Tensor): Tensor {
    return y.pow(this.exponent instanceof Tensor ? this.exponent.reciprocal() : 1 / this.exponent);
  }
  override logAbsDetJacobian(x: Tensor, y: Tensor): Tensor {
    return y.mul(this.exponent).div(x).abs().log();
  }
  override forwardShape(shape: Shape): Shape {
    return broadcastShapes('PowerTransform', shape, shapeOf(this.exponent));
  }
  override inverseShape(shape: Shape): Shape {
    return this.forwardShape(shape);
  }
}

/** `loc + scale · x`; with `eventDim`, values are of that many dims. */
export class AffineTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;
  constructor(
    readonly loc: ParameterValue,
    readonly scale: ParameterValue,
    { eventDim = 0 }: { readonly eventDim?: number } = {},
  ) {
    super();
    this.domainDims = eventDim;
    this.codomainDims = eventDim;
  }
  override get sign(): Tensor | number {
    return this.scale instanceof Tensor ? this.scale.sign() : Math.sign(this.scale);
  }
  override forward(x: Tensor): Tensor {
    return x.mul(this.scale).add(this.loc);
  }
  override inverse(y: Tensor): Tensor {
    return y.sub(this.loc).div(this.scale);
  }
  override logAbsDetJacobian(x: Tensor): Tensor {
    const { scale } = this;
    const each = scale instanceof Tensor ? scale.abs().log().expand(x.shape) : fullLike(x, Math.log(Math.abs(scale)));
    return sumRightmost(each, this.domainDims);
  }
  override forwardShape(shape: Shape): Shape {
    const ofScale = broadcastShapes('AffineTransform', shape, shapeOf(this.scale));
    return broadcastShapes('AffineTransform', ofScale, shapeOf(this.loc));
  }
  override inverseShape(shape: Shape): Shape {
    return this.forwardShape(shape);
  }
}

/** Kept from 0 and 1. */
function clippedSigmoid(x: Tensor): Tensor {
  const { smallestNormal, epsilon } = precisionOf(x.dtype);
  return x.sigmoid().clamp(smallestNormal, 1 - epsilon);
}

export class SigmoidTransform extends Transform {
  override readonly codomain = unitInterval;
  override get sign(): number {
    return 1;
  }
  override forward(x: Tensor): Tensor {
    return clippedSigmoid(x);
  }
  override inverse(y: Tensor): Tensor {
    const { smallestNormal, epsilon } = precisionOf(y.dtype);
    const inside = y.clamp(smallestNormal, 1 - epsilon);
    return inside.log().sub(inside.neg().log1p());
  }
  override logAbsDetJacobian(x: Tensor): Tensor {
    return softplus(x.neg()).neg().sub(softplus(x));
  }
}

export class SoftplusTransform extends Transform {
  override readonly codomain = positive;
  override get sign(): number {
    return 1;
  }
  override forward(x: Tensor): Tensor {
    return softplus(x);
  }
  override inverse(y: Tensor): Tensor {
    return y.neg().expm1().neg().log().add(y);
  }
  override logAbsDetJacobian(x: Tensor): Tensor {
    return softplus(x.neg()).neg();
  }
}

export class TanhTransform extends Transform {
  override readonly codomain: Domain = {
    text: 'from -1 to 1',
    accepts: value => value >= -1 && value <= 1,
    acceptsAll: values => values.ge(-1).logicalAnd(values.le(1)),
  };
  override get sign(): number {
    return 1;
  }
  override forward(x: Tensor): Tensor {
    return x.tanh();
  }
  override inverse(y: Tensor): Tensor {
    return y.atanh();
  }
  override logAbsDetJacobian(x: Tensor): Tensor {
    return softplus(x.mul(-2)).add(x).neg().add(Math.LN2).mul(2);
  }
}

/** What it gives back of a magnitude is that magnitude. */
export class AbsTransform extends Transform {
  override readonly codomain = positive;
  override forward(x: Tensor): Tensor {
    return x.abs();
  }
  override inverse(y: Tensor): Tensor {
    return y;
  }
}

// ── of vectors and matrices ────────────────────────────────────────────────────────────────────────────────────────────

export class SoftmaxTransform extends Transform {
  override readonly domainDims = 1;
  override readonly codomainDims = 1;
  override readonly codomain = simplex;
  override forward(x: Tensor): Tensor {
    return x.softmax(-1);
  }
  override inverse(y: Tensor): Tensor {
    return y.log();
  }
}

/** Of n numbers the n + 1 pieces of a stick that is broken n times. */
export class StickBreakingTransform extends Transform {
  override readonly domainDims = 1;
  override readonly codomainDims = 1;
  override readonly codomain = simplex;
  /** The logarithms of n, n - 1, …, 1. */
  private offsets(x: Tensor): Tensor {
    const count = x.size(-1);
    return x
      .newOnes(count)
      .cumsum(0)
      .neg()
      .add(count + 1)
      .log();
  }
  override forward(x: Tensor): Tensor {
    const shares = clippedSigmoid(x.sub(this.offsets(x)));
    const left = shares.neg().add(1).cumprod(-1);
    return F.pad(shares, [0, 1], { value: 1 }).mul(F.pad(left, [1, 0], { value: 1 }));
  }
  override inverse(y: Tensor): Tensor {
    const pieces = y.narrow(-1, 0, y.size(-1) - 1);
    const left = pieces.cumsum(-1).neg().add(1).clamp(precisionOf(y.dtype).smallestNormal);
    return pieces.log().sub(left.log()).add(this.offsets(pieces));
  }
  override logAbsDetJacobian(x: Tensor, y: Tensor): Tensor {
    const shifted = x.sub(this.offsets(x));
    const pieces = y.narrow(-1, 0, x.size(-1));
    return logsigmoid(shifted).sub(shifted).add(pieces.log()).sum(-1);
  }
  override forwardShape(shape: Shape): Shape {
    return [...shape.slice(0, -1), shape[shape.length - 1] + 1];
  }
  override inverseShape(shape: Shape): Shape {
    return [...shape.slice(0, -1), shape[shape.length - 1] - 1];
  }
}

/** Of square matrices the lower triangles, with a positive diagonal. */
export class LowerCholeskyTransform extends Transform {
  override readonly domainDims = 2;
  override readonly codomainDims = 2;
  override forward(x: Tensor): Tensor {
    return x.tril(-1).add(diagEmbed(x.diagonal(0, -2, -1).exp()));
  }
  override inverse(y: Tensor): Tensor {
    return y.tril(-1).add(diagEmbed(y.diagonal(0, -2, -1).log()));
  }
}

/** The same numbers in another shape. */
export class ReshapeTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;
  constructor(
    readonly inShape: Shape,
    readonly outShape: Shape,
  ) {
    super();
    if (numel(inShape) !== numel(outShape))
      fail('E208', {
        problem: `ReshapeTransform: ${formatShape(inShape)} and ${formatShape(outShape)} have different numbers of elements`,
      });
    this.domainDims = inShape.length;
    this.codomainDims = outShape.length;
  }
  override forward(x: Tensor): Tensor {
    return x.reshape(this.forwardShape(x.shape));
  }
  override inverse(y: Tensor): Tensor {
    return y.reshape(this.inverseShape(y.shape));
  }
  override logAbsDetJacobian(x: Tensor): Tensor {
    return x.newZeros(x.shape.slice(0, x.ndim - this.domainDims));
  }
  override forwardShape(shape: Shape): Shape {
    return [...shape.slice(0, shape.length - this.domainDims), ...this.outShape];
  }
  override inverseShape(shape: Shape): Shape {
    return [...shape.slice(0, shape.length - this.codomainDims), ...this.inShape];
  }
}

// ── made of others ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** More of the last dims as dims of one value. */
export class IndependentTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;
  override readonly codomain: Domain;
  constructor(
    readonly base: Transform,
    readonly reinterpretedBatchNdims: number,
  ) {
    super();
    this.domainDims = base.domainDims + reinterpretedBatchNdims;
    this.codomainDims = base.codomainDims + reinterpretedBatchNdims;
    this.codomain = base.codomain;
  }
  override get sign(): Tensor | number {
    return this.base.sign;
  }
  override forward(x: Tensor): Tensor {
    return this.base.forward(x);
  }
  override inverse(y: Tensor): Tensor {
    return this.base.inverse(y);
  }
  override logAbsDetJacobian(x: Tensor, y: Tensor): Tensor {
    return sumRightmost(this.base.logAbsDetJacobian(x, y), this.reinterpretedBatchNdims);
  }
  override forwardShape(shape: Shape): Shape {
    return this.base.forwardShape(shape);
  }
  override inverseShape(shape: Shape): Shape {
    return this.base.inverseShape(shape);
  }
}

/** One after another. */
export class ComposeTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;
  override readonly codomain: Domain;
  constructor(readonly parts: readonly Transform[]) {
    super();
    this.domainDims = parts.reduceRight(
      (dims, part) => Math.max(dims + part.domainDims - part.codomainDims, part.domainDims),
      parts.at(-1)?.codomainDims ?? 0,
    );
    this.codomainDims = parts.reduce(
      (dims, part) => Math.max(dims + part.codomainDims - part.domainDims, part.codomainDims),
      parts[0]?.domainDims ?? 0,
    );
    this.codomain = parts.at(-1)?.codomain ?? real;
  }
  override get sign(): Tensor | number {
    return this.parts.reduce((sign: Tensor | number, part) => times(sign, part.sign), 1);
  }
  override forward(x: Tensor): Tensor {
    return this.parts.reduce((value, part) => part.forward(value), x);
  }
  override inverse(y: Tensor): Tensor {
    return this.parts.reduceRight((value, part) => part.inverse(value), y);
  }
  override logAbsDetJacobian(x: Tensor, y: Tensor): Tensor {
    let [before, dims] = [x, this.domainDims];
    let total: Tensor | null = null;
    for (const [i, part] of this.parts.entries()) {
      const after = i === this.parts.length - 1 ? y : part.forward(before);
      const term = sumRightmost(part.logAbsDetJacobian(before, after), dims - part.domainDims);
      total = total === null ? term : total.add(term);
      dims += part.codomainDims - part.domainDims;
      before = after;
    }
    return total ?? zerosLike(x);
  }
  override forwardShape(shape: Shape): Shape {
    return this.parts.reduce((found, part) => part.forwardShape(found), shape);
  }
  override inverseShape(shape: Shape): Shape {
    return this.parts.reduceRight((found, part) => part.inverseShape(found), shape);
  }
  override get inv(): Transform {
    return new ComposeTransform([...this.parts].reverse().map(part => part.inv));
  }
}

function times(a: Tensor | number, b: Tensor | number): Tensor | number {
  if (a instanceof Tensor) return a.mul(b);
  return b instanceof Tensor ? b.mul(a) : a * b;
}
