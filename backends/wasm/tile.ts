/**
 * The shape of register tiles, and how a counter is cut into whole tiles and a rest.
 *
 * A tile of MR rows and NV vectors of columns keeps MR·NV accumulators, NV vectors of one operand and one of the other
 * in the 16 vector registers. Its cost for one step of the sum is that of MR·NV products and sums or of its loads, whichever
 * is more (as many of each per cycle), and at least the latency of a sum.
 */
import {
  addIndex,
  type Expr,
  type Iter,
  index,
  iterOf,
  loop,
  makeIter,
  mulIndex,
  type Stmt,
} from '../../compiler/ir/kernel.js';
import { LANES } from './emit-vector.js';

const REGISTERS = 14;
const LATENCY = 5;
/** Cycles a loop takes besides its work. */
const LOOP = 1;

export interface Tile {
  readonly rows: number;
  /** In units of what a lane loop covers: vectors, or elements where lanes run along the sum. */
  readonly columns: number;
  /** Cycles of one step of the sum, over all rows and columns. */
  readonly cost: number;
}

const stepCost = (rows: number, columns: number): number => Math.max(rows * columns, rows + columns, LATENCY) + LOOP;
const fits = (rows: number, columns: number): boolean => rows + columns + rows * columns <= REGISTERS;

/** Vectors that a register of the machine holds: two where the engine makes one operation of two neighbouring ones. */
export type Width = 1 | 2;

/** Sizes of the pieces of `extent` in steps of `size`, with how often each occurs. */
const cut = (extent: number, size: number): [number, number][] =>
  (
    [
      [size, Math.floor(extent / size)],
      [extent % size, 1],
    ] as [number, number][]
  ).filter(([piece, times]) => piece > 0 && times > 0);

/** Tiles that cover rows × columns, their columns a multiple of the width: the one of least cost first. */
export function tilesFor(rows: number, columns: number, width: Width = 1): Tile[] {
  if (width > 1)
    return tilesFor(rows, Math.ceil(columns / width)).map(tile => ({
      ...tile,
      columns: Math.min(tile.columns * width, columns),
    }));
  const tiles: Tile[] = [];
  for (let r = 1; r <= rows; r++) {
    for (let c = 1; c <= columns && fits(r, c); c++) {
      let cost = 0;
      for (const [height, down] of cut(rows, r))
        for (const [width, across] of cut(columns, c)) cost += down * across * stepCost(height, width);
      tiles.push({ rows: r, columns: c, cost });
    }
  }
  return tiles.reverse().sort((a, b) => a.cost - b.cost);
}

/** Tiles along one counter: all whole ones in a loop, or the one at the end. */
export interface Piece {
  /** Rows, or columns (vectors or elements), of one tile. */
  readonly count: number;
  /** Put the loop over the tiles around statements. */
  around(body: readonly Stmt[]): Stmt[];
  /** What the counter stands for at element `at` of the tile. */
  values(at: Expr): [Iter, Expr][];
  /** What it stands for at an absolute position. */
  valuesAt(position: Expr): [Iter, Expr][];
  /** Position of the first lane of column vector `column`. */
  start(column: number): Expr;
  /** The lanes of that vector that are this tile's own to store. */
  valid(column: number): { first: number; last: number };
}

/** Cut a counter (or nothing, which is one row) into tiles of `count` and a rest. */
export function pieces(iter: Iter | null, count: number): Piece[] {
  if (iter === null) return [pieceOf(null, index(0), 1, bare)];
  const whole = Math.floor(iter.extent / count);
  const rest = iter.extent % count;
  return [
    ...(whole > 0 ? [tiles(iter, index(0), whole, count)] : []),
    ...(rest > 0 ? [pieceOf(iter, index(whole * count), rest, bare)] : []),
  ];
}

/** So many whole tiles of `count` from `start`, in a loop. */
function tiles(iter: Iter, start: Expr, times: number, count: number, lanes = 1): Piece {
  const tile = makeIter(`${iter.name}t`, times);
  return pieceOf(iter, addIndex(start, mulIndex(iterOf(tile), count * lanes)), count, around(tile));
}

const bare = (body: readonly Stmt[]): Stmt[] => [...body];

const around =
  (tile: Iter) =>
  (body: readonly Stmt[]): Stmt[] =>
    tile.extent === 1 ? [...body] : [loop(tile, 'parallel', body)];

function pieceOf(iter: Iter | null, first: Expr, count: number, wrap: Piece['around']): Piece {
  return {
    count,
    around: wrap,
    values: at => (iter === null ? [] : [[iter, addIndex(first, at)]]),
    valuesAt: position => (iter === null ? [] : [[iter, position]]),
    start: column => addIndex(first, column * LANES),
    valid: () => ({ first: 0, last: LANES }),
  };
}

/** Column tiles that are gone through together, in a loop over blocks. */
export interface Block {
  readonly around: Piece['around'];
  readonly tiles: readonly Piece[];
}

/** Cut a column counter into blocks of up to `most` tiles of vectors, the last one with what is left. */
export function blockedColumns(iter: Iter, tile: Tile, padded: boolean, most: number): Block[] {
  const width = tile.columns * LANES;
  const whole = Math.floor(iter.extent / width);
  const perBlock = Math.max(Math.min(most, whole), 1);
  const blocks = whole <= perBlock ? 0 : Math.floor(whole / perBlock);
  const block = makeIter(`${iter.name}b`, blocks);
  const inBlocks = blocks * perBlock;
  const last = [
    ...(whole > inBlocks ? [tiles(iter, index(inBlocks * width), whole - inBlocks, tile.columns, LANES)] : []),
    ...(iter.extent > whole * width ? [lastColumns(iter, whole * width, padded)] : []),
  ];
  return [
    ...(blocks > 0
      ? [
          {
            around: around(block),
            tiles: [tiles(iter, mulIndex(iterOf(block), perBlock * width), perBlock, tile.columns, LANES)],
          },
        ]
      : []),
    ...(last.length > 0 ? [{ around: bare, tiles: last }] : []),
  ];
}

/**
 * The columns that fill no tile. A last vector that is not whole is moved back to end with the counter, and only its
 * last lanes are new; in padded panels it stays, and only its first lanes count.
 */
function lastColumns(iter: Iter, first: number, padded: boolean): Piece {
  const piece = pieceOf(iter, index(first), Math.ceil((iter.extent - first) / LANES), bare);
  const partial = iter.extent % LANES;
  if (partial === 0) return piece;
  const isLast = (column: number): boolean => column === piece.count - 1;
  return {
    ...piece,
    start: column => (isLast(column) && !padded ? index(iter.extent - LANES) : piece.start(column)),
    valid(column) {
      if (!isLast(column)) return { first: 0, last: LANES };
      return padded ? { first: 0, last: partial } : { first: LANES - partial, last: LANES };
    },
  };
}
