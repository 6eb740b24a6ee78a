/**
 * Types for imports of compiled models: the artifact's declarations, each as a module named after its model file. TypeScript
 * matches such names by pattern, so models of one project must differ in their file names.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Artifact } from './artifacts.js';

const heading = '/** Types of the compiled models, written by gradc. */\n';

/** A function that keeps `file` up to date with what has been compiled. */
export function modelTypes(file: string): (modelFile: string, artifact: Artifact) => void {
  const modules = new Map<string, string>();
  return (modelFile, artifact) => {
    modules.set(basename(modelFile), ambientModule(modelFile, artifact));
    const text =
      heading +
      [...modules]
        .sort()
        .map(([, module]) => `\n${module}`)
        .join('');
    if (text === contentOf(file)) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
}

function ambientModule(modelFile: string, { name, files }: Artifact): string {
  const declarations = (files.get(`${name}.d.ts`) as string)
    .replace(/^\/\/.*\n+/, '')
    .replaceAll('export declare ', 'export ')
    .trimEnd()
    .replace(/^(?=.)/gm, '  ');
  return `declare module '*/${basename(modelFile)}?compiled' {\n${declarations}\n}\n`;
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
