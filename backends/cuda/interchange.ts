/**
 * Parallel loops out of serial ones: a counter whose iterations touch elements of their own moves outside the others.
 *
 * Scatters are written as serial loops, since two updates may meet in one element. But where an index is
 * `width · (anything) + d`, updates of different `d` never meet: embedding gradients run one thread per column, each adding
 * in order.
 */
import {
  affineOf,
  type Expr,
  type Iter,
  itersOf,
  loop,
  rangeOf,
  type Stmt,
  walkExpr,
  walkStmts,
} from '../../compiler/ir/kernel.js';
import { topExpressions } from './expressions.js';
import { nestOf, peel } from './loops.js';
import { nestPass } from './nest-pass.js';
import { writtenBy } from './stages.js';

/** Whether places `at` of different values of `iter` differ, whatever the other terms are. */
function separates(at: Expr, iter: Iter): boolean {
  const { terms } = affineOf(at);
  const own = terms.find(({ expr }) => expr.kind === 'iter' && expr.iter === iter);
  if (own === undefined || terms.some(term => term !== own && itersOf(term.expr).has(iter))) return false;
  const step = Math.abs(own.coefficient);
  const inner = terms.filter(term => term !== own && term.coefficient % (step * iter.extent) !== 0);
  const spread = inner.reduce((sum, { expr, coefficient }) => {
    const range = rangeOf(expr);
    return sum + (range === null ? Infinity : (range.max - range.min) * Math.abs(coefficient));
  }, 0);
  return spread < step;
}

/** Every place of written memory that statements touch. */
function placesOf(stmts: readonly Stmt[]): Expr[] {
  const written = new Set([...writtenBy(stmts)].filter(buffer => buffer.scope !== 'register'));
  const places: Expr[] = [];
  walkStmts(stmts, stmt => {
    if ((stmt.kind === 'store' || stmt.kind === 'reduce') && written.has(stmt.buffer)) places.push(stmt.index);
  });
  for (const expr of topExpressions(stmts)) {
    walkExpr(expr, e => {
      if (e.kind === 'load' && written.has(e.buffer)) places.push(e.index);
    });
  }
  return places;
}

/**
 * serial i, d<64: reduce out[row(i) * 64 + d] add= x[i * 64 + d]   -->   parallel d<64: serial i: …
 */
export const interchangePass = nestPass(
  'cuda-interchange',
  'Serial counters that never meet in an element become parallel.',
  (nest, note) => {
    const { iters, body } = peel([nest], 'serial');
    if (iters.length === 0) return null;
    const places = placesOf(body);
    const free = iters.filter(iter => places.length > 0 && places.every(at => separates(at, iter)));
    if (free.length === 0) return null;
    note(`parallel over ${free.map(iter => iter.name).join(', ')}`, 'its iterations write elements of their own');
    const serial = iters
      .filter(iter => !free.includes(iter))
      .reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, 'serial', inner)], body);
    return [nestOf(free, 'parallel', serial)];
  },
);
