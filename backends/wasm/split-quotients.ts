/**
 * What was reshaped is read at quotients and remainders of a counter, so that a step of the counter is no step in memory.
 * Where its loop is divided as they are, both are counters themselves:
 *
 *   parallel i<256: store out[i] = load x[(i div 64)*8192 + i mod 64]
 * ->
 *   parallel i<4: parallel r<64: store out[i*64 + r] = load x[i*8192 + r]
 *
 * Small divisors, of which there are classes that differ in more than an address, are those of `split-strides.ts`.
 */
import {
  addIndex,
  type Expr,
  type Iter,
  iterOf,
  itersOf,
  type Kernel,
  loop,
  makeIter,
  mulIndex,
  type Stmt,
  walkExpr,
  withBody,
} from '../../compiler/ir/kernel.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { allExpressions } from './accesses.js';
import { LANES } from './emit-vector.js';
import { replaceIters } from './linear.js';

export const splitQuotients: Pass<Kernel> = {
  name: 'split-quotients',
  doc: 'Loops over elements at quotients and remainders of their counter become two loops, over the one and the other.',
  run: (kernel, context) =>
    withBody(
      kernel,
      kernel.body.map(stmt => split(stmt, context)),
    ),
};

function split(stmt: Stmt, context: PassContext): Stmt {
  if (stmt.kind !== 'loop' || stmt.limit !== null) return stmt;
  if (!stmt.body.every(({ kind }) => kind === 'store'))
    return withBody(
      stmt,
      stmt.body.map(inner => split(inner, context)),
    );
  return (stmt.map === 'parallel' && byDivisor(stmt, context)) || stmt;
}

/** Null where the counter is not divided into whole vectors, or a quotient of the inner counter would be left. */
function byDivisor({ iter, body }: Extract<Stmt, { kind: 'loop' }>, context: PassContext): Stmt | null {
  const divisor = Math.min(...divisorsOf(body, iter));
  if (divisor % LANES !== 0 || divisor >= iter.extent || iter.extent % divisor !== 0) return null;
  const quotient = makeIter(iter.name, iter.extent / divisor);
  const remainder = makeIter('r', divisor);
  const position = addIndex(mulIndex(iterOf(quotient), divisor), iterOf(remainder));
  const divided = replaceIters(body, new Map([[iter, position]]));
  if (divisorsOf(divided, remainder).length > 0) return null;
  context.note(`${iter.name} by ${divisor}`, 'quotients and remainders of it are addresses');
  return loop(quotient, 'parallel', [loop(remainder, 'parallel', divided)]);
}

/** What sums of a counter and others are divided by in some statements. */
function divisorsOf(stmts: readonly Stmt[], iter: Iter): number[] {
  const divisors: number[] = [];
  const collect = (expr: Expr): void => {
    if (expr.kind !== 'call' || expr.dtype !== 'index' || (expr.fn !== 'floorDiv' && expr.fn !== 'mod')) return;
    const [sum, by] = expr.args;
    if (by.kind === 'const' && itersOf(sum).has(iter)) divisors.push(Number(by.value));
  };
  for (const root of allExpressions(stmts)) walkExpr(root, collect);
  return divisors;
}
