/** Scheduled kernels in a module that exports each, for calling one by one. */
import type { Call } from '../../../backends/wasm/entry.js';
import { buildModule } from '../../../backends/wasm/module.js';
import { planAlone } from '../../../backends/wasm/plan.js';
import type { TypedArray } from '../../ir/dtype.js';
import type { EntryProgram, Launch, Program } from '../../ir/program.js';

export interface ExportedKernels {
  /** One for each launch. */
  readonly calls: readonly (() => void)[];
  readonly memory: Uint8Array;
}

export function exportKernels(program: Program, launches: readonly Launch[], relaxed: boolean): ExportedKernels {
  const name = 'launches';
  const steps = launches.map(({ kernel, args }) => ({ kernel, args }));
  const plan = planAlone({ ...program, entries: [{ name, inputs: [], outputs: [], steps }] }, relaxed);
  const bytes = buildModule({ ...plan, entries: new Map(), exported: [...plan.functions.keys()] });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const calls = (plan.entries.get(name) as readonly Call[]).map(({ target, args }) => {
    const run = exports[target] as (...addresses: number[]) => void;
    return () => run(...args);
  });
  return { calls, memory: new Uint8Array((exports.memory as WebAssembly.Memory).buffer) };
}

/** Put the state and the inputs of an entry in their places. */
export function fill(
  memory: Uint8Array,
  { state }: Program,
  { inputs }: EntryProgram,
  contents: ReadonlyMap<string, TypedArray>,
): void {
  for (const { name, offset } of [...state, ...inputs]) {
    const { buffer, byteOffset, byteLength } = contents.get(name)!;
    memory.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
  }
}
