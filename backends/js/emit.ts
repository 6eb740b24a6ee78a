/**
 * Kernel -> plain JavaScript: eager's kernels, and the oracle every other backend is checked against.
 *
 * Slow and obvious on purpose: loops stay loops whatever their mapping. Accumulators of float32 reductions are kept in
 * float64, which makes the result the nearest float32 for all practical lengths.
 */
import { InternalError, invariant } from '../../compiler/errors.js';
import { arrayOf, type DType } from '../../compiler/ir/dtype.js';
import {
  affineOf,
  type Buffer,
  childrenOf,
  type Expr,
  type Kernel,
  type Stmt,
  walkExpr,
} from '../../compiler/ir/kernel.js';
import type { ElemType, ReduceFn } from '../../compiler/ir/scalar.js';
import * as math from './math.js';
import { spellings, wrap } from './scalar.js';

export type KernelFunction = (...arrays: ArrayLike<unknown>[]) => void;

/** Compile a kernel to a function of the typed arrays of its params, each starting at the first element. */
export function compileKernel(kernel: Kernel): KernelFunction {
  const source = emitKernel(kernel);
  return new Function('m', 'fround', `return ${source}`)(math, Math.fround) as KernelFunction;
}

/** The kernel as a function expression; `m` is this backend's math, `fround` Math.fround. */
export function emitKernel(kernel: Kernel): string {
  return new Emitter().kernel(kernel);
}

class Emitter {
  readonly #names = new Map<object, string>();
  readonly #used = new Map<string, number>();
  readonly #temporaries = new Map<Expr, string>();

  kernel({ params, body, name }: Kernel): string {
    const args = params.map(({ buffer }) => this.#name(buffer, buffer.name));
    return `function ${sanitize(name)}(${args.join(', ')}) {\n${this.#block(body, '  ')}}`;
  }

  #name(key: object, wanted: string): string {
    let name = this.#names.get(key);
    if (name === undefined) {
      const base = sanitize(wanted);
      const count = this.#used.get(base) ?? 0;
      this.#used.set(base, count + 1);
      name = count === 0 ? base : `${base}_${count}`;
      this.#names.set(key, name);
    }
    return name;
  }

