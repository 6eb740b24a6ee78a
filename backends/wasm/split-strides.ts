/**
 * Gradients of strided windows ask, for each element of the input, which outputs it had a part in: an index divided by
 * the stride, and whether the division comes out even. Split by the stride, each class of inputs knows its answer:
 *
 *   parallel i<28: alloc register acc[1]: store acc[0] = 0
 *     serial r<2: reduce acc[0] add= select((i - r) mod 2 == 0, load dy[(i - r) div 2], 0)
 *     store dx[i] = load acc[0]
 * ->
 *   parallel j<14:
 *     alloc register acc[1]: store acc[0] = 0; reduce acc[0] add= load dy[j]; store dx[j*2] = load acc[0]
 *     alloc register acc[1]: store acc[0] = 0; reduce acc[0] add= load dy[j]; store dx[j*2 + 1] = load acc[0]
 *
 * The constructors of the loop IR decide the conditions as soon as the remainders are constants.
 */
import {
  addIndex,
  affineOf,
  type Expr,
  type Iter,
  index,
  iterOf,
  itersOf,
  type Kernel,
  loop,
  makeIter,
  mulIndex,
  neutral,
  type Stmt,
  sameExpr,
  walkExpr,
} from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
import { allExpressions } from './accesses.js';
import { LANES } from './emit-vector.js';
import { isHalved, replaceIters } from './linear.js';
import { isShort } from './unroll-windows.js';

/** Strides worth splitting by, and how often a serial loop may be written out. */
const MOST_CLASSES = 4;
const MOST_STEPS = 4;
/** Classes and steps together: how often the innermost statement is written out at most. */
const MOST_COPIES = 128;

export const splitStrides: Pass<Kernel> = {
  name: 'split-strides',
  doc: 'Loops over elements that a stride divides into classes become one loop with a statement for each class.',
  run(kernel) {
    const expressions = allExpressions(kernel.body);
    const divided = dividedIters(expressions);
    for (const iter of [...divided.keys()]) if (isReadInPairs(iter, expressions)) divided.delete(iter);
    const copies = [...divided].reduce((product, [iter, by]) => product * Math.min(by, iter.extent), 1);
    return divided.size === 0 || copies > MOST_COPIES
      ? kernel
      : { ...kernel, body: kernel.body.flatMap(stmt => split(stmt, divided)) };
  },
};

/** The counters whose sums are divided by a small constant, and by which. */
function dividedIters(expressions: readonly Expr[]): Map<Iter, number> {
  const divided = new Map<Iter, number>();
  for (const root of expressions) {
    walkExpr(root, expr => {
      if (expr.kind !== 'call' || expr.dtype !== 'index' || (expr.fn !== 'floorDiv' && expr.fn !== 'mod')) return;
      const [sum, by] = expr.args;
      if (by.kind !== 'const' || Number(by.value) > MOST_CLASSES) return;
      const { terms } = affineOf(sum);
      for (const { expr: term, coefficient } of terms) {
        if (term.kind === 'iter' && Math.abs(coefficient) === 1) divided.set(term.iter, Number(by.value));
      }
    });
  }
  return divided;
}

/** Whether vectors along a counter need no classes: half of it is all that is asked for, as the place of what is loaded. */
function isReadInPairs(iter: Iter, expressions: readonly Expr[]): boolean {
  const quotients = new Set<Expr>();
  const inPairs = new Set<Expr>();
  const collect = (into: Set<Expr>) => (expr: Expr) => {
    const isQuotient = expr.kind === 'call' && (expr.fn === 'floorDiv' || expr.fn === 'mod');
    if (isQuotient && itersOf(expr).has(iter)) into.add(expr);
  };
  for (const root of expressions) {
    walkExpr(root, expr => {
      collect(quotients)(expr);
      if (expr.kind === 'load' && isHalved(expr.index, iter)) walkExpr(expr.index, collect(inPairs));
    });
  }
  return iter.extent >= LANES && iter.extent % 2 === 0 && quotients.size === inPairs.size;
}

function split(stmt: Stmt, divided: ReadonlyMap<Iter, number>): Stmt[] {
  if (stmt.kind === 'alloc') return [{ ...stmt, body: stmt.body.flatMap(inner => split(inner, divided)) }];
  if (stmt.kind !== 'loop' || stmt.limit !== null) return isNothing(stmt) ? [] : [stmt];
  const inside = (values: ReadonlyMap<Iter, Expr>): Stmt[] =>
    replaceIters(stmt.body, values).flatMap(inner => split(inner, divided));
  const { iter } = stmt;
  const by = divided.get(iter);
  if (by === undefined || (stmt.map === 'serial' && (iter.extent > MOST_STEPS || (isTile(stmt) && !isShort(stmt)))))
    return [{ ...stmt, body: inside(new Map()) }];
  if (stmt.map === 'serial')
    return Array.from({ length: iter.extent }, (_, step) => inside(new Map([[iter, index(step)]]))).flat();
  if (stmt.map !== 'parallel') return [stmt];
  const whole = makeIter(iter.name, Math.floor(iter.extent / by));
  const classes = Array.from({ length: by }, (_, rest) =>
    inside(new Map([[iter, addIndex(mulIndex(iterOf(whole), by), rest)]])),
  );
  const last = Array.from({ length: iter.extent % by }, (_, rest) =>
    inside(new Map([[iter, index(whole.extent * by + rest)]])),
  );
  return [...(whole.extent > 0 ? [loop(whole, 'parallel', classes.flat())] : []), ...last.flat()];
}

/** Steps of a register tile know their remainders without being written out: only addresses depend on them. */
const isTile = ({ body }: Extract<Stmt, { kind: 'loop' }>): boolean =>
  body.every(stmt => stmt.kind === 'loop' && stmt.map === 'unroll');

/** A reduction that changes nothing. */
const isNothing = (stmt: Stmt): boolean =>
  stmt.kind === 'reduce' && sameExpr(stmt.value, neutral(stmt.fn, stmt.buffer.dtype));
