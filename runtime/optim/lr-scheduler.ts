/**
 * Learning rates over time, as PyTorch's schedulers set them. Each scheduler is a rule for the next rate of a group.
 *
 * Rates, the momentum that cycles move, and the epoch are 0-d tensors, state of the model: a scheduler steps between calls of
 * a compiled training step or inside it, and nothing is compiled anew. A rule that asks a JavaScript function of the epoch
 * steps inside an entry where it has been told how far to ask beforehand.
 *
 * Loshchilov and Hutter, "SGDR" (2016), for cosine annealing.
 */
import { fail } from '../../compiler/errors.js';
import { where } from '../../compiler/ops/selection.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { tensor } from '../creation.js';
import { byName, type InOrder, type NeededInOrder, needed } from '../in-order.js';
import { type AskedOptions, asked, type EpochFunction } from './epoch-function.js';
import { liveValue, moveLive, whereKept } from './live-settings.js';
import { type AnyOptimizer, perGroup, scalar } from './per-group.js';

export interface SchedulerOptions {
  /** The epoch to resume after; -1 starts anew. */
  readonly lastEpoch?: number;
}

/** The rate of a group at an epoch, from its rate at the epoch before and the one it started from; 0-d float64 tensors. */
type Rule = (at: {
  readonly epoch: Tensor;
  readonly current: Tensor;
  readonly base: number;
  readonly group: number;
}) => Tensor;

export interface SchedulerState {
  readonly lastEpoch: number;
  readonly baseLrs: readonly number[];
}

export class LRScheduler {
  readonly optimizer: AnyOptimizer;
  /** The rates the groups started from. */
  baseLrs: readonly number[];
  readonly #epoch: Tensor;
  readonly #rule: Rule;

  constructor(optimizer: AnyOptimizer, { lastEpoch = -1 }: SchedulerOptions, rule: Rule) {
    this.optimizer = optimizer;
    this.#rule = rule;
    for (const [i, group] of optimizer.paramGroups.entries()) {
      if (lastEpoch === -1) group.initialLr ??= group.lr;
      else if (group.initialLr === undefined)
        fail('E208', {
          problem: `param 'initial_lr' is not specified in param_groups[${i}] when resuming an optimizer`,
        });
    }
    this.baseLrs = optimizer.paramGroups.map(group => group.initialLr!);
    this.#epoch = this.#kept(() => scalar(lastEpoch));
    this.step();
  }

  #kept<T>(fn: () => T): T {
    return whereKept(this.optimizer.paramGroups[0], fn);
  }

  /** The epoch the rates are set for. */
  get lastEpoch(): number {
    return this.#epoch.item();
  }
  set lastEpoch(epoch: number) {
    this.#kept(() => this.#epoch.fill_(epoch));
  }

  /** Go to the next epoch, or to the one given (a fraction where the rule has a rate for it), and set the rates for it. */
  step(epoch?: number): void {
    this.#kept(() => {
      this.optimizer.paramGroups.forEach((group, i) => {
        moveLive(group, 'lr', epoch === undefined ? this.#next(i) : this.#at(epoch, i));
      });
      if (epoch === undefined) this.#epoch.add_(1);
      else this.#epoch.fill_(epoch);
    });
  }
  #next(group: number): Tensor {
    const current = liveValue(this.optimizer.paramGroups[group], 'lr') as Tensor;
    return this.#rule({ epoch: this.#epoch.add(1), current, base: this.baseLrs[group], group });
  }
  #at(epoch: number, group: number): Tensor {
    const base = this.baseLrs[group];
    const whole = Array.from({ length: Math.floor(epoch) + 1 }, (_, e) => e);
    const epochs = Number.isInteger(epoch) ? whole : [...whole, epoch];
    return epochs.reduce((current, e) => this.#rule({ epoch: scalar(e), current, base, group }), scalar(base));
  }

  /** The rates last set, as numbers; in an entry that steps, the optimizer's `learningRates()` gives them as tensors. */
  getLastLr(): readonly number[] {
    return this.optimizer.paramGroups.map(group => group.lr);
  }
  /** What a model keeps of it: listed among a model's state it has this name there. */
  *namedState(): IterableIterator<[string, Tensor]> {
    yield ['epoch', this.#epoch];
  }
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, baseLrs: this.baseLrs };
  }
  /** Go on from where a state dict was taken; the rates themselves are in the optimizer's. */
  loadStateDict({ lastEpoch, baseLrs }: SchedulerState): void {
    this.lastEpoch = lastEpoch;
    this.baseLrs = baseLrs;
  }
}

/** `then` where a condition on the epoch holds, else the rate as it is. */
const changedWhere = (current: Tensor, condition: Tensor, then: Tensor): Tensor => where(condition, then, current);

