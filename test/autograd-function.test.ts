/** Functions with a gradient of their own, eagerly and compiled. */
import { autograd, linalg, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

class Scaled extends autograd.Function {
  static forward(context: autograd.FunctionContext, x: Tensor, factor: number): Tensor {
    context.saveForBackward(x);
    context.factor = factor;
    return x.mul(x).mul(factor);
  }
  /** Ten times the true gradient, to be told from it. */
  static backward(context: autograd.FunctionContext, grad: Tensor): [Tensor, null] {
    const [x] = context.savedTensors;
    return [grad.mul(x).mul(20 * (context.factor as number)), null];
  }
}
const leaf = (...values: number[]): Tensor => tensor(values, { dtype: 'float32', requiresGrad: true });

test('the gradient is the one given', () => {
  const x = leaf(1, 2);
  const y = Scaled.apply(x, 3);
  expect([y.tolist(), y.gradFn?.name]).toEqual([[3, 12], 'ScaledBackward']);
  y.sum().backward();
  expect(x.grad!.tolist()).toEqual([60, 120]);
});

test('it can be differentiated again', () => {
  const x = leaf(2);
  const [first] = autograd.grad(Scaled.apply(x, 1).sum(), x, { createGraph: true });
  expect(autograd.grad(first!.sum(), x)[0]!.tolist()).toEqual([20]);
});

test('compiled, the same', () => {
  const step = (x: Tensor): Tensor => {
    const w = x.detach().requiresGrad_();
    return autograd.grad(Scaled.apply(w, 3).sum(), w)[0]!;
  };
  expect(compile(step, [input([2])])(tensor([1, 2], { dtype: 'float32' })).tolist()).toEqual([60, 120]);
});

test('saved tensors changed in place, too few gradients, no tensor', () => {
  const x = leaf(1);
  const doubled = x.mul(2);
  const y = Scaled.apply(doubled, 1);
  doubled.add_(1);
  expect(() => y.backward()).toThrow(/E204.*a custom function, is at version 1; expected version 0/s);
  const Few = {
    name: 'Few',
    forward: (_: unknown, a: Tensor, b: Tensor) => a.mul(b),
    backward: (_: unknown, grad: Tensor) => grad,
  };
  expect(() => autograd.apply(Few, x, x).backward()).toThrow(
    /FewBackward returned an incorrect number of gradients \(expected 2, got 1\)/,
  );
  const None = { name: 'None', forward: () => null as never, backward: () => null };
  expect(() => autograd.apply(None)).toThrow(/None.forward\(\) must return a Tensor/);
});

test("a norm's step bears PyTorch's name", () => {
  const x = leaf(3, 4);
  const orders = [1, 2, 3, Number.POSITIVE_INFINITY];
  expect(orders.map(ord => linalg.vectorNorm(x, ord).gradFn?.name)).toEqual(
    orders.map(() => 'LinalgVectorNormBackward0'),
  );
});
