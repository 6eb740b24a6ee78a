/**
 * Linear algebra under `linalg`: norms, solutions and factors as users call them. The factorisations themselves are in
 * `factorization.ts` and `spectral.ts`.
 */
import { fail } from '../errors.js';
import { normalizeDims } from '../ir/shape.js';
import { requireValues } from './checks.js';
import { multiDot as chain, crossAlong } from './contraction.js';
import { composite, type Op } from './define.js';
import { needsFloat } from './elementwise.js';
import {
  choleskyFactor,
  determinant,
  inverse,
  logOfDeterminant,
  orthogonalTriangular,
  pivotsOf,
  signOfDeterminant,
  solveLinear,
} from './factorization.js';
import { luFactor } from './lu.js';
import { type NamedTuple, namedTuple } from './named-tuple.js';
import { vectorNorm as pNorm } from './reduction.js';
import { exactly, random, sample, sampleWithoutGradient, symmetricSample } from './samples.js';
import { where } from './selection.js';
import { cat } from './shape.js';
import { eigenpairs, pseudoInverse, singularTriplets, smallestSingular } from './spectral.js';
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
    gradName: 'LinalgVectorNormBackward0',
    compute: ({ x, ord, dim, keepdim }) => pNorm(x, orderOf(ord), dim, keepdim),
    samples: [sample(random([2, 3])), sample(random([2, 3]), 3, 1)],
  });

export const matrixNorm: Op<
  (A: Tensor, ord?: Order | NormOptions, dim?: readonly number[], keepdim?: boolean) => Tensor
