/**
 * The loop IR as text; `kernel-parse.ts` reads it back. `parseKernel(printKernel(k))` is `k` up to the names of counters and
 * buffers in conflict.
 *
 *   kernel softmax(x: float32[640] read, out: float32[640] write):
 *     # amax → sub → exp → sum → div (attn)
 *     for i0 in parallel(64):
 *       acc: float32[1] register
 *       acc[0] = -inf
 *       for r0 in serial(10):
 *         acc[0] max= x[i0*10 + r0]
 *       …
 *       for s0 in parallel(10):
 *         out[i0*10 + s0] = exp(x[i0*10 + s0] - acc[0]) / acc1[0]
 *
 * It reads like Python. A buffer lives to the end of the block in which it is declared; where it does not, the declaration
 * ends in a colon and its block is indented. A constant takes its type from what stands beside it or from where it is stored;
 * where neither tells, it bears the type as a suffix: `1_f32`. Casts are `f32(x)`, reinterpreted bits `bits_f32(x)`. An
 * expression that a statement uses twice is written once, under a name before it: `v0 = exp(…)`.
 */

import { tableOfReals } from './dtype.js';
import { printNumber } from './graph-text.js';
import { ExprInterner } from './intern.js';
import { type Buffer, childrenOf, type Expr, expressionsOf, type Iter, type Kernel, type Stmt } from './kernel.js';
import { type ElemType, type ReduceFn, type ScalarFn, scalarFns } from './scalar.js';
import { quoteName } from './tokens.js';

// ── what is written how ────────────────────────────────────────────────────────────────────────────────────────────────

/** Infix functions with their binding strength; all associate to the left. */
export const infix: Partial<Record<ScalarFn, readonly [operator: string, strength: number]>> = {
  eq: ['==', 1],
  ne: ['!=', 1],
  lt: ['<', 1],
  le: ['<=', 1],
  gt: ['>', 1],
  ge: ['>=', 1],
  or: ['|', 2],
  xor: ['^', 3],
  and: ['&', 4],
  shl: ['<<', 5],
  shr: ['>>', 5],
  add: ['+', 6],
  sub: ['-', 6],
  mul: ['*', 7],
  div: ['/', 7],
  floorDiv: ['//', 7],
  mod: ['%', 7],
};
const prefix: Partial<Record<ScalarFn, string>> = { neg: '-', not: '~' };
const prefixStrength = 8;

export const shortNames = tableOfReals<ElemType>({
  bool: 'bool',
  uint8: 'u8',
  int8: 'i8',
  int16: 'i16',
  int32: 'i32',
  int64: 'i64',
  float16: 'f16',
  bfloat16: 'bf16',
  float32: 'f32',
  float64: 'f64',
  index: 'index',
});

export const assignments: Record<ReduceFn, string> = {
  add: '+=',
  mul: '*=',
  max: 'max=',
  min: 'min=',
  and: '&=',
  or: '|=',
};

const reserved = new Set(['for', 'if', 'else', 'atomic', 'allreduce', 'barrier', 'true', 'false', 'limit']);
export const isLiteralWord = (word: string): boolean => /^(inf|nan)(_\w+)?$/.test(word);

// ── printing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export const printKernel = (kernel: Kernel): string => new Printer().kernel(kernel);
/** Statements alone, under the names their buffers and counters bear. */
export const printStmts = (stmts: readonly Stmt[]): string => new Printer().block(stmts, '');
export const printExpr = (expr: Expr): string => new Printer().expr(expr, expr.dtype, 0);

const lineWidth = 120;

class Printer {
  readonly #names = new Map<object, string>();
  readonly #taken = new Set<string>();
  readonly #interner = new ExprInterner();

  kernel({ name, params, body, doc }: Kernel): string {
    const texts = params.map(
      ({ buffer, access, loose }) =>
        `${this.#declare(buffer, buffer.name)}: ${buffer.dtype}[${buffer.size}] ${access}${loose ? ' loose' : ''}`,
    );
    const line = `kernel ${quoteName(name)}(${texts.join(', ')}):`;
    const header =
      line.length <= lineWidth ? line : `kernel ${quoteName(name)}(\n${texts.map(text => `  ${text},\n`).join('')}):`;
    return `${header}\n${doc ? `  # ${doc.replace(/\s+/g, ' ')}\n` : ''}${this.block(body, '  ')}`;
  }

