/**
 * The op table as test material: every op and composite with its samples, made into tensors, and what a call returns as
 * a flat list of tensors.
 */
import '../../compiler/ops/table.js';
import { arrayOf, type DType, isFloat } from '../../compiler/ir/dtype.js';
import { numel } from '../../compiler/ir/shape.js';
import { allComposites, allOps, apply, type OpDef } from '../../compiler/ops/define.js';
import { type ErrorSample, type Sample, SampleTensor } from '../../compiler/ops/samples.js';
import { bindArguments } from '../../compiler/ops/signature.js';
import { Tensor, tensorOver } from '../../compiler/ops/tensor.js';
import { rowMajor } from '../../runtime/eager.js';
import { decode, type Element, encode } from '../../runtime/elements.js';

export interface TestedOp {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly errors: readonly ErrorSample[];
  readonly call: (...args: readonly unknown[]) => unknown;
}

const callOp =
  (def: OpDef) =>
  (...args: readonly unknown[]): unknown => {
    const { inputs, attrs } = def.prepare(bindArguments(def.name, def.params, args));
    return apply(def, inputs, attrs);
  };

/** Every op of the table, in the order of its files. */
export const testedOps: readonly TestedOp[] = [
  ...allOps().map(def => ({ name: def.name, samples: def.samples, errors: def.errors ?? [], call: callOp(def) })),
  ...allComposites().map(def => ({ name: def.name, samples: def.samples, errors: def.errors ?? [], call: def.call })),
];

/** A small deterministic generator (mulberry32, by Tommy Ettinger), seeded from text. */
export function generator(seed: string): () => number {
  let state = [...seed].reduce((hash, char) => Math.imul(hash ^ char.charCodeAt(0), 0x01000193), 0x811c9dc5);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The numbers of a described tensor: float32 values, so that every float dtype starts from the same ones. */
function valuesOf(described: SampleTensor, random: () => number): number[] {
  const draw = (): number => described.low + random() * (described.high - described.low);
  const whole = described.dtype !== null && !isFloat(described.dtype);
  const values = described.values ?? Array.from({ length: numel(described.shape) }, draw);
  return values.map(value => (whole ? Math.floor(value) : Math.fround(value)));
}

export const makeTensor = (dtype: DType, shape: readonly number[], values: readonly number[]): Tensor => {
  const array = new (arrayOf(dtype))(values.length);
  for (const [i, value] of values.entries()) array[i] = encode(dtype, value);
  return tensorOver(array, { dtype, shape });
};

/** A list or options object with each item mapped; anything else as it is. */
export function mapItems(value: unknown, f: (item: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(f);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, f(item)]));
}

/** The arguments of a sample, with tensors made in `dtype` where the sample leaves the dtype open. */
export function makeArguments(args: readonly unknown[], dtype: DType, seed: string): unknown[] {
  const random = generator(seed);
  const make = (value: unknown): unknown => {
    if (value instanceof SampleTensor) return makeTensor(value.dtype ?? dtype, value.shape, valuesOf(value, random));
    return mapItems(value, make);
  };
  return args.map(make);
}

/** All tensors in a value, outermost order: arguments or results, also inside lists and objects. */
export function tensorsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(tensorsIn);
  return [];
}

/** The value with its tensors, in the order of `tensorsIn`, replaced by others. */
export function withTensors<T>(value: T, replacements: readonly Tensor[]): T {
  let next = 0;
  const replace = (item: unknown): unknown => {
    if (item instanceof Tensor) return replacements[next++];
    return mapItems(item, replace);
  };
  return replace(value) as T;
}

export const elementsIn = (tensor: Tensor): Element[] =>
  Array.from(rowMajor(tensor, 'a test') as ArrayLike<number>, stored => decode(tensor.dtype, stored));
export const numbersIn = (tensor: Tensor): number[] => elementsIn(tensor).map(Number);
