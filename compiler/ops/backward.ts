/**
 * The tape run backwards, and the methods of a tensor that need that: `backward()`, `grad`, hooks.
 *
 * On values it computes gradients, on traced tensors it appends the symbolic gradient to the graph. With `createGraph` the
 * backward pass is itself recorded, to any order.
 */
import { fail, invariant } from '../errors.js';
import { isComplexDType, isFloat } from '../ir/dtype.js';
import { formatShape, sameShape } from '../ir/shape.js';
import { checkForNan } from './anomaly.js';
import { gradLike, realGrad, realHook } from './complex/gradients.js';
import { addedUp, onlyIf, presenceOf, settled } from './presence.js';
import { backwardPass, cloneIt } from './saved.js';
import { AccumulateGrad, type GradNode, gradEdge, gradNode, type Hook, requiresGrad, withGrad } from './tape.js';
import { executor, isInferenceModeEnabled, realForm, Tensor } from './tensor.js';

export interface BackwardOptions {
  /** Keep saved tensors for another backward pass. Default: `createGraph`. */
  readonly retainGraph?: boolean;
  /** Record the backward pass itself, for higher derivatives. */
  readonly createGraph?: boolean;
}

function initialGrad(output: Tensor, grad: Tensor | null | undefined): Tensor {
  if (!requiresGrad(output)) fail('E203', {});
  if (grad) {
    if (!sameShape(grad.shape, output.shape)) {
      fail('E207', {
        problem: `Mismatch in shape: grad_output has a shape of ${formatShape(grad.shape)} and output has a shape of ${formatShape(output.shape)}.`,
        hint: 'the gradient passed in must have the shape of the tensor it belongs to',
      });
    }
    return grad;
  }
  if (output.numel() !== 1) fail('E201', { shape: formatShape(output.shape) });
  return output.detach().onesLike();
}

/** Nodes reachable from the roots, each after all nodes that feed it gradients. */
function executionOrder(roots: readonly GradNode[]): GradNode[] {
  const done = new Set<GradNode>();
  const postorder: GradNode[] = [];
  for (const root of roots) {
    const stack: { node: GradNode; next: number }[] = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (done.has(top.node)) stack.pop();
      else if (top.next < top.node.next.length) {
        const input = top.node.next[top.next++];
        if (input !== null && !done.has(input)) stack.push({ node: input, next: 0 });
      } else {
        done.add(top.node);
        postorder.push(top.node);
        stack.pop();
      }
    }
  }
  return postorder.reverse();
}

/** Nodes from which one of `targets` can be reached. */
function leadingTo(order: readonly GradNode[], targets: ReadonlySet<GradNode>): Set<GradNode> {
  const needed = new Set<GradNode>();
  for (const node of [...order].reverse()) {
    if (targets.has(node) || node.next.some(input => input !== null && needed.has(input))) needed.add(node);
  }
  return needed;
}

function runHooks({ hooks }: GradNode, grad: Tensor): Tensor {
  if (hooks === null) return grad;
  return onlyIf(
    hooks.reduce((given, hook) => hook(given) ?? given, settled(grad)),
    presenceOf(grad),
  );
}

/**
 * The engine: propagates gradients from outputs and returns what arrives at `targets`; every other leaf reached gets
 * its gradient added to `.grad` if `accumulate`.
 */
