/**
 * Learning rates over time, as PyTorch's schedulers set them. Each scheduler is a rule for the next rate of a group.
 *
 * A scheduler changes `group.lr` from outside the step, where plain numbers do; in a compiled model the rate, and a momentum
 * that the scheduler moves, are part of the state and are set between calls. Loshchilov and Hutter, "SGDR" (2016), for cosine annealing; Smith, "Cyclical learning
 * rates" (2015), and Smith and Topin, "Super-convergence" (2017), for cycles.
 */
import { fail } from '../../compiler/errors.js';
import { keepLive } from './live-settings.js';
import type { GroupSettings, Optimizer, ParamGroup } from './optimizer.js';

// biome-ignore lint/suspicious/noExplicitAny: any optimizer has groups with a learning rate
type AnyOptimizer = Optimizer<any>;

export interface SchedulerOptions {
  /** The epoch to resume after; -1 starts anew. */
  readonly lastEpoch?: number;
}

/** The rate of a group at an epoch, from its rate at the epoch before and the one it started from. */
type Rule = (at: {
  readonly epoch: number;
  readonly current: number;
  readonly base: number;
  readonly group: number;
}) => number;

/** A value per parameter group: given as a list, or one for all. */
function perGroup<T>(optimizer: AnyOptimizer, name: string, value: T | readonly T[]): readonly T[] {
  if (!Array.isArray(value)) return optimizer.paramGroups.map(() => value as T);
  if (value.length !== optimizer.paramGroups.length) {
    fail('E208', {
      problem: `expected ${optimizer.paramGroups.length} values for ${name}, one per parameter group, but got ${value.length}`,
    });
  }
  return value;
}

export interface SchedulerState {
  readonly lastEpoch: number;
  readonly baseLrs: readonly number[];
  readonly lastLr: readonly number[];
}

export class LRScheduler {
  readonly optimizer: AnyOptimizer;
  /** The epoch the rates are set for. */
  lastEpoch: number;
  /** The rates the groups started from. */
  baseLrs: readonly number[];
  #lastLr: readonly number[] = [];
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
    this.lastEpoch = lastEpoch;
    this.step();
  }

  /** Go to the next epoch, or to the one given (a fraction where the rule has a rate for it), and set the rates for it. */
  step(epoch?: number): void {
    if (epoch === undefined) {
      this.lastEpoch += 1;
      this.#set(this.optimizer.paramGroups.map((group, i) => this.#rateAfter(group.lr, this.lastEpoch, i)));
      return;
    }
    this.lastEpoch = epoch;
    const whole = Array.from({ length: Math.floor(epoch) + 1 }, (_, e) => e);
    const epochs = Number.isInteger(epoch) ? whole : [...whole, epoch];
    this.#set(this.baseLrs.map((base, i) => epochs.reduce((rate, e) => this.#rateAfter(rate, e, i), base)));
  }
  #rateAfter(current: number, epoch: number, group: number): number {
    return this.#rule({ epoch, current, base: this.baseLrs[group], group });
  }
  #set(rates: readonly number[]): void {
    rates.forEach((rate, i) => {
      this.optimizer.paramGroups[i].lr = rate;
    });
    this.#lastLr = rates;
  }

  /** The rates last set. */
  getLastLr(): readonly number[] {
    return this.#lastLr;
  }
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, baseLrs: this.baseLrs, lastLr: this.#lastLr };
  }
  /** Go on from where a state dict was taken; the rates themselves are in the optimizer's. */
  loadStateDict({ lastEpoch, baseLrs, lastLr }: SchedulerState): void {
    this.lastEpoch = lastEpoch;
    this.baseLrs = baseLrs;
    this.#lastLr = lastLr;
  }
}

/** The current rate times a factor that the epoch decides. */
const scaled =
  (factor: (epoch: number) => number): Rule =>
  ({ epoch, current }) =>
    current * factor(epoch);

