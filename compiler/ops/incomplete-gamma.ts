/**
 * Γ's relatives of two arguments: the incomplete gamma functions, by their power series left of a + 1 and by Legendre's
 * continued fraction, evaluated as Lentz does, right of it (W. Gautschi, "A computational procedure for incomplete gamma
 * functions", 1979), and near a large a by an expansion of its own; Hurwitz' zeta by Euler and Maclaurin's sum; the
 * multivariate log Γ.
 */
import { fail } from '../errors.js';
import { type Arith, arith } from '../ir/arith.js';
import { computeType, type DType, getDefaultDtype, isFloat } from '../ir/dtype.js';
import { cast, constant, type Expr, iterOf, loop, makeIter, type Stmt, select, when } from '../ir/kernel.js';
import { broadcastShapes } from '../ir/shape.js';
import { requireValues } from './checks.js';
import { composite, define, type Op, pointwise, promoteOperands } from './define.js';
import { isLargeAndNear, partOfLarge } from './incomplete-gamma-of-large.js';
import { logGamma } from './log-gamma.js';
import { Cell, declare, each } from './matrix-program.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { lgamma } from './special.js';
import { Tensor } from './tensor.js';

const s: Arith = arith;
/** Enough terms where the expansion for large a does not serve; both methods are slowest where x is near a. */
const steps = 250;
const infinity = Number.POSITIVE_INFINITY;

/** Σ xⁿ / (a·(a+1)…(a+n)). */
function powerSeries(a: Expr, x: Expr, dtype: DType): { cells: Cell[]; body: Stmt[]; value: Expr } {
  const [term, sum, place] = ['term', 'sum', 'place'].map(name => new Cell(name, dtype));
  const body = [
    term.set(s.div(1, a)),
    sum.set(term.get()),
    place.set(a),
    each('power', steps, () => [
      place.set(s.add(place.get(), 1)),
      term.set(s.mul(term.get(), s.div(x, place.get()))),
      sum.set(s.add(sum.get(), term.get())),
    ]),
  ];
  return { cells: [term, sum, place], body, value: sum.get() };
}

/** 1 / (x+1-a - 1·(1-a) / (x+3-a - 2·(2-a) / …)). */
function continuedFraction(a: Expr, x: Expr, dtype: DType): { cells: Cell[]; body: Stmt[]; value: Expr } {
  const [above, below, value, b, i] = ['above', 'below', 'value', 'b', 'i'].map(name => new Cell(name, dtype));
  const least = constant(dtype, dtype === 'float64' ? 1e-290 : 1e-30);
  const nonzero = (y: Expr): Expr => select(s.lt(s.abs(y), least), least, y);
  const factor = s.mul(s.neg(i.get()), s.sub(i.get(), a));
  const body = [
    b.set(s.sub(s.add(x, 1), a)),
    above.set(s.div(1, least)),
    below.set(s.div(1, nonzero(b.get()))),
    value.set(below.get()),
    i.set(constant(dtype, 0)),
    each('level', steps, () => [
      i.set(s.add(i.get(), 1)),
      b.set(s.add(b.get(), 2)),
      below.set(s.div(1, nonzero(s.add(s.mul(factor, below.get()), b.get())))),
      above.set(nonzero(s.add(b.get(), s.div(factor, above.get())))),
      value.set(s.mul(value.get(), s.mul(above.get(), below.get()))),
    ]),
  ];
  return { cells: [above, below, value, b, i], body, value: value.get() };
}

