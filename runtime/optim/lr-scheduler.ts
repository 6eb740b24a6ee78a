/**
 * Learning rates over time, as PyTorch's schedulers set them. Each scheduler is a rule for the next rate of a group.
 *
 * Rates, the momentum that cycles move, and the epoch are 0-d tensors, state of the model: a scheduler steps between calls of
 * a compiled training step or inside it, and nothing is compiled anew. A rule that asks a JavaScript function of the epoch
 * steps inside an entry where it has been told how far to ask beforehand.
 *
 * Loshchilov and Hutter, "SGDR" (2016), for cosine annealing; Smith, "Cyclical learning rates" (2015), and Smith and Topin,
 * "Super-convergence" (2017), for cycles.
 */
import { fail } from '../../compiler/errors.js';
import { pow } from '../../compiler/ops/power.js';
import { where } from '../../compiler/ops/selection.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { tensor } from '../creation.js';
import { keepLive, liveValue, moveLive, whereKept } from './live-settings.js';
import type { GroupSettings, ParamGroup } from './optimizer.js';
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

  /** The rates last set. */
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

/** Decay by gamma every `stepSize` epochs. */
export class StepLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    stepSize: number,
    { gamma = 0.1, ...options }: SchedulerOptions & { readonly gamma?: number } = {},
  ) {
    super(optimizer, options, ({ epoch, current }) =>
      changedWhere(current, epoch.gt(0).logicalAnd(epoch.remainder(stepSize).eq(0)), current.mul(gamma)),
    );
  }
}

/** Decay by gamma at each milestone. */
export class MultiStepLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    milestones: readonly number[],
    { gamma = 0.1, ...options }: SchedulerOptions & { readonly gamma?: number } = {},
  ) {
    super(optimizer, options, ({ epoch, current }) =>
      milestones.reduce((rate, milestone) => changedWhere(rate, epoch.eq(milestone), rate.mul(gamma)), current),
    );
  }
}

/** Decay by gamma every epoch. */
export class ExponentialLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, gamma: number, options: SchedulerOptions = {}) {
    super(optimizer, options, ({ epoch, current }) => changedWhere(current, epoch.gt(0), current.mul(gamma)));
  }
}

function checkFactor(what: string, factor: number): void {
  if (!(factor >= 0 && factor <= 1))
    fail('E208', { problem: `${what} multiplicative factor expected to be between 0 and 1, but is ${factor}.` });
}

/** A factor below 1 until `totalIters`. */
export class ConstantLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    {
      factor = 1 / 3,
      totalIters = 5,
      ...options
    }: SchedulerOptions & { readonly factor?: number; readonly totalIters?: number } = {},
  ) {
    checkFactor('Constant', factor);
    super(optimizer, options, ({ epoch, current }) =>
      where(epoch.eq(0), current.mul(factor), changedWhere(current, epoch.eq(totalIters), current.mul(1 / factor))),
    );
  }
}

/** A factor that goes from one value to another in `totalIters` epochs. */
export class LinearLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    {
      startFactor = 1 / 3,
      endFactor = 1,
      totalIters = 5,
      ...options
    }: SchedulerOptions & {
      readonly startFactor?: number;
      readonly endFactor?: number;
      readonly totalIters?: number;
    } = {},
  ) {
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

/** Down to zero in `totalIters` epochs along a power. */
export class PolynomialLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    {
      totalIters = 5,
      power = 1,
      ...options
    }: SchedulerOptions & { readonly totalIters?: number; readonly power?: number } = {},
  ) {
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

export type EpochFunction = (epoch: number) => number;

export interface FunctionOptions extends SchedulerOptions {
  /**
   * How many steps an entry may take: the function is asked for the epochs up to this one beforehand, since a compiled entry
   * has no JavaScript to ask; after that the last answer stands. Needed only where `step()` is called in an entry.
   */
  readonly steps?: number | null;
}

/** A function of the epoch as one of tensors. Throws E304 for an epoch that is known only when a compiled entry runs. */
function asked(scheduler: string, fn: EpochFunction, steps: number | null = null): (epoch: Tensor) => Tensor {
  let table: readonly number[] | null = null;
  return epoch => {
    if (isConstant(epoch)) return scalar(fn(epoch.item()));
    if (steps === null)
      fail('E304', {
        problem: `${scheduler} asks a JavaScript function for the rate of an epoch that is only known when the compiled entry runs`,
        hint: 'say for how many steps it may be asked beforehand, { steps: 10000 }; or call step() outside the entry, between calls: the learning rate is part of the state',
      });
    table ??= Array.from({ length: steps + 1 }, (_, i) => fn(i));
    const at = epoch.clamp(0, steps).to('int64').reshape([1]);
    return tensor(table, { dtype: 'float64' }).indexSelect(0, at).reshape([]);
  };
}

/** The initial rate times a function of the epoch. */
export class LambdaLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    lrLambda: EpochFunction | readonly EpochFunction[],
    { steps, ...options }: FunctionOptions = {},
  ) {
    const factors = perGroup(optimizer, 'lr_lambda', lrLambda).map(fn => asked('LambdaLR', fn, steps));
    super(optimizer, options, ({ epoch, base, group }) => factors[group](epoch).mul(base));
  }
}

