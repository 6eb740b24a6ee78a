/** Distributions of how often something happens: Poisson, binomial, negative binomial and multinomial. */
import { fail } from '../../compiler/errors.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { logsigmoid } from '../../compiler/ops/activation.js';
import { oneHot } from '../../compiler/ops/indexing.js';
import { broadcastTensors } from '../../compiler/ops/joining.js';
import { where } from '../../compiler/ops/selection.js';
import { lgamma } from '../../compiler/ops/special.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { isConstant, Tensor } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import { arange } from '../creation.js';
import { poisson } from '../poisson.js';
import { binomial } from './binomial-draws.js';
import { Categorical, type Chances, givenOf, inside, isOptions } from './discrete.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { belowOne, counts, countsOf, countsUpTo, type Domain, nonnegative, real, unitInterval } from './domain.js';
import { Gamma } from './gamma.js';

/** How many of events that happen at a rate happen in a unit of time. */
export class Poisson extends Distribution {
  readonly rate: Tensor;
  constructor(rate: ParameterValue, options: DistributionOptions = {}) {
    const [frequency] = broadcastAll(rate);
    super(frequency.shape, [], options);
    this.checkParameter('rate', frequency, nonnegative);
    this.rate = frequency;
  }
  get support(): Domain {
    return counts;
  }
  get mean(): Tensor {
    return this.rate;
  }
  override get mode(): Tensor {
    return this.rate.floor();
  }
  get variance(): Tensor {
    return this.rate;
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => poisson(this.rate.expand(this.extendedShape(sampleShape))));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    return value
      .xlogy(this.rate)
      .sub(this.rate)
      .sub(lgamma(value.add(1)));
  }
}

function largest(count: ParameterValue): number | null {
  if (!(count instanceof Tensor)) return count;
  return isConstant(count) ? Math.max(0, ...elementsOf(count, 'a total count').map(Number)) : null;
}

