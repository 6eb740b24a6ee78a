/**
 * Python's built-in functions and types, and the methods of str, list, tuple, dict, set and the numbers.
 */

import type { DataModel } from './data-model.js';
import { exceptionNames, PythonError, Unsupported } from './errors.js';
import { asNumber, int, isNumeric, type Numeric, sameValue } from './operators.js';
import { fixed } from './text.js';
import {
  Deferred,
  Dict,
  ExceptionValue,
  ellipsis,
  type Kwargs,
  NativeFunction,
  NativeType,
  noKwargs,
  PyFloat,
  PySet,
  Range,
  Slice,
  Tuple,
  type Value,
  whenKnown,
} from './values.js';

type Call = (args: readonly Value[], kwargs: Kwargs) => Value;

export function makeBuiltins(python: DataModel): Map<string, Value> {
  const names = new Map<string, Value>();
  const fn = (name: string, call: Call): void => void names.set(name, new NativeFunction(name, call));
  const pure = (name: string, call: Call): void => void names.set(name, new NativeFunction(name, call, true));
  const type = (name: string, test: (value: Value) => boolean, construct?: Call): void =>
    void names.set(name, new NativeType(name, test, construct));
  const list = (value: Value): Value[] => [...python.iterate(value)];

  type(
    'int',
    value => typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean',
    ([value = 0, base]) => whenKnown([value], known => toInt(python, known, base)),
  );
  type(
    'float',
    value => value instanceof PyFloat,
    ([value = 0]) => whenKnown([value], known => toFloat(python, known)),
  );
  type(
    'bool',
    value => typeof value === 'boolean',
    ([value = false]) => whenKnown([value], known => python.truth(known)),
  );
  type(
    'str',
    value => typeof value === 'string',
    ([value = '']) => python.str(value),
  );
  type('list', Array.isArray, ([items]) => (items === undefined ? [] : list(items)));
  type(
    'tuple',
    value => value instanceof Tuple,
    ([items]) => new Tuple(items === undefined ? [] : list(items)),
  );
  type(
    'set',
    value => value instanceof PySet,
    ([items]) => new PySet(items === undefined ? [] : list(items)),
  );
  type(
    'dict',
    value => value instanceof Dict,
    ([from], kwargs) => toDict(python, from, kwargs),
  );
  type(
    'range',
    value => value instanceof Range,
    args => toRange(args),
  );
  type(
    'slice',
    value => value instanceof Slice,
    ([a = null, b = null, c = null]) => (b === null ? new Slice(null, a, c) : new Slice(a, b, c)),
  );
  type('object', () => true);
  for (const name of exceptionNames) {
    type(
      name,
      value => value instanceof ExceptionValue && value.className === name,
      args => new ExceptionValue(name, args),
    );
  }

  names.set('Ellipsis', ellipsis);
  fn('print', (args, kwargs) => {
    python.print(args, kwargs);
    return null;
  });
  fn('repr', ([value]) => python.repr(value));
  fn('format', ([value, spec = '']) => python.format(value, String(spec)));
  fn('len', ([value]) => python.length(value));
  fn('iter', ([value]) => list(value)[Symbol.iterator]());
  fn('next', ([iterator, ...fallback]) => {
    const step = (iterator as Iterator<Value>).next();
    if (!step.done) return step.value;
    if (fallback.length > 0) return fallback[0];
    throw new PythonError('StopIteration', '');
  });
  fn('enumerate', ([items, start], kwargs) =>
    list(items).map((item, i) => new Tuple([i + Number(start ?? kwargs.get('start') ?? 0), item])),
  );
  fn('zip', iterables => {
    const lists = iterables.map(list);
    const length = lists.length === 0 ? 0 : Math.min(...lists.map(items => items.length));
    return Array.from({ length }, (_, i) => new Tuple(lists.map(items => items[i])));
  });
  fn('reversed', ([items]) => list(items).reverse());
  fn('map', ([of, ...iterables]) => {
    const lists = iterables.map(list);
    const length = Math.min(...lists.map(items => items.length));
    return Array.from({ length }, (_, i) =>
      python.call(
        of,
        lists.map(items => items[i]),
      ),
    );
  });
  fn('filter', ([of, items]) => list(items).filter(item => python.truth(of === null ? item : python.call(of, [item]))));
  fn('sorted', ([items], kwargs) => sorted(python, list(items), kwargs));
  fn('sum', ([items, start], kwargs) =>
    list(items).reduce((total, item) => python.binary('+', total, item), start ?? kwargs.get('start') ?? 0),
  );
  fn('min', (args, kwargs) => extreme(python, '<', args, kwargs));
  fn('max', (args, kwargs) => extreme(python, '>', args, kwargs));
  fn('any', ([items]) => list(items).some(item => python.truth(item)));
  fn('all', ([items]) => list(items).every(item => python.truth(item)));
  fn('abs', ([value]) => {
    if (value instanceof Deferred || isNumeric(value)) return whenKnown([value], known => absolute(known as Numeric));
    return python.call(python.getattr(value, 'abs'), []);
  });
  fn('pow', ([a, b]) => python.binary('**', a, b));
  fn('divmod', ([a, b]) => new Tuple([python.binary('//', a, b), python.binary('%', a, b)]));
  fn('hasattr', ([object, name]) => python.findattr(object, String(name)) !== undefined);
  fn(
    'getattr',
    ([object, name, ...fallback]) =>
      python.findattr(object, String(name)) ??
      (fallback.length > 0 ? fallback[0] : python.getattr(object, String(name))),
  );
  fn('setattr', ([object, name, value]) => {
    python.setattr(object, String(name), value);
    return null;
  });
  fn('id', ([object]) => identity(object));
  pure('round', ([value, digits = null]) => roundNumber(value, digits));
  pure('chr', ([code]) => String.fromCodePoint(Number(code)));
  pure('ord', ([text]) => String(text).codePointAt(0)!);
  return names;
}

