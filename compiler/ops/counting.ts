/** What is counted or listed: histograms over edges, combinations, slopes along a grid. */
import { fail } from '../errors.js';
import { formatShape, normalizeDims } from '../ir/shape.js';
import { iota } from './creation.js';
import { composite, type Op } from './define.js';
import { needsFloat } from './elementwise.js';
import { scatterReduce } from './indexing.js';
import { exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import { cat } from './shape.js';
import type { Bound } from './signature.js';
import { searchsorted } from './sorting.js';
import { Tensor, tensorOver } from './tensor.js';

// ── histogram ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface HistogramOptions {
  readonly range?: readonly [number, number] | null;
  readonly weight?: Tensor | null;
  readonly density?: boolean;
}

/** Edges of equally wide bins over a range, or over the data; a range of nothing is widened by 0.5 on each side. */
function equalEdges(flat: Tensor, bins: number, range: readonly [number, number] | null): Tensor {
  if (bins <= 0) fail('E110', { op: 'histogram', problem: `bins must be > 0, but got ${bins}` });
  const zero = flat.sum().mul(0).nanToNum();
  if (range && !(range[0] <= range[1]))
    fail('E110', { op: 'histogram', problem: `min should not exceed max, but they are ${range[0]} and ${range[1]}` });
  const low = range ? zero.add(range[0]) : flat.numel() > 0 ? flat.amin() : zero;
  const high = range ? zero.add(range[1]) : flat.numel() > 0 ? flat.amax() : zero;
  const widen = high.eq(low).to(flat.dtype).mul(0.5);
  const steps = iota(bins + 1)
    .to(flat.dtype)
    .div(bins);
  const start = low.sub(widen);
  return start.add(high.add(widen).sub(start).mul(steps));
}

export const histogram: Op<
  (input: Tensor, bins: number | Tensor, options?: HistogramOptions) => { hist: Tensor; binEdges: Tensor }
> = composite({
  name: 'histogram',
  doc: 'How many elements (or how much weight) fall between the edges given, or into equal bins, as { hist, binEdges }.',
  signature: 'input: tensor, bins: operand, *, range: any = null, weight: tensor = null, density: bool = false',
  compute({ input, bins, range, weight, density }: Bound) {
    needsFloat('histogram')(input.dtype);
    const flat: Tensor = input.detach().reshape([-1]);
    if (weight !== null && weight.numel() !== flat.numel()) {
      const problem = `if weight tensor is provided it should have the same shape as the input tensor, but they are ${formatShape(weight.shape)} and ${formatShape(input.shape)}`;
      fail('E107', { op: 'histogram', problem });
    }
    const binEdges: Tensor = bins instanceof Tensor ? bins.detach() : equalEdges(flat, Number(bins), range);
    const count = binEdges.numel() - 1;
    const last = binEdges.narrow(0, count, 1);
    const bin = searchsorted(binEdges, flat, { right: true }).sub(flat.eq(last).long()).sub(1);
    const inside = bin.ge(0).logicalAnd(bin.lt(count)).logicalAnd(flat.isnan().logicalNot());
    const amount: Tensor = weight === null ? flat.onesLike() : weight.detach().reshape([-1]);
    const target = bin.maskedFill(inside.logicalNot(), count);
    const hist = iota(count + 1)
      .zerosLike({ dtype: flat.dtype })
      .scatterAdd(0, target, amount)
      .narrow(0, 0, count);
    const widths = binEdges.narrow(0, 1, count).sub(binEdges.narrow(0, 0, count));
    return { hist: density ? hist.div(hist.sum()).div(widths) : hist, binEdges };
  },
  samples: [
    sampleWithoutGradient(random([20]), 4, { range: [-1.5, 1.5] }),
    sampleWithoutGradient(random([2, 10]), exactly([4], [-2, -0.5, 0.5, 2]), { density: true }),
    sampleWithoutGradient(exactly([4], [0, 1, 2, 2]), exactly([3], [0, 1, 2]), { weight: exactly([4], [1, 2, 3, 4]) }),
  ],
  errors: [{ args: [random([3]), 0], message: /bins must be > 0/ }],
});

// ── combinations ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** All choices of r places below n, in order. */
function choices(n: number, r: number, withReplacement: boolean, from = 0): number[][] {
  if (r === 0) return [[]];
  const firsts = Array.from({ length: n - from }, (_, i) => from + i);
  return firsts.flatMap(first =>
    choices(n, r - 1, withReplacement, withReplacement ? first : first + 1).map(rest => [first, ...rest]),
  );
}

export const combinations: Op<
  (
    input: Tensor,
    r?: number | { readonly r?: number; readonly withReplacement?: boolean },
    withReplacement?: boolean,
  ) => Tensor
> = composite({
  name: 'combinations',
  doc: 'All choices of r elements of a vector, one in each row.',
  signature: 'input: tensor, r: int = 2, withReplacement: bool = false',
  compute({ input, r, withReplacement }) {
    const op = 'combinations';
    if (input.ndim !== 1)
      fail('E107', { op, problem: `Expect a 1D vector, but got shape ${formatShape(input.shape)}` });
    if (r <= 0) fail('E110', { op, problem: `Expect a positive number, but got ${r}` });
    const rows = choices(input.shape[0], r, withReplacement);
    const places = BigInt64Array.from(rows.flat(), BigInt);
    return input
      .indexSelect(0, tensorOver(places, { dtype: 'int64', shape: [places.length] }))
      .reshape([rows.length, r]);
  },
  samples: [sample(random([4])), sample(random([3]), 3, true), sample(random([2]), { r: 3 })],
  errors: [{ args: [random([2, 2])], message: /Expect a 1D vector/ }],
});

