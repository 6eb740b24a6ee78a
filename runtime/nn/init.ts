/**
 * Initial values for parameters, drawn as PyTorch draws them.
 *
 * Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), for xavier; He et
 * al., "Delving deep into rectifiers" (2015), for kaiming; Saxe et al., "Exact solutions to the nonlinear dynamics of learning
 * in deep linear neural networks" (2013), for orthogonal.
 */
import { erf } from '../../backends/js/math.js';
import { fail } from '../../compiler/errors.js';
import { formatShape, numel } from '../../compiler/ir/shape.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import { eye, tensor as tensorOf } from '../creation.js';
import { byName, type InOrder, type NeededInOrder, needed } from '../in-order.js';
import { randn, randperm } from '../random.js';

export type Nonlinearity =
  | 'linear'
  | 'conv1d'
  | 'conv2d'
  | 'conv3d'
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'leaky_relu'
  | 'selu';
export type FanMode = 'fan_in' | 'fan_out';

/** The factor by which a nonlinearity shrinks the deviation of what passes through it, undone. */
export function calculateGain(nonlinearity: Nonlinearity, negativeSlope = 0.01): number {
  if (nonlinearity === 'tanh') return 5 / 3;
  if (nonlinearity === 'relu') return Math.SQRT2;
  if (nonlinearity === 'leaky_relu') return Math.sqrt(2 / (1 + negativeSlope ** 2));
  if (nonlinearity === 'selu') return 3 / 4;
  if (['linear', 'conv1d', 'conv2d', 'conv3d', 'sigmoid'].includes(nonlinearity)) return 1;
  return fail('E110', { op: 'calculateGain', problem: `Unsupported nonlinearity ${nonlinearity}` });
}

/** How many inputs an output sees, and how many outputs an input reaches. */
export function fans(tensor: Tensor): { fanIn: number; fanOut: number } {
  if (tensor.ndim < 2) {
    fail('E110', {
      op: 'init',
      problem: `Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape ${formatShape(tensor.shape)}`,
    });
  }
  const receptive = numel(tensor.shape.slice(2));
  return { fanIn: tensor.shape[1] * receptive, fanOut: tensor.shape[0] * receptive };
}

/** In place, unseen by autograd. */
const quietly = (tensor: Tensor, change: () => void): Tensor => {
  noGrad(change);
  return tensor;
};

export interface UniformOptions {
  readonly a?: number;
  readonly b?: number;
}
export function uniform_(tensor: Tensor, ...given: InOrder<UniformOptions, ['a', 'b']>): Tensor {
  const { a = 0, b = 1 }: UniformOptions = byName('init.uniform_', ['a', 'b'], given);
  return quietly(tensor, () => tensor.uniform_(a, b));
}
export interface NormalOptions {
  readonly mean?: number;
  readonly std?: number;
}
export function normal_(tensor: Tensor, ...given: InOrder<NormalOptions, ['mean', 'std']>): Tensor {
  const { mean = 0, std = 1 }: NormalOptions = byName('init.normal_', ['mean', 'std'], given);
  return quietly(tensor, () => tensor.normal_(mean, std));
}
export const constant_ = (tensor: Tensor, value: number): Tensor => quietly(tensor, () => tensor.fill_(value));
export const ones_ = (tensor: Tensor): Tensor => constant_(tensor, 1);
export const zeros_ = (tensor: Tensor): Tensor => constant_(tensor, 0);

export interface XavierOptions {
  readonly gain?: number;
}
function xavierStd(tensor: Tensor, { gain = 1 }: XavierOptions): number {
  const { fanIn, fanOut } = fans(tensor);
  return gain * Math.sqrt(2 / (fanIn + fanOut));
}
export function xavierUniform_(tensor: Tensor, ...given: InOrder<XavierOptions, ['gain']>): Tensor {
  const options: XavierOptions = byName('init.xavierUniform_', ['gain'], given);
  const bound = Math.sqrt(3) * xavierStd(tensor, options);
  return uniform_(tensor, -bound, bound);
}
export const xavierNormal_ = (tensor: Tensor, ...given: InOrder<XavierOptions, ['gain']>): Tensor =>
  normal_(tensor, 0, xavierStd(tensor, byName<XavierOptions, ['gain']>('init.xavierNormal_', ['gain'], given)));

export interface KaimingOptions {
  /** Negative slope of the leaky_relu that follows. */
  readonly a?: number;
  readonly mode?: FanMode;
  readonly nonlinearity?: Nonlinearity;
}
const kaimingOrder = ['a', 'mode', 'nonlinearity'] as const;
type KaimingSettings = InOrder<KaimingOptions, typeof kaimingOrder>;
function kaimingStd(tensor: Tensor, { a = 0, mode = 'fan_in', nonlinearity = 'leaky_relu' }: KaimingOptions): number {
  const { fanIn, fanOut } = fans(tensor);
  return calculateGain(nonlinearity, a) / Math.sqrt(mode === 'fan_in' ? fanIn : fanOut);
}
export function kaimingUniform_(tensor: Tensor, ...given: KaimingSettings): Tensor {
  const options: KaimingOptions = byName('init.kaimingUniform_', kaimingOrder, given);
  const bound = Math.sqrt(3) * kaimingStd(tensor, options);
  return uniform_(tensor, -bound, bound);
}
export function kaimingNormal_(tensor: Tensor, ...given: KaimingSettings): Tensor {
  const options: KaimingOptions = byName('init.kaimingNormal_', kaimingOrder, given);
  return normal_(tensor, 0, kaimingStd(tensor, options));
}

