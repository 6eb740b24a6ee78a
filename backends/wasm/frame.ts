/**
 * What emitting a function keeps track of: the code so far, where it goes, what loop counters and buffers stand for.
 */
import { invariant } from '../../compiler/errors.js';
import { bytesOf, type DType } from '../../compiler/ir/dtype.js';
import type { Buffer, Iter } from '../../compiler/ir/kernel.js';
import type { ElemType, ScalarFn } from '../../compiler/ir/scalar.js';
import type { FunctionCode, Scope, Value, Variable } from './code.js';
import type { ValType } from './instruction.js';

export { isInBounds } from '../../compiler/ir/kernel.js';

/** A loop counter: known while its loop is unrolled or a lane is singled out, else a variable of its loop's scope. */
export type Binding =
  | { readonly kind: 'known'; readonly value: number }
  | { readonly kind: 'loop'; readonly scope: Scope; readonly counter: Variable };

/** Where the elements of a buffer are. `vectors`: four elements to a v128 variable. */
export type Place =
  | { readonly kind: 'memory'; readonly base: Value }
  | { readonly kind: 'registers' | 'vectors'; readonly variables: readonly Variable[] };

/** An internal function that computes a scalar function too long to be repeated. */
export interface Helper {
  readonly name: string;
  readonly fn: ScalarFn;
  readonly dtype: DType;
}

export class Frame {
  /** Where code goes now. */
  scope: Scope;
  readonly iters = new Map<Iter, Binding>();
  readonly places = new Map<Buffer, Place>();
  readonly helpers = new Map<string, Helper>();
  /**
   * The number of the last store to each buffer, to tell loads before and after apart: also those of buffers that lie in the
   * same place one after the other.
   */
  private readonly versions = new Map<Buffer, number>();
  private stores = 0;

  /** `relaxed`: products and sums of float vectors are fused, which rounds once where the machine can. */
  constructor(
    readonly code: FunctionCode,
    readonly relaxed = false,
  ) {
    this.scope = code.root;
  }

  /** Run `emit` with `scope` as the place of new code. */
  within<T>(scope: Scope, emit: () => T): T {
    const outer = this.scope;
    this.scope = scope;
    const result = emit();
    this.scope = outer;
    return result;
  }

  place(buffer: Buffer): Place {
    const place = this.places.get(buffer);
    invariant(place, () => `buffer ${buffer.name} is used outside of its alloc`);
    return place;
  }

  binding(iter: Iter): Binding {
    const binding = this.iters.get(iter);
    invariant(binding, () => `iterator ${iter.name} is used outside of its loop`);
    return binding;
  }

  /** The outermost scope in which a read of `buffer` gives what it gives here, and may be made. */
  readScope(buffer: Buffer, inBounds: boolean): Scope {
    let { scope } = this;
    while (scope.parent !== null && !scope.writes.has(buffer) && (inBounds || !scope.conditional)) scope = scope.parent;
    return scope;
  }

  version(buffer: Buffer): number {
    return this.versions.get(buffer) ?? 0;
  }
  /** What was read from `buffer` so far may differ from what is read from now on. */
  written(buffer: Buffer): void {
    this.versions.set(buffer, ++this.stores);
    const place = this.places.get(buffer);
    if (place !== undefined && place.kind !== 'memory') for (const variable of place.variables) variable.version++;
  }

  helper(fn: ScalarFn, dtype: DType): string {
    const name = `${fn}.${dtype}`;
    this.helpers.set(name, { name, fn, dtype });
    return name;
  }

  /**
   * A pointer plus the parts of a byte offset, outermost first, so that each partial sum is made once, as far out as it
   * can be.
   */
  add(start: Value, parts: readonly Part[], unit: number): Value {
    let sum = start;
    for (const part of [...parts].sort((a, b) => a.depth - b.depth)) {
      const step = part.coefficient * unit;
      if (part.kind === 'counter' && sum.home.depth < part.depth) sum = this.code.pointer(part.scope, sum, step);
      else sum = this.code.op('i32', { name: 'i32.add' }, [sum, this.scaled(part.value, step)]);
    }
    return sum;
  }

  scaled(value: Value, factor: number): Value {
    return factor === 1 ? value : this.code.op('i32', { name: 'i32.mul' }, [value, this.code.constant('i32', factor)]);
  }
}

/** One term of an index: a loop counter, or anything else, times a coefficient. */
export type Part = { readonly coefficient: number; readonly depth: number; readonly value: Value } & (
  | { readonly kind: 'counter'; readonly scope: Scope }
  | { readonly kind: 'value' }
);

/** The wasm type that computes an element type. */
export function valueType(type: ElemType): ValType {
  if (type === 'float32' || type === 'float64') return type === 'float32' ? 'f32' : 'f64';
  invariant(
    type !== 'float16' && type !== 'bfloat16',
    () => `wasm computes no ${type}: the pass half-floats-as-bits has not run`,
  );
  return type === 'int64' ? 'i64' : 'i32';
}

const loads: Partial<Record<DType, string>> = {
  bool: 'i32.load8_u',
  uint8: 'i32.load8_u',
  int8: 'i32.load8_s',
  int16: 'i32.load16_s',
};
export const loadName = (dtype: DType): string => loads[dtype] ?? `${valueType(dtype)}.load`;
const stores: Partial<Record<DType, string>> = {
  bool: 'i32.store8',
  uint8: 'i32.store8',
  int8: 'i32.store8',
  int16: 'i32.store16',
};
export const storeName = (dtype: DType): string => stores[dtype] ?? `${valueType(dtype)}.store`;
export const alignOf = (dtype: DType): number => bytesOf(dtype);
