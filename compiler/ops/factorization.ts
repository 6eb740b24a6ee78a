/**
 * Triangular factors of matrices and what follows from them: Cholesky, and Gaussian elimination with partial pivoting, which
 * gives solutions, inverse and determinant; QR by Householder's reflections.
 *
 * Derivatives are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
 * differentiation" (2008), that of QR is H.-J. Liao's et al., "Differentiable programming tensor networks" (2019).
 */
import { fail } from '../errors.js';
import { type Arith, arith } from '../ir/arith.js';
import type { DType } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import { addIndex, call, cast, constant, type Expr, index, type Stmt, select, subIndex, when } from '../ir/kernel.js';
import { broadcastShapes, formatShape, type Shape } from '../ir/shape.js';
import { composite, define, type Op } from './define.js';
import { solveTransposed, unitLike } from './lu.js';
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
import { exactly, random, sample, sampleWithoutGradient, symmetricSample } from './samples.js';
import { cat } from './shape.js';
import type { Tensor } from './tensor.js';

const s: Arith = arith;

/** The lower triangle L with L·Lᵀ = A, row by row (Cholesky–Banachiewicz). */
export const choleskyFactor: Op<(input: Tensor) => Tensor> = define({
  name: 'choleskyFactor',
  doc: 'The lower triangular L with L·Lᵀ equal to a symmetric positive-definite matrix.',
  signature: 'input: tensor',
  fusion: 'opaque',
  gradName: 'LinalgCholeskyExBackward0',
  infer([input]) {
    checkSquare('linalg.cholesky', input);
    return input;
  },
  lower: perMatrix(({ rows: n, dtype, read, write, written: L }) => {
    const rest = new Cell('rest', dtype);
    const entry = (row: Expr, column: Expr): Stmt[] => [
      rest.set(read(row, column)),
      each('k', n, k => [rest.add(s.neg(s.mul(L(row, k), L(column, k))))], column),
      write(
        row,
        column,
        select(call('eq', row, column), s.sqrt(s.max(rest.get(), 0)), s.div(rest.get(), L(column, column))),
      ),
    ];
    const above = (row: Expr, column: Expr): Stmt[] => [write(row, column, constant(dtype, 0))];
    const body = each('i', n, row => [
      each('j', n, column => when(call('le', column, row), entry(row, column), above(row, column))),
    ]);
    return declare([rest], [body]);
  }),
  vjp: c => {
    const L = c.out;
    const inner = L.transpose(-2, -1).matmul(c.grad).tril();
    const phi = inner.sub(inner.diagonal(0, -2, -1).mul(0.5).diagEmbed());
    const right = solveLinear(L.transpose(-2, -1), phi);
    const whole = solveLinear(L.transpose(-2, -1), right.transpose(-2, -1)).transpose(-2, -1);
    return [whole.add(whole.transpose(-2, -1)).mul(0.5)];
  },
  samples: [
    symmetricSample(exactly([2, 2], [4, 2, 2, 3])),
    symmetricSample(exactly([2, 2, 2], [4, 2, 2, 3, 1, 0, 0, 2])),
  ],
});

// ── elimination ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Gaussian elimination with partial pivoting of n rows, A and what stands right of it: X with A·X equal to that, and a column
 * of the pivots, whose product is the determinant. `unit` puts the unit matrix there; `nudged` takes the smallest of numbers
 * for a pivot of 0.
 */
const eliminated: Op<(input: Tensor, unit?: boolean, nudged?: boolean) => Tensor> = define({
  name: 'eliminated',
  doc: 'A⁻¹·B for the matrices A and B side by side, and a column of the pivots of A, the first with the sign of their order.',
  signature: 'input: tensor, unit: bool = false, nudged: bool = false',
  fusion: 'opaque',
  differentiable: false,
  infer([input], { unit }) {
    const { batch, rows, columns } = checkMatrices('linalg.solve', input);
    return { dtype: input.dtype, shape: [...batch, rows, (unit ? columns : columns - rows) + 1] };
  },
  lower: perMatrix((matrix, { unit, nudged }) => gauss(matrix, unit as boolean, nudged as boolean)),
  samples: [
    sampleWithoutGradient(exactly([2, 2], [0, 2, 1, 3]), true),
    sampleWithoutGradient(exactly([2, 2], [1, 2, 2, 4]), false, true),
    sampleWithoutGradient(exactly([2, 2, 3], [3, 1, 1, 2, 1, 0, 0, 1, 2, 5, 4, 1])),
  ],
});

