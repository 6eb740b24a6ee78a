/**
 * Tiles whose lanes are columns of the output: along the counter that moves it in steps of one, or along one of the other
 * operand, whose lanes are stored one by one; where rows are short, as those of small images are, these fill more of the
 * vectors.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  type Expr,
  type Iter,
  iterOf,
  load,
  loop,
  makeIter,
  mulIndex,
  nest,
  reduce,
  type Stmt,
  store,
  substitute,
  walkExpr,
} from '../../compiler/ir/kernel.js';
import { allExpressions, isRepeatable, loadsIn } from './accesses.js';
import { fitsLane, LANES } from './emit-vector.js';
import { isInBounds } from './frame.js';
import { replaceIters, strideOf } from './linear.js';
import {
  type Contraction,
  type Deviation,
  eachElement,
  epilogueAt,
  fetchCost,
  largest,
  mustStage,
  type Operand,
  type Plan,
  paysToStage,
  planStaging,
  register,
  type StagingPlan,
  sidesOf,
  sizeOf,
  staged,
  without,
  zero,
} from './operand.js';
import { isLongFunction } from './scalar.js';
import { axesOf, coordinatesOf, holds, type Layout } from './staging.js';
import { type Block, blockedColumns, type Piece, pieces, type Tile, tilesFor, type Width } from './tile.js';

/** Elements of the columns' operand that stay in the second-level cache while the rows go by. */
const COLUMN_BLOCK = 1 << 17;
/** Cycles to take a lane out of its vector and store it by itself. */
const SCATTER_COST = 4;

/** Plans whose lanes are output columns, of either operand. */
export function columnPlans(contraction: Contraction, deviations: readonly Deviation[]): Plan[] {
  const sides = sidesOf(contraction);
  const left: Operand = { name: 'a', value: contraction.left, iters: sides.left };
  const right: Operand = { name: 'b', value: contraction.right, iters: sides.right };
  return [[left, right] as const, [right, left] as const].flatMap(([columns, rows]) => {
    const lane = columns.iters.find(iter => isStoredWhole(contraction, iter)) ?? largest(columns.iters);
    if (lane === null || (lane.extent < LANES && !isStoredWhole(contraction, lane))) return [];
    const plans = deviations.map(deviation => columnPlan(contraction, sides.batch, columns, rows, lane, deviation));
    return plans.filter(plan => plan !== null);
  });
}

const isStoredWhole = ({ epilogue: [first] }: Contraction, lane: Iter): boolean => strideOf(first.index, lane) === 1;

function columnPlan(
  contraction: Contraction,
  batch: readonly Iter[],
  columns: Operand,
  rows: Operand,
  lane: Iter,
  deviation: Deviation,
): Plan | null {
  const { summed } = contraction;
  const row = largest(rows.iters);
  const axes = coordinatesOf(columns.value, [...columns.iters, ...summed]);
  const shared = columns.iters.filter(
    iter =>
      iter !== lane &&
      axes.some(axis => holds(axis, iter) && axis.members.some(member => summed.includes(member.iter))),
  );
  const outer = without(columns.iters, lane, ...shared);
  const tiling = (width: Width): Tiling | null =>
    tilingOf(columns, rows, { lane, row, shared, summed, width, deviation });
  const plain = tiling(1);
  if (plain === null) return null;

  const stagedNote = `${plain.rows ? ', rows staged' : ''}${plain.columns ? ', columns staged' : ''}`;
  const steps = sizeOf([...batch, ...outer, ...shared, ...without(rows.iters, row)]) * sizeOf(summed);
  const staging = (plain.rows?.cost ?? 0) * sizeOf(batch) + (plain.columns?.cost ?? 0) * sizeOf([...batch, ...outer]);
  const storing = isStoredWhole(contraction, lane) ? 0 : sizeOf(contraction.parallel) * SCATTER_COST;
  const { fetching, rowsInside } = fetchingOf(columns, rows, plain.tile, { lane, row, shared, summed });
  return {
    what: `columns along ${lane.name}, tiles of ${plain.tile.rows} x ${plain.tile.columns * LANES}${stagedNote}`,
    cost: steps * (plain.tile.cost + fetching) + staging + storing,
    build(width) {
      const { tile, rows: rowStaging, columns: columnStaging } = tiling(width) ?? plain;
      const [stagedRows, stagedColumns] = [rowStaging?.stage(), columnStaging?.stage()];
      const product = call('mul', stagedRows?.value ?? rows.value, stagedColumns?.value ?? columns.value);
      const most = Math.floor(COLUMN_BLOCK / (tile.columns * LANES * sizeOf(summed)));
      const columnBlocks = blockedColumns(lane, tile, (columnStaging?.panel ?? 0) > 0, most);
      const aroundRows = (body: (rows: Piece) => readonly Stmt[]): Stmt[] =>
        pieces(row, tile.rows).flatMap(piece => piece.around(body(piece)));
      const aroundColumns = ({ tiles }: Block, body: (columns: Piece) => readonly Stmt[]): Stmt[] =>
        nest(
          shared,
          'parallel',
          tiles.flatMap(piece => piece.around(body(piece))),
        );
      const one = (rows: Piece, columns: Piece): Stmt[] => [columnTile(contraction, product, rows, columns, width)];
      const tiles = columnBlocks.flatMap(block =>
        block.around(
          rowsInside
            ? aroundColumns(block, columnPiece => aroundRows(rowPiece => one(rowPiece, columnPiece)))
            : aroundRows(rowPiece => aroundColumns(block, columnPiece => one(rowPiece, columnPiece))),
        ),
      );
      const inner = staged(stagedColumns, nest(without(rows.iters, row), 'parallel', tiles));
      return nest(batch, 'parallel', staged(stagedRows, nest(outer, 'parallel', inner)));
    },
  };
}

