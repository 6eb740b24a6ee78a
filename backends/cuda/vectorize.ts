/**
 * Sixteen bytes at a time: threads that touch neighbouring elements take four each, where memory allows it.
 *
 * Applied to loops over threads that only store or accumulate (pointwise kernels, rows, the loading of tiles) and to the
 * four neighbouring results of one thread of a contraction. Every access that moves with
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

type Write = Stmt & { kind: 'store' | 'reduce' };

/** What one statement does for four lanes: its reads as groups of four, and its value in terms of them. */
class FourLanes {
  private readonly fetches: Fetch[] = [];
  private readonly value: Expr;
  private readonly at: Expr;

  constructor(
    private readonly stmt: Write,
    values: ReadonlyMap<Iter, Expr>,
    private readonly lane: Iter,
    private readonly loose: ReadonlySet<Buffer>,
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
    if (!inMemory(source.buffer) || this.loose.has(source.buffer) || !isAligned(source.index, this.lane)) return null;
    let known = this.fetches.find(other => sameExpr(other.source, source) && sameGuard(other.guard, guard));
    if (known === undefined) {
      const registers: Buffer = { name: `${source.buffer.name}4`, dtype: source.dtype, size: four, scope: 'register' };
      this.fetches.push((known = { source, guard, registers }));
    }
    return load(known.registers, iterOf(this.lane));
  }

  /** Whether four lanes are worth it: nothing in memory is read one by one, and what is written lies together or on chip. */
  isVector(): boolean {
    let scattered = false;
    walkExpr(this.value, e => {
      scattered ||= e.kind === 'load' && inMemory(e.buffer) && moves(e.index, this.lane);
    });
    const onChip = this.stmt.buffer.scope === 'shared' || this.stmt.buffer.scope === 'register';
    return !scattered && (this.storesFour() || (onChip && this.fetches.length > 0));
  }

  storesFour(): boolean {
    return this.stmt.kind === 'store' && !this.loose.has(this.stmt.buffer) && isAligned(this.at, this.lane);
  }

  stmts(): Stmt[] {
    const body = this.storesFour()
      ? this.writeFour()
      : [loop(this.lane, 'unroll', [{ ...this.stmt, index: this.at, value: this.value }])];
    return this.fetches.reduceRight((rest, fetch) => [alloc(fetch.registers, this.read(fetch).concat(rest))], body);
  }

  /** The four values, straight from the registers that were read or computed into new ones, in one write. */
  private writeFour(): Stmt[] {
    const { lane, stmt, value } = this;
    const write = (from: Buffer): Stmt => loop(lane, 'vector', [store(stmt.buffer, this.at, load(from, iterOf(lane)))]);
    const copied = value.kind === 'load' && this.fetches.find(fetch => fetch.registers === value.buffer);
    if (copied) return [write(copied.registers)];
    const result: Buffer = { name: `${stmt.buffer.name}4`, dtype: stmt.buffer.dtype, size: four, scope: 'register' };
    return [alloc(result, [loop(lane, 'unroll', [store(result, iterOf(lane), value)]), write(result)])];
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

const sameGuard = (a: Fetch['guard'], b: Fetch['guard']): boolean =>
  a === null || b === null ? a === b : sameExpr(a.cond, b.cond) && sameExpr(a.otherwise, b.otherwise);

/** Finds the loops of a kernel that may take four at a time. `loose`: what need not start where four neighbours may. */
class Vectorizer {
  constructor(private readonly loose: ReadonlySet<Buffer>) {}

  /** The loop with a quarter of the iterations; null where an access is not four aligned neighbours. */
  vectorized({ iter, map, body }: LoopStmt): Stmt | null {
    const [quarter, lane] = [makeIter(iter.name, iter.extent / four), makeIter('v', four)];
    const values = new Map([[iter, addIndex(mulIndex(iterOf(quarter), four), iterOf(lane))]]);
    for (const { name, expr } of suggestedNames(iter)) suggestName(name, substitute(expr, values));
    const writes: FourLanes[] = [];
    for (const stmt of body) {
      if (stmt.kind !== 'store' && stmt.kind !== 'reduce') return null;
      writes.push(new FourLanes(stmt, values, lane, this.loose));
    }
    if (!writes.every(write => write.isVector())) return null;
    return loop(
      quarter,
      map,
      writes.flatMap(write => write.stmts()),
    );
  }

  /** A loop over four neighbours of one thread, as a schedule leaves it to write results: the same, in one write. */
  unrolled({ iter: lane, body }: LoopStmt): Stmt[] | null {
    const [only] = body;
    const [guard, stmts] =
      only?.kind === 'if' && only.otherwise.length === 0 ? [withoutLane(only.cond, lane), only.then] : [null, body];
    if ((body.length > 1 && guard !== null) || (guard !== null && moves(guard, lane))) return null;
    const writes: FourLanes[] = [];
    for (const stmt of stmts) {
      if (stmt.kind !== 'store') return null;
      writes.push(new FourLanes(stmt, new Map(), lane, this.loose));
    }
    if (!writes.every(write => write.storesFour() && write.isVector())) return null;
    return when(
      guard,
      writes.flatMap(write => write.stmts()),
    );
  }

  /** `threads`: how many share out the iterations of an inner loop; 0 outside thread loops. */
  visit(stmt: Stmt, threads: number): readonly Stmt[] {
    switch (stmt.kind) {
      case 'loop':
        return this.visitLoop(stmt, threads);
      case 'alloc': {
        const body = this.visitAll(stmt.body, threads);
        return [body === stmt.body ? stmt : { ...stmt, body }];
      }
      case 'if': {
        const [yes, no] = [this.visitAll(stmt.then, threads), this.visitAll(stmt.otherwise, threads)];
        return yes === stmt.then && no === stmt.otherwise ? [stmt] : when(stmt.cond, yes, no);
      }
      default:
        return [stmt];
    }
  }

  visitLoop(stmt: LoopStmt, threads: number): readonly Stmt[] {
    const { iter, map } = stmt;
    if (map === 'unroll' && iter.extent === four && threads > 0) {
      const written = this.unrolled(stmt);
      if (written !== null) return written;
    }
    const isThreads = map === 'thread.x';
    const enough = iter.extent >= (threads > 0 ? four * threads : shortestSpread);
    const changed = isThreads && enough && iter.extent % four === 0 ? this.vectorized(stmt) : null;
    if (changed !== null) return [changed];
    const body = this.visitAll(stmt.body, isThreads && threads === 0 ? iter.extent : threads);
    return [body === stmt.body ? stmt : { ...stmt, body }];
  }

  visitAll(stmts: readonly Stmt[], threads: number): readonly Stmt[] {
    const visited = stmts.flatMap(stmt => this.visit(stmt, threads));
    return visited.length === stmts.length && visited.every((stmt, i) => stmt === stmts[i]) ? stmts : visited;
  }
}

/**
 * thread.x i<1048576: store y[i] = f(load x[i])
 *   -->   thread.x i<262144: vector v: x4[v] = x[i*4+v]; unroll v: y4[v] = f(x4[v]); vector v: y[i*4+v] = y4[v]
 */
export const vectorizePass: Pass<Kernel> = {
  name: 'cuda-vectorize',
  doc: 'Threads take four neighbouring elements where all accesses are aligned.',
  run: kernel => {
    const loose = new Set(kernel.params.flatMap(({ buffer, loose }) => (loose ? [buffer] : [])));
    const body = new Vectorizer(loose).visitAll(kernel.body, 0);
    return body === kernel.body ? kernel : { ...kernel, body };
  },
};
