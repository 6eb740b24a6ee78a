/**
 * Values that several loops over one row compute again are computed once and kept, in a `local` buffer of the row.
 *
 *   parallel o:                                          parallel o: alloc local kept[N]:
 *     alloc acc1: … serial r: reduce acc1 max= x             alloc acc1: … serial r: reduce acc1 max= x
 *       alloc acc2: …                                          alloc acc2: …
 *                                                      ->        parallel s: store kept[s] = exp(x[s] - acc1)
 *         serial r: reduce acc2 add= exp(x[r] - acc1)            serial r: reduce acc2 add= load kept[r]
 *         parallel s: store out[s] = exp(x[s] - acc1) / acc2     parallel s: store out[s] = load kept[s] / acc2
 *
 * Lowering inlines, so a row kernel recomputes in each of its loops all that it has inlined: cheap for sums and products,
 * not for functions that are many instructions long. Kept is the largest expression holding such a function that two
 * loops of equal extents share, up to the names of their counters, if nothing it reads is written in between.
 * The loop that fills the row is one of its own: it vectorises as a pointwise loop, the other as a plain reduction.
 *
 * Expressions are compared by numbers (value numbering): equal numbers mean equal values.
 */
import {
  alloc,
  type Buffer,
  childrenOf,
  type Expr,
  expressionsOf,
  type Iter,
  iterOf,
  type Kernel,
  load,
  makeIter,
  mapExpr,
  mapStmtExprs,
  nest,
  type Stmt,
  sameExpr,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import { reachesEachOnce, rowMajorOf } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { type Load, writesOf } from './accesses.js';
import { isInBounds } from './frame.js';
import { isLongFunction } from './scalar.js';

export const keepRows: Pass<Kernel> = {
  name: 'keep-rows',
  doc: 'What several loops over a row would compute again is computed once and kept in a buffer of the row.',
  run: (kernel, context) => withBody(kernel, iteration(kernel.body, context)),
};

/** Longer rows leave the cache, and computing again costs no more than reading. */
const MOST_ELEMENTS = 1 << 16;

/** A nest of loops over a row, which does nothing but store and reduce. */
interface Row {
  readonly iters: readonly Iter[];
  readonly body: readonly Stmt[];
  readonly stmt: Stmt;
}

function rowOf(stmt: Stmt): Row | null {
  const iters: Iter[] = [];
  let body: readonly Stmt[] = [stmt];
  while (body.length === 1 && isPlainLoop(body[0])) {
    iters.push(body[0].iter);
    body = body[0].body;
  }
  const isRow = iters.length > 0 && body.every(inner => inner.kind === 'store' || inner.kind === 'reduce');
  return isRow && sizeOf(iters) <= MOST_ELEMENTS ? { iters, body, stmt } : null;
}

const isPlainLoop = (stmt: Stmt): stmt is Extract<Stmt, { kind: 'loop' }> =>
  stmt.kind === 'loop' && stmt.limit === null && (stmt.map === 'serial' || stmt.map === 'parallel');
const sizeOf = (iters: readonly Iter[]): number => iters.reduce((size, { extent }) => size * extent, 1);

/** The statements of one iteration of the loops around them. */
function iteration(stmts: readonly Stmt[], context: PassContext): Stmt[] {
  const sharing = new Sharing();
  sharing.number(stmts);
  sharing.demand();
  const buffers = sharing.buffers();
  for (const { name, size } of buffers) context.note(`keeps ${name}[${size}]`, 'several loops would compute it again');
  const body = stmts.flatMap(stmt => rewritten(stmt, sharing, context));
  return buffers.reduce<Stmt[]>((inner, buffer) => [alloc(buffer, inner)], body);
}

function rewritten(stmt: Stmt, sharing: Sharing, context: PassContext): Stmt[] {
  const row = sharing.rows.get(stmt);
  if (row !== undefined) return sharing.rewrite(row);
  if (stmt.kind === 'alloc')
    return [
      withBody(
        stmt,
        stmt.body.flatMap(inner => rewritten(inner, sharing, context)),
      ),
    ];
  return stmt.kind === 'loop' ? [withBody(stmt, iteration(stmt.body, context))] : [stmt];
}

/** The same object where its body stayed the same. */
const withBody = <T extends { readonly body: readonly Stmt[] }>(owner: T, body: readonly Stmt[]): T =>
  body.length === owner.body.length && body.every((stmt, i) => stmt === owner.body[i]) ? owner : { ...owner, body };

// ── what the rows of one iteration share ────────────────────────────────────────────────────────────────────────────

interface NumberedRow extends Row {
  /** Its place among the rows of the iteration. */
  readonly order: number;
  readonly facts: Map<Expr, Facts>;
  /** How often each buffer had been written when the row began. */
  readonly versions: ReadonlyMap<Buffer, number>;
  readonly writes: ReadonlySet<Buffer>;
}

interface Facts {
  readonly id: number;
  /** Whether it differs along the row. */
  readonly varies: boolean;
  /** Whether a function of many instructions is in it. */
  readonly isLong: boolean;
  /** Whether it may be computed whatever the conditions around it say. */
  readonly isSafe: boolean;
}

/** A value that is kept: the row that first computes it, as which expression there, and where it is then found. */
interface Kept {
  readonly row: NumberedRow;
  readonly expr: Expr;
  readonly buffer: Buffer;
}

class Sharing {
  readonly rows = new Map<Stmt, NumberedRow>();
  /** By number. */
  private readonly kept = new Map<number, Kept>();
  private readonly ids = new Map<string, number>();
  /** The first row in which each number occurs. */
  private readonly first = new Map<number, { readonly row: NumberedRow; readonly expr: Expr }>();
  private readonly versions = new Map<Buffer, number>();

  /** Number the expressions of all rows, in the order in which they run. */
  number(stmts: readonly Stmt[]): void {
    for (const stmt of stmts) {
      const row = rowOf(stmt);
      if (stmt.kind === 'alloc') this.number(stmt.body);
      else {
        if (row !== null) this.numberRow(row);
        for (const buffer of writesOf([stmt])) this.versions.set(buffer, (this.versions.get(buffer) ?? 0) + 1);
      }
    }
  }

  private numberRow(plain: Row): void {
    const { rows } = this;
    const row: NumberedRow = {
      ...plain,
      order: rows.size,
      facts: new Map(),
      versions: new Map(this.versions),
      writes: writesOf(plain.body),
    };
    rows.set(row.stmt, row);
    this.visit(row, rootsOf(row), expr => {
      const { id } = this.facts(expr, row);
      if (!this.first.has(id)) this.first.set(id, { row, expr });
      return true;
    });
  }

  /** Find what to keep, from the last row to the first: computing a kept value may itself ask for another. */
  demand(): void {
    for (const row of [...this.rows.values()].reverse()) {
      this.visit(row, rootsOf(row), expr => {
        const { id, varies, isLong } = this.facts(expr, row);
        const origin = this.first.get(id)!;
        const { dtype } = expr;
        if (origin.row === row || !varies || !isLong || dtype === 'index') return true;
        if (!this.kept.has(id)) {
          const name = `kept${this.kept.size || ''}`;
          this.kept.set(id, { ...origin, buffer: { name, dtype, size: sizeOf(row.iters), scope: 'local' } });
        }
        return false;
      });
    }
  }

  buffers(): Buffer[] {
    return [...this.kept.values()].map(({ buffer }) => buffer);
  }

  /** The loop that fills what this row is the first to compute, and the row itself, which reads what is kept. */
  rewrite(row: NumberedRow): Stmt[] {
    if (this.kept.size === 0) return [row.stmt];
    const at = rowMajorOf(row.iters);
    const reads = (root: Expr, except: Expr | null = null): Expr =>
      mapExpr(root, expr => {
        const kept = expr === except ? undefined : this.kept.get(row.facts.get(expr)?.id ?? -1);
        return kept === undefined || kept.row.order > row.order ? null : load(kept.buffer, at);
      });
    const fills = this.startedIn(row).map(({ buffer, expr }) => store(buffer, at, reads(expr, expr)));
    const body = row.body.map(stmt => mapStmtExprs(stmt, expr => reads(expr)));
    return [...(fills.length > 0 ? fillLoop(row.iters, fills) : []), rebuilt(row.stmt, row.iters.length, body)];
  }

  /** What a row is the first to compute, parts before what is made of them: numbers are given in that order. */
  private startedIn(row: NumberedRow): Kept[] {
    return [...this.kept]
      .filter(([, kept]) => kept.row === row)
      .sort(([a], [b]) => a - b)
      .map(([, kept]) => kept);
  }

  /**
   * Calls `visit` on every expression that is evaluated in any case, outermost first, as long as it says to go inside.
   */
  private visit(row: NumberedRow, roots: readonly Expr[], visit: (expr: Expr) => boolean): void {
    const seen = new Set<Expr>();
    const walk = (expr: Expr): void => {
      if (seen.has(expr)) return;
      seen.add(expr);
      if (!visit(expr)) return;
      const inside =
        expr.kind === 'select'
          ? [expr.cond, ...[expr.yes, expr.no].filter(arm => this.facts(arm, row).isSafe)]
          : childrenOf(expr);
      inside.forEach(walk);
    };
    roots.forEach(walk);
  }

  // ── numbering ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private facts(expr: Expr, row: NumberedRow): Facts {
    let facts = row.facts.get(expr);
    if (facts === undefined) {
      facts = this.computeFacts(expr, row);
      row.facts.set(expr, facts);
    }
    return facts;
  }

  private computeFacts(expr: Expr, row: NumberedRow): Facts {
    const parts = childrenOf(expr).map(child => this.facts(child, row));
    const key = `${this.headOf(expr, row)}(${parts.map(part => part.id)})`;
    const id = this.ids.get(key) ?? this.ids.size;
    this.ids.set(key, id);
    return {
      id,
      varies: parts.some(part => part.varies) || (expr.kind === 'iter' && row.iters.includes(expr.iter)),
      isLong: parts.some(part => part.isLong) || (expr.kind === 'call' && isLongFunction(expr.fn, expr.args[0].dtype)),
      isSafe: parts.every(part => part.isSafe) && (expr.kind !== 'load' || isInBounds(expr.buffer, expr.index)),
    };
  }

  /** What an expression is apart from its parts. Counters of rows of equal extents are the same by their place. */
  private headOf(expr: Expr, row: NumberedRow): string {
    const head = `${expr.kind} ${expr.dtype}`;
    switch (expr.kind) {
      case 'const':
        return `${head} ${Object.is(expr.value, -0) ? '-0' : expr.value}`;
      case 'iter': {
        const place = row.iters.indexOf(expr.iter);
        return place < 0
          ? `${head} ${this.numberOf(expr.iter)}`
          : `${head} ${place} of ${row.iters.map(({ extent }) => extent)}`;
      }
      case 'load': {
        const isChanged = row.writes.has(expr.buffer) && !isReplacedAfter(expr, row);
        const version = isChanged ? `in ${row.order}` : (row.versions.get(expr.buffer) ?? 0);
        return `${head} ${this.numberOf(expr.buffer)} ${version}`;
      }
      case 'call':
        return `${head} ${expr.fn}`;
      default:
        return head;
    }
  }

  private readonly objects = new Map<Buffer | Iter, number>();
  private numberOf(object: Buffer | Iter): string {
    const number = this.objects.get(object) ?? this.objects.size;
    this.objects.set(object, number);
    return `@${number}`;
  }
}

