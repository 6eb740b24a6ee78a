/** Divergences between distributions of different families, against numbers recorded from PyTorch 1.13.1. */
import { readFileSync } from 'node:fs';
import { distributions, tensor } from 'gradc';
import { expect, test } from 'vitest';
import { numbers } from './support/tensors.js';

interface Recorded {
  readonly parameters: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly divergences: readonly (readonly [p: string, q: string, expected: readonly (number | 'inf')[]])[];
}
const file = new URL('support/divergences-recorded.json', import.meta.url);
const { parameters, divergences } = JSON.parse(readFileSync(file, 'utf8')) as Recorded;

function make(family: string): distributions.Distribution {
  const Family = distributions[family as 'Normal'] as unknown as new (
    ...given: unknown[]
  ) => distributions.Distribution;
  return new Family(...parameters[family].map(values => tensor(values, { dtype: 'float32' })));
}

test.each(divergences)('%s and %s', (p, q, expected) => {
  const found = numbers(distributions.klDivergence(make(p), make(q)));
  for (const [i, value] of expected.entries()) {
    if (value === 'inf') expect(found[i]).toBe(Number.POSITIVE_INFINITY);
    else expect(Math.abs(found[i] - value)).toBeLessThan(1e-5 * (1 + Math.abs(value)));
  }
});

test.each([
  ['Cauchy', 'Normal'],
  ['Bernoulli', 'Normal'],
])('%s and %s have none', (p, q) => {
  expect(() => distributions.klDivergence(make(p), make(q))).toThrow(
    new RegExp(`no closed form for ${p} and ${q}\\n.*estimate it from samples`, 's'),
  );
});

test('of a subclass is that of its family', () => {
  const { Chi2, Gamma, klDivergence } = distributions;
  expect(klDivergence(new Chi2(3), new Gamma(2, 1)).item()).toBe(
    klDivergence(new Gamma(1.5, 0.5), new Gamma(2, 1)).item(),
  );
});
