/**
 * Outcomes made continuous, so that samples have a gradient: Maddison, Mnih and Teh, "The concrete distribution" (2017); Jang,
 * Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2017). And whole ones with the gradient of their
 * probabilities: Bengio, Léonard and Courville, "Estimating or propagating gradients through stochastic neurons" (2013).
 */
import type { Shape } from '../../compiler/ir/shape.js';
import { broadcastTensors } from '../../compiler/ops/joining.js';
import { lgamma } from '../../compiler/ops/special.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { rand } from '../random.js';
import { Bernoulli, Categorical, type Chances, inside, OneHotCategorical } from './discrete.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { type Domain, real, simplex, unitInterval } from './domain.js';
import { TransformedDistribution } from './transformed.js';
import { ExpTransform, SigmoidTransform, type Transform } from './transforms.js';

/** A choice before it is squashed into its range: parameters are those of the hard choice, and how near to it draws should be. */
abstract class Unsquashed extends Distribution {
  readonly temperature: Tensor;
  constructor(
    temperature: ParameterValue,
    private readonly hard: Bernoulli | Categorical,
    eventShape: Shape,
    options: DistributionOptions,
  ) {
    super(hard.batchShape, eventShape, options);
    this.temperature = broadcastAll(temperature)[0];
  }
  get probs(): Tensor {
    return this.hard.probs;
  }
  get logits(): Tensor {
    return this.hard.logits;
  }
  get support(): Domain {
    return real;
  }
  get mean(): Tensor {
    return this.lacks('mean');
  }
  get variance(): Tensor {
    return this.lacks('variance');
  }
}

/** A choice made continuous. */
abstract class Relaxed extends TransformedDistribution {
  constructor(
    private readonly unsquashed: Unsquashed,
    squash: Transform,
    private readonly range: Domain,
    options: DistributionOptions,
  ) {
    super(unsquashed, squash, options);
  }
  override get support(): Domain {
    return this.range;
  }
  get temperature(): Tensor {
    return this.unsquashed.temperature;
  }
  get probs(): Tensor {
    return this.unsquashed.probs;
  }
  get logits(): Tensor {
    return this.unsquashed.logits;
  }
}

/** The log odds of a relaxed coin. */
class LogitRelaxedBernoulli extends Unsquashed {
  constructor(temperature: ParameterValue, chances: Chances<ParameterValue>, options: DistributionOptions) {
    super(temperature, new Bernoulli(chances, options), [], options);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const shape = this.extendedShape(sampleShape);
    const logit = (p: Tensor): Tensor => p.log().sub(p.neg().log1p());
    const probs = inside(this.probs.expand(shape));
    return logit(inside(rand(shape, { dtype: probs.dtype })))
      .add(logit(probs))
      .div(this.temperature);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const distance = this.logits.sub(value.mul(this.temperature));
    return this.temperature.log().add(distance).sub(distance.exp().log1p().mul(2));
  }
}

/** A coin whose sides blend: the lower the temperature, the nearer to 0 or 1. */
export class RelaxedBernoulli extends Relaxed {
  constructor(temperature: ParameterValue, chances: Chances<ParameterValue>, options: DistributionOptions = {}) {
    const logit = new LogitRelaxedBernoulli(temperature, chances, options);
    super(logit, new SigmoidTransform(), unitInterval, options);
  }
}

/** The logarithms of relaxed one-hot vectors. */
class ExpRelaxedCategorical extends Unsquashed {
  constructor(temperature: ParameterValue, chances: Chances<Tensor>, options: DistributionOptions) {
    const hard = new Categorical(chances, options);
    super(temperature, hard, [hard.numEvents], options);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const uniforms = inside(rand(this.extendedShape(sampleShape), { dtype: this.logits.dtype }));
    const gumbels = uniforms.log().neg().log().neg();
    return this.logits.add(gumbels).div(this.temperature).logSoftmax(-1);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const events = this.eventShape[0];
    const [logits, logs] = broadcastTensors(this.logits, value);
    const scores = logits.sub(logs.mul(this.temperature)).logSoftmax(-1).sum(-1);
    const { temperature } = this;
    const scale = lgamma(temperature.detach().zerosLike().add(events)).add(temperature.log().mul(events - 1));
    return scores.add(scale);
  }
}

/** Shares that lean to one outcome: the lower the temperature, the more. */
export class RelaxedOneHotCategorical extends Relaxed {
  constructor(temperature: ParameterValue, chances: Chances<Tensor>, options: DistributionOptions = {}) {
    super(new ExpRelaxedCategorical(temperature, chances, options), new ExpTransform(), simplex, options);
  }
}

/** One-hot vectors, with the gradient that their probabilities have. */
export class OneHotCategoricalStraightThrough extends OneHotCategorical {
  override rsample(sampleShape: Shape = []): Tensor {
    const { probs } = this;
    return this.sample(sampleShape).add(probs.sub(probs.detach()));
  }
}
