/**
 * The largest singular values of a matrix by a random projection that powers of the matrix make sharper (N. Halko et al.,
 * "Finding structure with randomness", 2009, algorithms 4.4 and 5.1), and principal components by them.
 */
import { fail } from '../compiler/errors.js';
import { qr, svd } from '../compiler/ops/linalg.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { byName, type InOrder } from './in-order.js';
import { randn } from './random.js';

type Triplets = [U: Tensor, S: Tensor, V: Tensor];

export interface LowRankOptions {
  /** How many singular values; a little more than the rank. */
  readonly q?: number | null;
  /** How often the projection is sharpened. */
  readonly niter?: number;
}

function checkCounts(op: string, A: Tensor, q: number, niter: number): void {
  const least = Math.min(...A.shape.slice(-2));
  if (!(Number.isInteger(q) && q >= 0 && q <= least))
    fail('E110', { op, problem: `q(=${q}) must be non-negative integer and not greater than min(m, n)=${least}` });
  if (!(Number.isInteger(niter) && niter >= 0))
    fail('E110', { op, problem: `niter(=${niter}) must be non-negative integer` });
}

/** Orthonormal columns whose span holds most of A's range. */
function approximateBasis(A: Tensor, q: number, niter: number): Tensor {
  const basisOf = (x: Tensor): Tensor => qr(x).Q;
  let Q = basisOf(A.matmul(randn(A.shape[A.ndim - 1], q, { dtype: A.dtype })));
  for (let i = 0; i < niter; i++) Q = basisOf(A.matmul(basisOf(A.mT.matmul(Q))));
  return Q;
}

function triplets(A: Tensor, q: number, niter: number): Triplets {
  const [rows, columns] = A.shape.slice(-2);
  const byColumns = rows < columns || columns > q;
  const Q = approximateBasis(byColumns ? A.mT : A, q, niter);
  const { U, S, Vh } = svd(byColumns ? A.matmul(Q) : A.mT.matmul(Q).mT, { fullMatrices: false });
  return byColumns ? [U, S, Q.matmul(Vh.mT)] : [Q.matmul(U), S, Vh.mT];
}

interface SvdOptions extends LowRankOptions {
  readonly M?: Tensor | null;
}
const svdOrder = ['q', 'niter', 'M'] as const;
/** U, S and V with A ≈ U·diag(S)·Vᵀ for a matrix A of low rank, or A - M. */
export function svdLowrank(A: Tensor, ...given: InOrder<SvdOptions, typeof svdOrder>): Triplets {
  const { q, niter = 2, M } = byName<SvdOptions, typeof svdOrder>('svdLowrank', svdOrder, given);
  const count = q ?? Math.min(6, ...A.shape.slice(-2));
  checkCounts('svdLowrank', A, count, niter);
  return triplets(M ? A.sub(M) : A, count, niter);
}

interface PcaOptions extends LowRankOptions {
  readonly center?: boolean;
}
const pcaOrder = ['q', 'center', 'niter'] as const;
/** U, S and V of the rows of A, centered unless `center` is false: the columns of V are the principal directions. */
export function pcaLowrank(A: Tensor, ...given: InOrder<PcaOptions, typeof pcaOrder>): Triplets {
  const { q, center = true, niter = 2 } = byName<PcaOptions, typeof pcaOrder>('pcaLowrank', pcaOrder, given);
  const count = q ?? Math.min(6, ...A.shape.slice(-2));
  checkCounts('pcaLowrank', A, count, niter);
  return triplets(center ? A.sub(A.mean(-2, { keepdim: true })) : A, count, niter);
}
