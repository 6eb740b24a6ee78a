/** Timing of calls: warmed up first, then one by one, for about a second. */

export interface Times {
  readonly medianMs: number;
  readonly minMs: number;
}

const slowMs = 1500;
const warmMs = 250;
const measuredMs = 1000;
const mostCalls = 500;

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

function timed(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

/** Where a call takes over 1.5 seconds, three calls are measured after the first. */
function repeat(call: () => void, record: () => void): void {
  if (timed(call) > slowMs) for (let i = 0; i < 3; i++) record();
  else {
    const warm = performance.now();
    while (performance.now() - warm < warmMs) call();
    const start = performance.now();
    for (let n = 0; n < 5 || (performance.now() - start < measuredMs && n < mostCalls); n++) record();
  }
}

const timesOf = (times: readonly number[]): Times => ({ medianMs: median(times), minMs: Math.min(...times) });

export function measure(run: () => unknown): Times {
  const times: number[] = [];
  repeat(run, () => times.push(timed(run)));
  return timesOf(times);
}

/** Calls that follow one another, each timed by itself. */
export function measureEach(calls: readonly (() => void)[]): Times[] {
  const times = calls.map((): number[] => []);
  const all = (): void => {
    for (const call of calls) call();
  };
  repeat(all, () => {
    for (const [i, call] of calls.entries()) times[i].push(timed(call));
  });
  return times.map(timesOf);
}

/**
 * The shortest of many short calls, in milliseconds: what the machine does when nothing else wants it. Long enough for the
 * engine to have replaced its first code, also where other programs leave its compiler little time.
 */
export function bestTime(run: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  const start = performance.now();
  while (performance.now() - start < 2 * warmMs) least = Math.min(least, timed(run));
  return least;
}
