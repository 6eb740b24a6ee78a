/**
 * Builds generated CUDA C for the CPU with g++ and the headers beside this file: the same library, with the same C
 * interface, on machines without a GPU. Builds are kept by the hash of all that goes into them.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ArtifactFiles } from '../../../backends/backend.js';
import { rewriteForHost } from './rewrite.js';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const cache = fileURLToPath(new URL('../../../node_modules/.cache/gradc/cuda-host', import.meta.url));

const headers = ['cuda_runtime.h', 'cuda_fp16.h', 'cuda_bf16.h'];

/** What `g++ --version` says first, or null without g++; part of every key. */
const compilerVersion: string | null = (() => {
  try {
    return execFileSync('g++', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0];
  } catch {
    return null;
  }
})();
export const hasHostCompiler = compilerVersion !== null;

/** Without hardware FMA in the build, every contracted multiply-add is a library call. */
const hasFma =
  process.arch === 'x64' && existsSync('/proc/cpuinfo') && /\bfma\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
const flags = [
  '-std=c++17',
  '-fPIC',
  '-fvisibility=hidden',
  '-fno-strict-aliasing',
  '-w',
  ...(hasFma ? ['-mfma'] : []),
];

/** Compiles to `<hash><extension>` in the cache, unless it is there. */
async function build(source: string, extension: '.o' | '.so', extra: readonly string[]): Promise<string> {
  const inputs = headers.map(name => readFileSync(join(here, name), 'utf8'));
  const key = createHash('sha256')
    .update(JSON.stringify([compilerVersion, flags, extra, source, ...inputs]))
    .digest('hex');
  const target = join(cache, key.slice(0, 32) + extension);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  const own = join(cache, `${key.slice(0, 32)}.${randomUUID()}`);
  await writeFile(`${own}.cpp`, source);
  const kind = extension === '.o' ? ['-c'] : ['-shared', '-Wl,-Bsymbolic'];
  try {
    const command = [...flags, ...kind, `-I${here}`, `${own}.cpp`, ...extra, '-o', `${own}${extension}`];
    await run('g++', command, { maxBuffer: 2 ** 26 }).catch((error: { stderr?: string }) => {
      throw new Error(`g++ does not compile the generated code:\n${(error.stderr || String(error)).slice(0, 2000)}`, {
        cause: error,
      });
    });
    await rename(`${own}${extension}`, target);
  } finally {
    await rm(`${own}.cpp`, { force: true });
  }
  return target;
}

/** The `.cu` of an artifact with its header in place. */
function sourceOf(files: ArtifactFiles): { includes: string; code: string } {
  const cu = [...files.keys()].find(path => path.endsWith('.cu'));
  if (cu === undefined) throw new Error('the artifact has no .cu file');
  const text = (path: string): string => Buffer.from(files.get(path)!).toString('utf8');
  const header = text(cu.replace(/\.cu$/, '.h')).replace('#pragma once', '');
  const isInclude = /^#include .*$/gm;
  const source = rewriteForHost(text(cu).replace(/^#include ".*"$/m, () => header));
  return { includes: (source.match(isInclude) ?? []).join('\n'), code: source.replace(isInclude, '') };
}

/** Many small models are compiled far longer than they run. */
const optimisation = (models: number): readonly string[] =>
  models > 1 ? ['-O0', '-fno-exceptions', '-fno-asynchronous-unwind-tables'] : ['-O2'];

/** One library of many models: each in a namespace of its own, since they share the names of helpers and kernels. */
export async function compileManyForHost(models: readonly ArtifactFiles[]): Promise<string> {
  const sources = models.map(sourceOf);
  const includes = [...new Set(sources.flatMap(source => source.includes.split('\n')))];
  const parts = sources.map(
    ({ code }, i) =>
      `namespace model_${i} {\n${code.replace(/^#define (TRY|\w+_API)\b/gm, '#undef $1\n#define $1')}\n}`,
  );
  const runtime = await build(readFileSync(join(here, 'runtime.cpp'), 'utf8'), '.o', ['-O2']);
  return build([...includes, ...parts].join('\n'), '.so', [...optimisation(models.length), runtime]);
}

/** The library of one artifact, to be loaded by `loadCuda`. */
export const compileForHost = (files: ArtifactFiles): Promise<string> => compileManyForHost([files]);
