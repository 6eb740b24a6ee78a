/**
 * The loop IR: what one kernel does, as loops over flat buffers. Small on purpose; every switch over it ends in
 * `satisfies never`.
 *
 * `lower.ts` writes kernels in a plain form: `parallel` loops over independent iterations, `serial` loops that accumulate
 * into register buffers. Scheduling passes of a backend rewrite loops (tile, unroll, vectorise, map to threads) and never
 * change what is computed. The plain form is runnable too: it is the oracle every schedule is checked against.
 *
 * Expressions are built only through the functions below, which check types, fold constants and simplify index arithmetic.
 * They are immutable trees; a subtree may be shared.
 */
import { invariant } from '../errors.js';
import { type DType, isFloat, limitsOf } from './dtype.js';
import { type ElemType, type ReduceFn, type ScalarFn, scalarFns, scalarResult } from './scalar.js';

/** A loop counter, from 0 up to and excluding `extent`. Identity is the object; names are for people. */
export interface Iter {
  readonly name: string;
  readonly extent: number;
}

/**
 * `param`: a tensor handed to the kernel. `local`: memory of one iteration (arena scratch or stack). `register`: a few
 * elements indexed by constants after unrolling. `shared`: memory of one thread block.
 */
export type BufferScope = 'param' | 'local' | 'register' | 'shared';
export interface Buffer {
  readonly name: string;
  readonly dtype: DType;
  /** Elements. */
  readonly size: number;
  readonly scope: BufferScope;
}

export type LoopMap =
  | 'serial'
  | 'parallel'
  | 'unroll'
  | 'vector'
  | 'block.x'
  | 'block.y'
  | 'block.z'
  | 'thread.x'
  | 'thread.y';

export type Stmt =
  /** Runs `body` for iter = 0 … min(extent, limit) - 1. `parallel`: iterations may run in any order or at once. */
  | {
      readonly kind: 'loop';
      readonly iter: Iter;
      readonly map: LoopMap;
      readonly limit: Expr | null;
      readonly body: readonly Stmt[];
    }
  | { readonly kind: 'store'; readonly buffer: Buffer; readonly index: Expr; readonly value: Expr }
  /**
   * buffer[index] = fn(buffer[index], value). Reductions into one element may be reordered. `atomic`: other threads do so
   * too.
   */
  | {
      readonly kind: 'reduce';
      readonly buffer: Buffer;
      readonly index: Expr;
      readonly fn: ReduceFn;
      readonly value: Expr;
      readonly atomic: boolean;
    }
  | { readonly kind: 'if'; readonly cond: Expr; readonly then: readonly Stmt[]; readonly otherwise: readonly Stmt[] }
  /** A buffer that lives in `body`; its contents are undefined until stored. */
  | { readonly kind: 'alloc'; readonly buffer: Buffer; readonly body: readonly Stmt[] }
  /** All threads of the block meet here. */
  | { readonly kind: 'barrier' }
  /** buffer[index] of every thread becomes the reduction over the `width` threads of its warp or of the block. */
  | {
      readonly kind: 'allreduce';
      readonly buffer: Buffer;
      readonly index: Expr;
      readonly fn: ReduceFn;
      readonly width: number;
    };

export type Expr =
  /** `value` is a bigint exactly for int64, a number otherwise (0 or 1 for bool). */
  | { readonly kind: 'const'; readonly dtype: ElemType; readonly value: number | bigint }
  | { readonly kind: 'iter'; readonly dtype: 'index'; readonly iter: Iter }
  | { readonly kind: 'load'; readonly dtype: DType; readonly buffer: Buffer; readonly index: Expr }
  | { readonly kind: 'call'; readonly dtype: ElemType; readonly fn: ScalarFn; readonly args: readonly Expr[] }
  /** Only the chosen side is evaluated as far as memory safety goes: a load in the other side may be out of bounds. */
  | { readonly kind: 'select'; readonly dtype: ElemType; readonly cond: Expr; readonly yes: Expr; readonly no: Expr }
  /** Value conversion as PyTorch's `to`: floats to integers truncate, anything to bool is `!= 0`. */
  | { readonly kind: 'cast'; readonly dtype: ElemType; readonly value: Expr }
  /** The same bits read as another type of equal width. */
  | { readonly kind: 'bitcast'; readonly dtype: DType; readonly value: Expr };