export interface StepOptions extends SchedulerOptions {
  readonly stepSize: number;
  readonly gamma?: number;
}
/** Decay by gamma every `stepSize` epochs. */
export class StepLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: NeededInOrder<StepOptions, ['stepSize'], ['gamma', 'lastEpoch']>) {
    const named: StepOptions = byName('StepLR', ['stepSize', 'gamma', 'lastEpoch'], given);
    const { stepSize, gamma = 0.1, ...options } = needed('StepLR', ['stepSize'], named);
    super(optimizer, options, ({ epoch, current }) =>
      changedWhere(current, epoch.gt(0).logicalAnd(epoch.remainder(stepSize).eq(0)), current.mul(gamma)),
    );
  }
}

export interface MultiStepOptions extends SchedulerOptions {
  readonly milestones: readonly number[];
  readonly gamma?: number;
}
/** Decay by gamma at each milestone. */
export class MultiStepLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    ...given: NeededInOrder<MultiStepOptions, ['milestones'], ['gamma', 'lastEpoch']>
  ) {
    const named: MultiStepOptions = byName('MultiStepLR', ['milestones', 'gamma', 'lastEpoch'], given);
    const { milestones, gamma = 0.1, ...options } = needed('MultiStepLR', ['milestones'], named);
    super(optimizer, options, ({ epoch, current }) =>
      milestones.reduce((rate, milestone) => changedWhere(rate, epoch.eq(milestone), rate.mul(gamma)), current),
    );
  }
}

export interface ExponentialOptions extends SchedulerOptions {
  readonly gamma: number;
}
/** Decay by gamma every epoch. */
export class ExponentialLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: NeededInOrder<ExponentialOptions, ['gamma'], ['lastEpoch']>) {
    const named: ExponentialOptions = byName('ExponentialLR', ['gamma', 'lastEpoch'], given);
    const { gamma, ...options } = needed('ExponentialLR', ['gamma'], named);
    super(optimizer, options, ({ epoch, current }) => changedWhere(current, epoch.gt(0), current.mul(gamma)));
  }
}

function checkFactor(what: string, factor: number): void {
  if (!(factor >= 0 && factor <= 1))
    fail('E208', { problem: `${what} multiplicative factor expected to be between 0 and 1, but is ${factor}.` });
}

export interface ConstantOptions extends SchedulerOptions {
  readonly factor?: number;
  readonly totalIters?: number;
}
const constantOrder = ['factor', 'totalIters', 'lastEpoch'] as const;
/** A factor below 1 until `totalIters`. */
export class ConstantLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: InOrder<ConstantOptions, typeof constantOrder>) {
    const named: ConstantOptions = byName('ConstantLR', constantOrder, given);
    const { factor = 1 / 3, totalIters = 5, ...options } = named;
    checkFactor('Constant', factor);
    super(optimizer, options, ({ epoch, current }) =>
      where(epoch.eq(0), current.mul(factor), changedWhere(current, epoch.eq(totalIters), current.mul(1 / factor))),
    );
  }
}

export interface LinearOptions extends SchedulerOptions {
  readonly startFactor?: number;
  readonly endFactor?: number;
  readonly totalIters?: number;
}
const linearOrder = ['startFactor', 'endFactor', 'totalIters', 'lastEpoch'] as const;
/** A factor that goes from one value to another in `totalIters` epochs. */
export class LinearLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: InOrder<LinearOptions, typeof linearOrder>) {
    const named: LinearOptions = byName('LinearLR', linearOrder, given);
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5, ...options } = named;
    checkFactor('Starting', startFactor);
    checkFactor('Ending', endFactor);
    const rise = endFactor - startFactor;
    super(optimizer, options, ({ epoch, current }) => {
      const before = epoch
        .sub(1)
        .mul(rise)
        .add(totalIters * startFactor);
      const risen = current.mul(before.reciprocal().mul(rise).add(1));
      return where(epoch.eq(0), current.mul(startFactor), changedWhere(current, epoch.le(totalIters), risen));
    });
  }
}

export interface PolynomialOptions extends SchedulerOptions {
  readonly totalIters?: number;
  readonly power?: number;
}
const polynomialOrder = ['totalIters', 'power', 'lastEpoch'] as const;
/** Down to zero in `totalIters` epochs along a power. */
export class PolynomialLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: InOrder<PolynomialOptions, typeof polynomialOrder>) {
    const named: PolynomialOptions = byName('PolynomialLR', polynomialOrder, given);
    const { totalIters = 5, power = 1, ...options } = named;
    const left = (epoch: Tensor): Tensor => epoch.div(-totalIters).add(1);
    super(optimizer, options, ({ epoch, current }) => {
      const lowered = current.mul(
        left(epoch)
          .div(left(epoch.sub(1)))
          .pow(power),
      );
      return changedWhere(current, epoch.gt(0).logicalAnd(epoch.le(totalIters)), lowered);
    });
  }
}

export interface FunctionOptions extends SchedulerOptions, AskedOptions {}

