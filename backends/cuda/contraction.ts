/**
 * The one tiled contraction: matmul, convolution and their gradients, with whatever fusion has put before and after.
 *
 * Recognised by its loops alone: a sum of products `A · B` over serial counters. Counters that only A depends on are the rows
 * M, those of B alone the columns N, those of both the batch, and the serial ones K. Operands may be any expressions: a guarded
 * load makes it an implicit-GEMM convolution, a cast or a pointwise prologue is evaluated as the tile is loaded.
 *
 * A block computes a tile of M × N, walking K in steps. Each step evaluates a piece of A and of B into shared memory, from
 * which every thread feeds a small tile of sums in registers.
 */

import { bytesOf } from '../../compiler/ir/dtype.js';
import {
  addIndex,
  alloc,
  type Buffer,
  both,
  call,
  constant,
  type Expr,
  floorDivIndex,
  type Iter,
  index,
  iterOf,
  itersOf,
  load,
  loop,
  makeIter,
  mapExpr,
  mapStmtExprs,
  modIndex,
  mulIndex,
  reduce,
  type Stmt,
  select,
  store,
  substitute,
  walkExpr,
  walkStmts,
  when,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import { LONGEST } from '../../compiler/lowering/long-sums.js';
import { extentOf, strideOf, unflatten, type Values } from './loops.js';
import { suggestName } from './names.js';
import { nestPass } from './nest-pass.js';

export interface Contraction {
  readonly batch: readonly Iter[];
  readonly m: readonly Iter[];
  readonly n: readonly Iter[];
  readonly k: readonly Iter[];
  readonly a: Expr;
  readonly b: Expr;
  readonly acc: Buffer;
  readonly start: Expr;
  readonly epilogue: readonly Stmt[];
}

/** Sums and columns below which tiles are mostly empty. */
const smallestSide = 4;
const smallestDepth = 8;

// ── recognition ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A register accumulator over serial loops: `alloc acc { acc = start; serial k: acc fn= value; rest }`. */
export interface Accumulation {
  readonly acc: Buffer;
  readonly start: Expr;
  readonly k: readonly Iter[];
  readonly reduce: Stmt & { kind: 'reduce' };
  readonly rest: readonly Stmt[];
}

export function accumulationOf(stmts: readonly Stmt[]): Accumulation | null {
  const [only] = stmts;
  if (stmts.length !== 1 || only.kind !== 'alloc' || only.buffer.scope !== 'register' || only.buffer.size !== 1)
    return null;
  const [first, loops, ...rest] = only.body;
  if (first?.kind !== 'store' || first.buffer !== only.buffer || loops?.kind !== 'loop') return null;
  const { iters, body } = perfectNest([loops], 'serial');
  const [sum] = body;
  if (body.length !== 1 || sum.kind !== 'reduce' || sum.buffer !== only.buffer) return null;
  if (loadsFrom(sum.value, only.buffer)) return null;
  return { acc: only.buffer, start: first.value, k: iters, reduce: sum, rest };
}

function loadsFrom(expr: Expr, buffer: Buffer): boolean {
  let found = false;
  walkExpr(expr, e => {
    found ||= e.kind === 'load' && e.buffer === buffer;
  });
  return found;
}

/** Whether statements only store: no loops and no memory of their own. */
function isEpilogue(stmts: readonly Stmt[]): boolean {
  let simple = true;
  walkStmts(stmts, stmt => {
    simple &&= stmt.kind === 'if' || (stmt.kind === 'store' && stmt.buffer.scope !== 'register');
  });
  return simple;
}

export function contractionOf(nest: Stmt): Contraction | null {
  const { iters, body } = perfectNest([nest], 'parallel');
  const sum = accumulationOf(body);
  if (sum === null || sum.reduce.fn !== 'add' || sum.reduce.value.kind !== 'call' || sum.reduce.value.fn !== 'mul')
    return null;
  if (!isEpilogue(sum.rest) || itersOf(sum.start).size > 0) return null;
  const [a, b] = sum.reduce.value.args;
  const [ofA, ofB] = [itersOf(a), itersOf(b)];
  const batch = iters.filter(iter => ofA.has(iter) === ofB.has(iter));
  const [m, n] = [ofA, ofB].map((own, i) => iters.filter(iter => own.has(iter) && ![ofB, ofA][i].has(iter)));
  if (extentOf(m) < smallestSide || extentOf(n) < smallestSide || extentOf(sum.k) < smallestDepth) return null;
  const shared = { batch, k: sum.k, acc: sum.acc, start: sum.start, epilogue: sum.rest };
  return runsAlong(sum.rest, m) ? { ...shared, m: n, n: m, a: b, b: a } : { ...shared, m, n, a, b };
}

/** Whether the outputs are contiguous along one of these counters. */
function runsAlong(epilogue: readonly Stmt[], iters: readonly Iter[]): boolean {
  let found = false;
  walkStmts(epilogue, stmt => {
    if (stmt.kind === 'store') found ||= iters.some(iter => strideOf(stmt.index, iter) === 1);
  });
  return found;
}

// ── tiles ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A block's tile of the result, its step along K, and the part of one thread. */
interface Tile {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly threadM: number;
  readonly threadN: number;
}
const tiles: readonly Tile[] = [
  { m: 128, n: 128, k: 8, threadM: 8, threadN: 8 },
  { m: 128, n: 64, k: 16, threadM: 8, threadN: 4 },
  { m: 64, n: 128, k: 16, threadM: 4, threadN: 8 },
  { m: 64, n: 64, k: 16, threadM: 4, threadN: 4 },
  { m: 16, n: 128, k: 16, threadM: 2, threadN: 4 },
  { m: 128, n: 16, k: 16, threadM: 4, threadN: 2 },
  { m: 32, n: 32, k: 32, threadM: 2, threadN: 2 },
  { m: 16, n: 16, k: 32, threadM: 1, threadN: 1 },
];
const threadsOf = (tile: Tile): number => (tile.m / tile.threadM) * (tile.n / tile.threadN);

/** Multiprocessors of the GPUs this is tuned for. */
export const multiprocessors = 132;
/** Hardware limits of the grid's second and third direction. */
const largestGridSide = 65535;

const blocksOf = (c: Contraction, tile: Tile): number =>
  Math.ceil(extentOf(c.m) / tile.m) * Math.ceil(extentOf(c.n) / tile.n) * extentOf(c.batch);

/**
 * The tile of least estimated time: rounds of blocks over the multiprocessors, times work per block, where each product
 * costs one and each value read from shared memory costs another. Values of 64 bits and long sums, which are kept twice (a
 * block of terms and those before), need more registers.
 */
export function chooseTile(c: Contraction): { tile: Tile; blocks: number } {
  const wide = Math.max(bytesOf(c.acc.dtype), 4) > 4;
  const cost = (tile: Tile): number => {
    const perProduct = 1 + (tile.threadM + tile.threadN) / (tile.threadM * tile.threadN);
    return Math.ceil(blocksOf(c, tile) / multiprocessors) * tile.m * tile.n * perProduct;
  };
  const most = wide ? 16 : extentOf(c.k) > LONGEST ? 32 : 64;
  const legal = tiles.filter(tile => tile.threadM * tile.threadN <= most);
  const tile = legal.reduce((best, next) => (cost(next) < cost(best) ? next : best));
  return { tile, blocks: blocksOf(c, tile) };
}

// ── schedule ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One operand: what it is at a row (or column) and a depth, and its tile in shared memory, `at[k][row]`. */
interface Operand {
  readonly value: Expr;
  readonly iters: readonly Iter[];
  /** First row of this block. */
  readonly first: Expr;
  readonly rows: number;
  readonly shared: Buffer;
  readonly pitch: number;
  /** Consecutive threads load along K instead of along rows. */
  readonly alongK: boolean;
}

/** Whether memory is walked along K faster than along rows: by the longest run of neighbours among the operand's loads. */
function walksAlongK(value: Expr, rows: readonly Iter[], k: readonly Iter[]): boolean {
  const run = (iters: readonly Iter[]): number => {
    let longest = 0;
    walkExpr(value, e => {
      const last = iters.at(-1)!;
      if (e.kind === 'load' && strideOf(e.index, last) === 1) longest = Math.max(longest, last.extent);
    });
    return longest;
  };
  return run(k) > run(rows);
}

/**
 * Columns added to a tile that is written along K, so that neighbouring threads write to different banks: one, or four where
 * threads read four values at once, which must stay aligned.
 */
const padding = (perThread: number): number => (perThread < 4 ? 1 : 4);

function operandOf(name: string, c: Contraction, side: 'm' | 'n', tile: Tile, block: Iter): Operand {
  const value = side === 'm' ? c.a : c.b;
  const rows = tile[side];
  const alongK = walksAlongK(value, c[side], c.k);
  const pitch = rows + (alongK ? padding(side === 'm' ? tile.threadM : tile.threadN) : 0);
  const shared: Buffer = { name, dtype: c.acc.dtype, size: tile.k * pitch, scope: 'shared' };
  return { value, iters: c[side], first: mulIndex(iterOf(block), rows), rows, shared, pitch, alongK };
}

/** All threads evaluate the operand over one tile into shared memory; zero outside the problem. */
function loadTile(operand: Operand, c: Contraction, tile: Tile, step: Expr, batch: Values): Stmt {
  const element = makeIter('e', operand.rows * tile.k);
  const e = iterOf(element);
  const [depth, row] = operand.alongK
    ? [modIndex(e, tile.k), floorDivIndex(e, tile.k)]
    : [floorDivIndex(e, operand.rows), modIndex(e, operand.rows)];
  const place = addIndex(operand.first, row);
  const k = addIndex(mulIndex(step, tile.k), depth);
  suggestName('row', row);
  suggestName('depth', depth);
  const values = new Map([...batch, ...unflatten(operand.iters, place), ...unflatten(c.k, k)]);
  const within = both(call('lt', place, index(extentOf(operand.iters))), call('lt', k, index(extentOf(c.k))));
  const value = substitute(operand.value, values);
  const guarded = within === null ? value : select(within, value, constant(c.acc.dtype, 0));
  return loop(element, 'thread.x', [store(operand.shared, addIndex(mulIndex(depth, operand.pitch), row), guarded)]);
}

/** The rows of a thread's part of a tile: groups of four neighbours, the groups spread over the tile. */
class Part {
  private readonly group: Iter;
  private readonly item: Iter;
  readonly count: number;
  /** Which of the thread's values, and which row of the tile. */
  readonly own: Expr;
  readonly row: Expr;

  constructor(name: string, rows: number, count: number, thread: Expr) {
    const items = Math.min(count, 4);
    this.count = count;
    this.group = makeIter(`${name}4`, count / items);
    this.item = makeIter(name, items);
    this.own = addIndex(mulIndex(iterOf(this.group), items), iterOf(this.item));
    const spread = (rows / count) * items;
    this.row = addIndex(addIndex(mulIndex(iterOf(this.group), spread), mulIndex(thread, items)), iterOf(this.item));
  }

  /** The part's values out of shared memory, four at a time where there are four. */
  fetch(to: Buffer, from: Buffer, offset: Expr): Stmt {
    const copy = [store(to, this.own, load(from, addIndex(offset, this.row)))];
    return loop(this.group, 'unroll', [loop(this.item, this.item.extent === 4 ? 'vector' : 'unroll', copy)]);
  }

  each(body: readonly Stmt[]): Stmt {
    return loop(this.group, 'unroll', [loop(this.item, 'unroll', body)]);
  }
}

function tiled(c: Contraction, tile: Tile): Stmt {
  const { dtype } = c.acc;
  const [blockM, blockN] = [
    makeIter('blockM', Math.ceil(extentOf(c.m) / tile.m)),
    makeIter('blockN', Math.ceil(extentOf(c.n) / tile.n)),
  ];
  const [blockZ, thread, step] = [
    makeIter('z', extentOf(c.batch)),
    makeIter('t', threadsOf(tile)),
    makeIter('step', Math.ceil(extentOf(c.k) / tile.k)),
  ];
  const batch = unflatten(c.batch, iterOf(blockZ));
  const across = tile.n / tile.threadN;
  const [ty, tx] = [floorDivIndex(iterOf(thread), across), modIndex(iterOf(thread), across)];
  suggestName('ty', ty);
  suggestName('tx', tx);

  const a = operandOf('tileA', c, 'm', tile, blockM);
  const b = operandOf('tileB', c, 'n', tile, blockN);
  const register = (name: string, size: number): Buffer => ({ name, dtype, size, scope: 'register' });
  const sums = register('sums', tile.threadM * tile.threadN);
  const [fragmentA, fragmentB] = [register('partA', tile.threadM), register('partB', tile.threadN)];
  const part = (): [Part, Part] => [new Part('i', tile.m, tile.threadM, ty), new Part('j', tile.n, tile.threadN, tx)];
  const sumOf = (i: Part, j: Part): Expr => addIndex(mulIndex(i.own, tile.threadN), j.own);

  const clear = ((all: Iter): Stmt => loop(all, 'unroll', [store(sums, iterOf(all), constant(dtype, 0))]))(
    makeIter('i', sums.size),
  );
  const depth = makeIter('k', tile.k);
  const [i, j] = part();
  const multiply = loop(depth, 'unroll', [
    alloc(fragmentA, [
      i.fetch(fragmentA, a.shared, mulIndex(iterOf(depth), a.pitch)),
      alloc(fragmentB, [
        j.fetch(fragmentB, b.shared, mulIndex(iterOf(depth), b.pitch)),
        i.each([
          j.each([reduce(sums, sumOf(i, j), 'add', call('mul', load(fragmentA, i.own), load(fragmentB, j.own)))]),
        ]),
      ]),
    ]),
  ]);
  const walk = loop(step, 'serial', [
    loadTile(a, c, tile, iterOf(step), batch),
    loadTile(b, c, tile, iterOf(step), batch),
    { kind: 'barrier' },
    multiply,
    { kind: 'barrier' },
  ]);
  const body = alloc(a.shared, [
    alloc(b.shared, [alloc(sums, [clear, walk, writeBack(c, a, b, part(), batch, sums, sumOf)])]),
  ]);
  return loop(blockZ, 'block.z', [
    loop(blockM, 'block.y', [loop(blockN, 'block.x', [loop(thread, 'thread.x', [body])])]),
  ]);
}

/** Every thread runs the epilogue on its sums that lie within the problem. */
function writeBack(
  c: Contraction,
  a: Operand,
  b: Operand,
  [i, j]: [Part, Part],
  batch: Values,
  sums: Buffer,
  sumOf: (i: Part, j: Part) => Expr,
): Stmt {
  const [m, n] = [addIndex(a.first, i.row), addIndex(b.first, j.row)];
  suggestName('m', m);
  suggestName('n', n);
  const values = new Map([...batch, ...unflatten(c.m, m), ...unflatten(c.n, n)]);
  const sum = load(sums, sumOf(i, j));
  const isZero = c.start.kind === 'const' && Number(c.start.value) === 0;
  const total = isZero ? sum : call('add', c.start, sum);
  const rewrite = (expr: Expr): Expr =>
    mapExpr(expr, e =>
      e.kind === 'load' && e.buffer === c.acc ? total : e.kind === 'iter' ? (values.get(e.iter) ?? null) : null,
    );
  const within = both(call('lt', m, index(extentOf(c.m))), call('lt', n, index(extentOf(c.n))));
  return i.each([
    j.each(
      when(
        within,
        c.epilogue.map(stmt => mapStmtExprs(stmt, rewrite)),
      ),
    ),
  ]);
}

/**
 * parallel m, n: acc = 0; serial k: acc += A(m, k) * B(k, n); store
 *   -->   block.y, block.x, thread.x: serial step: tiles of A and B; barrier; sums += a * b; barrier; store
 */
export const contractionPass = nestPass(
  'cuda-contraction',
  'Sums of products become tiles through shared memory.',
  (nest, note) => {
    const contraction = contractionOf(nest);
    if (contraction === null) return null;
    const { tile, blocks } = chooseTile(contraction);
    const sides = [extentOf(contraction.batch), Math.ceil(extentOf(contraction.m) / tile.m)];
    if (sides.some(side => side > largestGridSide)) return null;
    const size = [contraction.batch, contraction.m, contraction.n, contraction.k].map(extentOf).join(' x ');
    note(
      `tile ${tile.m} x ${tile.n} x ${tile.k}, ${tile.threadM} x ${tile.threadN} per thread`,
      `batch x M x N x K is ${size}: ${blocks} blocks`,
    );
    return [tiled(contraction, tile)];
  },
);
