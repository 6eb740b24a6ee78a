/**
 * Kernels of the loop IR as CUDA C: one `__global__` function for each stage, and a launcher below them.
 *
 * Every legal kernel is emitted, scheduled or not: what no schedule has mapped runs in one thread.
 */
import type { Buffer, Kernel } from '../../compiler/ir/kernel.js';
import { type EmittedStage, emitStage, signature } from './emit-stage.js';
import type { NameScope } from './names.js';
import { storageType } from './scalar.js';
import { buffersOf, type ScratchPlace, stagesOf, writtenBy } from './stages.js';

export interface EmittedKernel {
  /** The stages and the launcher. */
  readonly code: string;
  readonly launcher: string;
  readonly scratchBytes: number;
}

/** What the launches of a kernel say about its parameters. */
export interface KernelUse {
  /** Parameters that share memory with another one in some launch; they are not `__restrict__`. */
  readonly aliased: ReadonlySet<Buffer>;
  /** Type and shape, for people. */
  describe(buffer: Buffer): string;
}

export function emitKernel(kernel: Kernel, names: NameScope, use: KernelUse): EmittedKernel {
  const { stages, scratch, scratchBytes } = stagesOf(kernel.body);
  const params = kernel.params.map(param => param.buffer);
  const launcher = names.claim(`launch_${kernel.name}`);
  const scope = names.nested();
  const buffers = [...params, ...scratch.map(place => place.buffer)];
  const nameOf = new Map(buffers.map(buffer => [buffer, scope.claim(buffer.name)]));

  const emitted = stages.map((stmts, i) => {
    const [used, written] = [buffersOf(stmts), writtenBy(stmts)];
    const name = names.claim(stages.length === 1 ? kernel.name : `${kernel.name}_${i + 1}`);
    const own = buffers.filter(buffer => used.has(buffer));
    const stageParams = own.map(buffer => ({
      buffer,
      doc: use.describe(buffer),
      constant: !written.has(buffer),
      restrict: !use.aliased.has(buffer),
    }));
    return emitStage(name, stmts, stageParams, names);
  });
  const working = emitted.filter(stage => stage.grid !== null);
  const launch = emitLauncher(launcher, kernel, scratch, working, nameOf);
  const code = [`// ${kernel.doc || kernel.name}`, ...working.map(stage => `${stage.code}\n`), ...launch].join('\n');
  return { code, launcher, scratchBytes };
}

/** A function that queues the stages on a stream. */
function emitLauncher(
  launcher: string,
  kernel: Kernel,
  scratch: readonly ScratchPlace[],
  stages: readonly EmittedStage[],
  nameOf: ReadonlyMap<Buffer, string>,
): string[] {
  const written = writtenBy(kernel.body);
  const declare = (buffer: Buffer, constant: boolean): string =>
    `${constant ? 'const ' : ''}${storageType[buffer.dtype]}* ${nameOf.get(buffer)}`;
  const params = kernel.params.map(({ buffer }) => declare(buffer, !written.has(buffer)));
  if (scratch.length > 0) params.push('char* scratch');
  return [
    ...signature(`static cudaError_t ${launcher}`, [...params, 'cudaStream_t stream']),
    ...scratch.map(
      ({ buffer, offset }) => `  ${declare(buffer, false)} = at<${storageType[buffer.dtype]}>(scratch, ${offset});`,
    ),
    ...stages.map(({ name, grid, block, buffers }) => {
      const args = buffers.map(buffer => nameOf.get(buffer)).join(', ');
      return `  ${name}<<<${grid}, ${block}, 0, stream>>>(${args});`;
    }),
    '  return cudaGetLastError();',
    '}',
  ];
}