function propagate(
  outputs: readonly Tensor[],
  grads: readonly (Tensor | null | undefined)[],
  options: BackwardOptions,
  targets: ReadonlySet<GradNode> | null,
): Map<GradNode, Tensor> {
  const createGraph = options.createGraph ?? false;
  const retainGraph = options.retainGraph ?? createGraph;
  const pending = new Map<GradNode, Tensor>();
  const captured = new Map<GradNode, Tensor>();
  const handedOut = new Set<unknown>();
  const roots = outputs.map((output, i) => {
    const grad = realGrad(output, initialGrad(output, grads[i]));
    const node = gradEdge(output)!;
    handedOut.add(memoryOf(grad));
    const sum = pending.get(node);
    pending.set(node, sum ? addedUp(sum, grad) : grad);
    return node;
  });
  const order = executionOrder(roots);
  const needed = targets === null ? null : leadingTo(order, targets);
  const run = (arrives: (grad: Tensor) => void): void => {
    for (const node of order) {
      let grad = pending.get(node);
      pending.delete(node);
      if (grad === undefined || (needed !== null && !needed.has(node))) continue;
      grad = runHooks(node, grad);
      if (node.retain !== null) executor().writeGrad(node.retain, createGraph ? settled(grad) : settled(grad).clone());
      if (targets?.has(node)) captured.set(node, grad);
      if (node instanceof AccumulateGrad) {
        if (targets === null) accumulateInto(node.leaf, settled(grad), createGraph, handedOut);
        continue;
      }
      arrives(grad);
      const inputs = node.backward(grad);
      invariant(
        inputs.length === node.next.length,
        () => `${node.name} returned ${inputs.length} gradients for ${node.next.length} inputs`,
      );
      checkForNan(node, inputs);
      if (!retainGraph) node.release();
      for (const [i, input] of node.next.entries()) {
        const contribution = inputs[i];
        if (input === null || contribution === null) continue;
        invariant(
          sameShape(contribution.shape, input.type.shape),
          () =>
            `${node.name}: gradient ${i} has shape ${formatShape(contribution.shape)}, expected ${formatShape(input.type.shape)}`,
        );
        const sum = pending.get(input);
        const arriving = onlyIf(contribution, presenceOf(grad));
        pending.set(input, sum ? addedUp(sum, arriving) : arriving);
      }
    }
  };
  withGrad(createGraph, () => backwardPass(run));
  return captured;
}

const memoryOf = (tensor: Tensor): unknown => (tensor.value.kind === 'eager' ? tensor.value.storage : tensor.value);

function accumulateInto(leaf: Tensor, grad: Tensor, createGraph: boolean, handedOut: Set<unknown>): void {
  const existing = executor().gradToAddTo(leaf);
  if (existing !== null) {
    const sum = existing.add(grad);
    if (createGraph) executor().writeGrad(leaf, sum);
    else executor().write(existing, sum);
    return;
  }
  const owned = grad.isContiguous() && !handedOut.has(memoryOf(grad)) && grad.meta.base === null ? grad : grad.clone();
  handedOut.add(memoryOf(owned));
  executor().writeGrad(leaf, createGraph ? owned : owned.detach());
}

/**
 * Adds the gradients of `outputs` to the `.grad` of every leaf that requires one. Errors: E201, E202, E203, E204, E206.
 */
export function backward(
  outputs: Tensor | readonly Tensor[],
  grads?: Tensor | readonly (Tensor | null)[] | null,
  options: BackwardOptions = {},
): void {
  propagate(listOf(outputs), grads ? listOf(grads) : [], options, null);
}

export interface GradOptions extends BackwardOptions {
  readonly gradOutputs?: Tensor | readonly (Tensor | null)[] | null;
  /** Return null for inputs that the outputs do not depend on, instead of throwing. */
  readonly allowUnused?: boolean;
  /** Gradients from branches come with the condition that they exist on (`presence.ts`), rather than as zeros. */
  readonly conditional?: boolean;
}

/** Gradients of the sum of `outputs` with respect to `inputs`, without touching `.grad`. Errors: E201 to E204, E206, E207. */
export function gradOf(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options?: GradOptions & { readonly allowUnused?: false },
): Tensor[];
export function gradOf(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions,
): (Tensor | null)[];
export function gradOf(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const edges = listOf(inputs).map(
    (input, i) =>
      gradEdge(input) ??
      fail('E207', {
        problem: `One of the differentiated Tensors does not require grad (input ${i})`,
        hint: 'call requiresGrad_() on it before computing the outputs',
      }),
  );
  const found = propagate(
    listOf(outputs),
    options.gradOutputs ? listOf(options.gradOutputs) : [],
    options,
    new Set(edges),
  );
  return edges.map((edge, i) => {
    const grad = found.get(edge);
    if (grad === undefined && !options.allowUnused) {
      fail('E207', {
        problem: 'One of the differentiated Tensors appears to not have been used in the graph.',
        hint: 'pass { allowUnused: true } if this is the desired behavior',
      });
    }
    if (grad === undefined) return null;
    return gradLike(listOf(inputs)[i], options.conditional ? grad : settled(grad));
  });
}

const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);

// ── methods of Tensor that need the tape ───────────────────────────────────────────────────────────────────────────────

