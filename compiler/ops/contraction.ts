/**
 * Contractions: sums of products over shared dims. One lowering form (`reduce add` of a product) serves them all, and
 * one schedule per backend recognises it; none has a kernel of its own.
 */
import { fail } from '../errors.js';
import { computeType } from '../ir/dtype.js';
import { call, cast } from '../ir/kernel.js';
import { broadcastShapes, formatShape, normalizeDim, numel, type Shape } from '../ir/shape.js';
import { broadcastIndex, composite, define, type Op, scalarTensor } from './define.js';
import { random, sample, sampleWithoutGradient } from './samples.js';
import { renameStep } from './tape.js';
import type { Tensor } from './tensor.js';

type Product = Op<(input: Tensor, other: Tensor) => Tensor>;

function checkInner(op: string, a: Shape, b: Shape): void {
  const m = a[a.length - 1];
  const n = b[b.length - 2];
  if (m === n) return;
  fail('E103', { op, a: formatShape(a), b: formatShape(b), m, n, transposed: b.length === 2 && b[1] === m });
}

/** [..., M, K] @ [..., K, N] with broadcast batch dims; the node that `matmul` and its relatives become. */
export const batchedMatmul: Product = define({
  name: 'batchedMatmul',
  doc: 'Matrix product of the last two dims; leading dims are batches and broadcast.',
  signature: 'input: tensor, other: tensor',
  fusion: 'contraction',
  gradName: ([a, b]) => (a.shape.length === 2 && b.shape.length === 2 ? 'MmBackward0' : 'BmmBackward0'),
  infer([a, b]) {
    if (a.dtype !== b.dtype) {
      fail('E108', {
        op: 'matmul',
        problem: `expected both operands to have the same dtype, but got ${a.dtype} and ${b.dtype}`,
        hint: 'convert one of them with .to(dtype)',
      });
    }
    if (a.dtype === 'bool') {
      const hint = 'convert with .int() or .float() first';
      fail('E108', { op: 'matmul', problem: 'is defined on numbers, not on bool', hint });
    }
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
  samples: [
    sample(random([2, 3]), random([3, 4])),
    sample(random([2, 2, 3]), random([3, 2])),
    sample(random([2, 1, 2, 3]), random([3, 3, 2])),
  ],
  errors: [{ args: [random([8, 64]), random([32, 64])], message: /inner sizes differ: \[8, 64\] @ \[32, 64\]/ }],
});

export const matmul: Product = composite({
  name: 'matmul',
  doc: 'Matrix product as PyTorch defines it for vectors, matrices and batches of them.',
  signature: 'input: tensor, other: tensor',
  compute({ input, other }: { input: Tensor; other: Tensor }) {
    if (input.ndim === 0 || other.ndim === 0) {
      fail('E107', {
        op: 'matmul',
        problem: `both arguments to matmul need to be at least 1D, but they are ${input.ndim}D and ${other.ndim}D`,
      });
    }
    if (input.ndim > 2 && other.ndim <= 2) return mergedRows(input, other);
    const a = input.ndim === 1 ? input.unsqueeze(0) : input;
    const b = other.ndim === 1 ? other.unsqueeze(1) : other;
    let out = batchedMatmul(a, b);
    if (other.ndim === 1) out = out.squeeze(-1);
    if (input.ndim === 1) out = out.squeeze(other.ndim === 1 ? -1 : -2);
    return out;
  },
  gradName({ input, other }) {
    if (other.ndim === 1 && input.ndim <= 2) return input.ndim === 1 ? 'DotBackward0' : 'MvBackward0';
    return Math.max(input.ndim, other.ndim) > 3 ? 'UnsafeViewBackward0' : null;
  },
  samples: [
    sample(random([2, 3]), random([3, 4])),
    sample(random([3]), random([3])),
    sample(random([2, 4, 3]), random([3])),
    sample(random([2, 4, 3]), random([3, 2])),
    sample(random([3]), random([2, 3, 4])),
  ],
});

/** Batches against one matrix are one product with more rows, and so is the gradient of that matrix. */
function mergedRows(input: Tensor, other: Tensor): Tensor {
  const inner = input.shape[input.ndim - 1];
  const lead = input.shape.slice(0, -1);
  if (other.shape[0] !== inner) checkInner('matmul', input.shape, other.ndim === 1 ? [other.shape[0], 1] : other.shape);
  const out = batchedMatmul(input.reshape([numel(lead), inner]), other.ndim === 1 ? other.unsqueeze(1) : other);
  const result = out.reshape(other.ndim === 1 ? lead : [...lead, other.shape[1]]);
  renameStep(result, 'UnsafeViewBackward0');
  return result;
}

/** PyTorch's steps where they are not those of products of matrices. */
const rankedSteps: Readonly<Record<string, string>> = { mv: 'MvBackward0', dot: 'DotBackward0' };

/** A product of operands of fixed rank. */
const ranked = (name: string, doc: string, ranks: readonly [number, number], from: Shape, to: Shape): Product =>
  composite({
    name,
    doc,
    signature: 'input: tensor, other: tensor',
    compute({ input, other }) {
      if (input.ndim !== ranks[0] || other.ndim !== ranks[1]) {
        fail('E107', {
          op: name,
          problem: `expected tensors of ${ranks[0]} and ${ranks[1]} dims, got ${input.ndim} and ${other.ndim}`,
        });
      }
      if (name === 'bmm' && input.shape[0] !== other.shape[0]) {
        fail('E107', {
          op: name,
          problem: `batch sizes differ: ${formatShape(input.shape)} and ${formatShape(other.shape)}`,
        });
      }
      return matmul(input, other);
    },
    gradName: rankedSteps[name],
    samples: [sample(random(from), random(to))],
  });

export const mm: Product = ranked('mm', 'Product of two matrices.', [2, 2], [2, 3], [3, 4]);
export const bmm: Product = ranked('bmm', 'Products of two batches of matrices.', [3, 3], [2, 2, 3], [2, 3, 4]);
export const mv: Product = ranked('mv', 'Product of a matrix and a vector.', [2, 1], [2, 3], [3]);
export const dot: Product = ranked('dot', 'Sum of the products of two vectors.', [1, 1], [3], [3]);

export const vdot: Product = composite({
  name: 'vdot',
  doc: 'Sum of the products of two vectors, the first one conjugate.',
  signature: 'input: tensor, other: tensor',
  compute: ({ input, other }) => dot(input.conj(), other),
  samples: [sample(random([3]), random([3]))],
});

export const outer: Product = composite({
  name: 'outer',
  doc: 'All products of the elements of two vectors.',
  signature: 'input: tensor, other: tensor',
  compute({ input, other }) {
    const wrong = [input, other].find(vector => vector.ndim !== 1);
    if (wrong) fail('E107', { op: 'outer', problem: `expected 1-D arguments, but got ${wrong.ndim}-D` });
    return input.unsqueeze(1).mul(other.unsqueeze(0));
  },
  samples: [sample(random([2]), random([3]))],
});

export const inner: Product = composite({
  name: 'inner',
  doc: 'Sums of products over the last dims of both.',
  signature: 'input: tensor, other: tensor',
  compute: ({ input, other }) =>
    input.ndim === 0 || other.ndim === 0 ? input.mul(other) : tensordot(input, other, [[-1], [-1]]),
  samples: [sample(random([2, 3]), random([4, 3])), sample(random([3]), random([3]))],
});

export interface Scales {
  readonly beta?: number;
  readonly alpha?: number;
}
type AddedProduct = Op<(input: Tensor, first: Tensor, second: Tensor, options?: Scales) => Tensor>;

/** beta · input + alpha · product; with beta 0 nothing of the input spreads, and its gradient is 0. */
const added = (
  name: string,
  names: readonly [string, string],
  doc: string,
  product: (a: Tensor, b: Tensor) => Tensor,
  shapes: readonly [Shape, Shape, Shape],
): AddedProduct =>
  composite({
    name,
    doc: `beta · input + alpha · ${doc}`,
    signature: `input: tensor, ${names[0]}: tensor, ${names[1]}: tensor, *, beta: number = 1, alpha: number = 1`,
    gradName: `${name[0].toUpperCase()}${name.slice(1)}Backward0`,
    compute(bound) {
      const whole = product(bound[names[0]], bound[names[1]]);
      const scaled = Number(bound.alpha) === 1 ? whole : whole.mul(bound.alpha);
      const beta = Number(bound.beta);
      if (beta === 0) {
        const result = scaled.expand(broadcastShapes(name, bound.input.shape, scaled.shape));
        return bound.input.requiresGrad ? bound.input.where(scalarTensor(0, 'bool'), result) : result;
      }
      return scaled.add(beta === 1 ? bound.input : bound.input.mul(bound.beta));
    },
    samples: [
      sample(random(shapes[0]), random(shapes[1]), random(shapes[2])),
      sample(random(shapes[0]), random(shapes[1]), random(shapes[2]), { beta: 0.5, alpha: 2 }),
    ],
  });

// biome-ignore format: one op a line reads as a table
export const addmm: AddedProduct = added('addmm', ['mat1', 'mat2'], 'mat1 @ mat2.', (a, b) => mm(a, b), [[4], [2, 3], [3, 4]]);
// biome-ignore format: one op a line reads as a table
export const addmv: AddedProduct = added('addmv', ['mat', 'vec'], 'mat @ vec.', (a, b) => mv(a, b), [[2], [2, 3], [3]]);
// biome-ignore format: one op a line reads as a table
export const addr: AddedProduct = added('addr', ['vec1', 'vec2'], 'vec1 ⊗ vec2.', (a, b) => outer(a, b), [[2, 3], [2], [3]]);
// biome-ignore format: one op a line reads as a table
export const baddbmm: AddedProduct = added('baddbmm', ['batch1', 'batch2'], 'batch1 @ batch2.', (a, b) => bmm(a, b), [[2, 4], [2, 2, 3], [2, 3, 4]]);
// biome-ignore format: one op a line reads as a table
export const addbmm: AddedProduct = added('addbmm', ['batch1', 'batch2'], 'Σ batch1 @ batch2.', (a, b) => bmm(a, b).sum(0), [[2, 4], [2, 2, 3], [2, 3, 4]]);

export const linear: Op<
  (input: Tensor, weight: Tensor, bias?: Tensor | null | { readonly bias?: Tensor | null }) => Tensor
> = composite({
  name: 'linear',
  doc: 'input @ weightᵀ + bias.',
  signature: 'input: tensor, weight: tensor, bias: tensor = null',
  compute({ input, weight, bias }: { input: Tensor; weight: Tensor; bias: Tensor | null }) {
    if (input.shape[input.ndim - 1] !== weight.shape[weight.ndim - 1]) {
      fail('E107', {
        op: 'linear',
        problem: `input of shape ${formatShape(input.shape)} does not fit a weight of shape ${formatShape(weight.shape)}`,
        hint: `the last size of the input must be ${weight.shape[weight.ndim - 1]}`,
      });
    }
    const product = matmul(input, weight.ndim === 2 ? weight.t() : weight);
    if (bias === null) return product;
    const out = product.add(bias);
    if (input.ndim === 2) renameStep(out, 'AddmmBackward0');
    return out;
  },
  samples: [
    sample(random([2, 3]), random([4, 3]), random([4])),
    sample(random([2, 2, 3]), random([4, 3])),
    sample(random([3]), random([4, 3]), random([4])),
  ],
  errors: [
    {
      args: [random([2, 3]), random([4, 5])],
      message: /input of shape \[2, 3\] does not fit a weight of shape \[4, 5\]/,
    },
  ],
});

export const bilinear: Op<
  (input1: Tensor, input2: Tensor, weight: Tensor, bias?: Tensor | null | { readonly bias?: Tensor | null }) => Tensor
> = composite({
  name: 'bilinear',
  doc: 'input1ᵀ · weight[o] · input2 + bias[o] for each output o.',
  signature: 'input1: tensor, input2: tensor, weight: tensor, bias: tensor = null',
  compute({ input1, input2, weight, bias }) {
    const out = einsum('...i,oij,...j->...o', input1, weight, input2);
    return bias === null ? out : out.add(bias);
  },
  samples: [sample(random([2, 3]), random([2, 4]), random([5, 3, 4]), random([5]))],
});

// ── general contractions ───────────────────────────────────────────────────────────────────────────────────────────────

/** How many dims, or which of both operands. */
type Contracted = number | readonly (readonly number[])[];
/** Sum of products over pairs of dims, the rest of the first operand before the rest of the second. */
export const tensordot: Op<
  (input: Tensor, other: Tensor, dims?: Contracted | { readonly dims?: Contracted }) => Tensor
> = composite({
  name: 'tensordot',
  doc: 'Products summed over the given dims of both, or over the last n of one and the first n of the other.',
  signature: 'input: tensor, other: tensor, dims: any = 2',
  compute({ input: a, other: b, dims }: { input: Tensor; other: Tensor; dims: number | number[][] }) {
    const count = typeof dims === 'number' ? dims : 0;
    const [left, right] =
      typeof dims === 'number'
        ? [Array.from({ length: count }, (_, i) => a.ndim - count + i), Array.from({ length: count }, (_, i) => i)]
        : [
            dims[0].map(d => normalizeDim('tensordot', d, a.ndim)),
            dims[1].map(d => normalizeDim('tensordot', d, b.ndim)),
          ];
    const restA = a.shape.map((_, d) => d).filter(d => !left.includes(d));
    const restB = b.shape.map((_, d) => d).filter(d => !right.includes(d));
    const shared = left.reduce((size, d) => size * a.shape[d], 1);
    const outer = [...restA.map(d => a.shape[d]), ...restB.map(d => b.shape[d])];
    const rows = a.permute([...restA, ...left]).reshape([-1, shared]);
    return batchedMatmul(rows, b.permute([...right, ...restB]).reshape([shared, -1])).reshape(outer);
  },
  samples: [sample(random([2, 3, 4]), random([3, 4, 2])), sample(random([2, 3]), random([4, 3]), [[1], [1]])],
});

/** An operand of einsum with a label for each dim; `…` dims get labels of their own. */
interface Labelled {
  readonly tensor: Tensor;
  readonly labels: readonly string[];
}

const ellipsisLabels = (count: number, widest: number): string[] =>
  Array.from({ length: count }, (_, i) => `…${widest - count + i}`);

function labelOperand(text: string, tensor: Tensor, widest: number): Labelled {
  const letters = text.replace('...', '').length;
  const labels = text
    .split(/(\.\.\.)|/)
    .filter(Boolean)
    .flatMap(label => (label === '...' ? ellipsisLabels(tensor.ndim - letters, widest) : [label]));
  if (labels.length !== tensor.ndim) {
    fail('E107', {
      op: 'einsum',
      problem: `the subscript '${text}' has ${labels.length} dims, but its operand has shape ${formatShape(tensor.shape)}`,
    });
  }
  return takeDiagonals({ tensor, labels });
}

/** A label twice in one operand means its diagonal. */
function takeDiagonals({ tensor, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, d) => labels.indexOf(label) < d);
  if (second < 0) return { tensor, labels };
  const first = labels.indexOf(labels[second]);
  const rest = labels.filter((_, d) => d !== first && d !== second);
  return takeDiagonals({ tensor: tensor.diagonal(0, first, second), labels: [...rest, labels[second]] });
}

