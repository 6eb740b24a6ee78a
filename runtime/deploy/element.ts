/**
 * Element types as the loader sees them: the typed array that holds each, and its name in the safetensors format.
 */
import type { ElementType, TensorSlot } from './manifest.js';

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;
type ArrayType = {
  new (buffer: ArrayBufferLike, offset: number, length: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
};

const arrays: Record<ElementType, ArrayType> = {
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

export const arrayType = (dtype: ElementType): ArrayType => arrays[dtype];
/** What safetensors calls it: BOOL, U8, I64, F32, BF16. */
export const fileType = (dtype: ElementType): string => dtype.toUpperCase().replace(/LOAT|(?<=U)INT|NT/, '');
export const formatType = (dtype: string, shape: readonly number[]): string => `${dtype}[${shape.join(', ')}]`;
export const count = (slot: TensorSlot): number => slot.shape.reduce((product, size) => product * size, 1);
export const byteLength = (slot: TensorSlot): number => count(slot) * arrays[slot.dtype].BYTES_PER_ELEMENT;

/** The elements of a tensor in place. */
export const viewOf = (slot: TensorSlot, memory: ArrayBufferLike): TypedArray =>
  new arrays[slot.dtype](memory, slot.offset, count(slot));
