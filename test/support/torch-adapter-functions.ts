/**
 * What differs from PyTorch by more than spelling: functions whose arguments have another form in gradc. Each entry is a
 * PyTorch name, its parameters in PyTorch's order, and the gradc call it becomes.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  bytesOf,
  type DType,
  getDefaultDtype,
  isFloat,
  limitsOf,
  precisionOf,
  setDefaultDtype,
} from '../../compiler/ir/dtype.js';
import { broadcastShapes } from '../../compiler/ir/shape.js';
import { isGradEnabled, setGradEnabled } from '../../compiler/ops/tape.js';
import { setMakesInference, Tensor } from '../../compiler/ops/tensor.js';
import { Namespace, PyFloat, Size, Tuple, type Value } from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { camelCase, lower, raise } from './torch-adapter-binding.js';
import {
  callMethod,
  dtypeFor,
  type Given,
  type Handler,
  list,
  options,
  sizeOf,
  tensorsOf,
} from './torch-adapter-handler.js';
import { methods } from './torch-adapter-methods.js';
import { loaded } from './torch-adapter-modules.js';
import { itemOf } from './torch-adapter-reading.js';
import { ContextManager, Device, type NdArray, TorchDtype } from './torch-adapter-values.js';

// ── making tensors ─────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── arguments of another form ──────────────────────────────────────────────────────────────────────────────────────────

/** `max` and `min`: of all, along a dim, or of two tensors. */
const extremum = (name: 'max' | 'min'): Handler => ({
  signature: 'input dim keepdim other',
  run: (torch, { input, dim, keepdim, other }) => {
    const second = other ?? (dim instanceof Tensor ? dim : undefined);
    if (second !== undefined) return torch.call(`torch.${name}imum`, [input, second]);
    return callMethod(input, name, dim === undefined ? [] : [options({ dim, keepdim })]);
  },
});

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

/** What `torch.finfo` and `torch.iinfo` tell of a dtype. */
function infoOf(dtype: DType): Namespace {
  const told = isFloat(dtype) ? floatInfo(dtype) : intInfo(dtype);
  return new Namespace('info', name => told[name]);
}

function floatInfo(dtype: DType): Readonly<Record<string, Value>> {
  const [min, max] = [limitsOf(dtype).min, limitsOf(dtype).max].map(limit => new PyFloat(limit));
  const { epsilon, smallestNormal } = precisionOf(dtype);
  return { bits: 8 * bytesOf(dtype), max, min, eps: new PyFloat(epsilon), tiny: new PyFloat(smallestNormal), dtype };
}

function intInfo(dtype: DType): Readonly<Record<string, Value>> {
  const { min, max } = dtype === 'int64' ? { min: -(2n ** 63n), max: 2n ** 63n - 1n } : limitsOf(dtype);
  return { bits: 8 * bytesOf(dtype), min, max, dtype };
}

const functions: Readonly<Record<string, Handler>> = {
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
    run: (torch, { real, imag }) => torch.native('complex')(real, imag) as Value,
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
  'torch.finfo': { signature: 'type', run: (_, { type }) => infoOf((type as TorchDtype)?.name ?? getDefaultDtype()) },
  'torch.iinfo': { signature: 'type', run: (_, { type }) => infoOf((type as TorchDtype).name) },
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
};

export const handlers: Readonly<Record<string, Handler>> = { ...functions, ...methods };
