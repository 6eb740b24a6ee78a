/** Results as text for people. */
import type { Ceilings } from '../../compiler/cli/bench/ceilings.js';
import { costOf, type Limits, leastMs, limitsOf } from '../../compiler/cli/bench/cost.js';
import type { LaunchTime } from '../../compiler/cli/bench/kernel-times.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Agreement } from './cases.js';
import type { Growth } from './growth.js';
import type { Result, WorkloadSizes } from './main.js';
import { reasonFor } from './reasons.js';
import type { Startup } from './startup.js';
import type { VectorSpeed } from './vector-math.js';

interface Table<Row> {
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

export function ceilingsText({ mulAddGflops, fusedGflops, functions, streams }: Ceilings): string {
  const sizes = streams.map(({ bytes, gigabytesPerSecond }) => `${bytes / 1024} KiB ${gigabytesPerSecond.toFixed(0)}`);
  const fused = fusedGflops === null ? 'no relaxed SIMD' : `${fusedGflops.toFixed(1)} fused`;
  const rates = Object.entries(functions).map(([fn, rate]) => `${fn} ${(1000 * rate).toFixed(0)}`);
  return `ceilings: ${mulAddGflops.toFixed(1)} GFLOP/s (${fused}); GB/s of ${sizes.join(', ')}; 10^6/s of ${rates.join(', ')}`;
}

/** `speedUp`: how many times as fast as one thread of the same variant. */
export interface ResultRow extends Result {
  readonly speedUp: number | null;
}

export function resultTable(): Table<ResultRow> {
  const widths = [16, 7, 11, 10, 10, 10, 6, 9, 8, 9, 8];
  return {
    head: line(widths, [
      'workload',
      'threads',
      'variant',
      'median ms',
      'least ms',
      'processors',
      'waited',
      'GFLOP/s',
      'GB/s',
      'roofline',
      'speed-up',
    ]),
    row: ({ workload, threads, variant, medianMs, minMs, processors, waited, flops, bytes, roofline, speedUp }) =>
      line(widths, [
        workload,
        `${threads}`,
        variant,
        milliseconds(medianMs),
        milliseconds(minMs),
        processors.toFixed(2),
        waited === null ? '' : waited.toFixed(2),
        rate(flops, medianMs),
        rate(bytes, medianMs),
        percent(roofline),
        speedUp === null ? '' : speedUp.toFixed(2),
      ]),
  };
}

/**
 * Kernels, those that take longest first; equal ones together. What bounds each, and why it is not closer to that. By their
 * least times, since the ceilings are best times too.
 */
export function kernelTable(times: readonly LaunchTime[], ceilings: Ceilings, fused: boolean): string {
  const total = times.reduce((sum, { runs, minMs }) => sum + runs * minMs, 0);
  const groups = new Map<Kernel, LaunchTime[]>();
  for (const time of times) groups.set(time.launch.kernel, [...(groups.get(time.launch.kernel) ?? []), time]);
  const rows = [...groups].map(([kernel, all]) => {
    const calls = all.reduce((sum, { runs }) => sum + runs, 0);
    const ms = all.reduce((sum, { runs, minMs }) => sum + runs * minMs, 0);
    return { kernel, calls, ms, limits: limitsOf(kernel, ceilings, fused) };
  });
  const widths = [28, 5, 9, 6, 9, 8, 9, 10];
  const cells = rows
    .sort((a, b) => b.ms - a.ms)
    .map(({ kernel, calls, ms, limits }) => {
      const { flops, bytes } = costOf(kernel);
      const start = line(widths, [
        kernel.name.slice(0, 28),
        `${calls}`,
        milliseconds(ms),
        percent(ms / total),
        rate(calls * flops, ms),
        rate(calls * bytes, ms),
        percent((calls * leastMs(limits)) / ms),
        boundOf(limits),
      ]);
      const reason = reasonFor(kernel, limits, ms / calls, ceilings);
      return `${start}  ${kernel.doc}${reason === null ? '' : `\n${' '.repeat(30)}${reason}`}`;
    });
  const head = line(widths, ['kernel', 'calls', 'least ms', 'share', 'GFLOP/s', 'GB/s', 'roofline', 'bound by']);
  return [head, ...cells, line(widths, ['all', `${times.length}`, milliseconds(total)])].join('\n');
}

function boundOf({ arithmetic, functions, memory }: Limits): string {
  if (memory >= arithmetic + functions) return 'memory';
  return functions > arithmetic ? 'functions' : 'arithmetic';
}

/** What calls take of memory beside what they must, and what modules weigh. */
export function sizesTable(all: readonly WorkloadSizes[]): string {
  const widths = [16, 10, 10, 12, 6, 10, 10, 10];
  const kib = (bytes: number): string => (bytes / 1024).toFixed(1);
  const rows = all.map(({ workload, state, planned, lowerBound, memory, module, moduleGzip }) =>
    line(widths, [
      workload,
      kib(state),
      kib(planned),
      kib(lowerBound),
      (planned / lowerBound).toFixed(3),
      kib(memory),
      kib(module),
      kib(moduleGzip),
    ]),
  );
  return [line(widths, ['KiB', 'state', 'planned', 'lower bound', 'ratio', 'memory', 'module', 'gzip']), ...rows].join(
    '\n',
  );
}

export function vectorTable(all: readonly VectorSpeed[]): string {
  const widths = [12, 11, 8, 8];
  const rows = all.map(({ name, millionsPerSecond, largestUlp, statedUlp, unit }) => {
    const cells = [name, millionsPerSecond.toFixed(0), largestUlp.toFixed(2), statedUlp.toString()];
    return `${line(widths, cells)}${unit === 'argument' ? '  of the argument' : ''}`;
  });
  return [line(widths, ['function', '10^6 / s', 'ulp', 'stated']), ...rows].join('\n');
}

export function startupTable(all: readonly Startup[]): string {
  const widths = [34, 10, 9];
  const rows = all.map(({ what, medianMs, minMs }) => line(widths, [what, medianMs.toFixed(1), minMs.toFixed(1)]));
  return [line(widths, ['a process', 'median ms', 'least ms']), ...rows].join('\n');
}

export function growthTable(all: readonly Growth[]): string {
  const widths = [12, 8, 12, 12, 14];
  const rows = all.map(({ entry, calls, heapBytes, bufferBytes, modelBytes }) =>
    line(widths, [entry, `${calls}`, `${heapBytes}`, `${bufferBytes}`, `${modelBytes}`]),
  );
  return [line(widths, ['bytes more', 'calls', 'heap', 'buffers', 'linear memory']), ...rows].join('\n');
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
