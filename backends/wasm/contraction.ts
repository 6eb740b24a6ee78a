/**
 * The schedule of contractions: matmul, convolution and the gradients of both, in whatever order their loops come.
 *
 * Recognised is the plain nest of a sum of products; its counters are told apart by who reads them. One side of the product
 * gives the rows of a register tile, the other its columns; the lanes of vectors run along a column counter that moves the
 * output in steps of one, or, where both operands have it contiguous, along a summed counter:
 *
 *   parallel m<64: parallel n<32: alloc register acc[1]:
 *     store acc[0] = 0
 *     serial k<128: reduce acc[0] add= mul(load a[m*128 + k], load b[k*32 + n])
 *     store out[m*32 + n] = max(load acc[0], 0)
 * ->
 *   parallel mt<16: parallel nt<4: alloc register tile[32]:
 *     unroll r<4: unroll c<2: vector l<4: store tile[r*8 + c*4 + l] = 0
 *     serial k<128: unroll r<4: unroll c<2: vector l<4:
 *       reduce tile[r*8 + c*4 + l] add= mul(load a[(mt*4+r)*128 + k], load b[k*32 + nt*8 + c*4 + l])
 *     unroll r<4: unroll c<2: vector l<4: store out[…] = max(load tile[r*8 + c*4 + l], 0)
 *
 * An operand that a tile cannot read as it stands is staged first (`staging.ts`). A last column tile that is not whole is
 * moved back to end with the edge, computes some columns twice, and stores only the new ones.
 */

import { arith as s } from '../../compiler/ir/arith.js';
import {
  addIndex,
  affineOf,
  alloc,
  type Buffer,
  call,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  itersOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapExpr,
  mapStmtExprs,
  mulIndex,
  nest,
  reduce,
  type Stmt,
  select,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { LANES } from './emit-vector.js';
import { isInBounds } from './frame.js';
import { collapse, perfectNest, strideOf } from './linear.js';
import { axesOf, coordinatesOf, holds, type Layout, type Staged, stage, stagedSize } from './staging.js';
import { blockedColumns, type Piece, pieces, type Tile, tileFor } from './tile.js';

/** The parts of a contraction: out[parallel] = epilogue(sum over summed of left · right). */
interface Contraction {
  readonly parallel: readonly Iter[];
  readonly summed: readonly Iter[];
  readonly accumulator: Buffer;
  readonly left: Expr;
  readonly right: Expr;
  readonly epilogue: readonly Extract<Stmt, { kind: 'store' }>[];
}

export const tileContractions: Pass<Kernel> = {
  name: 'tile-contractions',
  doc: 'Sums of products become register tiles of vectors, over operands staged in scratch memory where needed.',
  run(kernel, context) {
    const body = kernel.body.map(stmt => schedule(stmt, context) ?? stmt);
    return body.every((stmt, i) => stmt === kernel.body[i]) ? kernel : { ...kernel, body };
  },
};

function schedule(stmt: Stmt, context: PassContext): Stmt | null {
  const found = recognise(stmt);
  if (found === null) return null;
  const contraction = merged(found);
  const plans = [...columnPlans(contraction), ...sumPlans(contraction)];
  if (plans.length === 0) {
    context.note('left plain', 'no counter moves the output or both operands in steps of one');
    return null;
  }
  const best = plans.reduce((a, b) => (b.cost < a.cost ? b : a));
  context.note(best.what, `about ${Math.round(best.cost)} cycles, the least of ${plans.length} plans`);
  return best.build();
}

// ── recognising ────────────────────────────────────────────────────────────────────────────────────────────────────────

function recognise(stmt: Stmt): Contraction | null {
  const { iters: parallel, body } = perfectNest([stmt], 'parallel');
  const [accumulation] = body;
  if (body.length !== 1 || accumulation.kind !== 'alloc') return null;
  const { buffer: accumulator } = accumulation;
  const [start, sum, ...rest] = accumulation.body;
  if (accumulator.dtype !== 'float32' || accumulator.size !== 1 || !isZero(start, accumulator) || sum?.kind !== 'loop')
    return null;
  const { iters: summed, body: step } = perfectNest([sum], 'serial');
  const [term] = step;
  if (step.length !== 1 || term.kind !== 'reduce' || term.buffer !== accumulator || term.fn !== 'add') return null;
  const { value } = term;
  if (value.kind !== 'call' || value.fn !== 'mul') return null;
  const epilogue = rest.filter(tail => tail.kind === 'store');
  if (epilogue.length !== rest.length || rest.length === 0) return null;
  return { parallel, summed, accumulator, left: value.args[0], right: value.args[1], epilogue };
}

const isZero = (stmt: Stmt | undefined, buffer: Buffer): boolean =>
  stmt?.kind === 'store' && stmt.buffer === buffer && stmt.value.kind === 'const' && stmt.value.value === 0;

/** Neighbouring loops merged where every index allows it. */
function merged(contraction: Contraction): Contraction {
  const { left, right, epilogue } = contraction;
  const expressions = [left, right, ...epilogue.flatMap(stmt => [stmt.index, stmt.value])];
  const [parallel, summed] = [collapse(contraction.parallel, expressions), collapse(contraction.summed, expressions)];
  const values = new Map([...parallel.values, ...summed.values]);
  const replace = (expr: Expr): Expr => substitute(expr, values);
  return {
    ...contraction,
    parallel: parallel.iters,
    summed: summed.iters,
    left: replace(left),
    right: replace(right),
    epilogue: epilogue.map(stmt => mapStmtExprs(stmt, replace) as typeof stmt),
  };
}

/** The parallel counters by the operands that read them. */
function sidesOf({ parallel, left, right }: Contraction): { batch: Iter[]; left: Iter[]; right: Iter[] } {
  const [inLeft, inRight] = [itersOf(left), itersOf(right)];
  return {
    batch: parallel.filter(iter => inLeft.has(iter) === inRight.has(iter)),
    left: parallel.filter(iter => inLeft.has(iter) && !inRight.has(iter)),
    right: parallel.filter(iter => inRight.has(iter) && !inLeft.has(iter)),
  };
}

// ── planning ───────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Plan {
  readonly what: string;
  /** Estimated cycles. */
  readonly cost: number;
  build(): Stmt;
}

