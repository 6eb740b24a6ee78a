/** In-place ops and gradients: the derivative reads what the tensor held before, and what it no longer holds is an error. */
import { autograd, cat, manualSeed, nn, rand, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { numbers } from './support/tensors.js';

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

/** Layers that overwrite their input, and the same ones that do not. */
const layers: readonly ((inplace: boolean) => nn.Module & { forward(input: Tensor): Tensor })[] = [
  inplace => new nn.ReLU(inplace),
  inplace => new nn.ReLU6({ inplace }),
  inplace => new nn.LeakyReLU(0.2, inplace),
  inplace => new nn.ELU(1.5, inplace),
  inplace => new nn.CELU(0.5, { inplace }),
  inplace => new nn.SELU(inplace),
  inplace => new nn.SiLU(inplace),
  inplace => new nn.Mish(inplace),
  inplace => new nn.Hardswish(inplace),
  inplace => new nn.Hardsigmoid(inplace),
  inplace => new nn.Hardtanh(-0.9, 0.9, inplace),
  inplace => new nn.Threshold(0.9, 2, inplace),
  inplace => new nn.RReLU(0.1, 0.3, inplace).eval(),
];

const functions: readonly (readonly [string, inPlace: (y: Tensor) => Tensor, anew: (y: Tensor) => Tensor])[] = [
  ['relu', y => F.relu(y, { inplace: true }), y => F.relu(y)],
  ['leakyRelu', y => F.leakyRelu(y, 0.3, { inplace: true }), y => F.leakyRelu(y, 0.3)],
  ['hardtanh', y => F.hardtanh(y, { maxVal: 0.9, inplace: true }), y => F.hardtanh(y, -1, 0.9)],
  ['elu_', y => F.elu_(y, 0.7), y => F.elu(y, 0.7)],
];

describe('gradients through a change in place', () => {
  const gradient = (change: (y: Tensor, x: Tensor) => Tensor) => (x: Tensor) => {
    const start = x.detach().clone().requiresGrad_();
    change(start.mul(1.5), start).square().sum().backward();
    return start.grad as Tensor;
  };
  const bothWays = [
    ...changes,
    ...functions,
    ...layers.map(
      make =>
        [
          make(true).constructor.name,
          (y: Tensor) => make(true).forward(y),
          (y: Tensor) => make(false).forward(y),
        ] as const,
    ),
  ];
  test.each(bothWays)('%s', (_, inPlace, anew) => {
    manualSeed(0);
    const x = rand(3).sub(0.5);
    const expected = numbers(gradient(anew)(x));
    for (const run of [gradient(inPlace), compile(gradient(inPlace), [input([3])])])
      for (const [i, value] of numbers(run(x)).entries()) expect(value).toBeCloseTo(expected[i], 4);
  });
  const second = (change: (y: Tensor, x: Tensor) => Tensor) => (x: Tensor) => {
    const start = x.detach().clone().requiresGrad_();
    const [first] = autograd.grad(change(start.mul(1.5), start).square().sum(), [start], { createGraph: true });
    return autograd.grad(first.square().sum(), [start])[0];
  };
  test.each([...changes])('%s, of second order', (_, inPlace, anew) => {
    manualSeed(0);
    const x = rand(3).add(0.5);
    const expected = numbers(second(anew)(x));
    for (const run of [second(inPlace), compile(second(inPlace), [input([3])])])
      for (const [i, value] of numbers(run(x)).entries())
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-5 * Math.max(1, Math.abs(expected[i])));
  });
  test.each([...functions])('%s returns its input, changed', (_, inPlace, anew) => {
    const [y, other] = [tensor([-1, 0.5, 2]), tensor([-1, 0.5, 2])];
    expect(inPlace(y)).toBe(y);
    expect(numbers(y)).toEqual(numbers(anew(other)));
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
