/**
 * Loop IR expressions -> v128 values: the four iterations of a vector loop at once.
 *
 * Lanes have 32 bits: float32, or any integer of at most 32 bits widened to int32; a bool is a mask of all or no bits.
 * What has no vector form (int64, float64, a gather, a long function) is computed lane by lane with scalar code.
 */
import { bytesOf, type DType } from '../../compiler/ir/dtype.js';
import {
  addIndex,
  affineOf,
  type Buffer,
  call,
  cast,
  childrenOf,
  type Expr,
  index as fixed,
  type Iter,
} from '../../compiler/ir/kernel.js';
import type { ElemType } from '../../compiler/ir/scalar.js';
import type { Value } from './code.js';
import { laneName, type ScalarEmitter } from './emit-scalar.js';
import { alignOf, type Frame, isInBounds } from './frame.js';
import { RELAXED_MADD } from './instruction.js';
import { isHalved } from './linear.js';
import { scalar } from './scalar.js';

export const LANES = 4;

/** Element types that fit a lane. */
export const fitsLane = (type: ElemType): boolean =>
  type !== 'int64' && type !== 'float64' && type !== 'float16' && type !== 'bfloat16';

const isNarrowInteger = ({ dtype }: Expr): boolean => fitsLane(dtype) && dtype !== 'float32' && dtype !== 'bool';

/** All bits 0: not -0. */
const isZero = (expr: Expr): boolean => expr.kind === 'const' && Object.is(Number(expr.value), 0);

export class VectorEmitter {
  private readonly layers: Map<Expr, Value>[] = [new Map()];
  private readonly dependence = new Map<Expr, boolean>();
  /** How many expressions of the statement use each. */
  private readonly userCounts = new Map<Expr, number>();

  /** Of one statement in the vector loop over `iter`. */
  constructor(
    private readonly frame: Frame,
    private readonly scalars: ScalarEmitter,
    private readonly iter: Iter,
  ) {}

  /** What the statement computes. */
  emitWhole(root: Expr): Value {
    this.countUsers(root);
    return this.emit(root);
  }

  private countUsers(root: Expr): void {
    const walk = (expr: Expr): void => {
      for (const child of childrenOf(expr)) {
        const users = this.userCounts.get(child) ?? 0;
        this.userCounts.set(child, users + 1);
        if (users === 0) walk(child);
      }
    };
    walk(root);
  }

  private users(expr: Expr): number {
    return this.userCounts.get(expr) ?? 0;
  }

  emit(expr: Expr): Value {
    for (const layer of this.layers) {
      const known = layer.get(expr);
      if (known !== undefined) return known;
    }
    const value = this.varies(expr) ? this.compute(expr) : this.splat(expr);
    this.layers[this.layers.length - 1].set(expr, value);
    return value;
  }

  private layered(emit: () => Value): Value {
    this.layers.push(new Map());
    const value = this.scalars.layered(emit);
    this.layers.pop();
    return value;
  }

  /** Whether an expression differs between the lanes. */
  varies(expr: Expr): boolean {
    let varies = this.dependence.get(expr);
    if (varies === undefined) {
      varies = this.computeVaries(expr);
      this.dependence.set(expr, varies);
    }
    return varies;
  }

  private computeVaries(expr: Expr): boolean {
    switch (expr.kind) {
      case 'const':
        return false;
      case 'iter':
        return expr.iter === this.iter;
      case 'load':
        return this.varies(expr.index);
      case 'call':
        return expr.args.some(arg => this.varies(arg));
      case 'select':
        return this.varies(expr.cond) || this.varies(expr.yes) || this.varies(expr.no);
      case 'cast':
      case 'bitcast':
        return this.varies(expr.value);
      default:
        return expr satisfies never;
    }
  }

  /** How an index moves from lane to lane: by a constant, or null where it jumps. */
  strideOf(index: Expr): number | null {
    let stride = 0;
    for (const { expr, coefficient } of affineOf(index).terms) {
      if (expr.kind === 'iter' && expr.iter === this.iter) stride += coefficient;
      else if (this.varies(expr)) return null;
    }
    return stride;
  }

  /** Run `emit` with the loop counter standing for one lane; what scalars are met there is forgotten afterwards. */
  lane<T>(lane: number, emit: () => T): T {
    this.frame.iters.set(this.iter, { kind: 'known', value: lane });
    const result = this.scalars.layered(emit);
    this.frame.iters.delete(this.iter);
    return result;
  }

  // ── how each kind of expression becomes a vector ──────────────────────────────────────────────────────────────────

