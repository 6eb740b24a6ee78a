/**
 * How scalar functions, constants and conversions are written in CUDA C: one entry per function of `compiler/ir/scalar.ts`;
 * a missing one does not compile.
 *
 * Values of the 16-bit floats are C floats that hold only representable values: loads widen, every call and every
 * conversion rounds. Integer arithmetic wraps and division by zero gives zero, which plain C leaves undefined; the
 * functions of `helpers.ts` say so.
 */
import { type DType, isFloat, limitsOf, tableOfReals } from '../../compiler/ir/dtype.js';
import { type ElemType, type ReduceFn, type ScalarFn, scalarFns } from '../../compiler/ir/scalar.js';

/** A piece of C and how tightly its outermost operator binds; the numbers are those of the C++ precedence table, negated. */
export interface Code {
  readonly text: string;
  readonly binds: number;
}
export const atom = (text: string): Code => ({ text, binds: 0 });
export const unaryLevel = -3;
const levels: Record<string, number> = {
  '*': -5,
  '/': -5,
  '%': -5,
  '+': -6,
  '-': -6,
  '<<': -7,
  '>>': -7,
  '<': -9,
  '<=': -9,
  '>': -9,
  '>=': -9,
  '==': -10,
  '!=': -10,
  '&': -11,
  '^': -12,
  '|': -13,
  '&&': -14,
  '||': -15,
}; // prettier-ignore
export const ternaryLevel = -16;

/** Text of an operand of an operator at `level`, in parentheses where it binds less tightly. */
export const operand = (code: Code, level: number): string => (code.binds >= level ? code.text : `(${code.text})`);

export function infix(op: string, a: Code, b: Code): Code {
  const level = levels[op];
  const associative = op === '&&' || op === '||';
  return { text: `${operand(a, level)} ${op} ${operand(b, associative ? level : level + 1)}`, binds: level };
}
const prefix = (op: string, a: Code): Code => ({ text: `${op}${operand(a, unaryLevel + 1)}`, binds: unaryLevel });
const invoke = (name: string, ...args: Code[]): Code => atom(`${name}(${args.map(arg => arg.text).join(', ')})`);
const convert = (type: string, a: Code): Code => ({ text: `(${type})${operand(a, unaryLevel)}`, binds: unaryLevel });

// ── types ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What an element is in memory. */
export const storageType = tableOfReals({
  bool: 'unsigned char',
  uint8: 'unsigned char',
  int8: 'signed char',
  int16: 'short',
  int32: 'int',
  int64: 'long long',
  float16: '__half',
  bfloat16: '__nv_bfloat16',
  float32: 'float',
  float64: 'double',
});

/** What a value is in a register. */
export const valueType: Record<ElemType, string> = {
  ...storageType,
  bool: 'bool',
  float16: 'float',
  bfloat16: 'float',
  index: 'int',
};

const isHalf = (dtype: ElemType): dtype is 'float16' | 'bfloat16' => dtype === 'float16' || dtype === 'bfloat16';
const isNarrow = (dtype: ElemType): boolean => dtype === 'uint8' || dtype === 'int8' || dtype === 'int16';
const isWide = (dtype: ElemType): boolean => dtype === 'int32' || dtype === 'int64';
const isReal = (dtype: ElemType): boolean => dtype !== 'index' && isFloat(dtype);

/** The value of an element that was read. */
export function fromStorage(dtype: DType, element: string): Code {
  if (dtype === 'bool') return infix('!=', atom(element), atom('0'));
  if (dtype === 'float16') return invoke('__half2float', atom(element));
  if (dtype === 'bfloat16') return invoke('__bfloat162float', atom(element));
  return atom(element);
}

/** What is written to store a value. */
export function toStorage(dtype: DType, value: Code): string {
  if (dtype === 'float16') return `__float2half_rn(${value.text})`;
  if (dtype === 'bfloat16') return `__float2bfloat16_rn(${value.text})`;
  return value.text;
}

// ── constants and conversions ──────────────────────────────────────────────────────────────────────────────────────────

