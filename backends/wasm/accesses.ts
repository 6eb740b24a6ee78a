/**
 * What statements read and write: every load and store, with the loops around it. Shared subtrees are visited once.
 */
import {
  type Buffer,
  type Expr,
  expressionsOf,
  type Iter,
  type LoopMap,
  type Stmt,
  walkExpr,
  walkStmts,
} from '../../compiler/ir/kernel.js';

export type Load = Extract<Expr, { kind: 'load' }>;

export interface Access {
  readonly buffer: Buffer;
  readonly index: Expr;
  readonly kind: 'load' | 'store';
}

/** Every load in some expressions, each distinct one once. */
export function loadsIn(roots: readonly Expr[]): Load[] {
  const loads = new Set<Load>();
  for (const root of roots) {
    walkExpr(root, expr => {
      if (expr.kind === 'load') loads.add(expr);
    });
  }
  return [...loads];
}

/** The statements directly in a statement. */
export function bodyOf(stmt: Stmt): readonly Stmt[] {
  if (stmt.kind === 'loop' || stmt.kind === 'alloc') return stmt.body;
  return stmt.kind === 'if' ? [...stmt.then, ...stmt.otherwise] : [];
}

/** Calls `visit` with every access and the mapping of each loop around it, as far as the loop is in `stmts`. */
export function visitAccesses(
  stmts: readonly Stmt[],
  visit: (access: Access, loops: ReadonlyMap<Iter, LoopMap>) => void,
  loops: ReadonlyMap<Iter, LoopMap> = new Map(),
): void {
  for (const stmt of stmts) {
    for (const { buffer, index } of loadsIn(expressionsOf(stmt))) visit({ buffer, index, kind: 'load' }, loops);
    if (stmt.kind === 'store' || stmt.kind === 'reduce')
      visit({ buffer: stmt.buffer, index: stmt.index, kind: 'store' }, loops);
    const inner =
      stmt.kind === 'loop' ? new Map(loops).set(stmt.iter, stmt.limit === null ? stmt.map : 'serial') : loops;
    visitAccesses(bodyOf(stmt), visit, inner);
  }
}

/** The buffers that statements store to. */
export function writesOf(stmts: readonly Stmt[]): Set<Buffer> {
  const writes = new Set<Buffer>();
  const collect = (stmt: Stmt): void => {
    if (stmt.kind === 'store' || stmt.kind === 'reduce' || stmt.kind === 'allreduce') writes.add(stmt.buffer);
    bodyOf(stmt).forEach(collect);
  };
  stmts.forEach(collect);
  return writes;
}

/** All expressions of statements and of the statements in them. */
export function allExpressions(stmts: readonly Stmt[]): Expr[] {
  return stmts.flatMap(stmt => [...expressionsOf(stmt), ...allExpressions(bodyOf(stmt))]);
}

/** Whether doing it twice is the same as doing it once: nothing is read that is written, other than its own registers. */
export function isRepeatable(body: readonly Stmt[]): boolean {
  const written = new Set<Buffer>();
  let combines = false;
  walkStmts(body, stmt => {
    if (stmt.kind !== 'store' && stmt.kind !== 'reduce') return;
    if (stmt.buffer.scope === 'register') return;
    written.add(stmt.buffer);
    combines ||= stmt.kind === 'reduce';
  });
  return !combines && loadsIn(allExpressions(body)).every(({ buffer }) => !written.has(buffer));
}
