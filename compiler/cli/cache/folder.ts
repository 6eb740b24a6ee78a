/** Where compiled models are kept: `node_modules/.cache/gradc` of the project that a folder belongs to. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export function cacheFolder(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return join(folder, 'node_modules', '.cache', 'gradc');
  const up = dirname(folder);
  return up === folder ? join(tmpdir(), 'gradc-cache') : cacheFolder(up);
}
