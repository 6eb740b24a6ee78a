/** Distributions on an interval and on half a line. */
import { fail } from '../../compiler/errors.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { requireValues } from '../../compiler/ops/checks.js';
import { zerosLike } from '../../compiler/ops/creation.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import { rand } from '../random.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { between, type Domain, nonnegative, positive } from './domain.js';

/** Equally likely from `low` up to, but without, `high`. */
export class Uniform extends Distribution {
  readonly low: Tensor;
  readonly high: Tensor;
  constructor(low: ParameterValue, high: ParameterValue, options: DistributionOptions = {}) {
    const [from, to] = broadcastAll(low, high);
    super(from.shape, [], options);
    if (options.validateArgs !== false) checkOrder(from, to);
    this.low = from;
    this.high = to;
  }
  get support(): Domain {
    return between(this.low.detach(), this.high.detach());
  }
  get mean(): Tensor {
    return this.high.add(this.low).div(2);
  }
  /** None in particular: NaN, as in PyTorch. */
  override get mode(): Tensor {
    return this.high.mul(Number.NaN);
  }
  override get stddev(): Tensor {
    return this.high.sub(this.low).div(Math.sqrt(12));
  }
  get variance(): Tensor {
    return this.high.sub(this.low).square().div(12);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const drawn = rand(this.extendedShape(sampleShape), { dtype: this.low.dtype });
    return this.low.add(drawn.mul(this.high.sub(this.low)));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const isInside = this.low.le(value).logicalAnd(this.high.gt(value)).to(this.low.dtype);
    return isInside.log().sub(this.high.sub(this.low).log());
  }
  override cdf(value: Tensor): Tensor {
    this.checkSample(value);
    return value.sub(this.low).div(this.high.sub(this.low)).clamp(0, 1);
  }
  override icdf(value: Tensor): Tensor {
    return value.mul(this.high.sub(this.low)).add(this.low);
  }
  override entropy(): Tensor {
    return this.high.sub(this.low).log();
  }
}

const checkOrder = (low: Tensor, high: Tensor): void =>
  requireValues(high.detach().sub(low.detach()), {
    op: 'distributions.Uniform',
    accepts: width => width > 0,
    acceptsAll: widths => widths.gt(0),
    refuse: () => fail('E208', { problem: 'Uniform is not defined when low >= high' }),
  });

/** The time to the next of events that happen at a rate. */
export class Exponential extends Distribution {
  readonly rate: Tensor;
  constructor(rate: ParameterValue, options: DistributionOptions = {}) {
    const [frequency] = broadcastAll(rate);
    super(frequency.shape, [], options);
    this.checkParameter('rate', frequency, positive);
    this.rate = frequency;
  }
  get support(): Domain {
    return nonnegative;
  }
  get mean(): Tensor {
    return this.rate.reciprocal();
  }
  override get mode(): Tensor {
    return zerosLike(this.rate);
  }
  override get stddev(): Tensor {
    return this.rate.reciprocal();
  }
  get variance(): Tensor {
    return this.rate.pow(-2);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return empty(this.extendedShape(sampleShape), { dtype: this.rate.dtype }).exponential_().div(this.rate);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    return this.rate.log().sub(this.rate.mul(value));
  }
  override cdf(value: Tensor): Tensor {
    this.checkSample(value);
    return this.rate.neg().mul(value).expm1().neg();
  }
  override icdf(value: Tensor): Tensor {
    return value.neg().log1p().neg().div(this.rate);
  }
  override entropy(): Tensor {
    return this.rate.log().neg().add(1);
  }
}
