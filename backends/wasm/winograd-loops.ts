/**
 * The loops of a fast convolution (`winograd.ts`): image and weights to the other basis, the contraction in it, and the
 * way back.
 */
import { arith as s } from '../../compiler/ir/arith.js';
import {
  addIndex,
  alloc,
  type Buffer,
  type Expr,
  type Iter,
  index,
  iterOf,
  load,
  makeIter,
  mulIndex,
  nest,
  type Stmt,
  select,
  store,
  subIndex,
  substitute,
  when,
} from '../../compiler/ir/kernel.js';
import { rowMajor, rowMajorOf } from '../../compiler/ir/nests.js';
import type { Convolution } from './convolution.js';
import type { FastConvolution } from './cook-toom.js';
import { LANES } from './emit-vector.js';
import { alongAllDims, local } from './matrix-loops.js';
import { type Contraction, epilogueAt, register, sizeOf, zero } from './operand.js';
import { type Blocks, blocksOf } from './winograd-blocks.js';

/** Cycles to bring an element to the other basis or back, and to put an output in its place. */
const TRANSFORM_COST = 2;
const OUTPUT_COST = 1;
/** Elements of scratch memory. */
const MOST_SCRATCH = 1 << 24;

const fresh = (iter: Iter): Iter => makeIter(iter.name, iter.extent);
const extentsOf = (iters: readonly Iter[]): number[] => iters.map(({ extent }) => extent);

export class WinogradLoops {
  /** Positions in the other basis. */
  readonly #positions: number;
  readonly #channels: number;
  /** Tiles of a block, and with those that fill its last vector. */
  readonly #tiles: number;
  readonly #columns: number;
  readonly #inTiles: Buffer;
  readonly #inWeights: Buffer;
  readonly #inProducts: Buffer;

  private constructor(
    readonly convolution: Convolution,
    readonly form: FastConvolution,
    readonly blocks: Blocks,
  ) {
    this.#positions = form.inputs ** this.#dims;
    this.#channels = sizeOf(convolution.channels);
    this.#tiles = sizeOf([...blocks.images, ...blocks.tiles].map(({ inner }) => inner));
    this.#columns = Math.ceil(this.#tiles / LANES) * LANES;
    this.#inTiles = local('tiles', [this.#positions, this.#channels, this.#columns]);
    this.#inWeights = local('weights', [this.#positions, this.#weightRows, this.#channels]);
    this.#inProducts = local('products', [this.#positions, blocks.rows.size, this.#columns]);
  }

