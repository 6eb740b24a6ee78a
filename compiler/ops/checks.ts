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
export function requireValues(values: Tensor, rule: ValueRule): void {
  look(values, rule);
}

/**
 * The values, once they are accepted. In a program that tells afterwards, 0 stands for those that are not: a position outside
 * memory would end it before.
 */
export function acceptedValues(values: Tensor, rule: Omit<ValueRule, 'measure'>): Tensor {
  const tellsAfterwards = look(values, rule);
  return tellsAfterwards ? values.maskedFill(rule.acceptsAll(values).logicalNot(), 0) : values;
}

/** Look at the values now; true where the program does, after it has run. */
function look(values: Tensor, { op, measure, accepts, acceptsAll, refuse }: ValueRule): boolean {
  const measured = (): Tensor => (measure === undefined ? values : measure(values.detach()));
  const isKnown = measure === undefined ? isConstant(values) : executor().kind === 'eager';
  if (!isKnown) {
    const holds = (): Tensor => noGrad(() => acceptsAll(measured()).all());
    return executor().checkLater?.(holds, () => refuse(null)) ?? false;
  }
  const refused = elements(noGrad(measured), op).find(value => !accepts(Number(value)));
  return refused === undefined ? false : refuse(Number(refused));
}
