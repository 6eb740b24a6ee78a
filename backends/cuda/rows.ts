/**
 * Reductions and row kernels (softmax, layer norm, cross-entropy): a warp for each row, a block where rows are long.
 *
 * All threads of a row run its statements together. Accumulating loops and independent inner loops are shared out among
 * them in strides, so that neighbours read neighbouring elements; after an accumulating loop the partial results are
 * combined and every thread holds the total. What is computed once for the row, one thread stores.
 */
import { invariant } from '../../compiler/errors.js';
import {
  type Buffer,
  call,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  type Stmt,
  select,
  store,
  walkExpr,
  walkStmts,
  when,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { ReduceFn } from '../../compiler/ir/scalar.js';
import { topExpressions } from './expressions.js';
import { warpSize } from './helpers.js';
import { extentOf, flatten, type LoopStmt, strideOf, substituteAll } from './loops.js';
import { nestPass } from './nest-pass.js';
import { identityOf } from './scalar.js';
import { buffersOf, writtenBy } from './stages.js';

/** Rows with shorter loops are better off with a thread each. */
const shortestRow = 32;
/** Longer rows get a block of their own. */
const longestWarpRow = 1024;
const blockThreads = 256;
/** From so many rows on, a thread for each keeps the device busy. */
const manyRows = 4096;

/** The threads that work on a row together. */
interface Team {
  readonly lane: Iter;
  readonly width: number;
  /** Whether the team is a whole block, so that its threads may meet at a barrier. */
  readonly isBlock: boolean;
}

/** A row kernel that cannot be shared out. */
class NotShared extends Error {}

// ── sharing out ────────────────────────────────────────────────────────────────────────────────────────────────────────

function share(stmts: readonly Stmt[], team: Team): Stmt[] {
  const out: Stmt[] = [];
  let unordered: Stmt[] = [];
  for (const unit of units(stmts)) {
    if (conflicts(unordered, unit.stmts)) {
      if (!team.isBlock) throw new NotShared();
      out.push({ kind: 'barrier' });
      unordered = [];
    }
    unordered.push(...unit.stmts);
    out.push(...(unit.byOne ? when(isFirst(team), unit.stmts) : shareOne(unit.stmts[0], unit.before, team)));
  }
  return out;
}

/** A statement that the team runs together, or neighbouring stores to memory that one thread makes in order. */
interface Unit {
  readonly stmts: Stmt[];
  readonly byOne: boolean;
  readonly before: Stmt | undefined;
}

function units(stmts: readonly Stmt[]): Unit[] {
  const found: Unit[] = [];
  for (const [i, stmt] of stmts.entries()) {
    const byOne = (stmt.kind === 'store' || stmt.kind === 'reduce') && stmt.buffer.scope !== 'register';
    const last = found.at(-1);
    if (byOne && last?.byOne) last.stmts.push(stmt);
    else found.push({ stmts: [stmt], byOne, before: stmts[i - 1] });
  }
  return found;
}

/** Whether `next` touches memory outside registers that earlier statements write, or writes what they read. */
function conflicts(earlier: readonly Stmt[], next: readonly Stmt[]): boolean {
  const inMemory = (buffers: Iterable<Buffer>): Buffer[] => [...buffers].filter(buffer => buffer.scope !== 'register');
  const [written, touched] = [writtenBy(earlier), buffersOf(earlier)];
  return (
    inMemory(buffersOf(next)).some(buffer => written.has(buffer)) ||
    inMemory(writtenBy(next)).some(buffer => touched.has(buffer))
  );
}

function shareOne(stmt: Stmt, before: Stmt | undefined, team: Team): Stmt[] {
  switch (stmt.kind) {
    case 'store':
    case 'reduce':
      return [stmt];
    case 'if':
      return when(stmt.cond, share(stmt.then, team), share(stmt.otherwise, team));
    case 'alloc':
      if (stmt.buffer.scope !== 'register') throw new NotShared();
      return [{ ...stmt, body: share(stmt.body, team) }];
    case 'loop':
      return shareLoop(stmt, before, team);
    case 'barrier':
    case 'allreduce':
      throw new NotShared();
    default:
      return stmt satisfies never;
  }
}

const isFirst = (team: Team): Expr => call('eq', iterOf(team.lane), index(0));

function shareLoop(stmt: LoopStmt, before: Stmt | undefined, team: Team): Stmt[] {
  if (stmt.map === 'parallel') {
    const { iters, body } = perfectNest([stmt], 'parallel');
    const { flat, values } = flatten(iters);
    return [loop(flat, 'thread.x', substituteAll(body, values))];
  }
  const targets = accumulators(stmt);
  if (targets === null) return [{ ...stmt, body: shareSteps(stmt.body, team) }];
  const { iters, body } = perfectNest([stmt], 'serial');
  const { flat, values } = flatten(iters, 'k');
  return [
    ...[...targets].flatMap(([acc, fn]) => partialStart(acc, fn, before, team)),
    loop(flat, 'thread.x', substituteAll(body, values)),
    ...[...targets].map(
      ([buffer, fn]): Stmt => ({ kind: 'allreduce', buffer, index: index(0), fn, width: team.width }),
    ),
  ];
}

/** The body of a serial loop whose iterations the team runs one after another, and meets between where they share memory. */
function shareSteps(body: readonly Stmt[], team: Team): Stmt[] {
  const steps = share(body, team);
  if (!conflicts(body, body)) return steps;
  if (!team.isBlock) throw new NotShared();
  return [...steps, { kind: 'barrier' }];
}

/** The registers that a serial loop only accumulates into, each by one function; null where it does anything else. */
function accumulators(stmt: LoopStmt): Map<Buffer, ReduceFn> | null {
  if (perfectNest([stmt], 'serial').iters.length === 0) return null;
  const targets = new Map<Buffer, ReduceFn>();
  const own = new Set<Buffer>();
  let legal = true;
  walkStmts([stmt], s => {
    if (s.kind === 'alloc') own.add(s.buffer);
    else if (s.kind === 'store') legal &&= own.has(s.buffer);
    else if (s.kind === 'reduce' && !own.has(s.buffer)) {
      legal &&= s.buffer.scope === 'register' && s.buffer.size === 1 && (targets.get(s.buffer) ?? s.fn) === s.fn;
      targets.set(s.buffer, s.fn);
    }
  });
  for (const expr of topExpressions([stmt])) {
    walkExpr(expr, e => {
      legal &&= e.kind !== 'load' || !targets.has(e.buffer);
    });
  }
  return legal && targets.size > 0 ? targets : null;
}

/** All threads but the first start from the neutral value, unless `before` has just stored it. */
function partialStart(acc: Buffer, fn: ReduceFn, before: Stmt | undefined, team: Team): Stmt[] {
  const neutral = constant(acc.dtype, identityOf(fn, acc.dtype));
  invariant(neutral.kind === 'const', 'a neutral value is a constant');
  const isNeutral =
    before?.kind === 'store' &&
    before.buffer === acc &&
    before.value.kind === 'const' &&
    Object.is(before.value.value, neutral.value);
  return isNeutral ? [] : [store(acc, index(0), select(isFirst(team), load(acc, index(0)), neutral))];
}

// ── choice ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The loops that would be shared out, flattened. */
function sharedLoops(stmts: readonly Stmt[]): Iter[][] {
  return stmts.flatMap(stmt => {
    if (stmt.kind === 'alloc') return sharedLoops(stmt.body);
    if (stmt.kind === 'if') return [...sharedLoops(stmt.then), ...sharedLoops(stmt.otherwise)];
    if (stmt.kind !== 'loop') return [];
    if (stmt.map === 'parallel') return [perfectNest([stmt], 'parallel').iters];
    return accumulators(stmt) ? [perfectNest([stmt], 'serial').iters] : sharedLoops(stmt.body);
  });
}

/** Whether loads run along these counters' innermost rather than along the rows'. */
function runsAlong(stmts: readonly Stmt[], inner: Iter | undefined, rows: Iter | undefined): boolean {
  let [alongInner, alongRows] = [0, 0];
  for (const expr of topExpressions(stmts)) {
    walkExpr(expr, e => {
      if (e.kind !== 'load' || e.buffer.scope === 'register') return;
      if (inner && strideOf(e.index, inner) === 1) alongInner++;
      else if (rows && strideOf(e.index, rows) === 1) alongRows++;
    });
  }
  return alongInner >= alongRows;
}

function mapRows(iters: readonly Iter[], body: readonly Stmt[], isBlock: boolean): Stmt {
  const width = isBlock ? blockThreads : warpSize;
  const { flat, values } = flatten(iters, 'row');
  const lane = makeIter('lane', width);
  const shared = share(substituteAll(body, values), { lane, width, isBlock });
  return loop(flat, isBlock ? 'block.x' : 'thread.y', [loop(lane, 'thread.x', shared)]);
}

/**
 * parallel row: m = -inf; serial c: m = max(m, x[row, c]); …
 *   -->   thread.y row: thread.x lane<32: m = -inf; thread.x c: m = max(m, x[row, c]); allreduce m; …
 */
export const rowPass = nestPass(
  'cuda-rows',
  'The threads of a warp or a block work on a row together.',
  (nest, note) => {
    const { iters, body } = perfectNest([nest], 'parallel');
    const inner = sharedLoops(body);
    const length = Math.max(0, ...inner.map(extentOf));
    const rows = extentOf(iters);
    if (length < shortestRow) return null;
    const longest = inner.find(loops => extentOf(loops) === length)!;
    if (rows >= manyRows && !runsAlong(body, longest.at(-1), iters.at(-1))) return null;
    for (const isBlock of length > longestWarpRow ? [true] : [false, true]) {
      try {
        const mapped = mapRows(iters, body, isBlock);
        note(isBlock ? 'a block for each row' : 'a warp for each row', `${rows} rows of ${length}`);
        return [mapped];
      } catch (error) {
        if (!(error instanceof NotShared)) throw error;
      }
    }
    return null;
  },
);
