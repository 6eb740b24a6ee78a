/**
 * Linear algebra under `linalg`: norms, and what follows from triangular factors.
 *
 * Factorisations are programs over one matrix at a time (batches in parallel): Cholesky, and Gaussian elimination with
 * partial pivoting, which gives solve, inverse and determinant. Derivatives are those of M. Giles, "Collected matrix
 * derivative results for forward and reverse mode algorithmic differentiation" (2008).
 */
import { fail } from '../errors.js';
import { arith } from '../ir/arith.js';
import { isFloat } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  cast,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  reduce,
  type Stmt,
  select,
  store,
  when,
} from '../ir/kernel.js';
import { formatShape, normalizeDims, type Shape } from '../ir/shape.js';
import { requireValues } from './checks.js';
import { batchedMatmul, multiDot as chain } from './contraction.js';
import { composite, define, type Op } from './define.js';
import { vectorNorm as pNorm } from './reduction.js';
import { exactly, random, sample, sampleWithoutGradient, symmetricSample } from './samples.js';
import type { Tensor } from './tensor.js';

type Dims = number | readonly number[] | null;
type Order = number | 'fro' | 'nuc' | 'inf' | '-inf';
interface NormOptions {
  readonly ord?: Order | null;
  readonly dim?: Dims;
  readonly keepdim?: boolean;
}

const orderOf = (ord: Order | null): number =>
  Number(ord === 'inf' ? Number.POSITIVE_INFINITY : ord === '-inf' ? Number.NEGATIVE_INFINITY : (ord ?? 2));

export const vectorNorm: Op<(x: Tensor, ord?: Order | NormOptions, dim?: Dims, keepdim?: boolean) => Tensor> =
  composite({
    name: 'linalg.vectorNorm',
    doc: 'The norm of the elements as one vector, over the given dims or all.',
    signature: 'x: tensor, ord: any = 2, dim: dims = null, keepdim: bool = false',
    compute: ({ x, ord, dim, keepdim }) => pNorm(x, orderOf(ord), dim, keepdim),
    samples: [sample(random([2, 3])), sample(random([2, 3]), 3, 1)],
  });

export const matrixNorm: Op<
  (A: Tensor, ord?: Order | NormOptions, dim?: readonly number[], keepdim?: boolean) => Tensor
> = composite({
  name: 'linalg.matrixNorm',
  doc: "The norm of matrices: 'fro', or the largest (smallest) sum of columns (1, -1) or rows (inf, -inf).",
  signature: "A: tensor, ord: any = 'fro', dim: dims = [-2, -1], keepdim: bool = false",
  compute({ A, ord, dim, keepdim }) {
    const [rows, columns] = dim.map((d: number) => (d < 0 ? d + A.ndim : d));
    if (ord === 'fro') return pNorm(A, 2, [rows, columns], keepdim);
    const p = orderOf(ord);
    if (Math.abs(p) !== 1 && Math.abs(p) !== Number.POSITIVE_INFINITY) {
      return fail('E110', {
        op: 'linalg.matrixNorm',
        problem: `ord=${ord} needs singular values, which are not there`,
        hint: "use 'fro', 1, -1, inf or -inf",
      });
    }
    const [summed, other] = Math.abs(p) === 1 ? [rows, columns] : [columns, rows];
    const sums = A.abs().sum(summed, { keepdim: true });
    const found = p > 0 ? sums.amax(other, { keepdim: true }) : sums.amin(other, { keepdim: true });
    return keepdim ? found : found.squeeze([rows, columns]);
  },
  samples: [sample(random([2, 3])), sample(random([2, 3]), 1), sample(random([2, 3]), Number.POSITIVE_INFINITY)],
});

export const norm: Op<(A: Tensor, ord?: Order | null | NormOptions, dim?: Dims, keepdim?: boolean) => Tensor> =
  composite({
    name: 'linalg.norm',
    doc: 'The vector norm over one dim or all, the matrix norm over two.',
    signature: 'A: tensor, ord: any = null, dim: dims = null, keepdim: bool = false',
    compute({ A, ord, dim, keepdim }) {
      if (ord === null) return pNorm(A, 2, dim, keepdim);
      const dims = normalizeDims('linalg.norm', dim, A.ndim);
      return dims.length === 2 ? matrixNorm(A, ord, dims, keepdim) : vectorNorm(A, ord, dim, keepdim);
    },
    samples: [sample(random([2, 3])), sample(random([2, 3]), 1), sample(random([4]), 3)],
  });