  private compute(expr: Expr): Value {
    if (!fitsLane(expr.dtype)) throw new Error(`internal: ${expr.dtype} does not fit a lane`);
    switch (expr.kind) {
      case 'iter':
        return this.constants('i32', [0, 1, 2, 3]);
      case 'load':
        return this.load(expr);
      case 'call':
        return this.call(expr);
      case 'select':
        return this.select(expr);
      case 'cast':
        return this.cast(expr);
      case 'bitcast':
        return fitsLane(expr.value.dtype) && bytesOf(expr.dtype) === 4 ? this.emit(expr.value) : this.byLane(expr);
      default:
        return this.byLane(expr);
    }
  }

  private load(expr: Extract<Expr, { kind: 'load' }>): Value {
    const { buffer } = expr;
    const place = this.frame.place(buffer);
    const stride = this.strideOf(expr.index);
    if (stride === 2 && place.kind === 'memory' && bytesOf(buffer.dtype) === 4)
      return this.everyOther(expr) ?? this.byLane(expr);
    if (stride === null && place.kind === 'memory' && bytesOf(buffer.dtype) === 4 && isHalved(expr.index, this.iter))
      return this.twice(expr);
    if (stride === LANES && place.kind === 'vectors') return this.column(expr);
    if (stride !== 1) return this.byLane(expr);
    if (place.kind === 'vectors') return this.readVector(buffer, expr.index);
    if (place.kind === 'registers') return this.byLane(expr);
    const first = this.firstLane(buffer, expr.index);
    const within = this.frame.readScope(buffer, isInBounds(buffer, expr.index));
    const op = (name: string, align: number): Value =>
      this.frame.code.op(
        'v128',
        { name, memory: { offset: first.offset, align } },
        [first.pointer],
        within,
        `@${this.frame.version(buffer)}`,
      );
    if (bytesOf(buffer.dtype) === 4) return op('v128.load', 4);
    if (buffer.dtype === 'int16') return op('v128.load16x4_s', 2);
    const sign = buffer.dtype === 'int8' ? 's' : 'u';
    const wide = this.unary(
      `i32x4.extend_low_i16x8_${sign}`,
      this.unary(`i16x8.extend_low_i8x16_${sign}`, op('v128.load32_zero', 1)),
    );
    return buffer.dtype === 'bool' ? this.binary('i32x4.ne', wide, this.splatConstant('i32', 0)) : wide;
  }

  /**
   * Every other element, out of two vectors from an even place; null where these could reach beyond the buffer. Its
   * neighbours come out of the same two vectors.
   */
  private everyOther({ buffer, index }: Extract<Expr, { kind: 'load' }>): Value | null {
    const { code } = this.frame;
    const odd = Math.abs(affineOf(index).offset % 2);
    const from = addIndex(index, -odd);
    // The last of the four lanes is counted by the range already: it lies 6 elements behind the first.
    if (!isInBounds(buffer, from, 2)) return null;
    const within = this.frame.readScope(buffer, true);
    const [low, high] = [0, 4].map(skip => {
      const { pointer, offset } = this.firstLane(buffer, addIndex(from, skip));
      return code.op(
        'v128',
        { name: 'v128.load', memory: { offset, align: 4 } },
        [pointer],
        within,
        `@${this.frame.version(buffer)}`,
      );
    });
    return this.shuffle(
      low,
      high,
      [0, 2, 4, 6].map(lane => lane + odd),
    );
  }

  /** Two elements, each in two lanes. */
  private twice({ buffer, index }: Extract<Expr, { kind: 'load' }>): Value {
    const { pointer, offset } = this.firstLane(buffer, index);
    const both = this.frame.code.op(
      'v128',
      { name: 'v128.load64_zero', memory: { offset, align: 4 } },
      [pointer],
      this.frame.readScope(buffer, isInBounds(buffer, index)),
      `@${this.frame.version(buffer)}`,
    );
    return this.shuffle(both, both, [0, 0, 1, 1]);
  }

  /**
   * The same lane of four vectors that follow one another. The columns beside it share half of the shuffles.
   */
  private column({ buffer, index }: Extract<Expr, { kind: 'load' }>): Value {
    const first = this.lane(0, () => this.scalars.registerIndex(buffer, index));
    const lane = first % LANES;
    const rows = [0, 1, 2, 3].map(row => this.readVector(buffer, fixed(first - lane + row * LANES)));
    const pair = [0, 4, 1, 5].map(from => from + (lane < 2 ? 0 : 2));
    const halves = lane % 2 === 0 ? [0, 1, 4, 5] : [2, 3, 6, 7];
    return this.shuffle(this.shuffle(rows[0], rows[1], pair), this.shuffle(rows[2], rows[3], pair), halves);
  }

