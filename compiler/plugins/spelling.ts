/**
 * How the JavaScript of an artifact names the files beside it, for each way a bundler carries files along. As written by the
 * compiler it says `new URL('./name.wasm', import.meta.url)`; platforms that may compile no WebAssembly at run time want
 * static imports instead, which give a compiled module and the state's bytes.
 */
import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { writeFiles } from '../cli/build-artifact.js';
import { type Artifact, artifactFolder } from './artifacts.js';

const bytesOf = (content: Uint8Array | string): Uint8Array =>
  typeof content === 'string' ? new TextEncoder().encode(content) : content;

/** The artifact's JavaScript with every file address spelled anew. */
export function withFiles({ name, files }: Artifact, spell: (file: string, bytes: Uint8Array) => string): string {
  const glue = files.get(`${name}.js`) as string;
  return glue.replace(/new URL\("\.\/([^"]+)",\s*import\.meta\.url\)/g, (_, file: string) =>
    spell(file, bytesOf(files.get(file)!)),
  );
}

/** Rollup, Rolldown, Vite: files are emitted, and their addresses filled in when chunks are written. */
export const emittedFiles = (artifact: Artifact, emit: (file: string, bytes: Uint8Array) => string): string =>
  withFiles(artifact, (file, bytes) => `new URL(import.meta.ROLLUP_FILE_URL_${emit(file, bytes)}, import.meta.url)`);

const inlinedTypes: Readonly<Record<string, string>> = { '.wasm': 'application/wasm', '.js': 'text/javascript' };

/** Where files are not kept, as in a server build of Vite: the files are in the code. */
export const inlinedFiles = (artifact: Artifact): string =>
  withFiles(artifact, (file, bytes) => {
    const type = inlinedTypes[extname(file)] ?? 'application/octet-stream';
    return `new URL("data:${type};base64,${Buffer.from(bytes).toString('base64')}")`;
  });

/**
 * What is imported of a platform that knows no URLs: `.wasm` and `.bin` are the endings such platforms tell modules and data
 * by.
 */
export const importedState = ({ name }: Artifact): string => `${name}.bin`;

/** A module whose `load` is given the files by static imports; `prefix` is put before each file's name. */
export const importingModule = (artifact: Artifact, prefix: string): string => `
  import module from ${JSON.stringify(`${prefix}${artifact.name}.wasm`)};
  import state from ${JSON.stringify(prefix + importedState(artifact))};
  import { load as loadFiles } from ${JSON.stringify(`${prefix}${artifact.name}.js`)};
  export const load = options => loadFiles({ module, state, ...options });`;

/** The same on a disk, for bundlers that know what to do with such imports, as the ones of Cloudflare's tools. */
export function importingOnDisk(modelFile: string, artifact: Artifact): string {
  const folder = artifactFolder(modelFile, artifact);
  const state = artifact.files.get(`${artifact.name}.safetensors`)!;
  writeFiles(folder, new Map([...artifact.files, [importedState(artifact), state]]));
  return importingModule(artifact, `${folder}/`);
}

/** Webpack and development servers know `new URL(…)` themselves and need files on a disk. */
export function onDisk(modelFile: string, artifact: Artifact): string {
  const folder = artifactFolder(modelFile, artifact);
  const glue = join(folder, `${artifact.name}.js`);
  if (!existsSync(glue)) writeFiles(folder, artifact.files);
  return `export * from ${JSON.stringify(glue)};`;
}
