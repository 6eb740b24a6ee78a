/**
 * Compiled models in the memory of a running bundler: each is built once and again when one of its source files changed, by
 * content, so that no hook of any bundler has to tell.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BuildOptions, BuiltArtifact } from '../cli/build-artifact.js';
import { cacheFolder } from '../cli/cache/folder.js';
import { formatDiagnostic } from '../cli/diagnostics.js';

export type ArtifactOptions = Pick<
  BuildOptions,
  'checkTypes' | 'threads' | 'revectorize' | 'winograd' | 'checkValues' | 'shardBytes'
>;
/** Told what may be wrong in a model, when it is built. */
export type Warn = (text: string) => void;

export interface Artifact {
  readonly name: string;
  /** By name in the artifact's folder. */
  readonly files: BuiltArtifact['files'];
  /** Absolute paths. */
  readonly sources: readonly string[];
}
interface Kept {
  readonly artifact: Artifact;
  readonly contents: string;
}

export class Artifacts {
  readonly #kept = new Map<string, Promise<Kept>>();
  constructor(readonly options: ArtifactOptions) {}

  /** The artifact of a model file as it is now. */
  async of(modelFile: string, warn: Warn): Promise<Artifact> {
    const kept = await this.#kept.get(modelFile)?.catch(() => null);
    if (kept && kept.contents === contentsOf(kept.artifact.sources)) return kept.artifact;
    const next = this.#build(modelFile, warn);
    this.#kept.set(modelFile, next);
    return (await next).artifact;
  }

  async #build(modelFile: string, warn: Warn): Promise<Kept> {
    const { buildArtifact } = await import('../cli/build-artifact.js');
    const { traced, files } = await buildArtifact(modelFile, {
      ...this.options,
      targets: ['wasm'],
      warn: warnings => {
        for (const warning of warnings) warn(formatDiagnostic(warning));
      },
    });
    const manifest = JSON.parse(files.get(`${traced.name}.manifest.json`) as string) as { sources: object };
    const sources = Object.keys(manifest.sources).map(path => resolve(dirname(modelFile), path));
    return { artifact: { name: traced.name, files, sources }, contents: contentsOf(sources) };
  }
}

/** A hash of files; a missing one counts as empty. */
function contentsOf(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${path}\0`).update(existsSync(path) ? readFileSync(path) : '');
  return hash.digest('hex');
}

/**
 * A folder for an artifact's files, for bundlers that carry files along only from a disk. Its name holds a hash of the files,
 * so that several bundlers can run at once and no cache of theirs is ever stale.
 */
export function artifactFolder(modelFile: string, { name, files }: Artifact): string {
  const hash = createHash('sha256')
    .update(files.get(`${name}.manifest.json`)!)
    .digest('hex')
    .slice(0, 12);
  return join(cacheFolder(dirname(modelFile)), `${name}-${hash}`);
}
