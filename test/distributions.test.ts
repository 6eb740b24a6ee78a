/**
 * `distributions`: what each says of itself (mean, variance, entropy, distribution function, divergence) is held against sums
 * over its own density, and the density against samples.
 */
import { arange, distributions, eye, linalg, linspace, manualSeed, nn, optim, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { beforeEach, describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { expectNumbers, numbers } from './support/tensors.js';

const {
  Bernoulli,
  Categorical,
  Cauchy,
  Exponential,
  Geometric,
  Gumbel,
  HalfNormal,
  Independent,
  klDivergence,
  Laplace,
  LogNormal,
  MultivariateNormal,
  Normal,
  OneHotCategorical,
  Uniform,
} = distributions;
type Distribution = distributions.Distribution;

beforeEach(() => void manualSeed(0));
const f64 = (value: number): Tensor => tensor(value, { dtype: 'float64' });
const steps = 40_001;

interface Case {
  readonly name: string;
  readonly of: Distribution;
  /** Another of the family, for the divergence. */
  readonly other: Distribution;
  /** Outside of it lies next to nothing. */
  readonly range: readonly [number, number];
}
const continuous: readonly Case[] = [
  { name: 'Normal', of: new Normal(f64(0.5), f64(1.5)), other: new Normal(f64(-1), f64(2)), range: [-15, 16] },
  { name: 'Laplace', of: new Laplace(f64(0.5), f64(0.7)), other: new Laplace(f64(1), f64(1.2)), range: [-25, 26] },
  { name: 'Gumbel', of: new Gumbel(f64(0.5), f64(0.7)), other: new Gumbel(f64(1), f64(1)), range: [-5, 30] },
  {
    name: 'LogNormal',
    of: new LogNormal(f64(0.2), f64(0.4)),
    other: new LogNormal(f64(0), f64(0.5)),
    range: [1e-9, 25],
  },
  { name: 'HalfNormal', of: new HalfNormal(f64(1.3)), other: new HalfNormal(f64(2)), range: [0, 15] },
  { name: 'Uniform', of: new Uniform(f64(-1), f64(2)), other: new Uniform(f64(-2), f64(4)), range: [-1, 2 - 1e-9] },
  { name: 'Exponential', of: new Exponential(f64(1.7)), other: new Exponential(f64(0.6)), range: [0, 30] },
];

/** The integral of a function over the range, by the trapezoidal rule. */
const integral = ({ range: [from, to] }: Case, f: (x: Tensor) => Tensor): number => {
  const x = linspace(from, to, steps, { dtype: 'float64' });
  const y = f(x);
  return (y.sum().item() - (y.at(0).item() + y.at(-1).item()) / 2) * ((to - from) / (steps - 1));
};

describe.each(continuous)('$name', c => {
  const density = (x: Tensor): Tensor => c.of.logProb(x).exp();
  test('density, mean, variance and entropy agree', () => {
    expect(integral(c, density)).toBeCloseTo(1, 5);
    expect(integral(c, x => density(x).mul(x))).toBeCloseTo(c.of.mean.item(), 4);
    expect(integral(c, x => density(x).mul(x.sub(c.of.mean).square()))).toBeCloseTo(c.of.variance.item(), 4);
    expect(integral(c, x => density(x).mul(c.of.logProb(x)).neg())).toBeCloseTo(c.of.entropy().item(), 4);
    expect(c.of.stddev.square().item()).toBeCloseTo(c.of.variance.item(), 12);
  });
  test('the distribution function adds the density up, and its inverse undoes it', () => {
    const middle = c.of.icdf(f64(0.3)).item();
    expect(integral({ ...c, range: [c.range[0], middle] }, density)).toBeCloseTo(0.3, 5);
    for (const p of [0.05, 0.5, 0.9]) expect(c.of.cdf(c.of.icdf(f64(p))).item()).toBeCloseTo(p, 10);
  });
  test('samples lie as the density says', () => {
    const x = c.of.sample([20_000]);
    expect(x.shape).toEqual([20_000]);
    for (const p of [0.1, 0.5, 0.8]) {
      const share = x
        .lt(c.of.icdf(f64(p)))
        .to('float64')
        .mean()
        .item();
      expect(Math.abs(share - p)).toBeLessThan((5 * Math.sqrt(p * (1 - p))) / Math.sqrt(20_000));
    }
  });
  test('a value that cannot be is refused by name', () => {
    expect(() => c.of.logProb(f64(Number.NaN))).toThrow(new RegExp(`${c.name}: expected the value .* to be`));
  });
});

test.each(continuous)('divergence between two of $name', c => {
  const expected = integral(c, x =>
    c.of
      .logProb(x)
      .exp()
      .mul(c.of.logProb(x).sub(c.other.logProb(x))),
  );
  expect(klDivergence(c.of, c.other).item()).toBeCloseTo(expected, 4);
  expect(klDivergence(c.of, c.of).item()).toBeCloseTo(0, 12);
});

const probs = tensor([0.2, 0.5, 0.3], { dtype: 'float64' });
const discrete = [
  ['Bernoulli', new Bernoulli(f64(0.3)), new Bernoulli({ logits: f64(0.4) }), arange(2)],
  ['Geometric', new Geometric(f64(0.3)), new Geometric({ logits: f64(0.4) }), arange(200)],
  ['Categorical', new Categorical(probs.mul(7)), new Categorical({ logits: probs }), arange(3)],
  ['OneHotCategorical', new OneHotCategorical(probs), new OneHotCategorical({ logits: probs }), eye(3)],
] as const;

describe.each(discrete)('%s', (name, of, other, all) => {
  const outcomes = all.to('float64');
  const weights = of.logProb(outcomes).exp();
  test('probabilities, mean, variance, entropy and divergence agree', () => {
    expect(weights.sum().item()).toBeCloseTo(1, 8);
    expect(weights.mul(of.logProb(outcomes)).sum().neg().item()).toBeCloseTo(of.entropy().item(), 8);
    const expected = weights
      .mul(of.logProb(outcomes).sub(other.logProb(outcomes)))
      .sum()
      .item();
    expect(klDivergence(of, other).item()).toBeCloseTo(expected, 8);
    if (name === 'Categorical') return;
    const mean = weights
      .unsqueeze(-1)
      .mul(outcomes.reshape([outcomes.size(0), -1]))
      .sum(0);
    expectNumbers(of.mean, numbers(mean), 1e-9);
    const spread = outcomes
      .reshape([outcomes.size(0), -1])
      .sub(mean)
      .square()
      .mul(weights.unsqueeze(-1))
      .sum(0);
    expectNumbers(of.variance, numbers(spread), 1e-9);
  });
  test('samples come as often as their probabilities say', () => {
    const drawn = of.sample([20_000]);
    const first = name === 'OneHotCategorical' ? drawn.select(-1, 0).eq(1) : drawn.eq(0);
    const p = weights.at(0).item();
    expect(Math.abs(first.to('float64').mean().item() - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 20_000));
    expect(Number.isFinite(of.logProb(drawn).sum().item())).toBe(true);
  });
});

describe('MultivariateNormal', () => {
  const covariance = tensor(
    [
      [2, 0.6],
      [0.6, 1],
    ],
    { dtype: 'float64' },
  );
  const loc = tensor([1, -1], { dtype: 'float64' });
  const of = new MultivariateNormal(loc, { covarianceMatrix: covariance });
  test('of a diagonal covariance it is independent normal variables', () => {
    const diagonal = new MultivariateNormal(loc, { covarianceMatrix: eye(2, { dtype: 'float64' }).mul(4) });
    const other = new MultivariateNormal(loc.mul(2), eye(2, { dtype: 'float64' }));
    const apart = (center: Tensor, width: number): Distribution => new Independent(new Normal(center, f64(width)), 1);
    const x = of.sample([5]);
    expect(x.shape).toEqual([5, 2]);
    const same = (a: Tensor, b: Tensor): void => expect(a.sub(b).abs().max().item()).toBeLessThan(1e-12);
    same(diagonal.logProb(x), apart(loc, 2).logProb(x));
    same(diagonal.entropy(), apart(loc, 2).entropy());
    same(klDivergence(diagonal, other), klDivergence(apart(loc, 2), apart(loc.mul(2), 1)));
  });
  test('samples have the covariance, however it is given', () => {
    const x = of.sample([40_000]);
    const centered = x.sub(x.mean(0));
    const found = centered.t().matmul(centered).div(40_000);
    expect(found.sub(covariance).abs().max().item()).toBeLessThan(0.06);
    const byPrecision = new MultivariateNormal(loc, { precisionMatrix: linalg.inv(of.covarianceMatrix) });
    expect(byPrecision.covarianceMatrix.sub(covariance).abs().max().item()).toBeLessThan(1e-12);
  });
});

describe('gradients', () => {
  test('go through rsample to the parameters', () => {
    const [loc, scale] = [1, 2].map(value => tensor([value], { dtype: 'float64', requiresGrad: true }));
    const x = new Normal(loc, scale).rsample([100]);
    x.sum().backward();
    expect(loc.grad!.item()).toBeCloseTo(100, 8);
    expect(scale.grad!.item()).toBeCloseTo(x.detach().sub(1).div(2).sum().item(), 8);
  });
  test('REINFORCE: a policy learns the action that pays', () => {
    const policy = new nn.Linear(1, 3);
    const opt = new optim.SGD(policy.parameters(), { lr: 0.5 });
    const state = tensor([[1]], { dtype: 'float32' });
    for (let i = 0; i < 100; i++) {
      const choice = new Categorical({ logits: policy.forward(state) });
      const action = choice.sample();
      const reward = action.eq(2).float();
      opt.zeroGrad();
      choice.logProb(action).mul(reward).neg().sum().backward();
      opt.step();
    }
    expect(new Categorical({ logits: policy.forward(state) }).probs.at(0, 2).item()).toBeGreaterThan(0.9);
  });
});

test('in a compiled function each call draws anew, and log-probabilities are those of eager', () => {
  const run = compile(
    (scale: Tensor) => {
      const x = new Normal(scale.mul(0), scale).rsample([1000]);
      return [x, new Normal(scale.mul(0), scale).logProb(x)];
    },
    [input([1])],
  );
  const scale = tensor([2], { dtype: 'float32' });
  const [[x, logProb], [y]] = [run(scale), run(scale)];
  expect(x.sub(y).abs().sum().item()).toBeGreaterThan(100);
  expect(x.std().item()).toBeGreaterThan(1.8);
  expect(x.std().item()).toBeLessThan(2.2);
  expect(logProb.sub(new Normal(0, scale).logProb(x)).abs().max().item()).toBeLessThan(1e-5);
});

test('what is wrong is said', () => {
  expect(() => new Normal(0, -1)).toThrow(/Normal: expected parameter scale \(\[\]\) to be above 0, but it holds -1/);
  expect(() => new Uniform(1, 0)).toThrow(/low >= high/);
  expect(() => new Bernoulli({})).toThrow(/Bernoulli: either probs or logits must be given, but neither was/);
  expect(() => new Categorical(probs).logProb(tensor(3))).toThrow(/a whole number from 0 to 2, but it holds 3/);
  expect(new Normal(0, -1, { validateArgs: false }).mean.item()).toBe(0);
  expect(() => new Bernoulli(0.5).rsample()).toThrow(/Bernoulli has no rsample.*REINFORCE/s);
  expect(() => klDivergence(new Normal(0, 1), new Cauchy(0, 1))).toThrow(/no closed form for Normal and Cauchy/);
  expect(new Cauchy(0, 1).cdf(tensor(1, { dtype: 'float32' })).item()).toBeCloseTo(0.75, 6);
});
