/**
 * The exponential of matrices: scaling and squaring of a Taylor polynomial (C. Moler and C. Van Loan, "Nineteen dubious ways to
 * compute the exponential of a matrix", 1978). Halved until its norm is at most 1, a matrix needs 18 terms in double precision.
 *
 * The derivative is a block of the exponential of a larger matrix (A. Al-Mohy and N. Higham, "Computing the Fréchet derivative
 * of the matrix exponential", 2009).
 */
import { arith as s } from '../ir/arith.js';
import { call, cast, constant, type Expr, type Stmt, select, when } from '../ir/kernel.js';
import { define } from './define.js';
import type { Unary } from './elementwise.js';
import { Cell, checkSquare, declare, each, Matrix, type MatrixAccess, perMatrix } from './matrix-program.js';
import { exactly, sample, sampleWithoutGradient } from './samples.js';
import { cat } from './shape.js';

const terms = 18;
/** Halvings at most: beyond, results are no numbers any more. */
const mostHalvings = 64;

function exponential({ rows: n, dtype, read, write }: MatrixAccess): Stmt[] {
  const [A, R, product] = ['A', 'R', 'product'].map(name => new Matrix(name, dtype, n, n));
  const [norm, scale, sum, order] = ['norm', 'scale', 'sum', 'order'].map(name => new Cell(name, dtype));
  const halvings = new Cell('halvings', 'int32');
  const [zero, one] = [constant(dtype, 0), constant(dtype, 1)];
  const everywhere = (body: (r: Expr, c: Expr) => readonly Stmt[]): Stmt =>
    each('row', n, r => [each('column', n, c => body(r, c))]);
  const unit = (r: Expr, c: Expr): Expr => select(call('eq', r, c), one, zero);

  const measure = each('row', n, r => [
    sum.set(zero),
    each('column', n, c => [sum.add(s.abs(read(r, c)))]),
    norm.set(s.max(norm.get(), sum.get())),
  ]);
  const halve = each('halving', mostHalvings, () =>
    when(s.gt(norm.get(), 1), [
      norm.set(s.mul(norm.get(), 0.5)),
      scale.set(s.mul(scale.get(), 0.5)),
      halvings.set(s.add(halvings.get(), 1)),
    ]),
  );
  const multiply = (left: Matrix): Stmt =>
    everywhere((r, c) => [
      sum.set(zero),
      each('k', n, k => [sum.add(s.mul(left.get(r, k), R.get(k, c)))]),
      product.set(r, c, sum.get()),
    ]);
  const horner = each('term', terms, () => [
    multiply(A),
    everywhere((r, c) => [R.set(r, c, s.add(unit(r, c), s.div(product.get(r, c), order.get())))]),
    order.set(s.sub(order.get(), 1)),
  ]);
  const square = each('squaring', mostHalvings, i =>
    when(s.lt(cast('int32', i), halvings.get()), [multiply(R), everywhere((r, c) => [R.set(r, c, product.get(r, c))])]),
  );
  return declare(
    [A, R, product, norm, scale, sum, order, halvings],
    [
      ...[norm.set(zero), scale.set(one), order.set(constant(dtype, terms)), halvings.set(constant('int32', 0))],
      measure,
      halve,
      everywhere((r, c) => [A.set(r, c, s.mul(read(r, c), scale.get())), R.set(r, c, unit(r, c))]),
      horner,
      square,
      everywhere((r, c) => [write(r, c, R.get(r, c))]),
    ],
  );
}

export const matrixExp: Unary = define({
  name: 'matrixExp',
  doc: 'The exponential of square matrices.',
  signature: 'input: tensor',
  fusion: 'opaque',
  gradName: 'LinalgMatrixExpBackward0',
  infer([input]) {
    checkSquare('linalg.matrixExp', input);
    return input;
  },
  lower: perMatrix(exponential),
  vjp: c => {
    const turned = c.in(0).transpose(-2, -1);
    const n = turned.shape[turned.ndim - 1];
    const above = cat([turned, c.grad], -1);
    const below = cat([turned.zerosLike(), turned], -1);
    return [
      matrixExp(cat([above, below], -2))
        .narrow(-2, 0, n)
        .narrow(-1, n, n),
    ];
  },
  samples: [
    sample(exactly([2, 2], [0.5, -1, 2, 0.25])),
    sample(exactly([2, 2, 2], [3, 1, 1, -2, 0, 1, 0, 0])),
    sampleWithoutGradient(exactly([3, 3], [0, 0, 0, 0, 0, 0, 0, 0, 0])),
  ],
  errors: [{ args: [exactly([1, 2], [1, 2])], message: /square matrices/ }],
});
