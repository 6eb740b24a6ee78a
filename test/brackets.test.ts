/** Square brackets: what is picked, what shares memory, what is assigned, eagerly and compiled; expectations are PyTorch's. */
import { slice, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import type { IndexItem } from '../compiler/ops/brackets.js';
import { input } from '../compiler/trace/model.js';

const x = (): Tensor => tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).float().reshape([3, 4]);
const mask = (): Tensor => x().remainder(5).eq(0);

/** Brackets, and what they pick from [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]. */
const picks: readonly (readonly [string, () => IndexItem[], unknown])[] = [
  ['an integer', () => [1], [4, 5, 6, 7]],
  ['a negative integer', () => [-1, -2], 10],
  [
    'slices',
    () => [slice(0, 2), slice(1, null, 2)],
    [
      [1, 3],
      [5, 7],
    ],
  ],
  [
    'a slice from the end',
    () => [slice(-2)],
    [
      [4, 5, 6, 7],
      [8, 9, 10, 11],
    ],
  ],
  ['an ellipsis', () => ['...', 0], [0, 4, 8]],
  ['a new dim', () => [0, null, slice(2)], [[2, 3]]],
  [
    'positions',
    () => [tensor([2, 0])],
    [
      [8, 9, 10, 11],
      [0, 1, 2, 3],
    ],
  ],
  [
    'a list of positions',
    () => [[2, 0]],
    [
      [8, 9, 10, 11],
      [0, 1, 2, 3],
    ],
  ],
  ['positions of two dims', () => [tensor([0, 2]), tensor([1, -1])], [1, 11]],
  [
    'positions that broadcast',
    () => [tensor([[0], [2]]), tensor([1, 3])],
    [
      [1, 3],
      [9, 11],
    ],
  ],
  [
    'positions beside a slice',
    () => [slice(1), tensor([3, 0])],
    [
      [7, 4],
      [11, 8],
    ],
  ],
  ['positions apart from each other', () => [tensor([0, 1]), null, tensor([2, 3])], [[2], [7]]],
];

test.each(picks)('%s', (_, items, expected) => {
  expect(
    x()
      .at(...items())
      .tolist(),
  ).toEqual(expected);
});

test.each(picks.filter(([, items]) => !items().some(item => Array.isArray(item))))(
  '%s, compiled',
  (_, items, expected) => {
    const compiled = compile((t: Tensor) => t.at(...items()), [input([3, 4])], { backend: 'js' });
    expect(compiled(x()).tolist()).toEqual(expected);
  },
);

test('a mask picks its elements in order', () => {
  expect(x().at(mask()).tolist()).toEqual([0, 5, 10]);
  expect(
    x()
      .at(tensor([true, false, true]), 1)
      .tolist(),
  ).toEqual([1, 9]);
});

describe('assignment', () => {
  test('writes through a view', () => {
    const t = x();
    t.setAt([slice(0, 2), -1], 9);
    expect(t.tolist()).toEqual([
      [0, 1, 2, 9],
      [4, 5, 6, 9],
      [8, 9, 10, 11],
    ]);
    t.at(2).setAt(slice(1, 3), tensor([-1, -2]).float());
    expect(t.at(2).tolist()).toEqual([8, -1, -2, 11]);
  });

  test('fills where a mask holds, in a trace too', () => {
    const filled = [
      [-1, 1, 2, 3],
      [4, -1, 6, 7],
      [8, 9, -1, 11],
    ];
    const fill = (t: Tensor): Tensor => t.clone().setAt(t.remainder(5).eq(0), -1);
    expect(fill(x()).tolist()).toEqual(filled);
    expect(compile(fill, [input([3, 4])], { backend: 'js' })(x()).tolist()).toEqual(filled);
  });

  test('puts values at positions', () => {
    const t = x().setAt([tensor([0, 2]), tensor([1, 1])], tensor([-1, -2]).float());
    expect(t.at(slice(), 1).tolist()).toEqual([-1, 5, -2]);
  });

  test('with accumulate every hit counts', () => {
    const t = tensor([0, 0, 0])
      .float()
      .indexPut([tensor([0, 2, 0])], tensor([1, 2, 3]).float(), true);
    expect(t.tolist()).toEqual([4, 0, 2]);
  });

  test('moves the gradient from what was there to what was put', () => {
    const [before, value] = [x().requiresGrad_(), tensor([1, 1, 1, 1]).float().requiresGrad_()];
    before.clone().setAt(1, value).mul(x()).sum().backward();
    expect(before.grad?.tolist()).toEqual([
      [0, 1, 2, 3],
      [0, 0, 0, 0],
      [8, 9, 10, 11],
    ]);
    expect(value.grad?.tolist()).toEqual([4, 5, 6, 7]);
  });
});

describe('bad indices', () => {
  test.each([
    ['too many', () => [0, 0, 0], /too many indices for tensor of dimension 2/],
    ['an integer beyond the end', () => [3], /index 3 is out of bounds for dimension 0 with size 3/],
    ['a position beyond the end', () => [tensor([0, 4])], /index 4 is out of bounds for dimension with size 3/],
    ['a mask of another shape', () => [tensor([true, false])], /shape of the mask \[2\] does not match/],
  ] as const)('%s', (_, items, message) => {
    expect(() => x().at(...(items() as IndexItem[]))).toThrow(message);
  });
});
