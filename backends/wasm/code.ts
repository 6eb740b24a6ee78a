/**
 * A WASM function under construction: values numbered as they are made, placed as far out of the loops as they can be.
 *
 * The body is a tree of scopes (function, loops, arms of conditionals). A value lives in its `home`, the outermost
 * scope in which its arguments exist, and is found again there by what it computes: so invariants leave loops, and an
 * expression shared by several statements is computed once. Only when the body is complete is it known how often each
 * value is used: then a value used once, where it was made, is nested into its user, and the others become locals.
 */
import type { Buffer } from '../../compiler/ir/kernel.js';
import { type Instruction, sameInstruction, type ValType } from './instruction.js';

export interface Value {
  readonly id: number;
  readonly type: ValType;
  readonly form: ValueForm;
  readonly home: Scope;
  /** How often it is used, and whether from a scope within its home. */
  uses: number;
  usedInside: boolean;
}

export type ValueForm =
  /** A literal, a parameter or a variable: repeated at each use instead of being kept. */
  | { readonly kind: 'const'; readonly value: number | bigint }
  | { readonly kind: 'variable'; readonly variable: Variable }
  | { readonly kind: 'global'; readonly name: string }
  | { readonly kind: 'op'; readonly instruction: Instruction; readonly args: readonly Value[] }
  | { readonly kind: 'vector'; readonly bytes: readonly number[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Value[] }
  /** One of two, of which only the chosen one is evaluated. */
  | { readonly kind: 'choose'; readonly cond: Value; readonly yes: Arm; readonly no: Arm };

export interface Arm {
  readonly scope: Scope;
  readonly result: Value;
}

/** A wasm local that changes: a loop counter, a pointer that moves with a loop, an element of a register buffer. */
export interface Variable {
  readonly index: number;
  readonly type: ValType;
  /** Counts the assignments, so that values that read it are told apart. */
  version: number;
}

export type Item =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'set'; readonly variable: Variable; readonly value: Value }
  | { readonly kind: 'effect'; readonly instruction: Instruction; readonly args: readonly Value[] }
  /**
   * Runs `body` and then `step` until the counter, which starts at `first`, reaches `bound`. `guarded`: it may run not
   * even once.
   */
  | {
      readonly kind: 'loop';
      readonly counter: Variable;
      readonly first: Value;
      readonly bound: Value;
      readonly guarded: boolean;
      readonly body: Scope;
      readonly step: Scope;
    }
  /** Runs `body` for each turn that this thread takes of so many; `counter` is the number of the turn. */
  | { readonly kind: 'turns'; readonly counter: Variable; readonly turns: number; readonly body: Scope }
  | { readonly kind: 'if'; readonly cond: Value; readonly then: Scope; readonly otherwise: Scope }
  | { readonly kind: 'barrier' };

export interface Scope {
  readonly kind: 'body' | 'loop' | 'arm';
  readonly parent: Scope | null;
  readonly depth: number;
  readonly items: Item[];
  readonly known: Map<string, Value>;
  /** Buffers stored to somewhere inside: what is read from them cannot leave. */
  readonly writes: ReadonlySet<Buffer>;
  /** Whether it may run not even once, so that what may only be evaluated here has to stay. */
  readonly conditional: boolean;
  /** Pointers that move with the loop, by start and step. */
  readonly pointers: Map<string, Variable>;
  /** What runs at the end of each iteration. */
  readonly step: Scope | null;
  /** Where a loop's counter starts; null where that is 0. */
  readonly first: Value | null;
}

const nothing: ReadonlySet<Buffer> = new Set();

export class FunctionCode {
  readonly root = newScope('body', null, nothing, false);
  readonly variables: Variable[] = [];
  private nextId = 0;
  private readonly constants = new Map<string, Value>();
  /** No float or vector is placed further out than here. */
  private outermost: Scope = this.root;

  constructor(readonly params: readonly ValType[]) {
    for (const type of params) this.variable(type);
  }

  variable(type: ValType): Variable {
    const variable = { index: this.variables.length, type, version: 0 };
    this.variables.push(variable);
    return variable;
  }

  constant(type: ValType, value: number | bigint): Value {
    const key = `${type}:${Object.is(value, -0) ? '-0' : value}`;
    return this.remember(this.constants, key, () => this.make(type, { kind: 'const', value }, this.root));
  }

  /** A v128 literal from its 16 bytes; kept in a local, since engines load a literal anew at each use. */
  vectorConstant(bytes: readonly number[]): Value {
    return this.number(this.root, `v128:${bytes}`, 'v128', { kind: 'vector', bytes });
  }

  global(name: string): Value {
    return this.number(this.root, `global:${name}`, 'i32', { kind: 'global', name });
  }

  /** The present value of a variable, which stays the same throughout `home` up to the next assignment. */
  read(variable: Variable, home: Scope): Value {
    const key = `var:${variable.index}:${variable.version}`;
    return this.remember(home.known, key, () => this.make(variable.type, { kind: 'variable', variable }, home));
  }

  /**
   * The result of an instruction. `within` keeps it in that scope or deeper (a load that must not move); `state` tells
   * apart what depends on more than the arguments (the version of the memory read).
   */
  op(type: ValType, instruction: Instruction, args: readonly Value[], within: Scope = this.root, state = ''): Value {
    const home = deepest([this.limit(type), within, ...args.map(arg => arg.home)]);
    return this.number(home, `${sameInstruction(instruction)}(${args.map(arg => arg.id)})${state}`, type, {
      kind: 'op',
      instruction,
      args,
    });
  }

