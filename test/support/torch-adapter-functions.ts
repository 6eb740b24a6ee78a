/**
 * What differs from PyTorch by more than spelling: functions whose arguments have another form in gradc, and values such as
 * dtypes. Each entry is a PyTorch name, its parameters in PyTorch's order, and the gradc call it becomes.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type DType, getDefaultDtype, isDType, isFloat, setDefaultDtype } from '../../compiler/ir/dtype.js';
import { broadcastShapes, normalizeDim } from '../../compiler/ir/shape.js';
import { isGradEnabled, setGradEnabled } from '../../compiler/ops/tape.js';
import { eagerValue, executor, setMakesInference, Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import { asNumber, isNumeric, type Numeric } from './python/operators.js';
import {
  Deferred,
  Dict,
  type Kwargs,
  Namespace,
  NativeFunction,
  NativeType,
  noKwargs,
  PyFloat,
  Size,
  Tuple,
  type Value,
} from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { camelCase, lower, raise, raiseFrom } from './torch-adapter-binding.js';
import { numpy } from './torch-adapter-numpy.js';
import { ContextManager, Device, NdArray, TorchDtype } from './torch-adapter-values.js';

type Given = Readonly<Record<string, Value>>;
interface Handler {
  readonly signature: string;
  readonly run: (torch: Torch, given: Given) => Value;
}

// ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const dtypeNames: Readonly<Record<string, DType>> = {
  float: 'float32',
  double: 'float64',
  half: 'float16',
  long: 'int64',
  int: 'int32',
  short: 'int16',
};
const typedConstructors: Readonly<Record<string, DType>> = {
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
const constants: Readonly<Record<string, number>> = { inf: Infinity, nan: Number.NaN, pi: Math.PI, e: Math.E };

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

// ── making tensors ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** The dtype asked for; Python's own types stand for one each. */
function dtypeFor(given: Value): DType | undefined {
  if (given instanceof TorchDtype) return given.name;
  if (given instanceof NativeType)
    return ({ int: 'int64', float: 'float64', bool: 'bool' } as Record<string, DType>)[given.name];
  return undefined;
}

/** Options without those left out. */
const options = (all: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null));

const sizeOf = (torch: Torch, size: Value): number[] =>
  isNumeric(size) ? [asNumber(size)] : [...torch.python.iterate(size)].map(Number);

function makeFromSize(name: string): Handler {
  return {
    signature: '*size dtype requires_grad generator',
    run: (torch, { size, dtype, requires_grad, generator }) =>
      raise(
        torch.native(name)(
          sizeOf(torch, size),
          options({ dtype: dtypeFor(dtype), requiresGrad: requires_grad, generator }),
        ),
      ),
  };
}

function makeTensor(torch: Torch, data: Value, dtype: Value, requiresGrad: Value): Value {
  return torch.native('tensor')(lower(torch.python, data, true), options({ dtype: dtypeFor(dtype), requiresGrad }));
}

function arange(torch: Torch, { bounds, start, end, step, dtype, requires_grad }: Given): Value {
  const [a, b, c] = Array.isArray(bounds) ? bounds : bounds instanceof Tuple ? bounds.items : [];
  const [from, to] = b === undefined ? [start ?? 0, end ?? a] : [a, b];
  const by = c ?? step ?? 1;
  return raise(
    torch.native('arange')(
      ...[from, to, by].map(bound => lower(torch.python, bound, true)),
      options({ dtype: dtypeFor(dtype), requiresGrad: requires_grad }),
    ),
  );
}

// ── grad mode ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function gradMode(name: string, enabled: boolean): ContextManager {
  let previous = true;
  return new ContextManager(
    name,
    () => {
      previous = setGradEnabled(enabled);
    },
    () => void setGradEnabled(previous),
  );
}
function inferenceMode(enabled: boolean): ContextManager {
  const gradients = gradMode('inference_mode', !enabled);
  let previous = false;
  return new ContextManager(
    'inference_mode',
    () => {
      gradients.enter();
      previous = setMakesInference(enabled);
    },
    () => {
      setMakesInference(previous);
      gradients.exit();
    },
  );
}

