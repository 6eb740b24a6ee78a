/** Methods of Tensor that PyTorch's users know and that are no ops of their own. */
import * as indexing from '../compiler/ops/indexing.js';
import * as shape from '../compiler/ops/shape.js';
import { computeInPlace, relayoutInPlace } from '../compiler/ops/tape.js';
import { Tensor } from '../compiler/ops/tensor.js';
import * as view from '../compiler/ops/view.js';

/** Ops of other modules than `pointwise` that also change their input in place. */
const inPlace = {
  indexAdd: indexing.indexAdd,
  indexCopy: indexing.indexCopy,
  indexFill: indexing.indexFill,
  maskedScatter: indexing.maskedScatter,
  scatter: indexing.scatter,
  scatterAdd: indexing.scatterAdd,
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
    /** Forget the history of this tensor, which becomes a leaf. */
    detach_(): this;
  }
}

for (const [name, op] of Object.entries(inPlace)) {
  Object.defineProperty(Tensor.prototype, `${name}_`, {
    value(this: Tensor, ...args: unknown[]): Tensor {
      return computeInPlace(this, args, self => Reflect.apply(op, undefined, [self, ...args]));
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

Object.defineProperties(Tensor.prototype, {
  T: {
    get(this: Tensor): Tensor {
      return this.permute(this.shape.map((_, d) => this.ndim - 1 - d));
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
  detach_(this: Tensor): Tensor {
    this.meta.node = null;
    this.meta.requiresGrad = false;
    return this;
  },
});