declare module './tensor.js' {
  interface Tensor {
    /** Compute gradients of this tensor and add them to the `.grad` of its leaves. A scalar needs no `grad`. */
    backward(grad?: Tensor | null | BackwardOptions, options?: BackwardOptions): void;
    /** Does autograd follow this tensor? Assignable on leaves. */
    requiresGrad: boolean;
    requiresGrad_(requiresGrad?: boolean): this;
    /** The accumulated gradient of a leaf (or of a tensor with `retainGrad()`). */
    grad: Tensor | null;
    readonly gradFn: GradNode | null;
    readonly isLeaf: boolean;
    /** In-place changes of the memory of this tensor. */
    readonly version: number;
    /** Was it made in inference mode? */
    isInference(): boolean;
    /** Keep the gradient of this non-leaf in `.grad`. */
    retainGrad(): void;
    /**
     * Call `hook` with the gradient of this tensor; what it returns replaces the gradient. Returns a function that
     * removes it.
     */
    registerHook(hook: Hook): () => void;
  }
}

function setRequiresGrad(tensor: Tensor, wanted: boolean): void {
  if (wanted && !isFloat(tensor.dtype) && !isComplexDType(tensor.dtype)) {
    fail('E207', {
      problem: `only Tensors of floating point and complex dtype can require gradients, got ${tensor.dtype}`,
      hint: 'convert it first: x.float()',
    });
  }
  if (wanted && tensor.meta.isInference && !isInferenceModeEnabled()) {
    fail('E207', {
      problem: 'Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.',
      hint: cloneIt,
    });
  }
  if (gradNode(tensor) !== null) {
    if (wanted) return;
    fail('E207', {
      problem: 'you can only change requires_grad flags of leaf variables.',
      hint: 'use detach() to get a tensor without history',
    });
  }
  tensor.meta.requiresGrad = wanted;
}

Object.defineProperties(Tensor.prototype, {
  requiresGrad: {
    get(this: Tensor) {
      return requiresGrad(this);
    },
    set(this: Tensor, wanted: boolean) {
      setRequiresGrad(this, wanted);
    },
  },
  grad: {
    get(this: Tensor) {
      const grad = executor().readGrad(realForm(this));
      return grad && gradLike(this, grad);
    },
    set(this: Tensor, grad: Tensor | null) {
      if (grad && !sameShape(grad.shape, this.shape))
        fail('E207', {
          problem: `assigned grad has shape ${formatShape(grad.shape)}, but the tensor has shape ${formatShape(this.shape)}`,
        });
      if (grad && grad.dtype !== this.dtype)
        fail('E207', { problem: `assigned grad has dtype ${grad.dtype}, but the tensor has dtype ${this.dtype}` });
      executor().writeGrad(realForm(this), grad && realGrad(this, grad));
    },
  },
  gradFn: {
    get(this: Tensor) {
      return gradNode(this);
    },
  },
  isLeaf: {
    get(this: Tensor) {
      return gradNode(this) === null;
    },
  },
  version: {
    get(this: Tensor) {
      return executor().versionOf(this);
    },
  },
});

Object.assign(Tensor.prototype, {
  backward(this: Tensor, grad?: Tensor | null | BackwardOptions, options: BackwardOptions = {}): void {
    if (grad === null || grad === undefined || grad instanceof Tensor) backward(this, grad, options);
    else backward(this, null, grad);
  },
  requiresGrad_(this: Tensor, wanted = true): Tensor {
    setRequiresGrad(this, wanted);
    return this;
  },
  isInference(this: Tensor): boolean {
    return this.meta.isInference;
  },
  retainGrad(this: Tensor): void {
    const node = gradNode(this);
    if (node !== null) node.retain = realForm(this);
    else if (!this.meta.requiresGrad)
      fail('E207', { problem: "can't retain_grad on Tensor that has requires_grad=False" });
  },
  registerHook(this: Tensor, given: Hook): () => void {
    const hook = realHook(this, given);
    const real = realForm(this);
    const node = gradEdge(this);
    if (node === null)
      return fail('E207', { problem: 'cannot register a hook on a tensor that does not require gradient' });
    node.hooks = [...(node.hooks ?? []), hook];
    executor().ownGradient?.(real, [real], grad => [hook(grad) ?? grad]);
    return () => {
      node.hooks = node.hooks?.filter(other => other !== hook) ?? null;
    };
  },
});
