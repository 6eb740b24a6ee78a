/** In-place ops and gradients: the derivative reads what the tensor held before, and what it no longer holds is an error. */
import { cat, manualSeed, rand, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

const numbers = (t: Tensor): number[] => [t.tolist()].flat(9) as number[];
const leaf = (values: number[]): Tensor => tensor(values, { dtype: 'float32', requiresGrad: true });

/** What a change in place must be as good as: the same without one. */
const changes: readonly (readonly [
  string,
  inPlace: (y: Tensor, x: Tensor) => Tensor,
  anew: (y: Tensor, x: Tensor) => Tensor,
])[] = [
  ['sin_', y => y.sin_(), y => y.sin()],
  ['mul_ by what requires grad', (y, x) => y.mul_(x), (y, x) => y.mul(x)],
  ['mul_ by itself before', y => y.mul_(y.clone()), y => y.mul(y)],
  ['pow_ and exp_', y => y.pow_(2).exp_(), y => y.pow(2).exp()],
  ['div_, twice', (y, x) => y.div_(x).div_(x), (y, x) => y.div(x).div(x)],
  ['atan2_', (y, x) => y.atan2_(x.mul(2)), (y, x) => y.atan2(x.mul(2))],
  ['lerp_ and addcmul_', (y, x) => y.lerp_(x, 0.3).addcmul_(x, x), (y, x) => y.lerp(x, 0.3).addcmul(x, x)],
  [
    'a part',
    (y, x) => {
      y.narrow(0, 1, 2)
        .mul_(x.narrow(0, 0, 2))
        .sin_();
      return y;
    },
    (y, x) =>
      cat([
        y.narrow(0, 0, 1),
        y
          .narrow(0, 1, 2)
          .mul(x.narrow(0, 0, 2))
          .sin(),
      ]),
  ],
];

describe('gradients through a change in place', () => {
  const gradient = (change: (y: Tensor, x: Tensor) => Tensor) => (x: Tensor) => {
    const start = x.detach().clone().requiresGrad_();
    change(start.mul(1.5), start).square().sum().backward();
    return start.grad as Tensor;
  };
  test.each(changes)('%s', (_, inPlace, anew) => {
    manualSeed(0);
    const x = rand(3).add(0.5);
    const expected = numbers(gradient(anew)(x));
    for (const run of [gradient(inPlace), compile(gradient(inPlace), [input([3])])])
      for (const [i, value] of numbers(run(x)).entries()) expect(value).toBeCloseTo(expected[i], 4);
  });
  test('a constant becomes a variable by what it is multiplied with', () => {
    const [x, w] = [tensor([1, -2], { dtype: 'float32' }), leaf([3, 5])];
    x.mul_(w).mul_(w);
    x.sum().backward();
    expect(numbers(w.grad as Tensor)).toEqual([6, -20]);
  });
});

test.each([
  ['a result that the derivative needs, changed after', (y: Tensor) => y.sigmoid_().neg_()],
  ['an operand that is part of what is changed', (y: Tensor) => y.mul_(y.narrow(0, 0, 1))],
])('%s, is an error', (_, change) => {
  const x = leaf([1, 2]);
  const y = change(x.mul(1));
  expect(() => y.sum().backward()).toThrow(/E204.*modified by an inplace operation/s);
});