  block(stmts: readonly Stmt[], indent: string): string {
    return stmts.map((stmt, i) => this.#stmt(stmt, indent, i === stmts.length - 1)).join('');
  }

  #stmt(stmt: Stmt, indent: string, last: boolean): string {
    const own = expressionsOf(stmt).map(expr => this.#interner.intern(expr));
    const shared = this.#nameShared(own, indent);
    const text = shared.lines + this.#statement(stmt, own, indent, last);
    for (const expr of shared.named) this.#release(expr);
    return text;
  }

  /** `own`: the expressions of the statement itself, interned, in the order of `expressionsOf`. */
  #statement(stmt: Stmt, own: readonly Expr[], indent: string, last: boolean): string {
    switch (stmt.kind) {
      case 'loop': {
        const limit = stmt.limit ? `, limit=${this.expr(own[0], 'index', 0)}` : '';
        return this.#scoped(
          stmt.iter,
          name =>
            `${indent}for ${name} in ${stmt.map}(${stmt.iter.extent}${limit}):\n${this.block(stmt.body, `${indent}  `)}`,
        );
      }
      case 'alloc':
        return this.#scoped(stmt.buffer, name => {
          const line = `${indent}${name}: ${stmt.buffer.dtype}[${stmt.buffer.size}] ${stmt.buffer.scope}`;
          return last && stmt.body.length > 0
            ? `${line}\n${this.block(stmt.body, indent)}`
            : `${line}:\n${this.block(stmt.body, `${indent}  `)}`;
        });
      case 'store':
        return `${indent}${this.#place(stmt.buffer, own[0])} = ${this.expr(own[1], stmt.buffer.dtype, 0)}\n`;
      case 'reduce':
        return `${indent}${stmt.atomic ? 'atomic ' : ''}${this.#place(stmt.buffer, own[0])} ${assignments[stmt.fn]} ${this.expr(own[1], stmt.buffer.dtype, 0)}\n`;
      case 'if': {
        const otherwise =
          stmt.otherwise.length === 0 ? '' : `${indent}else:\n${this.block(stmt.otherwise, `${indent}  `)}`;
        return `${indent}if ${this.expr(own[0], 'bool', 0)}:\n${this.block(stmt.then, `${indent}  `)}${otherwise}`;
      }
      case 'barrier':
        return `${indent}barrier\n`;
      case 'allreduce':
        return `${indent}allreduce ${stmt.fn} ${this.#place(stmt.buffer, own[0])} over ${stmt.width}\n`;
      default:
        return stmt satisfies never;
    }
  }

  /** Give a name to what the expressions of a statement use twice, if it is long enough to be worth one. */
  #nameShared(own: readonly Expr[], indent: string): { lines: string; named: Expr[] } {
    const named: Expr[] = [];
    let lines = '';
    for (const [expr, count] of countUses(own)) {
      if (count < 2 || childrenOf(expr).length === 0) continue;
      const text = this.expr(expr, null, 0);
      if (text.length < shortestNamed) continue;
      lines += `${indent}${this.#declare(expr, 'v')} = ${text}\n`;
      named.push(expr);
    }
    return { lines, named };
  }

  /** Print something with a name that is free again afterwards. */
  #scoped(named: Buffer | Iter, print: (name: string) => string): string {
    const text = print(this.#declare(named, named.name));
    this.#release(named);
    return text;
  }

  #declare(named: object, wanted: string): string {
    const name = this.#free(wanted);
    this.#names.set(named, name);
    this.#taken.add(name);
    return name;
  }

  #release(named: object): void {
    this.#taken.delete(this.#names.get(named)!);
    this.#names.delete(named);
  }

  #free(wanted: string): string {
    const word = wanted.replace(/\W/g, '_').replace(/^(?=\d|$)/, '_');
    const base = reserved.has(word) || isLiteralWord(word) ? `${word}_` : word;
    let name = base;
    for (let n = 1; this.#taken.has(name); n++) name = `${base}_${n}`;
    return name;
  }

  #place = (buffer: Buffer, at: Expr): string =>
    `${this.#names.get(buffer) ?? buffer.name}[${this.expr(at, 'index', 0)}]`;

  /** `expected`: the type a reader knows the expression to have, if any; `strength`: how tightly the surroundings bind. */
  expr(expr: Expr, expected: ElemType | null, strength: number): string {
    const name = this.#names.get(expr);
    if (name !== undefined) return name;
    switch (expr.kind) {
      case 'const':
        return printConstant(expr.value, expr.dtype, expected);
      case 'iter':
        return this.#names.get(expr.iter) ?? expr.iter.name;
      case 'load':
        return this.#place(expr.buffer, expr.index);
      case 'call':
        return this.#call(expr.fn, expr.args, argumentType(expr, expected), strength);
      case 'select':
        return this.#select(expr, expected);
      case 'cast':
        return `${shortNames[expr.dtype]}(${this.expr(expr.value, null, 0)})`;
      case 'bitcast':
        return `bits_${shortNames[expr.dtype]}(${this.expr(expr.value, null, 0)})`;
      default:
        return expr satisfies never;
    }
  }

  #call(fn: ScalarFn, args: readonly Expr[], known: ElemType | null, strength: number): string {
    const print = (i: number, inner: number): string => this.expr(args[i], i === 0 ? known : args[0].dtype, inner);
    const operator = infix[fn];
    if (operator) {
      const [symbol, own] = operator;
      const space = fn === 'mul' && args[0].dtype === 'index' ? '' : ' ';
      return parenthesise(`${print(0, own)}${space}${symbol}${space}${print(1, own + 1)}`, own < strength);
    }
    const symbol = prefix[fn];
    if (symbol && args[0].kind !== 'const')
      return parenthesise(`${symbol}${print(0, prefixStrength)}`, prefixStrength < strength);
    return `${fn}(${args.map((_, i) => print(i, 0)).join(', ')})`;
  }

  #select(expr: Extract<Expr, { kind: 'select' }>, expected: ElemType | null): string {
    const known = expected ?? (hasOwnType(expr) ? expr.dtype : null);
    return `(${this.expr(expr.cond, 'bool', 1)} ? ${this.expr(expr.yes, known, 0)} : ${this.expr(expr.no, expr.dtype, 0)})`;
  }
}

