/** The generator against numbers drawn by PyTorch 1.13; the `random` reference group holds many more. */
import {
  bernoulli,
  empty,
  float32,
  float64,
  full,
  Generator,
  getRngState,
  int64,
  manualSeed,
  multinomial,
  nn,
  normal,
  rand,
  randint,
  randn,
  randperm,
  setRngState,
  type Tensor,
  zeros,
} from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

const numbers = (t: Tensor): number[] => [t.tolist()].flat(9) as number[];
function expectNumbers(actual: Tensor, expected: readonly number[], tolerance = 2e-6): void {
  const values = numbers(actual);
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of values.entries())
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected[i])));
}

describe("PyTorch's numbers", () => {
  test('uniform', () => {
    manualSeed(0);
    expectNumbers(rand(5), [0.4962566, 0.7682218, 0.08847743, 0.13203049, 0.30742282], 1e-7);
  });
  test('normal, one by one below 16 elements', () => {
    manualSeed(0);
    expectNumbers(randn(5), [1.5409961, -0.2934289, -2.1787894, 0.56843126, -1.0845224]);
  });
  test('normal, in blocks from 16 elements on, the last block redone', () => {
    manualSeed(0);
    expectNumbers(
      randn(24),
      [
        -1.1258398, -1.1523602, -0.25057858, -0.4338788, 0.84871036, 0.69200915, -0.31601277, -2.1152194, 0.4680964,
        -0.15771244, 1.4436601, 0.2660494, 0.16645534, 0.87438184, -0.14347385, -0.11160933, 0.9318266, 1.2590092,
        2.0049806, 0.053736903, 0.61805665, -0.41280222, -0.8410648, -2.316042,
      ],
    );
  });
  test('a stream of different draws', () => {
    expect(manualSeed(7).initialSeed()).toBe(7);
    expectNumbers(rand(2), [0.53492254, 0.19880319]);
    expectNumbers(randn(3), [-0.29524603, 1.9685478, -1.2514001]);
    expect(numbers(randint(0, 100, [4]))).toEqual([58, 31, 8, 17]);
    expect(numbers(randperm(5))).toEqual([2, 3, 0, 1, 4]);
    expectNumbers(randn(17).narrow(0, 0, 3), [1.9263681, 2.2983427, 0.9571022]);
    expectNumbers(rand(1), [0.899404]);
  });
  test('permutation', () => {
    manualSeed(0);
    expect(numbers(randperm(20))).toEqual([4, 5, 13, 19, 7, 14, 3, 6, 9, 17, 11, 2, 16, 18, 10, 12, 15, 8, 1, 0]);
  });
  test('cauchy', () => {
    manualSeed(0);
    expectNumbers(empty(6).cauchy_(), [10.59773, 0.7647673, -0.12829934, 3.9330733, 0.48998892, 1.298837], 1e-5);
  });
  test('orthogonal and sparse initialisation', () => {
    manualSeed(0);
    expectNumbers(
      nn.init.orthogonal_(empty(3, 3)),
      [0.91113484, 0.07513044, 0.40520185, 0.33609274, -0.70446324, -0.62511873, 0.23848432, 0.7057529, -0.66711175],
    );
    manualSeed(0);
    expectNumbers(
      nn.init.sparse_(empty(4, 3), 0.5),
      [0, 0, 0, 0.005684313, 0, 0, 0.0040334687, 0.008380263, -0.007192576, 0, -0.0059663537, 0.0018203649],
    );
  });
  test('layers initialise as PyTorch does', () => {
    manualSeed(0);
    const { in_proj_weight, 'out_proj.weight': outProj } = new nn.MultiheadAttention(4, 2).stateDict();
    expectNumbers(in_proj_weight.select(0, 0), [0.22242416, 0.5085067, -0.12602636, 0.45824552]);
    expectNumbers(outProj.select(0, 0), [-0.00374341, 0.2682218, -0.41152257, -0.3679695]);
  });
});

