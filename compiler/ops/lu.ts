/**
 * The factors of Gaussian elimination themselves: P·L·U with partial pivoting, for matrices of any shape.
 *
 * The derivative of square matrices is M. Giles's ("Collected matrix derivative results for forward and reverse mode
 * algorithmic differentiation", 2008). Rows of L below the square part L₁·U₁ are A₂·U₁⁻¹ and columns of U right of it L₁⁻¹·A₂,
 * so what their gradients say of U₁ and L₁ joins that of the square.
 */
import { fail } from '../errors.js';
import { arith as s } from '../ir/arith.js';
import {
  addIndex,
  call,
  cast,
  constant,
  type Expr,
  index,
  iterOf,
  loop,
  makeIter,
  type Stmt,
  subIndex,
  when,
} from '../ir/kernel.js';
import { requireValues } from './checks.js';
import { composite, define, type Op } from './define.js';
import { Cell, checkMatrices, declare, each, Matrix, type MatrixAccess, perMatrix } from './matrix-program.js';
import { type NamedTuple, namedTuple } from './named-tuple.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { cat } from './shape.js';
import type { Tensor } from './tensor.js';
import { solveTriangular } from './triangular.js';

/** U on and above the diagonal, L below it, and a column that tells with which row, from 1, each was exchanged. */
function eliminate({ rows: m, columns: n, dtype, read, write }: MatrixAccess): Stmt[] {
  const k = Math.min(m, n);
  const work = new Matrix('work', dtype, m, n);
  const [factor, held] = ['factor', 'held'].map(name => new Cell(name, dtype));
  const chosen = new Cell('chosen', 'int32');
  const pivotRow = cast('index', chosen.get());
  const after = (step: Expr, i: Expr): Expr => addIndex(addIndex(step, i), 1);
  const beyond = (step: Expr, extent: number): Expr => subIndex(index(extent - 1), step);

  const fill = each('row', m, r => [each('column', n, c => [work.set(r, c, read(r, c))])]);
  const choose = (step: Expr): Stmt => {
    const isLarger = (r: Expr): Expr => s.gt(s.abs(work.get(r, step)), s.abs(work.get(pivotRow, step)));
    const look = (r: Expr): Stmt[] => when(isLarger(r), [chosen.set(cast('int32', r))]);
    return each('search', m, i => look(after(step, i)), beyond(step, m));
  };
  const exchange = (step: Expr): Stmt =>
    each('swap', n, c => [
      held.set(work.get(step, c)),
      work.set(step, c, work.get(pivotRow, c)),
      work.set(pivotRow, c, held.get()),
    ]);
  const subtract = (r: Expr, step: Expr): Stmt[] => [
    factor.set(s.div(work.get(r, step), work.get(step, step))),
    work.set(r, step, factor.get()),
    each(
      'rest',
      n,
      j => {
        const c = after(step, j);
        return [work.set(r, c, s.sub(work.get(r, c), s.mul(factor.get(), work.get(step, c))))];
      },
      beyond(step, n),
    ),
  ];
  const run = each('step', k, step => [
    chosen.set(cast('int32', step)),
    choose(step),
    write(step, index(n), s.add(cast(dtype, chosen.get()), 1)),
    exchange(step),
    ...when(s.ne(work.get(step, step), 0), [each('place', m, i => subtract(after(step, i), step), beyond(step, m))]),
  ]);
  const results = each('out', m, r => [
    each('column', n, c => [write(r, c, work.get(r, c))]),
    ...when(call('ge', r, index(k)), [write(r, index(n), constant(dtype, 0))]),
  ]);
  return declare([work, chosen, factor, held], [fill, run, results]);
}