// ── reading tensors ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Python's number for an element of a dtype. */
const pythonNumber = (dtype: DType, value: unknown): Value => (isFloat(dtype) ? new PyFloat(Number(value)) : value);

/** Is the value of a tensor there to be read: outside a trace, or made before it and not changed in it? */
export const isKnown = (tensor: Tensor): boolean =>
  executor().kind !== 'trace' || (tensor.value.kind === 'eager' && executor().versionOf(tensor) === 0);

/** What is read from a tensor; inside a trace, a promise of it. */
export function readTensor(tensor: Tensor, what: (tensor: Tensor) => Value): Value {
  if (isKnown(tensor)) return what(tensor);
  const settle = readLater(tensor);
  return new Deferred(() => what(settle()));
}

/** The number in a tensor of one element; an error of any other, before its value is known. */
export const itemOf = (tensor: Tensor): Value =>
  tensor.numel() === 1 ? readTensor(tensor, known => pythonNumber(known.dtype, known.item())) : tensor.item();

type Reader = (tensor: Tensor) => () => Tensor;
let reader: Reader = () => {
  throw new Unsupported('reading a traced tensor');
};
/** Keep a traced tensor; returns how to get its value after the run. */
export const readLater: Reader = tensor => reader(tensor);
/** How a trace keeps tensors; installed while one is being made. Returns the one before. */
export function setReadLater(next: Reader): Reader {
  const previous = reader;
  reader = next;
  return previous;
}

const nested = (dtype: DType, value: unknown): Value =>
  Array.isArray(value) ? value.map(item => nested(dtype, item)) : pythonNumber(dtype, value);

const addresses = new WeakMap<object, number>();
let nextAddress = 4096;
/** A number that two tensors share when they start at the same memory. */
function address(tensor: Tensor): number {
  const { storage, offset } = eagerValue(tensor, 'data_ptr()');
  if (!addresses.has(storage)) {
    addresses.set(storage, nextAddress);
    nextAddress += storage.array.byteLength + 64;
  }
  return addresses.get(storage)! + offset * storage.array.BYTES_PER_ELEMENT;
}

const castTo = (dtype: DType): Handler => ({ signature: 'input', run: (_, { input }) => (input as Tensor).to(dtype) });

/** `max` and `min`: of all, along a dim, or of two tensors. */
const extremum = (name: 'max' | 'min'): Handler => ({
  signature: 'input dim keepdim other',
  run: (torch, { input, dim, keepdim, other }) => {
    const second = other ?? (dim instanceof Tensor ? dim : undefined);
    if (second !== undefined) return torch.call(`torch.${name}imum`, [input, second]);
    return callMethod(input, name, dim === undefined ? [] : [options({ dim, keepdim })]);
  },
});

function callMethod(self: Value, name: string, args: readonly unknown[]): Value {
  const method = (self as Record<string, unknown>)[name];
  if (typeof method !== 'function') throw new Unsupported(`Tensor.${name}`);
  return raiseFrom(name, Reflect.apply(method, self, args));
}

/** `std(x, unbiased)`, `std(x, dim, unbiased, keepdim)`: a bool in the place of `dim` is `unbiased`. */
const spreadMeasure = (name: string): Handler => ({
  signature: 'input dim unbiased keepdim correction',
  run: (torch, { input, dim, unbiased, keepdim, correction }) => {
    const biased = (typeof dim === 'boolean' ? dim : unbiased) === false;
    const chosen = correction ?? (biased ? 0 : undefined);
    return callMethod(input, name, [
      options({ dim: typeof dim === 'boolean' ? undefined : lower(torch.python, dim), keepdim, correction: chosen }),
    ]);
  },
});

/** What registering a hook returns. */
export function hookHandle(remove: unknown): Namespace {
  return new Namespace('RemovableHandle', name => {
    if (name !== 'remove') return undefined;
    return new NativeFunction('remove', () => {
      if (typeof remove === 'function') remove();
      else (remove as { remove: () => void }).remove();
      return null;
    });
  });
}

/** Where the nonzero elements stand, one tensor per dim. */
const positionsOf = (torch: Torch, input: Value): Value =>
  torch.call('torch.unbind', [torch.native('nonzero')(input), 1]);

