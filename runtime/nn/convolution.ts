/** Convolutions and transposed convolutions in one, two and three dims. */
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
import { byName, type InOrder, needed } from '../in-order.js';
import { positional, UnaryLayer, Unquoted } from './layer.js';
import { resetLinear } from './linear.js';
import { Parameter } from './parameter.js';

/** One number for all dims, or one per dim. */
export type Size = number | readonly number[];

function sizes(name: string, value: Size, rank: number): readonly number[] {
  if (typeof value === 'number') return new Array<number>(rank).fill(value);
  if (value.length !== rank)
    fail('E208', { problem: `${name} must be one number or ${rank}, got [${value.join(', ')}]` });
  return value;
}

const paddingModes = ['zeros', 'reflect', 'replicate', 'circular'] as const;
export type PaddingMode = (typeof paddingModes)[number];
export interface ConvOptions {
  readonly stride?: Size;
  readonly padding?: Size | 'same' | 'valid';
  readonly dilation?: Size;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly paddingMode?: PaddingMode;
  readonly dtype?: DType;
}

/** What no convolution does without. */
const convNeeds = ['inChannels', 'outChannels', 'kernelSize'] as const;
interface ConvNeeds {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Size;
}
/** In their places, or by name from the window on, or all by name. */
type Convolving<Options, Settings extends readonly unknown[]> =
  | [inChannels: number, outChannels: number, kernelSize: Size, ...settings: Settings]
  | [inChannels: number, outChannels: number, options: Options & Pick<ConvNeeds, 'kernelSize'>]
  | [options: Options & ConvNeeds];

function checkGroups(inChannels: number, outChannels: number, groups: number): void {
  if (inChannels % groups !== 0)
    fail('E208', { problem: `in_channels must be divisible by groups: ${inChannels} and ${groups}` });
  if (outChannels % groups !== 0)
    fail('E208', { problem: `out_channels must be divisible by groups: ${outChannels} and ${groups}` });
}
const isZero = (values: readonly number[]): boolean => values.every(value => value === 0);
const isOne = (values: readonly number[]): boolean => values.every(value => value === 1);

abstract class ConvNd extends UnaryLayer {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[] | 'same' | 'valid';
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  weight: Parameter;
  bias: Parameter | null;

  constructor(rank: number, options: ConvOptions & ConvNeeds) {
    super();
    const { inChannels, outChannels, kernelSize } = needed(new.target.name, convNeeds, options);
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, paddingMode = 'zeros', dtype } = options;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = sizes('kernelSize', kernelSize, rank);
    this.stride = sizes('stride', stride, rank);
    this.padding = typeof padding === 'string' ? padding : sizes('padding', padding, rank);
    this.dilation = sizes('dilation', dilation, rank);
    this.groups = groups;
    if (!paddingModes.includes(paddingMode)) {
      const problem = `paddingMode must be one of ${paddingModes.join(', ')}, but is '${paddingMode}'`;
      fail('E110', { op: new.target.name, problem });
    }
    this.paddingMode = paddingMode;
    this.weight = new Parameter(empty(this.weightShape(), { dtype }));
    this.bias = bias ? new Parameter(empty(outChannels, { dtype })) : null;
    resetLinear(this.weight, this.bias);
  }

  /** @internal */
  weightShape(): readonly number[] {
    checkGroups(this.inChannels, this.outChannels, this.groups);
    return [this.outChannels, this.inChannels / this.groups, ...this.kernelSize];
  }
  protected abstract readonly convolution: typeof F.conv2d;

  override forward(input: Tensor): Tensor {
    const { weight, bias, stride, dilation, groups } = this;
    const bordered = this.paddingMode === 'zeros' ? input : F.pad(input, this.pads(), this.paddingMode);
    const padding = bordered === input ? this.padding : 'valid';
    return this.convolution(bordered, weight, bias, stride, padding, dilation, groups);
  }

  /** Before and after each dim, from the last dim to the first. */
  private pads(): number[] {
    if (this.padding === 'valid') return this.kernelSize.flatMap(() => [0, 0]);
    if (this.padding !== 'same') return [...this.padding].reverse().flatMap(pad => [pad, pad]);
    const totals = this.kernelSize.map((size, d) => this.dilation[d] * (size - 1));
    return totals.reverse().flatMap(total => [Math.floor(total / 2), total - Math.floor(total / 2)]);
  }

  override extraRepr(): string {
    const { padding } = this;
    return positional([this.inChannels, this.outChannels], {
      kernelSize: this.kernelSize,
      stride: this.stride,
      padding: typeof padding === 'string' ? new Unquoted(padding) : isZero(padding) ? undefined : padding,
      dilation: isOne(this.dilation) ? undefined : this.dilation,
      groups: this.groups === 1 ? undefined : this.groups,
      bias: this.bias === null ? false : undefined,
      paddingMode: this.paddingMode === 'zeros' ? undefined : new Unquoted(this.paddingMode),
    });
  }
}

