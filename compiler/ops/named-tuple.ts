/** What PyTorch returns as a named tuple: `const [values, indices] = x.topk(5)`, or `x.topk(5).values`. */
import type { Tensor } from './tensor.js';

/** Tensors by place and by name. */
export type NamedTuple<Names extends readonly string[]> = { readonly [I in keyof Names]: Tensor } & {
  readonly [N in Names[number]]: Tensor;
};

/** A tuple of these fields, in this order. */
export const namedTuple = <Names extends readonly string[]>(
  fields: {
    readonly [N in Names[number]]: Tensor;
  },
): NamedTuple<Names> => withNames(Object.values(fields), Object.keys(fields)) as unknown as NamedTuple<Names>;

/** Other tensors under the names of a tuple; a plain array stays one. */
export const likeTuple = <T>(tuple: readonly unknown[], parts: T[]): T[] =>
  withNames(
    parts,
    Object.getOwnPropertyNames(tuple).filter(name => name !== 'length' && !(Number(name) in tuple)),
  );

function withNames<T>(parts: T[], names: readonly string[]): T[] {
  for (const [i, name] of names.entries()) Object.defineProperty(parts, name, { value: parts[i] });
  return parts;
}
