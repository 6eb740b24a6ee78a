/**
 * Sums down the columns of a matrix go along its rows, many columns side by side: one after the other, each step would be
 * in another page, where the machine does not look ahead, and all of them in a few sets of the first cache.
 *
 *   parallel i<512: alloc register acc[1]:
 *     store acc[0] = 0; serial k<128: reduce acc[0] add= load x[k*512 + i]; store out[i] = load acc[0]
 * ->
 *   parallel b<2: alloc local sums[256]:
 *     parallel c<256: store sums[c] = 0
 *     serial k<8: parallel c<256:
 *       store sums[c] = load sums[c] + load x[k*8192 + b*256 + c] + … + load x[k*8192 + b*256 + c + 7680]
 *     parallel c<256: store out[b*256 + c] = load sums[c]
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

/** Columns side by side, at least and at most: their sums stay in the first cache, and there are several blocks for a team. */
const COLUMNS = [64, 256] as const;
/** Blocks are of whole cache lines. */
const LINE = 16;
/** Rows added in one step, for each time that the sums are loaded and stored. */
const ROWS = [16, 12, 8, 4] as const;
/**
 * Rows of all matrices in one step. Each is in another page, up to the end of which the machine reads ahead: the more of
 * them, the more is on its way from memory, up to so many.
 */
const STREAMS = 16;
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
  /** Of a block. */
  readonly columns: number;
  /** Of a step. */
  readonly rows: number;
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
  context.note(`columns along ${sum.column.name}`, `${sum.columns} at a time, ${sum.rows} rows in a step`);
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
  const columns = blockOf(column.extent);
  const matrices = loadsIn([term.value]).length;
  const rows = ROWS.find(count => row.extent % count === 0 && count * matrices <= STREAMS);
  if (columns === undefined || rows === undefined || elements < LARGE) return null;
  if (accumulator.dtype !== 'float32' || !isPlain || !isFarDown(term.value, column, row)) return null;
  const written = writesOf(rest);
  const isKept = !written.has(accumulator) && loadsIn([term.value, first.value]).every(at => !written.has(at.buffer));
  if (!isKept) return null;
  const outer = iters.slice(0, -1);
  return { column, columns, rows, accumulator, start: first.value, outer, row, term: term.value, rest };
}

/** The widest block of an even number of them, which suits two threads, or else of any. */
function blockOf(columns: number): number | undefined {
  const [least, most] = COLUMNS;
  const widths = Array.from({ length: most / LINE }, (_, i) => most - i * LINE).filter(
    width => width >= least && columns % width === 0,
  );
  return widths.find(width => columns % (2 * width) === 0) ?? widths[0];
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

function blocked({ column, columns, rows, accumulator, start, outer, row, term, rest }: ColumnSum): Stmt {
  const block = makeIter('b', column.extent / columns);
  const step = makeIter(row.name, row.extent / rows);
  const sums: Buffer = { ...accumulator, name: 'sums', size: columns, scope: 'local' };
  const each = (body: (at: Expr, values: ReadonlyMap<Iter, Expr>) => readonly Stmt[]): Stmt[] => {
    const within = makeIter('c', columns);
    const position = addIndex(mulIndex(iterOf(block), columns), iterOf(within));
    return nest([within], 'parallel', body(iterOf(within), new Map([[column, position]])));
  };
  const added = (at: Expr, values: ReadonlyMap<Iter, Expr>): Expr =>
    Array.from({ length: rows }, (_, r) => addIndex(mulIndex(iterOf(step), rows), r)).reduce<Expr>(
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
        [...outer, step],
        'serial',
        each((at, values) => [store(sums, at, added(at, values))]),
      ),
      ...each(finished),
    ]),
  ]);
}