describe('generators', () => {
  test('a saved state continues where it was taken, kept normal draw included', () => {
    manualSeed(3);
    randn(3);
    const state = getRngState();
    expect(state.numel()).toBe(5056);
    const first = [numbers(randn(2)), numbers(rand(3))];
    setRngState(state);
    expect([numbers(randn(2)), numbers(rand(3))]).toEqual(first);
  });
  test('own generators leave the default one alone', () => {
    manualSeed(1);
    const expected = numbers(rand(3));
    manualSeed(1);
    randperm(10, { generator: new Generator().manualSeed(5) });
    expect(numbers(rand(3))).toEqual(expected);
  });
  test('only the low 32 bits of a seed decide', () => {
    const draw = (seed: bigint): number[] => numbers(rand(3, { generator: new Generator().manualSeed(seed) }));
    expect(draw(5n + (1n << 40n))).toEqual(draw(5n));
  });
  test('damaged states are refused', () => {
    expect(() => setRngState(zeros(5056))).toThrow(/uint8 tensor of 5056 bytes, got float32/);
    expect(() => setRngState(zeros(5056, { dtype: 'uint8' }))).toThrow(/damaged/);
  });
});

test('ranges and dtypes', () => {
  manualSeed(0);
  const wide = randint(-(2n ** 62n), 2n ** 62n, [100]);
  expect(wide.dtype).toBe(int64);
  const values = wide.tolist() as unknown as (number | bigint)[];
  expect(values.some(v => Math.abs(Number(v)) > 2 ** 60)).toBe(true);
  expect(numbers(zeros(1000, { dtype: 'uint8' }).random_()).every(v => v >= 0 && v <= 255)).toBe(true);
  expect(numbers(full([1000], 0, { dtype: 'bool' }).random_()).filter(Boolean).length).toBeGreaterThan(400);
  expect(rand(3, { dtype: float64 }).dtype).toBe(float64);
  expect(numbers(bernoulli(full([100], 1, { dtype: float32 })))).toEqual(new Array(100).fill(1));
  expect(normal(zeros(2, 1), full([3], 2)).shape).toEqual([2, 3]);
});

test('draws into a view follow its order in memory of the view', () => {
  const whole = zeros(2, 3);
  whole.t().uniform_();
  expect(numbers(whole).every(v => v > 0)).toBe(true);
});

describe('bad arguments', () => {
  test.each([
    ['an empty range', () => randint(3, 3, [1]), /from=3|from=0 >= to=3|expects 'from' to be less than 'to'/],
    ['integers from rand', () => rand(2, { dtype: int64 }), /floating-point numbers, not int64/],
    ['a probability over 1', () => empty(2).bernoulli_(1.5), /expects p to be in \[0, 1\]/],
    [
      'more samples than categories',
      () => multinomial(full([3], 1, { dtype: float32 }), 4),
      /without replacement: 4 > 3/,
    ],
    ['a leaf that requires grad', () => zeros(2, { requiresGrad: true }).uniform_(), /leaf Variable/],
  ] as const)('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });

  test('the eager generator inside an entry', () => {
    expect(() => compile((x: Tensor) => x.add(rand(3)), [input([3])])).toThrow(
      /E304.*rand draws from the eager generator/s,
    );
  });
});

describe('dropout', () => {
  test("draws PyTorch's mask eagerly and keeps the mean", () => {
    manualSeed(0);
    const out = F.dropout(full([6], 1, { dtype: float32 }), 0.5);
    manualSeed(0);
    const mask = empty(6).bernoulli_(0.5);
    expect(numbers(out)).toEqual(numbers(mask.mul(2)));
  });
  test('compiled, a new mask each call, the same as eager under the counter-based generator', async () => {
    const { withCounterRandom } = await import('gradc');
    const step = (x: Tensor): Tensor => F.dropout(x, 0.3);
    const x = full([4, 50], 1, { dtype: float32 });
    manualSeed(5);
    const eager = withCounterRandom(() => [step(x), step(x)].map(numbers));
    manualSeed(5);
    const compiled = compile(step, [input([4, 50])]);
    const runs = [compiled(x), compiled(x)].map(numbers);
    expect(runs).toEqual(eager);
    expect(runs[0]).not.toEqual(runs[1]);
  });
  test('eval mode and p = 0 pass the input on; p outside [0, 1] is refused', () => {
    const x = rand(5);
    expect(new nn.Dropout(0.5).eval().forward(x)).toBe(x);
    expect(F.dropout(x, 0)).toBe(x);
    expect(() => F.dropout(x, 1.5)).toThrow(/between 0 and 1, but got 1.5/);
  });
});
