/**
 * `asStrided` reads the memory under a tensor, whatever view of it that is: values, gradients and writes, eager and compiled.
 */
import { arange, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { gradOf } from '../compiler/ops/backward.js';
import { input } from '../compiler/trace/model.js';

const ramp = (shape: number[]): Tensor =>
  arange(shape.reduce((a, b) => a * b, 1))
    .to('float32')
    .reshape(shape);

/** What a function of one input gives eagerly; fails where compiled code gives something else. */
function both(shape: number[], fn: (x: Tensor) => Tensor): unknown {
  const own = fn(ramp(shape)).tolist();
  const compiled = compile(fn, [input(shape)]);
  expect(compiled(ramp(shape)).tolist()).toEqual(own);
  return own;
}

describe('values', () => {
  test('from the start of the memory, before the view', () =>
    expect(both([6], x => x.narrow(0, 2, 4).asStrided([2], [1], 0))).toEqual([0, 1]));
  test('from where the view starts, unless an offset is given', () =>
    expect(both([6], x => x.narrow(0, 2, 4).asStrided([2], [3]))).toEqual([2, 5]));
  test('of a transpose, a repeated row and a view of a view', () => {
    expect(both([2, 3], x => x.t().asStrided([2, 2], [3, 1], 1))).toEqual([
      [1, 2],
      [4, 5],
    ]);
    expect(both([1, 3], x => x.expand([4, 3]).asStrided([3], [1], 0))).toEqual([0, 1, 2]);
    expect(both([4, 4], x => x.select(0, 1).slice(0, 1).asStrided([3], [4]))).toEqual([5, 9, 13]);
  });
  test('of a view of state', () => {
    const state = ramp([6]);
    const compiled = compile((x: Tensor) => state.narrow(0, 2, 4).asStrided([2], [2], 1).add(x), [input([2])]);
    expect(compiled(tensor([10, 20]).to('float32')).tolist()).toEqual([11, 23]);
  });
  test('after the memory has changed', () =>
    expect(
      both([6], given => {
        const x = given.clone();
        const part = x.narrow(0, 2, 4);
        const strided = part.asStrided([3], [1], 1);
        part.mul_(10);
        return strided.add(0);
      }),
    ).toEqual([1, 20, 30]));
});

/** The gradient by `x` of the sum of `fn(x)` weighted 1, 2, 3, … */
const gradient =
  (fn: (x: Tensor) => Tensor) =>
  (given: Tensor): Tensor => {
    const x = given.detach().clone().requiresGrad_();
    const out = fn(x);
    return gradOf(out.mul(ramp([...out.shape]).add(1)).sum(), [x])[0]!;
  };

describe('gradients', () => {
  test('add up where places are read more than once', () =>
    expect(
      both(
        [5],
        gradient(x => x.narrow(0, 1, 4).asStrided([2, 2], [1, 1])),
      ),
    ).toEqual([0, 1, 5, 4, 0]));
  test('go through the view, so none reach what lies outside it', () =>
    expect(
      both(
        [4],
        gradient(x => x.narrow(0, 1, 3).asStrided([3], [1], 0)),
      ),
    ).toEqual([0, 2, 3, 0]));
  test('of a transpose and of a repeated row', () => {
    expect(
      both(
        [2, 2],
        gradient(x => x.t().asStrided([3], [1], 0)),
      ),
    ).toEqual([
      [1, 2],
      [3, 0],
    ]);
    expect(
      both(
        [1, 2],
        gradient(x => x.expand([3, 2]).asStrided([2], [1], 0)),
      ),
    ).toEqual([[1, 2]]);
  });
  test('of the view itself', () => {
    const x = ramp([4]).requiresGrad_();
    const part = x.narrow(0, 1, 3);
    const out = part.asStrided([2], [2]);
    expect(out.gradFn?.name).toBe('AsStridedBackward0');
    expect(gradOf(out.sum(), [part])[0]!.tolist()).toEqual([1, 0, 1]);
  });
  test('none from a detached view', () =>
    expect(ramp([4]).requiresGrad_().detach().narrow(0, 1, 3).asStrided([2], [1]).requiresGrad).toBe(false));
});

describe('writes', () => {
  test('go into the memory', () =>
    expect(
      both([6], given => {
        const x = given.clone();
        x.narrow(0, 2, 4).asStrided([2], [3], 1).fill_(-1);
        return x;
      }),
    ).toEqual([0, -1, 2, 3, -1, 5]));
  test('are refused where elements overlap', () => {
    const write = (x: Tensor): Tensor => x.clone().asStrided([3, 2], [1, 1]).mul_(2);
    const refused = /more than one element of the written-to tensor refers to a single memory location/;
    expect(() => write(ramp([6]))).toThrow(refused);
    expect(() => compile(write, [input([6])])).toThrow(refused);
  });
});

describe('refused', () => {
  test('elements beyond the memory', () => {
    const beyond = (x: Tensor): Tensor => x.narrow(0, 2, 2).asStrided([4], [1]);
    const refused = /reach element 5, out of bounds for a tensor of 5 elements/;
    expect(() => beyond(ramp([5]))).toThrow(refused);
    expect(() => compile(beyond, [input([5])])).toThrow(refused);
  });
  test('a detached view', () => {
    const detached = (x: Tensor): Tensor => x.narrow(0, 2, 2).detach().asStrided([2], [1], 0);
    const refused = /a view whose base is not known/;
    expect(() => detached(ramp([5]))).toThrow(refused);
    expect(() => compile(detached, [input([5])])).toThrow(refused);
  });
});