export interface Kernel {
  readonly name: string;
  /** Tensors it touches, in argument order. */
  readonly params: readonly KernelParam[];
  readonly body: readonly Stmt[];
  /** What it computes, for people: op names and module paths of the nodes it came from. */
  readonly doc: string;
}
export interface KernelParam {
  readonly buffer: Buffer;
  readonly access: 'read' | 'write' | 'readwrite';
  /** It may start at any element, as slices that loops walk over do; else at a multiple of 64 bytes. */
  readonly loose?: boolean;
}

// ── expressions ────────────────────────────────────────────────────────────────────────────────────────────────────────

export function constant(dtype: ElemType, value: number | bigint | boolean): Expr {
  if (dtype === 'int64')
    return {
      kind: 'const',
      dtype,
      value: BigInt.asIntN(64, typeof value === 'bigint' ? value : BigInt(Number(value))),
    };
  const number = Number(value);
  return {
    kind: 'const',
    dtype,
    value: dtype === 'float32' ? Math.fround(number) : dtype === 'bool' ? Number(number !== 0) : number,
  };
}
export const index = (value: number): Expr => constant('index', value);
export const iterOf = (iter: Iter): Expr => (iter.extent === 1 ? index(0) : { kind: 'iter', dtype: 'index', iter });
export const makeIter = (name: string, extent: number): Iter => ({ name, extent });

export function load(buffer: Buffer, at: Expr): Expr {
  invariant(at.dtype === 'index', () => `load from ${buffer.name}: index has type ${at.dtype}`);
  return { kind: 'load', dtype: buffer.dtype, buffer, index: at };
}

export function call(fn: ScalarFn, ...args: Expr[]): Expr {
  const spec = scalarFns[fn];
  invariant(args.length === spec.arity, () => `${fn} takes ${spec.arity} arguments, got ${args.length}`);
  const type = args[0].dtype;
  invariant(
    args.every(arg => arg.dtype === type),
    () => `${fn}: argument types differ: ${args.map(arg => arg.dtype).join(', ')}`,
  );
  invariant(accepts(spec.domain, type), () => `${fn} is not defined on ${type}`);
  if (type === 'index') return simplifyIndex(fn, args);
  const decided = type === 'bool' && (fn === 'and' || fn === 'or') ? decidedLogic(fn, args[0], args[1]) : null;
  return decided ?? { kind: 'call', dtype: scalarResult(fn, type), fn, args };
}

/** A conjunction or disjunction of which one side is known. */
function decidedLogic(fn: 'and' | 'or', a: Expr, b: Expr): Expr | null {
  const [known, other] = a.kind === 'const' ? [a, b] : [b, a];
  if (known.kind !== 'const') return null;
  return Boolean(known.value) === (fn === 'or') ? known : other;
}

function accepts(domain: string, type: ElemType): boolean {
  if (domain === 'any') return true;
  if (domain === 'float') return type !== 'index' && isFloat(type);
  if (domain === 'bits') return type === 'index' || !isFloat(type);
  if (domain === 'int') return type === 'index' || (!isFloat(type) && type !== 'bool');
  return type !== 'bool';
}

export function select(cond: Expr, yes: Expr, no: Expr): Expr {
  invariant(cond.dtype === 'bool', () => `select: condition has type ${cond.dtype}`);
  invariant(yes.dtype === no.dtype, () => `select: ${yes.dtype} and ${no.dtype}`);
  if (cond.kind === 'const') return cond.value ? yes : no;
  return { kind: 'select', dtype: yes.dtype, cond, yes, no };
}

