/**
 * Between tensors and JavaScript: `item()`, `tolist()`, and typed arrays that share memory both ways.
 *
 * Reading a value makes sense for eager tensors only; inside a trace every function here throws E301.
 */
import { fail } from '../compiler/errors.js';
import { arrayOf, type DType, isComplexDType, type TypedArray } from '../compiler/ir/dtype.js';
import { contiguousStrides, formatShape, inferSize, numel, type Shape } from '../compiler/ir/shape.js';
import { Complex } from '../compiler/ops/complex/number.js';
import { full } from '../compiler/ops/define.js';
import type { Scalar } from '../compiler/ops/signature.js';
import { assignInPlace, renameStep } from '../compiler/ops/tape.js';
import {
  eagerValue,
  isComplexTensor,
  isContiguousValue,
  refuseComplex,
  Tensor,
  tensorOver,
} from '../compiler/ops/tensor.js';
import { rowMajor } from './eager.js';
import { decode, type Element } from './elements.js';

export type NestedElements = Element | Complex | NestedElements[];

/** dtypes that a typed array stands for when none is named. */
function dtypeOfArray(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Float64Array) return 'float64';
  if (array instanceof BigInt64Array) return 'int64';
  if (array instanceof Int32Array) return 'int32';
  if (array instanceof Int16Array) return 'int16';
  if (array instanceof Int8Array) return 'int8';
  if (array instanceof Uint8Array) return 'uint8';
  return fail('E108', {
    op: 'fromTypedArray',
    problem: `a ${(array as object)?.constructor?.name ?? typeof array} has no dtype of its own`,
    hint: "name one, as in fromTypedArray(bits, [n], 'float16')",
  });
}

export const isTypedArray = (value: unknown): value is TypedArray =>
  ArrayBuffer.isView(value) && !(value instanceof DataView);

/**
 * A tensor over the memory of a typed array: changes on either side are seen on the other. One size may be -1. Complex numbers
 * lie there as pairs.
 */
export function fromTypedArray(array: TypedArray, shape?: Shape, dtype: DType = dtypeOfArray(array)): Tensor {
  const expected = arrayOf(dtype);
  if (!(array instanceof expected)) {
    fail('E108', {
      op: 'fromTypedArray',
      problem: `${dtype} lives in a ${expected.name}, not in a ${array.constructor.name}`,
      hint: 'convert the array, or leave the dtype out',
    });
  }
  const count = isComplexDType(dtype) ? array.length / 2 : array.length;
  if (!Number.isInteger(count))
    fail('E110', {
      op: 'fromTypedArray',
      problem: `${array.length} numbers are no pairs of real and imaginary parts, which ${dtype} takes`,
    });
  return tensorOver(array, { dtype, shape: inferSize('fromTypedArray', shape ?? [count], count) });
}

/** Row-major elements as nested arrays of the given shape. */
function nest(elements: readonly (Element | Complex)[], shape: Shape): NestedElements {
  const strides = contiguousStrides(shape);
  const build = (d: number, start: number): NestedElements =>
    d === shape.length
      ? elements[start]
      : Array.from({ length: shape[d] }, (_, i) => build(d + 1, start + i * strides[d]));
  return build(0, 0);
}

/** The elements of a tensor in row-major order, as users see them. */
export function elementsOf(tensor: Tensor, what: string): Element[] {
  if (isComplexTensor(tensor)) refuseComplex(what, tensor.dtype);
  return Array.from(rowMajor(tensor, what) as ArrayLike<number | bigint>, value => decode(tensor.dtype, value));
}

/** The same of a complex tensor. */
export function complexElementsOf(tensor: Tensor, what: string): Complex[] {
  const parts = rowMajor(tensor, what) as Float32Array;
  return Array.from({ length: tensor.numel() }, (_, i) => new Complex(parts[2 * i], parts[2 * i + 1]));
}

function item<T extends Element | Complex = number>(this: Tensor): T {
  if (this.numel() !== 1) {
    fail('E110', {
      op: 'item',
      problem: `a Tensor with ${this.numel()} elements (shape ${formatShape(this.shape)}) cannot be converted to Scalar`,
      hint: 'select one element first, or use tolist()',
    });
  }
  if (isComplexTensor(this)) return complexElementsOf(this, 'item()')[0] as T;
  const { storage, offset } = eagerValue(this, 'item()');
  return decode(this.dtype, storage.array[offset]) as T;
}

function toTypedArray(this: Tensor): TypedArray {
  const { offset, strides, storage } = eagerValue(this, 'toTypedArray()');
  if (!isContiguousValue(this.shape, strides)) {
    fail('E110', {
      op: 'toTypedArray',
      problem: `a tensor with strides ${formatShape(strides)} for shape ${formatShape(this.shape)} is not one run of memory`,
      hint: 'call contiguous() or clone() first; the copy then shares nothing with the original',
    });
  }
  const count = numel(this.shape);
  return offset === 0 && storage.array.length === count
    ? storage.array
    : storage.array.subarray(offset, offset + count);
}

function fillWithElement(target: Tensor, value: Tensor): Tensor {
  if (value.ndim > 0)
    fail('E107', {
      op: 'fill_',
      problem: `only supports 0-dimension value tensor but got tensor with ${value.ndim} dimensions`,
    });
  return assignInPlace(target, value.to(target.dtype).expand(target.shape), 'FillBackward1');
}

function copy_(this: Tensor, source: Tensor | Scalar): Tensor {
  if (!(source instanceof Tensor)) return this.fill_(source);
  const cast = source.dtype === this.dtype ? source : source.to(this.dtype);
  const value = cast.expand(this.shape);
  renameStep(value, 'CopyBackwards');
  return assignInPlace(this, value);
}

declare module '../compiler/ops/tensor.js' {
  interface Tensor {
    /** The value of a tensor of one element: a boolean for bool, a bigint for an int64 that a number cannot hold, a Complex. */
    item<T extends Element | Complex = number>(): T;
    /** The elements as nested arrays; of a 0-d tensor, its one element. */
    tolist<T extends NestedElements = NestedElements[]>(): T;
    /** The memory of a contiguous tensor, shared. */
    toTypedArray(): TypedArray;
    /** The same memory without history, as PyTorch's `data`. */
    readonly data: Tensor;
    /** Overwrite with the elements of `source`, broadcast and converted. */
    copy_(source: Tensor | Scalar): this;
    /** Overwrite with one value: a number, or the element of a 0-d tensor. */
    fill_(value: Scalar | Complex | Tensor): this;
    zero_(): this;
  }
}

Object.assign(Tensor.prototype, {
  item,
  tolist(this: Tensor): NestedElements {
    const elements = isComplexTensor(this) ? complexElementsOf : elementsOf;
    return nest(elements(this, 'tolist()'), this.shape);
  },
  toTypedArray,
  copy_,
  fill_(this: Tensor, value: Scalar | Complex | Tensor): Tensor {
    if (value instanceof Tensor) return fillWithElement(this, value);
    return assignInPlace(this, full(this.shape, value, { dtype: this.dtype }), 'FillBackward0');
  },
  zero_(this: Tensor): Tensor {
    return assignInPlace(this, this.zerosLike(), 'ZeroBackward0');
  },
});
Object.defineProperty(Tensor.prototype, 'data', {
  get(this: Tensor): Tensor {
    return this.detach();
  },
});
