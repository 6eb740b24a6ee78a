/** Linear equations between tensors whose dims stand for the rows and columns of a matrix. */
import { fail } from '../errors.js';
import { formatShape, type Shape } from '../ir/shape.js';
import { composite, type Op } from './define.js';
import { inverse, solveLinear } from './factorization.js';
import { exactly, random, sample } from './samples.js';
import type { Tensor } from './tensor.js';

const product = (shape: Shape): number => shape.reduce((all, dim) => all * dim, 1);

export const tensorinv: Op<(A: Tensor, ind?: number | { readonly ind?: number }) => Tensor> = composite({
  name: 'linalg.tensorinv',
  doc: 'The inverse of the tensor for tensordot: its first `ind` dims are rows, the others columns.',
  signature: 'A: tensor, ind: int = 2',
  compute({ A, ind }) {
    if (ind <= 0) fail('E110', { op: 'linalg.tensorinv', problem: "Expected a strictly positive integer for 'ind'" });
    const [rows, columns] = [A.shape.slice(0, ind), A.shape.slice(ind)];
    if (product(rows) !== product(columns)) {
      fail('E107', {
        op: 'linalg.tensorinv',
        problem: `Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got ${product(columns)} != ${product(rows)}`,
      });
    }
    return inverse(A.reshape([product(rows), product(columns)])).reshape([...columns, ...rows]);
  },
  samples: [sample(exactly([2, 1, 2], [3, 1, 1, 2]), { ind: 1 }), sample(exactly([2, 1, 1, 2], [3, 1, 1, 2]))],
  errors: [{ args: [random([2, 3]), 1], message: /but got 3 != 2/ }],
});

export const tensorsolve: Op<
  (A: Tensor, B: Tensor, dims?: readonly number[] | null | { readonly dims?: readonly number[] | null }) => Tensor
> = composite({
  name: 'linalg.tensorsolve',
  doc: 'X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first.',
  signature: 'A: tensor, B: tensor, dims: dims = null',
  compute({ A, B, dims }) {
    const moved: Tensor =
      dims === null
        ? A
        : A.movedim(
            dims,
            (dims as number[]).map((_, i) => i - dims.length),
          );
    const result = moved.shape.slice(B.ndim);
    if (product(result) !== B.numel()) {
      fail('E107', {
        op: 'linalg.tensorsolve',
        problem: `Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but A has shape ${formatShape(moved.shape)} and B ${formatShape(B.shape)}`,
      });
    }
    const columns = product(result);
    return solveLinear(moved.reshape([columns, columns]), B.reshape([columns, 1])).reshape(result);
  },
  samples: [
    sample(exactly([2, 1, 2], [3, 1, 1, 2]), random([2, 1])),
    sample(exactly([2, 2, 1], [3, 1, 1, 2]), random([2, 1]), { dims: [1] }),
  ],
  errors: [{ args: [random([2, 3]), random([2])], message: /Expected self to satisfy/ }],
});
