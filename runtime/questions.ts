/** What one asks of tensors and shapes: functions of PyTorch's that compute no tensor. */
import { fail } from '../compiler/errors.js';
import { broadcastShapes as broadcastTwo, type Shape, sameShape } from '../compiler/ir/shape.js';
import { isComplexTensor, Tensor } from '../compiler/ops/tensor.js';

export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
export const isFloatingPoint = (input: Tensor): boolean => input.isFloatingPoint();
export const isComplex = (input: Tensor): boolean => isComplexTensor(input);
export const isSameSize = (input: Tensor, other: Tensor): boolean => sameShape(input.shape, other.shape);
export const numel = (input: Tensor): number => input.numel();

/** Is the one element of a tensor something else than 0? */
export function isNonzero(input: Tensor): boolean {
  const count = input.numel();
  if (count !== 1) {
    const problem =
      count === 0
        ? 'Boolean value of Tensor with no values is ambiguous'
        : 'Boolean value of Tensor with more than one value is ambiguous';
    fail('E110', { op: 'isNonzero', problem, hint: 'reduce it first: x.any(), x.all()' });
  }
  return isComplexTensor(input) ? input.ne(0).item<boolean>() : Number(input.item()) !== 0;
}

/** The shape to which tensors of these shapes broadcast. */
export const broadcastShapes = (...shapes: readonly Shape[]): number[] => [
  ...shapes.reduce<Shape>((whole, shape) => broadcastTwo('broadcastShapes', whole, shape), []),
];
