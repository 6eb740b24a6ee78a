/** Loop nests taken apart, and the places that their counters give together. */
import {
  addIndex,
  affineOf,
  type Expr,
  type Iter,
  index,
  iterOf,
  itersOf,
  type LoopMap,
  mulIndex,
  type Stmt,
  walkExpr,
} from './kernel.js';

/** The counters of perfectly nested loops of the given maps, outermost first, and what the innermost holds. */
export function perfectNest(
  stmts: readonly Stmt[],
  ...maps: readonly LoopMap[]
): { iters: Iter[]; body: readonly Stmt[] } {
  const iters: Iter[] = [];
  let body = stmts;
  while (body.length === 1 && body[0].kind === 'loop' && maps.includes(body[0].map) && body[0].limit === null) {
    iters.push(body[0].iter);
    body = body[0].body;
  }
  return { iters, body };
}

/** A place in a row-major array. */
export const rowMajor = (at: readonly Expr[], extents: readonly number[]): Expr =>
  at.reduce<Expr>((sum, position, d) => addIndex(mulIndex(sum, extents[d]), position), index(0));

/** The place of a nest's counters in an array of as many elements as the nest has iterations. */
export const rowMajorOf = (iters: readonly Iter[]): Expr =>
  rowMajor(
    iters.map(iterOf),
    iters.map(({ extent }) => extent),
  );

/**
 * Whether no two iterations of a nest give the same index: it is a mixed-radix number in the counters, each of which moves it
 * by more than the smaller ones reach together.
 */
export function reachesEachOnce(at: Expr, iters: readonly Iter[]): boolean {
  const { terms } = affineOf(at);
  if (!terms.every(({ expr }) => expr.kind === 'iter' || isSameInEach(expr, iters))) return false;
  const digits = iters.map(iter => ({
    iter,
    weight: Math.abs(terms.find(({ expr }) => expr.kind === 'iter' && expr.iter === iter)?.coefficient ?? 0),
  }));
  let reach = 0;
  for (const { iter, weight } of digits.sort((a, b) => a.weight - b.weight)) {
    if (weight <= reach) return false;
    reach += weight * (iter.extent - 1);
  }
  return true;
}

/** What is loaded may change meanwhile. */
function isSameInEach(expr: Expr, iters: readonly Iter[]): boolean {
  const own = itersOf(expr);
  let loads = false;
  walkExpr(expr, part => {
    loads ||= part.kind === 'load';
  });
  return !loads && !iters.some(iter => own.has(iter));
}
