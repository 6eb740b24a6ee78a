/**
 * How gradc's objects take part in Python: the operators, attributes and text of tensors, modules, optimizers and the rest.
 */
import { fail } from '../../compiler/errors.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { PythonError, Unsupported } from './python/errors.js';
import {
  type Behaviour,
  Deferred,
  ellipsis,
  NativeFunction,
  PyFloat,
  Size,
  Slice,
  settled,
  Tuple,
  type Value,
} from './python/values.js';
import type { TorchAdapter } from './torch-adapter.js';
import { arrayAttribute, NpzFile, printArray } from './torch-adapter-numpy.js';
import {
  moduleBehaviour,
  nativeClassBehaviour,
  nativeObjectBehaviour,
  settingsBehaviour,
} from './torch-adapter-objects.js';
import { itemOf, readTensor } from './torch-adapter-reading.js';
import { ContextManager, Device, NamedTuple, NdArray, TorchDtype } from './torch-adapter-values.js';

const binaryNames: Readonly<Record<string, string>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '//': 'floor_divide',
  '%': 'remainder',
  '**': 'pow',
  '@': 'matmul',
  '&': 'bitwise_and',
  '|': 'bitwise_or',
  '^': 'bitwise_xor',
  '<<': 'bitwise_left_shift',
  '>>': 'bitwise_right_shift',
};
const compareNames: Readonly<Record<string, string>> = {
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  '==': 'eq',
  '!=': 'ne',
};

/** PyTorch's attributes of a tensor that are no methods. */
const tensorAttributes: Readonly<Record<string, (tensor: Tensor, torch: TorchAdapter) => Value>> = {
  shape: tensor => new Size(tensor.shape),
  dtype: tensor => new TorchDtype(tensor.dtype),
  device: () => new Device('cpu'),
  ndim: tensor => tensor.ndim,
  requires_grad: tensor => tensor.requiresGrad,
  is_leaf: tensor => tensor.isLeaf,
  grad: tensor => tensor.grad,
  grad_fn: tensor => tensor.gradFn,
  data: tensor => tensor.data,
  _version: tensor => tensor.version,
  T: (tensor, torch) => torch.call('Tensor.permute', [tensor, tensor.shape.map((_, d) => tensor.ndim - 1 - d)]),
  mT: tensor => tensor.transpose(-2, -1),
  H: tensor =>
    tensor.ndim === 2
      ? tensor.t()
      : fail('E110', { op: 'H', problem: `only supported on matrices (2-D tensors). Got ${tensor.ndim}-D tensor.` }),
  is_cuda: () => false,
  retains_grad: tensor => tensor.requiresGrad && !tensor.isLeaf && tensor.meta.retainsGrad === true,
};

export const isTensorAttribute = (name: string): boolean => Object.hasOwn(tensorAttributes, name);

function tensorBehaviour(torch: TorchAdapter): Behaviour {
  const isOperand = (value: Value): boolean =>
    value instanceof Tensor ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'boolean' ||
    value instanceof PyFloat;
  const operator = (
    names: Readonly<Record<string, string>>,
    op: string,
    left: Value,
    right: Value,
  ): Value | undefined => {
    if (left === null || right === null || !isOperand(left) || !isOperand(right) || names[op] === undefined)
      return undefined;
    if (!(left instanceof Tensor) && op === '-') return torch.call('torch.rsub', [right, left]);
    if (!(left instanceof Tensor) && op === '/')
      return torch.call('torch.mul', [torch.call('torch.reciprocal', [right]), left]);
    return torch.call(`torch.${names[op]}`, [left, right]);
  };
  return {
    matches: value => value instanceof Tensor,
    typeName: () => 'Tensor',
    getattr: (tensor: Tensor, name) => {
      if (Object.hasOwn(tensorAttributes, name)) return tensorAttributes[name](tensor, torch);
      const method = torch.resolve(`Tensor.${name}`);
      if (method === undefined) throw new Unsupported(`Tensor.${name}`);
      return new NativeFunction(name, (args, kwargs) => torch.python.call(method, [tensor, ...args], kwargs));
    },
    setattr: (tensor: Tensor, name, to) => {
      if (name === 'grad') tensor.grad = to as Tensor | null;
      else if (name === 'requires_grad') tensor.requiresGrad = to === true;
      else if (name === 'data') tensor.data.copy_(to as Tensor);
      else return false;
      return true;
    },
    getitem: (tensor: Tensor, index) => torch.index(tensor, indexItems(torch, index)),
    setitem: (tensor: Tensor, index, to) => torch.assignIndex(tensor, indexItems(torch, index), to),
    iterate: (tensor: Tensor) => [...tensor],
    length: (tensor: Tensor) =>
      tensor.ndim === 0 ? fail('E110', { op: 'len', problem: 'len() of a 0-d tensor' }) : tensor.shape[0],
    truth: (tensor: Tensor) => {
      if (tensor.numel() !== 1)
        throw new PythonError('RuntimeError', 'Boolean value of Tensor with more than one value is ambiguous');
      return torch.python.truth(itemOf(tensor));
    },
    binary: (op, left, right) => operator(binaryNames, op, left, right),
    augment: (op, left: Tensor, right) => torch.call(`Tensor.${binaryNames[op]}_`, [left, right]),
    unary: (op, tensor: Tensor) =>
      op === '-' ? torch.call('torch.neg', [tensor]) : op === '~' ? torch.call('torch.bitwise_not', [tensor]) : tensor,
    compare: (op, left, right) => operator(compareNames, op, left, right),
    repr: (tensor: Tensor) => torch.show(tensor),
    format: (tensor: Tensor, spec) => (tensor.ndim === 0 ? torch.python.format(itemOf(tensor), spec) : undefined),
    number: (tensor: Tensor) => itemOf(tensor),
  };
}

