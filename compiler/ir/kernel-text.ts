/**
 * The loop IR as text, and back: `parseKernel(printKernel(k))` is `k` up to the names of counters and buffers in conflict.
 *
 *   kernel linear_relu(x: float32[8192] read, w: float32[4096] read, b: float32[32] read, out: float32[2048] write):
 *     # batchedMatmul → add → relu (fc1)
 *     for i0 in parallel(64):
 *       for i1 in parallel(32):
 *         acc: float32[1] register
 *         acc[0] = 0
 *         for r0 in serial(128):
 *           acc[0] += x[i0*128 + r0] * w[r0*32 + i1]
 *         out[i0*32 + i1] = max(acc[0] + b[i1], 0)
 *
 * It reads like Python. A buffer lives to the end of the block in which it is declared; where it does not, the declaration
 * ends in a colon and its block is indented. A constant takes its type from what stands beside it or from where it is stored;
 * where neither tells, it bears the type as a suffix: `1_f32`. Casts are `f32(x)`, reinterpreted bits `bits_f32(x)`.
 */
import { type DType, isDType } from './dtype.js';
import { printNumber } from './graph-text.js';
import type { Buffer, BufferScope, Expr, Iter, Kernel, KernelParam, LoopMap, Stmt } from './kernel.js';
import { constant } from './kernel.js';
import { type ElemType, isScalarFn, type ReduceFn, type ScalarFn, scalarFns, scalarResult } from './scalar.js';
import { Cursor, quoteName, unquoteName } from './tokens.js';

// ── what is written how ────────────────────────────────────────────────────────────────────────────────────────────────