const luPacked: Op<(input: Tensor) => Tensor> = define({
  name: 'luPacked',
  doc: 'L and U in one matrix, and a column of row numbers, from 1, with which each row was exchanged.',
  signature: 'input: tensor',
  fusion: 'opaque',
  gradName: 'LinalgLuFactorExBackward0',
  infer([input]) {
    const { batch, rows, columns } = checkMatrices('linalg.luFactor', input);
    return { dtype: input.dtype, shape: [...batch, rows, columns + 1] };
  },
  lower: perMatrix(eliminate),
  vjp: c => {
    const [rows, columns] = c.types[0].shape.slice(-2);
    const k = Math.min(rows, columns);
    const block = (packed: Tensor, row: number, height: number, column: number, width: number): Tensor =>
      packed.narrow(-2, row, height).narrow(-1, column, width);
    const parts = (packed: Tensor): Tensor[] => [
      block(packed, 0, k, 0, k),
      block(packed, k, rows - k, 0, k),
      block(packed, 0, k, k, columns - k),
    ];
    const [square, below, right] = parts(c.out);
    const [grad, gradBelow, gradRight] = parts(c.grad);
    const inL = square.tril(-1).add(unitLike(square)).transpose(-2, -1);
    const inU = square.triu().transpose(-2, -1);
    const throughL = (x: Tensor): Tensor => solveTriangular(inL, x, { upper: true, unitriangular: true });
    const throughU = (x: Tensor): Tensor => solveTriangular(inU, x, { upper: false, left: false });
    let ofL = inL.matmul(grad.tril(-1));
    let ofU = grad.triu().matmul(inU);
    if (columns > k) ofL = ofL.sub(gradRight.matmul(right.transpose(-2, -1)));
    if (rows > k) ofU = ofU.sub(below.transpose(-2, -1).matmul(gradBelow));
    let ordered = throughU(throughL(ofL.tril(-1).add(ofU.triu())));
    if (columns > k) ordered = cat([ordered, throughL(gradRight)], -1);
    if (rows > k) ordered = cat([ordered, throughU(gradBelow)], -2);
    return [takeRows(ordered, rowOrder(pivotColumn(c.out), rows).argsort(-1))];
  },
  samples: [
    sample(exactly([2, 2], [1, 2, 3, -1])),
    sample(exactly([2, 3, 3], [1, 2, 0.5, 3, -1, 1, 0, 4, 2, 3, 1, 0, 1, 2, 1, 0, 1, 4])),
    sample(exactly([3, 2], [1, 2, 3, -1, 0, 1])),
    sample(exactly([2, 3], [1, 2, 3, -3, 0, 1])),
    sampleWithoutGradient(exactly([2, 3], [0, 2, 3, 0, 0, 1])),
  ],
});

const pivotColumn = (packed: Tensor): Tensor => {
  const [rows, columns] = packed.shape.slice(-2);
  return packed
    .detach()
    .select(-1, -1)
    .narrow(-1, 0, Math.min(rows, columns - 1))
    .to('int32');
};

/** Unit matrices of the shape of given ones. */
export const unitLike = (A: Tensor): Tensor => A.detach().onesLike().tril().triu();
const takeRows = (A: Tensor, order: Tensor): Tensor => A.gather(-2, order.unsqueeze(-1).expand(A.shape));

/** Memory is not left whatever a pivot says. */
const inside = (pivot: Expr, rows: number): Expr => s.min(s.max(pivot, constant('int32', 1)), constant('int32', rows));

const rowOrder: Op<(input: Tensor, rows: number) => Tensor> = define({
  name: 'rowOrder',
  doc: 'Which row stands where after the exchanges that pivots tell of.',
  signature: 'input: tensor, rows: int',
  fusion: 'opaque',
  differentiable: false,
  infer: ([input], { rows }) => ({ dtype: 'int64', shape: [...input.shape.slice(0, -1), rows as number] }),
  lower: {
    kind: 'program',
    build({ inputs: [pivots], type, out }) {
      const rows = type.shape[type.shape.length - 1];
      const iters = type.shape.slice(0, -1).map((extent, d) => makeIter(`b${d}`, extent));
      const batch = iters.map(iterOf);
      const held = new Cell('held', 'int64');
      const other = new Cell('other', 'int32');
      const at = cast('index', other.get());
      const body = [
        each('row', rows, r => [out.store([...batch, r], cast('int64', r))]),
        each('step', pivots.type.shape[pivots.type.shape.length - 1], step => [
          other.set(s.sub(inside(cast('int32', pivots.at([...batch, step])), rows), 1)),
          held.set(out.load([...batch, step])),
          out.store([...batch, step], out.load([...batch, at])),
          out.store([...batch, at], held.get()),
        ]),
      ];
      return iters.reduceRight<readonly Stmt[]>(
        (inner, iter) => [loop(iter, 'parallel', inner)],
        declare([held, other], body),
      );
    },
  },
  samples: [sampleWithoutGradient(exactly([2, 2], [3, 2, 2, 2], 'int32'), 3)],
});

type Factors = NamedTuple<['LU', 'pivots']>;

export const luFactor: Op<(A: Tensor) => Factors> = composite({
  name: 'linalg.luFactor',
  doc: 'L below the diagonal and U above, in one matrix, and the row, from 1, with which each row was exchanged.',
  signature: 'A: tensor',
  compute({ A }) {
    const packed = luPacked(A);
    return namedTuple<['LU', 'pivots']>({ LU: packed.narrow(-1, 0, A.shape[A.ndim - 1]), pivots: pivotColumn(packed) });
  },
  samples: [sample(exactly([2, 2], [1, 2, 3, -1])), sampleWithoutGradient(random([2, 3, 2]))],
});

/** `rowOrder` of pivots that exchange rows of a matrix. */
function orderOf(op: string, pivots: Tensor, rows: number): Tensor {
  requireValues(pivots, {
    op,
    accepts: pivot => pivot >= 1 && pivot <= rows,
    acceptsAll: values => values.ge(1).logicalAnd(values.le(rows)),
    refuse: pivot =>
      fail('E110', {
        op,
        problem: `pivots must be between 1 and ${rows}, the number of rows${pivot === null ? '' : `, but one is ${pivot}`}`,
        hint: 'pass LU and pivots as luFactor gives them',
      }),
  });
  return rowOrder(pivots, rows);
}

