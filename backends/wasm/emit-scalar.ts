/**
 * Loop IR expressions -> wasm values, one element at a time.
 */
import { invariant } from '../../compiler/errors.js';
import { bytesOf, type DType } from '../../compiler/ir/dtype.js';
import { affineOf, type Buffer, childrenOf, type Expr, rangeOf } from '../../compiler/ir/kernel.js';
import type { ElemType, ScalarFn } from '../../compiler/ir/scalar.js';
import type { Arm, Value } from './code.js';
import { alignOf, type Frame, isInBounds, loadName, type Part, valueType } from './frame.js';
import type { Instruction } from './instruction.js';
import { scalar } from './scalar.js';

/** A place in memory: a pointer and what is added to it as an immediate. */
export interface Address {
  readonly pointer: Value;
  readonly offset: number;
}

export class ScalarEmitter {
  /** Values of the expressions met so far in this statement; a layer for each arm that may not run. */
  private layers: Map<Expr, Value>[] = [new Map()];
  private readonly safety = new Map<Expr, boolean>();

  constructor(private readonly frame: Frame) {}

  /** Forget the values of the last statement: stores may have changed what their loads give. */
  beginStatement(): void {
    this.layers = [new Map()];
  }

  /** Emit with what is learnt inside forgotten afterwards. */
  layered<T>(emit: () => T): T {
    this.layers.push(new Map());
    const result = emit();
    this.layers.pop();
    return result;
  }

  emit(expr: Expr): Value {
    for (const layer of this.layers) {
      const known = layer.get(expr);
      if (known !== undefined) return known;
    }
    const value = this.compute(expr);
    this.layers[this.layers.length - 1].set(expr, value);
    return value;
  }

  private compute(expr: Expr): Value {
    switch (expr.kind) {
      case 'const':
        return this.frame.code.constant(valueType(expr.dtype), expr.value);
      case 'iter':
        return this.index(expr);
      case 'load':
        return this.load(expr);
      case 'call':
        return this.call(expr);
      case 'select':
        return this.select(expr);
      case 'cast':
        return this.cast(this.emit(expr.value), expr.value.dtype, expr.dtype);
      case 'bitcast':
        return this.bitcast(expr);
      default:
        return expr satisfies never;
    }
  }

  // ── indices and addresses ─────────────────────────────────────────────────────────────────────────────────────────

  /** The value of an index as a sum whose partial sums are invariant of as many loops as possible. */
  private index(expr: Expr): Value {
    const { code } = this.frame;
    const { offset, parts } = this.partsOf(expr);
    let sum: Value | null = null;
    for (const part of [...parts].sort((a, b) => a.depth - b.depth)) {
      const term = this.frame.scaled(part.value, part.coefficient);
      sum = sum === null ? term : code.op('i32', { name: 'i32.add' }, [sum, term]);
    }
    const constant = code.constant('i32', offset);
    if (sum === null) return constant;
    return offset === 0 ? sum : code.op('i32', { name: 'i32.add' }, [sum, constant]);
  }

  /** The terms of an index; counters whose value is known join the constant. */
  partsOf(expr: Expr): { offset: number; parts: Part[]; min: number | null } {
    const affine = affineOf(expr);
    let { offset } = affine;
    let min: number | null = 0;
    const parts: Part[] = [];
    for (const { expr: term, coefficient } of affine.terms) {
      if (term.kind === 'iter') {
        const binding = this.frame.binding(term.iter);
        if (binding.kind === 'known') offset += coefficient * binding.value;
        else {
          const value = this.frame.code.read(binding.counter, binding.scope);
          parts.push({ kind: 'counter', coefficient, depth: binding.scope.depth, value, scope: binding.scope });
          min = min === null ? null : min + Math.min(0, coefficient * (term.iter.extent - 1));
        }
        continue;
      }
      const value = this.emit(term);
      parts.push({ kind: 'value', coefficient, depth: value.home.depth + 0.5, value });
      const range = rangeOf(term);
      min = min === null || range === null ? null : min + Math.min(coefficient * range.min, coefficient * range.max);
    }
    return { offset, parts, min };
  }

