/** A model whose entries also return the gradients they leave in its parameters, so that a wrong derivative shows as itself. */

import { rowMajor } from '../../../runtime/eager.js';
import { arrayOf, type TypedArray } from '../../ir/dtype.js';
import type { Slot } from '../../ir/program.js';
import { numel } from '../../ir/shape.js';
import { requiresGrad } from '../../ops/tape.js';
import { Tensor } from '../../ops/tensor.js';
import type { Entry, ModelDefinition, ModelParts, Outputs, TracedModel } from '../../trace/model.js';
import type { Arrays } from './values.js';

const suffix = '.grad';
/** Is an output of this name a gradient? */
export const isGradient = (name: string): boolean => name.endsWith(suffix);

export function withGradients(definition: ModelDefinition): ModelDefinition {
  const build = (): ModelParts => {
    const parts = definition.build();
    const trained = trainedTensors(parts);
    const entries = Object.entries(parts.entries).map(([name, entry]) => [
      name,
      { ...entry, run: returningGradients(entry, trained) },
    ]);
    return { ...parts, entries: Object.fromEntries(entries) };
  };
  return { ...definition, build };
}

type NamedTensors = readonly (readonly [name: string, tensor: Tensor])[];

function returningGradients({ run }: Entry, trained: NamedTensors): Entry['run'] {
  return inputs => {
    const outputs = run(inputs);
    const gradients = trained.flatMap(([name, { grad }]) => (grad === null ? [] : [[name + suffix, grad]]));
    return typeof outputs === 'object' && !(outputs instanceof Tensor)
      ? { ...outputs, ...Object.fromEntries(gradients) }
      : outputs;
  };
}

/** What an eager call gave for a result. A gradient that is state may be none at all eagerly; compiled it is zero then. */
export function eagerResult(results: Outputs, { name, type }: Slot): TypedArray {
  const isUnset = isGradient(name) && results[name] === undefined;
  return isUnset ? new (arrayOf(type.dtype))(numel(type.shape)) : rowMajor(results[name], 'comparison');
}

/**
 * What the state of a traced model holds when it is asked, eagerly. A gradient may be another tensor after each call: it is
 * found through the tensor whose gradient it is.
 */
export function eagerState({ parts, state }: TracedModel): () => Arrays {
  const storages = new Map(state.map(({ name, storage }) => [storage, name]));
  const leaves = trainedTensors(parts).flatMap(([, leaf]): [string, Tensor][] => {
    const kept = leaf.grad?.value;
    const name = kept?.kind === 'eager' ? storages.get(kept.storage) : undefined;
    return name === undefined ? [] : [[name, leaf]];
  });
  const gradients = (): [string, TypedArray][] =>
    leaves.map(([name, leaf]) => [name, rowMajor(leaf.grad ?? leaf.zerosLike(), 'comparison')]);
  return () =>
    new Map([...state.map(({ name, storage }): [string, TypedArray] => [name, storage.array]), ...gradients()]);
}

function trainedTensors({ state }: ModelParts): NamedTensors {
  const named = Object.entries(state).flatMap(([key, source]): [string, Tensor][] =>
    source instanceof Tensor
      ? [[key, source]]
      : [...source.namedState(() => null)].map(([name, tensor]) => [`${key}.${name}`, tensor]),
  );
  return named.filter(([, tensor]) => requiresGrad(tensor));
}
