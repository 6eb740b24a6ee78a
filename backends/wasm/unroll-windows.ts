/**
 * Short serial loops, as over the window of a pooling, are written out: the loop would cost more than its steps.
 *
 *   serial r<2: serial c<2: reduce m[0] max= load x[…r*28 + c…]   ->   unroll r<2: unroll c<2: …
 */
import type { Kernel, Stmt } from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
import { bodyOf } from './accesses.js';

const MOST_STEPS = 4;
const MOST_STATEMENTS = 16;

export const unrollWindows: Pass<Kernel> = {
  name: 'unroll-windows',
  doc: 'Serial loops of at most four steps over one or two statements are unrolled.',
  run(kernel) {
    const body = kernel.body.map(unrolled);
    return body.every((stmt, i) => stmt === kernel.body[i]) ? kernel : { ...kernel, body };
  },
};

function unrolled(stmt: Stmt): Stmt {
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return stmt;
  const inner = stmt.body.map(unrolled);
  const body = inner.every((child, i) => child === stmt.body[i]) ? stmt.body : inner;
  const isShort =
    stmt.kind === 'loop' && stmt.map === 'serial' && stmt.limit === null && stmt.iter.extent <= MOST_STEPS;
  if (isShort && stmt.iter.extent * copies(body) <= MOST_STATEMENTS) return { ...stmt, map: 'unroll', body };
  return body === stmt.body ? stmt : { ...stmt, body };
}

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
