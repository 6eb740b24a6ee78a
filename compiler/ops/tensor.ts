/**
 * Tensor: a handle to a value (eager) or to a node of the graph being traced.
 *
 * The class knows shape, dtype, storage and its place in the autograd tape; what can be computed with it comes from the
 * op table: every op whose first parameter is a tensor is also a method (`table.ts`). Eager storage is an ordinary
 * typed array that views share and the garbage collector frees.
 */
import { fail, InternalError } from '../errors.js';
import { arrayOf, bytesOf, complexTypeOf, type DType, isComplexDType, partType, type TypedArray } from '../ir/dtype.js';
import type { Attrs, TensorType } from '../ir/graph.js';
import { contiguousStrides, formatShape, normalizeDim, numel, type Shape } from '../ir/shape.js';
import type { OpDef } from './define.js';
import type { TensorMethods } from './table.js';
import type { GradNode, Hook } from './tape.js';

/** Typed memory shared by a tensor and its views. `version` counts in-place changes. */
export interface Storage {
  readonly array: TypedArray;
  version: number;
  /** What was running when a tensor was made over it: memory made in a trace is new in each call of the compiled entry. */
  readonly madeIn?: Executor | null;
}

export interface EagerValue {
  readonly kind: 'eager';
  readonly storage: Storage;
  /** First element and strides, in elements. */
  readonly offset: number;
  readonly strides: readonly number[];
}

/** What a trace keeps for a tensor; only the trace that made it looks inside. */
export interface TracedValue {
  readonly kind: 'traced';
  readonly trace: { readonly name: string };
  /** As eager execution would lay it out. */
  readonly offset: number;
  readonly strides: readonly number[];
}
/** Complex numbers: the last dim of `pair`, which is 2, holds their real and imaginary parts. */
export interface ComplexValue {
  readonly kind: 'complex';
  readonly pair: Tensor;
  /** In complex numbers. */
  readonly offset: number;
  readonly strides: readonly number[];
}
export type Value = EagerValue | TracedValue | ComplexValue;

/** Runs ops: eagerly, or by adding nodes to a graph. */
export interface Executor {
  readonly kind: 'eager' | 'trace';
  run(def: OpDef, inputs: readonly Tensor[], attrs: Attrs, type: TensorType): Tensor;
  /** Overwrite `target` (and so all that alias it) with `value`, which has its shape and dtype. */
  write(target: Tensor, value: Tensor): void;
  /** Let `target` show its memory as `view`, a view of it, does: an in-place change too. */
  relayout(target: Tensor, view: Tensor): void;
  /** In-place changes seen so far by the memory of `tensor`. */
  versionOf(tensor: Tensor): number;
  /** Is `view` a window on the memory of `tensor`? */
  sharesMemory(tensor: Tensor, view: Tensor): boolean;
  /** Where a trace knows a tensor to lie in memory from outside: all of that memory. */
  stateUnder?(tensor: Tensor): Tensor | null;
  /** `output` has a gradient with respect to `inputs` that its ops do not tell. */
  ownGradient?(output: Tensor, inputs: readonly Tensor[], backward: (grad: Tensor) => readonly (Tensor | null)[]): void;
  /** Run `fn` so that what it computes is computed once more, when `after` is there, even where it is known already. */
  computeAnew?(after: Tensor, fn: () => void): void;
  readGrad(tensor: Tensor): Tensor | null;
  writeGrad(tensor: Tensor, grad: Tensor | null): void;
  /** The gradient that `backward()` adds to; null where it is to set one. */
  gradToAddTo(leaf: Tensor): Tensor | null;
  /** Keep a condition on values that do not exist yet (0-d bool), and the error where it does not hold; false: nobody asked. */
  checkLater?(holds: () => Tensor, refuse: () => never): boolean;
}

let current: Executor | null = null;
export function executor(): Executor {
  if (current === null) throw new InternalError('no executor is installed: import gradc before calling ops');
  return current;
}
export function setExecutor(next: Executor): void {
  current = next;
}
/** Run `fn` with another executor. */
export function withExecutor<T>(next: Executor, fn: () => T): T {
  const previous = current;
  current = next;
  try {
    return fn();
  } finally {
    current = previous;
  }
}

