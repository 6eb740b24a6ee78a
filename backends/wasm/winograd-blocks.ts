/**
 * How a fast convolution is cut into blocks: so many tiles that in the other basis they stay in a cache while the weights
 * go by, or all of them where the weights are more; and rows of weights likewise.
 */
import { addIndex, type Expr, type Iter, iterOf, makeIter, mulIndex } from '../../compiler/ir/kernel.js';
import type { Convolution } from './convolution.js';
import type { FastConvolution } from './cook-toom.js';
import { sizeOf } from './operand.js';

/** A counter as blocks of equal size; the last one may reach beyond its end. */
export class Cut {
  readonly outer: Iter;
  readonly inner: Iter;

  constructor(
    readonly name: string,
    readonly extent: number,
    readonly size: number,
  ) {
    this.outer = makeIter(`${name}b`, Math.ceil(extent / size));
    this.inner = makeIter(name, size);
  }

  get isCut(): boolean {
    return this.size < this.extent;
  }

  /** The whole counter, where that in the block is as given. */
  at(inner: Expr = iterOf(this.inner)): Expr {
    return addIndex(mulIndex(iterOf(this.outer), this.size), inner);
  }
}

export interface Blocks {
  readonly images: readonly Cut[];
  /** The tiles along each window. */
  readonly tiles: readonly Cut[];
  readonly rows: Cut;
}

/** Elements in the other basis that a block of tiles, and one of weights, may have; tiles also where weights are more. */
const MOST_TILES = 1 << 18;
const MOST_WEIGHTS = 1 << 17;
const MOST_TILES_AT_ONCE = 1 << 21;
/** Tiles of a block: beyond, elements of neighbouring channels lie so far apart that they drive each other out of caches. */
const MOST_COLUMNS = 256;

export function blocksOf({ images, windows, channels, row }: Convolution, form: FastConvolution): Blocks {
  const perTile = form.inputs ** windows.length * sizeOf(channels);
  const tileCounts = windows.map(({ place }) => Math.ceil(place.extent / form.outputs));
  const allTiles = perTile * sizeOf(images) * tileCounts.reduce((a, b) => a * b, 1);
  const most = Math.min(Math.max(MOST_TILES, perTile * row.extent), MOST_TILES_AT_ONCE);
  const counters = [
    ...images.map(({ name, extent }) => ({ name, extent })),
    ...windows.map(({ place }, d) => ({ name: `${place.name}t`, extent: tileCounts[d] })),
  ];
  const cuts = cutsWithin(counters, Math.min((allTiles <= most ? most : MOST_TILES) / perTile, MOST_COLUMNS));
  const inBlock = perTile * cuts.reduce((product, { size }) => product * size, 1);
  return {
    images: cuts.slice(0, images.length),
    tiles: cuts.slice(images.length),
    rows: new Cut(row.name, row.extent, divisor(row.extent, Math.max(MOST_WEIGHTS, inBlock) / perTile)),
  };
}

/** Counters cut so that a block has at most so many elements, the last ones as whole as possible and the very last whole. */
function cutsWithin(counters: readonly { name: string; extent: number }[], most: number): Cut[] {
  const cuts: Cut[] = [];
  let room = most;
  for (const { name, extent } of [...counters].reverse()) {
    const isLast = cuts.length === 0;
    const isFull = cuts.some(({ isCut }) => isCut);
    const size = isLast ? extent : isFull ? 1 : divisor(extent, room);
    room /= size;
    cuts.unshift(new Cut(name, extent, size));
  }
  return cuts;
}

/** The largest divisor that is not above a limit, and at least 1. */
function divisor(extent: number, limit: number): number {
  let size = Math.max(1, Math.min(extent, Math.floor(limit)));
  while (extent % size !== 0) size--;
  return size;
}