export function literal(dtype: ElemType, value: number | bigint): Code {
  if (typeof value === 'bigint') return value === -(2n ** 63n) ? atom('LLONG_MIN') : signed(`${value}LL`);
  if (dtype === 'bool') return atom(value ? 'true' : 'false');
  if (!isReal(dtype)) return value === -(2 ** 31) ? atom('INT_MIN') : signed(String(value));
  const suffix = dtype === 'float64' ? '' : 'f';
  if (Number.isNaN(value)) return convertIf(dtype === 'float64', 'NAN');
  if (!Number.isFinite(value)) return signed(`${value < 0 ? '-' : ''}${dtype === 'float64' ? '(double)' : ''}INFINITY`);
  const digits = Object.is(value, -0) ? '-0' : dtype === 'float64' ? String(value) : shortestFloat(value);
  return signed((/[.e]/.test(digits) ? digits : `${digits}.0`) + suffix);
}
const convertIf = (condition: boolean, text: string): Code => (condition ? convert('double', atom(text)) : atom(text));
const signed = (text: string): Code => ({ text, binds: text.startsWith('-') || text.startsWith('(') ? unaryLevel : 0 });

/** The fewest digits that read back as the same float32. */
function shortestFloat(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === Math.fround(value)) return text;
  }
  return String(Number(value.toPrecision(9)));
}

const round = (dtype: 'float16' | 'bfloat16', value: Code): Code =>
  invoke(dtype === 'float16' ? 'round_to_half' : 'round_to_bfloat16', value);

/** Conversion of values as PyTorch's `to`. */
export function castTo(to: ElemType, from: ElemType, value: Code): Code {
  if (to === 'bool') return infix('!=', value, literal(from, from === 'int64' ? 0n : 0));
  if (isHalf(to)) return round(to, from === 'float64' ? convert('float', value) : value);
  if (valueType[to] === valueType[from]) return value;
  if (isNarrow(to) && isReal(from)) return convert(valueType[to], convert('int', value));
  return convert(valueType[to], value);
}

/** The same bits as another type of equal width. */
export function bitcastTo(to: DType, from: ElemType, value: Code): Code {
  if (isHalf(from)) return convert(valueType[to], invoke(from === 'float16' ? 'half_bits' : 'bfloat16_bits', value));
  const spelled: Partial<Record<DType, string>> = {
    float16: 'half_from_bits',
    bfloat16: 'bfloat16_from_bits',
    float32: '__int_as_float',
    float64: '__longlong_as_double',
    int32: '__float_as_int',
    int64: '__double_as_longlong',
  };
  const name = isReal(to) || isReal(from) ? spelled[to] : undefined;
  return name === undefined ? convert(valueType[to], value) : invoke(name, value);
}

// ── functions ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type Spelling = (dtype: ElemType, a: Code, b: Code) => Code;

/** An operator whose C meaning is the wanted one on floats and indices, wraps through unsigned on wide integers. */
const arithmetic =
  (op: string, wrapping: string): Spelling =>
  (dtype, a, b) => {
    if (isWide(dtype)) return invoke(wrapping, a, b);
    return isNarrow(dtype) ? convert(valueType[dtype], infix(op, a, b)) : infix(op, a, b);
  };
/** A function of the C library: `expf` for float, `exp` for double. */
const math =
  (name: string): Spelling =>
  (dtype, a) =>
    invoke(dtype === 'float64' ? name : `${name}f`, a);
const math2 =
  (name: string): Spelling =>
  (dtype, a, b) =>
    invoke(dtype === 'float64' ? name : `${name}f`, a, b);
const compare =
  (op: string): Spelling =>
  (_dtype, a, b) =>
    infix(op, a, b);
const integer =
  (helper: string): Spelling =>
  (dtype, a, b) =>
    invoke(isNarrow(dtype) ? `${helper}<${valueType[dtype]}>` : helper, a, b);
const bitwise =
  (op: string, logical: string): Spelling =>
  (dtype, a, b) =>
    dtype === 'bool'
      ? infix(logical, a, b)
      : isNarrow(dtype)
        ? convert(valueType[dtype], infix(op, a, b))
        : infix(op, a, b);