/** One factor of the product, and the parallel counters only it reads. */
interface Operand {
  readonly name: string;
  readonly value: Expr;
  readonly iters: readonly Iter[];
}

const sizeOf = (iters: readonly Iter[]): number => iters.reduce((size, { extent }) => size * extent, 1);
const largest = (iters: readonly Iter[]): Iter | null =>
  iters.reduce<Iter | null>((a, b) => (a === null || b.extent > a.extent ? b : a), null);
const without = (iters: readonly Iter[], ...some: readonly (Iter | null)[]): Iter[] =>
  iters.filter(iter => !some.includes(iter));

/** The index of an operand that is a mere load which may always be made, moving evenly with all counters; null otherwise. */
function plainIndex(value: Expr): Expr | null {
  if (value.kind !== 'load' || value.dtype !== 'float32' || !isInBounds(value.buffer, value.index)) return null;
  return affineOf(value.index).terms.every(({ expr }) => expr.kind === 'iter') ? value.index : null;
}

/** Elements a strided read skips beyond which each step meets a new cache line, and panels pay off if read often. */
const FAR = 256;
const OFTEN = 8;
/** Elements of the columns' operand that stay in the second-level cache while the rows go by. */
const COLUMN_BLOCK = 1 << 17;
/** Scratch memory an operand may take, in elements. */
const MOST_STAGED = 1 << 24;
/** Cycles to evaluate and store one staged element: a copy by vectors, or a guarded expression. */
const COPY_COST = 1;
const EVALUATE_COST = 4;

/** Whether an operand should be staged so that `lane` is contiguous, given how often each element is read. */
function needsStaging({ value }: Operand, lane: Iter | null, summed: readonly Iter[], reads: number): boolean {
  const at = plainIndex(value);
  if (at === null) return true;
  if (lane !== null && strideOf(at, lane) !== 1) return true;
  return reads >= OFTEN && summed.some(k => Math.abs(strideOf(at, k) ?? 0) >= FAR && k.extent >= OFTEN);
}