function gauss({ rows: n, columns, dtype, read, write }: MatrixAccess, unit: boolean, nudged: boolean): Stmt[] {
  const given = columns - (unit ? 0 : n);
  const width = n + given;
  const work = new Matrix('work', dtype, n, width);
  const pivots = new Vector('pivots', dtype, n);
  const [factor, held, sign] = ['factor', 'held', 'sign'].map(name => new Cell(name, dtype));
  const chosen = new Cell('chosen', 'int32');
  const pivotRow = cast('index', chosen.get());
  const [zero, one] = [constant(dtype, 0), constant(dtype, 1)];
  const beyond = (step: Expr, extent: number): Expr => subIndex(index(extent - 1), step);
  const after = (step: Expr, i: Expr): Expr => addIndex(addIndex(step, i), 1);

  const right = (r: Expr, c: Expr): Expr => (unit ? select(call('eq', r, c), one, zero) : read(r, addIndex(c, n)));
  const fill = each('row', n, r => [
    each('column', n, c => [work.set(r, c, read(r, c))]),
    each('right', given, c => [work.set(r, addIndex(c, n), right(r, c))]),
  ]);
  const choose = (step: Expr): Stmt =>
    each(
      'search',
      n,
      i =>
        when(s.gt(s.abs(work.get(after(step, i), step)), s.abs(work.get(pivotRow, step))), [
          chosen.set(cast('int32', after(step, i))),
        ]),
      beyond(step, n),
    );
  const exchange = (step: Expr): Stmt[] => [
    each('swap', width, c => [
      held.set(work.get(step, c)),
      work.set(step, c, work.get(pivotRow, c)),
      work.set(pivotRow, c, held.get()),
    ]),
    sign.set(s.neg(sign.get())),
  ];
  const clear = (step: Expr): Stmt =>
    each(
      'place',
      n,
      i => {
        const r = after(step, i);
        return [
          factor.set(s.div(work.get(r, step), pivots.get(step))),
          each(
            'rest',
            width,
            j => {
              const c = after(step, j);
              return [work.set(r, c, s.sub(work.get(r, c), s.mul(factor.get(), work.get(step, c))))];
            },
            beyond(step, width),
          ),
        ];
      },
      beyond(step, n),
    );
  const eliminate = each('step', n, step => [
    chosen.set(cast('int32', step)),
    choose(step),
    ...when(call('ne', pivotRow, step), exchange(step)),
    pivots.set(step, work.get(step, step)),
    ...(nudged ? when(s.eq(pivots.get(step), 0), [pivots.set(step, constant(dtype, tiny(dtype)))]) : []),
    ...when(s.ne(pivots.get(step), 0), [clear(step)]),
  ]);
  const substitute = each('back', n, back => {
    const step = subIndex(index(n - 1), back);
    const unknown = (c: Expr): Stmt[] => [
      held.set(work.get(step, c)),
      each(
        'known',
        n,
        i => [held.set(s.sub(held.get(), s.mul(work.get(step, after(step, i)), work.get(after(step, i), c))))],
        beyond(step, n),
      ),
      work.set(step, c, s.div(held.get(), pivots.get(step))),
    ];
    return [each('right', given, c => unknown(addIndex(c, n)))];
  });
  const results = each('out', n, r => [
    each('right', given, c => [write(r, c, work.get(r, addIndex(c, n)))]),
    write(r, index(given), select(call('eq', r, index(0)), s.mul(sign.get(), pivots.get(r)), pivots.get(r))),
  ]);
  return declare([work, pivots, chosen, factor, held, sign], [fill, sign.set(one), eliminate, substitute, results]);
}

/** Stands for a pivot of 0: its reciprocal is still a number. */
const tiny = (dtype: DType): number => (dtype === 'float64' ? 2 ** -900 : 2 ** -100);

