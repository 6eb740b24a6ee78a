/** Losses that compare: margins, pairs and triplets, and likelihoods of counts and of normal distributions. */
import { fail } from '../errors.js';
import { broadcastShapes } from '../ir/shape.js';
import { logsigmoid } from './activation.js';
import { requireValues } from './checks.js';
import { iota } from './creation.js';
import { composite, type Op } from './define.js';
import { type Reduction, reduced } from './loss.js';
import { exactly, random, type Sample, sample } from './samples.js';
import { where } from './selection.js';
import type { Bound } from './signature.js';
import type { Tensor } from './tensor.js';

interface Reduced {
  readonly reduction?: Reduction;
}
type Pair<O = unknown> = Op<(input: Tensor, target: Tensor, options?: Reduced & O) => Tensor>;
type Triple<O = unknown> = Op<(first: Tensor, second: Tensor, third: Tensor, options?: Reduced & O) => Tensor>;

/** A loss by its elements; `extra` are options beside the reduction. */
// biome-ignore lint/suspicious/noExplicitAny: each constant below states the type of its call
const lossOf = <F extends (...args: any[]) => Tensor>(
  name: string,
  doc: string,
  tensors: string,
  extra: string,
  each: (bound: Bound) => Tensor,
  samples: readonly Sample[],
): Op<F> =>
  composite({
    name,
    doc,
    signature: `${tensors}, *, ${extra}reduction: string = 'mean'`,
    compute: bound => reduced(name, each(bound), bound.reduction) as ReturnType<F>,
    samples,
  });

const pair = 'input: tensor, target: tensor';
const signs = exactly([3], [1, -1, 1]);

// ── similarity ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const cosineSimilarity: Op<
  (x1: Tensor, x2: Tensor, dim?: number | { dim?: number; eps?: number }, eps?: number) => Tensor
> = composite({
  name: 'cosineSimilarity',
  doc: 'Cosine of the angle between vectors along a dim.',
  signature: 'x1: tensor, x2: tensor, dim: int = 1, eps: number = 1e-8',
  compute({ x1, x2, dim, eps }) {
    const shape = broadcastShapes('cosineSimilarity', x1.shape, x2.shape);
    const unit = (given: Tensor): Tensor => {
      const x = given.expand(shape);
      return x.div(x.norm(2, dim, { keepdim: true }).clamp(eps));
    };
    return unit(x1).mul(unit(x2)).sum(dim);
  },
  samples: [sample(random([3, 4]), random([3, 4])), sample(random([4]), random([4]), 0)],
});

export const pairwiseDistance: Op<
  (x1: Tensor, x2: Tensor, options?: { p?: number; eps?: number; keepdim?: boolean }) => Tensor
> = composite({
  name: 'pairwiseDistance',
  doc: 'The p-norm of x1 - x2 + eps along the last dim.',
  signature: 'x1: tensor, x2: tensor, p: number = 2, eps: number = 1e-6, keepdim: bool = false',
  compute: ({ x1, x2, p, eps, keepdim }) => x1.sub(x2).add(eps).norm(Number(p), -1, { keepdim }),
  samples: [sample(random([3, 4]), random([3, 4])), sample(random([3, 4]), random([3, 4]), { p: 1, keepdim: true })],
});

// ── margins ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export const cosineEmbeddingLoss: Triple<{ margin?: number }> = lossOf(
  'cosineEmbeddingLoss',
  '1 - cosine where the target is 1, the cosine above the margin where it is -1.',
  'input1: tensor, input2: tensor, target: tensor',
  'margin: number = 0, ',
  ({ input1, input2, target, margin }) => {
    const cosine = cosineSimilarity(input1, input2, input1.ndim - 1);
    return where(target.gt(0), cosine.neg().add(1), cosine.sub(margin).clamp(0));
  },
  [sample(random([3, 4]), random([3, 4]), signs, { margin: 0.2 })],
);

export const marginRankingLoss: Triple<{ margin?: number }> = lossOf(
  'marginRankingLoss',
  'max(0, -target · (input1 - input2) + margin).',
  'input1: tensor, input2: tensor, target: tensor',
  'margin: number = 0, ',
  ({ input1, input2, target, margin }) => target.neg().mul(input1.sub(input2)).add(margin).clamp(0),
  [sample(random([3]), random([3]), signs, { margin: 0.3 })],
);

