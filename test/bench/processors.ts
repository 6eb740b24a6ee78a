/** What a measurement had of the machine: whoever reads a slow one can tell whether the code or other programs made it so. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Share {
  /** Processors in use on average: where it is well below the threads, other programs had them, or the threads slept. */
  readonly processors: number;
  /**
   * Processors that threads of this process were ready for and did not get, on average; null where the system does not say.
   * Linux does, in nanoseconds of each thread.
   */
  readonly waited: number | null;
}

export function withShare<T>(measured: () => T): { readonly times: T; readonly share: Share } {
  const [start, used, waited] = [performance.now(), process.cpuUsage(), waitedMs()];
  const times = measured();
  const [elapsed, now] = [performance.now() - start, waitedMs()];
  const { user, system } = process.cpuUsage(used);
  return {
    times,
    share: {
      processors: (user + system) / 1000 / elapsed,
      waited: waited === null || now === null ? null : Math.max(0, now - waited) / elapsed,
    },
  };
}

/** Of all threads that there are. */
function waitedMs(): number | null {
  const tasks = '/proc/self/task';
  try {
    const times = readdirSync(tasks).map(task => readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[1]);
    return times.reduce((sum, nanoseconds) => sum + Number(nanoseconds) / 1e6, 0);
  } catch {
    return null;
  }
}
