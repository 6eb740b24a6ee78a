/** The generator against numbers drawn by PyTorch 1.13; the `random` reference group holds many more. */
import {
  bernoulli,
  data,
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
  tensor,
  withCounterRandom,
  zeros,
} from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { expectNumbers, numbers } from './support/tensors.js';

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
  test("an entry that draws from a generator of the caller's", () => {
    const generator = new Generator().manualSeed(1);
    expect(() => compile((x: Tensor) => x.add(rand(3, { generator })), [input([3])])).toThrow(
      /E304.*rand draws from a generator that was seeded outside the entry/s,
    );
  });
  test('an entry that shuffles data without a seed of its own', () => {
    const shuffled = () => tensor([...new data.RandomSampler([1, 2, 3])]);
    expect(() => compile(shuffled, [])).toThrow(/E304.*shuffles data.*load data outside the entry/s);
  });
});

const float = { dtype: float32 } as const;
const weights = full([4], 1, float);
/** Every way to draw, with what its numbers look like in the mean. */
const draws: readonly (readonly [name: string, draw: () => Tensor, mean: number, deviation: number])[] = [
  ['rand', () => rand(20, 200), 0.5, Math.sqrt(1 / 12)],
  ['rand in double precision', () => rand(4000, { dtype: float64 }), 0.5, Math.sqrt(1 / 12)],
  ['rand in half precision', () => rand(4000, { dtype: 'float16' }), 0.5, Math.sqrt(1 / 12)],
  ['randn', () => randn(4000), 0, 1],
  ['randint', () => randint(-3, 7, [4000]), 1.5, Math.sqrt(99 / 12)],
  [
    'randint over a wide range',
    () =>
      randint(0, 2n ** 40n, [4000])
        .to(float64)
        .div(2 ** 40),
    0.5,
    Math.sqrt(1 / 12),
  ],
  ['randperm', () => randperm(4000).to(float32), 1999.5, 4000 / Math.sqrt(12)],
  ['bernoulli', () => bernoulli(full([4000], 0.3, float)), 0.3, Math.sqrt(0.21)],
  ['bernoulli with p', () => bernoulli(zeros(4000), { p: 0.8 }), 0.8, 0.4],
  ['multinomial, repeated', () => multinomial(weights, 4000, true), 1.5, Math.sqrt(15 / 12)],
  ['multinomial, each once', () => multinomial(weights.expand(1000, 4), 2), 1.5, Math.sqrt(15 / 12)],
  ['normal of tensors', () => normal(full([4000], 2, float), full([4000], 3, float)), 2, 3],
  ['uniform_', () => empty(4000).uniform_(-2, 4), 1, Math.sqrt(3)],
  ['normal_', () => empty(4000).normal_(5, 2), 5, 2],
  ['bernoulli_', () => empty(4000).bernoulli_(0.25), 0.25, Math.sqrt(3 / 16)],
  ['bernoulli_ of tensors', () => empty(4000).bernoulli_(full([4000], 0.25, float)), 0.25, Math.sqrt(3 / 16)],
  ['exponential_', () => empty(4000).exponential_(2), 0.5, 0.5],
  ['geometric_', () => empty(4000).geometric_(0.25), 4, Math.sqrt(12)],
  ['logNormal_', () => empty(4000).logNormal_(0, 0.5), Math.exp(1 / 8), 0.604],
  ['cauchy_', () => empty(4000).cauchy_(1, 2).sub(1).div(2).atan(), 0, Math.PI / Math.sqrt(12)],
  ['random_', () => empty(4000).random_(100), 49.5, Math.sqrt(9999 / 12)],
  ['random_ of all bytes', () => zeros(4000, { dtype: 'uint8' }).random_(), 127.5, Math.sqrt(65535 / 12)],
  [
    'random_ of all integers',
    () =>
      zeros(4000, { dtype: int64 })
        .random_()
        .to(float64)
        .div(2 ** 63),
    0.5,
    Math.sqrt(1 / 12),
  ],
  ['truncNormal_', () => nn.init.truncNormal_(empty(4000)), 0, 0.88],
];

describe('in a compiled entry', () => {
  test.each(draws)('%s: anew each call, as eager does from the same state', (_, draw, mean, deviation) => {
    manualSeed(3);
    const eager = withCounterRandom(() => [draw(), draw()].map(numbers));
    manualSeed(3);
    const compiled = compile(draw, []);
    const runs = [compiled(), compiled()].map(numbers);
    expect(runs[0]).not.toEqual(runs[1]);
    for (const [i, run] of runs.entries())
      for (const [j, value] of run.entries())
        expect(Math.abs(value - eager[i][j])).toBeLessThanOrEqual(1e-5 * (1 + Math.abs(eager[i][j])));
    const average = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
    expect(Math.abs(average(runs[0]) - mean)).toBeLessThan((5 * deviation) / Math.sqrt(runs[0].length / 4));
    const spread = Math.sqrt(average(runs[0].map(v => (v - mean) ** 2)));
    expect(spread / deviation).toBeGreaterThan(0.85);
    expect(spread / deviation).toBeLessThan(1.15);
  });
  test.each(draws)('%s: seeded by the entry, PyTorch’s numbers in each call', (_, draw) => {
    const seeded = (): Tensor => {
      manualSeed(11);
      return draw();
    };
    const eager = numbers(seeded());
    const compiled = compile(seeded, []);
    for (const run of [compiled(), compiled()]) expectNumbers(run, eager, 1e-6);
  });
  test('what was drawn once and then changed in place is drawn as it was in the next call', () => {
    const step = compile(
      (x: Tensor) => {
        manualSeed(1);
        return rand(3).add_(x);
      },
      [input([3])],
    );
    const x = full([3], 1, float);
    expect(numbers(step(x))).toEqual(numbers(step(x)));
  });
  test('weights and probabilities that are state are read anew in each call', () => {
    const odds = zeros(50);
    const hits = compile(() => {
      manualSeed(2);
      return bernoulli(odds);
    }, []);
    expect(numbers(hits())).toEqual(new Array(50).fill(0));
    odds.fill_(1);
    expect(numbers(hits())).toEqual(new Array(50).fill(1));
    const picks = compile(() => {
      manualSeed(2);
      return multinomial(odds, 8, true);
    }, []);
    odds.zero_();
    odds.select(0, 7).fill_(1);
    expect(numbers(picks())).toEqual(new Array(8).fill(7));
  });
  test('a generator made and seeded in the entry', () => {
    const draw = (): Tensor => rand(4, { generator: new Generator().manualSeed(9) });
    expect(numbers(compile(draw, [])())).toEqual(numbers(draw()));
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
  test('compiled, a new mask each call, the same as eager under the counter-based generator', () => {
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
