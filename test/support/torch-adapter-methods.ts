/**
 * Methods of tensors that differ from PyTorch's by more than spelling: each a PyTorch name, its parameters in PyTorch's order,
 * and the gradc call it becomes.
 */
import type { DType } from '../../compiler/ir/dtype.js';
import { normalizeDim } from '../../compiler/ir/shape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from './python/errors.js';
import { Namespace, NativeFunction, Size, Tuple } from './python/values.js';
import { lower, raise } from './torch-adapter-binding.js';
import { callMethod, dtypeFor, type Handler, options, sizeOf } from './torch-adapter-handler.js';
import { typedConstructors } from './torch-adapter-names.js';
import { address, itemOf, nested, readTensor } from './torch-adapter-reading.js';
import { NdArray, TorchDtype } from './torch-adapter-values.js';

const castTo = (dtype: DType): Handler => ({ signature: 'input', run: (_, { input }) => (input as Tensor).to(dtype) });

const likeNew = (name: string): Handler => ({
  signature: 'self *size dtype requires_grad',
  run: (torch, { self, size, dtype, requires_grad }) =>
    callMethod(self, name, [sizeOf(torch, size), options({ dtype: dtypeFor(dtype), requiresGrad: requires_grad })]),
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

export const methods: Readonly<Record<string, Handler>> = {
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
    run: (torch, { self, src }) => (self as Tensor).copy_(lower(torch.python, src, true) as Tensor),
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
