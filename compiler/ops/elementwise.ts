/** What elementwise ops have in common: the types of their calls, questions about operands, functions of one float. */
import { fail } from '../errors.js';
import type { Arith } from '../ir/arith.js';
import { type DType, isFloat } from '../ir/dtype.js';
import type { Expr } from '../ir/kernel.js';
import { type Op, pointwise } from './define.js';
import { random, type Sample, sample } from './samples.js';
import type { Operand } from './signature.js';
import type { VjpContext } from './tape.js';
import type { Tensor } from './tensor.js';

export type Unary = Op<(input: Tensor) => Tensor>;
export type Binary = Op<(input: Operand, other: Operand) => Tensor>;
export type Comparison = Binary;

export const infinity = Number.POSITIVE_INFINITY;

export const isFloatExpr = (x: Expr): boolean => x.dtype !== 'index' && isFloat(x.dtype);
export const needsFloat =
  (op: string) =>
  (promoted: DType): void => {
    if (!isFloat(promoted)) {
      fail('E108', { op, problem: `is defined on floats, not on ${promoted}`, hint: 'convert with .float() first' });
    }
  };

export const needsNumber =
  (op: string) =>
  (promoted: DType): void => {
    if (promoted === 'bool') {
      fail('E108', {
        op,
        problem: 'is defined on numbers, not on bool',
        hint: 'convert with .int() or .float() first',
      });
    }
  };

/** An elementary function on floats: integers are converted. */
export const elementary = (
  name: string,
  doc: string,
  body: (s: Arith, x: Expr) => Expr,
  derivative: (c: VjpContext) => Tensor,
  samples: readonly Sample[],
): Unary => pointwise({ name, doc, types: 'float', body, vjp: c => [derivative(c)], samples });

/** One sample of values in a range. */
export const on = (low: number, high: number): Sample[] => [sample(random([2, 3], low, high))];