/** The diagonal of the upper triangle, its sign that of the determinant; 0 somewhere where a matrix is singular. */
export const pivotsOf = (A: Tensor): Tensor => eliminated(A).select(-1, -1);

/** X with A·X = B, for as many matrices A as B. */
const solveEach: Op<(A: Tensor, B: Tensor) => Tensor> = define({
  name: 'solveEach',
  doc: 'The matrix X with A·X = B.',
  signature: 'A: tensor, B: tensor',
  fusion: 'composite',
  gradName: 'LinalgSolveExBackward0',
  infer([A, B]) {
    checkSquare('linalg.solve', A);
    return B;
  },
  decompose: ([A, B]) => eliminated(cat([A, B], -1)).narrow(-1, 0, B.shape[B.ndim - 1]),
  vjp: c => {
    const gradB = solveEach(c.in(0).transpose(-2, -1), c.grad);
    return [gradB.matmul(c.out.transpose(-2, -1)).neg(), gradB];
  },
  samples: [sample(exactly([2, 2, 2], [3, 1, 1, 2, 1, 0, 0, 1]), random([2, 2, 3]))],
});

/** X with A·X = B by Gaussian elimination with partial pivoting. */
export const solveLinear: Op<(A: Tensor, B: Tensor) => Tensor> = composite({
  name: 'linalg.solveMatrix',
  doc: 'The matrix X with A·X = B.',
  signature: 'A: tensor, B: tensor',
  compute({ A, B }) {
    checkSquare('linalg.solve', A);
    if (B.ndim < 2 || B.shape[B.ndim - 2] !== A.shape[A.ndim - 1])
      fail('E107', {
        op: 'linalg.solve',
        problem: `Incompatible shapes of A and B for the equation AX = B: ${formatShape(A.shape)} and ${formatShape(B.shape)}`,
      });
    const batch = broadcastShapes('linalg.solve', A.shape.slice(0, -2), B.shape.slice(0, -2));
    const many = (x: Tensor): Tensor => x.expand([...batch, ...x.shape.slice(-2)]);
    return solveEach(many(A), many(B));
  },
  samples: [
    sample(exactly([2, 2], [3, 1, 1, 2]), random([2, 3])),
    sample(exactly([2, 2], [3, 1, 1, 2]), random([2, 2, 1])),
  ],
});

export const inverse: Op<(input: Tensor) => Tensor> = define({
  name: 'inverse',
  doc: 'The inverse of a matrix.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgInvExBackward0',
  infer([input]) {
    checkSquare('linalg.inv', input);
    return input;
  },
  decompose: ([input]) => eliminated(input, true).narrow(-1, 0, input.shape[input.ndim - 1]),
  vjp: c => {
    const turned = c.out.transpose(-2, -1);
    return [turned.matmul(c.grad).matmul(turned).neg()];
  },
  samples: [
    sample(exactly([2, 2], [3, 1, 1, 2])),
    sample(exactly([2, 3, 3], [3, 1, 0, 1, 2, 1, 0, 1, 4, 2, 1, 0, 0, 3, 1, 1, 0, 2])),
  ],
});

/** One number or two per matrix. */
const checkDeterminant = (input: TensorType): Shape => {
  checkSquare('linalg.det', input);
  return input.shape.slice(0, -2);
};
const perElement = (x: Tensor): Tensor => x.unsqueeze(-1).unsqueeze(-1);

/** The derivative of the determinant: the determinants without one row and column each. Exists for singular matrices, too. */
const cofactors: Op<(input: Tensor) => Tensor> = define({
  name: 'cofactors',
  doc: 'The determinants of what is left of a matrix without the row and the column of each element, with their signs.',
  signature: 'input: tensor',
  fusion: 'composite',
  infer([input]) {
    checkDeterminant(input);
    return input;
  },
  decompose([input]) {
    const n = input.shape[input.ndim - 1];
    const found = eliminated(input, true, true);
    return found
      .narrow(-1, 0, n)
      .transpose(-2, -1)
      .mul(perElement(found.select(-1, n).prod(-1)));
  },
  vjp: c => {
    const along = perElement(c.grad.mul(c.out).sum([-2, -1]));
    const across = c.out.matmul(c.grad.transpose(-2, -1)).matmul(c.out);
    return [
      along
        .mul(c.out)
        .sub(across)
        .div(perElement(determinant(c.in(0)))),
    ];
  },
  samples: [
    sample(exactly([2, 2], [3, 1, 1, 2])),
    sample(exactly([3, 3], [3, 1, 0, 1, 2, 1, 0, 1, 4])),
    sampleWithoutGradient(exactly([2, 2], [1, 2, 2, 4])),
  ],
});

