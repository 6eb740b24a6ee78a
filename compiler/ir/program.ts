/**
 * What a backend is given: for each entry the kernels in order, and the place of every tensor in one memory.
 *
 * Addresses are bytes from the start of the model's memory, multiples of 64. State comes first, at [0, stateBytes), in the
 * order of the state file, so that the file's data section can be copied there in one piece; then inputs, outputs and
 * temporaries of the entries, which share one arena.
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

/** One run of a kernel; `args[i]` is the place of `kernel.params[i]`, in bytes. */
export interface Launch {
  readonly kernel: Kernel;
  readonly args: readonly number[];
}

export interface EntryProgram {
  readonly name: string;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  readonly launches: readonly Launch[];
}

export interface Program {
  readonly name: string;
  readonly state: readonly Slot[];
  readonly stateBytes: number;
  /** State, inputs, outputs and temporaries together. */
  readonly totalBytes: number;
  readonly entries: readonly EntryProgram[];
}
