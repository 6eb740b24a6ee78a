/** How long each kernel of an entry takes by itself, in a module that exports them one by one. */
import { wasm } from '../../../backends/wasm/backend.js';
import type { Call } from '../../../backends/wasm/entry.js';
import { buildModule } from '../../../backends/wasm/module.js';
import { planAlone } from '../../../backends/wasm/plan.js';
import type { TypedArray } from '../../ir/dtype.js';
import type { EntryProgram, Program } from '../../ir/program.js';
import { scheduleProgram } from '../../pipeline.js';
import { type CountedLaunch, countedLaunches } from './launches.js';
import { measureEach, type Times } from './timing.js';

/** Times are of one run. */
export interface LaunchTime extends Times, CountedLaunch {}

/** In the order of the entry, each on the memory that the one before left; those in loops where the first iteration runs. */
export function launchTimes(
  program: Program,
  entry: EntryProgram,
  contents: ReadonlyMap<string, TypedArray>,
  relaxed: boolean,
  seconds: number,
): LaunchTime[] {
  const counted = countedLaunches(entry.steps);
  const steps = counted.map(({ launch: { kernel, args } }) => ({ kernel, args }));
  const plan = planAlone(scheduleProgram({ ...program, entries: [{ ...entry, steps }] }, wasm));
  const bytes = buildModule({ ...plan, entries: new Map(), exported: [...plan.functions.keys()], relaxed });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const { buffer } = exports.memory as WebAssembly.Memory;
  for (const { name, offset } of [...program.state, ...entry.inputs]) {
    const { buffer: source, byteOffset, byteLength } = contents.get(name)!;
    new Uint8Array(buffer, offset).set(new Uint8Array(source, byteOffset, byteLength));
  }
  const calls = (plan.entries.get(entry.name) as readonly Call[]).map(({ target, args }) => {
    const run = exports[target] as (...addresses: number[]) => void;
    return () => run(...args);
  });
  return measureEach(calls, seconds).map((times, i) => ({ ...counted[i], ...times }));
}
