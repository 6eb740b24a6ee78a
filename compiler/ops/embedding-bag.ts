/**
 * Bags of looked-up rows, each summed, averaged or reduced to its largest elements.
 *
 * Both forms of input become one list of positions and the bag of each. What is added is scattered into its bag; the
 * largest is found by its place in the list, the first where several are as large, and gathered, as its gradient in PyTorch
 * goes to that place alone.
 */
import { fail } from '../errors.js';
import { formatShape, sameShape } from '../ir/shape.js';
import { iota } from './creation.js';
import { composite, full, type Op } from './define.js';
import { needsFloat } from './elementwise.js';
import { checkPositions, embedding, gather, indexAdd, scatterReduce, selectAlong } from './indexing.js';
import { exactly, integers, random, sample } from './samples.js';
import { where } from './selection.js';
import { noGrad } from './tape.js';
import type { Tensor } from './tensor.js';

export type BagMode = 'sum' | 'mean' | 'max';

export interface EmbeddingBagOptions {
  /** Where each bag of a 1-d input begins. */
  readonly offsets?: Tensor | null;
  readonly maxNorm?: number | null;
  readonly normType?: number;
  /** Default: mean. */
  readonly mode?: BagMode;
  /** What each row is multiplied by first; for sums only. */
  readonly perSampleWeights?: Tensor | null;
  /** Is the last offset the end of the last bag? */
  readonly includeLastOffset?: boolean;
  /** Positions that no bag counts. */
  readonly paddingIdx?: number | null;
}

/** Which bag each position of the flattened input is in. */
interface Bags {
  readonly of: Tensor;
  readonly count: number;
}

const refuse = (problem: string): never => fail('E110', { op: 'embeddingBag', problem });

function bagsOf(input: Tensor, offsets: Tensor | null, includeLastOffset: boolean): Bags {
  if (input.ndim === 2) {
    if (offsets !== null)
      refuse('if input is 2D, then offsets has to be null, as input is treated as rows of one bag each');
    return { of: iota(input.shape[0]).unsqueeze(1).expand(input.shape).reshape([-1]), count: input.shape[0] };
  }
  if (input.ndim !== 1) refuse(`input has to be 1D or 2D Tensor, but got Tensor of dimension ${input.ndim}`);
  if (offsets === null) return refuse('offsets has to be a 1D Tensor but got null');
  if (offsets.ndim !== 1) refuse(`offsets has to be a 1D Tensor, but got shape ${formatShape(offsets.shape)}`);
  const count = offsets.shape[0] - (includeLastOffset ? 1 : 0);
  if (count < 0) refuse('includeLastOffset: offsets needs the end of the last bag');
  const starts = offsets.slice(0, 0, count).unsqueeze(0);
  const started = iota(input.shape[0]).unsqueeze(1).ge(starts).sum(1);
  checkPositions('embeddingBag', where(started.gt(0), started.sub(1), count), Math.max(count, 1));
  return { of: started.sub(1), count };
}

const bagged = (rows: Tensor, { of, count }: Bags): Tensor =>
  indexAdd(full([count, ...rows.shape.slice(1)], 0, { dtype: rows.dtype }), 0, of, rows);

/** The largest elements of each bag, among the rows that count; zeros where there are none. */
function largest(rows: Tensor, counts: Tensor, bags: Bags): Tensor {
  const length = rows.shape[0];
  if (length === 0) return bagged(rows, bags);
  const size = [bags.count, rows.shape[1]];
  const first = noGrad(() => {
    const bag = bags.of.unsqueeze(1).expand(rows.shape);
    const candidates = rows.maskedFill(counts.logicalNot().unsqueeze(1), Number.NEGATIVE_INFINITY);
    const most = scatterReduce(full(size, Number.NEGATIVE_INFINITY, { dtype: rows.dtype }), 0, bag, candidates, 'amax');
    const isMost = candidates.eq(selectAlong(most, 0, bags.of)).logicalAnd(counts.unsqueeze(1));
    const places = where(isMost, iota(length).unsqueeze(1), length);
    return scatterReduce(full(size, length, { dtype: places.dtype }), 0, bag, places, 'amin');
  });
  return gather(rows, 0, first.clamp({ max: length - 1 })).maskedFill(first.eq(length), 0);
}

