/**
 * A compiled model, ready to call: typed arrays in, the module's function, typed arrays out. No code is generated here.
 */
import { type TypedArray, viewOf } from './element.js';
import { ArtifactError } from './error.js';
import type { EntrySlots, Manifest, TensorSlot } from './manifest.js';
import { decodeState, encodeState, type StateFiles } from './state-file.js';

/**
 * What an input accepts: the typed array of its dtype, plain numbers, and for int64 also an `Int32Array`; a number for shape
 * [].
 */
export type InputValue = TypedArray | readonly (number | bigint | boolean)[] | number | bigint | boolean;
/** What an output is: a typed array in row-major order, or a number for shape []. */
export type OutputValue = TypedArray | number;

export interface CallOptions {
  /** false: outputs are views of linear memory, valid until the next call of any entry. Default true: they are copies. */
  readonly copy?: boolean;
}

export type Entry = (
  inputs: Readonly<Record<string, InputValue>>,
  options?: CallOptions,
) => Record<string, OutputValue>;

/** How many threads run the entries of a model. */
export interface Threads {
  readonly count: number;
  /** Why it is one, where more were asked for. */
  readonly reason?: string;
}

/** What every model has besides its entries. */
export interface ModelState {
  /** The state by name, as live views of linear memory: reading sees training, writing changes the model. */
  readonly state: Readonly<Record<string, TypedArray>>;
  /** The state as the bytes of a safetensors file; loading them resumes bit for bit. */
  saveState(): Uint8Array;
  /** Replace the state by that of a safetensors file, or several. Throws and changes nothing where it does not fit. */
  loadState(files: StateFiles): void;
  readonly threads: Threads;
  /** What it is an instance of: `load({ module })` makes further ones without compiling. */
  readonly module?: WebAssembly.Module;
  /** Let go of the memory, and of all threads. Every later call throws. */
  dispose(): void;
}
export type Model = ModelState & Readonly<Record<string, Entry>>;

/** A compiled module in memory: the function of each entry, and the memory they share. */
export interface Engine {
  readonly module: WebAssembly.Module;
  readonly exports: WebAssembly.Exports;
  readonly memory?: ArrayBufferLike;
  /** In place of `set` and `slice`. */
  readonly copies?: Copies;
  dispose?(): void;
}
/** How arrays get into linear memory, and out of it. */
export interface Copies {
  write(target: TypedArray, source: TypedArray): void;
  read(view: TypedArray): TypedArray;
}

/** Make a model of a compiled module. Runs synchronously and needs no right to generate code. Throws E412, E413. */
export const instantiate = (module: WebAssembly.Module, manifest: Manifest, state: StateFiles): Model =>
  modelOver(checkedEngine(module, manifest), manifest, state, { count: 1 });

export function engineOf(module: WebAssembly.Module): Engine {
  const { exports } = new WebAssembly.Instance(module);
  return { module, exports, memory: (exports.memory as WebAssembly.Memory)?.buffer };
}

/** A model over a module of that manifest that is in memory already. Throws E412. */
export function modelOver(engine: Engine, manifest: Manifest, state: StateFiles, threads: Threads): Model {
  let buffer = engine.memory;
  const memory = (): ArrayBufferLike => {
    if (!buffer) throw new ArtifactError('E414', `model '${manifest.name}' has been disposed of`);
    return buffer;
  };
  const bytes = (): Uint8Array => new Uint8Array(memory());
  decodeState(manifest, state, bytes());

  const model: Record<string, unknown> = {
    get state() {
      return Object.fromEntries(manifest.state.map(slot => [slot.name, viewOf(slot, memory())]));
    },
    saveState: () => encodeState(manifest, bytes()),
    loadState: (files: StateFiles) => decodeState(manifest, files, bytes()),
    threads,
    module: engine.module,
    dispose: () => {
      if (buffer) engine.dispose?.();
      buffer = undefined;
    },
  };
  for (const entry of manifest.entries) {
    model[entry.name] = (inputs: Record<string, InputValue>, { copy = true }: CallOptions = {}) => {
      const buffer = memory();
      writeInputs(entry, inputs, buffer, engine.copies);
      (engine.exports[entry.name] as () => void)();
      return Object.fromEntries(entry.outputs.map(slot => [slot.name, readOutput(slot, buffer, copy, engine.copies)]));
    };
  }
  return model as Model;
}