> = composite({
  name: 'linalg.matrixNorm',
  doc: "The norm of matrices: 'fro', 'nuc', the largest (smallest) singular value (2, -2), sum of columns (1, -1) or rows (inf, -inf).",
  signature: "A: tensor, ord: any = 'fro', dim: dims = [-2, -1], keepdim: bool = false",
  compute({ A, ord, dim, keepdim }) {
    const [rows, columns] = dim.map((d: number) => (d < 0 ? d + A.ndim : d));
    if (ord === 'fro') return pNorm(A, 2, [rows, columns], keepdim);
    if (ord === 'nuc' || Math.abs(orderOf(ord)) === 2) {
      const values = svdvals(A.movedim([rows, columns], [-2, -1]));
      const found = ord === 'nuc' ? values.sum(-1) : values.select(-1, orderOf(ord) > 0 ? 0 : -1);
      return keepdim ? [rows, columns].sort((x, y) => x - y).reduce((x, d) => x.unsqueeze(d), found) : found;
    }
    const p = orderOf(ord);
    if (Math.abs(p) !== 1 && Math.abs(p) !== Number.POSITIVE_INFINITY) {
      return fail('E110', {
        op: 'linalg.matrixNorm',
        problem: `Order ${ord} not supported`,
        hint: "use 'fro', 'nuc', 1, -1, 2, -2, inf or -inf",
      });
    }
    const [summed, other] = Math.abs(p) === 1 ? [rows, columns] : [columns, rows];
    const sums = A.abs().sum(summed, { keepdim: true });
    const found = p > 0 ? sums.amax(other, { keepdim: true }) : sums.amin(other, { keepdim: true });
    return keepdim ? found : found.squeeze([rows, columns]);
  },
  samples: [
    sample(random([2, 3])),
    sample(random([2, 3]), 1),
    sample(random([2, 3]), Number.POSITIVE_INFINITY),
    sample(random([2, 3]), 2),
    sample(random([2, 4, 3]), 'nuc', [0, 2], true),
  ],
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

// ── as users call it ───────────────────────────────────────────────────────────────────────────────────────────────────

type Unary = Op<(A: Tensor) => Tensor>;

/** A singular matrix is an error. */
function checkRegular(op: string, A: Tensor): void {
  requireValues(A, {
    op,
    measure: pivotsOf,
    accepts: pivot => pivot !== 0 && !Number.isNaN(pivot),
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

export const slogdet: Op<(A: Tensor) => NamedTuple<['sign', 'logabsdet']>> = composite({
  name: 'linalg.slogdet',
  doc: 'The sign of the determinant and the logarithm of its magnitude.',
  signature: 'A: tensor',
  compute({ A }) {
    return namedTuple({ sign: signOfDeterminant(A), logabsdet: logOfDeterminant(A) });
  },
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
});

export const logdet: Unary = composite({
  name: 'linalg.logdet',
  doc: 'The logarithm of the determinant; NaN where it is negative.',
  signature: 'A: tensor',
  compute: ({ A }) => where(signOfDeterminant(A).lt(0), Number.NaN, logOfDeterminant(A)),
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
});

export const vecdot: Op<(x: Tensor, y: Tensor, options?: { dim?: number }) => Tensor> = composite({
  name: 'linalg.vecdot',
  doc: 'Sums of products along a dim.',
  signature: 'x: tensor, y: tensor, *, dim: int = -1',
  compute: ({ x, y, dim }) => x.mul(y).sum(dim),
  samples: [sample(random([2, 3]), random([2, 3]))],
});

export const cross: Op<(input: Tensor, other: Tensor, options?: { dim?: number }) => Tensor> = composite({
  name: 'linalg.cross',
  gradName: 'LinalgCrossBackward0',
  doc: 'Vector product in three dimensions, along a dim.',
  signature: 'input: tensor, other: tensor, *, dim: int = -1',
  compute: ({ input, other, dim }) => crossAlong('linalg.cross', input, other, dim),
  samples: [sample(random([3, 3]), random([1, 3]))],
  errors: [{ args: [random([3, 2]), random([3, 2])], message: /inputs dimension -1 must have length 3/ }],
});

/** For one right-hand side or several. */
function solutionOf(A: Tensor, B: Tensor): Tensor {
  const vectors = B.ndim === 1 || B.ndim === A.ndim - 1;
  return vectors ? solveLinear(A, B.unsqueeze(-1)).squeeze(-1) : solveLinear(A, B);
}

export const solve: Op<(A: Tensor, B: Tensor) => Tensor> = composite({
  name: 'linalg.solve',
  doc: 'X with A·X = B, for one right-hand side or several.',
  signature: 'A: tensor, B: tensor',
  compute({ A, B }) {
    checkRegular('linalg.solve', A);
    return solutionOf(A, B);
  },
  gradName: 'LinalgSolveExBackward0',
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

// ── eigenvalues, singular values and orthogonal factors ────────────────────────────────────────────────────────────────

/** The lower triangle, or with 'U' the upper one, stands for the whole symmetric matrix. */
const triangleOf = (A: Tensor, uplo: string): Tensor => {
  if (uplo !== 'L' && uplo !== 'U')
    fail('E110', { op: 'linalg.eigh', problem: `Expected UPLO argument to be 'L' or 'U', but got ${uplo}` });
  return uplo === 'L' ? A : A.transpose(-2, -1);
};
type Triangle = 'L' | 'U';
type Symmetric<R> = Op<(A: Tensor, uplo?: Triangle | { readonly uplo?: Triangle }) => R>;

export const eigh: Symmetric<NamedTuple<['eigenvalues', 'eigenvectors']>> = composite({
  name: 'linalg.eigh',
  doc: 'Eigenvalues of symmetric matrices, ascending, and eigenvectors as columns, each up to its sign.',
  signature: "A: tensor, uplo: string = 'L'",
  compute({ A, uplo }) {
    const found = eigenpairs(triangleOf(A, uplo));
    return namedTuple({ eigenvalues: found.select(-2, -1), eigenvectors: found.slice(-2, 0, -1) });
  },
  samples: [symmetricSample(exactly([2, 2], [2, 1, 1, 3])), symmetricSample(exactly([2, 2], [2, 1, 1, 3]), 'U')],
  errors: [{ args: [random([2, 3])], message: /square matrices/ }],
});

export const eigvalsh: Symmetric<Tensor> = composite({
  name: 'linalg.eigvalsh',
  doc: 'Eigenvalues of symmetric matrices, ascending.',
  signature: "A: tensor, uplo: string = 'L'",
  compute: ({ A, uplo }) => eigenpairs(triangleOf(A, uplo)).select(-2, -1),
  samples: [symmetricSample(exactly([2, 2, 2], [2, 1, 1, 3, 1, 0, 0, -1]))],
  errors: [{ args: [exactly([2, 2], [1, 2, 2, 1]), 'X'], message: /to be 'L' or 'U', but got X/ }],
});

export const svd: Op<(A: Tensor, fullMatrices?: boolean | { fullMatrices?: boolean }) => NamedTuple<['U', 'S', 'Vh']>> =
  composite({
    name: 'linalg.svd',
    doc: 'A = U·diag(S)·Vh with singular values descending; needs fullMatrices: false unless the matrices are square.',
    signature: 'A: tensor, fullMatrices: bool = true',
    compute({ A, fullMatrices }) {
      const [rows, columns] = A.shape.slice(-2);
      if (fullMatrices && rows !== columns) {
        const problem = 'the full matrices of a decomposition that is not square are not supported';
        fail('E110', { op: 'linalg.svd', problem, hint: 'give fullMatrices: false, which leaves nothing out of A' });
      }
      const found = singularTriplets(A);
      return namedTuple({
        U: found.narrow(-2, 0, rows),
        S: found.select(-2, rows),
        Vh: found.narrow(-2, rows + 1, columns).transpose(-2, -1),
      });
    },
    samples: [
      sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5]), { fullMatrices: false }),
      sample(exactly([2, 2], [1, 2, -3, 1])),
    ],
    errors: [{ args: [random([2, 3])], message: /not square are not supported/ }],
  });

export const svdvals: Unary = composite({
  name: 'linalg.svdvals',
  doc: 'The singular values, descending.',
  signature: 'A: tensor',
  compute: ({ A }) => singularTriplets(A).select(-2, A.shape[A.ndim - 2]),
  samples: [sample(exactly([2, 3], [1, 2, -3, 1, 2, 0.5]))],
});

type QrMode = 'reduced' | 'r';
export const qr: Op<(A: Tensor, mode?: QrMode | { readonly mode?: QrMode }) => NamedTuple<['Q', 'R']>> = composite({
  name: 'linalg.qr',
  doc: "A = Q·R with orthonormal columns of Q and an upper triangular R, as LAPACK chooses their signs; no Q for mode 'r'.",
  signature: "A: tensor, mode: string = 'reduced'",
  compute({ A, mode }) {
    if (mode !== 'reduced' && mode !== 'r') {
      const problem = `mode must be 'reduced' or 'r', but is '${mode}'`;
      fail('E110', { op: 'linalg.qr', problem, hint: "mode 'complete' is not supported" });
    }
    const found = orthogonalTriangular(A);
    const [rows, columns] = A.shape.slice(-2);
    const k = Math.min(rows, columns);
    const R = found.narrow(-2, rows, k);
    const Q = mode === 'r' ? A.narrow(-1, 0, 0).flatten().detach() : found.narrow(-2, 0, rows).narrow(-1, 0, k);
    return namedTuple({ Q, R });
  },
  samples: [sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5])), sampleWithoutGradient(random([2, 3]), 'r')],
  errors: [{ args: [random([2, 3]), 'complete'], message: /'complete' is not supported/ }],
});

interface Tolerance {
  readonly rtol?: number | null;
}

export const pinv: Op<(A: Tensor, options?: Tolerance) => Tensor> = composite({
  name: 'linalg.pinv',
  doc: 'The Moore–Penrose pseudoinverse.',
  signature: 'A: tensor, *, rtol: number = null',
  compute({ A, rtol }) {
    needsFloat('linalg.pinv')(A.dtype);
    return pseudoInverse(A, rtol ?? smallestSingular(A));
  },
  samples: [sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5]))],
});

