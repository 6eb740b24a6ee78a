/**
 * Sixteen bytes at a time: threads that touch neighbouring elements take four each, where memory allows it.
 *
 * Applied to loops over threads that only store: pointwise kernels and the loading of tiles. Every access that moves with
 * the loop must then be four aligned neighbours; where one is not, the loop stays as it is, since four elements per thread
 * would only spread its accesses apart.
 */
import {
  addIndex,
  affineOf,
  alloc,
  type Buffer,
  call,
  type Expr,
  type Iter,
  index,
  iterOf,
  itersOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapExpr,
  mulIndex,
  type Stmt,
  sameExpr,
  store,
  subIndex,
  substitute,
  walkExpr,
  when,
} from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
import type { LoopStmt } from './loops.js';
import { suggestedNames, suggestName } from './names.js';

const four = 4;
/** Spread loops need enough iterations to keep the device busy with a quarter of the threads. */
const shortestSpread = 4 * 32768;

/** Whether `at`, for a lane from 0 to 3, is four aligned neighbours. */
function isAligned(at: Expr, lane: Iter): boolean {
  const { offset, terms } = affineOf(at);
  const own = terms.find(({ expr }) => expr.kind === 'iter' && expr.iter === lane);
  if (own?.coefficient !== 1 || offset % four !== 0) return false;
  return terms.every(term => term === own || (term.coefficient % four === 0 && !itersOf(term.expr).has(lane)));
}

/** x·4 + lane < y·4 just if x·4 < y·4: bounds that are multiples of four hold for all lanes or for none. */
function withoutLane(cond: Expr, lane: Iter): Expr {
  const first = new Map([[lane, index(0)]]);
  return mapExpr(cond, e => {
    if (e.kind !== 'call' || (e.fn !== 'lt' && e.fn !== 'ge') || e.args[0].dtype !== 'index') return null;
    return isAligned(subIndex(e.args[0], e.args[1]), lane)
      ? call(e.fn, ...e.args.map(arg => substitute(arg, first)))
      : null;
  });
}

/** Four neighbours of a buffer in registers, read at once; `otherwise` where a condition does not hold. */
interface Fetch {
  readonly source: Expr & { kind: 'load' };
  readonly guard: { readonly cond: Expr; readonly otherwise: Expr } | null;
  readonly registers: Buffer;
}

const moves = (expr: Expr, lane: Iter): boolean => itersOf(expr).has(lane);
const inMemory = (buffer: Buffer): boolean => buffer.scope !== 'register';

/** A store of one lane: the reads it makes as groups of four, and its value in terms of them. */
class FourStores {
  private readonly fetches: Fetch[] = [];
  private readonly value: Expr;
  private readonly at: Expr;

  constructor(
    private readonly stmt: Stmt & { kind: 'store' },
    values: ReadonlyMap<Iter, Expr>,
    private readonly lane: Iter,
  ) {
    this.at = substitute(stmt.index, values);
    this.value = mapExpr(substitute(stmt.value, values), e => this.fetched(e));
  }

  private fetched(expr: Expr): Expr | null {
    if (expr.kind === 'load') return this.fetch(expr, null);
    if (expr.kind !== 'select' || expr.yes.kind !== 'load' || expr.no.kind !== 'const') return null;
    const cond = withoutLane(expr.cond, this.lane);
    return moves(cond, this.lane) ? null : this.fetch(expr.yes, { cond, otherwise: expr.no });
  }

  private fetch(source: Expr & { kind: 'load' }, guard: Fetch['guard']): Expr | null {
    if (!inMemory(source.buffer) || !isAligned(source.index, this.lane)) return null;
    const same = (other: Fetch): boolean =>
      sameExpr(other.source, source) &&
      (guard === null ? other.guard === null : other.guard !== null && sameExpr(other.guard.cond, guard.cond));
    let known = this.fetches.find(same);
    if (known === undefined) {
      const registers: Buffer = { name: `${source.buffer.name}4`, dtype: source.dtype, size: four, scope: 'register' };
      this.fetches.push((known = { source, guard, registers }));
    }
    return load(known.registers, iterOf(this.lane));
  }

