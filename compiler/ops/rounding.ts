/** Rounding: down, up, toward zero, to the nearest. */
import type { Arith } from '../ir/arith.js';
import type { Expr } from '../ir/kernel.js';
import { type Op, pointwise } from './define.js';
import { isFloatExpr, needsFloat, needsNumber, type Unary } from './elementwise.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import type { Tensor } from './tensor.js';

const rounding = (name: string, doc: string, body: (s: Arith, x: Expr) => Expr): Unary =>
  pointwise({
    name,
    doc: `${doc}; integers stay as they are. The derivative is 0.`,
    types: 'keep',
    check: needsNumber(name),
    body: (s, x) => (isFloatExpr(x) ? body(s, x) : x),
    vjp: ({ grad }) => [grad.zerosLike()],
    samples: [sample(random([6], -4, 4)), sampleWithoutGradient(exactly([5], [-1.5, -0.5, 0.5, 1.5, 2.5]))],
  });

export const floor: Unary = rounding('floor', 'Rounded down', (s, x) => s.floor(x));

export const ceil: Unary = rounding('ceil', 'Rounded up', (s, x) => s.ceil(x));

export const trunc: Unary = rounding('trunc', 'Rounded toward zero', (s, x) => s.trunc(x));

export const round: Op<(input: Tensor, options?: { decimals?: number }) => Tensor> = pointwise({
  name: 'round',
  doc: 'Rounded to the nearest integer (or to decimals), ties to even. The derivative is 0.',
  signature: 'input: tensor, *, decimals: int = 0',
  types: 'keep',
  check: needsNumber('round'),
  body(s, x, { decimals }) {
    if (!isFloatExpr(x)) return x;
    if (decimals === 0) return s.round(x);
    const scale = 10 ** Math.abs(decimals);
    return decimals > 0 ? s.div(s.round(s.mul(x, scale)), scale) : s.mul(s.round(s.div(x, scale)), scale);
  },
  vjp: ({ grad }) => [grad.zerosLike()],
  samples: [
    sample(random([6], -4, 4)),
    sampleWithoutGradient(exactly([5], [-1.5, -0.5, 0.5, 1.5, 2.5])),
    sampleWithoutGradient(exactly([2], [1.126, -17.2]), { decimals: 1 }),
  ],
});

export const frac: Unary = pointwise({
  name: 'frac',
  doc: 'The part after the point: input - trunc(input).',
  types: 'keep',
  check: needsFloat('frac'),
  body: (s, x) => s.sub(x, s.trunc(x)),
  vjp: ({ grad }) => [grad],
  samples: [sample(exactly([4], [1.25, -1.25, 0.5, 3.75]))],
});
