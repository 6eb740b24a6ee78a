/** Pooling, and dims flattened after it. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { byName, type InOrder, needed } from '../in-order.js';
import type { Size } from './convolution.js';
import { Layer, settings, UnaryLayer } from './layer.js';

type Windowed<Options> = Options & { readonly kernelSize: Size };
/** The window in its place or by name, and what else is given. */
type Pooling<Options, Settings extends readonly unknown[]> =
  | [kernelSize: Size, ...settings: Settings]
  | [options: Windowed<Options>];

export interface MaxPoolOptions<R extends boolean = boolean> {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly dilation?: Size;
  /** Give the places of the maxima, too: [values, indices]. */
  readonly returnIndices?: R;
  readonly ceilMode?: boolean;
}
const maxPoolOrder = ['stride', 'padding', 'dilation', 'returnIndices', 'ceilMode'] as const;
/** What a layer gives that returns indices or not. */
type Maxima<R extends boolean> = R extends true ? [values: Tensor, indices: Tensor] : Tensor;

abstract class MaxPoolNd<R extends boolean> extends Layer {
  protected abstract readonly pool: typeof F.maxPool2d;
  protected abstract readonly poolWithIndices: typeof F.maxPool2dWithIndices;
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  readonly dilation: Size;
  readonly returnIndices: boolean;
  readonly ceilMode: boolean;
  constructor(...given: Pooling<MaxPoolOptions<R>, InOrder<MaxPoolOptions<R>, typeof maxPoolOrder>>) {
    super();
    const { name } = new.target;
    const options: Windowed<MaxPoolOptions<R>> = byName(name, ['kernelSize', ...maxPoolOrder], given);
    const { kernelSize } = needed(name, ['kernelSize'], options);
    const { stride, padding = 0, dilation = 1, returnIndices = false, ceilMode = false } = options;
    this.kernelSize = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
    this.dilation = dilation;
    this.returnIndices = returnIndices;
    this.ceilMode = ceilMode;
  }
  override forward(input: Tensor): Maxima<R> {
    const run = this.returnIndices ? this.poolWithIndices : this.pool;
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    return run(input, kernelSize, stride, padding, dilation, ceilMode) as Maxima<R>;
  }
  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    return settings({ kernelSize, stride, padding, dilation, ceilMode });
  }
}
export class MaxPool1d<R extends boolean = false> extends MaxPoolNd<R> {
  protected override readonly pool = F.maxPool1d;
  protected override readonly poolWithIndices = F.maxPool1dWithIndices;
}
export class MaxPool2d<R extends boolean = false> extends MaxPoolNd<R> {
  protected override readonly pool = F.maxPool2d;
  protected override readonly poolWithIndices = F.maxPool2dWithIndices;
}
export class MaxPool3d<R extends boolean = false> extends MaxPoolNd<R> {
  protected override readonly pool = F.maxPool3d;
  protected override readonly poolWithIndices = F.maxPool3dWithIndices;
}

export interface AvgPoolOptions {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly ceilMode?: boolean;
  readonly countIncludePad?: boolean;
  readonly divisorOverride?: number | null;
}
const avgPoolOrder = ['stride', 'padding', 'ceilMode', 'countIncludePad', 'divisorOverride'] as const;
abstract class AvgPoolNd extends UnaryLayer {
  protected abstract readonly pool: typeof F.avgPool2d;
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;
  readonly divisorOverride: number | null;
  constructor(...given: Pooling<AvgPoolOptions, InOrder<AvgPoolOptions, typeof avgPoolOrder>>) {
    super();
    const { name } = new.target;
    const options: Windowed<AvgPoolOptions> = byName(name, ['kernelSize', ...avgPoolOrder], given);
    const { kernelSize } = needed(name, ['kernelSize'], options);
    const { stride, padding = 0, ceilMode = false, countIncludePad = true, divisorOverride = null } = options;
    this.kernelSize = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
    this.ceilMode = ceilMode;
    this.countIncludePad = countIncludePad;
    this.divisorOverride = divisorOverride;
  }
  override forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride } = this;
    return this.pool(input, kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride);
  }
  override extraRepr(): string {
    const { kernelSize, stride, padding } = this;
    return settings({ kernelSize, stride, padding });
  }
}
export class AvgPool1d extends AvgPoolNd {
  protected override readonly pool = F.avgPool1d;
  /** Unlike its kin, PyTorch's keeps its settings as lists of one. */
  override extraRepr(): string {
    const [kernelSize, stride, padding] = [this.kernelSize, this.stride, this.padding].map(size => [size].flat());
    return settings({ kernelSize, stride, padding });
  }
}
export class AvgPool2d extends AvgPoolNd {
  protected override readonly pool = F.avgPool2d;
}
export class AvgPool3d extends AvgPoolNd {
  protected override readonly pool = F.avgPool3d;
}

