/**
 * Each scalar function in JavaScript. float32 results are rounded with Math.fround, narrow integers wrapped; int64 is bigint;
 * bool is 0 or 1.
 */
import type { ElemType, ScalarFn } from '../../compiler/ir/scalar.js';

type Spelling = (args: readonly string[], type: ElemType) => string;

const big = (type: ElemType): boolean => type === 'int64';
const isFloatType = (type: ElemType): boolean => type === 'float32' || type === 'float64';

/** `text` brought back into the range of an arithmetic type. */
export function wrap(text: string, type: ElemType): string {
  switch (type) {
    case 'float32':
      return `fround(${text})`;
    case 'int64':
      return `BigInt.asIntN(64,${text})`;
    case 'int32':
      return `(${text}|0)`;
    case 'int16':
      return `(${text}<<16>>16)`;
    case 'int8':
      return `(${text}<<24>>24)`;
    case 'uint8':
      return `(${text}&255)`;
    case 'bool':
      return `(${text}&1)`;
    default:
      return text;
  }
}

const infix =
  (operator: string): Spelling =>
  ([a, b], type) =>
    wrap(`(${a}${operator}${b})`, type);
const math =
  (name: string): Spelling =>
  ([a], type) =>
    wrap(`Math.${name}(${a})`, type);
const comparison =
  (operator: string): Spelling =>
  ([a, b]) =>
    `(${a}${operator}${b}?1:0)`;
const division =
  (name: string): Spelling =>
  ([a, b], type) =>
    big(type) ? wrap(`m.${name}Big(${a},${b})`, type) : wrap(`m.${name}Int(${a},${b})`, type);

export const spellings: { readonly [F in ScalarFn]: Spelling } = {
  add: infix('+'),
  sub: infix('-'),
  mul: ([a, b], type) => (type === 'int32' ? `Math.imul(${a},${b})` : wrap(`(${a}*${b})`, type)),
  div: infix('/'),
  floorDiv: (args, type) => (type === 'index' ? `Math.floor(${args[0]}/${args[1]})` : division('floorDiv')(args, type)),
  mod: (args, type) => division('mod')(args, type),
  truncDiv: division('truncDiv'),
  rem: ([a, b], type) => (isFloatType(type) ? `(${a}%${b})` : division('rem')([a, b], type)),
  min: ([a, b], type) => (big(type) ? `m.minBig(${a},${b})` : `Math.min(${a},${b})`),
  max: ([a, b], type) => (big(type) ? `m.maxBig(${a},${b})` : `Math.max(${a},${b})`),
  neg: ([a], type) => wrap(`(-${a})`, type),
  abs: ([a], type) => (big(type) ? wrap(`(${a}<0n?-${a}:${a})`, type) : wrap(`Math.abs(${a})`, type)),
  floor: math('floor'),
  ceil: math('ceil'),
  round: ([a], type) => wrap(`m.roundEven(${a})`, type),
  trunc: math('trunc'),
  sqrt: math('sqrt'),
  exp: math('exp'),
  expm1: math('expm1'),
  log: math('log'),
  log1p: math('log1p'),
  log2: math('log2'),
  log10: math('log10'),
  sin: math('sin'),
  cos: math('cos'),
  tan: math('tan'),
  asin: math('asin'),
  acos: math('acos'),
  atan: math('atan'),
  sinh: math('sinh'),
  cosh: math('cosh'),
  tanh: math('tanh'),
  sigmoid: ([a], type) => wrap(`1/(1+Math.exp(-${a}))`, type),
  asinh: math('asinh'),
  acosh: math('acosh'),
  atanh: math('atanh'),
  erf: ([a], type) => wrap(`m.erf(${a})`, type),
  pow: ([a, b], type) => wrap(`m.pow(${a},${b})`, type),
  atan2: ([a, b], type) => wrap(`Math.atan2(${a},${b})`, type),
  copysign: ([a, b]) => `m.copysign(${a},${b})`,
  eq: comparison('==='),
  ne: comparison('!=='),
  lt: comparison('<'),
  le: comparison('<='),
  gt: comparison('>'),
  ge: comparison('>='),
  and: infix('&'),
  or: infix('|'),
  xor: infix('^'),
  not: ([a], type) => (type === 'bool' ? `(${a}^1)` : wrap(`(~${a})`, type)),
  shl: infix('<<'),
  shr: infix('>>'),
  shrU: ([a, b], type) => {
    if (big(type)) return wrap(`(BigInt.asUintN(64,${a})>>${b})`, type);
    const unsigned = type === 'int8' ? `(${a}&255)` : type === 'int16' ? `(${a}&65535)` : a;
    return wrap(`(${unsigned}>>>${b})`, type);
  },
  mulHiU: ([a, b]) => `m.mulHiU(${a},${b})`,
};