const truncNormalOrder = ['mean', 'std', 'a', 'b'] as const;
export interface TruncNormalOptions extends NormalOptions, UniformOptions {}
/** Normal, cut off at [a, b]: the inverse of the distribution function applied to uniform values. */
export function truncNormal_(tensor: Tensor, ...given: InOrder<TruncNormalOptions, typeof truncNormalOrder>): Tensor {
  const named: TruncNormalOptions = byName('init.truncNormal_', truncNormalOrder, given);
  const { mean = 0, std = 1, a = -2, b = 2 } = named;
  const below = (x: number): number => (1 + erf((x - mean) / (std * Math.SQRT2))) / 2;
  return quietly(tensor, () => {
    const uniform = tensor.uniform_(2 * below(a) - 1, 2 * below(b) - 1).to('float64');
    tensor.copy_(
      uniform
        .erfinv()
        .mul(std * Math.SQRT2)
        .add(mean)
        .clamp(a, b),
    );
  });
}

/** The identity matrix. */
export function eye_(tensor: Tensor): Tensor {
  if (tensor.ndim !== 2)
    fail('E110', {
      op: 'eye_',
      problem: `Only tensors with 2 dimensions are supported, got shape ${formatShape(tensor.shape)}`,
    });
  return quietly(tensor, () => tensor.copy_(eye(tensor.shape[0], tensor.shape[1])));
}

/** A convolution that passes as many channels through as it can, in each group. */
export function dirac_(tensor: Tensor, ...given: InOrder<{ readonly groups?: number }, ['groups']>): Tensor {
  const { groups = 1 } = byName<{ readonly groups?: number }, ['groups']>('init.dirac_', ['groups'], given);
  const [outChannels, inChannels, ...kernel] = tensor.shape;
  if (kernel.length < 1 || kernel.length > 3)
    fail('E110', {
      op: 'dirac_',
      problem: `Only tensors with 3, 4, or 5 dimensions are supported, got shape ${formatShape(tensor.shape)}`,
    });
  if (outChannels % groups !== 0)
    fail('E110', { op: 'dirac_', problem: `dim 0 (${outChannels}) must be divisible by groups (${groups})` });
  const perGroup = outChannels / groups;
  return quietly(tensor, () => {
    tensor.zero_();
    for (let group = 0; group < groups; group++) {
      for (let d = 0; d < Math.min(perGroup, inChannels); d++) {
        const filter = tensor.select(0, group * perGroup + d).select(0, d);
        kernel.reduce((at, size) => at.select(0, Math.floor(size / 2)), filter).fill_(1);
      }
    }
  });
}

export interface SparseOptions {
  readonly sparsity: number;
  readonly std?: number;
}
/** Normal, with a share of each column set to zero. */
export function sparse_(tensor: Tensor, ...given: NeededInOrder<SparseOptions, ['sparsity'], ['std']>): Tensor {
  const named: SparseOptions = byName('init.sparse_', ['sparsity', 'std'], given);
  const { sparsity, std = 0.01 } = needed('init.sparse_', ['sparsity'], named);
  if (tensor.ndim !== 2)
    fail('E110', {
      op: 'sparse_',
      problem: `Only tensors with 2 dimensions are supported, got shape ${formatShape(tensor.shape)}`,
    });
  const [rows, columns] = tensor.shape;
  return quietly(tensor, () => {
    tensor.normal_(0, std);
    for (let column = 0; column < columns; column++) {
      const order = elementsOf(randperm(rows), 'sparse_') as number[];
      for (const row of order.slice(0, Math.ceil(sparsity * rows))) tensor.select(0, row).select(0, column).zero_();
    }
  });
}

/** A (semi-)orthogonal matrix: the first dim against all others. */
export function orthogonal_(tensor: Tensor, ...given: InOrder<XavierOptions, ['gain']>): Tensor {
  const { gain = 1 }: XavierOptions = byName('init.orthogonal_', ['gain'], given);
  if (tensor.ndim < 2)
    fail('E110', {
      op: 'orthogonal_',
      problem: `Only tensors with 2 or more dimensions are supported, got shape ${formatShape(tensor.shape)}`,
    });
  const rows = tensor.shape[0];
  const columns = tensor.numel() / rows;
  return quietly(tensor, () => {
    const normal = randn([rows, columns]).tolist() as number[][];
    const wide = rows < columns;
    const basis = orthonormalColumns(wide ? transposed(normal) : normal);
    const values = wide ? transposed(basis) : basis;
    tensor.copy_(tensorOf(values, { dtype: tensor.dtype }).reshape(tensor.shape).mul(gain));
  });
}

const transposed = (matrix: readonly (readonly number[])[]): number[][] =>
  matrix[0].map((_, c) => matrix.map(row => row[c]));
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** The Q of the QR decomposition whose R has a positive diagonal: Gram and Schmidt, twice for accuracy. */
function orthonormalColumns(matrix: readonly (readonly number[])[]): number[][] {
  const done: number[][] = [];
  for (const column of transposed(matrix)) {
    let rest = column;
    for (let round = 0; round < 2; round++) {
      for (const unit of done) {
        const along = dot(unit, rest);
        rest = rest.map((x, i) => x - along * unit[i]);
      }
    }
    const length = Math.sqrt(dot(rest, rest));
    done.push(rest.map(x => x / length));
  }
  return transposed(done);
}
