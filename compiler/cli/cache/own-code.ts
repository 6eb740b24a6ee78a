/**
 * What the gradc that runs is, as a hash: its own code, and the versions of the packages it compiles with. In a
 * checkout the code changes under one version.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { version } from '../../artifact/version.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const isCode = (path: string): boolean => /(?<!\.d)\.[jt]s$/.test(path);

export function ownCode(): string {
  const hash = createHash('sha256').update(`${version}\0${process.version}`);
  for (const folder of ['compiler', 'runtime', 'backends']) {
    const paths = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(isCode).sort();
    for (const path of paths) hash.update(`${path}\0`).update(readFileSync(join(root, folder, path)));
  }
  for (const name of ['binaryen', 'esbuild', 'ts-morph']) hash.update(`${name} ${packageVersion(name)}\0`);
  return hash.digest('hex');
}

/** Of a package as gradc itself would find it; folders of packages are looked through as Node does. */
function packageVersion(name: string): string {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const folder of folders) {
    try {
      return JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')).version;
    } catch {
      // not in this folder: the next one up
    }
  }
  return 'none';
}
