/**
 * How the JavaScript of an artifact names the files beside it, for each way a bundler carries files along. As written by the
 * compiler it says `new URL('./name.wasm', import.meta.url)`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
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

/** Where files are not kept, as in a server build of Vite: the files are in the code. */
export const inlinedFiles = (artifact: Artifact): string =>
  withFiles(artifact, (file, bytes) => {
    const type = file.endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream';
    return `new URL("data:${type};base64,${Buffer.from(bytes).toString('base64')}")`;
  });

/** Webpack and development servers know `new URL(…)` themselves and need files on a disk. */
export function onDisk(modelFile: string, artifact: Artifact): string {
  const folder = artifactFolder(modelFile, artifact);
  const glue = join(folder, `${artifact.name}.js`);
  if (!existsSync(glue)) writeFiles(folder, artifact.files);
  return `export * from ${JSON.stringify(glue)};`;
}
