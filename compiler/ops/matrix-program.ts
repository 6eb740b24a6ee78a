/**
 * What factorisations are written with: programs that work on one matrix at a time, in memory of their own.
 *
 *   const A = new Matrix('A', dtype, n, n), pivot = new Cell('pivot', dtype);
 *   declare([A, pivot], [each('row', n, r => [A.set(r, r, s.div(A.get(r, r), pivot.get()))])])
 */
import { fail } from '../errors.js';
import type { DType } from '../ir/dtype.js';
import { isFloat } from '../ir/dtype.js';
import type { Attrs, TensorType } from '../ir/graph.js';
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
import type { ProgramLowering } from './define.js';

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

/** A row of values in memory of the program. */
export class Vector {
  readonly buffer: Buffer;
  constructor(name: string, dtype: DType, size: number) {
    this.buffer = { name, dtype, size, scope: 'local' };
  }
  get(i: Expr): Expr {
    return load(this.buffer, i);
  }
  set(i: Expr, value: Expr): Stmt {
    return store(this.buffer, i, cast(this.buffer.dtype, value));
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
export const declare = (parts: readonly { readonly buffer: Buffer }[], body: readonly Stmt[]): Stmt[] =>
  parts.reduceRight<Stmt[]>((inner, { buffer }) => [alloc(buffer, inner)], [...body]);

/** A loop in order; `limit` may end it early. */
export function each(name: string, extent: number, body: (i: Expr) => readonly Stmt[], limit?: Expr): Stmt {
  const iter = makeIter(name, extent);
  return loop(iter, 'serial', body(iterOf(iter)), limit ?? null);
}

/** One matrix of a batch as a program reads and writes it. */
export interface MatrixAccess {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: DType;
  read(row: Expr, column: Expr): Expr;
  write(row: Expr, column: Expr, value: Expr): Stmt;
  /** What has been written. */
  written(row: Expr, column: Expr): Expr;
}

/** The lowering of an op that makes a matrix of each matrix: batches run in parallel. */
export const perMatrix = (program: (matrix: MatrixAccess, attrs: Attrs) => readonly Stmt[]): ProgramLowering => ({
  kind: 'program',
  build({ inputs: [A], attrs, type, out }) {
    const iters = type.shape.slice(0, -2).map((extent, d) => makeIter(`b${d}`, extent));
    const batch = iters.map(iterOf);
    const [rows, columns] = A.type.shape.slice(-2);
    const access: MatrixAccess = {
      rows,
      columns,
      dtype: type.dtype,
      read: (row, column) => A.at([...batch, row, column]),
      write: (row, column, value) => out.store([...batch, row, column], value),
      written: (row, column) => out.load([...batch, row, column]),
    };
    return iters.reduceRight<readonly Stmt[]>(
      (inner, iter) => [loop(iter, 'parallel', inner)],
      [...program(access, attrs)],
    );
  },
});

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
