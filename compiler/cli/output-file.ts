/** Files that a command was asked to write. */
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeWhole } from './cache/atomic.js';
import { EnvironmentError } from './diagnostics.js';

/** Makes the folders it takes. Throws EnvironmentError where the file cannot be written. */
export function writeOutput(path: string, content: Uint8Array | string): void {
  try {
    writeWhole(path, content);
  } catch (error) {
    throw new EnvironmentError(`cannot write ${path}: ${obstacle(path) ?? (error as Error).message}`);
  }
}

/** What lies in the way; null where that is not it. */
function obstacle(path: string): string | null {
  if (isFolder(path)) return 'it is a folder';
  const above = nearestAbove(path);
  return isFolder(above) ? null : `${above} is a file, not a folder`;
}

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

/** The first that is there of what a path leads through, from its end. */
function nearestAbove(path: string): string {
  const above = dirname(path);
  return above === path || existsSync(above) ? above : nearestAbove(above);
}
