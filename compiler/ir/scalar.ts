/**
 * The scalar functions that kernels may call: arity, type rule and meaning. The closed list every backend spells.
 *
 * A new function is a line here and an entry in each backend's table; a missing entry does not compile. Anything that can
 * be said with these is not added but written as an op's body.
 *
 * Meaning on floats is IEEE 754 in the dtype of the arguments; on integers arithmetic wraps. `index` (addresses and loop
 * counters) is exact and never wraps.
 */
import type { DType } from './dtype.js';

/** Element types of kernel expressions: the dtypes, and `index` for loop counters and addresses. */
export type ElemType = DType | 'index';

/**
 * `same`: all arguments and the result have one type. `compare`: arguments of one type, result bool.
 * `domain` restricts the argument types: any, number (int, float, index), int (int, index), float, bits (bool, int).
 */
interface ScalarSpec {
  readonly arity: 1 | 2;
  readonly rule: 'same' | 'compare';
  readonly domain: 'any' | 'number' | 'int' | 'float' | 'bits';
  readonly doc: string;
}
const unary = (domain: ScalarSpec['domain'], doc: string) => ({ arity: 1, rule: 'same', domain, doc }) as const;
const binary = (domain: ScalarSpec['domain'], doc: string) => ({ arity: 2, rule: 'same', domain, doc }) as const;
const compare = (doc: string) => ({ arity: 2, rule: 'compare', domain: 'any', doc }) as const;

export const scalarFns = {
  add: binary('number', 'a + b'),
  sub: binary('number', 'a - b'),
  mul: binary('number', 'a * b'),
  div: binary('float', 'a / b'),
  floorDiv: binary('int', 'floor(a / b) of integers; b = 0 gives 0'),
  mod: binary('int', 'a - floor(a / b) * b of integers, the sign of b; b = 0 gives 0'),
  truncDiv: binary('int', 'a / b rounded toward zero; b = 0 gives 0'),
  rem: binary('number', 'remainder of truncated division, the sign of a (C fmod); integer b = 0 gives 0'),
  min: binary('number', 'the smaller; NaN if either is NaN'),
  max: binary('number', 'the larger; NaN if either is NaN'),
  neg: unary('number', '-a'),
  abs: unary('number', '|a|'),
  floor: unary('float', 'round down'),
  ceil: unary('float', 'round up'),
  round: unary('float', 'round to nearest, ties to even'),
  trunc: unary('float', 'round toward zero'),
  sqrt: unary('float', 'square root'),
  exp: unary('float', 'e^a'),
  expm1: unary('float', 'e^a - 1, accurate near 0'),
  log: unary('float', 'natural logarithm'),
  log1p: unary('float', 'log(1 + a), accurate near 0'),
  log2: unary('float', 'logarithm to base 2'),
  log10: unary('float', 'logarithm to base 10'),
  sin: unary('float', 'sine'),
  cos: unary('float', 'cosine'),
  tan: unary('float', 'tangent'),
  asin: unary('float', 'arc sine'),
  acos: unary('float', 'arc cosine'),
  atan: unary('float', 'arc tangent'),
  sinh: unary('float', 'hyperbolic sine'),
  cosh: unary('float', 'hyperbolic cosine'),
  tanh: unary('float', 'hyperbolic tangent'),
  asinh: unary('float', 'inverse hyperbolic sine'),
  acosh: unary('float', 'inverse hyperbolic cosine'),
  atanh: unary('float', 'inverse hyperbolic tangent'),
  sigmoid: unary('float', '1 / (1 + e^-a)'),
  erf: unary('float', 'error function'),
  pow: binary('float', 'a^b as C pow'),
  atan2: binary('float', 'angle of (b, a)'),
  copysign: binary('float', 'magnitude of a, sign of b'),
  eq: compare('a == b'),
  ne: compare('a != b; true for NaN'),
  lt: compare('a < b'),
  le: compare('a <= b'),
  gt: compare('a > b'),
  ge: compare('a >= b'),
  and: binary('bits', 'bitwise and; logical on bool'),
  or: binary('bits', 'bitwise or; logical on bool'),
  xor: binary('bits', 'bitwise exclusive or'),
  not: unary('bits', 'bitwise complement; logical on bool'),
  shl: binary('int', 'a << b'),
  shr: binary('int', 'a >> b, copying the sign'),
  shrU: binary('int', 'a >> b, filling with zeros'),
  mulHiU: binary('int', 'high 32 bits of the product of two int32 read as unsigned (int32 only)'),
} as const satisfies Record<string, ScalarSpec>;

export type ScalarFn = keyof typeof scalarFns;
export const isScalarFn = (name: string): name is ScalarFn => Object.hasOwn(scalarFns, name);

/** The result type of a call. */
export const scalarResult = (fn: ScalarFn, argument: ElemType): ElemType =>
  scalarFns[fn].rule === 'compare' ? 'bool' : argument;

/** How values are combined in reductions; each is commutative and associative up to rounding. */
export type ReduceFn = 'add' | 'mul' | 'max' | 'min' | 'and' | 'or';
