/** Pooling. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import type { Size } from './convolution.js';
import { positional, settings, UnaryLayer } from './layer.js';

export interface MaxPoolOptions {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly dilation?: Size;
  readonly ceilMode?: boolean;
}
abstract class MaxPoolNd extends UnaryLayer {
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  readonly dilation: Size;
  readonly ceilMode: boolean;
  constructor(kernelSize: Size, { stride, padding = 0, dilation = 1, ceilMode = false }: MaxPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
    this.dilation = dilation;
    this.ceilMode = ceilMode;
  }
  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    return settings({ kernelSize, stride, padding, dilation, ceilMode });
  }
}
export class MaxPool1d extends MaxPoolNd {
  override forward(input: Tensor): Tensor {
    return F.maxPool1d(input, this.kernelSize, this.stride, this.padding, this.dilation, this.ceilMode);
  }
}
export class MaxPool2d extends MaxPoolNd {
  override forward(input: Tensor): Tensor {
    return F.maxPool2d(input, this.kernelSize, this.stride, this.padding, this.dilation, this.ceilMode);
  }
}
export class MaxPool3d extends MaxPoolNd {
  override forward(input: Tensor): Tensor {
    return F.maxPool3d(input, this.kernelSize, this.stride, this.padding, this.dilation, this.ceilMode);
  }
}

export interface AvgPoolOptions {
  readonly stride?: Size | null;
  readonly padding?: Size;
  readonly ceilMode?: boolean;
  readonly countIncludePad?: boolean;
  readonly divisorOverride?: number | null;
}
abstract class AvgPoolNd extends UnaryLayer {
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;
  readonly divisorOverride: number | null;
  constructor(
    kernelSize: Size,
    { stride, padding = 0, ceilMode = false, countIncludePad = true, divisorOverride = null }: AvgPoolOptions = {},
  ) {
    super();
    this.kernelSize = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
    this.ceilMode = ceilMode;
    this.countIncludePad = countIncludePad;
    this.divisorOverride = divisorOverride;
  }
  override extraRepr(): string {
    const { kernelSize, stride, padding } = this;
    return settings({ kernelSize, stride, padding });
  }
}
export class AvgPool1d extends AvgPoolNd {
  override forward(input: Tensor): Tensor {
    return F.avgPool1d(input, this.kernelSize, this.stride, this.padding, this.ceilMode, this.countIncludePad);
  }
  /** Unlike its kin, PyTorch's keeps its settings as lists of one. */
  override extraRepr(): string {
    const [kernelSize, stride, padding] = [this.kernelSize, this.stride, this.padding].map(size => [size].flat());
    return settings({ kernelSize, stride, padding });
  }
}
export class AvgPool2d extends AvgPoolNd {
  override forward(input: Tensor): Tensor {
    return F.avgPool2d(
      input,
      this.kernelSize,
      this.stride,
      this.padding,
      this.ceilMode,
      this.countIncludePad,
      this.divisorOverride,
    );
  }
}
export class AvgPool3d extends AvgPoolNd {
  override forward(input: Tensor): Tensor {
    return F.avgPool3d(
      input,
      this.kernelSize,
      this.stride,
      this.padding,
      this.ceilMode,
      this.countIncludePad,
      this.divisorOverride,
    );
  }
}

/** An output size; null keeps the size of a dim. */
export type OutputSize = number | readonly (number | null)[];
abstract class AdaptivePoolNd extends UnaryLayer {
  readonly outputSize: OutputSize;
  constructor(outputSize: OutputSize) {
    super();
    this.outputSize = outputSize;
  }
  override extraRepr(): string {
    return settings({ outputSize: this.outputSize });
  }
}
export class AdaptiveAvgPool1d extends AdaptivePoolNd {
  override forward(input: Tensor): Tensor {
    return F.adaptiveAvgPool1d(input, this.outputSize);
  }
}
export class AdaptiveAvgPool2d extends AdaptivePoolNd {
  override forward(input: Tensor): Tensor {
    return F.adaptiveAvgPool2d(input, this.outputSize);
  }
}

/** All dims from one to another in one. */
export class Flatten extends UnaryLayer {
  constructor(
    readonly startDim = 1,
    readonly endDim = -1,
  ) {
    super();
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

/** A border around the last dims: [before, after] of each, from the last dim to the first. */
abstract class PadNd extends UnaryLayer {
  readonly padding: readonly number[];
  constructor(rank: number, padding: Size) {
    super();
    this.padding = typeof padding === 'number' ? new Array<number>(2 * rank).fill(padding) : padding;
  }
  override extraRepr(): string {
    return positional([this.padding]);
  }
}
abstract class ConstantPadNd extends PadNd {
  constructor(
    rank: number,
    padding: Size,
    readonly value: number,
  ) {
    super(rank, padding);
  }
  override forward(input: Tensor): Tensor {
    return F.pad(input, this.padding, 'constant', this.value);
  }
  override extraRepr(): string {
    return settings({ padding: this.padding, value: this.value });
  }
}
export class ConstantPad1d extends ConstantPadNd {
  constructor(padding: Size, value: number) {
    super(1, padding, value);
  }
}
export class ConstantPad2d extends ConstantPadNd {
  constructor(padding: Size, value: number) {
    super(2, padding, value);
  }
}
export class ZeroPad2d extends ConstantPadNd {
  constructor(padding: Size) {
    super(2, padding, 0);
  }
  override extraRepr(): string {
    return positional([this.padding]);
  }
}
abstract class ReflectionPadNd extends PadNd {
  override forward(input: Tensor): Tensor {
    return F.pad(input, this.padding, 'reflect');
  }
}
export class ReflectionPad1d extends ReflectionPadNd {
  constructor(padding: Size) {
    super(1, padding);
  }
}
export class ReflectionPad2d extends ReflectionPadNd {
  constructor(padding: Size) {
    super(2, padding);
  }
}
abstract class ReplicationPadNd extends PadNd {
  override forward(input: Tensor): Tensor {
    return F.pad(input, this.padding, 'replicate');
  }
}
export class ReplicationPad1d extends ReplicationPadNd {
  constructor(padding: Size) {
    super(1, padding);
  }
}
export class ReplicationPad2d extends ReplicationPadNd {
  constructor(padding: Size) {
    super(2, padding);
  }
}
