/** Linear algebra as PyTorch had it before `linalg`: the same factors in other places. */

import { fail } from '../errors.js';
import { composite, type Op } from './define.js';
import { pinv, qr as reducedQr, svd as reducedSvd, svdvals } from './linalg.js';
import { luFactor } from './lu.js';
import { type NamedTuple, namedTuple } from './named-tuple.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import type { Tensor } from './tensor.js';

interface SvdOptions {
  readonly some?: boolean;
  readonly computeUv?: boolean;
}

export const svd: Op<(input: Tensor, some?: boolean | SvdOptions, computeUv?: boolean) => NamedTuple<['U', 'S', 'V']>> =
  composite({
    name: 'svd',
    doc: 'input = U·diag(S)·Vᵀ with singular values descending; without computeUv U and V are zeros.',
    signature: 'input: tensor, some: bool = true, computeUv: bool = true',
    compute({ input, some, computeUv }) {
      if (computeUv) {
        const { U, S, Vh } = reducedSvd(input, { fullMatrices: !some });
        return namedTuple({ U, S, V: Vh.transpose(-2, -1) });
      }
      const [rows, columns] = input.shape.slice(-2);
      const square = (n: number): Tensor =>
        input
          .detach()
          .sum([-2, -1], { keepdim: true })
          .zerosLike()
          .expand([...input.shape.slice(0, -2), n, n])
          .clone();
      return namedTuple({ U: square(rows), S: svdvals(input), V: square(columns) });
    },
    samples: [
      sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5])),
      sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5]), { computeUv: false }),
    ],
  });

export const qr: Op<(input: Tensor, some?: boolean | { readonly some?: boolean }) => NamedTuple<['Q', 'R']>> =
  composite({
    name: 'qr',
    doc: 'input = Q·R with orthonormal columns of Q and an upper triangular R.',
    signature: 'input: tensor, some: bool = true',
    compute({ input, some }) {
      const [rows, columns] = input.shape.slice(-2);
      if (!some && rows > columns)
        fail('E110', {
          op: 'qr',
          problem: 'the complete Q of a matrix with more rows than columns is not supported',
          hint: 'leave `some` at true',
        });
      return reducedQr(input);
    },
    samples: [sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5])), sampleWithoutGradient(random([2, 3]), false)],
    errors: [{ args: [random([3, 2]), false], message: /complete Q .* is not supported/ }],
  });

export const pinverse: Op<(input: Tensor, rcond?: number | { readonly rcond?: number }) => Tensor> = composite({
  name: 'pinverse',
  doc: 'The Moore–Penrose pseudoinverse; singular values up to rcond times the largest count as 0.',
  signature: 'input: tensor, rcond: number = 1e-15',
  compute: ({ input, rcond }) => pinv(input, { rtol: Number(rcond) }),
  samples: [sample(exactly([3, 2], [1, 2, -3, 1, 2, 0.5]))],
});

export const lu: Op<(A: Tensor) => NamedTuple<['LU', 'pivots']>> = composite({
  name: 'lu',
  doc: 'The packed factors and pivots of linalg.luFactor.',
  signature: 'A: tensor',
  compute: ({ A }) => luFactor(A),
  samples: [sample(exactly([2, 2], [1, 2, 3, -1]))],
});
