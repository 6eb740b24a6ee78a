/** Layers that rearrange and resize images. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { pythonFloat, pythonValue } from '../numerals.js';
import type { Size } from './convolution.js';
import { settings, UnaryLayer } from './layer.js';

export interface UpsampleOptions {
  readonly size?: Size | null;
  readonly scaleFactor?: Size | null;
  readonly mode?: 'nearest' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear';
  readonly alignCorners?: boolean | null;
}
const upsampleOrder = ['size', 'scaleFactor', 'mode', 'alignCorners'] as const;
export class Upsample extends UnaryLayer {
  readonly size: Size | null;
  readonly scaleFactor: Size | null;
  readonly mode: NonNullable<UpsampleOptions['mode']>;
  readonly alignCorners: boolean | null;
  constructor(...given: InOrder<UpsampleOptions, typeof upsampleOrder>) {
    super();
    const named: UpsampleOptions = byName(new.target.name, upsampleOrder, given);
    const { size = null, scaleFactor = null, mode = 'nearest', alignCorners = null } = named;
    this.size = size;
    this.scaleFactor = scaleFactor;
    this.mode = mode;
    this.alignCorners = alignCorners;
  }
  override forward(input: Tensor): Tensor {
    const { size, scaleFactor, mode, alignCorners } = this;
    return F.interpolate(input, { size, scaleFactor, mode: mode as never, alignCorners });
  }
  override extraRepr(): string {
    const { size, scaleFactor, mode } = this;
    const factors = [scaleFactor ?? []].flat().map(pythonFloat);
    const factor = typeof scaleFactor === 'number' ? factors[0] : `(${factors.join(', ')})`;
    const target = scaleFactor === null ? `size=${pythonValue(size)}` : `scale_factor=${factor}`;
    return `${target}, mode=${mode}`;
  }
}

type SizeOrFactor = Pick<UpsampleOptions, 'size' | 'scaleFactor'>;
const sizeOrFactor = ['size', 'scaleFactor'] as const;
export class UpsamplingNearest2d extends Upsample {
  constructor(...given: InOrder<SizeOrFactor, typeof sizeOrFactor>) {
    super({
      ...byName<SizeOrFactor, typeof sizeOrFactor>('UpsamplingNearest2d', sizeOrFactor, given),
      mode: 'nearest',
    });
  }
}
/** Bilinear, corners aligned. */
export class UpsamplingBilinear2d extends Upsample {
  constructor(...given: InOrder<SizeOrFactor, typeof sizeOrFactor>) {
    const named: SizeOrFactor = byName('UpsamplingBilinear2d', sizeOrFactor, given);
    super({ ...named, mode: 'bilinear', alignCorners: true });
  }
}

/** Channels to space: [N, C·r², H, W] to [N, C, H·r, W·r]. */
export class PixelShuffle extends UnaryLayer {
  constructor(readonly upscaleFactor: number) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return F.pixelShuffle(input, this.upscaleFactor);
  }
  override extraRepr(): string {
    return settings({ upscaleFactor: this.upscaleFactor });
  }
}
/** The channels in turn from each of `groups`. */
export class ChannelShuffle extends UnaryLayer {
  constructor(readonly groups: number) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return F.channelShuffle(input, this.groups);
  }
  override extraRepr(): string {
    return settings({ groups: this.groups });
  }
}
/** Space to channels: the inverse of PixelShuffle. */
export class PixelUnshuffle extends UnaryLayer {
  constructor(readonly downscaleFactor: number) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return F.pixelUnshuffle(input, this.downscaleFactor);
  }
  override extraRepr(): string {
    return settings({ downscaleFactor: this.downscaleFactor });
  }
}

export interface WindowOptions {
  readonly dilation?: Size;
  readonly padding?: Size;
  readonly stride?: Size;
}
const windowOrder = ['dilation', 'padding', 'stride'] as const;
/** Windows as columns. */
export class Unfold extends UnaryLayer {
  readonly kernelSize: Size;
  readonly dilation: Size;
  readonly padding: Size;
  readonly stride: Size;
  constructor(kernelSize: Size, ...given: InOrder<WindowOptions, typeof windowOrder>) {
    super();
    const { dilation = 1, padding = 0, stride = 1 }: WindowOptions = byName('Unfold', windowOrder, given);
    this.kernelSize = kernelSize;
    this.dilation = dilation;
    this.padding = padding;
    this.stride = stride;
  }
  override forward(input: Tensor): Tensor {
    const { kernelSize, dilation, padding, stride } = this;
    return F.imageToColumns(input, kernelSize, { dilation, padding, stride });
  }
  override extraRepr(): string {
    const { kernelSize, dilation, padding, stride } = this;
    return settings({ kernelSize, dilation, padding, stride });
  }
}
/** Columns as windows, summed where they overlap. */
export class Fold extends UnaryLayer {
  readonly outputSize: Size;
  readonly kernelSize: Size;
  readonly dilation: Size;
  readonly padding: Size;
  readonly stride: Size;
  constructor(outputSize: Size, kernelSize: Size, ...given: InOrder<WindowOptions, typeof windowOrder>) {
    super();
    const { dilation = 1, padding = 0, stride = 1 }: WindowOptions = byName('Fold', windowOrder, given);
    this.outputSize = outputSize;
    this.kernelSize = kernelSize;
    this.dilation = dilation;
    this.padding = padding;
    this.stride = stride;
  }
  override forward(input: Tensor): Tensor {
    const { outputSize, kernelSize, dilation, padding, stride } = this;
    return F.columnsToImage(input, outputSize, kernelSize, { dilation, padding, stride });
  }
  override extraRepr(): string {
    const { outputSize, kernelSize, dilation, padding, stride } = this;
    return settings({ outputSize, kernelSize, dilation, padding, stride });
  }
}

export interface LPPoolOptions {
  readonly stride?: Size | null;
  readonly ceilMode?: boolean;
}
const lpPoolOrder = ['stride', 'ceilMode'] as const;
/** The p-norm of each window. */
abstract class LPPoolNd extends UnaryLayer {
  protected abstract readonly pool: typeof F.lpPool2d;
  readonly normType: number;
  readonly kernelSize: Size;
  readonly stride: Size | null;
  readonly ceilMode: boolean;
  constructor(normType: number, kernelSize: Size, ...given: InOrder<LPPoolOptions, typeof lpPoolOrder>) {
    super();
    const { stride = null, ceilMode = false }: LPPoolOptions = byName(new.target.name, lpPoolOrder, given);
    this.normType = normType;
    this.kernelSize = kernelSize;
    this.stride = stride;
    this.ceilMode = ceilMode;
  }
  override forward(input: Tensor): Tensor {
    return this.pool(input, this.normType, this.kernelSize, this.stride, this.ceilMode);
  }
  override extraRepr(): string {
    const { normType, kernelSize, stride, ceilMode } = this;
    return settings({ normType, kernelSize, stride, ceilMode });
  }
}
export class LPPool1d extends LPPoolNd {
  protected override readonly pool = F.lpPool1d;
}
export class LPPool2d extends LPPoolNd {
  protected override readonly pool = F.lpPool2d;
}
