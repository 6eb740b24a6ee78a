/**
 * Eigenvalues of symmetric matrices and singular values, by Jacobi's rotations: pairs of columns are turned until they are
 * orthogonal (G. Golub and C. Van Loan, "Matrix Computations", 8.5 and 8.6). As many sweeps over all pairs are made as
 * matrices of hundreds of rows need, since a kernel has no loop that ends by itself; columns that are orthogonal stay.
 *
 * What a rotation changes is added to what was there, so that rotations by small angles, which are most of them, lose nothing
 * (H. Rutishauser, "The Jacobi method for real symmetric matrices", 1966). Matrices of narrower floats are turned in float64.
 *
 * Derivatives follow J. Townsend, "Differentiating the singular value decomposition" (2016). Between equal values there is no
 * derivative of the vectors: those parts count as 0, so that functions of the values alone are right.
 */
import { type Arith, arith } from '../ir/arith.js';
import { type DType, precisionOf } from '../ir/dtype.js';
import { call, cast, constant, type Expr, index, type Stmt, select, when } from '../ir/kernel.js';
import { define, type Op } from './define.js';
import {
  Cell,
  checkMatrices,
  checkSquare,
  declare,
  each,
  Matrix,
  type MatrixAccess,
  perMatrix,
  Vector,
} from './matrix-program.js';
import { exactly, sample, sampleWithoutGradient, symmetricSample } from './samples.js';
import { where } from './selection.js';
import { cat } from './shape.js';
import type { Tensor } from './tensor.js';

const s: Arith = arith;
const sweeps = 15;

/** What matrices are turned in, and below which part of their size two columns count as orthogonal. */
const inside: DType = 'float64';
const negligible = 1e-16;