/** How a view was made from its base: replayed when the base changes. */
export interface ViewStep {
  readonly def: OpDef;
  readonly attrs: Attrs;
}

const realGrads = new WeakMap<Tensor, Tensor>();
/** The gradient outside any trace. */
export const eagerGrad = {
  read: (tensor: Tensor): Tensor | null => realGrads.get(tensor) ?? null,
  write: (tensor: Tensor, grad: Tensor | null): void =>
    void (grad === null ? realGrads.delete(tensor) : realGrads.set(tensor, grad)),
};

let makesInference = false;
/** Do tensors made now leave autograd for good? Set it; what it was is returned. */
export function setMakesInference(enabled: boolean): boolean {
  const previous = makesInference;
  makesInference = enabled;
  return previous;
}
export const isInferenceModeEnabled = (): boolean => makesInference;

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are attached to the prototype from the op table
export class Tensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** @internal */
  readonly value: Value;
  /** @internal autograd state, maintained by tape.ts */
  readonly meta: AutogradMeta;

  /** @internal Tensors are made by the functions of gradc, not by this constructor. */
  constructor(type: TensorType, value: Value) {
    this.dtype = type.dtype;
    this.shape = type.shape;
    this.value = value;
    this.meta = value.kind === 'complex' ? value.pair.meta : newMeta();
    if (isComplexDType(type.dtype) !== (value.kind === 'complex'))
      refuseComplex('a tensor over real memory', type.dtype);
  }

  /** @internal */
  get type(): TensorType {
    return { dtype: this.dtype, shape: this.shape };
  }
  /** Number of dims. */
  get ndim(): number {
    return this.shape.length;
  }
  dim(): number {
    return this.shape.length;
  }
  /** The shape, or the size of one dim. */
  size(): Shape;
  size(dim: number): number;
  size(dim?: number): Shape | number {
    if (dim === undefined) return this.shape;
    if (this.ndim === 0) fail('E109', { op: 'size', problem: `dim ${dim} was asked for, but the tensor has no dims` });
    return this.shape[normalizeDim('size', dim, this.ndim)];
  }
  numel(): number {
    return numel(this.shape);
  }
  /** Strides in elements. */
  stride(): readonly number[] {
    return this.value.strides;
  }
  storageOffset(): number {
    return this.value.offset;
  }
  isContiguous(): boolean {
    return isContiguousValue(this.shape, this.value.strides);
  }
  elementSize(): number {
    return bytesOf(this.dtype);
  }
  isFloatingPoint(): boolean {
    return this.dtype.includes('float');
  }
  /** Iterates over the first dim. */
  *[Symbol.iterator](): IterableIterator<Tensor> {
    if (this.ndim === 0) fail('E110', { op: 'iterator', problem: 'iteration over a 0-d tensor' });
    for (let i = 0; i < this.shape[0]; i++) yield this.select(0, i);
  }
  /** JavaScript's operators see objects: `a + b` on tensors would be nonsense, so it is refused. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString();
    return fail('E208', {
      problem: `a JavaScript operator was used on a tensor of shape ${formatShape(this.shape)}`,
      hint: 'call the method instead: a.add(b), a.mul(2), a.lt(b); x.item() gives the number in a one-element tensor',
    });
  }
  /** @internal for `console.log` in Node */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
export interface Tensor extends TensorMethods {}

/** Throws E111: what is not written for complex numbers takes none. */
export const refuseComplex = (op: string, dtype: DType): never => fail('E111', { op, dtype });

/** The tensor of complex numbers whose parts are the last dim of `pair`; the two are one to autograd. */
export function overPair(pair: Tensor): Tensor {
  const { offset, strides } = pair.value;
  return new Tensor(
    { dtype: complexTypeOf(pair.dtype), shape: pair.shape.slice(0, -1) },
    { kind: 'complex', pair, offset: offset / 2, strides: strides.slice(0, -1).map(stride => stride / 2) },
  );
}
/** What stands for a tensor where only real ones are known: itself, or the parts of its complex numbers. */
export const realForm = (tensor: Tensor): Tensor => (tensor.value.kind === 'complex' ? tensor.value.pair : tensor);
export const isComplexTensor = (value: unknown): boolean => value instanceof Tensor && value.value.kind === 'complex';