  /** Whether all that moves with the lane is done four at a time, be it on one side where the other is shared memory. */
  isVector(): boolean {
    let scattered = false;
    walkExpr(this.value, e => {
      scattered ||= e.kind === 'load' && inMemory(e.buffer) && moves(e.index, this.lane);
    });
    return !scattered && (this.storesFour() || (this.stmt.buffer.scope === 'shared' && this.fetches.length > 0));
  }

  private storesFour(): boolean {
    return isAligned(this.at, this.lane);
  }

  stmts(): Stmt[] {
    const { lane, stmt } = this;
    const result: Buffer = { name: `${stmt.buffer.name}4`, dtype: stmt.buffer.dtype, size: four, scope: 'register' };
    const isCopy =
      this.value.kind === 'load' &&
      this.fetches.some(fetch => fetch.registers === (this.value as Expr & { kind: 'load' }).buffer);
    const stored = this.storesFour() && isCopy ? (this.value as Expr & { kind: 'load' }).buffer : result;
    const writeOut = loop(lane, 'vector', [store(stmt.buffer, this.at, load(stored, iterOf(lane)))]);
    const compute = loop(lane, 'unroll', [store(result, iterOf(lane), this.value)]);
    const body = !this.storesFour()
      ? [loop(lane, 'unroll', [store(stmt.buffer, this.at, this.value)])]
      : isCopy
        ? [writeOut]
        : [alloc(result, [compute, writeOut])];
    return this.fetches.reduceRight((rest, fetch) => [alloc(fetch.registers, this.read(fetch).concat(rest))], body);
  }

  private read({ source, guard, registers }: Fetch): Stmt[] {
    const copy = loop(this.lane, 'vector', [store(registers, iterOf(this.lane), source)]);
    if (guard === null) return [copy];
    return when(
      guard.cond,
      [copy],
      [loop(this.lane, 'unroll', [store(registers, iterOf(this.lane), guard.otherwise)])],
    );
  }
}

/** The loop with a quarter of the iterations; null where an access is not four aligned neighbours. */
function vectorized({ iter, map, body }: LoopStmt): Stmt | null {
  const [quarter, lane] = [makeIter(iter.name, iter.extent / four), makeIter('lane', four)];
  const values = new Map([[iter, addIndex(mulIndex(iterOf(quarter), four), iterOf(lane))]]);
  for (const { name, expr } of suggestedNames(iter)) suggestName(name, substitute(expr, values));
  const stores: FourStores[] = [];
  for (const stmt of body) {
    if (stmt.kind !== 'store') return null;
    stores.push(new FourStores(stmt, values, lane));
  }
  if (!stores.every(four => four.isVector())) return null;
  return loop(
    quarter,
    map,
    stores.flatMap(four => four.stmts()),
  );
}

/** `threads`: how many share out the iterations of an inner loop; 0 outside thread loops. */
function visit(stmt: Stmt, threads: number): Stmt {
  switch (stmt.kind) {
    case 'loop': {
      const isThreads = stmt.map === 'thread.x';
      const enough = threads > 0 ? stmt.iter.extent % (four * threads) === 0 : stmt.iter.extent >= shortestSpread;
      const changed = isThreads && enough && stmt.iter.extent % four === 0 ? vectorized(stmt) : null;
      return (
        changed ?? {
          ...stmt,
          body: stmt.body.map(s => visit(s, isThreads && threads === 0 ? stmt.iter.extent : threads)),
        }
      );
    }
    case 'alloc':
      return { ...stmt, body: stmt.body.map(s => visit(s, threads)) };
    case 'if':
      return when(
        stmt.cond,
        stmt.then.map(s => visit(s, threads)),
        stmt.otherwise.map(s => visit(s, threads)),
      )[0];
    default:
      return stmt;
  }
}

/**
 * thread.x i<1048576: store y[i] = f(load x[i])
 *   -->   thread.x i<262144: vector lane: x4[lane] = x[i*4+lane]; unroll lane: y4[lane] = f(x4[lane]); vector lane: y[i*4+lane] = y4[lane]
 */
export const vectorizePass: Pass<Kernel> = {
  name: 'cuda-vectorize',
  doc: 'Threads take four neighbouring elements where all accesses are aligned.',
  run: kernel => ({ ...kernel, body: kernel.body.map(stmt => visit(stmt, 0)) }),
};
