/**
 * Errors that depend on values: an index beyond the end, a class that is none, a singular matrix.
 *
 * Eagerly the values are looked at before the op runs. In a trace there are none yet; where the caller asked for checks, the
 * condition becomes a result of the program, and whoever runs the program throws the error when it does not hold.
 */

import { noGrad } from './tape.js';
import { elements, executor, isConstant, type Tensor } from './tensor.js';

export interface ValueRule {
  readonly op: string;
  /** What is looked at, where it is not the values themselves. */
  readonly measure?: (values: Tensor) => Tensor;
  /** May the op be given this value? */
  readonly accepts: (value: number) => boolean;
  /** The same of many values, as a bool tensor. */
  readonly acceptsAll: (values: Tensor) => Tensor;
  /** Throws; `value` is the first that is not accepted, null where only the program has seen it. */
  readonly refuse: (value: number | null) => never;
}

/** Throws, now or when the program runs, unless the rule accepts all values. */
export function requireValues(values: Tensor, { op, measure, accepts, acceptsAll, refuse }: ValueRule): void {
  const measured = (): Tensor => (measure === undefined ? values : measure(values.detach()));
  const isKnown = measure === undefined ? isConstant(values) : executor().kind === 'eager';
  if (!isKnown) {
    executor().checkLater?.(
      () => noGrad(() => acceptsAll(measured()).all()),
      () => refuse(null),
    );
    return;
  }
  const refused = elements(noGrad(measured), op).find(value => !accepts(Number(value)));
  if (refused !== undefined) refuse(Number(refused));
}
