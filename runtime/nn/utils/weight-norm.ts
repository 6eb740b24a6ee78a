/**
 * Weight normalisation: a weight as its direction `weight_v` times its length `weight_g`. Salimans and Kingma, "Weight
 * normalization: a simple reparameterization to accelerate training of deep neural networks" (2016).
 */
import { normalizeDim } from '../../../compiler/ir/shape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import type { Module } from '../module.js';
import { Parameter } from '../parameter.js';
import { computeField, type Fields, fieldsOf, parameterOf, storeField } from './computed-field.js';
import { asMatrix } from './weight-matrix.js';

/** The length of each slice along `dim`, with the other dims of size 1; of the whole where `dim` is null. */
function lengthOf(direction: Tensor, dim: number | null): Tensor {
  if (dim === null) return direction.norm();
  const kept = normalizeDim('weightNorm', dim, direction.ndim);
  return asMatrix(direction, kept)
    .norm(2, 1)
    .reshape(direction.shape.map((size, d) => (d === kept ? size : 1)));
}

/**
 * Replace a parameter by two, `<name>_g` and `<name>_v`, of which it is computed where it is read. A norm for each slice along
 * `dim`, or one for all where that is null. Returns the module.
 */
export function weightNorm<M extends Module>(module: M, name = 'weight', dim: number | null = 0): M {
  const weight = parameterOf('weightNorm', module, name);
  const values = weight.detach().clone();
  const length = lengthOf(values, dim);
  const fields = fieldsOf(module);
  delete fields[name];
  fields[`${name}_g`] = new Parameter(length);
  fields[`${name}_v`] = new Parameter(values);
  computeField(module, name, (own: Fields) => {
    const [length, direction] = [own[`${name}_g`] as Tensor, own[`${name}_v`] as Tensor];
    return direction.mul(length.div(lengthOf(direction, dim)));
  });
  return module;
}

/** Make the weight a parameter again, of its present value. Returns the module. */
export function removeWeightNorm<M extends Module>(module: M, name = 'weight'): M {
  storeField('removeWeightNorm', module, name, [`${name}_g`, `${name}_v`]);
  return module;
}
