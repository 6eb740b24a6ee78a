/**
 * Kernel -> wasm function: one i32 pointer per kernel parameter, no result.
 *
 * Statements and loops are here; expressions in `emit-scalar.ts` and `emit-vector.ts`. Unrolled loops are emitted by
 * letting their counter stand for each number in turn, so that register buffers are indexed by constants and become
 * locals, of v128 where a vector loop indexes them. `parallel` loops run one after another; those of `thread.x` are
 * divided among the threads that run the function (`turns.ts`).
 */
import { fail, invariant } from '../../compiler/errors.js';
import { bytesOf } from '../../compiler/ir/dtype.js';
import {
  affineOf,
  type Buffer,
  call,
  type Expr,
  type Iter,
  index,
  type Kernel,
  load,
  type Stmt,
} from '../../compiler/ir/kernel.js';
import { scalarFns } from '../../compiler/ir/scalar.js';
import { visitAccesses, writesOf } from './accesses.js';
import { FunctionCode, type Scope, type Value, type Variable } from './code.js';
import { ScalarEmitter } from './emit-scalar.js';
import { fitsLane, LANES, VectorEmitter } from './emit-vector.js';
import { alignOf, Frame, type Helper, storeName, valueType } from './frame.js';
import { SCRATCH, SHARED, THREAD, THREADS } from './globals.js';
import { scalar } from './scalar.js';
import { MOST_TURNS } from './turns.js';
import { workOf } from './work.js';

/** A register buffer of so many vectors is a tile: of the machine's 16 registers it leaves few for anything else. */
const TILE = 8;
/** Loops of so many steps are worth computing anew, after each, what would else take registers from them. */
const LONG = 256;
/**
 * A divided loop is given out in turns where it is worth so many of them, and then in so many at least. In shorter ones
 * turns cost more than help saves: LeNet's training step with two threads takes 2.20 ms so, and 2.39 with turns throughout.
 */
const WORTH_TURNS = 10;
const FEWEST_TURNS = 8;

export interface EmittedFunction {
  readonly code: FunctionCode;
  readonly result: Value | null;
  /** Internal functions it calls. */
  readonly helpers: ReadonlyMap<string, Helper>;
  /** Bytes of scratch memory it needs. */
  readonly scratchBytes: number;
  /** Bytes of scratch memory that its threads have in common. */
  readonly sharedBytes: number;
}

/** `turn`: about how many cycles a turn of a divided loop should take. */
export function emitKernel(kernel: Kernel, relaxed: boolean, turn = 0): EmittedFunction {
  const code = new FunctionCode(kernel.params.map(() => 'i32' as const));
  const frame = new Frame(code, relaxed);
  for (const [i, { buffer }] of kernel.params.entries()) {
    frame.places.set(buffer, { kind: 'memory', base: code.read(code.variables[i], code.root) });
  }
  const emitter = new StatementEmitter(frame, kernel.name, writesOf(kernel.body), turn);
  emitter.emit(kernel.body);
  return { code, result: null, helpers: frame.helpers, ...emitter.scratch };
}

/** The internal function of a scalar function on a type. */
export function emitHelper({ fn, dtype, name }: Helper): EmittedFunction {
  const form = scalar[fn].scalar(dtype);
  invariant(form?.kind === 'helper', () => `${name} is no internal function`);
  const type = valueType(dtype);
  const { arity } = scalarFns[fn];
  const code = new FunctionCode(new Array<typeof type>(arity).fill(type));
  const frame = new Frame(code);
  const register = (register: string, variable: Variable): Buffer => {
    const buffer: Buffer = { name: register, dtype, size: 1, scope: 'register' };
    frame.places.set(buffer, { kind: 'registers', variables: [variable] });
    return buffer;
  };
  const params = code.variables.slice(0, arity).map((variable, i) => register('xy'[i], variable));
  const result = code.variable(type);
  const body = form.define(
    register('result', result),
    params.map(param => load(param, index(0))),
  );
  new StatementEmitter(frame, name).emit(body);
  return { code, result: code.read(result, code.root), helpers: frame.helpers, scratchBytes: 0, sharedBytes: 0 };
}

/** Scratch memory is a stack: what is freed is used again. */
class Stack {
  most = 0;
  private used = 0;

  /** `base`: the global that holds its address. */
  constructor(readonly base: string) {}

  push(bytes: number): number {
    const start = this.used;
    this.used = Math.ceil((start + bytes) / 64) * 64;
    this.most = Math.max(this.most, this.used);
    return start;
  }

  pop(start: number): void {
    this.used = start;
  }
}

class StatementEmitter {
  private readonly stacks = { local: new Stack(SCRATCH), shared: new Stack(SHARED) };
  private readonly scalars: ScalarEmitter;
  private readonly writes = new Map<Stmt, ReadonlySet<Buffer>>();

