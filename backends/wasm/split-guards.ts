/**
 * Windows that reach over an edge ask at every element whether they do. Where a counter is far enough from the edge the
 * answer is known: its loop is cut there, and only the few steps at the edge go on asking.
 *
 *   parallel h<30: store padded[h] = select(h - 1 >= 0 && h - 1 < 28, load x[h - 1], 0)
 * ->
 *   store padded[0] = 0
 *   parallel h<28: store padded[h + 1] = load x[h]
 *   store padded[29] = 0
 *
 * The constructors of the loop IR decide the conditions from the ranges of the counters.
 */
import {
  addIndex,
  affineOf,
  type Expr,
  type Iter,
  iterOf,
  type Kernel,
  loop,
  makeIter,
  rangeOf,
  type Stmt,
  subIndex,
  walkExpr,
  withBody,
} from '../../compiler/ir/kernel.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { allExpressions, bodyOf } from './accesses.js';
import { replaceIters, strideOf } from './linear.js';

/** Statements a kernel may grow to by cutting. */
const MOST_STATEMENTS = 64;

export const splitGuards: Pass<Kernel> = {
  name: 'split-guards',
  doc: 'Loops are cut where a condition on their counter becomes certain, so that most of their steps need not ask.',
  run(kernel, context) {
    const body = kernel.body.flatMap(stmt => split(stmt, context));
    return countOf(body) > MOST_STATEMENTS ? kernel : withBody(kernel, body);
  },
};

const countOf = (stmts: readonly Stmt[]): number =>
  stmts.reduce((sum, stmt) => sum + (stmt.kind === 'loop' || stmt.kind === 'alloc' ? countOf(bodyOf(stmt)) : 1), 0);

function split(stmt: Stmt, context: PassContext): Stmt[] {
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return [stmt];
  const inside = (body: readonly Stmt[]): Stmt[] => body.flatMap(inner => split(inner, context));
  const cuts =
    stmt.kind === 'loop' && stmt.map === 'parallel' && stmt.limit === null ? cutsOf(stmt.iter, stmt.body) : [];
  if (stmt.kind === 'alloc' || cuts.length === 0) {
    const body = inside(stmt.body);
    const isSame = body.length === stmt.body.length && body.every((inner, i) => inner === stmt.body[i]);
    return [isSame ? stmt : { ...stmt, body }];
  }
  const { iter, body } = stmt;
  context.note(`${iter.name} cut at ${cuts.join(', ')}`, 'a condition is certain from there on');
  const ends = [...cuts, iter.extent];
  return ends.flatMap((end, i) => {
    const start = i === 0 ? 0 : ends[i - 1];
    const piece = makeIter(iter.name, end - start);
    const own = inside(replaceIters(body, new Map([[iter, addIndex(iterOf(piece), start)]])));
    return piece.extent === 1 ? own : [loop(piece, 'parallel', own)];
  });
}

/** Where a loop is cut, in order: a condition must become certain for at least half of its steps. */
function cutsOf(iter: Iter, body: readonly Stmt[]): number[] {
  const cuts = new Set<number>();
  for (const distance of distancesIn(allExpressions(body))) {
    const [possible, certain] = boundsOf(distance, iter) ?? [0, 0];
    const inside = (cut: number): boolean => cut > 0 && cut < iter.extent;
    const doubtful = Math.abs(clamp(certain, iter) - clamp(possible, iter));
    if (2 * doubtful <= iter.extent) for (const cut of [possible, certain].filter(inside)) cuts.add(cut);
  }
  return [...cuts].sort((a, b) => a - b);
}

const clamp = (cut: number, { extent }: Iter): number => Math.min(Math.max(cut, 0), extent);

/** What the conditions on counters ask to be at least 0. */
function distancesIn(roots: readonly Expr[]): Expr[] {
  const distances = new Set<Expr>();
  for (const root of roots) {
    walkExpr(root, expr => {
      if (expr.kind !== 'call' || expr.args[0].dtype !== 'index') return;
      const [a, b] = expr.args;
      if (expr.fn === 'ge') distances.add(subIndex(a, b));
      else if (expr.fn === 'gt') distances.add(subIndex(subIndex(a, b), 1));
      else if (expr.fn === 'le') distances.add(subIndex(b, a));
      else if (expr.fn === 'lt') distances.add(subIndex(subIndex(b, a), 1));
    });
  }
  return [...distances];
}

/**
 * The steps of a counter between which it is open whether the distance is at least 0; on one side it is, on the other it
 * is not. Null where the counter does not move it, or the rest is unknown.
 */
function boundsOf(distance: Expr, iter: Iter): [number, number] | null {
  const step = strideOf(distance, iter);
  if (step === null || step === 0) return null;
  const others = affineOf(distance).terms.filter(({ expr }) => !(expr.kind === 'iter' && expr.iter === iter));
  let [least, most] = [affineOf(distance).offset, affineOf(distance).offset];
  for (const { expr, coefficient } of others) {
    const range = rangeOf(expr);
    if (range === null) return null;
    const ends = [range.min * coefficient, range.max * coefficient];
    least += Math.min(...ends);
    most += Math.max(...ends);
  }
  const from = (rest: number): number => (step > 0 ? Math.ceil(-rest / step) : Math.floor(rest / -step) + 1);
  return [from(most), from(least)];
}