export function cast(dtype: ElemType, value: Expr): Expr {
  if (value.dtype === dtype) return value;
  const isHalf = dtype === 'float16' || dtype === 'bfloat16';
  if (isHalf && value.kind === 'cast' && value.value.dtype === dtype && value.dtype === 'float32') return value.value;
  if (value.kind === 'const' && Number.isFinite(Number(value.value))) {
    const number = Number(value.value);
    if (dtype === 'float32' || dtype === 'float64' || dtype === 'bool') return constant(dtype, number);
    if (dtype === 'index' || dtype === 'int32' || dtype === 'int64') return constant(dtype, Math.trunc(number));
  }
  return { kind: 'cast', dtype, value };
}
export const bitcast = (dtype: DType, value: Expr): Expr => ({ kind: 'bitcast', dtype, value });

/** Both conditions, with constants folded. */
export function both(a: Expr | null, b: Expr | null): Expr | null {
  if (a === null || (a.kind === 'const' && a.value)) return b;
  if (b === null || (b.kind === 'const' && b.value)) return a;
  return call('and', a, b);
}

// ── index arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────

export const addIndex = (a: Expr, b: Expr | number): Expr => call('add', a, typeof b === 'number' ? index(b) : b);
export const subIndex = (a: Expr, b: Expr | number): Expr => call('sub', a, typeof b === 'number' ? index(b) : b);
export const mulIndex = (a: Expr, b: number): Expr => call('mul', a, index(b));
export const floorDivIndex = (a: Expr, b: number): Expr => call('floorDiv', a, index(b));
export const modIndex = (a: Expr, b: number): Expr => call('mod', a, index(b));

/** An index as a sum: constant + Σ coefficient · term, terms being iterators or opaque index expressions. */
export interface Affine {
  readonly offset: number;
  readonly terms: readonly { readonly expr: Expr; readonly coefficient: number }[];
}

/** Split an index expression into a sum of terms. Opaque parts (div, mod, casts, selects) stay whole as terms. */
export function affineOf(expr: Expr): Affine {
  if (expr.kind === 'const') return { offset: Number(expr.value), terms: [] };
  if (expr.kind === 'call') {
    const [a, b] = expr.args;
    if (expr.fn === 'add') return addAffine(affineOf(a), affineOf(b), 1);
    if (expr.fn === 'sub') return addAffine(affineOf(a), affineOf(b), -1);
    if (expr.fn === 'mul' && b.kind === 'const') return scaleAffine(affineOf(a), Number(b.value));
  }
  return { offset: 0, terms: [{ expr, coefficient: 1 }] };
}

function scaleAffine(a: Affine, factor: number): Affine {
  if (factor === 0) return { offset: 0, terms: [] };
  return {
    offset: a.offset * factor,
    terms: a.terms.map(term => ({ expr: term.expr, coefficient: term.coefficient * factor })),
  };
}

function addAffine(a: Affine, b: Affine, sign: number): Affine {
  const terms = [...a.terms];
  for (const { expr, coefficient } of b.terms) {
    const at = terms.findIndex(term => sameExpr(term.expr, expr));
    if (at < 0) terms.push({ expr, coefficient: sign * coefficient });
    else terms[at] = { expr, coefficient: terms[at].coefficient + sign * coefficient };
  }
  return rejoin({ offset: a.offset + sign * b.offset, terms: terms.filter(term => term.coefficient !== 0) });
}

/** d·c·(x / d) + c·(x % d) = c·x: a counter that was split and put together again is itself. */
function rejoin(sum: Affine): Affine {
  for (const rest of sum.terms) {
    if (rest.expr.kind !== 'call' || rest.expr.fn !== 'mod' || rest.expr.args[1].kind !== 'const') continue;
    const [whole, divisor] = [rest.expr.args[0], Number(rest.expr.args[1].value)];
    const quotient = floorDivIndex(whole, divisor);
    const match = sum.terms.find(
      term => term.coefficient === rest.coefficient * divisor && sameExpr(term.expr, quotient),
    );
    if (match === undefined) continue;
    const others = { offset: sum.offset, terms: sum.terms.filter(term => term !== rest && term !== match) };
    return addAffine(others, scaleAffine(affineOf(whole), rest.coefficient), 1);
  }
  return sum;
}

