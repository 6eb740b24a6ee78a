/** Distributions of outcomes that can be counted, by probabilities or by their logits. */
import { fail } from '../../compiler/errors.js';
import { limitsOf, precisionOf } from '../../compiler/ir/dtype.js';
import { numel, type Shape } from '../../compiler/ir/shape.js';
import { fullLike } from '../../compiler/ops/creation.js';
import { oneHot } from '../../compiler/ops/indexing.js';
import { broadcastTensors } from '../../compiler/ops/joining.js';
import { binaryCrossEntropyWithLogits } from '../../compiler/ops/loss.js';
import { where } from '../../compiler/ops/selection.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import { bernoulli, multinomial } from '../random.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { below, counts, type Domain, nonnegative, real, unitInterval, zeroOrOne } from './domain.js';

/** One of the two. */
export interface ProbsOrLogits<T> {
  readonly probs?: T;
  readonly logits?: T;
}
/** Probabilities by themselves, or either by name. */
export type Chances<T> = T | (ProbsOrLogits<T> & DistributionOptions);

export interface Given {
  readonly value: Tensor;
  readonly isLogits: boolean;
}

/** The probabilities or logits that were given, as a tensor. */
export function givenOf(name: string, chances: Chances<ParameterValue>): Given {
  if (chances instanceof Tensor || typeof chances === 'number')
    return { value: broadcastAll(chances)[0], isLogits: false };
  const { probs, logits } = chances;
  if ((probs === undefined) === (logits === undefined))
    fail('E208', {
      problem: `${name}: either probs or logits must be given, but ${probs === undefined ? 'neither was' : 'both were'}`,
    });
  return { value: broadcastAll((probs ?? logits) as ParameterValue)[0], isLogits: probs === undefined };
}

/** Probabilities kept from 0 and 1, where logits would be infinite. */
export function inside(probs: Tensor): Tensor {
  const { epsilon } = precisionOf(probs.dtype);
  return probs.clamp(epsilon, 1 - epsilon);
}

/** With a probability per distribution of the batch. */
abstract class ByChance extends Distribution {
  readonly #given: Given;
  constructor(name: string, chances: Chances<ParameterValue>, options: DistributionOptions) {
    const given = givenOf(name, chances);
    super(given.value.shape, [], { ...(isOptions(chances) ? chances : {}), ...options });
    if (given.isLogits) this.checkParameter('logits', given.value, real);
    else this.checkParameter('probs', given.value, unitInterval);
    this.#given = given;
  }
  get probs(): Tensor {
    const { value, isLogits } = this.#given;
    return isLogits ? value.sigmoid() : value;
  }
  get logits(): Tensor {
    const { value, isLogits } = this.#given;
    if (isLogits) return value;
    const probs = inside(value);
    return probs.log().sub(probs.neg().log1p());
  }
  protected binaryEntropy(): Tensor {
    return binaryCrossEntropyWithLogits(this.logits, this.probs, { reduction: 'none' });
  }
}
export const isOptions = (chances: unknown): chances is DistributionOptions =>
  typeof chances === 'object' && !(chances instanceof Tensor);

/** 1 with a probability, else 0. */
export class Bernoulli extends ByChance {
  constructor(chances: Chances<ParameterValue>, options: DistributionOptions = {}) {
    super('Bernoulli', chances, options);
  }
  get support(): Domain {
    return zeroOrOne;
  }
  get mean(): Tensor {
    return this.probs;
  }
  override get mode(): Tensor {
    const { probs } = this;
    return where(probs.eq(0.5), Number.NaN, probs.ge(0.5).to(probs.dtype));
  }
  get variance(): Tensor {
    return this.probs.mul(this.probs.neg().add(1));
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => bernoulli(this.probs.expand(this.extendedShape(sampleShape))));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const [logits, outcome] = broadcastTensors(this.logits, value);
    return binaryCrossEntropyWithLogits(logits, outcome, { reduction: 'none' }).neg();
  }
  override entropy(): Tensor {
    return this.binaryEntropy();
  }
}

