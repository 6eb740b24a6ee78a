/**
 * How many machine instructions a scheduled kernel runs, counted from its loops: what comparing, choosing, loading and looping
 * take is no floating point operation, but takes its turn. A vector is one instruction, what does not change in a loop is
 * before it, sums of counters are parts of addresses.
 */
import { LANES } from '../../backends/wasm/emit-vector.js';
import { strideOf } from '../../backends/wasm/linear.js';
import { bytesOf } from '../../compiler/ir/dtype.js';
import { type Buffer, childrenOf, type Expr, type Iter, type Kernel, type Stmt } from '../../compiler/ir/kernel.js';
import type { ScalarFn } from '../../compiler/ir/scalar.js';

type Call = Extract<Expr, { kind: 'call' }>;
type Load = Extract<Expr, { kind: 'load' }>;
type Loop = Extract<Stmt, { kind: 'loop' }>;

/** A comparison and a branch, and about two counters that move. */
const perIteration = 4;
/** A choice between two vectors by a mask: two and, one or. */
const choice = 3;
/** Of two numbers, either of which may be NaN: a comparison, the smaller or larger, a choice. */
const extreme = 2 + choice;
/** A load is often part of the instruction that takes what it loads. */
const operandOfAnother = 0.5;
/** What the longer functions come to in instructions; a division keeps its unit as long as these many take. */
const long: Partial<Record<ScalarFn, number>> = {
  div: 5,
  sqrt: 6,
  rem: 12,
  exp: 20,
  expm1: 26,
  log: 30,
  log1p: 32,
  tanh: 24,
  sigmoid: 24,
  erf: 30,
  sin: 34,
  cos: 34,
  pow: 70,
};

export const instructionsOf = ({ body }: Kernel): number => count(body, []);

/** Of so many calls of a function, in vectors. */
export const instructionsOfCalls = (fn: ScalarFn, calls: number): number => ((long[fn] ?? 1) * calls) / LANES;

const count = (stmts: readonly Stmt[], loops: readonly Loop[]): number =>
  stmts.reduce((sum, stmt) => sum + ofStatement(stmt, loops), 0);

function ofStatement(stmt: Stmt, loops: readonly Loop[]): number {
  switch (stmt.kind) {
    case 'loop': {
      const isWritten = stmt.map === 'vector' || stmt.map === 'unroll';
      const inside = [...loops, stmt];
      return (isWritten ? 0 : perIteration * timesAll(inside)) + count(stmt.body, inside);
    }
    case 'alloc':
      return count(stmt.body, loops);
    case 'if':
      return timesAll(loops) + count(stmt.then, loops) + count(stmt.otherwise, loops);
    case 'store':
    case 'reduce': {
      const combining = stmt.kind === 'store' ? 0 : stmt.fn === 'min' || stmt.fn === 'max' ? extreme : 1;
      return ofExpression(stmt.value, loops) + timesAll(loops) * (combining + storing(stmt.buffer, stmt.index, loops));
    }
    case 'allreduce':
    case 'barrier':
      return 0;
    default:
      return stmt satisfies never;
  }
}

/** What it takes to compute an expression, shared parts once. */
function ofExpression(root: Expr, loops: readonly Loop[]): number {
  const seen = new Map<Expr, ReadonlySet<Iter>>();
  let sum = 0;
  const visit = (expr: Expr): ReadonlySet<Iter> => {
    const known = seen.get(expr);
    if (known !== undefined) return known;
    const parts = new Set(childrenOf(expr).flatMap(child => [...visit(child)]));
    if (expr.kind === 'iter') parts.add(expr.iter);
    if (expr.kind === 'load' && expr.buffer.scope !== 'param') for (const { iter } of loops) parts.add(iter);
    seen.set(expr, parts);
    sum += times(loops, parts) * instructions(expr, loops);
    return parts;
  };
  visit(root);
  return sum;
}

const laneLoop = (loops: readonly Loop[]): Loop | undefined => loops.findLast(({ map }) => map === 'vector');

/** A vector of lanes is one step. */
const extentOf = ({ map, iter }: Loop): number => (map === 'vector' && iter.extent === LANES ? 1 : iter.extent);
const timesAll = (loops: readonly Loop[]): number => loops.reduce((product, loop) => product * extentOf(loop), 1);

/** How often something is computed that changes with these counters: in all loops around the innermost of those. */
function times(loops: readonly Loop[], counters: ReadonlySet<Iter>): number {
  const last = loops.findLastIndex(({ iter }) => counters.has(iter));
  return timesAll(loops.slice(0, last + 1).filter(({ map, iter }) => map !== 'unroll' || counters.has(iter)));
}

function instructions(expr: Expr, loops: readonly Loop[]): number {
  if (expr.kind === 'load') return loading(expr, loops);
  if (expr.dtype === 'index') return 0;
  const isWide = [expr, ...childrenOf(expr)].some(({ dtype }) => dtype === 'int64' || dtype === 'float64');
  const lanes = isWide && laneLoop(loops) !== undefined ? LANES : 1;
  if (expr.kind === 'cast') return lanes;
  if (expr.kind === 'select') return lanes * (expr.yes.kind === 'const' || expr.no.kind === 'const' ? 1 : choice);
  return expr.kind === 'call' ? lanes * ofCall(expr) : 0;
}

function ofCall({ fn, args, dtype }: Call): number {
  if (fn === 'min' || fn === 'max') return dtype === 'float32' && !args.some(arg => arg.kind === 'const') ? extreme : 1;
  return long[fn] ?? 1;
}

/** Every other element comes out of two vectors, scattered ones come one by one. */
function loading({ buffer, index }: Load, loops: readonly Loop[]): number {
  if (buffer.scope === 'register') return 0;
  const stride = laneStride(index, loops);
  if (stride === 0 || (stride === 1 && bytesOf(buffer.dtype) <= 4)) return operandOfAnother;
  return stride === 2 ? 3 : 2 * LANES;
}

function storing(buffer: Buffer, index: Expr, loops: readonly Loop[]): number {
  if (buffer.scope === 'register') return 0;
  const stride = laneStride(index, loops);
  return stride === 1 || laneLoop(loops) === undefined ? 1 : 2 * LANES;
}

function laneStride(index: Expr, loops: readonly Loop[]): number | null {
  const lane = laneLoop(loops);
  return lane === undefined ? 0 : strideOf(index, lane.iter);
}
