/**
 * Special functions against SciPy 1.17's numbers (zeta: mpmath's), in double precision: the generated tests compare what
 * gradc computes in several ways, these whether it is right, tails included.
 */
import { special, type Tensor, tensor } from 'gradc';
import { expect, test } from 'vitest';

const cases: readonly (readonly [string, readonly (number | readonly number[])[], readonly number[]])[] = [
  [
    'erfcx',
    [[-5, -1, -0.3, 0, 0.3, 1, 3, 8]],
    [
      144009798674.66104, 5.008980080762283, 1.4537492328427655, 1, 0.7345993345676554, 0.427583576155807,
      0.17900115118138998, 0.06998516620088094,
    ],
  ],
  [
    'logNdtr',
    [[-30, -5, -1, -0.3, 0, 0.3, 1, 3, 8]],
    [
      -454.32124395634327,
      -15.064998393988727,
      -1.8410216450092634,
      -0.9621028181688505,
      -Math.LN2,
      -0.4814101615884813,
      -0.1727537790234499,
      -0.0013508099647481925,
      -6.220960574271742e-16,
    ],
  ],
  [
    'ndtri',
    [[1e-300, 1e-20, 1e-5, 0.02, 0.2, 0.5, 0.7, 0.999]],
    [
      -37.0470962993612, -9.262340089798409, -4.264890793922825, -2.053748910631823, -0.8416212335729142, 0,
      0.5244005127080407, 3.090232306167813,
    ],
  ],
  [
    'i0e',
    [[-40.0, -20.5, -13.0, -5.0, -0.5, 0.0, 1.0, 19.5, 300.0]],
    [
      0.06327827987523532, 0.08866442901574523, 0.11176083381585476, 0.18354081260932834, 0.64503527044915, 1.0,
      0.46575960759364043, 0.09093943209515647, 0.02304255841508546,
    ],
  ],
  [
    'i1e',
    [[-40.0, -20.5, -13.0, -5.0, -0.5, 0.0, 1.0, 19.5, 300.0]],
    [
      -0.06248222907444206, -0.08647411349408725, -0.10737239924698763, -0.16397226694454234, -0.15642080318487173, 0.0,
      0.2079104153497085, 0.08857608609431485, 0.02300412204026895,
    ],
  ],
  [
    'gammainc',
    [
      [0.1, 0.5, 1, 3, 10, 100, 1000, 30],
      [0.05, 2, 1, 0.2, 12, 90, 1010, 1],
    ],
    [
      0.7755386354510307, 0.9544997361036415, 0.6321205588285577, 0.0011484812448621328, 0.7576078383294875,
      0.15822098918643007, 0.6276789447369947, 1.4330814167223303e-33,
    ],
  ],
  [
    'gammaincc',
    [
      [0.1, 0.5, 1, 3, 10, 100, 1000, 30],
      [0.05, 2, 1, 0.2, 12, 90, 1010, 1],
    ],
    [
      0.22446136454896942, 0.04550026389635857, 0.36787944117144245, 0.9988515187551379, 0.24239216167051245,
      0.84177901081357, 0.37232105526300524, 1,
    ],
  ],
  [
    'zeta',
    [
      [1.1, 2, 3.5, 20, 2, 4],
      [0.3, 1, 7, 2, -2.5, 1000],
    ],
    [
      13.925622630916047, 1.6449340668482264, 0.003681929219641926, 9.539620338727962e-7, 9.539246644989124,
      3.338336666665e-10,
    ],
  ],
  ['multigammaln', [[3, 4.5, 20], 4], [4.29123747094582, 9.573806480525718, 151.97392133861865]],
];

const float64 = (values: readonly number[]): Tensor => tensor(values, { dtype: 'float64' });

test.each(cases)('special.%s', (name, args, wanted) => {
  const fn = (special as unknown as Record<string, (...given: unknown[]) => Tensor>)[name];
  const found = fn(...args.map(arg => (Array.isArray(arg) ? float64(arg) : arg))).tolist<number[]>();
  for (const [i, value] of wanted.entries()) {
    const distance = Math.abs(found[i] - value);
    expect(distance, `${name} ${i}: ${found[i]}, expected ${value}`).toBeLessThanOrEqual(1e-12 * Math.abs(value));
  }
});

test('gamma has no derivative by its first argument, as in PyTorch', () => {
  const a = float64([2]).requiresGrad_();
  expect(() => special.gammainc(a, float64([1])).backward()).toThrow(
    /derivative for 'igamma: input' is not implemented/,
  );
});
