/**
 * The safetensors format (huggingface.co/docs/safetensors): an 8-byte header length, a JSON header of
 * `name -> { dtype, shape, data_offsets }`, then the elements, little-endian and without holes.
 */
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { bytesOfTensor, checkShape, damaged, tensorFromBytes } from './elements.js';

const names: Readonly<Record<DType, string>> = {
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
};
const dtypes = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));
const metadataKey = '__metadata__';
const lengthBytes = 8;
/** Headers beyond this are refused, as the reference implementation does. */
const largestHeader = 100_000_000;

interface Entry {
  readonly dtype?: unknown;
  readonly shape?: unknown;
  readonly data_offsets?: unknown;
}

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
export const loadSafetensors = (file: Uint8Array): Record<string, Tensor> => readSafetensors(file).tensors;

/** The tensors and the metadata of a file. */
export function readSafetensors(file: Uint8Array): SafetensorsFile {
  const header = readHeader(file);
  const data = file.subarray(lengthBytes + header.length);
  const metadata = header.entries.get(metadataKey);
  header.entries.delete(metadataKey);
  const tensors = [...header.entries].map(([name, entry]): [string, Tensor] => [
    name,
    readTensor(name, entry as Entry, data),
  ]);
  return { tensors: Object.fromEntries(tensors), metadata: checkMetadata(metadata) };
}

function readHeader(file: Uint8Array): { length: number; entries: Map<string, unknown> } {
  if (file.length < lengthBytes)
    return damaged('safetensors', `a file of ${file.length} bytes has no room for a header`);
  const claimed = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const length = Number(claimed);
  if (length > largestHeader || lengthBytes + length > file.length) {
    return damaged('safetensors', `the header claims ${claimed} bytes, the file has ${file.length}`);
  }
  const text = new TextDecoder().decode(file.subarray(lengthBytes, lengthBytes + length));
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return { length, entries: new Map(Object.entries(parsed)) };
  } catch {
    // Reported below, like JSON that is not an object.
  }
  return damaged('safetensors', 'the header is not a JSON object');
}

function readTensor(name: string, entry: Entry, data: Uint8Array): Tensor {
  const format = `safetensors tensor '${name}'`;
  const dtype = dtypes.get(String(entry?.dtype));
  if (dtype === undefined) return damaged(format, `unknown dtype ${JSON.stringify(entry?.dtype)}`);
  const shape = checkShape(format, entry.shape);
  const [begin, end] = Array.isArray(entry.data_offsets) ? (entry.data_offsets as unknown[]) : [];
  const inside =
    Number.isSafeInteger(begin) &&
    Number.isSafeInteger(end) &&
    (begin as number) >= 0 &&
    (begin as number) <= (end as number);
  if (!inside || (end as number) > data.length) {
    return damaged(
      format,
      `offsets ${JSON.stringify(entry.data_offsets)} lie outside the ${data.length} bytes of data`,
    );
  }
  return tensorFromBytes(format, data.subarray(begin as number, end as number), dtype, shape);
}

function checkMetadata(metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  const valid =
    typeof metadata === 'object' &&
    metadata !== null &&
    Object.values(metadata).every(value => typeof value === 'string');
  return valid
    ? (metadata as Record<string, string>)
    : damaged('safetensors', `${metadataKey} must map strings to strings`);
}
