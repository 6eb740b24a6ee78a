/**
 * Reading what `torch.save` writes: a zip file of one pickle and the memory of the tensors (since PyTorch 1.6), or several
 * pickles one after another followed by the memory (before). Nothing in a file is run; see pickle.ts.
 *
 * Tensors that share memory in the file share it here, with their strides. Lists become arrays, tuples frozen arrays, dicts
 * objects where all keys are strings and Maps otherwise.
 */
import { bytesOf, type DType, dtypes, isFloat, type TypedArray } from '../../compiler/ir/dtype.js';
import { numel, type Shape } from '../../compiler/ir/shape.js';
import { float } from '../../compiler/ops/signature.js';
import { type Storage, Tensor } from '../../compiler/ops/tensor.js';
import { Parameter } from '../nn/parameter.js';
import { Budget, type ReadOptions } from './budget.js';
import { checkShape, damaged, elementsFromBytes, Named, refused, shown, viewBytes } from './elements.js';
import { Callable, type PickleWorld, readPickle, Tuple, WholeFloat } from './pickle.js';
import { deepestNesting, legacyMagic, legacyProtocol, storageTypes } from './torch-format.js';
import { type Member, readZip } from './zip.js';

export interface LoadOptions extends ReadOptions {
  /** Give Python floats with a whole value as `float(2)`, so that they are floats again when they are saved. */
  readonly keepFloats?: boolean;
}

const format = 'torch file';

/**
 * What a file of `torch.save` holds: tensors, numbers (bigints beyond 2^53), strings, null, arrays, objects and Maps. Throws
 * E401 where the file is damaged, and E402 where it holds anything else.
 */
export function load(file: Uint8Array, options: LoadOptions = {}): unknown {
  const budget = new Budget(format, file.length, options);
  const isZip = file[0] === 0x50 && file[1] === 0x4b;
  const value = isZip ? loadZip(file, budget) : loadLegacy(file, budget);
  return new Finisher(options, budget).finish(value);
}

// ── memory of tensors ────────────────────────────────────────────────────────────────────────────────────────────────