/** Trials that succeed with a probability each, whose odds may be given by their logarithm. */
abstract class Trials extends Distribution {
  readonly totalCount: Tensor;
  /** The largest total count, where it does not depend on what an entry is given. */
  protected readonly mostTrials: number | null;
  readonly #chance: Tensor;
  readonly #isLogits: boolean;
  constructor(
    name: string,
    totalCount: ParameterValue,
    chances: Chances<ParameterValue>,
    options: DistributionOptions,
    domains: { readonly count: Domain; readonly probs: Domain },
  ) {
    const { value, isLogits } = givenOf(name, chances);
    const [count, chance] = broadcastAll(totalCount, value);
    super(chance.shape, [], { ...(isOptions(chances) ? chances : {}), ...options });
    this.checkParameter('totalCount', count, domains.count);
    this.checkParameter(isLogits ? 'logits' : 'probs', chance, isLogits ? real : domains.probs);
    this.totalCount = count.to(chance.dtype);
    this.mostTrials = largest(totalCount);
    this.#chance = chance;
    this.#isLogits = isLogits;
  }
  get probs(): Tensor {
    return this.#isLogits ? this.#chance.sigmoid() : this.#chance;
  }
  get logits(): Tensor {
    if (this.#isLogits) return this.#chance;
    const probs = inside(this.#chance);
    return probs.log().sub(probs.neg().log1p());
  }
}

/** How many of `totalCount` trials succeed. */
export class Binomial extends Trials {
  constructor(totalCount: ParameterValue, chances: Chances<ParameterValue>, options: DistributionOptions = {}) {
    super('Binomial', totalCount, chances, options, { count: counts, probs: unitInterval });
  }
  get support(): Domain {
    return countsUpTo(this.totalCount.detach());
  }
  get mean(): Tensor {
    return this.totalCount.mul(this.probs);
  }
  override get mode(): Tensor {
    return this.totalCount.add(1).mul(this.probs).floor().minimum(this.totalCount);
  }
  get variance(): Tensor {
    return this.mean.mul(this.probs.neg().add(1));
  }
  override sample(sampleShape: Shape = []): Tensor {
    const shape = this.extendedShape(sampleShape);
    return noGrad(() => binomial(this.totalCount.expand(shape), this.probs.expand(shape), this.mostTrials));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const { totalCount: n, logits } = this;
    const positivePart = logits.clamp(0).add(logits).sub(logits.clamp(null, 0)).div(2);
    const failures = n.mul(positivePart).add(n.mul(logits.abs().neg().exp().log1p()));
    return value
      .mul(logits)
      .sub(lgamma(value.add(1)))
      .sub(lgamma(n.sub(value).add(1)))
      .sub(failures.sub(lgamma(n.add(1))));
  }
  /** Of one total count for the whole batch. */
  override entropy(): Tensor {
    const logProb = this.logProb(this.enumerateSupport());
    return logProb.exp().mul(logProb).sum(0).neg();
  }
  /** All numbers that can be drawn: [total count + 1, 1, …]. Throws E208 where total counts differ. */
  enumerateSupport(): Tensor {
    const all = [this.totalCount.detach().tolist()].flat(9) as number[];
    if (all.some(count => count !== all[0]))
      this.lacks('entropy of different total counts', 'compute it for each total count by itself');
    const outcomes = arange(all[0] + 1, { dtype: this.totalCount.dtype });
    return outcomes.reshape([-1, ...this.batchShape.map(() => 1)]);
  }
}

/** How many trials succeed before `totalCount` have failed. */
export class NegativeBinomial extends Trials {
  constructor(totalCount: ParameterValue, chances: Chances<ParameterValue>, options: DistributionOptions = {}) {
    super('NegativeBinomial', totalCount, chances, options, { count: nonnegative, probs: belowOne });
  }
  get support(): Domain {
    return counts;
  }
  get mean(): Tensor {
    return this.totalCount.mul(this.logits.exp());
  }
  override get mode(): Tensor {
    return this.totalCount.sub(1).mul(this.logits.exp()).floor().clamp(0);
  }
  get variance(): Tensor {
    return this.mean.div(this.logits.neg().sigmoid());
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => {
      const rates = new Gamma(this.totalCount, this.logits.neg().exp(), { validateArgs: false });
      return poisson(rates.sample(sampleShape));
    });
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const { totalCount: n, logits } = this;
    const powers = n.mul(logsigmoid(logits.neg())).add(value.mul(logsigmoid(logits)));
    const ways = lgamma(n.add(value))
      .sub(lgamma(value.add(1)))
      .sub(lgamma(n));
    return powers.add(where(n.add(value).eq(0), 0, ways));
  }
}

/** How often each of some outcomes comes in `totalCount` draws. */
export class Multinomial extends Distribution {
  readonly totalCount: number;
  readonly #categorical: Categorical;
  constructor(totalCount: number, chances: Chances<Tensor>, options: DistributionOptions = {}) {
    const categorical = new Categorical(chances, options);
    super(categorical.batchShape, [categorical.numEvents], { ...(isOptions(chances) ? chances : {}), ...options });
    if (!Number.isInteger(totalCount) || totalCount < 0)
      fail('E208', { problem: `Multinomial: totalCount must be a whole number from 0, but is ${totalCount}` });
    this.totalCount = totalCount;
    this.#categorical = categorical;
  }
  get probs(): Tensor {
    return this.#categorical.probs;
  }
  get logits(): Tensor {
    return this.#categorical.logits;
  }
  get support(): Domain {
    return countsOf(this.totalCount);
  }
  get mean(): Tensor {
    return this.probs.mul(this.totalCount);
  }
  get variance(): Tensor {
    return this.mean.mul(this.probs.neg().add(1));
  }
  override sample(sampleShape: Shape = []): Tensor {
    const draws = this.#categorical.sample([this.totalCount, ...sampleShape]);
    return oneHot(draws, this.eventShape[0]).sum(0).to(this.probs.dtype);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const [logits, times] = broadcastTensors(this.logits, value);
    const isImpossible = times.eq(0).logicalAnd(logits.eq(Number.NEGATIVE_INFINITY));
    const powers = where(isImpossible, 0, logits).mul(times).sum(-1);
    return lgamma(times.sum(-1).add(1))
      .sub(lgamma(times.add(1)).sum(-1))
      .add(powers);
  }
  override entropy(): Tensor {
    const n = this.totalCount;
    const each = new Binomial(n, this.probs, { validateArgs: false });
    const outcomes = each.enumerateSupport().narrow(0, 1, n);
    const spread = each
      .logProb(outcomes)
      .exp()
      .mul(lgamma(outcomes.add(1)))
      .sum([0, -1]);
    return this.#categorical.entropy().mul(n).sub(logFactorialOf(n, this.probs)).add(spread);
  }
}

const logFactorialOf = (n: number, { dtype }: Tensor): Tensor =>
  lgamma(arange(n, n + 1, 1, { dtype }).add(1)).squeeze(0);