/** Infix functions with their binding strength; all associate to the left. */
const infix: Partial<Record<ScalarFn, readonly [operator: string, strength: number]>> = {
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

const shortNames: Record<ElemType, string> = {
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
};
const fromShort = new Map(Object.entries(shortNames).map(([type, short]) => [short, type as ElemType]));

const assignments: Record<ReduceFn, string> = { add: '+=', mul: '*=', max: 'max=', min: 'min=', and: '&=', or: '|=' };
const loopMaps: readonly LoopMap[] = ['serial', 'parallel', 'unroll', 'vector', 'block.x', 'block.y', 'block.z', 'thread.x', 'thread.y'];
const scopes: readonly BufferScope[] = ['param', 'local', 'register', 'shared'];

const reserved = new Set(['for', 'if', 'else', 'atomic', 'allreduce', 'barrier', 'true', 'false', 'limit']);
const isLiteralWord = (word: string): boolean => /^(inf|nan)(_\w+)?$/.test(word);

// ── printing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export const printKernel = (kernel: Kernel): string => new Printer().kernel(kernel);
/** Statements alone, under the names their buffers and counters bear. */
export const printStmts = (stmts: readonly Stmt[]): string => new Printer().block(stmts, '');
export const printExpr = (expr: Expr): string => new Printer().expr(expr, expr.dtype, 0);

const lineWidth = 120;

class Printer {
  readonly #names = new Map<object, string>();
  readonly #taken = new Set<string>();

  kernel({ name, params, body, doc }: Kernel): string {
    const texts = params.map(({ buffer, access }) => `${this.#declare(buffer)}: ${buffer.dtype}[${buffer.size}] ${access}`);
    const line = `kernel ${quoteName(name)}(${texts.join(', ')}):`;
    const header = line.length <= lineWidth ? line : `kernel ${quoteName(name)}(\n${texts.map(text => `  ${text},\n`).join('')}):`;
    return `${header}\n${doc ? `  # ${doc.replace(/\s+/g, ' ')}\n` : ''}${this.block(body, '  ')}`;
  }

  block(stmts: readonly Stmt[], indent: string): string {
    return stmts.map((stmt, i) => this.#stmt(stmt, indent, i === stmts.length - 1)).join('');
  }

  #stmt(stmt: Stmt, indent: string, last: boolean): string {
    switch (stmt.kind) {
      case 'loop': {
        const limit = stmt.limit ? `, limit=${this.expr(stmt.limit, 'index', 0)}` : '';
        return this.#scoped(stmt.iter, name => `${indent}for ${name} in ${stmt.map}(${stmt.iter.extent}${limit}):\n${this.block(stmt.body, `${indent}  `)}`);
      }
      case 'alloc':
        return this.#scoped(stmt.buffer, name => {
          const line = `${indent}${name}: ${stmt.buffer.dtype}[${stmt.buffer.size}] ${stmt.buffer.scope}`;
          return last && stmt.body.length > 0 ? `${line}\n${this.block(stmt.body, indent)}` : `${line}:\n${this.block(stmt.body, `${indent}  `)}`;
        });
      case 'store':
        return `${indent}${this.#place(stmt.buffer, stmt.index)} = ${this.expr(stmt.value, stmt.buffer.dtype, 0)}\n`;
      case 'reduce':
        return `${indent}${stmt.atomic ? 'atomic ' : ''}${this.#place(stmt.buffer, stmt.index)} ${assignments[stmt.fn]} ${this.expr(stmt.value, stmt.buffer.dtype, 0)}\n`;
      case 'if': {
        const otherwise = stmt.otherwise.length === 0 ? '' : `${indent}else:\n${this.block(stmt.otherwise, `${indent}  `)}`;
        return `${indent}if ${this.expr(stmt.cond, 'bool', 0)}:\n${this.block(stmt.then, `${indent}  `)}${otherwise}`;
      }
      case 'barrier':
        return `${indent}barrier\n`;
      case 'allreduce':
        return `${indent}allreduce ${stmt.fn} ${this.#place(stmt.buffer, stmt.index)} over ${stmt.width}\n`;
      default:
        return stmt satisfies never;
    }
  }

  /** Print something with a name that is free again afterwards. */
  #scoped(named: Buffer | Iter, print: (name: string) => string): string {
    const text = print(this.#declare(named));
    this.#taken.delete(this.#names.get(named)!);
    this.#names.delete(named);
    return text;
  }

  #declare(named: Buffer | Iter): string {
    const name = this.#free(named.name);
    this.#names.set(named, name);
    this.#taken.add(name);
    return name;
  }

  #free(wanted: string): string {
    const word = wanted.replace(/\W/g, '_').replace(/^(?=\d|$)/, '_');
    const base = reserved.has(word) || isLiteralWord(word) ? `${word}_` : word;
    let name = base;
    for (let n = 1; this.#taken.has(name); n++) name = `${base}_${n}`;
    return name;
  }

  #place = (buffer: Buffer, at: Expr): string => `${this.#names.get(buffer) ?? buffer.name}[${this.expr(at, 'index', 0)}]`;

  /** `expected`: the type a reader knows the expression to have, if any; `strength`: how tightly the surroundings bind. */
  expr(expr: Expr, expected: ElemType | null, strength: number): string {
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
    if (symbol && args[0].kind !== 'const') return parenthesise(`${symbol}${print(0, prefixStrength)}`, prefixStrength < strength);
    return `${fn}(${args.map((_, i) => print(i, 0)).join(', ')})`;
  }

  #select(expr: Extract<Expr, { kind: 'select' }>, expected: ElemType | null): string {
    const known = expected ?? (hasOwnType(expr) ? expr.dtype : null);
    return `(${this.expr(expr.cond, 'bool', 1)} ? ${this.expr(expr.yes, known, 0)} : ${this.expr(expr.no, expr.dtype, 0)})`;
  }
}

const parenthesise = (text: string, needed: boolean): string => (needed ? `(${text})` : text);

/** The type that the arguments of a call are known to have before any of them is read. */
function argumentType(expr: Extract<Expr, { kind: 'call' }>, expected: ElemType | null): ElemType | null {
  if (expr.args.some(hasOwnType)) return expr.args[0].dtype;
  return scalarFns[expr.fn].rule === 'same' ? expected : null;
}