export const determinant: Op<(input: Tensor) => Tensor> = define({
  name: 'determinant',
  doc: 'The determinant of a matrix.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgDetBackward0',
  infer: ([input]) => ({ dtype: input.dtype, shape: checkDeterminant(input) }),
  decompose: ([input]) => pivotsOf(input).prod(-1),
  vjp: c => [perElement(c.grad).mul(cofactors(c.in(0)))],
  samples: [
    sample(exactly([2, 2], [3, 1, 1, 2])),
    sample(exactly([2, 2, 2], [3, 1, 1, 2, 0, 2, 1, 3])),
    sampleWithoutGradient(exactly([2, 2], [1, 2, 2, 4])),
  ],
});

/** A sum of logarithms: the determinant itself may be beyond all numbers. */
export const logOfDeterminant: Op<(input: Tensor) => Tensor> = define({
  name: 'logOfDeterminant',
  doc: 'The logarithm of the magnitude of the determinant of a matrix.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgSlogdetBackward0',
  infer: ([input]) => ({ dtype: input.dtype, shape: checkDeterminant(input) }),
  decompose: ([input]) => pivotsOf(input).abs().log().sum(-1),
  vjp: c => [solveTransposed(c.in(0), perElement(c.grad).mul(unitLike(c.in(0))))],
  samples: [sample(exactly([2, 2], [3, 1, 1, 2])), sample(exactly([2, 2, 2], [3, 1, 1, 2, 0, 2, 1, 3]))],
});

export const signOfDeterminant: Op<(input: Tensor) => Tensor> = define({
  name: 'signOfDeterminant',
  doc: 'The sign of the determinant of a matrix: 1, -1, or 0.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgSlogdetBackward0',
  infer: ([input]) => ({ dtype: input.dtype, shape: checkDeterminant(input) }),
  decompose: ([input]) => pivotsOf(input).sign().prod(-1),
  vjp: c => [c.in(0).zerosLike()],
  samples: [sample(exactly([2, 2, 2], [3, 1, 1, 2, 0, 2, 1, 3])), sampleWithoutGradient(exactly([2, 2], [1, 2, 2, 4]))],
});

// ── QR ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Q [rows, k] above R [k, columns] in one tensor [rows + k, columns], k being the smaller side: the factors of A = Q·R. The
 * reflections overwrite A below its diagonal and are then applied to the unit matrix, last first. Their signs are LAPACK's.
 */
export const orthogonalTriangular: Op<(input: Tensor) => Tensor> = define({
  name: 'orthogonalTriangular',
  doc: 'Q with orthonormal columns above the upper triangular R, with Q·R equal to the matrix.',
  signature: 'input: tensor',
  fusion: 'opaque',
  gradName: 'LinalgQrBackward0',
  infer([input]) {
    const { batch, rows, columns } = checkMatrices('linalg.qr', input);
    return { dtype: input.dtype, shape: [...batch, rows + Math.min(rows, columns), columns] };
  },
  lower: perMatrix(householder),
  vjp: c => {
    const [rows, columns] = c.types[0].shape.slice(-2);
    const k = Math.min(rows, columns);
    const parts = (x: Tensor): Tensor[] => [
      x.narrow(-2, 0, rows).narrow(-1, 0, k),
      x.narrow(-2, rows, k).narrow(-1, 0, k),
      x.narrow(-2, rows, k).narrow(-1, k, columns - k),
    ];
    const [[Q, R], [gradQ, gradR, gradRest]] = [parts(c.out), parts(c.grad)];
    // columns beyond the square ones are Qᵀ times those of A
    const rest = c.in(0).narrow(-1, k, columns - k);
    const whole = rows < columns ? gradQ.add(rest.matmul(gradRest.transpose(-2, -1))) : gradQ;
    const M = R.matmul(gradR.transpose(-2, -1)).sub(whole.transpose(-2, -1).matmul(Q));
    const mirrored = M.tril().add(M.tril(-1).transpose(-2, -1));
    const square = solveLinear(R, whole.add(Q.matmul(mirrored)).transpose(-2, -1)).transpose(-2, -1);
    return [rows < columns ? cat([square, Q.matmul(gradRest)], -1) : square];
  },
  samples: [
    sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5])),
    sample(exactly([2, 2, 2], [3, 1, 1, 2, -1, 2, 0.5, 1])),
    sample(exactly([2, 3], [1, 2, -3, 1, -1, 0.5])),
    sampleWithoutGradient(exactly([2, 2], [2, 1, 0, 0])),
  ],
});

