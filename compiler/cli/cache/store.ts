/**
 * Results that are kept on disk with what they depended on: `records/<request>-<state>.json` for every request and
 * every state of its dependencies that was seen, and `contents/<sha256>` for what the records speak of.
 *
 * Nothing is locked. Files appear whole under names that say what is in them, a content is checked when it is read, and
 * what is missing or broken counts as never kept; so processes may run at once and be killed.
 */
import { readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from './atomic.js';
import { isCurrent, type Snapshot, sha256 } from './dependencies.js';

/** A result, and what it depended on. */
export interface Kept<Value> {
  readonly dependencies: Snapshot;
  readonly value: Value;
}

/** By the sha256 of each. */
export type Contents = Iterable<readonly [hash: string, content: Uint8Array | string]>;

/** Above these the oldest go. */
const mostRecords = 256;
const mostContentBytes = 2 ** 30;

export class Store {
  readonly #records: string;
  readonly #contents: string;
  constructor(folder: string) {
    this.#records = join(folder, 'records');
    this.#contents = join(folder, 'contents');
  }

  /** What was kept for a request while everything was as it is now. */
  find<Value>(request: string): Kept<Value> | null {
    for (const { path } of filesOf(this.#records).filter(({ name }) => name.startsWith(`${request}-`))) {
      const record = readRecord<Value>(path);
      if (record === null || !isCurrent(record.dependencies)) continue;
      touch(path);
      return record;
    }
    return null;
  }

  /** Gives why it could not be kept, or null. A result that cannot be kept is no worse for it. */
  keep(request: string, dependencies: Snapshot, value: object, contents: Contents = []): string | null {
    try {
      this.#keepContents(contents);
      this.#keepRecord(request, dependencies, value);
      return null;
    } catch (error) {
      return `the cache cannot be written: ${(error as Error).message}`;
    }
  }

  #keepRecord(request: string, dependencies: Snapshot, value: object): void {
    const name = `${request}-${sha256(JSON.stringify(dependencies)).slice(0, 16)}.json`;
    const record: Kept<object> = { dependencies, value };
    writeWhole(join(this.#records, name), JSON.stringify(record));
    for (const { path } of filesOf(this.#records).slice(mostRecords)) rmSync(path, { force: true });
  }

  content(hash: string): Uint8Array | null {
    const path = join(this.#contents, hash);
    try {
      const content = readFileSync(path);
      if (sha256(content) !== hash) return null;
      touch(path);
      return content;
    } catch {
      return null;
    }
  }

  #keepContents(contents: Contents): void {
    for (const [hash, content] of contents) writeWhole(join(this.#contents, hash), content);
    let total = 0;
    for (const { path, bytes } of filesOf(this.#contents))
      if ((total += bytes) > mostContentBytes) rmSync(path, { force: true });
  }
}

interface StoredFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly time: number;
}

/** Latest used first. */
function filesOf(folder: string): StoredFile[] {
  const files = namesIn(folder).flatMap((name): StoredFile[] => {
    const path = join(folder, name);
    const found = statSync(path, { throwIfNoEntry: false });
    return found === undefined ? [] : [{ name, path, bytes: found.size, time: found.mtimeMs }];
  });
  return files.sort((a, b) => b.time - a.time);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readRecord<Value>(path: string): Kept<Value> | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** Mark as used. Another process may have removed it; that is no matter. */
function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // gone
  }
}