/** How many trials fail before the first succeeds. */
export class Geometric extends ByChance {
  constructor(chances: Chances<ParameterValue>, options: DistributionOptions = {}) {
    super('Geometric', chances, options);
  }
  get support(): Domain {
    return counts;
  }
  get mean(): Tensor {
    return this.probs.reciprocal().sub(1);
  }
  override get mode(): Tensor {
    return this.probs.mul(0);
  }
  get variance(): Tensor {
    return this.mean.div(this.probs);
  }
  override sample(sampleShape: Shape = []): Tensor {
    const { probs } = this;
    return noGrad(() =>
      empty(this.extendedShape(sampleShape), { dtype: probs.dtype })
        .uniform_()
        .clamp(precisionOf(probs.dtype).smallestNormal)
        .log()
        .div(probs.neg().log1p())
        .floor(),
    );
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const { probs } = this;
    const isSure = probs.eq(1).logicalAnd(value.eq(0));
    const failures = where(isSure, 0, probs).neg().log1p();
    return value.mul(failures).add(probs.log());
  }
  override entropy(): Tensor {
    return this.binaryEntropy().div(this.probs);
  }
}

/** One of some outcomes, by the probabilities (of whatever sum) or logits along the last dim. */
export class Categorical extends Distribution {
  readonly #given: Given;
  constructor(chances: Chances<Tensor>, options: DistributionOptions = {}) {
    const { value, isLogits } = givenOf('Categorical', chances);
    if (value.ndim < 1)
      fail('E208', { problem: 'Categorical: the parameter must have at least one dim, that of the outcomes' });
    super(value.shape.slice(0, -1), [], { ...(isOptions(chances) ? chances : {}), ...options });
    if (isLogits) this.checkParameter('logits', value, real);
    else this.checkParameter('probs', value, nonnegative);
    const normalized = isLogits
      ? value.sub(value.logsumexp(-1, { keepdim: true }))
      : value.div(value.sum(-1, { keepdim: true }));
    this.#given = { value: normalized, isLogits };
  }
  get numEvents(): number {
    return this.#given.value.size(-1);
  }
  get support(): Domain {
    return below(this.numEvents);
  }
  get probs(): Tensor {
    const { value, isLogits } = this.#given;
    return isLogits ? value.softmax(-1) : value;
  }
  get logits(): Tensor {
    const { value, isLogits } = this.#given;
    return isLogits ? value : inside(value).log();
  }
  get mean(): Tensor {
    return fullLike(this.#given.value.select(-1, 0), Number.NaN);
  }
  override get mode(): Tensor {
    return this.probs.argmax(-1);
  }
  get variance(): Tensor {
    return this.mean;
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => {
      const rows = this.probs.reshape([-1, this.numEvents]);
      return multinomial(rows, numel(sampleShape), true).t().reshape(this.extendedShape(sampleShape));
    });
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const outcome = value.long().unsqueeze(-1);
    const [at, logits] = broadcastTensors(outcome, this.logits);
    return logits.gather(-1, at.narrow(-1, 0, 1)).squeeze(-1);
  }
  override entropy(): Tensor {
    const finite = this.logits.clamp(limitsOf(this.logits.dtype).min);
    return finite.mul(this.probs).sum(-1).neg();
  }
}

/** One of some outcomes, as a vector that is 1 there and 0 elsewhere. */
export class OneHotCategorical extends Distribution {
  readonly #categorical: Categorical;
  constructor(chances: Chances<Tensor>, options: DistributionOptions = {}) {
    const categorical = new Categorical(chances, options);
    super(categorical.batchShape, [categorical.numEvents], { ...(isOptions(chances) ? chances : {}), ...options });
    this.#categorical = categorical;
  }
  get support(): Domain {
    return zeroOrOne;
  }
  get probs(): Tensor {
    return this.#categorical.probs;
  }
  get logits(): Tensor {
    return this.#categorical.logits;
  }
  get mean(): Tensor {
    return this.probs;
  }
  override get mode(): Tensor {
    return oneHot(this.#categorical.mode, this.eventShape[0]).to(this.probs.dtype);
  }
  get variance(): Tensor {
    return this.probs.mul(this.probs.neg().add(1));
  }
  override sample(sampleShape: Shape = []): Tensor {
    return oneHot(this.#categorical.sample(sampleShape), this.eventShape[0]).to(this.probs.dtype);
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    return this.#categorical.logProb(value.argmax(-1));
  }
  override entropy(): Tensor {
    return this.#categorical.entropy();
  }
}
