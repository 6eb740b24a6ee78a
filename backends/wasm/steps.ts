/**
 * Barriers between the steps that a team runs: before whatever touches memory that another thread may have written, or
 * may still read, since the last one. Consecutive steps of the first thread, and steps on different memory, need none.
 *
 * Every thread runs a loop, with a counter of its own, and takes the branch that all take: it reads the bit that decides,
 * and that is a touch like any other. What is pending at the end of a loop's body is pending at its start, as something
 * that an earlier iteration did; so a body is gone through until nothing new comes round.
 *
 * Where memory moves with a loop, places in different iterations are compared as intervals of their distance:
 *
 *   loop t < 8: k1(reads at 64·t − 64, writes at 64·t)      the one an iteration writes, the next one reads: a barrier
 *   loop t < 8: k2(reads and writes at 64·t)                no iteration meets another: none
 */
import type { Address } from '../../compiler/ir/program.js';
import type { Call, EntryLoop, EntryStep } from './entry.js';
import { BARRIER } from './globals.js';

/** What a team does: a step that is run by all together or by the first thread alone, or others around which all go. */
export type TeamStep = TeamRun | TeamLoop | TeamBranch;
export interface TeamRun {
  readonly step: EntryStep;
  readonly byAll: boolean;
  readonly touches: readonly Span[];
}
export interface TeamLoop {
  readonly trips: number | { readonly steps: readonly TeamStep[]; readonly holds: Address };
  readonly body: readonly TeamStep[];
}
export interface TeamBranch {
  readonly predicate: Address;
  readonly yes: readonly TeamStep[];
  readonly no: readonly TeamStep[];
}

/** Bytes that are touched in the first iteration of all loops around, and by how much they move in each. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly strides: readonly number[];
  readonly isWritten: boolean;
}
export interface Touch extends Span {
  readonly byAll: boolean;
  /** For each loop around: whether it was in an earlier iteration. */
  readonly earlier: readonly boolean[];
}

export const withBarriers = (steps: readonly TeamStep[]): EntryStep[] => new Placement().block(steps);

/** All that a step touches, seen from outside of the loops in it, of which there are `depth` around it. */
export function touchesOf(step: TeamStep, depth = 0): Touch[] {
  if ('touches' in step) return step.touches.map(span => touch(span, step.byAll));
  const inside = (block: readonly TeamStep[], at: number): Touch[] => block.flatMap(inner => touchesOf(inner, at));
  if ('predicate' in step)
    return [touch(bitAt(step.predicate), true), ...inside(step.yes, depth), ...inside(step.no, depth)];
  const { trips, body } = step;
  const condition =
    typeof trips === 'number' ? [] : [...inside(trips.steps, depth + 1), touch(bitAt(trips.holds), true)];
  return [...condition, ...inside(body, depth + 1)].map(inner => afterLoop(inner, depth, mostTrips(step)));
}

class Placement {
  /** What has been touched since the last barrier. */
  #pending: readonly Touch[] = [];
  /** How often each loop around runs, at most. */
  readonly #trips: number[] = [];

  block(steps: readonly TeamStep[]): EntryStep[] {
    return steps.flatMap(step => {
      if ('trips' in step) return this.#loop(step);
      if ('predicate' in step) return this.#branch(step);
      return [...this.#before(touchesOf(step)), step.byAll ? step.step : { alone: [step.step] }];
    });
  }

  /** A barrier where these conflict with what is pending; then they are pending. */
  #before(touches: readonly Touch[]): Call[] {
    const barriers = this.#barrierFor(touches);
    this.#pending = [...this.#pending, ...touches];
    return barriers;
  }

  #barrierFor(touches: readonly Touch[]): Call[] {
    if (!touches.some(next => this.#pending.some(earlier => conflict(earlier, next, this.#trips)))) return [];
    this.#pending = [];
    return [{ target: BARRIER, args: [] }];
  }

  #branch({ predicate, yes, no }: TeamBranch): EntryStep[] {
    const barriers = this.#before([touch(bitAt(predicate), true)]);
    const before = this.#pending;
    const stepsOfYes = this.block(yes);
    const afterYes = this.#pending;
    this.#pending = before;
    const stepsOfNo = this.block(no);
    this.#pending = distinct([...afterYes, ...this.#pending]);
    return [...barriers, { predicate, yes: stepsOfYes, no: stepsOfNo }];
  }

