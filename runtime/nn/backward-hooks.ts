/**
 * Hooks that run when the gradient of a module has been computed.
 *
 * The tensors on one side of the module are joined to one, whose step on the tape sees all their gradients together and may
 * change them; so a hook runs once, with the gradients of all outputs and all inputs.
 */
import { type BodyTrace, currentBody, type Gradients } from '../../compiler/autodiff/control/body.js';
import { differentiatedAsOne } from '../../compiler/autodiff/control/region.js';
import type { Tree } from '../../compiler/autodiff/control/tree.js';
import { isFloat } from '../../compiler/ir/dtype.js';
import { cat } from '../../compiler/ops/shape.js';
import { recordFunction, requiresGrad } from '../../compiler/ops/tape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import type { Module } from './module.js';

/** What it returns replaces the gradients of the inputs. Arguments and outputs without a gradient have null. */
export type BackwardHook = (
  module: Module,
  gradInput: Gradients,
  gradOutput: Gradients,
  // biome-ignore lint/suspicious/noConfusingVoidType: a hook need not return anything
) => Gradients | Tensor | null | undefined | void;

const carries = (value: unknown): value is Tensor => value instanceof Tensor && requiresGrad(value);

/** The same tensors; their gradients go through `change` on their way back. */
function watched(tensors: readonly Tensor[], change: (grads: readonly Tensor[]) => readonly Tensor[]): Tensor[] {
  if (tensors.length === 0) return [];
  const joined = cat(tensors.map(tensor => tensor.reshape([-1])));
  const apart = (all: Tensor): Tensor[] =>
    all.split(tensors.map(tensor => tensor.numel())).map((part, i) => part.reshape(tensors[i].shape));
  const seen = joined.detach();
  recordFunction('BackwardHookFunctionBackward', [joined], seen, grad => [
    cat(change(apart(grad)).map(part => part.reshape([-1]))),
  ]);
  return apart(seen);
}

/** Values with those that carry a gradient replaced, in order. */
function replaced<T>(values: readonly T[], tensors: readonly Tensor[]): (T | Tensor)[] {
  let next = 0;
  return values.map(value => (carries(value) ? tensors[next++] : value));
}
const withNulls = (values: readonly unknown[], grads: readonly Tensor[]): Gradients => {
  let next = 0;
  return values.map(value => (carries(value) ? grads[next++] : null));
};

/** The gradients of the arguments as the hooks leave them. */
function afterHooks(
  module: Module,
  hooks: Iterable<BackwardHook>,
  gradInput: Gradients,
  gradOutput: Gradients,
): Gradients {
  for (const hook of hooks) {
    const given = hook(module, gradInput, gradOutput);
    if (given) gradInput = given instanceof Tensor ? [given] : given;
  }
  return gradInput;
}

/** In a loop or branch the module has one gradient as a whole, in which the hooks come last. */
function observedInBody(
  body: BodyTrace,
  module: Module,
  hooks: Iterable<BackwardHook>,
  args: readonly unknown[],
  run: (args: readonly unknown[]) => unknown,
): unknown {
  const own = args.map(arg => (carries(arg) ? arg.clone() : arg));
  let outputs: readonly unknown[] = [];
  const forward = (): Tree => {
    const output = run(own);
    outputs = Array.isArray(output) ? output : [output];
    return output as Tree;
  };
  const isFloatTensor = (value: unknown): boolean => value instanceof Tensor && isFloat(value.dtype);
  return differentiatedAsOne(body, module.constructor.name, forward, {
    anew: false,
    change(incoming, found) {
      let next = 0;
      const gradOutput = outputs.map(output => (isFloatTensor(output) ? incoming[next++] : null));
      const gradOf = (arg: unknown): Tensor | null => found.find(({ tensor }) => tensor === arg)?.grad ?? null;
      const gradInput = afterHooks(module, hooks, own.map(gradOf), gradOutput);
      return found.map(({ tensor, grad }) => (own.includes(tensor) ? gradInput[own.indexOf(tensor)] : grad));
    },
  });
}

/** Run a module so that its hooks see the gradients of its arguments and outputs. */
export function runObserved(
  module: Module,
  hooks: Iterable<BackwardHook>,
  args: readonly unknown[],
  run: (args: readonly unknown[]) => unknown,
): unknown {
  const body = currentBody();
  if (body !== null) return observedInBody(body, module, hooks, args, run);
  let gradOutput: Gradients = [];
  const changed = (grads: readonly Tensor[]): readonly Tensor[] => {
    const gradInput = afterHooks(module, hooks, withNulls(args, grads), gradOutput);
    return gradInput.filter((grad, i) => grad !== null && carries(args[i])) as Tensor[];
  };
  const inputs = args.filter(carries);
  const output = run(replaced(args, watched(inputs, changed)));
  const outputs = Array.isArray(output) ? output : [output];
  const marked = watched(outputs.filter(carries), grads => {
    gradOutput = withNulls(outputs, grads);
    if (inputs.length === 0) changed([]);
    return grads;
  });
  const results = replaced(outputs, marked);
  return Array.isArray(output) ? results : results[0];
}
