/**
 * Losses, as PyTorch's functional API has them: `reduction` is 'mean' (default), 'sum' or 'none'.
 *
 * Classification losses pick the element of the target class by comparing positions, not by scattering, so that
 * log-softmax, pick and mean fuse into one pass over the rows, and so does their gradient.
 */
import { fail } from '../errors.js';
import { computeType, isFloat } from '../ir/dtype.js';
import { both, call, cast, constant, type Expr, index, select } from '../ir/kernel.js';
import { formatShape, numel, type Shape, sameShape } from '../ir/shape.js';
import { logsigmoid } from './activation.js';
import { requireValues } from './checks.js';
import { composite, define, type Op, pointwise } from './define.js';
import { random, sample } from './samples.js';
import { where } from './selection.js';
import type { Bound } from './signature.js';
import type { Tensor } from './tensor.js';

export type Reduction = 'mean' | 'sum' | 'none';
const reductions = ['mean', 'sum', 'none'];

export function reduced(op: string, loss: Tensor, reduction: string): Tensor {
  if (!reductions.includes(reduction))
    fail('E110', {
      op,
      problem: `${reduction} is not a valid value for reduction`,
      hint: `one of ${reductions.join(', ')}`,
    });
  return reduction === 'mean' ? loss.mean() : reduction === 'sum' ? loss.sum() : loss;
}

// ── classes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const withoutClass = (shape: Shape): number[] => shape.filter((_, d) => d !== 1);
const withClass = (at: readonly Expr[], c: Expr): Expr[] => [at[0], c, ...at.slice(1)];

/** input[n, target[n, ...], ...]; 0 where the target names no class. */
export const pickClass: Op<(input: Tensor, target: Tensor) => Tensor> = define({
  name: 'pickClass',
  doc: 'The element of the target class along dim 1; 0 where the target is no class.',
  signature: 'input: tensor, target: tensor',
  gradName: 'NllLossBackward0',
  fusion: 'pointwise',
  infer: ([input]) => ({ dtype: input.dtype, shape: withoutClass(input.shape) }),
  lower: {
    kind: 'map',
    element(at, [input, target]) {
      const c = cast('index', target.at(at));
      const valid = both(call('ge', c, index(0)), call('lt', c, index(input.type.shape[1])))!;
      return select(valid, input.at(withClass(at, c)), constant(computeType(input.type.dtype), 0));
    },
  },
  vjp: c => [placeClass(c.grad, c.in(1), c.types[0].shape[1]), null],
  samples: [
    sample(random([3, 4]), random([3], 0, 4, 'int64')),
    sample(random([2, 3, 2]), random([2, 2], 0, 3, 'int64')),
  ],
});

/** The gradient of `pickClass`: grad[n, ...] at the target class, 0 elsewhere. */
export const placeClass: Op<(grad: Tensor, target: Tensor, classes: number) => Tensor> = define({
  name: 'placeClass',
  doc: 'A tensor with a class dim in place 1, holding the value at the target class and 0 elsewhere.',
  signature: 'grad: tensor, target: tensor, classes: int',
  fusion: 'pointwise',
  infer: ([grad], attrs) => ({
    dtype: grad.dtype,
    shape: [grad.shape[0], attrs.classes as number, ...grad.shape.slice(1)],
  }),
  lower: {
    kind: 'map',
    element(at, [grad, target], _, type) {
      const position = [at[0], ...at.slice(2)];
      const here = call('eq', target.at(position), cast(target.type.dtype, at[1]));
      return select(here, grad.at(position), constant(computeType(type.dtype), 0));
    },
  },
  vjp: c => [pickClass(c.grad, c.in(1)), null],
  samples: [sample(random([3]), random([3], 0, 4, 'int64'), 4)],
});

/** A target that is neither a class nor `ignoreIndex` is an error. */
function checkTargets(op: string, target: Tensor, classes: number, ignoreIndex: number): void {
  requireValues(target, {
    op,
    accepts: value => value === ignoreIndex || (value >= 0 && value < classes),
    acceptsAll: all => all.ge(0).logicalAnd(all.lt(classes)).logicalOr(all.eq(ignoreIndex)),
    refuse: value =>
      fail('E109', {
        op,
        problem: `Target ${value ?? 'given'} is out of bounds.`,
        hint: `classes are 0 to ${classes - 1}; ignoreIndex is ${ignoreIndex}`,
      }),
  });
}

interface NllBound {
  input: Tensor;
  target: Tensor;
  weight: Tensor | null;
  ignoreIndex: number;
  reduction: string;
  labelSmoothing?: number;
}

