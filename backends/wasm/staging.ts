/**
 * Staging: an operand of a contraction evaluated ahead into scratch memory, laid out as the tile wants to read it.
 *
 * The operand may be any expression: guarded loads, casts, inlined pointwise prologues. What matters is through which
 * *coordinates* it reads its loop counters. In `select(inside, load x[c*H*W + (oh+kh-2)*W + (ow+kw-2)], 0)` these are
 * c, oh+kh and ow+kw: every index sum holds oh and kh in the same proportion, and their ranges overlap. The operand is
 * evaluated once for each value of each coordinate, so padding, transposes, casts and prologues cost little, and an
 * image is padded rather than unfolded:
 *
 *   … mul(select(inside(oh+kh, ow+kw), load x[…], 0), …)
 * ->
 *   alloc local staged[C*20*20]:
 *     parallel c, h<20, w<20: store staged[c*400 + h*20 + w] = select(inside(h, w), load x[…], 0)
 *   … mul(load staged[c*400 + (oh+kh)*20 + (ow+kw)], …)
 *
 * Where lanes move a coordinate by several, as in a convolution of stride 2, its positions are laid out by their remainder:
 * first the even ones, then the odd ones. So lanes are next to each other, and each position is there once for all taps.
 */

import { arith as s } from '../../compiler/ir/arith.js';
import {
  addIndex,
  type Buffer,
  type Expr,
  floorDivIndex,
  type Iter,
  index,
  iterOf,
  load,
  makeIter,
  modIndex,
  mulIndex,
  nest,
  type Stmt,
  select,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import { sumsIn } from './linear.js';

/** A sum of counters with fixed factors that an expression reads as one number, counted from 0. */
export interface Coordinate {
  readonly members: readonly Member[];
  readonly min: number;
  readonly extent: number;
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

interface Member {
  readonly iter: Iter;
  readonly factor: number;
}

/**
 * The coordinates through which `expr` reads `iters`; counters it does not read are in none. Counters in the same
 * proportion in all sums could share a coordinate; they do where their ranges overlap, as those of a window and of its
 * place do, while those of rows and columns of a matrix do not.
 */
export function coordinatesOf(expr: Expr, iters: readonly Iter[]): Coordinate[] {
  const sums = sumsIn([expr]);
  const proportional = new Map<string, Member[]>();
  for (const iter of iters) {
    const coefficients = sums.map(sum => sum.get(iter) ?? 0);
    const common = coefficients.reduce(gcd, 0);
    if (common === 0) continue;
    const sign = Math.sign(coefficients.find(c => c !== 0)!);
    const key = coefficients.map(c => (c * sign) / common).join();
    proportional.set(key, [...(proportional.get(key) ?? []), { iter, factor: sign * common }]);
  }
  return [...proportional.values()]
    .flatMap(overlapping)
    .flatMap(members => coordinate(members) ?? members.map(({ iter }) => single(iter)));
}

/**
 * Split counters of one proportion where the steps of one reach beyond all smaller ones together; largest steps first.
 */
function overlapping(members: readonly Member[]): Member[][] {
  const clusters: Member[][] = [];
  let reach = -1;
  for (const member of [...members].sort((a, b) => Math.abs(a.factor) - Math.abs(b.factor))) {
    const step = Math.abs(member.factor);
    if (reach >= step) clusters[0].push(member);
    else {
      clusters.unshift([member]);
      reach = 0;
    }
    reach += step * (member.iter.extent - 1);
  }
  return clusters;
}

/** Null where no member moves the coordinate by one: then its values cannot be reached through one counter. */
function coordinate(members: readonly Member[]): Coordinate | null {
  const unit = members.map(member => member.factor).reduce(gcd, 0);
  const scaled = members.map(({ iter, factor }) => ({ iter, factor: factor / unit }));
  if (scaled.every(({ factor }) => Math.abs(factor) !== 1)) return null;
  const ends = scaled.map(({ iter, factor }) => factor * (iter.extent - 1));
  const min = ends.reduce((sum, end) => sum + Math.min(0, end), 0);
  const max = ends.reduce((sum, end) => sum + Math.max(0, end), 0);
  return { members: scaled, min, extent: max - min + 1 };
}

export const single = (iter: Iter): Coordinate => ({ members: [{ iter, factor: 1 }], min: 0, extent: iter.extent });
export const holds = (axis: Coordinate, iter: Iter): boolean => axis.members.some(member => member.iter === iter);

/** The coordinate as an index expression, counted from 0. */
const positionOf = ({ members, min }: Coordinate): Expr =>
  members.reduce<Expr>((sum, { iter, factor }) => addIndex(sum, mulIndex(iterOf(iter), factor)), index(-min));

/** The same counters, so that `axis` has the value `position`: one moves, the others stand at 0. */
function counters({ members, min }: Coordinate, position: Expr): [Iter, Expr][] {
  const moving = members.find(({ factor }) => Math.abs(factor) === 1)!;
  return members.map(member => [
    member.iter,
    member === moving ? mulIndex(addIndex(position, min), member.factor) : index(0),
  ]);
}

/** How the innermost axis is laid out: as it is, or cut into panels of a width that lie one behind the other. */
export interface Layout {
  readonly lane: Iter;
  /** Elements of the lane axis that lie together; 0 keeps the axis whole. */
  readonly panel: number;
}

export interface Staged {
  readonly buffer: Buffer;
  /** Fills the buffer. */
  readonly fill: readonly Stmt[];
  /** The operand, read from the buffer. */
  readonly value: Expr;
}

/** How a staged operand is laid out: the lane's axis last, its positions by their remainder modulo `phases`. */
interface Axes {
  readonly others: readonly Coordinate[];
  readonly last: Coordinate;
  readonly phases: number;
}

/** One loop fills each phase. */
const MOST_PHASES = 4;
/** Longer windows are cheaper to stage once for each tap than to find the phase of at every step: 5 % for 7 taps. */
const LONGEST_WINDOW = 4;

/** The axes of a staged operand: the lane's last, alone where it is cut into panels or moved by too many. */
export function axesOf(expr: Expr, iters: readonly Iter[], { lane, panel }: Layout): Axes {
  const all = coordinatesOf(expr, iters);
  const last = all.find(axis => holds(axis, lane));
  const phases = last?.members.find(member => member.iter === lane)?.factor ?? 0;
  if (last && isWhole(last, lane, phases, panel)) return { others: all.filter(axis => axis !== last), last, phases };
  const rest = iters.filter(iter => iter !== lane);
  return { others: coordinatesOf(expr, rest), last: single(lane), phases: 1 };
}

function isWhole({ members }: Coordinate, lane: Iter, phases: number, panel: number): boolean {
  const others = members.filter(({ iter }) => iter !== lane);
  if (phases === 1) return panel === 0 || others.length === 0;
  const isShort = others.every(({ iter }) => iter.extent <= LONGEST_WINDOW);
  return panel === 0 && phases > 1 && phases <= MOST_PHASES && isShort;
}

/** Elements of one row, or of one panel of it. */
const widthOf = ({ last, phases }: Axes, { panel }: Layout): number =>
  panel === 0 ? Math.ceil(last.extent / phases) * phases : panel;

export function stagedSize(axes: Axes, layout: Layout): number {
  const width = widthOf(axes, layout);
  return axes.others.reduce((size, axis) => size * axis.extent, 1) * Math.ceil(axes.last.extent / width) * width;
}

/**
 * Evaluate `expr` over the coordinates of `iters` into a local buffer. Panels beyond the end of the lane axis hold 0.
 */
export function stage(name: string, expr: Expr, iters: readonly Iter[], layout: Layout): Staged {
  const axes = axesOf(expr, iters, layout);
  const { others, last, phases } = axes;
  const buffer: Buffer = { name, dtype: 'float32', size: stagedSize(axes, layout), scope: 'local' };
  const width = widthOf(axes, layout);
  const rowSize = others.reduce((size, axis) => size * axis.extent, 1) * width;
  const inRow = (position: Expr): Expr =>
    addIndex(mulIndex(modIndex(position, phases), width / phases), floorDivIndex(position, phases));
  const place = (outer: readonly Expr[], inner: Expr): Expr => {
    const row = others.reduce<Expr>((sum, axis, i) => addIndex(mulIndex(sum, axis.extent), outer[i]), index(0));
    const position = inRow(modIndex(inner, width));
    return addIndex(addIndex(mulIndex(floorDivIndex(inner, width), rowSize), mulIndex(row, width)), position);
  };
  const outer = others.map((axis, i) => makeIter(`${name}${i}`, axis.extent));
  const panel = makeIter(`${name}p`, Math.ceil(last.extent / width));
  const fillPhase = (phase: number): Stmt[] => {
    const steps = layout.panel === 0 ? Math.ceil((last.extent - phase) / phases) : width;
    const within = makeIter(`${name}w`, steps);
    const position = addIndex(mulIndex(iterOf(within), phases), phase);
    const inner = addIndex(mulIndex(iterOf(panel), width), position);
    const values = new Map([
      ...others.flatMap((axis, i) => counters(axis, iterOf(outer[i]))),
      ...counters(last, inner),
    ]);
    const evaluated = substitute(expr, values);
    const isPadded = layout.panel > 0 && panel.extent * width > last.extent;
    const value = isPadded
      ? select(s.lt(inner, last.extent), evaluated, { kind: 'const', dtype: 'float32', value: 0 })
      : evaluated;
    return nest([within], 'parallel', [store(buffer, place(outer.map(iterOf), inner), value)]);
  };
  const fill = nest(
    [panel, ...outer],
    'parallel',
    Array.from({ length: Math.min(phases, last.extent) }, (_, phase) => fillPhase(phase)).flat(),
  );
  return { buffer, fill, value: load(buffer, place(others.map(positionOf), positionOf(last))) };
}
