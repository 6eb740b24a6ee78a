/** The launches of an entry, and how often each runs in one call. */
import { isLaunch, isLoop, type Launch, type Step } from '../../ir/program.js';

export interface CountedLaunch {
  readonly launch: Launch;
  readonly runs: number;
}

/** In the order of the text. What depends on data counts once: a loop whose trips do, and both sides of a branch. */
export const countedLaunches = (steps: readonly Step[], runs = 1): CountedLaunch[] =>
  steps.flatMap(step => {
    if (isLaunch(step)) return [{ launch: step, runs }];
    if (!isLoop(step)) return [...countedLaunches(step.yes, runs), ...countedLaunches(step.no, runs)];
    const { trips, body } = step;
    return typeof trips === 'number'
      ? countedLaunches(body, runs * trips)
      : [...countedLaunches(trips.steps, runs), ...countedLaunches(body, runs)];
  });
