/**
 * `autograd`: gradients of computed tensors and of functions, and functions with a gradient of their own.
 */
import { fail } from '../compiler/errors.js';
import { gradLike, realGrad } from '../compiler/ops/complex/gradients.js';
import { type Saved, save } from '../compiler/ops/saved.js';
import { type GradNode, gradNode, noGrad, recordFunction, requiresGrad } from '../compiler/ops/tape.js';
import { realForm, Tensor } from '../compiler/ops/tensor.js';

export { hessian, hvp, jacobian, jvp, vhp, vjp } from '../compiler/autodiff/functional.js';
export { type BackwardOptions, backward, type GradOptions, gradOf as grad } from '../compiler/ops/backward.js';
export type { Hook } from '../compiler/ops/tape.js';
export { detectAnomaly, setDetectAnomaly } from './anomaly.js';
export { type GradcheckOptions, gradcheck, gradgradcheck } from './gradcheck.js';

/** What `forward` leaves for `backward`. Further fields may be set on it. */
export class FunctionContext {
  /** Which arguments of `forward` are tensors that need a gradient. */
  readonly needsInputGrad: readonly boolean[];
  [field: string]: unknown;
  readonly #given: Tensor[] = [];
  #saved: readonly { readonly saved: Saved; readonly edge: () => GradNode | null }[] = [];

  constructor(needsInputGrad: readonly boolean[]) {
    this.needsInputGrad = needsInputGrad;
  }
  /** Keep tensors for `backward`, which notices if they have been changed in place since. */
  saveForBackward(...tensors: readonly Tensor[]): void {
    this.#given.push(...tensors);
  }
  /** @internal `forward` has run, and this is its output. */
  finish(output: Tensor): void {
    this.#saved = this.#given.splice(0).map(tensor => {
      const node = gradNode(tensor);
      return { saved: save(tensor), edge: tensor === output ? () => gradNode(output) : () => node };
    });
  }
  get savedTensors(): Tensor[] {
    return this.#saved.map(({ saved, edge }, index) => saved.read('a custom function', index, edge()));
  }
}

/** A class of static `forward` and `backward`, as PyTorch's `autograd.Function`. */
export interface FunctionClass<A extends readonly unknown[]> {
  readonly name: string;
  /** The output; what it does is not recorded. */
  forward(context: FunctionContext, ...args: A): Tensor;
  /** The gradient of each argument of `forward`, in order; one alone may be given by itself, null stands for none. */
  backward(context: FunctionContext, grad: Tensor): Tensor | null | readonly (Tensor | null)[];
}

/**
 * Call a function with a gradient of its own:
 *
 *   class Square { static forward(ctx, x) { ctx.saveForBackward(x); return x.mul(x); }
 *                  static backward(ctx, grad) { const [x] = ctx.savedTensors; return grad.mul(x).mul(2); } }
 *   const y = autograd.apply(Square, x);
 *
 * It works in traced entries too, and `backward` may itself be differentiated.
 */
export function apply<A extends readonly unknown[]>(fn: FunctionClass<A>, ...args: A): Tensor {
  const needed = args.map(arg => arg instanceof Tensor && requiresGrad(arg));
  const context = new FunctionContext(needed);
  const result = noGrad(() => fn.forward(context, ...args));
  if (!(result instanceof Tensor)) return fail('E207', { problem: `${fn.name}.forward() must return a Tensor` });
  const output = args.includes(result) ? result.detach() : result;
  context.finish(output);
  const inputs = args.filter(arg => arg instanceof Tensor);
  recordFunction(`${fn.name}Backward`, inputs.map(realForm), realForm(output), grad => {
    const given = fn.backward(context, gradLike(output, grad));
    const grads = given === null || given instanceof Tensor ? [given] : given;
    if (grads.length !== args.length) {
      fail('E207', {
        problem: `function ${fn.name}Backward returned an incorrect number of gradients (expected ${args.length}, got ${grads.length})`,
      });
    }
    return grads.filter((_, i) => args[i] instanceof Tensor).map((own, i) => own && realGrad(inputs[i], own));
  });
  return output;
}

/** The base of functions with a gradient of their own: `class Square extends autograd.Function`, then `Square.apply(x)`. */
export abstract class Function {
  static apply<A extends readonly unknown[]>(this: FunctionClass<A>, ...args: A): Tensor {
    // biome-ignore lint/complexity/noThisInStatic: `this` is the class it is called on
    return apply(this, ...args);
  }
}