/**
 * Which operand goes by a tile of the other, which stays in the first cache meanwhile: a block of the columns, or, where these
 * share a coordinate with what is summed and cannot be cut into blocks, all rows if that costs less. `fetching`: cycles of
 * one step of the sum, as those of a tile.
 */
function fetchingOf(
  columns: Operand,
  rows: Operand,
  tile: Tile,
  { lane, row, shared, summed }: Pick<Counters, 'lane' | 'row' | 'shared' | 'summed'>,
): { fetching: number; rowsInside: boolean } {
  const vectors = Math.ceil(lane.extent / LANES);
  const tilesOf = { rows: (row?.extent ?? 1) / tile.rows, columns: vectors / tile.columns };
  const allColumns = sizeOf(coordinatesOf(columns.value, [lane, ...shared, ...summed]));
  const block = shared.length > 0 ? allColumns : Math.min(allColumns, COLUMN_BLOCK);
  const columnsInside = tilesOf.rows * vectors * fetchCost(block);
  if (shared.length === 0) return { fetching: columnsInside, rowsInside: false };
  const allRows = fetchCost(sizeOf([...rows.iters, ...summed])) * ((row?.extent ?? 1) / LANES);
  const oneTile = fetchCost(tile.columns * LANES * sizeOf(summed)) * tile.columns * tilesOf.rows;
  const rowsInside = tilesOf.columns * (allRows + oneTile);
  return { fetching: Math.min(columnsInside, rowsInside), rowsInside: rowsInside < columnsInside };
}

/** The tile, and how the operands are staged for it, where they are. */
interface Tiling {
  readonly tile: Tile;
  readonly rows: StagingPlan | undefined;
  readonly columns: StagingPlan | undefined;
}

interface Counters {
  readonly lane: Iter;
  readonly row: Iter | null;
  /** Counters of the columns that share a coordinate with a summed one. */
  readonly shared: readonly Iter[];
  readonly summed: readonly Iter[];
  readonly width: Width;
  readonly deviation: Deviation;
}

/** Null where there are not so many tiles, or staging would take too much memory. */
function tilingOf(columns: Operand, rows: Operand, counters: Counters): Tiling | null {
  const { lane, row, shared, summed, width, deviation } = counters;
  const tile = tilesFor(row?.extent ?? 1, Math.ceil(lane.extent / LANES), width)[deviation.tile];
  if (tile === undefined) return null;
  const rowReads = sizeOf(columns.iters) / (tile.columns * LANES);
  const columnReads = sizeOf(rows.iters) / tile.rows;
  const stageRows = mustStage(rows, null) || paysToStage(rows, summed, rowReads) !== deviation.rows;
  const stageColumns =
    lane.extent < LANES || mustStage(columns, lane) || paysToStage(columns, summed, columnReads) !== deviation.columns;
  const rowStaging = stageRows
    ? planStaging(rows, [...rows.iters, ...summed], { lane: row ?? summed[0], panel: row ? tile.rows : 0 })
    : undefined;
  const iters = [lane, ...shared, ...summed];
  const columnStaging = stageColumns
    ? planStaging(columns, iters, columnLayout(columns, iters, lane, tile))
    : undefined;
  return rowStaging === null || columnStaging === null ? null : { tile, rows: rowStaging, columns: columnStaging };
}

/**
 * Panels as wide as a tile; where lanes share a coordinate with summed counters, the rows are kept whole and overlap.
 */
function columnLayout({ value }: Operand, iters: readonly Iter[], lane: Iter, tile: Tile): Layout {
  const whole = axesOf(value, iters, { lane, panel: 0 });
  const overlapping = whole.last.members.length > 1 && lane.extent >= LANES;
  return { lane, panel: overlapping ? 0 : tile.columns * LANES };
}

