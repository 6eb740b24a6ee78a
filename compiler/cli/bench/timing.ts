/** Timing of calls: warmed up first, then one by one, for about the time that is allowed. */

export interface Times {
  readonly medianMs: number;
  readonly minMs: number;
}

const mostCalls = 500;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

function timed(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

/** A quarter of the time is for the engine to replace its first code; a call that takes longer is made three times. */
function repeat(call: () => void, record: () => void, seconds: number): void {
  const allowed = seconds * 1000;
  if (timed(call) > allowed) for (let i = 0; i < 3; i++) record();
  else {
    const warm = performance.now();
    while (performance.now() - warm < allowed / 4) call();
    const start = performance.now();
    for (let n = 0; n < 5 || (performance.now() - start < allowed && n < mostCalls); n++) record();
  }
}

export const measure = (run: () => unknown, seconds: number): Times => measureEach([run], seconds)[0];

/** Of calls that follow one another, each timed by itself. */
export function measureEach(calls: readonly (() => unknown)[], seconds: number): Times[] {
  const times = calls.map((): number[] => []);
  const all = (): void => {
    for (const call of calls) call();
  };
  const record = (): void => {
    for (const [i, call] of calls.entries()) times[i].push(timed(call));
  };
  repeat(all, record, seconds);
  return times.map(all => ({ medianMs: median(all), minMs: Math.min(...all) }));
}

/**
 * The shortest of many short calls, in milliseconds: what the machine does when nothing else wants it. Ends when for this long
 * none was clearly shorter: the engine has replaced its first code by then, unless other programs leave it no time at all.
 */
export function bestTime(run: () => unknown, seconds: number): number {
  let least = Number.POSITIVE_INFINITY;
  let improved = performance.now();
  while (performance.now() - improved < seconds * 1000) {
    const time = timed(run);
    if (time < 0.9 * least) improved = performance.now();
    least = Math.min(least, time);
  }
  return least;
}