/** The expression of a sum, largest coefficient first, constant last. */
export function fromAffine(affine: Affine): Expr {
  let out: Expr | null = null;
  const raw = (fn: ScalarFn, a: Expr, b: Expr): Expr => ({ kind: 'call', dtype: 'index', fn, args: [a, b] });
  for (const { expr, coefficient } of affine.terms) {
    const magnitude = Math.abs(coefficient);
    const term = magnitude === 1 ? expr : raw('mul', expr, index(magnitude));
    if (out === null) out = coefficient > 0 ? term : raw('mul', expr, index(coefficient));
    else out = raw(coefficient > 0 ? 'add' : 'sub', out, term);
  }
  if (out === null) return index(affine.offset);
  if (affine.offset === 0) return out;
  return affine.offset > 0 ? raw('add', out, index(affine.offset)) : raw('sub', out, index(-affine.offset));
}

export interface Range {
  readonly min: number;
  readonly max: number;
}
const ranges = new WeakMap<Expr, Range | null>();

/** Smallest and largest value an index expression can take over the full range of its iterators; null where unknown. */
export function rangeOf(expr: Expr): Range | null {
  if (expr.kind === 'const') return { min: Number(expr.value), max: Number(expr.value) };
  if (expr.kind === 'iter') return { min: 0, max: expr.iter.extent - 1 };
  let range = ranges.get(expr);
  if (range === undefined) {
    range = rangeOfParts(expr);
    ranges.set(expr, range);
  }
  return range;
}

function rangeOfParts(expr: Expr): Range | null {
  switch (expr.kind) {
    case 'call': {
      const [a, b] = expr.args.map(rangeOf);
      if (!a || !b) return null;
      if (expr.fn === 'add') return { min: a.min + b.min, max: a.max + b.max };
      if (expr.fn === 'sub') return { min: a.min - b.max, max: a.max - b.min };
      const corners = [a.min, a.max].flatMap(x => [b.min, b.max].map(y => x * y));
      if (expr.fn === 'mul') return { min: Math.min(...corners), max: Math.max(...corners) };
      if (expr.fn === 'min') return { min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) };
      if (expr.fn === 'max') return { min: Math.max(a.min, b.min), max: Math.max(a.max, b.max) };
      if (b.min !== b.max || b.min <= 0) return null;
      if (expr.fn === 'floorDiv') return { min: Math.floor(a.min / b.min), max: Math.floor(a.max / b.min) };
      if (expr.fn === 'mod') return a.min >= 0 && a.max < b.min ? a : { min: 0, max: b.min - 1 };
      return null;
    }
    case 'select': {
      const [yes, no] = [rangeOf(expr.yes), rangeOf(expr.no)];
      return yes && no ? { min: Math.min(yes.min, no.min), max: Math.max(yes.max, no.max) } : null;
    }
    default:
      return null;
  }
}

/** Whether an access of `width` elements cannot leave its buffer, whatever the values of the loop counters. */
export function isInBounds(buffer: Buffer, at: Expr, width = 1): boolean {
  const range = rangeOf(at);
  return range !== null && range.min >= 0 && range.max + width - 1 < buffer.size;
}

function simplifyIndex(fn: ScalarFn, args: readonly Expr[]): Expr {
  const [a, b] = args;
  const raw: Expr = { kind: 'call', dtype: scalarResult(fn, 'index'), fn, args };
  if (fn === 'neg') return fromAffine(scaleAffine(affineOf(a), -1));
  if (fn === 'add' || fn === 'sub') return fromAffine(addAffine(affineOf(a), affineOf(b), fn === 'add' ? 1 : -1));
  if (fn === 'mul') {
    if (b.kind === 'const') return fromAffine(scaleAffine(affineOf(a), Number(b.value)));
    if (a.kind === 'const') return fromAffine(scaleAffine(affineOf(b), Number(a.value)));
    return raw;
  }
  if ((fn === 'floorDiv' || fn === 'mod') && b.kind === 'const') return divideIndex(fn, a, Number(b.value), raw);
  if (fn === 'min' || fn === 'max') {
    const [x, y] = [rangeOf(a), rangeOf(b)];
    if (x && y) {
      if (x.max <= y.min) return fn === 'min' ? a : b;
      if (y.max <= x.min) return fn === 'min' ? b : a;
    }
    return raw;
  }
  if (scalarFns[fn].rule === 'compare') return compareIndex(fn, a, b, raw);
  return raw;
}