  constructor(
    private readonly frame: Frame,
    private readonly kernel: string,
    /** The buffers that the kernel writes. */
    private readonly changing: ReadonlySet<Buffer> = new Set(),
    private readonly turn = 0,
  ) {
    this.scalars = new ScalarEmitter(frame);
  }

  get scratch(): { scratchBytes: number; sharedBytes: number } {
    return { scratchBytes: this.stacks.local.most, sharedBytes: this.stacks.shared.most };
  }

  emit(stmts: readonly Stmt[]): void {
    for (const stmt of stmts) {
      this.scalars.beginStatement();
      this.statement(stmt);
    }
  }

  private statement(stmt: Stmt): void {
    if (stmt.kind === 'loop') this.loop(stmt);
    else if (stmt.kind === 'store') this.assign(stmt.buffer, stmt.index, () => this.scalars.emit(stmt.value));
    else if (stmt.kind === 'reduce') this.assign(stmt.buffer, stmt.index, () => this.scalars.emit(combined(stmt)));
    else if (stmt.kind === 'if') this.branch(stmt);
    else if (stmt.kind === 'alloc') this.alloc(stmt);
    else if (stmt.kind === 'barrier') this.frame.code.barrier(this.frame.scope);
    else if (stmt.kind === 'allreduce') this.refuseAllreduce();
    else stmt satisfies never;
  }

  private refuseAllreduce(): never {
    fail('E601', {
      backend: 'wasm',
      what: `allreduce, in kernel ${this.kernel}`,
      hint: 'only the cuda schedule makes threads of a block',
    });
  }

  // ── loops and branches ────────────────────────────────────────────────────────────────────────────────────────────

  private loop(stmt: Extract<Stmt, { kind: 'loop' }>): void {
    const { iter, map, limit, body } = stmt;
    if (iter.extent === 0) return;
    const replicable = limit === null && (iter.extent === 1 || map === 'unroll' || map === 'vector');
    if (map === 'thread.x') this.divided(stmt);
    else if (map === 'vector' && iter.extent === LANES && replicable && body.every(s => this.isVector(s)))
      this.vectorLoop(stmt);
    else if (replicable) this.unroll(iter, body);
    else this.counted(stmt);
  }

  private unroll(iter: Iter, body: readonly Stmt[]): void {
    for (let value = 0; value < iter.extent; value++) {
      this.frame.iters.set(iter, { kind: 'known', value });
      this.emit(body);
    }
    this.frame.iters.delete(iter);
  }

  private counted(stmt: Extract<Stmt, { kind: 'loop' }>): void {
    const { frame } = this;
    const { code } = frame;
    const bound = this.scalars.emit(
      stmt.limit === null ? index(stmt.iter.extent) : call('min', index(stmt.iter.extent), stmt.limit),
    );
    this.around(stmt, code.loopScope(frame.scope, this.written(stmt), stmt.limit !== null), bound);
  }

  private around({ iter, body }: Extract<Stmt, { kind: 'loop' }>, scope: Scope, bound: Value): void {
    const { frame } = this;
    const counter = frame.code.variable('i32');
    frame.iters.set(iter, { kind: 'loop', scope, counter });
    frame.within(scope, () => this.emit(body));
    frame.iters.delete(iter);
    frame.code.loop(frame.scope, counter, bound, scope.conditional, scope);
  }

  /**
   * The iterations of `thread.x` are divided among the threads; a single one is the first thread's. What that one reads, the
   * others must not: no barrier parts it from what the first thread wrote before, and later statements, behind a barrier,
   * would find the value that they have read too early.
   */
  private divided(stmt: Extract<Stmt, { kind: 'loop' }>): void {
    const { frame } = this;
    const { code } = frame;
    if (stmt.iter.extent === 1) {
      const isFirst = code.op('i32', { name: 'i32.eqz' }, [code.global(THREAD)]);
      const [inside, none] = [code.armScope(frame.scope, this.changing), code.armScope(frame.scope, new Set())];
      frame.within(inside, () => this.unroll(stmt.iter, stmt.body));
      code.branch(frame.scope, isFirst, inside, none);
    } else if (workOf([stmt]) < WORTH_TURNS * this.turn)
      this.part(stmt, code.global(THREAD), code.global(THREADS), frame.scope, true);
    else this.inTurns(stmt);
  }

  private inTurns(stmt: Extract<Stmt, { kind: 'loop' }>): void {
    const { frame } = this;
    const { code } = frame;
    const turns = this.turnsOf(stmt);
    const turn = code.variable('i32');
    const inside = code.loopScope(frame.scope, this.written(stmt), true);
    frame.within(inside, () => this.part(stmt, code.read(turn, inside), code.constant('i32', turns), inside, false));
    code.turns(frame.scope, turn, turns, inside);
  }

