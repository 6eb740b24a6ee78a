/**
 * Triangular systems of equations, by substitution, and what Cholesky's factors solve with them.
 *
 * The derivative is that of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
 * differentiation" (2008).
 */
import { fail } from '../errors.js';
import { arith as s } from '../ir/arith.js';
import { addIndex, type Expr, index, type Stmt, subIndex } from '../ir/kernel.js';
import { broadcastShapes, formatShape } from '../ir/shape.js';
import { composite, define, type Op } from './define.js';
import { Cell, checkMatrices, checkSquare, declare, each, perMatrix } from './matrix-program.js';
import { type NamedTuple, namedTuple } from './named-tuple.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { cat } from './shape.js';
import type { Tensor } from './tensor.js';

/** Row by row from the corner where a row has one unknown. */
const substituted: Op<(input: Tensor, upper: boolean, unit: boolean) => Tensor> = define({
  name: 'substituted',
  doc: 'A⁻¹·B for a triangular matrix A with B on its right side; `unit` takes the diagonal of A for ones.',
  signature: 'input: tensor, upper: bool, unit: bool',
  fusion: 'opaque',
  differentiable: false,
  infer([input]) {
    const { batch, rows, columns } = checkMatrices('linalg.solveTriangular', input);
    return { dtype: input.dtype, shape: [...batch, rows, columns - rows] };
  },
  lower: perMatrix(({ rows: n, columns, dtype, read, write, written: X }, { upper, unit }) => {
    const rest = new Cell('rest', dtype);
    const place = (i: Expr): Expr => (upper ? subIndex(index(n - 1), i) : i);
    const unknown = (row: Expr, step: Expr, c: Expr): Stmt[] => [
      rest.set(read(row, addIndex(c, n))),
      each('known', n, i => [rest.add(s.neg(s.mul(read(row, place(i)), X(place(i), c))))], step),
      write(row, c, unit ? rest.get() : s.div(rest.get(), read(row, row))),
    ];
    const body = each('step', n, step => [each('right', columns - n, c => unknown(place(step), step, c))]);
    return declare([rest], [body]);
  }),
  samples: [
    sampleWithoutGradient(exactly([2, 4], [3, 1, 1, 2, 0, 2, 0, 1]), true, false),
    sampleWithoutGradient(exactly([2, 2, 3], [3, 0, 1, 2, 1, 0, 1, 0, 2, 5, 1, 1]), false, true),
  ],
});

/** X with A·X = B for as many matrices A as B, of which only the triangle is read. */
const solveTriangle: Op<(A: Tensor, B: Tensor, upper: boolean, unit: boolean) => Tensor> = define({
  name: 'solveTriangle',
  doc: 'The matrix X with A·X = B for triangular A.',
  signature: 'A: tensor, B: tensor, upper: bool, unit: bool',
  fusion: 'composite',
  gradName: 'LinalgSolveTriangularBackward0',
  infer([A, B]) {
    checkSquare('linalg.solveTriangular', A);
    return B;
  },
  decompose: ([A, B], { upper, unit }) => substituted(cat([A, B], -1), upper as boolean, unit as boolean),
  vjp: c => {
    const { upper, unit } = c.attrs as { upper: boolean; unit: boolean };
    const gradB = solveTriangle(c.in(0).transpose(-2, -1), c.grad, !upper, unit);
    if (!c.needs(0)) return [null, gradB];
    const whole = gradB.matmul(c.out.transpose(-2, -1)).neg();
    const shift = unit ? 1 : 0;
    return [upper ? whole.triu(shift) : whole.tril(-shift), gradB];
  },
  samples: [
    sample(exactly([2, 2], [3, 1, 0, 2]), random([2, 3]), true, false),
    sample(exactly([2, 2, 2], [3, 0, 1, 2, 1, 0, 2, 1]), random([2, 2, 1]), false, true),
  ],
});

interface Triangle {
  readonly upper: boolean;
  readonly left?: boolean;
  readonly unitriangular?: boolean;
}

