/** How a handler of the adapter is written, and what its arguments become: sizes, dtypes, options, lists of tensors. */
import type { DType } from '../../compiler/ir/dtype.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import { asNumber, isNumeric } from './python/operators.js';
import { NativeType, type Value } from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { raiseFrom } from './torch-adapter-binding.js';
import { TorchDtype } from './torch-adapter-values.js';

export type Given = Readonly<Record<string, Value>>;
export interface Handler {
  readonly signature: string;
  readonly run: (torch: Torch, given: Given) => Value;
}

/** The dtype asked for; Python's own types stand for one each. */
export function dtypeFor(given: Value): DType | undefined {
  if (given instanceof TorchDtype) return given.name;
  if (given instanceof NativeType)
    return ({ int: 'int64', float: 'float64', bool: 'bool' } as Record<string, DType>)[given.name];
  return undefined;
}

/** Options without those left out. */
export const options = (all: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null));

export const sizeOf = (torch: Torch, size: Value): number[] =>
  isNumeric(size) ? [asNumber(size)] : [...torch.python.iterate(size)].map(Number);
export const list = (torch: Torch, value: Value): Value[] => [...torch.python.iterate(value)];
export const tensorsOf = (torch: Torch, value: Value): Tensor[] =>
  value instanceof Tensor ? [value] : (list(torch, value) as Tensor[]);

export function callMethod(self: Value, name: string, args: readonly unknown[]): Value {
  const method = (self as Record<string, unknown>)[name];
  if (typeof method !== 'function') throw new Unsupported(`Tensor.${name}`);
  return raiseFrom(name, Reflect.apply(method, self, args));
}