/** The share of the loss that is spread over all classes. */
function checkSmoothing(labelSmoothing: number): void {
  if (labelSmoothing >= 0 && labelSmoothing <= 1) return;
  const problem = `labelSmoothing must be between 0.0 and 1.0. Got: ${labelSmoothing}`;
  fail('E110', { op: 'crossEntropy', problem });
}

/** Negative log-likelihood of class targets, given log-probabilities [N, C, ...]. */
function classLoss(
  op: string,
  { input, target, weight, ignoreIndex, reduction, labelSmoothing = 0 }: NllBound,
): Tensor {
  if (input.ndim === 1) {
    const loss = classLoss(op, {
      input: input.unsqueeze(0),
      target: target.unsqueeze(0),
      weight,
      ignoreIndex,
      reduction,
      labelSmoothing,
    });
    return reduction === 'none' ? loss.squeeze(0) : loss;
  }
  const expected = withoutClass(input.shape);
  if (!sameShape(expected, target.shape)) {
    fail('E107', {
      op,
      problem: `Expected target size ${formatShape(expected)}, got ${formatShape(target.shape)}`,
      hint: 'the input is [N, C, ...], the target [N, ...]',
    });
  }
  if (isFloat(target.dtype) || target.dtype === 'bool')
    fail('E108', { op, problem: `expected a target of class indices (int64) but got ${target.dtype}` });
  checkTargets(op, target, input.shape[1], ignoreIndex);
  const kept = target.ne(ignoreIndex);
  const classWeights = weight === null ? null : weight.reshape([1, -1, ...new Array<number>(input.ndim - 2).fill(1)]);
  const weightOfTarget =
    classWeights === null
      ? kept.to(input.dtype)
      : pickClass(classWeights.expand(input.shape), target).mul(kept.to(input.dtype));
  const picked = pickClass(input, target).neg();
  let loss = where(kept, weight === null ? picked : picked.mul(weightOfTarget), 0);
  if (labelSmoothing > 0) {
    const spread = (classWeights === null ? input : input.mul(classWeights)).sum(1).neg();
    loss = loss.mul(1 - labelSmoothing).add(where(kept, spread, 0).mul(labelSmoothing / input.shape[1]));
  }
  if (reduction === 'mean') return loss.sum().div(weightOfTarget.sum());
  return reduced(op, loss, reduction);
}

/** PyTorch's step for class targets; other targets and smoothing end in arithmetic. */
function nllStep({
  input,
  target,
  labelSmoothing = 0,
}: {
  input: Tensor;
  target: Tensor;
  labelSmoothing?: number;
}): string | null {
  if (isFloat(target.dtype) || labelSmoothing > 0) return null;
  return input.ndim > 2 ? 'NllLoss2DBackward0' : 'NllLossBackward0';
}

interface NllOptions {
  readonly weight?: Tensor | null;
  readonly ignoreIndex?: number;
  readonly reduction?: Reduction;
}
export const nllLoss: Op<(input: Tensor, target: Tensor, options?: NllOptions) => Tensor> = composite({
  name: 'nllLoss',
  doc: 'Negative log-likelihood of class targets [N, ...], given log-probabilities [N, C, ...].',
  signature:
    "input: tensor, target: tensor, weight: tensor = null, *, ignoreIndex: int = -100, reduction: string = 'mean'",
  gradName: nllStep,
  compute: bound => classLoss('nllLoss', bound),
  samples: [
    sample(random([3, 4]), random([3], 0, 4, 'int64')),
    sample(random([3, 4]), random([3], 0, 4, 'int64'), { weight: random([4], 0.5, 2), reduction: 'sum' }),
  ],
});

/** The default of `ignoreIndex`. */
const noIndex = -100;

