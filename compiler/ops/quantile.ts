/** Quantiles: elements at fractions of the order, and between elements. */
import { fail } from '../errors.js';
import { normalizeDim } from '../ir/shape.js';
import { requireValues } from './checks.js';
import { composite, full, type Op } from './define.js';
import { exactly, random, sample } from './samples.js';
import type { Bound, Scalar } from './signature.js';
import { sort } from './sorting.js';
import { Tensor } from './tensor.js';

const interpolations = ['linear', 'lower', 'higher', 'midpoint', 'nearest'] as const;
type Interpolation = (typeof interpolations)[number];
interface QuantileOptions {
  readonly dim?: number | null;
  readonly keepdim?: boolean;
  readonly interpolation?: Interpolation;
}
type Quantile = Op<
  (
    input: Tensor,
    q: Tensor | number,
    dim?: number | null | QuantileOptions,
    keepdim?: boolean | QuantileOptions,
  ) => Tensor
>;

function checkQuantile(op: string, input: Tensor, q: Tensor | Scalar, interpolation: Interpolation): void {
  const refuse = (problem: string): never => fail('E110', { op, problem });
  if (input.numel() === 0) refuse('input tensor must be non-empty');
  if (input.dtype !== 'float32' && input.dtype !== 'float64')
    fail('E108', { op, problem: `input tensor must be either float32 or float64, not ${input.dtype}` });
  if (!interpolations.includes(interpolation))
    refuse(`interpolation must be one of ${interpolations.join(', ')}, but got ${interpolation}`);
  const outside = (value: number | null): never =>
    refuse(`q must be in the range [0, 1]${value === null ? '' : ` but got ${value}`}`);
  if (!(q instanceof Tensor)) {
    if (!(Number(q) >= 0 && Number(q) <= 1)) outside(Number(q));
    return;
  }
  requireValues(q, {
    op,
    accepts: value => value >= 0 && value <= 1,
    acceptsAll: all => all.ge(0).logicalAnd(all.le(1)),
    refuse: outside,
  });
}

/** Elements of lines in order at places that need not be whole, both with the places in the first dim. */
function between(sorted: Tensor, place: Tensor, interpolation: Interpolation): Tensor {
  const at = (rank: Tensor): Tensor => sorted.gather(0, rank.long());
  if (interpolation === 'nearest') return at(place.round());
  if (interpolation === 'higher') return at(place.ceil());
  const rank = place.floor();
  const low = at(rank);
  if (interpolation === 'lower') return low;
  const rest = place.sub(rank);
  const weight = interpolation === 'midpoint' ? rest.gt(0).to(rest.dtype).mul(0.5) : rest;
  return low.add(at(place.ceil()).sub(low).mul(weight));
}

/** `ignoreNan`: of the elements that are numbers; else NaN makes the quantile of its line NaN. */
const quantileOp = (name: string, doc: string, ignoreNan: boolean): Quantile =>
  composite({
    name,
    doc,
    signature: "input: tensor, q: operand, dim: int = null, keepdim: bool = false, *, interpolation: string = 'linear'",
    compute({ input, q, dim, keepdim, interpolation }: Bound): Tensor {
      checkQuantile(name, input, q, interpolation);
      const line: Tensor = dim === null ? input.reshape([-1]) : input;
      const d = dim === null ? 0 : normalizeDim(name, dim, input.ndim);
      const sorted = sort(line, d).values.movedim(d, 0);
      const missing = sorted.detach().isnan();
      const fractions: Tensor = q instanceof Tensor ? q.reshape([-1]) : full([1], Number(q), { dtype: input.dtype });
      const across = fractions.reshape([-1, ...new Array<number>(sorted.ndim - 1).fill(1)]);
      const last = ignoreNan
        ? missing.logicalNot().sum(0, { keepdim: true }).sub(1).clamp(0).to(input.dtype)
        : missing
            .narrow(0, 0, 1)
            .to(input.dtype)
            .mul(0)
            .add(line.shape[d] - 1);
      const found = between(sorted, across.mul(last), interpolation);
      const whole = ignoreNan ? found : found.maskedFill(missing.any(0, { keepdim: true }), Number.NaN);
      const kept = keepdim ? whole.unsqueeze(dim === null ? 1 : d + 1) : whole;
      const shaped = keepdim && dim === null ? kept.reshape([fractions.numel(), ...input.shape.map(() => 1)]) : kept;
      return q instanceof Tensor && q.ndim > 0 ? shaped : shaped.squeeze(0);
    },
    samples: [
      sample(random([5]), 0.3),
      sample(random([2, 5]), exactly([2], [0.3, 0.9]), 1),
      sample(random([2, 4]), 0.5, 0, { keepdim: true }),
      sample(random([5]), 0.3, { interpolation: 'midpoint' }),
    ],
  });

export const quantile: Quantile = quantileOp(
  'quantile',
  'Elements at fractions q of the order along a dim (of all elements without one), interpolated.',
  false,
);
export const nanquantile: Quantile = quantileOp(
  'nanquantile',
  'The quantiles of the elements that are not NaN; NaN where there are none.',
  true,
);
