/**
 * Tiles whose lanes are steps of the sum: each element is a vector of partial sums, added up at the end. For operands
 * that both have a summed counter contiguous, as in a product with a transposed matrix and in matrix times vector.
 *
 *   parallel n<32: alloc register acc[1]: … serial k<128: reduce acc[0] add= mul(load x[k], load w[n*128 + k]) …
 * ->
 *   parallel nt<5: alloc register tile[24]: …
 *     serial kt<32: unroll c<6: vector l<4:
 *       reduce tile[c*4 + l] add= mul(load x[kt*4 + l], load w[(nt*6+c)*128 + kt*4 + l])
 *     … store out[nt*6 + c] = the sum of tile[c*4] … tile[c*4 + 3]
 *
 * Rows of a large matrix that only a vector is multiplied by come from memory faster one after the other than side by side:
 * they are left as they are, and become vectors as any sum does.
 */
import { arith as s } from '../../compiler/ir/arith.js';
import {
  addIndex,
  alloc,
  call,
  type Expr,
  type Iter,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  mulIndex,
  nest,
  reduce,
  type Stmt,
  select,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import { LANES } from './emit-vector.js';
import { strideOf } from './linear.js';
import {
  type Contraction,
  type Deviation,
  eachElement,
  epilogueAt,
  fetchCost,
  largest,
  type Operand,
  type Plan,
  plainIndex,
  planStaging,
  register,
  sidesOf,
  sizeOf,
  staged,
  without,
  zero,
} from './operand.js';
import { type Piece, pieces, tilesFor } from './tile.js';

/**
 * Plans whose lanes are a summed counter, contiguous in both operands: each tile element is a vector, summed up at the
 * end.
 */
export function sumPlans(contraction: Contraction, deviations: readonly Deviation[]): Plan[] {
  const sides = sidesOf(contraction);
  const operands: Operand[] = [
    { name: 'a', value: contraction.left, iters: sides.left },
    { name: 'b', value: contraction.right, iters: sides.right },
  ];
  return contraction.summed.flatMap(lane => {
    if (lane.extent < LANES) return [];
    const plans = deviations.map(deviation => sumPlan(contraction, sides.batch, operands, lane, deviation));
    return [...plans, rowByRowPlan(contraction, operands, lane)].filter(plan => plan !== null);
  });
}

/**
 * Elements from which on a matrix is taken to come from memory: of models so large, little stays in a cache from one run to
 * the next.
 */
const FROM_MEMORY = 7 << 16;
/**
 * Cycles that a vector takes of a row by itself, with four partial sums, and what it waits for more where rows from memory are
 * read side by side: measured on matrices of 2 and 5 MB, 92 against 63 and 214 against 152 µs, from a cache 66 against 84.
 */
const ROW_COST = 2.25;
const SIDE_BY_SIDE_COST = 1.8;

const isReadFromMemory = ([a, b]: readonly Operand[], summed: readonly Iter[]): boolean =>
  Math.min(sizeOf(a.iters), sizeOf(b.iters)) === 1 && sizeOf([...a.iters, ...b.iters, ...summed]) >= FROM_MEMORY;

/** The loops as they are: lanes go along the innermost one. */
function rowByRowPlan(contraction: Contraction, operands: readonly Operand[], lane: Iter): Plan | null {
  const { parallel, summed, accumulator, left, right, epilogue } = contraction;
  const isPlain = operands.every(({ value }) => isAlong(value, lane));
  if (!isPlain || summed.at(-1) !== lane || !isReadFromMemory(operands, summed)) return null;
  const term = reduce(accumulator, index(0), 'add', call('mul', left, right));
  const sum = [store(accumulator, index(0), zero), ...nest(summed, 'serial', [term]), ...epilogue];
  return {
    what: `sums along ${lane.name}, row by row`,
    cost: sizeOf([...parallel, ...summed]) * (ROW_COST / LANES) + sizeOf(parallel) * LANE_SUM_COST,
    build: () => nest(parallel, 'parallel', [alloc(accumulator, sum)]),
  };
}

function isAlong(value: Expr, lane: Iter): boolean {
  const at = plainIndex(value);
  return at !== null && strideOf(at, lane) === 1;
}

/** Cycles to add up the lanes of one vector and store the result. */
const LANE_SUM_COST = 8;

function sumPlan(
  contraction: Contraction,
  batch: readonly Iter[],
  operands: readonly Operand[],
  lane: Iter,
  deviation: Deviation,
): Plan | null {
  const { summed } = contraction;
  const [rows, columns] = operands;
  const [row, column] = [largest(rows.iters), largest(columns.iters)];
  const tile = tilesFor(row?.extent ?? 1, column?.extent ?? 1)[deviation.tile];
  if (tile === undefined) return null;
  const isReadOnce = sizeOf([...rows.iters, ...columns.iters]) === 1;
  const stagings = operands.map(operand => {
    if (isAlong(operand.value, lane)) return undefined;
    if (isReadOnce) return null;
    return planStaging(operand, [...operand.iters, ...summed], { lane, panel: 0 });
  });
  if (stagings.includes(null)) return null;
  const outside = sizeOf([...batch, ...without(rows.iters, row), ...without(columns.iters, column)]);
  const steps = sizeOf(without(summed, lane)) * Math.ceil(lane.extent / LANES);
  const outputs = outside * (row?.extent ?? 1) * (column?.extent ?? 1);
  const staging = stagings.reduce((sum, plan) => sum + (plan?.cost ?? 0), 0) * sizeOf(batch);
  // the larger operand comes from memory once, the smaller one stays in a cache
  const outer = sizeOf(rows.iters) >= sizeOf(columns.iters) ? 0 : 1;
  const outerTile = outer === 0 ? tile.rows : tile.columns;
  const fetching = (fetchCost(sizeOf([...operands[1 - outer].iters, ...summed])) * outputs) / outerTile;
  const waiting = outerTile > 1 && isReadFromMemory(operands, summed) ? outputs * SIDE_BY_SIDE_COST : 0;
  return {
    what: `sums along ${lane.name}, tiles of ${tile.rows} x ${tile.columns}${stagings.some(Boolean) ? ', staged' : ''}`,
    cost: steps * (outside * tile.cost + fetching + waiting) + outputs * LANE_SUM_COST + staging,
    build() {
      const [left, right] = stagings.map(plan => plan?.stage());
      const product = call('mul', left?.value ?? rows.value, right?.value ?? columns.value);
      const sides = [
        { others: without(rows.iters, row), pieces: pieces(row, tile.rows) },
        { others: without(columns.iters, column), pieces: pieces(column, tile.columns) },
      ];
      const around = (side: number, body: (piece: Piece) => Stmt[]): Stmt[] =>
        nest(
          sides[side].others,
          'parallel',
          sides[side].pieces.flatMap(piece => piece.around(body(piece))),
        );
      const loops =
        outer === 0
          ? around(0, r => around(1, c => [sumTile(contraction, product, r, c, lane)]))
          : around(1, c => around(0, r => [sumTile(contraction, product, r, c, lane)]));
      return nest(batch, 'parallel', staged(left, staged(right, loops)));
    },
  };
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
