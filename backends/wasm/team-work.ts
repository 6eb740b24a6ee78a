/**
 * What of an entry a team does together: the kernels that are worth dividing, and the loops and branches in which so much
 * is saved that the barriers of every iteration pay. All else is the first thread's, as one step.
 */
import { bytesOf } from '../../compiler/ir/dtype.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import {
  type Branch,
  blocksOf,
  isLaunch,
  isLoop,
  type Launch,
  type Loop,
  type Step,
} from '../../compiler/ir/program.js';
import { type DividedKernel, divideKernel, forOneThread, type TeamCosts } from './divide.js';
import { entrySteps } from './entry.js';
import { type Span, type TeamStep, touchesOf } from './steps.js';
import { workOf } from './work.js';

/** The function of a kernel, and whether it uses the scratch memory that all have in common. */
export interface TeamFunction {
  readonly target: string;
  readonly takesShared: boolean;
}

/** How often a loop is taken to run whose length is not known. */
const UNKNOWN_TRIPS = 10;

/** The scratch memory in common as bytes that a step writes: no tensor is there. */
const SHARED_SCRATCH: Span = { start: -1, end: 0, strides: [], isWritten: true };

/** Estimated cycles of a step by the first thread, and by the team as far as that helps. */
interface Cycles {
  readonly alone: number;
  readonly together: number;
}

interface TeamKernel {
  readonly kernel: Kernel;
  readonly alone: number;
  /** Null where one thread is as fast. */
  readonly division: DividedKernel | null;
}

export class TeamWork {
  readonly #kernels = new Map<Kernel, TeamKernel>();

  constructor(
    private readonly costs: TeamCosts,
    private readonly functionOf: (kernel: Kernel) => TeamFunction,
  ) {}

  planned(steps: readonly Step[]): TeamStep[] {
    const saved = steps.map(step => this.#cycles(step)).reduce((sum, step) => sum + step.alone - step.together, 0);
    return steps.map(step => (saved > this.costs.waking ? this.#step(step, 0) : this.#byFirst(step, 0)));
  }

  #step(step: Step, depth: number): TeamStep {
    if (!this.#isShared(step)) return this.#byFirst(step, depth);
    if (isLaunch(step)) return this.#run(step, this.#kernel(step.kernel).division!.kernel, true);
    return around(step, depth, (inner, at) => this.#step(inner, at));
  }

  #byFirst(step: Step, depth: number): TeamStep {
    if (isLaunch(step)) return this.#run(step, this.#kernel(step.kernel).kernel, false);
    const [whole] = entrySteps([step], ({ kernel, ...places }) => ({
      ...places,
      target: this.functionOf(this.#kernel(kernel).kernel).target,
    }));
    const inside = around(step, depth, (inner, at) => this.#byFirst(inner, at));
    return { step: whole, byAll: false, touches: touchesOf(inside, depth) };
  }

  #run({ kernel: { params }, ...places }: Launch, kernel: Kernel, byAll: boolean): TeamStep {
    const { target, takesShared } = this.functionOf(kernel);
    const { args, strides } = places;
    const touches = params.map(({ buffer, access }, i) => ({
      start: args[i],
      end: args[i] + buffer.size * bytesOf(buffer.dtype),
      strides: strides?.[i] ?? [],
      isWritten: access !== 'read',
    }));
    return { step: { ...places, target }, byAll, touches: takesShared ? [...touches, SHARED_SCRATCH] : touches };
  }

  #isShared(step: Step): boolean {
    const { alone, together } = this.#cycles(step);
    return together < alone;
  }

  /** In a loop or a branch that all go through, every step has its barrier, and so has the bit that decides. */
  #cycles(step: Step): Cycles {
    if (isLaunch(step)) {
      const { alone, division } = this.#kernel(step.kernel);
      return { alone, together: division ? division.together + this.costs.barrier : alone };
    }
    const inside = blocksOf(step)
      .flat()
      .map(inner => this.#cycles(inner));
    const times = timesOf(step);
    const alone = times * inside.reduce((sum, inner) => sum + inner.alone, 0);
    const shared = inside.reduce(
      (sum, inner) => sum + (inner.together < inner.alone ? inner.together : inner.alone + this.costs.barrier),
      0,
    );
    return { alone, together: Math.min(alone, times * (shared + this.costs.barrier)) };
  }

  #kernel(kernel: Kernel): TeamKernel {
    const known = this.#kernels.get(kernel);
    if (known) return known;
    const division = divideKernel(kernel, this.costs);
    const planned = { kernel: forOneThread(kernel), alone: workOf(kernel.body), division };
    this.#kernels.set(kernel, planned);
    return planned;
  }
}

/** How often the steps inside run: of a branch, every second time. */
function timesOf(step: Loop | Branch): number {
  if (!isLoop(step)) return 1 / 2;
  return typeof step.trips === 'number' ? step.trips : UNKNOWN_TRIPS;
}

/** A loop or branch with the steps inside planned, given how many loops are around those. */
function around(step: Loop | Branch, depth: number, plan: (inner: Step, depth: number) => TeamStep): TeamStep {
  const block = (steps: readonly Step[], at: number): TeamStep[] => steps.map(inner => plan(inner, at));
  if (!isLoop(step)) return { predicate: step.predicate, yes: block(step.yes, depth), no: block(step.no, depth) };
  const { trips, body } = step;
  const condition = typeof trips === 'number' ? trips : { holds: trips.holds, steps: block(trips.steps, depth + 1) };
  return { trips: condition, body: block(body, depth + 1) };
}