const identities = new WeakMap<object, number>();
let nextIdentity = 1;
function identity(object: Value): number {
  if (typeof object !== 'object' || object === null) throw new Unsupported('id() of a plain value');
  if (!identities.has(object)) identities.set(object, nextIdentity++);
  return identities.get(object)!;
}

function toInt(python: DataModel, value: Value, base: Value): Value {
  if (typeof value === 'string') {
    if (!/^\s*[+-]?[\w]+\s*$/.test(value))
      throw new PythonError('ValueError', `invalid literal for int() with base 10: '${value}'`);
    return Number.parseInt(value, base === undefined ? 10 : Number(base));
  }
  const number = python.number(value) as Numeric;
  return whenKnown([number], known =>
    known instanceof PyFloat
      ? int(BigInt(Math.trunc(known.value)))
      : typeof known === 'boolean'
        ? Number(known)
        : known,
  );
}

function toFloat(python: DataModel, value: Value): Value {
  if (typeof value === 'string') {
    const text = value.trim().toLowerCase();
    const special: Record<string, number> = {
      nan: Number.NaN,
      inf: Infinity,
      '+inf': Infinity,
      '-inf': -Infinity,
      infinity: Infinity,
      '-infinity': -Infinity,
    };
    const number = special[text] ?? (text === '' ? Number.NaN : Number(text));
    if (Number.isNaN(number) && text !== 'nan')
      throw new PythonError('ValueError', `could not convert string to float: '${value}'`);
    return new PyFloat(number);
  }
  return whenKnown([python.number(value)], known => new PyFloat(asNumber(known as Numeric)));
}

function toDict(python: DataModel, from: Value, kwargs: Kwargs): Dict {
  const pairs: [Value, Value][] = [];
  if (from instanceof Dict) pairs.push(...from.entries());
  else if (from !== undefined) {
    for (const pair of python.iterate(from)) {
      const [key, value] = python.iterate(pair);
      pairs.push([key, value]);
    }
  }
  return new Dict([...pairs, ...kwargs]);
}

