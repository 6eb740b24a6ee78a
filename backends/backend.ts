/**
 * What a backend is: what it can do, how it schedules kernels, and how it writes a program down.
 *
 * A backend is handed to the compiler; the compiler knows none of them by name.
 */

import type { DType } from '../compiler/ir/dtype.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import type { Program } from '../compiler/ir/program.js';
import type { Pass } from '../compiler/pass.js';

export interface Capabilities {
  /** Element types it computes in. A program that needs another is refused by name (E601). */
  readonly dtypes: readonly DType[];
  /** float32 lanes of a vector; 1 where there are none. */
  readonly lanes: number;
}

/** Files as values: a backend does no I/O. */
export type ArtifactFiles = ReadonlyMap<string, Uint8Array | string>;

export interface Backend<Options = object> {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** From the plain form that lowering writes to the form `emit` spells. */
  readonly schedule: readonly Pass<Kernel>[];
  emit(program: Program, options?: Options): ArtifactFiles;
}
