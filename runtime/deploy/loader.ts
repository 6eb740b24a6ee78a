/**
 * From the files of an artifact to a model: picks the module this machine can run, fetches, checks hashes, instantiates.
 *
 * Works in Node, Deno, Bun, browsers and workers: files are read through `fs` where the URL is a file and the runtime has
 * Node's modules, by `fetch` elsewhere. Where WebAssembly may not be compiled at run time (Workers, strict content policies)
 * the caller passes a ready `module`.
 */
import { ArtifactError } from './error.js';
import type { Feature, Manifest } from './manifest.js';
import { type Engine, engineOf, type Model, modelOver } from './model.js';

/** Bytes, or where to find them: a URL, or in Node a path. */
export type Source = Uint8Array | ArrayBuffer | URL | string;

export interface LoadOptions {
  /** A compiled module, for contexts that may not compile one. */
  readonly module?: WebAssembly.Module;
  /** Instead of the module file that lies beside the JavaScript. */
  readonly wasm?: Source;
  /** Instead of the state file that lies beside the JavaScript: what `saveState()` gave, or any fitting safetensors file. */
  readonly state?: Source;
  /**
   * How many threads run the entries, the caller's among them; 1 if absent. Where they cannot be had it is one, and
   * `model.threads.reason` says why.
   */
  readonly threads?: number;
  /** Throw E415 where the threads cannot be had. */
  readonly requireThreads?: boolean;
}

/** A file of the artifact: its URL is computed when it is asked for. */
export interface ArtifactFile {
  readonly url: () => URL;
  readonly sha256: string;
}
export interface ModuleVariant extends ArtifactFile {
  readonly requires: readonly Feature[];
}
export interface Artifact {
  readonly manifest: Manifest;
  /** Best first, those for threads before the others; the last one requires nothing. */
  readonly modules: readonly ModuleVariant[];
  readonly state: ArtifactFile;
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

/** A function of one `f32x4.relaxed_madd`: an engine without relaxed SIMD finds it invalid. */
const relaxedProbe = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 1, 123, 0, 3, 2, 1, 0, 10, 14, 1, 12, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2,
  26, 11,
];
/** Can this engine run modules that require `feature`? */
export const hasFeature = (feature: Feature, threads = typeof SharedArrayBuffer === 'function'): boolean =>
  feature === 'threads' ? threads : WebAssembly.validate(new Uint8Array(relaxedProbe));

/** Throws E412, E413 and E415 with the file and the reason where something is missing, damaged or does not fit. */
export async function loadArtifact(artifact: Artifact, options: LoadOptions = {}): Promise<Model> {
  const { manifest, startTeam } = artifact;
  const { threads = 1, requireThreads } = options;
  const module = (forTeam?: boolean): Promise<WebAssembly.Module> => compileModule(artifact, options, forTeam);
  const state = options.state ? await read(options.state) : await readChecked(artifact.state);
  const team: Team =
    threads === 1
      ? {}
      : startTeam
        ? await startTeam(threads, () => module(true))
        : { reason: 'it is built for one thread' };
  const { reason } = team;
  if (requireThreads && reason) throw new ArtifactError('E415', reason);
  const engine = team.engine ?? engineOf(await module());
  return modelOver(engine, manifest, state, { count: reason ? 1 : threads, reason });
}

async function compileModule(
  { modules }: Artifact,
  { module, wasm }: LoadOptions,
  forTeam = false,
): Promise<WebAssembly.Module> {
  if (module) return module;
  const fits = ({ requires }: ModuleVariant): boolean => requires.every(feature => hasFeature(feature, forTeam));
  const bytes = wasm ? await read(wasm) : await readChecked(modules.find(fits)!);
  try {
    return await WebAssembly.compile(bytes as BufferSource);
  } catch (error) {
    throw new ArtifactError('E413', `the module cannot be compiled here: ${(error as Error).message}`);
  }
}

async function readChecked({ url, sha256 }: ArtifactFile): Promise<Uint8Array> {
  const bytes = await read(url());
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return bytes;
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes as BufferSource));
  const hex = Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
  if (hex !== sha256)
    throw new ArtifactError(
      'E413',
      `${url()} is not the file that was built: its sha256 is ${hex}, expected ${sha256}`,
    );
  return bytes;
}

/** The bytes of a source. Throws E413 where they cannot be had. */
export async function read(source: Source): Promise<Uint8Array> {
  if (typeof source === 'object' && !('href' in source))
    return ArrayBuffer.isView(source) ? source : new Uint8Array(source);
  try {
    const fs = globalThis.process?.getBuiltinModule?.('node:fs');
    if (fs && (typeof source === 'object' ? source.protocol === 'file:' : !/^[a-z]+:\/\//.test(source)))
      return new Uint8Array(fs.readFileSync(source));
    const response = await fetch(source);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new ArtifactError('E413', `cannot read ${source}: ${(error as Error).message}`);
  }
}
