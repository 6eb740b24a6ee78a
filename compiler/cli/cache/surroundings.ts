/**
 * What decides how a source file is read, beside its own text: the package.json and the tsconfig.json above it, with
 * those the latter extends. A file that is not there decides too, by not being there.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, resolve } from 'node:path';

export function* surroundings(folder: string): Generator<string> {
  yield* upTo(folder, 'package.json');
  for (const config of upTo(folder, 'tsconfig.json')) yield* withExtended(config);
}

/** The nearest file of a name, and the places where a nearer one would be. */
function* upTo(folder: string, name: string): Generator<string> {
  const path = join(folder, name);
  yield path;
  if (!existsSync(path) && dirname(folder) !== folder) yield* upTo(dirname(folder), name);
}

function* withExtended(config: string): Generator<string> {
  yield config;
  if (!existsSync(config)) return;
  const [, value = '[]'] = /"extends"\s*:\s*("[^"]*"|\[[^\]]*\])/.exec(readFileSync(config, 'utf8')) ?? [];
  for (const [, name] of value.matchAll(/"([^"]*)"/g)) {
    const path = resolveExtended(name, dirname(config));
    if (path !== null) yield* withExtended(path);
  }
}

/** As the type checker finds it: by a path with or without its ending, or in a package. */
function resolveExtended(name: string, folder: string): string | null {
  const candidates = [name, `${name}.json`, `${name}/tsconfig.json`];
  if (name.startsWith('.') || isAbsolute(name)) return resolve(folder, name.endsWith('.json') ? name : `${name}.json`);
  const { resolve: find } = createRequire(join(folder, 'tsconfig.json'));
  for (const candidate of candidates) {
    try {
      return find(candidate);
    } catch {
      // not under this name
    }
  }
  return null;
}

/** The package.json that tells the version of a package's file; null for a file of no installed package. */
export function packageManifest(file: string): string | null {
  const [, root] = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file) ?? [];
  return root === undefined ? null : join(root, 'package.json');
}
