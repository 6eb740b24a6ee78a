/**
 * A kernel and the one that reads its result made one: what the first passes on lives in a buffer of one iteration of the
 * loops that both have, and is never written whole.
 *
 *   parallel h, i: parallel j: s[h, i, j] = Σ q·k          parallel h, i: alloc local slab[T]:
 *   parallel h, i: p[h, i, :] = softmax of s[h, i, :]  ->     parallel j: slab[j] = Σ q·k
 *                                                             p[h, i, :] = softmax of slab
 *
 * A *slab* is what leading indices leave of a tensor. Loops can be common where they count these indices in the writer, and
 * the reader reads nothing but the slab of its own iteration: rows of scores for the softmax over them, rows of weights for
 * the sums over them.
 *
 * In this form a slab is as small as it can be. Backends make blocks of several of it (`blocks.ts`).
 */
import { isParam, type Node } from '../ir/graph.js';
import {
  addIndex,
  alloc,
  type Buffer,
  type Expr,
  type Iter,
  index,
  iterOf,
  type Kernel,
  mulIndex,
  nest,
  type Stmt,
  subIndex,
  substitute,
  walkStmts,
} from '../ir/kernel.js';
import { perfectNest } from '../ir/nests.js';
import { contiguousStrides, numel } from '../ir/shape.js';
import { type Move, moved } from './blocks.js';
import type { Lowered, Position } from './lower.js';

/** Loops that the writer and the reader of a value can have in common. */
export interface CommonLoops {
  /** By the dims of the value that they count: the counters of both. */
  readonly pairs: readonly { readonly dim: number; readonly writer: Iter; readonly reader: Iter }[];
  /** Elements of the value that an iteration passes on. */
  readonly slab: number;
}

/** The most loops that can be common; null where there are none. */
export function commonLoops(writer: Lowered, reader: Lowered, value: Node): CommonLoops | null {
  const [written, read] = [writer, reader].map(({ positions }) => positions.get(value) ?? []);
  if (written.length !== 1 || read.length === 0) return null;
  const [ofWriter, ofReader] = [writer, reader].map(
    ({ kernel }) => new Set(perfectNest(kernel.body, 'parallel').iters),
  );
  const { shape } = value.type;
  const pairs: { dim: number; writer: Iter; reader: Iter }[] = [];
  let dim = 0;
  for (; dim < shape.length; dim++) {
    if (shape[dim] === 1) continue;
    const [from, to] = [counterAt(written, dim), counterAt(read, dim)];
    if (from === null || to === null || !ofWriter.delete(from) || !ofReader.delete(to)) break;
    pairs.push({ dim, writer: from, reader: to });
  }
  return pairs.length === 0 ? null : { pairs, slab: numel(shape.slice(dim)) };
}

/** The counter that is the index in all positions. */
function counterAt(positions: readonly Position[], dim: number): Iter | null {
  const [first] = positions.map(at => at[dim]);
  if (first.kind !== 'iter') return null;
  return positions.every(({ [dim]: at }) => at.kind === 'iter' && at.iter === first.iter) ? first.iter : null;
}

/** One kernel of two; the second alone reads what the first writes, which is nothing else. */
export function joined(writer: Lowered, reader: Lowered, value: Node, { pairs, slab }: CommonLoops): Lowered {
  const reads = [...new Set([...writer.reads, ...reader.reads.filter(node => node !== value)])];
  const images = sharedBuffers(writer, reader, reads);
  const local: Buffer = {
    name: slabName(writer.kernel, reader.kernel),
    dtype: value.type.dtype,
    size: slab,
    scope: 'local',
  };
  const passedOn = new Set([writer, reader].map(lowered => bufferOf(lowered, value)));
  const strides = contiguousStrides(value.type.shape);
  const start = pairs.reduce<Expr>(
    (sum, pair) => addIndex(sum, mulIndex(iterOf(pair.reader), strides[pair.dim])),
    index(0),
  );
  const move: Move = (buffer, at) =>
    passedOn.has(buffer)
      ? { buffer: local, index: subIndex(at, start) }
      : { buffer: images.get(buffer) ?? buffer, index: at };
  const counters = new Map(pairs.map(pair => [pair.writer, iterOf(pair.reader)]));
  const common = pairs.map(pair => pair.reader);
  return {
    kernel: {
      name: reader.kernel.name,
      params: [
        ...reads.map(node => ({
          buffer: images.get(bufferOf(reader.reads.includes(node) ? reader : writer, node))!,
          access: 'read' as const,
        })),
        ...reader.kernel.params.slice(reader.reads.length),
      ],
      body: nest(common, 'parallel', [
        alloc(local, [
          ...inside(writer.kernel, [...counters.keys()]).map(stmt => moved(stmt, counters, move)),
          ...inside(reader.kernel, common).map(stmt => moved(stmt, new Map(), move)),
        ]),
      ]),
      doc: `${writer.kernel.doc} → ${reader.kernel.doc}`,
    },
    reads,
    writes: reader.writes,
    positions: sharedPositions(writer, reader, value, counters),
  };
}

const bufferOf = ({ kernel, reads, writes }: Lowered, node: Node): Buffer =>
  kernel.params[[...reads, ...writes].indexOf(node)].buffer;

/** A tensor that both read is one parameter; those that are no parameters of the graph are numbered anew. */
function sharedBuffers(writer: Lowered, reader: Lowered, reads: readonly Node[]): Map<Buffer, Buffer> {
  const images = new Map<Buffer, Buffer>();
  for (const [i, node] of reads.entries()) {
    const buffers = [reader, writer]
      .filter(lowered => lowered.reads.includes(node))
      .map(lowered => bufferOf(lowered, node));
    const shared: Buffer = isParam(node) ? buffers[0] : { ...buffers[0], name: `x${i}` };
    for (const buffer of buffers) images.set(buffer, shared);
  }
  return images;
}

/** Slabs within slabs have names of their own. */
function slabName(...kernels: readonly Kernel[]): string {
  let others = 0;
  walkStmts(
    kernels.flatMap(({ body }) => body),
    stmt => {
      others += stmt.kind === 'alloc' && stmt.buffer.scope === 'local' ? 1 : 0;
    },
  );
  return `slab${others || ''}`;
}

/** What a nest does in one iteration of some of its loops. */
function inside({ body }: Kernel, common: readonly Iter[]): Stmt[] {
  const { iters, body: innermost } = perfectNest(body, 'parallel');
  return nest(
    iters.filter(iter => !common.includes(iter)),
    'parallel',
    innermost,
  );
}

function sharedPositions(
  writer: Lowered,
  reader: Lowered,
  value: Node,
  counters: ReadonlyMap<Iter, Expr>,
): Map<Node, Position[]> {
  const positions = new Map<Node, Position[]>();
  for (const [node, places] of writer.positions)
    positions.set(
      node,
      places.map(at => at.map(expr => substitute(expr, counters))),
    );
  for (const [node, places] of reader.positions) positions.set(node, [...(positions.get(node) ?? []), ...places]);
  positions.delete(value);
  return positions;
}
