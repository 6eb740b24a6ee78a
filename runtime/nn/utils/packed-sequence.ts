/**
 * Sequences of different lengths as PyTorch packs them: all first steps, then all second steps, …, the longest sequence first.
 *
 * In a compiled entry shapes are fixed, so there are two forms. Lengths that are plain numbers make a layout that is known
 * while tracing: `data` holds the steps that there are and nothing else. Lengths that are an input of the entry leave the
 * steps padded, with a mask of those that count; recurrent layers and `padPackedSequence` give the same for both.
 */
import { fail } from '../../../compiler/errors.js';
import { formatShape } from '../../../compiler/ir/shape.js';
import { requireValues } from '../../../compiler/ops/checks.js';
import { where } from '../../../compiler/ops/selection.js';
import { elements, isConstant, Tensor } from '../../../compiler/ops/tensor.js';
import { arange, tensor } from '../../creation.js';

/** The steps that there are: data [rows, …], and how many sequences reach each step. */
interface Rows {
  readonly data: Tensor;
  readonly batchSizes: Tensor;
  readonly sizes: readonly number[];
  /** Which sequence of the batch each of the sorted ones is, and back; null where the batch is sorted itself. */
  readonly sortedIndices: Tensor | null;
  readonly unsortedIndices: Tensor | null;
}
/** Steps of which some are padding: [longest, batch, …], zero beyond the lengths [batch]. */
interface Padded {
  readonly steps: Tensor;
  readonly lengths: Tensor;
}

const integers = (values: readonly number[]): Tensor => tensor(values, { dtype: 'int64' });
const numbersIn = (values: Tensor, what: string): number[] => elements(values, what).map(Number);

export class PackedSequence {
  readonly #rows: Rows | null;
  readonly #padded: Padded | null;

  /** For data that was computed from another one's: `new PackedSequence(embed.forward(packed.data), packed.batchSizes)`. */
  constructor(data: Tensor, batchSizes: Tensor, sortedIndices?: Tensor | null, unsortedIndices?: Tensor | null);
  /** @internal Use packPaddedSequence. */
  constructor(padded: Padded);
  constructor(
    given: Tensor | Padded,
    batchSizes?: Tensor,
    sortedIndices: Tensor | null = null,
    unsortedIndices: Tensor | null = null,
  ) {
    this.#padded = given instanceof Tensor ? null : given;
    this.#rows = given instanceof Tensor ? rowsOf(given, batchSizes as Tensor, sortedIndices, unsortedIndices) : null;
  }

