/**
 * Names in generated C: made from people's names, legal, and unique within their scope.
 *
 * Passes that flatten loops suggest what the parts of a flat index are called (`oh = pixel / 28 % 28`), so that the
 * generated code still speaks of rows and columns. Suggestions hang on loop counters and change nothing but names.
 */
import { type Expr, type Iter, itersOf } from '../../compiler/ir/kernel.js';
import { scalarFns } from '../../compiler/ir/scalar.js';

const keywords =
  'alignas alignof asm auto bool break case catch char class const constexpr continue decltype default delete do double ' +
  'else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept nullptr ' +
  'operator private protected public register return short signed sizeof static static_assert struct switch template this ' +
  'throw true try typedef typeid typename union unsigned using virtual void volatile while';
/** Functions and macros of the C library that generated code calls or that headers define in lower case. */
const library =
  'fmod fmodf fabs fabsf rint rintf log pow main unix linux errno stdin stdout stderr isnan isinf isfinite signbit memcpy';
/** Names that the generated host code and CUDA use themselves. */
const generated = 'at TRY stream scratch arena model threadIdx blockIdx blockDim gridDim warpSize';
const reserved = new Set([
  ...`${keywords} ${library} ${generated}`.split(' '),
  ...Object.keys(scalarFns).flatMap(fn => [fn, `${fn}f`]),
]);

/** The nearest legal C identifier: `conv1.weight` becomes `conv1_weight`. */
export function identifier(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  return /^[A-Za-z]/.test(legal) ? legal : `v${legal}`;
}

/** Hands out names that are unique within a scope and the scopes around it. */
export class NameScope {
  private readonly taken = new Set<string>();

  constructor(private readonly outer: NameScope | null = null) {}

  private has(name: string): boolean {
    return this.taken.has(name) || (this.outer?.has(name) ?? false);
  }

  /** `wanted`, or `wanted_2` and so on where that is taken. */
  claim(wanted: string): string {
    const base = identifier(wanted);
    let name = reserved.has(base) ? `${base}_` : base;
    for (let n = 2; this.has(name); n++) name = `${base}_${n}`;
    this.taken.add(name);
    return name;
  }

  nested(): NameScope {
    return new NameScope(this);
  }
}

const suggestions = new WeakMap<Iter, { name: string; expr: Expr }[]>();

/** Call `expr` by `name` wherever the emitter gives it a name of its own. */
export function suggestName(name: string, expr: Expr): void {
  for (const iter of itersOf(expr)) {
    const known = suggestions.get(iter) ?? [];
    known.push({ name, expr });
    suggestions.set(iter, known);
  }
}
export const suggestedNames = (iter: Iter): readonly { name: string; expr: Expr }[] => suggestions.get(iter) ?? [];