  /** As many as are worth taking, in fours: so teams of two and four have equally many. Their bounds are products of i32. */
  private turnsOf(stmt: Extract<Stmt, { kind: 'loop' }>): number {
    const wanted = this.turn === 0 ? MOST_TURNS : 4 * Math.floor(workOf([stmt]) / this.turn / 4);
    const { extent } = stmt.iter;
    return Math.min(Math.max(wanted, FEWEST_TURNS), extent, MOST_TURNS, Math.floor(0x7fffffff / extent));
  }

  /** Of N iterations part p of P runs those from N·p/P up to N·(p + 1)/P. `maybeNone`: there may be more parts than those. */
  private part(
    stmt: Extract<Stmt, { kind: 'loop' }>,
    part: Value,
    parts: Value,
    scope: Scope,
    maybeNone: boolean,
  ): void {
    const { code } = this.frame;
    const { extent } = stmt.iter;
    const i32 = (name: string, ...args: Value[]): Value => code.op('i32', { name: `i32.${name}` }, args);
    const upTo = (end: Value): Value => i32('div_u', i32('mul', end, code.constant('i32', extent)), parts);
    const first = upTo(part);
    const bound = upTo(i32('add', part, code.constant('i32', 1)));
    this.around(stmt, code.loopScope(scope, this.written(stmt), maybeNone, first), bound);
  }

  private branch(stmt: Extract<Stmt, { kind: 'if' }>): void {
    const { frame } = this;
    const cond = this.scalars.emit(stmt.cond);
    const arm = (body: readonly Stmt[]): Scope => {
      const scope = frame.code.armScope(frame.scope, writesOf(body));
      frame.within(scope, () => this.emit(body));
      return scope;
    };
    frame.code.branch(frame.scope, cond, arm(stmt.then), arm(stmt.otherwise));
    for (const buffer of writesOf([stmt])) frame.written(buffer);
  }

  private written(stmt: Extract<Stmt, { kind: 'loop' }>): ReadonlySet<Buffer> {
    let writes = this.writes.get(stmt);
    if (writes === undefined) this.writes.set(stmt, (writes = writesOf(stmt.body)));
    return writes;
  }