export const convOrder = ['stride', 'padding', 'dilation', 'groups', 'bias', 'paddingMode'] as const;
export type ConvSettings = InOrder<ConvOptions, typeof convOrder>;
const allConvSettings = [...convNeeds, ...convOrder] as const;

export class Conv1d extends ConvNd {
  protected override readonly convolution = F.conv1d;
  constructor(...given: Convolving<ConvOptions, ConvSettings>) {
    super(1, byName('Conv1d', allConvSettings, given, ['dtype']));
  }
}
export class Conv2d extends ConvNd {
  protected override readonly convolution = F.conv2d;
  constructor(...given: Convolving<ConvOptions, ConvSettings>) {
    super(2, byName('Conv2d', allConvSettings, given, ['dtype']));
  }
}
export class Conv3d extends ConvNd {
  protected override readonly convolution = F.conv3d;
  constructor(...given: Convolving<ConvOptions, ConvSettings>) {
    super(3, byName('Conv3d', allConvSettings, given, ['dtype']));
  }
}

export interface ConvTransposeOptions {
  readonly stride?: Size;
  readonly padding?: Size;
  readonly outputPadding?: Size;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly dilation?: Size;
  /** There is no other. */
  readonly paddingMode?: 'zeros';
  readonly dtype?: DType;
}

abstract class ConvTransposeNd extends UnaryLayer {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(rank: number, options: ConvTransposeOptions & ConvNeeds) {
    super();
    const { inChannels, outChannels, kernelSize } = needed(new.target.name, convNeeds, options);
    const { stride = 1, padding = 0, outputPadding = 0, groups = 1, bias = true, dilation = 1, dtype } = options;
    const { paddingMode = 'zeros' } = options;
    if (paddingMode !== 'zeros')
      fail('E208', { problem: `Only 'zeros' padding mode is supported for ${new.target.name}, not '${paddingMode}'` });
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = sizes('kernelSize', kernelSize, rank);
    this.stride = sizes('stride', stride, rank);
    this.padding = sizes('padding', padding, rank);
    this.outputPadding = sizes('outputPadding', outputPadding, rank);
    this.dilation = sizes('dilation', dilation, rank);
    this.groups = groups;
    this.weight = new Parameter(empty(this.weightShape(), { dtype }));
    this.bias = bias ? new Parameter(empty(outChannels, { dtype })) : null;
    resetLinear(this.weight, this.bias);
  }

  /** @internal */
  weightShape(): readonly number[] {
    checkGroups(this.inChannels, this.outChannels, this.groups);
    return [this.inChannels, this.outChannels / this.groups, ...this.kernelSize];
  }
  protected abstract readonly convolution: typeof F.convTranspose2d;

  override forward(input: Tensor): Tensor {
    const { weight, bias, stride, padding, outputPadding, groups, dilation } = this;
    return this.convolution(input, weight, bias, stride, padding, outputPadding, groups, dilation);
  }
  override extraRepr(): string {
    return positional([this.inChannels, this.outChannels], {
      kernelSize: this.kernelSize,
      stride: this.stride,
      padding: isZero(this.padding) ? undefined : this.padding,
      dilation: isOne(this.dilation) ? undefined : this.dilation,
      outputPadding: isZero(this.outputPadding) ? undefined : this.outputPadding,
      groups: this.groups === 1 ? undefined : this.groups,
      bias: this.bias === null ? false : undefined,
    });
  }
}

export const convTransposeOrder = [
  'stride',
  'padding',
  'outputPadding',
  'groups',
  'bias',
  'dilation',
  'paddingMode',
] as const;
export type ConvTransposeSettings = InOrder<ConvTransposeOptions, typeof convTransposeOrder>;
const allConvTransposeSettings = [...convNeeds, ...convTransposeOrder] as const;

export class ConvTranspose1d extends ConvTransposeNd {
  protected override readonly convolution = F.convTranspose1d;
  constructor(...given: Convolving<ConvTransposeOptions, ConvTransposeSettings>) {
    super(1, byName('ConvTranspose1d', allConvTransposeSettings, given, ['dtype']));
  }
}
export class ConvTranspose2d extends ConvTransposeNd {
  protected override readonly convolution = F.convTranspose2d;
  constructor(...given: Convolving<ConvTransposeOptions, ConvTransposeSettings>) {
    super(2, byName('ConvTranspose2d', allConvTransposeSettings, given, ['dtype']));
  }
}
export class ConvTranspose3d extends ConvTransposeNd {
  protected override readonly convolution = F.convTranspose3d;
  constructor(...given: Convolving<ConvTransposeOptions, ConvTransposeSettings>) {
    super(3, byName('ConvTranspose3d', allConvTransposeSettings, given, ['dtype']));
  }
}