// ── slopes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Spacing = number | readonly number[] | readonly Tensor[];
interface SlopeOptions {
  readonly spacing?: Spacing;
  readonly dim?: number | readonly number[] | null;
  readonly edgeOrder?: 1 | 2;
}

/** The slope along a dim at distances h between neighbours: central inside, one-sided of first or second order at the ends. */
function slope(y: Tensor, dim: number, spacing: number | Tensor, edgeOrder: number): Tensor {
  const n = y.shape[dim];
  const along = y.shape.map((_, d) => (d === dim ? -1 : 1));
  const distances: Tensor =
    spacing instanceof Tensor
      ? spacing.narrow(0, 1, n - 1).sub(spacing.narrow(0, 0, n - 1))
      : iota(n - 1)
          .zerosLike({ dtype: y.dtype })
          .add(spacing);
  const h = distances.reshape(along);
  const part = (x: Tensor, start: number, length: number): Tensor => x.narrow(dim, start, length);
  const rise = part(y, 1, n - 1)
    .sub(part(y, 0, n - 1))
    .div(h);
  const [left, right] = [part(h, 0, n - 2), part(h, 1, n - 2)];
  const [before, after] = [part(rise, 0, n - 2), part(rise, 1, n - 2)];
  const inner = before.mul(right).add(after.mul(left)).div(left.add(right));
  if (edgeOrder === 1) return cat([part(rise, 0, 1), inner, part(rise, n - 2, 1)], dim);
  const bend = after.sub(before).div(left.add(right));
  const first = part(before, 0, 1).sub(part(bend, 0, 1).mul(part(left, 0, 1)));
  const last = part(after, n - 3, 1).add(part(bend, n - 3, 1).mul(part(right, n - 3, 1)));
  return cat([first, inner, last], dim);
}

export const gradient: Op<(input: Tensor, options?: SlopeOptions) => Tensor[]> = composite({
  name: 'gradient',
  doc: 'The slopes of sampled values along each dim, by differences of second order; spacing is a number or the coordinates.',
  signature: 'input: tensor, *, spacing: any = 1, dim: dims = null, edgeOrder: int = 1',
  compute({ input, spacing, dim, edgeOrder }: Bound) {
    const op = 'gradient';
    if (edgeOrder !== 1 && edgeOrder !== 2)
      fail('E110', { op, problem: `torch.gradient only supports edge_order=1 and edge_order=2, but got ${edgeOrder}` });
    const dims = dim === null ? input.shape.map((_: number, d: number) => d) : normalizeDims(op, dim, input.ndim);
    const steps: readonly (number | Tensor)[] = Array.isArray(spacing) ? spacing : dims.map(() => spacing);
    if (steps.length !== dims.length) {
      const problem = `expected spacing to be unspecified, a scalar or a list of length ${dims.length}, but got a list of length ${steps.length}`;
      fail('E110', { op, problem });
    }
    return dims.map((d: number, i: number) => {
      if (input.shape[d] <= edgeOrder)
        fail('E110', { op, problem: 'torch.gradient expected each dimension size to be at least edge_order+1' });
      return slope(input, d, steps[i], edgeOrder);
    });
  },
  samples: [
    sample(random([5])),
    sample(random([4, 3]), { spacing: 0.5, edgeOrder: 2 }),
    sample(random([4]), { spacing: [exactly([4], [0, 1, 1.5, 3])], edgeOrder: 2 }),
  ],
  errors: [{ args: [random([1])], message: /at least edge_order\+1/ }],
});

// ── along one dim ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const indexReduce: Op<
  (
    input: Tensor,
    dim: number,
    index: Tensor,
    source: Tensor,
    reduce: 'prod' | 'mean' | 'amax' | 'amin',
    options?: { readonly includeSelf?: boolean },
  ) => Tensor
> = composite({
  name: 'indexReduce',
  doc: 'Slices of source along a dim combined with those of the input that index names, by prod, mean, amax or amin.',
  signature: 'input: tensor, dim: int, index: tensor, source: tensor, reduce: string, *, includeSelf: bool = true',
  compute({ input, dim, index, source, reduce, includeSelf }: Bound) {
    if (!['prod', 'mean', 'amax', 'amin'].includes(reduce)) {
      const problem = `reduce argument must be either prod, mean, amax or amin, got ${reduce}`;
      fail('E110', { op: 'indexReduce', problem });
    }
    const [d] = normalizeDims('indexReduce', dim, input.ndim);
    const places = index.reshape(source.shape.map((_: number, e: number) => (e === d ? -1 : 1))).expand(source.shape);
    return scatterReduce(input, d, places, source, reduce, { includeSelf });
  },
  samples: [
    sample(random([3, 2]), 0, integers([4], 0, 3), random([4, 2]), 'prod'),
    sample(random([2, 3]), 1, integers([4], 0, 3), random([2, 4]), 'amax', { includeSelf: false }),
    sample(random([2, 3]), 1, integers([4], 0, 3), random([2, 4]), 'mean'),
  ],
  errors: [{ args: [random([2]), 0, integers([1], 0, 2), random([1]), 'sum'], message: /must be either prod/ }],
});

export const narrowCopy: Op<(input: Tensor, dim: number, start: number, length: number) => Tensor> = composite({
  name: 'narrowCopy',
  doc: 'A copy of a part of a dim.',
  signature: 'input: tensor, dim: int, start: int, length: int',
  compute: ({ input, dim, start, length }) => input.narrow(dim, start, length).clone(),
  samples: [sample(random([2, 4]), 1, 1, 2)],
});