  // ── buffers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private alloc({ buffer, body }: Extract<Stmt, { kind: 'alloc' }>): void {
    const { frame } = this;
    if (buffer.scope === 'local' || buffer.scope === 'shared') {
      this.allocScratch(this.stacks[buffer.scope], buffer, body);
      return;
    }
    const kind = this.registerKind(buffer, body);
    const type = kind === 'vectors' ? 'v128' : valueType(buffer.dtype);
    const count = kind === 'vectors' ? buffer.size / LANES : buffer.size;
    frame.places.set(buffer, { kind, variables: Array.from({ length: count }, () => frame.code.variable(type)) });
    if (isTile(buffer, body)) frame.code.keepWithin(frame.scope, () => this.emit(body));
    else this.emit(body);
    frame.places.delete(buffer);
  }

  private allocScratch(stack: Stack, buffer: Buffer, body: readonly Stmt[]): void {
    const { code, places } = this.frame;
    const start = stack.push(buffer.size * bytesOf(buffer.dtype));
    const base = code.global(stack.base);
    places.set(buffer, {
      kind: 'memory',
      base: start === 0 ? base : code.op('i32', { name: 'i32.add' }, [base, code.constant('i32', start)]),
    });
    const holdsTile = body.some(stmt => stmt.kind === 'alloc' && isTile(stmt.buffer, stmt.body));
    if (holdsTile) code.keepWithin(this.frame.scope, () => this.emit(body));
    else this.emit(body);
    places.delete(buffer);
    stack.pop(start);
  }

  private assign(buffer: Buffer, at: Expr, value: () => Value): void {
    const { frame } = this;
    const place = frame.place(buffer);
    if (place.kind === 'memory') {
      const { pointer, offset } = this.scalars.address(buffer, at);
      frame.code.effect(
        frame.scope,
        { name: storeName(buffer.dtype), memory: { offset, align: alignOf(buffer.dtype) } },
        [pointer, value()],
      );
    } else {
      const element = this.scalars.registerIndex(buffer, at);
      if (place.kind === 'registers') frame.code.set(frame.scope, place.variables[element], value());
      else this.replaceLane(buffer, place.variables[Math.floor(element / LANES)], element % LANES, value());
    }
    frame.written(buffer);
  }

  private replaceLane(buffer: Buffer, variable: Variable, lane: number, value: Value): void {
    const { frame } = this;
    const name = `${buffer.dtype === 'float32' ? 'f32x4' : 'i32x4'}.replace_lane`;
    const old = frame.code.read(variable, frame.readScope(buffer, true));
    frame.code.set(frame.scope, variable, frame.code.op('v128', { name, lane }, [old, value]));
  }

  // ── vector loops ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a statement of a vector loop can be done for four lanes at once. */
  private isVector(stmt: Stmt): boolean {
    if (stmt.kind !== 'store' && stmt.kind !== 'reduce') return false;
    return fitsLane(stmt.buffer.dtype) && this.frame.place(stmt.buffer).kind !== 'registers';
  }

  private vectorLoop({ iter, body }: Extract<Stmt, { kind: 'loop' }>): void {
    for (const stmt of body) {
      invariant(stmt.kind === 'store' || stmt.kind === 'reduce', 'a vector loop holds stores only');
      this.scalars.beginStatement();
      const vectors = new VectorEmitter(this.frame, this.scalars, iter);
      if (vectors.strideOf(stmt.index) === 1) {
        const value = vectors.emitWhole(stmt.kind === 'store' ? stmt.value : combined(stmt));
        this.storeVector(stmt.buffer, stmt.index, value, vectors);
      } else this.storeLanes(stmt, vectors);
    }
  }

  private storeVector(buffer: Buffer, at: Expr, value: Value, vectors: VectorEmitter): void {
    const { frame } = this;
    const place = frame.place(buffer);
    if (place.kind === 'vectors') frame.code.set(frame.scope, place.variables[vectors.vectorIndex(buffer, at)], value);
    else {
      const { pointer, offset } = vectors.firstLane(buffer, at);
      const { name, stored } = vectors.packed(value, buffer.dtype);
      frame.code.effect(frame.scope, { name, memory: { offset, align: alignOf(buffer.dtype) } }, [pointer, stored]);
    }
    frame.written(buffer);
  }

  /**
   * Targets that are not next to each other: one store after the other; reductions into one element add up in order.
   */
  private storeLanes(stmt: Extract<Stmt, { kind: 'store' | 'reduce' }>, vectors: VectorEmitter): void {
    const vector = stmt.kind === 'store' ? vectors.emitWhole(stmt.value) : null;
    for (let lane = 0; lane < LANES; lane++) {
      vectors.lane(lane, () =>
        this.assign(stmt.buffer, stmt.index, () =>
          stmt.kind === 'store' ? vectors.extract(vector!, lane, stmt.buffer.dtype) : this.scalars.emit(combined(stmt)),
        ),
      );
    }
  }

  /**
   * How the elements of a register buffer are kept: each in a local, or four to a local of v128, if a vector loop
   * accesses aligned groups of four. Unrolling makes all its indices constants.
   */
  private registerKind(buffer: Buffer, body: readonly Stmt[]): 'registers' | 'vectors' {
    let aligned = buffer.size % LANES === 0 && (buffer.dtype === 'float32' || buffer.dtype === 'int32');
    let grouped = false;
    visitAccesses(body, (access, loops) => {
      if (access.buffer !== buffer) return;
      const { offset, terms } = affineOf(access.index);
      let rest = offset;
      let isGroup = false;
      for (const { expr, coefficient } of terms) {
        const known = expr.kind === 'iter' ? this.frame.iters.get(expr.iter) : undefined;
        const map = expr.kind === 'iter' ? loops.get(expr.iter) : undefined;
        if (known?.kind === 'known') rest += known.value * coefficient;
        else if (map === 'vector' && coefficient === 1) isGroup = true;
        else if (map === 'vector' || map === 'unroll') rest += coefficient;
        else
          invariant(
            false,
            `kernel ${this.kernel}: register buffer ${buffer.name} is indexed by a loop that is not unrolled`,
          );
      }
      grouped ||= isGroup;
      if (isGroup && rest % LANES !== 0) aligned = false;
    });
    return grouped && aligned ? 'vectors' : 'registers';
  }
}

/** buffer[index] = fn(buffer[index], value). */
const combined = (stmt: Extract<Stmt, { kind: 'reduce' }>): Expr =>
  call(stmt.fn, load(stmt.buffer, stmt.index), stmt.value);

/**
 * Whether a register buffer takes most registers for long: what its epilogue needs, carried across the loops before it, would
 * push it out of them.
 */
const isTile = ({ scope, size }: Buffer, body: readonly Stmt[]): boolean =>
  scope === 'register' && size >= TILE * LANES && Math.max(...body.map(serialSteps)) >= LONG;

/** How often the innermost of nested serial loops runs. */
const serialSteps = (stmt: Stmt): number =>
  stmt.kind === 'loop' && stmt.map === 'serial' ? stmt.iter.extent * Math.max(1, ...stmt.body.map(serialSteps)) : 1;
