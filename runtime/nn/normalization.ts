/**
 * Normalisation layers. Ioffe and Szegedy, "Batch normalization" (2015); Ba, Kiros and Hinton, "Layer normalization" (2016);
 * Wu and He, "Group normalization" (2018); Ulyanov et al., "Instance normalization" (2016).
 */
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import { formatShape } from '../../compiler/ir/shape.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { ones, zeros } from '../creation.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { pythonFloat } from '../numerals.js';
import { positional, UnaryLayer } from './layer.js';
import { Parameter } from './parameter.js';

export interface RunningNormOptions {
  readonly eps?: number;
  /** Share of the batch in the running statistics; null: their average over all batches. */
  readonly momentum?: number | null;
  readonly affine?: boolean;
  readonly trackRunningStats?: boolean;
  readonly dtype?: DType;
}
const runningNormOrder = ['eps', 'momentum', 'affine', 'trackRunningStats'] as const;
/** The settings of a layer that keeps statistics, in order or by name. */
export type RunningNormSettings = InOrder<RunningNormOptions, typeof runningNormOrder>;

/** Per-channel scale and shift, and statistics kept as buffers that training changes in place. */
abstract class RunningNorm extends UnaryLayer {
  readonly numFeatures: number;
  readonly eps: number;
  readonly momentum: number | null;
  readonly affine: boolean;
  readonly trackRunningStats: boolean;
  weight: Parameter | null;
  bias: Parameter | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  numBatchesTracked: Tensor | null;

  constructor(
    numFeatures: number,
    given: RunningNormSettings,
    defaults: { readonly affine: boolean; readonly trackRunningStats: boolean },
  ) {
    super();
    const {
      eps = 1e-5,
      momentum = 0.1,
      affine = defaults.affine,
      trackRunningStats = defaults.trackRunningStats,
      dtype,
    } = byName<RunningNormOptions, typeof runningNormOrder>(new.target.name, runningNormOrder, given, ['dtype']);
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    this.affine = affine;
    this.trackRunningStats = trackRunningStats;
    this.weight = affine ? new Parameter(ones(numFeatures, { dtype })) : null;
    this.bias = affine ? new Parameter(zeros(numFeatures, { dtype })) : null;
    this.runningMean = this.registerBuffer('runningMean', trackRunningStats ? zeros(numFeatures, { dtype }) : null);
    this.runningVar = this.registerBuffer('runningVar', trackRunningStats ? ones(numFeatures, { dtype }) : null);
    this.numBatchesTracked = this.registerBuffer(
      'numBatchesTracked',
      trackRunningStats ? zeros({ dtype: 'int64' }) : null,
    );
  }

  /** Numbers of dims the input may have. */
  protected abstract readonly ranks: readonly number[];
  protected checkInput(input: Tensor): void {
    if (this.ranks.includes(input.ndim)) return;
    const wanted = this.ranks.map(rank => `${rank}D`).join(' or ');
    fail('E208', {
      problem: `${this.constructor.name}: expected ${wanted} input (got ${input.ndim}D input of shape ${formatShape(input.shape)})`,
    });
  }
  /** @internal How many channels a checked input has. */
  channelsOf(input: Tensor): number {
    this.checkInput(input);
    return input.shape[this.isSingle(input) ? 0 : 1];
  }
  /** Is this one instance without a batch dim? */
  protected isSingle(_input: Tensor): boolean {
    return false;
  }
  override extraRepr(): string {
    const { eps, momentum, affine, trackRunningStats } = this;
    return positional([this.numFeatures], { eps, momentum, affine, trackRunningStats });
  }
}

abstract class BatchNorm extends RunningNorm {
  constructor(numFeatures: number, ...given: RunningNormSettings) {
    super(numFeatures, given, { affine: true, trackRunningStats: true });
  }
  override forward(input: Tensor): Tensor {
    this.checkInput(input);
    return F.batchNorm(input, this.runningMean, this.runningVar, {
      weight: this.weight,
      bias: this.bias,
      training: this.training || this.runningMean === null,
      momentum: this.countBatch(),
      eps: this.eps,
    });
  }
  /** Note one more batch while training, and give its share in the running statistics. */
  private countBatch(): number | Tensor {
    const count = this.numBatchesTracked;
    if (!this.training || count === null) return this.momentum ?? 0;
    noGrad(() => count.add_(1));
    return this.momentum ?? count.to('float64').reciprocal();
  }
}
export class BatchNorm1d extends BatchNorm {
  protected readonly ranks = [2, 3];
}
export class BatchNorm2d extends BatchNorm {
  protected readonly ranks = [4];
}
export class BatchNorm3d extends BatchNorm {
  protected readonly ranks = [5];
}

