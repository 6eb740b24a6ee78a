/**
 * The operands of a contraction: which counters are theirs alone, whether a tile can read them as they stand, and what
 * it costs to stage them otherwise. Here too is what the two kinds of tiles share.
 */
import {
  affineOf,
  alloc,
  type Buffer,
  constant,
  type Expr,
  type Iter,
  iterOf,
  itersOf,
  loop,
  makeIter,
  mapExpr,
  mapStmtExprs,
  type Stmt,
} from '../../compiler/ir/kernel.js';
import { isInBounds } from './frame.js';
import { strideOf } from './linear.js';
import { axesOf, type Layout, type Staged, stage, stagedSize } from './staging.js';
import type { Piece, Width } from './tile.js';

/** The parts of a contraction: out[parallel] = epilogue(sum over summed of left · right). */
export interface Contraction {
  readonly parallel: readonly Iter[];
  readonly summed: readonly Iter[];
  readonly accumulator: Buffer;
  readonly left: Expr;
  readonly right: Expr;
  readonly epilogue: readonly Extract<Stmt, { kind: 'store' }>[];
}

export interface Plan {
  readonly what: string;
  /** Estimated cycles. */
  readonly cost: number;
  /** Where its errors are larger than those of plain sums: bounds on both, as factors of max|a|·max|b|. */
  readonly rounding?: { readonly bound: number; readonly plain: number };
  /** For registers of such a width; its sums are added up in the same order for each. */
  build(width: Width): Stmt[];
}

/** By how much a plan is to differ from what the estimates say: the nth best tile, and stagings decided the other way. */
export interface Deviation {
  readonly tile: number;
  readonly rows: boolean;
  readonly columns: boolean;
}
export const asEstimated: Deviation = { tile: 0, rows: false, columns: false };
const otherTiles = 6;
/** Of these a measurement may find one better. */
export const deviations: readonly Deviation[] = Array.from({ length: otherTiles }, (_, tile) => tile).flatMap(tile =>
  [false, true].flatMap(rows => [false, true].map(columns => ({ tile, rows, columns }))),
);

/** The parallel counters by the operands that read them. */
export function sidesOf({ parallel, left, right }: Contraction): { batch: Iter[]; left: Iter[]; right: Iter[] } {
  const [inLeft, inRight] = [itersOf(left), itersOf(right)];
  return {
    batch: parallel.filter(iter => inLeft.has(iter) === inRight.has(iter)),
    left: parallel.filter(iter => inLeft.has(iter) && !inRight.has(iter)),
    right: parallel.filter(iter => inRight.has(iter) && !inLeft.has(iter)),
  };
}

/** One factor of the product, and the parallel counters only it reads. */
export interface Operand {
  readonly name: string;
  readonly value: Expr;
  readonly iters: readonly Iter[];
}

export const sizeOf = (iters: readonly { readonly extent: number }[]): number =>
  iters.reduce((size, { extent }) => size * extent, 1);
export const largest = (iters: readonly Iter[]): Iter | null =>
  iters.reduce<Iter | null>((a, b) => (a === null || b.extent > a.extent ? b : a), null);
export const without = (iters: readonly Iter[], ...some: readonly (Iter | null)[]): Iter[] =>
  iters.filter(iter => !some.includes(iter));

/**
 * The index of an operand that is a mere load which may always be made, moving evenly with all counters; null
 * otherwise.
 */
export function plainIndex(value: Expr): Expr | null {
  if (value.kind !== 'load' || value.dtype !== 'float32' || !isInBounds(value.buffer, value.index)) return null;
  return affineOf(value.index).terms.every(({ expr }) => expr.kind === 'iter') ? value.index : null;
}

/** Elements a strided read skips beyond which each step meets a new cache line, and panels pay off if read often. */
const FAR = 256;
const OFTEN = 8;
/** Scratch memory an operand may take, in elements. */
const MOST_STAGED = 1 << 24;
/** Cycles to evaluate and store one staged element: a copy by vectors, one through squares, or a guarded expression. */
const COPY_COST = 1;
const TRANSPOSE_COST = 1.5;
const EVALUATE_COST = 4;

/** Elements that the first and the second cache hold, less what else goes by. */
const NEAREST = 1 << 13;
const NEAR = 3 << 16;

/** Cycles that a tile waits for each vector of an operand that comes by again after so many elements. */
export function fetchCost(elements: number): number {
  if (elements <= NEAREST) return 0;
  return elements <= NEAR ? 0.25 : 0.4;
}

/** Must an operand be staged for `lane` to be contiguous? */
export function mustStage({ value }: Operand, lane: Iter | null): boolean {
  const at = plainIndex(value);
  return at === null || (lane !== null && strideOf(at, lane) !== 1);
}

/** Whether an operand that need not be staged should be, given how often each element is read. */
export function paysToStage({ value }: Operand, summed: readonly Iter[], reads: number): boolean {
  const at = plainIndex(value)!;
  return reads >= OFTEN && summed.some(k => Math.abs(strideOf(at, k) ?? 0) >= FAR && k.extent >= OFTEN);
}

export interface StagingPlan {
  readonly cost: number;
  stage(): Staged;
  readonly panel: number;
}

/** Stage `operand` over `iters`, its lane counter innermost; null if that takes too much memory. */
export function planStaging(operand: Operand, iters: readonly Iter[], layout: Layout): StagingPlan | null {
  const axes = axesOf(operand.value, iters, layout);
  const size = stagedSize(axes, layout);
  if (size > MOST_STAGED) return null;
  const cost = size * costOfElement(plainIndex(operand.value), iters, layout.lane);
  return { cost, panel: layout.panel, stage: () => stage(operand.name, operand.value, iters, layout) };
}

function costOfElement(copied: Expr | null, iters: readonly Iter[], lane: Iter): number {
  if (copied === null) return EVALUATE_COST;
  if (strideOf(copied, lane) === 1) return COPY_COST;
  return iters.some(iter => strideOf(copied, iter) === 1) ? TRANSPOSE_COST : EVALUATE_COST;
}

// ── what all tiles share ────────────────────────────────────────────────────────────────────────────────────────────

export const staged = (operand: Staged | undefined, body: readonly Stmt[]): Stmt[] =>
  operand === undefined ? [...body] : [alloc(operand.buffer, [...operand.fill, ...body])];

export const register = (name: string, size: number): Buffer => ({ name, dtype: 'float32', size, scope: 'register' });
export const zero = constant('float32', 0);

/** For each row of a tile, unrolled; for each of its columns, written out. */
export function eachElement(rows: Piece, columns: Piece, body: (row: Expr, column: number) => Stmt[]): Stmt {
  const r = makeIter('r', rows.count);
  return loop(r, 'unroll', Array.from({ length: columns.count }, (_, c) => body(iterOf(r), c)).flat());
}

/** The statements after the sum, for one element whose sum is `value`. */
export function epilogueAt(
  { epilogue, accumulator }: Contraction,
  values: ReadonlyMap<Iter, Expr>,
  value: Expr,
): Extract<Stmt, { kind: 'store' }>[] {
  const rewrite = (expr: Expr): Expr =>
    mapExpr(expr, part => {
      if (part.kind === 'load' && part.buffer === accumulator) return value;
      return part.kind === 'iter' ? (values.get(part.iter) ?? null) : null;
    });
  return epilogue.map(stmt => mapStmtExprs(stmt, rewrite) as typeof stmt);
}
