/** Activation functions as modules. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
import { pythonFloat } from '../numerals.js';
import { constant_ } from './init.js';
import { positional, settings, UnaryLayer } from './layer.js';
import { Parameter } from './parameter.js';

export class Sigmoid extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return F.sigmoid(input);
  }
}
export class Tanh extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return F.tanh(input);
  }
}
export class Tanhshrink extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return F.tanhshrink(input);
  }
}
export class Softsign extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return F.softsign(input);
  }
}
export class LogSigmoid extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return F.logsigmoid(input);
  }
}

export interface InplaceOptions {
  /** Overwrite the input with the result. */
  readonly inplace?: boolean;
}
/** Activations that can overwrite their input. */
abstract class InplaceLayer extends UnaryLayer {
  readonly inplace: boolean;
  constructor({ inplace = false }: InplaceOptions = {}) {
    super();
    this.inplace = inplace;
  }
  protected abstract activate(input: Tensor): Tensor;
  override forward(input: Tensor): Tensor {
    const output = this.activate(input);
    return this.inplace ? input.copy_(output) : output;
  }
  override extraRepr(): string {
    return this.inplace ? 'inplace=True' : '';
  }
}
export class ReLU extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.relu(input);
  }
}
export class ReLU6 extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.relu6(input);
  }
}
export class SELU extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.selu(input);
  }
}
export class SiLU extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.silu(input);
  }
}
export class Mish extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.mish(input);
  }
}
export class Hardswish extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.hardswish(input);
  }
  override extraRepr(): string {
    return '';
  }
}
export class Hardsigmoid extends InplaceLayer {
  protected activate(input: Tensor): Tensor {
    return F.hardsigmoid(input);
  }
  override extraRepr(): string {
    return '';
  }
}

const withInplace = (text: string, inplace: boolean): string => (inplace ? `${text}, inplace=True` : text);

export class LeakyReLU extends InplaceLayer {
  readonly negativeSlope: number;
  constructor(negativeSlope = 0.01, options: InplaceOptions = {}) {
    super(options);
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
  constructor(alpha = 1, options: InplaceOptions = {}) {
    super(options);
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
  constructor(minVal = -1, maxVal = 1, options: InplaceOptions = {}) {
    super(options);
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
  constructor(threshold: number, value: number, options: InplaceOptions = {}) {
    super(options);
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
  constructor(lower = 1 / 8, upper = 1 / 3, { inplace = false }: InplaceOptions = {}) {
    super();
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

/** Leaky, with a slope that is learned. */
export class PReLU extends UnaryLayer {
  readonly numParameters: number;
  weight: Parameter;
  constructor({ numParameters = 1, init = 0.25 }: { readonly numParameters?: number; readonly init?: number } = {}) {
    super();
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
  constructor(readonly dim: number) {
    super();
  }
  override extraRepr(): string {
    return settings({ dim: this.dim });
  }
}
export class Softmax extends AlongDim {
  override forward(input: Tensor): Tensor {
    return F.softmax(input, this.dim);
  }
}
export class LogSoftmax extends AlongDim {
  override forward(input: Tensor): Tensor {
    return F.logSoftmax(input, this.dim);
  }
}
export class Softmin extends AlongDim {
  override forward(input: Tensor): Tensor {
    return F.softmin(input, this.dim);
  }
}
/** One half of the channels gated by the other. */
export class GLU extends AlongDim {
  constructor(dim = -1) {
    super(dim);
  }
  override forward(input: Tensor): Tensor {
    return F.glu(input, this.dim);
  }
}
