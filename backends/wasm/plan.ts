/**
 * What a module will hold, as values: the function of each kernel, the calls of each entry, and the memory behind the
 * tensors, for one thread or for a team.
 */
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Program } from '../../compiler/ir/program.js';
import type { TeamCosts } from './divide.js';
import { type EmittedFunction, emitKernel } from './emit.js';
import { type EntryStep, entrySteps } from './entry.js';
import type { ModulePlan } from './module.js';
import { withBarriers } from './steps.js';
import { CONTROL_BYTES, MEMBER_BYTES } from './team.js';
import { type TeamFunction, TeamWork } from './team-work.js';

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Functions by name, each kernel emitted once. */
class Functions {
  readonly emitted = new Map<string, EmittedFunction>();
  private readonly names = new Map<Kernel, string>();

  /** `turn`: see `TeamCosts`. */
  constructor(
    private readonly relaxed: boolean,
    private readonly turn = 0,
  ) {}

  nameOf(kernel: Kernel): string {
    let name = this.names.get(kernel);
    if (name === undefined) {
      name = `${kernel.name}.${this.names.size}`;
      this.names.set(kernel, name);
      this.emitted.set(name, emitKernel(kernel, this.relaxed, this.turn));
    }
    return name;
  }

  named(kernel: Kernel): TeamFunction {
    const target = this.nameOf(kernel);
    return { target, takesShared: this.emitted.get(target)!.sharedBytes > 0 };
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
 * what each thread has for itself.
 */
export function planTeam(program: Program, relaxed: boolean, costs: TeamCosts): ModulePlan {
  const functions = new Functions(relaxed, costs.turn);
  const work = new TeamWork(costs, kernel => functions.named(kernel));
  const entries = new Map(program.entries.map(({ name, steps }) => [name, withBarriers(work.planned(steps))]));
  const control = aligned(program.totalBytes);
  const shared = control + CONTROL_BYTES;
  const scratch = shared + aligned(functions.most(emitted => emitted.sharedBytes));
  const threadBytes = MEMBER_BYTES + aligned(functions.most(emitted => emitted.scratchBytes));
  return {
    functions: functions.emitted,
    entries: new Map(),
    exported: [],
    memoryBytes: scratch,
    scratchBase: scratch,
    relaxed,
    team: { entries, control, shared, threadBytes },
  };
}
