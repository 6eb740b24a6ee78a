/**
 * `gradc/eager`: a model as written, run op by op, behind the interface of its artifact. Development servers give it for
 * `?compiled`, so that a change of the model is seen at once. Inputs are checked as the loader checks them; state files are
 * the same.
 */
import { byteLength, describeTensor, stateHead } from '../../runtime/deploy/describe.js';
import { type TypedArray, viewOf } from '../../runtime/deploy/element.js';
import type { LoadOptions } from '../../runtime/deploy/loader.js';
import type { EntrySlots, Manifest, TensorSlot } from '../../runtime/deploy/manifest.js';
import {
  type CallOptions,
  type InputValue,
  type Model,
  type ModelState,
  type OutputValue,
  readOutput,
  writeInputs,
} from '../../runtime/deploy/model.js';
import { decodeState, encodeState } from '../../runtime/deploy/state-file.js';
import { readerOf } from '../../runtime/deploy/transfer.js';
import { fromTypedArray, type ModelDefinition, type Tensor } from '../../runtime/index.js';
import { asReal } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import { type InputSpecs, type TracedModel, traceModel } from '../trace/model.js';

const alignment = 64;

/** Tensors one after the other, each at a multiple of 64, and the bytes they take together. */
function layOut(tensors: readonly { name: string; type: TensorType }[]): { slots: TensorSlot[]; bytes: number } {
  let bytes = 0;
  const slots = tensors.map(({ name, type: { dtype, shape } }) => {
    const slot = describeTensor(name, asReal(dtype), shape, bytes);
    bytes += Math.ceil(byteLength(slot) / alignment) * alignment;
    return slot;
  });
  return { slots, bytes };
}

/** Load a model as its artifact's `load` does; options that speak of WebAssembly have no effect. */
export async function loadEagerly(definition: ModelDefinition, { state }: LoadOptions = {}): Promise<Model> {
  const traced = traceModel(definition);
  const model = {
    ...Object.fromEntries(traced.graphs.map((_, i) => eagerEntry(traced, i))),
    ...eagerState(traced),
  } as Model;
  if (state !== undefined) model.loadState(await Promise.all([state].flat().map(readerOf({}))));
  return model;
}

/** An entry by its name: typed arrays in, the model's own function, typed arrays out. */
function eagerEntry({ parts, graphs }: TracedModel, index: number): [name: string, entry: Model[string]] {
  const [name, { inputs: specs, run }] = Object.entries(parts.entries)[index];
  const inputs = layOut(Object.entries(specs as InputSpecs).map(([key, type]) => ({ name: key, type })));
  const outputs = layOut(graphs[index].results.map(({ name: key, node }) => ({ name: key, type: node.type })));
  const slots: EntrySlots = { name, inputs: inputs.slots, outputs: outputs.slots };
  const call = (values: Readonly<Record<string, InputValue>>, { copy = true }: CallOptions = {}) => {
    const memory = new ArrayBuffer(inputs.bytes);
    writeInputs(slots, values, memory);
    const tensors = inputs.slots.map(slot => [slot.name, fromTypedArray(viewOf(slot, memory), slot.shape, slot.dtype)]);
    const results: Record<string, Tensor> = run(Object.fromEntries(tensors));
    return Object.fromEntries(slots.outputs.map(slot => [slot.name, output(slot, results[slot.name], copy)]));
  };
  return [name, call];
}

function output(slot: TensorSlot, tensor: Tensor, copy: boolean): OutputValue {
  const { buffer, byteOffset } = tensor.detach().contiguous().toTypedArray();
  return readOutput({ ...slot, offset: byteOffset }, buffer as ArrayBuffer, copy);
}

/** The members of a model besides its entries; the eager tensors themselves are the state. */
function eagerState({ name, state }: TracedModel): ModelState {
  const { slots, bytes } = layOut(state);
  const manifest: Manifest = {
    name,
    state: slots,
    stateBytes: bytes,
    stateHead: stateHead(slots, bytes),
    totalBytes: bytes,
    entries: [],
  };
  const pairs = (image: Uint8Array): (readonly [memory: TypedArray, image: TypedArray])[] =>
    state.map(({ storage }, i) => [storage.array as TypedArray, viewOf(slots[i], image.buffer)]);
  return {
    state: Object.fromEntries(state.map(({ name: key, storage }) => [key, storage.array as TypedArray])),
    saveState() {
      const image = new Uint8Array(bytes);
      for (const [memory, copy] of pairs(image)) (copy as Float32Array).set(memory as Float32Array);
      return encodeState(manifest, image);
    },
    loadState(files) {
      const image = new Uint8Array(bytes);
      decodeState(manifest, files, image);
      for (const [memory, copy] of pairs(image)) (memory as Float32Array).set(copy as Float32Array);
    },
    threads: { count: 1 },
    dispose() {},
  };
}