function sumAway({ tensor, labels }: Labelled, kept: ReadonlySet<string>): Labelled {
  const dims = labels.map((_, d) => d).filter(d => !kept.has(labels[d]));
  if (dims.length === 0) return { tensor, labels };
  return { tensor: tensor.sum(dims, { dtype: tensor.dtype }), labels: labels.filter(label => kept.has(label)) };
}

/** The operand's dims in the order of `labels`, those it lacks as size 1. */
function arrange({ tensor, labels }: Labelled, wanted: readonly string[]): Tensor {
  const present = wanted.filter(label => labels.includes(label));
  const ordered = tensor.permute(present.map(label => labels.indexOf(label)));
  return wanted.reduce((t, label, d) => (labels.includes(label) ? t : t.unsqueeze(d)), ordered);
}

/** Two operands become one, summed over the labels that nothing else needs. */
function contractPair(a: Labelled, b: Labelled, needed: ReadonlySet<string>): Labelled {
  const left = sumAway(a, new Set([...b.labels, ...needed]));
  const right = sumAway(b, new Set([...a.labels, ...needed]));
  const shared = left.labels.filter(label => right.labels.includes(label));
  const batch = shared.filter(label => needed.has(label));
  const summed = shared.filter(label => !needed.has(label));
  const rows = left.labels.filter(label => !shared.includes(label));
  const columns = right.labels.filter(label => !shared.includes(label));
  const sizeOf = (label: string): number => {
    const sizes = [left, right].filter(o => o.labels.includes(label)).map(o => o.tensor.shape[o.labels.indexOf(label)]);
    const known = sizes.find(size => size !== 1) ?? 1;
    if (sizes.some(size => size !== 1 && size !== known)) {
      fail('E107', {
        op: 'einsum',
        problem: `operands do not broadcast: label '${label}' has sizes ${sizes.join(' and ')}`,
      });
    }
    return known;
  };
  const sizes = (labels: readonly string[]): number[] => labels.map(sizeOf);
  if (summed.length === 0) {
    const labels = [...batch, ...rows, ...columns];
    return { tensor: arrange(left, labels).mul(arrange(right, labels)).expand(sizes(labels)), labels };
  }
  const block = (operand: Labelled, order: readonly string[], shape: readonly number[]): Tensor =>
    arrange(operand, order).expand(sizes(order)).reshape(shape);
  const [m, k, n] = [rows, summed, columns].map(labels => numel(sizes(labels)));
  const product = batchedMatmul(
    block(left, [...batch, ...rows, ...summed], [...sizes(batch), m, k]),
    block(right, [...batch, ...summed, ...columns], [...sizes(batch), k, n]),
  );
  return {
    tensor: product.reshape([...sizes(batch), ...sizes(rows), ...sizes(columns)]),
    labels: [...batch, ...rows, ...columns],
  };
}

