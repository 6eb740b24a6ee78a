/**
 * From the files of an artifact to a model: picks the module this machine can run, fetches, checks hashes, instantiates.
 *
 * Works in Node, Deno, Bun, browsers and workers: files are read through `fs` where the URL is a file and the runtime has
 * Node's modules, by `fetch` elsewhere. Where WebAssembly may not be compiled at run time (Workers, strict content policies)
 * the caller passes a ready `module`.
 */
import { ArtifactError } from './error.js';
import { hasRelaxedSimd } from './features.js';
import type { Manifest } from './manifest.js';
import { type Engine, engineOf, type Model, modelOver } from './model.js';

/** Bytes, or where to find them: a URL, or in Node a path. */
export type Source = Uint8Array | ArrayBuffer | URL | string;

export interface LoadOptions {
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
  /** Instead of `fetch`: to send headers, say, or to keep what comes. */
  readonly fetch?: Fetch;
}
export type Fetch = (source: URL | string, init?: { readonly signal?: AbortSignal }) => Promise<Response>;

/** A file of the artifact: its URL is computed when it is asked for. */
export interface ArtifactFile {
  readonly url: () => URL;
  readonly sha256: string;
  readonly bytes: number;
}
export interface ModuleVariant extends ArtifactFile {
  /** It has relaxed SIMD in it. */
  readonly relaxed?: boolean;
}
export interface Artifact {
  readonly manifest: Manifest;
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

/** Throws E412, E413 and E415 with the file and the reason where something is missing, damaged or does not fit. */
export async function loadArtifact(artifact: Artifact, options: LoadOptions = {}): Promise<Model> {
  const { state, threads = 1, fetch } = options;
  const sources = state ? [state].flat() : artifact.state;
  const files = Promise.all(sources.map(source => read(source, fetch)));
  files.catch(() => {}); // it is told below
  const { engine, reason } = await startEngine(artifact, options);
  try {
    return modelOver(engine!, artifact.manifest, await files, { count: reason ? 1 : threads, reason });
  } catch (error) {
    engine!.dispose?.();
    throw error;
  }
}

/** The threads asked for, or one and the reason. */
async function startEngine(
  { modules: [alone, ofTeam], startTeam }: Artifact,
  { module, wasm, threads = 1, requireThreads, fetch }: LoadOptions,
): Promise<Team> {
  const compiled = async (variants = alone): Promise<WebAssembly.Module> =>
    module ?? compile(await read(wasm ?? variants.find(({ relaxed }) => !relaxed || hasRelaxedSimd())!, fetch));
  const { engine, reason }: Team =
    threads === 1
      ? {}
      : ((await startTeam?.(threads, () => compiled(ofTeam))) ?? { reason: 'it is built for one thread' });
  if (requireThreads && reason) throw new ArtifactError('E415', reason);
  return { engine: engine ?? engineOf(await compiled()), reason };
}

async function compile(bytes: Uint8Array): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes as BufferSource);
  } catch (error) {
    throw new ArtifactError('E413', `the module cannot be compiled here: ${(error as Error).message}`);
  }
}

/** The bytes of a source. Throws E413 where they cannot be had, or are not those that the artifact was built with. */
export async function read(source: Source | ArtifactFile, get?: Fetch): Promise<Uint8Array> {
  if (typeof source === 'object') {
    if ('sha256' in source) return readChecked(source, get);
    if (!('href' in source)) return 'length' in source ? source : new Uint8Array(source);
  }
  try {
    const fs = globalThis.process?.getBuiltinModule?.('node:fs');
    if (fs && (typeof source === 'object' ? source.protocol === 'file:' : !/^[a-z]+:\/\//.test(source)))
      return new Uint8Array(fs.readFileSync(source));
    const response = await (get ?? fetch)(source);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new ArtifactError('E413', `cannot read ${source}: ${(error as Error).message}`);
  }
}

async function readChecked({ url, sha256 }: ArtifactFile, get?: Fetch): Promise<Uint8Array> {
  const bytes = await read(url(), get);
  const digest = await globalThis.crypto?.subtle?.digest('SHA-256', bytes as BufferSource);
  const hex = digest && Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('');
  if (digest && hex !== sha256)
    throw new ArtifactError(
      'E413',
      `${url()} is not the file that was built: its sha256 is ${hex}, expected ${sha256}`,
    );
  return bytes;
}