  /** The immediate must not be what brings a pointer back into memory: pointers below 0 would wrap and trap. */
  address(buffer: Buffer, at: Expr): Address {
    const { code } = this.frame;
    const place = this.frame.place(buffer);
    invariant(place.kind === 'memory', () => `register buffer ${buffer.name} has no address`);
    const bytes = bytesOf(buffer.dtype);
    const { offset, parts, min } = this.partsOf(at);
    const immediate = offset >= 0 && min !== null && min >= 0;
    const start =
      immediate || offset === 0
        ? place.base
        : code.op('i32', { name: 'i32.add' }, [place.base, code.constant('i32', offset * bytes)]);
    return { pointer: this.frame.add(start, parts, bytes), offset: immediate ? offset * bytes : 0 };
  }

  /** The number of a register: its index once all loops around are unrolled. */
  registerIndex(buffer: Buffer, at: Expr): number {
    const { offset, parts } = this.partsOf(at);
    invariant(parts.length === 0, () => `register buffer ${buffer.name} is indexed by a variable`);
    return offset;
  }

  // ── the other expressions ─────────────────────────────────────────────────────────────────────────────────────────

  private load({ buffer, index }: Extract<Expr, { kind: 'load' }>): Value {
    const { code } = this.frame;
    const place = this.frame.place(buffer);
    if (place.kind === 'memory') {
      const { pointer, offset } = this.address(buffer, index);
      const instruction = { name: loadName(buffer.dtype), memory: { offset, align: alignOf(buffer.dtype) } };
      const within = this.frame.readScope(buffer, isInBounds(buffer, index));
      return code.op(valueType(buffer.dtype), instruction, [pointer], within, `@${this.frame.version(buffer)}`);
    }
    const element = this.registerIndex(buffer, index);
    const home = this.frame.readScope(buffer, true);
    if (place.kind === 'registers') return code.read(place.variables[element], home);
    const vector = code.read(place.variables[Math.floor(element / 4)], home);
    return code.op(valueType(buffer.dtype), { name: laneName(buffer.dtype, 'extract'), lane: element % 4 }, [vector]);
  }

  private call(expr: Extract<Expr, { kind: 'call' }>): Value {
    const type = expr.args[0].dtype;
    if (
      expr.dtype === 'index' &&
      (expr.fn === 'add' || expr.fn === 'sub' || (expr.fn === 'mul' && expr.args[1].kind === 'const'))
    )
      return this.index(expr);
    const form = scalar[unsignedDivision(expr)].scalar(type);
    invariant(form, () => `${expr.fn} of ${type} has no spelling`);
    switch (form.kind) {
      case 'instruction':
        return this.wrap(this.instruction(form.name, expr), expr.dtype);
      case 'inline':
        return this.emit(form.expand(...expr.args));
      case 'helper':
        return this.callHelper(
          expr.fn,
          type,
          expr.args.map(arg => this.emit(arg)),
        );
      default:
        return form satisfies never;
    }
  }

  callHelper(fn: ScalarFn, type: ElemType, args: readonly Value[]): Value {
    return this.frame.code.call(valueType(type), this.frame.helper(fn, type as DType), args);
  }

  private instruction(name: string, { dtype, args }: Extract<Expr, { kind: 'call' }>): Value {
    const values = args.map(arg => this.emit(arg));
    if (/\.(div|rem)_s$/.test(name)) return this.division(name, values[0], values[1]);
    return this.frame.code.op(valueType(dtype), { name }, values);
  }

  /** Division traps on 0 and on the smallest integer by -1: by those the quotient is 0 and -a, and the remainder 0. */
  private division(name: string, a: Value, b: Value): Value {
    const { code } = this.frame;
    const type = a.type as 'i32' | 'i64';
    const literal = (value: number): Value => code.constant(type, type === 'i64' ? BigInt(value) : value);
    if (b.form.kind === 'const' && Number(b.form.value) !== 0 && Number(b.form.value) !== -1)
      return code.op(type, { name }, [a, b]);
    const is = (value: number): Value => code.op('i32', { name: `${type}.eq` }, [b, literal(value)]);
    const [zero, minusOne] = [is(0), is(-1)];
    const divisor = this.choice(code.op('i32', { name: 'i32.or' }, [zero, minusOne]), literal(1), b);
    const result = code.op(type, { name }, [a, divisor]);
    if (name.endsWith('rem_s')) return result;
    const negated = code.op(type, { name: `${type}.sub` }, [literal(0), a]);
    return this.choice(zero, literal(0), this.choice(minusOne, negated, result));
  }

