/**
 * Ready parametrizations: orthogonal matrices, and spectral normalisation. Lezcano-Casado and Martínez-Rubio, "Cheap
 * orthogonal constraints in neural networks" (2019); Lezcano-Casado, "Trivializations for gradient-based optimization on
 * manifolds" (2019); Miyato et al., "Spectral normalization for generative adversarial networks" (2018).
 */
import { scan } from '../../../compiler/autodiff/control/scan.js';
import { fail } from '../../../compiler/errors.js';
import { precisionOf } from '../../../compiler/ir/dtype.js';
import { formatShape, normalizeDim, sameShape } from '../../../compiler/ir/shape.js';
import * as linalg from '../../../compiler/ops/linalg.js';
import { allclose } from '../../../compiler/ops/reduction.js';
import { cat } from '../../../compiler/ops/shape.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import { Tensor } from '../../../compiler/ops/tensor.js';
import { eye } from '../../creation.js';
import * as F from '../../functional.js';
import { randn } from '../../random.js';
import { Layer } from '../layer.js';
import type { Module } from '../module.js';
import { fieldsOf } from './computed-field.js';
import { type Parametrized, registerParametrization } from './parametrize.js';
import { reflectors } from './reflectors.js';
import { asMatrix, outputDimOf } from './weight-matrix.js';

/** What a module holds under a name. Throws E208 where that is no tensor. */
function tensorOf(module: Module, name: string): Tensor {
  const value = fieldsOf(module)[name];
  if (value instanceof Tensor) return value;
  return fail('E208', { problem: `${module.constructor.name} has no parameter or buffer with name '${name}'` });
}

// ── orthogonal ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const maps = ['matrix_exp', 'cayley', 'householder'] as const;
export type OrthogonalMap = (typeof maps)[number];
export interface OrthogonalOptions {
  /** By default 'matrix_exp' for square matrices, else 'householder'. */
  readonly orthogonalMap?: OrthogonalMap | null;
  /** Start from the matrix that the module has, and compute how far to turn it. */
  readonly useTrivialization?: boolean;
}

const eyeLike = (size: number, { dtype }: Tensor): Tensor => eye(size, size, { dtype });
const signs = (matrix: Tensor): Tensor => matrix.diagonal(0, -2, -1).sign().unsqueeze(-2);

/** The nearest that QR gives to orthonormal columns, for which R has a positive diagonal. */
function orthonormalized(matrix: Tensor): Tensor {
  const { Q, R } = linalg.qr(matrix);
  return Q.mul(signs(R));
}

function isOrthonormal(matrix: Tensor): boolean {
  const [rows, columns] = matrix.shape.slice(-2);
  const product = matrix.transpose(-2, -1).matmul(matrix);
  const atol = 10 * rows * precisionOf(matrix.dtype).epsilon;
  return allclose(product, eyeLike(columns, matrix).expand(product.shape), { atol });
}

/** The first columns of a product of reflections, each given by what lies below the diagonal in a column. */
function reflected(matrix: Tensor): Tensor {
  const below = matrix.tril(-1);
  const scales = below.square().sum(-2).add(1).reciprocal().mul(2).movedim(-1, 0);
  const identity = eyeLike(matrix.size(-2), matrix).narrow(-1, 0, matrix.size(-1)).expand(matrix.shape);
  const normals = below.add(identity).movedim(-1, 0);
  const [product] = scan(
    (columns: Tensor, { normal, scale }: { normal: Tensor; scale: Tensor }) => {
      const along = normal.unsqueeze(-2).matmul(columns);
      const moved = normal.unsqueeze(-1).mul(along).mul(scale.unsqueeze(-1).unsqueeze(-1));
      return [columns.sub(moved), null];
    },
    identity,
    { normal: normals, scale: scales },
    { reverse: true },
  );
  return product;
}

/** A matrix of any numbers as one with orthonormal columns, or rows where it is wide. */
export class Orthogonal extends Layer {
  readonly shape: readonly number[];
  readonly orthogonalMap: OrthogonalMap;
  readonly useTrivialization: boolean;
  /** Where the matrices start from. */
  base: Tensor | null;

  constructor(weight: Tensor, orthogonalMap: OrthogonalMap, useTrivialization: boolean) {
    super();
    this.shape = weight.shape;
    this.orthogonalMap = orthogonalMap;
    this.useTrivialization = useTrivialization;
    this.base = this.registerBuffer('base', null);
  }

  override forward(given: Tensor): Tensor {
    const isWide = given.size(-2) < given.size(-1);
    const tall = isWide ? given.transpose(-2, -1) : given;
    const turned = this.orthogonalMap === 'householder' ? this.byReflections(tall) : this.byRotation(tall);
    const matrix = this.base === null ? turned : this.base.matmul(turned);
    return isWide ? matrix.transpose(-2, -1) : matrix;
  }
  private byReflections(tall: Tensor): Tensor {
    const directions = tall.detach().diagonal(0, -2, -1).trunc();
    return reflected(tall).mul(directions.unsqueeze(-2));
  }
  private byRotation(tall: Tensor): Tensor {
    const [rows, columns] = tall.shape.slice(-2);
    const lower = tall.tril();
    const square = F.pad(lower, [0, rows - columns]);
    const skew = square.sub(square.transpose(-2, -1));
    return this.rotation(skew).narrow(-1, 0, columns);
  }
  private rotation(skew: Tensor): Tensor {
    if (this.orthogonalMap === 'matrix_exp') return linalg.matrixExp(skew);
    const identity = eyeLike(skew.size(-1), skew);
    return linalg.solve(identity.sub(skew.mul(0.5)), identity.add(skew.mul(0.5)));
  }

