/** Scaled dot-product attention with what PyTorch 2 has besides masks: dropout of the weights and heads that are shared. */
import { float64, manualSeed, randn, type Tensor, tensor, withCounterRandom } from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { beforeEach, describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { expectNumbers, numbers } from './support/tensors.js';

beforeEach(() => void manualSeed(0));

const attend = F.scaledDotProductAttention;
const heads = (count: number, places = 5): Tensor => randn([2, count, places, 4], { dtype: float64 });

describe('dropout', () => {
  test('is that of the weights, by the same random numbers', () => {
    const [q, k, v] = [heads(3), heads(3), heads(3)];
    const weights = F.softmax(q.matmul(k.transpose(-2, -1)).div(2), -1);
    manualSeed(7);
    const expected = F.dropout(weights, 0.4).matmul(v);
    manualSeed(7);
    expectNumbers(attend(q, k, v, null, 0.4), numbers(expected), 1e-12);
    expect(numbers(expected)).not.toEqual(numbers(attend(q, k, v)));
  });
  test('draws nothing where it is 0', () => {
    const q = heads(1);
    manualSeed(7);
    const next = numbers(randn(3));
    manualSeed(7);
    attend(q, q, q, { dropoutP: 0 });
    expect(numbers(randn(3))).toEqual(next);
  });
  test('compiled, a new mask each call, as eagerly', () => {
    const step = (q: Tensor): Tensor => attend(q, q, q, null, 0.5, true);
    const q = randn(2, 5, 4);
    manualSeed(5);
    const eager = withCounterRandom(() => [step(q), step(q)].map(numbers));
    manualSeed(5);
    const compiled = compile(step, [input([2, 5, 4])]);
    const runs = [compiled(q), compiled(q)];
    runs.forEach((run, i) => void expectNumbers(run, eager[i], 1e-5));
    expect(numbers(runs[0])).not.toEqual(numbers(runs[1]));
  });
  test('outside [0, 1] is refused', () => {
    const q = heads(1);
    expect(() => attend(q, q, q, { dropoutP: 1.5 })).toThrow(/between 0 and 1, but got 1.5/);
  });
});

test("PyTorch's order: mask, dropout, causal; then by name", () => {
  const [q, k, v] = [heads(2), heads(2), heads(2)];
  const lower = tensor(Array.from({ length: 5 }, (_, i) => Array.from({ length: 5 }, (_, j) => j <= i)));
  const causal = numbers(attend(q, k, v, { isCausal: true }));
  expect(numbers(attend(q, k, v, null, 0, true))).toEqual(causal);
  expectNumbers(attend(q, k, v, lower), causal, 1e-12);
  expectNumbers(attend(q, k, v, { scale: 0.25 }), numbers(attend(q.div(2), k, v)), 1e-12);
  expect(() => attend(q, k, v, lower, 0, true)).toThrow(/E110.*attnMask and isCausal cannot both be given/s);
});

describe('shared heads', () => {
  const repeated = (t: Tensor, times: number): Tensor => t.repeatInterleave(times, 1);
  test('are those of key and value repeated, and so are their gradients', () => {
    const [q, k, v] = [heads(6), heads(2, 3), heads(2, 3)].map(t => t.requiresGrad_());
    const out = attend(q, k, v, { enableGqa: true });
    expectNumbers(out, numbers(attend(q, repeated(k, 3), repeated(v, 3))), 1e-12);
    out.square().sum().backward();
    const shared = [k.grad!, v.grad!].map(numbers);
    k.grad = null;
    v.grad = null;
    attend(q, repeated(k, 3), repeated(v, 3)).square().sum().backward();
    [k, v].forEach((t, i) => void expectNumbers(t.grad!, shared[i], 1e-12));
  });
  test('compiled as eagerly', () => {
    const shared = (q: Tensor, k: Tensor): Tensor => attend(q, k, k, { enableGqa: true });
    const [q, k] = [randn(1, 4, 5, 4), randn(1, 2, 5, 4)];
    const compiled = compile(shared, [input([1, 4, 5, 4]), input([1, 2, 5, 4])]);
    expectNumbers(compiled(q, k), numbers(shared(q, k)), 1e-5);
  });
  test('have to divide the heads of the query', () => {
    const [q, k] = [heads(5), heads(2)];
    expect(() => attend(q, k, k, { enableGqa: true })).toThrow(/E107.*must divide those of the query.* 2 and 5/s);
    expect(() => attend(q, k, k)).toThrow(/E10/);
  });
});
