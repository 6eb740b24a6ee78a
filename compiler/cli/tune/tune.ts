/**
 * `gradc build --tune`: the plans that a contraction could have are run on this machine, on the values they would meet,
 * and the fastest is kept. Those that the estimate takes for far slower are not tried.
 */
import { cpus } from 'node:os';
import { wasm } from '../../../backends/wasm/backend.js';
import type { Chooser } from '../../../backends/wasm/contraction.js';
import { scheduleBy } from '../../../backends/wasm/schedule.js';
import { hasFeature } from '../../../runtime/deploy/features.js';
import { version } from '../../artifact/version.js';
import type { TypedArray } from '../../ir/dtype.js';
import type { Kernel } from '../../ir/kernel.js';
import { type EntryProgram, type Launch, launchesOf, type Program } from '../../ir/program.js';
import { scheduleProgram } from '../../pipeline.js';
import { type ExportedKernels, exportKernels, fill } from '../bench/exported-kernels.js';
import { measureEach } from '../bench/timing.js';
import { randomInputs } from '../random-inputs.js';
import { contractionKey } from './tuned-backend.js';
import type { TunedPlan, Tuning } from './tuning-file.js';

export interface TuneOptions {
  /** For the plans of one contraction together; default 0.5. */
  readonly seconds?: number;
  readonly progress?: (text: string) => void;
}

/** Estimated to take more than this many times as long as the best: not tried. */
const hopeless = 2;
const mostPlans = 8;
/** A plan must be this much faster than the estimated best: less may be chance. */
const gain = 0.97;

export function tuneProgram(
  program: Program,
  state: ReadonlyMap<string, TypedArray>,
  { seconds = 0.5, progress = () => {} }: TuneOptions = {},
): Tuning {
  const plans: Record<string, TunedPlan> = {};
  const draw = randomInputs(2);
  const relaxed = hasFeature('relaxed-simd');
  for (const entry of program.entries) {
    const run = new TunedEntry(program, entry, new Map([...state, ...Object.entries(draw(entry))]), relaxed);
    run.eachContraction(contraction => {
      if (Object.hasOwn(plans, contraction.key)) return;
      progress(`tuning ${entry.name}: ${contraction.launch.kernel.doc}`);
      plans[contraction.key] = run.fastest(contraction, seconds);
    });
  }
  return { schemaVersion: 1, gradc: version, machine: machine(relaxed), plans };
}

const machine = (relaxed: boolean): string =>
  `${cpus()[0]?.model.trim() ?? process.arch}, Node ${process.version}${relaxed ? ', relaxed SIMD' : ''}`;

/** A sum of products of a kernel, and the plans it could have; the one the estimate takes comes first. */
interface TunableContraction {
  readonly key: string;
  readonly launch: Launch;
  readonly statement: number;
  readonly plans: readonly string[];
}

/** One entry, run kernel by kernel, so that each contraction is met on the values it would see. */
class TunedEntry {
  readonly #launches: readonly Launch[];
  readonly #estimated: ExportedKernels;

  constructor(
    readonly program: Program,
    entry: EntryProgram,
    contents: ReadonlyMap<string, TypedArray>,
    readonly relaxed: boolean,
  ) {
    this.#launches = launchesOf(entry.steps);
    const scheduled = scheduleProgram({ ...program, entries: [entry] }, wasm).entries[0];
    this.#estimated = exportKernels(program, launchesOf(scheduled.steps), relaxed);
    fill(this.#estimated.memory, program, entry, contents);
  }

  eachContraction(visit: (contraction: TunableContraction) => void): void {
    for (const [i, launch] of this.#launches.entries()) {
      for (const contraction of contractionsOf(this.program, launch)) visit(contraction);
      this.#estimated.calls[i]();
    }
  }

  /** Of the plans of a contraction, each run on a copy of the memory as it is now. */
  fastest({ launch, statement, plans }: TunableContraction, seconds: number): TunedPlan {
    const variants = plans.map(what => ({ ...launch, kernel: scheduledAs(this.program, launch, statement, what) }));
    const { calls, memory } = exportKernels(this.program, variants, this.relaxed);
    memory.set(this.#estimated.memory.subarray(0, this.program.totalBytes));
    const least = (measured: readonly (() => void)[]): number[] =>
      measureEach(measured, seconds).map(({ minMs }) => minMs);
    const first = least(calls);
    const best = first.indexOf(Math.min(...first));
    // once more between the two that matter: the machine may have been busy
    const [estimatedMs, ms] = best === 0 ? [first[0], first[0]] : least([calls[0], calls[best]]);
    const kernel = launch.kernel.doc;
    return ms < gain * estimatedMs && first[best] < gain * first[0]
      ? { plan: plans[best], kernel, ms, estimatedMs }
      : { plan: plans[0], kernel, ms: estimatedMs, estimatedMs };
  }
}

/** Schedules a kernel only to hear what could be decided. */
function contractionsOf(program: Program, launch: Launch): TunableContraction[] {
  const found: TunableContraction[] = [];
  scheduled(program, launch, (kernel, statement, plans) => {
    const [{ cost: estimate }] = plans;
    const worthTrying = plans.filter(({ cost }) => cost <= hopeless * estimate).slice(0, mostPlans);
    const key = contractionKey(kernel, statement);
    if (worthTrying.length > 1) found.push({ key, launch, statement, plans: worthTrying.map(({ what }) => what) });
    return null;
  });
  return found;
}

const scheduledAs = (program: Program, launch: Launch, statement: number, what: string): Kernel =>
  scheduled(program, launch, (_, at, plans) =>
    at === statement ? (plans.find(plan => plan.what === what) ?? null) : null,
  );

function scheduled(program: Program, { kernel, args }: Launch, choose: Chooser): Kernel {
  const alone = { name: 'alone', inputs: [], outputs: [], steps: [{ kernel, args }] };
  const backend = { ...wasm, schedule: scheduleBy({ choose }) };
  return launchesOf(scheduleProgram({ ...program, entries: [alone] }, backend).entries[0].steps)[0].kernel;
}