export const matrixRank: Op<(A: Tensor, options?: Tolerance) => Tensor> = composite({
  name: 'linalg.matrixRank',
  doc: 'How many singular values are more than rtol times the largest.',
  signature: 'A: tensor, *, rtol: number = null',
  compute({ A, rtol }) {
    const values = svdvals(A.detach());
    return values.gt(values.amax(-1, { keepdim: true }).mul(rtol ?? smallestSingular(A))).sum(-1);
  },
  samples: [sampleWithoutGradient(exactly([2, 2, 2], [1, 2, 2, 4, 1, 0, 0, 1]))],
});

export const cond: Op<(A: Tensor, p?: Order | null | { readonly p?: Order | null }) => Tensor> = composite({
  name: 'linalg.cond',
  doc: 'The condition number: the norm of the matrix times that of its inverse; by default the ratio of singular values.',
  signature: 'A: tensor, p: any = null',
  compute({ A, p }) {
    if (p !== null && Math.abs(orderOf(p)) !== 2) return matrixNorm(A, p).mul(matrixNorm(inverse(A), p));
    const values = svdvals(A);
    const ratio = values.select(-1, 0).div(values.select(-1, -1));
    return p !== null && orderOf(p) < 0 ? ratio.reciprocal() : ratio;
  },
  samples: [sample(exactly([2, 2], [3, 1, 1, 2])), sample(exactly([2, 2], [3, 1, 1, 2]), 'fro')],
});

export const lstsq: Op<(A: Tensor, B: Tensor) => { solution: Tensor }> = composite({
  name: 'linalg.lstsq',
  doc: 'The shortest X for which A·X is nearest to B, as { solution }.',
  signature: 'A: tensor, B: tensor',
  compute({ A, B }) {
    needsFloat('linalg.lstsq')(A.dtype);
    const X = pseudoInverse(A, smallestSingular(A));
    return { solution: B.ndim === 1 ? X.matmul(B.unsqueeze(-1)).squeeze(-1) : X.matmul(B) };
  },
  samples: [sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5]), random([3, 2]))],
});

