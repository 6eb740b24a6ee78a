/**
 * Parameters and buffers whose shape is not known yet: those of lazy modules before their first input. They are leaves like
 * others, so that an optimizer can be given them; whatever asks for their shape is refused.
 */
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { Tensor, takeLayout } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import { Parameter, type ParameterOptions } from './parameter.js';

const isDefinedLater = new WeakSet<Tensor>();
export const isUninitialized = (value: unknown): value is UninitializedParameter | UninitializedBuffer =>
  value instanceof Tensor && isDefinedLater.has(value);

const shapeless: PropertyDescriptor = {
  get: () =>
    fail('E208', {
      problem: "Can't access the shape of an uninitialized parameter or buffer",
      hint: 'run forward once with a batch, so that its lazy module learns the sizes; a state that is loaded tells them, too',
    }),
  configurable: true,
  enumerable: false,
};

function leaveShapeOpen(tensor: Tensor): void {
  isDefinedLater.add(tensor);
  Object.defineProperty(tensor, 'shape', shapeless);
}

/** Give it memory; what it is for autograd and optimizers stays. From now on it is an ordinary tensor of class `becomes`. */
function give(tensor: Tensor, shape: Shape, becomes: typeof Parameter | typeof Tensor): void {
  isDefinedLater.delete(tensor);
  Object.setPrototypeOf(tensor, becomes.prototype);
  Object.defineProperty(tensor, 'shape', { value: shape, writable: true, configurable: true, enumerable: true });
  takeLayout(tensor, empty(shape, { dtype: tensor.dtype }));
}

export interface UninitializedOptions extends ParameterOptions {
  readonly dtype?: DType;
}

export class UninitializedParameter extends Parameter {
  constructor({ dtype, requiresGrad = true }: UninitializedOptions = {}) {
    super(empty(0, { dtype }), { requiresGrad });
    leaveShapeOpen(this);
  }
  materialize(shape: Shape): void {
    give(this, shape, Parameter);
  }
  /** The dtype that it will have. */
  materializeAs(dtype: DType): void {
    Object.assign(this, { dtype });
  }
  /** Another of its kind, that is given its shape on its own. */
  another(): UninitializedParameter {
    return new UninitializedParameter({ dtype: this.dtype, requiresGrad: this.requiresGrad });
  }
  override toString(): string {
    return '<UninitializedParameter>';
  }
}

export class UninitializedBuffer extends Tensor {
  constructor({ dtype }: { readonly dtype?: DType } = {}) {
    const { type, value } = empty(0, { dtype });
    super(type, value);
    leaveShapeOpen(this);
  }
  materialize(shape: Shape): void {
    give(this, shape, Tensor);
  }
  /** The dtype that it will have. */
  materializeAs(dtype: DType): void {
    Object.assign(this, { dtype });
  }
  another(): UninitializedBuffer {
    return new UninitializedBuffer({ dtype: this.dtype });
  }
  override toString(): string {
    return '<UninitializedBuffer>';
  }
}