/** The rotation that makes two directions orthogonal, and its use on pairs of elements. */
class Rotation {
  readonly cells = ['tangent', 'sine', 'rise', 'x', 'y'].map(name => new Cell(name, inside));
  /** The tangent of the angle, and of its half. */
  readonly tangent: Cell;
  readonly #rise: Cell;
  readonly #sine: Cell;
  readonly #x: Cell;
  readonly #y: Cell;
  constructor() {
    [this.tangent, this.#sine, this.#rise, this.#x, this.#y] = this.cells;
  }

  /** From the squares of the two and their product: the smaller of the two angles. */
  choose(first: Expr, second: Expr, product: Expr): Stmt[] {
    const [x, y, tangent] = [this.#x, this.#y, this.tangent];
    const one = constant(inside, 1);
    const sign = select(s.lt(x.get(), 0), s.neg(one), one);
    return [
      x.set(s.div(s.sub(second, first), s.mul(product, 2))),
      tangent.set(s.div(sign, s.add(s.abs(x.get()), s.sqrt(s.add(s.square(x.get()), 1))))),
      y.set(s.div(1, s.sqrt(s.add(s.square(tangent.get()), 1)))),
      this.#sine.set(s.mul(tangent.get(), y.get())),
      this.#rise.set(s.div(this.#sine.get(), s.add(y.get(), 1))),
    ];
  }

  turn(matrix: Matrix, [r, c]: readonly [Expr, Expr], [otherR, otherC]: readonly [Expr, Expr]): Stmt[] {
    const [x, y, sine, rise] = [this.#x.get(), this.#y.get(), this.#sine.get(), this.#rise.get()];
    return [
      this.#x.set(matrix.get(r, c)),
      this.#y.set(matrix.get(otherR, otherC)),
      matrix.set(r, c, s.sub(x, s.mul(sine, s.add(y, s.mul(rise, x))))),
      matrix.set(otherR, otherC, s.add(y, s.mul(sine, s.sub(x, s.mul(rise, y))))),
    ];
  }
}

/** All pairs p < q, as often as it takes; `after` each sweep over them. */
const overPairs = (n: number, body: (p: Expr, q: Expr) => readonly Stmt[], after: readonly Stmt[] = []): Stmt =>
  each('sweep', sweeps, () => [each('p', n, p => [each('q', n, q => when(call('gt', q, p), body(p, q)))]), ...after]);

const unitMatrix = (matrix: Matrix, n: number): Stmt =>
  each('row', n, r => [
    each('column', n, c => [matrix.set(r, c, select(call('eq', r, c), constant(inside, 1), constant(inside, 0)))]),
  ]);

/** A matrix from a packed tensor and back: rows that are picked by number. */
const rowsOf = (packed: Tensor, start: number, count: number): Tensor => packed.narrow(-2, start, count);

/** Columns in the order of the values. */
const columnsInOrder = (matrix: Tensor, order: Tensor): Tensor =>
  matrix.gather(-1, order.unsqueeze(-2).expand(matrix.shape));

// ── symmetric matrices ─────────────────────────────────────────────────────────────────────────────────────────────────

const jacobiEigen: Op<(input: Tensor) => Tensor> = define({
  name: 'jacobiEigen',
  doc: 'Eigenvectors of a symmetric matrix as columns, in no order, and below them a row of its eigenvalues.',
  signature: 'input: tensor',
  fusion: 'opaque',
  differentiable: false,
  infer([input]) {
    checkSquare('linalg.eigh', input);
    const n = input.shape[input.shape.length - 1];
    return { dtype: input.dtype, shape: [...input.shape.slice(0, -2), n + 1, n] };
  },
  lower: perMatrix(eigenProgram),
  samples: [sampleWithoutGradient(exactly([2, 2], [2, 0, 0, 1]))],
});

/**
 * The diagonal is kept apart: what a sweep adds to it is summed up by itself, so that it is rounded against large values once a
 * sweep.
 */
function eigenProgram({ rows: n, dtype, read, write }: MatrixAccess): Stmt[] {
  const [A, V] = ['A', 'V'].map(name => new Matrix(name, inside, n, n));
  const [values, before, added] = ['values', 'before', 'added'].map(name => new Vector(name, inside, n));
  const [product, change] = ['product', 'change'].map(name => new Cell(name, inside));
  const rotation = new Rotation();
  const zero = constant(inside, 0);
  const fill = each('row', n, r => [
    each('column', n, c => [A.set(r, c, read(call('max', r, c), call('min', r, c)))]),
    before.set(r, A.get(r, r)),
    values.set(r, A.get(r, r)),
    added.set(r, zero),
  ]);
  const add = (i: Expr, amount: Expr): Stmt[] => [
    added.set(i, s.add(added.get(i), amount)),
    values.set(i, s.add(values.get(i), amount)),
  ];
  const sizes = (p: Expr, q: Expr): Expr => s.add(s.abs(values.get(p)), s.abs(values.get(q)));
  const rotate = (p: Expr, q: Expr): Stmt[] => [
    product.set(A.get(p, q)),
    ...rotation.choose(values.get(p), values.get(q), product.get()),
    each('k', n, k => rotation.turn(A, [k, p], [k, q])),
    each('k', n, k => rotation.turn(A, [p, k], [q, k])),
    each('k', n, k => rotation.turn(V, [k, p], [k, q])),
    A.set(p, q, zero),
    A.set(q, p, zero),
    change.set(s.mul(rotation.tangent.get(), product.get())),
    ...add(p, s.neg(change.get())),
    ...add(q, change.get()),
  ];
  const pairs = overPairs(n, (p, q) => when(s.gt(s.abs(A.get(p, q)), s.mul(sizes(p, q), negligible)), rotate(p, q)), [
    each('settle', n, i => [
      before.set(i, s.add(before.get(i), added.get(i))),
      values.set(i, before.get(i)),
      added.set(i, zero),
    ]),
  ]);
  const results = each('column', n, c => [
    each('row', n, r => [write(r, c, cast(dtype, V.get(r, c)))]),
    write(index(n), c, cast(dtype, values.get(c))),
  ]);
  return declare(
    [A, V, values, before, added, product, change, ...rotation.cells],
    [fill, unitMatrix(V, n), pairs, results],
  );
}

/** 1 / (b - a) for every pair of values, 0 where they are equal. */
function inverseGaps(values: Tensor): Tensor {
  const gaps = values.unsqueeze(-2).sub(values.unsqueeze(-1));
  const equal = gaps.eq(0);
  return gaps.maskedFill(equal, 1).reciprocal().maskedFill(equal, 0);
}

/** Eigenvectors as columns over a row of eigenvalues, ascending. */
export const eigenpairs: Op<(input: Tensor) => Tensor> = define({
  name: 'eigenpairs',
  doc: 'Eigenvectors of a symmetric matrix as columns, and below them a row of its eigenvalues, ascending.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgEighBackward0',
  infer([input]) {
    return jacobiEigen.def.infer([input], {});
  },
  decompose([input]) {
    const found = jacobiEigen(input);
    return columnsInOrder(found, found.select(-2, -1).argsort(-1));
  },
  vjp: c => {
    const n = c.types[0].shape[c.types[0].shape.length - 1];
    const [V, values] = [rowsOf(c.out, 0, n), c.out.select(-2, n)];
    const [gradV, gradValues] = [rowsOf(c.grad, 0, n), c.grad.select(-2, n)];
    const turned = V.transpose(-2, -1);
    const inner = turned.matmul(gradV).mul(inverseGaps(values)).add(gradValues.diagEmbed());
    const whole = V.matmul(inner).matmul(turned);
    return [whole.add(whole.transpose(-2, -1)).mul(0.5)];
  },
  samples: [
    symmetricSample(exactly([2, 2], [2, 1, 1, 3])),
    symmetricSample(exactly([2, 3, 3], [4, 1, 0, 1, 2, -1, 0, -1, 1, 1, 0.5, 2, 0.5, 3, 1, 2, 1, -1])),
  ],
});

// ── singular values ────────────────────────────────────────────────────────────────────────────────────────────────────

const jacobiSingular: Op<(input: Tensor) => Tensor> = define({
  name: 'jacobiSingular',
  doc: 'For rows >= columns: U, a row of singular values in no order, and V, one below the other.',
  signature: 'input: tensor',
  fusion: 'opaque',
  differentiable: false,
  infer([input]) {
    const { batch, rows, columns } = checkMatrices('linalg.svd', input);
    return { dtype: input.dtype, shape: [...batch, rows + 1 + columns, columns] };
  },
  lower: perMatrix(singularProgram),
  samples: [sampleWithoutGradient(exactly([2, 2], [2, 0, 0, 1]))],
});

/** One-sided: U·diag(σ) = A·V comes from turning the columns of A, V from the same turns of the unit matrix. */
function singularProgram({ rows, columns: n, dtype, read, write }: MatrixAccess): Stmt[] {
  const [W, V] = [new Matrix('W', inside, rows, n), new Matrix('V', inside, n, n)];
  const rotation = new Rotation();
  const [first, second, product] = ['first', 'second', 'product'].map(name => new Cell(name, inside));
  const zero = constant(inside, 0);
  const fill = each('row', rows, r => [each('column', n, c => [W.set(r, c, read(r, c))])]);
  const pairs = overPairs(n, (p, q) => [
    ...[first, second, product].map(cell => cell.set(zero)),
    each('k', rows, k => [
      first.add(s.square(W.get(k, p))),
      second.add(s.square(W.get(k, q))),
      product.add(s.mul(W.get(k, p), W.get(k, q))),
    ]),
    ...when(s.gt(s.abs(product.get()), s.mul(s.sqrt(s.mul(first.get(), second.get())), negligible)), [
      ...rotation.choose(first.get(), second.get(), product.get()),
      each('k', rows, k => rotation.turn(W, [k, p], [k, q])),
      each('k', n, k => rotation.turn(V, [k, p], [k, q])),
    ]),
  ]);
  const results = each('column', n, c => [
    first.set(zero),
    each('k', rows, k => [first.add(s.square(W.get(k, c)))]),
    first.set(s.sqrt(first.get())),
    write(index(rows), c, cast(dtype, first.get())),
    second.set(select(s.gt(first.get(), 0), s.div(1, first.get()), zero)),
    each('row', rows, r => [write(r, c, cast(dtype, s.mul(W.get(r, c), second.get())))]),
    each('row', n, r => [write(call('add', r, index(rows + 1)), c, cast(dtype, V.get(r, c)))]),
  ]);
  return declare([W, V, first, second, product, ...rotation.cells], [fill, unitMatrix(V, n), pairs, results]);
}

const transposed = (x: Tensor): Tensor => x.transpose(-2, -1);

/** U [rows, k], a row of singular values, descending, and V [columns, k], one below the other. */
export const singularTriplets: Op<(input: Tensor) => Tensor> = define({
  name: 'singularTriplets',
  doc: 'U, a row of singular values, descending, and V, one below the other. Columns of U for singular values of 0 are 0.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgSvdBackward0',
  infer([input]) {
    const { batch, rows, columns } = checkMatrices('linalg.svd', input);
    return { dtype: input.dtype, shape: [...batch, rows + 1 + columns, Math.min(rows, columns)] };
  },
  decompose([input]) {
    const [rows, columns] = input.shape.slice(-2);
    const found = jacobiSingular(rows < columns ? transposed(input) : input);
    const [tall, wide] = [Math.max(rows, columns), Math.min(rows, columns)];
    const sorted = columnsInOrder(found, found.select(-2, tall).argsort(-1, true));
    if (rows >= columns) return sorted;
    const [values, others] = [rowsOf(sorted, tall, 1), rowsOf(sorted, tall + 1, wide)];
    return cat([others, values, rowsOf(sorted, 0, tall)], -2);
  },
  vjp: c => {
    const [rows, columns] = c.types[0].shape.slice(-2);
    const parts = (x: Tensor): [Tensor, Tensor, Tensor] => [
      rowsOf(x, 0, rows),
      x.select(-2, rows),
      rowsOf(x, rows + 1, columns),
    ];
    const [[U, values, V], [gradU, gradValues, gradV]] = [parts(c.out), parts(c.grad)];
    const gaps = inverseGaps(values.square());
    const skew = (x: Tensor, grad: Tensor): Tensor => {
      const inner = transposed(x).matmul(grad);
      return gaps.mul(inner.sub(transposed(inner)));
    };
    const reciprocal = values.maskedFill(values.eq(0), 1).reciprocal();
    /** The part of a gradient outside the space of the columns, over the singular values. */
    const outside = (x: Tensor, grad: Tensor): Tensor =>
      grad.sub(x.matmul(transposed(x).matmul(grad))).mul(reciprocal.unsqueeze(-2));
    const inner = skew(U, gradU)
      .mul(values.unsqueeze(-2))
      .add(skew(V, gradV).mul(values.unsqueeze(-1)))
      .add(gradValues.diagEmbed());
    return [
      U.matmul(inner)
        .add(outside(U, gradU))
        .matmul(transposed(V))
        .add(U.matmul(transposed(outside(V, gradV)))),
    ];
  },
  samples: [
    sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5])),
    sample(exactly([2, 3], [1, 2, -3, 1, 2, 0.5])),
    sample(exactly([2, 2, 2], [3, 1, 1, 2, -1, 2, 0.5, 1])),
  ],
});

