/** Methods whose meaning hangs on which argument the tensor is, and those that return more than one tensor. */
import { cond, eye, linalg, type Tensor, tensor, zeros } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

test('x.where(condition, other) keeps x where the condition holds, as in PyTorch', () => {
  const x = tensor([1, -2, 3]);
  expect(x.where(x.gt(0), 0).tolist()).toEqual([1, 0, 3]);
  expect(x.where(x.gt(0), zeros(2, 1)).shape).toEqual([2, 3]);
  expect(x.gt(0).where(x.lt(2), false).tolist()).toEqual([true, false, false]);
  expect(() => x.where(x, 0)).toThrow(/expected condition to be a boolean tensor/);
});

describe('named tuples', () => {
  const x = tensor([[3, 1, 2]], { dtype: 'float32' });

  test('are taken apart by place and by name', () => {
    const [values, indices] = x.topk(2);
    expect([values.tolist(), indices.tolist()]).toEqual([[[3, 2]], [[0, 2]]]);
    const { min, max } = x.aminmax();
    expect([min.item(), max.item()]).toEqual([1, 3]);
    expect(linalg.slogdet(x.t().matmul(x).add(eye(3))).sign.item()).toBe(1);
    expect(Object.keys(x.sort())).toEqual(['0', '1']);
  });
  test('keep their names through branches', () => {
    const { values, indices } = cond(
      x.sum().gt(0),
      () => x.max(1),
      () => x.min(1),
    );
    expect([values.tolist(), indices.tolist()]).toEqual([[3], [0]]);
  });
  test('are the results of a compiled function, in order', () => {
    const top = compile((given: Tensor) => given.topk(2), [input([1, 3])]);
    expect(top(x).map(part => part.tolist())).toEqual([[[3, 2]], [[0, 2]]]);
  });
});