  /** The steps of all sequences: [rows, …]. Throws E304 where the lengths are an input of the entry being traced. */
  get data(): Tensor {
    return this.#known('data').data;
  }
  /** How many sequences have a first step, a second, …: int64 [longest]. */
  get batchSizes(): Tensor {
    return this.#known('batchSizes').batchSizes;
  }
  get sortedIndices(): Tensor | null {
    return this.#known('sortedIndices').sortedIndices;
  }
  get unsortedIndices(): Tensor | null {
    return this.#known('unsortedIndices').unsortedIndices;
  }
  #known(what: string): Rows {
    return (
      this.#rows ??
      fail('E304', {
        problem: `'${what}' of a PackedSequence depends on lengths that are known only when the compiled entry runs`,
        hint: 'give the lengths as plain numbers, or compute on the padded steps before packing and after padPackedSequence',
      })
    );
  }

  /** Does the number of steps depend on values that are not known while tracing? */
  get hasOpenLengths(): boolean {
    return this.#rows === null;
  }
  get batchSize(): number {
    return this.#rows === null ? this.#padded!.steps.shape[1] : this.#rows.sizes[0];
  }
  /** How many steps the longest sequence has; where that is open, how many it may have. */
  get longest(): number {
    return this.#rows === null ? this.#padded!.steps.shape[0] : this.#rows.sizes.length;
  }
  /** The lengths in the order of the batch: int64 [batch]. */
  get lengths(): Tensor {
    return this.#rows === null ? this.#padded!.lengths : integers(lengthsOf(this.#rows));
  }
  /** Which steps there are, [longest, batch], in the order of the batch; null where that is all. */
  mask(): Tensor | null {
    const isFull = this.#rows?.sizes.every(size => size === this.batchSize) ?? false;
    return isFull ? null : reached(this.longest, this.lengths);
  }

  /** The steps as [longest, batch, …], in the order of the batch, with `value` where a sequence is over. */
  padded(value = 0): Tensor {
    const mask = this.mask();
    const steps = this.#rows === null ? this.#padded!.steps : gathered(this.#rows);
    const isZeroAlready = this.#rows === null && value === 0;
    return mask === null || isZeroAlready ? steps : where(alike(mask, steps), steps, value);
  }
  /** The same layout, of other steps: [longest, batch, …] in the order of the batch. */
  withPadded(steps: Tensor): PackedSequence {
    const rows = this.#rows;
    if (rows === null) return new PackedSequence({ steps, lengths: this.lengths });
    const data = steps.flatten(0, 1).indexSelect(0, integers(placesOf(rows)));
    return new PackedSequence(data, rows.batchSizes, rows.sortedIndices, rows.unsortedIndices);
  }
  /** The same layout, of what `fn` makes of the steps: [rows, …], of padding too where lengths are open. */
  withSteps(fn: (steps: Tensor) => Tensor): PackedSequence {
    const rows = this.#rows;
    return rows === null
      ? new PackedSequence({ steps: fn(this.padded()), lengths: this.lengths })
      : new PackedSequence(fn(rows.data), rows.batchSizes, rows.sortedIndices, rows.unsortedIndices);
  }

  toString(): string {
    const rows = this.#rows;
    if (rows === null) return `PackedSequence(padded=${formatShape(this.#padded!.steps.shape)})`;
    const indices = `sortedIndices=${rows.sortedIndices}, unsortedIndices=${rows.unsortedIndices}`;
    return `PackedSequence(data=${rows.data}, batchSizes=${rows.batchSizes}, ${indices})`;
  }
}

// ── layouts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function rowsOf(data: Tensor, batchSizes: Tensor, sortedIndices: Tensor | null, unsortedIndices: Tensor | null): Rows {
  const sizes = numbersIn(batchSizes, 'the batch sizes of a PackedSequence');
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  if (data.ndim === 0 || data.shape[0] !== rows)
    fail('E208', {
      problem: `PackedSequence: the batch sizes tell of ${rows} steps, but data has shape ${formatShape(data.shape)}`,
    });
  return { data, batchSizes, sizes, sortedIndices, unsortedIndices: unsortedIndices ?? inverse(sortedIndices) };
}

function inverse(permutation: Tensor | null): Tensor | null {
  if (permutation === null) return null;
  const order = numbersIn(permutation, 'the order of a PackedSequence');
  return integers(order.map((_, i) => order.indexOf(i)));
}

/** Which of the sorted sequences each sequence of the batch is. */
const ranksOf = ({ sizes, unsortedIndices }: Rows): number[] =>
  unsortedIndices === null
    ? Array.from({ length: sizes[0] }, (_, b) => b)
    : numbersIn(unsortedIndices, 'the order of a PackedSequence');

const lengthsOf = (rows: Rows): number[] => ranksOf(rows).map(rank => rows.sizes.filter(size => size > rank).length);

/** For each row of the data the place of its step among [longest · batch] padded ones. */
function placesOf({ sizes, sortedIndices }: Rows): number[] {
  const batch = sizes[0];
  const order = sortedIndices === null ? null : numbersIn(sortedIndices, 'the order of a PackedSequence');
  return sizes.flatMap((size, step) =>
    Array.from({ length: size }, (_, rank) => step * batch + (order === null ? rank : order[rank])),
  );
}

