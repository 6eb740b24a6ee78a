/**
 * One stage of a kernel as a `__global__` function. How loops map:
 *
 *   block.x/y/z            the grid
 *   thread.x/y             one iteration per thread, as many threads as iterations
 *   thread.x/y, no block   spread over as many blocks as it takes: `i = blockIdx.x * 256 + threadIdx.x`, guarded
 *   thread.x in thread.x   shared out among the threads of the outer loop, in strides
 *   vector                 a copy of four neighbours at once; a schedule writes it only where both sides are aligned
 *
 * Any other loop is a loop; statements outside all threads run in one thread.
 */
import { invariant } from '../../compiler/errors.js';
import { type Buffer, type Expr, index, type Stmt, substitute, when } from '../../compiler/ir/kernel.js';
import { Environment } from './expressions.js';
import { warpSize } from './helpers.js';
import type { NameScope } from './names.js';
import { combine, storageType } from './scalar.js';

/** Threads of a block where the schedule does not say, and rows of a block of warps. */
const spreadThreads = 256;
const spreadRows = 8;
const longestLine = 120;
/** Loops of at most this many iterations are unrolled by a pragma where a schedule shares them out among threads. */
const unrollUpTo = 16;

type LoopStmt = Stmt & { kind: 'loop' };

export interface StageParam {
  readonly buffer: Buffer;
  /** Its type and shape, for the comment above the kernel. */
  readonly doc: string;
  readonly constant: boolean;
  readonly restrict: boolean;
}
export interface EmittedStage {
  readonly name: string;
  readonly code: string;
  readonly buffers: readonly Buffer[];
  /** Launch configuration as C; a grid of null has nothing to do. */
  readonly grid: string | null;
  readonly block: string;
}

export function emitStage(
  name: string,
  stmts: readonly Stmt[],
  params: readonly StageParam[],
  names: NameScope,
): EmittedStage {
  const env = Environment.empty(names.nested());
  const declared = params.map(({ buffer, constant, restrict }) => {
    const pointer = `${constant ? 'const ' : ''}${storageType[buffer.dtype]}*${restrict ? ' __restrict__' : ''}`;
    return `${pointer} ${env.nameBuffer(buffer)}`;
  });
  const emitter = new StageEmitter();
  const body = emitter.body(withoutSingleTrips(stmts), env, '  ');
  const { grid, block } = emitter;
  const threads = block.x * block.y;
  const sizes = params.map(({ buffer, doc }) => `${env.nameOf(buffer)} ${doc}`).join(', ');
  const bounds = threads === 1 ? '' : `__launch_bounds__(${threads}, ${Math.max(1, Math.floor(512 / threads))}) `;
  const code = [`// ${sizes}`, ...signature(`static __global__ void ${bounds}${name}`, declared), ...body, '}'].join(
    '\n',
  );
  const buffers = params.map(param => param.buffer);
  return {
    name,
    code,
    buffers,
    grid: grid.x * grid.y * grid.z === 0 ? null : dims([grid.x, grid.y, grid.z]),
    block: dims([block.x, block.y]),
  };
}

/** The head of a function, its parameters below it where they do not fit beside it. */
export function signature(head: string, params: readonly string[]): string[] {
  const line = `${head}(${params.join(', ')}) {`;
  return line.length <= longestLine ? [line] : [`${head}(`, `    ${params.join(',\n    ')}) {`];
}

function dims(sizes: readonly number[]): string {
  const needed = sizes.slice(0, 1 + sizes.findLastIndex(size => size !== 1));
  return needed.length > 1 ? `dim3(${needed.join(', ')})` : String(sizes[0]);
}

/** Writes the statements of one stage and learns its launch configuration on the way. */
class StageEmitter {
  readonly grid = { x: 1, y: 1, z: 1 };
  readonly block = { x: 1, y: 1 };
  /** The loop whose iterations are the threads of a block, once its code is reached. */
  private readonly lanes: { x: { name: string; extent: number } | null; y: { name: string; extent: number } | null } = {
    x: null,
    y: null,
  };
  private inBlock = false;

  /** The lines of a `{ … }`: shared index arithmetic first, then the statements. */
  body(stmts: readonly Stmt[], env: Environment, indent: string): string[] {
    const lines: string[] = [];
    env.computeIndices(stmts, line => lines.push(indent + line));
    for (const stmt of stmts) lines.push(...this.statement(stmt, env, indent));
    return lines;
  }