/** Decay by gamma every `stepSize` epochs. */
export class StepLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    stepSize: number,
    { gamma = 0.1, ...options }: SchedulerOptions & { readonly gamma?: number } = {},
  ) {
    super(
      optimizer,
      options,
      scaled(epoch => (epoch > 0 && epoch % stepSize === 0 ? gamma : 1)),
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
    super(
      optimizer,
      options,
      scaled(epoch => gamma ** milestones.filter(milestone => milestone === epoch).length),
    );
  }
}

/** Decay by gamma every epoch. */
export class ExponentialLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, gamma: number, options: SchedulerOptions = {}) {
    super(
      optimizer,
      options,
      scaled(epoch => (epoch === 0 ? 1 : gamma)),
    );
  }
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
    super(
      optimizer,
      options,
      scaled(epoch => (epoch === 0 ? factor : epoch === totalIters ? 1 / factor : 1)),
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
    const rise = endFactor - startFactor;
    super(
      optimizer,
      options,
      scaled(epoch =>
        epoch === 0 ? startFactor : epoch > totalIters ? 1 : 1 + rise / (totalIters * startFactor + (epoch - 1) * rise),
      ),
    );
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
    const left = (epoch: number): number => 1 - epoch / totalIters;
    super(
      optimizer,
      options,
      scaled(epoch => (epoch === 0 || epoch > totalIters ? 1 : (left(epoch) / left(epoch - 1)) ** power)),
    );
  }
}

export type EpochFunction = (epoch: number) => number;

/** The initial rate times a function of the epoch. */
export class LambdaLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    lrLambda: EpochFunction | readonly EpochFunction[],
    options: SchedulerOptions = {},
  ) {
    const lambdas = perGroup(optimizer, 'lr_lambda', lrLambda);
    super(optimizer, options, ({ epoch, base, group }) => base * lambdas[group](epoch));
  }
}

/** The current rate times a function of the epoch. */
export class MultiplicativeLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    lrLambda: EpochFunction | readonly EpochFunction[],
    options: SchedulerOptions = {},
  ) {
    const lambdas = perGroup(optimizer, 'lr_lambda', lrLambda);
    super(optimizer, options, ({ epoch, current, group }) => (epoch > 0 ? current * lambdas[group](epoch) : current));
  }
}

