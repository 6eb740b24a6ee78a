/**
 * What statements read and write: every load and store, with the loops around it. Shared subtrees are visited once.
 */
import type { Buffer, Expr, Iter, LoopMap, Stmt } from '../../compiler/ir/kernel.js';

export interface Access {
  readonly buffer: Buffer;
  readonly index: Expr;
  readonly kind: 'load' | 'store';
}

/** The direct parts of an expression. */
export function partsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'const':
    case 'iter':
      return [];
    case 'load':
      return [expr.index];
    case 'call':
      return expr.args;
    case 'select':
      return [expr.cond, expr.yes, expr.no];
    case 'cast':
    case 'bitcast':
      return [expr.value];
    default:
      return expr satisfies never;
  }
}

/** Every distinct expression in some others, each once. */
export function expressionsIn(roots: readonly Expr[]): Set<Expr> {
  const seen = new Set<Expr>();
  const visit = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    for (const part of partsOf(expr)) visit(part);
  };
  for (const root of roots) visit(root);
  return seen;
}

/** The loop counters that expressions read. */
export function itersIn(...roots: readonly Expr[]): Set<Iter> {
  const iters = new Set<Iter>();
  for (const expr of expressionsIn(roots)) if (expr.kind === 'iter') iters.add(expr.iter);
  return iters;
}

export function loadsIn(...roots: readonly Expr[]): Extract<Expr, { kind: 'load' }>[] {
  return [...expressionsIn(roots)].filter(expr => expr.kind === 'load');
}

/** The expressions of one statement itself, without those of the statements in it. */
export function expressionsOf(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case 'loop':
      return stmt.limit === null ? [] : [stmt.limit];
    case 'store':
    case 'reduce':
      return [stmt.index, stmt.value];
    case 'if':
      return [stmt.cond];
    case 'allreduce':
      return [stmt.index];
    case 'alloc':
    case 'barrier':
      return [];
    default:
      return stmt satisfies never;
  }
}

export function childrenOf(stmt: Stmt): readonly Stmt[] {
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
    for (const { buffer, index } of loadsIn(...expressionsOf(stmt))) visit({ buffer, index, kind: 'load' }, loops);
    if (stmt.kind === 'store' || stmt.kind === 'reduce')
      visit({ buffer: stmt.buffer, index: stmt.index, kind: 'store' }, loops);
    const inner =
      stmt.kind === 'loop' ? new Map(loops).set(stmt.iter, stmt.limit === null ? stmt.map : 'serial') : loops;
    visitAccesses(childrenOf(stmt), visit, inner);
  }
}

/** The buffers that statements store to. */
export function writesOf(stmts: readonly Stmt[]): Set<Buffer> {
  const writes = new Set<Buffer>();
  const collect = (stmt: Stmt): void => {
    if (stmt.kind === 'store' || stmt.kind === 'reduce' || stmt.kind === 'allreduce') writes.add(stmt.buffer);
    childrenOf(stmt).forEach(collect);
  };
  stmts.forEach(collect);
  return writes;
}