export const multiDot: Op<(tensors: readonly Tensor[]) => Tensor> = composite({
  name: 'linalg.multiDot',
  doc: 'Product of a chain of matrices.',
  signature: 'tensors: tensors',
  compute: ({ tensors }) => chain(tensors),
  samples: [sample([random([2, 3]), random([3, 4]), random([4, 2])])],
});

// ── programs over matrices ─────────────────────────────────────────────────────────────────────────────────────────────

function checkSquare(op: string, { shape, dtype }: TensorType): void {
  const [m, n] = shape.slice(-2);
  if (shape.length < 2 || m !== n)
    fail('E107', {
      op,
      problem: `A must be batches of square matrices, but they are ${formatShape(shape.slice(-2))} matrices`,
    });
  if (!isFloat(dtype)) fail('E108', { op, problem: `is defined on floats, not on ${dtype}` });
}

/** Loops over the batch dims around one matrix. */
function perMatrix(batch: Shape, body: (at: readonly Expr[]) => readonly Stmt[]): readonly Stmt[] {
  const iters = batch.map((extent, d) => makeIter(`b${d}`, extent));
  return iters.reduceRight<readonly Stmt[]>((inner, iter) => [loop(iter, 'parallel', inner)], body(iters.map(iterOf)));
}
const serial = (iter: Iter, body: readonly Stmt[], limit: Expr | null = null): Stmt =>
  loop(iter, 'serial', body, limit);
const zero = index(0);

