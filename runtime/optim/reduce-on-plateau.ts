/**
 * A learning rate that falls when a measured quantity has stopped improving. What it remembers are 0-d tensors, state of the
 * model, and its decisions are arithmetic on them: it steps between calls of a compiled entry, or inside.
 */
import { fail } from '../../compiler/errors.js';
import { where } from '../../compiler/ops/selection.js';
import { executor, type Tensor } from '../../compiler/ops/tensor.js';
import { byName, type InOrder } from '../in-order.js';
import { liveValue, moveLive, whereKept } from './live-settings.js';
import { type AnyOptimizer, perGroup, scalar } from './per-group.js';

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
const plateauOrder = ['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'minLr', 'eps'] as const;
export interface PlateauState {
  readonly lastEpoch: number;
  readonly best: number;
  readonly numBadEpochs: number;
  readonly cooldownCounter: number;
}
/** Decay when a measured quantity has stopped improving. */
export class ReduceLROnPlateau {
  readonly optimizer: AnyOptimizer;
  readonly #options: Required<PlateauOptions>;
  readonly #minLrs: readonly number[];
  readonly #epoch: Tensor;
  readonly #best: Tensor;
  readonly #bad: Tensor;
  readonly #cooldown: Tensor;

  constructor(optimizer: AnyOptimizer, ...given: InOrder<PlateauOptions, typeof plateauOrder>) {
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
      ...byName<PlateauOptions, typeof plateauOrder>('ReduceLROnPlateau', plateauOrder, given),
    };
    const { mode, thresholdMode } = this.#options;
    if (mode !== 'min' && mode !== 'max') fail('E208', { problem: `mode ${mode} is unknown! It is 'min' or 'max'` });
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs')
      fail('E208', { problem: `threshold mode ${thresholdMode} is unknown! It is 'rel' or 'abs'` });
    if (this.#options.factor >= 1) fail('E208', { problem: 'Factor should be < 1.0.' });
    this.#minLrs = perGroup(optimizer, 'min_lrs', this.#options.minLr);
    const worst = mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    [this.#epoch, this.#best, this.#bad, this.#cooldown] = this.#kept(() => [0, worst, 0, 0].map(scalar));
  }

  #kept<T>(fn: () => T): T {
    return whereKept(this.optimizer.paramGroups[0], fn);
  }
  get lastEpoch(): number {
    return this.#epoch.item();
  }
  get best(): number {
    return this.#best.item();
  }
  get numBadEpochs(): number {
    return this.#bad.item();
  }

  #isBetter(value: Tensor): Tensor {
    const { mode, threshold, thresholdMode } = this.#options;
    const sign = mode === 'min' ? -1 : 1;
    const bound = thresholdMode === 'rel' ? this.#best.mul(1 + sign * threshold) : this.#best.add(sign * threshold);
    return mode === 'min' ? value.lt(bound) : value.gt(bound);
  }

  /** Note a new measurement; in an entry, a tensor with one element. */
  step(metric: number | Tensor): void {
    this.#kept(() => {
      const isKnown = executor().kind === 'eager';
      const value = typeof metric === 'number' ? scalar(metric) : isKnown ? scalar(metric.item()) : scalarOf(metric);
      const { patience, cooldown } = this.#options;
      this.#epoch.add_(1);
      const better = this.#isBetter(value);
      this.#best.copy_(where(better, value, this.#best));
      const isCooling = this.#cooldown.gt(0);
      const bad = where(better.logicalOr(isCooling), 0, this.#bad.add(1));
      const isBad = bad.gt(patience);
      this.#reduce(isBad);
      this.#cooldown.copy_(where(isBad, cooldown, this.#cooldown.sub(isCooling.to('float64'))));
      this.#bad.copy_(where(isBad, 0, bad));
    });
  }
  #reduce(isBad: Tensor): void {
    const { factor, eps } = this.#options;
    for (const [i, group] of this.optimizer.paramGroups.entries()) {
      const rate = liveValue(group, 'lr') as Tensor;
      const lower = rate.mul(factor).clamp(this.#minLrs[i]);
      moveLive(group, 'lr', where(isBad.logicalAnd(rate.sub(lower).gt(eps)), lower, rate));
    }
  }
  getLastLr(): readonly number[] {
    return this.optimizer.paramGroups.map(group => group.lr);
  }
  *namedState(): IterableIterator<[string, Tensor]> {
    yield ['epoch', this.#epoch];
    yield ['best', this.#best];
    yield ['numBadEpochs', this.#bad];
    yield ['cooldown', this.#cooldown];
  }
  stateDict(): PlateauState {
    const { lastEpoch, best, numBadEpochs } = this;
    return { lastEpoch, best, numBadEpochs, cooldownCounter: this.#cooldown.item() };
  }
  loadStateDict({ lastEpoch, best, numBadEpochs, cooldownCounter }: PlateauState): void {
    this.#kept(() => {
      this.#epoch.fill_(lastEpoch);
      this.#best.fill_(best);
      this.#bad.fill_(numBadEpochs);
      this.#cooldown.fill_(cooldownCounter);
    });
  }
}

const scalarOf = (metric: Tensor): Tensor => metric.detach().to('float64').reshape([]);