/** The memory that several tensors may share. */
class Memory {
  readonly storage: Storage;
  readonly dtype: DType;
  constructor(dtype: DType, array: TypedArray) {
    this.dtype = dtype;
    this.storage = { array, version: 0 };
  }
}
/** What a file calls `torch.FloatStorage`. */
class StorageType {
  readonly dtype: DType;
  constructor(dtype: DType) {
    this.dtype = dtype;
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const itemsOf = (value: unknown): readonly unknown[] =>
  value instanceof Tuple ? value.items : damaged(format, 'a tuple is missing');

/**
 * What the memory of a tensor takes beside its elements, about, and arrays, objects, what is in them, and what a call makes.
 */
const [memoryBytes, arrayBytes, itemBytes, objectBytes, entryBytes, callBytes] = [700, 120, 8, 320, 72, 250];

/** The names and persistent ids of a file, and the memory they lead to. */
class TorchWorld implements PickleWorld {
  readonly #names: ReadonlyMap<string, unknown>;
  readonly #memories = new Map<string, Memory>();
  readonly #read: (key: string, dtype: DType, count: number) => TypedArray;
  readonly #budget: Budget;

  /** `read` gives the elements that the file has under a key. */
  constructor(budget: Budget, read: (key: string, dtype: DType, count: number) => TypedArray) {
    this.#budget = budget;
    this.#read = read;
    const callables = [
      new Callable('collections.OrderedDict', args => this.#ordered(args)),
      new Callable('torch._utils._rebuild_tensor', args => this.#tensor(args)),
      new Callable('torch._utils._rebuild_tensor_v2', args => this.#tensor(args)),
      new Callable('torch._utils._rebuild_parameter', args => this.#parameter(args)),
      new Callable('torch.Size', ([size]) => this.#size(size)),
      new Callable('torch.device', ([type]) =>
        typeof type === 'string' ? type : damaged(format, 'a nameless device'),
      ),
    ];
    this.#names = new Map<string, unknown>([
      ...callables.map((callable): [string, unknown] => [callable.name, callable]),
      ...dtypes.map((dtype): [string, unknown] => [`torch.${dtype}`, dtype]),
      ...dtypes.map((dtype): [string, unknown] => [`torch.${storageTypes[dtype]}`, new StorageType(dtype)]),
    ]);
  }

  find(name: string): unknown {
    if (/^torch\.(Complex|complex)/.test(name))
      refused(format, `complex numbers, ${name}`, 'save torch.view_as_real(z), and read it with viewAsComplex');
    return this.#names.get(name);
  }

  /** `('storage', type, key, device, number of elements)`; the old format adds what only views of memory have. */
  persistent(id: unknown): Memory {
    const [kind, type, key, , count, view = null] = itemsOf(id);
    if (kind !== 'storage' || typeof key !== 'string' || !isCount(count))
      damaged(format, 'a persistent id that is no memory');
    if (!(type instanceof StorageType) || view !== null)
      refused(format, `memory '${key}' of a kind without a dtype`, 'save tensors of the dtypes that gradc has');
    const known = this.#memories.get(key);
    if (known !== undefined) {
      if (known.dtype === type.dtype && known.storage.array.length === count) return known;
      return damaged(format, `the memory '${key}' is used in two ways`);
    }
    this.#budget.spend(memoryBytes);
    const memory = new Memory(type.dtype, this.#read(key, type.dtype, count));
    this.#memories.set(key, memory);
    return memory;
  }

  #ordered(args: readonly unknown[]): Map<unknown, unknown> {
    if (args.length > 0) refused(format, 'an OrderedDict made from a list', 'load it in PyTorch and save it again');
    this.#budget.spend(callBytes);
    return new Map();
  }
  #size(size: unknown): Tuple {
    this.#budget.spend(callBytes);
    return new Tuple(itemsOf(size));
  }

  #tensor([memory, offset, size, stride, requiresGrad = false]: readonly unknown[]): Tensor {
    if (!(memory instanceof Memory)) return damaged(format, 'a tensor without memory');
    const shape = checkShape(format, itemsOf(size));
    const strides = itemsOf(stride);
    if (!isCount(offset) || strides.length !== shape.length || !strides.every(isCount))
      return damaged(
        format,
        `a tensor with offset ${shown(offset)} and strides ${shown(strides)} for shape ${shown(shape)}`,
      );
    checkReach(shape, strides, offset, memory.storage.array.length);
    this.#budget.spend(viewBytes);
    const { storage, dtype } = memory;
    const tensor = new Tensor({ dtype, shape }, { kind: 'eager', storage, offset, strides });
    return wantsGrad(dtype, requiresGrad) ? tensor.requiresGrad_() : tensor;
  }

  #parameter([data, requiresGrad]: readonly unknown[]): Parameter {
    if (!(data instanceof Tensor)) return damaged(format, 'a parameter that is no tensor');
    this.#budget.spend(viewBytes);
    return new Parameter(data, { requiresGrad: wantsGrad(data.dtype, requiresGrad) });
  }
}

function wantsGrad(dtype: DType, requiresGrad: unknown): boolean {
  if (requiresGrad === true && !isFloat(dtype)) damaged(format, `a tensor of ${dtype} requires a gradient`);
  return requiresGrad === true;
}

/** Does every element lie in memory of `length` elements? Throws E401 otherwise. */
function checkReach(shape: Shape, strides: readonly number[], offset: number, length: number): void {
  const last = shape.reduce((sum, dim, d) => sum + (dim - 1) * strides[d], offset);
  if (numel(shape) === 0 ? offset <= length : last < length) return;
  damaged(format, `a tensor of shape [${shape.join(', ')}] reaches element ${last} of ${length}`);
}

// ── the two containers ───────────────────────────────────────────────────────────────────────────────────────────────

function loadZip(file: Uint8Array, budget: Budget): unknown {
  const members = readZip(format, file, budget);
  const folder = folderOf(members);
  const fromLittle = isLittleEndian(members.get(`${folder}byteorder`));
  const world = new TorchWorld(budget, (key, dtype, count) => {
    const member = members.get(`${folder}data/${key}`);
    if (member === undefined) return damaged(format, `the memory '${key}' of a tensor is missing`);
    const bytes = member.read();
    if (bytes.length !== count * bytesOf(dtype))
      damaged(
        format,
        `the memory '${key}' has ${bytes.length} bytes, ${count} elements of ${dtype} take ${count * bytesOf(dtype)}`,
      );
    if (!member.compressed) budget.spend(bytes.length);
    return elementsFromBytes(bytes, dtype, { fromLittle, owned: member.compressed });
  });
  const pickle = members.get(`${folder}data.pkl`)!.read();
  const { value, end } = readPickle(pickle, world, budget);
  return end === pickle.length
    ? value
    : damaged(format, `data.pkl goes on for ${pickle.length - end} bytes after its end`);
}

/** All members lie in one folder, named after the file when it was written. */
function folderOf(members: ReadonlyMap<string, Member>): string {
  const [pickle, ...others] = [...members.keys()].filter(name => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined || others.length > 0)
    return damaged(format, `the zip file has ${others.length === 0 ? 'no' : 'more than one'} data.pkl`);
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (members.has(`${folder}constants.pkl`))
    refused(format, 'a TorchScript program', "save the module's state dict: torch.save(module.state_dict(), file)");
  return folder;
}

function isLittleEndian(order: Member | undefined): boolean {
  if (order === undefined) return true;
  const name = new TextDecoder().decode(order.read());
  if (name !== 'little' && name !== 'big') damaged(format, `unknown byte order ${shown(name)}`);
  return name === 'little';
}

/** Magic number, version, facts about the machine, the value, the keys of its memory, then that memory, little-endian. */
function loadLegacy(file: Uint8Array, budget: Budget): unknown {
  let at = 0;
  let promised = 0;
  const memory = new Map<string, { dtype: DType; bytes: Uint8Array }>();
  const world = new TorchWorld(budget, (key, dtype, count) => {
    promised += count * bytesOf(dtype);
    if (promised > file.length - at) damaged(format, `the memory '${key}' is cut off`);
    budget.spend(count * bytesOf(dtype));
    const bytes = new Uint8Array(count * bytesOf(dtype));
    memory.set(key, { dtype, bytes });
    return elementsFromBytes(bytes, dtype, { owned: true });
  });
  const next = (): unknown => {
    const { value, end } = readPickle(file, world, budget, at);
    at = end;
    return value;
  };
  if (file[0] !== 0x80 || next() !== legacyMagic || next() !== legacyProtocol)
    return damaged(format, 'neither a zip file nor of the format before it');
  next();
  const value = next();
  const keys = next();
  for (const key of Array.isArray(keys) ? keys : damaged(format, 'the list of its memory is missing')) {
    const expected = memory.get(key);
    if (expected === undefined) return damaged(format, `it has the memory ${shown(key)} twice, or no tensor uses it`);
    at = fillMemory(file, at, key, expected);
    memory.delete(key);
  }
  const [missing] = memory.keys();
  if (missing !== undefined) damaged(format, `the memory '${missing}' of a tensor is missing`);
  return at === file.length ? value : damaged(format, `it goes on for ${file.length - at} bytes after its end`);
}

/** Copy the elements that lie at `at`, after their number; returns where they end. */
function fillMemory(
  file: Uint8Array,
  at: number,
  key: string,
  { dtype, bytes }: { dtype: DType; bytes: Uint8Array },
): number {
  const start = at + 8;
  const end = start + bytes.length;
  if (end > file.length) damaged(format, `the memory '${key}' is cut off`);
  const count = new DataView(file.buffer, file.byteOffset).getBigUint64(at, true);
  if (count !== BigInt(bytes.length / bytesOf(dtype)))
    damaged(format, `the memory '${key}' has ${count} elements, not ${bytes.length / bytesOf(dtype)}`);
  bytes.set(file.subarray(start, end));
  elementsFromBytes(bytes, dtype, { owned: true });
  return end;
}

// ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Turns Python's values into JavaScript's; what is shared stays shared. */
class Finisher {
  readonly #keepFloats: boolean;
  readonly #budget: Budget;
  readonly #done = new Map<object, unknown>();
  readonly #open = new Set<object>();

  constructor({ keepFloats = false }: LoadOptions, budget: Budget) {
    this.#keepFloats = keepFloats;
    this.#budget = budget;
  }

  finish(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || value instanceof Tensor) return value;
    if (value instanceof WholeFloat) return this.#keepFloats ? float(value.value) : value.value;
    if (this.#done.has(value)) return this.#done.get(value);
    if (this.#open.has(value)) return damaged(format, 'a list or dict that contains itself');
    if (this.#open.size === deepestNesting)
      return refused(format, `values nested deeper than ${deepestNesting} levels`, 'save them in a flatter form');
    this.#open.add(value);
    const finished = this.#container(value);
    this.#open.delete(value);
    this.#done.set(value, finished);
    return finished;
  }

  #container(value: object): unknown {
    if (Array.isArray(value)) return this.#array(value);
    if (value instanceof Tuple) return Object.freeze(this.#array(value.items));
    if (!(value instanceof Map))
      return refused(format, 'a function, a type or bare memory', 'save tensors and plain data');
    this.#budget.spend(objectBytes + entryBytes * value.size);
    if (areNamed(value)) {
      const named = new Named<unknown>(format);
      for (const [key, item] of value) named.set(key, this.finish(item));
      return named.values;
    }
    for (const [key, item] of value as Map<unknown, unknown>) value.set(key, this.finish(item));
    return value;
  }
  #array(items: readonly unknown[]): unknown[] {
    this.#budget.spend(arrayBytes + itemBytes * items.length);
    return items.map(item => this.finish(item));
  }
}

function areNamed(map: Map<unknown, unknown>): map is Map<string, unknown> {
  for (const key of map.keys()) if (typeof key !== 'string') return false;
  return true;
}
