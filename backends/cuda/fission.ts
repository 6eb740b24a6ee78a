/**
 * Few long rows with several reductions, taken apart: each reduction and each result becomes a nest of its own, and what one
 * passes on to the next goes through device scratch. A block per row would leave the rest of the device idle; the nests can
 * be cut into pieces and spread.
 */
import {
  type Buffer,
  type Expr,
  type Iter,
  index,
  load,
  mapExpr,
  mapStmtExprs,
  type Stmt,
  store,
} from '../../compiler/ir/kernel.js';
import { perfectNest, rowMajorOf } from '../../compiler/ir/nests.js';
import { accumulationOf, multiprocessors } from './contraction.js';
import { extentOf, nestOf } from './loops.js';
import { nestPass } from './nest-pass.js';
import { shortestReduction } from './split.js';

/** Nests over `iters` that do, one after another, what `stmts` do. */
function separate(iters: readonly Iter[], stmts: readonly Stmt[]): Stmt[] {
  const sum = accumulationOf(stmts);
  if (sum === null) return stmts.map(stmt => nestOf(iters, 'parallel', [stmt]));
  const { acc, rest } = sum;
  const total: Buffer = { name: `${acc.name}_total`, dtype: acc.dtype, size: extentOf(iters), scope: 'local' };
  const place = rowMajorOf(iters);
  const [only] = stmts;
  const own = only.kind === 'alloc' ? only.body.slice(0, 2) : [];
  const reduction: Stmt = { kind: 'alloc', buffer: acc, body: [...own, store(total, place, load(acc, index(0)))] };
  const passOn = (expr: Expr): Expr =>
    mapExpr(expr, e => (e.kind === 'load' && e.buffer === acc ? load(total, place) : null));
  const later = rest.map(stmt => mapStmtExprs(stmt, passOn));
  return [{ kind: 'alloc', buffer: total, body: [nestOf(iters, 'parallel', [reduction]), ...separate(iters, later)] }];
}

/**
 * parallel row<2: m = max over c<100000 of x; s = sum over c of exp(x - m); parallel c: out = …
 *   -->   parallel row: m = …; total1[row] = m     parallel row: s = …; total2[row] = s     parallel row, c: out = …
 */
export const fissionPass = nestPass(
  'cuda-fission',
  'Few long rows are computed by one nest for each reduction.',
  (nest, note) => {
    const { iters, body } = perfectNest([nest], 'parallel');
    const sum = accumulationOf(body);
    if (sum === null || extentOf(iters) > multiprocessors || extentOf(sum.k) < shortestReduction) return null;
    if (!sum.rest.some(stmt => stmt.kind === 'alloc' || stmt.kind === 'loop')) return null;
    note('one nest for each reduction', `${extentOf(iters)} rows of ${extentOf(sum.k)}`);
    return separate(iters, body);
  },
);
