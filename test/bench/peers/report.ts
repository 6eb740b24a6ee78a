/** The comparison as text. */
import { line, milliseconds } from '../report.js';
import type { PeerResult } from './main.js';

const widths = [16, 17, 10, 9, 6, 7, 9];

export const peerHead = line(widths, ['workload', 'engine', 'median ms', 'least ms', 'ratio', 'least', 'error']);

/** `ratio`: how many times as long as gradc, by the medians and by the least times. */
export function peerRow({ workload, engine, times, reason, ratio, minRatio, relativeError }: PeerResult): string {
  if (times === null) return `${line(widths, [workload, engine])}  ${reason}`;
  const factor = (value: number | null): string => (value === null ? '' : value.toFixed(2));
  return line(widths, [
    workload,
    engine,
    milliseconds(times.medianMs),
    milliseconds(times.minMs),
    factor(ratio),
    factor(minRatio),
    relativeError === null ? '' : relativeError.toExponential(1),
  ]);
}
