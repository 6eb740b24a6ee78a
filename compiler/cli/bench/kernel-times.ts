/** How long each kernel of an entry takes by itself. */
import { wasm } from '../../../backends/wasm/backend.js';
import type { TypedArray } from '../../ir/dtype.js';
import { type EntryProgram, launchesOf, type Program } from '../../ir/program.js';
import { scheduleProgram } from '../../pipeline.js';
import { exportKernels, fill } from './exported-kernels.js';
import { type CountedLaunch, countedLaunches } from './launches.js';
import { measureEach, type Times } from './timing.js';

/** Times are of one run; the launch is in plain form. */
export interface LaunchTime extends Times, CountedLaunch {}

/**
 * In the order of the entry, each on the memory that the one before left; those in loops where the first iteration
 * runs.
 */
export function launchTimes(
  program: Program,
  entry: EntryProgram,
  contents: ReadonlyMap<string, TypedArray>,
  relaxed: boolean,
  seconds: number,
  backend = wasm,
): LaunchTime[] {
  const scheduled = scheduleProgram({ ...program, entries: [entry] }, backend).entries[0];
  const { calls, memory } = exportKernels(program, launchesOf(scheduled.steps), relaxed);
  fill(memory, program, entry, contents);
  const counted = countedLaunches(entry.steps);
  return measureEach(calls, seconds).map((times, i) => ({ ...counted[i], ...times }));
}
