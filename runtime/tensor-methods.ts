/** Methods of Tensor that PyTorch's users know and that are no ops of their own. */
import { fail } from '../compiler/errors.js';
import { contiguousStrides } from '../compiler/ir/shape.js';
import { nextafter } from '../compiler/ops/bits.js';
import * as contraction from '../compiler/ops/contraction.js';
import { indexReduce } from '../compiler/ops/counting.js';
import { iota } from '../compiler/ops/creation.js';
import { igamma, igammac, mvlgamma } from '../compiler/ops/incomplete-gamma.js';
import * as indexing from '../compiler/ops/indexing.js';
import * as scan from '../compiler/ops/scan.js';
import * as shape from '../compiler/ops/shape.js';
import type { Scalar } from '../compiler/ops/signature.js';
import { renorm } from '../compiler/ops/sorting.js';
import * as special from '../compiler/ops/special.js';
import { checkResult } from '../compiler/ops/table.js';
import { computeInPlace, relayoutInPlace } from '../compiler/ops/tape.js';
import { isComplexTensor, Tensor } from '../compiler/ops/tensor.js';
import * as view from '../compiler/ops/view.js';
import { elementsOf } from './bridge.js';
import { valuesAs } from './draws.js';
import { isNonzero } from './questions.js';

/** Ops of other modules than `pointwise` that also change their input in place. */
const inPlace = {
  addbmm: contraction.addbmm,
  addmm: contraction.addmm,
  addmv: contraction.addmv,
  addr: contraction.addr,
  baddbmm: contraction.baddbmm,
  cumprod: scan.cumprod,
  cumsum: scan.cumsum,
  digamma: special.digamma,
  erfinv: special.erfinv,
  gcd: special.gcd,
  i0: special.i0,
  igamma,
  igammac,
  indexAdd: indexing.indexAdd,
  indexCopy: indexing.indexCopy,
  indexFill: indexing.indexFill,
  indexReduce,
  lcm: special.lcm,
  ldexp: special.ldexp,
  lgamma: special.lgamma,
  maskedScatter: indexing.maskedScatter,
  mvlgamma,
  nextafter,
  renorm,
  scatter: indexing.scatter,
  scatterAdd: indexing.scatterAdd,
  scatterReduce: indexing.scatterReduce,
  tril: shape.tril,
  triu: shape.triu,
} as const;

/** Views that a tensor can become in place, and what takes each back. */
const layouts = {
  squeeze: view.squeeze,
  swapaxes: view.swapaxes,
  swapdims: view.swapdims,
  t: view.t,
  transpose: view.transpose,
  unsqueeze: view.unsqueeze,
} as const;
const swaps = new Set(['swapaxes', 'swapdims', 't', 'transpose']);

type InPlaceOps = typeof inPlace & typeof layouts;
type InPlaceMethods = {
  [K in keyof InPlaceOps as `${K}_`]: (...args: Parameters<InPlaceOps[K]['method']>) => Tensor;
};

declare module '../compiler/ops/tensor.js' {
  interface Tensor extends InPlaceMethods {
    /** All dims in reverse order. */
    readonly T: Tensor;
    /** The last two dims swapped. */
    readonly mT: Tensor;
    nelement(): number;
    /** The number of dims. */
    ndimension(): number;
    isComplex(): boolean;
    /** A matrix with its dims swapped and its elements conjugate. */
    readonly H: Tensor;
    /** The same of each matrix of a batch. */
    readonly mH: Tensor;
    /** Is the one element something else than 0? */
    isNonzero(): boolean;
    /** All memory is the CPU's: the tensor itself. */
    cpu(): this;
    /** The derivative of order n of digamma. */
    polygamma(n: number): Tensor;
    polygamma_(n: number): Tensor;
    /** The elements of `source` at places that count through all elements, or added to what is there. */
    put(index: Tensor, source: Tensor, accumulate?: boolean): Tensor;
    put_(index: Tensor, source: Tensor, accumulate?: boolean): Tensor;
    /** One value on the diagonal; `wrap` starts it anew below the end of a tall matrix. */
    fillDiagonal_(value: Scalar, wrap?: boolean): Tensor;
    /** What a function makes of each element. Eagerly only. */
    apply_(fn: (value: number) => number): this;
    /** What a function makes of each element and that of another tensor. Eagerly only. */
    map_(other: Tensor, fn: (value: number, other: number) => number): this;
    /** Forget the history of this tensor, which becomes a leaf. */
    detach_(): this;
  }
}

for (const [name, op] of Object.entries(inPlace)) {
  Object.defineProperty(Tensor.prototype, `${name}_`, {
    value(this: Tensor, ...args: unknown[]): Tensor {
      return computeInPlace(this, args, self => checkResult(name, this, Reflect.apply(op, undefined, [self, ...args])));
    },
    writable: true,
    configurable: true,
  });
}