const extremum =
  (name: 'min' | 'max'): Spelling =>
  (dtype, a, b) =>
    isReal(dtype)
      ? invoke(`nan_${name}`, a, b)
      : isNarrow(dtype)
        ? convert(valueType[dtype], invoke(name, a, b))
        : invoke(name, a, b);

const spellings: { readonly [F in ScalarFn]: Spelling } = {
  add: arithmetic('+', 'wrap_add'),
  sub: arithmetic('-', 'wrap_sub'),
  mul: arithmetic('*', 'wrap_mul'),
  div: (_dtype, a, b) => infix('/', a, b),
  floorDiv: integer('floor_div'),
  mod: integer('floor_mod'),
  truncDiv: integer('trunc_div'),
  rem: (dtype, a, b) => (isReal(dtype) ? math2('fmod')(dtype, a, b) : integer('trunc_mod')(dtype, a, b)),
  min: extremum('min'),
  max: extremum('max'),
  neg: (dtype, a) =>
    isWide(dtype)
      ? invoke('wrap_sub', literal(dtype, dtype === 'int64' ? 0n : 0), a)
      : isNarrow(dtype)
        ? convert(valueType[dtype], prefix('-', a))
        : prefix('-', a),
  abs: (dtype, a) => (isReal(dtype) ? math('fabs')(dtype, a, a) : invoke('wrap_abs', a)),
  floor: math('floor'),
  ceil: math('ceil'),
  round: math('rint'),
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
  sigmoid: (dtype, a) => {
    const one = literal(dtype, 1);
    return infix('/', one, infix('+', one, math('exp')(dtype, prefix('-', a), a)));
  },
  asinh: math('asinh'),
  acosh: math('acosh'),
  atanh: math('atanh'),
  erf: math('erf'),
  pow: math2('pow'),
  atan2: math2('atan2'),
  copysign: math2('copysign'),
  eq: compare('=='),
  ne: compare('!='),
  lt: compare('<'),
  le: compare('<='),
  gt: compare('>'),
  ge: compare('>='),
  and: bitwise('&', '&&'),
  or: bitwise('|', '||'),
  xor: bitwise('^', '!='),
  not: (dtype, a) =>
    dtype === 'bool' ? prefix('!', a) : isNarrow(dtype) ? convert(valueType[dtype], prefix('~', a)) : prefix('~', a),
  shl: (dtype, a, b) => convert(valueType[dtype], invoke('shift_left', a, b)),
  shr: (dtype, a, b) => convert(valueType[dtype], invoke('shift_right', a, b)),
  shrU: (dtype, a, b) => convert(valueType[dtype], invoke('shift_right_zeros', a, b)),
  mulHiU: (_dtype, a, b) => convert('int', atom(`__umulhi(${a.text}, ${b.text})`)),
};

/** A call of `fn` on arguments of type `dtype`. */
export function spell(fn: ScalarFn, dtype: ElemType, args: readonly Code[]): Code {
  const code = spellings[fn](dtype, args[0], args[1]);
  return isHalf(dtype) && scalarFns[fn].rule === 'same' ? round(dtype, code) : code;
}

/** The combination of two values by a reduction. */
export const combine = (fn: ReduceFn, dtype: DType, a: Code, b: Code): Code => spell(fn, dtype, [a, b]);

/** The value that changes nothing when combined. */
export function identityOf(fn: ReduceFn, dtype: DType): number | bigint {
  const as = (value: number | bigint): number | bigint => (dtype === 'int64' ? BigInt(value) : Number(value));
  switch (fn) {
    case 'add':
    case 'or':
      return as(0);
    case 'mul':
      return as(1);
    case 'and':
      return as(dtype === 'bool' ? 1 : -1);
    case 'max':
      return isFloat(dtype) ? -Infinity : dtype === 'int64' ? -(2n ** 63n) : limitsOf(dtype).min;
    case 'min':
      return isFloat(dtype) ? Infinity : dtype === 'int64' ? 2n ** 63n - 1n : limitsOf(dtype).max;
    default:
      return fn satisfies never;
  }
}
