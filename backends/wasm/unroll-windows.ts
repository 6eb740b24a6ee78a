/**
 * Short serial loops, as over the window of a pooling, are written out: the loop would cost more than its steps.
 *
 *   serial r<2: serial c<2: reduce m[0] max= load x[…r*28 + c…]   ->   unroll r<2: unroll c<2: …
 */
import { type Kernel, type Stmt, withBody } from '../../compiler/ir/kernel.js';
import { codeSize } from '../../compiler/lowering/code-size.js';
import type { Pass } from '../../compiler/pass.js';
import { bodyOf } from './accesses.js';

const MOST_STEPS = 4;
const MOST_STATEMENTS = 16;
/** Where a step is long, the loop costs next to nothing; one that goes through functions lane by lane is long four times. */
const MOST_EXPRESSIONS = 400;

export const unrollWindows: Pass<Kernel> = {
  name: 'unroll-windows',
  doc: 'Serial loops of at most four steps over one or two statements are unrolled.',
  run(kernel) {
    return withBody(kernel, kernel.body.map(unrolled));
  },
};

function unrolled(stmt: Stmt): Stmt {
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return stmt;
  const inner = withBody(stmt, stmt.body.map(unrolled));
  return inner.kind === 'loop' && isShort(inner) ? { ...inner, map: 'unroll' } : inner;
}

/** Whether a loop over one or two statements, or over a small tile, is worth writing out. */
export const isShort = ({ iter, map, limit, body }: Extract<Stmt, { kind: 'loop' }>): boolean =>
  map === 'serial' &&
  limit === null &&
  iter.extent <= MOST_STEPS &&
  iter.extent * copies(body) <= MOST_STATEMENTS &&
  iter.extent * codeSize(body, MOST_EXPRESSIONS) <= MOST_EXPRESSIONS;

/** Statements that would be written out; loops that stay loops are too many. */
function copies(stmts: readonly Stmt[]): number {
  return stmts.reduce((sum, stmt) => {
    if (stmt.kind === 'store' || stmt.kind === 'reduce') return sum + 1;
    if (stmt.kind === 'alloc' || stmt.kind === 'if') return sum + copies(bodyOf(stmt));
    if (stmt.kind !== 'loop') return Number.POSITIVE_INFINITY;
    const times = stmt.map === 'vector' ? 1 : stmt.map === 'unroll' ? stmt.iter.extent : Number.POSITIVE_INFINITY;
    return sum + times * copies(stmt.body);
  }, 0);
}