  /** Four lanes out of the eight of two vectors. */
  private shuffle(low: Value, high: Value, lanes: readonly number[]): Value {
    const mask = lanes.flatMap(lane => [0, 1, 2, 3].map(byte => lane * 4 + byte));
    return this.frame.code.op('v128', { name: 'i8x16.shuffle', mask }, [low, high]);
  }

  /** The address of the first lane of a run of elements. */
  firstLane(buffer: Buffer, index: Expr): ReturnType<ScalarEmitter['address']> {
    return this.lane(0, () => this.scalars.address(buffer, index));
  }

  /** The number of the v128 variable that holds a run of register elements. */
  vectorIndex(buffer: Buffer, index: Expr): number {
    return this.lane(0, () => this.scalars.registerIndex(buffer, index)) / LANES;
  }

  readVector(buffer: Buffer, index: Expr): Value {
    const place = this.frame.place(buffer);
    if (place.kind !== 'vectors') return this.byLane({ kind: 'load', dtype: buffer.dtype, buffer, index });
    return this.frame.code.read(place.variables[this.vectorIndex(buffer, index)], this.frame.readScope(buffer, true));
  }

  private call(expr: Extract<Expr, { kind: 'call' }>): Value {
    const type = expr.args[0].dtype;
    if (!fitsLane(type)) return this.narrowComparison(expr) ?? this.byLane(expr);
    const form = scalar[expr.fn].vector(type);
    if (form === null)
      return scalar[expr.fn].scalar(type)?.kind === 'helper' ? this.helperByLane(expr) : this.byLane(expr);
    if (form.kind === 'inline' && form.holds !== undefined)
      return this.whereAllLanes(form.holds(...expr.args), form.expand(...expr.args), expr);
    if (form.kind === 'inline') return this.emitWhole(form.expand(...expr.args));
    if (form.kind === 'shift') return this.shift(form.name, expr);
    if (type === 'float32' && (expr.fn === 'min' || expr.fn === 'max'))
      return this.minMaxWithConstant(expr) ?? this.minMax(expr);
    const args = this.fusedArguments(expr) ?? expr.args;
    const name = args.length === 3 ? RELAXED_MADD : form.name;
    return this.wrap(
      this.frame.code.op(
        'v128',
        { name },
        args.map(arg => this.emit(arg)),
      ),
      expr.dtype,
    );
  }

  /**
   * A label of 64 bits against a counter, or anything else that was widened: where it differs from its own low half, it
   * equals none of the narrow ones.
   */
  private narrowComparison({ fn, args }: Extract<Expr, { kind: 'call' }>): Value | null {
    const [narrow, wide] = args[0].kind === 'cast' ? args : [args[1], args[0]];
    if (fn !== 'eq' || narrow.dtype !== 'int64' || narrow.kind !== 'cast' || !isNarrowInteger(narrow.value))
      return null;
    if (wide.kind === 'const' || this.varies(wide)) return null;
    const half = cast('int32', wide);
    const isWhole = call('eq', cast('int64', half), wide);
    return this.emitWhole(call('and', isWhole, call('eq', half, cast('int32', narrow.value))));
  }

  /**
   * a, b and c of a * b + c, where they are to be fused and the product is for nothing else. This is told by the statement
   * alone, not by where its values end up: so the same is fused however loops are divided among threads.
   */
  private fusedArguments({ fn, args }: Extract<Expr, { kind: 'call' }>): readonly Expr[] | null {
    if (!this.frame.relaxed || fn !== 'add' || args[0].dtype !== 'float32') return null;
    const at = args.findIndex(
      arg => arg.kind === 'call' && arg.fn === 'mul' && this.varies(arg) && this.users(arg) === 1,
    );
    return at < 0 ? null : [...childrenOf(args[at]), args[1 - at]];
  }

  /** An expression in place of a function where a condition holds for all lanes. */
  private whereAllLanes(cond: Expr, expression: Expr, call: Extract<Expr, { kind: 'call' }>): Value {
    const { frame } = this;
    const all = frame.code.op('i32', { name: 'i32x4.all_true' }, [this.emitWhole(cond)]);
    const usual = this.emitWhole(expression);
    return this.scalars.guarded(
      all,
      () => usual,
      () => frame.code.keepWithin(frame.scope, () => this.layered(() => this.helperByLane(call))),
    );
  }