  call(type: ValType, name: string, args: readonly Value[]): Value {
    const home = deepest([this.limit(type), ...args.map(arg => arg.home)]);
    return this.number(home, `${name}(${args.map(arg => arg.id)})`, type, { kind: 'call', name, args });
  }

  /**
   * While `emit` runs, floats and vectors stay within `scope`: they take registers, and those are needed there. Addresses
   * leave as ever.
   */
  keepWithin<T>(scope: Scope, emit: () => T): T {
    const outer = this.outermost;
    this.outermost = scope;
    const result = emit();
    this.outermost = outer;
    return result;
  }

  private limit(type: ValType): Scope {
    return type === 'i32' || type === 'i64' ? this.root : this.outermost;
  }

  choose(at: Scope, cond: Value, yes: Arm, no: Arm): Value {
    this.use(yes.result, yes.scope);
    this.use(no.result, no.scope);
    return this.number(at, `choose:${this.nextId}`, yes.result.type, { kind: 'choose', cond, yes, no });
  }

  set(at: Scope, variable: Variable, value: Value): void {
    this.use(value, at);
    variable.version++;
    at.items.push({ kind: 'set', variable, value });
  }

  effect(at: Scope, instruction: Instruction, args: readonly Value[]): void {
    for (const arg of args) this.use(arg, at);
    at.items.push({ kind: 'effect', instruction, args });
  }

  /** A loop that starts at 0, or at `first`. */
  loopScope(parent: Scope, writes: ReadonlySet<Buffer>, conditional: boolean, first: Value | null = null): Scope {
    const step = newScope('arm', parent, nothing, false);
    return { ...newScope('loop', parent, writes, conditional), step, first };
  }

  armScope(parent: Scope, writes: ReadonlySet<Buffer>): Scope {
    return newScope('arm', parent, writes, true);
  }

  loop(at: Scope, counter: Variable, bound: Value, guarded: boolean, body: Scope): void {
    const first = body.first ?? this.constant('i32', 0);
    this.use(first, at);
    this.use(bound, body);
    at.items.push({ kind: 'loop', counter, first, bound, guarded, body, step: body.step! });
  }

  turns(at: Scope, counter: Variable, turns: number, body: Scope): void {
    at.items.push({ kind: 'turns', counter, turns, body });
  }

  branch(at: Scope, cond: Value, then: Scope, otherwise: Scope): void {
    this.use(cond, at);
    at.items.push({ kind: 'if', cond, then, otherwise });
  }

  /** A pointer that is at `start` where the counter of the loop is 0, and advances by `step` bytes with each iteration. */
  pointer(loop: Scope, start: Value, step: number): Value {
    const key = `${start.id}:${step}`;
    let variable = loop.pointers.get(key);
    if (variable === undefined) {
      variable = this.variable('i32');
      loop.pointers.set(key, variable);
      this.set(loop.parent!, variable, loop.first === null ? start : this.moved(start, loop.first, step));
      const next = this.make('i32', { kind: 'variable', variable }, loop.step!);
      this.set(
        loop.step!,
        variable,
        this.op('i32', { name: 'i32.add' }, [next, this.constant('i32', step)], loop.step!),
      );
    }
    return this.read(variable, loop);
  }

  barrier(at: Scope): void {
    at.items.push({ kind: 'barrier' });
  }

  private moved(pointer: Value, steps: Value, step: number): Value {
    const distance = this.op('i32', { name: 'i32.mul' }, [steps, this.constant('i32', step)]);
    return this.op('i32', { name: 'i32.add' }, [pointer, distance]);
  }

  private use(value: Value, at: Scope): void {
    value.uses++;
    if (value.home !== at) value.usedInside = true;
  }

  private number(home: Scope, key: string, type: ValType, form: ValueForm): Value {
    return this.remember(home.known, key, () => {
      const value = this.make(type, form, home);
      for (const arg of argumentsOf(form)) this.use(arg, home);
      home.items.push({ kind: 'value', value });
      return value;
    });
  }

  private make(type: ValType, form: ValueForm, home: Scope): Value {
    return { id: this.nextId++, type, form, home, uses: 0, usedInside: false };
  }

  private remember(known: Map<string, Value>, key: string, make: () => Value): Value {
    let value = known.get(key);
    if (value === undefined) {
      value = make();
      known.set(key, value);
    }
    return value;
  }
}

function newScope(kind: Scope['kind'], parent: Scope | null, writes: ReadonlySet<Buffer>, conditional: boolean): Scope {
  const depth = parent === null ? 0 : parent.depth + 1;
  return {
    kind,
    parent,
    depth,
    items: [],
    known: new Map(),
    writes,
    conditional,
    pointers: new Map(),
    step: null,
    first: null,
  };
}

function argumentsOf(form: ValueForm): readonly Value[] {
  if (form.kind === 'op' || form.kind === 'call') return form.args;
  return form.kind === 'choose' ? [form.cond] : [];
}

/** Of scopes that lie within one another, the innermost. */
function deepest(homes: readonly Scope[]): Scope {
  return homes.reduce((a, b) => (b.depth > a.depth ? b : a));
}

/** Whether a value is written again at each use instead of being kept in a local. */
export const isRepeated = (value: Value): boolean => value.form.kind === 'const' || value.form.kind === 'variable';
