/**
 * From the files of an artifact to a model: picks the module this machine can run, reads, checks hashes, instantiates.
 *
 * Works in Node, Deno, Bun, browsers and workers. Where WebAssembly may not be compiled at run time (Workers, strict
 * content policies) the caller passes a ready `module`. What the loader must know about the model it finds in a section
 * of the module.
 */
import { ArtifactError } from './error.js';
import { hasRelaxedSimd } from './features.js';
import type { Manifest } from './manifest.js';
import { type Engine, engineOf, type Model, modelOver } from './model.js';
import { type ArtifactFile, readerOf, type Source, type TransferOptions, unless } from './transfer.js';

export interface LoadOptions extends TransferOptions {
  /** A compiled module, for contexts that may not compile one. */
  readonly module?: WebAssembly.Module;
  /** Instead of the module file that lies beside the JavaScript. */
  readonly wasm?: Source;
  /** Instead of the state file that lies beside the JavaScript: what `saveState()` gave, or any fitting safetensors files. */
  readonly state?: Source | readonly Source[];
  /**
   * How many threads run the entries, the caller's among them; 1 if absent. Where they cannot be had it is one, and
   * `model.threads.reason` says why.
   */
  readonly threads?: number;
  /** Throw E415 where the threads cannot be had. */
  readonly requireThreads?: boolean;
}

export interface ModuleVariant extends ArtifactFile {
  /** It has relaxed SIMD in it. */
  readonly relaxed?: boolean;
}
export interface Artifact {
  /** Of the model that its modules must be of. */
  readonly name: string;
  /** Those for one thread, and those for several if it is built so: best first, the last one runs everywhere. */
  readonly modules: readonly [alone: readonly ModuleVariant[], ofTeam?: readonly ModuleVariant[]];
  /** The state file, or several that hold its tensors between them. */
  readonly state: readonly ArtifactFile[];
  /** Absent where the artifact is built for one thread. */
  readonly startTeam?: StartTeam;
}
/** Starts threads over a module. */
export type StartTeam = (threads: number, module: () => Promise<WebAssembly.Module>) => Promise<Team>;
/** What has been started, or why that is impossible. */
export interface Team {
  readonly engine?: Engine;
  readonly reason?: string;
}

/**
 * Throws E412, E413 and E415 with the file and the reason where something is missing, damaged or does not fit, and the
 * signal's reason. Where it throws, nothing goes on that it began.
 */
export async function load(
  { name, modules, state, startTeam = noTeam }: Artifact,
  options: LoadOptions = {},
): Promise<Model> {
  const { signal, threads = 1 } = options;
  const ended = new AbortController();
  const read = readerOf({ ...options, signal: ended.signal });
  const compiled = async (variants = modules[0]): Promise<WebAssembly.Module> =>
    options.module ??
    compile(await read(options.wasm ?? variants.find(({ relaxed }) => !relaxed || hasRelaxedSimd())!));
  let team: Team = {};
  try {
    signal?.throwIfAborted();
    signal?.addEventListener('abort', () => ended.abort(), { signal: ended.signal });
    const files = Promise.all([options.state ?? state].flat().map(read));
    files.catch(() => {}); // it is told below
    if (threads !== 1) team = await startTeam(threads, () => compiled(modules[1]));
    const { reason, engine = engineOf(await compiled()) } = team;
    if (reason && options.requireThreads) throw new ArtifactError('E415', reason);
    const count = reason ? 1 : threads;
    const model = modelOver(engine, manifestIn(engine.module, name), await files, { count, reason });
    signal?.throwIfAborted();
    return model;
  } catch (error) {
    team.engine?.dispose?.();
    signal?.throwIfAborted();
    throw error;
  } finally {
    ended.abort();
  }
}

const noTeam: StartTeam = async () => ({ reason: 'it is built for one thread' });

const compile = (bytes: Uint8Array): Promise<WebAssembly.Module> =>
  WebAssembly.compile(bytes as BufferSource).catch(unless('the module cannot be compiled here'));

function manifestIn(module: WebAssembly.Module, name: string): Manifest {
  const [section] = WebAssembly.Module.customSections(module, 'gradc');
  const manifest = section && JSON.parse(new TextDecoder().decode(section));
  if (manifest?.name !== name) throw new ArtifactError('E413', `the module is not that of model '${name}'`);
  return manifest;
}
