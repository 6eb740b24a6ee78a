/**
 * The steps of an entry that a team runs, by the first thread or by all, and barriers where one needs the memory of
 * another. Consecutive steps of the first thread, and steps on different memory, need none.
 */
import type { EntryStep } from './entry.js';

export type Step =
  | { readonly kind: 'run'; readonly step: EntryStep; readonly byAll: boolean }
  | { readonly kind: 'barrier' };

/** A step of an entry and what it touches. */
export interface TeamStep {
  readonly step: EntryStep;
  /** Whether all threads do it, or only the first one. */
  readonly byAll: boolean;
  /** Null: anything. */
  readonly touches: readonly Span[] | null;
  /** Whether it uses the scratch memory that all have in common. */
  readonly takesShared: boolean;
}
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly isWritten: boolean;
}

export function stepsOf(planned: readonly TeamStep[]): Step[] {
  const steps: Step[] = [];
  let pending: TeamStep[] = [];
  for (const next of planned) {
    if (pending.some(earlier => conflict(earlier, next))) {
      steps.push({ kind: 'barrier' });
      pending = [];
    }
    pending.push(next);
    steps.push({ kind: 'run', step: next.step, byAll: next.byAll });
  }
  return steps;
}

function conflict(a: TeamStep, b: TeamStep): boolean {
  if (!a.byAll && !b.byAll) return false;
  if (a.takesShared && b.takesShared) return true;
  const [of, others] = [a.touches, b.touches];
  if (of === null || others === null) return true;
  return of.some(x => others.some(y => (x.isWritten || y.isWritten) && x.start < y.end && y.start < x.end));
}
