/**
 * Builds the shared library of a generated model with nvcc, where the CUDA toolkit is present, and reads what ptxas tells
 * about each kernel. This is the one file of the backend that touches the disk; `emit` stays a function of values.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { fail } from '../../compiler/errors.js';
import type { ArtifactFiles } from '../backend.js';

const run = promisify(execFile);

/** Generations built for: Ampere and Hopper as machine code, and PTX that later ones translate. */
const architectures = ['sm_80', 'sm_90'] as const;
const generate = ['-gencode', 'arch=compute_80,code=sm_80', '-gencode', 'arch=compute_90,code=[sm_90,compute_90]'];
const hostFlags = '-fPIC,-fvisibility=hidden,-static-libgcc,-static-libstdc++';

/** What ptxas reports of one kernel on one architecture. */
export interface KernelResources {
  readonly kernel: string;
  readonly architecture: string;
  readonly registers: number;
  readonly sharedBytes: number;
  readonly stackBytes: number;
  readonly spillBytes: number;
}
export interface NvccResult {
  readonly libraryPath: string;
  readonly resources: readonly KernelResources[];
}

/** The first line of `nvcc --version` that names a release, or null where there is no nvcc. */
export async function nvccVersion(nvcc = 'nvcc'): Promise<string | null> {
  try {
    const { stdout } = await run(nvcc, ['--version']);
    return /release .*/.exec(stdout)?.[0] ?? stdout.trim();
  } catch {
    return null;
  }
}

/** Builds `lib<name>.so` into a folder. Refuses by name where nvcc is missing or does not take the code. */
export async function buildWithNvcc(files: ArtifactFiles, folder: string, nvcc = 'nvcc'): Promise<NvccResult> {
  if ((await nvccVersion(nvcc)) === null) {
    fail('E601', {
      backend: 'cuda',
      what: `a build without ${nvcc}`,
      hint: 'install the CUDA toolkit, or build cuda/CMakeLists.txt where it is',
    });
  }
  const sources = [...files.keys()].filter(path => /\.(cu|h)$/.test(path));
  const model = basename(sources.find(path => path.endsWith('.cu'))!, '.cu');
  const work = await mkdtemp(join(tmpdir(), 'gradc-nvcc-'));
  try {
    for (const path of sources) await writeFile(join(work, basename(path)), files.get(path)!);
    await mkdir(folder, { recursive: true });
    const libraryPath = join(folder, `lib${model}.so`);
    const shared = ['-O3', '-std=c++17', '-shared', '-cudart', 'static', '-Xcompiler', hostFlags, '-Xptxas', '-v'];
    const { stdout, stderr } = await run(nvcc, [...shared, ...generate, `${model}.cu`, '-o', libraryPath], {
      cwd: work,
      maxBuffer: 2 ** 26,
    }).catch(error =>
      fail('E601', {
        backend: 'cuda',
        what: `this program: nvcc does not compile ${model}.cu\n${(error as { stderr?: string }).stderr ?? error}`,
        hint: 'this is a fault of gradc; please report it',
      }),
    );
    return { libraryPath, resources: parseResources(stdout + stderr) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Reads the output of `-Xptxas -v`: a line that names kernel and architecture, then lines with their numbers. */
export function parseResources(output: string): KernelResources[] {
  const sections = output.split(/Compiling entry function '/).slice(1);
  return sections.map(section => {
    const [, symbol, architecture] = /^(\w+)' for '(\w+)'/.exec(section)!;
    const number = (pattern: RegExp): number => Number(pattern.exec(section)?.[1] ?? 0);
    return {
      kernel: sourceName(symbol),
      architecture,
      registers: number(/Used (\d+) registers/),
      sharedBytes: number(/(\d+) bytes smem/),
      stackBytes: number(/(\d+) bytes stack frame/),
      spillBytes: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
    };
  });
}

/** `_Z7softmaxPKfPf` is `softmax`: the length before a mangled name says where it ends. */
function sourceName(symbol: string): string {
  const [, length] = /^_ZL?(\d+)/.exec(symbol) ?? [];
  if (length === undefined) return symbol;
  const start = symbol.indexOf(length) + length.length;
  return symbol.slice(start, start + Number(length));
}

export const nvccArchitectures: readonly string[] = architectures;
