/**
 * A staged operand that is the same in every iteration of a loop is staged once, before the loop.
 *
 *   parallel ib<64: alloc local slab[…]:            alloc local b[…]:
 *     alloc local b[…]: fill b from k; tiles   ->     fill b from k
 *     …                                               parallel ib<64: alloc local slab[…]: tiles; …
 */
import { type Buffer, type Iter, itersOf, type Kernel, type Stmt, withBody } from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
import { allExpressions, loadsIn, writesOf } from './accesses.js';

export const hoistFills: Pass<Kernel> = {
  name: 'hoist-fills',
  doc: 'What a loop would stage again in every iteration is staged before it.',
  run(kernel) {
    return withBody(kernel, kernel.body.flatMap(hoisted));
  },
};

type Alloc = Extract<Stmt, { kind: 'alloc' }>;

function hoisted(stmt: Stmt): Stmt[] {
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return [stmt];
  const inner = withBody(stmt, stmt.body.flatMap(hoisted));
  if (inner.kind === 'alloc' || inner.iter.extent < 2) return [inner];
  const before: Alloc[] = [];
  const body = without(inner.body, inner.iter, writesOf(inner.body), before);
  return before.reduceRight<Stmt[]>((rest, fill) => [around(fill, rest)], [withBody(inner, body)]);
}

const around = (fill: Alloc, rest: readonly Stmt[]): Stmt => ({ ...fill, body: [...fill.body, ...rest] });

/** The statements of an iteration without what fills the same memory in each, which is put into `fills`. */
function without(stmts: readonly Stmt[], iter: Iter, written: ReadonlySet<Buffer>, fills: Alloc[]): Stmt[] {
  return stmts.flatMap((stmt): Stmt[] => {
    if (stmt.kind !== 'alloc') return [stmt];
    const body = without(stmt.body, iter, written, fills);
    const length = fillLength(stmt.buffer, body);
    const fill = body.slice(0, length);
    if (length === 0 || !isSameInEach(fill, stmt.buffer, iter, written)) return [withBody(stmt, body)];
    fills.push({ ...stmt, body: fill });
    return body.slice(length);
  });
}

/** How many statements at the start do nothing but fill a buffer that nothing after them writes. */
function fillLength(buffer: Buffer, stmts: readonly Stmt[]): number {
  const isFill = (stmt: Stmt): boolean => {
    const writes = writesOf([stmt]);
    return writes.size === 1 && writes.has(buffer);
  };
  const others = stmts.findIndex(stmt => !isFill(stmt));
  const length = others < 0 ? stmts.length : others;
  return buffer.scope === 'local' && !writesOf(stmts.slice(length)).has(buffer) ? length : 0;
}

function isSameInEach(fill: readonly Stmt[], own: Buffer, iter: Iter, written: ReadonlySet<Buffer>): boolean {
  const expressions = allExpressions(fill);
  return (
    !expressions.some(expr => itersOf(expr).has(iter)) &&
    loadsIn(expressions).every(({ buffer }) => buffer !== own && !written.has(buffer))
  );
}
