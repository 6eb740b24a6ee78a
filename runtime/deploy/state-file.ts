/**
 * State files in the safetensors format (huggingface.co/docs/safetensors).
 *
 * Files written here are the state's part of linear memory behind a head that the build has made (`describe.ts`). Files
 * from elsewhere, in any order and without padding, are read by name. Nothing in a file is believed before it is checked,
 * and nothing is copied before everything is checked.
 */
import { formatType, viewOf } from './element.js';
import { ArtifactError } from './error.js';
import type { Manifest } from './manifest.js';

/** A state file of the current contents of `memory`. */
export function encodeState({ stateHead, stateBytes }: StateLayout, memory: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(stateHead);
  const file = new Uint8Array(8 + head.length + stateBytes);
  new Uint32Array(file.buffer, 0, 1)[0] = head.length;
  file.set(head, 8);
  file.set(memory.subarray(0, stateBytes), 8 + head.length);
  return file;
}
type StateLayout = Pick<Manifest, 'stateHead' | 'stateBytes'>;

/** A state file, or several that hold its tensors between them. */
export type StateFiles = Uint8Array | readonly Uint8Array[];

/** Copy a state into `memory`. Throws E412, and changes nothing, where a file is damaged or they are of another model. */
export function decodeState({ name, state }: Manifest, files: StateFiles, memory: Uint8Array): void {
  const tensors = new Map([files].flat().flatMap(parse));
  const problems: string[] = [];
  for (const slot of state) {
    const { type, data } = tensors.get(slot.name) ?? {};
    const { byteLength } = viewOf(slot, memory.buffer);
    if (type !== slot.stored)
      problems.push(`'${slot.name}' must be ${slot.stored}, ${type ? `the file has ${type}` : 'it is missing'}`);
    else if (data!.length !== byteLength)
      damaged(`'${slot.name}' has ${data!.length} bytes, ${type} needs ${byteLength}`);
  }
  for (const name of tensors.keys())
    if (!name.startsWith('__pad.') && !state.some(slot => slot.name === name))
      problems.push(`'${name}' is not in the model`);
  if (problems.length > 5) problems.splice(5, problems.length, `and ${problems.length - 5} more`);
  if (problems.length > 0)
    throw new ArtifactError('E412', `the state does not fit model '${name}': ${problems.join('; ')}`);
  for (const slot of state) memory.set(tensors.get(slot.name)!.data, slot.offset);
}

const damaged = (why: string): never => {
  throw new ArtifactError('E412', `the state file is damaged: ${why}`);
};

interface FileTensor {
  readonly type: string;
  readonly data: Uint8Array;
}
type Place = readonly [name: string, type: string, begin: number, end: number];

/** The tensors of a file, which cover it without holes or overlaps. */
function parse(file: Uint8Array): [name: string, tensor: FileTensor][] {
  const { start, places } = parseHead(file);
  let at = 0;
  const tensors = places.map(([name, type, begin, end]): [string, FileTensor] => {
    if (begin !== at || end < at) damaged(`'${name}' lies at [${begin}, ${end}), expected to begin at ${at}`);
    at = end;
    return [name, { type, data: file.subarray(start + begin, start + end) }];
  });
  if (start + at !== file.length) damaged(`its tensors have ${at} bytes, ${file.length - start} follow the header`);
  return tensors;
}

/** What it says of its tensors, by their place behind the header. */
function parseHead(file: Uint8Array): { readonly start: number; readonly places: readonly Place[] } {
  try {
    const start = 8 + Number(new DataView(file.buffer, file.byteOffset, file.length).getBigUint64(0, true));
    const { __metadata__, ...header } = JSON.parse(new TextDecoder().decode(file.subarray(8, start)));
    const places = Object.entries<HeaderEntry>(header).map(
      ([name, { dtype, shape, data_offsets }]): Place => [name, formatType(dtype, shape), ...data_offsets],
    );
    return { start, places: places.sort(([, , a, b], [, , c, d]) => a - c || b - d) };
  } catch (error) {
    return damaged(`its header cannot be read: ${(error as Error).message}`);
  }
}

/** `data_offsets` counts from the end of the header. */
interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [begin: number, end: number];
}
