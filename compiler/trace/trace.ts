/**
 * Tracing: run a function on tensors that stand for nodes, and keep what it did as a Graph.
 *
 * The executor here gives every op a node instead of a value; ops, tape, modules and optimizers run unchanged, so
 * `backward()` appends the symbolic gradient and `step()` its in-place changes. Those are made pure here: memory is a *cell*
 * whose node is replaced by each write, views replay their path when their cell has changed, and a write through a view
 * rebuilds the base. Eager tensors that the function captures become state parameters of the graph; cells of theirs that were
 * written become the graph's updates, but for tensors made of plain data inside the function, which are constants of every
 * call. The eager values themselves are never touched.
 */
import { fail, GradcError, invariant, type Site } from '../errors.js';
import { arrayOf, isComplexDType, isFloat } from '../ir/dtype.js';
import type { Attrs, Graph, NamedResult, ParamRole, TensorType } from '../ir/graph.js';
import { formatType, Interner, isParam, type Node } from '../ir/graph.js';
import { contiguousStrides, numel, sameShape } from '../ir/shape.js';
import { apply, type OpDef, opDef } from '../ops/define.js';
import { isGradEnabled, noGrad } from '../ops/tape.js';
import {
  type EagerValue,
  type Executor,
  eagerGrad,
  eagerValue,
  isContiguousValue,
  realForm,
  refuseComplex,
  type Storage,
  Tensor,
  type TracedValue,
  takeLayout,
  type ViewStep,
  withExecutor,
} from '../ops/tensor.js';
import { captureSite } from './site.js';

/** A piece of memory during the trace: its current contents as a node. */
interface Cell {
  node: Node;
  version: number;
  /** The parameter that its changes update; null for memory made inside the trace, constants included. */
  readonly param: Node | null;
}

interface TracedTensor extends TracedValue {
  readonly trace: Trace;
  readonly cell: Cell;
  /** From the whole cell to this tensor. */
  readonly path: readonly ViewStep[];
  node: Node;
  seen: number;
}

/** A captured eager tensor's memory, and the parameter that stands for it. */
export interface Captured {
  readonly storage: Storage;
  readonly type: TensorType;
  readonly param: Node;
}

/** A condition on values, a 0-d bool, and what throws where the program finds that it does not hold. */
export interface ValueCheck {
  readonly node: Node;
  readonly refuse: () => never;
  readonly site: Site | null;
}

/** What it throws, at the line of its op. */
export function errorOf({ refuse, site }: ValueCheck): unknown {
  try {
    return refuse();
  } catch (error) {
    return error instanceof GradcError && site !== null ? error.at(site) : error;
  }
}

export class Trace implements Executor {
  readonly kind = 'trace';
  /** Conditions that ops set on their values; null where they are not to be kept. */
  checks: ValueCheck[] | null = null;
  readonly captured = new Map<Storage, Captured>();
  readonly #cells = new Map<Storage, Cell>();
  readonly #inputs: Cell[] = [];
  readonly #grads = new Map<Tensor, Tensor | null>();
  /** Leaves whose gradient an entry traced before leaves behind. */
  left: ReadonlySet<Tensor> = new Set();
  /** Leaves that had no gradient when the entry asked for it. */
  readonly #withoutGrad = new Set<Tensor>();
  readonly #keptGrads = new Map<Tensor, Tensor>();
  readonly #fromOutside = new Map<Tensor, TracedTensor>();
  /** Adding nodes that the tape is told of in another way. */
  #isUnseen = false;
  /** What is being computed anew: after which node, and the nodes that come of it. */
  #anew: { readonly after: Node; readonly made: Set<Node> } | null = null;

  constructor(
    readonly name: string,
    readonly interner: Interner = new Interner(),
    /** Where new nodes say they come from. */
    readonly siteOf: () => Site | null = captureSite,
    /** The trace around this one, where this is the body of a loop or branch: its tensors become inputs of the body. */
    readonly outer: Trace | null = null,
  ) {}

