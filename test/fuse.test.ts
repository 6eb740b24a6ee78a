/**
 * Fusion stays in proportion: chains in which every step reads the one before it several times, or in one arm only, become
 * kernels whose number and code grow with the chain, and compute what eager computes.
 */

import { int64, linspace, type Tensor, tensor, where } from 'gradc';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { launchesOf } from '../compiler/ir/program.js';
import { compile } from '../compiler/jit.js';
import { codeSize } from '../compiler/lowering/code-size.js';
import { input } from '../compiler/trace/model.js';

type Chain = (length: number) => (x: Tensor, order: Tensor, mask: Tensor) => Tensor;

const size = 64;
const shifted = (x: Tensor, by: number): Tensor => F.pad(x, [by, 0], 'constant', -1).narrow(0, 0, size);
const repeat = (length: number, x: Tensor, step: (x: Tensor, i: number) => Tensor): Tensor =>
  Array.from({ length }).reduce<Tensor>((value, _, i) => step(value, i), x);

const chains: readonly [string, Chain][] = [
  ['squares', n => x => repeat(n, x, y => y.mul(y).add(0.1))],
  [
    'gathers through what was gathered',
    n => (x, order) =>
      x.gather(
        0,
        repeat(n, order, at => at.gather(0, at)),
      ),
  ],
  ['gathers beside the value', n => (x, order) => repeat(n, x, y => y.gather(0, order).add(y).mul(0.5))],
  ['shifted copies', n => x => repeat(n, x, y => y.logaddexp(shifted(y, 1)).logaddexp(shifted(y, 2)).mul(0.3))],
  [
    'conditionals whose arms read something padded',
    n => (x, _, mask) => repeat(n, shifted(x, 1), (y, i) => where(mask.eq(i % 3), y.mul(0.5), y.add(i / 8))),
  ],
  [
    'rearrangements of rearrangements',
    n => x => repeat(n, x, y => y.reshape([4, 4, 4]).roll([1, 2, 3], [0, 1, 2]).reshape([size]).roll(5, 0)),
  ],
];

const x = linspace(-1, 1, size);
const order = tensor(
  Array.from({ length: size }, (_, i) => (i * 29 + 7) % size),
  { dtype: int64 },
);
const mask = tensor(
  Array.from({ length: size }, (_, i) => i % 4),
  { dtype: int64 },
);

const compiled = (chain: Chain, length: number, backend: 'js' | 'wasm') =>
  compile(chain(length), [input([size]), input([size], int64), input([size], int64)], { backend });

function codeOf(chain: Chain, length: number): number {
  const { entries } = compiled(chain, length, 'js').compilation.program;
  return launchesOf(entries[0].steps).reduce(
    (sum, { kernel }) => sum + codeSize(kernel.body, Number.POSITIVE_INFINITY),
    0,
  );
}

describe.each(chains)('a chain of %s', (_, chain) => {
  test('compiles to code in proportion to its length', () => {
    const [short, long] = [codeOf(chain, 10), codeOf(chain, 40)];
    expect(long).toBeLessThanOrEqual(6 * short);
  });

  test.each(['js', 'wasm'] as const)('computes on %s what eager computes', backend => {
    const [actual, expected] = [compiled(chain, 10, backend)(x, order, mask), chain(10)(x, order, mask)];
    expect(actual.sub(expected).abs().max().item()).toBeLessThan(1e-5);
  });
});
