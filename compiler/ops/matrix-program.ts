/**
 * What factorisations are written with: programs that work on one matrix at a time, in memory of their own.
 *
 *   const A = new Matrix('A', dtype, n, n), pivot = new Cell('pivot', dtype);
 *   declare([A, pivot], [each('row', n, r => [A.set(r, r, s.div(A.get(r, r), pivot.get()))])])
 */
import { fail } from '../errors.js';
import type { DType } from '../ir/dtype.js';
import { isFloat } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import {
  addIndex,
  alloc,
  type Buffer,
  cast,
  type Expr,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  mulIndex,
  reduce,
  type Stmt,
  store,
} from '../ir/kernel.js';
import { formatShape, type Shape } from '../ir/shape.js';

/** A matrix in memory of the program. */
export class Matrix {
  readonly buffer: Buffer;
  constructor(
    name: string,
    dtype: DType,
    rows: number,
    readonly columns: number,
  ) {
    this.buffer = { name, dtype, size: rows * columns, scope: 'local' };
  }
  get(row: Expr, column: Expr): Expr {
    return load(this.buffer, this.#at(row, column));
  }
  set(row: Expr, column: Expr, value: Expr): Stmt {
    return store(this.buffer, this.#at(row, column), cast(this.buffer.dtype, value));
  }
  #at(row: Expr, column: Expr): Expr {
    return addIndex(mulIndex(row, this.columns), column);
  }
}

/** One variable of the program. */
export class Cell {
  readonly buffer: Buffer;
  constructor(name: string, dtype: DType) {
    this.buffer = { name, dtype, size: 1, scope: 'register' };
  }
  get(): Expr {
    return load(this.buffer, index(0));
  }
  set(value: Expr): Stmt {
    return store(this.buffer, index(0), cast(this.buffer.dtype, value));
  }
  add(value: Expr): Stmt {
    return reduce(this.buffer, index(0), 'add', cast(this.buffer.dtype, value));
  }
}

/** Statements with memory of their own. */
export const declare = (parts: readonly (Matrix | Cell)[], body: readonly Stmt[]): Stmt[] =>
  parts.reduceRight<Stmt[]>((inner, { buffer }) => [alloc(buffer, inner)], [...body]);

/** A loop in order; `limit` may end it early. */
export function each(name: string, extent: number, body: (i: Expr) => readonly Stmt[], limit?: Expr): Stmt {
  const iter = makeIter(name, extent);
  return loop(iter, 'serial', body(iterOf(iter)), limit ?? null);
}

/** Loops over the batch dims around the program of one matrix. */
export function perMatrix(batch: Shape, body: (at: readonly Expr[]) => readonly Stmt[]): readonly Stmt[] {
  const iters = batch.map((extent, d) => makeIter(`b${d}`, extent));
  return iters.reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, 'parallel', inner)], body(iters.map(iterOf)));
}

/** Batches of matrices of floats, and their size. */
export function checkMatrices(
  op: string,
  { shape, dtype }: TensorType,
): { batch: Shape; rows: number; columns: number } {
  if (shape.length < 2)
    fail('E107', { op, problem: `The input tensor A must have at least 2 dimensions, but is ${formatShape(shape)}` });
  if (!isFloat(dtype)) fail('E108', { op, problem: `is defined on floats, not on ${dtype}` });
  return { batch: shape.slice(0, -2), rows: shape[shape.length - 2], columns: shape[shape.length - 1] };
}

export function checkSquare(op: string, type: TensorType): void {
  const { rows, columns } = checkMatrices(op, type);
  if (rows !== columns)
    fail('E107', {
      op,
      problem: `A must be batches of square matrices, but they are ${formatShape([rows, columns])} matrices`,
    });
}
