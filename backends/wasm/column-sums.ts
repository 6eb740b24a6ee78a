/**
 * Sums down the columns of a matrix go along its rows, many columns side by side: one after the other, each step would be
 * in another page, where the machine does not look ahead, and all of them in a few sets of the first cache.
 *
 *   parallel i<512: alloc register acc[1]:
 *     store acc[0] = 0; serial k<128: reduce acc[0] add= load x[k*512 + i]; store out[i] = load acc[0]
 * ->
 *   parallel b<4: alloc local sums[128]:
 *     parallel c<128: store sums[c] = 0
 *     serial k<32: parallel c<128:
 *       store sums[c] = load sums[c] + load x[k*2048 + b*128 + c] + … + load x[k*2048 + b*128 + c + 1536]
 *     parallel c<128: store out[b*128 + c] = load sums[c]
 *
 * Every column is added up in the order in which it was.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  type Expr,
  type Iter,
  iterOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapExpr,
  mapStmtExprs,
  mulIndex,
  nest,
  type Stmt,
  store,
  substitute,
  withBody,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { loadsIn, writesOf } from './accesses.js';
import { isInBounds } from './frame.js';
import { strideOf } from './linear.js';

/** Columns side by side: their sums stay in the first cache, and there are several blocks for a team. */
const BLOCK = 128;
/** Rows added in one step, for each time that the sums are loaded and stored. */
const ROWS = 4;
/** Elements from which on a matrix does not stay in the first cache. */
const LARGE = 1 << 14;

export const columnSums: Pass<Kernel> = {
  name: 'column-sums',
  doc: 'Sums down the columns of a large matrix are taken along its rows, for many columns at a time.',
  run: (kernel, context) =>
    withBody(
      kernel,
      kernel.body.map(stmt => alongRows(stmt, context)),
    ),
};

interface ColumnSum {
  readonly column: Iter;
  readonly accumulator: Buffer;
  readonly start: Expr;
  readonly outer: readonly Iter[];
  readonly row: Iter;
  readonly term: Expr;
  readonly rest: readonly Stmt[];
}

function alongRows(stmt: Stmt, context: PassContext): Stmt {
  const sum = columnSumOf(stmt);
  if (sum === null) return stmt;
  context.note(`columns along ${sum.column.name}`, `${BLOCK} at a time, row by row`);
  return blocked(sum);
}

function columnSumOf(stmt: Stmt): ColumnSum | null {
  if (stmt.kind !== 'loop' || stmt.map !== 'parallel' || stmt.limit !== null || stmt.body.length !== 1) return null;
  const [own] = stmt.body;
  if (own.kind !== 'alloc' || own.buffer.scope !== 'register' || own.buffer.size !== 1) return null;
  const [first, sum, ...rest] = own.body;
  if (first?.kind !== 'store' || first.buffer !== own.buffer || sum === undefined) return null;
  const { iters, body } = perfectNest([sum], 'serial');
  const [term] = body;
  if (iters.length === 0 || body.length !== 1 || term.kind !== 'reduce' || term.fn !== 'add') return null;
  const [column, accumulator, row] = [stmt.iter, own.buffer, iters[iters.length - 1]];
  const isPlain = rest.every(({ kind }) => kind === 'store') && term.buffer === accumulator;
  const elements = iters.reduce((count, { extent }) => count * extent, column.extent);
  const isWhole = column.extent % BLOCK === 0 && row.extent % ROWS === 0 && elements >= LARGE;
  if (accumulator.dtype !== 'float32' || !isPlain || !isWhole || !isFarDown(term.value, column, row)) return null;
  const written = writesOf(rest);
  const isKept = !written.has(accumulator) && loadsIn([term.value, first.value]).every(at => !written.has(at.buffer));
  if (!isKept) return null;
  return { column, accumulator, start: first.value, outer: iters.slice(0, -1), row, term: term.value, rest };
}

/** Whether all that is summed lies side by side along the columns, and a row or more apart along the sum. */
function isFarDown(term: Expr, column: Iter, row: Iter): boolean {
  const loads = loadsIn([term]);
  const isFar = ({ index }: (typeof loads)[number]): boolean => (strideOf(index, row) ?? 0) >= column.extent;
  return (
    loads.some(isFar) &&
    loads.every(at => isInBounds(at.buffer, at.index) && strideOf(at.index, column) === 1 && isFar(at))
  );
}

function blocked({ column, accumulator, start, outer, row, term, rest }: ColumnSum): Stmt {
  const block = makeIter('b', column.extent / BLOCK);
  const rows = makeIter(row.name, row.extent / ROWS);
  const sums: Buffer = { ...accumulator, name: 'sums', size: BLOCK, scope: 'local' };
  const each = (body: (at: Expr, values: ReadonlyMap<Iter, Expr>) => readonly Stmt[]): Stmt[] => {
    const within = makeIter('c', BLOCK);
    const position = addIndex(mulIndex(iterOf(block), BLOCK), iterOf(within));
    return nest([within], 'parallel', body(iterOf(within), new Map([[column, position]])));
  };
  const added = (at: Expr, values: ReadonlyMap<Iter, Expr>): Expr =>
    Array.from({ length: ROWS }, (_, r) => addIndex(mulIndex(iterOf(rows), ROWS), r)).reduce<Expr>(
      (sum, position) => call('add', sum, substitute(term, new Map([...values, [row, position]]))),
      load(sums, at),
    );
  const finished = (at: Expr, values: ReadonlyMap<Iter, Expr>): Stmt[] =>
    rest.map(stmt =>
      mapStmtExprs(stmt, root =>
        mapExpr(root, part => {
          if (part.kind === 'load' && part.buffer === accumulator) return load(sums, at);
          return part.kind === 'iter' ? (values.get(part.iter) ?? null) : null;
        }),
      ),
    );
  return loop(block, 'parallel', [
    alloc(sums, [
      ...each((at, values) => [store(sums, at, substitute(start, values))]),
      ...nest(
        [...outer, rows],
        'serial',
        each((at, values) => [store(sums, at, added(at, values))]),
      ),
      ...each(finished),
    ]),
  ]);
}