function toRange(args: readonly Value[]): Range {
  const [a, b, c] = args.map(argument => {
    if (typeof argument !== 'number' && typeof argument !== 'boolean')
      throw new PythonError('TypeError', 'range() arguments must be integers');
    return Number(argument);
  });
  if (c === 0) throw new PythonError('ValueError', 'range() arg 3 must not be zero');
  return b === undefined ? new Range(0, a, 1) : new Range(a, b, c ?? 1);
}

const absolute = (value: Numeric): Value => {
  if (value instanceof PyFloat) return new PyFloat(Math.abs(value.value));
  return Number(value) < 0 ? int(-BigInt(value)) : typeof value === 'boolean' ? Number(value) : value;
};

/** Rounds half to even, on the exact decimal value. */
function roundNumber(value: Value, digits: Value): Value {
  if (!isNumeric(value)) throw new PythonError('TypeError', 'round() needs a number');
  if (!(value instanceof PyFloat)) return value;
  const places = digits === null ? 0 : Number(digits);
  if (places < 0) throw new Unsupported('round() to tens');
  const rounded = Number(fixed(value.value, places));
  return digits === null ? int(BigInt(rounded)) : new PyFloat(rounded);
}

function sorted(python: DataModel, items: Value[], kwargs: Kwargs): Value[] {
  const key = kwargs.get('key') ?? null;
  const keyed = items.map(item => ({ item, key: key === null ? item : python.call(key, [item]) }));
  const sign = kwargs.get('reverse') === true ? -1 : 1;
  keyed.sort((a, b) =>
    python.truth(python.compare('<', a.key, b.key))
      ? -sign
      : python.truth(python.compare('<', b.key, a.key))
        ? sign
        : 0,
  );
  return keyed.map(({ item }) => item);
}

function extreme(python: DataModel, op: '<' | '>', args: readonly Value[], kwargs: Kwargs): Value {
  const items = args.length === 1 ? [...python.iterate(args[0])] : args;
  if (items.length === 0) {
    if (kwargs.has('default')) return kwargs.get('default');
    throw new PythonError('ValueError', `${op === '<' ? 'min' : 'max'}() arg is an empty sequence`);
  }
  const key = kwargs.get('key') ?? null;
  const keyOf = (item: Value): Value => (key === null ? item : python.call(key, [item]));
  return items.reduce((best, item) => (python.truth(python.compare(op, keyOf(item), keyOf(best))) ? item : best));
}

type Methods<T> = Readonly<
  Record<string, (self: T, python: DataModel, args: readonly Value[], kwargs: Kwargs) => Value>
>;

const position = (index: Value, length: number): number => (Number(index) < 0 ? Number(index) + length : Number(index));

const listMethods: Methods<Value[]> = {
  append: (self, _, [item]) => {
    self.push(item);
    return null;
  },
  extend: (self, python, [items]) => {
    self.push(...python.iterate(items));
    return null;
  },
  insert: (self, _, [at, item]) => {
    self.splice(position(at, self.length), 0, item);
    return null;
  },
  pop: (self, _, [at = -1]) => {
    if (self.length === 0) throw new PythonError('IndexError', 'pop from empty list');
    return self.splice(position(at, self.length), 1)[0];
  },
  remove: (self, _, [item]) => {
    const at = self.findIndex(member => sameValue(member, item));
    if (at < 0) throw new PythonError('ValueError', 'list.remove(x): x not in list');
    self.splice(at, 1);
    return null;
  },
  clear: self => {
    self.length = 0;
    return null;
  },
  copy: self => [...self],
  reverse: self => {
    self.reverse();
    return null;
  },
  sort: (self, python, _, kwargs) => {
    self.splice(0, self.length, ...sorted(python, [...self], kwargs));
    return null;
  },
  index: (self, _, [item]) => indexOf(self, item, 'list'),
  count: (self, _, [item]) => self.filter(member => sameValue(member, item)).length,
};

function indexOf(items: readonly Value[], item: Value, what: string): number {
  const at = items.findIndex(member => sameValue(member, item));
  if (at < 0) throw new PythonError('ValueError', `x not in ${what}`);
  return at;
}

