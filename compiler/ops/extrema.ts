/** The larger and the smaller of elements, and elements kept within limits. Derivatives at ties and limits are PyTorch's. */
import { fail } from '../errors.js';
import type { Arith } from '../ir/arith.js';
import { isFloat, limitsOf } from '../ir/dtype.js';
import type { Expr } from '../ir/kernel.js';
import { div } from './arithmetic.js';
import { eq, ge, gt, isfinite, isnan, le, lt } from './comparison.js';
import { composite, type Op, pointwise } from './define.js';
import { type Binary, type Comparison, isFloatExpr, needsNumber, type Unary } from './elementwise.js';
import { logicalAnd, logicalOr } from './logic.js';
import { exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import { where } from './selection.js';
import type { Scalar } from './signature.js';
import type { VjpContext } from './tape.js';
import type { Tensor } from './tensor.js';

export const relu: Unary = pointwise({
  name: 'relu',
  doc: 'max(input, 0); NaN stays NaN. The derivative at 0 is 0.',
  types: 'keep',
  check: needsNumber('relu'),
  body: (s, x) => s.max(x, 0),
  vjp: ({ grad, out }) => [where(le(out, 0), 0, grad)],
  samples: [sample(random([3, 4]))],
});

/** The share of the gradient each side of a maximum or minimum gets: half each at ties. */
const shareAtTies = (c: VjpContext, loses: Comparison): (Tensor | null)[] => {
  const share = (own: Tensor, other: Tensor): Tensor =>
    where(loses(own, other), 0, where(eq(own, other), div(c.grad, 2), c.grad));
  return [c.needs(0) ? share(c.in(0), c.in(1)) : null, c.needs(1) ? share(c.in(1), c.in(0)) : null];
};

export const maximum: Binary = pointwise({
  name: 'maximum',
  doc: 'The larger of the two; NaN if either is NaN. Ties share the gradient.',
  types: 'number',
  body: (s, x, y) => s.max(x, y),
  vjp: c => shareAtTies(c, lt),
  samples: [sample(random([2, 3]), random([3])), sampleWithoutGradient(integers([4], -5, 5), integers([4], -5, 5))],
});

export const minimum: Binary = pointwise({
  name: 'minimum',
  doc: 'The smaller of the two; NaN if either is NaN. Ties share the gradient.',
  types: 'number',
  body: (s, x, y) => s.min(x, y),
  vjp: c => shareAtTies(c, gt),
  samples: [sample(random([2, 3]), random([3]))],
});

/** Extrema that ignore NaN give the whole gradient to the side chosen, to the first at ties. */
const ignoringNan = (
  name: string,
  doc: string,
  beats: (x: Tensor, y: Tensor) => Tensor,
  body: (s: Arith, x: Expr, y: Expr) => Expr,
): Binary =>
  pointwise({
    name,
    doc,
    types: 'number',
    body: (s, x, y) => s.select(s.isNan(x), y, s.select(s.isNan(y), x, body(s, x, y))),
    vjp: c => {
      const first = logicalOr(beats(c.in(0), c.in(1)), isnan(c.in(1)));
      return [where(first, c.grad, 0), where(first, 0, c.grad)];
    },
    samples: [
      sample(random([2, 3]), random([3])),
      sampleWithoutGradient(exactly([2], [Number.NaN, 1]), exactly([2], [2, Number.NaN])),
    ],
  });

export const fmax: Binary = ignoringNan(
  'fmax',
  'The larger of the two; the other one where one is NaN.',
  (x, y) => ge(x, y),
  (s, x, y) => s.max(x, y),
);

export const fmin: Binary = ignoringNan(
  'fmin',
  'The smaller of the two; the other one where one is NaN.',
  (x, y) => le(x, y),
  (s, x, y) => s.min(x, y),
);

export const clampMin: Binary = pointwise({
  name: 'clampMin',
  doc: 'max(input, other), with the gradient of clamp: all of it to the input at ties.',
  types: 'keep',
  check: needsNumber('clampMin'),
  gradName: ([, low]) => (low.shape.length > 0 ? 'ClampMinBackward0' : 'ClampBackward1'),
  body: (s, x, low) => s.max(x, low),
  vjp: c => {
    const kept = ge(c.in(0), c.in(1));
    return [where(kept, c.grad, 0), c.needs(1) ? where(kept, 0, c.grad) : null];
  },
  samples: [sample(random([4]), -0.5), sample(random([2, 3]), random([3]))],
});

export const clampMax: Binary = pointwise({
  name: 'clampMax',
  doc: 'min(input, other), with the gradient of clamp: all of it to the input at ties.',
  types: 'keep',
  check: needsNumber('clampMax'),
  gradName: ([, high]) => (high.shape.length > 0 ? 'ClampMaxBackward0' : 'ClampBackward1'),
  body: (s, x, high) => s.min(x, high),
  vjp: c => {
    const kept = le(c.in(0), c.in(1));
    return [where(kept, c.grad, 0), c.needs(1) ? where(kept, 0, c.grad) : null];
  },
  samples: [sample(random([4]), 0.5), sample(random([2, 3]), random([3]))],
});

/** Between two limits. */
const clampBetween: Op<(input: Tensor, min: Tensor | Scalar, max: Tensor | Scalar) => Tensor> = pointwise({
  name: 'clampBetween',
  doc: 'min(max(input, min), max); 1 is the derivative at both limits.',
  signature: 'input: operand, min: operand, max: operand',
  types: 'keep',
  check: needsNumber('clamp'),
  gradName: ([, low, high]) => (low.shape.length + high.shape.length > 0 ? 'ClampBackward0' : 'ClampBackward1'),
  body: (s, x, low, high) => s.min(s.max(x, low), high),
  vjp: c => {
    const [x, low, high] = [c.in(0), c.in(1), c.in(2)];
    const kept = logicalAnd(ge(x, low), le(x, high));
    return [
      where(kept, c.grad, 0),
      c.needs(1) ? where(logicalAnd(lt(x, low), lt(low, high)), c.grad, 0) : null,
      c.needs(2) ? where(logicalOr(gt(x, high), lt(high, low)), c.grad, 0) : null,
    ];
  },
  samples: [sample(random([6]), -0.5, 0.5), sample(random([2, 3]), random([3], -2, -1), random([3], 0, 1))],
});

export const clamp: Op<
  (input: Tensor, min?: Tensor | Scalar | null | ClampOptions, max?: Tensor | Scalar | null) => Tensor
> = composite({
  name: 'clamp',
  doc: 'The input limited to [min, max]; either may be left out. A min above the max gives the max.',
  signature: 'input: tensor, min: operand = null, max: operand = null',
  compute({ input, min, max }) {
    if (min === null && max === null) {
      return fail('E110', {
        op: 'clamp',
        problem: "At least one of 'min' or 'max' must not be None",
        hint: 'give a limit',
      });
    }
    if (max === null) return clampMin(input, min);
    return min === null ? clampMax(input, max) : clampBetween(input, min, max);
  },
  samples: [
    sample(random([6]), -0.5, 0.5),
    sample(random([4]), { max: 0.5 }),
    sample(random([4]), 0),
    sampleWithoutGradient(integers([6], -5, 5), -2, 2),
  ],
  errors: [{ args: [random([2])], message: /At least one of 'min' or 'max'/ }],
});

export interface ClampOptions {
  readonly min?: Tensor | Scalar | null;
  readonly max?: Tensor | Scalar | null;
}

/** PyTorch's other name for clamp. */
export const clip: typeof clamp = composite({
  name: 'clip',
  doc: 'Another name of clamp.',
  signature: 'input: tensor, min: operand = null, max: operand = null',
  compute: ({ input, min, max }) => clamp(input, min, max),
  samples: [sample(random([4]), -0.5, 0.5)],
});

const withoutNonfinite: Op<(input: Tensor, nan: number, posinf: number, neginf: number) => Tensor> = pointwise({
  name: 'withoutNonfinite',
  doc: 'NaN and the infinities replaced by numbers.',
  signature: 'input: tensor, nan: number, posinf: number, neginf: number',
  types: 'keep',
  body(s, x, { nan, posinf, neginf }) {
    if (!isFloatExpr(x)) return x;
    const finite = s.select(
      s.eq(x, Number.POSITIVE_INFINITY),
      s.constant(x.dtype, posinf),
      s.select(s.eq(x, Number.NEGATIVE_INFINITY), s.constant(x.dtype, neginf), x),
    );
    return s.select(s.isNan(x), s.constant(x.dtype, nan), finite);
  },
  vjp: c => [where(isfinite(c.in(0)), c.grad, 0)],
  samples: [
    sample(random([3]), 2, 100, -100),
    sampleWithoutGradient(
      exactly([4], [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1]),
      2,
      100,
      -100,
    ),
    sampleWithoutGradient(exactly([3], [1, 0, -1], 'int32'), 2, 100, -100),
  ],
});

interface NanToNumOptions {
  readonly nan?: number;
  readonly posinf?: number | null;
  readonly neginf?: number | null;
}
export const nanToNum: Op<
  (
    input: Tensor,
    nan?: number | NanToNumOptions,
    posinf?: number | null | NanToNumOptions,
    neginf?: number | null | NanToNumOptions,
  ) => Tensor
> = composite({
  name: 'nanToNum',
  gradName: 'NanToNumBackward0',
  doc: 'NaN and the infinities replaced by numbers; by default 0 and the limits of the dtype.',
  signature: 'input: tensor, nan: number = 0, posinf: number = null, neginf: number = null',
  compute({ input, nan, posinf, neginf }) {
    if (!isFloat(input.dtype)) return input.clone();
    const { min, max } = limitsOf(input.dtype);
    return withoutNonfinite(input, nan, posinf ?? max, neginf ?? min);
  },
  samples: [
    sample(random([3])),
    sampleWithoutGradient(exactly([3], [Number.NaN, Number.NEGATIVE_INFINITY, 1]), 2, null, -100),
  ],
});
