/** The little of NumPy that reference scripts use: arrays as the memory of tensors, their files, and how they print. */
import { readFileSync } from 'node:fs';
import { type DType, isDType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { npyHeader } from '../../runtime/serialize/index.js';
import { Dict, type Kwargs, Namespace, NativeFunction, noKwargs, Tuple, type Value } from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { lower } from './torch-adapter-binding.js';
import { NdArray, TorchDtype } from './torch-adapter-values.js';

/** NumPy's types with their byte order, on a little-endian machine. */
const descriptions: Readonly<Partial<Record<DType, string>>> = {
  bool: '|b1',
  uint8: '|u1',
  int8: '|i1',
  int16: '<i2',
  int32: '<i4',
  int64: '<i8',
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
};

/** `np`: arrays of float64 unless a dtype says otherwise. */
export function numpy(torch: Torch): Namespace {
  const make = (name: string, build: (args: readonly unknown[], dtype: DType) => unknown): NativeFunction =>
    new NativeFunction(`numpy.${name}`, (args, kwargs) => {
      const dtype = kwargs.get('dtype') ?? args[1];
      const lowered = args.map(argument => lower(torch.python, argument));
      return new NdArray(build(lowered, dtype instanceof TorchDtype ? dtype.name : 'float64') as Tensor);
    });
  const known: Readonly<Record<string, Value>> = {
    ones: make('ones', ([size], dtype) => torch.native('ones')(size, { dtype })),
    zeros: make('zeros', ([size], dtype) => torch.native('zeros')(size, { dtype })),
    array: make('array', ([data], dtype) => torch.native('tensor')(data, { dtype })),
    ascontiguousarray: new NativeFunction(
      'numpy.ascontiguousarray',
      ([array]) => new NdArray((array as NdArray).tensor.contiguous()),
    ),
    load: new NativeFunction('numpy.load', ([path]) => torch.beforehand(() => loadFile(torch, String(path)))),
  };
  return new Namespace('numpy', name => (isDType(name) ? new TorchDtype(name) : known[name]));
}

function loadFile(torch: Torch, path: string): Value {
  const bytes = new Uint8Array(readFileSync(path));
  if (!path.endsWith('.npz')) return new NdArray(torch.native('loadNpy')(bytes) as Tensor, npyHeader(bytes).descr);
  const arrays = Object.entries(torch.native('loadNpz')(bytes) as Record<string, Tensor>);
  return new NpzFile(new Dict(arrays.map(([name, tensor]) => [name, new NdArray(tensor)] as const)));
}

/** What `np.load` gives for a `.npz` file. */
export class NpzFile {
  readonly arrays: Dict;
  constructor(arrays: Dict) {
    this.arrays = arrays;
  }
}

type Method = (args: readonly Value[], kwargs: Kwargs) => Value;

/** An attribute of an array. */
export function arrayAttribute(torch: Torch, { tensor, description }: NdArray, name: string): Value | undefined {
  const methods: Readonly<Record<string, Method>> = {
    // The elements were brought to this machine's byte order when they were loaded.
    astype: ([dtype]) => new NdArray(dtype instanceof TorchDtype ? tensor.to(dtype.name) : tensor),
    copy: () => new NdArray(tensor.clone()),
    reshape: ([size]) => new NdArray(tensor.reshape(lower(torch.python, size) as number[])),
    tolist: () => torch.call('Tensor.tolist', [tensor]),
  };
  if (Object.hasOwn(methods, name))
    return new NativeFunction(name, (args, kwargs = noKwargs) => methods[name](args, kwargs));
  switch (name) {
    case 'shape':
      return new Tuple(tensor.shape);
    case 'ndim':
      return tensor.ndim;
    case 'dtype':
      return numpyType(tensor.dtype, description ?? descriptions[tensor.dtype] ?? tensor.dtype);
    case 'flags':
      return layoutFlags(tensor);
    default:
      return undefined;
  }
}

const numpyType = (dtype: DType, description: string): Namespace =>
  new Namespace('dtype', name => {
    if (name === 'str') return description;
    if (name === 'name') return dtype;
    return name === 'newbyteorder' ? new NativeFunction(name, () => new TorchDtype(dtype)) : undefined;
  });

const layoutFlags = (tensor: Tensor): Namespace =>
  new Namespace('flags', name => {
    if (name === 'c_contiguous') return tensor.isContiguous();
    return name === 'f_contiguous'
      ? tensor.permute(tensor.shape.map((_, d) => tensor.ndim - 1 - d)).isContiguous()
      : undefined;
  });

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