/** Singular values up to this part of the largest count as 0. */
export function smallestSingular(input: Tensor): number {
  const [rows, columns] = input.shape.slice(-2);
  return Math.max(rows, columns) * precisionOf(input.dtype).epsilon;
}

/** The derivative is that of G. Golub and V. Pereyra, "The differentiation of pseudo-inverses" (1973). */
export const pseudoInverse: Op<(input: Tensor, rtol: number) => Tensor> = define({
  name: 'pseudoInverse',
  doc: 'The Moore–Penrose inverse; singular values up to rtol times the largest count as 0.',
  signature: 'input: tensor, rtol: number',
  fusion: 'composite',
  gradName: 'LinalgPinvBackward0',
  infer([input]) {
    const { batch, rows, columns } = checkMatrices('linalg.pinv', input);
    return { dtype: input.dtype, shape: [...batch, columns, rows] };
  },
  decompose([input], { rtol }) {
    const [rows, columns] = input.shape.slice(-2);
    const found = singularTriplets(input);
    const values = rowsOf(found, rows, 1);
    const counts = values.gt(values.amax(-1, { keepdim: true }).mul(rtol as number));
    const reciprocal = where(counts, values, 1).reciprocal().mul(counts.to(values.dtype));
    return rowsOf(found, rows + 1, columns)
      .mul(reciprocal)
      .matmul(transposed(rowsOf(found, 0, rows)));
  },
  vjp: c => {
    const [A, P, grad] = [c.in(0), c.out, c.grad];
    const [Pt, gradT] = [transposed(P), transposed(grad)];
    const across = gradT.matmul(P).matmul(Pt);
    const along = Pt.matmul(P).matmul(gradT);
    return [
      across
        .sub(A.matmul(P.matmul(across)))
        .add(along.sub(along.matmul(P).matmul(A)))
        .sub(Pt.matmul(grad).matmul(Pt)),
    ];
  },
  samples: [
    sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5]), 1e-10),
    sample(exactly([2, 3], [1, 2, -3, 1, 2, 0.5]), 1e-10),
    sampleWithoutGradient(exactly([2, 2], [1, 2, 2, 4]), 1e-5),
  ],
});
