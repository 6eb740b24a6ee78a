/**
 * Normalisation: subtract the mean, divide by the standard deviation, over some dims.
 *
 * All of them are one node, `standardize`, with its derivative in closed form; layer, batch, group and instance norm
 * differ in the dims and in what is multiplied and added after.
 */
import { fail } from '../errors.js';
import { formatShape, normalizeDims, numel, type Shape, sameShape } from '../ir/shape.js';
import { composite, define, type Op } from './define.js';
import { random, sample, sampleWithoutGradient } from './samples.js';
import { assignInPlace, noGrad } from './tape.js';
import type { Tensor } from './tensor.js';

/** 1 / sqrt(variance + eps) over dims, the biased variance. */
function inverseDeviation(input: Tensor, dims: readonly number[], eps: number): Tensor {
  const centered = input.sub(input.mean(dims, { keepdim: true }));
  return centered.mul(centered).mean(dims, { keepdim: true }).add(eps).rsqrt();
}

export const standardize: Op<(input: Tensor, dim: readonly number[], eps: number) => Tensor> = define({
  name: 'standardize',
  doc: '(input - mean) / sqrt(variance + eps), mean and biased variance over the given dims.',
  signature: 'input: tensor, dim: dims, eps: number',
  gradName: 'NativeLayerNormBackward0',
  fusion: 'composite',
  prepare: ({ input, dim, eps }) => ({
    inputs: [input],
    attrs: { dim: normalizeDims('standardize', dim, input.ndim), eps },
  }),
  infer: ([input]) => input,
  decompose([input], attrs) {
    const dims = attrs.dim as number[];
    return input.sub(input.mean(dims, { keepdim: true })).mul(inverseDeviation(input, dims, attrs.eps as number));
  },
  vjp: c => {
    const dims = c.attrs.dim as number[];
    const mean = (t: Tensor): Tensor => t.mean(dims, { keepdim: true });
    const scale = inverseDeviation(c.in(0), dims, c.attrs.eps as number);
    return [
      c.grad
        .sub(mean(c.grad))
        .sub(c.out.mul(mean(c.grad.mul(c.out))))
        .mul(scale),
    ];
  },
  samples: [sample(random([3, 4]), [1], 1e-5), sample(random([2, 3, 4]), [0, 2], 1e-3)],
});

