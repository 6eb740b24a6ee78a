/** Elements as the loader sees them: the typed array over a tensor's place in memory. */
import type { TensorSlot } from './manifest.js';

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;
type ArrayType = new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray;

/** The elements of a tensor in place. */
export const viewOf = ({ array, offset, count }: TensorSlot, memory: ArrayBufferLike): TypedArray =>
  new (globalThis as unknown as Record<string, ArrayType>)[array](memory, offset, count);

export const formatType = (dtype: string, shape: readonly number[]): string => `${dtype}[${shape.join(', ')}]`;
