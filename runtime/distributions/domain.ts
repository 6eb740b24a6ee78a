/** Sets of numbers that parameters and samples of distributions are in. */
import type { Tensor } from '../../compiler/ops/tensor.js';

export interface Domain {
  /** As it stands after "to be". */
  readonly text: string;
  /** What is looked at, where it is not the values themselves. */
  readonly measure?: (values: Tensor) => Tensor;
  readonly accepts: (value: number) => boolean;
  /** The same of many values, as a bool tensor. */
  readonly acceptsAll: (values: Tensor) => Tensor;
}

export const real: Domain = {
  text: 'a number',
  accepts: value => !Number.isNaN(value),
  acceptsAll: values => values.isnan().logicalNot(),
};
/** From one bound of each place to another, both included. */
export const between = (low: Tensor, high: Tensor): Domain => ({
  text: 'between low and high',
  measure: values => values.ge(low).logicalAnd(values.le(high)),
  accepts: Boolean,
  acceptsAll: isBetween => isBetween,
});
export const positive: Domain = {
  text: 'above 0',
  accepts: value => value > 0,
  acceptsAll: values => values.gt(0),
};
export const nonnegative: Domain = {
  text: '0 or above',
  accepts: value => value >= 0,
  acceptsAll: values => values.ge(0),
};
export const unitInterval: Domain = {
  text: 'between 0 and 1',
  accepts: value => value >= 0 && value <= 1,
  acceptsAll: values => values.ge(0).logicalAnd(values.le(1)),
};
export const zeroOrOne: Domain = {
  text: '0 or 1',
  accepts: value => value === 0 || value === 1,
  acceptsAll: values => values.eq(0).logicalOr(values.eq(1)),
};
export const counts: Domain = {
  text: 'a whole number, 0 or above',
  accepts: value => value >= 0 && Number.isInteger(value),
  acceptsAll: values => values.ge(0).logicalAnd(values.eq(values.floor())),
};
export const below = (limit: number): Domain => ({
  text: `a whole number from 0 to ${limit - 1}`,
  accepts: value => value >= 0 && value < limit && Number.isInteger(value),
  acceptsAll: values => values.ge(0).logicalAnd(values.lt(limit)).logicalAnd(values.eq(values.floor())),
});
/** Vectors along the last dim of shares that add up to 1. */
export const simplex: Domain = {
  text: 'vectors of numbers from 0 that add up to 1',
  measure: values => values.ge(0).all(-1).logicalAnd(values.sum(-1).sub(1).abs().lt(1e-6)),
  accepts: Boolean,
  acceptsAll: isSimplex => isSimplex,
};
/** From a bound of each place on. */
export const atLeast = (low: Tensor): Domain => ({
  text: 'at or above the lower bound',
  measure: values => values.ge(low),
  accepts: Boolean,
  acceptsAll: isAbove => isAbove,
});
/** Whole numbers from 0 to a count of each place. */
export const countsUpTo = (count: Tensor): Domain => ({
  text: 'a whole number from 0 to the total count',
  measure: values => values.ge(0).logicalAnd(values.le(count)).logicalAnd(values.eq(values.floor())),
  accepts: Boolean,
  acceptsAll: isCount => isCount,
});
/** Vectors along the last dim of whole numbers from 0 that add up to a total. */
export const countsOf = (total: number): Domain => ({
  text: `vectors of whole numbers from 0 that add up to ${total}`,
  measure: values => values.ge(0).all(-1).logicalAnd(values.sum(-1).eq(total)),
  accepts: Boolean,
  acceptsAll: isCount => isCount,
});
export const belowOne: Domain = {
  text: 'from 0 up to, but without, 1',
  accepts: value => value >= 0 && value < 1,
  acceptsAll: values => values.ge(0).logicalAnd(values.lt(1)),
};