interface StagingPlan {
  readonly cost: number;
  stage(): Staged;
  readonly panel: number;
}

/** Stage `operand` over `iters`, its lane counter innermost; null if that takes too much memory. */
function planStaging(operand: Operand, iters: readonly Iter[], layout: Layout): StagingPlan | null {
  const axes = axesOf(operand.value, iters, layout);
  const size = stagedSize(axes, layout);
  if (size > MOST_STAGED) return null;
  const copied = plainIndex(operand.value);
  const cost = size * (copied !== null && strideOf(copied, layout.lane) === 1 ? COPY_COST : EVALUATE_COST);
  return { cost, panel: layout.panel, stage: () => stage(operand.name, operand.value, iters, layout) };
}

/** Plans whose lanes are output columns: the counter that moves the output in steps of one. */
function columnPlans(contraction: Contraction): Plan[] {
  const sides = sidesOf(contraction);
  const [first] = contraction.epilogue;
  const lane = contraction.parallel.find(iter => strideOf(first.index, iter) === 1);
  if (lane === undefined) return [];
  const left: Operand = { name: 'a', value: contraction.left, iters: sides.left };
  const right: Operand = { name: 'b', value: contraction.right, iters: sides.right };
  const order = sides.left.includes(lane) ? [left, right] : sides.right.includes(lane) ? [right, left] : null;
  if (order === null) return [];
  const plan = columnPlan(contraction, sides.batch, order[0], order[1], lane);
  return plan === null ? [] : [plan];
}

function columnPlan(
  contraction: Contraction,
  batch: readonly Iter[],
  columns: Operand,
  rows: Operand,
  lane: Iter,
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
  const tile = tileFor(row?.extent ?? 1, Math.ceil(lane.extent / LANES));

  const rowReads = sizeOf([...columns.iters]) / (tile.columns * LANES);
  const columnReads = sizeOf([...rows.iters]) / tile.rows;
  const rowStaging = needsStaging(rows, null, summed, rowReads)
    ? planStaging(rows, [...rows.iters, ...summed], { lane: row ?? summed[0], panel: row ? tile.rows : 0 })
    : undefined;
  const mustStage = lane.extent < LANES || needsStaging(columns, lane, summed, columnReads);
  const columnStaging = mustStage
    ? planStaging(
        columns,
        [lane, ...shared, ...summed],
        columnLayout(columns, [lane, ...shared, ...summed], lane, tile),
      )
    : undefined;
  if (rowStaging === null || columnStaging === null) return null;

  const steps = sizeOf([...batch, ...outer, ...shared, ...without(rows.iters, row)]) * sizeOf(summed);
  const staging = (rowStaging?.cost ?? 0) * sizeOf(batch) + (columnStaging?.cost ?? 0) * sizeOf([...batch, ...outer]);
  return {
    what: `columns along ${lane.name}, tiles of ${tile.rows} x ${tile.columns * LANES}${rowStaging ? ', rows staged' : ''}${columnStaging ? ', columns staged' : ''}`,
    cost: steps * tile.cost + staging,
    build() {
      const [stagedRows, stagedColumns] = [rowStaging?.stage(), columnStaging?.stage()];
      const product = call('mul', stagedRows?.value ?? rows.value, stagedColumns?.value ?? columns.value);
      const most = Math.floor(COLUMN_BLOCK / (tile.columns * LANES * sizeOf(summed)));
      const columnBlocks = blockedColumns(lane, tile, (columnStaging?.panel ?? 0) > 0, most);
      const tiles = columnBlocks.flatMap(block =>
        block.around(
          pieces(row, tile.rows).flatMap(rowPiece =>
            rowPiece.around(
              nest(
                shared,
                'parallel',
                block.tiles.flatMap(columnPiece =>
                  columnPiece.around([columnTile(contraction, product, rowPiece, columnPiece)]),
                ),
              ),
            ),
          ),
        ),
      );
      const inner = staged(stagedColumns, nest(without(rows.iters, row), 'parallel', tiles));
      return only(nest(batch, 'parallel', staged(stagedRows, nest(outer, 'parallel', inner))));
    },
  };
}

