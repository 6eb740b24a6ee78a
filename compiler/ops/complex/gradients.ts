/**
 * Gradients of complex numbers at the door of the tape, which knows real ones only: the gradient of the parts, [..., 2], is
 * PyTorch's gradient of the numbers.
 */
import type { Hook } from '../tape.js';
import { isComplexTensor, overPair, realForm, type Tensor } from '../tensor.js';

/** A gradient of the real form of a tensor as one of the tensor. */
export const gradLike = (tensor: Tensor, grad: Tensor): Tensor => (isComplexTensor(tensor) ? overPair(grad) : grad);
/** The same back; a real gradient of complex numbers is taken as complex. */
export const realGrad = (tensor: Tensor, grad: Tensor): Tensor =>
  realForm(isComplexTensor(tensor) ? grad.to(tensor.dtype) : grad);

/** A hook on a tensor as one on its real form. */
export const realHook = (tensor: Tensor, hook: Hook): Hook =>
  isComplexTensor(tensor)
    ? grad => {
        const changed = hook(overPair(grad));
        return changed && realForm(changed);
      }
    : hook;
