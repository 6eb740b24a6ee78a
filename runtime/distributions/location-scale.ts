/** Distributions of a standard variable times a scale plus a location, and functions of them. */
import { precisionOf } from '../../compiler/ir/dtype.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { fullLike, zerosLike } from '../../compiler/ops/creation.js';
import { where } from '../../compiler/ops/selection.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import '../random.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { type Domain, nonnegative, positive, real } from './domain.js';

/** Euler's constant. */
export const gamma = 0.57721566490153286;

abstract class LocationScale extends Distribution {
  readonly loc: Tensor;
  readonly scale: Tensor;

  constructor(loc: ParameterValue, scale: ParameterValue, options: DistributionOptions = {}) {
    const [location, width] = broadcastAll(loc, scale);
    super(location.shape, [], options);
    this.checkParameter('loc', location, real);
    this.checkParameter('scale', width, positive);
    this.loc = location;
    this.scale = width;
  }
  get support(): Domain {
    return real;
  }
  /** Values of location 0 and scale 1. */
  protected abstract standard(shape: Shape): Tensor;
  override rsample(sampleShape: Shape = []): Tensor {
    return this.loc.add(this.standard(this.extendedShape(sampleShape)).mul(this.scale));
  }
  /** New values of the parameters' dtype, to be filled. */
  protected unfilled(shape: Shape): Tensor {
    return empty(shape, { dtype: this.loc.dtype });
  }
  protected standardized(value: Tensor): Tensor {
    this.checkSample(value);
    return value.sub(this.loc).div(this.scale);
  }
}

export class Normal extends LocationScale {
  get mean(): Tensor {
    return this.loc;
  }
  override get mode(): Tensor {
    return this.loc;
  }
  override get stddev(): Tensor {
    return this.scale;
  }
  get variance(): Tensor {
    return this.scale.square();
  }
  protected standard(shape: Shape): Tensor {
    return this.unfilled(shape).normal_();
  }
  logProb(value: Tensor): Tensor {
    return this.standardized(value)
      .square()
      .mul(-0.5)
      .sub(this.scale.log())
      .sub(Math.log(2 * Math.PI) / 2);
  }
  override cdf(value: Tensor): Tensor {
    return this.standardized(value).mul(Math.SQRT1_2).erf().add(1).mul(0.5);
  }
  override icdf(value: Tensor): Tensor {
    return this.loc.add(value.mul(2).sub(1).erfinv().mul(this.scale).mul(Math.SQRT2));
  }
  override entropy(): Tensor {
    return this.scale.log().add(0.5 + Math.log(2 * Math.PI) / 2);
  }
}

export class Laplace extends LocationScale {
  get mean(): Tensor {
    return this.loc;
  }
  override get mode(): Tensor {
    return this.loc;
  }
  get variance(): Tensor {
    return this.scale.square().mul(2);
  }
  protected standard(shape: Shape): Tensor {
    const u = this.unfilled(shape).uniform_(precisionOf(this.loc.dtype).epsilon - 1, 1);
    return u.sign().mul(u.abs().neg().log1p()).neg();
  }
  logProb(value: Tensor): Tensor {
    return this.standardized(value).abs().neg().sub(this.scale.mul(2).log());
  }
  override cdf(value: Tensor): Tensor {
    const z = this.standardized(value);
    return z.sign().mul(z.abs().neg().expm1()).mul(-0.5).add(0.5);
  }
  override icdf(value: Tensor): Tensor {
    const term = value.sub(0.5);
    return this.loc.sub(this.scale.mul(term.sign()).mul(term.abs().mul(-2).log1p()));
  }
  override entropy(): Tensor {
    return this.scale.mul(2).log().add(1);
  }
}

export class Cauchy extends LocationScale {
  get mean(): Tensor {
    return fullLike(this.loc, Number.NaN);
  }
  override get mode(): Tensor {
    return this.loc;
  }
  get variance(): Tensor {
    return fullLike(this.loc, Number.POSITIVE_INFINITY);
  }
  protected standard(shape: Shape): Tensor {
    return this.unfilled(shape).cauchy_();
  }
  logProb(value: Tensor): Tensor {
    return this.standardized(value).square().log1p().add(this.scale.log()).neg().sub(Math.log(Math.PI));
  }
  override cdf(value: Tensor): Tensor {
    return this.standardized(value).atan().div(Math.PI).add(0.5);
  }
  override icdf(value: Tensor): Tensor {
    return value.sub(0.5).mul(Math.PI).tan().mul(this.scale).add(this.loc);
  }
  override entropy(): Tensor {
    return this.scale.log().add(Math.log(4 * Math.PI));
  }
}

