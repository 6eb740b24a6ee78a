/**
 * The line search for the strong Wolfe conditions: Nocedal and Wright, "Numerical Optimization" (2006), algorithms 3.5 and 3.6,
 * with PyTorch's bounds and order of decisions.
 *
 * One loop for both of its phases: a first length is lengthened until a minimum is bracketed, then the bracket narrows. All
 * that it decides is arithmetic on tensors, so that an entry compiles it; the loss is evaluated in one place.
 */
import { cond } from '../../compiler/autodiff/control/cond.js';
import { whileLoop } from '../../compiler/autodiff/control/while-loop.js';
import { maximum, minimum } from '../../compiler/ops/extrema.js';
import { where } from '../../compiler/ops/selection.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { scalar } from './per-group.js';

/** The loss and its gradient at a point; the numbers here are 0-d float64. */
export type Sample = { readonly loss: Tensor; readonly grad: Tensor };
/** A point of the search, with the slope of the loss along the direction. */
export type Point = Sample & { readonly length: Tensor; readonly slope: Tensor };

export const dot = (a: Tensor, b: Tensor): Tensor => a.to('float64').mul(b.to('float64')).sum();
export const largest = (a: Tensor): Tensor => a.abs().amax().to('float64');
export const flag = (value: boolean): Tensor => scalar(Number(value)).to('bool');

/** Sufficient decrease, sufficient flattening, and the bounds of the search, as PyTorch sets them. */
const wolfe = { decrease: 1e-4, flatness: 0.9, toleranceChange: 1e-9, iterations: 25 };

type State = {
  /** The bracket, once there is one, and which end is the lower. */
  readonly first: Point;
  readonly second: Point;
  readonly firstIsLow: Tensor;
  readonly isBracketed: Tensor;
  /** The point before, while there is no bracket. */
  readonly previous: Point;
  /** The length to try next. */
  readonly length: Tensor;
  /** The last length was too close to an end. */
  readonly isStalled: Tensor;
  readonly iteration: Tensor;
  readonly evaluations: Tensor;
  readonly going: Tensor;
};

/** One of two numbers. Eagerly, where the condition is there, no op is run for it. */
const either = (condition: Tensor, yes: Tensor, no: Tensor): Tensor =>
  isConstant(condition) ? (condition.item<boolean>() ? yes : no) : where(condition, yes, no);
function choose<T extends Readonly<Record<string, Tensor>>>(condition: Tensor, yes: T, no: T): T {
  return Object.fromEntries(Object.keys(yes).map(key => [key, either(condition, yes[key], no[key])])) as unknown as T;
}

/** A length along `direction` at which the loss has fallen enough and its slope has flattened enough. */
export function strongWolfe(
  sampleAt: (length: Tensor) => Sample,
  firstLength: Tensor,
  direction: Tensor,
  origin: Sample,
  slope: Tensor,
): { readonly point: Point; readonly evaluations: Tensor } {
  const start: Point = { loss: origin.loss, grad: origin.grad, length: scalar(0), slope };
  const isTooHigh = ({ loss, length }: Point): Tensor =>
    loss.gt(origin.loss.add(length.mul(slope).mul(wolfe.decrease)));
  const isFlat = (point: Point): Tensor => point.slope.abs().le(slope.mul(-wolfe.flatness));
  const extent = largest(direction);

  const step = (state: State): State => {
    const sample = sampleAt(state.length);
    const point: Point = { ...sample, length: state.length.clone(), slope: dot(sample.grad, direction) };
    const seen = { point, isTooHigh: isTooHigh(point), isFlat: isFlat(point) };
    const next = cond(
      state.isBracketed,
      () => narrowed(state, seen),
      () => lengthened(state, seen, start),
    );
    return nextLength({ ...next, evaluations: state.evaluations.add(1) }, extent);
  };
  const { first, second, firstIsLow, evaluations } = whileLoop(({ going }: State) => going, step, {
    first: start,
    second: start,
    firstIsLow: flag(true),
    isBracketed: flag(false),
    previous: start,
    length: firstLength,
    isStalled: flag(false),
    iteration: scalar(0),
    evaluations: scalar(0),
    going: flag(true),
  });
  return { point: choose(firstIsLow, first, second), evaluations };
}

interface Seen {
  readonly point: Point;
  readonly isTooHigh: Tensor;
  readonly isFlat: Tensor;
}