/** The current rate times a function of the epoch. */
export class MultiplicativeLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    lrLambda: EpochFunction | readonly EpochFunction[],
    { steps, ...options }: FunctionOptions = {},
  ) {
    // PyTorch does not ask for epoch 0
    const factors = perGroup(optimizer, 'lr_lambda', lrLambda).map(fn =>
      asked('MultiplicativeLR', epoch => (epoch > 0 ? fn(epoch) : 1), steps),
    );
    super(optimizer, options, ({ epoch, current, group }) => current.mul(factors[group](epoch)));
  }
}

/** Half a cosine from the initial rate to `etaMin` in `tMax` epochs, and back. */
export class CosineAnnealingLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    tMax: number,
    { etaMin = 0, ...options }: SchedulerOptions & { readonly etaMin?: number } = {},
  ) {
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

/** Cosine annealing that starts over after `t0` epochs, then after `tMult` times as many, and so on. */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    t0: number,
    {
      tMult = 1,
      etaMin = 0,
      ...options
    }: SchedulerOptions & { readonly tMult?: number; readonly etaMin?: number } = {},
  ) {
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

// ── cycles of rate and momentum ────────────────────────────────────────────────────────────────────────────────────────

type MomentumGroup = ParamGroup<GroupSettings> & { momentum?: number; betas?: readonly [number, number] };

/** Momentum goes by `momentum`, or by the first of `betas`. */
const momentumOf = (group: MomentumGroup): 'momentum' | 'betas' => (group.betas === undefined ? 'momentum' : 'betas');
/** Momentum will change: a compiled step is to see it. */
function takeMomentum(optimizer: AnyOptimizer): void {
  const groups = optimizer.paramGroups as MomentumGroup[];
  if (groups.some(group => group.betas === undefined && group.momentum === undefined))
    fail('E208', {
      problem: 'optimizer must support momentum with `cycle_momentum` option enabled',
      hint: 'pass { cycleMomentum: false }',
    });
  for (const group of groups) keepLive(group, momentumOf(group));
}

export interface CyclicOptions extends FunctionOptions {
  readonly stepSizeUp?: number;
  readonly stepSizeDown?: number | null;
  readonly mode?: 'triangular' | 'triangular2' | 'exp_range';
  readonly gamma?: number;
  /** How high a cycle goes, of its number or (`scaleMode: 'iterations'`) of the epoch; instead of `mode`. */
  readonly scaleFn?: ((x: number) => number) | null;
  readonly scaleMode?: 'cycle' | 'iterations';
  readonly cycleMomentum?: boolean;
  readonly baseMomentum?: number | readonly number[];
  readonly maxMomentum?: number | readonly number[];
}
/** Between two rates, up and down; momentum goes the other way. */
export class CyclicLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    baseLr: number | readonly number[],
    maxLr: number | readonly number[],
    options: CyclicOptions = {},
  ) {
    const {
      stepSizeUp = 2000,
      stepSizeDown,
      mode = 'triangular',
      gamma = 1,
      scaleFn,
      scaleMode = 'cycle',
      cycleMomentum = true,
      baseMomentum = 0.8,
      maxMomentum = 0.9,
    } = options;
    const low = perGroup(optimizer, 'base_lr', baseLr);
    const high = perGroup(optimizer, 'max_lr', maxLr);
    const total = stepSizeUp + (stepSizeDown ?? stepSizeUp);
    const share = stepSizeUp / total;
    if (cycleMomentum) takeMomentum(optimizer);
    low.forEach((rate, i) => {
      optimizer.paramGroups[i].lr = rate;
    });
    const scale = scaleFn ? asked('CyclicLR', scaleFn, options.steps) : null;
    const height = (epoch: Tensor): Tensor => {
      const cycle = epoch.div(total).add(1).floor();
      const x = epoch.div(total).add(1).sub(cycle);
      const shape = where(x.le(share), x.div(share), x.sub(1).div(share - 1));
      if (scale) return shape.mul(scale(scaleMode === 'cycle' ? cycle : epoch));
      if (mode === 'triangular') return shape;
      return shape.mul(mode === 'triangular2' ? pow(2, cycle.neg().add(1)) : pow(gamma, epoch));
    };
    const slow = perGroup(optimizer, 'base_momentum', baseMomentum);
    const fast = perGroup(optimizer, 'max_momentum', maxMomentum);
    super(optimizer, options, ({ epoch, base, group: i }) => {
      const group = optimizer.paramGroups[i];
      if (cycleMomentum)
        moveLive(
          group,
          momentumOf(group),
          height(epoch)
            .mul(slow[i] - fast[i])
            .add(fast[i]),
        );
      return height(epoch)
        .mul(high[i] - base)
        .add(base);
    });
  }
}