/** Panels as wide as a tile; where lanes share a coordinate with summed counters, the rows are kept whole and overlap. */
function columnLayout({ value }: Operand, iters: readonly Iter[], lane: Iter, tile: Tile): Layout {
  const whole = axesOf(value, iters, { lane, panel: 0 });
  const overlapping = whole.last.members.length > 1 && lane.extent >= LANES;
  return { lane, panel: overlapping ? 0 : tile.columns * LANES };
}

/** Plans whose lanes are a summed counter, contiguous in both operands: each tile element is a vector, summed up at the end. */
function sumPlans(contraction: Contraction): Plan[] {
  const sides = sidesOf(contraction);
  const operands: Operand[] = [
    { name: 'a', value: contraction.left, iters: sides.left },
    { name: 'b', value: contraction.right, iters: sides.right },
  ];
  return contraction.summed.flatMap(lane => {
    if (lane.extent < LANES) return [];
    const plan = sumPlan(contraction, sides.batch, operands, lane);
    return plan === null ? [] : [plan];
  });
}

/** Cycles to add up the lanes of one vector and store the result. */
const LANE_SUM_COST = 8;

function sumPlan(
  contraction: Contraction,
  batch: readonly Iter[],
  operands: readonly Operand[],
  lane: Iter,
): Plan | null {
  const { summed } = contraction;
  const [rows, columns] = operands;
  const [row, column] = [largest(rows.iters), largest(columns.iters)];
  const tile = tileFor(row?.extent ?? 1, column?.extent ?? 1);
  const stagings = operands.map(operand => {
    const at = plainIndex(operand.value);
    if (at !== null && strideOf(at, lane) === 1) return undefined;
    return planStaging(operand, [...operand.iters, ...summed], { lane, panel: 0 });
  });
  if (stagings.includes(null)) return null;
  const outside = sizeOf([...batch, ...without(rows.iters, row), ...without(columns.iters, column)]);
  const steps = sizeOf(without(summed, lane)) * Math.ceil(lane.extent / LANES);
  const outputs = outside * (row?.extent ?? 1) * (column?.extent ?? 1);
  const staging = stagings.reduce((sum, plan) => sum + (plan?.cost ?? 0), 0) * sizeOf(batch);
  return {
    what: `sums along ${lane.name}, tiles of ${tile.rows} x ${tile.columns}${stagings.some(Boolean) ? ', operands staged' : ''}`,
    cost: outside * steps * tile.cost + outputs * LANE_SUM_COST + staging,
    build() {
      const [left, right] = stagings.map(plan => plan?.stage());
      const product = call('mul', left?.value ?? rows.value, right?.value ?? columns.value);
      const tiles = pieces(row, tile.rows).flatMap(rowPiece =>
        rowPiece.around(
          pieces(column, tile.columns).flatMap(columnPiece =>
            columnPiece.around([sumTile(contraction, product, rowPiece, columnPiece, lane)]),
          ),
        ),
      );
      const loops = nest([...without(rows.iters, row), ...without(columns.iters, column)], 'parallel', tiles);
      return only(nest(batch, 'parallel', staged(left, staged(right, loops))));
    },
  };
}

// ── building ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const staged = (operand: Staged | undefined, body: readonly Stmt[]): Stmt[] =>
  operand === undefined ? [...body] : [alloc(operand.buffer, [...operand.fill, ...body])];

/** One statement from several, for a kernel body that had one. */
const only = (stmts: readonly Stmt[]): Stmt =>
  stmts.length === 1 ? stmts[0] : loop(makeIter('once', 1), 'serial', stmts);

const register = (name: string, size: number): Buffer => ({ name, dtype: 'float32', size, scope: 'register' });
const zero = constant('float32', 0);

/** For each row of a tile, unrolled; for each of its columns, written out. */
function eachElement(rows: Piece, columns: Piece, body: (row: Expr, column: number) => Stmt[]): Stmt {
  const r = makeIter('r', rows.count);
  return loop(r, 'unroll', Array.from({ length: columns.count }, (_, c) => body(iterOf(r), c)).flat());
}

