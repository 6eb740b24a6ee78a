/**
 * Layers that find the number of their inputs in the first batch they are given: until then their parameters are
 * uninitialized; from then on they are instances of the class after `Lazy`.
 */
import { fail } from '../../compiler/errors.js';
import { formatShape } from '../../compiler/ir/shape.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { executor, type Tensor } from '../../compiler/ops/tensor.js';
import { byName, type InOrder } from '../in-order.js';
import {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvOptions,
  type ConvSettings,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
  type ConvTransposeSettings,
  convOrder,
  convTransposeOrder,
  type Size,
} from './convolution.js';
import { type BiasOptions, Linear, resetLinear } from './linear.js';
import type { Module } from './module.js';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  type RunningNormOptions,
  type RunningNormSettings,
} from './normalization.js';
import { isUninitialized, UninitializedBuffer, UninitializedParameter } from './uninitialized.js';

/** The fields that become known. */
type Sizes<M extends Module> = { -readonly [Field in keyof M]?: M[Field] };

interface Lazily<M extends Module> {
  readonly becomes: { readonly prototype: M };
  /** What the first input tells. */
  readonly sizesFrom: (layer: M, input: Tensor) => Sizes<M>;
  /** Give the parameters and buffers that have no shape yet one, and values. */
  readonly fill: (layer: M) => void;
}

/** Have a layer of a lazy class settle when it is first run. */
function settleLater<M extends Module>(layer: M, { becomes, sizesFrom, fill }: Lazily<M>): void {
  const lazyPrototype = Object.getPrototypeOf(layer);
  layer.registerForwardPreHook((running, [input]) => {
    if (Object.getPrototypeOf(running) !== lazyPrototype) return;
    if (executor().kind === 'trace') refuseTrace(running);
    const own = running as M;
    Object.assign(own, sizesFrom(own, input as Tensor));
    if (Object.values(own).some(isUninitialized)) noGrad(() => fill(own));
    Object.setPrototypeOf(own, becomes.prototype);
  });
}

const refuseTrace = ({ constructor: { name } }: Module): never =>
  fail('E304', {
    problem: `${name} is run for the first time while an entry is traced, but a compiled model's parameters must exist before`,
    hint: 'run forward once with a batch of zeros where the model is defined; the optimizer may be made before or after',
  });

const lazyParameters = ({
  bias = true,
  dtype,
}: BiasOptions): { weight: UninitializedParameter; bias: UninitializedParameter | null } => ({
  weight: new UninitializedParameter({ dtype }),
  bias: bias ? new UninitializedParameter({ dtype }) : null,
});

/** Shape what has none. */
function materialize(part: Tensor | null, shape: readonly number[]): void {
  if (isUninitialized(part)) part.materialize(shape);
}

// ── linear ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

export class LazyLinear extends Linear {
  constructor(outFeatures: number, ...given: InOrder<BiasOptions, ['bias']>) {
    const options = byName<BiasOptions, ['bias']>('LazyLinear', ['bias'], given, ['dtype']);
    super(0, outFeatures, { bias: false });
    Object.assign(this, lazyParameters(options));
    settleLater<Linear>(this, {
      becomes: Linear,
      sizesFrom: (_, input) => ({ inFeatures: input.size(-1) }),
      fill({ weight, bias, inFeatures, outFeatures }) {
        materialize(weight, [outFeatures, inFeatures]);
        materialize(bias, [outFeatures]);
        resetLinear(weight, bias);
      },
    });
  }
}

// ── convolutions ───────────────────────────────────────────────────────────────────────────────────────────────────────

type Convolution = Conv1d | Conv2d | Conv3d | ConvTranspose1d | ConvTranspose2d | ConvTranspose3d;

function convolveLazily(
  layer: Convolution,
  options: ConvOptions | ConvTransposeOptions,
  becomes: Lazily<Convolution>['becomes'],
): void {
  Object.assign(layer, lazyParameters(options));
  const { name } = layer.constructor;
  settleLater<Convolution>(layer, {
    becomes,
    sizesFrom: (own, input) => ({ inChannels: channelsOf(name, own, input) }),
    fill(own) {
      materialize(own.weight, own.weightShape());
      materialize(own.bias, [own.outChannels]);
      resetLinear(own.weight, own.bias);
    },
  });
}

function channelsOf(name: string, { kernelSize }: Convolution, input: Tensor): number {
  const single = kernelSize.length + 1;
  if (input.ndim === single) return input.shape[0];
  if (input.ndim === single + 1) return input.shape[1];
  return fail('E208', {
    problem: `Expected ${single}D (unbatched) or ${single + 1}D (batched) input to ${name}, but got input of size: ${formatShape(input.shape)}`,
  });
}

