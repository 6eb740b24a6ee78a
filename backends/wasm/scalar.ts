/**
 * How each scalar function is written in WASM: an instruction, an expression of other functions put in its place, or an
 * internal function (`helper`). Vectors are written from the same expressions.
 */

import { arith as s } from '../../compiler/ir/arith.js';
import { type Expr, when } from '../../compiler/ir/kernel.js';
import type { ElemType, ScalarFn } from '../../compiler/ir/scalar.js';
import { valueType } from './frame.js';
import * as math from './math.js';
import * as single from './math-single.js';

type Expand = (...args: Expr[]) => Expr;
type Instruction = { readonly kind: 'instruction'; readonly name: string };
/** `holds`: where the expression is the function; elsewhere lanes are computed one by one. */
type Inline = { readonly kind: 'inline'; readonly expand: Expand; readonly holds?: Expand };
export type ScalarForm = Instruction | Inline | { readonly kind: 'helper'; readonly define: math.Definition };
/** `shift`: one amount for all lanes. */
export type VectorForm = Instruction | Inline | { readonly kind: 'shift'; readonly name: string };

export interface Spelling {
  /** Null where the function is not defined on the type. */
  scalar(type: ElemType): ScalarForm | null;
  /** Null where lanes are computed one by one. */
  vector(type: ElemType): VectorForm | null;
}

type Kind = 'i32' | 'i64' | 'f32' | 'f64' | 'bool';
interface Forms {
  readonly scalar: Partial<Record<Kind, ScalarForm>>;
  readonly vector: Partial<Record<'i32' | 'f32' | 'bool', VectorForm>>;
}

function spell(...parts: readonly Forms[]): Spelling {
  const scalar = Object.assign({}, ...parts.map(part => part.scalar)) as Forms['scalar'];
  const vector = Object.assign({}, ...parts.map(part => part.vector)) as Forms['vector'];
  return {
    scalar: type => (type === 'bool' ? scalar.bool : undefined) ?? scalar[valueType(type) as Kind] ?? null,
    vector: type => (type === 'bool' ? vector.bool : type === 'float32' ? vector.f32 : vector.i32) ?? null,
  };
}

const instruction = (name: string): Instruction => ({ kind: 'instruction', name });
const inline = (expand: Expand): Inline => ({ kind: 'inline', expand });

/** One instruction on floats; its names in scalar code and in vectors are the same. */
const float = (name: string): Forms => ({
  scalar: { f32: instruction(`f32.${name}`), f64: instruction(`f64.${name}`) },
  vector: { f32: instruction(`f32x4.${name}`) },
});
const int = (name: string, vectorName: string | null = name): Forms => ({
  scalar: { i32: instruction(`i32.${name}`), i64: instruction(`i64.${name}`) },
  vector: vectorName === null ? {} : { i32: instruction(`i32x4.${vectorName}`) },
});
const number = (name: string): Forms => ({
  scalar: { ...float(name).scalar, ...int(name).scalar },
  vector: { ...float(name).vector, ...int(name).vector },
});
/** An expression on integers; in vectors too where they have no instruction for it. */
const intExpr = (expand: Expand, vectorName: string | null = null): Forms => ({
  scalar: { i32: inline(expand), i64: inline(expand) },
  vector: { i32: vectorName === null ? inline(expand) : instruction(vectorName) },
});
const comparison = (name: string): Forms => ({
  scalar: { ...float(name).scalar, ...int(`${name}_s`).scalar },
  vector: { ...float(name).vector, ...int(`${name}_s`).vector },
});
const equality = (name: string): Forms => ({
  scalar: number(name).scalar,
  vector: { ...number(name).vector, bool: instruction(`i32x4.${name}`) },
});
const bits = (name: string): Forms => ({
  scalar: int(name).scalar,
  vector: { i32: instruction(`v128.${name}`), bool: instruction(`v128.${name}`) },
});
const shift = (name: string): Forms => ({
  scalar: int(name).scalar,
  vector: { i32: { kind: 'shift', name: `i32x4.${name}` } },
});

/**
 * A function of its own for each float type: an internal function in scalar code, in vectors the float32 expression in
 * place, where there is one of moderate length.
 */
function transcendental(
  f64: math.Definition,
  f32: math.Definition | null = null,
  vector: Expand | null = null,
): Spelling {
  const single = f32 ?? (vector ? math.defined(vector) : math.viaDouble(f64));
  return spell({
    scalar: { f64: { kind: 'helper', define: f64 }, f32: { kind: 'helper', define: single } },
    vector: vector ? { f32: inline(vector) } : {},
  });
}

/** `f32` where it holds, elsewhere by way of float64: in vectors lane by lane. */
function whereItHolds(f64: math.Definition, wide: math.Definition, f32: Expand, holds: Expand): Spelling {
  const define: math.Definition = (result, args) =>
    when(holds(...args), math.defined(f32)(result, args), math.viaDouble(wide)(result, args));
  return spell({
    scalar: { f64: { kind: 'helper', define: f64 }, f32: { kind: 'helper', define } },
    vector: { f32: { kind: 'inline', expand: f32, holds } },
  });
}
const circular = (f64: math.Definition, f32: Expand): Spelling => whereItHolds(f64, f64, f32, single.isModerateAngle);