export { matmul, matrixPower } from './contraction.js';
export { lu, luFactor, solveByFactors as luSolve } from './lu.js';
export { matrixExp } from './matrix-exponential.js';
export { tensorinv, tensorsolve } from './tensor-equations.js';
export { solveTriangular } from './triangular.js';

export const diagonal: Op<
  (A: Tensor, options?: { readonly offset?: number; readonly dim1?: number; readonly dim2?: number }) => Tensor
> = composite({
  name: 'linalg.diagonal',
  doc: 'The diagonals of a batch of matrices, in the last dim.',
  signature: 'A: tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1',
  compute: ({ A, offset, dim1, dim2 }) => A.diagonal(offset, dim1, dim2),
  samples: [sample(random([2, 3, 3])), sample(random([3, 4]), { offset: 1 })],
});

export const vander: Op<(x: Tensor, options?: { readonly N?: number | null }) => Tensor> = composite({
  name: 'linalg.vander',
  doc: 'The powers 0 to N - 1 of each element, in a new last dim; N is the number of elements unless given.',
  signature: 'x: tensor, *, N: int = null',
  compute({ x, N }) {
    const count = N ?? x.shape[x.ndim - 1];
    if (count <= 1) fail('E110', { op: 'linalg.vander', problem: `N must be greater than 1, but is ${count}.` });
    const factors = x.unsqueeze(-1).expand([...x.shape, count - 1]);
    return cat([factors.detach().narrow(-1, 0, 1).onesLike(), factors], -1).cumprod(-1);
  },
  samples: [sample(random([3])), sample(random([2, 3]), { N: 2 })],
  errors: [{ args: [random([3]), { N: 1 }], message: /N must be greater than 1/ }],
});

/** Instead of an error: the number of the first row, from 1, where a factorisation had to stop; 0 where none had. */
const firstFailure = (fails: Tensor): Tensor => {
  const n = fails.shape[fails.ndim - 1];
  const found = fails.to('int32').argmax(-1).add(1).to('int32');
  return n === 0 ? fails.sum(-1).to('int32') : where(fails.any(-1), found, 0).to('int32');
};

export const invEx: Op<(A: Tensor) => NamedTuple<['inverse', 'info']>> = composite({
  name: 'linalg.invEx',
  doc: 'The inverse, and instead of an error info: 0, or which pivot is zero, counted from 1.',
  signature: 'A: tensor',
  compute: ({ A }) => namedTuple({ inverse: inverse(A), info: firstFailure(pivotsOf(A.detach()).eq(0)) }),
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]))],
});

export const solveEx: Op<(A: Tensor, B: Tensor) => NamedTuple<['result', 'info']>> = composite({
  name: 'linalg.solveEx',
  doc: 'X with A·X = B, and instead of an error info: 0, or which pivot is zero, counted from 1.',
  signature: 'A: tensor, B: tensor',
  compute: ({ A, B }) => namedTuple({ result: solutionOf(A, B), info: firstFailure(pivotsOf(A.detach()).eq(0)) }),
  samples: [sample(exactly([2, 2], [3, 1, 1, 2]), random([2]))],
});

export const luFactorEx: Op<(A: Tensor) => NamedTuple<['LU', 'pivots', 'info']>> = composite({
  name: 'linalg.luFactorEx',
  doc: 'What luFactor gives, and info: 0, or which pivot is zero, counted from 1.',
  signature: 'A: tensor',
  compute({ A }) {
    const { LU, pivots } = luFactor(A);
    return namedTuple({ LU, pivots, info: firstFailure(LU.detach().diagonal(0, -2, -1).eq(0)) });
  },
  samples: [sample(exactly([2, 2], [3, 1, 1, 2])), sampleWithoutGradient(exactly([2, 2], [1, 2, 2, 4]))],
});

export const choleskyEx: Op<(input: Tensor, options?: { readonly upper?: boolean }) => NamedTuple<['L', 'info']>> =
  composite({
    name: 'linalg.choleskyEx',
    doc: 'The triangular factor, and instead of an error info: 0, or the first leading minor, by its size, that is not positive.',
    signature: 'input: tensor, *, upper: bool = false',
    compute({ input, upper }) {
      const L = choleskyFactor(input);
      const stops = L.detach().diagonal(0, -2, -1).gt(0).logicalNot();
      return namedTuple({ L: upper ? L.transpose(-2, -1) : L, info: firstFailure(stops) });
    },
    samples: [
      symmetricSample(exactly([2, 2], [4, 2, 2, 3])),
      sampleWithoutGradient(exactly([2, 2, 2], [1, 0, 0, 1, -1, 0, 0, 1])),
    ],
  });
