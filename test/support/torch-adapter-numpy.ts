/** The little of NumPy that reference scripts use: arrays as the memory of tensors, and how they print. */
import type { DType } from '../../compiler/ir/dtype.js';
import { Namespace, NativeFunction, type Value } from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { lower } from './torch-adapter-binding.js';
import { NdArray, TorchDtype } from './torch-adapter-values.js';

const dtypes: readonly DType[] = ['float32', 'float64', 'float16', 'int64', 'int32', 'int16', 'int8', 'uint8'];

/** `np`: arrays of float64 unless a dtype says otherwise. */
export function numpy(torch: Torch): Namespace {
  const make = (name: string, build: (args: readonly unknown[], dtype: DType) => unknown): NativeFunction =>
    new NativeFunction(`numpy.${name}`, (args, kwargs) => {
      const dtype = kwargs.get('dtype') ?? args[1];
      return new NdArray(
        build(
          args.map(argument => lower(torch.python, argument)),
          dtype instanceof TorchDtype ? dtype.name : 'float64',
        ) as never,
      );
    });
  const known: Readonly<Record<string, Value>> = {
    ones: make('ones', ([size], dtype) => torch.native('ones')(size, { dtype })),
    zeros: make('zeros', ([size], dtype) => torch.native('zeros')(size, { dtype })),
    array: make('array', ([data], dtype) => torch.native('tensor')(data, { dtype })),
  };
  return new Namespace('numpy', name => (dtypes.includes(name as DType) ? new TorchDtype(name as DType) : known[name]));
}

/** `str(array)`: rows in brackets, columns aligned, at most eight digits. */
export function printArray({ tensor }: NdArray): string {
  const elements = (tensor.tolist() as unknown[]).flat(Number.POSITIVE_INFINITY) as (number | boolean)[];
  const texts = tensor.isFloatingPoint()
    ? floatTexts(elements as number[])
    : elements.map(element => (typeof element === 'boolean' ? (element ? 'True' : 'False') : String(element)));
  const width = Math.max(...texts.map(text => text.length));
  let next = 0;
  const rows = (dim: number, indent: string): string => {
    if (dim === tensor.ndim) return texts[next++].padStart(width);
    const parts = Array.from({ length: tensor.shape[dim] }, () => rows(dim + 1, `${indent} `));
    const separator = dim === tensor.ndim - 1 ? ' ' : `${'\n'.repeat(tensor.ndim - 1 - dim)}${indent} `;
    return `[${parts.join(separator)}]`;
  };
  return rows(0, '');
}

/** Floats with the same number of decimals; whole ones end in a point. */
function floatTexts(values: readonly number[]): string[] {
  const shortest = values.map(value => String(Number(value.toFixed(8))));
  const decimals = Math.max(...shortest.map(text => (text.split('.')[1] ?? '').length));
  return shortest.map(text => {
    const [whole, fraction = ''] = text.split('.');
    return `${whole}.${fraction.padEnd(decimals, ' ')}`;
  });
}
