/**
 * The WebAssembly backend: what it can do, its schedule, and the modules it writes.
 *
 * A module exports its `memory` and one function per entry, without arguments, and imports nothing. Tensors lie at the
 * offsets of the program's slots; the loader writes the state there. Behind them comes the scratch memory of `local`
 * buffers, used by one kernel after another.
 */
import { dtypes } from '../../compiler/ir/dtype.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Program } from '../../compiler/ir/program.js';
import type { ArtifactFiles, Backend } from '../backend.js';
import { type EmittedFunction, emitKernel } from './emit.js';
import { buildModule, type Call, type ModulePlan, moduleText } from './module.js';
import { schedule } from './schedule.js';

export interface WasmOptions {
  /** Also write `<name>.relaxed.wasm`, in which products and sums are fused. */
  readonly relaxed?: boolean;
  /** Also write `<name>.wat`. */
  readonly text?: boolean;
}

export const wasm: Backend<WasmOptions> = {
  name: 'wasm',
  capabilities: { dtypes, lanes: 4 },
  schedule,
  emit,
};

function emit(program: Program, options: WasmOptions = {}): ArtifactFiles {
  const plan = planProgram(program);
  const files = new Map<string, Uint8Array | string>();
  files.set(`${program.name}.wasm`, buildModule({ ...plan, relaxed: false }));
  if (options.relaxed) files.set(`${program.name}.relaxed.wasm`, buildModule({ ...plan, relaxed: true }));
  if (options.text) files.set(`${program.name}.wat`, moduleText({ ...plan, relaxed: false }));
  return files;
}

function planProgram(program: Program): Omit<ModulePlan, 'relaxed'> {
  const functions = new Map<string, EmittedFunction>();
  const names = new Map<Kernel, string>();
  const nameOf = (kernel: Kernel): string => {
    let name = names.get(kernel);
    if (name === undefined) {
      name = `${kernel.name}.${names.size}`;
      names.set(kernel, name);
      functions.set(name, emitKernel(kernel));
    }
    return name;
  };
  const entries = new Map<string, Call[]>();
  for (const { name, launches } of program.entries) {
    entries.set(
      name,
      launches.map(({ kernel, args }) => ({ target: nameOf(kernel), args })),
    );
  }
  const scratchBase = Math.ceil(program.totalBytes / 64) * 64;
  const scratchBytes = Math.max(0, ...[...functions.values()].map(emitted => emitted.scratchBytes));
  return { functions, entries, exported: [], memoryBytes: scratchBase + scratchBytes, scratchBase };
}
