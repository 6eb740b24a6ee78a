/**
 * The float32 functions of vectors against float64, over the whole range of float32: no further off than
 * `bench/vector-functions.ts` states, with PyTorch's results for zeros, infinities and NaN.
 */
import { fromTypedArray, input, type Tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { hasFeature } from '../runtime/deploy/features.js';
import { errorOf, type VectorFunction, vectorFunctions, wholeRange } from './bench/vector-functions.js';

const variants = [false, ...(hasFeature('relaxed-simd') ? [true] : [])];

/** `length` decides how: by vectors, or one by one where it is less than four. */
function computed(fn: VectorFunction, x: Float32Array, y: Float32Array, relaxed = false): Float32Array {
  const given = [x, y].map(array => fromTypedArray(array, [array.length]));
  const specs = given.map(({ shape }) => input(shape));
  const call = compile((a: Tensor, b: Tensor) => [fn.compute(a, b)], specs, { relaxed });
  return call(given[0], given[1])[0].toTypedArray() as Float32Array;
}

/** Exponents under which most powers of x are finite; some are whole numbers, some as wild as x. */
const exponentsFor = (x: Float32Array): Float32Array =>
  x.map((value, i) => {
    const bound = 128 / Math.max(1e-3, Math.abs(Math.log2(Math.abs(value) || 1)));
    return i % 7 === 0 ? (i % 9) - 4 : i % 11 === 0 ? x[(i * 7919) % x.length] : Math.sin(i) * Math.min(bound, 1e30);
  });

describe.each(variants)('relaxed: %s', relaxed => {
  test.each(vectorFunctions.map(fn => [fn.name, fn] as const))('%s', (_, fn) => {
    const x = wholeRange(128);
    const y = exponentsFor(x);
    const actual = computed(fn, x, y, relaxed);
    let worst = { error: 0, x: 0, y: 0, actual: 0, exact: 0 };
    for (let i = 0; i < x.length; i++) {
      const exact = fn.exact(x[i], y[i]);
      const error = errorOf(fn, actual[i], exact, x[i]);
      if (error > worst.error) worst = { error, x: x[i], y: y[i], actual: actual[i], exact };
    }
    expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(fn.ulp);
    expect(worst.error, 'the stated bound says something').toBeGreaterThan(fn.ulp / 4);
  });
});

test.each(vectorFunctions.map(fn => [fn.name, fn] as const))('%s is the same in vectors and one by one', (_, fn) => {
  const sample = wholeRange(128).filter((_, i) => i % 509 === 0 && i % 128 > 3);
  const x = sample.slice(0, sample.length - (sample.length % 3));
  const y = exponentsFor(x);
  const together = computed(fn, x, y);
  for (let i = 0; i < x.length; i += 60)
    expect([...computed(fn, x.slice(i, i + 3), y.slice(i, i + 3))]).toEqual([...together.slice(i, i + 3)]);
});

test('angles of any size', () => {
  const x = Float64Array.of(1e9, -3e15, 1e22, 2 ** 100, -1e300, Number.MAX_VALUE);
  const call = compile((a: Tensor) => [a.sin(), a.cos(), a.tan()], [input([x.length], 'float64')]);
  const results = call(fromTypedArray(x, [x.length])).map(tensor => [...(tensor.toTypedArray() as Float64Array)]);
  for (const [i, exact] of [Math.sin, Math.cos, Math.tan].entries())
    for (const [j, actual] of results[i].entries()) expect(actual).toBeCloseTo(exact(x[j]), 12);
});
