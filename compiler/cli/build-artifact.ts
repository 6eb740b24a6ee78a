/**
 * From a model file to the files of its artifact: load, trace, compile, emit for each target. What only some builds need
 * is loaded by those.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { evaluateConstant } from '../../backends/js/evaluate.js';
import type { wasm } from '../../backends/wasm/backend.js';
import { artifactFiles } from '../artifact/write.js';
import type { TypedArray } from '../ir/dtype.js';
import type { DebugOptions } from '../pass.js';
import { type Compilation, compileToProgram, emitProgram } from '../pipeline.js';
import { type ModelDefinition, type TracedModel, traceModel } from '../trace/model.js';
import { writeWhole } from './cache/atomic.js';
import type { NvccChoice, Target } from './choices.js';
import { EnvironmentError } from './diagnostics.js';
import { type LoadModelOptions, loadModelFile, type ModelFile } from './model-file.js';
import { wasmTunedBy } from './tune/tuned-backend.js';
import { type Tuning, tuningPath } from './tune/tuning-file.js';

export interface BuildOptions extends LoadModelOptions, CompileOptions {}
export interface CompileOptions {
  readonly targets?: readonly Target[];
  /** Build the CUDA library too: `auto` (default) where nvcc is present. */
  readonly nvcc?: NvccChoice;
  /** Also modules that several threads run together. */
  readonly threads?: boolean;
  /** Also modules for V8's revectorizer, for `load({ revectorize: true })`. */
  readonly revectorize?: boolean;
  /** false: convolve by plain sums, whose rounding errors are smaller (default true: where that is faster, as Winograd). */
  readonly winograd?: boolean;
  /** Look at values, and throw at run time what eager throws for those that an op does not take. */
  readonly checkValues?: boolean;
  /** Divide the state among files of at most so many bytes. */
  readonly shardBytes?: number | null;
  /** Measure on this machine which plans of the contractions are best, instead of following a tuning file. */
  readonly tune?: boolean;
  readonly debug?: DebugOptions;
  readonly progress?: (text: string) => void;
}
export interface BuiltArtifact {
  readonly definition: ModelDefinition;
  readonly traced: TracedModel;
  readonly compilation: Compilation;
  /** By path in the artifact's folder. */
  readonly files: ReadonlyMap<string, Uint8Array | string>;
  /** What was measured, for the tuning file; null where nothing was. */
  readonly tuning: string | null;
}

/** Compile a model file. Throws located errors of the model, and E601 where a target lacks what it needs. */
export async function buildArtifact(modelFile: string, options: BuildOptions = {}): Promise<BuiltArtifact> {
  return compileArtifact(await traceModelFile(modelFile, options), options);
}

export interface TracedFile extends ModelFile {
  readonly traced: TracedModel;
}

/** All of a build that runs the user's code. */
export async function traceModelFile(
  modelFile: string,
  options: LoadModelOptions & Pick<CompileOptions, 'checkValues' | 'progress'>,
): Promise<TracedFile> {
  const { checkValues, observer, progress = () => {} } = options;
  progress(`loading ${modelFile}`);
  const file = await loadModelFile(modelFile, options);
  progress(`tracing ${file.definition.name}`);
  const trace = (): TracedModel => traceModel(file.definition, { checkValues });
  return { ...file, traced: observer ? await observer.during(trace) : trace() };
}

/** The rest: from the graphs to the files of the artifact. */
export async function compileArtifact(
  { path, definition, traced, ...file }: TracedFile,
  options: CompileOptions,
): Promise<BuiltArtifact> {
  const { targets: wanted = ['wasm'], debug, progress = () => {} } = options;
  if (debug && namesPasses(debug)) (await import('./debug-passes.js')).checkPassNames(debug);
  progress('compiling');
  const compilation = compileToProgram(traced, debug, evaluateConstant);
  const state = new Map(traced.state.map(({ name, storage }) => [name, storage.array]));
  const measured = options.tune ? await tuned(compilation, state, progress) : null;
  const tuning = measured && `${JSON.stringify(measured, null, 2)}\n`;
  const sources = new Map(file.sources);
  if (tuning !== null) sources.set(basename(tuningPath(path)), new TextEncoder().encode(tuning));
  const emitted = new Map<string, Uint8Array | string>();
  for (const target of wanted) {
    progress(`emitting ${target}`);
    for (const [path, content] of await emit(target, compilation, measured ?? file.tuning, options))
      emitted.set(path, content);
  }
  if (wanted.includes('cuda')) {
    progress('building the CUDA library');
    const library = await cudaLibrary(emitted, options.nvcc ?? 'auto');
    if (library !== null) emitted.set(`cuda/lib${definition.name}.so`, library);
  }
  const files = await artifactFiles({
    program: compilation.program,
    state,
    emitted,
    sources,
    shardBytes: options.shardBytes,
    checks: traced.checks,
  });
  return { definition, traced, compilation, files, tuning };
}

const namesPasses = ({ dump, skip, explain, stopAfter }: DebugOptions): boolean =>
  [dump, skip, explain, stopAfter].some(named => named !== undefined && named.length > 0);

async function tuned(
  { program }: Compilation,
  state: ReadonlyMap<string, TypedArray>,
  progress: (text: string) => void,
): Promise<Tuning> {
  const { tuneProgram } = await import('./tune/tune.js');
  return tuneProgram(program, state, { progress });
}

async function emit(
  target: Target,
  { program }: Compilation,
  tuning: Tuning | null,
  { threads, revectorize, winograd, debug }: CompileOptions,
): Promise<ReadonlyMap<string, Uint8Array | string>> {
  switch (target) {
    case 'wasm': {
      const alone = wasmTunedBy(tuning, winograd);
      const backends = revectorize ? [alone, await revectorizedBy(winograd)] : [alone];
      return new Map(backends.flatMap(to => [...emitProgram(program, to, { relaxed: true, threads }, debug)]));
    }
    case 'cuda': {
      const { cudaBackend } = await import('../../backends/cuda/backend.js');
      return emitProgram(program, cudaBackend, undefined, debug);
    }
    default:
      return target satisfies never;
  }
}

async function revectorizedBy(winograd: boolean | undefined): Promise<typeof wasm> {
  const { revectorized, revectorizedPlainSums } = await import('../../backends/wasm/revectorized.js');
  return winograd === false ? revectorizedPlainSums : revectorized;
}

/**
 * The shared library of a CUDA program; null where nvcc is not wanted or not there. Throws EnvironmentError where it
 * must be.
 */
async function cudaLibrary(
  emitted: ReadonlyMap<string, Uint8Array | string>,
  choice: NvccChoice,
): Promise<Uint8Array | null> {
  if (choice === 'skip') return null;
  const { buildWithNvcc, nvccVersion } = await import('../../backends/cuda/nvcc.js');
  if ((await nvccVersion()) === null) {
    if (choice === 'auto') return null;
    throw new EnvironmentError('there is no nvcc: install the CUDA toolkit, or build without --nvcc require');
  }
  const folder = mkdtempSync(join(tmpdir(), 'gradc-cuda-'));
  try {
    const sources = new Map([...emitted].filter(([path]) => path.startsWith('cuda/')));
    return readFileSync((await buildWithNvcc(sources, folder)).libraryPath);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Write files into a folder, which is made. */
export function writeFiles(folder: string, files: ReadonlyMap<string, Uint8Array | string>): void {
  for (const [path, content] of files) writeWhole(join(folder, path), content);
}

/** Bytes after gzip, as a server would send it. */
export const gzipSize = (content: Uint8Array | string): number => gzipSync(content).length;
