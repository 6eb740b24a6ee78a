/**
 * What a build works out for the loader, so that the loader need not: how a tensor is read, and the head of its state
 * files.
 *
 * Those are in the safetensors format (huggingface.co/docs/safetensors): an 8-byte little-endian header length, a JSON
 * header of `name -> { dtype, shape, data_offsets }`, then the elements. Here the data section equals, byte for byte, the
 * state's part of linear memory. The format allows no holes, so the bytes between aligned tensors are themselves tensors,
 * `__pad.N` of dtype U8, and the header is padded with spaces so that the data section starts at a multiple of 64.
 */
import { formatType } from './element.js';
import type { ElementType, TensorSlot } from './manifest.js';

const alignment = 64;

const arrays: Record<ElementType, { readonly name: string; readonly BYTES_PER_ELEMENT: number }> = {
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** What safetensors calls it: BOOL, U8, I64, F32, BF16. */
const fileType = (dtype: ElementType): string => dtype.toUpperCase().replace(/LOAT|(?<=U)INT|NT/, '');

export const describeTensor = (
  name: string,
  dtype: ElementType,
  shape: readonly number[],
  offset: number,
): TensorSlot => ({
  name,
  dtype,
  shape: [...shape],
  offset,
  count: shape.reduce((product, size) => product * size, 1),
  array: arrays[dtype].name,
  type: formatType(dtype, shape),
  stored: formatType(fileType(dtype), shape),
});

export const byteLength = ({ dtype, count }: TensorSlot): number => count * arrays[dtype].BYTES_PER_ELEMENT;

/** The header of files of a state that takes `bytes` bytes. */
export function stateHead(state: readonly TensorSlot[], bytes: number): string {
  const header: Record<string, object> = {};
  let at = 0;
  const pad = (end: number): void => {
    if (end > at) header[`__pad.${at}`] = { dtype: 'U8', shape: [end - at], data_offsets: [at, end] };
  };
  for (const slot of state) {
    pad(slot.offset);
    at = slot.offset + byteLength(slot);
    header[slot.name] = { dtype: fileType(slot.dtype), shape: slot.shape, data_offsets: [slot.offset, at] };
  }
  pad(bytes);
  const text = JSON.stringify(header).replace(
    /[^ -~]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.padEnd(Math.ceil((8 + text.length) / alignment) * alignment - 8);
}
