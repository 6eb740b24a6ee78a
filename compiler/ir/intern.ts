/**
 * Equal expressions made one object: what is the same is then found by identity.
 *
 * Linear in the number of distinct objects, so it also tames expressions whose tree is far larger than what is shared in it.
 */
import type { Expr } from './kernel.js';

export class ExprInterner {
  /** The representative of every expression seen. */
  readonly #known = new Map<Expr, Expr>();
  readonly #byKey = new Map<string, Expr>();
  readonly #ids = new Map<object, number>();

  /** The one expression that stands for all equal to `expr`; its parts stand for all equal to them. */
  intern(expr: Expr): Expr {
    const known = this.#known.get(expr);
    if (known !== undefined) return known;
    const rebuilt = this.#withInternedParts(expr);
    const key = this.#key(rebuilt);
    const same = this.#byKey.get(key) ?? rebuilt;
    this.#byKey.set(key, same);
    this.#known.set(expr, same);
    this.#known.set(same, same);
    return same;
  }

  #withInternedParts(expr: Expr): Expr {
    switch (expr.kind) {
      case 'const':
      case 'iter':
        return expr;
      case 'load':
        return { ...expr, index: this.intern(expr.index) };
      case 'call':
        return { ...expr, args: expr.args.map(arg => this.intern(arg)) };
      case 'select':
        return { ...expr, cond: this.intern(expr.cond), yes: this.intern(expr.yes), no: this.intern(expr.no) };
      case 'cast':
      case 'bitcast':
        return { ...expr, value: this.intern(expr.value) };
      default:
        return expr satisfies never;
    }
  }

  #key(expr: Expr): string {
    const head = `${expr.kind} ${expr.dtype} `;
    switch (expr.kind) {
      case 'const':
        return head + (Object.is(expr.value, -0) ? '-0' : String(expr.value));
      case 'iter':
        return head + this.#id(expr.iter);
      case 'load':
        return `${head}${this.#id(expr.buffer)} ${this.#id(expr.index)}`;
      case 'call':
        return `${head}${expr.fn} ${expr.args.map(arg => this.#id(arg)).join()}`;
      case 'select':
        return head + [expr.cond, expr.yes, expr.no].map(part => this.#id(part)).join();
      case 'cast':
      case 'bitcast':
        return head + this.#id(expr.value);
      default:
        return expr satisfies never;
    }
  }

  #id(part: object): number {
    let id = this.#ids.get(part);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(part, id);
    }
    return id;
  }
}