/** A tile of rows × vectors of columns. */
function columnTile(contraction: Contraction, product: Expr, rows: Piece, columns: Piece): Stmt {
  const tile = register('tile', rows.count * columns.count * LANES);
  const lane = makeIter('l', LANES);
  const element = (row: Expr, column: number, at: Expr): Expr =>
    addIndex(mulIndex(row, columns.count * LANES), addIndex(at, column * LANES));
  const vectors = (row: Expr, column: number, stmt: (place: Expr, at: Expr) => Stmt): Stmt =>
    loop(lane, 'vector', [stmt(element(row, column, iterOf(lane)), addIndex(columns.start(column), iterOf(lane)))]);
  const at = (row: Expr, column: Expr): Map<Iter, Expr> => new Map([...rows.values(row), ...columns.valuesAt(column)]);

  return alloc(tile, [
    eachElement(rows, columns, (row, c) => [vectors(row, c, place => store(tile, place, zero))]),
    ...nest(contraction.summed, 'serial', [
      eachElement(rows, columns, (row, c) => [
        vectors(row, c, (place, column) => reduce(tile, place, 'add', substitute(product, at(row, column)))),
      ]),
    ]),
    eachElement(rows, columns, (row, c) => {
      const { first, last } = columns.valid(c);
      const lanes = makeIter('l', last - first);
      const position = addIndex(iterOf(lanes), first);
      const values = at(row, addIndex(columns.start(c), position));
      return [
        loop(
          lanes,
          lanes.extent === LANES ? 'vector' : 'unroll',
          epilogueAt(contraction, values, load(tile, element(row, c, position))),
        ),
      ];
    }),
  ]);
}

/** A tile of rows × columns, each a vector of partial sums. */
function sumTile(contraction: Contraction, product: Expr, rows: Piece, columns: Piece, lane: Iter): Stmt {
  const tile = register('tile', rows.count * columns.count * LANES);
  const l = makeIter('l', LANES);
  const place = (row: Expr, column: number): Expr =>
    addIndex(mulIndex(row, columns.count * LANES), addIndex(iterOf(l), column * LANES));
  const at = (row: Expr, column: number): Map<Iter, Expr> =>
    new Map([...rows.values(row), ...columns.values(index(column))]);
  const accumulate = (first: Expr, keep: (value: Expr) => Expr): Stmt =>
    eachElement(rows, columns, (row, c) => {
      const value = substitute(product, at(row, c).set(lane, addIndex(first, iterOf(l))));
      return [loop(l, 'vector', [reduce(tile, place(row, c), 'add', keep(value))])];
    });

  const step = makeIter(lane.name, Math.floor(lane.extent / LANES));
  const rest = lane.extent % LANES;
  const whole = nest([step], 'serial', [accumulate(mulIndex(iterOf(step), LANES), value => value)]);
  const last =
    rest === 0
      ? []
      : [accumulate(index(lane.extent - LANES), value => select(s.ge(iterOf(l), LANES - rest), value, zero))];
  const total = register('total', 1);
  const u = makeIter('u', LANES);
  return alloc(tile, [
    eachElement(rows, columns, (row, c) => [loop(l, 'vector', [store(tile, place(row, c), zero)])]),
    ...nest(without(contraction.summed, lane), 'serial', [...whole, ...last]),
    eachElement(rows, columns, (row, c) => [
      alloc(total, [
        store(total, index(0), zero),
        loop(u, 'unroll', [
          reduce(
            total,
            index(0),
            'add',
            load(tile, addIndex(mulIndex(row, columns.count * LANES), addIndex(iterOf(u), c * LANES))),
          ),
        ]),
        ...epilogueAt(contraction, at(row, c), load(total, index(0))),
      ]),
    ]),
  ]);
}

/** The statements after the sum, for one element whose sum is `value`. */
function epilogueAt({ epilogue, accumulator }: Contraction, values: ReadonlyMap<Iter, Expr>, value: Expr): Stmt[] {
  const rewrite = (expr: Expr): Expr =>
    mapExpr(expr, part => {
      if (part.kind === 'load' && part.buffer === accumulator) return value;
      return part.kind === 'iter' ? (values.get(part.iter) ?? null) : null;
    });
  return epilogue.map(stmt => mapStmtExprs(stmt, rewrite));
}