export const einsum: Op<(equation: string, ...operands: [readonly Tensor[]] | Tensor[]) => Tensor> = composite({
  name: 'einsum',
  doc: "Sums of products by Einstein's convention, as in 'bij,bjk->bik'; '...' stands for any leading dims.",
  signature: 'equation: string, operands: tensors',
  compute({ equation, operands }: { equation: string; operands: readonly Tensor[] }) {
    const [inputText, outputText] = equation.replace(/\s/g, '').split('->');
    const texts = inputText.split(',');
    if (texts.length !== operands.length) {
      fail('E107', {
        op: 'einsum',
        problem: `the equation '${equation}' has ${texts.length} operands, but ${operands.length} were given`,
      });
    }
    const widest = Math.max(
      0,
      ...texts.map((text, i) => (text.includes('...') ? operands[i].ndim - text.replace('...', '').length : 0)),
    );
    const labelled = texts.map((text, i) => labelOperand(text, operands[i], widest));
    const wanted = outputText === undefined ? implicitOutput(texts, widest) : outputLabels(outputText, widest);
    let result = labelled[0];
    for (let i = 1; i < labelled.length; i++) {
      result = contractPair(
        result,
        labelled[i],
        new Set([...wanted, ...labelled.slice(i + 1).flatMap(operand => operand.labels)]),
      );
    }
    const missing = wanted.find(label => !result.labels.includes(label));
    if (missing !== undefined)
      fail('E107', {
        op: 'einsum',
        problem: `output subscript '${missing}' does not appear in the equation for any input operand`,
      });
    const gone = result.labels.map((_, d) => d).filter(d => !wanted.includes(result.labels[d]));
    const total = gone.length === 0 ? result.tensor : result.tensor.sum(gone);
    return arrange({ tensor: total, labels: result.labels.filter(label => wanted.includes(label)) }, wanted);
  },
  samples: [
    sample('ij,jk->ik', [random([2, 3]), random([3, 4])]),
    sample('bij,bjk', [random([2, 2, 3]), random([2, 3, 2])]),
    sample('ii->i', [random([3, 3])]),
    sample('...ij,...jk->...ik', [random([2, 2, 3]), random([3, 2])]),
    sample('i,j,k->ijk', [random([2]), random([3]), random([2])]),
  ],
});