/** (d·q + r) / d = q and (d·q + r) % d = r where 0 <= r < d: reshapes of merged loops vanish. */
function divideIndex(fn: 'floorDiv' | 'mod', a: Expr, divisor: number, raw: Expr): Expr {
  if (divisor === 1) return fn === 'floorDiv' ? a : index(0);
  const sum = affineOf(a);
  const whole = sum.terms.filter(term => term.coefficient % divisor === 0);
  const wholeOffset = Math.floor(sum.offset / divisor) * divisor;
  const rest = fromAffine({
    offset: sum.offset - wholeOffset,
    terms: sum.terms.filter(term => term.coefficient % divisor !== 0),
  });
  const range = rangeOf(rest);
  const quotient = (): Expr =>
    fromAffine({
      offset: wholeOffset / divisor,
      terms: whole.map(term => ({ expr: term.expr, coefficient: term.coefficient / divisor })),
    });
  if (range && range.min >= 0 && range.max < divisor) return fn === 'mod' ? rest : quotient();
  if (range && range.min === range.max) return raw;
  const shared = divideByFactor(fn, sum, divisor);
  if (shared !== null) return shared;
  if (whole.length === 0 && wholeOffset === 0) {
    if (fn === 'floorDiv' && a.kind === 'call' && a.fn === 'floorDiv' && a.args[1].kind === 'const')
      return floorDivIndex(a.args[0], Number(a.args[1].value) * divisor);
    return raw;
  }
  const inner: Expr = { kind: 'call', dtype: 'index', fn, args: [rest, index(divisor)] };
  return fn === 'mod' ? inner : addIndex(quotient(), inner);
}

/** (f·q + r) / (f·e) = q / e and (f·q + r) % (f·e) = f·(q % e) + r where 0 <= r < f: tiles within tiles. */
function divideByFactor(fn: 'floorDiv' | 'mod', sum: Affine, divisor: number): Expr | null {
  const factors = new Set(
    sum.terms
      .map(term => greatestCommonDivisor(term.coefficient, divisor))
      .filter(factor => factor > 1 && factor < divisor),
  );
  for (const factor of [...factors].sort((a, b) => b - a)) {
    const offset = Math.floor(sum.offset / factor);
    const [multiples, others] = [true, false].map(multiple =>
      sum.terms.filter(term => (term.coefficient % factor === 0) === multiple),
    );
    const rest = fromAffine({ offset: sum.offset - offset * factor, terms: others });
    const range = rangeOf(rest);
    if (range === null || range.min < 0 || range.max >= factor) continue;
    const quotient = fromAffine({
      offset,
      terms: multiples.map(({ expr, coefficient }) => ({ expr, coefficient: coefficient / factor })),
    });
    if (fn === 'floorDiv') return floorDivIndex(quotient, divisor / factor);
    return addIndex(mulIndex(modIndex(quotient, divisor / factor), factor), rest);
  }
  return null;
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);

/** A comparison decided by the ranges of its sides becomes a constant: bounds checks that cannot fail vanish. */
function compareIndex(fn: ScalarFn, a: Expr, b: Expr, raw: Expr): Expr {
  const difference = rangeOf(fromAffine(addAffine(affineOf(a), affineOf(b), -1)));
  if (difference === null) return raw;
  const { min, max } = difference;
  const decided: Partial<Record<ScalarFn, boolean | null>> = {
    lt: max < 0 ? true : min >= 0 ? false : null,
    le: max <= 0 ? true : min > 0 ? false : null,
    gt: min > 0 ? true : max <= 0 ? false : null,
    ge: min >= 0 ? true : max < 0 ? false : null,
    eq: min === 0 && max === 0 ? true : min > 0 || max < 0 ? false : null,
    ne: min === 0 && max === 0 ? false : min > 0 || max < 0 ? true : null,
  };
  const known = decided[fn];
  return known === null || known === undefined ? raw : constant('bool', known);
}