  /** Statements that only write registers cannot change what the next one reads, so they share subexpressions. */
  #block(stmts: readonly Stmt[], indent: string): string {
    let text = '';
    for (let i = 0; i < stmts.length; ) {
      let end = i + 1;
      if (writesRegister(stmts[i])) while (end < stmts.length && writesRegister(stmts[end])) end++;
      text += this.#run(stmts.slice(i, end), indent);
      i = end;
    }
    return text;
  }

  /** Statements with the variables for what they share, which hold no longer than these statements. */
  #run(stmts: readonly Stmt[], indent: string): string {
    const writes = stmts.filter(stmt => stmt.kind === 'store' || stmt.kind === 'reduce');
    const changed = new Set(writes.slice(0, -1).map(stmt => stmt.buffer));
    const shared = sharedParts(writes.map(stmt => stmt.value)).filter(
      ({ expr }) => !this.#temporaries.has(expr) && !reads(expr, changed),
    );
    let text = '';
    for (const { expr, onDemand } of shared) {
      const value = this.#expr(expr);
      const name = this.#name({}, 't');
      this.#temporaries.set(expr, onDemand ? `${name}()` : name);
      text += `${indent}${onDemand ? this.#thunk(name, value) : `const ${name} = ${value};`}\n`;
    }
    text += stmts.map(stmt => this.#stmt(stmt, indent)).join('');
    for (const { expr } of shared) this.#temporaries.delete(expr);
    return text;
  }

  #thunk(name: string, value: string): string {
    const kept = this.#name({}, 'v');
    return `let ${kept}; const ${name} = () => (${kept} ??= ${value});`;
  }

  #stmt(stmt: Stmt, indent: string): string {
    switch (stmt.kind) {
      case 'loop': {
        const i = this.#name(stmt.iter, stmt.iter.name);
        const end = stmt.limit ? `Math.min(${stmt.iter.extent}, ${this.#expr(stmt.limit)})` : stmt.iter.extent;
        return `${indent}for (let ${i} = 0; ${i} < ${end}; ${i}++) {\n${this.#block(stmt.body, `${indent}  `)}${indent}}\n`;
      }
      case 'store':
        return `${indent}${this.#place(stmt.buffer, stmt.index)} = ${this.#toStorage(stmt.buffer, this.#expr(stmt.value))};\n`;
      case 'reduce': {
        const place = this.#place(stmt.buffer, stmt.index);
        const combined = combine(
          stmt.fn,
          this.#fromStorage(stmt.buffer, place),
          this.#expr(stmt.value),
          stmt.buffer.dtype,
        );
        return `${indent}${place} = ${this.#toStorage(stmt.buffer, combined)};\n`;
      }
      case 'if': {
        const otherwise =
          stmt.otherwise.length === 0 ? '' : ` else {\n${this.#block(stmt.otherwise, `${indent}  `)}${indent}}`;
        return `${indent}if (${this.#expr(stmt.cond)}) {\n${this.#block(stmt.then, `${indent}  `)}${indent}}${otherwise}\n`;
      }
      case 'alloc':
        return this.#alloc(stmt.buffer, stmt.body, indent);
      case 'barrier':
      case 'allreduce':
        throw new InternalError(`the js backend has no threads, but was given a ${stmt.kind}`);
      default:
        return stmt satisfies never;
    }
  }

  #alloc(buffer: Buffer, body: readonly Stmt[], indent: string): string {
    const name = this.#name(buffer, buffer.name);
    const zero = buffer.dtype === 'int64' ? '0n' : '0';
    const declaration = inVariables(buffer)
      ? Array.from({ length: buffer.size }, (_, i) => `${variable(name, buffer, i)} = ${zero}`).join(', ')
      : `${name} = new ${arrayName(buffer)}(${buffer.size})`;
    return `${indent}{\n${indent}  let ${declaration};\n${this.#block(body, `${indent}  `)}${indent}}\n`;
  }

  #place(buffer: Buffer, at: Expr): string {
    const name = this.#name(buffer, buffer.name);
    if (!inVariables(buffer)) return `${name}[${this.#expr(at)}]`;
    invariant(at.kind === 'const', () => `register ${buffer.name} is indexed by an expression that is not constant`);
    return variable(name, buffer, Number(at.value));
  }

  /** 16-bit floats are stored as bits; accumulators keep more precision than their type. */
  #toStorage(buffer: Buffer, value: string): string {
    if (inVariables(buffer)) return value;
    if (buffer.dtype === 'float16') return `m.toHalf(${value})`;
    if (buffer.dtype === 'bfloat16') return `m.toBfloat(${value})`;
    return value;
  }
  #fromStorage(buffer: Buffer, place: string): string {
    if (inVariables(buffer)) return place;
    if (buffer.dtype === 'float16') return `m.fromHalf(${place})`;
    if (buffer.dtype === 'bfloat16') return `m.fromBfloat(${place})`;
    return place;
  }

  #expr(expr: Expr): string {
    const temporary = this.#temporaries.get(expr);
    if (temporary !== undefined) return temporary;
    switch (expr.kind) {
      case 'const':
        return literal(expr.value, expr.dtype);
      case 'iter':
        return this.#name(expr.iter, expr.iter.name);
      case 'load': {
        const value = this.#fromStorage(expr.buffer, this.#place(expr.buffer, expr.index));
        return inVariables(expr.buffer) && expr.dtype === 'float32' ? `fround(${value})` : value;
      }
      case 'call':
        return spellings[expr.fn](
          expr.args.map(arg => this.#expr(arg)),
          expr.args[0].dtype,
        );
      case 'select':
        return `(${this.#expr(expr.cond)}?${this.#expr(expr.yes)}:${this.#expr(expr.no)})`;
      case 'cast':
        return convert(rounded(this.#expr(expr.value), expr.value), expr.value.dtype, expr.dtype);
      case 'bitcast':
        return bitcastText(this.#expr(expr.value), expr.value.dtype, expr.dtype);
      default:
        return expr satisfies never;
    }
  }
}

interface SharedPart {
  readonly expr: Expr;
  /** Computed at its first use instead of beforehand. */
  readonly onDemand: boolean;
}

/**
 * Subexpressions with several uses, innermost first. One that is only used under a condition may read out of bounds, which
 * gives NaN for numbers but cannot be computed with for int64: such a one is computed on demand.
 */
function sharedParts(roots: readonly Expr[]): SharedPart[] {
  const uses = new Map<Expr, number>();
  const always = new Set<Expr>();
  const order: Expr[] = [];
  const visit = (expr: Expr, conditional: boolean): void => {
    const seen = uses.get(expr) ?? 0;
    uses.set(expr, seen + 1);
    const upgrade = !conditional && !always.has(expr);
    if (upgrade) always.add(expr);
    if (seen > 0 && !upgrade) return;
    if (expr.kind === 'select') {
      visit(expr.cond, conditional);
      visit(expr.yes, true);
      visit(expr.no, true);
    } else for (const child of childrenOf(expr)) visit(child, conditional);
    if (seen === 0) order.push(expr);
  };
  for (const root of roots) visit(root, false);
  return order
    .filter(expr => uses.get(expr)! > 1 && isWorthAName(expr))
    .map(expr => ({ expr, onDemand: !always.has(expr) && readsInt64(expr) }));
}

/** Sums of counters read best where they are used. */
function isWorthAName(expr: Expr): boolean {
  if (expr.kind === 'const' || expr.kind === 'iter') return false;
  return expr.dtype !== 'index' || affineOf(expr).terms.some(({ expr: term }) => term === expr);
}

function reads(expr: Expr, buffers: ReadonlySet<Buffer>): boolean {
  let found = false;
  walkExpr(expr, e => {
    if (e.kind === 'load' && buffers.has(e.buffer)) found = true;
  });
  return found;
}

function readsInt64(expr: Expr): boolean {
  let found = false;
  walkExpr(expr, e => {
    if (e.dtype === 'int64') found = true;
  });
  return found;
}

const writesRegister = (stmt: Stmt): boolean =>
  (stmt.kind === 'store' || stmt.kind === 'reduce') && stmt.buffer.scope === 'register';

/** Register buffers, indexed by constants, are local variables: one for each element. */
const inVariables = (buffer: Buffer): boolean => buffer.scope === 'register';
const variable = (name: string, buffer: Buffer, i: number): string => (buffer.size === 1 ? name : `${name}_${i}`);
const sanitize = (name: string): string => name.replace(/\W/g, '_').replace(/^(?=\d|m$|fround$)/, '_');

function arrayName(buffer: Buffer): string {
  return (arrayOf(buffer.dtype) as unknown as { name: string }).name;
}

function literal(value: number | bigint, dtype: ElemType): string {
  if (dtype === 'int64') return `${value < 0n ? `(${value}n)` : `${value}n`}`;
  if (Object.is(value, -0)) return '(-0)';
  if (value === Number.POSITIVE_INFINITY) return 'Infinity';
  return Number(value) < 0 ? `(${value})` : String(value);
}

function combine(fn: ReduceFn, a: string, b: string, dtype: DType): string {
  const big = dtype === 'int64';
  switch (fn) {
    case 'add':
      return integerOnly(`(${a}+${b})`, dtype);
    case 'mul':
      return dtype === 'int32' ? `Math.imul(${a},${b})` : integerOnly(`(${a}*${b})`, dtype);
    case 'max':
      return big ? `m.maxBig(${a},${b})` : `Math.max(${a},${b})`;
    case 'min':
      return big ? `m.minBig(${a},${b})` : `Math.min(${a},${b})`;
    case 'and':
      return `(${a}&${b})`;
    case 'or':
      return `(${a}|${b})`;
    default:
      return fn satisfies never;
  }
}
const integerOnly = (text: string, dtype: DType): string => (dtype.includes('float') ? text : wrap(text, dtype));

/** What is computed with again after a conversion to a 16-bit float has been rounded; a store rounds by itself. */
function rounded(text: string, { kind, dtype }: Expr): string {
  if (kind !== 'cast') return text;
  if (dtype === 'float16') return `m.fromHalf(m.toHalf(${text}))`;
  return dtype === 'bfloat16' ? `m.fromBfloat(m.toBfloat(${text}))` : text;
}

function convert(value: string, from: ElemType, to: ElemType): string {
  const floating = from.includes('float');
  if (to === 'bool') return from === 'int64' ? `(${value}!==0n?1:0)` : `(${value}!==0?1:0)`;
  if (to === 'int64') return floating ? `m.toInt64(${value})` : from === 'int64' ? value : `BigInt(${value})`;
  if (from === 'int64')
    return to.includes('float') || to === 'index'
      ? wrap(`Number(${value})`, to)
      : wrap(`Number(BigInt.asIntN(32,${value}))`, to);
  if (to === 'index') return floating ? `Math.trunc(${value})` : value;
  if (to.includes('float')) return wrap(value, to);
  return wrap(floating ? `Number(BigInt.asIntN(32,m.toInt64(${value})))` : value, to);
}

function bitcastText(value: string, from: ElemType, to: DType): string {
  const getter = { float32: 'getFloat32', float64: 'getFloat64', int64: 'getBigInt64', int32: 'getInt32' }[
    to as string
  ];
  return `m.bitsOf(${value},'${from}').${getter}(0)`;
}
