/**
 * How much code a kernel is once it is written out.
 *
 * Expressions share their parts, so that what a kernel computes is a graph, and a part is computed once wherever it is
 * read. But what only one arm of a conditional computes, since it may read out of bounds there, is not there for the others:
 *
 *   select(m, f(x), g(x)), x = select(i >= 1, load(b, i - 1), 0)   ->   x is written in both arms
 *
 * and in a chain of n such steps 2ⁿ times. The fuser asks here before it makes a kernel of that.
 */
import { childrenOf, type Expr, expressionsOf, isInBounds, type Stmt } from '../ir/kernel.js';

/** Expressions that have to be written for some statements; beyond `limit` nothing more is counted. */
export function codeSize(stmts: readonly Stmt[], limit: number): number {
  const count = new Count(limit);
  count.statements(stmts, new Scope(null));
  return count.written;
}

/** What has been computed where code stands: in its own block and in those around it. */
class Scope {
  readonly #computed = new Set<Expr>();
  constructor(readonly outer: Scope | null) {}

  has(expr: Expr): boolean {
    return this.#computed.has(expr) || (this.outer?.has(expr) ?? false);
  }
  add(expr: Expr): void {
    this.#computed.add(expr);
  }
}

class Count {
  written = 0;
  readonly #safe = new Map<Expr, boolean>();
  constructor(readonly limit: number) {}

  statements(stmts: readonly Stmt[], scope: Scope): void {
    for (const stmt of stmts) {
      for (const expr of expressionsOf(stmt)) this.#expression(expr, scope);
      if (stmt.kind === 'loop' || stmt.kind === 'alloc') this.statements(stmt.body, new Scope(scope));
      else if (stmt.kind === 'if')
        for (const arm of [stmt.then, stmt.otherwise]) this.statements(arm, new Scope(scope));
    }
  }

  #expression(expr: Expr, scope: Scope): void {
    if (this.written > this.limit || scope.has(expr)) return;
    scope.add(expr);
    this.written++;
    if (expr.kind === 'select' && !(this.#isSafe(expr.yes) && this.#isSafe(expr.no))) {
      this.#expression(expr.cond, scope);
      for (const arm of [expr.yes, expr.no]) this.#expression(arm, new Scope(scope));
    } else for (const part of childrenOf(expr)) this.#expression(part, scope);
  }

  /** Can it be computed whatever the conditions around it say? */
  #isSafe(expr: Expr): boolean {
    let safe = this.#safe.get(expr);
    if (safe === undefined) {
      safe =
        childrenOf(expr).every(part => this.#isSafe(part)) &&
        (expr.kind !== 'load' || isInBounds(expr.buffer, expr.index));
      this.#safe.set(expr, safe);
    }
    return safe;
  }
}
