/**
 * A call of each entry kernel by kernel, as a Chrome trace: https://ui.perfetto.dev or chrome://tracing opens it. Kernels are
 * timed one by one in the compiled module on random inputs; a kernel in a loop stands there once for all its runs.
 *
 * Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import { isParam, type Node } from '../../ir/graph.js';
import type { FusedGraph } from '../../passes/fuse.js';
import type { Compilation } from '../../pipeline.js';
import type { TracedModel } from '../../trace/model.js';
import { launchTimes } from '../bench/kernel-times.js';
import { randomInputs } from '../random-inputs.js';
import { sourceText } from './source-lines.js';

interface TraceEvent {
  readonly name: string;
  readonly ph: 'X' | 'M';
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: object;
}

/** Seconds that the kernels of an entry are repeated for. */
const secondsPerEntry = 0.5;

export function timeline(
  traced: TracedModel,
  compilation: Compilation,
  integers: number,
): { traceEvents: TraceEvent[] } {
  const { program } = compilation;
  const state = traced.state.map(({ name, storage }) => [name, storage.array] as const);
  const drawn = randomInputs(integers);
  const traceEvents = program.entries.flatMap((entry, i): TraceEvent[] => {
    const contents = new Map([...state, ...Object.entries(drawn(entry))]);
    const sources = sourcesOfLaunches(compilation.fused[i]);
    let ts = 0;
    const thread = { pid: 1, tid: i + 1 };
    const events = launchTimes(program, entry, contents, false, secondsPerEntry).map(
      ({ launch: { kernel, args }, runs, minMs }, step): TraceEvent => {
        const dur = minMs * 1000 * runs;
        const event = { name: kernel.name, cat: kernel.doc, ph: 'X' as const, ...thread, ts, dur };
        ts += dur;
        return { ...event, args: { does: kernel.doc, runs, at: args, ...sources[step] } };
      },
    );
    return [{ name: 'thread_name', ph: 'M', ...thread, args: { name: entry.name } }, ...events];
  });
  return {
    traceEvents: [{ name: 'process_name', ph: 'M', pid: 1, tid: 0, args: { name: program.name } }, ...traceEvents],
  };
}

/** The module and the user's lines behind each launch of an entry; none where loops and branches rearrange them. */
function sourcesOfLaunches({ groups }: FusedGraph): { module: string; source: string }[] {
  return groups.every(({ lowered }) => 'kernel' in lowered) ? groups.map(({ nodes }) => sourceOf(nodes)) : [];
}

function sourceOf(nodes: ReadonlySet<Node>): { module: string; source: string } {
  const made = [...nodes].filter(node => !isParam(node) && node.inputs.length > 0);
  const modules = new Set(made.map(node => node.site?.module).filter(Boolean));
  return { module: [...modules].join(', '), source: [...new Set(made.map(node => sourceText(node.site)))].join('\n') };
}
