/** Activation functions as modules. */
import { computeInPlace } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { InplaceOptions } from '../activations.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
import { byName, type InOrder, type NeededInOrder, needed } from '../in-order.js';
import { pythonFloat } from '../numerals.js';
import { constant_ } from './init.js';
import { positional, settings, UnaryLayer } from './layer.js';
import { Parameter } from './parameter.js';

/** A layer that is a function of its input. */
abstract class FunctionLayer extends UnaryLayer {
  protected abstract readonly fn: (input: Tensor) => Tensor;
  override forward(input: Tensor): Tensor {
    return this.fn(input);
  }
}
export class Sigmoid extends FunctionLayer {
  protected override readonly fn = F.sigmoid;
}
export class Tanh extends FunctionLayer {
  protected override readonly fn = F.tanh;
}
export class Tanhshrink extends FunctionLayer {
  protected override readonly fn = F.tanhshrink;
}
export class Softsign extends FunctionLayer {
  protected override readonly fn = F.softsign;
}
export class LogSigmoid extends FunctionLayer {
  protected override readonly fn = F.logsigmoid;
}

/** `new nn.ReLU(true)`, or by name. */
type InplaceSettings = InOrder<InplaceOptions, ['inplace']>;

/** Activations that can overwrite their input. */
abstract class InplaceLayer extends UnaryLayer {
  readonly inplace: boolean;
  constructor(...given: InplaceSettings) {
    super();
    this.inplace = byName<InplaceOptions, ['inplace']>(new.target.name, ['inplace'], given).inplace ?? false;
  }
  protected abstract activate(input: Tensor): Tensor;
  override forward(input: Tensor): Tensor {
    return this.inplace ? computeInPlace(input, [], self => this.activate(self)) : this.activate(input);
  }
  override extraRepr(): string {
    return this.inplace ? 'inplace=True' : '';
  }
}
abstract class InplaceFunctionLayer extends InplaceLayer {
  protected abstract readonly fn: (input: Tensor) => Tensor;
  protected override activate(input: Tensor): Tensor {
    return this.fn(input);
  }
}
export class ReLU extends InplaceFunctionLayer {
  protected override readonly fn = F.relu;
}
export class ReLU6 extends InplaceFunctionLayer {
  protected override readonly fn = F.relu6;
}
export class SELU extends InplaceFunctionLayer {
  protected override readonly fn = F.selu;
}
export class SiLU extends InplaceFunctionLayer {
  protected override readonly fn = F.silu;
}
export class Mish extends InplaceFunctionLayer {
  protected override readonly fn = F.mish;
}
export class Hardswish extends InplaceFunctionLayer {
  protected override readonly fn = F.hardswish;
  override extraRepr(): string {
    return '';
  }
}
export class Hardsigmoid extends InplaceFunctionLayer {
  protected override readonly fn = F.hardsigmoid;
  override extraRepr(): string {
    return '';
  }
}

const withInplace = (text: string, inplace: boolean): string => (inplace ? `${text}, inplace=True` : text);

