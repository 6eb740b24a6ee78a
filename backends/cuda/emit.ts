/**
 * Kernels of the loop IR as CUDA C: one `__global__` function for each stage, and a launcher below them.
 *
 * Every legal kernel is emitted, scheduled or not: what no schedule has mapped runs in one thread. How loops map:
 *
 *   block.x/y/z            the grid
 *   thread.x/y             one iteration per thread, as many threads as iterations
 *   thread.x/y, no block   spread over as many blocks as it takes: `i = blockIdx.x * 256 + threadIdx.x`, guarded
 *   thread.x in thread.x   shared out among the threads of the outer loop, in strides
 *   vector                 a copy of four neighbours at once; a schedule writes it only where both sides are aligned
 */
import { invariant } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import { addIndex, type Buffer, type Expr, type Iter, index, type Kernel, type Stmt, substitute } from '../../compiler/ir/kernel.js';
import type { ReduceFn } from '../../compiler/ir/scalar.js';
import { Environment } from './expressions.js';
import type { NameScope } from './names.js';
import { atom, combine, fromStorage, storageType, toStorage, valueType } from './scalar.js';
import { buffersOf, isThreadMap, stagesOf, writtenBy } from './stages.js';

/** Threads of a block where the schedule does not say. */
const spreadThreads = 256;
/** Loops of at most this many iterations are unrolled by a pragma where a schedule shares them out among threads. */
const unrollUpTo = 16;

export interface EmittedKernel {
  /** The stages and the launcher. */
  readonly code: string;
  readonly launcher: string;
  readonly scratchBytes: number;
}

/** `aliased`: parameters that share memory with another one in some launch; they are not `__restrict__`. */
export function emitKernel(kernel: Kernel, names: NameScope, aliased: ReadonlySet<Buffer>): EmittedKernel {
  const { stages, scratch, scratchBytes } = stagesOf(kernel.body);
  const params = kernel.params.map(param => param.buffer);
  const written = writtenBy(kernel.body);
  const launcher = names.claim(`launch_${kernel.name}`);
  const stageNames = stages.map((_, i) => names.claim(stages.length === 1 ? kernel.name : `${kernel.name}_${i + 1}`));

  const scope = names.nested();
  const nameOf = new Map([...params, ...scratch.map(place => place.buffer)].map(buffer => [buffer, scope.claim(buffer.name)]));
  const emitted = stages.map((stage, i) => {
    const used = buffersOf(stage);
    const buffers = [...nameOf.keys()].filter(buffer => used.has(buffer));
    return emitStage(stageNames[i], stage, buffers.map(buffer => ({ buffer, constant: !written.has(buffer), restrict: !aliased.has(buffer) })), names);
  });

  const declare = (buffer: Buffer, constant: boolean): string => `${constant ? 'const ' : ''}${storageType[buffer.dtype]}* ${nameOf.get(buffer)}`;
  const signature = [...params.map(buffer => declare(buffer, !written.has(buffer))), ...(scratchBytes > 0 ? ['char* scratch'] : []), 'cudaStream_t stream'];
  const launch = [
    `static cudaError_t ${launcher}(${signature.join(', ')}) {`,
    ...scratch.map(({ buffer, offset }) => `  ${declare(buffer, false)} = at<${storageType[buffer.dtype]}>(scratch, ${offset});`),
    ...emitted.filter(stage => stage.grid !== null).map(stage => `  ${stage.name}<<<${stage.grid}, ${stage.block}, 0, stream>>>(${stage.buffers.map(buffer => nameOf.get(buffer)).join(', ')});`),
    '  return cudaGetLastError();',
    '}',
  ];
  const code = [`// ${kernel.doc || kernel.name}`, ...emitted.filter(stage => stage.grid !== null).map(stage => `${stage.code}\n`), ...launch].join('\n');
  return { code, launcher, scratchBytes };
}

// ── one stage ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface StageParam {
  readonly buffer: Buffer;
  readonly constant: boolean;
  readonly restrict: boolean;
}
interface EmittedStage {
  readonly name: string;
  readonly code: string;
  readonly buffers: readonly Buffer[];
  /** Launch configuration as C; a grid of null has nothing to do. */
  readonly grid: string | null;
  readonly block: string;
}

function emitStage(name: string, stmts: readonly Stmt[], params: readonly StageParam[], names: NameScope): EmittedStage {
  const env = Environment.empty(names.nested());
  const declared = params.map(({ buffer, constant, restrict }) => {
    const pointer = `${constant ? 'const ' : ''}${storageType[buffer.dtype]}*${restrict ? ' __restrict__' : ''}`;
    return `${pointer} ${env.nameBuffer(buffer)}`;
  });
  const emitter = new StageEmitter();
  const body = emitter.block(stmts, env, '  ');
  const { grid, block } = emitter;
  const threads = block.x * block.y;
  const sizes = params.map(({ buffer }) => `${env.nameOf(buffer)} ${buffer.dtype}[${buffer.size}]`).join(', ');
  const bounds = threads === 1 ? '' : `__launch_bounds__(${threads}, ${Math.max(1, Math.floor(512 / threads))}) `;
  const code = [`// ${sizes}`, `static __global__ void ${bounds}${name}(${declared.join(', ')}) {`, ...body, '}'].join('\n');
  const buffers = params.map(param => param.buffer);
  return { name, code, buffers, grid: grid.x * grid.y * grid.z === 0 ? null : dims([grid.x, grid.y, grid.z]), block: dims([block.x, block.y]) };
}

function dims(sizes: readonly number[]): string {
  const needed = sizes.slice(0, 1 + sizes.findLastIndex(size => size !== 1));
  return needed.length > 1 ? `dim3(${needed.join(', ')})` : String(sizes[0]);
}

class StageEmitter {
  readonly grid = { x: 1, y: 1, z: 1 };
  readonly block = { x: 1, y: 1 };
  /** The loops whose iterations are the threads, outermost of each direction. */
  private readonly threads: { x: Iter | null; y: Iter | null } = { x: null, y: null };
  private inBlock = false;

  /** Lines of a `{ … }`: shared index arithmetic first, then the statements. */
  block_(stmts: readonly Stmt[], env: Environment, indent: string): string[] {
    return this.block(stmts, env, indent);
  }
}