/** With indices it is a function of its own. */
const maxPool = (name: string): Handler => ({
  signature: 'input kernel_size stride padding dilation ceil_mode return_indices',
  run: (torch, { input, kernel_size, return_indices, ...rest }) => {
    const settings = Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [camelCase(key), lower(torch.python, value)]),
    );
    const pool = torch.native(return_indices === true ? `${name}WithIndices` : name, 'nn.functional');
    return raise(pool(input, lower(torch.python, kernel_size), options(settings)));
  },
});

const adaptiveMaxPool = (name: string): Handler => ({
  signature: 'input output_size return_indices',
  run: (torch, { input, output_size, return_indices }) => {
    const pool = torch.native(return_indices === true ? `${name}WithIndices` : name, 'nn.functional');
    return raise(pool(input, lower(torch.python, output_size)));
  },
});

const likeNew = (name: string): Handler => ({
  signature: 'self *size dtype requires_grad',
  run: (torch, { self, size, dtype, requires_grad }) =>
    callMethod(self, name, [sizeOf(torch, size), options({ dtype: dtypeFor(dtype), requiresGrad: requires_grad })]),
});

/** What `torch.finfo` and `torch.iinfo` tell of a dtype. */
function limitsOf(dtype: DType): Namespace {
  const limits = isFloat(dtype) ? floatLimits(dtype) : intLimits(dtype);
  return new Namespace('info', name => limits[name]);
}

/** Bits of the exponent's range and of the fraction. */
const floatForms: Partial<Record<DType, { bits: number; exponent: number; fraction: number }>> = {
  float16: { bits: 16, exponent: 15, fraction: 10 },
  bfloat16: { bits: 16, exponent: 127, fraction: 7 },
  float32: { bits: 32, exponent: 127, fraction: 23 },
  float64: { bits: 64, exponent: 1023, fraction: 52 },
};

function floatLimits(dtype: DType): Readonly<Record<string, Value>> {
  const { bits, exponent, fraction } = floatForms[dtype]!;
  const max = (2 - 2 ** -fraction) * 2 ** exponent;
  const tiny = 2 ** (1 - exponent);
  const float = (value: number): PyFloat => new PyFloat(value);
  return { bits, max: float(max), min: float(-max), eps: float(2 ** -fraction), tiny: float(tiny), dtype };
}

function intLimits(dtype: DType): Readonly<Record<string, Value>> {
  const bits = Number(/\d+/.exec(dtype));
  const [min, max] = dtype === 'uint8' ? [0n, 255n] : [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n];
  const plain = (value: bigint): Value => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
  return { bits, min: plain(min), max: plain(max), dtype };
}

const list = (torch: Torch, value: Value): Value[] => [...torch.python.iterate(value)];
const tensorsOf = (torch: Torch, value: Value): Tensor[] =>
  value instanceof Tensor ? [value] : (list(torch, value) as Tensor[]);

