/**
 * Hooks that run when the gradient of a module has been computed.
 *
 * The tensors on one side of the module are joined to one, whose step on the tape sees all their gradients together and may
 * change them; so a hook runs once, with the gradients of all outputs and all inputs.
 */
import { cat } from '../../compiler/ops/shape.js';
import { recordFunction, requiresGrad } from '../../compiler/ops/tape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import type { Module } from './module.js';

export type Gradients = readonly (Tensor | null)[];
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

/** Run a module so that its hooks see the gradients of its arguments and outputs. */
export function runObserved(
  module: Module,
  hooks: Iterable<BackwardHook>,
  args: readonly unknown[],
  run: (args: readonly unknown[]) => unknown,
): unknown {
  let gradOutput: Gradients = [];
  const changed = (grads: readonly Tensor[]): readonly Tensor[] => {
    let gradInput = withNulls(args, grads);
    for (const hook of hooks) {
      const given = hook(module, gradInput, gradOutput);
      if (given) gradInput = given instanceof Tensor ? [given] : given;
    }
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
