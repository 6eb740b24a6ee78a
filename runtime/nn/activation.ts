/** Activation functions as modules. */
import { computeInPlace } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { InplaceOptions } from '../activations.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
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
export type Inplace = boolean | InplaceOptions;
export const isInplace = (given: Inplace): boolean => (typeof given === 'boolean' ? given : (given.inplace ?? false));

/** Activations that can overwrite their input. */
abstract class InplaceLayer extends UnaryLayer {
  readonly inplace: boolean;
  constructor(inplace: Inplace = false) {
    super();
    this.inplace = isInplace(inplace);
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

export class LeakyReLU extends InplaceLayer {
  readonly negativeSlope: number;
  constructor(negativeSlope = 0.01, inplace: Inplace = false) {
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
export class ELU extends InplaceLayer {
  readonly alpha: number;
  constructor(alpha = 1, inplace: Inplace = false) {
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
export class Hardtanh extends InplaceLayer {
  readonly minVal: number;
  readonly maxVal: number;
  constructor(minVal = -1, maxVal = 1, inplace: Inplace = false) {
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
export class Threshold extends InplaceLayer {
  readonly threshold: number;
  readonly value: number;
  constructor(threshold: number, value: number, inplace: Inplace = false) {
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

/** Leaky, with a slope drawn per element while training. */
export class RReLU extends UnaryLayer {
  readonly lower: number;
  readonly upper: number;
  readonly inplace: boolean;
  constructor(lower = 1 / 8, upper = 1 / 3, inplace: Inplace = false) {
    super();
    this.lower = lower;
    this.upper = upper;
    this.inplace = isInplace(inplace);
  }
  override forward(input: Tensor): Tensor {
    return F.rrelu(input, this.lower, this.upper, this.training, this.inplace);
  }
  override extraRepr(): string {
    return withInplace(settings({ lower: this.lower, upper: this.upper }), this.inplace);
  }
}

export class GELU extends UnaryLayer {
  readonly approximate: 'none' | 'tanh';
  constructor({ approximate = 'none' }: { readonly approximate?: 'none' | 'tanh' } = {}) {
    super();
    this.approximate = approximate;
  }
  override forward(input: Tensor): Tensor {
    return F.gelu(input, { approximate: this.approximate });
  }
  override extraRepr(): string {
    return settings({ approximate: this.approximate });
  }
}
export class Softplus extends UnaryLayer {
  readonly beta: number;
  readonly threshold: number;
  constructor({ beta = 1, threshold = 20 }: { readonly beta?: number; readonly threshold?: number } = {}) {
    super();
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
abstract class Shrink extends UnaryLayer {
  constructor(readonly lambd = 0.5) {
    super();
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
/** Leaky, with a slope that is learned. */
export class PReLU extends UnaryLayer {
  readonly numParameters: number;
  weight: Parameter;
  constructor(numParameters?: number | PReLUOptions, init?: number);
  constructor(given: number | PReLUOptions = {}, slope = 0.25) {
    super();
    const { numParameters = 1, init = slope } = typeof given === 'number' ? { numParameters: given } : given;
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

abstract class AlongDim extends UnaryLayer {
  protected abstract readonly along: (input: Tensor, dim: number) => Tensor;
  constructor(readonly dim: number) {
    super();
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
  constructor(dim = -1) {
    super(dim);
  }
}
