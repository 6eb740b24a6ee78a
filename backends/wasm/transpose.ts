/**
 * What is read along one counter and written along another is turned around in registers, four by four: vectors are read,
 * their elements change places, vectors are written.
 *
 *   parallel k<64: parallel w<8: store panel[k*8 + w] = load b[w*64 + k]
 * ->
 *   parallel kb<4: parallel wt<2: parallel kt<4: alloc register square[16]:
 *     unroll i<4: vector l<4: store square[i*4 + l] = load b[(wt*4 + i)*64 + kb*16 + kt*4 + l]
 *     unroll i<4: vector l<4: store panel[(kb*16 + kt*4 + i)*8 + wt*4 + l] = load square[l*4 + i]
 *
 * So operands of contractions are packed, and dimensions change places. Squares that share the cache lines they read follow
 * each other: those of a whole row later, the lines would often be gone, since rows of as many bytes as a power of two are
 * in few sets of the first cache. What fills no square is left to the other passes.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  type Expr,
  type Iter,
  index,
  iterOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapStmtExprs,
  mulIndex,
  nest,
  type Stmt,
  store,
  substitute,
  withBody,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { loadsIn } from './accesses.js';
import { LANES } from './emit-vector.js';
import { collapse, replaceIters, strideOf } from './linear.js';

export const transposeInRegisters: Pass<Kernel> = {
  name: 'transpose-in-registers',
  doc: 'Copies that read along one counter and write along another go through squares of four vectors.',
  run(kernel, context) {
    return withBody(
      kernel,
      kernel.body.flatMap(stmt => transposed(stmt, context)),
    );
  },
};

/** Elements of a cache line. */
const LINE = 16;

type Loop = Extract<Stmt, { kind: 'loop' }>;
type Store = Extract<Stmt, { kind: 'store' }>;

function transposed(stmt: Stmt, context: PassContext): Stmt[] {
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return [stmt];
  if (stmt.kind === 'loop' && stmt.map === 'parallel') {
    const squares = inSquares(stmt, context) ?? apartInSquares(stmt, context);
    if (squares !== null) return squares;
  }
  const body = stmt.body.flatMap(inner => transposed(inner, context));
  return [withBody(stmt, body)];
}

/**
 * A loop around several, of which some can go through squares, is a loop for each of them: so the parts of a tensor that are
 * put side by side. Its iterations are independent, so that one part may be done for all before the next.
 */
function apartInSquares(stmt: Loop, context: PassContext): Stmt[] | null {
  if (stmt.limit !== null || stmt.body.length < 2 || !stmt.body.every(({ kind }) => kind === 'loop')) return null;
  const alone = (part: Stmt): Loop => {
    const iter = makeIter(stmt.iter.name, stmt.iter.extent);
    return { ...stmt, iter, body: replaceIters([part], new Map([[stmt.iter, iterOf(iter)]])) };
  };
  const parts = stmt.body.map(part => ({ loop: alone(part), squares: inSquares(alone(part), context) }));
  return parts.some(({ squares }) => squares !== null) ? parts.flatMap(({ loop, squares }) => squares ?? [loop]) : null;
}

function inSquares(stmt: Stmt, context: PassContext): Stmt[] | null {
  const { iters: plain, body } = perfectNest([stmt], 'parallel');
  const [copy] = body;
  if (body.length !== 1 || copy.kind !== 'store' || !hasFourBytes(copy)) return null;
  const { iters, values } = collapse(plain, [copy.index, copy.value]);
  const [merged] = replaceIters([copy], values) as Store[];
  const written = iters.find(iter => iter.extent >= LANES && strideOf(merged.index, iter) === 1);
  if (written === undefined) return null;
  const read = iters.find(iter => iter !== written && iter.extent >= LANES && isReadAlong(merged, iter, written));
  if (read === undefined) return null;
  context.note(`squares of ${read.name} by ${written.name}`, 'read along the one, written along the other');
  const others = iters.filter(iter => iter !== read && iter !== written);
  return nest(others, 'parallel', squares(merged, read, written));
}

const hasFourBytes = ({ buffer, value }: Store): boolean =>
  (buffer.dtype === 'float32' || buffer.dtype === 'int32') && value.dtype === buffer.dtype;

/** Whether all elements lie next to each other along `read`, and some far apart along `written`. */
function isReadAlong({ index: to, value }: Store, read: Iter, written: Iter): boolean {
  const loads = loadsIn([value]).map(({ index: at }) => ({
    along: strideOf(at, read),
    across: strideOf(at, written),
  }));
  return (
    strideOf(to, read) !== 1 &&
    loads.every(({ along }) => along === 0 || along === 1) &&
    loads.some(({ along, across }) => along === 1 && across !== 0 && across !== 1)
  );
}

/** Whole squares, then one by one what is left along `written`, and along `read`. */
function squares(copy: Store, read: Iter, written: Iter): Stmt[] {
  const [down, across] = [read, written].map(({ extent }) => Math.floor(extent / LANES));
  const together = [LINE / LANES, 2, 1].find(count => down % count === 0)!;
  const block = makeIter(`${read.name}b`, down / together);
  const [readTile, writtenTile] = [makeIter(`${read.name}t`, together), makeIter(`${written.name}t`, across)];
  const first = (tile: Expr): Expr => mulIndex(tile, LANES);
  const readFirst = first(addIndex(mulIndex(iterOf(block), together), iterOf(readTile)));
  const writtenFirst = first(iterOf(writtenTile));
  const [inSquares, left] = [across * LANES, written.extent % LANES];
  return [
    ...nest([block, writtenTile, readTile], 'parallel', [
      square((i, j) => copyAt(copy, [read, addIndex(readFirst, i)], [written, addIndex(writtenFirst, j)])),
    ]),
    ...part(copy, [read, 0, read.extent], [written, inSquares, left]),
    ...part(copy, [read, down * LANES, read.extent % LANES], [written, 0, inSquares]),
  ];
}

/** Four vectors along `i`, then four along `j`. */
function square(at: (i: Expr, j: Expr) => Store): Stmt {
  const { buffer } = at(index(0), index(0));
  const elements: Buffer = { name: 'square', dtype: buffer.dtype, size: LANES * LANES, scope: 'register' };
  const [l, i] = [makeIter('l', LANES), makeIter('i', LANES)];
  const read = store(elements, addIndex(mulIndex(iterOf(i), LANES), iterOf(l)), at(iterOf(l), iterOf(i)).value);
  const written = load(elements, addIndex(mulIndex(iterOf(l), LANES), iterOf(i)));
  return alloc(elements, [
    loop(i, 'unroll', [loop(l, 'vector', [read])]),
    loop(i, 'unroll', [loop(l, 'vector', [store(buffer, at(iterOf(i), iterOf(l)).index, written)])]),
  ]);
}

/** The copy for so many values of each counter from a first one. */
function part(copy: Store, ...ranges: readonly (readonly [iter: Iter, first: number, extent: number])[]): Stmt[] {
  if (ranges.some(([, , extent]) => extent === 0)) return [];
  const own = ranges.map(([{ name }, , extent]) => makeIter(name, extent));
  const values = ranges.map(([iter, first], i) => [iter, addIndex(iterOf(own[i]), first)] as const);
  return nest(own, 'parallel', [copyAt(copy, ...values)]);
}

const copyAt = (copy: Store, ...values: readonly (readonly [Iter, Expr])[]): Store =>
  mapStmtExprs(copy, expr => substitute(expr, new Map(values))) as Store;