export const hingeEmbeddingLoss: Pair<{ margin?: number }> = lossOf(
  'hingeEmbeddingLoss',
  'The input where the target is 1, max(0, margin - input) where it is -1.',
  pair,
  'margin: number = 1, ',
  ({ input, target, margin }) => where(target.eq(1), input, input.neg().add(margin).clamp(0)),
  [sample(random([3]), signs)],
);

export const softMarginLoss: Pair = lossOf(
  'softMarginLoss',
  'log(1 + e^(-target · input)).',
  pair,
  '',
  ({ input, target }) => target.neg().mul(input).exp().log1p(),
  [sample(random([3]), signs)],
);

export const multiMarginLoss: Pair<{ p?: number; margin?: number; weight?: Tensor | null }> = lossOf(
  'multiMarginLoss',
  'Mean over the other classes of max(0, margin - input[target] + input[class])^p.',
  pair,
  'p: int = 1, margin: number = 1, weight: tensor = null, ',
  ({ input, target, p, margin, weight }) => {
    if (p !== 1 && p !== 2)
      fail('E110', { op: 'multiMarginLoss', problem: `only p == 1 and p == 2 supported, not ${p}` });
    const rows: Tensor = input.ndim === 1 ? input.unsqueeze(0) : input;
    const classes = target.reshape([-1, 1]);
    const gap = rows.sub(rows.gather(1, classes)).add(margin).clamp(0);
    const weighted = weight === null ? gap.pow(p) : gap.pow(p).mul(weight.take(classes));
    const own = iota(rows.shape[1]).unsqueeze(0).eq(classes);
    const loss = weighted.maskedFill(own, 0).sum(1).div(rows.shape[1]);
    return target.ndim === 0 ? loss.squeeze(0) : loss;
  },
  [
    sample(random([3, 4]), exactly([3], [0, 2, 3], 'int64')),
    sample(random([3, 4]), exactly([3], [0, 2, 3], 'int64'), { p: 2 }),
  ],
);

export const multilabelSoftMarginLoss: Pair<{ weight?: Tensor | null }> = lossOf(
  'multilabelSoftMarginLoss',
  'Mean over classes of the cross entropy of logits with 0 or 1 targets.',
  pair,
  'weight: tensor = null, ',
  ({ input, target, weight }) => {
    const loss = target
      .mul(logsigmoid(input))
      .add(target.rsub(1).mul(logsigmoid(input.neg())))
      .neg();
    return (weight === null ? loss : loss.mul(weight)).mean(-1);
  },
  [sample(random([3, 4]), exactly([3, 4], [0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0]))],
);

export const multilabelMarginLoss: Pair = lossOf(
  'multilabelMarginLoss',
  'Mean over pairs of a target class (up to the first -1) and another class of max(0, 1 - input[target] + input[class]).',
  pair,
  '',
  ({ input, target }) => {
    const [rows, classes]: Tensor[] = input.ndim === 1 ? [input.unsqueeze(0), target.unsqueeze(0)] : [input, target];
    const wanted = classes.ge(0).long().cumprod(1).ne(0);
    const [count] = rows.shape.slice(1);
    const named = classes.unsqueeze(2).eq(iota(count)).logicalAnd(wanted.unsqueeze(2));
    const isTarget = named.any(1);
    const own = rows.gather(1, classes.clamp(0)).unsqueeze(2);
    const gaps = own.neg().add(rows.unsqueeze(1)).add(1).clamp(0);
    const counted = wanted.unsqueeze(2).logicalAnd(isTarget.logicalNot().unsqueeze(1));
    const loss = gaps.maskedFill(counted.logicalNot(), 0).sum([1, 2]).div(count);
    return input.ndim === 1 ? loss.squeeze(0) : loss;
  },
  [sample(random([2, 4]), exactly([2, 4], [3, 0, -1, 1, 2, -1, -1, -1], 'int64'))],
);

