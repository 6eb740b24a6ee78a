/**
 * `distributions` against what PyTorch 1.13.1 answers: densities with their derivatives, distribution functions, entropies,
 * divergences, and samples, which are PyTorch's numbers for the same seed.
 */
import { readFileSync } from 'node:fs';
import { arange, autograd, distributions, manualSeed, type Tensor, tensor } from 'gradc';
import { describe, expect, test } from 'vitest';

type Data = number | 'nan' | 'inf' | '-inf' | readonly Data[];
interface Parameters {
  /** A first argument that is a plain number. */
  readonly count?: number;
  readonly args: readonly Data[];
  readonly options?: Readonly<Record<string, Data>>;
}
interface Recorded extends Parameters {
  readonly family: string;
  /** The value that densities are asked of, and the probabilities whose quantiles are. */
  readonly at: Data;
  readonly atDtype?: 'int64';
  readonly icdfAt?: Data;
  /** To which the divergence is. */
  readonly other?: Parameters;
  /** How far gradients of samples may be from PyTorch's, which approximates them by rational functions. */
  readonly slopeTolerance?: number;
  readonly answers: Readonly<Partial<Record<keyof typeof questions, Data>>>;
}
type Distribution = distributions.Distribution;

const file = new URL('support/distributions-recorded.jsonl', import.meta.url);
const recorded = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Recorded);

/** A distribution, and its parameters as leaves. */
function make(family: string, { count, args, options }: Parameters): { of: Distribution; leaves: Tensor[] } {
  const leaf = (data: Data): Tensor => tensor(data as number[], { dtype: 'float32' }).requiresGrad_();
  const positional = args.map(leaf);
  const named = Object.entries(options ?? {}).map(([name, data]) => [name, leaf(data)] as const);
  const Family = distributions[family as 'Normal'] as unknown as new (...given: unknown[]) => Distribution;
  const of = new Family(
    ...(count === undefined ? [] : [count]),
    ...positional,
    ...(named.length > 0 ? [Object.fromEntries(named)] : []),
  );
  return { of, leaves: [...positional, ...named.map(([, value]) => value)] };
}

const drawn = (seed: number, draw: () => Tensor): Tensor => {
  manualSeed(seed);
  return draw();
};
const gradients = (value: Tensor, leaves: Tensor[]): (Tensor | null)[] =>
  autograd.grad(value, leaves, { allowUnused: true });

/** What PyTorch was asked, by the name of the answer. */
const questions = {
  logProb: c => make(c.family, c).of.logProb(place(c)),
  logProbGrad(c) {
    const { of, leaves } = make(c.family, c);
    return gradients(of.logProb(place(c)).sum(), leaves);
  },
  cdf: c => make(c.family, c).of.cdf(place(c)),
  icdf: c => make(c.family, c).of.icdf(tensor(c.icdfAt as number[])),
  mean: c => make(c.family, c).of.mean,
  variance: c => make(c.family, c).of.variance,
  mode: c => make(c.family, c).of.mode,
  entropy: c => make(c.family, c).of.entropy(),
  divergence: c => distributions.klDivergence(make(c.family, c).of, make(c.family, c.other!).of),
  sample: c => drawn(3, () => make(c.family, c).of.sample()),
  samples: c => drawn(3, () => make(c.family, c).of.sample([2])),
  manySamples: c => drawn(3, () => make(c.family, c).of.sample([7])),
  rsample: c => drawn(4, () => make(c.family, c).of.rsample([2])),
  rsampleGrad(c) {
    const { of, leaves } = make(c.family, c);
    const x = drawn(4, () => of.rsample([2]));
    const weights = arange(1, x.numel() + 1, 1, { dtype: 'float32' }).reshape(x.shape);
    return gradients(x.mul(weights).sum(), leaves);
  },
} satisfies Record<string, (c: Recorded) => Tensor | (Tensor | null)[]>;

const place = (c: Recorded): Tensor => tensor(c.at as number[], { dtype: c.atDtype ?? 'float32' });

const numbers = (data: Data): number[] =>
  Array.isArray(data)
    ? data.flatMap(numbers)
    : [data === 'inf' ? Infinity : data === '-inf' ? -Infinity : data === 'nan' ? Number.NaN : Number(data)];

/** Elements that differ by more than rounding in float32 explains. */
const differing = (found: number[], expected: number[], tolerance = 1e-5): string[] =>
  expected.flatMap((value, i) =>
    Object.is(found[i], value) || Math.abs(found[i] - value) <= 2e-6 + tolerance * Math.abs(value)
      ? []
      : [`element ${i} is ${found[i]}, expected ${value}`],
  );

describe.each(recorded)('$family($args, $options)', c => {
  test.each(Object.keys(c.answers) as (keyof typeof questions)[])('%s', name => {
    const found = questions[name](c);
    const parts = Array.isArray(found) ? found : [found];
    const expected = Array.isArray(found) ? (c.answers[name] as readonly Data[]) : [c.answers[name]!];
    for (const [i, part] of parts.entries()) {
      const values = numbers(part === null ? 0 : (part.detach().tolist() as Data));
      const answer = numbers(expected[i] ?? 0);
      expect(values.length).toBe(answer.length);
      expect(differing(values, answer, name === 'rsampleGrad' ? c.slopeTolerance : undefined)).toEqual([]);
    }
  });
});

describe('values that PyTorch refuses, too', () => {
  const { Bernoulli, Categorical, Exponential, Geometric, HalfNormal, Uniform } = distributions;
  test.each<[string, () => Tensor]>([
    ['Uniform', () => new Uniform(0, 1).logProb(tensor(2))],
    ['Uniform', () => new Uniform(tensor([0, 5]), tensor([1, 6])).cdf(tensor([0.5, 0.5]))],
    ['Exponential', () => new Exponential(1).logProb(tensor(-1))],
    ['Bernoulli', () => new Bernoulli(0.5).logProb(tensor(0.3))],
    ['HalfNormal', () => new HalfNormal(1).logProb(tensor(-1))],
    ['Geometric', () => new Geometric(0.5).logProb(tensor(1.5))],
    ['Categorical', () => new Categorical(tensor([0.5, 0.5])).logProb(tensor(2))],
    ['Categorical', () => new Categorical(tensor([0.5, 0.5])).logProb(tensor(0.5))],
  ])('%s: %s', (family, ask) => {
    expect(ask).toThrow(new RegExp(`E208: ${family}: expected the value .* to be`));
  });
  test('the upper end of a uniform distribution is not refused, but never drawn', () => {
    expect(new Uniform(0, 1).logProb(tensor(1)).item()).toBe(Number.NEGATIVE_INFINITY);
  });
});
