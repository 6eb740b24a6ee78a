/**
 * State files in the safetensors format (huggingface.co/docs/safetensors): an 8-byte little-endian header length, a JSON
 * header of `name -> { dtype, shape, data_offsets }`, then the elements.
 *
 * Files written here have a data section equal, byte for byte, to the state's part of linear memory. The format allows no
 * holes, so the bytes between aligned tensors are themselves tensors, `__pad.N` of dtype U8, and the header is padded with
 * spaces so that the data section starts at a multiple of 64. Files from elsewhere, in any order and without padding, are
 * read by name. Nothing in a file is believed before it is checked, and nothing is copied before everything is checked.
 */
import { byteLength, fileType, formatType } from './element.js';
import { ArtifactError } from './error.js';
import type { Manifest } from './manifest.js';

const alignment = 64;
const padding = '__pad.';

/** What a header says of a tensor; `data_offsets` counts from the end of the header. */
interface FileTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [begin: number, end: number];
}

/** A state file of the current contents of `memory`. */
export function encodeState({ state, stateBytes }: Manifest, memory: Uint8Array): Uint8Array {
  const header: Record<string, FileTensor> = {};
  let at = 0;
  const pad = (end: number): void => {
    if (end > at) header[padding + at] = { dtype: 'U8', shape: [end - at], data_offsets: [at, end] };
  };
  for (const slot of state) {
    pad(slot.offset);
    at = slot.offset + byteLength(slot);
    header[slot.name] = { dtype: fileType(slot.dtype), shape: slot.shape, data_offsets: [slot.offset, at] };
  }
  pad(stateBytes);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((8 + text.length) / alignment) * alignment;
  const file = new Uint8Array(start + stateBytes).fill(32, 8, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(text, 8);
  file.set(memory.subarray(0, stateBytes), start);
  return file;
}

/** A state file, or several that hold its tensors between them. */
export type StateFiles = Uint8Array | readonly Uint8Array[];

/** Copy a state into `memory`. Throws E412, and changes nothing, where a file is damaged or they are of another model. */
export function decodeState({ name, state }: Manifest, files: StateFiles, memory: Uint8Array): void {
  const tensors = new Map([files].flat().flatMap(parse));
  const problems: string[] = [];
  const copies = state.map(slot => {
    const found = tensors.get(slot.name);
    tensors.delete(slot.name);
    const wanted = formatType(fileType(slot.dtype), slot.shape);
    const given = found && formatType(found.dtype, found.shape);
    if (given !== wanted)
      problems.push(`'${slot.name}' must be ${wanted}, ${given ? `the file has ${given}` : 'it is missing'}`);
    else if (found!.data.length !== byteLength(slot))
      damaged(`'${slot.name}' has ${found!.data.length} bytes, ${wanted} needs ${byteLength(slot)}`);
    return () => memory.set(found!.data, slot.offset);
  });
  for (const extra of tensors.keys()) if (!extra.startsWith(padding)) problems.push(`'${extra}' is not in the model`);
  if (problems.length > 5) problems.splice(5, problems.length, `and ${problems.length - 5} more`);
  if (problems.length > 0)
    throw new ArtifactError('E412', `the state does not fit model '${name}': ${problems.join('; ')}`);
  for (const copy of copies) copy();
}

const damaged = (why: string): never => {
  throw new ArtifactError('E412', `the state file is damaged: ${why}`);
};

const isSizes = (value: unknown): boolean =>
  Array.isArray(value) && value.every(size => Number.isSafeInteger(size) && size >= 0);

/** Its tensors, every range checked: they cover the file without holes or overlaps. */
function parse(file: Uint8Array): [name: string, tensor: FileTensor & { readonly data: Uint8Array }][] {
  const room = file.length - 8;
  if (room < 0) damaged(`${file.length} bytes are no header`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (length > room) damaged(`its header should have ${length} bytes, ${room} follow`);
  const start = 8 + Number(length);
  const { __metadata__, ...header } = parseHeader(file.subarray(8, start));
  const tensors = Object.entries(header);
  for (const [name, tensor] of tensors) {
    if (!isSizes(tensor?.shape) || !isSizes(tensor.data_offsets) || tensor.data_offsets.length !== 2)
      damaged(`the entry of '${name}' is malformed`);
  }
  const data = file.subarray(start);
  let at = 0;
  for (const [begin, end] of tensors
    .map(([, tensor]) => tensor.data_offsets)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== at || end < begin) damaged(`a tensor lies at [${begin}, ${end}), expected to begin at ${at}`);
    at = end;
  }
  if (at !== data.length) damaged(`its tensors have ${at} bytes, ${data.length} follow the header`);
  return tensors.map(([name, tensor]) => [name, { ...tensor, data: data.subarray(...tensor.data_offsets) }]);
}

function parseHeader(bytes: Uint8Array): Record<string, FileTensor> {
  try {
    return Object(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return damaged('its header is not JSON');
  }
}