  /** Both sides are evaluated. */
  private choice(cond: Value, yes: Value, no: Value): Value {
    return this.frame.code.op(yes.type, { name: 'select' }, [cond, yes, no]);
  }

  private select({ cond, yes, no }: Extract<Expr, { kind: 'select' }>): Value {
    const condition = this.emit(cond);
    if (this.isSafe(yes) && this.isSafe(no)) return this.choice(condition, this.emit(yes), this.emit(no));
    return this.guarded(
      condition,
      () => this.emit(yes),
      () => this.emit(no),
    );
  }

  /** One of two values, of which only the chosen one is evaluated. */
  guarded(condition: Value, yes: () => Value, no: () => Value): Value {
    const { code, scope } = this.frame;
    const arm = (emit: () => Value): Arm => {
      const inside = code.armScope(scope, new Set());
      return { scope: inside, result: this.frame.within(inside, () => this.layered(emit)) };
    };
    return code.choose(scope, condition, arm(yes), arm(no));
  }

  /**
   * Whether an expression can be evaluated whatever a condition around it says: its loads cannot leave their buffers.
   */
  isSafe(expr: Expr): boolean {
    let safe = this.safety.get(expr);
    if (safe === undefined) {
      safe =
        childrenOf(expr).every(part => this.isSafe(part)) &&
        (expr.kind !== 'load' || isInBounds(expr.buffer, expr.index));
      this.safety.set(expr, safe);
    }
    return safe;
  }

  cast(value: Value, from: ElemType, to: ElemType): Value {
    const { code } = this.frame;
    if (to === 'bool') {
      if (from === 'bool') return value;
      return code.op('i32', { name: `${value.type}.ne` }, [
        value,
        code.constant(value.type, value.type === 'i64' ? 0n : 0),
      ]);
    }
    const type = valueType(to);
    const name = value.type === type ? null : conversions[`${value.type}>${type}`];
    return this.wrap(name === null ? value : code.op(type, { name }, [value]), to);
  }

  private bitcast(expr: Extract<Expr, { kind: 'bitcast' }>): Value {
    const value = this.emit(expr.value);
    const type = valueType(expr.dtype);
    return value.type === type
      ? this.wrap(value, expr.dtype)
      : this.frame.code.op(type, { name: `${type}.reinterpret` }, [value]);
  }

  /** Bring a 32-bit result back into the range of a narrow integer type. */
  wrap(value: Value, type: ElemType): Value {
    const { code } = this.frame;
    if (type === 'uint8') return code.op('i32', { name: 'i32.and' }, [value, code.constant('i32', 255)]);
    const extend: Partial<Record<ElemType, Instruction>> = {
      int8: { name: 'i32.extend8_s' },
      int16: { name: 'i32.extend16_s' },
    };
    const instruction = extend[type];
    return instruction ? code.op('i32', instruction, [value]) : value;
  }
}

/** Floor and truncated division agree where nothing is negative, as in most index arithmetic. */
function unsignedDivision({ fn, args: [a, b] }: Extract<Expr, { kind: 'call' }>): ScalarFn {
  if ((fn !== 'floorDiv' && fn !== 'mod') || a.dtype !== 'index' || b.kind !== 'const' || Number(b.value) <= 0)
    return fn;
  const range = rangeOf(a);
  if (range === null || range.min < 0) return fn;
  return fn === 'floorDiv' ? 'truncDiv' : 'rem';
}

const conversions: Record<string, string> = {
  'i32>i64': 'i64.extend_s',
  'i64>i32': 'i32.wrap',
  'i32>f32': 'f32.convert_s.i32',
  'i64>f32': 'f32.convert_s.i64',
  'i32>f64': 'f64.convert_s.i32',
  'i64>f64': 'f64.convert_s.i64',
  'f32>i32': 'i32.trunc_s_sat.f32',
  'f64>i32': 'i32.trunc_s_sat.f64',
  'f32>i64': 'i64.trunc_s_sat.f32',
  'f64>i64': 'i64.trunc_s_sat.f64',
  'f32>f64': 'f64.promote',
  'f64>f32': 'f32.demote',
};

/** The instruction that takes a lane out of a vector of elements, or puts one in. */
export function laneName(dtype: ElemType, what: 'extract' | 'replace'): string {
  return `${dtype === 'float32' ? 'f32x4' : 'i32x4'}.${what}_lane`;
}
