/** What steps with bodies have in common: what a body is given, and what is taken from it. */
import type { DType } from '../../../compiler/ir/dtype.js';
import { isFloat } from '../../../compiler/ir/dtype.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { type Growth, randomType } from './growth.js';
import { adapted, type Source } from './program.js';

/** Draws steps into a block. */
export type Grow = (growth: Growth, steps: number) => void;

export const shapes = [[], [1], [3], [2, 3], [4, 1], [17], [0], [5, 8]];

export const loopType = ({ random, taste }: Growth): DType => randomType(random, taste);

/** Up to two earlier values, as they are. */
export const around = ({ random, numbers }: Growth): Source[] =>
  numbers.length === 0 ? [] : random.list(random.below(3), () => ({ value: random.of(numbers), as: null }));

export const exampleOf = (growth: Growth, { value, as }: Source): Tensor =>
  as === null ? growth.at(value) : adapted(growth.at(value), as);

/** The last value that a body made, and now and then another. */
export function made({ random, stepNumbers }: Growth): number[] {
  const last = stepNumbers.slice(-1);
  return stepNumbers.length > 1 && random.chance(0.4) ? [...last, random.of(stepNumbers)] : last;
}

/** What a carry is after a step: any value, but whole numbers after whole numbers. */
export function continuing(body: Growth, carry: number): number {
  const fitting = body.numbers.filter(
    number =>
      (body.at(number).numel() > 0 || body.at(carry).numel() === 0) &&
      (isFloat(body.at(carry).dtype) || !isFloat(body.at(number).dtype)),
  );
  const steps = fitting.filter(number => body.stepNumbers.includes(number));
  return body.random.of(steps.length > 0 ? steps : fitting);
}

export const parts = <T>(list: readonly T[], first: number, second: number): [T[], T[], T[]] => [
  list.slice(0, first),
  list.slice(first, first + second),
  list.slice(first + second),
];