const tupleMethods: Methods<Tuple> = {
  index: (self, _, [item]) => indexOf(self.items, item, 'tuple'),
  count: (self, _, [item]) => self.items.filter(member => sameValue(member, item)).length,
  numel: self => self.items.reduce<number>((product, size) => product * Number(size), 1),
};

const dictMethods: Methods<Dict> = {
  keys: self => self.keys(),
  values: self => self.values(),
  items: self => self.entries().map(entry => new Tuple(entry)),
  get: (self, _, [key, fallback = null]) => (self.has(key) ? self.get(key) : fallback),
  pop: (self, python, [key, ...fallback]) => {
    const value = self.has(key) || fallback.length === 0 ? python.getitem(self, key) : fallback[0];
    self.delete(key);
    return value;
  },
  setdefault: (self, _, [key, value = null]) => {
    if (!self.has(key)) self.set(key, value);
    return self.get(key);
  },
  update: (self, python, [from], kwargs) => {
    for (const [key, value] of toDict(python, from, kwargs).entries()) self.set(key, value);
    return null;
  },
  copy: self => new Dict(self.entries()),
  clear: self => {
    self.clear();
    return null;
  },
};

const setMethods: Methods<PySet> = {
  add: (self, _, [item]) => {
    self.members.set(item, null);
    return null;
  },
  discard: (self, _, [item]) => {
    self.members.delete(item);
    return null;
  },
  remove: (self, python, [item]) => {
    if (!self.members.delete(item)) throw new PythonError('KeyError', String(python.repr(item)));
    return null;
  },
  update: (self, python, [items]) => {
    for (const item of python.iterate(items)) self.members.set(item, null);
    return null;
  },
  union: (self, python, [items]) => new PySet([...self.members.keys(), ...python.iterate(items)]),
  intersection: (self, python, [items]) => python.binary('&', self, new PySet(python.iterate(items))),
  difference: (self, python, [items]) => python.binary('-', self, new PySet(python.iterate(items))),
  copy: self => new PySet(self.members.keys()),
};

const any = (value: Value, test: (text: string) => boolean): boolean =>
  value instanceof Tuple ? value.items.some(item => test(String(item))) : test(String(value));
const trimSet = (chars: Value): string =>
  chars === undefined || chars === null ? '\\s' : String(chars).replace(/[\\\]^-]/g, '\\$&');

const stringMethods: Methods<string> = {
  join: (self, python, [items]) => whenKnown([...python.iterate(items)], (...texts) => texts.join(self)),
  split: (self, _, [separator, limit]) => {
    if (separator === undefined || separator === null) return self.trim() === '' ? [] : self.trim().split(/\s+/);
    const parts = self.split(String(separator));
    if (limit === undefined || Number(limit) < 0 || parts.length <= Number(limit) + 1) return parts;
    return [...parts.slice(0, Number(limit)), parts.slice(Number(limit)).join(String(separator))];
  },
  rsplit: (self, _, [separator, limit]) => {
    const parts = self.split(String(separator));
    const cut = limit === undefined ? 0 : Math.max(0, parts.length - Number(limit));
    return cut <= 1 ? parts : [parts.slice(0, cut).join(String(separator)), ...parts.slice(cut)];
  },
  splitlines: self => self.replace(/\n$/, '').split('\n'),
  strip: (self, _, [chars]) => self.replace(new RegExp(`^[${trimSet(chars)}]+|[${trimSet(chars)}]+$`, 'g'), ''),
  lstrip: (self, _, [chars]) => self.replace(new RegExp(`^[${trimSet(chars)}]+`), ''),
  rstrip: (self, _, [chars]) => self.replace(new RegExp(`[${trimSet(chars)}]+$`), ''),
  startswith: (self, _, [prefix]) => any(prefix, text => self.startsWith(text)),
  endswith: (self, _, [suffix]) => any(suffix, text => self.endsWith(text)),
  removeprefix: (self, _, [prefix]) => (self.startsWith(String(prefix)) ? self.slice(String(prefix).length) : self),
  removesuffix: (self, _, [suffix]) =>
    self.endsWith(String(suffix)) ? self.slice(0, self.length - String(suffix).length) : self,
  replace: (self, _, [from, to]) => self.replaceAll(String(from), String(to)),
  upper: self => self.toUpperCase(),
  lower: self => self.toLowerCase(),
  title: self => self.replace(/[a-zA-Z]+/g, word => word[0].toUpperCase() + word.slice(1).toLowerCase()),
  capitalize: self => self.slice(0, 1).toUpperCase() + self.slice(1).toLowerCase(),
  find: (self, _, [text]) => self.indexOf(String(text)),
  index: (self, _, [text]) => {
    const at = self.indexOf(String(text));
    if (at < 0) throw new PythonError('ValueError', 'substring not found');
    return at;
  },
  count: (self, _, [text]) => self.split(String(text)).length - 1,
  isdigit: self => /^\d+$/.test(self),
  isalpha: self => /^[a-zA-Z]+$/.test(self),
  isidentifier: self => /^[A-Za-z_]\w*$/.test(self),
  zfill: (self, _, [width]) => self.padStart(Number(width), '0'),
  ljust: (self, _, [width, fill = ' ']) => self.padEnd(Number(width), String(fill)),
  rjust: (self, _, [width, fill = ' ']) => self.padStart(Number(width), String(fill)),
  center: (self, python, [width]) => python.format(self, `^${Number(width)}`),
  format: (self, python, args, kwargs) => formatTemplate(python, self, args, kwargs),
};