const outputLabels = (text: string, widest: number): string[] =>
  text
    .split(/(\.\.\.)|/)
    .filter(Boolean)
    .flatMap(label => (label === '...' ? ellipsisLabels(widest, widest) : [label]));

/** Without an arrow: the ellipsis, then every label that appears once, in alphabetical order. */
function implicitOutput(texts: readonly string[], widest: number): string[] {
  const letters = texts.join('').replace(/\./g, '').split('');
  const once = [...new Set(letters)].filter(letter => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort();
  return [...ellipsisLabels(widest, widest), ...once];
}

// ── products of several, powers, and others ────────────────────────────────────────────────────────────────────────────

export const kron: Product = composite({
  name: 'kron',
  gradName: 'UnsafeViewBackward0',
  doc: 'Kronecker product: every element of the input times the whole other.',
  signature: 'input: tensor, other: tensor',
  compute({ input, other }: { input: Tensor; other: Tensor }) {
    const rank = Math.max(input.ndim, other.ndim);
    const lead = (t: Tensor): number[] => [...new Array<number>(rank - t.ndim).fill(1), ...t.shape];
    const [a, b] = [lead(input), lead(other)];
    const spread = input.reshape(a.flatMap(size => [size, 1])).mul(other.reshape(b.flatMap(size => [1, size])));
    return spread.reshape(a.map((size, d) => size * b[d]));
  },
  samples: [sample(random([2, 2]), random([2, 3]))],
});

export const multiDot: Op<(tensors: readonly Tensor[]) => Tensor> = composite({
  name: 'multiDot',
  doc: 'Product of a chain of matrices.',
  signature: 'tensors: tensors',
  compute: ({ tensors }) => tensors.reduce((a: Tensor, b: Tensor) => matmul(a, b)),
  samples: [sample([random([2, 3]), random([3, 4]), random([4, 2])])],
});

/** PyTorch's older name, with the matrices one by one. */
export const chainMatmul: Op<(...matrices: readonly Tensor[]) => Tensor> = composite({
  name: 'chainMatmul',
  doc: 'Product of a chain of matrices.',
  signature: 'matrices: tensors',
  compute: ({ matrices }) => multiDot(matrices),
  samples: [sample(random([2, 3]), random([3, 4]), random([4, 2]))],
});

export const matrixPower: Op<(input: Tensor, n: number) => Tensor> = composite({
  name: 'matrixPower',
  doc: 'A square matrix multiplied by itself n >= 0 times.',
  signature: 'input: tensor, n: int',
  compute({ input, n }: { input: Tensor; n: number }): Tensor {
    if (n < 0) return fail('E110', { op: 'matrixPower', problem: `negative powers need the inverse; got ${n}` });
    if (n === 0) return identityLike(input);
    if (n === 1) return input;
    const half = matrixPower(input, Math.floor(n / 2));
    const even = matmul(half, half);
    return n % 2 === 0 ? even : matmul(even, input);
  },
  samples: [sample(random([2, 2]), 3), sampleWithoutGradient(random([2, 2]), 0)],
});
const identityLike = (matrix: Tensor): Tensor => matrix.onesLike().tril().triu();

/** The vector product along a dim. Throws E107 for vectors of other than three numbers. */
export function crossAlong(op: string, input: Tensor, other: Tensor, dim: number): Tensor {
  const given = `${formatShape(input.shape)} and ${formatShape(other.shape)}`;
  if (input.ndim !== other.ndim)
    fail('E107', { op, problem: `inputs must have the same number of dimensions. Got ${given}` });
  const along = normalizeDim(op, dim, input.ndim);
  if (input.shape[along] !== 3 || other.shape[along] !== 3)
    fail('E107', { op, problem: `inputs dimension ${dim} must have length 3. Got ${given}` });
  const shape = broadcastShapes(op, input.shape, other.shape);
  const turned = (t: Tensor, by: number): Tensor => t.expand(shape).roll(by, along);
  return turned(input, -1)
    .mul(turned(other, -2))
    .sub(turned(input, -2).mul(turned(other, -1)));
}

export const cross: Op<
  (input: Tensor, other: Tensor, dim?: number | null | { readonly dim?: number | null }) => Tensor
> = composite({
  name: 'cross',
  gradName: 'LinalgCrossBackward0',
  doc: 'Vector product in three dimensions, along a dim; the first of size 3 unless given.',
  signature: 'input: tensor, other: tensor, dim: int = null',
  compute({ input, other, dim }) {
    const along = dim ?? input.shape.indexOf(3);
    if (along === -1 && dim === null)
      fail('E107', { op: 'cross', problem: `no dimension of size 3 in input ${formatShape(input.shape)}` });
    return crossAlong('cross', input, other, along);
  },
  samples: [sample(random([2, 3]), random([2, 3])), sample(random([3, 2, 3]), random([3, 1, 3]))],
  errors: [
    { args: [random([2]), random([2])], message: /no dimension of size 3 in input \[2\]/ },
    { args: [random([3]), random([2, 3])], message: /the same number of dimensions/ },
  ],
});