export interface LeakyOptions extends InplaceOptions {
  readonly negativeSlope?: number;
}
const leakyOrder = ['negativeSlope', 'inplace'] as const;
export class LeakyReLU extends InplaceLayer {
  readonly negativeSlope: number;
  constructor(...given: InOrder<LeakyOptions, typeof leakyOrder>) {
    const { negativeSlope = 0.01, inplace }: LeakyOptions = byName('LeakyReLU', leakyOrder, given);
    super(inplace);
    this.negativeSlope = negativeSlope;
  }
  protected activate(input: Tensor): Tensor {
    return F.leakyRelu(input, this.negativeSlope);
  }
  override extraRepr(): string {
    return withInplace(settings({ negativeSlope: this.negativeSlope }), this.inplace);
  }
}
export interface ELUOptions extends InplaceOptions {
  readonly alpha?: number;
}
const eluOrder = ['alpha', 'inplace'] as const;
export class ELU extends InplaceLayer {
  readonly alpha: number;
  constructor(...given: InOrder<ELUOptions, typeof eluOrder>) {
    const { alpha = 1, inplace }: ELUOptions = byName(new.target.name, eluOrder, given);
    super(inplace);
    this.alpha = alpha;
  }
  protected activate(input: Tensor): Tensor {
    return F.elu(input, this.alpha);
  }
  override extraRepr(): string {
    return withInplace(`alpha=${pythonFloat(this.alpha)}`, this.inplace);
  }
}
export class CELU extends ELU {
  protected override activate(input: Tensor): Tensor {
    return F.celu(input, this.alpha);
  }
}
export interface HardtanhOptions extends InplaceOptions {
  readonly minVal?: number;
  readonly maxVal?: number;
}
const hardtanhOrder = ['minVal', 'maxVal', 'inplace'] as const;
export class Hardtanh extends InplaceLayer {
  readonly minVal: number;
  readonly maxVal: number;
  constructor(...given: InOrder<HardtanhOptions, typeof hardtanhOrder>) {
    const { minVal = -1, maxVal = 1, inplace }: HardtanhOptions = byName('Hardtanh', hardtanhOrder, given);
    super(inplace);
    this.minVal = minVal;
    this.maxVal = maxVal;
  }
  protected activate(input: Tensor): Tensor {
    return F.hardtanh(input, this.minVal, this.maxVal);
  }
  override extraRepr(): string {
    return withInplace(`min_val=${pythonFloat(this.minVal)}, max_val=${pythonFloat(this.maxVal)}`, this.inplace);
  }
}
export interface ThresholdOptions extends InplaceOptions {
  readonly threshold: number;
  readonly value: number;
}
const thresholdNeeds = ['threshold', 'value'] as const;
export class Threshold extends InplaceLayer {
  readonly threshold: number;
  readonly value: number;
  constructor(...given: NeededInOrder<ThresholdOptions, typeof thresholdNeeds, ['inplace']>) {
    const named: ThresholdOptions = byName('Threshold', [...thresholdNeeds, 'inplace'], given);
    const { threshold, value, inplace } = needed('Threshold', thresholdNeeds, named);
    super(inplace);
    this.threshold = threshold;
    this.value = value;
  }
  protected activate(input: Tensor): Tensor {
    return F.threshold(input, this.threshold, this.value);
  }
  override extraRepr(): string {
    return withInplace(settings({ threshold: this.threshold, value: this.value }), this.inplace);
  }
}

export interface RReLUOptions extends InplaceOptions {
  readonly lower?: number;
  readonly upper?: number;
}
const rreluOrder = ['lower', 'upper', 'inplace'] as const;
/** Leaky, with a slope drawn per element while training. */
export class RReLU extends UnaryLayer {
  readonly lower: number;
  readonly upper: number;
  readonly inplace: boolean;
  constructor(...given: InOrder<RReLUOptions, typeof rreluOrder>) {
    super();
    const { lower = 1 / 8, upper = 1 / 3, inplace = false }: RReLUOptions = byName('RReLU', rreluOrder, given);
    this.lower = lower;
    this.upper = upper;
    this.inplace = inplace;
  }
  override forward(input: Tensor): Tensor {
    return F.rrelu(input, this.lower, this.upper, this.training, this.inplace);
  }
  override extraRepr(): string {
    return withInplace(settings({ lower: this.lower, upper: this.upper }), this.inplace);
  }
}

