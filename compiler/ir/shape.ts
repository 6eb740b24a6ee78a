/**
 * Dims and shapes: row-major strides, broadcasting, normalisation of negative dims.
 *
 * `Dim` is a type of its own, today a number of elements; a bounded symbol may join it, so code should go through the
 * functions here instead of assuming arithmetic on numbers wherever a shape is only passed along.
 */
import { fail } from '../errors.js';

export type Dim = number;
export type Shape = readonly Dim[];

/** Number of elements of a shape; 1 for `[]`. */
export function numel(shape: Shape): number {
  let count = 1;
  for (const dim of shape) count *= dim;
  return count;
}

/** Row-major strides in elements. As in PyTorch, a dim of size 0 counts as 1. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= Math.max(shape[d], 1);
  }
  return strides;
}

/** May two positions lie in one place? After PyTorch's `_maybe_overlapping_memory`: a yes may be wrong, a no may not. */
export function mayOverlap(shape: Shape, strides: readonly number[]): boolean {
  if (numel(shape) === 0) return false;
  const dims = shape.map((_, d) => d).filter(d => shape[d] > 1);
  let reach = 0;
  for (const d of dims.sort((a, b) => strides[a] - strides[b])) {
    if (strides[d] <= reach) return true;
    reach += strides[d] * (shape[d] - 1);
  }
  return false;
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i]);
export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** The shape both broadcast to. Throws E102 where a pair of sizes differs and neither is 1. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Dim[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<Dim>(rank);
  for (let d = 0; d < rank; d++) {
    const m = a[a.length - rank + d] ?? 1;
    const n = b[b.length - rank + d] ?? 1;
    if (m !== n && m !== 1 && n !== 1) fail('E102', { op, a: formatShape(a), b: formatShape(b), m, n, dim: d });
    out[d] = m === 1 ? n : m;
  }
  return out;
}

/** A dim in [0, rank) from one in [-rank, rank). A 0-d tensor is treated as having one dim. Throws E101. */
export function normalizeDim(op: string, dim: number, rank: number): number {
  const span = Math.max(rank, 1);
  if (!Number.isInteger(dim) || dim < -span || dim >= span) fail('E101', { op, low: -span, high: span - 1, dim });
  return dim < 0 ? dim + span : dim;
}

/** Several dims, normalised and ascending; `null` or an empty list means all. Throws E101, and E104 for a repeated dim. */
export function normalizeDims(op: string, dims: number | readonly number[] | null | undefined, rank: number): number[] {
  const list = dims === null || dims === undefined ? [] : typeof dims === 'number' ? [dims] : dims;
  if (list.length === 0) return Array.from({ length: rank }, (_, d) => d);
  const out = list.map(dim => normalizeDim(op, dim, rank));
  const seen = new Set<number>();
  for (const dim of out) {
    if (seen.has(dim)) fail('E104', { op, dim });
    seen.add(dim);
  }
  return rank === 0 ? [] : out.sort((a, b) => a - b);
}

/** A shape in which one size may be -1, inferred from the element count. Throws E105. */
export function inferSize(op: string, wanted: readonly number[], count: number): Dim[] {
  let known = 1;
  let hole = -1;
  for (const [d, dim] of wanted.entries()) {
    if (dim === -1 && hole < 0) hole = d;
    else if (dim < 0 || !Number.isInteger(dim)) fail('E106', { op, wanted: formatShape(wanted), dim });
    else known *= dim;
  }
  const out = [...wanted];
  if (hole >= 0) {
    if (known === 0 || count % known !== 0) fail('E105', { op, wanted: formatShape(wanted), count });
    out[hole] = count / known;
  } else if (known !== count) fail('E105', { op, wanted: formatShape(wanted), count });
  return out;
}
