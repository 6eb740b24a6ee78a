/**
 * The autograd tape: what an op call records, and what becomes of that when memory is changed in place. It is run backwards
 * in backward.ts.
 *
 * It works on tensors whatever they are: values, and traced ones, by the same vjp rules. What is saved, versioned and freed
 * follows PyTorch's engine (Paszke et al., "Automatic differentiation in PyTorch", 2017).
 */
import { fail, type Site } from '../errors.js';
import { isFloat } from '../ir/dtype.js';
import type { Attrs, TensorType } from '../ir/graph.js';
import { formatShape, mayOverlap, sameShape } from '../ir/shape.js';
import { recordedSite } from './anomaly.js';
import { realGrad } from './complex/gradients.js';
import type { OpDef } from './define.js';
import { cloneIt, type Saved, save } from './saved.js';
import {
  executor,
  isComplexTensor,
  isInferenceModeEnabled,
  realForm,
  setMakesInference,
  Tensor,
  type ViewStep,
} from './tensor.js';

// biome-ignore lint/suspicious/noConfusingVoidType: a hook may return nothing at all
export type Hook = (grad: Tensor) => Tensor | undefined | null | void;

/** One step of the tape: turns the gradient of its output into gradients of its inputs. */
export interface GradNode {
  /** PyTorch's name, as in `MulBackward0`. */
  readonly name: string;
  /** Where each input's gradient goes; null where none is needed. */
  readonly next: readonly (GradNode | null)[];
  /** The tensor this node is the gradient of: for shapes, hooks and retained gradients. */
  readonly type: TensorType;
  hooks: Hook[] | null;
  retain: Tensor | null;
  /** Where it was recorded; known while anomalies are looked for. */
  readonly site?: Site | null;
  backward(grad: Tensor): readonly (Tensor | null)[];
  /** Drop saved tensors after a backward pass that does not retain the graph. */
  release(): void;
}

// ── grad mode ──────────────────────────────────────────────────────────────────────────────────────────────────────────

let gradEnabled = true;
export const isGradEnabled = (): boolean => gradEnabled;
/** Set grad mode and return what it was. */
export function setGradEnabled(enabled: boolean): boolean {
  const previous = gradEnabled;
  gradEnabled = enabled;
  return previous;
}
/** Run `fn` with recording on or off. */
export function withGrad<T>(enabled: boolean, fn: () => T): T {
  const previous = setGradEnabled(enabled);
  try {
    return fn();
  } finally {
    gradEnabled = previous;
  }
}
/** Run `fn` without recording. */
export const noGrad = <T>(fn: () => T): T => withGrad(false, fn);
/** Run `fn` with recording on, inside `noGrad` too. */
export const enableGrad = <T>(fn: () => T): T => withGrad(true, fn);

/** Run `fn` without recording, on tensors that stay outside autograd afterwards, too: PyTorch's `torch.inference_mode`. */
export function inferenceMode<T>(fn: () => T): T {
  const previous = setMakesInference(true);
  try {
    return noGrad(fn);
  } finally {
    setMakesInference(previous);
  }
}

// ── recording ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a vjp rule sees of the call it differentiates. Saved tensors are checked when they are read. */
export interface VjpContext {
  /** Gradient of the output. */
  readonly grad: Tensor;
  readonly attrs: Attrs;
  readonly types: readonly TensorType[];
  readonly outType: TensorType;
  /** Does input `i` need a gradient? Rules skip expensive gradients that nobody asked for. */
  needs(i: number): boolean;
  in(i: number): Tensor;
  readonly out: Tensor;
}

/** What PyTorch calls the step of an op. */
export function stepName({ gradName, name }: OpDef, types: readonly TensorType[], attrs: Attrs): string {
  if (typeof gradName === 'function') return gradName(types, attrs);
  return gradName ?? `${name.replace(/^[a-z]|\d[a-z]/g, letters => letters.toUpperCase())}Backward0`;
}

