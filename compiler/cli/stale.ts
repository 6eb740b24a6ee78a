/** Is an artifact that lies in a folder what the sources would give now? Judged by the hashes in its manifest. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ArtifactManifest, type FileRecord, fileRecord } from '../artifact/manifest.js';
import { version } from '../artifact/version.js';
import { describe } from '../errors.js';
import { exitCodes, Reported } from './diagnostics.js';
import type { ModelFile } from './model-file.js';

/** Throws Reported, with the exit code of a failed check, for an artifact that is not of this model as it is now. */
export function checkFresh({ path, definition, sources }: ModelFile, folder = `dist/${definition.name}`): void {
  const reasons = staleness(folder, definition.name, sources);
  if (reasons.length === 0) return;
  const { kind, sentence, hint } = describe('E403', { folder, reasons, model: path });
  throw new Reported([{ kind, code: 'E403', message: sentence, site: null, hint }], exitCodes.checkFailed);
}

/** What does not fit; empty for a fresh artifact. Sources by their path from the model file's folder. */
export function staleness(folder: string, name: string, sources: ReadonlyMap<string, Uint8Array>): string[] {
  const manifest = read(join(folder, `${name}.manifest.json`));
  if (manifest === null) return [`it has no ${name}.manifest.json`];
  const now = new Map([...sources].map(([path, content]) => [path, fileRecord(content)]));
  const files = Object.keys(manifest.files).map(path => [path, recordOf(join(folder, path))] as const);
  return [
    ...(manifest.gradc === version ? [] : [`it was built by gradc ${manifest.gradc}, and this is ${version}`]),
    ...differences(manifest.sources, now).map(path => `${path} has changed since it was built`),
    ...differences(manifest.files, new Map(files)).map(path => `its ${path} is missing or altered`),
  ];
}

/** Paths that only one side has, or that the sides have with other contents. */
function differences(
  built: Readonly<Record<string, FileRecord>>,
  now: ReadonlyMap<string, FileRecord | null>,
): string[] {
  const paths = new Set([...Object.keys(built), ...now.keys()]);
  return [...paths].filter(path => built[path]?.sha256 !== now.get(path)?.sha256);
}

function recordOf(path: string): FileRecord | null {
  try {
    return fileRecord(readFileSync(path));
  } catch {
    return null;
  }
}

function read(path: string): ArtifactManifest | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