/** The padded steps of a layout; what stands where a sequence is over is its first step. */
function gathered(rows: Rows): Tensor {
  const ranks = ranksOf(rows);
  const starts = rows.sizes.map((_, step) => rows.sizes.slice(0, step).reduce((sum, size) => sum + size, 0));
  const sources = rows.sizes.flatMap((size, step) => ranks.map(rank => (rank < size ? starts[step] + rank : rank)));
  return rows.data
    .indexSelect(0, integers(sources))
    .reshape([rows.sizes.length, ranks.length, ...rows.data.shape.slice(1)]);
}

/** Which of `longest` steps come before the end of each sequence: [longest, batch]. */
const reached = (longest: number, lengths: Tensor): Tensor => arange(longest).unsqueeze(1).lt(lengths);

/** A mask [longest, batch] with the dims of [longest, batch, …]. */
const alike = (mask: Tensor, steps: Tensor): Tensor =>
  mask.reshape([...mask.shape, ...steps.shape.slice(2).map(() => 1)]);

// ── packing ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The lengths of the sequences in a padded batch: plain numbers, or int64 [batch]. */
export type Lengths = Tensor | readonly number[];

/** Pack [longest, batch, …]. */
export function pack(padded: Tensor, given: Lengths, enforceSorted: boolean): PackedSequence {
  const lengths = given instanceof Tensor ? given : integers(given);
  const [longest, batch] = padded.shape;
  if (lengths.ndim !== 1 || lengths.shape[0] !== batch)
    refuse(
      `expected as many lengths as the batch has sequences, ${batch}, but got shape ${formatShape(lengths.shape)}`,
      'set batchFirst if the batch is the first dim',
    );
  if (isConstant(lengths)) return packKnown(padded, numbersIn(lengths, 'lengths'), enforceSorted);
  checkOpen(lengths, longest, enforceSorted);
  const mask = alike(reached(longest, lengths), padded);
  return new PackedSequence({ steps: where(mask, padded, 0), lengths });
}

function packKnown(padded: Tensor, lengths: readonly number[], isSorted: boolean): PackedSequence {
  checkKnown(lengths, padded.shape[0], isSorted);
  const order = lengths.map((_, b) => b);
  if (!isSorted) order.sort((a, b) => lengths[b] - lengths[a]);
  const sizes = Array.from({ length: lengths[order[0]] }, (_, step) => lengths.filter(length => length > step).length);
  const rows = sizes.flatMap((size, step) => order.slice(0, size).map(b => step * lengths.length + b));
  const data = padded.flatten(0, 1).indexSelect(0, integers(rows));
  return new PackedSequence(data, integers(sizes), isSorted ? null : integers(order));
}

const refuse = (problem: string, hint?: string): never =>
  fail('E208', { problem: `packPaddedSequence: ${problem}`, hint });
const refuseLength = (longest: number, found: number | null): never =>
  refuse(`lengths must be from 1 to ${longest}${found === null ? '' : `, but one is ${found}`}`);
const refuseOrder = (): never =>
  refuse(
    'lengths must be sorted in decreasing order when enforceSorted is true',
    'pass { enforceSorted: false } to have the sequences sorted while they are packed',
  );

function checkKnown(lengths: readonly number[], longest: number, isSorted: boolean): void {
  const wrong = lengths.find(length => length <= 0 || length > longest);
  if (wrong !== undefined) refuseLength(longest, wrong);
  if (isSorted && lengths.some((length, i) => i > 0 && length > lengths[i - 1])) refuseOrder();
}

/** The same when the program runs, where checks were asked for. */
function checkOpen(lengths: Tensor, longest: number, isSorted: boolean): void {
  const op = 'packPaddedSequence';
  requireValues(lengths, {
    op,
    accepts: length => length > 0 && length <= longest,
    acceptsAll: all => all.gt(0).logicalAnd(all.le(longest)),
    refuse: found => refuseLength(longest, found),
  });
  if (!isSorted || lengths.shape[0] < 2) return;
  requireValues(lengths, {
    op,
    measure: all => all.diff(),
    accepts: growth => growth <= 0,
    acceptsAll: growths => growths.le(0),
    refuse: refuseOrder,
  });
}