  private statement(stmt: Stmt, env: Environment, indent: string): string[] {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(indent + line);
    const code = (expr: Expr): string => env.expression(expr, write).text;
    switch (stmt.kind) {
      case 'loop':
        return this.loop(stmt, env, indent);
      case 'store': {
        const at = code(stmt.index);
        const value = env.expression(stmt.value, write);
        write(`${env.element(stmt.buffer, at)} = ${env.stored(stmt.buffer, value)};`);
        return lines;
      }
      case 'reduce': {
        const at = code(stmt.index);
        const value = env.expression(stmt.value, write);
        const element = env.element(stmt.buffer, at);
        const sum = stmt.fn === 'add' && (stmt.buffer.dtype === 'float32' || stmt.buffer.dtype === 'float64');
        if (sum) write(`${element} += ${value.text};`);
        else
          write(
            `${element} = ${env.stored(stmt.buffer, combine(stmt.fn, stmt.buffer.dtype, env.read(stmt.buffer, at), value))};`,
          );
        return lines;
      }
      case 'if':
        write(`if (${code(stmt.cond)}) {`);
        lines.push(...this.body(stmt.then, env.nested(), `${indent}  `));
        if (stmt.otherwise.length > 0) {
          write('} else {');
          lines.push(...this.body(stmt.otherwise, env.nested(), `${indent}  `));
        }
        write('}');
        return lines;
      case 'alloc':
        return this.alloc(stmt, env, indent);
      case 'barrier':
        write('__syncthreads();');
        return lines;
      case 'allreduce': {
        const at = code(stmt.index);
        const element = env.element(stmt.buffer, at);
        const width = stmt.width === warpSize ? 'warp' : 'block';
        const size = stmt.width === warpSize ? '' : `<${stmt.width}>`;
        write(`${element} = ${width}_${stmt.fn}_${stmt.buffer.dtype}${size}(${element});`);
        return lines;
      }
      default:
        return stmt satisfies never;
    }
  }

  /** A register that is stored to at once is declared with its value. */
  private alloc({ buffer, body }: Stmt & { kind: 'alloc' }, env: Environment, indent: string): string[] {
    const [first, ...rest] = body;
    const initialised =
      buffer.scope === 'register' && buffer.size === 1 && first?.kind === 'store' && first.buffer === buffer;
    const lines: string[] = [];
    if (initialised) {
      const value = env.expression(first.value, line => lines.push(indent + line)).text;
      lines.push(`${indent}${env.declare(buffer).replace(/;$/, '')} = ${value};`);
    } else lines.push(indent + env.declare(buffer));
    for (const stmt of initialised ? rest : body) lines.push(...this.statement(stmt, env, indent));
    return lines;
  }

  private loop(loop: LoopStmt, env: Environment, indent: string): string[] {
    switch (loop.map) {
      case 'serial':
      case 'parallel':
        return this.counted(loop, env, indent, []);
      case 'unroll':
        return this.counted(loop, env, indent, ['#pragma unroll']);
      case 'vector':
        return this.vectorCopy(loop, env, indent);
      case 'block.x':
      case 'block.y':
      case 'block.z':
        return this.gridLoop(loop, loop.map === 'block.x' ? 'x' : loop.map === 'block.y' ? 'y' : 'z', env, indent);
      case 'thread.x':
        return this.threadLoop(loop, 'x', env, indent);
      case 'thread.y':
        return this.threadLoop(loop, 'y', env, indent);
      default:
        return loop.map satisfies never;
    }
  }

  private counted(
    { iter, limit, body }: LoopStmt,
    env: Environment,
    indent: string,
    pragma: readonly string[],
  ): string[] {
    if (iter.extent === 0) return [];
    const lines: string[] = [];
    const end =
      limit === null
        ? iter.extent
        : `min(${iter.extent}, ${env.expression(limit, line => lines.push(indent + line)).text})`;
    const inner = env.nested();
    const name = inner.nameIter(iter);
    lines.push(...pragma.map(line => indent + line), `${indent}for (int ${name} = 0; ${name} < ${end}; ++${name}) {`);
    lines.push(...this.body(body, inner, `${indent}  `), `${indent}}`);
    return lines;
  }