export interface CrossEntropyOptions extends NllOptions {
  readonly labelSmoothing?: number;
}
export const crossEntropy: Op<(input: Tensor, target: Tensor, options?: CrossEntropyOptions) => Tensor> = composite({
  name: 'crossEntropy',
  doc: 'Cross entropy of logits [N, C, ...] with class targets [N, ...] or class probabilities of the input shape.',
  signature:
    "input: tensor, target: tensor, weight: tensor = null, *, ignoreIndex: int = -100, reduction: string = 'mean', labelSmoothing: number = 0",
  gradName: nllStep,
  compute(bound) {
    const { input, target, weight, reduction, labelSmoothing, ignoreIndex } = bound;
    checkSmoothing(labelSmoothing);
    const classDim = input.ndim === 1 ? 0 : 1;
    const logs: Tensor = input.logSoftmax(classDim);
    if (!isFloat(target.dtype) || !sameShape(input.shape, target.shape))
      return classLoss('crossEntropy', { ...bound, input: logs });
    if (ignoreIndex !== noIndex)
      fail('E110', { op: 'crossEntropy', problem: 'ignoreIndex is not supported for targets that are probabilities' });
    const classes = input.shape[classDim];
    const smoothed = labelSmoothing > 0 ? target.mul(1 - labelSmoothing).add(labelSmoothing / classes) : target;
    const scaled =
      weight === null
        ? logs
        : logs.mul(weight.reshape(input.ndim === 1 ? [-1] : [1, -1, ...new Array<number>(input.ndim - 2).fill(1)]));
    const loss = scaled.mul(smoothed).sum(classDim).neg();
    return reduction === 'mean'
      ? loss.sum().div(numel(input.shape) / classes)
      : reduced('crossEntropy', loss, reduction);
  },
  samples: [
    sample(random([3, 4]), random([3], 0, 4, 'int64')),
    sample(random([3, 4]), random([3, 4], 0, 1)),
    sample(random([2, 3, 2]), random([2, 2], 0, 3, 'int64'), { weight: random([3], 0.5, 2), labelSmoothing: 0.1 }),
  ],
  errors: [{ args: [random([3, 4]), random([2], 0, 4, 'int64')], message: /Expected target size \[3\], got \[2\]/ }],
});

// ── elementwise ────────────────────────────────────────────────────────────────────────────────────────────────────────

interface LossOptions {
  readonly reduction?: Reduction;
}
type Loss<O = object> = Op<(input: Tensor, target: Tensor, options?: LossOptions & O) => Tensor>;
const samplesOf = [
  sample(random([3, 4]), random([3, 4])),
  sample(random([3, 4]), random([3, 4]), { reduction: 'none' }),
];

/** The losses that PyTorch computes in one step, and its name. */
const stepsOfTheirOwn: Readonly<Record<string, string>> = {
  mseLoss: 'MseLossBackward0',
  smoothL1Loss: 'SmoothL1LossBackward0',
  huberLoss: 'HuberLossBackward0',
  binaryCrossEntropyWithLogits: 'BinaryCrossEntropyWithLogitsBackward0',
  binaryCrossEntropy: 'BinaryCrossEntropyBackward0',
};

/** A loss of each pair of elements, reduced. */
function elementwise<O>(
  name: string,
  doc: string,
  extra: string,
  each: (input: Tensor, target: Tensor, bound: Bound) => Tensor,
  samples = samplesOf,
): Loss<O> {
  return composite({
    name,
    gradName: stepsOfTheirOwn[name],
    doc,
    signature: `input: tensor, target: tensor, *, reduction: string = 'mean'${extra}`,
    compute: bound => reduced(name, each(bound.input, bound.target, bound), bound.reduction),
    samples,
  });
}

export const mseLoss: Loss = elementwise('mseLoss', 'Squared difference.', '', (x, y) => x.sub(y).square());
export const l1Loss: Loss = elementwise('l1Loss', 'Absolute difference.', '', (x, y) => x.sub(y).abs());
export const smoothL1Loss: Loss<{ readonly beta?: number }> = elementwise(
  'smoothL1Loss',
  'Squared below beta, absolute above.',
  ', beta: number = 1',
  (x, y, { beta }) => {
    if (beta < 0)
      fail('E110', { op: 'smoothL1Loss', problem: `does not support negative values for beta, but it is ${beta}` });
    const d = x.sub(y).abs();
    return beta === 0 ? d : where(d.lt(beta), d.square().mul(0.5 / beta), d.sub(0.5 * beta));
  },
);
export const huberLoss: Loss<{ readonly delta?: number }> = elementwise(
  'huberLoss',
  'Half squared below delta, delta times absolute above.',
  ', delta: number = 1',
  (x, y, { delta }) => {
    if (delta <= 0)
      fail('E110', { op: 'huberLoss', problem: `does not support non-positive values for delta, but it is ${delta}` });
    const d = x.sub(y).abs();
    return where(d.le(delta), d.square().mul(0.5), d.sub(0.5 * delta).mul(delta));
  },
);

