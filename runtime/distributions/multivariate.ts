/** Distributions of vectors: the normal one, and several independent variables taken as one. */
import { fail } from '../../compiler/errors.js';
import type { Shape } from '../../compiler/ir/shape.js';
import { broadcastShapes } from '../../compiler/ir/shape.js';
import * as linalg from '../../compiler/ops/linalg.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { randn } from '../random.js';
import { Distribution, type DistributionOptions } from './distribution.js';
import { type Domain, real } from './domain.js';

/** One of the three. */
export interface Covariance extends DistributionOptions {
  readonly covarianceMatrix?: Tensor;
  readonly precisionMatrix?: Tensor;
  /** The lower factor L of the covariance L·Lᵀ. */
  readonly scaleTril?: Tensor;
}

/** Normal vectors. A covariance that is not positive definite is an error of the factorization. */
export class MultivariateNormal extends Distribution {
  readonly loc: Tensor;
  readonly scaleTril: Tensor;
  /** The second argument is the covariance itself, or says what it is given by. */
  constructor(loc: Tensor, covariance: Tensor | Covariance) {
    const options = covariance instanceof Tensor ? { covarianceMatrix: covariance } : covariance;
    const factor = factorOf(options);
    const size = factor.size(-1);
    if (loc.ndim < 1 || loc.size(-1) !== size)
      fail('E208', {
        problem: `MultivariateNormal: loc must have ${size} elements in its last dim, as the matrix has rows`,
      });
    const batch = broadcastShapes('MultivariateNormal', factor.shape.slice(0, -2), loc.shape.slice(0, -1));
    super(batch, [size], options);
    this.checkParameter('loc', loc, real);
    this.loc = loc.expand([...batch, size]);
    this.scaleTril = factor.expand([...batch, size, size]);
  }
  get support(): Domain {
    return real;
  }
  get covarianceMatrix(): Tensor {
    return this.scaleTril.matmul(this.scaleTril.transpose(-1, -2));
  }
  get mean(): Tensor {
    return this.loc;
  }
  override get mode(): Tensor {
    return this.loc;
  }
  get variance(): Tensor {
    return this.scaleTril.square().sum(-1);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    const standard = randn(this.extendedShape(sampleShape), { dtype: this.loc.dtype });
    return this.loc.add(this.scaleTril.matmul(standard.unsqueeze(-1)).squeeze(-1));
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    const centered = value.sub(this.loc);
    const standardized = linalg.solveTriangular(this.scaleTril, centered.unsqueeze(-1), { upper: false }).squeeze(-1);
    const constant = this.eventShape[0] * Math.log(2 * Math.PI);
    return standardized.square().sum(-1).add(constant).mul(-0.5).sub(this.halfLogDeterminant());
  }
  override entropy(): Tensor {
    return this.halfLogDeterminant().add((this.eventShape[0] * (1 + Math.log(2 * Math.PI))) / 2);
  }
  /** Half the logarithm of the covariance's determinant. */
  halfLogDeterminant(): Tensor {
    return this.scaleTril.diagonal(0, -2, -1).log().sum(-1);
  }
}

function factorOf({ covarianceMatrix, precisionMatrix, scaleTril }: Covariance): Tensor {
  const given = [covarianceMatrix, precisionMatrix, scaleTril].filter(matrix => matrix !== undefined);
  if (given.length !== 1) {
    fail('E208', {
      problem: `MultivariateNormal: exactly one of covarianceMatrix, precisionMatrix and scaleTril must be given, but ${given.length} were`,
    });
  }
  if (given[0].ndim < 2 || given[0].size(-1) !== given[0].size(-2))
    fail('E208', {
      problem: `MultivariateNormal: the matrix must be square, but has shape [${given[0].shape.join(', ')}]`,
    });
  if (scaleTril !== undefined) return scaleTril;
  return linalg.cholesky(covarianceMatrix ?? linalg.inv(precisionMatrix as Tensor));
}

/** The last dims of the batch of a distribution as dims of one event: log-probabilities are summed over them. */
export class Independent extends Distribution {
  readonly base: Distribution;
  readonly reinterpretedBatchNdims: number;
  constructor(base: Distribution, reinterpretedBatchNdims: number, options: DistributionOptions = {}) {
    const { batchShape, eventShape } = base;
    if (reinterpretedBatchNdims > batchShape.length) {
      fail('E208', {
        problem: `Independent: ${reinterpretedBatchNdims} batch dims were asked for, but ${base.constructor.name} has ${batchShape.length}`,
      });
    }
    const kept = batchShape.length - reinterpretedBatchNdims;
    super(batchShape.slice(0, kept), [...batchShape.slice(kept), ...eventShape], options);
    this.base = base;
    this.reinterpretedBatchNdims = reinterpretedBatchNdims;
  }
  get support(): Domain {
    return this.base.support;
  }
  get mean(): Tensor {
    return this.base.mean;
  }
  override get mode(): Tensor {
    return this.base.mode;
  }
  get variance(): Tensor {
    return this.base.variance;
  }
  override sample(sampleShape: Shape = []): Tensor {
    return this.base.sample(sampleShape);
  }
  override rsample(sampleShape: Shape = []): Tensor {
    return this.base.rsample(sampleShape);
  }
  logProb(value: Tensor): Tensor {
    return this.overEvent(this.base.logProb(value));
  }
  override entropy(): Tensor {
    return this.overEvent(this.base.entropy());
  }
  /** The sum over the dims that were of the batch. */
  overEvent(value: Tensor): Tensor {
    const dims = Array.from({ length: this.reinterpretedBatchNdims }, (_, i) => -1 - i);
    return dims.length === 0 ? value : value.sum(dims);
  }
}
