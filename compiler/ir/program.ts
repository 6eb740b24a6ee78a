/**
 * What a backend is given: for each entry what it does, step by step, and the place of every tensor in one memory.
 *
 *   launch k1(x, h -> g)
 *   loop 8 times { launch k2(g + 64 · t, w -> h); launch k3(h -> ys + 16 · t) }
 *   if the byte at p { launch k4(…) } else { … }
 *
 * Addresses are bytes from the start of the model's memory, multiples of 64 but for what moves with a loop. State comes first,
 * at [0, stateBytes), in the order of the state file, so that the file's data section can be copied there in one piece; then
 * inputs, outputs and temporaries of the entries, which share one arena.
 */
import type { TensorType } from './graph.js';
import type { Kernel } from './kernel.js';

/** A tensor with a place. */
export interface Slot {
  readonly name: string;
  readonly type: TensorType;
  /** Bytes from the start of the model's memory. */
  readonly offset: number;
}

/** A place that may move with the loops around it: `base + Σ strides[l] · iteration of loop l`, the outermost loop first. */
export interface Address {
  readonly base: number;
  readonly strides: readonly number[];
}

/** One run of a kernel; `args[i]` is the place of `kernel.params[i]`, in bytes, in the first iteration of all loops around. */
export interface Launch {
  readonly kernel: Kernel;
  readonly args: readonly number[];
  /** For each argument, by how much it moves in each loop around; absent outside of loops. */
  readonly strides?: readonly (readonly number[])[];
}

export interface Loop {
  /** How often it runs: a number, or as long as a condition holds. */
  readonly trips: number | Condition;
  readonly body: readonly Step[];
}
/** Steps before every iteration, and the bool that they leave: the loop goes on while it is 1. */
export interface Condition {
  readonly steps: readonly Step[];
  readonly holds: Address;
}

export interface Branch {
  /** A bool. */
  readonly predicate: Address;
  readonly yes: readonly Step[];
  readonly no: readonly Step[];
}

export type Step = Launch | Loop | Branch;
export const isLaunch = (step: Step): step is Launch => 'kernel' in step;
export const isLoop = (step: Step): step is Loop => 'trips' in step;

export interface EntryProgram {
  readonly name: string;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  readonly steps: readonly Step[];
}

export interface Program {
  readonly name: string;
  readonly state: readonly Slot[];
  readonly stateBytes: number;
  /** State, inputs, outputs and temporaries together. */
  readonly totalBytes: number;
  readonly entries: readonly EntryProgram[];
}

/** The blocks of steps inside a step. */
export function blocksOf(step: Loop | Branch): readonly (readonly Step[])[] {
  if (!isLoop(step)) return [step.yes, step.no];
  return typeof step.trips === 'number' ? [step.body] : [step.trips.steps, step.body];
}

/** All launches as they stand in the text, each once. */
export const launchesOf = (steps: readonly Step[]): readonly Launch[] =>
  steps.flatMap(step => (isLaunch(step) ? [step] : blocksOf(step).flatMap(launchesOf)));

/** The launches of all entries. */
export const allLaunches = ({ entries }: Program): readonly Launch[] =>
  entries.flatMap(({ steps }) => launchesOf(steps));

/** The same program with each launch replaced. */
export const mapLaunches = (program: Program, change: (launch: Launch) => Launch): Program => ({
  ...program,
  entries: program.entries.map(entry => ({ ...entry, steps: mapSteps(entry.steps, change) })),
});

function mapSteps(steps: readonly Step[], change: (launch: Launch) => Launch): Step[] {
  return steps.map(step => {
    if (isLaunch(step)) return change(step);
    if (!isLoop(step)) return { ...step, yes: mapSteps(step.yes, change), no: mapSteps(step.no, change) };
    const { trips } = step;
    const condition = typeof trips === 'number' ? trips : { ...trips, steps: mapSteps(trips.steps, change) };
    return { trips: condition, body: mapSteps(step.body, change) };
  });
}
