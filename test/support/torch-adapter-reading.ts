/** What a script reads out of a tensor: at once where its value is there, inside a trace a promise of it. */
import { type DType, isFloat } from '../../compiler/ir/dtype.js';
import { eagerValue, executor, type Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import { Deferred, PyFloat, type Value } from './python/values.js';

/** Python's number for an element of a dtype. */
const pythonNumber = (dtype: DType, value: unknown): Value => (isFloat(dtype) ? new PyFloat(Number(value)) : value);

/** Is the value of a tensor there to be read: outside a trace, or made before it and not changed in it? */
export const isKnown = (tensor: Tensor): boolean =>
  executor().kind !== 'trace' || (tensor.value.kind === 'eager' && executor().versionOf(tensor) === 0);

/** What is read from a tensor; inside a trace, a promise of it. */
export function readTensor(tensor: Tensor, what: (tensor: Tensor) => Value): Value {
  if (isKnown(tensor)) return what(tensor);
  const settle = readLater(tensor);
  return new Deferred(() => what(settle()));
}

/** The number in a tensor of one element; an error of any other, before its value is known. */
export const itemOf = (tensor: Tensor): Value =>
  tensor.numel() === 1 ? readTensor(tensor, known => pythonNumber(known.dtype, known.item())) : tensor.item();

type Reader = (tensor: Tensor) => () => Tensor;
let reader: Reader = () => {
  throw new Unsupported('reading a traced tensor');
};
/** Keep a traced tensor; returns how to get its value after the run. */
export const readLater: Reader = tensor => reader(tensor);
/** How a trace keeps tensors; installed while one is being made. Returns the one before. */
export function setReadLater(next: Reader): Reader {
  const previous = reader;
  reader = next;
  return previous;
}

export const nested = (dtype: DType, value: unknown): Value =>
  Array.isArray(value) ? value.map(item => nested(dtype, item)) : pythonNumber(dtype, value);

const addresses = new WeakMap<object, number>();
let nextAddress = 4096;
/** A number that two tensors share when they start at the same memory. */
export function address(tensor: Tensor): number {
  const { storage, offset } = eagerValue(tensor, 'data_ptr()');
  if (!addresses.has(storage)) {
    addresses.set(storage, nextAddress);
    nextAddress += storage.array.byteLength + 64;
  }
  return addresses.get(storage)! + offset * storage.array.BYTES_PER_ELEMENT;
}