/** The part of Γ(a) left of x, or right of it, in double precision. */
function part(a: Cell, x: Cell, upper: boolean, found: (value: Expr) => Stmt): Stmt[] {
  const dtype = 'float64';
  const result = new Cell('result', dtype);
  const head = s.exp(s.sub(s.sub(s.mul(a.get(), s.log(x.get())), x.get()), logGamma(s, a.get())));
  const left = powerSeries(a.get(), x.get(), dtype);
  const right = continuedFraction(a.get(), x.get(), dtype);
  const lower = s.mul(head, left.value);
  const rest = s.mul(head, right.value);
  const edge = (value: number): Stmt => result.set(constant(dtype, upper ? 1 - value : value));
  const undefinedAt = s.or(
    s.or(s.or(s.lt(a.get(), 0), s.lt(x.get(), 0)), s.and(s.eq(a.get(), 0), s.eq(x.get(), 0))),
    s.or(s.and(s.eq(a.get(), infinity), s.eq(x.get(), infinity)), s.or(s.isNan(a.get()), s.isNan(x.get()))),
  );
  const inner = when(
    isLargeAndNear(s, a.get(), x.get()),
    [result.set(partOfLarge(s, a.get(), x.get(), upper))],
    when(
      s.lt(x.get(), s.add(a.get(), 1)),
      [...left.body, result.set(upper ? s.sub(1, lower) : lower)],
      [...right.body, result.set(upper ? rest : s.sub(1, rest))],
    ),
  );
  const atEdges = when(
    s.or(s.eq(x.get(), 0), s.eq(a.get(), infinity)),
    [edge(0)],
    when(s.or(s.eq(a.get(), 0), s.eq(x.get(), infinity)), [edge(1)], inner),
  );
  const whole = when(undefinedAt, [result.set(constant(dtype, Number.NaN))], atEdges);
  return declare([result, ...left.cells, ...right.cells], [...whole, found(result.get())]);
}

/** The density of which the parts are the integral. */
const density = (a: Tensor, x: Tensor): Tensor => a.sub(1).xlogy(x).sub(x).sub(lgamma(a)).exp();

const incompleteGamma: Op<(input: Tensor, other: Tensor, upper: boolean) => Tensor> = define({
  name: 'incompleteGamma',
  doc: 'The regularised incomplete gamma function of two tensors of one shape, lower or upper, in the dtype of the second.',
  signature: 'input: tensor, other: tensor, upper: bool',
  fusion: 'opaque',
  gradName: (_, { upper }) => (upper ? 'IgammacBackward0' : 'IgammaBackward0'),
  infer: ([, other]) => other,
  lower: {
    kind: 'program',
    build({ inputs: [input, other], attrs, type, out }) {
      const iters = type.shape.map((extent, d) => makeIter(`i${d}`, extent));
      const at = iters.map(iterOf);
      const [a, x] = ['a', 'x'].map(name => new Cell(name, 'float64'));
      const write = (value: Expr): Stmt => out.store(at, cast(computeType(type.dtype), value));
      const body = [a.set(input.at(at)), x.set(other.at(at)), ...part(a, x, attrs.upper as boolean, write)];
      return iters.reduceRight<readonly Stmt[]>(
        (inner, iter) => [loop(iter, 'parallel', inner)],
        declare([a, x], body),
      );
    },
  },
  vjp: c => {
    const name = c.attrs.upper ? 'igammac: input' : 'igamma: input';
    if (c.needs(0))
      fail('E206', { op: name, hint: 'detach() it: only the second argument has a derivative, as in PyTorch' });
    const slope = c.grad.mul(density(c.in(0).to(c.types[1].dtype), c.in(1)));
    return [null, c.attrs.upper ? slope.neg() : slope];
  },
  samples: [
    sample(exactly([3], [1, 2, 5], 'int64'), random([3], 0.5, 6), true),
    sampleWithoutGradient(random([4], 0.5, 6), random([4], 0.2, 8), false),
  ],
});

type Gamma = Op<(input: Tensor, other: Tensor | number) => Tensor>;
const gammaPart = (name: string, doc: string, upper: boolean): Gamma =>
  composite({
    name,
    doc,
    signature: 'input: tensor, other: operand',
    compute({ input, other }) {
      const promoted = promoteOperands([input, other]);
      const dtype = isFloat(promoted) ? promoted : getDefaultDtype();
      const second: Tensor = other instanceof Tensor ? other : input.detach().zerosLike({ dtype }).add(other);
      const shape = broadcastShapes(name, input.shape, second.shape);
      return incompleteGamma(input.to(dtype).expand(shape), second.to(dtype).expand(shape), upper);
    },
    samples: [
      sample(exactly([3], [1, 2, 5], 'int64'), random([3], 0.5, 6)),
      sampleWithoutGradient(random([2, 1], 0.1, 40), random([3], 0.1, 60)),
      sampleWithoutGradient(exactly([4], [250, 5000, 1e6, 1e6]), exactly([4], [240, 5020, 999500, 4e5])),
      sampleWithoutGradient(exactly([4], [0, 2, -1, 3]), exactly([4], [1, 0, 1, Number.POSITIVE_INFINITY])),
    ],
  });

