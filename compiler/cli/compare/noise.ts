/**
 * One sample of what computing in float32 may do to a float64 run: Monte Carlo arithmetic.
 *
 * Every value moves by up to half a unit in its last place, at random, and is rounded; numbers that float32 holds stay as they
 * are. A sum of n terms that is rounded after each is the exact sum of terms off by about sqrt(n) roundings, so the terms move
 * by as much: where they cancel, that is far more than the rounding of the sum. An op that takes several steps is those
 * steps, each of which rounds, as do those of a loop; one that is a kernel of its own gives the exact result for inputs that
 * are off by a rounding.
 * After D. S. Parker, "Monte Carlo Arithmetic" (1997), and N. J. Higham and T. Mary, "A New Approach to Probabilistic Rounding
 * Error Analysis" (2019).
 */
import { eager, rowMajor } from '../../../runtime/eager.js';
import { isFloat } from '../../ir/dtype.js';
import type { Attrs, TensorType } from '../../ir/graph.js';
import { numel } from '../../ir/shape.js';
import type { OpDef } from '../../ops/define.js';
import { type Executor, type Tensor, tensorOver } from '../../ops/tensor.js';
import { uniformNumbers } from '../random-inputs.js';

/** Uniform in [0, 1). */
export type Noise = () => number;

/**
 * One sample of noise by number. The first rounds every value to the nearest, and sums exactly: what is equal by its making
 * stays equal there (the deviation of equal numbers is 0), and in no other.
 */
export const noiseOf = (sample: number): Noise => (sample === 0 ? () => 0.5 : uniformNumbers(sample));

/** Runs ops on float64, each result as float32 might have given it. */
export const roundingExecutor = (noise: Noise): Executor => ({
  ...eager,
  run(def, inputs, attrs, type) {
    const isExact = def.fusion === 'view' || type.dtype !== 'float64';
    if (isExact || def.lower === undefined) return eager.run(def, inputs, attrs, type);
    const roundings = roundingsOf(def, inputs, attrs, type);
    const given = roundings > 0 ? inputs.map(input => moved(input, roundings, noise)) : inputs;
    const value = eager.run(def, given, attrs, type);
    roundAll(rowMajor(value, 'comparison') as Float64Array, noise);
    return value;
  },
});

/** Half a unit in the last place of a float32, relative. */
const roundoff = 2 ** -24;

/**
 * Of half of the ops equal results round alike, as the same instructions do: errors that add up where the results are summed. Of
 * the others each rounds by itself, as where the last few are computed by other instructions.
 */
function roundAll(elements: Float64Array, noise: Noise): void {
  const salt = noise();
  const noiseFor = salt < 0.5 ? (element: number) => uniformNumbers(bitsOf(element) ^ (salt * 2 ** 33)) : () => noise;
  for (const [i, element] of elements.entries()) {
    if (Math.fround(element) !== element)
      elements[i] = Math.fround(element * (1 + within(roundoff, noiseFor(element))));
  }
}

const scratch = new Float64Array(1);
const scratchBits = new Int32Array(scratch.buffer);
/** A whole number made of all bits of an element. */
function bitsOf(element: number): number {
  scratch[0] = element;
  return scratchBits[0] ^ scratchBits[1];
}

const within = (most: number, noise: Noise): number => (2 * noise() - 1) * most;

/** A tensor whose elements are off by up to so many roundings. */
function moved(tensor: Tensor, roundings: number, noise: Noise): Tensor {
  if (!isFloat(tensor.dtype)) return tensor;
  const elements = (rowMajor(tensor, 'comparison') as Float64Array).slice();
  for (let i = 0; i < elements.length; i++) elements[i] *= 1 + within(roundings * roundoff, noise);
  return tensorOver(elements, tensor.type);
}

/** By how many roundings of its inputs an op may be off, besides that of its result. */
function roundingsOf({ lower, fusion }: OpDef, inputs: readonly Tensor[], attrs: Attrs, type: TensorType): number {
  if (fusion === 'opaque') return 1;
  if (lower?.kind !== 'reduce' || lower.fn !== 'add') return 0;
  const types = inputs.map(input => input.type);
  const terms = numel(lower.extents(types, attrs, type));
  return terms > 1 ? Math.sqrt(terms) : 0;
}
