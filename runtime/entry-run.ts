/**
 * Is an entry being run, rather than plain eager code? Its random numbers then come from the counter-based generator, whose
 * state is part of the model, until the entry itself seeds a generator: see `random.ts`.
 */
import { executor } from '../compiler/ops/tensor.js';

let standIn: object | null = null;

/** What stands for the run of an entry that is under way: the trace, or the call below. Null in plain eager code. */
export const entryRun = (): object | null => (executor().kind === 'trace' ? executor() : standIn);

/** Run `fn` eagerly with the random numbers of a compiled entry. */
export function withCounterRandom<T>(fn: () => T): T {
  const outer = standIn;
  standIn = {};
  try {
    return fn();
  } finally {
    standIn = outer;
  }
}
