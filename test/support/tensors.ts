/** What tests ask of tensors: their elements as one list, and whether these are close to what is expected. */
import type { Tensor } from 'gradc';
import { expect } from 'vitest';

/** The elements in order. */
export const numbers = (tensor: Tensor): number[] => [tensor.tolist()].flat(9) as number[];

/** Every element within `tolerance` of what is expected, relative to that where it is large. */
export function expectNumbers(actual: Tensor, expected: readonly number[], tolerance = 2e-6): void {
  const values = numbers(actual);
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of values.entries())
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected[i])));
}

/** The same shape and dtype, and elements that are close. */
export function expectClose(actual: Tensor, expected: Tensor, tolerance = 1e-5): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  expectNumbers(actual, numbers(expected), tolerance);
}
