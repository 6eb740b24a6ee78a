/**
 * 16-bit floats: kept in memory as their bits, computed with in float32.
 *
 *   store y[i] = cast(float16, exp(cast(float32, load x[i])))      x, y: float16
 * ->
 *   store y[i] = cast(int16, halfBits(exp(halfValue(cast(int32, load x[i])))))      x, y: int16
 *
 * The conversions are integer arithmetic on the bits, so whatever is scheduled and emitted afterwards, vectors included,
 * knows no 16-bit floats. float64 is rounded to float32 first, as PyTorch does.
 */
import { arith as s } from '../../compiler/ir/arith.js';
import { computeType } from '../../compiler/ir/dtype.js';
import {
  type Buffer,
  bitcast,
  call,
  cast,
  constant,
  type Expr,
  type Kernel,
  load,
  mapExpr,
  reduce,
  type Stmt,
  store,
} from '../../compiler/ir/kernel.js';
import type { ElemType } from '../../compiler/ir/scalar.js';
import type { Pass } from '../../compiler/pass.js';

export const storeHalvesAsBits: Pass<Kernel> = {
  name: 'half-floats-as-bits',
  doc: 'Loads and stores of 16-bit floats become loads and stores of their bits, with the conversion written out.',
  run(kernel) {
    const halves = new HalfBuffers();
    const body = kernel.body.map(stmt => halves.statement(stmt));
    const params = kernel.params.map(param => ({ ...param, buffer: halves.stored(param.buffer) }));
    return halves.met ? { ...kernel, params, body } : kernel;
  },
};

type Half = 'float16' | 'bfloat16';
const isHalf = (type: ElemType): type is Half => type === 'float16' || type === 'bfloat16';

class HalfBuffers {
  met = false;
  private readonly replacements = new Map<Buffer, Buffer>();
  private readonly images = new Map<Expr, Expr>();

  /** What takes the place of a buffer: bits in memory, float32 in registers. */
  stored(buffer: Buffer): Buffer {
    if (!isHalf(buffer.dtype)) return buffer;
    this.met = true;
    let replacement = this.replacements.get(buffer);
    if (replacement === undefined) {
      replacement = { ...buffer, dtype: isBits(buffer) ? 'int16' : computeType(buffer.dtype) };
      this.replacements.set(buffer, replacement);
    }
    return replacement;
  }

  statement(stmt: Stmt): Stmt {
    const inside = (stmts: readonly Stmt[]): Stmt[] => stmts.map(inner => this.statement(inner));
    switch (stmt.kind) {
      case 'loop':
        return { ...stmt, limit: stmt.limit && this.expression(stmt.limit), body: inside(stmt.body) };
      case 'alloc':
        return { ...stmt, buffer: this.stored(stmt.buffer), body: inside(stmt.body) };
      case 'if':
        return {
          ...stmt,
          cond: this.expression(stmt.cond),
          // biome-ignore lint/suspicious/noThenProperty: an if statement of the loop IR; nothing awaits it
          then: inside(stmt.then),
          otherwise: inside(stmt.otherwise),
        };
      case 'store':
        return this.assignment(stmt.buffer, stmt.index, stmt.value);
      case 'reduce':
        return isHalf(stmt.buffer.dtype) && isBits(stmt.buffer)
          ? this.assignment(stmt.buffer, stmt.index, call(stmt.fn, load(stmt.buffer, stmt.index), stmt.value))
          : reduce(
              this.stored(stmt.buffer),
              this.expression(stmt.index),
              stmt.fn,
              this.expression(stmt.value),
              stmt.atomic,
            );
      case 'barrier':
        return stmt;
      case 'allreduce':
        return { ...stmt, buffer: this.stored(stmt.buffer), index: this.expression(stmt.index) };
      default:
        return stmt satisfies never;
    }
  }

  /** Storing rounds: a conversion right before it need not. */
  private assignment(buffer: Buffer, at: Expr, value: Expr): Stmt {
    const { dtype } = buffer;
    const index = this.expression(at);
    if (!isHalf(dtype) || !isBits(buffer)) return store(this.stored(buffer), index, this.expression(value));
    const wide = value.kind === 'cast' ? cast('float32', this.expression(value.value)) : this.expression(value);
    return store(this.stored(buffer), index, cast('int16', bitsOf(dtype, wide)));
  }

  /** The same expression with every 16-bit float as a float32. What many statements share stays shared. */
  private expression(root: Expr): Expr {
    let image = this.images.get(root);
    if (image === undefined) {
      image = mapExpr(root, expr => this.replacement(expr));
      this.images.set(root, image);
    }
    return image;
  }