/** Throws E413 for a module that a manifest does not fit. */
function checkedEngine(module: WebAssembly.Module, { name, entries, totalBytes }: Manifest): Engine {
  const engine = engineOf(module);
  const lacking = entries.filter(entry => !engine.exports[entry.name]).map(entry => `function '${entry.name}'`);
  if (!engine.memory || engine.memory.byteLength < totalBytes) lacking.push(`a memory of ${totalBytes} bytes`);
  if (lacking.length > 0)
    throw new ArtifactError(
      'E413',
      `the module is not that of model '${name}': it does not export ${lacking.join(', ')}`,
    );
  return engine;
}

/** Check the inputs of a call and copy them to their places. Throws E411. */
export function writeInputs(
  entry: EntrySlots,
  inputs: Readonly<Record<string, InputValue>>,
  buffer: ArrayBufferLike,
  copies?: Copies,
): void {
  const names = entry.inputs.map(slot => slot.name);
  const unknown = Object.keys(inputs ?? {}).find(name => !names.includes(name));
  if (unknown !== undefined)
    throw new ArtifactError(
      'E411',
      `${entry.name}: unknown input '${unknown}'; its inputs are ${names.join(', ') || 'none'}`,
    );
  for (const slot of entry.inputs) {
    const problem = writeInput(slot, inputs?.[slot.name], viewOf(slot, buffer), copies);
    if (problem)
      throw new ArtifactError(
        'E411',
        `${entry.name}: input '${slot.name}' must be ${slot.type}, ${slot.count} elements in a ${slot.array}; ${problem}`,
      );
  }
}

/** Copy a value into its place, or say what is wrong with it. */
function writeInput(
  slot: TensorSlot,
  value: InputValue | undefined,
  target: TypedArray,
  copies?: Copies,
): string | undefined {
  if (value === undefined || value === null) return 'it is missing';
  const given = typeof value === 'object' ? value : [value];
  const kind = (given as Partial<TypedArray>)[Symbol.toStringTag];
  const ready = kind === slot.array;
  const accepted = ready || Array.isArray(given) || (slot.dtype === 'int64' && kind === 'Int32Array');
  if (!accepted || given.length !== target.length || (given !== value && slot.shape.length > 0))
    return `given ${describe(value)}`;
  if (!ready) {
    for (let i = 0; i < given.length; i++)
      if (!writeElement(slot, target, i, given[i])) return `element ${i} is ${given[i]}`;
  } else if (copies) copies.write(target, given as TypedArray);
  else (target as Float32Array).set(given as Float32Array);
  return undefined;
}

/** Store a plain number; false where an integer type cannot hold it. */
function writeElement({ dtype }: TensorSlot, target: TypedArray, i: number, value: number | bigint | boolean): boolean {
  try {
    target[i] = dtype === 'int64' ? BigInt(value) : Number(value);
  } catch {
    return false; // a fraction
  }
  return dtype.includes('float') || Number(target[i]) === Number(value);
}

const describe = (value: InputValue): string =>
  typeof value === 'object' ? `${value.constructor.name} of ${value.length} elements` : `${typeof value} ${value}`;

export function readOutput(slot: TensorSlot, buffer: ArrayBufferLike, copy: boolean, copies?: Copies): OutputValue {
  const view = viewOf(slot, buffer);
  if (slot.shape.length === 0) return Number(view[0]);
  return copy ? (copies?.read(view) ?? view.slice()) : view;
}
