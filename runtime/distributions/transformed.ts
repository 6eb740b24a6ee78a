/** Distributions of functions of random variables, and those that are such: Pareto's, Weibull's, Kumaraswamy's and the logistic normal one. */
import { fail } from '../../compiler/errors.js';
import { type Shape, sameShape } from '../../compiler/ir/shape.js';
import { digamma, lgamma } from '../../compiler/ops/special.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Exponential, Uniform } from './continuous.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { atLeast, type Domain, positive, unitInterval } from './domain.js';
import { gamma, Normal } from './location-scale.js';
import { Independent } from './multivariate.js';
import {
  AffineTransform,
  ComposeTransform,
  ExpTransform,
  PowerTransform,
  StickBreakingTransform,
  sumRightmost,
  type Transform,
} from './transforms.js';

/** What a base distribution draws, given to one transform after another. */
export class TransformedDistribution extends Distribution {
  readonly base: Distribution;
  readonly transforms: readonly Transform[];
  constructor(base: Distribution, transforms: Transform | readonly Transform[], options: DistributionOptions = {}) {
    const all = Array.isArray(transforms) ? (transforms as readonly Transform[]) : [transforms as Transform];
    const whole = new ComposeTransform(all);
    const baseShape = [...base.batchShape, ...base.eventShape];
    if (baseShape.length < whole.domainDims)
      fail('E208', {
        problem: `TransformedDistribution: the base distribution must have at least ${whole.domainDims} dims, but has ${baseShape.length}`,
      });
    const shape = whole.forwardShape(baseShape);
    const drawnShape = whole.inverseShape(shape);
    const expanded = sameShape(drawnShape, baseShape) ? base : new Repeated(base, drawnShape);
    const reinterpreted = whole.domainDims - base.eventShape.length;
    const eventDims = whole.codomainDims + Math.max(-reinterpreted, 0);
    const cut = shape.length - eventDims;
    super(shape.slice(0, cut), shape.slice(cut), options);
    this.base = reinterpreted > 0 ? new Independent(expanded, reinterpreted) : expanded;
    this.transforms = all;
  }
  get support(): Domain {
    return this.transforms.at(-1)?.codomain ?? this.base.support;
  }
  get mean(): Tensor {
    return this.lacks('mean');
  }
  get variance(): Tensor {
    return this.lacks('variance');
  }
  private forward(x: Tensor): Tensor {
    return this.transforms.reduce((value, transform) => transform.forward(value), x);
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => this.forward(this.base.sample(sampleShape)));
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return this.forward(this.base.rsample(sampleShape));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    let dims = this.eventShape.length;
    let stretch: Tensor | null = null;
    const x = this.transforms.reduceRight((y, transform) => {
      const before = transform.inverse(y);
      dims += transform.domainDims - transform.codomainDims;
      const term = sumRightmost(transform.logAbsDetJacobian(before, y), dims - transform.domainDims);
      stretch = stretch === null ? term : stretch.add(term);
      return before;
    }, value);
    const density = sumRightmost(this.base.logProb(x), dims - this.base.eventShape.length);
    return stretch === null ? density : density.sub(stretch);
  }
  /** A probability, from the other end where the transforms turn the order round. */
  private turned(probability: Tensor): Tensor {
    const { sign } = new ComposeTransform(this.transforms);
    return sign === 1 ? probability : probability.sub(0.5).mul(sign).add(0.5);
  }
  override cdf(value: Tensor): Tensor {
    return this.turned(this.base.cdf(this.transforms.reduceRight((y, transform) => transform.inverse(y), value)));
  }
  override icdf(value: Tensor): Tensor {
    return this.forward(this.base.icdf(this.turned(value)));
  }
}