export class LazyConv1d extends Conv1d {
  constructor(outChannels: number, kernelSize: Size, ...given: ConvSettings) {
    const options: ConvOptions = byName('LazyConv1d', convOrder, given, ['dtype']);
    super(0, outChannels, kernelSize, { ...options, bias: false });
    convolveLazily(this, options, Conv1d);
  }
}
export class LazyConv2d extends Conv2d {
  constructor(outChannels: number, kernelSize: Size, ...given: ConvSettings) {
    const options: ConvOptions = byName('LazyConv2d', convOrder, given, ['dtype']);
    super(0, outChannels, kernelSize, { ...options, bias: false });
    convolveLazily(this, options, Conv2d);
  }
}
export class LazyConv3d extends Conv3d {
  constructor(outChannels: number, kernelSize: Size, ...given: ConvSettings) {
    const options: ConvOptions = byName('LazyConv3d', convOrder, given, ['dtype']);
    super(0, outChannels, kernelSize, { ...options, bias: false });
    convolveLazily(this, options, Conv3d);
  }
}
export class LazyConvTranspose1d extends ConvTranspose1d {
  constructor(outChannels: number, kernelSize: Size, ...given: ConvTransposeSettings) {
    const options: ConvTransposeOptions = byName('LazyConvTranspose1d', convTransposeOrder, given, ['dtype']);
    super(0, outChannels, kernelSize, { ...options, bias: false });
    convolveLazily(this, options, ConvTranspose1d);
  }
}
export class LazyConvTranspose2d extends ConvTranspose2d {
  constructor(outChannels: number, kernelSize: Size, ...given: ConvTransposeSettings) {
    const options: ConvTransposeOptions = byName('LazyConvTranspose2d', convTransposeOrder, given, ['dtype']);
    super(0, outChannels, kernelSize, { ...options, bias: false });
    convolveLazily(this, options, ConvTranspose2d);
  }
}
export class LazyConvTranspose3d extends ConvTranspose3d {
  constructor(outChannels: number, kernelSize: Size, ...given: ConvTransposeSettings) {
    const options: ConvTransposeOptions = byName('LazyConvTranspose3d', convTransposeOrder, given, ['dtype']);
    super(0, outChannels, kernelSize, { ...options, bias: false });
    convolveLazily(this, options, ConvTranspose3d);
  }
}

// ── normalisations ─────────────────────────────────────────────────────────────────────────────────────────────────────

type RunningNorm = BatchNorm1d | BatchNorm2d | BatchNorm3d | InstanceNorm1d | InstanceNorm2d | InstanceNorm3d;

function normalizeLazily(layer: RunningNorm, becomes: Lazily<RunningNorm>['becomes']): void {
  const { affine, trackRunningStats } = layer;
  const dtype = (layer.weight ?? layer.runningMean)?.dtype;
  if (affine) Object.assign(layer, lazyParameters({ dtype }));
  if (trackRunningStats) {
    layer.runningMean = layer.registerBuffer('runningMean', new UninitializedBuffer({ dtype }));
    layer.runningVar = layer.registerBuffer('runningVar', new UninitializedBuffer({ dtype }));
  }
  settleLater<RunningNorm>(layer, {
    becomes,
    sizesFrom: (own, input) => ({ numFeatures: own.channelsOf(input) }),
    fill(own) {
      for (const part of [own.weight, own.bias, own.runningMean, own.runningVar]) materialize(part, [own.numFeatures]);
      own.weight?.fill_(1);
      own.bias?.fill_(0);
      own.runningMean?.fill_(0);
      own.runningVar?.fill_(1);
    },
  });
}

export class LazyBatchNorm1d extends BatchNorm1d {
  constructor(...given: RunningNormSettings) {
    super(0, ...given);
    normalizeLazily(this, BatchNorm1d);
  }
}
export class LazyBatchNorm2d extends BatchNorm2d {
  constructor(...given: RunningNormSettings) {
    super(0, ...given);
    normalizeLazily(this, BatchNorm2d);
  }
}
export class LazyBatchNorm3d extends BatchNorm3d {
  constructor(...given: RunningNormSettings) {
    super(0, ...given);
    normalizeLazily(this, BatchNorm3d);
  }
}
const instanceNormOrder = ['eps', 'momentum', 'affine', 'trackRunningStats'] as const;
/** With affine and statistics by default, unlike the layers that they become. */
const instanceNormOptions = (layer: string, given: RunningNormSettings): RunningNormOptions => ({
  affine: true,
  trackRunningStats: true,
  ...byName<RunningNormOptions, typeof instanceNormOrder>(layer, instanceNormOrder, given, ['dtype']),
});

export class LazyInstanceNorm1d extends InstanceNorm1d {
  constructor(...given: RunningNormSettings) {
    super(0, instanceNormOptions('LazyInstanceNorm1d', given));
    normalizeLazily(this, InstanceNorm1d);
  }
}
export class LazyInstanceNorm2d extends InstanceNorm2d {
  constructor(...given: RunningNormSettings) {
    super(0, instanceNormOptions('LazyInstanceNorm2d', given));
    normalizeLazily(this, InstanceNorm2d);
  }
}
export class LazyInstanceNorm3d extends InstanceNorm3d {
  constructor(...given: RunningNormSettings) {
    super(0, instanceNormOptions('LazyInstanceNorm3d', given));
    normalizeLazily(this, InstanceNorm3d);
  }
}