/** Autograd's view of a tensor. */
export interface AutogradMeta {
  /** Set on leaves by the user; a non-leaf requires grad through `node`. */
  requiresGrad: boolean;
  /** What computed it. Read through `gradNode(tensor)`, which refreshes views of a changed base. */
  node: GradNode | null;
  /** The node that adds into `.grad` of this leaf. */
  accumulate: GradNode | null;
  /** For a view: the tensor that owns the memory, and how to get here from there, as that was first laid out. */
  base: Tensor | null;
  path: readonly ViewStep[];
  /** For what owns the memory and has changed its layout in place, by `path`: the way back. */
  back: readonly ViewStep[];
  /** Rebases of the base that `node` reflects. */
  baseVersion: number;
  retainsGrad: boolean;
  hooks: Hook[] | null;
  /** Made in inference mode. */
  isInference: boolean;
}

const newMeta = (): AutogradMeta => ({
  requiresGrad: false,
  node: null,
  accumulate: null,
  base: null,
  path: [],
  back: [],
  baseVersion: 0,
  retainsGrad: false,
  hooks: null,
  isInference: makesInference,
});

/** Give a tensor the shape and layout of a view of it. */
export const takeLayout = (tensor: Tensor, view: Tensor): Tensor =>
  Object.assign(tensor, { shape: view.shape, value: view.value });

/** Have a tensor hold what another one does, dtype included; what was recorded of it until now stands. */
export function takeValue(tensor: Tensor, other: Tensor): void {
  Object.assign(tensor, { dtype: other.dtype, shape: other.shape, value: other.value });
  tensor.meta.accumulate = null;
}

/** The eager value of a tensor. Throws E301 where it is only being traced, or is state that the trace has changed. */
export function eagerValue(tensor: Tensor, what: string): EagerValue {
  const changed = current?.kind === 'trace' && current.versionOf(tensor) > 0;
  if (tensor.value.kind === 'complex') return refuseComplex(what, tensor.dtype);
  if (tensor.value.kind === 'traced' || changed)
    return fail('E301', { what, dtype: tensor.dtype, shape: formatShape(tensor.shape) });
  return tensor.value;
}

/** Is the value there to be read, and the same in each run: in a trace, made in it of plain data and not changed since? */
export function isConstant(tensor: Tensor): boolean {
  const { value } = tensor;
  const running = executor();
  if (value.kind === 'complex') return isConstant(value.pair);
  if (value.kind === 'traced' || running.kind === 'eager') return value.kind === 'eager';
  return value.storage.madeIn === running && running.versionOf(tensor) === 0;
}

export function isContiguousValue(shape: Shape, strides: readonly number[]): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] === 0) return true;
    if (shape[d] === 1) continue;
    if (strides[d] !== expected) return false;
    expected *= shape[d];
  }
  return true;
}

/** The stored elements of an eager tensor in row-major order. Throws E301 where it is only being traced. */
export function elements(tensor: Tensor, what: string): (number | bigint)[] {
  const { storage, offset, strides } = eagerValue(tensor, what);
  const along = (d: number, at: number): (number | bigint)[] =>
    d === tensor.ndim
      ? [storage.array[at]]
      : Array.from({ length: tensor.shape[d] }, (_, i) => along(d + 1, at + i * strides[d])).flat();
  if (!isContiguousValue(tensor.shape, strides)) return along(0, offset);
  return Array.from(storage.array.subarray(offset, offset + tensor.numel()) as ArrayLike<number | bigint>);
}

/** A tensor over existing memory: row-major from `offset` unless strides are given. Shares `array`; complex numbers are pairs. */
export function tensorOver(
  array: TypedArray,
  type: TensorType,
  strides: readonly number[] = contiguousStrides(type.shape),
  offset = 0,
): Tensor {
  if (isComplexDType(type.dtype)) {
    const parts = { dtype: partType(type.dtype), shape: [...type.shape, 2] };
    return overPair(tensorOver(array, parts, [...strides.map(stride => 2 * stride), 1], 2 * offset));
  }
  return new Tensor(type, { kind: 'eager', storage: { array, version: 0, madeIn: current }, offset, strides });
}

/** A new tensor with zeroed memory of its own. */
export const emptyTensor = (type: TensorType): Tensor => tensorOver(new (arrayOf(type.dtype))(numel(type.shape)), type);
