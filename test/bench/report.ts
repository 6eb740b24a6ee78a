/** Results as text for people. */
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Agreement } from './cases.js';
import type { Ceilings } from './ceilings.js';
import type { KernelTime } from './compiled.js';
import { costOf, rooflineMs } from './cost.js';
import type { Result } from './main.js';

export interface Table<Row> {
  readonly head: string;
  readonly row: (row: Row) => string;
}

/** Columns of fixed width: the first to the left, the others to the right. */
export const line = (widths: readonly number[], cells: readonly string[]): string =>
  cells
    .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    .join('  ')
    .trimEnd();

export const milliseconds = (ms: number): string => (ms < 1 ? ms.toFixed(4) : ms < 100 ? ms.toFixed(2) : ms.toFixed(0));
const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;
const rate = (count: number, ms: number): string => (count / ms / 1e6).toFixed(1);

export function ceilingsText({ mulAddGflops, fusedGflops, streams }: Ceilings): string {
  const sizes = streams.map(({ bytes, gigabytesPerSecond }) => `${bytes / 1024} KiB ${gigabytesPerSecond.toFixed(0)}`);
  const fused = fusedGflops === null ? 'no relaxed SIMD' : `${fusedGflops.toFixed(1)} fused`;
  return `ceilings: ${mulAddGflops.toFixed(1)} GFLOP/s (${fused}); GB/s of ${sizes.join(', ')}`;
}

export function resultTable(): Table<Result> {
  const widths = [16, 8, 10, 10, 9, 8, 9];
  return {
    head: line(widths, ['workload', 'variant', 'median ms', 'least ms', 'GFLOP/s', 'GB/s', 'roofline']),
    row: ({ workload, variant, medianMs, minMs, flops, bytes, roofline }) =>
      line(widths, [
        workload,
        variant,
        milliseconds(medianMs),
        milliseconds(minMs),
        rate(flops, medianMs),
        rate(bytes, medianMs),
        percent(roofline),
      ]),
  };
}

/** Kernels, those that take longest first; equal ones together. */
export function kernelTable(times: readonly KernelTime[], ceilings: Ceilings, fused: boolean): string {
  const total = times.reduce((sum, { medianMs }) => sum + medianMs, 0);
  const groups = new Map<Kernel, KernelTime[]>();
  for (const time of times) groups.set(time.launch.kernel, [...(groups.get(time.launch.kernel) ?? []), time]);
  const rows = [...groups].map(([kernel, all]) => {
    const ms = all.reduce((sum, { medianMs }) => sum + medianMs, 0);
    const least = rooflineMs(
      all.map(({ launch }) => launch),
      ceilings,
      fused,
    );
    return { kernel, calls: all.length, ms, least, cost: costOf(kernel) };
  });
  const widths = [28, 5, 9, 6, 9, 8, 9];
  const cells = rows
    .sort((a, b) => b.ms - a.ms)
    .map(({ kernel, calls, ms, least, cost }) => {
      const each = [rate(calls * cost.flops, ms), rate(calls * cost.bytes, ms), percent(least / ms)];
      const start = line(widths, [
        kernel.name.slice(0, 28),
        `${calls}`,
        milliseconds(ms),
        percent(ms / total),
        ...each,
      ]);
      return `${start}  ${kernel.doc}`;
    });
  const head = line(widths, ['kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'roofline']);
  return [head, ...cells, line(widths, ['all', `${times.length}`, milliseconds(total)])].join('\n');
}

export function agreementTable(agreements: readonly Agreement[]): string {
  const widths = [16, 27, 9, 8];
  return agreements
    .map(
      ({ workload, what, tensor, relative, agrees }) =>
        `${line(widths, [workload, what, relative.toExponential(1), agrees ? 'agrees' : 'DIFFERS'])}  ${tensor}`,
    )
    .join('\n');
}
