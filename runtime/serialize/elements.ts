/**
 * Raw little- or big-endian elements, as files hold them, and tensors.
 *
 * Nothing a file says about itself is believed before it is checked: sizes are compared with the bytes that are there before
 * anything is allocated.
 */
import { fail } from '../../compiler/errors.js';
import { arrayOf, bytesOf, type DType, type TypedArray } from '../../compiler/ir/dtype.js';
import { numel, type Shape } from '../../compiler/ir/shape.js';
import { type Tensor, tensorOver } from '../../compiler/ops/tensor.js';
import { rowMajor } from '../eager.js';

/** A file that is not what it should be: which format, and what is wrong. */
export const damaged: (format: string, problem: string) => never = (format, problem) =>
  fail('E401', { problem: `${format}: ${problem}`, hint: 'the file is damaged, cut off, or of another format' });

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Is this a shape that could lie in memory? Throws E401 otherwise. */
export function checkShape(format: string, shape: unknown): Shape {
  const valid = Array.isArray(shape) && shape.every(dim => Number.isSafeInteger(dim) && dim >= 0);
  if (!valid || !Number.isSafeInteger(numel(shape as Shape)))
    damaged(format, `impossible shape ${JSON.stringify(shape)}`);
  return shape as Shape;
}

/** Bytes in the byte order of this machine, in memory of their own. */
function native(bytes: Uint8Array, width: number, fromLittle: boolean): Uint8Array {
  const own = Uint8Array.from(bytes);
  if (fromLittle !== littleEndian)
    for (let at = 0; at < own.length; at += width) own.subarray(at, at + width).reverse();
  return own;
}

/** A tensor of the elements that `bytes` holds, which must be just as many as the shape says. */
export function tensorFromBytes(
  format: string,
  bytes: Uint8Array,
  dtype: DType,
  shape: Shape,
  fromLittle = true,
): Tensor {
  const wanted = numel(shape) * bytesOf(dtype);
  if (bytes.length !== wanted)
    damaged(format, `${dtype} of shape [${shape.join(', ')}] takes ${wanted} bytes, there are ${bytes.length}`);
  const own = native(bytes, bytesOf(dtype), fromLittle);
  if (dtype === 'bool') for (let i = 0; i < own.length; i++) own[i] = own[i] === 0 ? 0 : 1;
  return tensorOver(new (arrayOf(dtype))(own.buffer as ArrayBuffer), { dtype, shape });
}

/** The elements of a tensor in row-major order, little-endian. */
export function bytesOfTensor(tensor: Tensor, what: string): Uint8Array {
  const array: TypedArray = rowMajor(tensor, what);
  const bytes = new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
  return littleEndian ? bytes : native(bytes, bytesOf(tensor.dtype), true);
}