export const igamma: Gamma = gammaPart(
  'igamma',
  'The regularised lower incomplete gamma function P(input, other); no derivative by input.',
  false,
);
export const igammac: Gamma = gammaPart(
  'igammac',
  'The regularised upper incomplete gamma function Q(input, other); no derivative by input.',
  true,
);

// ── zeta ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** B₂ₖ / (2k)! */
const bernoulliShares = [
  1 / 12,
  -1 / 720,
  1 / 30240,
  -1 / 1209600,
  1 / 47900160,
  -691 / 1307674368000,
  1 / 74724249600,
  -3617 / 10670622842880000,
];
const direct = 10;

/** Σ (q + k)^-x: ten terms, then the integral and its corrections. */
function hurwitz(x: Expr, q: Expr): Expr {
  const power = (k: number): Expr => s.pow(s.add(q, k), s.neg(x));
  let sum: Expr = power(0);
  for (let k = 1; k < direct; k++) sum = s.add(sum, power(k));
  const far = s.add(q, direct);
  const last = power(direct);
  sum = s.add(sum, s.add(s.div(s.mul(last, far), s.sub(x, 1)), s.mul(last, 0.5)));
  let factor = s.div(s.mul(last, x), far);
  for (const [k, share] of bernoulliShares.entries()) {
    sum = s.add(sum, s.mul(factor, share));
    factor = s.div(s.mul(factor, s.mul(s.add(x, 2 * k + 1), s.add(x, 2 * k + 2))), s.square(far));
  }
  return sum;
}

export const zeta: Op<(input: Tensor | number, other: Tensor | number) => Tensor> = pointwise({
  name: 'zeta',
  doc: "Hurwitz' zeta function Σ (k + other)^-input for input > 1 and other > -10; no derivative by input.",
  types: 'float',
  body(s, x, q) {
    const number = (value: number): Expr => s.constant(x.dtype, value);
    const pole = s.or(s.eq(x, 1), s.and(s.le(q, 0), s.eq(q, s.floor(q))));
    const none = s.or(s.lt(x, 1), s.and(s.lt(q, 0), s.ne(x, s.floor(x))));
    return s.select(none, number(Number.NaN), s.select(pole, number(infinity), hurwitz(x, q)));
  },
  vjp: c => {
    if (c.needs(0)) fail('E206', { op: 'zeta: input', hint: 'detach() it: only the second argument has a derivative' });
    const [x, q] = [c.in(0), c.in(1)];
    return [
      null,
      c.grad
        .mul(zeta(x.add(1), q))
        .mul(x)
        .neg(),
    ];
  },
  samples: [
    sample(exactly([3], [2, 3, 5], 'int64'), random([3], 0.5, 4)),
    sampleWithoutGradient(random([4], 1.2, 9), random([4], 0.5, 20)),
    sampleWithoutGradient(exactly([4], [1, 0.5, 2, 2]), exactly([4], [2, 2, -1, 0])),
  ],
});

// ── multivariate ───────────────────────────────────────────────────────────────────────────────────────────────────────

export const mvlgamma: Op<(input: Tensor, p: number) => Tensor> = composite({
  name: 'mvlgamma',
  doc: 'The logarithm of the multivariate gamma function of p dims, for input > (p - 1) / 2.',
  signature: 'input: tensor, p: int',
  compute({ input, p }) {
    const op = 'mvlgamma';
    if (p < 1) fail('E110', { op, problem: 'p has to be greater than or equal to 1' });
    const least = (p - 1) / 2;
    requireValues(input, {
      op,
      accepts: value => value > least,
      acceptsAll: all => all.gt(least),
      refuse: () => fail('E110', { op, problem: 'All elements must be greater than (p-1)/2' }),
    });
    const parts = Array.from({ length: p }, (_, i) => lgamma(input.sub(i / 2)));
    return parts.reduce((sum, part) => sum.add(part)).add((p * (p - 1) * Math.log(Math.PI)) / 4);
  },
  samples: [sample(random([4], 1.5, 6), 3)],
  errors: [{ args: [exactly([1], [0.5]), 2], message: /greater than \(p-1\)\/2/ }],
});
