/** The gamma distribution, and those made of it: chi-squared, Student's t and Fisher's F. */
import { precisionOf } from '../../compiler/ir/dtype.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { where } from '../../compiler/ops/selection.js';
import { digamma, lgamma } from '../../compiler/ops/special.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { type Domain, nonnegative, positive, real } from './domain.js';
import { standardGamma } from './gamma-draws.js';
import { gammaSlope, withSlope } from './reparameterization.js';

/** The time to the `concentration`-th of events that happen at a rate. */
export class Gamma extends Distribution {
  readonly concentration: Tensor;
  readonly rate: Tensor;
  constructor(concentration: ParameterValue, rate: ParameterValue, options: DistributionOptions = {}) {
    const [shape, frequency] = broadcastAll(concentration, rate);
    super(shape.shape, [], options);
    this.checkParameter('concentration', shape, positive);
    this.checkParameter('rate', frequency, positive);
    this.concentration = shape;
    this.rate = frequency;
  }
  get support(): Domain {
    return nonnegative;
  }
  get mean(): Tensor {
    return this.concentration.div(this.rate);
  }
  override get mode(): Tensor {
    return this.concentration.sub(1).div(this.rate).clamp(0);
  }
  get variance(): Tensor {
    return this.concentration.div(this.rate.square());
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const shape = this.concentration.expand(this.extendedShape(sampleShape));
    const least = precisionOf(shape.dtype).smallestNormal;
    const sample = standardGamma(shape).to(shape.dtype).clamp(least);
    const moving = shape.requiresGrad ? withSlope(sample, shape, gammaSlope(sample, shape)) : sample;
    return moving.div(this.rate).clamp(least);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const { concentration, rate } = this;
    return concentration
      .xlogy(rate)
      .add(concentration.sub(1).xlogy(value))
      .sub(rate.mul(value))
      .sub(lgamma(concentration));
  }
  override cdf(value: Tensor): Tensor {
    this.checkSample(value);
    return this.concentration.igamma(this.rate.mul(value));
  }
  override entropy(): Tensor {
    const { concentration, rate } = this;
    return concentration
      .sub(rate.log())
      .add(lgamma(concentration))
      .add(concentration.neg().add(1).mul(digamma(concentration)));
  }
}

/** The sum of the squares of `df` standard normal variables. */
export class Chi2 extends Gamma {
  constructor(df: ParameterValue, options: DistributionOptions = {}) {
    const [degrees] = broadcastAll(df);
    super(degrees.mul(0.5), 0.5, options);
  }
  get df(): Tensor {
    return this.concentration.mul(2);
  }
}

/** A normal variable over the root of an independent chi-squared one per degree of freedom. */
export class StudentT extends Distribution {
  readonly df: Tensor;
  readonly loc: Tensor;
  readonly scale: Tensor;
  readonly #chi2: Chi2;
  constructor(
    df: ParameterValue,
    loc: ParameterValue = 0,
    scale: ParameterValue = 1,
    options: DistributionOptions = {},
  ) {
    const [degrees, location, width] = broadcastAll(df, loc, scale);
    super(degrees.shape, [], options);
    this.checkParameter('df', degrees, positive);
    this.checkParameter('loc', location, real);
    this.checkParameter('scale', width, positive);
    this.df = degrees;
    this.loc = location;
    this.scale = width;
    this.#chi2 = new Chi2(degrees, { validateArgs: false });
  }
  get support(): Domain {
    return real;
  }
  get mean(): Tensor {
    return where(this.df.gt(1), this.loc, Number.NaN);
  }
  override get mode(): Tensor {
    return this.loc;
  }
  get variance(): Tensor {
    const { df } = this;
    const isFinite = df.gt(2);
    const finite = this.scale
      .square()
      .mul(df)
      .div(where(isFinite, df.sub(2), 1));
    return where(isFinite, finite, where(df.gt(1), Number.POSITIVE_INFINITY, Number.NaN));
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const x = empty(this.extendedShape(sampleShape), { dtype: this.df.dtype }).normal_();
    const z = this.#chi2.rsample(sampleShape);
    return this.loc.add(this.scale.mul(x.mul(z.div(this.df).rsqrt())));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const { df, scale } = this;
    const half = df.add(1).mul(0.5);
    const normalizer = scale
      .log()
      .add(df.log().mul(0.5))
      .add(0.5 * Math.log(Math.PI))
      .add(lgamma(df.mul(0.5)))
      .sub(lgamma(half));
    const y = value.sub(this.loc).div(scale);
    return half.mul(y.square().div(df).log1p()).neg().sub(normalizer);
  }
  override entropy(): Tensor {
    const { df, scale } = this;
    const half = df.add(1).mul(0.5);
    const logBeta = lgamma(df.mul(0.5))
      .add(0.5 * Math.log(Math.PI))
      .sub(lgamma(half));
    const spread = half.mul(digamma(half).sub(digamma(df.mul(0.5))));
    return scale.log().add(spread).add(df.log().mul(0.5)).add(logBeta);
  }
}

/** The ratio of two independent chi-squared variables, each over its degrees of freedom. */
export class FisherSnedecor extends Distribution {
  readonly df1: Tensor;
  readonly df2: Tensor;
  constructor(df1: ParameterValue, df2: ParameterValue, options: DistributionOptions = {}) {
    const [above, below] = broadcastAll(df1, df2);
    super(above.shape, [], options);
    this.checkParameter('df1', above, positive);
    this.checkParameter('df2', below, positive);
    this.df1 = above;
    this.df2 = below;
  }
  get support(): Domain {
    return positive;
  }
  get mean(): Tensor {
    const { df2 } = this;
    return where(df2.gt(2), df2.div(df2.sub(2)), Number.NaN);
  }
  override get mode(): Tensor {
    const { df1, df2 } = this;
    const mode = df1.sub(2).div(df1).mul(df2).div(df2.add(2));
    return where(df1.gt(2), mode, Number.NaN);
  }
  get variance(): Tensor {
    const { df1, df2 } = this;
    const above = df2.square().mul(2).mul(df1.add(df2).sub(2));
    const below = df1.mul(df2.sub(2).square()).mul(df2.sub(4));
    return where(df2.gt(4), above.div(below), Number.NaN);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const perDegree = (df: Tensor): Tensor => new Gamma(df.mul(0.5), df, { validateArgs: false }).rsample(sampleShape);
    const [above, below] = [perDegree(this.df1), perDegree(this.df2)];
    return above.div(below).clamp(precisionOf(above.dtype).smallestNormal);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const [a, b, ratio] = [this.df1.mul(0.5), this.df2.mul(0.5), this.df1.div(this.df2)];
    const both = a.add(b);
    const normalizer = lgamma(both).sub(lgamma(a)).sub(lgamma(b));
    const powers = a.mul(ratio.log()).add(a.sub(1).mul(value.log()));
    return normalizer.add(powers).sub(both.mul(ratio.mul(value).log1p()));
  }
}