  /** A 16-bit float as a float32, once for all that read it. */
  private replacement(expr: Expr): Expr | null {
    if (!isHalf(expr.dtype)) return null;
    this.met = true;
    const image = this.images.get(expr) ?? this.widened(expr, expr.dtype);
    if (image !== null) this.images.set(expr, image);
    return image;
  }

  private widened(expr: Expr, type: Half): Expr | null {
    switch (expr.kind) {
      case 'const':
        return rounded(type, constant('float32', expr.value));
      case 'load': {
        const value = load(this.stored(expr.buffer), this.expression(expr.index));
        return isBits(expr.buffer) ? valueOf(type, s.cast('int32', value)) : value;
      }
      case 'cast':
        return rounded(type, cast('float32', this.expression(expr.value)));
      case 'bitcast':
        return valueOf(type, s.cast('int32', this.expression(expr.value)));
      default:
        return null;
    }
  }
}

const isBits = ({ scope }: Buffer): boolean => scope !== 'register';

const valueOf = (type: Half, bits: Expr): Expr => (type === 'float16' ? halfValue(bits) : bfloatValue(bits));
const bitsOf = (type: Half, value: Expr): Expr => (type === 'float16' ? halfBits(value) : bfloatBits(value));
/** A float32 with the precision and the range of a 16-bit float: what its bits would say, without making them. */
const rounded = (type: Half, value: Expr): Expr => (type === 'float16' ? roundedHalf(value) : roundedBfloat(value));

const int = (value: number): Expr => constant('int32', value);
const asFloat = (bits: Expr): Expr => bitcast('float32', bits);
const asBits = (value: Expr): Expr => bitcast('int32', value);

const INFINITY = 0x7f800000;
const SIGN = -(2 ** 31);

/**
 * Exponent and fraction moved to their places in a float32 are the value times 2^-112, denormals included. The largest
 * exponent stands for infinity and NaN.
 */
function halfValue(bits: Expr): Expr {
  const moved = s.shl(s.and(bits, 0x7fff), int(13));
  const finite = s.mul(asFloat(moved), 2 ** 112);
  const magnitude = s.select(s.ge(moved, 0x7c00 << 13), s.or(moved, INFINITY), asBits(finite));
  return asFloat(s.or(magnitude, s.shl(s.and(bits, 0x8000), int(16))));
}

/**
 * To nearest even: half of the last place kept is added, less one unless that place is odd; what carries goes on into the
 * exponent, up to infinity. Denormals round by adding 1/2, next to which a float32 has just their places.
 */
function halfBits(value: Expr): Expr {
  const bits = asBits(value);
  const magnitude = s.and(bits, 0x7fffffff);
  const normal = s.sub(s.shrU(roundUp(magnitude, 13), int(13)), 112 << 10);
  const denormal = s.sub(asBits(s.add(asFloat(magnitude), 0.5)), 0x3f000000);
  const finite = s.select(s.lt(magnitude, 113 << 23), denormal, s.min(normal, 0x7c00));
  const signed = s.or(finite, s.and(s.shrU(bits, int(16)), 0x8000));
  return s.select(s.gt(magnitude, INFINITY), int(0x7e00), signed);
}

/**
 * Next to 2^13 times its power of two a float32 has just the places of a float16, and next to 2^-1 those of a denormal one: what
 * is added and taken away again rounds to nearest even. From 65520 on that gives 65536 and more, which are infinity.
 */
function roundedHalf(value: Expr): Expr {
  const bits = asBits(value);
  const power = s.min(s.max(s.and(bits, INFINITY), int(113 << 23)), int(143 << 23));
  const rounder = asFloat(s.add(power, 13 << 23));
  const near = s.sub(s.add(asFloat(s.and(bits, 0x7fffffff)), rounder), rounder);
  const magnitude = s.select(s.ge(near, 65536), constant('float32', Number.POSITIVE_INFINITY), near);
  return asFloat(s.or(asBits(magnitude), s.and(bits, SIGN)));
}

const bfloatValue = (bits: Expr): Expr => asFloat(s.shl(bits, int(16)));

function bfloatBits(value: Expr): Expr {
  const bits = asBits(value);
  const isNan = s.gt(s.and(bits, 0x7fffffff), INFINITY);
  return s.select(isNan, int(0x7fc0), s.shrU(roundUp(bits, 16), int(16)));
}

const roundedBfloat = (value: Expr): Expr =>
  s.select(s.ne(value, value), value, asFloat(s.and(roundUp(asBits(value), 16), -(2 ** 16))));

/** Added so that cutting off the last `places` bits rounds to nearest even. */
function roundUp(bits: Expr, places: number): Expr {
  const isOdd = s.and(s.shrU(bits, int(places)), 1);
  return s.add(s.add(bits, 2 ** (places - 1) - 1), isOdd);
}
