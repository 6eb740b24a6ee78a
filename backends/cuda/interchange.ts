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
  fromAffine,
  type Iter,
  itersOf,
  loop,
  rangeOf,
  type Stmt,
  sameExpr,
  walkExpr,
  walkStmts,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import { topExpressions } from './expressions.js';
import { nestOf } from './loops.js';
import { nestPass } from './nest-pass.js';
import { writtenBy } from './stages.js';

/**
 * The digits of a place that a counter decides: `step · iter + inner + offset`, modulo `step · extent`, where everything else
 * is a multiple of that and `inner` stays below `step`. Places with the same digits differ wherever the counter does. Null
 * where a place has no such form.
 */
function digitsOf(at: Expr, iter: Iter): Expr | null {
  const { offset, terms } = affineOf(at);
  const own = terms.find(({ expr }) => expr.kind === 'iter' && expr.iter === iter);
  if (own === undefined || own.coefficient < 1) return null;
  const cycle = own.coefficient * iter.extent;
  const inner = terms.filter(term => term !== own && term.coefficient % cycle !== 0);
  if (terms.some(term => term !== own && itersOf(term.expr).has(iter))) return null;
  const low = ((offset % cycle) + cycle) % cycle;
  const range = rangeOf(fromAffine({ offset: low, terms: inner }));
  return range && range.min >= 0 && range.max < own.coefficient
    ? fromAffine({ offset: low, terms: [own, ...inner] })
    : null;
}

/** Whether no two values of a counter ever touch the same of these places. */
function separates(places: readonly Expr[], iter: Iter): boolean {
  const digits = places.map(at => digitsOf(at, iter));
  const [first] = digits;
  return first !== undefined && first !== null && digits.every(other => other !== null && sameExpr(other, first));
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
    const { iters, body } = perfectNest([nest], 'serial');
    if (iters.length === 0) return null;
    const places = placesOf(body);
    const free = iters.filter(iter => separates(places, iter));
    if (free.length === 0) return null;
    note(`parallel over ${free.map(iter => iter.name).join(', ')}`, 'its iterations write elements of their own');
    const serial = iters
      .filter(iter => !free.includes(iter))
      .reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, 'serial', inner)], body);
    return [nestOf(free, 'parallel', serial)];
  },
);
