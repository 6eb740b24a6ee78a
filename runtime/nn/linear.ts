/** Linear maps. */
import type { DType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { fans, kaimingUniform_, uniform_ } from './init.js';
import { Layer, settings, UnaryLayer } from './layer.js';
import { Parameter } from './parameter.js';

export interface BiasOptions {
  readonly bias?: boolean;
  readonly dtype?: DType;
}

/** Values for a weight and its bias, spread by how many inputs each output sees. */
export function resetLinear(weight: Parameter, bias: Parameter | null): void {
  kaimingUniform_(weight, { a: Math.sqrt(5) });
  if (bias === null) return;
  const { fanIn } = fans(weight);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  uniform_(bias, -bound, bound);
}

/** y = x Wᵀ + b. */
export class Linear extends UnaryLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, ...given: InOrder<BiasOptions, ['bias']>) {
    super();
    const { bias = true, dtype } = byName<BiasOptions, ['bias']>('Linear', ['bias'], given, ['dtype']);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = new Parameter(empty(outFeatures, inFeatures, { dtype }));
    this.bias = bias ? new Parameter(empty(outFeatures, { dtype })) : null;
    resetLinear(this.weight, this.bias);
  }
  override forward(input: Tensor): Tensor {
    return F.linear(input, this.weight, this.bias);
  }
  override extraRepr(): string {
    return settings({ inFeatures: this.inFeatures, outFeatures: this.outFeatures, bias: this.bias !== null });
  }
}

/** y = x₁ᵀ A x₂ + b. */
export class Bilinear extends Layer {
  readonly in1Features: number;
  readonly in2Features: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(in1Features: number, in2Features: number, outFeatures: number, ...given: InOrder<BiasOptions, ['bias']>) {
    super();
    const { bias = true, dtype } = byName<BiasOptions, ['bias']>('Bilinear', ['bias'], given, ['dtype']);
    this.in1Features = in1Features;
    this.in2Features = in2Features;
    this.outFeatures = outFeatures;
    this.weight = new Parameter(empty(outFeatures, in1Features, in2Features, { dtype }));
    this.bias = bias ? new Parameter(empty(outFeatures, { dtype })) : null;
    const bound = 1 / Math.sqrt(in1Features);
    uniform_(this.weight, -bound, bound);
    if (this.bias !== null) uniform_(this.bias, -bound, bound);
  }
  override forward(input1: Tensor, input2: Tensor): Tensor {
    return F.bilinear(input1, input2, this.weight, this.bias);
  }
  override extraRepr(): string {
    return settings({
      in1Features: this.in1Features,
      in2Features: this.in2Features,
      outFeatures: this.outFeatures,
      bias: this.bias !== null,
    });
  }
}

/** Passes its input on. */
export class Identity extends UnaryLayer {
  override forward(input: Tensor): Tensor {
    return input;
  }
}