/** Structural equality. */
export function sameExpr(a: Expr, b: Expr): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.dtype !== b.dtype) return false;
  switch (a.kind) {
    case 'const':
      return Object.is(a.value, (b as typeof a).value);
    case 'iter':
      return a.iter === (b as typeof a).iter;
    case 'load':
      return a.buffer === (b as typeof a).buffer && sameExpr(a.index, (b as typeof a).index);
    case 'call':
      return a.fn === (b as typeof a).fn && a.args.every((arg, i) => sameExpr(arg, (b as typeof a).args[i]));
    case 'select':
      return (
        sameExpr(a.cond, (b as typeof a).cond) &&
        sameExpr(a.yes, (b as typeof a).yes) &&
        sameExpr(a.no, (b as typeof a).no)
      );
    case 'cast':
    case 'bitcast':
      return sameExpr(a.value, (b as typeof a).value);
    default:
      return a satisfies never;
  }
}

/** With another body; itself where that is the same, so that passes can tell whether they have changed anything. */
export const withBody = <T extends { readonly body: readonly Stmt[] }>(whole: T, body: readonly Stmt[]): T =>
  body.length === whole.body.length && body.every((stmt, i) => stmt === whole.body[i]) ? whole : { ...whole, body };

// ── statements ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const loop = (iter: Iter, map: LoopMap, body: readonly Stmt[], limit: Expr | null = null): Stmt => ({
  kind: 'loop',
  iter,
  map,
  limit,
  body,
});
export function store(buffer: Buffer, at: Expr, value: Expr): Stmt {
  invariant(value.dtype === buffer.dtype, () => `store to ${buffer.name} (${buffer.dtype}) of a ${value.dtype}`);
  return { kind: 'store', buffer, index: at, value };
}
export function reduce(buffer: Buffer, at: Expr, fn: ReduceFn, value: Expr, atomic = false): Stmt {
  invariant(value.dtype === buffer.dtype, () => `reduce into ${buffer.name} (${buffer.dtype}) of a ${value.dtype}`);
  const known = buffer.dtype === 'bool' ? onTruths[fn] : fn;
  return { kind: 'reduce', buffer, index: at, fn: known, value, atomic };
}
/** What reductions are where there is only true and false. */
const onTruths: Record<ReduceFn, ReduceFn> = { add: 'or', max: 'or', or: 'or', mul: 'and', min: 'and', and: 'and' };
/** The value that changes nothing in a reduction: where it starts. */
export function neutral(fn: ReduceFn, dtype: DType): Expr {
  switch (fn) {
    case 'add':
    case 'or':
      return constant(dtype, 0);
    case 'mul':
      return constant(dtype, 1);
    case 'and':
      return constant(dtype, dtype === 'bool' ? 1 : -1);
    case 'max':
      return constant(
        dtype,
        dtype === 'int64' ? -(2n ** 63n) : isFloat(dtype) ? Number.NEGATIVE_INFINITY : limitsOf(dtype).min,
      );
    case 'min':
      return constant(
        dtype,
        dtype === 'int64' ? 2n ** 63n - 1n : isFloat(dtype) ? Number.POSITIVE_INFINITY : limitsOf(dtype).max,
      );
    default:
      return fn satisfies never;
  }
}
/** Loops over `iters` around statements; a counter with one value needs none. */
export const nest = (iters: readonly Iter[], map: LoopMap, body: readonly Stmt[]): Stmt[] =>
  iters.reduceRight<Stmt[]>((inner, iter) => (iter.extent === 1 ? inner : [loop(iter, map, inner)]), [...body]);
export const alloc = (buffer: Buffer, body: readonly Stmt[]): Stmt => ({ kind: 'alloc', buffer, body });
export const when = (cond: Expr | null, then: readonly Stmt[], otherwise: readonly Stmt[] = []): Stmt[] => {
  if (cond === null) return [...then];
  if (cond.kind === 'const') return cond.value ? [...then] : [...otherwise];
  return [{ kind: 'if', cond, then, otherwise }];
};

// ── walking ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Rebuild an expression bottom-up through the constructors, so that substitutions simplify again. What is shared stays
 * shared: each distinct subexpression is rebuilt once.
 */