export const handlers: Readonly<Record<string, Handler>> = {
  'torch.tensor': {
    signature: 'data dtype requires_grad',
    run: (torch, { data, dtype, requires_grad }) => makeTensor(torch, data, dtype, requires_grad),
  },
  'torch.as_tensor': {
    signature: 'data dtype',
    run: (torch, { data, dtype }) =>
      data instanceof Tensor
        ? dtype instanceof TorchDtype
          ? data.to(dtype.name)
          : data
        : makeTensor(torch, data, dtype, undefined),
  },
  'torch.from_numpy': { signature: 'ndarray', run: (_, { ndarray }) => (ndarray as NdArray).tensor.detach() },
  'torch.complex': {
    signature: 'real imag',
    run: () => {
      throw new Unsupported('dtype complex64');
    },
  },
  'torch.zeros': makeFromSize('zeros'),
  'torch.ones': makeFromSize('ones'),
  'torch.empty': makeFromSize('empty'),
  'torch.rand': makeFromSize('rand'),
  'torch.randn': makeFromSize('randn'),
  'torch.full': {
    signature: 'size fill_value dtype requires_grad',
    run: (torch, { size, fill_value, dtype, requires_grad }) =>
      raise(
        torch.native('full')(
          sizeOf(torch, size),
          lower(torch.python, fill_value, true),
          options({ dtype: dtypeFor(dtype), requiresGrad: requires_grad }),
        ),
      ),
  },
  'torch.arange': { signature: '*bounds start end step dtype requires_grad', run: arange },
  'torch.randint': {
    signature: 'low high size generator dtype',
    run: (torch, { low, high, size, generator, dtype }) => {
      const isRange = typeof high === 'number' || typeof high === 'bigint';
      const [from, to, shape] = isRange ? [low, high, size] : [0, low, size ?? high];
      return raise(
        torch.native('randint')(from, to, sizeOf(torch, shape), options({ generator, dtype: dtypeFor(dtype) })),
      );
    },
  },
  'torch.normal': {
    signature: 'mean std size generator',
    run: (torch, { mean, std, size, generator }) =>
      raise(
        torch.native('normal')(
          lower(torch.python, mean),
          lower(torch.python, std),
          ...(size === undefined ? [] : [sizeOf(torch, size)]),
          options({ generator }),
        ),
      ),
  },
  'torch.promote_types': {
    signature: 'type1 type2',
    run: (torch, { type1, type2 }) =>
      new TorchDtype(torch.native('promoteTypes')((type1 as TorchDtype).name, (type2 as TorchDtype).name) as DType),
  },
  'torch.result_type': {
    signature: 'tensor1 tensor2',
    run: (torch, { tensor1, tensor2 }) =>
      new TorchDtype(torch.native('resultType')(lower(torch.python, tensor1), lower(torch.python, tensor2)) as DType),
  },
  'torch.can_cast': {
    signature: 'from to',
    run: (torch, { from: source, to }) =>
      torch.native('canCast')((source as TorchDtype).name, (to as TorchDtype).name) as Value,
  },
  'torch.load': {
    signature: 'f map_location',
    run: (torch, { f }) => {
      const bytes = new Uint8Array(readFileSync(resolve(torch.root, String(f))));
      return torch.beforehand(() => loaded(torch.native('load')(bytes, { keepFloats: true })));
    },
  },
  'torch.randint_like': {
    signature: 'input low high dtype',
    run: (torch, { input, low, high, dtype }) => {
      const [from, to] = high === undefined ? [0, low] : [low, high];
      const like = input as Tensor;
      return raise(torch.native('randint')(from, to, like.shape, { dtype: dtypeFor(dtype) ?? like.dtype }));
    },
  },
  'torch.random.fork_rng': {
    signature: '',
    run: torch => {
      let saved: unknown;
      const enter = (): void => {
        saved = torch.native('getRngState')();
      };
      return new ContextManager('fork_rng', enter, () => void torch.native('setRngState')(saved));
    },
  },
  'torch.device': { signature: 'type', run: (_, { type }) => new Device(String(type)) },
  'torch.cuda.is_available': { signature: '', run: () => false },
  'torch.no_grad': { signature: '', run: () => gradMode('no_grad', false) },
  'torch.enable_grad': { signature: '', run: () => gradMode('enable_grad', true) },
  'torch.inference_mode': { signature: 'mode', run: (_, { mode = true }) => inferenceMode(mode === true) },
  'torch.set_grad_enabled': {
    signature: 'mode',
    run: (_, { mode }) => {
      const before = setGradEnabled(mode === true);
      return new ContextManager(
        'set_grad_enabled',
        () => {},
        () => void setGradEnabled(before),
      );
    },
  },
  'torch.is_grad_enabled': { signature: '', run: () => isGradEnabled() },
  'torch.finfo': { signature: 'type', run: (_, { type }) => limitsOf((type as TorchDtype)?.name ?? getDefaultDtype()) },
  'torch.iinfo': { signature: 'type', run: (_, { type }) => limitsOf((type as TorchDtype).name) },
  'torch.scalar_tensor': {
    signature: 's dtype',
    run: (torch, { s, dtype }) => makeTensor(torch, s, dtype ?? new TorchDtype(getDefaultDtype()), undefined),
  },
  'torch.broadcast_shapes': {
    signature: '*shapes',
    run: (torch, { shapes }) => {
      const sizes = list(torch, shapes).map(shape => sizeOf(torch, shape));
      return new Size(sizes.reduce((a, b) => [...broadcastShapes('broadcastShapes', a, b)], []));
    },
  },
  'torch.meshgrid': {
    signature: '*tensors indexing',
    run: (torch, { tensors, indexing }) => {
      const given = list(torch, tensors);
      const lines = given.length === 1 && !(given[0] instanceof Tensor) ? tensorsOf(torch, given[0]) : given;
      return raise(torch.native('meshgrid')(lines, options({ indexing })));
    },
  },
  'torch.polygamma': {
    signature: 'input n',
    run: (torch, { input, n }) => {
      const [order, x] = input instanceof Tensor ? [n, input] : [input, n];
      return raise(torch.native('polygamma')(order, x));
    },
  },
  'torch.embedding': {
    signature: 'input weight padding_idx scale_grad_by_freq',
    run: (torch, { input, weight, padding_idx }) =>
      torch.call(
        'nn.functional.embedding',
        [weight, input],
        new Map(Object.entries(options({ padding_idx })) as never),
      ),
  },
  'torch.isin': {
    signature: 'e te assume_unique invert',
    run: (torch, { e, te, invert }) =>
      raise(torch.native('isin')(e, lower(torch.python, te, true), options({ invert }))),
  },
  'torch.bucketize': {
    signature: 'input boundaries out_int32 right',
    run: (torch, { input, boundaries, out_int32, right }) => {
      const given = options({ outInt32: out_int32, right });
      return input instanceof Tensor
        ? raise(torch.native('bucketize')(input, boundaries, given))
        : raise(torch.native('searchsorted')(boundaries, lower(torch.python, input), given));
    },
  },
  'torch.is_tensor': { signature: 'obj', run: (_, { obj }) => obj instanceof Tensor },
  'torch.set_default_dtype': {
    signature: 'd',
    run: (_, { d }) => {
      setDefaultDtype((d as TorchDtype).name);
      return null;
    },
  },
  'torch.get_default_dtype': { signature: '', run: () => new TorchDtype(getDefaultDtype()) },
  'torch.max': extremum('max'),
  'torch.min': extremum('min'),
  'torch.std': spreadMeasure('std'),
  'torch.var': spreadMeasure('var'),
  'torch.nonzero': {
    signature: 'input as_tuple',
    run: (torch, { input, as_tuple }) =>
      as_tuple === true ? positionsOf(torch, input) : raise(torch.native('nonzero')(input)),
  },
  'torch.where': {
    signature: 'condition x y',
    run: (torch, { condition, x, y }) => {
      if (x === undefined) return positionsOf(torch, condition);
      return raise(torch.native('where')(condition, lower(torch.python, x, true), lower(torch.python, y, true)));
    },
  },
  'nn.functional.adaptive_max_pool1d': adaptiveMaxPool('adaptiveMaxPool1d'),
  'nn.functional.adaptive_max_pool2d': adaptiveMaxPool('adaptiveMaxPool2d'),
  'nn.functional.max_pool1d': maxPool('maxPool1d'),
  'nn.functional.max_pool2d': maxPool('maxPool2d'),
  'nn.functional.max_pool3d': maxPool('maxPool3d'),
  'torch.chain_matmul': {
    signature: '*matrices',
    run: (torch, { matrices }) => torch.call('torch.linalg.multi_dot', [matrices]),
  },
  'torch.autograd.Variable': {
    signature: 'data requires_grad',
    run: (_, { data, requires_grad }) => (requires_grad === true ? (data as Tensor).detach().requiresGrad_() : data),
  },
  'torch.autograd.grad': {
    signature: 'outputs inputs grad_outputs retain_graph create_graph only_inputs allow_unused',
    run: (torch, { outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused }) => {
      const gradOutputs =
        grad_outputs === undefined || grad_outputs === null ? undefined : tensorsOf(torch, grad_outputs);
      const found = torch.native('grad', 'torch.autograd')(
        tensorsOf(torch, outputs),
        tensorsOf(torch, inputs),
        options({ gradOutputs, retainGraph: retain_graph, createGraph: create_graph, allowUnused: allow_unused }),
      );
      return new Tuple(found as Value[]);
    },
  },
  'torch.autograd.functional.vjp': {
    signature: 'func inputs v create_graph',
    run: (torch, { func, inputs, v, create_graph }) => {
      const [output, grads] = torch.native('vjp', 'torch.autograd.functional')(
        lower(torch.python, func),
        lower(torch.python, inputs),
        v,
        options({ createGraph: create_graph }),
      ) as [Tensor, Tensor[]];
      return new Tuple([output, inputs instanceof Tensor ? grads[0] : new Tuple(grads)]);
    },
  },
  'torch.equal': {
    signature: 'input other',
    run: (torch, { input, other }) => {
      const sameSize = String((input as Tensor).shape) === String((other as Tensor).shape);
      return sameSize && itemOf(torch.call('torch.all', [torch.call('torch.eq', [input, other])]) as Tensor);
    },
  },
  'torch.allclose': {
    signature: 'input other rtol atol equal_nan',
    run: (torch, { input, other, ...tolerance }) => {
      const given = Object.entries(tolerance).filter(([, value]) => value !== undefined);
      return itemOf(torch.call('torch.all', [torch.call('torch.isclose', [input, other], new Map(given))]) as Tensor);
    },
  },
  'Tensor.item': { signature: 'self', run: (_, { self }) => itemOf(self as Tensor) },
  'Tensor.tolist': {
    signature: 'self',
    run: (_, { self }) => readTensor(self as Tensor, known => nested(known.dtype, known.tolist())),
  },
  'Tensor.size': {
    signature: 'self dim size',
    run: (torch, { self, dim, size }) => {
      const given = dim ?? (size === undefined ? undefined : sizeOf(torch, size)[0]);
      return given === undefined ? new Size((self as Tensor).shape) : (self as Tensor).size(Number(given));
    },
  },
  'Tensor.stride': {
    signature: 'self dim',
    run: (_, { self, dim }) =>
      dim === undefined
        ? new Tuple((self as Tensor).stride())
        : (self as Tensor).stride()[normalizeDim('stride', Number(dim), (self as Tensor).ndim)],
  },
  'Tensor.type': {
    signature: 'self dtype',
    run: (torch, { self, dtype }) =>
      dtype === undefined
        ? `torch.${Object.entries(typedConstructors).find(([, name]) => name === (self as Tensor).dtype)?.[0] ?? 'BFloat16Tensor'}`
        : torch.call('Tensor.to', [self, dtype]),
  },
  'Tensor.is_signed': {
    signature: 'self',
    run: (_, { self }) => !['bool', 'uint8'].includes((self as Tensor).dtype),
  },
  'Tensor.copy_': {
    signature: 'self src non_blocking',
    run: (_, { self, src }) => (self as Tensor).copy_(src as Tensor),
  },
  'Tensor.__len__': { signature: 'self', run: (torch, { self }) => torch.python.length(self) },
  'Tensor.__rsub__': {
    signature: 'self other',
    run: (torch, { self, other }) => torch.call('torch.rsub', [self, other]),
  },
  'Tensor.__rtruediv__': {
    signature: 'self other',
    run: (torch, { self, other }) => torch.python.binary('/', other, self),
  },
  'Tensor.__rdiv__': {
    signature: 'self other',
    run: (torch, { self, other }) => torch.python.binary('/', other, self),
  },
  'Tensor.as_strided': {
    signature: 'self size stride storage_offset',
    run: (torch, { self, size, stride, storage_offset }) =>
      raise(
        torch.native('asStrided')(
          self,
          sizeOf(torch, size),
          sizeOf(torch, stride),
          ...(storage_offset === undefined ? [] : [storage_offset]),
        ),
      ),
  },
  'Tensor.data_ptr': { signature: 'self', run: (_, { self }) => address(self as Tensor) },
  'Tensor.to': {
    signature: 'self dtype other',
    run: (_, { self, dtype, other }) => {
      const target = other ?? dtype;
      if (target instanceof Tensor) return (self as Tensor).to(target.dtype);
      return target instanceof TorchDtype ? (self as Tensor).to(target.name) : self;
    },
  },
  'Tensor.type_as': {
    signature: 'self other',
    run: (_, { self, other }) => (self as Tensor).to((other as Tensor).dtype),
  },
  'Tensor.where': {
    signature: 'self condition y',
    run: (torch, { self, condition, y }) =>
      raise(torch.native('where')(condition, lower(torch.python, self, true), lower(torch.python, y, true))),
  },
  'Tensor.cpu': { signature: 'self', run: (_, { self }) => self },
  'Tensor.float': castTo('float32'),
  'Tensor.double': castTo('float64'),
  'Tensor.half': castTo('float16'),
  'Tensor.bfloat16': castTo('bfloat16'),
  'Tensor.long': castTo('int64'),
  'Tensor.int': castTo('int32'),
  'Tensor.short': castTo('int16'),
  'Tensor.char': castTo('int8'),
  'Tensor.byte': castTo('uint8'),
  'Tensor.bool': castTo('bool'),
  'Tensor.numpy': {
    signature: 'self',
    run: (_, { self }) => {
      if ((self as Tensor).requiresGrad)
        throw new Unsupported('Tensor.numpy() refusing a tensor that requires grad: typed arrays share its memory');
      return new NdArray(self as Tensor);
    },
  },
  'Tensor.register_hook': {
    signature: 'self hook',
    run: (torch, { self, hook }) => hookHandle((self as Tensor).registerHook(lower(torch.python, hook) as never)),
  },
  'Tensor.new_zeros': likeNew('newZeros'),
  'Tensor.new_ones': likeNew('newOnes'),
  'Tensor.new_empty': likeNew('newEmpty'),
  'Tensor.new_full': {
    signature: 'self size fill_value dtype',
    run: (torch, { self, size, fill_value, dtype }) =>
      callMethod(self, 'newFull', [
        sizeOf(torch, size),
        lower(torch.python, fill_value),
        options({ dtype: dtypeFor(dtype) }),
      ]),
  },
  'Tensor.new_tensor': {
    signature: 'self data dtype requires_grad',
    run: (torch, { self, data, dtype, requires_grad }) =>
      callMethod(self, 'newTensor', [
        lower(torch.python, data),
        options({ dtype: dtypeFor(dtype), requiresGrad: requires_grad }),
      ]),
  },
};

