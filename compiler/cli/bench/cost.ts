/**
 * What kernels cost at least, counted from their plain form: floating point operations, and bytes between them and memory.
 *
 * A function that is computed by a polynomial counts as the operations of its vector form. What is the same in every step of
 * a loop counts once for all of them, and what several loops over a row have in common once for the row. Elements outside a
 * padded window count as others do. Memory is counted once for each element of each tensor: what is read again is taken to be
 * in a cache.
 */
import { keepRows } from '../../../backends/wasm/keep-rows.js';
import { bytesOf, isFloat } from '../../ir/dtype.js';
import {
  childrenOf,
  type Expr,
  expressionsOf,
  type Iter,
  type Kernel,
  type KernelParam,
  type Stmt,
} from '../../ir/kernel.js';
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
  const counter = new Counter(
    new Set(kernel.params.filter(({ access }) => access === 'read').map(param => param.buffer.name)),
  );
  counter.count(keepRows.run(kernel, { note() {} }).body, []);
  const bytes = kernel.params.map(param => trafficOf(param, counter.accesses.get(param.buffer.name) ?? 0));
  return { flops: counter.flops, bytes: bytes.reduce((sum, b) => sum + b, 0), calls: counter.calls };
}

/** A gather touches no more elements than it loads. */
function trafficOf({ buffer, access }: KernelParam, accesses: number): number {
  return Math.min(buffer.size * (access === 'readwrite' ? 2 : 1), accesses) * bytesOf(buffer.dtype);
}

const steps = (loops: readonly Iter[]): number => loops.reduce((product, { extent }) => product * extent, 1);

class Counter {
  flops = 0;
  readonly calls = new Map<ScalarFn, number>();
  /** Loads and stores by name of the buffer. */
  readonly accesses = new Map<string, number>();

  /** `constants`: the names of buffers that nothing writes. */
  constructor(private readonly constants: ReadonlySet<string>) {}

  count(stmts: readonly Stmt[], loops: readonly Iter[]): void {
    for (const stmt of stmts) {
      const seen = new Map<Expr, readonly Iter[]>();
      for (const expr of expressionsOf(stmt)) this.expression(expr, loops, seen);
      if (stmt.kind === 'loop') this.count(stmt.body, [...loops, stmt.iter]);
      else if (stmt.kind === 'alloc') this.count(stmt.body, loops);
      else if (stmt.kind === 'if') {
        this.count(stmt.then, loops);
        this.count(stmt.otherwise, loops);
      } else if (stmt.kind === 'store' || stmt.kind === 'reduce') {
        this.access(stmt.buffer.name, steps(loops) * (stmt.kind === 'reduce' ? 2 : 1));
        if (stmt.kind === 'reduce' && isFloat(stmt.buffer.dtype)) this.flops += steps(loops);
      }
    }
  }

  /** Counts all that an expression is made of; the loops in whose steps it differs. */
  private expression(expr: Expr, loops: readonly Iter[], seen: Map<Expr, readonly Iter[]>): readonly Iter[] {
    const known = seen.get(expr);
    if (known !== undefined) return known;
    const parts = new Set(childrenOf(expr).flatMap(child => this.expression(child, loops, seen)));
    const changes = expr.kind === 'load' && !this.constants.has(expr.buffer.name);
    const own = loops.filter(iter => changes || parts.has(iter) || (expr.kind === 'iter' && expr.iter === iter));
    seen.set(expr, own);
    if (expr.kind === 'load') this.access(expr.buffer.name, steps(own));
    if (expr.kind === 'call' && expr.dtype !== 'index' && isFloat(expr.dtype)) this.call(expr.fn, steps(own));
    return own;
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
