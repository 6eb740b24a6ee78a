/** Inputs for an entry when the user gives none: the same in every run. */
import { store } from '../../runtime/elements.js';
import { isFloat, type TypedArray } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import { numel } from '../ir/shape.js';

/** What takes inputs: an entry, or a graph by itself. */
interface TakesInputs {
  readonly inputs: readonly { readonly name: string; readonly type: TensorType }[];
}
export type EntryInputs = Readonly<Record<string, TypedArray>>;

/** Floats in [-1, 1), integers in [0, `integers`). Each call of the result gives further numbers. */
export function randomInputs(integers: number, seed = 1): (entry: TakesInputs) => EntryInputs {
  const random = uniformNumbers(seed);
  const element = (dtype: TensorType['dtype']): number =>
    isFloat(dtype) ? random() * 2 - 1 : Math.floor(random() * (dtype === 'bool' ? 2 : integers));
  const array = ({ dtype, shape }: TensorType): TypedArray =>
    store(
      dtype,
      Array.from({ length: numel(shape) }, () => element(dtype)),
    );
  return entry => Object.fromEntries(entry.inputs.map(({ name, type }) => [name, array(type)]));
}

/** Uniform in [0, 1), the same for the same seed (mulberry32 by T. Ettinger, public domain). */
export function uniformNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
