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
import { measuredCosts, type TeamCosts } from './divide.js';
import { buildModule, moduleText } from './module.js';
import { planAlone, planTeam } from './plan.js';
import { schedule } from './schedule.js';

export interface WasmOptions {
  /** Also write `<name>.relaxed.wasm`, in which products and sums are fused; `only`: write no others. */
  readonly relaxed?: boolean | 'only';
  /**
   * Also write `<name>.threads.wasm`, for several threads, and with `relaxed` `<name>.threads.relaxed.wasm`. What working
   * together costs decides which kernels are divided.
   */
  readonly threads?: boolean | TeamCosts;
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
  const costs = options.threads === true ? measuredCosts : options.threads;
  for (const relaxed of options.relaxed === 'only' ? [true] : options.relaxed ? [false, true] : [false]) {
    const suffix = relaxed ? '.relaxed' : '';
    const plan = planAlone(program, relaxed);
    files.set(`${name}${suffix}.wasm`, buildModule(plan));
    if (options.text && !relaxed) files.set(`${name}.wat`, moduleText(plan));
    if (costs) files.set(`${name}.threads${suffix}.wasm`, buildModule(planTeam(program, relaxed, costs)));
  }
  return files;
}
