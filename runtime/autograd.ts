/** `autograd`: gradients of computed tensors, and of functions. */
export { hessian, hvp, jacobian, jvp, vjp } from '../compiler/autodiff/functional.js';
export { type BackwardOptions, backward, type GradOptions, gradOf as grad, type Hook } from '../compiler/ops/tape.js';
