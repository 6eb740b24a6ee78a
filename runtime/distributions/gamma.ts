/** The gamma distribution, and those made of it: chi-squared and Student's t. */
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