export const luUnpack: Op<(LUData: Tensor, LUPivots: Tensor) => NamedTuple<['P', 'L', 'U']>> = composite({
  name: 'luUnpack',
  doc: 'The permutation matrix P and the triangles L and U of what luFactor gives.',
  signature: 'LUData: tensor, LUPivots: tensor',
  compute({ LUData, LUPivots }) {
    const [rows, columns] = LUData.shape.slice(-2);
    const k = Math.min(rows, columns);
    const L = LUData.narrow(-1, 0, k).tril(-1);
    const order = orderOf('luUnpack', LUPivots, rows);
    const unit = unitLike(
      order
        .unsqueeze(-1)
        .expand([...order.shape, rows])
        .to(LUData.dtype),
    );
    return namedTuple({
      P: takeRows(unit, order.argsort(-1)),
      L: L.add(unitLike(L)),
      U: LUData.narrow(-2, 0, k).triu(),
    });
  },
  samples: [sample(exactly([2, 2], [3, -1, 0.3, 2]), exactly([2], [2, 2], 'int32'))],
});

export const lu: Op<(A: Tensor) => NamedTuple<['P', 'L', 'U']>> = composite({
  name: 'linalg.lu',
  doc: 'A = P·L·U with a permutation matrix, a unit lower and an upper triangle.',
  signature: 'A: tensor',
  compute({ A }) {
    const { LU, pivots } = luFactor(A);
    return luUnpack(LU, pivots);
  },
  samples: [
    sample(exactly([2, 2], [1, 2, 3, -1])),
    sample(exactly([3, 2], [1, 2, 3, -1, 0, 1])),
    sample(exactly([2, 3], [1, 2, 3, -3, 0, 1])),
  ],
});

/** X with Aᵀ·X = B; infinite where A is singular, as divisions by its zero pivots are. */
export function solveTransposed(A: Tensor, B: Tensor): Tensor {
  const packed = luPacked(A);
  const rows = A.shape[A.ndim - 1];
  return transposedSolution(packed.narrow(-1, 0, rows), rowOrder(pivotColumn(packed), rows), B);
}

function transposedSolution(LU: Tensor, order: Tensor, B: Tensor): Tensor {
  const transposed = LU.transpose(-2, -1);
  const half = solveTriangular(transposed, B, { upper: false });
  const ordered = solveTriangular(transposed, half, { upper: true, unitriangular: true });
  return takeRows(ordered, order.argsort(-1));
}

interface Side {
  readonly left?: boolean;
  readonly adjoint?: boolean;
}
export const solveByFactors: Op<(LU: Tensor, pivots: Tensor, B: Tensor, options?: Side) => Tensor> = composite({
  name: 'linalg.luSolve',
  doc: 'X with A·X = B, or X·A = B where left is false, given what luFactor makes of A; with adjoint, of Aᵀ.',
  signature: 'LU: tensor, pivots: tensor, B: tensor, *, left: bool = true, adjoint: bool = false',
  compute({ LU, pivots, B, left, adjoint }) {
    const right: Tensor = left ? B : B.transpose(-2, -1);
    const order = orderOf('linalg.luSolve', pivots, LU.shape[LU.ndim - 1]);
    const X = left === adjoint ? transposedSolution(LU, order, right) : luSolve(right, LU, pivots);
    return left ? X : X.transpose(-2, -1);
  },
  samples: [
    sample(exactly([2, 2], [3, -1, 0.3, 2]), exactly([2], [2, 2], 'int32'), random([2, 3])),
    sample(exactly([2, 2], [3, -1, 0.3, 2]), exactly([2], [2, 2], 'int32'), random([2, 3]), { adjoint: true }),
    sample(exactly([2, 2], [3, -1, 0.3, 2]), exactly([2], [2, 2], 'int32'), random([3, 2]), { left: false }),
  ],
});

export const luSolve: Op<(b: Tensor, LUData: Tensor, LUPivots: Tensor) => Tensor> = composite({
  name: 'luSolve',
  doc: 'X with A·X = b, given what luFactor makes of A.',
  signature: 'b: tensor, LUData: tensor, LUPivots: tensor',
  compute({ b, LUData, LUPivots }) {
    const ordered = takeRows(b, orderOf('luSolve', LUPivots, LUData.shape[LUData.ndim - 1]));
    const half = solveTriangular(LUData, ordered, { upper: false, unitriangular: true });
    return solveTriangular(LUData, half, { upper: true });
  },
  samples: [sample(random([2, 3]), exactly([2, 2], [3, -1, 0.3, 2]), exactly([2], [2, 2], 'int32'))],
  errors: [
    {
      args: [random([2, 3]), exactly([2, 2], [3, -1, 0.3, 2]), exactly([2], [2, 3], 'int32')],
      message: /pivots must be between 1 and 2, the number of rows, but one is 3/,
    },
  ],
});
