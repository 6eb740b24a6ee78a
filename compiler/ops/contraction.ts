/**
 * Contractions: sums of products over shared dims. One lowering form (`reduce add` of a product) serves them all, and one
 * schedule per backend recognises it; none has a kernel of its own.
 */
import { fail } from '../errors.js';
import { computeType } from '../ir/dtype.js';
import { call, cast } from '../ir/kernel.js';
import { broadcastShapes, formatShape, type Shape } from '../ir/shape.js';
import { broadcastIndex, composite, define, type Op } from './define.js';
import { random, sample } from './samples.js';
import type { Tensor } from './tensor.js';

function checkInner(op: string, a: Shape, b: Shape): void {
  const m = a[a.length - 1];
  const n = b[b.length - 2];
  if (m !== n) fail('E103', { op, a: formatShape(a), b: formatShape(b), m, n, transposed: b.length === 2 && b[1] === m });
}

/** [..., M, K] @ [..., K, N] with broadcast batch dims; the node that `matmul` and its relatives become. */
export const batchedMatmul: Op<(input: Tensor, other: Tensor) => Tensor> = define({
  name: 'batchedMatmul',
  doc: 'Matrix product of the last two dims; leading dims are batches and broadcast.',
  signature: 'input: tensor, other: tensor',
  fusion: 'contraction',
  gradName: 'BmmBackward0',
  infer([a, b]) {
    if (a.dtype !== b.dtype) fail('E108', { op: 'matmul', problem: `expected both operands to have the same dtype, but got ${a.dtype} and ${b.dtype}`, hint: 'convert one of them with .to(dtype)' });
    checkInner('matmul', a.shape, b.shape);
    const batch = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
    return { dtype: a.dtype, shape: [...batch, a.shape[a.shape.length - 2], b.shape[b.shape.length - 1]] };
  },
  lower: {
    kind: 'reduce',
    fn: 'add',
    extents: ([a]) => [a.shape[a.shape.length - 1]],
    element(at, [k], [a, b], _, type) {
      const [m, n] = at.slice(-2);
      const batch = at.slice(0, -2);
      const compute = computeType(type.dtype);
      const left = a.at([...broadcastIndex(batch, a.type.shape.slice(0, -2)), m, k]);
      const right = b.at([...broadcastIndex(batch, b.type.shape.slice(0, -2)), k, n]);
      return call('mul', cast(compute, left), cast(compute, right));
    },
  },
  vjp: c => [
    c.needs(0) ? batchedMatmul(c.grad, c.in(1).transpose(-2, -1)).sumToSize(c.types[0].shape) : null,
    c.needs(1) ? batchedMatmul(c.in(0).transpose(-2, -1), c.grad).sumToSize(c.types[1].shape) : null,
  ],
  samples: [sample(random([2, 3]), random([3, 4])), sample(random([2, 2, 3]), random([3, 2])), sample(random([2, 1, 2, 3]), random([3, 3, 2]))],
  errors: [{ args: [random([8, 64]), random([32, 64])], message: /inner sizes differ: \[8, 64\] @ \[32, 64\]/ }],
});

export const matmul: Op<(input: Tensor, other: Tensor) => Tensor> = composite({
  name: 'matmul',
  doc: 'Matrix product as PyTorch defines it for vectors, matrices and batches of them.',
  signature: 'input: tensor, other: tensor',
  compute({ input, other }: { input: Tensor; other: Tensor }) {
    if (input.ndim === 0 || other.ndim === 0) fail('E107', { op: 'matmul', problem: `both arguments to matmul need to be at least 1D, but they are ${input.ndim}D and ${other.ndim}D` });
    const a = input.ndim === 1 ? input.unsqueeze(0) : input;
    const b = other.ndim === 1 ? other.unsqueeze(1) : other;
    let out = batchedMatmul(a, b);
    if (input.ndim === 1) out = out.squeeze(-2);
    if (other.ndim === 1) out = out.squeeze(-1);
    return out;
  },
  samples: [sample(random([2, 3]), random([3, 4])), sample(random([3]), random([3])), sample(random([2, 4, 3]), random([3])), sample(random([3]), random([2, 3, 4]))],
});