const affine = (normalized: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor => {
  const scaled = weight === null ? normalized : normalized.mul(weight);
  return bias === null ? scaled : scaled.add(bias);
};
/** [C] as [1, C, 1, ...], to broadcast over a tensor of `ndim` dims. */
const perChannel = (t: Tensor | null, ndim: number): Tensor | null =>
  t?.reshape([1, -1, ...new Array<number>(ndim - 2).fill(1)]) ?? null;

export interface LayerNormOptions {
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly eps?: number;
}
export const layerNorm: Op<
  (
    input: Tensor,
    normalizedShape: Shape,
    weight?: Tensor | null | LayerNormOptions,
    bias?: Tensor | null | LayerNormOptions,
    eps?: number,
  ) => Tensor
> = composite({
  name: 'layerNorm',
  gradName: 'NativeLayerNormBackward0',
  doc: 'Normalises over the last dims, which must have the given shape; then scales and shifts.',
  signature: 'input: tensor, normalizedShape: any, weight: tensor = null, bias: tensor = null, eps: number = 0.00001',
  compute({ input, normalizedShape, weight, bias, eps }) {
    const shape: Shape = typeof normalizedShape === 'number' ? [normalizedShape] : normalizedShape;
    const own = input.shape.slice(input.ndim - shape.length);
    if (shape.length === 0 || !sameShape(own, shape)) {
      fail('E107', {
        op: 'layerNorm',
        problem: `Given normalized_shape=${formatShape(shape)}, expected input with shape [*, ${shape.join(', ')}], but got input of size ${formatShape(input.shape)}`,
      });
    }
    const dims = shape.map((_, d) => input.ndim - shape.length + d);
    return affine(standardize(input, dims, eps), weight, bias);
  },
  samples: [sample(random([2, 3, 4]), [4], random([4]), random([4])), sample(random([2, 3, 4]), [3, 4])],
  errors: [{ args: [random([2, 3]), [4]], message: /expected input with shape \[\*, 4\]/ }],
});

export interface BatchNormOptions {
  readonly runningMean?: Tensor | null;
  readonly runningVar?: Tensor | null;
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly training?: boolean;
  readonly momentum?: number | Tensor;
  readonly eps?: number;
}
export const batchNorm: Op<
  (
    input: Tensor,
    runningMean?: Tensor | null | BatchNormOptions,
    runningVar?: Tensor | null | BatchNormOptions,
    weight?: Tensor | null | BatchNormOptions,
    bias?: Tensor | null | BatchNormOptions,
    training?: boolean | BatchNormOptions,
    momentum?: number | Tensor | BatchNormOptions,
    eps?: number | BatchNormOptions,
  ) => Tensor
> = composite({
  name: 'batchNorm',
  doc: 'Normalises each channel over the batch (training, which also updates the running statistics) or by the running statistics.',
  signature:
    'input: tensor, runningMean: tensor = null, runningVar: tensor = null, weight: tensor = null, bias: tensor = null, training: bool = false, momentum: any = 0.1, eps: number = 0.00001',
  compute({ input, runningMean, runningVar, weight, bias, training, momentum, eps }) {
    const x: Tensor = input;
    if (x.ndim < 2) fail('E107', { op: 'batchNorm', problem: `expected at least 2D input, but got ${x.ndim}D` });
    const [scale, shift] = [perChannel(weight, x.ndim), perChannel(bias, x.ndim)];
    if (!training && runningMean !== null && runningVar !== null) {
      const centered = x.sub(perChannel(runningMean, x.ndim)!);
      return affine(centered.mul(perChannel(runningVar.add(eps).rsqrt(), x.ndim)!), scale, shift);
    }
    const dims = x.shape.map((_, d) => d).filter(d => d !== 1);
    const count = numel(dims.map(d => x.shape[d]));
    if (training && count <= 1)
      fail('E110', {
        op: 'batchNorm',
        problem: `Expected more than 1 value per channel when training, got input size ${formatShape(x.shape)}`,
      });
    if (training && runningMean !== null)
      noGrad(() => updateStatistics(x.detach(), dims, count, runningMean, runningVar, momentum));
    return affine(standardize(x, dims, eps), scale, shift);
  },
  gradName: 'NativeBatchNormBackward0',
  samples: [
    sample(random([4, 3, 2]), null, null, random([3]), random([3]), true),
    sample(random([4, 3]), random([3]), random([3], 0.5, 2), random([3]), random([3]), false),
  ],
});

/** running <- (1 - momentum) · running + momentum · batch; the variance unbiased. */
function updateStatistics(
  x: Tensor,
  dims: readonly number[],
  count: number,
  runningMean: Tensor,
  runningVar: Tensor,
  momentum: number | Tensor,
): void {
  const blend = (running: Tensor, batch: Tensor): Tensor =>
    assignInPlace(running, running.add(batch.sub(running).mul(momentum)));
  const mean = x.mean(dims, { keepdim: true });
  const centered = x.sub(mean);
  const variance = centered
    .mul(centered)
    .sum(dims)
    .div(count - 1);
  blend(runningMean, mean.reshape(runningMean.shape));
  blend(runningVar, variance);
}

/** Channels in `groups` groups, each normalised over its channels and all spatial dims. */
export const groupNorm: Op<
  (
    input: Tensor,
    numGroups: number,
    weight?: Tensor | null | LayerNormOptions,
    bias?: Tensor | null | LayerNormOptions,
    eps?: number,
  ) => Tensor
> = composite({
  name: 'groupNorm',
  doc: 'Normalises groups of channels of [N, C, ...] for each sample; then scales and shifts each channel.',
  signature: 'input: tensor, numGroups: int, weight: tensor = null, bias: tensor = null, eps: number = 0.00001',
  compute({ input, numGroups, weight, bias, eps }) {
    const [n, channels] = input.shape;
    if (channels % numGroups !== 0) {
      fail('E107', {
        op: 'groupNorm',
        problem: `Expected number of channels in input to be divisible by num_groups, but got input of shape ${formatShape(input.shape)} and num_groups=${numGroups}`,
      });
    }
    const normalized = standardize(input.reshape([n, numGroups, -1]), [2], eps).reshape(input.shape);
    return affine(normalized, perChannel(weight, input.ndim), perChannel(bias, input.ndim));
  },
  gradName: 'NativeGroupNormBackward0',
  samples: [sample(random([2, 4, 3]), 2, random([4]), random([4]))],
  errors: [{ args: [random([2, 3, 2]), 2], message: /divisible by num_groups/ }],
});

export interface InstanceNormOptions {
  readonly runningMean?: Tensor | null;
  readonly runningVar?: Tensor | null;
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly useInputStats?: boolean;
  readonly momentum?: number;
  readonly eps?: number;
}
export const instanceNorm: Op<(input: Tensor, options?: InstanceNormOptions) => Tensor> = composite({
  name: 'instanceNorm',
  gradName: 'ViewBackward0',
  doc: 'Normalises each channel of each sample over its spatial dims.',
  signature:
    'input: tensor, runningMean: tensor = null, runningVar: tensor = null, weight: tensor = null, bias: tensor = null, useInputStats: bool = true, momentum: number = 0.1, eps: number = 0.00001',
  compute({ input, runningMean, runningVar, weight, bias, useInputStats, momentum, eps }) {
    const x: Tensor = input;
    const [scale, shift] = [perChannel(weight, x.ndim), perChannel(bias, x.ndim)];
    if (!useInputStats) {
      return affine(
        x.sub(perChannel(runningMean, x.ndim)!).mul(perChannel(runningVar.add(eps).rsqrt(), x.ndim)!),
        scale,
        shift,
      );
    }
    const dims = x.shape.map((_, d) => d).slice(2);
    if (numel(dims.map(d => x.shape[d])) <= 1) {
      const problem = `Expected more than 1 spatial element when training, got input size ${formatShape(x.shape)}`;
      fail('E110', { op: 'instanceNorm', problem });
    }
    if (runningMean !== null)
      noGrad(() => updateInstanceStatistics(x.detach(), dims, runningMean, runningVar, momentum));
    return affine(standardize(x, dims, eps), scale, shift);
  },
  samples: [sample(random([2, 3, 4]), { weight: random([3]) }), sampleWithoutGradient(random([2, 3, 4, 2]))],
});

function updateInstanceStatistics(
  x: Tensor,
  dims: readonly number[],
  runningMean: Tensor,
  runningVar: Tensor,
  momentum: number,
): void {
  const count = numel(dims.map(d => x.shape[d]));
  const mean = x.mean(dims, { keepdim: true });
  const centered = x.sub(mean);
  const variance = centered
    .mul(centered)
    .sum(dims)
    .div(count - 1)
    .mean(0);
  assignInPlace(runningMean, runningMean.add(mean.mean(0).reshape(runningMean.shape).sub(runningMean).mul(momentum)));
  assignInPlace(runningVar, runningVar.add(variance.sub(runningVar).mul(momentum)));
}

/** x / (k + alpha/size · Σ x² over `size` neighbouring channels)^beta. */
export const localResponseNorm: Op<
  (
    input: Tensor,
    size: number,
    alpha?: number | { alpha?: number; beta?: number; k?: number },
    beta?: number,
    k?: number,
  ) => Tensor
> = composite({
  name: 'localResponseNorm',
  doc: 'Divides by a power of the mean square over neighbouring channels.',
  signature: 'input: tensor, size: int, alpha: number = 0.0001, beta: number = 0.75, k: number = 1',
  compute({ input, size, alpha, beta, k }) {
    const before = Math.floor(size / 2);
    const squares = input.mul(input).padDim(1, before, size - 1 - before);
    const windows = Array.from({ length: size }, (_, i) => squares.narrow(1, i, input.shape[1]));
    const sum = windows.slice(1).reduce((total: Tensor, w: Tensor) => total.add(w), windows[0]);
    return input.div(sum.div(size).mul(alpha).add(k).pow(beta));
  },
  samples: [sample(random([2, 5, 3]), 3)],
});
