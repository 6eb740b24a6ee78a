/** Runs programs and single kernels as generated CUDA C on the CPU. */
import { cudaBackend } from '../../../backends/cuda/backend.js';
import { loaderManifest } from '../../../compiler/artifact/manifest.js';
import { bytesOf, type TypedArray } from '../../../compiler/ir/dtype.js';
import type { Kernel } from '../../../compiler/ir/kernel.js';
import { type EntryProgram, launchesOf, type Program } from '../../../compiler/ir/program.js';
import { printKernel } from '../../../compiler/ir/text.js';
import { verifyKernel } from '../../../compiler/ir/verify.js';
import { runPasses } from '../../../compiler/pass.js';
import type { StateEntry } from '../../../compiler/trace/model.js';
import { openCuda } from '../../../runtime/deploy/cuda.js';
import { viewOf } from '../../../runtime/deploy/element.js';
import { compileManyForHost } from './compile.js';

/** A program on the CPU: typed arrays in, typed arrays out; the state as the bytes of [0, stateBytes). */
export interface HostModel {
  readonly entries: Readonly<
    Record<string, (inputs?: Readonly<Record<string, TypedArray>>) => Record<string, TypedArray>>
  >;
  loadState(bytes: Uint8Array): void;
  saveState(): Uint8Array;
  dispose(): void;
}

/** A scheduled program, loaded; `state` are the bytes of [0, stateBytes). */
export async function runProgramOnHost(program: Program, state?: Uint8Array): Promise<HostModel> {
  const [model] = await runProgramsOnHost([program], state && [state]);
  return model;
}

/** What a program starts from: the tensors it captured, at their places. */
export function stateBytes(program: Program, state: readonly StateEntry[]): Uint8Array {
  const bytes = new Uint8Array(program.stateBytes);
  for (const { name, storage } of state) {
    const slot = program.state.find(candidate => candidate.name === name);
    const { buffer, byteOffset, byteLength } = storage.array;
    if (slot !== undefined) bytes.set(new Uint8Array(buffer, byteOffset, byteLength), slot.offset);
  }
  return bytes;
}

/** Many scheduled programs, compiled in one go. Their names must differ. */
export async function runProgramsOnHost(
  programs: readonly Program[],
  states?: readonly Uint8Array[],
): Promise<HostModel[]> {
  const library = await compileManyForHost(programs.map(program => cudaBackend.emit(program)));
  return Promise.all(
    programs.map(async (program, i) => {
      const model = await openOnHost(library, program);
      model.loadState(states?.[i] ?? new Uint8Array(program.stateBytes));
      return model;
    }),
  );
}

/** A model of a library that was built for the CPU, or for a GPU where there is one. */
export async function openOnHost(library: string, program: Program): Promise<HostModel> {
  const manifest = loaderManifest(program);
  const engine = await openCuda(library, manifest);
  const state = new Uint8Array(engine.memory, 0, manifest.stateBytes);
  const entries = manifest.entries.map(entry => {
    const call = (inputs: Readonly<Record<string, TypedArray>> = {}): Record<string, TypedArray> => {
      for (const slot of entry.inputs) viewOf(slot, engine.memory).set(inputs[slot.name] as never);
      engine.run(entry);
      return Object.fromEntries(entry.outputs.map(slot => [slot.name, viewOf(slot, engine.memory).slice()]));
    };
    return [entry.name, call] as const;
  });
  return {
    entries: Object.fromEntries(entries),
    loadState(bytes) {
      state.set(bytes);
      engine.sendState();
    },
    saveState() {
      engine.fetchState();
      return state.slice();
    },
    dispose: () => engine.dispose(),
  };
}

/** A kernel in the plain form through the passes of the CUDA backend. */
export const scheduleForCuda = (kernel: Kernel): Kernel =>
  runPasses(cudaBackend.schedule, kernel, { print: printKernel, verify: verifyKernel }, { verify: true });

/** Space between the parameters of a kernel under test, filled with NaNs and checked afterwards. */
const gap = 256;

export interface KernelCase {
  /** In the plain form. */
  readonly kernel: Kernel;
  /** One per parameter; those that the kernel writes are overwritten with the results. */
  readonly arrays: readonly TypedArray[];
}

/** A program whose entries are single kernels, with all parameters in state and gaps between them. */
export function programOfKernels(name: string, kernels: readonly Kernel[]): Program {
  let offset = gap;
  const entries = kernels.map((kernel, i): EntryProgram => {
    const args = kernel.params.map(({ buffer }) => {
      const at = offset;
      offset += Math.ceil((buffer.size * bytesOf(buffer.dtype)) / 64) * 64 + gap;
      return at;
    });
    return { name: `run${i}`, inputs: [], outputs: [], steps: [{ kernel, args }] };
  });
  return { name, state: [], stateBytes: offset, totalBytes: offset, entries };
}

/** Runs kernels, compiled together, each on its arrays. Throws where one wrote outside its parameters. */
export async function runKernelsOnHost(cases: readonly KernelCase[]): Promise<void> {
  const scheduled = cases.map(({ kernel }) => scheduleForCuda(kernel));
  const program = programOfKernels('kernels', scheduled);
  const before = new Uint8Array(program.stateBytes).fill(0xff);
  const places = program.entries.map((entry, i) =>
    launchesOf(entry.steps)[0].args.map((at, p) => ({ at, array: bytesOfArray(cases[i].arrays[p]) })),
  );
  for (const { at, array } of places.flat()) before.set(array, at);

  const model = await runProgramOnHost(program, before);
  for (const entry of program.entries) model.entries[entry.name]();
  const after = model.saveState();
  model.dispose();

  for (const [i, { kernel }] of cases.entries()) {
    for (const [p, { access, buffer }] of kernel.params.entries()) {
      const { at, array } = places[i][p];
      if (access !== 'read') array.set(after.subarray(at, at + array.length));
      const start = at + array.length;
      const next = start + gap;
      if (after.subarray(start, next).some(byte => byte !== 0xff))
        throw new Error(`${kernel.name} wrote past the end of ${buffer.name}`);
    }
  }
}

const bytesOfArray = (array: TypedArray): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
