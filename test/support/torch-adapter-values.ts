/** PyTorch's and NumPy's own kinds of value that gradc spells as plain data: dtypes, devices, arrays, named tuples. */
import type { DType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Tuple, type Value } from './python/values.js';

export class TorchDtype {
  readonly name: DType;
  constructor(name: DType) {
    this.name = name;
  }
}

export class Device {
  readonly type: string;
  constructor(type: string) {
    this.type = type;
  }
}

/** A NumPy array: the memory of a tensor, seen without autograd. */
export class NdArray {
  readonly tensor: Tensor;
  /** NumPy's type as a file names it, where it was read from one. */
  readonly description: string | null;
  constructor(tensor: Tensor, description: string | null = null) {
    this.tensor = tensor;
    this.description = description;
  }
}

/** What `torch.max(x, dim)` returns: a tuple whose members also have names. */
export class NamedTuple extends Tuple {
  readonly names: readonly string[];
  /** The function it came from: `torch.return_types.max`. */
  readonly typeName: string;
  constructor(names: readonly string[], items: readonly Value[], typeName: string) {
    super(items);
    this.names = names;
    this.typeName = typeName;
  }
}

/** Something for `with`. */
export class ContextManager {
  readonly name: string;
  readonly enter: () => void;
  readonly exit: () => void;
  constructor(name: string, enter: () => void, exit: () => void) {
    this.name = name;
    this.enter = enter;
    this.exit = exit;
  }
}

/** A class of gradc as a Python value: `nn.Linear`. */
export class NativeClass {
  readonly path: string;
  readonly constructor_: new (
    ...args: never[]
  ) => object;
  constructor(path: string, constructor_: new (...args: never[]) => object) {
    this.path = path;
    this.constructor_ = constructor_;
  }
}