abstract class InstanceNorm extends RunningNorm {
  constructor(numFeatures: number, ...given: RunningNormSettings) {
    super(numFeatures, given, { affine: false, trackRunningStats: false });
  }
  override forward(input: Tensor): Tensor {
    this.checkInput(input);
    const single = this.isSingle(input);
    const output = F.instanceNorm(single ? input.unsqueeze(0) : input, {
      runningMean: this.runningMean,
      runningVar: this.runningVar,
      weight: this.weight,
      bias: this.bias,
      useInputStats: this.training || !this.trackRunningStats,
      momentum: this.momentum ?? 0,
      eps: this.eps,
    });
    return single ? output.squeeze(0) : output;
  }
  protected override isSingle(input: Tensor): boolean {
    return input.ndim === Math.min(...this.ranks);
  }
}
export class InstanceNorm1d extends InstanceNorm {
  protected readonly ranks = [2, 3];
}
export class InstanceNorm2d extends InstanceNorm {
  protected readonly ranks = [3, 4];
}
export class InstanceNorm3d extends InstanceNorm {
  protected readonly ranks = [4, 5];
}

export interface LayerNormOptions {
  readonly eps?: number;
  readonly elementwiseAffine?: boolean;
  readonly dtype?: DType;
}
const layerNormOrder = ['eps', 'elementwiseAffine'] as const;
/** Normalises over the last dims. */
export class LayerNorm extends UnaryLayer {
  readonly normalizedShape: readonly number[];
  readonly eps: number;
  readonly elementwiseAffine: boolean;
  weight: Parameter | null;
  bias: Parameter | null;
  constructor(normalizedShape: number | readonly number[], ...given: InOrder<LayerNormOptions, typeof layerNormOrder>) {
    super();
    const named = byName<LayerNormOptions, typeof layerNormOrder>('LayerNorm', layerNormOrder, given, ['dtype']);
    const { eps = 1e-5, elementwiseAffine = true, dtype } = named;
    this.normalizedShape = typeof normalizedShape === 'number' ? [normalizedShape] : [...normalizedShape];
    this.eps = eps;
    this.elementwiseAffine = elementwiseAffine;
    this.weight = elementwiseAffine ? new Parameter(ones(this.normalizedShape, { dtype })) : null;
    this.bias = elementwiseAffine ? new Parameter(zeros(this.normalizedShape, { dtype })) : null;
  }
  override forward(input: Tensor): Tensor {
    return F.layerNorm(input, this.normalizedShape, this.weight, this.bias, this.eps);
  }
  override extraRepr(): string {
    return positional([this.normalizedShape], { eps: this.eps, elementwiseAffine: this.elementwiseAffine });
  }
}

export interface GroupNormOptions {
  readonly eps?: number;
  readonly affine?: boolean;
  readonly dtype?: DType;
}
const groupNormOrder = ['eps', 'affine'] as const;
/** Normalises over groups of channels. */
export class GroupNorm extends UnaryLayer {
  readonly numGroups: number;
  readonly numChannels: number;
  readonly eps: number;
  readonly affine: boolean;
  weight: Parameter | null;
  bias: Parameter | null;
  constructor(numGroups: number, numChannels: number, ...given: InOrder<GroupNormOptions, typeof groupNormOrder>) {
    super();
    const named = byName<GroupNormOptions, typeof groupNormOrder>('GroupNorm', groupNormOrder, given, ['dtype']);
    const { eps = 1e-5, affine = true, dtype } = named;
    if (numChannels % numGroups !== 0)
      fail('E208', { problem: `num_channels must be divisible by num_groups: ${numChannels} and ${numGroups}` });
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = eps;
    this.affine = affine;
    this.weight = affine ? new Parameter(ones(numChannels, { dtype })) : null;
    this.bias = affine ? new Parameter(zeros(numChannels, { dtype })) : null;
  }
  override forward(input: Tensor): Tensor {
    return F.groupNorm(input, this.numGroups, this.weight, this.bias, this.eps);
  }
  override extraRepr(): string {
    return positional([this.numGroups, this.numChannels], { eps: this.eps, affine: this.affine });
  }
}

export interface LocalResponseNormOptions {
  readonly alpha?: number;
  readonly beta?: number;
  readonly k?: number;
}
const responseNormOrder = ['alpha', 'beta', 'k'] as const;
export class LocalResponseNorm extends UnaryLayer {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
  constructor(size: number, ...given: InOrder<LocalResponseNormOptions, typeof responseNormOrder>) {
    super();
    const named = byName<LocalResponseNormOptions, typeof responseNormOrder>(
      'LocalResponseNorm',
      responseNormOrder,
      given,
    );
    const { alpha = 1e-4, beta = 0.75, k = 1 } = named;
    this.size = size;
    this.alpha = alpha;
    this.beta = beta;
    this.k = k;
  }
  override forward(input: Tensor): Tensor {
    return F.localResponseNorm(input, this.size, this.alpha, this.beta, this.k);
  }
  override extraRepr(): string {
    return `${positional([this.size], { alpha: this.alpha, beta: this.beta })}, k=${pythonFloat(this.k)}`;
  }
}
