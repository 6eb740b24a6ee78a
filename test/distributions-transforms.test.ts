/** `distributions.transforms`, distributions of transformed variables and mixtures, against numbers recorded from PyTorch 1.13.1. */
import { readFileSync } from 'node:fs';
import { arange, distributions, manualSeed, ones, type Tensor, tensor, zeros } from 'gradc';
import { describe, expect, test } from 'vitest';
import { expectNumbers } from './support/tensors.js';

const { Categorical, Independent, MixtureSameFamily, Normal, TransformedDistribution, transforms: T } = distributions;

interface Recorded {
  readonly x: readonly number[];
  readonly shape: readonly number[];
  readonly y: readonly number[];
  readonly yShape: readonly number[];
  readonly back: readonly number[];
  readonly logDet?: readonly number[];
}
interface Drawn {
  readonly sample: readonly number[];
  readonly logProb: readonly number[];
  readonly cdf: readonly number[];
  readonly icdf: readonly number[];
  readonly batch: readonly number[];
  readonly event: readonly number[];
}
const file = new URL('support/transforms-recorded.json', import.meta.url);
const { dist, stick, ...recorded } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Recorded> & {
  dist: Drawn;
  stick: Drawn;
};

const float = (values: readonly number[]): Tensor => tensor(values, { dtype: 'float32' });
const scales = float([2, -0.5, 3]);
const transforms: Readonly<Record<string, distributions.transforms.Transform>> = {
  Exp: new T.ExpTransform(),
  Power: new T.PowerTransform(float([2, 0.5, 3])),
  Affine: new T.AffineTransform(1, scales),
  AffineVector: new T.AffineTransform(1, scales, { eventDim: 1 }),
  Sigmoid: new T.SigmoidTransform(),
  Softplus: new T.SoftplusTransform(),
  Tanh: new T.TanhTransform(),
  StickBreaking: new T.StickBreakingTransform(),
  Reshape: new T.ReshapeTransform([2, 3], [6]),
  Independent: new T.IndependentTransform(new T.ExpTransform(), 1),
  Compose: new T.ComposeTransform([
    new T.AffineTransform(0.5, 2),
    new T.SigmoidTransform(),
    new T.AffineTransform(-1, 2),
  ]),
  Softmax: new T.SoftmaxTransform(),
  LowerCholesky: new T.LowerCholeskyTransform(),
  Inverse: new T.TanhTransform().inv,
};

test.each(Object.keys(recorded))('%s', name => {
  const [transform, { x, shape, y, yShape, back, logDet }] = [transforms[name], recorded[name]];
  const given = float(x).reshape(shape);
  const found = transform.forward(given);
  expect(found.shape).toEqual(yShape);
  expect(transform.forwardShape(shape)).toEqual(yShape);
  expect(transform.inverseShape(yShape)).toEqual(shape);
  expectNumbers(found, y, 2e-6);
  expectNumbers(transform.inverse(found), back, 2e-6);
  expectNumbers(transform.inv.forward(found), back, 2e-6);
  if (logDet === undefined) expect(() => transform.logAbsDetJacobian(given, found)).toThrow(/has no logAbsDetJacobian/);
  else expectNumbers(transform.logAbsDetJacobian(given, found), logDet, 5e-6);
});