export interface GELUOptions {
  readonly approximate?: 'none' | 'tanh';
}
export class GELU extends UnaryLayer {
  readonly approximate: 'none' | 'tanh';
  constructor(...given: InOrder<GELUOptions, ['approximate']>) {
    super();
    const { approximate = 'none' }: GELUOptions = byName('GELU', ['approximate'], given);
    this.approximate = approximate;
  }
  override forward(input: Tensor): Tensor {
    return F.gelu(input, { approximate: this.approximate });
  }
  override extraRepr(): string {
    return settings({ approximate: this.approximate });
  }
}
export interface SoftplusOptions {
  readonly beta?: number;
  readonly threshold?: number;
}
const softplusOrder = ['beta', 'threshold'] as const;
export class Softplus extends UnaryLayer {
  readonly beta: number;
  readonly threshold: number;
  constructor(...given: InOrder<SoftplusOptions, typeof softplusOrder>) {
    super();
    const { beta = 1, threshold = 20 }: SoftplusOptions = byName('Softplus', softplusOrder, given);
    this.beta = beta;
    this.threshold = threshold;
  }
  override forward(input: Tensor): Tensor {
    return F.softplus(input, this.beta, this.threshold);
  }
  override extraRepr(): string {
    return settings({ beta: this.beta, threshold: this.threshold });
  }
}
export interface ShrinkOptions {
  readonly lambd?: number;
}
abstract class Shrink extends UnaryLayer {
  readonly lambd: number;
  constructor(...given: InOrder<ShrinkOptions, ['lambd']>) {
    super();
    this.lambd = byName<ShrinkOptions, ['lambd']>(new.target.name, ['lambd'], given).lambd ?? 0.5;
  }
  override extraRepr(): string {
    return positional([this.lambd]);
  }
}
export class Hardshrink extends Shrink {
  override forward(input: Tensor): Tensor {
    return F.hardshrink(input, this.lambd);
  }
}
export class Softshrink extends Shrink {
  override forward(input: Tensor): Tensor {
    return F.softshrink(input, this.lambd);
  }
}

export interface PReLUOptions {
  readonly numParameters?: number;
  readonly init?: number;
}
const preluOrder = ['numParameters', 'init'] as const;
/** Leaky, with a slope that is learned. */
export class PReLU extends UnaryLayer {
  readonly numParameters: number;
  weight: Parameter;
  constructor(...given: InOrder<PReLUOptions, typeof preluOrder>) {
    super();
    const { numParameters = 1, init = 0.25 }: PReLUOptions = byName('PReLU', preluOrder, given);
    this.numParameters = numParameters;
    this.weight = new Parameter(constant_(empty(numParameters), init));
  }
  override forward(input: Tensor): Tensor {
    return F.prelu(input, this.weight);
  }
  override extraRepr(): string {
    return settings({ numParameters: this.numParameters });
  }
}

export interface DimOptions {
  readonly dim: number;
}
abstract class AlongDim extends UnaryLayer {
  protected abstract readonly along: (input: Tensor, dim: number) => Tensor;
  readonly dim: number;
  constructor(...given: NeededInOrder<DimOptions, ['dim'], []>) {
    super();
    this.dim = byName<DimOptions, ['dim']>(new.target.name, ['dim'], given).dim;
  }
  override forward(input: Tensor): Tensor {
    return this.along(input, this.dim);
  }
  override extraRepr(): string {
    return settings({ dim: this.dim });
  }
}
export class Softmax extends AlongDim {
  protected override readonly along: typeof F.softmax = F.softmax;
}
export class LogSoftmax extends AlongDim {
  protected override readonly along: typeof F.logSoftmax = F.logSoftmax;
}
export class Softmin extends AlongDim {
  protected override readonly along: typeof F.softmin = F.softmin;
}
/** Over the channels of images. */
export class Softmax2d extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return F.softmax(input, -3);
  }
}
/** One half of the channels gated by the other. */
export class GLU extends AlongDim {
  protected override readonly along: typeof F.glu = F.glu;
  constructor(...given: InOrder<Partial<DimOptions>, ['dim']>) {
    super({ dim: -1, ...byName<Partial<DimOptions>, ['dim']>('GLU', ['dim'], given) });
  }
}
