/**
 * Samples: the inputs an op's generated tests run on, written beside the op.
 *
 * A sample is the argument list of one call, with tensors described instead of made: the tests make them from a seed,
 * in every dtype the op takes, and run value, gradient, eager, compiled and every backend on them.
 */
import type { DType } from '../ir/dtype.js';
import type { Shape } from '../ir/shape.js';
import type { Tensor } from './tensor.js';

export class SampleTensor {
  constructor(
    readonly shape: Shape,
    readonly low: number,
    readonly high: number,
    /** null: whichever float dtype the test runs in. */
    readonly dtype: DType | null,
    /** Exact values instead of random ones. */
    readonly values: readonly number[] | null,
  ) {}
}

/** A tensor of random values in [low, high). Integers unless `dtype` is a float or null. */
export const random = (shape: Shape, low = -2, high = 2, dtype: DType | null = null): SampleTensor =>
  new SampleTensor(shape, low, high, dtype, null);
/** A tensor of given values. */
export const exactly = (shape: Shape, values: readonly number[], dtype: DType | null = null): SampleTensor =>
  new SampleTensor(shape, 0, 0, dtype, values);
/** A random integer tensor, for indices. */
export const integers = (shape: Shape, low: number, high: number, dtype: DType = 'int64'): SampleTensor =>
  new SampleTensor(shape, low, high, dtype, null);

export interface Sample {
  /** Arguments of the call; SampleTensors, also inside lists, become tensors. */
  readonly args: readonly unknown[];
  /** Check first and second derivatives here? Default true; false at kinks, for integer inputs and the like. */
  readonly gradient?: boolean | 'first';
  /** Applied to the float inputs first: keeps them in the op's domain while tests move single elements. */
  readonly through?: (input: Tensor) => Tensor;
  /** The shape of the result depends on values, so that a trace refuses the call. */
  readonly eagerOnly?: boolean;
}
export const sample = (...args: readonly unknown[]): Sample => ({ args });
export const sampleWithFirstGradient = (...args: readonly unknown[]): Sample => ({ args, gradient: 'first' });
export const sampleWithoutGradient = (...args: readonly unknown[]): Sample => ({ args, gradient: false });
/** A sample of an op on symmetric matrices. */
export const symmetricSample = (...args: readonly unknown[]): Sample => ({
  args,
  through: matrix => matrix.add(matrix.transpose(-2, -1)).mul(0.5),
});
export const eagerSample = (...args: readonly unknown[]): Sample => ({ args, eagerOnly: true });
export const eagerSampleWithoutGradient = (...args: readonly unknown[]): Sample => ({
  args,
  gradient: false,
  eagerOnly: true,
});

/** A call that must fail: its arguments, and a pattern of the message. */
export interface ErrorSample {
  readonly args: readonly unknown[];
  readonly message: RegExp;
}
