/**
 * The artifact: from a compiled program to the files of its folder, as values. Nothing here writes to a disk.
 */

import { byteLength, stateHead } from '../../runtime/deploy/describe.js';
import type { TensorSlot } from '../../runtime/deploy/manifest.js';
import { encodeState } from '../../runtime/deploy/state-file.js';
import type { Refusal, ValueChecks } from '../../runtime/deploy/value-checks.js';
import { fail, type GradcError } from '../errors.js';
import { bytesOf } from '../ir/dtype.js';
import type { Program } from '../ir/program.js';
import { numel } from '../ir/shape.js';
import { isCheckName } from '../trace/model.js';
import { errorOf, type ValueCheck } from '../trace/trace.js';
import { declarations } from './declarations.js';
import { glueSource, isRevectorized, threadSource } from './glue.js';
import { artifactManifest, fileRecord, loaderManifest, manifestText, type VariantRecord } from './manifest.js';
import { withSection } from './section.js';

export type Files = ReadonlyMap<string, Uint8Array | string>;

export interface ArtifactParts {
  readonly program: Program;
  /** Initial contents of the state, by name. */
  readonly state: ReadonlyMap<string, ArrayBufferView>;
  /** What the backends emitted, by path in the folder: `<name>.wasm`, `cuda/<name>.cu` and so on. */
  readonly emitted: Files;
  /** Source files that took part, by their path from the model file. */
  readonly sources: ReadonlyMap<string, Uint8Array>;
  /** Divide the state among files of at most so many bytes of tensors, whole tensors each. Absent: one file. */
  readonly shardBytes?: number | null;
  /** The conditions behind the results of that name, by entry. */
  readonly checks?: ReadonlyMap<string, readonly ValueCheck[]>;
}

/** Names that the loader's model has itself. */
const reserved = ['state', 'saveState', 'loadState', 'threads', 'module', 'dispose'];

/** All files of an artifact by their path in its folder. Throws E401 where the model cannot be written as one. */
export async function artifactFiles(parts: ArtifactParts): Promise<Map<string, Uint8Array | string>> {
  const { program, emitted } = parts;
  const checks = parts.checks?.size ? refusals(parts.checks) : undefined;
  const { name } = program;
  checkNames(program);
  const files = new Map([...emitted].map(([path, content]) => [path, described(program, path, content)] as const));
  const stateFiles = shardedState(program, parts.state, parts.shardBytes ?? Number.POSITIVE_INFINITY);
  for (const [path, content] of stateFiles) files.set(path, content);
  const variants = moduleVariants(name, emitted);
  if (variants.length > 0) {
    const teamFile = variants.some(({ requires }) => requires.includes('threads')) ? `${name}.threads.js` : undefined;
    if (teamFile) files.set(teamFile, await threadSource());
    files.set(
      `${name}.js`,
      await glueSource({
        name,
        variants,
        stateFiles: [...stateFiles.keys()],
        teamFile,
        checks,
        files: Object.fromEntries([...files].map(([path, content]) => [path, fileRecord(content)])),
      }),
    );
    files.set(`${name}.d.ts`, declarations(withoutCheckResults(program), variants.some(isRevectorized)));
  }
  files.set(
    `${name}.manifest.json`,
    manifestText(artifactManifest(program, variants, [...stateFiles.keys()], files, parts.sources, checks)),
  );
  return files;
}

/** What the calls of each entry throw. */
function refusals(checks: ReadonlyMap<string, readonly ValueCheck[]>): ValueChecks {
  const refusal = (check: ValueCheck): Refusal => {
    const { name, code, message } = errorOf(check) as GradcError;
    return { name, code, message };
  };
  return Object.fromEntries([...checks].map(([entry, list]) => [entry, list.map(refusal)]));
}

/** What callers see of a program. */
const withoutCheckResults = (program: Program): Program => ({
  ...program,
  entries: program.entries.map(entry => ({
    ...entry,
    outputs: entry.outputs.filter(({ name }) => !isCheckName(name)),
  })),
});

/** A module tells the loader of the model it is of. */
const described = (program: Program, path: string, content: Uint8Array | string): Uint8Array | string =>
  path.endsWith('.wasm') && typeof content !== 'string'
    ? withSection(content, 'gradc', JSON.stringify(loaderManifest(program)))
    : content;

function checkNames({ entries }: Program): void {
  for (const { name } of entries) {
    const problem = reserved.includes(name)
      ? 'every loaded model has a member of that name'
      : /^[A-Za-z_]\w*$/.test(name)
        ? null
        : 'it is no identifier';
    if (problem) fail('E401', { problem: `an entry cannot be called '${name}': ${problem}`, hint: 'rename the entry' });
  }
}

/** Modules by what they require, most demanding first. */
function moduleVariants(name: string, emitted: Files): VariantRecord[] {
  const plain: readonly [suffix: string, requires: VariantRecord['requires']][] = [
    ['.threads.relaxed', ['threads', 'relaxed-simd']],
    ['.threads', ['threads']],
    ['.relaxed', ['relaxed-simd']],
    ['', []],
  ];
  const paired = plain.map(([suffix, requires]) => [`.revectorize${suffix}`, ['revectorize', ...requires]] as const);
  return [...paired, ...plain]
    .map(([suffix, requires]) => ({ file: `${name}${suffix}.wasm`, requires }))
    .filter(({ file }) => emitted.has(file));
}

/** The state file of a program whose state has these values. Throws E401 where one does not fit. */
export const artifactState = (program: Program, state: ReadonlyMap<string, ArrayBufferView>): Uint8Array =>
  encodeState(loaderManifest(program), stateImage(program, state));

/** The same as files of at most so many bytes of tensors, named as Hugging Face names them; a larger tensor has its own. */
function shardedState(program: Program, values: ArtifactParts['state'], shardBytes: number): Map<string, Uint8Array> {
  const image = stateImage(program, values);
  const manifest = loaderManifest(program);
  const groups: TensorSlot[][] = [];
  for (const slot of manifest.state) {
    const last = groups.at(-1);
    if (last && slot.offset + byteLength(slot) - last[0].offset <= shardBytes) last.push(slot);
    else groups.push([slot]);
  }
  if (groups.length <= 1) return new Map([[`${program.name}.safetensors`, encodeState(manifest, image)]]);
  const number = (n: number): string => `${n}`.padStart(5, '0');
  return new Map(
    groups.map((group, i) => {
      const [{ offset: start }] = group;
      const end = groups[i + 1]?.[0].offset ?? manifest.stateBytes;
      const state = group.map(slot => ({ ...slot, offset: slot.offset - start }));
      const path = `${program.name}-${number(i + 1)}-of-${number(groups.length)}.safetensors`;
      const stateBytes = end - start;
      return [path, encodeState({ stateBytes, stateHead: stateHead(state, stateBytes) }, image.subarray(start))];
    }),
  );
}

/** The state's part of linear memory. */
function stateImage(program: Program, state: ReadonlyMap<string, ArrayBufferView>): Uint8Array {
  const image = new Uint8Array(program.stateBytes);
  for (const { name, type, offset } of program.state) {
    const value = state.get(name);
    const bytes = numel(type.shape) * bytesOf(type.dtype);
    if (value?.byteLength !== bytes)
      fail('E401', { problem: `state '${name}' has ${value?.byteLength ?? 'no'} bytes, expected ${bytes}` });
    image.set(new Uint8Array(value!.buffer, value!.byteOffset, bytes), offset);
  }
  return image;
}
