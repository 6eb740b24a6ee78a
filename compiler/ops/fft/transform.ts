/**
 * The discrete Fourier transform of rows of any length, from matrix products over static shapes.
 *
 * A short row is multiplied by its matrix. A longer one of rows · columns numbers is transformed along its columns, turned by
 * roots of unity, and transformed along its rows (J. W. Cooley and J. W. Tukey, "An algorithm for the machine calculation of
 * complex Fourier series", 1965; D. H. Bailey's four steps, 1990). A length with no small factor becomes a convolution with a
 * chirp, transformed at a power of 2 (L. I. Bluestein, 1970). The error grows with the logarithm of the length, as that of
 * PyTorch's transforms does.
 *
 * Rows are planes here: [batch, 2, n], real parts before imaginary ones; [batch, 1, n] for real numbers.
 */
import { padDim, stack } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { chirp, chirpSpectrum, denseMatrix, type Sign, twiddles } from './tables.js';

/** Rows up to this are multiplied by their matrix, and longer ones split by factors up to it. */
const longestDense = 64;

/** How a row of n numbers is transformed. */
export type Plan =
  | { readonly kind: 'dense' }
  | { readonly kind: 'split'; readonly rows: number; readonly columns: number }
  | { readonly kind: 'chirp'; readonly size: number };

/** The factor nearest to equal steps; a transform by a chirp where there is none. */
export function planOf(n: number): Plan {
  if (n <= longestDense) return { kind: 'dense' };
  const steps = Math.ceil(Math.log(n) / Math.log(longestDense) - 1e-9);
  const wanted = Math.log(n) / steps;
  const factors = Array.from({ length: longestDense - 1 }, (_, i) => i + 2).filter(factor => n % factor === 0);
  const distance = (factor: number): number => Math.abs(Math.log(factor) - wanted);
  if (factors.length === 0) return { kind: 'chirp', size: 2 ** Math.ceil(Math.log2(2 * n - 1)) };
  const rows = factors.reduce((best, factor) => (distance(factor) < distance(best) ? factor : best));
  return { kind: 'split', rows, columns: n / rows };
}

/** The transform of each row, [batch, 2, n], without any scale. */
export function transformed(x: Tensor, sign: Sign): Tensor {
  const n = x.shape[2];
  const plan = planOf(n);
  if (plan.kind === 'dense') return dense(x, sign);
  return plan.kind === 'split' ? split(x, sign, plan.rows, plan.columns) : convolved(x, sign, plan.size);
}

const planesOf = (x: Tensor): 1 | 2 => x.shape[1] as 1 | 2;

function dense(x: Tensor, sign: Sign): Tensor {
  const [batch, , n] = x.shape;
  const matrix = denseMatrix(n, planesOf(x), sign, x.dtype);
  return x
    .reshape([batch, planesOf(x) * n])
    .matmul(matrix.t())
    .reshape([batch, 2, n]);
}

function split(x: Tensor, sign: Sign, rows: number, columns: number): Tensor {
  const [batch] = x.shape;
  const matrix = denseMatrix(rows, planesOf(x), sign, x.dtype);
  const down = matrix.matmul(x.reshape([batch, planesOf(x) * rows, columns])).reshape([batch, 2, rows, columns]);
  const turned = times(down, twiddles(rows, columns, sign, x.dtype));
  const across = turned.transpose(1, 2).reshape([batch * rows, 2, columns]);
  return transformed(across, sign)
    .reshape([batch, rows, 2, columns])
    .permute([0, 2, 3, 1])
    .reshape([batch, 2, rows * columns]);
}

function convolved(x: Tensor, sign: Sign, size: number): Tensor {
  const n = x.shape[2];
  const factors = chirp(n, sign, x.dtype);
  const spread = padDim(times(x, factors), 2, 0, size - n);
  const product = times(transformed(spread, -1), chirpSpectrum(n, size, sign, x.dtype));
  return times(transformed(product, 1).slice(2, 0, n), factors);
}

/** Planes times complex factors in planes, [2, ...]. */
function times(x: Tensor, factors: Tensor): Tensor {
  const [c, s] = factors.unbind(0);
  const re = x.select(1, 0);
  if (x.shape[1] === 1) return stack([re.mul(c), re.mul(s)], 1);
  const im = x.select(1, 1);
  return stack([re.mul(c).sub(im.mul(s)), re.mul(s).add(im.mul(c))], 1);
}
