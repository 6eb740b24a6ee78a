/** PyTorch's names of what is no function: dtypes, constants, types and the constructors that these are. */
import { type DType, getDefaultDtype, isDType } from '../../compiler/ir/dtype.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import {
  type Kwargs,
  NativeFunction,
  NativeType,
  noKwargs,
  PyFloat,
  Size,
  Tuple,
  type Value,
} from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { lower } from './torch-adapter-binding.js';
import { Device, TorchDtype } from './torch-adapter-values.js';

const dtypeNames: Readonly<Record<string, DType>> = {
  float: 'float32',
  double: 'float64',
  half: 'float16',
  long: 'int64',
  int: 'int32',
  short: 'int16',
};
export const typedConstructors: Readonly<Record<string, DType>> = {
  FloatTensor: 'float32',
  DoubleTensor: 'float64',
  HalfTensor: 'float16',
  LongTensor: 'int64',
  IntTensor: 'int32',
  ShortTensor: 'int16',
  CharTensor: 'int8',
  ByteTensor: 'uint8',
  BoolTensor: 'bool',
};
export const constants: Readonly<Record<string, number>> = { inf: Infinity, nan: Number.NaN, pi: Math.PI, e: Math.E };

/** A name that is not a function: a dtype, a constant, a type. */
export function values(torch: Torch, full: string): Value | undefined {
  const name = full.replace(/^torch\./, '');
  if (full === name) return undefined;
  if (name === 'Tensor')
    return new NativeType(
      'Tensor',
      value => value instanceof Tensor,
      (args, kwargs) => legacyTensor(torch, args, kwargs, getDefaultDtype()),
    );
  if (name in typedConstructors) {
    const dtype = typedConstructors[name];
    return new NativeType(
      name,
      value => value instanceof Tensor && value.dtype === dtype,
      (args, kwargs) => legacyTensor(torch, args, kwargs, dtype),
    );
  }
  if (name === 'Size')
    return new NativeType(
      'Size',
      value => value instanceof Size,
      ([items]) => new Size([...torch.python.iterate(items)]),
    );
  if (name === 'dtype') return new NativeType('dtype', value => value instanceof TorchDtype);
  if (name === 'device')
    return new NativeType(
      'device',
      value => value instanceof Device,
      ([type]) => new Device(String(type)),
    );
  if (name === 'Generator')
    return new NativeFunction('Generator', () => Reflect.construct(torch.native('Generator') as never, []));
  if (isDType(name)) return new TorchDtype(name);
  if (name in dtypeNames) return new TorchDtype(dtypeNames[name]);
  if (/^(c?complex\d+|cfloat|cdouble|qu?int\d+)$/.test(name)) throw new Unsupported(`dtype ${name}`);
  return name in constants ? new PyFloat(constants[name]) : undefined;
}

/** `torch.Tensor(2, 3)` has that size, `torch.Tensor([2, 3])` those elements; trees say which by the name of the argument. */
function legacyTensor(torch: Torch, args: readonly Value[], kwargs: Kwargs, dtype: DType): Value {
  if (kwargs.has('size')) return legacyTensor(torch, kwargs.get('size') as Value[], noKwargs, dtype);
  if (kwargs.has('data')) return legacyTensor(torch, [kwargs.get('data')], noKwargs, dtype);
  const isData = args.length === 1 && (Array.isArray(args[0]) || args[0] instanceof Tuple);
  return isData
    ? torch.native('tensor')(lower(torch.python, args[0]), { dtype })
    : torch.native('empty')(args.map(Number), { dtype });
}
