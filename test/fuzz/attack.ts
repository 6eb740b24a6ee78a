/** Attacks on the loaders, each in a process of its own with the engine's usual settings: what they cost it, and the limit. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { attacks } from './attacks.js';
import type { Footprint } from './footprint.js';
import { type FormatName, longest, memoryLimit } from './loaders.js';

interface Result extends Footprint {
  readonly name: string;
  readonly limit: number;
  /** `loaded`, or the code of an error. */
  readonly outcome: string;
}

export interface AttackTally {
  readonly results: readonly Result[];
  readonly faults: readonly string[];
}

/**
 * Every `every`-th attack on a format with files of about `size` bytes; `usual` are paths of files that are as they should
 * be.
 */
export function attack(format: FormatName, size: number, usual: readonly string[], every = 1): AttackTally {
  const folder = mkdtempSync(join(tmpdir(), 'gradc-attack-'));
  const path = join(folder, 'file');
  try {
    const results = attacks[format]
      .filter((_, i) => i % every === 0)
      .map(({ name, file }): Result => {
        const bytes = file(size);
        writeFileSync(path, bytes);
        return { name, limit: memoryLimit(bytes), ...measured(format, path, usual) };
      });
    return { results, faults: results.flatMap(result => faultsOf(format, result)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measured(format: string, path: string, usual: readonly string[]): Footprint & { outcome: string } {
  const program = join(dirname(process.argv[1]), 'measure.mjs');
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--expose-gc', program, format, path, ...usual], {
    encoding: 'utf8',
  });
  if (status !== 0) return { bytes: 0, milliseconds: 0, processor: 0, outcome: `exit ${status}: ${stderr}` };
  return JSON.parse(stdout) as Footprint & { outcome: string };
}

function faultsOf(format: string, { name, bytes, limit, processor, outcome }: Result): string[] {
  const faults: string[] = [];
  if (!['loaded', 'E401', 'E402'].includes(outcome)) faults.push(`ended with ${outcome}`);
  if (bytes > limit) faults.push(`took ${bytes} bytes of the process, more than ${limit}`);
  if (processor > longest) faults.push(`took ${processor} ms of the processor`);
  return faults.map(fault => `${format}, ${name}: ${fault}`);
}
