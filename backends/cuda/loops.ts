/** Loops as schedules see them: nests taken apart, flattened into one counter, and put together again. */
import {
  affineOf,
  type Expr,
  floorDivIndex,
  type Iter,
  iterOf,
  type LoopMap,
  loop,
  makeIter,
  mapStmtExprs,
  modIndex,
  type Stmt,
  substitute,
} from '../../compiler/ir/kernel.js';
import { suggestName } from './names.js';

export type LoopStmt = Stmt & { kind: 'loop' };
export type Values = ReadonlyMap<Iter, Expr>;

export const extentOf = (iters: readonly Iter[]): number => iters.reduce((product, iter) => product * iter.extent, 1);

/** The value of each counter of a nest, given a counter that runs over all of it in order. */
export function unflatten(iters: readonly Iter[], flat: Expr): Map<Iter, Expr> {
  const values = new Map<Iter, Expr>();
  let inner = 1;
  for (const iter of iters.toReversed()) {
    const quotient = floorDivIndex(flat, inner);
    const value = iter === iters[0] ? quotient : modIndex(quotient, iter.extent);
    values.set(iter, value);
    if (value.kind === 'call') suggestName(iter.name, value);
    inner *= iter.extent;
  }
  return values;
}

/** One counter for a nest, and what the nest's counters are in its terms. */
export function flatten(iters: readonly Iter[], name = 'i'): { flat: Iter; values: Values } {
  const flat = makeIter(iters.length === 1 ? iters[0].name : name, extentOf(iters));
  return { flat, values: unflatten(iters, iterOf(flat)) };
}

export const substituteAll = (stmts: readonly Stmt[], values: Values): Stmt[] =>
  stmts.map(stmt => mapStmtExprs(stmt, expr => substitute(expr, values)));

/** Loops over `iters`, outermost first, around `body`. */
export const nestOf = (iters: readonly Iter[], map: LoopMap, body: readonly Stmt[]): Stmt =>
  iters.reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, map, inner)], body)[0];

/** How far an index moves when a counter does; 0 where it is not a plain multiple of it. */
export function strideOf(at: Expr, iter: Iter): number {
  const term = affineOf(at).terms.find(({ expr }) => expr.kind === 'iter' && expr.iter === iter);
  return term?.coefficient ?? 0;
}