  /** Null where they would take too much memory. */
  static of(convolution: Convolution, form: FastConvolution): WinogradLoops | null {
    const loops = new WinogradLoops(convolution, form, blocksOf(convolution, form));
    const scratch = [loops.#inTiles, loops.#inWeights, loops.#inProducts].reduce((sum, { size }) => sum + size, 0);
    return scratch <= MOST_SCRATCH ? loops : null;
  }

  /** The contraction over the channels, of one block of tiles and one of rows. */
  get product(): Contraction {
    const [p, t, c] = [makeIter('p', this.#positions), makeIter('t', this.#columns), makeIter('c', this.#channels)];
    const { rows } = this.blocks;
    const o = rows.inner;
    const accumulator = register('acc', 1);
    const row = this.#isOneBlock ? iterOf(o) : rows.at();
    return {
      parallel: [p, o, t],
      summed: [c],
      accumulator,
      left: load(this.#inWeights, this.#weightAt(iterOf(p), row, iterOf(c))),
      right: load(this.#inTiles, this.#tileAt(iterOf(p), iterOf(c), iterOf(t))),
      epilogue: [
        {
          kind: 'store',
          buffer: this.#inProducts,
          index: this.#productAt(iterOf(p), iterOf(o), iterOf(t)),
          value: load(accumulator, index(0)),
        },
      ],
    };
  }

  /** Estimated cycles, given those of the contraction. */
  cost(product: number): number {
    const { row, contraction } = this.convolution;
    const { images, tiles, rows } = this.blocks;
    const blocks = sizeOf([...images, ...tiles].map(({ outer }) => outer));
    const weights = this.#positions * row.extent * this.#channels;
    const perBlock = this.#inTiles.size + this.#inProducts.size * rows.outer.extent;
    return (
      product * blocks * rows.outer.extent +
      TRANSFORM_COST * (weights + blocks * perBlock) +
      OUTPUT_COST * sizeOf(contraction.parallel)
    );
  }

  /** All of it, given the statements of the contraction. */
  build(product: readonly Stmt[]): Stmt[] {
    const { images, tiles, rows } = this.blocks;
    const withWeights = (body: readonly Stmt[]): Stmt => alloc(this.#inWeights, [...this.#transformWeights(), ...body]);
    const ofRows = [alloc(this.#inProducts, [...product, ...this.#finish()])];
    const ofTiles = alloc(this.#inTiles, [
      ...this.#transformImage(),
      ...nest([rows.outer], 'parallel', this.#isOneBlock ? [withWeights(ofRows)] : ofRows),
    ]);
    if (this.#isOneBlock) return [ofTiles];
    const outer = [...images, ...tiles].map(cut => cut.outer);
    return [withWeights(nest(outer, 'parallel', [ofTiles]))];
  }

  get #dims(): number {
    return this.convolution.windows.length;
  }

  /** With all tiles in one block, weights change their basis block by block as they are used; else all of them ahead. */
  get #isOneBlock(): boolean {
    return [...this.blocks.images, ...this.blocks.tiles].every(({ isCut }) => !isCut);
  }

  get #weightRows(): number {
    return this.#isOneBlock ? this.blocks.rows.size : this.convolution.row.extent;
  }

  #weightAt(position: Expr, row: Expr, channel: Expr): Expr {
    return rowMajor([position, row, channel], [this.#positions, this.#weightRows, this.#channels]);
  }

  #tileAt(position: Expr, channel: Expr, tile: Expr): Expr {
    return rowMajor([position, channel, tile], [this.#positions, this.#channels, this.#columns]);
  }

  #productAt(position: Expr, row: Expr, tile: Expr): Expr {
    return rowMajor([position, row, tile], [this.#positions, this.blocks.rows.size, this.#columns]);
  }

  /** A position in a cube of so many elements along each window. */
  #inCube(at: readonly Expr[], size: number): Expr {
    return rowMajor(at, new Array<number>(this.#dims).fill(size));
  }

  // ── the image ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** For each channel: a padded copy of what the block reads, cut into tiles, to the other basis. */
  #transformImage(): Stmt[] {
    const { form, convolution } = this;
    const channels = convolution.channels.map(fresh);
    const inputs = local('inputs', [this.#positions, this.#columns]);
    const inputAt = (at: readonly Expr[], lane: Expr): Expr =>
      rowMajor([this.#inCube(at, form.inputs), lane], [this.#positions, this.#columns]);
    return nest(channels, 'parallel', [
      alloc(inputs, [
        ...this.#fillLastVector(inputs),
        ...this.#cutIntoTiles(inputs, inputAt, channels),
        ...alongAllDims({
          matrix: form.input,
          dims: this.#dims,
          lanes: this.#columns,
          read: (at, lane) => load(inputs, inputAt(at, lane)),
          write: (at, lane, value) =>
            store(this.#inTiles, this.#tileAt(this.#inCube(at, form.inputs), rowMajorOf(channels), lane), value),
        }),
      ]),
    ]);
  }

  #fillLastVector(inputs: Buffer): Stmt[] {
    const [position, rest] = [makeIter('p', this.#positions), makeIter('rest', this.#columns - this.#tiles)];
    if (rest.extent === 0) return [];
    const at = rowMajor([iterOf(position), addIndex(iterOf(rest), this.#tiles)], [this.#positions, this.#columns]);
    return nest([position, rest], 'parallel', [store(inputs, at, zero)]);
  }

  #cutIntoTiles(inputs: Buffer, inputAt: (at: readonly Expr[], lane: Expr) => Expr, channels: readonly Iter[]): Stmt[] {
    const { form, blocks } = this;
    const images = blocks.images.map(({ inner }) => inner);
    const tiles = blocks.tiles.map(({ inner }) => fresh(inner));
    const within = tiles.map(({ name }) => makeIter(`${name}i`, form.inputs));
    const sizes = blocks.tiles.map(({ size }) => size * form.outputs + form.taps - 1);
    const padded = local('padded', sizes);
    const from = tiles.map((tile, d) => addIndex(mulIndex(iterOf(tile), form.outputs), iterOf(within[d])));
    const copy = store(
      inputs,
      inputAt(within.map(iterOf), rowMajorOf([...images, ...tiles])),
      load(padded, rowMajor(from, sizes)),
    );
    // read along the one of the last two counters, written along the other
    const order = [...tiles.slice(0, -1), ...within, ...tiles.slice(-1)];
    return nest(images, 'parallel', [
      alloc(padded, [...this.#pad(padded, sizes, channels), ...nest(order, 'parallel', [copy])]),
    ]);
  }

  #pad(padded: Buffer, sizes: readonly number[], channels: readonly Iter[]): Stmt[] {
    const { form, convolution } = this;
    const { images, windows, image } = convolution;
    const { tiles } = this.blocks;
    const iters = windows.map(({ place }, d) => makeIter(place.name, sizes[d]));
    const at = iters.map((iter, d) =>
      addIndex(mulIndex(iterOf(tiles[d].outer), tiles[d].size * form.outputs), iterOf(iter)),
    );
    const values = new Map<Iter, Expr>([
      ...convolution.channels.map((iter, i) => [iter, iterOf(channels[i])] as const),
      ...images.map((iter, i) => [iter, this.blocks.images[i].at()] as const),
      ...windows.map(({ place, coordinate }, d) => [place, addIndex(at[d], coordinate.min)] as const),
      ...windows.map(({ tap }) => [tap, index(0)] as const),
    ]);
    const value = windows.reduce(
      (element, { coordinate }, d) => {
        const end = tiles[d].extent * form.outputs + form.taps - 1;
        return end <= coordinate.extent ? element : select(s.lt(at[d], coordinate.extent), element, zero);
      },
      substitute(image, values),
    );
    return nest(iters, 'parallel', [store(padded, rowMajorOf(iters), value)]);
  }

  // ── the weights ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** For each row: its weights tap by tap, to the other basis. */
  #transformWeights(): Stmt[] {
    const { form, convolution, blocks } = this;
    const row = makeIter(convolution.row.name, this.#weightRows);
    const channels = convolution.channels.map(fresh);
    const taps = convolution.windows.map(({ tap }) => fresh(tap));
    const gathered = local('gathered', extentsOf([...taps, ...channels]));
    const values = new Map<Iter, Expr>([
      [convolution.row, this.#isOneBlock ? blocks.rows.at(iterOf(row)) : iterOf(row)],
      ...convolution.channels.map((iter, i) => [iter, iterOf(channels[i])] as const),
      ...convolution.windows.map(({ tap, isFlipped }, d) => {
        const at = iterOf(taps[d]);
        return [tap, isFlipped ? subIndex(index(form.taps - 1), at) : at] as const;
      }),
    ]);
    const gather = store(gathered, rowMajorOf([...taps, ...channels]), substitute(convolution.weight, values));
    return nest([row], 'parallel', [
      alloc(gathered, [
        ...nest([...taps, ...channels], 'parallel', [gather]),
        ...alongAllDims({
          matrix: form.weight,
          dims: this.#dims,
          lanes: this.#channels,
          read: (at, lane) => load(gathered, rowMajor([...at, lane], [...extentsOf(taps), this.#channels])),
          write: (at, lane, value) =>
            store(this.#inWeights, this.#weightAt(this.#inCube(at, form.inputs), iterOf(row), lane), value),
        }),
      ]),
    ]);
  }

  // ── the outputs ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** For each row: products back from the other basis, tiles put together, and what comes after the sum. */
  #finish(): Stmt[] {
    const { form, blocks } = this;
    const row = fresh(blocks.rows.inner);
    const outputs = local('outputs', [form.outputs ** this.#dims, this.#columns]);
    const outputAt = (at: readonly Expr[], lane: Expr): Expr =>
      rowMajor([this.#inCube(at, form.outputs), lane], [form.outputs ** this.#dims, this.#columns]);
    return nest([row], 'parallel', [
      alloc(outputs, [
        ...alongAllDims({
          matrix: form.output,
          dims: this.#dims,
          lanes: this.#columns,
          read: (at, lane) => load(this.#inProducts, this.#productAt(this.#inCube(at, form.inputs), iterOf(row), lane)),
          write: (at, lane, value) => store(outputs, outputAt(at, lane), value),
        }),
        ...this.#putTogether(outputs, outputAt, row),
      ]),
    ]);
  }

  #putTogether(outputs: Buffer, outputAt: (at: readonly Expr[], lane: Expr) => Expr, row: Iter): Stmt[] {
    const { form, blocks } = this;
    const images = blocks.images.map(({ inner }) => inner);
    const tiles = blocks.tiles.map(({ inner }) => fresh(inner));
    const within = tiles.map(({ name }) => makeIter(`${name}o`, form.outputs));
    const sizes = blocks.tiles.map(({ size }) => size * form.outputs);
    const whole = local('whole', sizes);
    const to = tiles.map((tile, d) => addIndex(mulIndex(iterOf(tile), form.outputs), iterOf(within[d])));
    const copy = store(
      whole,
      rowMajor(to, sizes),
      load(outputs, outputAt(within.map(iterOf), rowMajorOf([...images, ...tiles]))),
    );
    const order = [...tiles.slice(0, -1), ...within.slice(0, -1), ...tiles.slice(-1), ...within.slice(-1)];
    return nest(images, 'parallel', [
      alloc(whole, [...nest(order, 'parallel', [copy]), ...this.#afterTheSum(whole, sizes, row)]),
    ]);
  }

  #afterTheSum(whole: Buffer, sizes: readonly number[], row: Iter): Stmt[] {
    const { contraction, images, windows, row: everyRow } = this.convolution;
    const { tiles, rows } = this.blocks;
    const iters = windows.map(({ place }, d) => makeIter(place.name, Math.min(sizes[d], place.extent)));
    const at = iters.map((iter, d) => addIndex(mulIndex(iterOf(tiles[d].outer), sizes[d]), iterOf(iter)));
    const values = new Map<Iter, Expr>([
      [everyRow, rows.at(iterOf(row))],
      ...images.map((iter, i) => [iter, this.blocks.images[i].at()] as const),
      ...windows.map(({ place }, d) => [place, at[d]] as const),
    ]);
    const element = load(whole, rowMajor(iters.map(iterOf), sizes));
    return iters.reduceRight<Stmt[]>(
      (body, iter, d) => {
        const { extent } = windows[d].place;
        const isWithin = tiles[d].isCut && tiles[d].outer.extent * sizes[d] > extent ? s.lt(at[d], extent) : null;
        return nest([iter], 'parallel', when(isWithin, body));
      },
      epilogueAt(contraction, values, element),
    );
  }
}
