/** Why nodes became one kernel or did not, and what each pass did: as text. */
import { formatType, type Node } from '../../ir/graph.js';
import type { Note } from '../../pass.js';
import { type FusedGraph, type FusedGroup, kernelsOf } from '../../passes/fuse.js';
import { columns } from '../arguments.js';
import type { Tuning } from '../tune/tuning-file.js';
import type { PassRecord, RecordedCompilation } from './record.js';

/** A kernel, and for each neighbour that reads it why the two are apart. */
export interface Boundary {
  readonly kernel: string;
  readonly does: string;
  readonly apart: readonly { readonly from: string; readonly node: string; readonly why: string }[];
}

/** By entry. */
export function boundaries({ compilation, passes }: RecordedCompilation): ReadonlyMap<string, readonly Boundary[]> {
  const notes = passes.filter(({ pass }) => pass === 'fuse').flatMap(record => record.notes);
  return new Map(compilation.fused.map(fused => [fused.graph.name, boundariesOf(fused, notes)]));
}

function boundariesOf({ groups }: FusedGraph, notes: readonly Note[]): Boundary[] {
  const all = withInner(groups);
  const groupOf = new Map<Node, FusedGroup>(all.flatMap(group => [...group.nodes].map(node => [node, group] as const)));
  const byGroup = new Map<FusedGroup, Boundary['apart'][number][]>(all.map(group => [group, []]));
  for (const { about, why } of notes) {
    const [node, reader] = (about as readonly Node[]).map(n => ({ n, group: groupOf.get(n) }));
    if (node?.group === undefined || reader?.group === undefined) continue;
    const reason = why.replace(/^not fused into .*?: /, '');
    byGroup
      .get(node.group)!
      .push({ from: nameOf(reader.group), node: `${node.n.op} ${formatType(node.n.type)}`, why: reason });
  }
  return all.map(group => ({ kernel: nameOf(group), does: docOf(group), apart: byGroup.get(group)! }));
}

/** Groups, each loop or branch followed by those inside it. */
const withInner = (groups: readonly FusedGroup[]): FusedGroup[] =>
  groups.flatMap(group =>
    'kernel' in group.lowered ? [group] : [group, ...group.lowered.bodies.flatMap(body => withInner(body.groups))],
  );

const nameOf = ({ lowered }: FusedGroup): string => ('kernel' in lowered ? lowered.kernel.name : lowered.control.op);
const docOf = (group: FusedGroup): string =>
  'kernel' in group.lowered ? group.lowered.kernel.doc : `${kernelsOf([group]).length} kernels inside`;

export function explanationText(recorded: RecordedCompilation): string {
  const entries = [...boundaries(recorded)].map(([entry, list]) => {
    const kernels = list.map(({ kernel, does, apart }) => {
      const reasons = apart.map(({ from, node, why }) => `      apart from ${from}: ${why} (${node})\n`);
      return `  ${kernel.padEnd(30)} ${does}\n${reasons.join('')}`;
    });
    return `${entry}: ${list.length} kernels\n${kernels.join('')}`;
  });
  const others = recorded.passes.filter(({ pass }) => pass === 'order' || pass === 'plan-memory');
  const choices = others.flatMap(({ pass, notes }) => notes.map(({ what, why }) => `  ${pass}: ${what}: ${why}\n`));
  return `${entries.join('\n')}${choices.length > 0 ? `\norder and memory\n${choices.join('')}` : ''}`;
}

/** Passes in order with what they left and chose; then, kernel by kernel, what the schedule of the backend chose. */
export function passesText({ passes, tuning }: RecordedCompilation, scheduled: readonly PassRecord[]): string {
  const rows = passes.map(({ pass, on, ms, left, notes }) => [
    `${on === '' ? 'program' : on}: ${pass}`,
    `${`${ms.toFixed(1)} ms`.padStart(9)}  ${left.padEnd(12)} ${pass === 'fuse' ? '' : noteText(notes)}`.trimEnd(),
  ]);
  const kernels = new Map<string, string[]>();
  for (const { pass, on, notes } of scheduled) {
    if (notes.length > 0) kernels.set(on, [...(kernels.get(on) ?? []), `    ${pass}: ${noteText(notes)}\n`]);
  }
  const schedule = [...kernels].map(([kernel, lines]) => `  ${kernel}\n${lines.join('')}`);
  return `${columns(rows)}\nschedule of the wasm backend\n${schedule.join('')}${tuning === null ? '' : tuningText(tuning)}`;
}

/** What the tuning file found for each contraction, and what its plan is worth. */
function tuningText({ machine, plans }: Tuning): string {
  const rows = Object.values(plans).map(({ kernel, plan, ms, estimatedMs }) => [
    kernel,
    `${plan}: ${ms.toFixed(3)} ms, as estimated ${estimatedMs.toFixed(3)} ms`,
  ]);
  return `\ntuned on ${machine}\n${columns(rows)}`;
}

const noteText = (notes: readonly Note[]): string => notes.map(({ what, why }) => `${what}: ${why}`).join('; ');
