/**
 * Triangular factors of matrices and what follows from them: Cholesky, and Gaussian elimination with partial pivoting, which
 * gives solutions, inverse and determinant; QR by Householder's reflections.
 *
 * Derivatives are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
 * differentiation" (2008), that of QR is H.-J. Liao's et al., "Differentiable programming tensor networks" (2019).
 */
import { fail } from '../errors.js';
import { type Arith, arith } from '../ir/arith.js';
import { addIndex, call, cast, constant, type Expr, index, type Stmt, select, subIndex, when } from '../ir/kernel.js';
import { batchedMatmul } from './contraction.js';
import { composite, define, type Op } from './define.js';
import {
  Cell,
  checkMatrices,
  checkSquare,
  declare,
  each,
  Matrix,
  type MatrixAccess,
  perMatrix,
} from './matrix-program.js';
import { exactly, random, sample, sampleWithoutGradient, symmetricSample } from './samples.js';
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

/** X with A·X = B by Gaussian elimination with partial pivoting. */
export const solveLinear: Op<(A: Tensor, B: Tensor) => Tensor> = composite({
  name: 'linalg.solveMatrix',
  doc: 'The matrix X with A·X = B.',
  signature: 'A: tensor, B: tensor',
  compute: ({ A, B }) => batchedMatmul(inverse(A), B),
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]), random([2, 3]))],
});

/** One elimination gives both: the inverse, and below it a row that starts with the determinant. */
const eliminated: Op<(input: Tensor) => Tensor> = define({
  name: 'eliminated',
  doc: 'Gauss–Jordan elimination with partial pivoting: n rows of the inverse, and a row that starts with the determinant.',
  signature: 'input: tensor',
  fusion: 'opaque',
  differentiable: false,
  infer([input]) {
    checkSquare('linalg.inv', input);
    const n = input.shape[input.shape.length - 1];
    return { dtype: input.dtype, shape: [...input.shape.slice(0, -2), n + 1, n] };
  },
  lower: perMatrix(gaussJordan),
  samples: [
    sampleWithoutGradient(exactly([2, 2], [0, 2, 1, 3])),
    sampleWithoutGradient(exactly([2, 2, 2], [3, 1, 1, 2, 1, 0, 0, 1])),
  ],
});

function gaussJordan({ rows: n, dtype, read, write }: MatrixAccess): Stmt[] {
  const [work, unit] = ['work', 'unit'].map(name => new Matrix(name, dtype, n, n));
  const [det, factor, held] = ['det', 'factor', 'held'].map(name => new Cell(name, dtype));
  const pivot = new Cell('pivot', 'int32');
  const pivotRow = cast('index', pivot.get());
  const [zero, one] = [constant(dtype, 0), constant(dtype, 1)];

  const fill = each('row', n, r => [
    each('column', n, c => [work.set(r, c, read(r, c)), unit.set(r, c, select(call('eq', r, c), one, zero))]),
  ]);
  const findPivot = (step: Expr): Stmt => {
    const larger = (r: Expr): Expr => s.gt(s.abs(work.get(r, step)), s.abs(work.get(pivotRow, step)));
    return each('search', n, r => when(call('gt', r, step), when(larger(r), [pivot.set(cast('int32', r))])));
  };
  const exchange = (step: Expr): Stmt[] => [
    each('swap', n, c =>
      [work, unit].flatMap(matrix => [
        held.set(matrix.get(step, c)),
        matrix.set(step, c, matrix.get(pivotRow, c)),
        matrix.set(pivotRow, c, held.get()),
      ]),
    ),
    det.set(s.neg(det.get())),
  ];
  const divide = (step: Expr): Stmt[] => [
    factor.set(work.get(step, step)),
    det.set(s.mul(det.get(), factor.get())),
    each('scale', n, c => [work, unit].map(matrix => matrix.set(step, c, s.div(matrix.get(step, c), factor.get())))),
  ];
  const clear = (step: Expr): Stmt =>
    each('place', n, r =>
      when(call('ne', r, step), [
        factor.set(work.get(r, step)),
        each('rest', n, c =>
          [work, unit].map(matrix =>
            matrix.set(r, c, s.sub(matrix.get(r, c), s.mul(factor.get(), matrix.get(step, c)))),
          ),
        ),
      ]),
    );
  const eliminate = each('step', n, step => [
    pivot.set(cast('int32', step)),
    findPivot(step),
    ...when(call('ne', pivotRow, step), exchange(step)),
    ...divide(step),
    clear(step),
  ]);
  const results = each('out', n, r => [
    each('column', n, c => [write(r, c, unit.get(r, c))]),
    write(index(n), r, select(call('eq', r, index(0)), det.get(), zero)),
  ]);
  return declare([work, unit, det, pivot, factor, held], [fill, det.set(one), eliminate, results]);
}

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
  decompose: ([input]) => eliminated(input).slice(-2, 0, -1),
  vjp: c => {
    const turned = c.out.transpose(-2, -1);
    return [turned.matmul(c.grad).matmul(turned).neg()];
  },
  samples: [
    sample(exactly([2, 2], [3, 1, 1, 2])),
    sample(exactly([2, 3, 3], [3, 1, 0, 1, 2, 1, 0, 1, 4, 2, 1, 0, 0, 3, 1, 1, 0, 2])),
  ],
});

export const determinant: Op<(input: Tensor) => Tensor> = define({
  name: 'determinant',
  doc: 'The determinant of a matrix.',
  signature: 'input: tensor',
  fusion: 'composite',
  gradName: 'LinalgDetBackward0',
  infer([input]) {
    checkSquare('linalg.det', input);
    return { dtype: input.dtype, shape: input.shape.slice(0, -2) };
  },
  decompose: ([input]) => eliminated(input).select(-2, -1).select(-1, 0),
  vjp: c => [
    c.grad
      .mul(c.out)
      .unsqueeze(-1)
      .unsqueeze(-1)
      .mul(inverse(c.in(0)).transpose(-2, -1)),
  ],
  samples: [sample(exactly([2, 2], [3, 1, 1, 2])), sample(exactly([2, 2, 2], [3, 1, 1, 2, 0, 2, 1, 3]))],
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
    if (rows < columns) {
      fail('E206', {
        problem: `the derivative for 'linalg.qr' of matrices with more columns than rows is not implemented`,
        hint: 'transpose the matrices first',
      });
    }
    const parts = (x: Tensor): [Tensor, Tensor] => [x.narrow(-2, 0, rows), x.narrow(-2, rows, columns)];
    const [[Q, R], [gradQ, gradR]] = [parts(c.out), parts(c.grad)];
    const M = R.matmul(gradR.transpose(-2, -1)).sub(gradQ.transpose(-2, -1).matmul(Q));
    const mirrored = M.tril().add(M.tril(-1).transpose(-2, -1));
    return [gradQ.add(Q.matmul(mirrored)).matmul(inverse(R).transpose(-2, -1))];
  },
  samples: [
    sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5])),
    sample(exactly([2, 2, 2], [3, 1, 1, 2, -1, 2, 0.5, 1])),
    sampleWithoutGradient(random([2, 3])),
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
