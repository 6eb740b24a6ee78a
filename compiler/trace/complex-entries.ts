/**
 * Complex numbers where a compiled program meets the world: inputs, outputs and state cross as real tensors [..., 2], typed
 * arrays in which real and imaginary part take turns.
 */
import { isComplexDType, partType } from '../ir/dtype.js';
import { isComplexTensor, overPair, realForm, Tensor } from '../ops/tensor.js';
import type { InputSpec } from './model.js';

/** What crosses for an input. */
export const realSpec = (spec: InputSpec): InputSpec =>
  isComplexDType(spec.dtype) ? { shape: [...spec.shape, 2], dtype: partType(spec.dtype) } : spec;
export const realSpecs = <I extends Readonly<Record<string, InputSpec>>>(specs: I): I =>
  Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, realSpec(spec)])) as I;

/** What a function that declared its inputs so is given. */
export const asDeclared = <G extends Readonly<Record<string, Tensor>>>(
  specs: Readonly<Record<string, InputSpec>>,
  given: G,
): G =>
  Object.fromEntries(
    Object.entries(given).map(([name, tensor]) => {
      const isPair = specs[name] !== undefined && isComplexDType(specs[name].dtype) && !isComplexTensor(tensor);
      return [name, isPair ? overPair(tensor) : tensor];
    }),
  ) as G;

/** What is given for inputs that were declared so, as it crosses. */
export const asReal = (
  specs: Readonly<Record<string, InputSpec>>,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      value instanceof Tensor && value.dtype === specs[name]?.dtype ? realForm(value) : value,
    ]),
  );

/** The names of complex results. */
export const complexNames = (outputs: unknown): readonly string[] =>
  Object.entries(outputs ?? {}).flatMap(([name, value]) => (isComplexTensor(value) ? [name] : []));

/** Results by name, complex ones as what crosses for them; anything that is no such record as it is. */
export function realResults<O>(outputs: O): O {
  if (typeof outputs !== 'object' || outputs === null || outputs instanceof Tensor || Array.isArray(outputs))
    return outputs;
  return Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name, value instanceof Tensor ? realForm(value) : value]),
  ) as O;
}