/** An input outside [0, 1] is an error. */
function checkProbabilities(input: Tensor): void {
  requireValues(input, {
    op: 'binaryCrossEntropy',
    accepts: p => p >= 0 && p <= 1,
    acceptsAll: all => all.ge(0).logicalAnd(all.le(1)),
    refuse: () =>
      fail('E110', {
        op: 'binaryCrossEntropy',
        problem: 'all elements of input should be between 0 and 1',
        hint: 'for logits use binaryCrossEntropyWithLogits',
      }),
  });
}

/** PyTorch computes these losses in the dtype of the input. */
function checkFloatTarget(op: string, target: Tensor): void {
  if (isFloat(target.dtype)) return;
  fail('E108', { op, problem: `expected a target of floats but got ${target.dtype}`, hint: 'convert with .float()' });
}

/** The loss of each probability; its derivative is finite at 0 and 1 as PyTorch's is, where that of the clamped log is not. */
const entropyOfProbability: Op<(input: Tensor, target: Tensor) => Tensor> = pointwise({
  name: 'entropyOfProbability',
  doc: '-(target · log(input) + (1 - target) · log(1 - input)), the logarithms clamped at -100.',
  signature: 'input: tensor, target: tensor',
  types: 'float',
  body: (s, p, y) => s.sub(s.mul(s.sub(y, 1), s.max(s.log1p(s.neg(p)), -100)), s.mul(y, s.max(s.log(p), -100))),
  vjp(c) {
    const [p, y] = [c.in(0), c.in(1)];
    return [
      c.needs(0) ? c.grad.mul(p.sub(y)).div(p.rsub(1).mul(p).clamp({ min: 1e-12 })) : null,
      c.needs(1)
        ? c.grad.mul(
            p
              .neg()
              .log1p()
              .clamp({ min: -100 })
              .sub(p.log().clamp({ min: -100 })),
          )
        : null,
    ];
  },
  samples: [sample(random([3, 4], 0.1, 0.9), random([3, 4], 0.1, 0.9))],
});

const probabilities = [sample(random([3, 4], 0.1, 0.9), random([3, 4], 0.1, 0.9))];
export const binaryCrossEntropy: Loss<{ readonly weight?: Tensor | null }> = elementwise(
  'binaryCrossEntropy',
  'Cross entropy of probabilities with targets in [0, 1]; logarithms are clamped at -100.',
  ', weight: tensor = null',
  (x, y, { weight }) => {
    checkFloatTarget('binaryCrossEntropy', y);
    checkProbabilities(x);
    const loss = entropyOfProbability(x, y);
    return weight === null ? loss : loss.mul(weight);
  },
  probabilities,
);
export const binaryCrossEntropyWithLogits: Loss<{
  readonly weight?: Tensor | null;
  readonly posWeight?: Tensor | null;
}> = elementwise(
  'binaryCrossEntropyWithLogits',
  'Cross entropy of logits with targets in [0, 1].',
  ', weight: tensor = null, posWeight: tensor = null',
  (x, y, { weight, posWeight }) => {
    checkFloatTarget('binaryCrossEntropyWithLogits', y);
    if (!sameShape(x.shape, y.shape)) {
      fail('E107', {
        op: 'binaryCrossEntropyWithLogits',
        problem: `Target size (${formatShape(y.shape)}) must be the same as input size (${formatShape(x.shape)})`,
      });
    }
    const softplus = logsigmoid(x).neg();
    const factor = posWeight === null ? null : posWeight.sub(1).mul(y).add(1);
    const loss = y
      .rsub(1)
      .mul(x)
      .add(factor === null ? softplus : softplus.mul(factor));
    return weight === null ? loss : loss.mul(weight);
  },
  [sample(random([3, 4]), random([3, 4], 0, 1))],
);

interface KlOptions {
  readonly reduction?: Reduction | 'batchmean';
  readonly logTarget?: boolean;
}
export const klDiv: Op<(input: Tensor, target: Tensor, options?: KlOptions) => Tensor> = composite({
  name: 'klDiv',
  doc: 'Kullback-Leibler divergence of log-probabilities from target probabilities (or log-probabilities); targets of 0 count 0.',
  signature: "input: tensor, target: tensor, *, reduction: string = 'mean', logTarget: bool = false",
  compute({ input, target, reduction, logTarget }) {
    const loss: Tensor = logTarget ? target.exp().mul(target.sub(input)) : target.xlogy(target).sub(target.mul(input));
    return reduction === 'batchmean' ? loss.sum().div(input.shape[0]) : reduced('klDiv', loss, reduction);
  },
  samples: [
    sample(random([3, 4]), random([3, 4], 0.1, 1)),
    sample(random([3, 4]), random([3, 4]), { logTarget: true, reduction: 'batchmean' }),
  ],
});