  /** Tensors from outside that a body has used, in order of first use. */
  get capturedFromOutside(): readonly Tensor[] {
    return [...this.#fromOutside.keys()];
  }

  /** Let a tensor stand for another node of the same value. */
  protected standFor(tensor: Tensor, node: Node): void {
    const traced = this.#traced(tensor, this.name);
    traced.node = node;
    if (traced.path.length === 0) traced.cell.node = node;
  }

  /** For a body: the parameter that stands for a tensor from outside, and its value at the end. */
  fromOutside(tensor: Tensor): { readonly param: Node; readonly value: Node } {
    const { cell } = this.#traced(tensor, this.name);
    invariant(cell.param !== null, 'a tensor from outside has a parameter');
    return { param: cell.param, value: cell.node };
  }

  // ── values and nodes ───────────────────────────────────────────────────────────────────────────────────────────────

  /** A tensor of this trace with memory of its own. */
  tensorOf(node: Node): Tensor {
    return this.#tensor(node.type, {
      cell: { node, version: 0, param: null },
      path: [],
      offset: 0,
      strides: contiguousStrides(node.type.shape),
      node,
    });
  }

  /** A tensor that stands for an argument of the traced function. */
  input(name: string, type: TensorType, role: ParamRole = 'input'): Tensor {
    if (isComplexDType(type.dtype)) refuseComplex(this.name, type.dtype);
    const node = this.interner.param(name, role, type);
    const cell: Cell = { node, version: 0, param: node };
    this.#inputs.push(cell);
    return this.#tensor(type, { cell, path: [], offset: 0, strides: contiguousStrides(type.shape), node });
  }

  #tensor(type: TensorType, parts: Omit<TracedTensor, 'kind' | 'trace' | 'seen'>): Tensor {
    this.#anew?.made.add(parts.node);
    return new Tensor(type, { kind: 'traced', trace: this, seen: parts.cell.version, ...parts } as TracedTensor);
  }

  /** The node of a tensor's current value. Eager tensors become state. Throws E302 for a tensor of another trace. */
  nodeOf(tensor: Tensor, op = 'this call'): Node {
    const traced = this.#traced(tensor, op);
    if (traced.seen !== traced.cell.version) {
      traced.node = this.#follow(traced.cell.node, traced.path);
      traced.seen = traced.cell.version;
    }
    return traced.node;
  }

  #traced(tensor: Tensor, op: string): TracedTensor {
    const { value } = tensor;
    if (value.kind === 'traced' && value.trace === this) return value as TracedTensor;
    if (this.outer !== null) return this.#bringIn(tensor, op, this.outer);
    if (value.kind === 'eager') return this.#capture(tensor, value);
    if (value.kind === 'complex') return refuseComplex(op, tensor.dtype);
    return fail('E302', { op, other: value.trace.name, current: this.name });
  }

  #bringIn(tensor: Tensor, op: string, outer: Trace): TracedTensor {
    let traced = this.#fromOutside.get(tensor);
    if (traced === undefined) {
      outer.nodeOf(tensor, op);
      for (const [other, { cell }] of this.#fromOutside)
        if (cell.version > 0 && outer.sharesMemory(other, tensor)) this.#refuseAlias(tensor);
      const node = this.interner.param(`capture.${this.#fromOutside.size}`, 'input', tensor.type);
      const cell: Cell = { node, version: 0, param: node };
      const strides = contiguousStrides(tensor.shape);
      traced = { kind: 'traced', trace: this, cell, path: [], offset: 0, strides, node, seen: 0 };
      this.#fromOutside.set(tensor, traced);
    }
    return traced;
  }

  #step(node: Node, { def, attrs }: ViewStep): Node {
    return this.interner.node(def.name, [node], attrs, def.infer([node.type], attrs), node.site);
  }
  #follow = (node: Node, path: readonly ViewStep[]): Node => path.reduce((n, step) => this.#step(n, step), node);

  #capture(tensor: Tensor, { storage, offset, strides }: EagerValue): TracedTensor {
    let captured = this.captured.get(storage);
    if (captured === undefined) {
      const whole = offset === 0 && isContiguousValue(tensor.shape, strides) && tensor.numel() === storage.array.length;
      const type = whole ? tensor.type : { dtype: tensor.dtype, shape: [storage.array.length] };
      const param = this.interner.param(`state.${this.captured.size}`, 'state', type);
      captured = { storage, type, param };
      this.captured.set(storage, captured);
      this.#cells.set(storage, { node: param, version: 0, param: storage.madeIn === this ? null : param });
    }
    const cell = this.#cells.get(storage)!;
    const same =
      offset === 0 && sameShape(captured.type.shape, tensor.shape) && isContiguousValue(tensor.shape, strides);
    const path = same
      ? []
      : [{ def: opDef('strided'), attrs: { size: tensor.shape, stride: strides, storageOffset: offset } as Attrs }];
    return {
      kind: 'traced',
      trace: this,
      cell,
      path,
      offset,
      strides,
      node: this.#follow(cell.node, path),
      seen: cell.version,
    };
  }

  // ── the executor ───────────────────────────────────────────────────────────────────────────────────────────────────

  run(def: OpDef, inputs: readonly Tensor[], attrs: Attrs, type: TensorType): Tensor {
    const nodes = this.operands(inputs, def.name);
    const node = this.interner.node(def.name, this.#asRecorded(nodes), attrs, type, this.siteOf());
    if (!def.strides) return this.tensorOf(node);
    const source = this.#traced(inputs[0], def.name);
    const shared = def.strides(inputs[0].type, source.strides, attrs, type);
    if (shared === null) return this.tensorOf(node);
    return this.#tensor(type, {
      cell: source.cell,
      path: [...source.path, { def, attrs }],
      offset: source.offset + shared.offset,
      strides: shared.strides,
      node,
    });
  }

  /** A body is differentiated as a graph, not by the tape: what the tape is not to see must say so itself. */
  #asRecorded(nodes: readonly Node[]): readonly Node[] {
    if (this.outer === null || isGradEnabled() || this.#isUnseen) return nodes;
    return nodes.map(node =>
      isFloat(node.type.dtype) ? this.interner.node('detach', [node], {}, node.type, node.site) : node,
    );
  }

  /** The nodes that an op reads. */
  operands(inputs: readonly Tensor[], op: string): Node[] {
    return inputs.map(input => this.#asAnew(this.nodeOf(input, op)));
  }

  /** Run `fn` so that the tape does not see it: it is told of the result in another way. */
  unseen<T>(fn: () => T): T {
    const before = this.#isUnseen;
    this.#isUnseen = true;
    try {
      return withExecutor(this, () => noGrad(fn));
    } finally {
      this.#isUnseen = before;
    }
  }

  /** Equal nodes are one, unless what they read is told apart: `later(x, after)` is `x`, but not before `after`. */
  computeAnew(after: Tensor, fn: () => void): void {
    const outer = this.#anew;
    this.#anew = { after: this.nodeOf(after), made: new Set() };
    try {
      fn();
    } finally {
      this.#anew = outer;
    }
  }
  #asAnew(node: Node): Node {
    const isConstant = node.inputs.length === 0 && !isParam(node);
    if (this.#anew === null || isConstant || this.#anew.made.has(node)) return node;
    return this.interner.node('later', [node, this.#anew.after], {}, node.type, node.site);
  }

  /** A function that gives memory from outside the contents it has now; asking for it makes the memory no state. */
  mark(memory: Tensor): () => void {
    const { value } = memory;
    invariant(value.kind === 'eager', 'memory from outside is marked');
    const before = this.#cells.get(value.storage)?.node;
    return () => {
      const cell = this.#cells.get(value.storage);
      if (cell === undefined) return;
      cell.node = before ?? cell.param!;
      cell.version++;
    };
  }

  write(target: Tensor, value: Tensor): void {
    const to = this.#traced(target, 'an in-place change');
    if (this.outer !== null && to.cell.param !== null) this.#checkWrite(to.cell, this.outer);
    const node = this.nodeOf(value, 'an in-place change');
    to.cell.node = this.unseen(() => this.#written(to.cell.node, to.path, node));
    to.cell.version++;
  }

  /** Only for what is made inside: the shape of inputs and of state is that of the compiled entry. */
  relayout(target: Tensor, view: Tensor): void {
    const { value } = target;
    const isInside = value.kind === 'traced' && value.trace === this;
    const { cell } = this.#traced(target, 'an in-place change');
    const isInput = this.#inputs.includes(cell) && target.meta.base === null;
    if (!isInside || isInput)
      fail('E304', {
        problem: `'${this.name}' changes the shape or layout of ${isInput ? 'its input' : 'a tensor from outside'} (${formatType(target.type)}) in place`,
        hint: 'take a view of it instead, as in x.unsqueeze(0)',
      });
    cell.version++;
    takeLayout(target, view);
  }

  /** A body may change what comes from outside, where it sees that memory as one tensor; its arguments it may not. */
  #checkWrite(cell: Cell, outer: Trace): void {
    const brought = [...this.#fromOutside].find(([, traced]) => traced.cell === cell);
    if (brought === undefined)
      fail('E304', {
        problem: `the body of a ${this.name} changes its argument '${cell.param!.attrs.name}' (${formatType(cell.param!.type)}) in place`,
        hint: 'clone() it first, and return the new value: what a step gets is not its own',
      });
    const [tensor] = brought;
    for (const other of this.#fromOutside.keys())
      if (other !== tensor && outer.sharesMemory(tensor, other)) this.#refuseAlias(tensor);
  }

  #refuseAlias({ type }: Tensor): never {
    return fail('E304', {
      problem: `the body of a ${this.name} changes memory from outside that it also sees through another tensor, here ${formatType(type)}`,
      hint: 'take views of it inside the body',
    });
  }

  /** `base` with the part that `path` shows replaced by `value`. */
  #written(base: Node, path: readonly ViewStep[], value: Node): Node {
    if (path.length === 0) return value;
    const [step, ...rest] = path;
    const inner = this.#written(this.#step(base, step), rest, value);
    const scattered = this.#scatter(base, step, inner);
    if (numel(base.type.shape) === numel(inner.type.shape)) return scattered;
    const ones = this.nodeOf(apply(opDef('full'), [], { size: inner.type.shape, value: 1, dtype: inner.type.dtype }));
    const mask = this.tensorOf(this.#scatter(base, step, ones)).to('bool');
    return this.nodeOf(apply(opDef('where'), [mask, this.tensorOf(scattered), this.tensorOf(base)], {}));
  }

  /** The elements of a view put back where they came from, zeros elsewhere: the view's own vjp does just that. */
  #scatter(base: Node, { def, attrs }: ViewStep, value: Node): Node {
    if (numel(value.type.shape) > numel(base.type.shape) || !def.vjp) {
      fail('E110', {
        op: def.name,
        problem: `unsupported operation: more than one element of the written-to tensor refers to a single memory location`,
        hint: 'clone() the tensor before performing the operation',
      });
    }
    const [back] = def.vjp({
      grad: this.tensorOf(value),
      attrs,
      types: [base.type],
      outType: value.type,
      needs: () => true,
      in: () => this.tensorOf(base),
      out: this.tensorOf(value),
    });
    invariant(back, () => `${def.name} gave no gradient`);
    return this.nodeOf(back);
  }

  versionOf(given: Tensor): number {
    const tensor = realForm(given);
    if (tensor.value.kind === 'eager')
      return this.outer?.versionOf(tensor) ?? this.#cells.get(tensor.value.storage)?.version ?? 0;
    return this.#traced(tensor, 'this call').cell.version;
  }

  sharesMemory(tensor: Tensor, view: Tensor): boolean {
    return this.#traced(tensor, 'a view').cell === this.#traced(view, 'a view').cell;
  }

  stateUnder(tensor: Tensor): Tensor | null {
    const { cell } = this.#traced(tensor, 'a view');
    for (const [storage, { type }] of this.captured) {
      if (this.#cells.get(storage) !== cell) continue;
      return new Tensor(type, { kind: 'eager', storage, offset: 0, strides: contiguousStrides(type.shape) });
    }
    return null;
  }

  checkLater(holds: () => Tensor, refuse: () => never): boolean {
    this.checks?.push({ node: this.nodeOf(holds()), refuse, site: this.siteOf() });
    return this.checks !== null;
  }

  // Gradients set inside the trace live here. That of a leaf from outside may be there when an entry begins: then it is state,
  // and what the entry leaves in its place is its update.
  readGrad(tensor: Tensor): Tensor | null {
    const grad = this.#grads.get(tensor);
    if (grad !== undefined || !this.#isFromOutside(tensor)) return grad ?? null;
    const kept = eagerGrad.read(tensor) ?? (this.left.has(tensor) ? newMemory(tensor.type) : null);
    if (kept === null) this.#withoutGrad.add(tensor);
    return kept && this.#keepGrad(tensor, kept);
  }
  writeGrad(tensor: Tensor, grad: Tensor | null): void {
    this.#grads.set(tensor, grad);
  }
  /** Leaves from outside that have a gradient when the entry ends. */
  get leaves(): readonly Tensor[] {
    return [...this.#grads].flatMap(([leaf, grad]) => (grad !== null && this.#isFromOutside(leaf) ? [leaf] : []));
  }
  /** Another entry, traced since, keeps a gradient that this one took to be absent or to end with the call. */
  get isOutdated(): boolean {
    return [...this.#withoutGrad, ...this.#grads.keys()].some(
      leaf => this.#isFromOutside(leaf) && !this.#keptGrads.has(leaf) && eagerGrad.read(leaf) !== null,
    );
  }
  /** Without a reset in the entry, the gradients of all calls add up, from zero. */
  gradToAddTo(leaf: Tensor): Tensor | null {
    const grad = this.readGrad(leaf);
    const addsUp = grad === null && !this.#grads.has(leaf) && this.#isFromOutside(leaf);
    return addsUp ? this.#keepGrad(leaf, newMemory(leaf.type)) : grad;
  }
  #keepGrad(leaf: Tensor, grad: Tensor): Tensor {
    this.#keptGrads.set(leaf, grad);
    this.#grads.set(leaf, grad);
    return grad;
  }
  #isFromOutside({ value }: Tensor): boolean {
    return this.outer === null && value.kind === 'eager' && value.storage.madeIn !== this;
  }
  /** The memory of gradients that last from call to call. */
  get gradients(): readonly Storage[] {
    return [...this.#keptGrads.values()].map(grad => eagerValue(grad, 'a gradient').storage);
  }
  #settleGradients(): void {
    for (const [leaf, left] of this.#grads) {
      const kept = this.#isFromOutside(leaf) && !this.#keptGrads.has(leaf) ? eagerGrad.read(leaf) : null;
      if (kept === null) continue;
      this.#keepGrad(leaf, kept);
      this.#grads.set(leaf, left);
    }
    for (const [leaf, kept] of this.#keptGrads) {
      const left = this.#grads.get(leaf) ?? null;
      if (left !== kept) this.write(kept, left ?? kept.zerosLike());
      eagerGrad.write(leaf, kept);
    }
  }

  // ── the result ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The graph of what has run. Throws E304 for inputs that were changed. */
  finish(results: readonly NamedResult[]): Graph {
    withExecutor(this, () => noGrad(() => this.#settleGradients()));
    for (const { node, param } of this.#inputs) {
      if (node !== param)
        fail('E304', {
          problem: `entry '${this.name}' changes its input '${param!.attrs.name}' (${formatType(param!.type)}) in place`,
          hint: 'clone() the input first: what a caller passes in is not changed by a compiled entry',
        });
    }
    const updates = new Map<Node, Node>();
    for (const { node, param } of this.#cells.values()) if (param !== null && node !== param) updates.set(param, node);
    return {
      name: this.name,
      params: [
        ...this.#inputs.map(cell => cell.param!),
        ...[...this.captured.values()].map(captured => captured.param),
      ],
      results,
      updates,
    };
  }
}

/** Zeroed memory that is no part of a trace, though made during one. */
const newMemory = (type: TensorType): Tensor =>
  new Tensor(type, {
    kind: 'eager',
    storage: { array: new (arrayOf(type.dtype))(numel(type.shape)), version: 0 },
    offset: 0,
    strides: contiguousStrides(type.shape),
  });

/** The nodes that compute the same as a composite node, from the op's own decomposition. */
export function expandNode(node: Node, inputs: readonly Node[], interner: Interner): Node {
  const { decompose } = opDef(node.op);
  invariant(decompose, () => `op '${node.op}' has no decomposition`);
  const trace = new Trace('decompose', interner, () => node.site);
  return withExecutor(trace, () =>
    noGrad(() =>
      trace.nodeOf(
        decompose(
          inputs.map(input => trace.tensorOf(input)),
          node.attrs,
        ),
      ),
    ),
  );
}
