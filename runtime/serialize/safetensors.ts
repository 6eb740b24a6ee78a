/**
 * The safetensors format (huggingface.co/docs/safetensors): an 8-byte header length, a JSON header of
 * `name -> { dtype, shape, data_offsets }`, then the elements, little-endian and without holes.
 */
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { Shape } from '../../compiler/ir/shape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Budget, type ReadOptions } from './budget.js';
import {
  byName,
  bytesOfTensor,
  checkLength,
  checkShape,
  damaged,
  shown,
  tensorBytes,
  tensorFromBytes,
} from './elements.js';

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
export const loadSafetensors = (file: Uint8Array, options: ReadOptions = {}): Record<string, Tensor> =>
  readSafetensors(file, options).tensors;

/** The tensors and the metadata of a file. */
export function readSafetensors(file: Uint8Array, options: ReadOptions = {}): SafetensorsFile {
  const budget = new Budget('safetensors', file.length, options);
  const { length, entries } = readHeader(file, budget);
  const data = file.subarray(lengthBytes + length);
  const { [metadataKey]: metadata, ...described } = entries;
  const places = Object.entries(described).map(([name, entry]) => placeOf(name, entry as Entry, data.length));
  checkTiling(places, data.length);
  budget.spend(tensorBytes * places.length);
  const tensors = places.map(({ name, begin, end, dtype, shape }): [string, Tensor] => [
    name,
    tensorFromBytes('safetensors', data.subarray(begin, end), dtype, shape),
  ]);
  return { tensors: Object.fromEntries(tensors), metadata: checkMetadata(metadata) };
}

function readHeader(file: Uint8Array, budget: Budget): { length: number; entries: Record<string, unknown> } {
  if (file.length < lengthBytes)
    return damaged('safetensors', `a file of ${file.length} bytes has no room for a header`);
  const claimed = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const length = Number(claimed);
  if (length > largestHeader || lengthBytes + length > file.length) {
    return damaged('safetensors', `the header claims ${claimed} bytes, the file has ${file.length}`);
  }
  budget.spend(length);
  const text = new TextDecoder().decode(file.subarray(lengthBytes, lengthBytes + length));
  const keys = countKeys(text, budget);
  const parsed = parseObject(text);
  if (keysIn(parsed) !== keys) return damaged('safetensors', 'the header has a name twice');
  return { length, entries: byName('safetensors', Object.entries(parsed)) };
}

const jsonToken = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/gs;
/** Names, and in them fields, and in those lists. */
const deepestHeader = 3;
/** What a value of parsed JSON takes, about. */
const [containerBytes, itemBytes] = [64, 16];

/** The keys written in a header that is neither too deep nor too large to be parsed. */
function countKeys(text: string, budget: Budget): number {
  let depth = 0;
  let keys = 0;
  jsonToken.lastIndex = 0;
  for (let token: RegExpExecArray | null; (token = jsonToken.exec(text)); ) {
    const [first] = token[0];
    if (first === '{' || first === '[') depth++;
    else if (first === '}' || first === ']') depth--;
    else if (first === ':') keys++;
    if (depth > deepestHeader) damaged('safetensors', `the header is nested deeper than ${deepestHeader} levels`);
    budget.spend(first === '{' || first === '[' ? containerBytes : itemBytes);
  }
  return keys;
}

function parseObject(text: string): object {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch {
    // Reported below, like JSON that is not an object.
  }
  return damaged('safetensors', 'the header is not a JSON object');
}

/** The keys of all objects in parsed JSON: fewer than were written where one came twice. */
function keysIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, part) => sum + keysIn(part), own);
}

/** Where the elements of a tensor lie in the data. */
interface Place {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

function placeOf(name: string, entry: Entry, dataLength: number): Place {
  const format = `safetensors tensor '${name}'`;
  const dtype = typeof entry?.dtype === 'string' ? dtypes.get(entry.dtype) : undefined;
  if (dtype === undefined) return damaged(format, `unknown dtype ${shown(entry?.dtype)}`);
  const shape = checkShape(format, entry.shape);
  const offsets: readonly unknown[] = Array.isArray(entry.data_offsets) ? entry.data_offsets : [];
  const [begin, end] = offsets as number[];
  const inside = offsets.length === 2 && offsets.every(Number.isSafeInteger) && begin >= 0 && begin <= end;
  if (!inside || end > dataLength)
    return damaged(format, `offsets ${shown(entry.data_offsets)} lie outside the ${dataLength} bytes of data`);
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