  /** A long function that has no vector form: its arguments as vectors, then a call for each lane. */
  private helperByLane({ fn, args }: Extract<Expr, { kind: 'call' }>): Value {
    const { dtype } = args[0];
    const vectors = args.map(arg => this.emit(arg));
    return this.fromLanes(dtype, lane =>
      this.scalars.callHelper(
        fn,
        dtype,
        vectors.map(vector => this.extract(vector, lane, dtype)),
      ),
    );
  }

  /**
   * pmax(c, x) is x > c ? x … only where neither is NaN; `pmax(x, c)` = x < c ? c : x keeps a NaN in x, and is three
   * times as fast as `max`.
   */
  private minMaxWithConstant({ fn, args }: Extract<Expr, { kind: 'call' }>): Value | null {
    const at = args.findIndex(arg => arg.kind === 'const' && !Number.isNaN(Number(arg.value)));
    if (at < 0) return null;
    return this.binary(`f32x4.p${fn}`, this.emit(args[1 - at]), this.emit(args[at]));
  }

  /**
   * NaN wins on either side, as with `f32x4.max`, which engines make of twice as many instructions: `pmax(y, x)` =
   * y < x ? x : y keeps a NaN in y, and where x is NaN, x is taken.
   */
  private minMax({ fn, args }: Extract<Expr, { kind: 'call' }>): Value {
    const [x, y] = args.map(arg => this.emit(arg));
    const isNaN = this.binary('f32x4.ne', x, x);
    return this.frame.code.op('v128', { name: 'v128.bitselect' }, [x, this.binary(`f32x4.p${fn}`, y, x), isNaN]);
  }

  /** The amount of a shift is one number for all lanes. */
  private shift(name: string, expr: Extract<Expr, { kind: 'call' }>): Value {
    const [value, amount] = expr.args;
    if (this.varies(amount)) return this.byLane(expr);
    return this.wrap(this.frame.code.op('v128', { name }, [this.emit(value), this.scalars.emit(amount)]), expr.dtype);
  }

  private select(expr: Extract<Expr, { kind: 'select' }>): Value {
    const { cond, yes, no } = expr;
    const safe = this.scalars.isSafe(yes) && this.scalars.isSafe(no);
    if (!this.varies(cond)) {
      const condition = this.scalars.emit(cond);
      if (safe) return this.frame.code.op('v128', { name: 'select' }, [condition, this.emit(yes), this.emit(no)]);
      return this.scalars.guarded(
        condition,
        () => this.layered(() => this.emit(yes)),
        () => this.layered(() => this.emit(no)),
      );
    }
    const mask = this.emit(cond);
    if (safe && isZero(yes)) return this.binary('v128.andnot', this.emit(no), mask);
    if (safe && isZero(no)) return this.binary('v128.and', this.emit(yes), mask);
    if (safe) return this.frame.code.op('v128', { name: 'v128.bitselect' }, [this.emit(yes), this.emit(no), mask]);
    return this.guardedLanes(expr, mask);
  }

  /** A guarded load: one side at once where all lanes agree, otherwise lane by lane. */
  private guardedLanes(expr: Extract<Expr, { kind: 'select' }>, mask: Value): Value {
    const { code } = this.frame;
    const [all, any] = ['i32x4.all_true', 'v128.any_true'].map(name => code.op('i32', { name }, [mask]));
    const side = (emit: () => Value) => () => this.layered(emit);
    const mixed = side(() => this.byLane(expr));
    const notAll = (): Value =>
      this.scalars.guarded(
        any,
        mixed,
        side(() => this.emit(expr.no)),
      );
    return this.scalars.guarded(
      all,
      side(() => this.emit(expr.yes)),
      notAll,
    );
  }

  private cast(expr: Extract<Expr, { kind: 'cast' }>): Value {
    const from = expr.value.dtype;
    const to = expr.dtype;
    if (!fitsLane(from)) return this.byLane(expr);
    const value = this.emit(expr.value);
    if (to === 'bool')
      return from === 'bool'
        ? value
        : this.binary(from === 'float32' ? 'f32x4.ne' : 'i32x4.ne', value, this.splatConstant('i32', 0));
    if (from === 'bool')
      return this.binary(
        'v128.and',
        value,
        to === 'float32' ? this.splatConstant('f32', 1) : this.splatConstant('i32', 1),
      );
    if (from === 'float32') return this.wrap(this.unary('i32x4.trunc_sat_f32x4_s', value), to);
    return to === 'float32' ? this.unary('f32x4.convert_i32x4_s', value) : this.wrap(value, to);
  }

