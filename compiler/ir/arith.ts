/**
 * Scalar arithmetic as it is written in op bodies: `s.mul(2, s.exp(x))`.
 *
 * A plain number becomes a constant of the type of the expression beside it. Nothing is evaluated: the result is an
 * expression of the loop IR, from which JavaScript, WASM and CUDA are written.
 */
import { InternalError, invariant } from '../errors.js';
import { call, cast, constant, type Expr, select } from './kernel.js';
import { type ElemType, type ScalarFn, scalarFns } from './scalar.js';

export type Operand = Expr | number;

type Calls = {
  readonly [F in ScalarFn]: (typeof scalarFns)[F]['arity'] extends 1
    ? (a: Expr) => Expr
    : (a: Operand, b: Operand) => Expr;
};

export interface Arith extends Calls {
  select(cond: Expr, yes: Operand, no: Operand): Expr;
  cast(dtype: ElemType, value: Expr): Expr;
  constant(dtype: ElemType, value: number | bigint | boolean): Expr;
  /** A polynomial by Horner's rule; coefficients from the highest power down. */
  poly(x: Expr, coefficients: readonly number[]): Expr;
  square(x: Expr): Expr;
  isNan(x: Expr): Expr;
}

function unify(a: Operand, b: Operand): [Expr, Expr] {
  if (typeof a !== 'number') return [a, typeof b === 'number' ? constant(a.dtype, b) : b];
  if (typeof b !== 'number') return [constant(b.dtype, a), b];
  throw new InternalError('a scalar function needs at least one expression among its arguments');
}

const calls = Object.fromEntries(
  Object.entries(scalarFns).map(([fn, spec]) => [
    fn,
    spec.arity === 1
      ? (a: Expr) => call(fn as ScalarFn, a)
      : (a: Operand, b: Operand) => call(fn as ScalarFn, ...unify(a, b)),
  ]),
) as unknown as Calls;

export const arith: Arith = {
  ...calls,
  select: (cond, yes, no) => select(cond, ...unify(yes, no)),
  cast,
  constant,
  poly(x, coefficients) {
    invariant(coefficients.length > 0, 'a polynomial needs coefficients');
    return coefficients
      .slice(1)
      .reduce<Expr>((sum, c) => arith.add(arith.mul(sum, x), c), constant(x.dtype, coefficients[0]));
  },
  square: x => call('mul', x, x),
  isNan: x => call('ne', x, x),
};
