/**
 * The safetensors format (huggingface.co/docs/safetensors): an 8-byte header length, a JSON header of
 * `name -> { dtype, shape, data_offsets }`, then the elements, little-endian and without holes.
 */
import { fail } from '../../compiler/errors.js';
import { type DType, isComplexDType, tableOfReals } from '../../compiler/ir/dtype.js';
import type { Shape } from '../../compiler/ir/shape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Budget, type ReadOptions } from './budget.js';
import {
  bytesOfTensor,
  checkLength,
  checkShape,
  damaged,
  Named,
  shown,
  tensorBytes,
  tensorFromBytes,
} from './elements.js';
import { type Described, readSafetensorsHeader } from './safetensors-header.js';

const names = tableOfReals({
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
  int16: 'I16',
  int32: 'I32',
  int64: 'I64',
  float16: 'F16',
  bfloat16: 'BF16',
  float32: 'F32',
  float64: 'F64',
});
const dtypes = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));
const metadataKey = '__metadata__';
const lengthBytes = 8;
/** Headers beyond this are refused, as the reference implementation does. */
const largestHeader = 100_000_000;

/** What a tensor's place takes while the header is read, and an entry of the metadata, about. */
const [placeBytes, metadataBytes] = [200, 100];

/** Tensors by name as a file. Tensors that share memory are written each in full. */
export function saveSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { [metadataKey]: metadata } : {};
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    if (name === metadataKey)
      fail('E208', { problem: `'${metadataKey}' cannot be the name of a tensor in a safetensors file` });
    if (isComplexDType(tensor.dtype))
      fail('E208', {
        problem: `safetensors has no type for ${tensor.dtype}`,
        hint: 'save viewAsReal(z), and read it with viewAsComplex',
      });
    const bytes = bytesOfTensor(tensor, 'saveSafetensors()');
    header[name] = { dtype: names[tensor.dtype], shape: tensor.shape, data_offsets: [end, end + bytes.length] };
    parts.push(bytes);
    end += bytes.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((lengthBytes + text.length) / 8) * 8;
  const file = new Uint8Array(start + end).fill(32, lengthBytes, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - lengthBytes), true);
  file.set(text, lengthBytes);
  let at = start;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

export interface SafetensorsFile {
  readonly tensors: Record<string, Tensor>;
  readonly metadata: Record<string, string>;
}

/** The tensors of a file by name, in memory of their own. Throws E401 where the file is damaged. */
export const loadSafetensors = (file: Uint8Array, options: ReadOptions = {}): Record<string, Tensor> =>
  readSafetensors(file, options).tensors;

/** The tensors and the metadata of a file. */
export function readSafetensors(file: Uint8Array, options: ReadOptions = {}): SafetensorsFile {
  const budget = new Budget('safetensors', file.length, options);
  const start = lengthBytes + headerLength(file);
  const data = file.subarray(start);
  const places: Place[] = [];
  const metadata = new Named<string>('safetensors');
  readSafetensorsHeader(file, lengthBytes, start, budget, {
    tensor(name, described) {
      budget.spend(placeBytes + tensorBytes);
      places.push(placeOf(name, described, data.length));
    },
    metadata(key, value) {
      budget.spend(metadataBytes);
      metadata.set(key, value);
    },
  });
  const tensors = new Named<Tensor>('safetensors');
  checkTiling(places, data.length);
  for (const { name, begin, end, dtype, shape } of places)
    tensors.set(name, tensorFromBytes('safetensors', data.subarray(begin, end), dtype, shape));
  return { tensors: tensors.values, metadata: metadata.values };
}

function headerLength(file: Uint8Array): number {
  if (file.length < lengthBytes)
    return damaged('safetensors', `a file of ${file.length} bytes has no room for a header`);
  const claimed = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const length = Number(claimed);
  if (length > largestHeader || lengthBytes + length > file.length)
    return damaged('safetensors', `the header claims ${claimed} bytes, the file has ${file.length}`);
  return length;
}

/** Where the elements of a tensor lie in the data. */
interface Place {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

function placeOf(name: string, described: Described, dataLength: number): Place {
  const format = `safetensors tensor '${name.slice(0, 100)}'`;
  const dtype = dtypes.get(described.dtype);
  if (dtype === undefined) return damaged(format, `unknown dtype ${shown(described.dtype)}`);
  const shape = checkShape(format, described.shape);
  const { offsets } = described;
  const [begin, end] = offsets;
  const inside = offsets.length === 2 && offsets.every(Number.isSafeInteger) && begin >= 0 && begin <= end;
  if (!inside || end > dataLength)
    return damaged(format, `offsets ${shown(offsets)} lie outside the ${dataLength} bytes of data`);
  checkLength(format, end - begin, dtype, shape);
  return { name, dtype, shape, begin, end };
}

/** One tensor after another, from the first byte of the data to the last: the format has neither holes nor overlaps. */
function checkTiling(places: readonly Place[], dataLength: number): void {
  let at = 0;
  for (const { name, begin, end } of [...places].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at)
      damaged(`safetensors tensor '${name}'`, `begins at byte ${begin}, but the one before ends at byte ${at}`);
    at = end;
  }
  if (at !== dataLength) damaged('safetensors', `the tensors end at byte ${at} of ${dataLength}`);
}