/** Half a cosine from the initial rate to `etaMin` in `tMax` epochs, and back. */
export class CosineAnnealingLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    tMax: number,
    { etaMin = 0, ...options }: SchedulerOptions & { readonly etaMin?: number } = {},
  ) {
    const height = (epoch: number): number => 1 + Math.cos((Math.PI * epoch) / tMax);
    super(optimizer, options, ({ epoch, current, base }) => {
      if (epoch === 0) return current;
      if ((epoch - 1 - tMax) % (2 * tMax) === 0)
        return current + ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
      return (height(epoch) / height(epoch - 1)) * (current - etaMin) + etaMin;
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
    super(optimizer, options, ({ epoch, base }) => {
      let [since, period] = [epoch, t0];
      while (since >= period) {
        since -= period;
        period *= tMult;
      }
      return etaMin + ((base - etaMin) * (1 + Math.cos((Math.PI * since) / period))) / 2;
    });
  }
}

// ── cycles of rate and momentum ────────────────────────────────────────────────────────────────────────────────────────

type MomentumGroup = ParamGroup<GroupSettings> & { momentum?: number; betas?: readonly [number, number] };

/** Momentum goes by `momentum`, or by the first of `betas`. */
function setMomentum(group: MomentumGroup, momentum: number): void {
  if (group.betas) group.betas = [momentum, group.betas[1]];
  else group.momentum = momentum;
}
/** Momentum will change: a compiled step is to see it. */
function takeMomentum(optimizer: AnyOptimizer): void {
  const groups = optimizer.paramGroups as MomentumGroup[];
  if (groups.some(group => group.betas === undefined && group.momentum === undefined))
    fail('E208', {
      problem: 'optimizer must support momentum with `cycle_momentum` option enabled',
      hint: 'pass { cycleMomentum: false }',
    });
  for (const group of groups) keepLive(group, group.betas === undefined ? 'momentum' : 'betas');
}

export interface CyclicOptions extends SchedulerOptions {
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
    const height = (epoch: number): number => {
      const cycle = Math.floor(1 + epoch / total);
      const x = 1 + epoch / total - cycle;
      const shape = x <= share ? x / share : (x - 1) / (share - 1);
      if (scaleFn) return shape * scaleFn(scaleMode === 'cycle' ? cycle : epoch);
      return shape * (mode === 'triangular' ? 1 : mode === 'triangular2' ? 1 / 2 ** (cycle - 1) : gamma ** epoch);
    };
    const slow = perGroup(optimizer, 'base_momentum', baseMomentum);
    const fast = perGroup(optimizer, 'max_momentum', maxMomentum);
    super(optimizer, options, ({ epoch, base, group }) => {
      if (cycleMomentum)
        setMomentum(optimizer.paramGroups[group], fast[group] - (fast[group] - slow[group]) * height(epoch));
      return base + (high[group] - base) * height(epoch);
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
    const anneal = (from: number, to: number, part: number): number =>
      annealStrategy === 'linear' ? from + (to - from) * part : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
    const slow = perGroup(optimizer, 'base_momentum', baseMomentum);
    const fast = perGroup(optimizer, 'max_momentum', maxMomentum);
    const phases = (group: number) => {
      const [peak, low, high] = [peaks[group], slow[group], fast[group]];
      const start = peak / divFactor;
      const end = start / finalDivFactor;
      const rise = { end: pctStart * total - 1, rates: [start, peak], momenta: [high, low] };
      if (!threePhase) return [rise, { end: total - 1, rates: [peak, end], momenta: [low, high] }];
      const fall = { end: 2 * pctStart * total - 2, rates: [peak, start], momenta: [low, high] };
      return [rise, fall, { end: total - 1, rates: [start, end], momenta: [high, high] }];
    };
    super(optimizer, options, ({ epoch, group }) => {
      if (epoch > total)
        fail('E208', { problem: `Tried to step ${epoch} times. The specified number of total steps is ${total}` });
      const all = phases(group);
      const found = all.findIndex(phase => epoch <= phase.end);
      const at = found < 0 ? all.length - 1 : found;
      const begin = at === 0 ? 0 : all[at - 1].end;
      const { end, rates, momenta } = all[at];
      const part = (epoch - begin) / (end - begin);
      if (cycleMomentum) setMomentum(optimizer.paramGroups[group], anneal(momenta[0], momenta[1], part));
      return anneal(rates[0], rates[1], part);
    });
  }
}

// ── schedulers of schedulers, and of results ───────────────────────────────────────────────────────────────────────────

interface Stepping {
  step(epoch?: number): void;
  getLastLr(): readonly number[];
  stateDict(): object;
  loadStateDict(state: object): void;
}

/** One scheduler after another, changing at the milestones. */
export class SequentialLR {
  lastEpoch = 0;
  readonly #schedulers: readonly LRScheduler[];
  readonly #milestones: readonly number[];
  constructor(optimizer: AnyOptimizer, schedulers: readonly LRScheduler[], milestones: readonly number[]) {
    if (milestones.length !== schedulers.length - 1) {
      fail('E208', {
        problem: `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      });
    }
    this.#schedulers = schedulers;
    this.#milestones = milestones;
    for (const group of optimizer.paramGroups) group.lr = group.initialLr;
    for (const scheduler of schedulers) scheduler.lastEpoch -= 1;
    schedulers[0].step();
  }
  step(): void {
    this.lastEpoch += 1;
    const at = this.#milestones.filter(milestone => milestone <= this.lastEpoch).length;
    const starts = at > 0 && this.#milestones[at - 1] === this.lastEpoch;
    this.#schedulers[at].step(starts ? 0 : undefined);
  }
  getLastLr(): readonly number[] {
    return this.#schedulers[this.#milestones.filter(milestone => milestone <= this.lastEpoch).length].getLastLr();
  }
  stateDict(): { lastEpoch: number; schedulers: readonly SchedulerState[] } {
    return { lastEpoch: this.lastEpoch, schedulers: this.#schedulers.map(scheduler => scheduler.stateDict()) };
  }
  loadStateDict(state: { readonly lastEpoch: number; readonly schedulers: readonly SchedulerState[] }): void {
    this.lastEpoch = state.lastEpoch;
    for (const [i, scheduler] of this.#schedulers.entries()) scheduler.loadStateDict(state.schedulers[i]);
  }
}

/** Several schedulers at once, each on what the one before it left. */
export class ChainedScheduler {
  readonly #schedulers: readonly Stepping[];
  constructor(schedulers: readonly Stepping[]) {
    this.#schedulers = schedulers;
  }
  step(): void {
    for (const scheduler of this.#schedulers) scheduler.step();
  }
  getLastLr(): readonly number[] {
    return this.#schedulers[this.#schedulers.length - 1].getLastLr();
  }
  stateDict(): { schedulers: readonly object[] } {
    return { schedulers: this.#schedulers.map(scheduler => scheduler.stateDict()) };
  }
  loadStateDict(state: { readonly schedulers: readonly object[] }): void {
    for (const [i, scheduler] of this.#schedulers.entries()) scheduler.loadStateDict(state.schedulers[i]);
  }
}

export interface PlateauOptions {
  readonly mode?: 'min' | 'max';
  readonly factor?: number;
  readonly patience?: number;
  readonly threshold?: number;
  readonly thresholdMode?: 'rel' | 'abs';
  readonly cooldown?: number;
  readonly minLr?: number | readonly number[];
  readonly eps?: number;
}
export interface PlateauState {
  readonly lastEpoch: number;
  readonly best: number;
  readonly numBadEpochs: number;
  readonly cooldownCounter: number;
}
/** Decay when a measured quantity has stopped improving. */
export class ReduceLROnPlateau {
  readonly optimizer: AnyOptimizer;
  lastEpoch = 0;
  best: number;
  numBadEpochs = 0;
  readonly #options: Required<PlateauOptions>;
  readonly #minLrs: readonly number[];
  #cooldownLeft = 0;

  constructor(optimizer: AnyOptimizer, options: PlateauOptions = {}) {
    this.optimizer = optimizer;
    this.#options = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
      ...options,
    };
    if (this.#options.factor >= 1) fail('E208', { problem: 'Factor should be < 1.0.' });
    this.#minLrs = perGroup(optimizer, 'min_lrs', this.#options.minLr);
    this.best = this.#options.mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  #isBetter(value: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    const margin = thresholdMode === 'rel' ? Math.abs(this.best) * threshold : threshold;
    if (!Number.isFinite(this.best)) return mode === 'min' ? value < this.best : value > this.best;
    return mode === 'min' ? value < this.best - margin : value > this.best + margin;
  }

  /** Note a new measurement. */
  step(metric: number | { item(): number }): void {
    const value = typeof metric === 'number' ? metric : metric.item();
    this.lastEpoch += 1;
    const better = this.#isBetter(value);
    if (better) this.best = value;
    this.numBadEpochs = better ? 0 : this.numBadEpochs + 1;
    if (this.#cooldownLeft > 0) {
      this.#cooldownLeft -= 1;
      this.numBadEpochs = 0;
    }
    if (this.numBadEpochs > this.#options.patience) {
      this.#reduce();
      this.#cooldownLeft = this.#options.cooldown;
      this.numBadEpochs = 0;
    }
  }
  #reduce(): void {
    this.optimizer.paramGroups.forEach((group, i) => {
      const lower = Math.max(group.lr * this.#options.factor, this.#minLrs[i]);
      if (group.lr - lower > this.#options.eps) group.lr = lower;
    });
  }
  getLastLr(): readonly number[] {
    return this.optimizer.paramGroups.map(group => group.lr);
  }
  stateDict(): PlateauState {
    const { lastEpoch, best, numBadEpochs } = this;
    return { lastEpoch, best, numBadEpochs, cooldownCounter: this.#cooldownLeft };
  }
  loadStateDict({ lastEpoch, best, numBadEpochs, cooldownCounter }: PlateauState): void {
    Object.assign(this, { lastEpoch, best, numBadEpochs });
    this.#cooldownLeft = cooldownCounter;
  }
}