export function mapExpr(root: Expr, replace: (expr: Expr) => Expr | null): Expr {
  const done = new Map<Expr, Expr>();
  const map = (expr: Expr): Expr => {
    let image = done.get(expr);
    if (image === undefined) {
      image = replace(expr) ?? rebuilt(expr, map);
      done.set(expr, image);
    }
    return image;
  };
  return map(root);
}

function rebuilt(expr: Expr, map: (expr: Expr) => Expr): Expr {
  switch (expr.kind) {
    case 'const':
    case 'iter':
      return expr;
    case 'load':
      return load(expr.buffer, map(expr.index));
    case 'call':
      return call(expr.fn, ...expr.args.map(map));
    case 'select':
      return select(map(expr.cond), map(expr.yes), map(expr.no));
    case 'cast':
      return cast(expr.dtype, map(expr.value));
    case 'bitcast':
      return bitcast(expr.dtype, map(expr.value));
    default:
      return expr satisfies never;
  }
}

/** Replace loop counters by expressions. */
export const substitute = (expr: Expr, values: ReadonlyMap<Iter, Expr>): Expr =>
  mapExpr(expr, e => (e.kind === 'iter' ? (values.get(e.iter) ?? null) : null));

/** Rebuild statements, replacing every expression. */
export function mapStmtExprs(stmt: Stmt, f: (expr: Expr) => Expr): Stmt {
  switch (stmt.kind) {
    case 'loop':
      return { ...stmt, limit: stmt.limit && f(stmt.limit), body: stmt.body.map(s => mapStmtExprs(s, f)) };
    case 'store':
    case 'reduce':
      return { ...stmt, index: f(stmt.index), value: f(stmt.value) };
    case 'if':
      return {
        ...stmt,
        cond: f(stmt.cond),
        // biome-ignore lint/suspicious/noThenProperty: an if statement of the loop IR; nothing awaits it
        then: stmt.then.map(s => mapStmtExprs(s, f)),
        otherwise: stmt.otherwise.map(s => mapStmtExprs(s, f)),
      };
    case 'alloc':
      return { ...stmt, body: stmt.body.map(s => mapStmtExprs(s, f)) };
    case 'barrier':
      return stmt;
    case 'allreduce':
      return { ...stmt, index: f(stmt.index) };
    default:
      return stmt satisfies never;
  }
}

/** The expressions that an expression is directly made of. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'const':
    case 'iter':
      return [];
    case 'load':
      return [expr.index];
    case 'call':
      return expr.args;
    case 'select':
      return [expr.cond, expr.yes, expr.no];
    case 'cast':
    case 'bitcast':
      return [expr.value];
    default:
      return expr satisfies never;
  }
}

/** Calls `visit` once on each distinct expression in `root`, outermost first. */
export function walkExpr(root: Expr, visit: (expr: Expr) => void): void {
  const seen = new Set<Expr>();
  const walk = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    visit(expr);
    for (const child of childrenOf(expr)) walk(child);
  };
  walk(root);
}

/** The expressions of a statement itself, not of those inside it. */
export function expressionsOf(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case 'loop':
      return stmt.limit ? [stmt.limit] : [];
    case 'store':
    case 'reduce':
      return [stmt.index, stmt.value];
    case 'if':
      return [stmt.cond];
    case 'allreduce':
      return [stmt.index];
    case 'alloc':
    case 'barrier':
      return [];
    default:
      return stmt satisfies never;
  }
}

/** Calls `visit` on each statement, outermost first. */
export function walkStmts(stmts: readonly Stmt[], visit: (stmt: Stmt) => void): void {
  for (const stmt of stmts) {
    visit(stmt);
    if (stmt.kind === 'loop' || stmt.kind === 'alloc') walkStmts(stmt.body, visit);
    else if (stmt.kind === 'if') {
      walkStmts(stmt.then, visit);
      walkStmts(stmt.otherwise, visit);
    }
  }
}

/** The loop counters an expression reads. */
export function itersOf(expr: Expr): Set<Iter> {
  const found = new Set<Iter>();
  walkExpr(expr, e => {
    if (e.kind === 'iter') found.add(e.iter);
  });
  return found;
}
