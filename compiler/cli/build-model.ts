/**
 * One build: from what was kept of an earlier one where nothing changed since, else by compiling. The compiler is
 * loaded only then, so that an unchanged build ends at once.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { DebugOptions } from '../pass.js';
import { dependenciesOf } from './cache/code-dependencies.js';
import { type Dependencies, sha256, snapshotOf, writtenSince } from './cache/dependencies.js';
import { buildKey } from './cache/request.js';
import { Store } from './cache/store.js';
import type { CheckedSource } from './check-types.js';
import type { NvccChoice, Target } from './choices.js';
import { type CompiledModel, compileInThread, type StoppedAfter } from './compile-thread.js';
import type { Diagnostic } from './diagnostics.js';
import { checkModelPath } from './model-path.js';
import { writeOutput } from './output-file.js';
import { tuningPath } from './tune/tuning-file.js';

export interface BuildRequest {
  readonly modelFile: string;
  readonly targets: readonly Target[];
  readonly nvcc: NvccChoice;
  readonly threads: boolean;
  readonly revectorize: boolean;
  readonly winograd: boolean;
  readonly checkValues: boolean;
  /** The size of the largest state file; null for one. */
  readonly shardBytes: number | null;
  readonly checkTypes: boolean;
  readonly debug: DebugOptions;
  /** Where the artifact of a model of a name goes. */
  readonly folder: (name: string) => string;
  /** Where results are kept; null where they are not. */
  readonly cache: string | null;
  /** Compile even if nothing changed. */
  readonly force: boolean;
  /** Measure the plans of contractions, and write what was found beside the model. */
  readonly tune: boolean;
}

export interface BuiltFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Bytes after gzip, as a server would send it. */
  readonly gzip: number;
}
export interface ModelBuild {
  readonly name: string;
  readonly out: string;
  /** `unchanged`: everything lay there already; `restored`: it was copied from the cache. */
  readonly outcome: 'built' | 'restored' | 'unchanged';
  /** Why the next build will compile again, where that is so. */
  readonly uncached: string | null;
  /** The tuning file that was written; null where nothing was measured. */
  readonly tuning: string | null;
  readonly files: readonly BuiltFile[];
}
export interface BuildResult {
  readonly build: ModelBuild;
  readonly warnings: readonly Diagnostic[];
  readonly dependencies: Dependencies;
}

export type Progress = (text: string) => void;

/** What is kept of a build. */
interface KeptBuild {
  readonly name: string;
  readonly files: readonly BuiltFile[];
  readonly warnings: readonly Diagnostic[];
}

/** Build and write an artifact. Throws what is wrong in the model or with the machine. */
export async function buildModel(request: BuildRequest, progress: Progress): Promise<BuildResult | StoppedAfter> {
  const { modelFile, cache } = request;
  checkModelPath(modelFile);
  if (cache === null) return compileAndWrite(request, null, progress);
  const store = new Store(cache);
  const key = buildKey(request);
  return (
    (request.force || request.tune ? null : reuse(request, store, key)) ??
    compileAndWrite(request, { store, key }, progress)
  );
}

/** The result of an earlier build; null where there is none of everything as it is now. */
function reuse({ folder }: BuildRequest, store: Store, key: string): BuildResult | null {
  const kept = store.find<KeptBuild>(key);
  if (kept === null) return null;
  const { name, files, warnings } = kept.value;
  const out = folder(name);
  const missing = files.filter(file => !liesIn(out, file));
  const contents = missing.map(file => ({ path: join(out, file.path), content: store.content(file.sha256) }));
  if (contents.some(({ content }) => content === null)) return null;
  for (const { path, content } of contents) writeOutput(path, content!);
  const build: ModelBuild = {
    name,
    out,
    outcome: missing.length === 0 ? 'unchanged' : 'restored',
    uncached: null,
    tuning: null,
    files,
  };
  const { paths, environment } = kept.dependencies;
  return { build, warnings, dependencies: { paths: Object.keys(paths), environment: Object.keys(environment) } };
}

function liesIn(folder: string, file: BuiltFile): boolean {
  try {
    return sha256(readFileSync(join(folder, file.path))) === file.sha256;
  } catch {
    return false;
  }
}

/** Where a request's result is kept. */
interface CachePlace {
  readonly store: Store;
  readonly key: string;
}

async function compileAndWrite(
  request: BuildRequest,
  cache: CachePlace | null,
  progress: Progress,
): Promise<BuildResult | StoppedAfter> {
  const start = Date.now();
  const compiled = await compileChecked(request, progress);
  if ('stoppedAfter' in compiled) return compiled;
  const { model, warnings, typeFiles } = compiled;
  const tuningFile = tuningPath(request.modelFile);
  const { dependencies, uncheckable } = dependenciesOf(model, [...typeFiles, resolve(tuningFile)]);
  const snapshot = snapshotOf(dependencies);
  const changed = writtenSince(dependencies, start) ? 'a source changed meanwhile' : null;
  const out = request.folder(model.name);
  const files = await Promise.all([...model.files].map(([path, content]) => fileRecord(path, content)));
  for (const [path, content] of model.files) writeOutput(join(out, path), content);
  if (model.tuning !== null) writeOutput(tuningFile, model.tuning);
  const tuned = model.tuning === null ? {} : { [resolve(tuningFile)]: sha256(model.tuning) };
  const withTuning = { ...snapshot, paths: { ...snapshot.paths, ...tuned } };
  const kept: KeptBuild = { name: model.name, files, warnings };
  const contents = files.map(file => [file.sha256, model.files.get(file.path)!] as const);
  const uncached = uncheckable ?? changed ?? cache?.store.keep(cache.key, withTuning, kept, contents) ?? null;
  const tuning = model.tuning && tuningFile;
  return { build: { name: model.name, out, outcome: 'built', uncached, tuning, files }, warnings, dependencies };
}

interface CheckedModel {
  readonly model: CompiledModel;
  readonly warnings: readonly Diagnostic[];
  /** Whose types took part in the check. */
  readonly typeFiles: readonly string[];
}

/**
 * Checks while another thread compiles. What the check finds comes first: it says better than tracing what is wrong,
 * and may be why the model's code does not end.
 */
async function compileChecked(request: BuildRequest, progress: Progress): Promise<CheckedModel | StoppedAfter> {
  const { modelFile, targets, nvcc, threads, revectorize, winograd, checkValues, shardBytes, tune, debug } = request;
  const check = (): Promise<CheckedSource> => checkUnless(!request.checkTypes, modelFile);
  // what is measured wants the machine for itself
  const early = tune ? await check() : null;
  const thread = compileInThread(
    { modelFile, targets, nvcc, threads, revectorize, winograd, checkValues, shardBytes, tune, debug },
    progress,
  );
  const [checked, compiled] = await Promise.allSettled([
    early ??
      check().catch(async error => {
        await thread.stop();
        throw error;
      }),
    thread.result,
  ]);
  if (checked.status === 'rejected') throw checked.reason;
  if (compiled.status === 'rejected') throw compiled.reason;
  if ('stoppedAfter' in compiled.value) return compiled.value;
  return { model: compiled.value, warnings: checked.value.warnings, typeFiles: checked.value.files };
}

async function checkUnless(skipped: boolean, modelFile: string): Promise<CheckedSource> {
  if (skipped) return { warnings: [], files: [] };
  const { checkSource } = await import('./check-types.js');
  return checkSource(resolve(modelFile));
}

async function fileRecord(path: string, content: Uint8Array | string): Promise<BuiltFile> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return { path, bytes: bytes.length, sha256: sha256(bytes), gzip: (await promisify(gzip)(bytes)).length };
}
