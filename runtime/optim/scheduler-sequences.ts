/**
 * Schedulers of schedulers. Which of them steps is a branch on the epoch, so a compiled entry decides it anew in each call.
 */
import { cond } from '../../compiler/autodiff/control/cond.js';
import { fail } from '../../compiler/errors.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { whereKept } from './live-settings.js';
import type { LRScheduler, SchedulerState } from './lr-scheduler.js';
import { type AnyOptimizer, scalar } from './per-group.js';

interface Stepping {
  step(epoch?: number): void;
  getLastLr(): readonly number[];
  stateDict(): object;
  loadStateDict(state: object): void;
  namedState(): IterableIterator<[string, Tensor]>;
}

/** One scheduler after another, changing at the milestones. */
export class SequentialLR {
  readonly #optimizer: AnyOptimizer;
  readonly #schedulers: readonly LRScheduler[];
  readonly #milestones: readonly number[];
  readonly #epoch: Tensor;
  constructor(optimizer: AnyOptimizer, schedulers: readonly LRScheduler[], milestones: readonly number[]) {
    if (milestones.length !== schedulers.length - 1) {
      fail('E208', {
        problem: `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      });
    }
    this.#optimizer = optimizer;
    this.#schedulers = schedulers;
    this.#milestones = milestones;
    this.#epoch = this.#kept(() => scalar(0));
    for (const group of optimizer.paramGroups) group.lr = group.initialLr;
    for (const scheduler of schedulers) scheduler.lastEpoch -= 1;
    schedulers[0].step();
  }

  #kept<T>(fn: () => T): T {
    return whereKept(this.#optimizer.paramGroups[0], fn);
  }
  get lastEpoch(): number {
    return this.#epoch.item();
  }
  set lastEpoch(epoch: number) {
    this.#kept(() => this.#epoch.fill_(epoch));
  }

  step(): void {
    this.#kept(() => {
      this.#epoch.add_(1);
      for (const [i, scheduler] of this.#schedulers.entries()) {
        const [start, end] = [this.#milestones[i - 1] ?? Number.NEGATIVE_INFINITY, this.#milestones[i]];
        const begun = this.#epoch.ge(start);
        const isOn = end === undefined ? begun : begun.logicalAnd(this.#epoch.lt(end));
        when(isOn, () =>
          when(
            this.#epoch.eq(start),
            () => scheduler.step(0),
            () => scheduler.step(),
          ),
        );
      }
    });
  }
  getLastLr(): readonly number[] {
    return this.#schedulers[this.#milestones.filter(milestone => milestone <= this.lastEpoch).length].getLastLr();
  }
  *namedState(): IterableIterator<[string, Tensor]> {
    yield ['epoch', this.#epoch];
    yield* stateOfAll(this.#schedulers);
  }
  stateDict(): { lastEpoch: number; schedulers: readonly SchedulerState[] } {
    return { lastEpoch: this.lastEpoch, schedulers: this.#schedulers.map(scheduler => scheduler.stateDict()) };
  }
  loadStateDict(state: { readonly lastEpoch: number; readonly schedulers: readonly SchedulerState[] }): void {
    this.lastEpoch = state.lastEpoch;
    for (const [i, scheduler] of this.#schedulers.entries()) scheduler.loadStateDict(state.schedulers[i]);
  }
}

/** Do what changes state, if a condition holds. */
function when(condition: Tensor, then: () => void, otherwise: () => void = () => {}): void {
  const done = (fn: () => void) => (): null => {
    fn();
    return null;
  };
  cond(condition, done(then), done(otherwise));
}

function* stateOfAll(schedulers: readonly Stepping[]): IterableIterator<[string, Tensor]> {
  for (const [i, scheduler] of schedulers.entries())
    for (const [name, tensor] of scheduler.namedState()) yield [`${i}.${name}`, tensor];
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
  namedState(): IterableIterator<[string, Tensor]> {
    return stateOfAll(this.#schedulers);
  }
  stateDict(): { schedulers: readonly object[] } {
    return { schedulers: this.#schedulers.map(scheduler => scheduler.stateDict()) };
  }
  loadStateDict(state: { readonly schedulers: readonly object[] }): void {
    for (const [i, scheduler] of this.#schedulers.entries()) scheduler.loadStateDict(state.schedulers[i]);
  }
}