  /** What the loop needs of the steps before it is waited for once, before it. */
  #loop(loop: TeamLoop): EntryStep[] {
    if (loop.trips === 0) return [];
    const depth = this.#trips.length;
    const barriers = this.#barrierFor(touchesOf(loop, depth));
    this.#trips.push(mostTrips(loop));
    const { step, atExit } = this.#turn(loop, distinct(this.#pending), depth);
    this.#trips.pop();
    this.#pending = distinct(atExit.map(inner => afterLoop(inner, depth, mostTrips(loop))));
    return [...barriers, step];
  }

  #turn(loop: TeamLoop, atStart: readonly Touch[], depth: number): { step: EntryStep; atExit: readonly Touch[] } {
    this.#pending = atStart;
    const condition = this.#condition(loop);
    const atCondition = this.#pending;
    const body = this.block(loop.body);
    const comesRound = distinct([...atStart, ...this.#pending.map(inner => inEarlier(inner, depth))]);
    if (comesRound.length > atStart.length) return this.#turn(loop, comesRound, depth);
    const atExit = typeof loop.trips === 'number' ? this.#pending : atCondition;
    return { step: { trips: condition, body }, atExit };
  }

  #condition({ trips }: TeamLoop): EntryLoop['trips'] {
    if (typeof trips === 'number') return trips;
    const { steps, holds } = trips;
    const computed = this.block(steps);
    return { steps: [...computed, ...this.#before([touch(bitAt(holds), true)])], holds };
  }
}

const touch = (span: Span, byAll: boolean): Touch => ({ ...span, byAll, earlier: [] });
const bitAt = ({ base, strides }: Address): Span => ({ start: base, end: base + 1, strides, isWritten: false });
const mostTrips = ({ trips }: TeamLoop): number => (typeof trips === 'number' ? trips : Number.POSITIVE_INFINITY);

/** The same in an earlier iteration of the loop that has `depth` around it. */
function inEarlier(inner: Touch, depth: number): Touch {
  const earlier = Array.from({ length: depth + 1 }, (_, l) => l === depth || (inner.earlier[l] ?? false));
  return { ...inner, earlier };
}

/** The same when the loop is over: it may have been in any iteration. */
function afterLoop(inner: Touch, depth: number, trips: number): Touch {
  const [least, most] = times(inner.strides[depth] ?? 0, 0, trips - 1);
  return {
    ...inner,
    start: inner.start + least,
    end: inner.end + most,
    strides: inner.strides.slice(0, depth),
    earlier: inner.earlier.slice(0, depth),
  };
}

const distinct = (touches: readonly Touch[]): readonly Touch[] => [
  ...new Map(touches.map(inner => [JSON.stringify(inner), inner])).values(),
];

/** Whether one of a thread must not overtake another of another thread, in loops that run so often. */
function conflict(earlier: Touch, next: Touch, trips: readonly number[]): boolean {
  if (!(earlier.byAll || next.byAll) || !(earlier.isWritten || next.isWritten)) return false;
  let least = earlier.start - next.start;
  let most = least;
  const add = ([from, to]: readonly [number, number]): void => {
    least += from;
    most += to;
  };
  for (const [l, count] of trips.entries()) {
    const [stride, other] = [earlier.strides[l] ?? 0, next.strides[l] ?? 0];
    add(times(stride - other, 0, count - 1));
    if (earlier.earlier[l]) add(times(-stride, 1, count - 1));
  }
  return least < next.end - next.start && most > earlier.start - earlier.end;
}

/** The least and the most of `factor · n`, from the least n to the most. */
function times(factor: number, least: number, most: number): readonly [number, number] {
  if (factor === 0) return [0, 0];
  return factor > 0 ? [factor * least, factor * most] : [factor * most, factor * least];
}