export interface OneCycleOptions extends SchedulerOptions {
  readonly totalSteps?: number | null;
  readonly epochs?: number | null;
  readonly stepsPerEpoch?: number | null;
  readonly pctStart?: number;
  readonly annealStrategy?: 'cos' | 'linear';
  readonly cycleMomentum?: boolean;
  readonly baseMomentum?: number | readonly number[];
  readonly maxMomentum?: number | readonly number[];
  readonly divFactor?: number;
  readonly finalDivFactor?: number;
  readonly threePhase?: boolean;
}
/** Until which epoch it lasts, and from what to what rate and momentum go. */
interface Phase {
  readonly end: number;
  readonly rates: readonly [number, number];
  readonly momenta: readonly [number, number];
}
/** One rise to `maxLr` and one fall far below the start. */
export class OneCycleLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, maxLr: number | readonly number[], options: OneCycleOptions = {}) {
    const {
      pctStart = 0.3,
      annealStrategy = 'cos',
      cycleMomentum = true,
      baseMomentum = 0.85,
      maxMomentum = 0.95,
      divFactor = 25,
      finalDivFactor = 1e4,
      threePhase = false,
    } = options;
    const total = options.totalSteps ?? (options.epochs ?? 0) * (options.stepsPerEpoch ?? 0);
    if (total <= 0) fail('E208', { problem: 'You must define either total_steps OR (epochs AND steps_per_epoch)' });
    if (pctStart < 0 || pctStart > 1)
      fail('E208', { problem: `Expected float between 0 and 1 pct_start, but got ${pctStart}` });
    if (cycleMomentum) takeMomentum(optimizer);
    const peaks = perGroup(optimizer, 'max_lr', maxLr);
    const anneal = ([from, to]: readonly number[], part: Tensor): Tensor =>
      annealStrategy === 'linear'
        ? part.mul(to - from).add(from)
        : part
            .mul(Math.PI)
            .cos()
            .add(1)
            .mul((from - to) / 2)
            .add(to);
    const slow = perGroup(optimizer, 'base_momentum', baseMomentum);
    const fast = perGroup(optimizer, 'max_momentum', maxMomentum);
    const phases = (group: number): Phase[] => {
      const [peak, low, high] = [peaks[group], slow[group], fast[group]];
      const start = peak / divFactor;
      const end = start / finalDivFactor;
      const rise: Phase = { end: pctStart * total - 1, rates: [start, peak], momenta: [high, low] };
      if (!threePhase) return [rise, { end: total - 1, rates: [peak, end], momenta: [low, high] }];
      const fall: Phase = { end: 2 * pctStart * total - 2, rates: [peak, start], momenta: [low, high] };
      return [rise, fall, { end: total - 1, rates: [start, end], momenta: [high, high] }];
    };
    super(optimizer, options, ({ epoch, group: i }) => {
      if (isConstant(epoch) && epoch.item() > total)
        fail('E208', {
          problem: `Tried to step ${epoch.item()} times. The specified number of total steps is ${total}`,
        });
      const all = phases(i);
      const along = (values: (phase: Phase) => readonly number[]): Tensor =>
        all
          .map((phase, at) => {
            const begin = at === 0 ? 0 : all[at - 1].end;
            return anneal(values(phase), epoch.sub(begin).div(phase.end - begin));
          })
          .reduceRight((later, value, at) => where(epoch.le(all[at].end), value, later));
      const group = optimizer.paramGroups[i];
      if (cycleMomentum)
        moveLive(
          group,
          momentumOf(group),
          along(phase => phase.momenta),
        );
      return along(phase => phase.rates);
    });
  }
}
