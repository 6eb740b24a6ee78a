/**
 * Kernels from text as `kernel-text.ts` writes it. Nothing is simplified or checked on the way beyond the types of constants;
 * equal expressions become one object.
 */
import { type DType, isDType } from './dtype.js';
import { ExprInterner } from './intern.js';
import {
  type Buffer,
  type BufferScope,
  constant,
  type Expr,
  type Iter,
  type Kernel,
  type KernelParam,
  type LoopMap,
  type Stmt,
} from './kernel.js';
import { assignments, infix, isLiteralWord, shortNames } from './kernel-text.js';
import { type ElemType, isScalarFn, type ReduceFn, type ScalarFn, scalarFns, scalarResult } from './scalar.js';
import { Cursor, unquoteName } from './tokens.js';

const fromShort = new Map(Object.entries(shortNames).map(([type, short]) => [short, type as ElemType]));
const loopMaps: readonly LoopMap[] = [
  'serial',
  'parallel',
  'unroll',
  'vector',
  'block.x',
  'block.y',
  'block.z',
  'thread.x',
  'thread.y',
];
const scopes: readonly BufferScope[] = ['param', 'local', 'register', 'shared'];

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
  /** Names given to values. */
  readonly #values = new Map<string, Expr>();
  readonly #interner = new ExprInterner();

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
      params.push(this.#cursor.accept('loose') ? { buffer, access, loose: true } : { buffer, access });
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
    this.#values.delete(name);
    return this.#cursor.take();
  }

  #oneOf<T extends string>(words: readonly T[], what: string): T {
    const word = words.find(candidate => candidate === this.#cursor.peek());
    if (word === undefined)
      return this.#cursor.complain(`expected ${what} (${words.join(', ')}) but found ${this.#cursor.found()}`);
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
      const cursor = this.#advance();
      if (cursor.peek(1) === '=') this.#value(cursor);
      else stmts.push(this.#statement(cursor, indent));
      if (!cursor.done) cursor.complain(`expected the end of the line but found ${cursor.found()}`);
    }
    if ((this.#lines[this.#next]?.indent ?? 0) > indent)
      this.#advance().complain('this line is indented more than its block');
    return stmts;
  }

  #advance(): Cursor {
    const line = this.#lines[this.#next++];
    this.#cursor = new Cursor(line.text, line.number);
    return this.#cursor;
  }

  /** `v = exp(x[i])` */
  #value(cursor: Cursor): void {
    const name = cursor.take();
    cursor.expect('=');
    this.#values.set(name, this.#read(null));
  }

  /** An expression of a known type; equal ones are one object. */
  #read = (expected: ElemType | null): Expr => this.#interner.intern(this.#expr().as(expected));

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
    const limit = limited ? this.#read('index') : null;
    cursor.expect(')');
    cursor.expect(':');
    this.#named.set(name, iter);
    const body = this.#block(indent + 1);
    this.#named.delete(name);
    return { kind: 'loop', iter, map, limit, body };
  }

  #if(cursor: Cursor, indent: number): Stmt {
    const cond = this.#read('bool');
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
    if (operator === '=' && !atomic) return { kind: 'store', buffer, index: at, value: this.#read(buffer.dtype) };
    const symbol = operator === 'max' || operator === 'min' ? `${operator}${cursor.take()}` : operator;
    const fn = (Object.keys(assignments) as ReduceFn[]).find(candidate => assignments[candidate] === symbol);
    if (fn === undefined)
      return cursor.complain(
        `expected an assignment (=, ${Object.values(assignments).join(', ')}) but found '${symbol}'`,
      );
    return { kind: 'reduce', buffer, index: at, fn, value: this.#read(buffer.dtype), atomic };
  }

  #place(): { buffer: Buffer; at: Expr } {
    const found = this.#named.get(this.#cursor.peek());
    if (found === undefined || !('dtype' in found))
      return this.#cursor.complain(`no buffer named ${this.#cursor.found()} here`);
    this.#cursor.take();
    this.#cursor.expect('[');
    const at = this.#read('index');
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
    if (cursor.peek() === 'true' || cursor.peek() === 'false')
      return this.#typed(constant('bool', cursor.take() === 'true'));
    if (cursor.peek(1) === '(') return this.#application();
    const value = this.#values.get(cursor.peek());
    if (value !== undefined && cursor.peek(1) !== '[') {
      cursor.take();
      return this.#typed(value);
    }
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
    return this.#pending(own, type => ({
      kind: 'select',
      dtype: type,
      cond: first.as('bool'),
      yes: yes.as(type),
      no: no.as(type),
    }));
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
    return this.#typed(
      bits ? { kind: 'bitcast', dtype: target as DType, value } : { kind: 'cast', dtype: target, value },
    );
  }

  #call(fn: ScalarFn, args: readonly Pending[]): Pending {
    if (args.length !== scalarFns[fn].arity)
      this.#cursor.complain(`${fn} takes ${scalarFns[fn].arity} arguments, not ${args.length}`);
    const own = args.find(arg => arg.type !== null)?.type ?? null;
    const build = (type: ElemType): Expr => ({
      kind: 'call',
      dtype: scalarResult(fn, type),
      fn,
      args: args.map(arg => arg.as(type)),
    });
    if (scalarFns[fn].rule === 'same') return this.#pending(own, build);
    if (own === null)
      this.#cursor.complain(`the type of the constants compared with ${fn} is not clear; write it as in 1_f32`);
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
        if (expected !== null && expected !== type)
          cursor.complain(`expected a value of type ${expected} but this one is ${type}`);
        return build(type);
      },
    };
  }
}

function literalValue(text: string, type: ElemType): number | bigint {
  if (type === 'int64') return BigInt(text);
  const words: Record<string, number> = {
    inf: Number.POSITIVE_INFINITY,
    '-inf': Number.NEGATIVE_INFINITY,
    nan: Number.NaN,
    '-nan': Number.NaN,
  };
  return words[text] ?? Number(text);
}