for (const [name, op] of Object.entries(layouts)) {
  Object.defineProperty(Tensor.prototype, `${name}_`, {
    value(this: Tensor, ...args: unknown[]): Tensor {
      const { shape } = this;
      const change = (tensor: Tensor): Tensor => Reflect.apply(op, undefined, [tensor, ...args]);
      return relayoutInPlace(this, change, swaps.has(name) ? change : changed => changed.reshape(shape));
    },
    writable: true,
    configurable: true,
  });
}

function put(this: Tensor, index: Tensor, source: Tensor, accumulate = false): Tensor {
  const flat = this.reshape([-1]);
  const places = index.reshape([-1]);
  const wrapped = places.add(places.lt(0).long().mul(flat.numel()));
  const values = source.reshape([-1]);
  const changed = accumulate ? flat.indexAdd(0, wrapped, values) : flat.indexCopy(0, wrapped, values);
  return changed.reshape(this.shape);
}

/** Where the diagonal of a matrix lies, or of a cube. */
function diagonalOf({ shape }: Tensor, wrap: boolean): Tensor {
  const op = 'fillDiagonal_';
  if (shape.length < 2) fail('E107', { op, problem: 'dimensions must larger than 1' });
  if (shape.length > 2 && shape.some(extent => extent !== shape[0]))
    fail('E107', { op, problem: 'all dimensions of input must be of equal length' });
  const step = contiguousStrides(shape).reduce((sum, stride) => sum + stride, 0);
  const place = iota(shape.reduce((product, extent) => product * extent, 1));
  const isOn = place.remainder(step).eq(0);
  const reaches = wrap && shape.length === 2 ? isOn : isOn.logicalAnd(place.lt(step * Math.min(...shape)));
  return reaches.reshape(shape);
}

const numbersOf = (tensor: Tensor, what: string): number[] => elementsOf(tensor, what).map(Number);

function overwrite(op: string, target: Tensor, values: readonly number[]): Tensor {
  if (target.requiresGrad)
    fail('E207', { problem: `Can't call ${op}() on Variable that requires grad. Use var.detach().${op}() instead.` });
  return target.copy_(valuesAs(Float64Array.from(values), target.shape, 'float64'));
}

Object.defineProperties(Tensor.prototype, {
  T: {
    get(this: Tensor): Tensor {
      return this.permute(this.shape.map((_, d) => this.ndim - 1 - d));
    },
  },
  H: {
    get(this: Tensor): Tensor {
      if (this.ndim !== 2 && this.ndim !== 0)
        fail('E107', {
          op: 'H',
          problem: `tensor.H is only supported on matrices (2-D tensors). Got ${this.ndim}-D tensor.`,
          hint: 'use mH for batches of matrices',
        });
      return this.ndim === 0 ? this.conj() : this.adjoint();
    },
  },
  mH: {
    get(this: Tensor): Tensor {
      return this.adjoint();
    },
  },
  mT: {
    get(this: Tensor): Tensor {
      return this.transpose(-2, -1);
    },
  },
});
Object.assign(Tensor.prototype, {
  nelement(this: Tensor): number {
    return this.numel();
  },
  ndimension(this: Tensor): number {
    return this.ndim;
  },
  isComplex(this: Tensor): boolean {
    return isComplexTensor(this);
  },
  isNonzero(this: Tensor): boolean {
    return isNonzero(this);
  },
  cpu(this: Tensor): Tensor {
    return this;
  },
  polygamma(this: Tensor, n: number): Tensor {
    return special.polygamma(n, this);
  },
  polygamma_(this: Tensor, n: number): Tensor {
    return computeInPlace(this, [], self => checkResult('polygamma', this, special.polygamma(n, self)));
  },
  put,
  put_(this: Tensor, index: Tensor, source: Tensor, accumulate = false): Tensor {
    return computeInPlace(this, [index, source], self => put.call(self, index, source, accumulate));
  },
  fillDiagonal_(this: Tensor, value: Scalar, wrap = false): Tensor {
    return computeInPlace(this, [], self => self.maskedFill(diagonalOf(self, wrap), value));
  },
  apply_(this: Tensor, fn: (value: number) => number): Tensor {
    return overwrite('apply_', this, numbersOf(this, 'apply_()').map(fn));
  },
  map_(this: Tensor, other: Tensor, fn: (value: number, other: number) => number): Tensor {
    const others = numbersOf(other.expand(this.shape), 'map_()');
    return overwrite(
      'map_',
      this,
      numbersOf(this, 'map_()').map((value, i) => fn(value, others[i])),
    );
  },
  detach_(this: Tensor): Tensor {
    if (this.meta.base !== null)
      fail('E207', { problem: "Can't detach views in-place.", hint: 'use detach() instead' });
    this.meta.node = null;
    this.meta.requiresGrad = false;
    return this;
  },
});