// ── other modules ──────────────────────────────────────────────────────────────────────────────────────────────────────

const math = new Namespace('math', name => {
  if (name in constants) return new PyFloat(constants[name]);
  if (name === 'floor' || name === 'ceil')
    return new NativeFunction(name, ([x]) => Math[name](asNumber(x as Numeric)), true);
  if (name === 'prod')
    return new NativeFunction(
      name,
      ([items]) => (items as Value[]).reduce<number>((product, item) => product * asNumber(item as Numeric), 1),
      true,
    );
  if (name === 'isnan' || name === 'isinf' || name === 'isfinite') {
    const test = { isnan: Number.isNaN, isinf: (x: number) => Math.abs(x) === Infinity, isfinite: Number.isFinite }[
      name
    ];
    return new NativeFunction(name, ([x]) => test(asNumber(x as Numeric)), true);
  }
  const fn = (Math as unknown as Record<string, unknown>)[name];
  return typeof fn === 'function'
    ? new NativeFunction(name, args => new PyFloat(fn(...args.map(x => asNumber(x as Numeric)))), true)
    : undefined;
});

/** What a checkpoint holds, as Python has it. */
function loaded(value: unknown): Value {
  if (Array.isArray(value)) return Object.isFrozen(value) ? new Tuple(value.map(loaded)) : value.map(loaded);
  if (value instanceof Map) return new Dict([...value].map(([key, item]) => [raise(key), loaded(item)] as const));
  const isObject = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isObject ? new Dict(Object.entries(value).map(([key, item]) => [key, loaded(item)] as const)) : raise(value);
}

const safetensors = (torch: Torch): Namespace =>
  new Namespace('safetensors.torch', name => {
    if (name !== 'load_file') return undefined;
    return new NativeFunction(name, ([path]) => {
      const bytes = new Uint8Array(readFileSync(resolve(torch.root, String(path))));
      return new Dict(Object.entries(torch.native('loadSafetensors')(bytes) as Record<string, Tensor>));
    });
  });

/** Modules beside torch that a script can name. */
export const hostModules = (torch: Torch): [string, Value][] => [
  ['math', math],
  ['np', numpy(torch)],
  ['safetensors', new Namespace('safetensors', name => (name === 'torch' ? safetensors(torch) : undefined))],
];
