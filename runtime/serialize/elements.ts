/**
 * Raw little- or big-endian elements, as files hold them, and tensors.
 *
 * Nothing a file says about itself is believed before it is checked: sizes are compared with the bytes that are there before
 * anything is allocated.
 */
import { fail } from '../../compiler/errors.js';
import { arrayOf, bytesOf, type DType, isComplexDType, partType, type TypedArray } from '../../compiler/ir/dtype.js';
import { numel, type Shape } from '../../compiler/ir/shape.js';
import { type Tensor, tensorOver } from '../../compiler/ops/tensor.js';
import { rowMajor } from '../eager.js';

/** A file that is not what it should be: which format, and what is wrong. */
export const damaged: (format: string, problem: string) => never = (format, problem) =>
  fail('E401', { problem: `${format}: ${problem}`, hint: 'the file is damaged, cut off, or of another format' });

/** A file that may be whole but asks for what reading it must not do. */
export const refused: (format: string, problem: string, hint: string) => never = (format, problem, hint) =>
  fail('E402', { problem: `${format}: ${problem}`, hint });

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** What a tensor takes in memory beside its elements, about: one over memory of its own, and one that shares it. */
export const [tensorBytes, viewBytes] = [720, 400];

/** What a file says, for an error: no more than fits a line, whatever it is. */
export const shown = (value: unknown): string =>
  Array.isArray(value) ? `[${value.slice(0, mostDims).map(brief).join(',')}]` : brief(value);
function brief(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100));
  if (Array.isArray(value)) return '[…]';
  return typeof value === 'object' && value !== null ? '{…}' : String(value);
}

/** Tensors of more dims are refused, as NumPy and PyTorch do. */
const mostDims = 64;

/** Is this a shape that could lie in memory? Throws E401 otherwise. */
export function checkShape(format: string, shape: unknown): Shape {
  if (Array.isArray(shape) && shape.length > mostDims) damaged(format, `a shape of ${shape.length} dims`);
  const valid = Array.isArray(shape) && shape.every(dim => Number.isSafeInteger(dim) && dim >= 0);
  if (!valid || !Number.isSafeInteger(numel(shape as Shape))) damaged(format, `impossible shape ${shown(shape)}`);
  return shape as Shape;
}

/** An object of what a file has under names. */
export class Named<T> {
  readonly #format: string;
  readonly values: Record<string, T> = {};
  constructor(format: string) {
    this.#format = format;
  }
  /** Throws E401 for a name that comes twice, E402 for one that objects give a meaning. */
  set(name: string, value: T): void {
    if (name === '__proto__') refused(this.#format, `something is named '${name}'`, 'give it another name');
    if (Object.hasOwn(this.values, name)) damaged(this.#format, `the name '${name}' comes twice`);
    this.values[name] = value;
  }
}

function reverseElements(bytes: Uint8Array, width: number): void {
  for (let start = 0; start < bytes.length; start += width) {
    for (let low = start, high = start + width - 1; low < high; low++, high--) {
      const held = bytes[low];
      bytes[low] = bytes[high];
      bytes[high] = held;
    }
  }
}

export interface ElementsOptions {
  readonly fromLittle?: boolean;
  /** The bytes are nobody else's: they may become the memory of the tensor. */
  readonly owned?: boolean;
}

/** Elements that files hold as `bytes`, in memory of their own. */
export function elementsFromBytes(
  bytes: Uint8Array,
  dtype: DType,
  { fromLittle = true, owned = false }: ElementsOptions = {},
): TypedArray {
  const part = isComplexDType(dtype) ? partType(dtype) : dtype;
  const width = bytesOf(part);
  // not bytes.slice(): of Node's Buffer that is a view of the same memory
  const own = owned && bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  if (fromLittle !== littleEndian) reverseElements(own, width);
  if (dtype === 'bool') for (let i = 0; i < own.length; i++) own[i] = own[i] === 0 ? 0 : 1;
  return new (arrayOf(dtype))(own.buffer, own.byteOffset, own.length / width);
}

/** Are `length` bytes just what a tensor takes? Throws E401 otherwise. */
export function checkLength(format: string, length: number, dtype: DType, shape: Shape): void {
  const wanted = numel(shape) * bytesOf(dtype);
  if (length !== wanted)
    damaged(format, `${dtype} of shape [${shape.join(', ')}] takes ${wanted} bytes, there are ${length}`);
}

/** A tensor of the elements that `bytes` holds, which must be just as many as the shape says. */
export function tensorFromBytes(
  format: string,
  bytes: Uint8Array,
  dtype: DType,
  shape: Shape,
  options: ElementsOptions = {},
): Tensor {
  checkLength(format, bytes.length, dtype, shape);
  return tensorOver(elementsFromBytes(bytes, dtype, options), { dtype, shape });
}

/** The bytes of elements as files hold them, little-endian; shared with the elements where that is their order here. */
export function bytesOfElements(array: TypedArray): Uint8Array {
  const bytes = new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
  if (littleEndian) return bytes;
  const swapped = bytes.slice();
  reverseElements(swapped, array.BYTES_PER_ELEMENT);
  return swapped;
}

/** The elements of a tensor in row-major order, little-endian. */
export const bytesOfTensor = (tensor: Tensor, what: string): Uint8Array => bytesOfElements(rowMajor(tensor, what));
