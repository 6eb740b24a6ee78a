/**
 * Eager execution: run one op now.
 *
 * An op's own lowering is turned into a kernel for the strides at hand, compiled to JavaScript once per shape and kept; views
 * cost no kernel. Importing this file makes eager the default executor.
 */
import { compileKernel, type KernelFunction } from '../backends/js/emit.js';
import { registerTile } from '../backends/js/schedule.js';
import { InternalError, invariant } from '../compiler/errors.js';
import { arrayOf, type TypedArray } from '../compiler/ir/dtype.js';
import { type Attrs, attrsKey, Interner, type Node, type TensorType } from '../compiler/ir/graph.js';
import { contiguousStrides, numel } from '../compiler/ir/shape.js';
import { type Layout, lowerGroup } from '../compiler/lowering/lower.js';
import { type OpDef, opDef } from '../compiler/ops/define.js';
import { noGrad } from '../compiler/ops/tape.js';
import {
  type Executor,
  eagerGrad,
  eagerValue,
  emptyTensor,
  isComplexTensor,
  isContiguousValue,
  realForm,
  setExecutor,
  Tensor,
  takeLayout,
} from '../compiler/ops/tensor.js';

interface Compiled {
  readonly run: KernelFunction;
  /** Which inputs the kernel reads, in the order of its params. */
  readonly reads: readonly number[];
}

const cache = new Map<string, Compiled>();
/** Kernels kept before the oldest are dropped. */
const cacheLimit = 10_000;

function compileOp(
  def: OpDef,
  types: readonly TensorType[],
  layouts: readonly Layout[],
  attrs: Attrs,
  type: TensorType,
): Compiled {
  const interner = new Interner();
  const params = types.map((t, i) => interner.param(`x${i}`, 'input', t));
  const node = interner.node(def.name, params, attrs, type);
  const lowered = lowerGroup({ nodes: new Set<Node>([node]), outputs: [node] }, def.name, n =>
    params.includes(n) ? { offset: 0, strides: layouts[params.indexOf(n)].strides } : null,
  );
  invariant(lowered, `op '${def.name}' alone does not lower to a kernel`);
  const kernel = def.fusion === 'contraction' ? registerTile.run(lowered.kernel, { note() {} }) : lowered.kernel;
  return { run: compileKernel(kernel), reads: lowered.reads.map(read => params.indexOf(read)) };
}

function kernelFor(
  def: OpDef,
  types: readonly TensorType[],
  layouts: readonly Layout[],
  attrs: Attrs,
  type: TensorType,
): Compiled {
  const key = `${def.name}|${types.map((t, i) => `${t.dtype}:${t.shape.join()}:${layouts[i].strides.join()}`).join('|')}|${attrsKey(attrs)}`;
  let compiled = cache.get(key);
  if (compiled === undefined) {
    compiled = compileOp(def, types, layouts, attrs, type);
    if (cache.size >= cacheLimit) cache.delete(cache.keys().next().value!);
    cache.set(key, compiled);
  }
  return compiled;
}

const windowOf = (array: TypedArray, offset: number): TypedArray => (offset === 0 ? array : array.subarray(offset));

function compute(def: OpDef, inputs: readonly Tensor[], attrs: Attrs, type: TensorType): Tensor {
  const output = emptyTensor(type);
  if (numel(type.shape) === 0) return output;
  const values = inputs.map(input => eagerValue(input, def.name));
  const flat = flatten(def, inputs, type);
  const types = flat
    ? inputs.map(input => ({ dtype: input.dtype, shape: input.ndim === 0 ? [] : flat }))
    : inputs.map(input => input.type);
  const layouts = flat ? types.map(t => ({ offset: 0, strides: contiguousStrides(t.shape) })) : values;
  const { run, reads } = kernelFor(def, types, layouts, attrs, flat ? { dtype: type.dtype, shape: flat } : type);
  const target = eagerValue(output, def.name);
  run(...reads.map(i => windowOf(values[i].storage.array, values[i].offset)), target.storage.array);
  return output;
}

