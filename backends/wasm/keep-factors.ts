/**
 * What follows a contraction may hold factors that only some of its counters change, as a normalisation over channels
 * does. Each tile would compute them again, and a division or root keeps its unit busy for as long as a dozen products:
 * those that take one are computed once, before the contraction.
 *
 *   parallel i<32: parallel j<12544: …          alloc local factor[32]:
 *     out[…] = acc / sqrt(var[i])        ->       parallel i<32: store factor[i] = 1 / sqrt(var[i])
 *                                                 parallel i<32: parallel j<12544: … out[…] = acc * load factor[i]
 */
import {
  alloc,
  type Buffer,
  type Expr,
  type Iter,
  iterOf,
  itersOf,
  type Kernel,
  load,
  makeIter,
  mapExpr,
  mapStmtExprs,
  nest,
  type Stmt,
  sameExpr,
  store,
  substitute,
  walkExpr,
  withBody,
} from '../../compiler/ir/kernel.js';
import { rowMajorOf } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { loadsIn } from './accesses.js';
import { contractionOf } from './contraction.js';
import { isInBounds } from './frame.js';
import { type Contraction, sidesOf, sizeOf } from './operand.js';
import { isLongFunction } from './scalar.js';

export const keepFactors: Pass<Kernel> = {
  name: 'keep-factors',
  doc: 'Divisions, roots and longer functions after a contraction that few of its elements differ in are done before it.',
  run(kernel, context) {
    const read = new Set(kernel.params.filter(({ access }) => access === 'read').map(({ buffer }) => buffer));
    return withBody(
      kernel,
      kernel.body.map(stmt => {
        const contraction = contractionOf(stmt);
        return contraction === null ? stmt : new Factors(contraction, read, context).around(stmt);
      }),
    );
  },
};

/** Elements of the output below which the threads that wait for the factors lose what is won. */
const MANY = 1 << 14;
/** Elements of the output for each element of a factor: as many as a tile is wide find it computed anyway. */
const OFTEN = 16;

interface Factor {
  readonly value: Expr;
  /** The counters that change it. */
  readonly iters: readonly Iter[];
  readonly buffer: Buffer;
}

class Factors {
  private readonly found: Factor[] = [];
  /** Counters of the outermost loops: what only they change is computed there. */
  private readonly outermost: readonly Iter[];

  constructor(
    private readonly contraction: Contraction,
    private readonly read: ReadonlySet<Buffer>,
    private readonly context: PassContext,
  ) {
    this.outermost = sidesOf(contraction).batch;
  }

  around(stmt: Stmt): Stmt {
    if (sizeOf(this.contraction.parallel) < MANY) return stmt;
    let whole = this.replacedIn(stmt);
    for (const factor of this.found) whole = alloc(factor.buffer, [...fillOf(factor), whole]);
    return whole;
  }

  private replacedIn(stmt: Stmt): Stmt {
    if (stmt.kind === 'loop' || stmt.kind === 'alloc')
      return withBody(
        stmt,
        stmt.body.map(inner => this.replacedIn(inner)),
      );
    if (!this.contraction.epilogue.some(end => end === stmt)) return stmt;
    return mapStmtExprs(stmt, root => mapExpr(root, expr => this.factor(expr)));
  }

  /** A load of what was computed before, where it was. */
  private factor(value: Expr): Expr | null {
    const iters = this.itersOfFactor(value);
    if (iters === null) return null;
    let factor = this.found.find(other => sameExpr(other.value, value));
    if (factor === undefined) {
      const size = sizeOf(iters);
      factor = { value, iters, buffer: { name: 'factor', dtype: 'float32', size, scope: 'local' } };
      this.found.push(factor);
      this.context.note(`keeps factor[${size}]`, 'each tile would compute it again');
    }
    return load(factor.buffer, rowMajorOf(iters));
  }

  private itersOfFactor(value: Expr): Iter[] | null {
    if (value.dtype !== 'float32' || !takesLong(value)) return null;
    const { parallel } = this.contraction;
    const own = itersOf(value);
    const iters = parallel.filter(iter => own.has(iter));
    const isWorth = sizeOf(iters) * OFTEN <= sizeOf(parallel) && iters.some(iter => !this.outermost.includes(iter));
    return isWorth && loadsIn([value]).every(({ buffer, index }) => this.isThere(buffer, index)) ? iters : null;
  }

  private isThere(buffer: Buffer, index: Expr): boolean {
    return this.read.has(buffer) && isInBounds(buffer, index);
  }
}

function fillOf({ value, iters, buffer }: Factor): Stmt[] {
  const own = iters.map(({ name, extent }) => makeIter(name, extent));
  const values = new Map(iters.map((iter, i) => [iter, iterOf(own[i])]));
  return nest(own, 'parallel', [store(buffer, rowMajorOf(own), substitute(value, values))]);
}

function takesLong(root: Expr): boolean {
  let found = false;
  walkExpr(root, expr => {
    found ||= expr.kind === 'call' && expr.dtype === 'float32' && isLong(expr);
  });
  return found;
}

const isLong = ({ fn, dtype }: Extract<Expr, { kind: 'call' }>): boolean =>
  fn === 'div' || fn === 'sqrt' || isLongFunction(fn, dtype);
