/** A workload compiled: callable as users call it, with one thread or several, and kernel by kernel. */
import { gzipSync } from 'node:zlib';
import type { TypedArray } from 'gradc';
import { type TracedModel, traceModel } from 'gradc/compiler';
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { wasm } from '../../backends/wasm/backend.js';
import { revectorized } from '../../backends/wasm/revectorized.js';
import { loaderManifest } from '../../compiler/artifact/manifest.js';
import { artifactState } from '../../compiler/artifact/write.js';
import { type LaunchTime, launchTimes } from '../../compiler/cli/bench/kernel-times.js';
import { type CountedLaunch, countedLaunches } from '../../compiler/cli/bench/launches.js';
import type { EntryProgram, Program } from '../../compiler/ir/program.js';
import { type Compilation, compileToProgram, emitProgram } from '../../compiler/pipeline.js';
import { engineOf, instantiate, type Model, modelOver } from '../../runtime/deploy/model.js';
import { startTeam } from '../../runtime/deploy/team.js';
import type { Workload } from './workloads.js';

export type Inputs = Readonly<Record<string, TypedArray>>;

/** Memory of a compiled call and size of its module, in bytes. */
export interface Sizes {
  readonly state: number;
  /** State and arena, as planned. */
  readonly planned: number;
  /** State, and what is alive where most is: no plan takes less. */
  readonly lowerBound: number;
  /** All linear memory, what kernels pack and stage included, in pages. */
  readonly memory: number;
  readonly module: number;
  readonly moduleGzip: number;
}

/** Which module of a program. */
export interface ModuleChoice {
  readonly relaxed: boolean;
  /** For V8's revectorizer. */
  readonly revectorize?: boolean;
}

export class CompiledWorkload {
  readonly traced: TracedModel;
  readonly compilation: Compilation;
  readonly program: Program;
  readonly entry: EntryProgram;
  readonly compileMs: number;

  constructor(readonly workload: Workload) {
    const start = performance.now();
    this.traced = traceModel(workload.definition);
    this.compilation = compileToProgram(this.traced, {}, evaluateConstant);
    this.program = this.compilation.program;
    this.entry = this.program.entries[0];
    this.compileMs = performance.now() - start;
  }

  get launches(): readonly CountedLaunch[] {
    return countedLaunches(this.entry.steps);
  }

  /** Throws where the engine has no relaxed SIMD and it is wanted. */
  model(choice: ModuleChoice): Model {
    return instantiate(this.module(choice), loaderManifest(this.program), this.stateFile());
  }

  /** `thread`: where the bundle of `runtime/deploy/thread.ts` is. Throws where threads cannot be had. */
  async modelOfTeam(choice: ModuleChoice, threads: number, thread: URL): Promise<Model> {
    const { engine, reason } = await startTeam(threads, async () => this.module(choice, true), thread);
    if (engine === undefined) throw new Error(`${threads} threads cannot be had: ${reason}`);
    return modelOver(engine, loaderManifest(this.program), this.stateFile(), { count: threads });
  }

  private module(choice: ModuleChoice, threads = false): WebAssembly.Module {
    return new WebAssembly.Module(this.moduleBytes(choice, threads) as BufferSource);
  }

  private moduleBytes({ relaxed, revectorize = false }: ModuleChoice, threads: boolean): Uint8Array {
    const parts = { revectorize, threads, relaxed };
    const suffixes = Object.entries(parts).map(([name, wanted]) => (wanted ? `.${name}` : ''));
    const backend = revectorize ? revectorized : wasm;
    const files = emitProgram(this.program, backend, { relaxed, threads });
    return files.get(`${this.program.name}${suffixes.join('')}.wasm`) as Uint8Array;
  }

  private get state(): ReadonlyMap<string, TypedArray> {
    return new Map(this.traced.state.map(({ name, storage }) => [name, storage.array]));
  }

  private stateFile(): Uint8Array {
    return artifactState(this.program, this.state);
  }

  /** The kernels of the entry in their order, each called by itself on the same memory; the least of five calls is no least. */
  kernelTimes(relaxed: boolean, inputs: Inputs, seconds = 5): LaunchTime[] {
    const contents = new Map([...this.state, ...Object.entries(inputs)]);
    return launchTimes(this.program, this.entry, contents, relaxed, seconds);
  }

  sizes(): Sizes {
    const { stateBytes } = this.program;
    const [{ arenaBytes, lowerBound }] = this.compilation.plan.entries;
    const module = this.moduleBytes({ relaxed: false }, false);
    const { memory } = engineOf(new WebAssembly.Module(module as BufferSource));
    return {
      state: stateBytes,
      planned: stateBytes + arenaBytes,
      lowerBound: stateBytes + lowerBound,
      memory: memory!.byteLength,
      module: module.length,
      moduleGzip: gzipSync(module, { level: 9 }).length,
    };
  }
}