/** Shorter texts are repeated rather than named. */
const shortestNamed = 20;

/** How often each distinct expression is used, parts before what they are part of. */
function countUses(exprs: readonly Expr[]): Map<Expr, number> {
  const uses = new Map<Expr, number>();
  const visit = (expr: Expr): void => {
    if (!uses.has(expr)) for (const child of childrenOf(expr)) visit(child);
    uses.set(expr, (uses.get(expr) ?? 0) + 1);
  };
  for (const expr of exprs) visit(expr);
  return uses;
}

const parenthesise = (text: string, needed: boolean): string => (needed ? `(${text})` : text);

/** The type that the arguments of a call are known to have before any of them is read. */
function argumentType(expr: Extract<Expr, { kind: 'call' }>, expected: ElemType | null): ElemType | null {
  if (expr.args.some(hasOwnType)) return expr.args[0].dtype;
  return scalarFns[expr.fn].rule === 'same' ? expected : null;
}

const ownTypes = new WeakMap<Expr, boolean>();

/** Does the text of an expression tell its type without help from its surroundings? Asked once of what is used often. */
function hasOwnType(expr: Expr): boolean {
  const known = ownTypes.get(expr);
  if (known !== undefined) return known;
  const answer = tellsItsType(expr);
  ownTypes.set(expr, answer);
  return answer;
}

function tellsItsType(expr: Expr): boolean {
  switch (expr.kind) {
    case 'const':
      return expr.dtype === 'bool';
    case 'call':
      return scalarFns[expr.fn].rule === 'compare' || expr.args.some(hasOwnType);
    case 'select':
      return hasOwnType(expr.yes) || hasOwnType(expr.no);
    case 'iter':
    case 'load':
    case 'cast':
    case 'bitcast':
      return true;
    default:
      return expr satisfies never;
  }
}

function printConstant(value: number | bigint, dtype: ElemType, expected: ElemType | null): string {
  if (dtype === 'bool') return value ? 'true' : 'false';
  const digits =
    typeof value === 'bigint' ? String(value) : dtype === 'float32' ? shortestFloat32(value) : printNumber(value);
  return expected === dtype ? digits : `${digits}_${shortNames[dtype]}`;
}

/** The fewest digits that round to the same float32. */
function shortestFloat32(value: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Object.is(Math.fround(short), value)) return printNumber(short);
  }
  return printNumber(value);
}
