/**
 * The steps of an entry that a team runs: calls, by the first thread or by all, and barriers where one needs the memory of
 * another. Consecutive calls by the first thread, and calls on different memory, need none.
 */
import { bytesOf } from '../../compiler/ir/dtype.js';
import type { KernelParam } from '../../compiler/ir/kernel.js';
import type { Call } from './module.js';

export type Step =
  | { readonly kind: 'call'; readonly call: Call; readonly byAll: boolean }
  | { readonly kind: 'barrier' };

/** A call and what it touches. */
export interface TeamLaunch {
  readonly call: Call;
  /** Whether all threads make it, or only the first one. */
  readonly byAll: boolean;
  readonly params: readonly KernelParam[];
  /** Whether it uses the scratch memory that all have in common. */
  readonly takesShared: boolean;
}

export function stepsOf(launches: readonly TeamLaunch[]): Step[] {
  const steps: Step[] = [];
  let pending: TeamLaunch[] = [];
  for (const launch of launches) {
    if (pending.some(earlier => conflict(earlier, launch))) {
      steps.push({ kind: 'barrier' });
      pending = [];
    }
    pending.push(launch);
    steps.push({ kind: 'call', call: launch.call, byAll: launch.byAll });
  }
  return steps;
}

function conflict(a: TeamLaunch, b: TeamLaunch): boolean {
  if (!a.byAll && !b.byAll) return false;
  if (a.takesShared && b.takesShared) return true;
  return spans(a).some(x => spans(b).some(y => (x.isWritten || y.isWritten) && x.start < y.end && y.start < x.end));
}

const spans = ({ params, call: { args } }: TeamLaunch): { start: number; end: number; isWritten: boolean }[] =>
  params.map(({ buffer, access }, i) => ({
    start: args[i],
    end: args[i] + buffer.size * bytesOf(buffer.dtype),
    isWritten: access !== 'read',
  }));