/** `'{} {name:.3f}'.format(…)` */
function formatTemplate(python: DataModel, template: string, args: readonly Value[], kwargs: Kwargs): Value {
  let next = 0;
  const pieces: Value[] = [];
  let at = 0;
  for (const match of template.matchAll(/\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}/g)) {
    pieces.push(template.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[0] === '{{' || match[0] === '}}') {
      pieces.push(match[0][0]);
      continue;
    }
    const [, field, conversion, spec = ''] = match;
    const [, name, path] = /^(\w*)(.*)$/.exec(field)!;
    const start = name === '' ? args[next++] : /^\d+$/.test(name) ? args[Number(name)] : kwargs.get(name);
    if (start === undefined)
      throw new PythonError('IndexError', `Replacement index ${name} out of range for positional args tuple`);
    const value = [...path.matchAll(/\.(\w+)|\[(\w+)\]/g)].reduce<Value>(
      (object, [, attribute, key]) =>
        attribute !== undefined
          ? python.getattr(object, attribute)
          : python.getitem(object, /^\d+$/.test(key) ? Number(key) : key),
      start,
    );
    pieces.push(
      python.format(conversion === 'r' ? python.repr(value) : conversion === 's' ? python.str(value) : value, spec),
    );
  }
  pieces.push(template.slice(at));
  return whenKnown(pieces, (...texts) => texts.join(''));
}

const intMethods: Methods<number | bigint | boolean> = {
  bit_length: self => Math.abs(Number(self)).toString(2).length,
  item: self => self,
};
const floatMethods: Methods<PyFloat> = {
  is_integer: self => Number.isInteger(self.value),
  item: self => self,
};
const exceptionAttributes = (error: ExceptionValue, name: string): Value | undefined =>
  name === 'args' ? new Tuple(error.args) : undefined;

/** An attribute of one of Python's own values. */
export function builtinAttribute(python: DataModel, object: Value, name: string): Value | undefined {
  const method = <T>(table: Methods<T>, self: T, pure = false): Value | undefined =>
    Object.hasOwn(table, name)
      ? new NativeFunction(name, (args, kwargs = noKwargs) => table[name](self, python, args, kwargs), pure)
      : undefined;
  if (typeof object === 'string') return method(stringMethods, object);
  if (Array.isArray(object)) return method(listMethods, object);
  if (object instanceof Tuple) return method(tupleMethods, object);
  if (object instanceof Dict) return method(dictMethods, object);
  if (object instanceof PySet) return method(setMethods, object);
  if (object instanceof PyFloat) return method(floatMethods, object);
  if (typeof object === 'number' || typeof object === 'bigint' || typeof object === 'boolean')
    return method(intMethods, object);
  if (object instanceof ExceptionValue) return exceptionAttributes(object, name);
  return undefined;
}