/** A tile of rows × vectors of columns. */
function columnTile(contraction: Contraction, product: Expr, rows: Piece, columns: Piece, width: Width): Stmt {
  const tile = register('tile', rows.count * columns.count * LANES);
  const lane = makeIter('l', LANES);
  const element = (row: Expr, column: number, at: Expr): Expr =>
    addIndex(mulIndex(row, columns.count * LANES), addIndex(at, column * LANES));
  const vectors = (row: Expr, column: number, stmt: (place: Expr, at: Expr) => Stmt): Stmt =>
    loop(lane, 'vector', [stmt(element(row, column, iterOf(lane)), addIndex(columns.start(column), iterOf(lane)))]);
  const at = (row: Expr, column: Expr): Map<Iter, Expr> => new Map([...rows.values(row), ...columns.valuesAt(column)]);

  const finish = (sums: Buffer, row: Expr, c: number): Stmt[] => {
    const lanes = makeIter('l', LANES);
    const values = at(row, addIndex(columns.start(c), iterOf(lanes)));
    const statements = epilogueAt(contraction, values, load(sums, element(row, c, iterOf(lanes))));
    return finished(statements, lanes, columns.valid(c));
  };
  const accumulate = [
    eachElement(rows, columns, (row, c) => [vectors(row, c, place => store(tile, place, zero))]),
    ...nest(contraction.summed, 'serial', [
      eachElement(rows, columns, (row, c) => [
        vectors(row, c, (place, column) => reduce(tile, place, 'add', substitute(product, at(row, column)))),
      ]),
    ]),
  ];
  if (!isFinishedApart(contraction, width))
    return alloc(tile, [...accumulate, eachElement(rows, columns, (row, c) => finish(tile, row, c))]);
  const sums: Buffer = { ...tile, name: 'sums', scope: 'local' };
  const keep = eachElement(rows, columns, (row, c) => [
    vectors(row, c, place => store(sums, place, load(tile, place))),
  ]);
  const r = makeIter('r', rows.count);
  const finishRow = Array.from({ length: columns.count }, (_, c) => finish(sums, iterOf(r), c)).flat();
  return alloc(sums, [alloc(tile, [...accumulate, keep]), ...nest([r], 'parallel', finishRow)]);
}

/**
 * The statements after a sum for a vector of columns of which only some are to be stored: all the same where the others have
 * what is stored there already, else one by one, of what is computed for all.
 */
function finished(statements: readonly Store[], lanes: Iter, { first, last }: ReturnType<Piece['valid']>): Stmt[] {
  const isMovedBack = last === LANES;
  if (last - first === LANES || (isMovedBack && isRepeatable(statements))) return [loop(lanes, 'vector', statements)];
  const one = makeIter('l', last - first);
  const atOne = new Map([[lanes, addIndex(iterOf(one), first)]]);
  const isVector = statements.every(({ buffer }) => fitsLane(buffer.dtype)) && (isMovedBack || staysInside(statements));
  if (!isVector) return [loop(one, 'unroll', replaceIters(statements, atOne))];
  return statements.map(({ buffer, index, value }) => {
    const values: Buffer = { name: 'last', dtype: buffer.dtype, size: LANES, scope: 'register' };
    return alloc(values, [
      loop(lanes, 'vector', [store(values, iterOf(lanes), value)]),
      loop(one, 'unroll', [store(buffer, substitute(index, atOne), load(values, atOne.get(lanes)!))]),
    ]);
  });
}

type Store = Contraction['epilogue'][number];

const staysInside = (statements: readonly Store[]): boolean =>
  loadsIn(allExpressions(statements)).every(({ buffer, index }) => isInBounds(buffer, index));

/** Steps of a sum beside which storing it and reading it back costs nothing. */
const LONG_SUM = 512;

/**
 * Whether the sums of a tile are stored, and finished in a loop of their own. Functions of many instructions, written out for
 * every vector, would leave its registers and fill pages; anything else, too, leaves the registers to long sums; and
 * neighbouring operations are made one only if nothing but stores comes after them.
 */
function isFinishedApart({ epilogue, summed }: Contraction, width: Width): boolean {
  if (width > 1 || sizeOf(summed) >= LONG_SUM) return epilogue.some(({ value }) => value.kind !== 'load');
  return allExpressions(epilogue).some(isLong);
}

function isLong(root: Expr): boolean {
  let found = false;
  walkExpr(root, expr => {
    found ||= expr.kind === 'call' && isLongFunction(expr.fn, expr.args[0].dtype);
  });
  return found;
}