export const tripletMarginLoss: Triple<{ margin?: number; p?: number; eps?: number; swap?: boolean }> = lossOf(
  'tripletMarginLoss',
  'max(0, distance to the positive - distance to the negative + margin).',
  'anchor: tensor, positive: tensor, negative: tensor',
  'margin: number = 1, p: number = 2, eps: number = 1e-6, swap: bool = false, ',
  ({ anchor, positive, negative, margin, p, eps, swap }) => {
    const toNegative = pairwiseDistance(anchor, negative, { p, eps });
    const nearest = swap ? toNegative.minimum(pairwiseDistance(positive, negative, { p, eps })) : toNegative;
    return pairwiseDistance(anchor, positive, { p, eps }).sub(nearest).add(margin).clamp(0);
  },
  [
    sample(random([3, 4]), random([3, 4]), random([3, 4])),
    sample(random([3, 4]), random([3, 4]), random([3, 4]), { swap: true }),
  ],
);

/** How far apart the rows of two tensors are. */
export type Distance = (a: Tensor, b: Tensor) => Tensor;
export const tripletMarginWithDistanceLoss: Triple<{
  distanceFunction?: Distance | null;
  margin?: number;
  swap?: boolean;
}> = lossOf(
  'tripletMarginWithDistanceLoss',
  'tripletMarginLoss with any distance; by default the Euclidean one.',
  'anchor: tensor, positive: tensor, negative: tensor',
  'distanceFunction: any = null, margin: number = 1, swap: bool = false, ',
  ({ anchor, positive, negative, distanceFunction, margin, swap }) => {
    const distance: Distance = distanceFunction ?? ((a, b) => pairwiseDistance(a, b));
    const toNegative = distance(anchor, negative);
    const nearest = swap ? toNegative.minimum(distance(positive, negative)) : toNegative;
    return distance(anchor, positive).sub(nearest).add(margin).clamp(0);
  },
  [
    sample(random([3, 4]), random([3, 4]), random([3, 4])),
    sample(random([3, 4]), random([3, 4]), random([3, 4]), {
      distanceFunction: (a: Tensor, b: Tensor) => a.sub(b).abs().sum(1),
      swap: true,
    }),
  ],
);

// ── likelihoods ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const gaussianNllLoss: Triple<{ full?: boolean; eps?: number }> = lossOf(
  'gaussianNllLoss',
  'Negative log-likelihood of the target under normal distributions of given mean and variance.',
  'input: tensor, target: tensor, var: tensor',
  'full: bool = false, eps: number = 1e-6, ',
  ({ input, target, var: variance, full, eps }) => {
    requireValues(variance, {
      op: 'gaussianNllLoss',
      accepts: value => !(value < 0),
      acceptsAll: all => all.lt(0).logicalNot(),
      refuse: () => fail('E110', { op: 'gaussianNllLoss', problem: 'var has negative entry/entries' }),
    });
    const wide: Tensor = variance.ndim === input.ndim - 1 ? variance.unsqueeze(-1) : variance;
    const limited = wide.add(wide.detach().neg().add(eps).clamp(0));
    const loss = limited.log().add(input.sub(target).square().div(limited)).mul(0.5);
    return full ? loss.add(0.5 * Math.log(2 * Math.PI)) : loss;
  },
  [
    sample(random([3, 4]), random([3, 4]), random([3, 4], 0.5, 2)),
    sample(random([3, 4]), random([3, 4]), random([3, 1], 0.5, 2), { full: true }),
  ],
);

export const poissonNllLoss: Pair<{ logInput?: boolean; full?: boolean; eps?: number }> = lossOf(
  'poissonNllLoss',
  'Negative log-likelihood of counts under Poisson distributions of given (log) rate.',
  pair,
  'logInput: bool = true, full: bool = false, eps: number = 1e-8, ',
  ({ input, target, logInput, full, eps }) => {
    const loss = logInput ? input.exp().sub(target.mul(input)) : input.sub(target.mul(input.add(eps).log()));
    if (!full) return loss;
    const stirling = target
      .mul(target.log())
      .sub(target)
      .add(
        target
          .mul(2 * Math.PI)
          .log()
          .mul(0.5),
      );
    return loss.add(stirling.maskedFill(target.le(1), 0));
  },
  [
    sample(random([3]), exactly([3], [0, 2, 3])),
    sample(random([3], 0.5, 2), random([3], 1.5, 4), { logInput: false, full: true }),
  ],
);
