/** Equations in complex matrices: A = R + iS is the real matrix (R -S; S R), twice the size. */

import { inv, solve } from '../linalg.js';
import { cat } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { fromParts, partsOf, promoted, rule } from './parts.js';

function blocksOf(A: Tensor): Tensor {
  const [re, im] = partsOf(A);
  return cat([cat([re, im.neg()], -1), cat([im, re], -1)], -2);
}

/** The complex matrix whose real and imaginary part stand one below the other. */
function fromBlocks(parts: Tensor): Tensor {
  const rows = parts.shape[parts.ndim - 2] / 2;
  return fromParts(parts.narrow(-2, 0, rows), parts.narrow(-2, rows, rows));
}

function solutionOf(A: Tensor, B: Tensor): Tensor {
  const vectors = B.ndim === 1 || B.ndim === A.ndim - 1;
  if (vectors) return solutionOf(A, B.unsqueeze(-1)).squeeze(-1);
  return fromBlocks(solve(blocksOf(A), cat(partsOf(B), -2)));
}

rule(solve, bound => {
  const [A, B] = promoted(bound.A, bound.B);
  return solutionOf(A, B);
});
rule(inv, ({ A }) => fromBlocks(inv(blocksOf(A)).narrow(-1, 0, A.shape[A.ndim - 1])));