  private gridLoop({ iter, body }: LoopStmt, direction: 'x' | 'y' | 'z', env: Environment, indent: string): string[] {
    this.inBlock = true;
    this.grid[direction] = iter.extent;
    if (iter.extent === 1) return body.flatMap(stmt => this.statement(stmt, env, indent));
    return [`${indent}const int ${env.nameIter(iter)} = blockIdx.${direction};`, ...this.body(body, env, indent)];
  }

  private threadLoop(loop: LoopStmt, direction: 'x' | 'y', env: Environment, indent: string): string[] {
    const { iter, body } = loop;
    const lanes = this.lanes[direction];
    if (lanes !== null) return this.strided(loop, lanes, env, indent);
    const spread = !this.inBlock;
    const count = spread
      ? Math.min(direction === 'x' ? spreadThreads : spreadRows, warps(iter.extent, direction))
      : iter.extent;
    this.block[direction] = count;
    if (spread) this.grid.x = Math.ceil(iter.extent / count);
    this.inBlock = true;
    const name = env.nameIter(iter);
    this.lanes[direction] = { name, extent: count };
    const place =
      spread && this.grid.x > 1 ? `blockIdx.x * ${count} + threadIdx.${direction}` : `threadIdx.${direction}`;
    const declared = `${indent}const int ${name} = ${place};`;
    if (!spread || iter.extent === this.grid.x * count) return [declared, ...this.body(body, env, indent)];
    return [
      declared,
      `${indent}if (${name} < ${iter.extent}) {`,
      ...this.body(body, env.nested(), `${indent}  `),
      `${indent}}`,
    ];
  }

  private strided(
    { iter, body }: LoopStmt,
    lanes: { name: string; extent: number },
    env: Environment,
    indent: string,
  ): string[] {
    if (iter.extent === 0) return [];
    if (iter.extent === lanes.extent) {
      env.nameIterAs(iter, lanes.name);
      return this.body(body, env, indent);
    }
    const inner = env.nested();
    const name = inner.nameIter(iter);
    const unrolled = iter.extent % lanes.extent === 0 && iter.extent <= unrollUpTo * lanes.extent;
    return [
      ...(unrolled ? [`${indent}#pragma unroll`] : []),
      `${indent}for (int ${name} = ${lanes.name}; ${name} < ${iter.extent}; ${name} += ${lanes.extent}) {`,
      ...this.body(body, inner, `${indent}  `),
      `${indent}}`,
    ];
  }

  private vectorCopy({ iter, body }: LoopStmt, env: Environment, indent: string): string[] {
    const [copy] = body;
    invariant(
      iter.extent === 4 && body.length === 1 && copy.kind === 'store' && copy.value.kind === 'load',
      'a vector loop copies four neighbours',
    );
    const first = new Map([[iter, index(0)]]);
    const lines: string[] = [];
    const at = (buffer: Buffer, expr: Expr): string => {
      const start = env.expression(substitute(expr, first), line => lines.push(indent + line)).text;
      return start === '0' ? env.nameOf(buffer) : `&${env.nameOf(buffer)}[${start}]`;
    };
    lines.push(`${indent}copy_four(${at(copy.buffer, copy.index)}, ${at(copy.value.buffer, copy.value.index)});`);
    return lines;
  }
}

/** Loops that run once are their bodies. */
function withoutSingleTrips(stmts: readonly Stmt[]): Stmt[] {
  return stmts.flatMap((stmt): Stmt[] => {
    switch (stmt.kind) {
      case 'loop': {
        const body = withoutSingleTrips(stmt.body);
        const counted = stmt.map === 'serial' || stmt.map === 'parallel' || stmt.map === 'unroll';
        return counted && stmt.iter.extent === 1 && stmt.limit === null ? body : [{ ...stmt, body }];
      }
      case 'alloc':
        return [{ ...stmt, body: withoutSingleTrips(stmt.body) }];
      case 'if':
        return when(stmt.cond, withoutSingleTrips(stmt.then), withoutSingleTrips(stmt.otherwise));
      default:
        return [stmt];
    }
  });
}

/** Threads for a loop of `extent` iterations: whole warps along x. */
const warps = (extent: number, direction: 'x' | 'y'): number =>
  direction === 'x' ? Math.ceil(extent / warpSize) * warpSize : extent;
