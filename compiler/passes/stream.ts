/**
 * Large values between a contraction and rows of its results are passed on row by row, in the cache: the kernel that writes
 * them and the one that reads them become one, and they are never written whole (`lowering/slabs.ts`).
 *
 *   s = q·kᵀ ; p = softmax(s) ; y = p·v     ->   for each head, row: slab = q·kᵀ ; slab = softmax(slab) ; y = slab·v
 *
 * It is done where a value is too large for the caches, so that its memory is felt, in space first: attention of 8 heads over
 * 512, 1024 and 2048 places takes 5, 13 and 34 MB instead of 21, 78 and 298, and hardly less time (3, 2 and 0 percent). Rows
 * are whole, so that their softmax is exact; beyond 16,384 places a block of them would stay in no cache, and the kernels stay
 * apart. What is needed otherwise too, as weights of attention are by the gradients of keys and values, is written as ever.
 *
 * Only rows are passed on, since to compute some of them at a time takes nothing from the tiles of a contraction. The image of
 * a channel could be as well, to its pooling or to a convolution by channels; but convolutions of 8 channels at a time were up
 * to a tenth slower than whole ones, which is more than the saved pass over memory took.
 */
import { bytesOf } from '../ir/dtype.js';
import { type Node, roots } from '../ir/graph.js';
import { type Kernel, type Stmt, withBody } from '../ir/kernel.js';
import { numel } from '../ir/shape.js';
import { type Move, moved } from '../lowering/blocks.js';
import type { Lowered } from '../lowering/lower.js';
import { type CommonLoops, commonLoops, joined } from '../lowering/slabs.js';
import { opDef } from '../ops/define.js';
import type { PassContext } from '../pass.js';
import type { FusedGraph, FusedGroup } from './fuse.js';
import { canShareMemory } from './in-place.js';

export interface Limits {
  /** Bytes from which on a value is not found in a cache by the kernel after the one that wrote it. */
  readonly large: number;
  /** Steps of a kernel for each element beyond which reading and writing it is not felt. */
  readonly steps: number;
}
const measured: Limits = { large: 1 << 23, steps: 128 };

/** Bytes of a row beyond which no block of rows stays in any cache. */
const LONGEST = 1 << 16;

interface Kernelled extends FusedGroup {
  readonly lowered: Lowered;
}
const isKernelled = (group: FusedGroup): group is Kernelled => 'kernel' in group.lowered;

export function stream(fused: FusedGraph, context: PassContext, limits = measured): FusedGraph {
  const results = new Set(roots(fused.graph));
  let groups = fused.groups.map(group => withStreamedBodies(group, context, limits));
  const further = (): FusedGroup[] | null => merge(groups, results, limits, context);
  for (let merged = further(); merged !== null; merged = further()) groups = merged;
  return { ...fused, groups };
}

function withStreamedBodies(group: FusedGroup, context: PassContext, limits: Limits): FusedGroup {
  const { lowered } = group;
  if ('kernel' in lowered) return group;
  return { ...group, lowered: { ...lowered, bodies: lowered.bodies.map(body => stream(body, context, limits)) } };
}

/** The groups with two of them made one, which takes the place of the second; null where there are no such two. */
function merge(
  groups: readonly FusedGroup[],
  results: ReadonlySet<Node>,
  { large, steps }: Limits,
  context: PassContext,
): FusedGroup[] | null {
  for (const writer of groups) {
    const [value, ...others] = writer.outputs;
    if (!isKernelled(writer) || others.length > 0 || results.has(value) || bytesOfFloats(value) < large) continue;
    const [reader, ...more] = groups.filter(({ lowered }) => lowered.reads.includes(value));
    if (more.length > 0 || !isKernelled(reader) || !isWorthIt(writer, reader, steps * numel(value.type.shape)))
      continue;
    const loops = commonLoops(writer.lowered, reader.lowered, value);
    if (loops === null || !isRow(loops, value)) continue;
    const lowered = inSharedSlabs(joined(writer.lowered, reader.lowered, value, loops));
    context.note(lowered.kernel.doc, `passes on ${value.op} in rows of ${loops.slab} elements`, [value]);
    const one = { nodes: new Set([...writer.nodes, ...reader.nodes]), outputs: reader.outputs, lowered };
    return groups.flatMap(group => (group === writer ? [] : group === reader ? [one] : [group]));
  }
  return null;
}

/** Values of other types are none to pass on. */
const bytesOfFloats = ({ type }: Node): number =>
  type.dtype === 'float32' ? numel(type.shape) * bytesOf(type.dtype) : Number.NEGATIVE_INFINITY;

/** One of them is a contraction, and none does so much that memory is not what it waits for. */
function isWorthIt(writer: Kernelled, reader: Kernelled, mostSteps: number): boolean {
  const contracts = [writer, reader].some(({ nodes }) =>
    [...nodes].some(node => opDef(node.op).fusion === 'contraction'),
  );
  return contracts && [writer, reader].every(({ lowered }) => stepsOf(lowered.kernel.body) <= mostSteps);
}

const isRow = ({ slab }: CommonLoops, { type }: Node): boolean =>
  slab === type.shape.at(-1) && slab * bytesOf(type.dtype) <= LONGEST;

/** How often the statement that is run most often is run. */
const stepsOf = (stmts: readonly Stmt[]): number =>
  Math.max(
    1,
    ...stmts.map(stmt => {
      if (stmt.kind === 'loop') return stmt.iter.extent * stepsOf(stmt.body);
      return stmt.kind === 'alloc' ? stepsOf(stmt.body) : 1;
    }),
  );

/** What is made of a slab replaces it where it may. */
function inSharedSlabs(lowered: Lowered): Lowered {
  const { kernel } = lowered;
  return {
    ...lowered,
    kernel: withBody(
      kernel,
      kernel.body.map(stmt => inSharedSlab(stmt, kernel)),
    ),
  };
}

function inSharedSlab(stmt: Stmt, kernel: Kernel): Stmt {
  if (stmt.kind === 'loop')
    return withBody(
      stmt,
      stmt.body.map(inner => inSharedSlab(inner, kernel)),
    );
  if (stmt.kind !== 'alloc') return stmt;
  const [inner, ...rest] = stmt.body;
  if (inner?.kind !== 'alloc' || !canShareMemory({ ...kernel, body: inner.body }, inner.buffer, stmt.buffer))
    return stmt;
  const move: Move = (buffer, at) => ({ buffer: buffer === inner.buffer ? stmt.buffer : buffer, index: at });
  return { ...stmt, body: [...inner.body.map(part => moved(part, new Map(), move)), ...rest] };
}
