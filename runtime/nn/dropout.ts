/** Dropout as modules: active while training, the identity in eval mode. */
import { fail } from '../../compiler/errors.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { InplaceOptions } from '../activations.js';
import * as drop from '../dropout.js';
import { byName, type InOrder } from '../in-order.js';
import { settings, UnaryLayer } from './layer.js';

export interface DropoutOptions extends InplaceOptions {
  readonly p?: number;
}
const dropoutOrder = ['p', 'inplace'] as const;
abstract class DropoutLayer extends UnaryLayer {
  readonly p: number;
  readonly inplace: boolean;
  protected abstract readonly drop: drop.DropoutFunction;
  constructor(...given: InOrder<DropoutOptions, typeof dropoutOrder>) {
    super();
    const { p = 0.5, inplace = false }: DropoutOptions = byName(new.target.name, dropoutOrder, given);
    if (!(p >= 0 && p <= 1)) fail('E208', { problem: `dropout probability has to be between 0 and 1, but got ${p}` });
    this.p = p;
    this.inplace = inplace;
  }
  override forward(input: Tensor): Tensor {
    return this.drop(input, this.p, this.training, this.inplace);
  }
  override extraRepr(): string {
    return settings({ p: this.p, inplace: this.inplace });
  }
}
export class Dropout extends DropoutLayer {
  protected readonly drop = drop.dropout;
}
export class Dropout1d extends DropoutLayer {
  protected readonly drop = drop.dropout1d;
}
export class Dropout2d extends DropoutLayer {
  protected readonly drop = drop.dropout2d;
}
export class Dropout3d extends DropoutLayer {
  protected readonly drop = drop.dropout3d;
}
export class AlphaDropout extends DropoutLayer {
  protected readonly drop = drop.alphaDropout;
}
export class FeatureAlphaDropout extends DropoutLayer {
  protected readonly drop = drop.featureAlphaDropout;
}