/** No bracket yet: the point and the one before may be one, or the point may do; else a longer step comes next. */
function lengthened(state: State, { point, isTooHigh, isFlat }: Seen, start: Point): State {
  const { previous, iteration } = state;
  const isLast = iteration.ge(wolfe.iterations);
  const hasRisen = isTooHigh.logicalOr(iteration.gt(1).logicalAnd(point.loss.ge(previous.loss)));
  const isDone = isLast.logicalNot().logicalAnd(hasRisen.logicalNot()).logicalAnd(isFlat);
  const isBracketed = isLast.logicalOr(hasRisen).logicalOr(isFlat).logicalOr(point.slope.ge(0));
  const first = choose(isLast, start, choose(isDone, point, previous));
  const gap = point.length.sub(previous.length);
  const longer = cubicMinimum(previous, point, point.length.add(gap.mul(0.01)), point.length.mul(10));
  return {
    ...state,
    first,
    second: point,
    firstIsLow: first.loss.le(point.loss),
    isBracketed,
    previous: point,
    length: either(isBracketed, point.length, longer),
    iteration: iteration.add(isBracketed.logicalNot().to('float64')),
    going: isDone.logicalNot(),
  };
}

/** The point takes the place of one end of the bracket. */
function narrowed(state: State, { point, isTooHigh, isFlat }: Seen): State {
  const { first, second, firstIsLow } = state;
  const [low, high] = [choose(firstIsLow, first, second), choose(firstIsLow, second, first)];
  const isWorse = isTooHigh.logicalOr(point.loss.ge(low.loss));
  const isDone = isWorse.logicalNot().logicalAnd(isFlat);
  const turns = isFlat.logicalNot().logicalAnd(point.slope.mul(high.length.sub(low.length)).ge(0));
  const newLow = choose(isWorse, low, point);
  const newHigh = choose(isWorse, point, choose(turns, low, high));
  const ends = { first: choose(firstIsLow, newLow, newHigh), second: choose(firstIsLow, newHigh, newLow) };
  return {
    ...state,
    ...ends,
    firstIsLow: either(isWorse, ends.first.loss.le(ends.second.loss), firstIsLow),
    previous: state.previous,
    going: isDone.logicalNot(),
  };
}

/** Within a bracket: the next length, kept away from its ends where they do not move; or the end. */
function nextLength(state: State, extent: Tensor): State {
  const { first, second, iteration } = state;
  const [least, most] = [minimum(first.length, second.length), maximum(first.length, second.length)];
  const width = most.sub(least);
  const best = cubicMinimum(first, second, least, most);
  const margin = width.mul(0.1);
  const isNear = minimum(most.sub(best), best.sub(least)).lt(margin);
  const isPushed = isNear.logicalAnd(state.isStalled.logicalOr(best.ge(most)).logicalOr(best.le(least)));
  const isNearerMost = best.sub(most).abs().lt(best.sub(least).abs());
  const pushed = either(isNearerMost, most.sub(margin), least.add(margin));
  const narrows = state.going.logicalAnd(state.isBracketed);
  const goesOn = iteration.lt(wolfe.iterations).logicalAnd(width.mul(extent).ge(wolfe.toleranceChange));
  return {
    ...state,
    length: either(narrows, either(isPushed, pushed, best), state.length),
    isStalled: either(narrows, isNear.logicalAnd(isPushed.logicalNot()), state.isStalled),
    iteration: iteration.add(narrows.to('float64')),
    going: either(narrows, goesOn, state.going),
  };
}

/** Where the cubic through two points with their slopes is least, within bounds. */
function cubicMinimum(a: Point, b: Point, least: Tensor, most: Tensor): Tensor {
  const d1 = a.slope.add(b.slope).sub(a.loss.sub(b.loss).mul(3).div(a.length.sub(b.length)));
  const square = d1.mul(d1).sub(a.slope.mul(b.slope));
  const d2 = square.sqrt();
  const isOrdered = a.length.le(b.length);
  const [left, right] = [choose(isOrdered, a, b), choose(isOrdered, b, a)];
  const share = right.slope
    .add(d2)
    .sub(d1)
    .div(right.slope.sub(left.slope).add(d2.mul(2)));
  const found = right.length.sub(right.length.sub(left.length).mul(share));
  return either(square.ge(0), minimum(maximum(found, least), most), least.add(most).div(2));
}
