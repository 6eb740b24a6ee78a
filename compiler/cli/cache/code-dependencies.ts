/**
 * Everything that a file of the user's which was run depended on: its sources, what decides how they are read,
 * packages, and what its code read.
 */
import { dirname } from 'node:path';
import { isOwnFile } from '../own-modules.js';
import type { Dependencies } from './dependencies.js';
import type { Observation } from './observation.js';
import { packageManifest, surroundings } from './surroundings.js';

export interface RunCode {
  /** Absolute paths of the user's files. */
  readonly sources: readonly string[];
  /** Files of packages that these import. */
  readonly packageFiles: readonly string[];
  readonly observation: Observation;
}
export interface CodeDependencies {
  readonly dependencies: Dependencies;
  /** Why nobody can tell later whether they changed; null where one can. */
  readonly uncheckable: string | null;
}

export function dependenciesOf(
  { sources, packageFiles, observation }: RunCode,
  typeFiles: readonly string[] = [],
): CodeDependencies {
  const used = [...sources, ...packageFiles, ...typeFiles, ...observation.paths].filter(path => !isOwnFile(path));
  const folders = new Set(sources.map(path => dirname(path)));
  const paths = new Set([
    ...used.map(path => packageManifest(path) ?? path),
    ...[...folders].flatMap(folder => [...surroundings(folder)]),
  ]);
  const linked = packageFiles.find(path => !isOwnFile(path) && packageManifest(path) === null);
  const uncheckable =
    linked === undefined
      ? observation.uncheckable && `its code ${observation.uncheckable}`
      : `it uses a package that is linked, not installed: ${linked}`;
  return { dependencies: { paths, environment: observation.environment }, uncheckable };
}