export class Gumbel extends LocationScale {
  get mean(): Tensor {
    return this.loc.add(this.scale.mul(gamma));
  }
  override get mode(): Tensor {
    return this.loc;
  }
  get variance(): Tensor {
    return this.scale.square().mul(Math.PI ** 2 / 6);
  }
  protected standard(shape: Shape): Tensor {
    const { smallestNormal: low, epsilon } = precisionOf(this.loc.dtype);
    const high = 1 - epsilon;
    return this.unfilled(shape)
      .uniform_(0, 1)
      .mul(high - low)
      .add(low)
      .log()
      .neg()
      .log()
      .neg();
  }
  logProb(value: Tensor): Tensor {
    const z = this.standardized(value).neg();
    return z.sub(z.exp()).sub(this.scale.log());
  }
  override cdf(value: Tensor): Tensor {
    return this.standardized(value).neg().exp().neg().exp();
  }
  override icdf(value: Tensor): Tensor {
    return this.loc.sub(this.scale.mul(value.log().neg().log()));
  }
  override entropy(): Tensor {
    return this.scale.log().add(1 + gamma);
  }
}

/** The exponential of a normal variable; `loc` and `scale` are that variable's. */
export class LogNormal extends LocationScale {
  readonly #base: Normal;
  constructor(loc: ParameterValue, scale: ParameterValue, options: DistributionOptions = {}) {
    super(loc, scale, options);
    this.#base = new Normal(this.loc, this.scale, { validateArgs: false });
  }
  override get support(): Domain {
    return positive;
  }
  get mean(): Tensor {
    return this.loc.add(this.scale.square().div(2)).exp();
  }
  override get mode(): Tensor {
    return this.loc.sub(this.scale.square()).exp();
  }
  get variance(): Tensor {
    const spread = this.scale.square();
    return spread.expm1().mul(this.loc.mul(2).add(spread).exp());
  }
  protected standard(shape: Shape): Tensor {
    return this.unfilled(shape).normal_();
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return super.rsample(sampleShape).exp();
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const log = value.log();
    return this.#base.logProb(log).sub(log);
  }
  override cdf(value: Tensor): Tensor {
    this.checkSample(value);
    return this.#base.cdf(value.log());
  }
  override icdf(value: Tensor): Tensor {
    return this.#base.icdf(value).exp();
  }
  override entropy(): Tensor {
    return this.#base.entropy().add(this.loc);
  }
}

/** The magnitude of a variable that is symmetric around 0. */
abstract class Magnitude extends Distribution {
  readonly scale: Tensor;
  readonly #signed: LocationScale;
  constructor(
    signed: new (loc: Tensor, scale: Tensor, options: DistributionOptions) => LocationScale,
    scale: ParameterValue,
    options: DistributionOptions = {},
  ) {
    const [width] = broadcastAll(scale);
    super(width.shape, [], options);
    this.checkParameter('scale', width, positive);
    this.scale = width;
    this.#signed = new signed(zerosLike(width), width, { validateArgs: false });
  }
  get support(): Domain {
    return nonnegative;
  }
  override get mode(): Tensor {
    return zerosLike(this.scale);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return this.#signed.rsample(sampleShape).abs();
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const density = this.#signed.logProb(value).add(Math.LN2);
    return where(value.ge(0), density, Number.NEGATIVE_INFINITY);
  }
  override cdf(value: Tensor): Tensor {
    this.checkSample(value);
    return this.#signed.cdf(value).mul(2).sub(1);
  }
  override icdf(value: Tensor): Tensor {
    return this.#signed.icdf(value.add(1).div(2));
  }
  override entropy(): Tensor {
    return this.#signed.entropy().sub(Math.LN2);
  }
}

export class HalfNormal extends Magnitude {
  constructor(scale: ParameterValue, options?: DistributionOptions) {
    super(Normal, scale, options);
  }
  get mean(): Tensor {
    return this.scale.mul(Math.sqrt(2 / Math.PI));
  }
  get variance(): Tensor {
    return this.scale.square().mul(1 - 2 / Math.PI);
  }
}

export class HalfCauchy extends Magnitude {
  constructor(scale: ParameterValue, options?: DistributionOptions) {
    super(Cauchy, scale, options);
  }
  get mean(): Tensor {
    return fullLike(this.scale, Number.POSITIVE_INFINITY);
  }
  get variance(): Tensor {
    return fullLike(this.scale, Number.POSITIVE_INFINITY);
  }
}