function householder({ rows, columns, dtype, read, write }: MatrixAccess): Stmt[] {
  const k = Math.min(rows, columns);
  const R = new Matrix('R', dtype, rows, columns);
  const Q = new Matrix('Q', dtype, rows, k);
  const scale = new Matrix('scale', dtype, 1, k);
  const [norm, head, sum] = ['norm', 'head', 'sum'].map(name => new Cell(name, dtype));
  const [zero, one] = [constant(dtype, 0), constant(dtype, 1)];
  const first = index(0);

  const fill = each('row', rows, r => [
    each('column', columns, c => [R.set(r, c, read(r, c))]),
    each('unit', k, c => [Q.set(r, c, select(call('eq', r, c), one, zero))]),
  ]);
  /** The reflection's vector has 1 in the row of its step and lies below the diagonal of R after that. */
  const part = (r: Expr, step: Expr): Expr => select(call('eq', r, step), one, R.get(r, step));
  const reflect = (target: Matrix, step: Expr, column: Expr): Stmt[] => [
    sum.set(zero),
    each('dot', rows, r => when(call('ge', r, step), [sum.add(s.mul(part(r, step), target.get(r, column)))])),
    sum.set(s.mul(sum.get(), scale.get(first, step))),
    each('take', rows, r =>
      when(call('ge', r, step), [target.set(r, column, s.sub(target.get(r, column), s.mul(sum.get(), part(r, step))))]),
    ),
  ];
  const choose = (step: Expr): Stmt[] => [
    norm.set(zero),
    each('below', rows, r => when(call('gt', r, step), [norm.add(s.square(R.get(r, step)))])),
    scale.set(first, step, zero),
    head.set(R.get(step, step)),
    ...when(s.ne(norm.get(), 0), [
      norm.set(s.sqrt(s.add(norm.get(), s.square(head.get())))),
      norm.set(select(s.ge(head.get(), 0), s.neg(norm.get()), norm.get())),
      scale.set(first, step, s.div(s.sub(norm.get(), head.get()), norm.get())),
      each('vector', rows, r =>
        when(call('gt', r, step), [R.set(r, step, s.div(R.get(r, step), s.sub(head.get(), norm.get())))]),
      ),
      head.set(norm.get()),
    ]),
  ];
  const triangle = each('step', k, step => [
    ...choose(step),
    each('column', columns, c => when(call('gt', c, step), reflect(R, step, c))),
    R.set(step, step, head.get()),
  ]);
  const orthogonal = each('back', k, back => {
    const step = subIndex(index(k - 1), back);
    return [each('column', k, c => reflect(Q, step, c))];
  });
  const results = [
    each('row', rows, r => [
      each('column', columns, c => [write(r, c, select(call('lt', c, index(k)), Q.get(r, c), zero))]),
    ]),
    each('row', k, r => [
      each('column', columns, c => [write(addIndex(r, rows), c, select(call('ge', c, r), R.get(r, c), zero))]),
    ]),
  ];
  return declare([R, Q, scale, norm, head, sum], [fill, triangle, orthogonal, ...results]);
}
