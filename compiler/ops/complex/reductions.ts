/** Sums, products, moments and norms of complex numbers. */
import { normalizeDim, normalizeDims } from '../../ir/shape.js';
import * as linalg from '../linalg.js';
import * as reduction from '../reduction.js';
import * as scan from '../scan.js';
import { cat } from '../shape.js';
import type { Bound } from '../signature.js';
import type { Tensor } from '../tensor.js';
import { times } from './arithmetic.js';
import { asWritten, imaginaryPart, onMagnitude, partwise, realPart, rule } from './parts.js';

partwise(reduction.sum, 'input');
partwise(reduction.mean, 'input');
partwise(scan.cumsum, 'input');
asWritten(reduction.sumToSize, reduction.countNonzero, reduction.equal, reduction.allclose, scan.diff);
asWritten(scan.trapz, scan.cumulativeTrapezoid);

for (const op of [reduction.any, reduction.all])
  rule(op, ({ input, dim, keepdim }) => op(input.ne(0), dim, { keepdim }));

// ── products ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The product along a dim, which stays with size 1: halves multiplied, again and again. */
function productAlong(z: Tensor, dim: number): Tensor {
  const extent = z.shape[dim];
  if (extent === 0) return z.sum(dim, { keepdim: true }).onesLike();
  if (extent === 1) return z;
  const half = Math.floor(extent / 2);
  const products = times(z.slice(dim, 0, half), z.slice(dim, half, 2 * half));
  return productAlong(2 * half === extent ? products : cat([products, z.slice(dim, 2 * half)], dim), dim);
}
rule(reduction.prod, ({ input, dim, keepdim, dtype }) => {
  const dims = normalizeDims('prod', dim, input.ndim);
  const product = dims.reduce(productAlong, dtype === null ? input : input.to(dtype));
  return keepdim || dims.length === 0 ? product : product.squeeze(dims);
});

/** Products of all up to each place, over twice as many places in each step. */
function runningProducts(z: Tensor, dim: number, reach = 1): Tensor {
  if (reach >= z.shape[dim]) return z;
  const grown = times(z.slice(dim, reach), z.slice(dim, 0, -reach));
  return runningProducts(cat([z.slice(dim, 0, reach), grown], dim), dim, 2 * reach);
}
rule(scan.cumprod, ({ input, dim, dtype }) => {
  const z = dtype === null ? input : input.to(dtype);
  return z.ndim === 0 ? z : runningProducts(z, normalizeDim('cumprod', dim, z.ndim));
});

// ── moments and norms ──────────────────────────────────────────────────────────────────────────────────────────────────

const variance = (bound: Bound): Tensor =>
  reduction
    .var({ ...bound, input: realPart(bound.input) } as never)
    .add(reduction.var({ ...bound, input: imaginaryPart(bound.input) } as never));
const deviation = (bound: Bound): Tensor => reduction.rootOrFlat(variance(bound));
const meanBeside = ({ input, dim, keepdim }: Bound): Tensor =>
  input.mean(typeof dim === 'boolean' ? null : dim, { keepdim });

rule(reduction.var, variance);
rule(reduction.std, deviation);
rule(reduction.varMean, bound => [variance(bound), meanBeside(bound)]);
rule(reduction.stdMean, bound => [deviation(bound), meanBeside(bound)]);
onMagnitude(reduction.norm);
onMagnitude(linalg.vectorNorm, 'x');
rule(reduction.dist, ({ input, other, p }) => input.sub(other).norm(p));