/** Does the text of an expression tell its type without help from its surroundings? */
function hasOwnType(expr: Expr): boolean {
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
  const digits = typeof value === 'bigint' ? String(value) : dtype === 'float32' ? shortestFloat32(value) : printNumber(value);
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

// ── parsing ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Read a kernel. Throws E401 with line and column where the text is not one. Nothing is simplified on the way. */
export function parseKernel(text: string): Kernel {
  return new Parser(text).kernel();
}

/** An expression read but for the type of its constants, which may follow from its surroundings. */
interface Pending {
  readonly type: ElemType | null;
  readonly as: (expected: ElemType | null) => Expr;
}

interface Line {
  readonly indent: number;
  readonly number: number;
  readonly text: string;
}

class Parser {
  #lines: readonly Line[];
  #next = 0;
  #cursor: Cursor;
  readonly #named = new Map<string, Buffer | Iter>();

  constructor(text: string) {
    const lines = text.split('\n').map((line, i) => ({ indent: line.search(/\S|$/), number: i + 1, text: line }));
    this.#lines = lines.filter(line => line.indent < line.text.length);
    this.#cursor = new Cursor(this.#lines[0]?.text ?? '');
  }

  kernel(): Kernel {
    this.#header();
    this.#cursor.expect('kernel');
    const name = unquoteName(this.#cursor.take());
    const params = this.#params();
    this.#cursor.expect(':');
    const doc = this.#doc();
    const body = this.#block(1);
    if (this.#next < this.#lines.length) this.#advance().complain('expected the end of the kernel');
    return { name, params, body, doc };
  }

  /** The header may be spread over several lines; it ends with the line that closes its parenthesis. */
  #header(): void {
    const end = this.#lines.findIndex(line => /\):\s*$/.test(line.text));
    const header = this.#lines.slice(0, end + 1);
    this.#cursor = new Cursor(header.map(line => line.text).join('\n'), header[0]?.number ?? 1);
    this.#next = end + 1;
  }

  /** The comment under the header; comments elsewhere are skipped. */
  #doc(): string {
    const match = /^\s*# (.*)$/.exec(this.#lines[this.#next]?.text ?? '');
    this.#lines = this.#lines.slice(this.#next).filter(line => !/^\s*#/.test(line.text));
    this.#next = 0;
    return match?.[1] ?? '';
  }

  #params(): KernelParam[] {
    const params: KernelParam[] = [];
    this.#cursor.expect('(');
    while (!this.#cursor.accept(')')) {
      const buffer = this.#declaration('param');
      const access = this.#oneOf(['read', 'write', 'readwrite'] as const, 'an access');
      params.push({ buffer, access });
      if (this.#cursor.peek() !== ')') this.#cursor.expect(',');
    }
    return params;
  }

  /** `name: float32[64]`, and the scope where none is given. */
  #declaration(scope?: BufferScope): Buffer {
    const name = this.#newName();
    this.#cursor.expect(':');
    const dtype = this.#cursor.peek();
    if (!isDType(dtype)) this.#cursor.complain(`expected a dtype but found ${this.#cursor.found()}`);
    this.#cursor.take();
    this.#cursor.expect('[');
    const size = this.#cursor.integer();
    this.#cursor.expect(']');
    const buffer: Buffer = { name, dtype: dtype as DType, size, scope: scope ?? this.#oneOf(scopes, 'a scope') };
    this.#named.set(name, buffer);
    return buffer;
  }

  #newName(): string {
    const name = this.#cursor.peek();
    if (!/^[A-Za-z_]\w*$/.test(name)) this.#cursor.complain(`expected a name but found ${this.#cursor.found()}`);
    if (this.#named.has(name)) this.#cursor.complain(`'${name}' is already the name of something`);
    return this.#cursor.take();
  }

  #oneOf<T extends string>(words: readonly T[], what: string): T {
    const word = words.find(candidate => candidate === this.#cursor.peek());
    if (word === undefined) return this.#cursor.complain(`expected ${what} (${words.join(', ')}) but found ${this.#cursor.found()}`);
    this.#cursor.take();
    return word;
  }

  // ── statements

  #block(minimum: number): Stmt[] {
    const first = this.#lines[this.#next];
    return first !== undefined && first.indent >= minimum ? this.#stmts(first.indent) : [];
  }

  /** The statements at exactly this indentation. */
  #stmts(indent: number): Stmt[] {
    const stmts: Stmt[] = [];
    while (this.#lines[this.#next]?.indent === indent && !/^\s*else\b/.test(this.#lines[this.#next].text)) {
      stmts.push(this.#stmt(indent));
    }
    if ((this.#lines[this.#next]?.indent ?? 0) > indent) this.#advance().complain('this line is indented more than its block');
    return stmts;
  }

  #advance(): Cursor {
    const line = this.#lines[this.#next++];
    this.#cursor = new Cursor(line.text, line.number);
    return this.#cursor;
  }

  #stmt(indent: number): Stmt {
    const cursor = this.#advance();
    const stmt = this.#statement(cursor, indent);
    if (!cursor.done) cursor.complain(`expected the end of the line but found ${cursor.found()}`);
    return stmt;
  }

  #statement(cursor: Cursor, indent: number): Stmt {
    if (cursor.accept('for')) return this.#loop(cursor, indent);
    if (cursor.accept('if')) return this.#if(cursor, indent);
    if (cursor.accept('barrier')) return { kind: 'barrier' };
    if (cursor.accept('allreduce')) {
      const fn = this.#oneOf(Object.keys(assignments) as ReduceFn[], 'a way to reduce');
      const { buffer, at } = this.#place();
      cursor.expect('over');
      return { kind: 'allreduce', buffer, index: at, fn, width: cursor.integer() };
    }
    if (cursor.peek(1) === ':') return this.#alloc(cursor, indent);
    return this.#assignment(cursor);
  }

  #loop(cursor: Cursor, indent: number): Stmt {
    const name = this.#newName();
    cursor.expect('in');
    const map = this.#oneOf(loopMaps, 'a loop mapping');
    cursor.expect('(');
    const iter: Iter = { name, extent: cursor.integer() };
    const limited = cursor.accept(',');
    if (limited) {
      cursor.expect('limit');
      cursor.expect('=');
    }
    const limit = limited ? this.#expr().as('index') : null;
    cursor.expect(')');
    cursor.expect(':');
    this.#named.set(name, iter);
    const body = this.#block(indent + 1);
    this.#named.delete(name);
    return { kind: 'loop', iter, map, limit, body };
  }

  #if(cursor: Cursor, indent: number): Stmt {
    const cond = this.#expr().as('bool');
    cursor.expect(':');
    const then = this.#block(indent + 1);
    const following = this.#lines[this.#next];
    const hasElse = following?.indent === indent && /^\s*else\b/.test(following.text);
    if (hasElse) {
      const line = this.#advance();
      line.expect('else');
      line.expect(':');
    }
    return { kind: 'if', cond, then, otherwise: hasElse ? this.#block(indent + 1) : [] };
  }

  #alloc(cursor: Cursor, indent: number): Stmt {
    const buffer = this.#declaration();
    const body = cursor.accept(':') ? this.#block(indent + 1) : this.#stmts(indent);
    this.#named.delete(buffer.name);
    return { kind: 'alloc', buffer, body };
  }

  #assignment(cursor: Cursor): Stmt {
    const atomic = cursor.accept('atomic');
    const { buffer, at } = this.#place();
    const operator = cursor.take();
    if (operator === '=' && !atomic) return { kind: 'store', buffer, index: at, value: this.#expr().as(buffer.dtype) };
    const symbol = operator === 'max' || operator === 'min' ? `${operator}${cursor.take()}` : operator;
    const fn = (Object.keys(assignments) as ReduceFn[]).find(candidate => assignments[candidate] === symbol);
    if (fn === undefined) return cursor.complain(`expected an assignment (=, ${Object.values(assignments).join(', ')}) but found '${symbol}'`);
    return { kind: 'reduce', buffer, index: at, fn, value: this.#expr().as(buffer.dtype), atomic };
  }

  #place(): { buffer: Buffer; at: Expr } {
    const found = this.#named.get(this.#cursor.peek());
    if (found === undefined || !('dtype' in found)) return this.#cursor.complain(`no buffer named ${this.#cursor.found()} here`);
    this.#cursor.take();
    this.#cursor.expect('[');
    const at = this.#expr().as('index');
    this.#cursor.expect(']');
    return { buffer: found, at };
  }

  // ── expressions

  #expr(strength = 1): Pending {
    let left = this.#unary();
    for (;;) {
      const operator = this.#cursor.peek();
      const fn = (Object.keys(infix) as ScalarFn[]).find(candidate => infix[candidate]![0] === operator);
      if (fn === undefined || infix[fn]![1] < strength) return left;
      this.#cursor.take();
      left = this.#call(fn, [left, this.#expr(infix[fn]![1] + 1)]);
    }
  }

  #unary(): Pending {
    const cursor = this.#cursor;
    if (cursor.accept('~')) return this.#call('not', [this.#unary()]);
    if (!cursor.accept('-')) return this.#primary();
    return this.#atLiteral() ? this.#literal('-') : this.#call('neg', [this.#unary()]);
  }

  #atLiteral = (): boolean => /^\d/.test(this.#cursor.peek()) || isLiteralWord(this.#cursor.peek());

  #primary(): Pending {
    const cursor = this.#cursor;
    if (this.#atLiteral()) return this.#literal('');
    if (cursor.accept('(')) return this.#parenthesised();
    if (cursor.peek() === 'true' || cursor.peek() === 'false') return this.#typed(constant('bool', cursor.take() === 'true'));
    if (cursor.peek(1) === '(') return this.#application();
    const named = this.#named.get(cursor.peek());
    if (named === undefined || 'dtype' in named) {
      const { buffer, at } = this.#place();
      return this.#typed({ kind: 'load', dtype: buffer.dtype, buffer, index: at });
    }
    cursor.take();
    return this.#typed({ kind: 'iter', dtype: 'index', iter: named });
  }

  #parenthesised(): Pending {
    const first = this.#expr();
    if (!this.#cursor.accept('?')) {
      this.#cursor.expect(')');
      return first;
    }
    const yes = this.#expr();
    this.#cursor.expect(':');
    const no = this.#expr();
    this.#cursor.expect(')');
    const own = yes.type ?? no.type;
    return this.#pending(own, type => ({ kind: 'select', dtype: type, cond: first.as('bool'), yes: yes.as(type), no: no.as(type) }));
  }

  /** `max(a, b)`, `f32(x)`, `bits_f32(x)`. */
  #application(): Pending {
    const name = this.#cursor.peek();
    const bits = name.startsWith('bits_');
    const target = fromShort.get(bits ? name.slice('bits_'.length) : name);
    if (target === undefined && !isScalarFn(name)) this.#cursor.complain(`no function named '${name}'`);
    this.#cursor.take();
    this.#cursor.expect('(');
    const args = this.#cursor.list(')', () => this.#expr());
    if (target === undefined) return this.#call(name as ScalarFn, args);
    const value = args[0].as(null);
    return this.#typed(bits ? { kind: 'bitcast', dtype: target as DType, value } : { kind: 'cast', dtype: target, value });
  }

  #call(fn: ScalarFn, args: readonly Pending[]): Pending {
    if (args.length !== scalarFns[fn].arity) this.#cursor.complain(`${fn} takes ${scalarFns[fn].arity} arguments, not ${args.length}`);
    const own = args.find(arg => arg.type !== null)?.type ?? null;
    const build = (type: ElemType): Expr => ({ kind: 'call', dtype: scalarResult(fn, type), fn, args: args.map(arg => arg.as(type)) });
    if (scalarFns[fn].rule === 'same') return this.#pending(own, build);
    if (own === null) this.#cursor.complain(`the type of the constants compared with ${fn} is not clear; write it as in 1_f32`);
    return this.#typed(build(own as ElemType));
  }

  #literal(sign: string): Pending {
    const [digits, suffix] = this.#cursor.take().split('_');
    const own = suffix === undefined ? null : fromShort.get(suffix);
    if (own === undefined) this.#cursor.complain(`no type is called '${suffix}'`);
    return this.#pending(own ?? null, type => constant(type, literalValue(sign + digits, type)));
  }

  #typed = (expr: Expr): Pending => this.#pending(expr.dtype, () => expr);

  #pending(own: ElemType | null, build: (type: ElemType) => Expr): Pending {
    const cursor = this.#cursor;
    return {
      type: own,
      as(expected) {
        const type = own ?? expected;
        if (type === null) return cursor.complain('the type of a constant is not clear; write it as in 1_f32');
        if (expected !== null && expected !== type) cursor.complain(`expected a value of type ${expected} but this one is ${type}`);
        return build(type);
      },
    };
  }
}

function literalValue(text: string, type: ElemType): number | bigint {
  if (type === 'int64') return BigInt(text);
  const words: Record<string, number> = { inf: Number.POSITIVE_INFINITY, '-inf': Number.NEGATIVE_INFINITY, nan: Number.NaN, '-nan': Number.NaN };
  return words[text] ?? Number(text);
}
