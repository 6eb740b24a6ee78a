/**
 * Spectral normalisation: a weight divided by its largest singular value, which one step of power iteration per training
 * batch estimates. Miyato et al., "Spectral normalization for generative adversarial networks" (2018).
 */
import { noGrad } from '../../../compiler/ops/tape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import * as F from '../../functional.js';
import { randn } from '../../random.js';
import type { Module } from '../module.js';
import { Parameter } from '../parameter.js';
import { computeField, type Fields, fieldsOf, parameterOf, storeField } from './computed-field.js';
import { asMatrix, outputDimOf } from './weight-matrix.js';

export interface SpectralNormOptions {
  readonly name?: string;
  /** Steps of power iteration for each forward pass while training. */
  readonly nPowerIterations?: number;
  readonly eps?: number;
  /** The dim of the outputs; by default 0, and 1 for transposed convolutions. */
  readonly dim?: number | null;
}

/**
 * Replace a parameter by `<name>_orig`, and keep the estimate of its singular vectors in the buffers `<name>_u` and
 * `<name>_v`. Returns the module.
 */
export function spectralNorm<M extends Module>(
  module: M,
  { name = 'weight', nPowerIterations = 1, eps = 1e-12, dim = null }: SpectralNormOptions = {},
): M {
  const weight = parameterOf('spectralNorm', module, name);
  const outputs = dim ?? outputDimOf(module);
  const unit = (vector: Tensor): Tensor => F.normalize(vector, { dim: 0, eps });
  const [rows, columns] = asMatrix(weight, outputs).shape;

  const fields = fieldsOf(module);
  delete fields[name];
  fields[`${name}_orig`] = new Parameter(weight.detach().clone());
  const [u, v] = [`${name}_u`, `${name}_v`];
  module.registerBuffer(u, unit(randn(rows)));
  module.registerBuffer(v, unit(randn(columns)));
  const partsOf = (own: Fields): { original: Tensor; left: Tensor; right: Tensor } => ({
    original: own[`${name}_orig`] as Tensor,
    left: own[u] as Tensor,
    right: own[v] as Tensor,
  });

  module.registerForwardPreHook(running => {
    const isRemoved = !(u in running);
    if (isRemoved || !running.training) return;
    const { original, left, right } = partsOf(fieldsOf(running));
    noGrad(() => {
      const matrix = asMatrix(original, outputs);
      for (let step = 0; step < nPowerIterations; step++) {
        right.copy_(unit(matrix.t().mv(left)));
        left.copy_(unit(matrix.mv(right)));
      }
    });
  });
  computeField(module, name, own => {
    const { original, left, right } = partsOf(own);
    const largest = left.clone().dot(asMatrix(original, outputs).mv(right.clone()));
    return original.div(largest);
  });
  return module;
}

/** Make the weight a parameter again, of its present value. Returns the module. */
export function removeSpectralNorm<M extends Module>(module: M, name = 'weight'): M {
  storeField('removeSpectralNorm', module, name, [`${name}_orig`, `${name}_u`, `${name}_v`]);
  return module;
}
