/** Shape and layout changed in place, as by `unsqueeze_`: values, gradients and older views, eager and compiled. */
import { arange, noGrad, type Tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { gradOf } from '../compiler/ops/backward.js';
import { input } from '../compiler/trace/model.js';

const ramp = (shape: readonly number[]): Tensor =>
  arange(shape.reduce((a, b) => a * b, 1))
    .to('float32')
    .reshape([...shape]);
const leaf = (shape: readonly number[]): Tensor => ramp(shape).clone().requiresGrad_();

/** The value of `fn` of a fresh tensor with history, and the gradient of its sum with weights 1, 2, 3, …. */
const valueAndGradient =
  (fn: (y: Tensor) => Tensor) =>
  (given: Tensor): Tensor[] => {
    const x = given.detach().clone().requiresGrad_();
    const out = fn(x.mul(1));
    const [gradient] = gradOf(out.mul(ramp(out.shape).add(1)).sum(), [x]);
    return [out.detach().clone(), gradient!];
  };

type Fn = (y: Tensor) => Tensor;
const weight = ramp([2, 3]).add(1);
const changes: readonly (readonly [name: string, shape: number[], inPlace: Fn, anew: Fn])[] = [
  ['unsqueeze_', [2, 3], y => y.unsqueeze_(1), y => y.unsqueeze(1)],
  ['squeeze_', [2, 1, 3], y => y.squeeze_(), y => y.squeeze()],
  ['squeeze_ of a dim', [1, 2, 1], y => y.squeeze_(2), y => y.squeeze(2)],
  ['transpose_', [2, 3, 2], y => y.transpose_(0, -1), y => y.transpose(0, -1)],
  ['t_', [2, 3], y => y.t_(), y => y.t()],
  [
    'swapaxes_ and swapdims_',
    [2, 3, 2],
    y => y.swapaxes_(0, 1).swapdims_(1, 2),
    y => y.transpose(0, 1).transpose(1, 2),
  ],
  ['a view', [4, 2], y => y.narrow(0, 1, 2).t_().unsqueeze_(0), y => y.narrow(0, 1, 2).t().unsqueeze(0)],
  ['then computed with', [3, 2], y => y.t_().mul(weight), y => y.t().mul(weight)],
  [
    'then changed in place, seen by what shares the memory',
    [3, 2],
    y => {
      const older = y.narrow(0, 1, 2);
      y.t_().mul_(weight);
      return older;
    },
    y => y.t().mul(weight).t().narrow(0, 1, 2),
  ],
  [
    'then an older and a newer view of it changed in place',
    [3, 2],
    y => {
      const older = y.select(0, 1);
      y.t_().unsqueeze_(0);
      const newer = y.select(1, 0);
      older.mul_(5);
      newer.mul_(y.select(1, 1).clone());
      return y;
    },
    y => {
      const five = y.onesLike();
      five.select(0, 1).fill_(5);
      const scaled = y.mul(five).t();
      const first = scaled.onesLike();
      first.select(0, 1).fill_(0);
      return scaled
        .mul(scaled.onesLike().sub(first))
        .add(scaled.mul(scaled.select(0, 1)).mul(first))
        .unsqueeze(0);
    },
  ],
];

describe('the same as a new view', () => {
  test.each(changes)('%s', (_name, shape, inPlace, anew) => {
    const lists = (fn: (x: Tensor) => Tensor[]): unknown => fn(ramp(shape)).map(tensor => tensor.tolist());
    const wanted = lists(valueAndGradient(anew));
    expect(lists(valueAndGradient(inPlace))).toEqual(wanted);
    const compiled = compile(valueAndGradient(inPlace), [input(shape)]);
    expect(lists(x => compiled(x))).toEqual(wanted);
  });
});

test('the tensor itself changes, and shares its memory as before', () => {
  const x = ramp([2, 3]);
  const row = x.select(0, 1);
  expect(x.t_()).toBe(x);
  expect([x.shape, x.stride(), x.isContiguous()]).toEqual([[3, 2], [1, 3], false]);
  row.fill_(9);
  expect(x.tolist()).toEqual([
    [0, 9],
    [1, 9],
    [2, 9],
  ]);
  expect(x.asStrided([6], [1]).tolist()).toEqual([0, 1, 2, 9, 9, 9]);
});

describe('refused', () => {
  test('a leaf that requires grad, but inside noGrad', () => {
    const x = leaf([2, 3]);
    expect(() => x.t_()).toThrow(/a leaf Variable that requires grad/);
    expect(() => x.narrow(0, 0, 1).t_()).toThrow(/a view of a leaf Variable that requires grad/);
    noGrad(() => x.t_());
    x.mul(2).sum().backward();
    expect(x.grad!.shape).toEqual([3, 2]);
  });
  test('the gradient of what was computed from it before', () => {
    const y = leaf([2, 3]).mul(1);
    const product = y.mul(y);
    y.t_();
    expect(() => product.sum().backward()).toThrow(/modified by an inplace operation/);
  });
  test('inputs and state of a compiled entry', () => {
    const state = ramp([2]);
    expect(() => compile((x: Tensor) => x.unsqueeze_(0), [input([2])])).toThrow(
      /changes the shape or layout of its input/,
    );
    expect(() => compile((x: Tensor) => state.unsqueeze_(0).add(x), [input([2])])).toThrow(/of a tensor from outside/);
    expect(state.shape).toEqual([2]);
  });
});