/** Truncated and floor division differ where the remainder is not 0 and the signs differ. */
function needsFloor(remainder: Expr, divisor: Expr): Expr {
  return s.and(s.ne(remainder, 0), s.ne(s.lt(remainder, 0), s.lt(divisor, 0)));
}
function floorDiv(a: Expr, b: Expr): Expr {
  const quotient = s.truncDiv(a, b);
  const adjust = needsFloor(s.rem(a, b), b);
  return s.select(adjust, s.sub(quotient, 1), quotient);
}
function floorMod(a: Expr, b: Expr): Expr {
  const remainder = s.rem(a, b);
  return s.select(needsFloor(remainder, b), s.add(remainder, b), remainder);
}

const shrU = spell(shift('shr_u'));
/** Filling with zeros from the width of the type, not from that of the register it is computed in. */
function narrowShrU(type: ElemType): Inline | null {
  if (type !== 'int8' && type !== 'int16') return null;
  const bits = type === 'int8' ? 0xff : 0xffff;
  return inline((a, b) => s.cast(type, s.shrU(s.and(s.cast('int32', a), bits), s.cast('int32', b))));
}

export const scalar: Record<ScalarFn, Spelling> = {
  add: spell(number('add')),
  sub: spell(number('sub')),
  mul: spell(number('mul')),
  div: spell(float('div')),
  floorDiv: spell({ scalar: { i32: inline(floorDiv), i64: inline(floorDiv) }, vector: {} }),
  mod: spell({ scalar: { i32: inline(floorMod), i64: inline(floorMod) }, vector: {} }),
  truncDiv: spell(int('div_s', null)),
  rem: spell(int('rem_s', null), {
    scalar: { f64: { kind: 'helper', define: math.fmod }, f32: { kind: 'helper', define: math.viaDouble(math.fmod) } },
    vector: {},
  }),
  min: spell(
    float('min'),
    intExpr((a, b) => s.select(s.lt(a, b), a, b), 'i32x4.min_s'),
  ),
  max: spell(
    float('max'),
    intExpr((a, b) => s.select(s.gt(a, b), a, b), 'i32x4.max_s'),
  ),
  neg: spell(
    float('neg'),
    intExpr(a => s.sub(0, a), 'i32x4.neg'),
  ),
  abs: spell(
    float('abs'),
    intExpr(a => s.select(s.lt(a, 0), s.neg(a), a), 'i32x4.abs'),
  ),
  floor: spell(float('floor')),
  ceil: spell(float('ceil')),
  round: spell(float('nearest')),
  trunc: spell(float('trunc')),
  sqrt: spell(float('sqrt')),
  exp: transcendental(math.defined(math.exp), null, single.exp32),
  expm1: transcendental(math.defined(math.expm1), null, single.expm1of32),
  log: transcendental(math.defined(math.log), null, single.log32),
  log1p: transcendental(math.defined(math.log1p), null, single.log1pOf32),
  log2: transcendental(math.defined(math.log2), null, single.log2of32),
  log10: transcendental(math.defined(math.log10), null, single.log10of32),
  sin: circular(math.sin, single.sin32),
  cos: circular(math.cos, single.cos32),
  tan: circular(math.tan, single.tan32),
  asin: transcendental(math.defined(math.asin), null, single.asin32),
  acos: transcendental(math.defined(math.acos), null, single.acos32),
  atan: transcendental(math.defined(math.atan), null, single.atan32),
  sinh: transcendental(math.defined(math.sinh), null, single.sinh32),
  cosh: transcendental(math.defined(math.cosh), null, single.cosh32),
  tanh: transcendental(math.defined(math.tanh), null, single.tanh32),
  sigmoid: transcendental(math.defined(math.sigmoid), null, single.sigmoid32),
  asinh: transcendental(math.defined(math.asinh), null, single.asinh32),
  acosh: transcendental(math.defined(math.acosh), null, single.acosh32),
  atanh: transcendental(math.defined(math.atanh), null, single.atanh32),
  erf: transcendental(math.defined(math.erf), null, single.erf32),
  pow: whereItHolds(math.defined(math.pow), math.defined(math.powOfSingles), single.pow32, single.isModeratePower),
  atan2: transcendental(math.defined(math.atan2)),
  copysign: spell({
    scalar: float('copysign').scalar,
    vector: { f32: inline(single.copysign32) },
  }),
  eq: spell(equality('eq')),
  ne: spell(equality('ne')),
  lt: spell(comparison('lt')),
  le: spell(comparison('le')),
  gt: spell(comparison('gt')),
  ge: spell(comparison('ge')),
  and: spell(bits('and')),
  or: spell(bits('or')),
  xor: spell(bits('xor')),
  not: spell(
    intExpr(a => s.xor(a, -1), 'v128.not'),
    { scalar: { bool: instruction('i32.eqz') }, vector: { bool: instruction('v128.not') } },
  ),
  shl: spell(shift('shl')),
  shr: spell(shift('shr_s')),
  shrU: {
    scalar: type => narrowShrU(type) ?? shrU.scalar(type),
    vector: type => narrowShrU(type) ?? shrU.vector(type),
  },
  mulHiU: spell({ scalar: { i32: inline(math.mulHiU) }, vector: {} }),
};

/** Written as an internal function, since it is too long to be repeated. */
export const isLongFunction = (fn: ScalarFn, type: ElemType): boolean => scalar[fn].scalar(type)?.kind === 'helper';