/** An index as gradc takes it: integers, `{ start, stop, step }`, null for a new axis, '...', tensors. */
export type IndexItem =
  | number
  | boolean
  | null
  | '...'
  | { start: number | null; stop: number | null; step: number | null }
  | Tensor;

function indexItems(torch: TorchAdapter, index: Value): IndexItem[] {
  const items = index instanceof Tuple ? index.items : [index];
  return items.map(item => {
    if (item === null || typeof item === 'number' || typeof item === 'boolean' || item instanceof Tensor) return item;
    if (item === ellipsis) return '...';
    if (item instanceof Slice) {
      const bound = (value: Value): number | null => (value === null ? null : Number(torch.python.number(value)));
      return { start: bound(item.start), stop: bound(item.stop), step: bound(item.step) };
    }
    if (Array.isArray(item) || item instanceof Tuple)
      return torch.call('torch.tensor', [item instanceof Tuple ? [...item.items] : item]) as Tensor;
    throw new PythonError(
      'TypeError',
      `only integers, slices, ellipsis, None and tensors are valid indices (got ${torch.python.typeName(item)})`,
    );
  });
}

/** grad_fn: only its name is looked at. */
const gradNodeBehaviour: Behaviour = {
  matches: value =>
    typeof value === 'object' && value !== null && 'next' in value && 'backward' in value && 'name' in value,
  typeName: (node: { name: string }) => node.name,
  repr: (node: { name: string }) => `<${node.name}>`,
};

const dtypeBehaviour: Behaviour = {
  matches: value => value instanceof TorchDtype,
  typeName: () => 'dtype',
  repr: (dtype: TorchDtype) => `torch.${dtype.name}`,
  getattr: (dtype: TorchDtype, name) => (name === 'is_floating_point' ? dtype.name.includes('float') : undefined),
  compare: (op, left, right) => {
    const same = left instanceof TorchDtype && right instanceof TorchDtype && left.name === right.name;
    return op === '==' ? same : op === '!=' ? !same : undefined;
  },
};

const deviceBehaviour: Behaviour = {
  matches: value => value instanceof Device,
  typeName: () => 'device',
  repr: (device: Device) => `device(type='${device.type}')`,
  getattr: (device: Device, name) => (name === 'type' ? device.type : undefined),
};

const namedTupleBehaviour = (torch: TorchAdapter): Behaviour => ({
  matches: value => value instanceof NamedTuple,
  typeName: () => 'tuple',
  getattr: (tuple: NamedTuple, name) => tuple.items[tuple.names.indexOf(name)],
  repr: (tuple: NamedTuple) => {
    const texts = tuple.items.map(item => torch.python.repr(item));
    const show = (): string =>
      `torch.return_types.${tuple.typeName}(\n${texts.map((text, i) => `${tuple.names[i]}=${settled(text)}`).join(',\n')})`;
    return texts.some(text => text instanceof Deferred) ? new Deferred(show) : show();
  },
});

const contextBehaviour = (torch: TorchAdapter): Behaviour => ({
  matches: value => value instanceof ContextManager,
  typeName: (manager: ContextManager) => manager.name,
  enter: (manager: ContextManager) => {
    manager.enter();
    return null;
  },
  exit: (manager: ContextManager) => manager.exit(),
  /** As a decorator: the function runs inside. */
  call: (manager: ContextManager, [fn]) =>
    fn === undefined
      ? manager
      : new NativeFunction(manager.name, (args, kwargs) => {
          manager.enter();
          try {
            return torch.python.call(fn, args, kwargs);
          } finally {
            manager.exit();
          }
        }),
});

function arrayBehaviour(torch: TorchAdapter): Behaviour {
  return {
    matches: value => value instanceof NdArray,
    typeName: () => 'ndarray',
    getitem: ({ tensor }: NdArray, index) => {
      const found = torch.index(tensor, indexItems(torch, index));
      return found.ndim === 0 ? itemOf(found) : new NdArray(found);
    },
    setitem: ({ tensor }: NdArray, index, to) => torch.assignIndex(tensor, indexItems(torch, index), to),
    getattr: (array: NdArray, name) => arrayAttribute(torch, array, name),
    repr: ({ tensor }: NdArray) => readTensor(tensor, known => printArray(new NdArray(known))),
  };
}

const npzBehaviour: Behaviour = {
  matches: value => value instanceof NpzFile,
  typeName: () => 'NpzFile',
  getattr: ({ arrays }: NpzFile, name) => (name === 'files' ? arrays.keys() : undefined),
  getitem: ({ arrays }: NpzFile, name) =>
    arrays.get(name) ?? fail('E110', { op: 'NpzFile', problem: `no array '${name}'` }),
  iterate: ({ arrays }: NpzFile) => arrays.keys(),
};

export const behaviours = (torch: TorchAdapter): readonly Behaviour[] => [
  tensorBehaviour(torch),
  dtypeBehaviour,
  deviceBehaviour,
  namedTupleBehaviour(torch),
  contextBehaviour(torch),
  arrayBehaviour(torch),
  npzBehaviour,
  settingsBehaviour(torch),
  nativeClassBehaviour(torch),
  moduleBehaviour(torch),
  gradNodeBehaviour,
  nativeObjectBehaviour(torch),
];