/** An output size; null keeps the size of a dim. */
export type OutputSize = number | readonly (number | null)[];
abstract class AdaptivePoolNd extends UnaryLayer {
  protected abstract readonly pool: typeof F.adaptiveAvgPool2d;
  readonly outputSize: OutputSize;
  constructor(outputSize: OutputSize) {
    super();
    this.outputSize = outputSize;
  }
  override forward(input: Tensor): Tensor {
    return this.pool(input, this.outputSize);
  }
  override extraRepr(): string {
    return settings({ outputSize: this.outputSize });
  }
}
export class AdaptiveAvgPool1d extends AdaptivePoolNd {
  protected override readonly pool = F.adaptiveAvgPool1d;
}
export class AdaptiveAvgPool2d extends AdaptivePoolNd {
  protected override readonly pool = F.adaptiveAvgPool2d;
}
export class AdaptiveAvgPool3d extends AdaptivePoolNd {
  protected override readonly pool = F.adaptiveAvgPool3d;
}
abstract class AdaptiveMaxPoolNd<R extends boolean> extends Layer {
  protected abstract readonly pool: typeof F.adaptiveMaxPool2d;
  protected abstract readonly poolWithIndices: typeof F.adaptiveMaxPool2dWithIndices;
  readonly outputSize: OutputSize;
  readonly returnIndices: boolean;
  constructor(outputSize: OutputSize, ...given: InOrder<Pick<MaxPoolOptions<R>, 'returnIndices'>, ['returnIndices']>) {
    super();
    const options: Pick<MaxPoolOptions<R>, 'returnIndices'> = byName('AdaptiveMaxPool', ['returnIndices'], given);
    this.outputSize = outputSize;
    this.returnIndices = options.returnIndices ?? false;
  }
  override forward(input: Tensor): Maxima<R> {
    const run = this.returnIndices ? this.poolWithIndices : this.pool;
    return run(input, this.outputSize) as Maxima<R>;
  }
  override extraRepr(): string {
    return settings({ outputSize: this.outputSize });
  }
}
export class AdaptiveMaxPool1d<R extends boolean = false> extends AdaptiveMaxPoolNd<R> {
  protected override readonly pool = F.adaptiveMaxPool1d;
  protected override readonly poolWithIndices = F.adaptiveMaxPool1dWithIndices;
}
export class AdaptiveMaxPool2d<R extends boolean = false> extends AdaptiveMaxPoolNd<R> {
  protected override readonly pool = F.adaptiveMaxPool2d;
  protected override readonly poolWithIndices = F.adaptiveMaxPool2dWithIndices;
}
export class AdaptiveMaxPool3d<R extends boolean = false> extends AdaptiveMaxPoolNd<R> {
  protected override readonly pool = F.adaptiveMaxPool3d;
  protected override readonly poolWithIndices = F.adaptiveMaxPool3dWithIndices;
}

type UnpoolOptions = Pick<MaxPoolOptions, 'stride' | 'padding'>;
const unpoolOrder = ['stride', 'padding'] as const;
/** The inverse of max pooling as far as there is one: each value at its index, 0 elsewhere. */
abstract class MaxUnpoolNd extends Layer {
  protected abstract readonly unpool: typeof F.maxUnpool2d;
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  constructor(kernelSize: Size, ...given: InOrder<UnpoolOptions, typeof unpoolOrder>) {
    super();
    const { stride, padding = 0 }: UnpoolOptions = byName('MaxUnpool', unpoolOrder, given);
    this.kernelSize = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
  }
  override forward(input: Tensor, indices: Tensor, outputSize: readonly number[] | null = null): Tensor {
    return this.unpool(input, indices, this.kernelSize, this.stride, this.padding, outputSize);
  }
  override extraRepr(): string {
    const { kernelSize, stride, padding } = this;
    return settings({ kernelSize, stride, padding });
  }
}
export class MaxUnpool1d extends MaxUnpoolNd {
  protected override readonly unpool: typeof F.maxUnpool1d = F.maxUnpool1d;
}
export class MaxUnpool2d extends MaxUnpoolNd {
  protected override readonly unpool: typeof F.maxUnpool2d = F.maxUnpool2d;
}
export class MaxUnpool3d extends MaxUnpoolNd {
  protected override readonly unpool: typeof F.maxUnpool3d = F.maxUnpool3d;
}

export interface FlattenOptions {
  readonly startDim?: number;
  readonly endDim?: number;
}
const flattenOrder = ['startDim', 'endDim'] as const;
/** All dims from one to another in one. */
export class Flatten extends UnaryLayer {
  readonly startDim: number;
  readonly endDim: number;
  constructor(...given: InOrder<FlattenOptions, typeof flattenOrder>) {
    super();
    const { startDim = 1, endDim = -1 }: FlattenOptions = byName('Flatten', flattenOrder, given);
    this.startDim = startDim;
    this.endDim = endDim;
  }
  override forward(input: Tensor): Tensor {
    return input.flatten(this.startDim, this.endDim);
  }
  override extraRepr(): string {
    return settings({ startDim: this.startDim, endDim: this.endDim });
  }
}

/** One dim in several. */
export class Unflatten extends UnaryLayer {
  constructor(
    readonly dim: number,
    readonly unflattenedSize: readonly number[],
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return input.unflatten(this.dim, this.unflattenedSize);
  }
  override extraRepr(): string {
    return settings({ dim: this.dim, unflattenedSize: this.unflattenedSize });
  }
}
