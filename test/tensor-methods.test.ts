/** Methods whose meaning hangs on which argument the tensor is. */
import { tensor, zeros } from 'gradc';
import { expect, test } from 'vitest';

test('x.where(condition, other) keeps x where the condition holds, as in PyTorch', () => {
  const x = tensor([1, -2, 3]);
  expect(x.where(x.gt(0), 0).tolist()).toEqual([1, 0, 3]);
  expect(x.where(x.gt(0), zeros(2, 1)).shape).toEqual([2, 3]);
  expect(x.gt(0).where(x.lt(2), false).tolist()).toEqual([true, false, false]);
  expect(() => x.where(x, 0)).toThrow(/expected condition to be a boolean tensor/);
});