/** A distribution drawn from anew for each place of a larger batch. */
class Repeated extends Distribution {
  readonly #leading: Shape;
  constructor(
    private readonly base: Distribution,
    shape: Shape,
  ) {
    const own = [...base.batchShape, ...base.eventShape];
    const leading = shape.slice(0, shape.length - own.length);
    if (!sameShape(shape.slice(leading.length), own))
      fail('E208', {
        problem: `TransformedDistribution: the transforms make shape [${shape.join(', ')}] of the base distribution's [${own.join(', ')}]`,
        hint: 'give the base distribution parameters of that shape',
      });
    super([...leading, ...base.batchShape], base.eventShape, { validateArgs: false });
    this.#leading = leading;
  }
  get support(): Domain {
    return this.base.support;
  }
  get mean(): Tensor {
    return this.base.mean.expand([...this.batchShape, ...this.eventShape]);
  }
  get variance(): Tensor {
    return this.base.variance.expand([...this.batchShape, ...this.eventShape]);
  }
  override sample(sampleShape: Shape = []): Tensor {
    return this.base.sample([...sampleShape, ...this.#leading]);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return this.base.rsample([...sampleShape, ...this.#leading]);
  }
  logProb(value: Tensor): Tensor {
    return this.base.logProb(value);
  }
  override cdf(value: Tensor): Tensor {
    return this.base.cdf(value);
  }
  override icdf(value: Tensor): Tensor {
    return this.base.icdf(value);
  }
}

/** At least `scale`, with a tail that falls as a power: the exponential of an exponential variable. */
export class Pareto extends TransformedDistribution {
  readonly scale: Tensor;
  readonly alpha: Tensor;
  constructor(scale: ParameterValue, alpha: ParameterValue, options: DistributionOptions = {}) {
    const [least, power] = broadcastAll(scale, alpha);
    super(new Exponential(power, options), [new ExpTransform(), new AffineTransform(0, least)], options);
    this.checkParameter('scale', least, positive);
    this.scale = least;
    this.alpha = power;
  }
  override get support(): Domain {
    return atLeast(this.scale.detach());
  }
  /** Infinite for alpha <= 1. */
  override get mean(): Tensor {
    const alpha = this.alpha.clamp(1);
    return alpha.mul(this.scale).div(alpha.sub(1));
  }
  override get mode(): Tensor {
    return this.scale;
  }
  /** Infinite for alpha <= 2. */
  override get variance(): Tensor {
    const alpha = this.alpha.clamp(2);
    return this.scale
      .square()
      .mul(alpha)
      .div(alpha.sub(1).square().mul(alpha.sub(2)));
  }
  override entropy(): Tensor {
    return this.scale.div(this.alpha).log().add(this.alpha.reciprocal().add(1));
  }
}

/** The time to a failure whose rate grows or falls as a power of time: a power of an exponential variable. */
export class Weibull extends TransformedDistribution {
  readonly scale: Tensor;
  readonly concentration: Tensor;
  constructor(scale: ParameterValue, concentration: ParameterValue, options: DistributionOptions = {}) {
    const [width, power] = broadcastAll(scale, concentration);
    const transforms = [new PowerTransform(power.reciprocal()), new AffineTransform(0, width)];
    super(new Exponential(width.detach().zerosLike().add(1)), transforms, options);
    this.checkParameter('scale', width, positive);
    this.checkParameter('concentration', power, positive);
    this.scale = width;
    this.concentration = power;
  }
  override get support(): Domain {
    return positive;
  }
  private moment(order: number): Tensor {
    return lgamma(this.concentration.reciprocal().mul(order).add(1));
  }
  override get mean(): Tensor {
    return this.scale.mul(this.moment(1).exp());
  }
  override get mode(): Tensor {
    const { concentration } = this;
    return this.scale.mul(concentration.sub(1).div(concentration).pow(concentration.reciprocal()));
  }
  override get variance(): Tensor {
    return this.scale.square().mul(this.moment(2).exp().sub(this.moment(1).mul(2).exp()));
  }
  override entropy(): Tensor {
    const shape = this.concentration.reciprocal();
    return shape.neg().add(1).mul(gamma).add(this.scale.mul(shape).log()).add(1);
  }
}

/** Between 0 and 1 like a beta variable, with a distribution function in closed form. */
export class Kumaraswamy extends TransformedDistribution {
  readonly concentration1: Tensor;
  readonly concentration0: Tensor;
  constructor(concentration1: ParameterValue, concentration0: ParameterValue, options: DistributionOptions = {}) {
    const [a, b] = broadcastAll(concentration1, concentration0);
    const zeros = b.detach().zerosLike();
    const transforms = [
      new PowerTransform(b.reciprocal()),
      new AffineTransform(1, -1),
      new PowerTransform(a.reciprocal()),
    ];
    super(new Uniform(zeros, zeros.add(1), options), transforms, options);
    this.checkParameter('concentration1', a, positive);
    this.checkParameter('concentration0', b, positive);
    this.concentration1 = a;
    this.concentration0 = b;
  }
  override get support(): Domain {
    return unitInterval;
  }
  private moment(order: number): Tensor {
    const { concentration1: a, concentration0: b } = this;
    const power = a.reciprocal().mul(order).add(1);
    return lgamma(power)
      .add(lgamma(b))
      .sub(lgamma(power.add(b)))
      .exp()
      .mul(b);
  }
  override get mean(): Tensor {
    return this.moment(1);
  }
  override get variance(): Tensor {
    return this.moment(2).sub(this.moment(1).square());
  }
  override entropy(): Tensor {
    const { concentration1: a, concentration0: b } = this;
    const harmonic = digamma(b.add(1)).add(gamma);
    return b.reciprocal().neg().add(1).add(a.reciprocal().neg().add(1).mul(harmonic)).sub(a.log()).sub(b.log());
  }
}

/** Shares that add up to 1, made of normal variables by breaking a stick. */
export class LogisticNormal extends TransformedDistribution {
  readonly loc: Tensor;
  readonly scale: Tensor;
  constructor(loc: ParameterValue, scale: ParameterValue, options: DistributionOptions = {}) {
    const [center, width] = broadcastAll(loc, scale).map(value => (value.ndim === 0 ? value.unsqueeze(0) : value));
    super(new Normal(center, width, options), new StickBreakingTransform(), options);
    this.loc = center;
    this.scale = width;
  }
}
