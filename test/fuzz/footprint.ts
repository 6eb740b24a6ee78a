/**
 * What a call costs in memory of this process, as Linux counts it: the highest resident size while it ran above the size
 * before. Everything is in it: the heap with its garbage, memory outside it, tables of the engine.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const resettable = '/proc/self/clear_refs';
/** Can the highest resident size be asked for and reset? */
export const canMeasure = existsSync(resettable);

export interface Footprint {
  readonly bytes: number;
  /** By the clock, and of the processor. */
  readonly milliseconds: number;
  readonly processor: number;
}

export function footprintOf(call: () => void): Footprint {
  for (let i = 0; i < 3; i++) globalThis.gc!();
  writeFileSync(resettable, '5');
  const before = residentBytes('VmRSS');
  const processor = process.cpuUsage();
  const start = performance.now();
  call();
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(processor);
  return { bytes: residentBytes('VmHWM') - before, milliseconds, processor: (user + system) / 1000 };
}

function residentBytes(field: 'VmRSS' | 'VmHWM'): number {
  const [, kilobytes] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))!;
  return Number(kilobytes) * 1024;
}