export const solveTriangular: Op<(A: Tensor, B: Tensor, options: Triangle) => Tensor> = composite({
  name: 'linalg.solveTriangular',
  doc: 'X with A·X = B, or X·A = B where left is false, for triangular A, whose other triangle is not read.',
  signature: 'A: tensor, B: tensor, *, upper: bool, left: bool = true, unitriangular: bool = false',
  compute({ A, B, upper, left, unitriangular }): Tensor {
    checkSquare('linalg.solveTriangular', A.type);
    const side = B.shape[B.ndim - (left ? 2 : 1)];
    if (B.ndim < 2 || side !== A.shape[A.ndim - 1])
      fail('E107', {
        op: 'linalg.solveTriangular',
        problem: `Incompatible shapes of A and B for the equation ${left ? 'AX' : 'XA'} = B: ${formatShape(A.shape)} and ${formatShape(B.shape)}`,
      });
    const batch = broadcastShapes('linalg.solveTriangular', A.shape.slice(0, -2), B.shape.slice(0, -2));
    const many = (x: Tensor): Tensor => x.expand([...batch, ...x.shape.slice(-2)]);
    if (left) return solveTriangle(many(A), many(B), upper, unitriangular);
    const turned = solveTriangle(many(A).transpose(-2, -1), many(B).transpose(-2, -1), !upper, unitriangular);
    return turned.transpose(-2, -1);
  },
  samples: [
    sample(exactly([2, 2], [3, 1, 0, 2]), random([2, 3]), { upper: true }),
    sample(exactly([2, 2], [3, 0, 1, 2]), random([2, 3, 2]), { upper: false, left: false }),
  ],
  errors: [{ args: [random([2, 2]), random([3, 2]), { upper: true }], message: /Incompatible shapes of A and B/ }],
});

export const triangularSolve: Op<
  (
    b: Tensor,
    A: Tensor,
    upper?: boolean | { readonly upper?: boolean; readonly transpose?: boolean; readonly unitriangular?: boolean },
    transpose?: boolean,
    unitriangular?: boolean,
  ) => NamedTuple<['solution', 'clonedCoefficient']>
> = composite({
  name: 'triangularSolve',
  doc: 'X with A·X = b for triangular A, or Aᵀ·X = b, and a copy of A: the older form of linalg.solveTriangular.',
  signature: 'b: tensor, A: tensor, upper: bool = true, transpose: bool = false, unitriangular: bool = false',
  compute({ b, A, upper, transpose, unitriangular }) {
    const turned = transpose ? A.transpose(-2, -1) : A;
    const solution = solveTriangular(turned, b, { upper: upper !== transpose, unitriangular });
    return namedTuple({ solution, clonedCoefficient: A.clone() });
  },
  samples: [
    sample(random([2, 3]), exactly([2, 2], [3, 1, 0, 2])),
    sample(random([2, 3]), exactly([2, 2], [3, 1, 0, 2]), { transpose: true }),
  ],
});

/** The factor as the lower one. */
const lowerOf = (factor: Tensor, upper: boolean): Tensor => (upper ? factor.transpose(-2, -1) : factor);

type FromFactor<A extends unknown[]> = Op<(...args: [...A, upper?: boolean | { readonly upper?: boolean }]) => Tensor>;

export const choleskySolve: FromFactor<[B: Tensor, L: Tensor]> = composite({
  name: 'choleskySolve',
  doc: 'X with A·X = B, given the Cholesky factor of A.',
  signature: 'B: tensor, L: tensor, upper: bool = false',
  compute({ B, L, upper }) {
    const lower = lowerOf(L, upper);
    const half = solveTriangular(lower, B, { upper: false });
    return solveTriangular(lower.transpose(-2, -1), half, { upper: true });
  },
  samples: [
    sample(random([2, 3]), exactly([2, 2], [2, 0, 1, 1.5])),
    sample(random([2, 1]), exactly([2, 2], [2, 1, 0, 1.5]), true),
  ],
});

export const choleskyInverse: FromFactor<[L: Tensor]> = composite({
  name: 'choleskyInverse',
  doc: 'The inverse of a matrix, given its Cholesky factor.',
  signature: 'L: tensor, upper: bool = false',
  compute({ L, upper }) {
    checkSquare('choleskyInverse', L.type);
    const unit = L.detach().select(-1, 0).onesLike().diagEmbed();
    return choleskySolve(unit, L, upper);
  },
  samples: [sample(exactly([2, 2], [2, 0, 1, 1.5])), sample(exactly([2, 2], [2, 1, 0, 1.5]), { upper: true })],
});
