/**
 * What a build depended on, and whether it is still as it was: files and folders by content, environment variables by
 * value.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';

export interface Dependencies {
  /** Absolute paths: files, folders whose names were listed, and what was looked for and is not there. */
  readonly paths: Iterable<string>;
  /** Environment variables that were read. */
  readonly environment: Iterable<string>;
}

/** Dependencies as they were at one time, for a file. */
export interface Snapshot {
  readonly paths: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
}

export const sha256 = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');

export const snapshotOf = ({ paths, environment }: Dependencies): Snapshot => ({
  paths: Object.fromEntries([...paths].map(path => [path, fingerprint(path)])),
  environment: Object.fromEntries([...environment].map(name => [name, variable(name)])),
});

export const isCurrent = ({ paths, environment }: Snapshot): boolean =>
  Object.entries(environment).every(([name, known]) => variable(name) === known) &&
  Object.entries(paths).every(([path, known]) => fingerprint(path) === known);

/**
 * Was anything written since a time, in milliseconds? Then a snapshot may not show what was read. To be asked after the
 * snapshot is taken: what is written later still differs from it. Files of the future, as clocks that are wrong make them, do
 * not count.
 */
export function writtenSince({ paths }: Dependencies, time: number): boolean {
  return [...paths].some(path => {
    const { mtimeMs = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return mtimeMs >= time && Math.floor(mtimeMs) <= Date.now();
  });
}

/** Of a file its content, of a folder the names in it. */
function fingerprint(path: string): string {
  try {
    return sha256(readFileSync(path));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EISDIR' ? `folder ${sha256(readdirSync(path).sort().join('\0'))}` : `none: ${code}`;
  }
}

/** Of a variable the hash of its value, which may be a secret. */
function variable(name: string): string {
  const value = process.env[name];
  return value === undefined ? 'none' : sha256(value);
}
