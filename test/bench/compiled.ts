/** A workload compiled: callable as users call it, and kernel by kernel. */
import type { TypedArray } from 'gradc';
import { type TracedModel, traceModel } from 'gradc/compiler';
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { wasm } from '../../backends/wasm/backend.js';
import { emitKernel } from '../../backends/wasm/emit.js';
import { buildModule } from '../../backends/wasm/module.js';
import { loaderManifest } from '../../compiler/artifact/manifest.js';
import { artifactState } from '../../compiler/artifact/write.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import { type EntryProgram, type Launch, launchesOf, type Program } from '../../compiler/ir/program.js';
import { compileToProgram, emitProgram, scheduleProgram } from '../../compiler/pipeline.js';
import { instantiate, type Model } from '../../runtime/deploy/model.js';
import { measureEach } from './timing.js';
import type { Workload } from './workloads.js';

export interface KernelTime {
  /** In plain form. */
  readonly launch: Launch;
  readonly medianMs: number;
  readonly minMs: number;
}

export type Inputs = Readonly<Record<string, TypedArray>>;

export class CompiledWorkload {
  readonly traced: TracedModel;
  readonly program: Program;
  readonly entry: EntryProgram;
  readonly compileMs: number;

  constructor(readonly workload: Workload) {
    const start = performance.now();
    this.traced = traceModel(workload.definition);
    this.program = compileToProgram(this.traced, {}, evaluateConstant).program;
    this.entry = this.program.entries[0];
    this.compileMs = performance.now() - start;
  }

  /** Throws where the engine has no relaxed SIMD and it is wanted. */
  model(relaxed: boolean): Model {
    const { program } = this;
    const file = `${program.name}${relaxed ? '.relaxed' : ''}.wasm`;
    const bytes = emitProgram(program, wasm, { relaxed }).get(file) as BufferSource;
    return instantiate(new WebAssembly.Module(bytes), loaderManifest(program), this.stateFile());
  }

  private stateFile(): Uint8Array {
    return artifactState(this.program, new Map(this.traced.state.map(({ name, storage }) => [name, storage.array])));
  }

  /** The kernels of the entry in their order, each called by itself on the same memory. */
  kernelTimes(relaxed: boolean, inputs: Inputs): KernelTime[] {
    const { calls, memory } = separateKernels(scheduleProgram(this.program, wasm), relaxed);
    this.writeMemory(memory, inputs);
    const times = measureEach(calls);
    return launchesOf(this.entry.steps).map((launch, i) => ({ launch, ...times[i] }));
  }

  private writeMemory(memory: ArrayBuffer, inputs: Inputs): void {
    const arrays = new Map([
      ...this.traced.state.map(({ name, storage }) => [name, storage.array] as const),
      ...Object.entries(inputs),
    ]);
    for (const { name, offset } of [...this.program.state, ...this.entry.inputs]) {
      const { buffer, byteOffset, byteLength } = arrays.get(name)!;
      new Uint8Array(memory, offset).set(new Uint8Array(buffer, byteOffset, byteLength));
    }
  }
}

/** A module that exports each kernel of the program's one entry. */
function separateKernels(program: Program, relaxed: boolean): { calls: (() => void)[]; memory: ArrayBuffer } {
  const launches = launchesOf(program.entries[0].steps);
  const names = new Map<Kernel, string>();
  for (const { kernel } of launches) if (!names.has(kernel)) names.set(kernel, `${kernel.name}.${names.size}`);
  const functions = new Map([...names].map(([kernel, name]) => [name, emitKernel(kernel)]));
  const scratchBase = Math.ceil(program.totalBytes / 64) * 64;
  const scratchBytes = Math.max(0, ...[...functions.values()].map(emitted => emitted.scratchBytes));
  const bytes = buildModule({
    functions,
    entries: new Map(),
    exported: [...functions.keys()],
    memoryBytes: scratchBase + scratchBytes,
    scratchBase,
    relaxed,
  });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const calls = launches.map(({ kernel, args }) => {
    const run = exports[names.get(kernel)!] as (...addresses: number[]) => void;
    return () => run(...args);
  });
  return { calls, memory: (exports.memory as WebAssembly.Memory).buffer };
}
