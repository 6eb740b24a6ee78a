/** A tensor that belongs to a module: a leaf that requires a gradient, and that modules find among their fields. */
import { overPair, realForm, Tensor } from '../../compiler/ops/tensor.js';
import { formatTensor } from '../print.js';

export interface ParameterOptions {
  readonly requiresGrad?: boolean;
}

export class Parameter extends Tensor {
  /** Shares the memory of `data`. */
  constructor(data: Tensor, { requiresGrad = true }: ParameterOptions = {}) {
    super(data.type, realForm(data) === data ? data.value : overPair(realForm(data).detach()).value);
    this.requiresGrad = requiresGrad;
  }
  override toString(): string {
    return `Parameter containing:\n${formatTensor(this)}`;
  }
}