describe('distributions of them', () => {
  test('a batch that the transforms widen is drawn from anew for each place', () => {
    const steps = [new T.AffineTransform(float([1, 2]), float([2, -1])), new T.ExpTransform()];
    const of = new TransformedDistribution(new Normal(0, 1), steps);
    expect(of.batchShape).toEqual([2]);
    manualSeed(5);
    const sample = of.sample([2]);
    expectNumbers(sample, dist.sample, 5e-6);
    expectNumbers(of.logProb(sample), dist.logProb, 5e-6);
    expectNumbers(of.cdf(float([2, 3])), dist.cdf, 2e-6);
    expectNumbers(of.icdf(float([0.2, 0.7])), dist.icdf, 5e-6);
  });
  test('numbers become the dims of one value where the transform takes vectors', () => {
    const of = new TransformedDistribution(new Normal(zeros(2, 3), ones(2, 3)), new T.StickBreakingTransform());
    expect([of.batchShape, of.eventShape]).toEqual([stick.batch, stick.event]);
    manualSeed(5);
    const sample = of.sample();
    expectNumbers(sample, stick.sample, 2e-6);
    expectNumbers(of.logProb(sample), stick.logProb, 5e-6);
  });
  test('have a gradient with respect to the base', () => {
    const loc = tensor(0.5, { dtype: 'float32' }).requiresGrad_();
    manualSeed(0);
    const x = new TransformedDistribution(new Normal(loc, 1), new T.ExpTransform()).rsample();
    x.backward();
    expect(loc.grad!.item()).toBeCloseTo(x.item(), 6);
  });
  test('are compared where they share their transforms', () => {
    const exp = new T.ExpTransform();
    const of = (loc: number, transform = exp): distributions.Distribution =>
      new TransformedDistribution(new Normal(loc, 1), transform);
    expect(distributions.klDivergence(of(0), of(2)).item()).toBeCloseTo(2, 6);
    expect(() => distributions.klDivergence(of(0), of(2, new T.ExpTransform()))).toThrow(/no closed form/);
  });
  test('what is refused', () => {
    expect(() => new TransformedDistribution(new Normal(0, 1), new T.StickBreakingTransform())).toThrow(
      /must have at least 1 dims, but has 0/,
    );
    expect(() => new TransformedDistribution(new Normal(zeros(1), 1), new T.AffineTransform(0, ones(3)))).toThrow(
      /make shape \[3\] of the base distribution's \[1\]\n.*give the base distribution parameters of that shape/s,
    );
    expect(() => new T.ReshapeTransform([2], [3])).toThrow(/different numbers of elements/);
    expect(() => new T.AbsTransform().sign).toThrow(/neither keeps the order/);
    expect(() => new TransformedDistribution(new Normal(0, 1), new T.ExpTransform()).logProb(float([-1]))).toThrow(
      /expected the value .* to be above 0/,
    );
  });
});

describe('mixtures', () => {
  test('of numbers', () => {
    const components = new Normal(float([-2, 0, 3]), float([0.5, 1, 0.3]));
    const of = new MixtureSameFamily(new Categorical(float([0.2, 0.5, 0.3])), components);
    manualSeed(3);
    const sample = of.sample([4]);
    expectNumbers(sample, [-1.976909, -1.435179, 2.740609, -1.85052], 2e-6);
    expectNumbers(of.logProb(sample), [-1.673066, -1.860915, -1.275883, -1.668125], 2e-6);
    expectNumbers(of.mean, [0.5], 1e-6);
    expectNumbers(of.variance, [3.827], 1e-6);
    expectNumbers(of.cdf(float([-1, 2.5])), [0.274778, 0.711232], 2e-6);
  });
  test('of vectors, in a batch', () => {
    const vectors = new Independent(new Normal(arange(8).float().reshape([2, 2, 2]), 1), 1);
    const chances = float([0.2, 0.8, 0.6, 0.4]).reshape([2, 2]);
    const of = new MixtureSameFamily(new Categorical(chances), vectors);
    manualSeed(3);
    const sample = of.sample();
    expectNumbers(sample, [0.088978, 0.386282, 4.337495, 6.011116], 2e-6);
    expectNumbers(of.logProb(sample), [-3.614271, -2.750315], 2e-6);
    expect([of.batchShape, of.eventShape]).toEqual([[2], [2]]);
    expect(() => new MixtureSameFamily(new Categorical(ones(3)), vectors)).toThrow(
      /3 components are chosen from, but the last dim of the components' batch is 2/,
    );
  });
});