  private wrap(value: Value, type: ElemType): Value {
    if (type === 'uint8') return this.binary('v128.and', value, this.splatConstant('i32', 255));
    if (type !== 'int8' && type !== 'int16') return value;
    const by = this.frame.code.constant('i32', type === 'int8' ? 24 : 16);
    const { code } = this.frame;
    return code.op('v128', { name: 'i32x4.shr_s' }, [code.op('v128', { name: 'i32x4.shl' }, [value, by]), by]);
  }

  // ── from scalars to vectors ───────────────────────────────────────────────────────────────────────────────────────

  private byLane(expr: Expr): Value {
    return this.fromLanes(expr.dtype, lane =>
      this.lane(lane, () => this.laneBits(this.scalars.emit(expr), expr.dtype)),
    );
  }

  private fromLanes(type: ElemType, lane: (lane: number) => Value): Value {
    const { code } = this.frame;
    const first = this.unary(type === 'float32' ? 'f32x4.splat' : 'i32x4.splat', lane(0));
    const name = laneName(type, 'replace');
    return [1, 2, 3].reduce((vector, i) => code.op('v128', { name, lane: i }, [vector, lane(i)]), first);
  }

  /** What a scalar is as a lane: a bool becomes a mask. */
  private laneBits(value: Value, type: ElemType): Value {
    const { code } = this.frame;
    return type === 'bool' ? code.op('i32', { name: 'i32.sub' }, [code.constant('i32', 0), value]) : value;
  }

  private splat(expr: Expr): Value {
    const { code } = this.frame;
    const type = expr.dtype === 'float32' ? 'f32' : 'i32';
    if (expr.kind === 'const') return this.splatConstant(type, Number(expr.value) * (expr.dtype === 'bool' ? -1 : 1));
    if (expr.kind === 'load' && bytesOf(expr.buffer.dtype) === 4 && this.frame.place(expr.buffer).kind === 'memory') {
      const { pointer, offset } = this.scalars.address(expr.buffer, expr.index);
      const within = this.frame.readScope(expr.buffer, isInBounds(expr.buffer, expr.index));
      const state = `@${this.frame.version(expr.buffer)}`;
      return code.op(
        'v128',
        { name: 'v128.load32_splat', memory: { offset, align: alignOf(expr.dtype as DType) } },
        [pointer],
        within,
        state,
      );
    }
    return this.unary(`${type}x4.splat`, this.laneBits(this.scalars.emit(expr), expr.dtype));
  }

  private splatConstant(type: 'f32' | 'i32', value: number): Value {
    return this.constants(type, [value, value, value, value]);
  }

  private constants(type: 'f32' | 'i32', lanes: readonly number[]): Value {
    const array = type === 'f32' ? Float32Array.from(lanes) : Int32Array.from(lanes);
    return this.frame.code.vectorConstant([...new Uint8Array(array.buffer)]);
  }

  private unary(name: string, value: Value): Value {
    return this.frame.code.op('v128', { name }, [value]);
  }
  private binary(name: string, a: Value, b: Value): Value {
    return this.frame.code.op('v128', { name }, [a, b]);
  }

  /** The value of one lane as a scalar of its type. */
  extract(vector: Value, lane: number, type: ElemType): Value {
    const { code } = this.frame;
    const value = code.op(type === 'float32' ? 'f32' : 'i32', { name: laneName(type, 'extract'), lane }, [vector]);
    return type === 'bool' ? code.op('i32', { name: 'i32.and' }, [value, code.constant('i32', 1)]) : value;
  }

  /** How a vector is stored: the instruction, and the lanes narrowed to the width of the elements. */
  packed(vector: Value, type: DType): { name: string; stored: Value } {
    if (bytesOf(type) === 4) return { name: 'v128.store', stored: vector };
    if (bytesOf(type) === 2)
      return { name: 'i64.store', stored: this.low('i64', this.binary('i16x8.narrow_i32x4_s', vector, vector)) };
    const low = this.binary('v128.and', vector, this.splatConstant('i32', type === 'bool' ? 1 : 255));
    const shorts = this.binary('i16x8.narrow_i32x4_u', low, low);
    return { name: 'i32.store', stored: this.low('i32', this.binary('i8x16.narrow_i16x8_u', shorts, shorts)) };
  }

  private low(type: 'i32' | 'i64', vector: Value): Value {
    return this.frame.code.op(type, { name: `${type}x${type === 'i32' ? 4 : 2}.extract_lane`, lane: 0 }, [vector]);
  }
}
