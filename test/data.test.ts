/** Data loading in PyTorch's order. */
import { arange, data, Generator, manualSeed, ones, rand, tensor, zeros } from 'gradc';
import { describe, expect, test } from 'vitest';

describe('DataLoader', () => {
  test('shuffles as PyTorch does, a new order each time', () => {
    manualSeed(1);
    const loader = new data.DataLoader(new data.TensorDataset(arange(10)), { batchSize: 3, shuffle: true });
    const epoch = (): unknown[] => [...loader].map(([batch]) => batch.tolist());
    expect(loader.length).toBe(4);
    expect(epoch()).toEqual([[4, 2, 0], [6, 8, 7], [9, 1, 5], [3]]);
    expect(epoch()).toEqual([[4, 8, 1], [5, 0, 2], [3, 6, 9], [7]]);
  });
  test('dropLast, and items of several kinds', () => {
    const items = Array.from({ length: 5 }, (_, i) => ({ x: tensor([i, i + 0.5]), y: i, name: `s${i}` }));
    const batches = [...new data.DataLoader(items, { batchSize: 2, dropLast: true })];
    expect(batches).toHaveLength(2);
    expect(batches[1].x.shape).toEqual([2, 2]);
    expect([batches[1].y.tolist(), batches[1].y.dtype, batches[1].name]).toEqual([[2, 3], 'int64', ['s2', 's3']]);
  });
  test('a collateFn of its own', () => {
    const loader = new data.DataLoader([1, 2, 3], { batchSize: 2, collateFn: items => items.join('-') });
    expect([...loader]).toEqual(['1-2', '3']);
  });
  test('the network trains on what it yields', () => {
    const set = new data.TensorDataset(rand(6, 2), zeros(6, { dtype: 'int64' }));
    const shapes = [...new data.DataLoader(set, { batchSize: 4 })].map(([x, y]) => [x.shape, y.shape]);
    expect(shapes).toEqual([
      [[4, 2], [4]],
      [[2, 2], [2]],
    ]);
  });
});

test('randomSplit and weighted sampling draw as PyTorch does', () => {
  const [a, b] = data.randomSplit([...Array(10).keys()], [7, 3], { generator: new Generator().manualSeed(42) });
  expect([a.indices, b.indices]).toEqual([
    [2, 6, 1, 8, 4, 5, 0],
    [9, 3, 7],
  ]);
  manualSeed(0);
  expect([...new data.WeightedRandomSampler([0.1, 0.5, 0.4], 8)]).toEqual([2, 2, 1, 2, 2, 2, 1, 1]);
  expect(data.randomSplit([1, 2, 3], [0.5, 0.5]).map(part => part.length)).toEqual([2, 1]);
});

test.each([
  [
    'tensors of different lengths',
    () => new data.TensorDataset(ones(2), ones(3)),
    /Size mismatch between tensors: \[2\], \[3\]/,
  ],
  ['lengths that do not add up', () => data.randomSplit([1, 2], [3, 1]), /Sum of input lengths \(4\)/],
  ['a batch size of zero', () => new data.DataLoader([1], { batchSize: 0 }), /batch_size should be a positive integer/],
  [
    'shuffle with a sampler',
    () => new data.DataLoader([1], { shuffle: true, sampler: new data.SequentialSampler([1]) }),
    /mutually exclusive/,
  ],
  [
    'nothing to shuffle',
    () => [...new data.DataLoader([], { shuffle: true })],
    /num_samples should be a positive integer/,
  ],
] as const)('%s', (_, call, message) => {
  expect(call).toThrow(message);
});
