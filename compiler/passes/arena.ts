/**
 * Places in one arena for blocks with lifetimes: blocks alive at once do not overlap, and the arena is small.
 *
 * Greedy by size, each into the smallest gap that fits among the blocks alive with it: Pisarchyk and Lee, "Efficient Memory
 * Management for Deep Neural Net Inference" (2020), section 5. Where that misses the lower bound, other orders are tried, and
 * in each the trouble-maker goes first the next time (squeaky wheel optimisation, Joslin and Clements 1999).
 */

export interface Block {
  readonly bytes: number;
  /** First and last moment at which it is alive, both included. */
  readonly first: number;
  readonly last: number;
}

export interface Placement {
  /** Of each block, in the order given. */
  readonly offsets: readonly number[];
  readonly bytes: number;
}

/** Every place starts at a multiple of this: a cache line, and what vector loads and CUDA like. */
export const alignment = 64;
export const align = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/** No arena can be smaller: the most bytes alive at one moment. */
export function mostAlive(blocks: readonly Block[]): number {
  const at = (moment: number): number =>
    blocks.reduce((sum, block) => sum + (block.first <= moment && moment <= block.last ? align(block.bytes) : 0), 0);
  return blocks.reduce((most, block) => Math.max(most, at(block.first)), 0);
}

const orders: readonly ((a: Block, b: Block) => number)[] = [
  (a, b) => b.bytes - a.bytes || a.first - b.first,
  (a, b) => b.bytes * (b.last - b.first + 1) - a.bytes * (a.last - a.first + 1),
  (a, b) => b.last - b.first - (a.last - a.first) || b.bytes - a.bytes,
];

/** Placements tried of each order, the block that lies highest placed first the next time. */
const rounds = 16;

export function placeBlocks(blocks: readonly Block[]): Placement {
  const bound = mostAlive(blocks);
  let best: Placement = { offsets: [], bytes: Number.POSITIVE_INFINITY };
  for (const order of orders) {
    const sequence = blocks.map((_, i) => i).sort((a, b) => order(blocks[a], blocks[b]));
    for (let round = 0; round < rounds; round++) {
      const placement = placeInOrder(blocks, sequence);
      if (placement.bytes < best.bytes) best = placement;
      if (best.bytes === bound) return best;
      const highest = sequence.findIndex(i => placement.offsets[i] + align(blocks[i].bytes) === placement.bytes);
      sequence.unshift(...sequence.splice(highest, 1));
    }
  }
  return best;
}

/** Blocks that have their place, from low offsets to high ones. */
interface Taken {
  readonly block: Block;
  readonly start: number;
  readonly end: number;
}

function placeInOrder(blocks: readonly Block[], sequence: readonly number[]): Placement {
  const offsets = new Array<number>(blocks.length).fill(0);
  const taken: Taken[] = [];
  let bytes = 0;
  for (const i of sequence) {
    const block = blocks[i];
    const size = align(block.bytes);
    const start = smallestGap(block, size, taken);
    const end = start + size;
    taken.splice(positionAfter(start, taken), 0, { block, start, end });
    offsets[i] = start;
    bytes = Math.max(bytes, end);
  }
  return { offsets, bytes };
}

/** The start of the tightest gap of `size` bytes between the blocks alive with one, else the end of them. */
function smallestGap({ first, last }: Block, size: number, taken: readonly Taken[]): number {
  let best = -1;
  let bestRoom = Number.POSITIVE_INFINITY;
  let free = 0;
  for (const { block, start, end } of taken) {
    if (first > block.last || block.first > last) continue;
    const room = start - free;
    if (room >= size && room < bestRoom) [best, bestRoom] = [free, room];
    free = Math.max(free, end);
  }
  return best < 0 ? free : best;
}

/** How many of the blocks start at an offset or below. */
function positionAfter(offset: number, taken: readonly Taken[]): number {
  let [low, high] = [0, taken.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (taken[middle].start <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
