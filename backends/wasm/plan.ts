/**
 * What a module will hold, as values: the function of each kernel, the calls of each entry, and the memory behind the
 * tensors, for one thread or for a team.
 */
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { EntryProgram, Launch, Program } from '../../compiler/ir/program.js';
import { type DividedKernel, divideKernel, forOneThread } from './divide.js';
import { type EmittedFunction, emitKernel } from './emit.js';
import type { Call, ModulePlan } from './module.js';
import { type Step, stepsOf, type TeamLaunch } from './steps.js';
import { CONTROL_BYTES } from './team.js';

export type Plan = Omit<ModulePlan, 'relaxed'>;

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Functions by name, each kernel emitted once. */
class Functions {
  readonly emitted = new Map<string, EmittedFunction>();
  private readonly names = new Map<Kernel, string>();

  nameOf(kernel: Kernel): string {
    let name = this.names.get(kernel);
    if (name === undefined) {
      name = `${kernel.name}.${this.names.size}`;
      this.names.set(kernel, name);
      this.emitted.set(name, emitKernel(kernel));
    }
    return name;
  }

  most(bytes: (emitted: EmittedFunction) => number): number {
    return Math.max(0, ...[...this.emitted.values()].map(bytes));
  }
}

/** For one thread: scratch memory behind the tensors. */
export function planAlone(program: Program): Plan {
  const functions = new Functions();
  const entries = new Map<string, Call[]>();
  for (const { name, launches } of program.entries) {
    entries.set(
      name,
      launches.map(({ kernel, args }) => ({ target: functions.nameOf(kernel), args })),
    );
  }
  const scratchBase = aligned(program.totalBytes);
  const scratchBytes = functions.most(emitted => emitted.scratchBytes);
  return { functions: functions.emitted, entries, exported: [], memoryBytes: scratchBase + scratchBytes, scratchBase };
}

/**
 * For a team: behind the tensors come the words through which threads meet, the scratch memory they have in common, and
 * that of each thread.
 */
export function planTeam(program: Program): Plan {
  const functions = new Functions();
  const kernels = new TeamKernels();
  const entries = new Map(program.entries.map(entry => [entry.name, entrySteps(entry, kernels, functions)]));
  const control = aligned(program.totalBytes);
  const shared = control + CONTROL_BYTES;
  const scratch = shared + aligned(functions.most(emitted => emitted.sharedBytes));
  const scratchBytes = aligned(functions.most(emitted => emitted.scratchBytes));
  return {
    functions: functions.emitted,
    entries: new Map(),
    exported: [],
    memoryBytes: scratch,
    scratchBase: scratch,
    team: { entries, control, shared, scratchBytes },
  };
}

/** What a team does faster than one thread, by kernel. */
class TeamKernels {
  private readonly divisions = new Map<Kernel, DividedKernel | null>();
  private readonly single = new Map<Kernel, Kernel>();

  divided(kernel: Kernel): DividedKernel | null {
    const known = this.divisions.get(kernel);
    if (known !== undefined) return known;
    const division = divideKernel(kernel);
    this.divisions.set(kernel, division);
    return division;
  }

  alone(kernel: Kernel): Kernel {
    const known = this.single.get(kernel) ?? forOneThread(kernel);
    this.single.set(kernel, known);
    return known;
  }
}

/** Cycles that a team must save an entry to be called at all: waking a thread that sleeps takes some tens of microseconds. */
const WAKING = 60_000;

function entrySteps({ launches }: EntryProgram, kernels: TeamKernels, functions: Functions): Step[] {
  const divisions = launches.map(({ kernel }) => kernels.divided(kernel));
  const saved = divisions.reduce((sum, division) => sum + (division ? division.alone - division.together : 0), 0);
  const isWorthIt = saved > WAKING;
  const planned = launches.map(({ kernel, args }: Launch, i): TeamLaunch => {
    const division = isWorthIt ? divisions[i] : null;
    const target = functions.nameOf(division?.kernel ?? kernels.alone(kernel));
    const takesShared = functions.emitted.get(target)!.sharedBytes > 0;
    return { call: { target, args }, byAll: division !== null, params: kernel.params, takesShared };
  });
  return stepsOf(planned);
}
