/**
 * The WebAssembly backend: what it can do, its schedule, and the modules it writes.
 *
 * A module exports its `memory` and one function per entry, without arguments, and imports nothing. Tensors lie at the
 * offsets of the program's slots; the loader writes the state there. Behind them comes the scratch memory of `local`
 * buffers, used by one kernel after another.
 */
import { dtypes } from '../../compiler/ir/dtype.js';
import type { Program } from '../../compiler/ir/program.js';
import type { ArtifactFiles, Backend } from '../backend.js';
import { buildModule, moduleText } from './module.js';
import { type Plan, planAlone, planTeam } from './plan.js';
import { schedule } from './schedule.js';

export interface WasmOptions {
  /** Also write `<name>.relaxed.wasm`, in which products and sums are fused. */
  readonly relaxed?: boolean;
  /** Also write `<name>.threads.wasm`, for several threads, and with `relaxed` `<name>.threads.relaxed.wasm`. */
  readonly threads?: boolean;
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
  const { name } = program;
  const files = new Map<string, Uint8Array | string>();
  const write = (plan: Plan, suffix: string): void => {
    files.set(`${name}${suffix}.wasm`, buildModule({ ...plan, relaxed: false }));
    if (options.relaxed) files.set(`${name}${suffix}.relaxed.wasm`, buildModule({ ...plan, relaxed: true }));
  };
  const plan = planAlone(program);
  write(plan, '');
  if (options.text) files.set(`${name}.wat`, moduleText({ ...plan, relaxed: false }));
  if (options.threads) write(planTeam(program), '.threads');
  return files;
}
