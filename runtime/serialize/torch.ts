/**
 * Checkpoints that `torch.save` writes: a zip file with one pickle and the memory of each tensor (since PyTorch 1.6), or
 * several pickles one after another followed by the memory (before).
 *
 * Tensors that share memory in the file share it here. Dicts become objects where all keys are strings, and Maps otherwise.
 */
import { unzipSync } from 'fflate';
import { bytesOf, type DType, isDType } from '../../compiler/ir/dtype.js';
import { numel } from '../../compiler/ir/shape.js';
import { eagerValue, Tensor } from '../../compiler/ops/tensor.js';
import { Parameter } from '../nn/parameter.js';
import { checkShape, damaged, tensorFromBytes } from './elements.js';
import { type Globals, Tuple, Unpickler } from './pickle.js';

const storageTypes: Readonly<Record<string, DType>> = {
  BoolStorage: 'bool',
  ByteStorage: 'uint8',
  CharStorage: 'int8',
  ShortStorage: 'int16',
  IntStorage: 'int32',
  LongStorage: 'int64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
};

/** Memory of tensors, by the key under which the file has it; its bytes may come after the pickle. */
interface SharedMemory {
  readonly key: string;
  readonly dtype: DType;
  readonly count: number;
}
/** A tensor whose memory is not there yet. */
interface PendingTensor {
  readonly memory: SharedMemory;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly parameter: boolean;
  readonly requiresGrad: boolean;
}
class Pending {
  constructor(readonly tensor: PendingTensor) {}
}

const format = 'torch file';
const isSmallInteger = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The names a checkpoint may use. */
class TorchGlobals implements Globals {
  readonly memories = new Map<string, SharedMemory>();

  find(module: string, name: string): unknown {
    if (module === 'collections' && name === 'OrderedDict') return 'dict';
    if (module === 'torch._utils' && ['_rebuild_tensor_v2', '_rebuild_tensor', '_rebuild_parameter'].includes(name))
      return name;
    if (module === 'torch' && name === 'Size') return 'size';
    if (module === 'torch' && isDType(name)) return name;
    if (module === 'torch') return storageTypes[name] && { storageOf: storageTypes[name] };
    return undefined;
  }

  call(callee: unknown, args: readonly unknown[]): unknown {
    if (callee === 'dict') return new Map();
    if (callee === 'size') return args[0];
    if (callee === '_rebuild_parameter') return this.#parameter(args);
    if (callee === '_rebuild_tensor_v2' || callee === '_rebuild_tensor') return this.#tensor(args);
    return damaged(format, `it calls ${String(callee)}`);
  }

  #tensor([memory, offset, size, stride, requiresGrad]: readonly unknown[]): Pending {
    if (!this.memories.has((memory as SharedMemory)?.key)) return damaged(format, 'a tensor without memory');
    const shape = checkShape(format, size instanceof Tuple ? size.items : size);
    const strides = checkShape(format, stride instanceof Tuple ? stride.items : stride);
    if (!isSmallInteger(offset) || strides.length !== shape.length)
      return damaged(format, `a tensor with strides [${strides}] for shape [${shape}]`);
    return new Pending({
      memory: memory as SharedMemory,
      offset,
      shape,
      strides,
      parameter: false,
      requiresGrad: requiresGrad === true,
    });
  }
  #parameter([data, requiresGrad]: readonly unknown[]): Pending {
    if (!(data instanceof Pending)) return damaged(format, 'a parameter that is no tensor');
    return new Pending({ ...data.tensor, parameter: true, requiresGrad: requiresGrad === true });
  }

  persistent(id: unknown): SharedMemory {
    const [kind, type, key, , count] = id instanceof Tuple ? id.items : [];
    const dtype = (type as { storageOf?: DType } | undefined)?.storageOf;
    if (kind !== 'storage' || dtype === undefined || !isSmallInteger(count))
      return damaged(format, 'memory of an unknown kind');
    const known = this.memories.get(String(key));
    if (known !== undefined) return known;
    const memory = { key: String(key), dtype, count };
    this.memories.set(memory.key, memory);
    return memory;
  }
}

/** What a checkpoint holds: tensors, numbers, strings, lists and dicts. Throws E401 where it is damaged or holds other things. */
export function loadTorch(file: Uint8Array): unknown {
  const isZip = file[0] === 0x50 && file[1] === 0x4b;
  return isZip ? loadZip(file) : loadLegacy(file);
}

