/** Inference mode: tensors made in it stay outside autograd, as PyTorch's do. */
import { inferenceMode, input, isGradEnabled, isInferenceModeEnabled, noGrad, ones, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { expect, test } from 'vitest';

const leaf = (): Tensor => tensor([1, 2, 3], { dtype: 'float32', requiresGrad: true });

test('what is made in it is an inference tensor, and so are views of that; views of others are not', () => {
  const x = leaf();
  const [made, fresh, view, alias] = inferenceMode(() => {
    expect([isGradEnabled(), isInferenceModeEnabled()]).toEqual([false, true]);
    return [x.mul(2), ones([2]), x.slice(0, 1), x.detach()];
  });
  expect([isGradEnabled(), isInferenceModeEnabled()]).toEqual([true, false]);
  const all = [made, fresh, view, alias, made.slice(0, 1), made.detach(), made.clone(), made.add(1)];
  expect(all.map(t => t.isInference())).toEqual([true, true, false, false, true, true, false, false]);
  expect([made, view].map(t => t.requiresGrad)).toEqual([false, false]);
});

test('afterwards it is neither changed, nor followed, nor needed for a gradient', () => {
  const made = inferenceMode(() => ones([3]));
  expect(() => noGrad(() => made.add_(1))).toThrow(/E207.*Inplace update to inference tensor outside InferenceMode/s);
  expect(() => made.requiresGrad_()).toThrow(/E207.*Setting requires_grad=True on inference tensor/s);
  expect(() => leaf().mul(made).sum().backward()).toThrow(/E207.*Inference tensors cannot be saved for backward/s);
  const x = leaf();
  x.add(made).sum().backward();
  x.mul(made.clone()).sum().backward();
  expect(x.grad!.tolist()).toEqual([2, 2, 2]);
  expect(inferenceMode(() => made.add_(1)).tolist()).toEqual([2, 2, 2]);
});

test('an error ends it, and an entry may use it', () => {
  expect(() =>
    inferenceMode(() => {
      throw new Error('inside');
    }),
  ).toThrow('inside');
  expect(isInferenceModeEnabled()).toBe(false);
  const predict = compile((x: Tensor) => inferenceMode(() => x.mul(2).sin()), [input([3])]);
  const x = tensor([1, 2, 3], { dtype: 'float32' });
  expect(predict(x).tolist()).toEqual(x.mul(2).sin().tolist());
});