/** Whether all that the row writes to the buffer of a load is, as its last step, the very elements that were loaded. */
function isReplacedAfter({ buffer, index: at }: Load, { iters, body }: Row): boolean {
  const writes = body.filter(stmt => writesOf([stmt]).has(buffer));
  const last = body.at(-1);
  if (writes.length !== 1 || writes[0] !== last || last.kind !== 'store') return false;
  return reachesEachOnce(last.index, iters) && sameExpr(last.index, at);
}

const rootsOf = (row: Row): Expr[] => row.body.flatMap(stmt => [...expressionsOf(stmt)]);

/** A loop of its own, with counters of its own. */
function fillLoop(iters: readonly Iter[], fills: readonly Stmt[]): Stmt[] {
  const own = iters.map(({ name, extent }) => makeIter(name, extent));
  const values = new Map(iters.map((iter, d) => [iter, iterOf(own[d])]));
  return nest(
    own,
    'parallel',
    fills.map(stmt => mapStmtExprs(stmt, expr => substitute(expr, values))),
  );
}

/** The same nest of `depth` loops around another body. */
function rebuilt(stmt: Stmt, depth: number, body: readonly Stmt[]): Stmt {
  if (stmt.kind !== 'loop') return stmt;
  return { ...stmt, body: depth === 1 ? body : [rebuilt(stmt.body[0], depth - 1, body)] };
}
