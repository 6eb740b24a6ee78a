/**
 * The files a source file imports by relative paths, and theirs: read off the text, for files that may not even parse.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

const specifier = /\bfrom\s*['"](\.[^'"]*)['"]|\bimport\s*\(?\s*['"](\.[^'"]*)['"]/g;

export function reachableSources(file: string, found: Set<string> = new Set()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  if (!existsSync(file)) return found;
  for (const [, from, imported = from] of readFileSync(file, 'utf8').matchAll(specifier))
    for (const candidate of candidates(resolve(dirname(file), imported))) reachableSources(candidate, found);
  return found;
}

/** What an import may mean, in TypeScript's order; those that are not there may come to be. */
function candidates(path: string): string[] {
  const written = path.replace(/\.([cm]?)jsx?$/, '.$1ts');
  return /\.[cm]?[jt]sx?$/.test(path) ? [...new Set([written, path])] : [`${path}.ts`, `${path}/index.ts`, path];
}