function loadZip(file: Uint8Array): unknown {
  const files = unzipped(file);
  const pickle = Object.keys(files).find(name => name.endsWith('/data.pkl'));
  if (pickle === undefined) return damaged(format, 'the zip file has no data.pkl');
  const folder = pickle.slice(0, -'data.pkl'.length);
  const globals = new TorchGlobals();
  const value = new Unpickler(files[pickle], globals).load();
  return finished(
    value,
    ({ key }) => files[`${folder}data/${key}`] ?? damaged(format, `the memory '${key}' of a tensor is missing`),
  );
}

function unzipped(file: Uint8Array): Record<string, Uint8Array> {
  try {
    return unzipSync(file);
  } catch (error) {
    return damaged(format, `not a zip file that can be read: ${(error as Error).message}`);
  }
}

/** What the first pickle of the old format holds. */
const legacyMagic = 0x1950a86a20f9469cfc6cn;

function loadLegacy(file: Uint8Array): unknown {
  if (file[0] !== 0x80) return damaged(format, 'neither a zip file nor of the format before it');
  const globals = new TorchGlobals();
  let at = 0;
  const next = (): unknown => {
    const unpickler = new Unpickler(file, globals, at);
    const value = unpickler.load();
    at = unpickler.end;
    return value;
  };
  const magic = next();
  if (magic !== legacyMagic) return damaged(format, 'neither a zip file nor of the format before it');
  next(); // The version of the format, then facts about the machine that wrote it.
  next();
  const value = next();
  const keys = next();
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const bytes = new Map<string, Uint8Array>();
  for (const key of Array.isArray(keys) ? keys : []) {
    const memory = globals.memories.get(String(key));
    if (memory === undefined || at + 8 > file.length)
      return damaged(format, `the memory '${key}' of a tensor is missing`);
    const count = Number(view.getBigInt64(at, true));
    const end = at + 8 + memory.count * bytesOf(memory.dtype);
    if (count !== memory.count || end > file.length) return damaged(format, `the memory '${key}' is cut off`);
    bytes.set(memory.key, file.subarray(at + 8, end));
    at = end;
  }
  return finished(value, ({ key }) => bytes.get(key) ?? damaged(format, `the memory '${key}' of a tensor is missing`));
}

/** Values with their tensors in place, and dicts as objects. */
function finished(value: unknown, bytesFor: (memory: SharedMemory) => Uint8Array): unknown {
  const memories = new Map<string, Tensor>();
  const done = new Map<unknown, unknown>();
  const open = new Set<unknown>();
  const whole = (memory: SharedMemory): Tensor => {
    const found = memories.get(memory.key);
    if (found !== undefined) return found;
    const made = tensorFromBytes(format, bytesFor(memory), memory.dtype, [memory.count]);
    memories.set(memory.key, made);
    return made;
  };
  const tensorOf = ({ memory, offset, shape, strides, parameter, requiresGrad }: PendingTensor): Tensor => {
    const last = numel(shape) === 0 ? -1 : shape.reduce((sum, dim, d) => sum + (dim - 1) * strides[d], offset);
    if (last >= memory.count)
      return damaged(format, `a tensor of shape [${shape}] reaches element ${last} of ${memory.count}`);
    const { storage } = eagerValue(whole(memory), 'loadTorch()');
    const tensor = new Tensor({ dtype: memory.dtype, shape }, { kind: 'eager', storage, offset, strides });
    if (parameter) return new Parameter(tensor, { requiresGrad });
    return requiresGrad ? tensor.requiresGrad_() : tensor;
  };
  const convert = (item: unknown): unknown => {
    if (done.has(item)) return done.get(item);
    if (typeof item !== 'object' || item === null) return item;
    if (open.has(item)) return damaged(format, 'a list or dict that contains itself');
    open.add(item);
    const made = convertNew(item);
    open.delete(item);
    done.set(item, made);
    return made;
  };
  const convertNew = (item: object): unknown => {
    if (item instanceof Pending) return tensorOf(item.tensor);
    if (item instanceof Tuple) return item.items.map(convert);
    if (Array.isArray(item)) return item.map(convert);
    if (!(item instanceof Map)) return item;
    const entries = [...item].map(([key, part]) => [convert(key), convert(part)] as const);
    return entries.every(([key]) => typeof key === 'string') ? Object.fromEntries(entries) : new Map(entries);
  };
  return convert(value);
}
