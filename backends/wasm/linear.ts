/**
 * How index expressions move with loop counters: the coefficients of each sum, and loops merged.
 */
import {
  affineOf,
  childrenOf,
  type Expr,
  type Iter,
  index,
  iterOf,
  itersOf,
  makeIter,
  mapStmtExprs,
  type Stmt,
  substitute,
} from '../../compiler/ir/kernel.js';

/** One sum of an index expression: the coefficient of each counter in it. */
export type Sum = ReadonlyMap<Iter, number>;

/**
 * Every maximal sum of loop counters in some expressions: indices, and the arguments of divisions and comparisons in
 * them.
 */
export function sumsIn(roots: readonly Expr[]): Sum[] {
  const sums: Sum[] = [];
  const seen = new Set<Expr>();
  const visit = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.dtype !== 'index') {
      childrenOf(expr).forEach(visit);
      return;
    }
    const { terms } = affineOf(expr);
    const sum = new Map<Iter, number>();
    for (const { expr: term, coefficient } of terms) {
      if (term.kind === 'iter') sum.set(term.iter, (sum.get(term.iter) ?? 0) + coefficient);
      else childrenOf(term).forEach(visit);
    }
    if (sum.size > 0) sums.push(sum);
  };
  roots.forEach(visit);
  return sums;
}

/**
 * Merge neighbours of a list of nested loops wherever all index sums allow it:
 *
 *   parallel i<8: parallel j<32: … x[i*32 + j] …   ->   parallel ij<256: … x[ij] …
 *
 * In every sum the coefficient of the outer counter must be that of the inner one times its extent; then the inner
 * counter stands for both and the outer one for 0.
 */
export function collapse(
  iters: readonly Iter[],
  expressions: readonly Expr[],
): { iters: Iter[]; values: Map<Iter, Expr> } {
  const sums = sumsIn(expressions);
  const merged: { iter: Iter; members: Iter[] }[] = [];
  for (const iter of iters) {
    const last = merged.at(-1);
    const outer = last?.members.at(-1);
    if (last && outer && sums.every(sum => (sum.get(outer) ?? 0) === (sum.get(iter) ?? 0) * iter.extent)) {
      last.iter = makeIter(`${last.iter.name}${iter.name}`, last.iter.extent * iter.extent);
      last.members.push(iter);
    } else merged.push({ iter, members: [iter] });
  }
  const values = new Map<Iter, Expr>();
  for (const { iter, members } of merged) {
    if (members.length === 1) continue;
    for (const member of members) values.set(member, member === members.at(-1) ? iterOf(iter) : index(0));
  }
  return { iters: merged.map(({ iter }) => iter), values };
}

/** How far an index moves with a counter; null where not evenly. */
export function strideOf(at: Expr, iter: Iter): number | null {
  let stride = 0;
  for (const { expr, coefficient } of affineOf(at).terms) {
    if (expr.kind === 'iter') stride += expr.iter === iter ? coefficient : 0;
    else if (itersOf(expr).has(iter)) return null;
  }
  return stride;
}

/** The same statements with counters replaced. */
export const replaceIters = (stmts: readonly Stmt[], values: ReadonlyMap<Iter, Expr>): Stmt[] =>
  values.size === 0 ? [...stmts] : stmts.map(stmt => mapStmtExprs(stmt, expr => substitute(expr, values)));

/**
 * Whether the step of `at` is one for every two of `iter`, beginning with an even one: as in load x[i div 2], whose vectors are
 * pairs of equal elements wherever they begin at a multiple of two.
 */
export function isHalved(at: Expr, iter: Iter): boolean {
  const moving = affineOf(at).terms.filter(({ expr }) => itersOf(expr).has(iter));
  if (moving.length !== 1) return false;
  const [{ expr, coefficient }] = moving;
  if (coefficient !== 1 || expr.kind !== 'call' || expr.fn !== 'floorDiv') return false;
  const [sum, by] = expr.args;
  const { offset, terms } = affineOf(sum);
  const isEven = (number: number): boolean => number % 2 === 0;
  return (
    by.kind === 'const' &&
    Number(by.value) === 2 &&
    isEven(offset) &&
    terms.every(term =>
      itersOf(term.expr).has(iter) ? term.expr.kind === 'iter' && term.coefficient === 1 : isEven(term.coefficient),
    )
  );
}