class OpNode implements GradNode {
  name: string;
  readonly site = recordedSite();
  readonly next: readonly (GradNode | null)[];
  readonly type: TensorType;
  hooks: Hook[] | null = null;
  retain: Tensor | null = null;
  readonly #def: OpDef;
  readonly #attrs: Attrs;
  readonly #types: readonly TensorType[];
  #inputs: readonly Saved[] | null;
  #output: Saved | null;

  constructor(def: OpDef, inputs: readonly Tensor[], attrs: Attrs, output: Tensor) {
    this.next = inputs.map(gradEdge);
    this.type = output.type;
    this.#def = def;
    this.#attrs = attrs;
    this.#types = inputs.map(input => input.type);
    this.name = stepName(def, this.#types, attrs);
    this.#inputs = inputs.map(save);
    this.#output = save(output);
  }

  /** After an in-place op the tensor changed is the output. */
  setOutput(output: Tensor): void {
    this.#output = save(output);
  }

  backward(grad: Tensor): readonly (Tensor | null)[] {
    const { vjp, name } = this.#def;
    if (!vjp) return fail('E206', { op: name, hint: this.#def.noVjpHint });
    const read = (which: Saved | null | undefined, index: number | string, edge: GradNode | null): Tensor =>
      which ? which.read(name, index, edge) : fail('E202', {});
    const inputs = (): readonly Saved[] | null => this.#inputs;
    const output = (): Tensor => read(this.#output, 'output', this);
    const grads = vjp({
      grad,
      attrs: this.#attrs,
      types: this.#types,
      outType: this.type,
      needs: i => this.next[i] !== null,
      in: i => read(inputs()?.[i], i, this.next[i]),
      get out() {
        return output();
      },
    });
    for (const saved of [...(this.#inputs ?? []), this.#output]) saved?.drop();
    return grads;
  }

  release(): void {
    this.#inputs = null;
    this.#output = null;
  }
}

/** Adds into the `.grad` of a leaf. */
export class AccumulateGrad implements GradNode {
  readonly name = 'AccumulateGrad';
  readonly next: readonly GradNode[] = [];
  readonly type: TensorType;
  hooks: Hook[] | null = null;
  retain: Tensor | null = null;
  constructor(readonly leaf: Tensor) {
    this.type = leaf.type;
  }
  backward(): readonly Tensor[] {
    return [];
  }
  release(): void {}
}

/** A step given by a function; `inputs` are the tensors whose gradients `backward` returns. */
class FunctionNode implements GradNode {
  readonly next: readonly (GradNode | null)[];
  readonly site = recordedSite();
  hooks: Hook[] | null = null;
  retain: Tensor | null = null;
  #backward: ((grad: Tensor) => readonly (Tensor | null)[]) | null;
  constructor(
    readonly name: string,
    readonly type: TensorType,
    next: readonly (GradNode | null)[],
    backward: (grad: Tensor) => readonly (Tensor | null)[],
  ) {
    this.next = next;
    this.#backward = backward;
  }
  backward(grad: Tensor): readonly (Tensor | null)[] {
    return this.#backward ? this.#backward(grad) : fail('E202', {});
  }
  release(): void {
    this.#backward = null;
  }
}

/** Record `output = fn(inputs)` with a gradient given by a function (custom functions). */
export function recordFunction(
  name: string,
  inputs: readonly Tensor[],
  output: Tensor,
  backward: (grad: Tensor) => readonly (Tensor | null)[],
): void {
  if (!gradEnabled || !inputs.some(requiresGrad)) return;
  executor().ownGradient?.(output, inputs, backward);
  recordStep(name, inputs, output, backward);
}

/** The same for a step that the graph itself tells how to differentiate. */
export function recordStep(
  name: string,
  inputs: readonly Tensor[],
  output: Tensor,
  backward: (grad: Tensor) => readonly (Tensor | null)[],
): void {
  if (gradEnabled && inputs.some(requiresGrad))
    output.meta.node = new FunctionNode(name, output.type, inputs.map(gradEdge), backward);
}

/** Give the step that computed a tensor another name. */
export function renameStep(output: unknown, name: string): void {
  const node = output instanceof Tensor ? output.meta.node : null;
  if (node instanceof OpNode) node.name = name;
}

export const requiresGrad = (tensor: Tensor): boolean => tensor.meta.requiresGrad || gradNode(tensor) !== null;

/** The node that computed a tensor. A view whose base was changed in place gets a fresh one from the base. */
export function gradNode(tensor: Tensor): GradNode | null {
  const { base, path, baseVersion } = tensor.meta;
  if (base !== null && base.meta.baseVersion !== baseVersion) {
    tensor.meta.baseVersion = base.meta.baseVersion;
    const fresh = enableGrad(() => replay(firstLayout(base), path));
    tensor.meta.node = fresh.meta.node;
  }
  return tensor.meta.node;
}

/** Where the gradient of a tensor goes: to the node that computed it, or to the leaf that it is. */
export function gradEdge(tensor: Tensor): GradNode | null {
  if (tensor.meta.requiresGrad) return (tensor.meta.accumulate ??= new AccumulateGrad(realForm(tensor)));
  return gradNode(tensor);
}

/** Called after each op: remembers how to differentiate it, if anybody needs that. */
export function record(def: OpDef, inputs: readonly Tensor[], attrs: Attrs, output: Tensor): void {
  if (def.fusion === 'view' && output.value.kind === inputs[0].value.kind) linkView(def, inputs[0], attrs, output);
  if (!gradEnabled || def.differentiable === false || !isFloat(output.dtype)) return;
  if (inputs.some(requiresGrad)) output.meta.node = new OpNode(def, inputs, attrs, output);
}

function linkView(def: OpDef, input: Tensor, attrs: Attrs, output: Tensor): void {
  if (!executor().sharesMemory(input, output)) return;
  output.meta.isInference = input.meta.isInference;
  if (def.differentiable === false) return;
  const { base, path } = input.meta;
  output.meta.base = base ?? input;
  output.meta.path = [...path, { def, attrs }];
  output.meta.baseVersion = output.meta.base.meta.baseVersion;
}

let applyStep: (step: ViewStep, tensor: Tensor) => Tensor;
/** How a view step is applied to a tensor; installed by define.ts. */
export function setViewReplay(apply: typeof applyStep): void {
  applyStep = apply;
}
/** Take the same view of another tensor. */
export const replay = (base: Tensor, path: readonly ViewStep[]): Tensor =>
  path.reduce((tensor, step) => applyStep(step, tensor), base);

/** What owns its memory, as it was laid out before any change of that in place. */
export const firstLayout = (base: Tensor): Tensor => replay(base, base.meta.back);

// ── in-place changes ───────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Overwrite `target` with `value` (same shape; cast if need be) as an in-place op does: everything that aliases it sees
 * the change, and its history becomes that of `value`. What had a history and gets a value without one keeps requiring a
 * gradient, as PyTorch has it: a step called `forgets` passes zeros on. Throws E205 for a leaf that requires grad.
 */
export function assignInPlace(target: Tensor, value: Tensor, forgets = 'CopyBackwards'): Tensor {
  if (isComplexTensor(target)) {
    assignInPlace(realForm(target), realGrad(target, value), forgets);
    return target;
  }
  const base = target.meta.base;
  checkInPlace(target);
  if (!sameShape(target.shape, value.shape))
    fail('E107', {
      op: 'in-place',
      problem: `output with shape ${formatShape(target.shape)} doesn't match the broadcast shape ${formatShape(value.shape)}`,
    });
  if (mayOverlap(target.shape, target.stride()))
    fail('E110', {
      op: 'in-place',
      problem: `unsupported operation: more than one element of the written-to tensor refers to a single memory location`,
      hint: 'clone() the tensor before performing the operation',
    });
  const source = value.dtype === target.dtype ? value : value.to(target.dtype);
  const baseNode = base === null ? null : gradNode(base);
  const node = gradNode(source) ?? (base === null ? forgetting(target, forgets) : null);
  executor().write(target, source);
  if (!gradEnabled) return target;
  if (base !== null && (node !== null || baseNode !== null)) rebase(base, target.meta.path, baseNode, node);
  else if (base === null && (node !== null || target.meta.node !== null)) {
    if (node !== null) moveRetained(target.meta.node, node);
    target.meta.node = node;
    if (node instanceof OpNode) node.setOutput(target);
    target.meta.baseVersion++;
  }
  return target;
}

/** A tensor that keeps its gradient keeps that of its new value. */
function moveRetained(before: GradNode | null, after: GradNode): void {
  if (before === null || before.retain === null) return;
  after.retain ??= before.retain;
  before.retain = null;
}

/** The step of a value that does not depend on what was there before. */
function forgetting({ type, meta: { node } }: Tensor, name: string): GradNode | null {
  return gradEnabled && node !== null ? new FunctionNode(name, type, [node], grad => [grad.zerosLike()]) : null;
}

function checkInPlace({ meta: { base, requiresGrad: isLeaf, isInference } }: Tensor): void {
  if (isInference && !isInferenceModeEnabled())
    fail('E207', {
      problem: 'Inplace update to inference tensor outside InferenceMode is not allowed.',
      hint: cloneIt,
    });
  if (!gradEnabled) return;
  if (base?.meta.requiresGrad)
    fail('E207', {
      problem: 'a view of a leaf Variable that requires grad is being used in an in-place operation.',
      hint: 'do it inside noGrad(() => ...)',
    });
  if (isLeaf) fail('E205', {});
}

/**
 * Let a tensor show its memory as `change` of it does, a view with all its elements; `undo` takes that back. Other views of
 * the memory stay as they are, and find their way from how it was first laid out.
 */
export function relayoutInPlace<T extends Tensor>(
  target: T,
  change: (tensor: Tensor) => Tensor,
  undo: (changed: Tensor) => Tensor,
): T {
  checkInPlace(target);
  const { meta } = target;
  const view = withGrad(!meta.requiresGrad, () => change(target));
  const back = meta.base === null ? noGrad(() => undo(view)).meta.path.slice(view.meta.path.length) : [];
  executor().relayout(target, view);
  meta.path = view.meta.path;
  meta.back = [...back, ...meta.back];
  if (meta.requiresGrad) meta.accumulate = null;
  else meta.node = view.meta.node;
  return target;
}

/** What an in-place op computes of a tensor, put in its place. The derivative reads what was there before. */
export function computeInPlace(target: Tensor, args: readonly unknown[], compute: (self: Tensor) => Tensor): Tensor {
  const operands = args.flatMap(arg => (isOptions(arg) ? Object.values(arg) : [arg]));
  const isRecorded = gradEnabled && [target, ...operands].some(arg => arg instanceof Tensor && requiresGrad(arg));
  return assignInPlace(target, compute(isRecorded ? snapshot(target) : target));
}

const isOptions = (arg: unknown): arg is object =>
  typeof arg === 'object' && arg !== null && Object.getPrototypeOf(arg) === Object.prototype;

/** The value and history that a tensor has now, in memory of its own; a body that is traced is differentiated by its ops. */
function snapshot(tensor: Tensor): Tensor {
  const copy = tensor.clone();
  copy.meta.node = gradNode(tensor);
  return copy;
}

/** The base of a changed view: its gradient passes outside the view, and goes to the new value inside it. */
function rebase(base: Tensor, path: readonly ViewStep[], baseNode: GradNode | null, valueNode: GradNode | null): void {
  const { back } = base.meta;
  const part = (whole: Tensor): Tensor => replay(replay(whole, back), path);
  base.meta.node = new FunctionNode('CopySlices', base.type, [baseNode, valueNode], grad => {
    const outside = grad.clone();
    const inside = part(grad);
    assignInPlace(part(outside), inside.zerosLike());
    return [outside, inside];
  });
  base.meta.baseVersion++;
}
