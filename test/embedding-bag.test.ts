/** `nn.EmbeddingBag` and `nn.Embedding` with `maxNorm`, against sums, means and maxima of rows taken by hand. */
import { nn, noGrad, stack, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

const table = (): Tensor =>
  tensor(
    [
      [1, 8],
      [2, 7],
      [3, 6],
      [4, 5],
    ],
    { dtype: 'float32' },
  );
const ids = (...values: number[]): Tensor => tensor(values, { dtype: 'int64' });
const list = [3, 0, 1, 2, 2];
/** Bags of the list from offsets 0, 2, 2: the second is empty. */
const byHand: Readonly<Record<'sum' | 'mean' | 'max', number[][]>> = {
  sum: [
    [5, 13],
    [0, 0],
    [8, 19],
  ],
  mean: [
    [2.5, 6.5],
    [0, 0],
    [8 / 3, 19 / 3],
  ],
  max: [
    [4, 8],
    [0, 0],
    [3, 7],
  ],
};
const close = (got: Tensor, wanted: unknown): void =>
  expect((got.tolist() as number[][]).flat().map(value => Math.fround(value))).toEqual(
    (wanted as number[][]).flat().map(value => Math.fround(value)),
  );

describe.each(['sum', 'mean', 'max'] as const)('%s', mode => {
  test('of a list with offsets, eager and compiled, offsets given at run time too', () => {
    const bag = (indices: Tensor, offsets: Tensor): Tensor => F.embeddingBag(indices, table(), offsets, { mode });
    close(bag(ids(...list), ids(0, 2, 2)), byHand[mode]);
    const compiled = compile(bag, [input([5], 'int64'), input([3], 'int64')]);
    close(compiled(ids(...list), ids(0, 2, 2)), byHand[mode]);
    close(compiled(ids(...list), ids(0, 0, 2)), [byHand[mode][1], byHand[mode][0], byHand[mode][2]]);
  });
  test('of rows, and with the end of the last bag given', () => {
    const rows = F.embeddingBag(ids(3, 0, 1, 2).reshape([2, 2]), table(), null, { mode });
    const withEnd = F.embeddingBag(ids(3, 0, 1, 2), table(), ids(0, 2, 4), { mode, includeLastOffset: true });
    expect(withEnd.tolist()).toEqual(rows.tolist());
    expect(rows.shape).toEqual([2, 2]);
  });
  test('of what is no padding', () => {
    const bag = F.embeddingBag(ids(3, 0, 3, 3).reshape([2, 2]), table(), null, { mode, paddingIdx: -1 });
    expect(bag.tolist()).toEqual([
      [1, 8],
      [0, 0],
    ]);
  });
});

test('the gradient of a maximum goes to the first place that has it', () => {
  const weight = stack([ids(1, 5), ids(4, 5), ids(4, 2)])
    .to('float32')
    .requiresGrad_();
  F.embeddingBag(ids(2, 0, 1), weight, ids(0), { mode: 'max' })
    .sum()
    .backward();
  expect(weight.grad!.tolist()).toEqual([
    [0, 1],
    [0, 0],
    [1, 0],
  ]);
});

test('weights of the samples, and their gradient', () => {
  const weights = tensor([1, 2, 3, 4, 5], { dtype: 'float32', requiresGrad: true });
  const bag = F.embeddingBag(ids(...list), table(), ids(0, 2, 2), { mode: 'sum', perSampleWeights: weights });
  expect(bag.gradFn?.name).toBe('EmbeddingBagBackward0');
  expect(bag.tolist()).toEqual([
    [6, 21],
    [0, 0],
    [33, 75],
  ]);
  bag.sum().backward();
  expect(weights.grad!.tolist()).toEqual([9, 9, 9, 9, 9]);
  const refused = /perSampleWeights is only supported for mode 'sum' \(got mode 'mean'\)/;
  expect(() => F.embeddingBag(ids(...list), table(), ids(0), { perSampleWeights: weights })).toThrow(refused);
});

test('the layer: its fields, its state, its printing', () => {
  const bag = new nn.EmbeddingBag(4, 2, { mode: 'sum', maxNorm: 9, paddingIdx: 1, includeLastOffset: true });
  expect(bag.toString()).toBe('EmbeddingBag(4, 2, max_norm=9, mode=sum, padding_idx=1)');
  expect([...bag.namedParameters()].map(([name]) => name)).toEqual(['weight']);
  expect(bag.weight.select(0, 1).tolist()).toEqual([0, 0]);
  noGrad(() => bag.weight.copy_(table()));
  expect(bag.forward(ids(0, 2, 1), ids(0, 1, 3)).tolist()).toEqual([
    [1, 8],
    [3, 6],
  ]);
});

describe('maxNorm', () => {
  test.each([
    ['Embedding', () => new nn.Embedding(4, 2, { maxNorm: 5, normType: 1 })],
    ['EmbeddingBag', () => new nn.EmbeddingBag(4, 2, { maxNorm: 5, normType: 1, mode: 'sum' })],
  ] as const)('%s shortens in the table what is looked up', (_name, make) => {
    const layer = make();
    noGrad(() => layer.weight.copy_(table()));
    layer.forward(ids(1, 3).reshape([2, 1]));
    const norms = layer.weight.abs().sum(1).tolist() as number[];
    expect(norms.map(norm => Math.round(norm * 1e4) / 1e4)).toEqual([9, 5, 9, 5]);
  });
});
