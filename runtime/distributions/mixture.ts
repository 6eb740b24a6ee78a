/** Mixtures: one of several distributions of a family, chosen at random. */
import { fail } from '../../compiler/errors.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { Categorical } from './discrete.js';
import { Distribution, type DistributionOptions } from './distribution.js';
import type { Domain } from './domain.js';

/** The last dim of the components' batch is that of what `mixture` chooses. */
export class MixtureSameFamily extends Distribution {
  readonly mixtureDistribution: Categorical;
  readonly componentDistribution: Distribution;
  constructor(mixture: Categorical, components: Distribution, options: DistributionOptions = {}) {
    const count = components.batchShape.at(-1);
    if (count !== mixture.numEvents)
      fail('E208', {
        problem: `MixtureSameFamily: ${mixture.numEvents} components are chosen from, but the last dim of the components' batch is ${count ?? 'missing'}`,
      });
    super(components.batchShape.slice(0, -1), components.eventShape, options);
    this.mixtureDistribution = mixture;
    this.componentDistribution = components;
  }
  get support(): Domain {
    return this.componentDistribution.support;
  }
  /** Where the dim of the components goes, counted from the end. */
  private get dim(): number {
    return -1 - this.eventShape.length;
  }
  /** The probabilities, with a dim of size 1 for each of an event. */
  private get shares(): Tensor {
    const { probs } = this.mixtureDistribution;
    return probs.reshape([...probs.shape, ...this.eventShape.map(() => 1)]);
  }
  get mean(): Tensor {
    return this.shares.mul(this.componentDistribution.mean).sum(this.dim);
  }
  get variance(): Tensor {
    const { mean, variance } = this.componentDistribution;
    const between = mean.sub(this.mean.unsqueeze(this.dim)).square();
    return this.shares.mul(variance.add(between)).sum(this.dim);
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => {
      const chosen = this.mixtureDistribution.sample(sampleShape);
      const samples = this.componentDistribution.sample(sampleShape);
      const index = chosen.reshape([...chosen.shape, 1, ...this.eventShape.map(() => 1)]);
      const whole = samples.shape.map((size, d) => (d === samples.ndim + this.dim ? 1 : size));
      return samples.gather(this.dim, index.expand(whole)).squeeze(this.dim);
    });
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const each = this.componentDistribution.logProb(value.unsqueeze(this.dim));
    return each.add(this.mixtureDistribution.logits.logSoftmax(-1)).logsumexp(-1);
  }
  override cdf(value: Tensor): Tensor {
    return this.componentDistribution.cdf(value.unsqueeze(-1)).mul(this.mixtureDistribution.probs).sum(-1);
  }
}