export interface LambdaOptions extends FunctionOptions {
  readonly lrLambda: EpochFunction | readonly EpochFunction[];
}
type LambdaSettings = NeededInOrder<LambdaOptions, ['lrLambda'], ['lastEpoch']>;
const lambdaOptions = (scheduler: string, given: LambdaSettings): LambdaOptions =>
  needed(
    scheduler,
    ['lrLambda'],
    byName<LambdaOptions, ['lrLambda', 'lastEpoch']>(scheduler, ['lrLambda', 'lastEpoch'], given, ['steps']),
  );

/** The initial rate times a function of the epoch. */
export class LambdaLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: LambdaSettings) {
    const { lrLambda, steps, ...options } = lambdaOptions('LambdaLR', given);
    const factors = perGroup(optimizer, 'lr_lambda', lrLambda).map(fn => asked('LambdaLR', fn, steps));
    super(optimizer, options, ({ epoch, base, group }) => factors[group](epoch).mul(base));
  }
}

/** The current rate times a function of the epoch. */
export class MultiplicativeLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: LambdaSettings) {
    const { lrLambda, steps, ...options } = lambdaOptions('MultiplicativeLR', given);
    // PyTorch does not ask for epoch 0
    const factors = perGroup(optimizer, 'lr_lambda', lrLambda).map(fn =>
      asked('MultiplicativeLR', epoch => (epoch > 0 ? fn(epoch) : 1), steps),
    );
    super(optimizer, options, ({ epoch, current, group }) => current.mul(factors[group](epoch)));
  }
}

export interface CosineOptions extends SchedulerOptions {
  readonly tMax: number;
  readonly etaMin?: number;
}
/** Half a cosine from the initial rate to `etaMin` in `tMax` epochs, and back. */
export class CosineAnnealingLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: NeededInOrder<CosineOptions, ['tMax'], ['etaMin', 'lastEpoch']>) {
    const named: CosineOptions = byName('CosineAnnealingLR', ['tMax', 'etaMin', 'lastEpoch'], given);
    const { tMax, etaMin = 0, ...options } = needed('CosineAnnealingLR', ['tMax'], named);
    const height = (epoch: Tensor): Tensor =>
      epoch
        .mul(Math.PI / tMax)
        .cos()
        .add(1);
    super(optimizer, options, ({ epoch, current, base }) => {
      const fromLowest = current.add(((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2);
      const along = height(epoch)
        .div(height(epoch.sub(1)))
        .mul(current.sub(etaMin))
        .add(etaMin);
      const isLowest = epoch
        .sub(1 + tMax)
        .remainder(2 * tMax)
        .eq(0);
      return changedWhere(current, epoch.gt(0), where(isLowest, fromLowest, along));
    });
  }
}

export interface WarmRestartsOptions extends SchedulerOptions {
  readonly t0: number;
  readonly tMult?: number;
  readonly etaMin?: number;
}
const warmRestarts = 'CosineAnnealingWarmRestarts';
/** Cosine annealing that starts over after `t0` epochs, then after `tMult` times as many, and so on. */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    ...given: NeededInOrder<WarmRestartsOptions, ['t0'], ['tMult', 'etaMin', 'lastEpoch']>
  ) {
    const named: WarmRestartsOptions = byName(warmRestarts, ['t0', 'tMult', 'etaMin', 'lastEpoch'], given);
    const { t0, tMult = 1, etaMin = 0, ...options } = needed(warmRestarts, ['t0'], named);
    if (!(t0 > 0 && Number.isInteger(t0))) fail('E208', { problem: `Expected positive integer T_0, but got ${t0}` });
    if (!(tMult >= 1 && Number.isInteger(tMult)))
      fail('E208', { problem: `Expected integer T_mult >= 1, but got ${tMult}` });
    const { starts, periods } = restarts(t0, tMult);
    super(optimizer, options, ({ epoch, base }) => {
      const begun = epoch.ge(tensor(starts, { dtype: 'float64' }));
      const latest = (values: readonly number[]): Tensor =>
        where(begun, tensor(values, { dtype: 'float64' }), 0).amax();
      const since = tMult === 1 ? epoch.remainder(t0) : epoch.sub(latest(starts));
      const height = since.mul(Math.PI).div(latest(periods)).cos().add(1);
      return height.mul((base - etaMin) / 2).add(etaMin);
    });
  }
}

/** When the periods of warm restarts start, and how long they are, as far as numbers count epochs exactly. */
function restarts(t0: number, tMult: number): { starts: number[]; periods: number[] } {
  const [starts, periods] = [[0], [t0]];
  while (tMult > 1 && starts.length < 64 && starts[starts.length - 1] + periods[periods.length - 1] < 2 ** 53) {
    starts.push(starts[starts.length - 1] + periods[periods.length - 1]);
    periods.push(periods[periods.length - 1] * tMult);
  }
  return { starts, periods };
}
