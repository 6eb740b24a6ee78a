/**
 * Arithmetic and comparison of Python's own values: exact integers, floats that stay floats, sequences.
 */
import { PythonError } from './errors.js';
import { Dict, PyFloat, PySet, Range, Size, Slice, Tuple, type Value } from './values.js';

export type Numeric = boolean | number | bigint | PyFloat;

export const isNumeric = (value: Value): value is Numeric =>
  typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' || value instanceof PyFloat;

/** An int: a plain number while it is exact as one. */
export const int = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
export const asNumber = (value: Numeric): number => (value instanceof PyFloat ? value.value : Number(value));
const asBigInt = (value: boolean | number | bigint): bigint => BigInt(value);

const zeroDivision = (): never => {
  throw new PythonError('ZeroDivisionError', 'division by zero');
};
const floorMod = (a: number, b: number): number => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};

function floats(op: string, a: number, b: number): number | undefined {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return b === 0 ? zeroDivision() : a / b;
    case '//':
      return b === 0 ? zeroDivision() : Math.floor(a / b);
    case '%':
      return b === 0 ? zeroDivision() : floorMod(a, b);
    case '**':
      return a ** b;
    default:
      return undefined;
  }
}

function integers(op: string, a: bigint, b: bigint): bigint | undefined {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '//':
      return b === 0n ? zeroDivision() : (a - integers('%', a, b)!) / b;
    case '%': {
      if (b === 0n) return zeroDivision();
      const rest = a % b;
      return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
    }
    case '**':
      return a ** b;
    case '<<':
      return a << b;
    case '>>':
      return a >> b;
    case '&':
      return a & b;
    case '|':
      return a | b;
    case '^':
      return a ^ b;
    default:
      return undefined;
  }
}

export function binaryNumbers(op: string, left: Numeric, right: Numeric): Value {
  if (typeof left === 'boolean' && typeof right === 'boolean' && '&|^'.includes(op)) {
    return op === '&' ? left && right : op === '|' ? left || right : left !== right;
  }
  const exact =
    !(left instanceof PyFloat) && !(right instanceof PyFloat) && op !== '/' && !(op === '**' && Number(right) < 0);
  const result = exact ? integers(op, asBigInt(left), asBigInt(right)) : floats(op, asNumber(left), asNumber(right));
  if (result === undefined) throw new PythonError('TypeError', `unsupported operand type(s) for ${op}: 'float'`);
  return typeof result === 'bigint' ? int(result) : new PyFloat(result);
}

export function unaryNumber(op: string, value: Numeric): Value {
  if (op === '+') return typeof value === 'boolean' ? Number(value) : value;
  if (op === '-') return value instanceof PyFloat ? new PyFloat(-value.value) : int(-asBigInt(value));
  if (op === '~' && !(value instanceof PyFloat)) return int(~asBigInt(value));
  throw new PythonError('TypeError', `bad operand type for unary ${op}: 'float'`);
}

const order = (op: string, a: number | string | bigint, b: number | string | bigint): boolean => {
  if (op === '<') return a < b;
  if (op === '<=') return a <= b;
  if (op === '>') return a > b;
  return a >= b;
};

/** Comparison of Python's own values; undefined where another kind of value must decide. */
export function compareValues(op: string, left: Value, right: Value): boolean | undefined {
  if (isNumeric(left) && isNumeric(right)) {
    const [a, b] =
      typeof left === 'bigint' && typeof right === 'bigint' ? [left, right] : [asNumber(left), asNumber(right)];
    return op === '==' ? a === b : op === '!=' ? a !== b : order(op, a, b);
  }
  if (typeof left === 'string' && typeof right === 'string')
    return op === '==' ? left === right : op === '!=' ? left !== right : order(op, left, right);
  const [a, b] = [sequenceOf(left), sequenceOf(right)];
  if (a === null || b === null || Array.isArray(left) !== Array.isArray(right)) return undefined;
  if (op === '==' || op === '!=') return sameValue(left, right) === (op === '==');
  const at = a.findIndex((item, i) => i >= b.length || !sameValue(item, b[i]));
  return at < 0 || at >= b.length ? order(op, a.length, b.length) : compareValues(op, a[at], b[at]);
}

const sequenceOf = (value: Value): readonly Value[] | null =>
  Array.isArray(value) ? value : value instanceof Tuple ? value.items : null;

/** `==` without asking anybody: numbers by value, containers by members, the rest by identity. */
export function sameValue(a: Value, b: Value): boolean {
  if (isNumeric(a) && isNumeric(b)) return asNumber(a) === asNumber(b);
  if (a instanceof Dict && b instanceof Dict)
    return a.size === b.size && a.entries().every(([key, value]) => b.has(key) && sameValue(value, b.get(key)));
  if (a instanceof PySet && b instanceof PySet)
    return a.members.size === b.members.size && a.members.keys().every(item => b.members.has(item));
  if (a instanceof Range && b instanceof Range) return a.start === b.start && a.stop === b.stop && a.step === b.step;
  const [left, right] = [sequenceOf(a), sequenceOf(b)];
  if (left === null || right === null || Array.isArray(a) !== Array.isArray(b)) return a === b;
  return left.length === right.length && left.every((item, i) => sameValue(item, right[i]));
}

/** A slice of a sequence of `length` as Python clips it; `length` is the number of items taken. */
export function sliceOf(slice: Slice, length: number): { start: number; length: number; step: number } {
  const step = slice.step === null ? 1 : Number(slice.step);
  if (step === 0) throw new PythonError('ValueError', 'slice step cannot be zero');
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const clip = (bound: Value, fallback: number): number => {
    if (bound === null) return fallback;
    const at = Number(bound) < 0 ? Number(bound) + length : Number(bound);
    return Math.min(Math.max(at, low), high);
  };
  const start = clip(slice.start, step > 0 ? low : high);
  const stop = clip(slice.stop, step > 0 ? high : low);
  return { start, length: Math.max(0, Math.ceil((stop - start) / step)), step };
}

/** `sequence[index]` of a list, tuple, range or string. */
export function indexSequence(
  sequence: readonly Value[] | Tuple | Range | string,
  index: Slice | number | boolean,
): Value {
  const items: ArrayLike<Value> =
    sequence instanceof Tuple ? sequence.items : sequence instanceof Range ? [...sequence] : sequence;
  if (!(index instanceof Slice)) {
    const at = Number(index) < 0 ? Number(index) + items.length : Number(index);
    if (at < 0 || at >= items.length)
      throw new PythonError(
        'IndexError',
        `${sequence instanceof Tuple ? 'tuple' : typeof sequence === 'string' ? 'string' : 'list'} index out of range`,
      );
    return items[at];
  }
  const { start, length, step } = sliceOf(index, items.length);
  const taken = Array.from({ length }, (_, i) => items[start + i * step]);
  if (typeof sequence === 'string') return taken.join('');
  if (sequence instanceof Size) return new Size(taken);
  return sequence instanceof Tuple ? new Tuple(taken) : taken;
}
