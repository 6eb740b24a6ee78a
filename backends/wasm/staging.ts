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
  loop,
  makeIter,
  modIndex,
  mulIndex,
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

/** The axes of a staged operand: the lane's last, alone where it is cut into panels or not moved in steps of one. */
export function axesOf(
  expr: Expr,
  iters: readonly Iter[],
  { lane, panel }: Layout,
): { others: Coordinate[]; last: Coordinate } {
  const all = coordinatesOf(expr, iters);
  const last = all.find(axis => holds(axis, lane));
  const whole =
    last?.members.find(member => member.iter === lane)?.factor === 1 && (panel === 0 || last.members.length === 1);
  if (last && whole) return { others: all.filter(axis => axis !== last), last };
  const rest = iters.filter(iter => iter !== lane);
  return { others: coordinatesOf(expr, rest), last: single(lane) };
}

export const stagedSize = ({ others, last }: ReturnType<typeof axesOf>, { panel }: Layout): number =>
  others.reduce((size, axis) => size * axis.extent, 1) *
  (panel === 0 ? last.extent : Math.ceil(last.extent / panel) * panel);

/**
 * Evaluate `expr` over the coordinates of `iters` into a local buffer. Panels beyond the end of the lane axis hold 0.
 */
export function stage(name: string, expr: Expr, iters: readonly Iter[], layout: Layout): Staged {
  const axes = axesOf(expr, iters, layout);
  const { others, last } = axes;
  const buffer: Buffer = { name, dtype: 'float32', size: stagedSize(axes, layout), scope: 'local' };
  const width = layout.panel === 0 ? last.extent : layout.panel;
  const panels = Math.ceil(last.extent / width);
  const rowSize = others.reduce((size, axis) => size * axis.extent, 1) * width;
  const place = (outer: readonly Expr[], inner: Expr): Expr => {
    const row = others.reduce<Expr>((sum, axis, i) => addIndex(mulIndex(sum, axis.extent), outer[i]), index(0));
    return addIndex(
      addIndex(mulIndex(floorDivIndex(inner, width), rowSize), mulIndex(row, width)),
      modIndex(inner, width),
    );
  };
  const outer = others.map((axis, i) => makeIter(`${name}${i}`, axis.extent));
  const [panel, within] = [makeIter(`${name}p`, panels), makeIter(`${name}w`, width)];
  const inner = addIndex(mulIndex(iterOf(panel), width), iterOf(within));
  const values = new Map([...others.flatMap((axis, i) => counters(axis, iterOf(outer[i]))), ...counters(last, inner)]);
  const evaluated = substitute(expr, values);
  const padded =
    panels * width > last.extent
      ? select(s.lt(inner, last.extent), evaluated, { kind: 'const', dtype: 'float32', value: 0 })
      : evaluated;
  const body = [store(buffer, place(outer.map(iterOf), inner), padded)];
  const fill = [panel, ...outer, within].reduceRight<Stmt[]>(
    (stmts, iter) => (iter.extent === 1 ? stmts : [loop(iter, 'parallel', stmts)]),
    body,
  );
  return { buffer, fill, value: load(buffer, place(others.map(positionOf), positionOf(last))) };
}