/** Elementwise on whole contiguous tensors of one shape: one loop, and one kernel for every shape of that size. */
function flatten(def: OpDef, inputs: readonly Tensor[], type: TensorType): [number] | null {
  if (def.fusion !== 'pointwise' || inputs.length === 0 || type.shape.length === 0 || def.elementwise !== true)
    return null;
  const count = numel(type.shape);
  const simple = inputs.every(
    input =>
      input.ndim === 0 ||
      (input.numel() === count && input.value.kind === 'eager' && isContiguousValue(input.shape, input.value.strides)),
  );
  return simple ? [count] : null;
}

function runView(def: OpDef, input: Tensor, attrs: Attrs, type: TensorType): Tensor | null {
  const { storage, offset, strides } = eagerValue(input, def.name);
  const found = def.strides!(input.type, strides, attrs, type);
  return found && new Tensor(type, { kind: 'eager', storage, offset: offset + found.offset, strides: found.strides });
}

/** Overwrite a strided window of memory. */
function copyInto(target: Tensor, source: Tensor): void {
  const to = eagerValue(target, 'an in-place change');
  const value =
    source.value.kind === 'eager' && source.value.storage === to.storage
      ? compute(opDef('clone'), [source], {}, source.type)
      : source;
  const from = eagerValue(value, 'an in-place change');
  to.storage.version++;
  if (isContiguousValue(target.shape, to.strides) && isContiguousValue(value.shape, from.strides)) {
    const count = target.numel();
    (to.storage.array as Float32Array).set(
      from.storage.array.subarray(from.offset, from.offset + count) as Float32Array,
      to.offset,
    );
    return;
  }
  forEachPosition(target.shape, [to.strides, from.strides], ([a, b]) => {
    to.storage.array[to.offset + a] = from.storage.array[from.offset + b];
  });
}

/** Visit a shape in row-major order with one running offset per stride list, the same array in every visit. */
function forEachPosition(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (offsets: readonly number[]) => void,
): void {
  const offsets = strides.map(() => 0);
  const advance = (d: number, steps: number): void => {
    for (let k = 0; k < offsets.length; k++) offsets[k] += steps * strides[k][d];
  };
  const walk = (d: number): void => {
    if (d === shape.length) {
      visit(offsets);
      return;
    }
    for (let i = 0; i < shape[d]; i++) {
      walk(d + 1);
      advance(d, 1);
    }
    advance(d, -shape[d]);
  };
  walk(0);
}

export const eager: Executor = {
  kind: 'eager',
  run(def, inputs, attrs, type) {
    if (def.strides) {
      const view = runView(def, inputs[0], attrs, type);
      if (view) return view;
    }
    if (def.lower) return compute(def, inputs, attrs, type);
    if (def.decompose) return noGrad(() => def.decompose!(inputs, attrs));
    throw new InternalError(`op '${def.name}' has neither a lowering nor a decomposition`);
  },
  write: copyInto,
  relayout(target, view) {
    eagerValue(target, 'an in-place change').storage.version++;
    takeLayout(target, view);
  },
  versionOf(tensor) {
    const { value } = realForm(tensor);
    return value.kind === 'eager' ? value.storage.version : 0;
  },
  sharesMemory: (tensor, view) =>
    tensor.value.kind === 'eager' && view.value.kind === 'eager' && tensor.value.storage === view.value.storage,
  readGrad: eagerGrad.read,
  gradToAddTo: eagerGrad.read,
  writeGrad: eagerGrad.write,
};
setExecutor(eager);

/** The elements of a tensor in row-major order, complex ones as pairs; shares memory where it is contiguous. */
export function rowMajor(tensor: Tensor, what: string): TypedArray {
  if (isComplexTensor(tensor)) return rowMajor(realForm(tensor), what);
  const { storage, offset, strides } = eagerValue(tensor, what);
  const count = tensor.numel();
  if (isContiguousValue(tensor.shape, strides))
    return offset === 0 && storage.array.length === count
      ? storage.array
      : storage.array.subarray(offset, offset + count);
  const out = new (arrayOf(tensor.dtype))(count);
  let next = 0;
  forEachPosition(tensor.shape, [strides], ([at]) => {
    out[next++] = storage.array[offset + at];
  });
  return out;
}
