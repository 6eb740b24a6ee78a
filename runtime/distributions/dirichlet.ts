/** Shares that add up to 1: the Dirichlet distribution, and the beta distribution of one of two shares. */
import { fail } from '../../compiler/errors.js';
import { precisionOf } from '../../compiler/ir/dtype.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { oneHot } from '../../compiler/ops/indexing.js';
import { where } from '../../compiler/ops/selection.js';
import { stack } from '../../compiler/ops/shape.js';
import { digamma, lgamma } from '../../compiler/ops/special.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { type Domain, positive, simplex, unitInterval } from './domain.js';
import { standardGamma } from './gamma-draws.js';
import { betaSlope } from './reparameterization.js';

/** Standard gamma variables by their sum. */
export class Dirichlet extends Distribution {
  readonly concentration: Tensor;
  constructor(concentration: Tensor, options: DistributionOptions = {}) {
    if (concentration.ndim < 1) fail('E208', { problem: 'Dirichlet: concentration must have at least one dim' });
    super(concentration.shape.slice(0, -1), concentration.shape.slice(-1), options);
    this.checkParameter('concentration', concentration, positive);
    this.concentration = concentration;
  }
  get support(): Domain {
    return simplex;
  }
  get mean(): Tensor {
    return this.concentration.div(this.concentration.sum(-1, { keepdim: true }));
  }
  override get mode(): Tensor {
    const above = this.concentration.sub(1).clamp(0);
    const mode = above.div(above.sum(-1, { keepdim: true }));
    const isAtCorner = this.concentration.lt(1).all(-1, { keepdim: true });
    return where(isAtCorner, oneHot(mode.argmax(-1), this.eventShape[0]).to(mode.dtype), mode);
  }
  get variance(): Tensor {
    const total = this.concentration.sum(-1, { keepdim: true });
    return this.concentration.mul(total.sub(this.concentration)).div(total.square().mul(total.add(1)));
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const concentration = this.concentration.expand(this.extendedShape(sampleShape));
    const { smallestNormal, epsilon } = precisionOf(concentration.dtype);
    const gamma = standardGamma(concentration);
    const shares = noGrad(() => gamma.div(gamma.sum(-1, { keepdim: true })).to(concentration.dtype));
    const sample = shares.clamp(smallestNormal, 1 - epsilon / 2);
    return concentration.requiresGrad ? withGradient(sample, concentration) : sample;
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const { concentration } = this;
    const powers = value.log().mul(concentration.sub(1)).sum(-1);
    return powers.add(lgamma(concentration.sum(-1))).sub(lgamma(concentration).sum(-1));
  }
  override entropy(): Tensor {
    const { concentration } = this;
    const total = concentration.sum(-1);
    return lgamma(concentration)
      .sum(-1)
      .sub(lgamma(total))
      .sub(total.neg().add(this.eventShape[0]).mul(digamma(total)))
      .sub(concentration.sub(1).mul(digamma(concentration)).sum(-1));
  }
}

/** Each share moves with its own parameter as a beta variable does, and the others make room in proportion. */
function withGradient(sample: Tensor, concentration: Tensor): Tensor {
  const alpha = concentration.detach();
  const rest = alpha.sum(-1, { keepdim: true }).sub(alpha);
  const moved = concentration.sub(alpha).mul(betaSlope(sample, alpha, rest).div(sample.neg().add(1)));
  return sample.add(moved.sub(sample.mul(moved.sum(-1, { keepdim: true }))));
}

/** A share between 0 and 1: of two gamma variables, the first by their sum. */
export class Beta extends Distribution {
  readonly #dirichlet: Dirichlet;
  constructor(concentration1: ParameterValue, concentration0: ParameterValue, options: DistributionOptions = {}) {
    const [first, second] = broadcastAll(concentration1, concentration0);
    super(first.shape, [], options);
    this.checkParameter('concentration1', first, positive);
    this.checkParameter('concentration0', second, positive);
    this.#dirichlet = new Dirichlet(stack([first, second], -1), { validateArgs: false });
  }
  get concentration1(): Tensor {
    return this.#dirichlet.concentration.select(-1, 0);
  }
  get concentration0(): Tensor {
    return this.#dirichlet.concentration.select(-1, 1);
  }
  get support(): Domain {
    return unitInterval;
  }
  get mean(): Tensor {
    return this.#dirichlet.mean.select(-1, 0);
  }
  override get mode(): Tensor {
    return this.#dirichlet.mode.select(-1, 0);
  }
  get variance(): Tensor {
    return this.#dirichlet.variance.select(-1, 0);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return this.#dirichlet.rsample(sampleShape).select(-1, 0);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    return this.#dirichlet.logProb(stack([value, value.neg().add(1)], -1));
  }
  override entropy(): Tensor {
    return this.#dirichlet.entropy();
  }
}
