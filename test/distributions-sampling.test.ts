/**
 * How samples move with parameters, against exact derivatives; samples that compiled entries draw, against means and
 * variances; what new distributions refuse.
 */
import { arange, autograd, distributions, manualSeed, ones, special, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { beforeEach, describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { betaSlope, gammaSlope } from '../runtime/distributions/reparameterization.js';
import { expectNumbers, numbers } from './support/tensors.js';

const {
  Beta,
  Binomial,
  Chi2,
  Dirichlet,
  Gamma,
  Multinomial,
  NegativeBinomial,
  Pareto,
  Poisson,
  StudentT,
  VonMises,
  Weibull,
} = distributions;
beforeEach(() => void manualSeed(0));
const f64 = (values: number | readonly number[]): Tensor => tensor(values as number[], { dtype: 'float64' });

describe('how samples move with parameters', () => {
  test('gamma variables, as the distribution function by differences says', () => {
    for (const a of [0.02, 0.5, 1, 3, 40, 2000]) {
      const x = f64([0.05, 0.5, 0.95, 1.1, 2].map(share => Math.max(a * share, 1e-12)));
      const step = 1e-5 * Math.max(a, 0.1);
      const at = (shape: number): Tensor => special.gammainc(f64(shape), x);
      const difference = at(a + step)
        .sub(at(a - step))
        .div(2 * step);
      const density = new Gamma(f64(a), f64(1)).logProb(x).exp();
      const isClear = density.gt(1e-12 / a);
      const found = gammaSlope(x, ones(5, { dtype: 'float64' }).mul(a))
        .mul(density)
        .neg();
      const error = found.sub(difference).abs().mul(isClear).max().item();
      expect(error).toBeLessThan(2e-6 * difference.abs().max().item());
    }
  });
  test('beta variables whose distribution function is a power', () => {
    const x = f64([1e-6, 0.1, 0.5, 0.9, 0.999]);
    for (const alpha of [0.05, 0.7, 1, 12, 300]) {
      const slope = betaSlope(x, ones(5, { dtype: 'float64' }).mul(alpha), ones(5, { dtype: 'float64' }));
      expectNumbers(slope, numbers(x.log().mul(x).div(-alpha)), 1e-8);
    }
  });
  test('a compiled entry has the gradient of the mean', () => {
    const step = compile(
      (shape: Tensor, rate: Tensor) => {
        const leaves = [shape, rate].map(leaf => leaf.detach().requiresGrad_());
        const mean = new Gamma(leaves[0], leaves[1]).rsample([20_000]).mean();
        return autograd.grad(mean, leaves) as Tensor[];
      },
      [input([]), input([])],
    );
    const [byShape, byRate] = step(tensor(3.5), tensor(2).float());
    expect(byShape.item()).toBeCloseTo(0.5, 1);
    expect(byRate.item()).toBeCloseTo(-3.5 / 4, 1);
  });
});

const families: readonly [string, () => distributions.Distribution][] = [
  ['Gamma', () => new Gamma(tensor([0.4, 2.5, 30]), 2)],
  ['Chi2', () => new Chi2(tensor([3, 7]).float())],
  ['StudentT', () => new StudentT(tensor([9, 20]).float(), 1, 2)],
  ['Beta', () => new Beta(tensor([0.5, 3]), 2)],
  ['Dirichlet', () => new Dirichlet(tensor([0.5, 2, 4]))],
  ['Binomial', () => new Binomial(12, tensor([0.3, 0.8]))],
  ['Multinomial', () => new Multinomial(6, tensor([0.2, 0.5, 0.3]))],
  ['Pareto', () => new Pareto(tensor([1, 2]).float(), 5)],
  ['Weibull', () => new Weibull(2, tensor([1.5, 3]))],
];
const samples = 20_000;

test.each(families)('%s drawn in a compiled entry has its mean and variance, anew in each call', (_, make) => {
  const draw = compile(() => make().sample([samples]), []);
  const of = make();
  for (const x of [draw(), draw()]) {
    const spread = of.variance.div(samples).sqrt();
    const distance = x.mean(0).sub(of.mean).abs().div(spread);
    expect(distance.max().item()).toBeLessThan(5);
    const ratio = x.var(0).div(of.variance);
    expect(ratio.sub(1).abs().max().item()).toBeLessThan(0.25);
  }
  expect(numbers(draw().narrow(0, 0, 40))).not.toEqual(numbers(draw().narrow(0, 0, 40)));
});

test('VonMises drawn in a compiled entry has its circular variance', () => {
  const of = new VonMises(tensor([0, 2]).float(), tensor([0.7, 8]));
  const x = compile(() => of.sample([samples]), [])();
  const turned = x.sub(of.loc);
  expectNumbers(turned.cos().mean(0).neg().add(1), numbers(of.variance), 0.02);
  expectNumbers(turned.sin().mean(0), [0, 0], 0.03);
});

test('a total count for each place, eagerly and compiled', () => {
  const of = (): distributions.Distribution => new Binomial(tensor([3, 40]), 0.5);
  for (const x of [of().sample([2000]), compile(() => of().sample([2000]), [])()]) {
    expectNumbers(x.mean(0), [1.5, 20], 0.05);
    expect(x.amax(0).tolist()[0]).toBe(3);
  }
});

describe('what is refused', () => {
  test.each<[RegExp, () => unknown]>([
    [/Gamma: expected parameter rate .* to be above 0/, () => new Gamma(1, -1)],
    [/Beta: expected the value .* to be between 0 and 1/, () => new Beta(1, 1).logProb(tensor(1.5))],
    [/Dirichlet: expected the value .* add up to 1/, () => new Dirichlet(ones(2)).logProb(tensor([0.5, 0.6]))],
    [/Dirichlet: concentration must have at least one dim/, () => new Dirichlet(tensor(1).float())],
    [/Poisson: expected the value .* whole number/, () => new Poisson(1).logProb(tensor(0.5))],
    [/Binomial: expected the value .* from 0 to the total count/, () => new Binomial(2, 0.5).logProb(tensor(3))],
    [/Binomial: either probs or logits must be given, but neither was/, () => new Binomial(2, {})],
    [/NegativeBinomial: expected parameter probs .* without, 1/, () => new NegativeBinomial(2, 1)],
    [/Multinomial: totalCount must be a whole number from 0, but is 1.5/, () => new Multinomial(1.5, ones(2))],
    [/Multinomial: expected the value .* add up to 2/, () => new Multinomial(2, ones(2)).logProb(ones(2).mul(2))],
    [/Pareto: expected the value .* at or above the lower bound/, () => new Pareto(2, 1).logProb(tensor(1).float())],
    [/Binomial has no entropy of different total counts/, () => new Binomial(arange(3), 0.5).entropy()],
    [/a larger total count/, () => distributions.klDivergence(new Binomial(2, 0.5), new Binomial(3, 0.5))],
    [/Poisson has no rsample/, () => new Poisson(1).rsample()],
    [
      /how many trials there are will be known only when it runs/,
      () => compile(count => new Binomial(count, 0.5).sample(), [input([])]),
    ],
    [/poisson cannot be compiled/, () => compile(() => new Poisson(1).sample(), [])],
  ])('%s', (message, ask) => {
    expect(ask).toThrow(message);
  });
});