/** The lower triangle L with L·Lᵀ = A, row by row (Cholesky–Banachiewicz). */
const choleskyFactor: Op<(input: Tensor) => Tensor> = define({
  name: 'choleskyFactor',
  doc: 'The lower triangular L with L·Lᵀ equal to a symmetric positive-definite matrix.',
  signature: 'input: tensor',
  fusion: 'opaque',
  gradName: 'LinalgCholeskyExBackward0',
  infer([input]) {
    checkSquare('linalg.cholesky', input);
    return input;
  },
  lower: {
    kind: 'program',
    build({ inputs: [A], type, out }) {
      const n = type.shape[type.shape.length - 1];
      const [i, j, k] = ['i', 'j', 'k'].map(name => makeIter(name, n));
      const [row, column, inner] = [i, j, k].map(iterOf);
      return perMatrix(type.shape.slice(0, -2), batch => {
        const acc: Buffer = { name: 'rest', dtype: type.dtype, size: 1, scope: 'register' };
        const L = (a: Expr, b: Expr): Expr => out.load([...batch, a, b]);
        const rest = load(acc, zero);
        const eliminate = serial(
          k,
          [reduce(acc, zero, 'add', arith.neg(arith.mul(L(row, inner), L(column, inner))))],
          column,
        );
        const value = select(
          call('eq', row, column),
          arith.sqrt(arith.max(rest, 0)),
          arith.div(rest, L(column, column)),
        );
        const entry = when(
          call('le', column, row),
          [
            alloc(acc, [
              store(acc, zero, cast(type.dtype, A.at([...batch, row, column]))),
              eliminate,
              out.store([...batch, row, column], value),
            ]),
          ],
          [out.store([...batch, row, column], constant(type.dtype, 0))],
        );
        return [serial(i, [serial(j, entry)])];
      });
    },
  },
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
const solveLinear: Op<(A: Tensor, B: Tensor) => Tensor> = composite({
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
  lower: {
    kind: 'program',
    build({ inputs: [A], type, out }) {
      const { dtype } = type;
      const n = type.shape[type.shape.length - 1];
      return perMatrix(type.shape.slice(0, -2), batch =>
        gaussJordan(
          n,
          dtype,
          (r, c) => A.at([...batch, r, c]),
          (r, c, value) => out.store([...batch, r, c], value),
        ),
      );
    },
  },
  samples: [
    sampleWithoutGradient(exactly([2, 2], [0, 2, 1, 3])),
    sampleWithoutGradient(exactly([2, 2, 2], [3, 1, 1, 2, 1, 0, 0, 1])),
  ],
});

function gaussJordan(
  n: number,
  dtype: TensorType['dtype'],
  read: (row: Expr, column: Expr) => Expr,
  write: (row: Expr, column: Expr, value: Expr) => Stmt,
): Stmt[] {
  const local = (name: string, size: number, type = dtype): Buffer => ({
    name,
    dtype: type,
    size,
    scope: size === 1 ? 'register' : 'local',
  });
  const [work, unit, det, pivot, factor, held] = [
    local('work', n * n),
    local('unit', n * n),
    local('det', 1),
    local('pivot', 1, 'int32'),
    local('factor', 1),
    local('held', 1),
  ];
  const iters = ['step', 'row', 'column', 'search', 'swap', 'scale', 'out', 'place', 'rest'].map(name =>
    makeIter(name, n),
  );
  const [step, row, column, search, swap, scale, outRow, place, rest] = iters;
  const at = (r: Expr, c: Expr): Expr => addIndex(call('mul', r, index(n)), c);
  const pivotRow = cast('index', load(pivot, zero));
  const s = iterOf(step);
  const isUnit = select(call('eq', iterOf(row), iterOf(column)), constant(dtype, 1), constant(dtype, 0));
  const fill = serial(row, [
    serial(column, [
      store(work, at(iterOf(row), iterOf(column)), cast(dtype, read(iterOf(row), iterOf(column)))),
      store(unit, at(iterOf(row), iterOf(column)), isUnit),
    ]),
  ]);
  const larger = arith.gt(arith.abs(load(work, at(iterOf(search), s))), arith.abs(load(work, at(pivotRow, s))));
  const find = serial(
    search,
    when(call('gt', iterOf(search), s), when(larger, [store(pivot, zero, cast('int32', iterOf(search)))])),
  );
  const exchange = (buffer: Buffer): Stmt[] => [
    store(held, zero, load(buffer, at(s, iterOf(swap)))),
    store(buffer, at(s, iterOf(swap)), load(buffer, at(pivotRow, iterOf(swap)))),
    store(buffer, at(pivotRow, iterOf(swap)), load(held, zero)),
  ];
  const turn = when(call('ne', pivotRow, s), [
    serial(swap, [...exchange(work), ...exchange(unit)]),
    store(det, zero, arith.neg(load(det, zero))),
  ]);
  const divide = [
    store(factor, zero, load(work, at(s, s))),
    store(det, zero, arith.mul(load(det, zero), load(factor, zero))),
    serial(
      scale,
      [work, unit].map(buffer =>
        store(buffer, at(s, iterOf(scale)), arith.div(load(buffer, at(s, iterOf(scale))), load(factor, zero))),
      ),
    ),
  ];
  const r = iterOf(place);
  const clear = serial(
    place,
    when(call('ne', r, s), [
      store(factor, zero, load(work, at(r, s))),
      serial(
        rest,
        [work, unit].map(buffer =>
          store(
            buffer,
            at(r, iterOf(rest)),
            arith.sub(
              load(buffer, at(r, iterOf(rest))),
              arith.mul(load(factor, zero), load(buffer, at(s, iterOf(rest)))),
            ),
          ),
        ),
      ),
    ]),
  );
  const eliminate = serial(step, [store(pivot, zero, cast('int32', s)), find, ...turn, ...divide, clear]);
  const o = iterOf(outRow);
  const results = serial(outRow, [
    serial(column, [write(o, iterOf(column), load(unit, at(o, iterOf(column))))]),
    write(index(n), o, select(call('eq', o, zero), load(det, zero), constant(dtype, 0))),
  ]);
  const body = [fill, store(det, zero, constant(dtype, 1)), eliminate, results];
  return [work, unit, det, pivot, factor, held].reduceRight<Stmt[]>((inner, buffer) => [alloc(buffer, inner)], body);
}

const inverse: Op<(input: Tensor) => Tensor> = define({
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

const determinant: Op<(input: Tensor) => Tensor> = define({
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

// ── as users call it ───────────────────────────────────────────────────────────────────────────────────────────────────

type Unary = Op<(A: Tensor) => Tensor>;

/** A singular matrix is an error. */
function checkRegular(op: string, A: Tensor): void {
  requireValues(A, {
    op,
    measure: determinant,
    accepts: det => det !== 0 && !Number.isNaN(det),
    acceptsAll: all => all.ne(0).logicalAnd(all.isnan().logicalNot()),
    refuse: () =>
      fail('E110', {
        op,
        problem:
          'The diagonal element is zero, the inversion could not be completed because the input matrix is singular.',
      }),
  });
}

export const inv: Unary = composite({
  name: 'linalg.inv',
  doc: 'The inverse of square matrices.',
  signature: 'A: tensor',
  compute({ A }) {
    checkRegular('linalg.inv', A);
    return inverse(A);
  },
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
  errors: [
    { args: [exactly([2, 2], [1, 2, 2, 4])], message: /input matrix is singular/ },
    { args: [random([2, 3])], message: /square matrices/ },
  ],
});

export const det: Unary = composite({
  name: 'linalg.det',
  doc: 'The determinant of square matrices.',
  signature: 'A: tensor',
  compute: ({ A }) => determinant(A),
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
});

export const slogdet: Op<(A: Tensor) => [sign: Tensor, logabsdet: Tensor]> = composite({
  name: 'linalg.slogdet',
  doc: 'The sign of the determinant and the logarithm of its magnitude.',
  signature: 'A: tensor',
  compute({ A }) {
    const value = determinant(A);
    return [value.sign(), value.abs().log()];
  },
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
});

export const logdet: Unary = composite({
  name: 'linalg.logdet',
  doc: 'The logarithm of the determinant; NaN where it is negative.',
  signature: 'A: tensor',
  compute: ({ A }) => determinant(A).log(),
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
});

export const vecdot: Op<(x: Tensor, y: Tensor, options?: { dim?: number }) => Tensor> = composite({
  name: 'linalg.vecdot',
  doc: 'Sums of products along a dim.',
  signature: 'x: tensor, y: tensor, *, dim: int = -1',
  compute: ({ x, y, dim }) => x.mul(y).sum(dim),
  samples: [sample(random([2, 3]), random([2, 3]))],
});

export const solve: Op<(A: Tensor, B: Tensor) => Tensor> = composite({
  name: 'linalg.solve',
  doc: 'X with A·X = B, for one right-hand side or several.',
  signature: 'A: tensor, B: tensor',
  compute({ A, B }) {
    checkRegular('linalg.solve', A);
    const vectors = B.ndim === 1 || B.ndim === A.ndim - 1;
    return vectors ? solveLinear(A, B.unsqueeze(-1)).squeeze(-1) : solveLinear(A, B);
  },
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]), random([2])), sample(exactly([2, 2], [3, 1, 1, 2]), random([2, 3]))],
});

export const cholesky: Op<(input: Tensor, options?: { upper?: boolean }) => Tensor> = composite({
  name: 'linalg.cholesky',
  doc: 'The triangular factor of symmetric positive-definite matrices.',
  signature: 'input: tensor, *, upper: bool = false',
  compute({ input, upper }) {
    const factor = choleskyFactor(input);
    requireValues(factor, {
      op: 'linalg.cholesky',
      measure: all => all.diagonal(0, -2, -1),
      accepts: value => value > 0,
      acceptsAll: all => all.gt(0),
      refuse: () =>
        fail('E110', {
          op: 'linalg.cholesky',
          problem: 'The factorization could not be completed because the input is not positive-definite.',
        }),
    });
    return upper ? factor.transpose(-2, -1) : factor;
  },
  samples: [symmetricSample(exactly([2, 2], [4, 2, 2, 3]))],
  errors: [{ args: [exactly([2, 2], [1, 2, 2, 1])], message: /not positive-definite/ }],
});

export { cross, matmul, matrixPower } from './contraction.js';
export { diagonal } from './view.js';
