/**
 * Writing files that `torch.load` reads, with `weights_only` too: a zip file (PyTorch 1.6 and later), or the format before.
 *
 * Tensors that share memory share it in the file; the whole memory is written, also where a tensor shows a part of it.
 */

import type { DType } from '../../compiler/ir/dtype.js';
import { eagerValue, type Storage, Tensor } from '../../compiler/ops/tensor.js';
import { Parameter } from '../nn/parameter.js';
import { bytesOfElements } from './elements.js';
import { Tuple } from './pickle.js';
import { Call, GlobalName, PersistentId, writePickle } from './pickle-writer.js';
import { legacyMagic, legacyProtocol, storageTypes } from './torch-format.js';
import { joined, writeZip } from './zip.js';

export interface SaveOptions {
  /** `zip` is what PyTorch writes since 1.6, `legacy` what it wrote before. */
  readonly format?: 'zip' | 'legacy';
}

/**
 * A file of a value: tensors, numbers, bigints, strings, booleans, null, and arrays, plain objects and Maps of these. Whole
 * numbers become ints (`float(2)` a float), frozen arrays tuples. Throws E208 where something else is in it.
 */
export function save(value: unknown, { format = 'zip' }: SaveOptions = {}): Uint8Array {
  const memories = new Memories(format);
  const pickle = writePickle(value, object => memories.describe(object));
  return format === 'zip' ? zipFile(pickle, memories) : legacyFile(pickle, memories);
}

/** The memory of the tensors met so far, by key. */
class Memories {
  readonly #format: 'zip' | 'legacy';
  readonly #keys = new Map<Storage, string>();
  constructor(format: 'zip' | 'legacy') {
    this.#format = format;
  }

  /** In the order of their keys. */
  entries(): readonly (readonly [storage: Storage, key: string])[] {
    return [...this.#keys];
  }

  /** The call that makes a tensor. */
  describe(object: object): Call | undefined {
    if (!(object instanceof Tensor)) return undefined;
    const tensor = this.#tensor(object);
    return object instanceof Parameter
      ? new Call(rebuildParameter, new Tuple([tensor, object.requiresGrad, noHooks()]))
      : tensor;
  }

  #tensor(tensor: Tensor): Call {
    const { storage, offset, strides } = eagerValue(tensor, 'save()');
    const requiresGrad = tensor.requiresGrad && !(tensor instanceof Parameter);
    const memory = this.#memory(storage, tensor.dtype);
    return new Call(
      rebuildTensor,
      new Tuple([memory, offset, new Tuple(tensor.shape), new Tuple(strides), requiresGrad, noHooks()]),
    );
  }

  #memory(storage: Storage, dtype: DType): PersistentId {
    if (!this.#keys.has(storage)) this.#keys.set(storage, String(this.#keys.size));
    const type = new GlobalName('torch', storageTypes[dtype]);
    const id = ['storage', type, this.#keys.get(storage), 'cpu', storage.array.length];
    return new PersistentId(new Tuple(this.#format === 'zip' ? id : [...id, null]));
  }
}

const rebuildTensor = new GlobalName('torch._utils', '_rebuild_tensor_v2');
const rebuildParameter = new GlobalName('torch._utils', '_rebuild_parameter');
/** An OrderedDict of hooks, in the place PyTorch has for them. */
const noHooks = (): Call => new Call(new GlobalName('collections', 'OrderedDict'), new Tuple([]));

/** So that the memory can be mapped into a process. */
const alignment = 64;

function zipFile(pickle: Uint8Array, memories: Memories): Uint8Array {
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  const members: [string, Uint8Array][] = [
    ['data.pkl', pickle],
    ['byteorder', text('little')],
    ...memories.entries().map(([{ array }, key]): [string, Uint8Array] => [`data/${key}`, bytesOfElements(array)]),
    ['version', text('3\n')],
  ];
  return writeZip(
    members.map(([name, contents]) => [`archive/${name}`, contents]),
    { alignment },
  );
}

function legacyFile(pickle: Uint8Array, memories: Memories): Uint8Array {
  const machine = {
    protocol_version: legacyProtocol,
    little_endian: true,
    type_sizes: { short: 2, int: 4, long: 4 },
  };
  const entries = memories.entries();
  return joined([
    writePickle(legacyMagic),
    writePickle(legacyProtocol),
    writePickle(machine),
    pickle,
    writePickle(entries.map(([, key]) => key)),
    ...entries.flatMap(([{ array }]) => [count64(array.length), bytesOfElements(array)]),
  ]);
}

function count64(count: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(count), true);
  return bytes;
}