  rightInverse(value: Tensor): Tensor | null {
    if (!sameShape(value.shape, this.shape))
      fail('E208', {
        problem: `Expected a matrix or batch of matrices of shape ${formatShape(this.shape)}. Got a tensor of shape ${formatShape(value.shape)}.`,
      });
    const isWide = value.size(-2) < value.size(-1);
    const tall = isWide ? value.transpose(-2, -1) : value;
    if (this.useTrivialization) {
      this.base = noGrad(() => completed(tall));
      return eyeLike(Math.max(...value.shape.slice(-2)), value)
        .neg()
        .narrow(-2, 0, value.size(-2))
        .narrow(-1, 0, value.size(-1))
        .expand(value.shape);
    }
    if (this.orthogonalMap !== 'householder') return null;
    const found = reflectors(tall.detach());
    return isWide ? found.transpose(-2, -1) : found;
  }
}

/** A square orthogonal matrix whose first columns are given, or the nearest to them. */
function completed(tall: Tensor): Tensor {
  const [rows, columns] = tall.shape.slice(-2);
  if (rows === columns) return isOrthonormal(tall) ? tall.clone() : orthonormalized(tall);
  const others = randn([...tall.shape.slice(0, -1), rows - columns], { dtype: tall.dtype });
  return orthonormalized(cat([tall, others], -1));
}

/**
 * Keep a matrix (or a batch) of a module orthogonal: its columns orthonormal, or its rows where there are fewer of them.
 * Returns the module. Throws E208 where there is no such tensor or it has fewer than two dims.
 */
export function orthogonal<M extends Module>(
  module: M,
  name = 'weight',
  { orthogonalMap = null, useTrivialization = true }: OrthogonalOptions = {},
): M & Parametrized {
  const weight = tensorOf(module, name);
  if (weight.ndim < 2)
    fail('E208', { problem: `Expected a matrix or batch of matrices. Got a tensor of ${weight.ndim} dimensions.` });
  const isSquare = weight.size(-2) === weight.size(-1);
  const map = orthogonalMap ?? (isSquare ? 'matrix_exp' : 'householder');
  if (!maps.includes(map))
    fail('E208', { problem: `orthogonalMap has to be one of ${maps.join(', ')}, but is '${map}'` });
  const parametrization = new Orthogonal(weight, map, useTrivialization);
  return registerParametrization(module, name, parametrization, { unsafe: true });
}

// ── spectral norm ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface SpectralNormOptions {
  /** Steps of power iteration for each time that the weight is read while training. */
  readonly nPowerIterations?: number;
  readonly eps?: number;
  /** The dim of the outputs; by default 0, and 1 for transposed convolutions. */
  readonly dim?: number | null;
}

/** A weight divided by its largest singular value, or a vector by its length. */
export class SpectralNorm extends Layer {
  readonly dim: number;
  readonly eps: number;
  readonly nPowerIterations: number;
  /** The singular vectors, as far as they have been found; null for a vector. */
  _u: Tensor | null = null;
  _v: Tensor | null = null;

  constructor(weight: Tensor, nPowerIterations: number, dim: number, eps: number) {
    super();
    if (!(nPowerIterations > 0))
      fail('E208', { problem: `Expected nPowerIterations to be positive, but got ${nPowerIterations}` });
    this.dim = normalizeDim('spectralNorm', dim, weight.ndim);
    this.eps = eps;
    this.nPowerIterations = nPowerIterations;
    if (weight.ndim === 1) return;
    noGrad(() => {
      const matrix = asMatrix(weight, this.dim);
      const drawn = (size: number): Tensor => this.unit(randn(size, { dtype: weight.dtype }));
      this._u = this.registerBuffer('_u', drawn(matrix.size(0)));
      this._v = this.registerBuffer('_v', drawn(matrix.size(1)));
      this.iterate(matrix, 15);
    });
  }
  private unit(vector: Tensor): Tensor {
    return F.normalize(vector, { dim: 0, eps: this.eps });
  }
  private iterate(matrix: Tensor, steps: number): void {
    noGrad(() => {
      for (let step = 0; step < steps; step++) {
        this._u!.copy_(this.unit(matrix.mv(this._v!)));
        this._v!.copy_(this.unit(matrix.t().mv(this._u!)));
      }
    });
  }
  override forward(weight: Tensor): Tensor {
    if (this._u === null || this._v === null) return this.unit(weight);
    const matrix = asMatrix(weight, this.dim);
    if (this.training) this.iterate(matrix, this.nPowerIterations);
    const largest = this._u.clone().dot(matrix.mv(this._v.clone()));
    return weight.div(largest);
  }
  rightInverse(value: Tensor): Tensor {
    return value;
  }
}

/** Have a weight divided by its largest singular value, which a step of power iteration follows as it is trained. Returns the module. */
export function spectralNorm<M extends Module>(
  module: M,
  name = 'weight',
  { nPowerIterations = 1, eps = 1e-12, dim = null }: SpectralNormOptions = {},
): M & Parametrized {
  const weight = tensorOf(module, name);
  const parametrization = new SpectralNorm(weight, nPowerIterations, dim ?? outputDimOf(module), eps);
  return registerParametrization(module, name, parametrization);
}
