/**
 * Learning rates that go up and down, and momentum the other way: Smith, "Cyclical learning rates" (2015), and Smith and
 * Topin, "Super-convergence" (2017).
 */
import { fail } from '../../compiler/errors.js';
import { pow } from '../../compiler/ops/power.js';
import { where } from '../../compiler/ops/selection.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { byName, type NeededInOrder, needed } from '../in-order.js';
import { asked } from './epoch-function.js';
import { keepLive, moveLive } from './live-settings.js';
import { type FunctionOptions, LRScheduler, type SchedulerOptions } from './lr-scheduler.js';
import type { GroupSettings, ParamGroup } from './optimizer.js';
import { type AnyOptimizer, perGroup } from './per-group.js';

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
  readonly baseLr: number | readonly number[];
  readonly maxLr: number | readonly number[];
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
const cyclicNeeds = ['baseLr', 'maxLr'] as const;
const cyclicOrder = [
  'stepSizeUp',
  'stepSizeDown',
  'mode',
  'gamma',
  'scaleFn',
  'scaleMode',
  'cycleMomentum',
  'baseMomentum',
  'maxMomentum',
  'lastEpoch',
] as const;
/** Between two rates, up and down; momentum goes the other way. */
export class CyclicLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: NeededInOrder<CyclicOptions, typeof cyclicNeeds, typeof cyclicOrder>) {
    const options: CyclicOptions = byName('CyclicLR', [...cyclicNeeds, ...cyclicOrder], given, ['steps']);
    const {
      baseLr,
      maxLr,
      stepSizeUp = 2000,
      stepSizeDown,
      mode = 'triangular',
      gamma = 1,
      scaleFn,
      scaleMode = 'cycle',
      cycleMomentum = true,
      baseMomentum = 0.8,
      maxMomentum = 0.9,
    } = needed('CyclicLR', cyclicNeeds, options);
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
  readonly maxLr: number | readonly number[];
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
const oneCycleOrder = [
  'totalSteps',
  'epochs',
  'stepsPerEpoch',
  'pctStart',
  'annealStrategy',
  'cycleMomentum',
  'baseMomentum',
  'maxMomentum',
  'divFactor',
  'finalDivFactor',
  'threePhase',
  'lastEpoch',
] as const;
/** One rise to `maxLr` and one fall far below the start. */
export class OneCycleLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, ...given: NeededInOrder<OneCycleOptions, ['maxLr'], typeof oneCycleOrder>) {
    const options: OneCycleOptions = byName('OneCycleLR', ['maxLr', ...oneCycleOrder], given);
    const {
      maxLr,
      pctStart = 0.3,
      annealStrategy = 'cos',
      cycleMomentum = true,
      baseMomentum = 0.85,
      maxMomentum = 0.95,
      divFactor = 25,
      finalDivFactor = 1e4,
      threePhase = false,
    } = needed('OneCycleLR', ['maxLr'], options);
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
