/** How the fuzzer judges: what only rounding decides is no mismatch, and nothing else is excused. */
import { cond, fromTypedArray, type Tensor, tensor } from 'gradc';
import * as F from 'gradc/functional';
import { expect, test } from 'vitest';
import { expectedOf } from './support/random-programs/agreement.js';
import { randomProgram } from './support/random-programs/generator.js';
import type { RandomProgram } from './support/random-programs/program.js';
import { isRounding } from './support/random-programs/rounding.js';

/** A program of one step on one input. */
const programOf = (run: (x: Tensor) => Tensor, x: Tensor, derivatives: 0 | 1 = 0): RandomProgram => ({
  state: [],
  entries: [
    {
      inputs: [x],
      given: 1,
      steps: [
        {
          kind: { name: 'by hand', run: ([x]) => run(x), text: () => '' },
          sources: [{ value: 0, as: null }],
          bodies: [],
        },
      ],
      results: [1],
      updates: [],
      derivatives,
    },
  ],
});

/** Which numbers would be excused as an element of the result, or of another value that the program leaves. */
function excused(program: RandomProgram, element: number, values: readonly number[], at = 0): number[] {
  const want = expectedOf(program).results[at];
  return values.filter(value => {
    const elements = (want.contiguous().toTypedArray() as Float32Array).with(element, value);
    return isRounding(program, { at, element, got: fromTypedArray(elements, want.shape), want });
  });
}

test('where digits cancel, what is as close to float64 as rounding may be is excused', () => {
  const tiny = tensor([1.0355774e-7, 8.702833e-11, 5.36473e-10, 1.2800234e-6]);
  const direction = programOf(x => F.normalize(x.sigmoid().mul(4).sub(2), { dim: 0 }), tiny);
  expect(excused(direction, 0, [0, 0.08, 0.19])).toEqual([0, 0.08, 0.19]);
  expect(excused(direction, 0, [-0.9, 0.9, Number.NaN])).toEqual([]);
});

test('many equal slopes may all be rounded to zero', () => {
  const saturated = programOf(x => x.expand([400]).sigmoid().mul(1e4), tensor([16.9]), 1);
  const [, slope] = expectedOf(saturated).results;
  expect(slope.item()).toBeGreaterThan(1000);
  expect(excused(saturated, 0, [0], 1)).toEqual([0]);
  expect(excused(saturated, 0, [-3 * Number(slope.item())], 1)).toEqual([]);
});

test('nothing is excused that is not sensitive to rounding, beside elements that are', () => {
  const x = tensor([1e-9, 0.5, 1]);
  const steep = programOf(x => x.add(1).sub(1).mul(1e7), x);
  expect(excused(steep, 0, [0, 1.1920928955078125])).toEqual([0, 1.1920928955078125]);
  expect(excused(steep, 1, [5.01e6])).toEqual([]);
});

test('equal numbers correlate or are divided by zero as their mean is rounded, also within a branch', () => {
  const equal = tensor([
    [0.3, 0.3, 0.3, 0.3, 0.3],
    [0.7, 0.7, 0.7, 0.7, 0.7],
  ]);
  const corrcoef = (x: Tensor): Tensor =>
    F.normalize(x.sub(x.mean(1, { keepdim: true })), { dim: 1, eps: 0 })
      .square()
      .sum();
  const branch = programOf(
    x =>
      cond(
        x.sum().gt(0),
        () => corrcoef(x),
        () => x.sum(),
      ),
    equal,
  );
  expect(excused(branch, 0, [2, Number.NaN])).toEqual([2, Number.NaN]);
  expect(excused(branch, 0, [7])).toEqual([]);
});

test('of the programs drawn hardly any result that is off by a hundredth would be excused', () => {
  const judged = Array.from({ length: 30 }, (_, seed) => randomProgram(1000 + seed)).flatMap(program =>
    expectedOf(program).results.flatMap((want, at) => {
      if (want.dtype !== 'float32' || want.numel() === 0) return [];
      const elements = (want.contiguous().toTypedArray() as Float32Array).filter(Number.isFinite).map(Math.abs);
      const first = Number(want.reshape([-1]).select(0, 0).item());
      const moved = first + 0.01 * Math.max(1, ...elements);
      return Number.isFinite(first) ? [excused(program, 0, [first, moved], at)] : [];
    }),
  );
  expect(judged.length).toBeGreaterThan(100);
  expect(judged.filter(([right]) => right === undefined)).toEqual([]);
  expect(judged.filter(values => values.length > 1).length).toBeLessThan(0.05 * judged.length);
});
