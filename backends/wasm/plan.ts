/**
 * What a module will hold, as values: the function of each kernel, the calls of each entry, and the memory behind the
 * tensors, for one thread or for a team.
 */
import { bytesOf } from '../../compiler/ir/dtype.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import { type EntryProgram, isLaunch, type Launch, type Program } from '../../compiler/ir/program.js';
import { type DividedKernel, divideKernel, forOneThread, type TeamCosts } from './divide.js';
import { type EmittedFunction, emitKernel } from './emit.js';
import { type Call, type EntryStep, entrySteps } from './entry.js';
import type { ModulePlan } from './module.js';
import { type Span, type Step, stepsOf, type TeamStep } from './steps.js';
import { CONTROL_BYTES } from './team.js';

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Functions by name, each kernel emitted once. */
class Functions {
  readonly emitted = new Map<string, EmittedFunction>();
  private readonly names = new Map<Kernel, string>();

  constructor(private readonly relaxed: boolean) {}

  nameOf(kernel: Kernel): string {
    let name = this.names.get(kernel);
    if (name === undefined) {
      name = `${kernel.name}.${this.names.size}`;
      this.names.set(kernel, name);
      this.emitted.set(name, emitKernel(kernel, this.relaxed));
    }
    return name;
  }

  most(bytes: (emitted: EmittedFunction) => number): number {
    return Math.max(0, ...[...this.emitted.values()].map(bytes));
  }
}

/** For one thread: scratch memory behind the tensors. */
export function planAlone(program: Program, relaxed: boolean): ModulePlan {
  const functions = new Functions(relaxed);
  const entries = new Map<string, readonly EntryStep[]>();
  for (const { name, steps } of program.entries) {
    entries.set(
      name,
      entrySteps(steps, ({ kernel, ...places }) => ({ ...places, target: functions.nameOf(kernel) })),
    );
  }
  const scratchBase = aligned(program.totalBytes);
  const scratchBytes = functions.most(emitted => emitted.scratchBytes);
  const memoryBytes = scratchBase + scratchBytes;
  return { functions: functions.emitted, entries, exported: [], memoryBytes, scratchBase, relaxed };
}

/**
 * For a team: behind the tensors come the words through which threads meet, the scratch memory they have in common, and
 * that of each thread.
 */
export function planTeam(program: Program, relaxed: boolean, costs: TeamCosts): ModulePlan {
  const functions = new Functions(relaxed);
  const kernels = new TeamKernels(costs);
  const entries = new Map(program.entries.map(entry => [entry.name, teamSteps(entry, kernels, functions)]));
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
    relaxed,
    team: { entries, control, shared, scratchBytes },
  };
}

/** What a team does faster than one thread, by kernel. */
class TeamKernels {
  private readonly divisions = new Map<Kernel, DividedKernel | null>();
  private readonly single = new Map<Kernel, Kernel>();

  constructor(readonly costs: TeamCosts) {}

  divided(kernel: Kernel): DividedKernel | null {
    const known = this.divisions.get(kernel);
    if (known !== undefined) return known;
    const division = divideKernel(kernel, this.costs);
    this.divisions.set(kernel, division);
    return division;
  }

  alone(kernel: Kernel): Kernel {
    const known = this.single.get(kernel) ?? forOneThread(kernel);
    this.single.set(kernel, known);
    return known;
  }
}

/** Loops and branches are the first thread's: the team helps with the kernels around them. */
function teamSteps({ steps }: EntryProgram, kernels: TeamKernels, functions: Functions): Step[] {
  const divisions = steps.map(step => (isLaunch(step) ? kernels.divided(step.kernel) : null));
  const saved = divisions.reduce((sum, division) => sum + (division ? division.alone - division.together : 0), 0);
  const isWorthIt = saved > kernels.costs.waking;
  const callOf = ({ kernel, ...places }: Launch, division: DividedKernel | null): Call => ({
    ...places,
    target: functions.nameOf(division?.kernel ?? kernels.alone(kernel)),
  });
  const planned = steps.map((step, i): TeamStep => {
    const division = isWorthIt ? divisions[i] : null;
    const [inner] = entrySteps([step], launch => callOf(launch, division));
    const takesShared = 'target' in inner && functions.emitted.get(inner.target)!.sharedBytes > 0;
    return { step: inner, byAll: division !== null, touches: isLaunch(step) ? spansOf(step) : null, takesShared };
  });
  return stepsOf(planned);
}

const spansOf = ({ kernel, args }: Launch): Span[] =>
  kernel.params.map(({ buffer, access }, i) => ({
    start: args[i],
    end: args[i] + buffer.size * bytesOf(buffer.dtype),
    isWritten: access !== 'read',
  }));
