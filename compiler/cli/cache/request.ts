/** What was asked for, and of which gradc, as a hash: the name under which results are kept. */
import { statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { BuildRequest } from '../build-model.js';
import { sha256 } from './dependencies.js';
import { ownCode } from './own-code.js';

/** The folder it is run in takes part since paths in the artifact's comments count from it. */
export const requestKey = (asked: readonly unknown[]): string =>
  sha256(JSON.stringify([ownCodeOnce(), process.cwd(), ...asked])).slice(0, 32);

export function buildKey({
  modelFile,
  targets,
  nvcc,
  threads,
  revectorize,
  winograd,
  checkValues,
  shardBytes,
  checkTypes,
}: BuildRequest): string {
  const cuda = targets.includes('cuda') && nvcc !== 'skip' ? [nvcc, nvccStamp()] : [];
  return requestKey([
    'build',
    resolve(modelFile),
    [...targets].sort(),
    threads,
    revectorize,
    winograd,
    checkValues,
    shardBytes,
    checkTypes,
    cuda,
  ]);
}

let ownHash: string | null = null;
function ownCodeOnce(): string {
  ownHash ??= ownCode();
  return ownHash;
}

/** Tells one installation of nvcc from another without running it. */
function nvccStamp(): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, process.platform === 'win32' ? 'nvcc.exe' : 'nvcc');
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile()) return `${path} ${found.size} ${found.mtimeMs}`;
  }
  return 'none';
}
