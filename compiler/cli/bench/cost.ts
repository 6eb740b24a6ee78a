/**
 * What kernels cost at least, counted from their plain form: floating point operations, and bytes between them and memory.
 *
 * A function that is computed by a polynomial counts as the operations of its vector form. Elements outside a padded window
 * count as others do. Memory is counted once for each element of each tensor: what is read again is taken to be in a cache.
 */
import { bytesOf, isFloat } from '../../ir/dtype.js';
import { expressionsOf, type Kernel, type KernelParam, type Stmt, walkExpr } from '../../ir/kernel.js';
import type { ScalarFn } from '../../ir/scalar.js';
import { type Ceilings, streamRate } from './ceilings.js';
import type { CountedLaunch } from './launches.js';

export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}
export interface KernelCost extends Cost {
  /** How often each function is called that is more than one operation. */
  readonly calls: ReadonlyMap<ScalarFn, number>;
}

/** Operations of functions that are more than one; a division or root occupies its unit for about as long as these many. */
const operations: Partial<Record<ScalarFn, number>> = {
  div: 4,
  sqrt: 4,
  rem: 8,
  exp: 14,
  expm1: 18,
  log: 20,
  log1p: 22,
  log2: 20,
  log10: 20,
  sin: 24,
  cos: 24,
  tan: 30,
  tanh: 18,
  sigmoid: 20,
  erf: 24,
  pow: 45,
};

export function costOf(kernel: Kernel): KernelCost {
  const counter = new Counter();
  counter.count(kernel.body, 1);
  const bytes = kernel.params.map(param => trafficOf(param, counter.accesses.get(param.buffer.name) ?? 0));
  return { flops: counter.flops, bytes: bytes.reduce((sum, b) => sum + b, 0), calls: counter.calls };
}

/** A gather touches no more elements than it loads. */
function trafficOf({ buffer, access }: KernelParam, accesses: number): number {
  return Math.min(buffer.size * (access === 'readwrite' ? 2 : 1), accesses) * bytesOf(buffer.dtype);
}

class Counter {
  flops = 0;
  readonly calls = new Map<ScalarFn, number>();
  /** Loads and stores by name of the buffer. */
  readonly accesses = new Map<string, number>();

  count(stmts: readonly Stmt[], times: number): void {
    for (const stmt of stmts) {
      for (const expr of expressionsOf(stmt)) this.expression(expr, times);
      if (stmt.kind === 'loop') this.count(stmt.body, times * stmt.iter.extent);
      else if (stmt.kind === 'alloc') this.count(stmt.body, times);
      else if (stmt.kind === 'if') {
        this.count(stmt.then, times);
        this.count(stmt.otherwise, times);
      } else if (stmt.kind === 'store' || stmt.kind === 'reduce') {
        this.access(stmt.buffer.name, times * (stmt.kind === 'reduce' ? 2 : 1));
        if (stmt.kind === 'reduce' && isFloat(stmt.buffer.dtype)) this.flops += times;
      }
    }
  }

  private expression(root: Parameters<typeof walkExpr>[0], times: number): void {
    walkExpr(root, expr => {
      if (expr.kind === 'load') this.access(expr.buffer.name, times);
      if (expr.kind === 'call' && expr.dtype !== 'index' && isFloat(expr.dtype)) this.call(expr.fn, times);
    });
  }

  private call(fn: ScalarFn, times: number): void {
    this.flops += times * (operations[fn] ?? 1);
    if (operations[fn] !== undefined) this.calls.set(fn, (this.calls.get(fn) ?? 0) + times);
  }

  private access(buffer: string, times: number): void {
    this.accesses.set(buffer, (this.accesses.get(buffer) ?? 0) + times);
  }
}

export function totalCost(launches: readonly CountedLaunch[]): Cost {
  const costs = launches.map(({ launch, runs }) => ({ ...costOf(launch.kernel), runs }));
  return {
    flops: costs.reduce((sum, { flops, runs }) => sum + runs * flops, 0),
    bytes: costs.reduce((sum, { bytes, runs }) => sum + runs * bytes, 0),
  };
}

/** What each of a kernel's needs takes by itself, in milliseconds. */
export interface Limits {
  /** Plain operations. */
  readonly arithmetic: number;
  /** Functions whose rate is measured. */
  readonly functions: number;
  readonly memory: number;
}

export function limitsOf(kernel: Kernel, ceilings: Ceilings, fused: boolean): Limits {
  const gflops = (fused && ceilings.fusedGflops) || ceilings.mulAddGflops;
  const { flops, bytes, calls } = costOf(kernel);
  let plain = flops;
  let functions = 0;
  for (const [fn, count] of calls) {
    const rate = ceilings.functions[fn];
    if (rate === undefined) continue;
    plain -= count * operations[fn]!;
    functions += count / rate / 1e6;
  }
  return { arithmetic: plain / gflops / 1e6, functions, memory: bytes / streamRate(ceilings, bytes) / 1e6 };
}

/** Computing and moving overlap; computing this and that does not. */
export const leastMs = ({ arithmetic, functions, memory }: Limits): number => Math.max(arithmetic + functions, memory);

/** The least milliseconds of kernels on a machine with these ceilings. */
export const rooflineMs = (launches: readonly CountedLaunch[], ceilings: Ceilings, fused: boolean): number =>
  launches.reduce((sum, { launch, runs }) => sum + runs * leastMs(limitsOf(launch.kernel, ceilings, fused)), 0);