export const embeddingBag: Op<
  (
    input: Tensor,
    weight: Tensor,
    offsets?: Tensor | null | EmbeddingBagOptions,
    options?: EmbeddingBagOptions,
  ) => Tensor
> = composite({
  name: 'embeddingBag',
  doc: 'Sums, means or maxima of the rows in each bag: a row of a 2-d input, or what lies in a 1-d input from one offset to the next.',
  signature:
    "input: tensor, weight: tensor, offsets: tensor = null, maxNorm: number = null, normType: number = 2, mode: string = 'mean', perSampleWeights: tensor = null, includeLastOffset: bool = false, paddingIdx: int = null",
  gradName: 'EmbeddingBagBackward0',
  compute({ input, weight, offsets, maxNorm, normType, mode, perSampleWeights, includeLastOffset, paddingIdx }) {
    needsFloat('embeddingBag')(weight.dtype);
    if (!['sum', 'mean', 'max'].includes(mode)) refuse(`mode has to be one of sum, mean or max, but got '${mode}'`);
    if (perSampleWeights !== null && mode !== 'sum')
      refuse(`perSampleWeights is only supported for mode 'sum' (got mode '${mode}')`);
    if (perSampleWeights !== null && !sameShape(perSampleWeights.shape, input.shape))
      refuse(
        `expected perSampleWeights of the shape of the input, ${formatShape(input.shape)}, but got ${formatShape(perSampleWeights.shape)}`,
      );
    const bags = bagsOf(input, offsets, includeLastOffset);
    const positions = input.reshape([-1]);
    const rows = embedding(positions, weight, { maxNorm, normType });
    const padding = paddingIdx === null ? null : paddingIdx < 0 ? paddingIdx + weight.shape[0] : paddingIdx;
    const counts = padding === null ? positions.onesLike().to('bool') : positions.ne(padding);
    if (mode === 'max') return largest(rows, counts, bags);
    const weighted = perSampleWeights === null ? rows : rows.mul(perSampleWeights.reshape([-1, 1]));
    const total = bagged(padding === null ? weighted : weighted.maskedFill(counts.logicalNot().unsqueeze(1), 0), bags);
    if (mode === 'sum') return total;
    return total.div(bagged(counts.to(rows.dtype), bags).clamp({ min: 1 }).unsqueeze(1));
  },
  samples: [
    sample(integers([2, 3], 0, 4), random([4, 3])),
    sample(integers([5], 0, 4), random([4, 3]), exactly([3], [0, 2, 2], 'int64')),
    sample(integers([5], 0, 4), random([4, 3]), exactly([2], [0, 2], 'int64'), { mode: 'sum' }),
    sample(exactly([4], [0, 3, 2, 1], 'int64'), random([4, 3]), exactly([3], [0, 2, 2], 'int64'), { mode: 'max' }),
    sample(exactly([2, 2], [0, 3, 2, 1], 'int64'), random([4, 3]), null, { mode: 'mean', paddingIdx: 3 }),
    sample(integers([2, 3], 0, 4), random([4, 3]), null, { mode: 'sum', perSampleWeights: random([2, 3]) }),
    sample(integers([4], 0, 4), random([4, 3]), exactly([3], [0, 1, 4], 'int64'), { includeLastOffset: true }),
  ],
  errors: [
    { args: [exactly([2], [0, 1], 'int64'), random([4, 3])], message: /offsets has to be a 1D Tensor but got null/ },
    {
      args: [exactly([2], [0, 1], 'int64'), random([4, 3]), exactly([1], [1], 'int64')],
      message: /index 1 is out of bounds/,
    },
  ],
});
