/**
 * Python's data model: what calling, attributes, indexing, operators, iteration and text mean for each kind of value. What the
 * evaluator does not know itself is a host object, and its `Behaviour` answers.
 */
import { builtinAttribute } from './builtins.js';
import { PythonError, Unsupported } from './errors.js';
import { BoundMethod, Descriptor, PyClass, PyFunction, PyInstance, Scope, Super } from './objects.js';
import {
  binaryNumbers,
  compareValues,
  indexSequence,
  isNumeric,
  sameValue,
  sliceOf,
  unaryNumber,
} from './operators.js';
import type { CompareOp } from './syntax.js';
import { formatSpec, percentFields, reprFloat, reprString } from './text.js';
import {
  type Behaviour,
  Deferred,
  Dict,
  ExceptionValue,
  ellipsis,
  type Kwargs,
  Namespace,
  NativeFunction,
  NativeType,
  noKwargs,
  PyFloat,
  PySet,
  Range,
  Size,
  Slice,
  type Subclass,
  Tuple,
  type Value,
  whenKnown,
} from './values.js';

/** What the world outside the language provides. */
export interface Host {
  readonly globals: ReadonlyMap<string, Value>;
  readonly behaviours: readonly Behaviour[];
  /** A module for `import`: the names from its root, as in ['torch', 'autograd']. */
  readonly importModule: (path: readonly string[]) => Value;
  /** The Python exception class an error thrown by the host stands for; null when no program could have meant it. */
  readonly classOfError: (error: unknown) => string | null;
}

export abstract class DataModel {
  readonly host: Host;
  readonly globals = new Scope(null);
  /** What was printed: strings, and texts not known yet. */
  readonly output: Value[] = [];
  readonly #classes = new WeakMap<object, PyClass>();

  constructor(host: Host) {
    this.host = host;
  }

  /** Run the body of a Python function. */
  protected abstract callFunction(fn: PyFunction, args: readonly Value[], kwargs: Kwargs): Value;

  // ── classes and instances ─────────────────────────────────────────────────────────────────────────────────────────

  #instantiate(type: PyClass, args: readonly Value[], kwargs: Kwargs): Value {
    if (type.native !== null) {
      const construct = this.behaviourOf(type.native)!.subclass!(type.native as never, this.#subclass(type));
      return construct(args, kwargs);
    }
    const instance = new PyInstance();
    this.#classes.set(instance, type);
    const init = type.lookup('__init__');
    if (init !== undefined) this.call(this.#bound(instance, init, type), args, kwargs);
    return instance;
  }

  /** A Python class as the host sees it. */
  #subclass(type: PyClass): Subclass {
    return {
      name: type.name,
      method: name => type.lookup(name),
      callMethod: (self, name, args, kwargs = noKwargs) =>
        this.call(this.#bound(self ?? type, type.lookup(name)!, type), args, kwargs),
      adopt: instance => void this.#classes.set(instance, type),
    };
  }

  #bound(self: Value, member: Value, type: PyClass): Value {
    if (member instanceof Descriptor) {
      if (member.form === 'static') return member.fn;
      if (member.form === 'class') return new BoundMethod(type, member.fn);
      return self === type ? member : this.call(member.fn, [self]);
    }
    return member instanceof PyFunction && self !== type ? new BoundMethod(self, member) : member;
  }

  #superMember({ owner, self }: Super, name: string): Value {
    for (const base of owner.bases) {
      const found = base.lookup(name);
      if (found !== undefined) return this.#bound(self, found, base);
    }
    const behaviour = owner.native === null ? undefined : this.behaviourOf(self);
    const inherited = behaviour?.getattr?.(self as never, name === '__init__' ? 'super().__init__' : name);
    if (inherited !== undefined) return inherited;
    if (name === '__init__') return new NativeFunction('__init__', () => null);
    throw new PythonError('AttributeError', `'super' object has no attribute '${name}'`);
  }

  protected typeOf(value: Value): Value {
    const own = this.#classOf(value);
    if (own !== undefined) return own;
    const builtin = [...this.globals.names.values()].find(
      type => type instanceof NativeType && type.name !== 'object' && type.name === this.typeName(value),
    );
    return builtin ?? new NativeType(this.typeName(value), other => this.typeName(other) === this.typeName(value));
  }

  #classOf(value: Value): PyClass | undefined {
    return typeof value === 'object' && value !== null ? this.#classes.get(value) : undefined;
  }

  protected isInstance(value: Value, of: Value): boolean {
    if (of instanceof Tuple) return of.items.some(item => this.isInstance(value, item));
    const own = this.#classOf(value);
    if (of instanceof PyClass) return own?.isSubclassOf(of) ?? false;
    if (of instanceof NativeType) return of.test(value);
    const test = this.behaviourOf(of)?.isInstance;
    if (test !== undefined) return test(of as never, value);
    throw new Unsupported(`isinstance(…, ${this.typeName(of)})`);
  }

  isCallable(value: Value): boolean {
    return (
      value instanceof PyFunction ||
      value instanceof PyClass ||
      value instanceof BoundMethod ||
      value instanceof NativeFunction ||
      value instanceof NativeType ||
      this.behaviourOf(value)?.call !== undefined
    );
  }

  /** Is it the host that knows what this is? */
  isHostObject(value: Value): boolean {
    return this.behaviourOf(value) !== undefined;
  }

  // ── the data model ────────────────────────────────────────────────────────────────────────────────────────────────

  protected behaviourOf(value: Value): Behaviour | undefined {
    return this.host.behaviours.find(behaviour => behaviour.matches(value));
  }

  call(callee: Value, args: readonly Value[], kwargs: Kwargs = noKwargs): Value {
    if (callee instanceof PyFunction) return this.callFunction(callee, args, kwargs);
    if (callee instanceof BoundMethod) return this.call(callee.fn, [callee.self, ...args], kwargs);
    if (callee instanceof NativeFunction)
      return callee.pure ? whenKnown([...args], (...known) => callee.call(known, kwargs)) : callee.call(args, kwargs);
    if (callee instanceof PyClass) return this.#instantiate(callee, args, kwargs);
    if (callee instanceof NativeType) return callee.construct(args, kwargs);
    const own = this.#special(callee, '__call__');
    if (own !== undefined) return this.call(own, args, kwargs);
    const behaviour = this.behaviourOf(callee);
    if (behaviour?.call) return behaviour.call(callee as never, args, kwargs);
    throw new PythonError('TypeError', `'${this.typeName(callee)}' object is not callable`);
  }

  /** A double-underscore method of a Python class. */
  #special(value: Value, name: string): Value | undefined {
    const type = this.#classOf(value);
    const member = type?.lookup(name);
    return member === undefined ? undefined : this.#bound(value, member, type!);
  }

  getattr(object: Value, name: string): Value {
    const value = this.findattr(object, name);
    if (value !== undefined) return value;
    throw new PythonError('AttributeError', `'${this.typeName(object)}' object has no attribute '${name}'`);
  }

  /** The attribute, or undefined. */
  findattr(object: Value, name: string): Value | undefined {
    if (object instanceof Super) return this.#superMember(object, name);
    if (name === '__class__') return this.typeOf(object);
    if (object instanceof PyClass) {
      if (name === '__name__') return object.name;
      const member = object.lookup(name);
      if (member !== undefined) return this.#bound(object, member, object);
      return object.native === null
        ? undefined
        : this.behaviourOf(object.native)?.classMember?.(object.native as never, this.#subclass(object), name);
    }
    if (object instanceof PyInstance && object.attributes.has(name)) return object.attributes.get(name);
    const type = this.#classOf(object);
    if (type !== undefined) {
      const own = this.behaviourOf(object)?.own?.(object as never, name);
      if (own !== undefined) return own;
      const member = type.lookup(name);
      if (member !== undefined) return this.#bound(object, member, type);
    }
    if (object instanceof Namespace) {
      const found = object.find(name);
      if (found === undefined) throw new Unsupported(`${object.name}.${name}`);
      return found;
    }
    if (object instanceof NativeType) return name === '__name__' ? object.name : object.statics.get(name);
    if ((object instanceof PyFunction || object instanceof NativeFunction) && name === '__name__') return object.name;
    return builtinAttribute(this, object, name) ?? this.behaviourOf(object)?.getattr?.(object as never, name);
  }

  setattr(object: Value, name: string, value: Value): void {
    if (object instanceof PyInstance) object.attributes.set(name, value);
    else if (object instanceof PyClass) object.namespace.set(name, value);
    else if (!this.behaviourOf(object)?.setattr?.(object as never, name, value))
      throw new Unsupported(`setting ${this.typeName(object)}.${name}`);
  }

  getitem(object: Value, index: Value): Value {
    if (object instanceof Dict) {
      if (!object.has(index)) throw new PythonError('KeyError', String(this.repr(index)));
      return object.get(index);
    }
    if (Array.isArray(object) || object instanceof Tuple || object instanceof Range || typeof object === 'string') {
      if (index instanceof Slice || typeof index === 'number' || typeof index === 'boolean')
        return indexSequence(object, index);
    }
    const own = this.#special(object, '__getitem__');
    if (own !== undefined) return this.call(own, [index]);
    const behaviour = this.behaviourOf(object);
    if (behaviour?.getitem) return behaviour.getitem(object as never, index);
    throw new PythonError('TypeError', `'${this.typeName(object)}' object is not subscriptable`);
  }

  setitem(object: Value, index: Value, value: Value): void {
    if (object instanceof Dict) object.set(index, value);
    else if (Array.isArray(object) && index instanceof Slice) {
      const { start, length, step } = sliceOf(index, object.length);
      if (step !== 1) throw new Unsupported('assignment to a list slice with a step');
      object.splice(start, length, ...this.iterate(value));
    } else if (Array.isArray(object) && typeof index === 'number') {
      if (index >= object.length || index < -object.length)
        throw new PythonError('IndexError', 'list assignment index out of range');
      object[index < 0 ? index + object.length : index] = value;
    } else {
      const own = this.#special(object, '__setitem__');
      const behaviour = this.behaviourOf(object);
      if (own !== undefined) this.call(own, [index, value]);
      else if (behaviour?.setitem) behaviour.setitem(object as never, index, value);
      else throw new PythonError('TypeError', `'${this.typeName(object)}' object does not support item assignment`);
    }
  }

  iterate(value: Value): Iterable<Value> {
    if (Array.isArray(value) || typeof value === 'string' || value instanceof Range) return value;
    if (value instanceof Tuple) return value.items;
    if (value instanceof Dict) return value.keys();
    if (value instanceof PySet) return value.members.keys();
    const own = this.#special(value, '__iter__');
    if (own !== undefined) return this.iterate(this.call(own, []));
    const found = this.behaviourOf(value)?.iterate?.(value as never);
    if (found !== undefined) return found;
    if (this.#special(value, '__getitem__') !== undefined && this.#special(value, '__len__') !== undefined) {
      return Array.from({ length: this.length(value) }, (_, i) => this.getitem(value, i));
    }
    throw new PythonError('TypeError', `'${this.typeName(value)}' object is not iterable`);
  }

  length(value: Value): number {
    if (Array.isArray(value) || typeof value === 'string' || value instanceof Range) return value.length;
    if (value instanceof Tuple) return value.items.length;
    if (value instanceof Dict) return value.size;
    if (value instanceof PySet) return value.members.size;
    const own = this.#special(value, '__len__');
    if (own !== undefined) return Number(this.call(own, []));
    const behaviour = this.behaviourOf(value);
    if (behaviour?.length) return behaviour.length(value as never);
    throw new PythonError('TypeError', `object of type '${this.typeName(value)}' has no len()`);
  }

  truth(value: Value): boolean {
    if (value instanceof Deferred) throw new Unsupported('a Python decision on a value that is only being traced');
    if (value === null) return false;
    if (typeof value === 'boolean') return value;
    if (typeof value === 'number' || typeof value === 'bigint') return value !== 0 && value !== 0n;
    if (value instanceof PyFloat) return value.value !== 0;
    if (
      typeof value === 'string' ||
      Array.isArray(value) ||
      value instanceof Tuple ||
      value instanceof Dict ||
      value instanceof PySet ||
      value instanceof Range
    )
      return this.length(value) > 0;
    const own = this.#special(value, '__bool__');
    if (own !== undefined) return this.truth(this.call(own, []));
    return this.behaviourOf(value)?.truth?.(value as never) ?? true;
  }

  unary(op: string, value: Value): Value {
    if (value instanceof Deferred) return whenKnown([value], known => this.unary(op, known));
    if (isNumeric(value)) return unaryNumber(op, value);
    const result = this.behaviourOf(value)?.unary?.(op, value as never);
    if (result !== undefined) return result;
    throw new PythonError('TypeError', `bad operand type for unary ${op}: '${this.typeName(value)}'`);
  }

  binary(op: string, left: Value, right: Value): Value {
    if (left instanceof Deferred || right instanceof Deferred)
      return whenKnown([left, right], (a, b) => this.binary(op, a, b));
    if (isNumeric(left) && isNumeric(right)) return binaryNumbers(op, left, right);
    if (typeof left === 'string' && op === '%') return this.#percent(left, right);
    const joined = this.#joined(op, left, right);
    if (joined !== undefined) return joined;
    const reflected =
      this.behaviourOf(left)?.binary?.(op, left, right) ?? this.behaviourOf(right)?.binary?.(op, left, right);
    if (reflected !== undefined) return reflected;
    const own = this.#special(left, specialNames[op]);
    if (own !== undefined) return this.call(own, [right]);
    throw new PythonError(
      'TypeError',
      `unsupported operand type(s) for ${op}: '${this.typeName(left)}' and '${this.typeName(right)}'`,
    );
  }

  /** `+` and `*` of sequences, the operators of sets. */
  #joined(op: string, left: Value, right: Value): Value | undefined {
    if (op === '+') {
      if (typeof left === 'string' && typeof right === 'string') return left + right;
      if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
      if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
    }
    if (op === '*') {
      const [sequence, count] = typeof right === 'number' ? [left, right] : [right, left];
      if (typeof count === 'number') {
        const repeat = <T>(items: readonly T[]): T[] => Array.from({ length: Math.max(0, count) }, () => items).flat();
        if (typeof sequence === 'string') return sequence.repeat(Math.max(0, count));
        if (Array.isArray(sequence)) return repeat(sequence);
        if (sequence instanceof Tuple) return new Tuple(repeat(sequence.items));
      }
    }
    if (left instanceof PySet && right instanceof PySet) {
      const mine = left.members.keys();
      if (op === '|') return new PySet([...mine, ...right.members.keys()]);
      if (op === '&') return new PySet(mine.filter(item => right.members.has(item)));
      if (op === '-') return new PySet(mine.filter(item => !right.members.has(item)));
    }
    return undefined;
  }

  compare(op: CompareOp, left: Value, right: Value): Value {
    if (op === 'is')
      return left === right || (left instanceof PyFloat && right instanceof PyFloat && left.value === right.value);
    if (op === 'is not') return !this.compare('is', left, right);
    if (op === 'in') return this.#contains(right, left);
    if (op === 'not in') return !this.#contains(right, left);
    if (left instanceof Deferred || right instanceof Deferred)
      return whenKnown([left, right], (a, b) => this.compare(op, a, b));
    const known = compareValues(op, left, right);
    if (known !== undefined) return known;
    const result =
      this.behaviourOf(left)?.compare?.(op, left, right) ?? this.behaviourOf(right)?.compare?.(op, left, right);
    if (result !== undefined) return result;
    const own = this.#special(left, specialNames[op]);
    if (own !== undefined) return this.call(own, [right]);
    if (op === '==') return sameValue(left, right);
    if (op === '!=') return !sameValue(left, right);
    throw new PythonError(
      'TypeError',
      `'${op}' not supported between instances of '${this.typeName(left)}' and '${this.typeName(right)}'`,
    );
  }

  #contains(container: Value, item: Value): boolean {
    if (typeof container === 'string') return container.includes(String(item));
    if (container instanceof Dict) return container.has(item);
    if (container instanceof PySet) return container.members.has(item);
    const own = this.#special(container, '__contains__');
    if (own !== undefined) return this.truth(this.call(own, [item]));
    for (const member of this.iterate(container)) if (this.truth(this.compare('==', member, item))) return true;
    return false;
  }

  typeName(value: Value): string {
    if (value === null || value === undefined) return 'NoneType';
    if (typeof value === 'boolean') return 'bool';
    if (typeof value === 'number' || typeof value === 'bigint') return 'int';
    if (value instanceof PyFloat) return 'float';
    if (typeof value === 'string') return 'str';
    if (Array.isArray(value)) return 'list';
    if (value instanceof Size) return 'Size';
    if (value instanceof Tuple) return 'tuple';
    if (value instanceof Dict) return 'dict';
    if (value instanceof PySet) return 'set';
    if (value instanceof Range) return 'range';
    if (value instanceof Slice) return 'slice';
    if (value === ellipsis) return 'ellipsis';
    if (value instanceof ExceptionValue) return value.className;
    if (value instanceof PyFunction || value instanceof NativeFunction) return 'function';
    if (value instanceof BoundMethod) return 'method';
    if (value instanceof PyClass || value instanceof NativeType) return 'type';
    if (value instanceof Namespace) return 'module';
    const own = this.#classOf(value);
    if (own !== undefined) return own.name;
    return this.behaviourOf(value)?.typeName(value as never) ?? 'object';
  }

  // ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  print(args: readonly Value[], kwargs: Kwargs): void {
    const separator = kwargs.get('sep') ?? ' ';
    const end = kwargs.get('end') ?? '\n';
    this.output.push(
      whenKnown(
        args.map(argument => this.str(argument)),
        (...texts) => `${texts.join(String(separator))}${end}`,
      ),
    );
  }

  str(value: Value): Value {
    if (typeof value === 'string') return value;
    if (value instanceof Deferred) return whenKnown([value], known => this.str(known));
    if (value instanceof ExceptionValue)
      return value.args.length === 1 ? this.str(value.args[0]) : this.repr(new Tuple(value.args));
    const own = this.#special(value, '__str__');
    return own === undefined ? this.repr(value) : this.call(own, []);
  }

  repr(value: Value): Value {
    if (value instanceof Deferred) return whenKnown([value], known => this.repr(known));
    if (value === null || value === undefined) return 'None';
    if (value === true) return 'True';
    if (value === false) return 'False';
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    if (value instanceof PyFloat) return reprFloat(value.value);
    if (typeof value === 'string') return reprString(value);
    const all = (items: readonly Value[], wrap: (texts: string[]) => string): Value =>
      whenKnown(
        items.map(item => this.repr(item)),
        (...texts) => wrap(texts.map(String)),
      );
    if (Array.isArray(value)) return all(value, texts => `[${texts.join(', ')}]`);
    if (value instanceof Size) return all(value.items, texts => `torch.Size([${texts.join(', ')}])`);
    if (value instanceof Tuple && value.constructor === Tuple)
      return all(value.items, texts => (texts.length === 1 ? `(${texts[0]},)` : `(${texts.join(', ')})`));
    if (value instanceof PySet)
      return all(value.members.keys(), texts => (texts.length === 0 ? 'set()' : `{${texts.join(', ')}}`));
    if (value instanceof Dict) {
      const entries = value
        .entries()
        .map(([key, item]) => whenKnown([this.repr(key), this.repr(item)], (k, v) => `${k}: ${v}`));
      return whenKnown(entries, (...texts) => `{${texts.join(', ')}}`);
    }
    if (value instanceof Range)
      return `range(${value.start}, ${value.stop}${value.step === 1 ? '' : `, ${value.step}`})`;
    if (value === ellipsis) return 'Ellipsis';
    if (value instanceof ExceptionValue) return all(value.args, texts => `${value.className}(${texts.join(', ')})`);
    if (value instanceof PyClass) return `<class '__main__.${value.name}'>`;
    if (value instanceof NativeType) return `<class '${value.name}'>`;
    const own = this.#special(value, '__repr__');
    if (own !== undefined) return this.call(own, []);
    const text = this.behaviourOf(value)?.repr?.(value as never);
    if (text !== undefined) return text;
    throw new Unsupported(`repr of ${this.typeName(value)}, which shows an address`);
  }

  format(value: Value, spec: string): Value {
    if (value instanceof Deferred) return whenKnown([value], known => this.format(known, spec));
    if (isNumeric(value) && !(typeof value === 'boolean' && spec === '')) {
      if (value instanceof PyFloat) return formatSpec({ kind: 'float', value: value.value }, spec);
      return formatSpec({ kind: 'int', value: typeof value === 'boolean' ? Number(value) : value }, spec);
    }
    const own = this.behaviourOf(value)?.format?.(value as never, spec);
    if (own !== undefined) return own;
    if (typeof value !== 'string' && spec !== '')
      throw new PythonError('TypeError', `unsupported format string passed to ${this.typeName(value)}.__format__`);
    return whenKnown([this.str(value)], text => formatSpec({ kind: 'str', value: String(text) }, spec));
  }

  /** `template % values` */
  #percent(template: string, right: Value): Value {
    const positional = right instanceof Tuple ? right.items : [right];
    let next = 0;
    const texts = percentFields(template).map(field => {
      if (typeof field === 'string') return field;
      if (field.key === null && next >= positional.length)
        throw new PythonError('TypeError', 'not enough arguments for format string');
      const value = field.key === null ? positional[next++] : this.getitem(right, field.key);
      if (field.conversion === 'r')
        return whenKnown([this.repr(value)], text => formatSpec({ kind: 'str', value: String(text) }, field.spec));
      if (field.conversion === 's')
        return whenKnown([this.str(value)], text => formatSpec({ kind: 'str', value: String(text) }, field.spec));
      return whenKnown([this.number(value)], number => {
        const whole = 'dxXo'.includes(field.spec.slice(-1)) && number instanceof PyFloat;
        return this.format(whole ? Math.trunc((number as PyFloat).value) : number, field.spec);
      });
    });
    if (next < positional.length && right instanceof Tuple)
      throw new PythonError('TypeError', 'not all arguments converted during string formatting');
    return whenKnown(texts, (...known) => known.join(''));
  }

  /** The number a value holds: itself, or what the host says. */
  number(value: Value): Value {
    if (isNumeric(value) || value instanceof Deferred) return value;
    const number = this.behaviourOf(value)?.number?.(value as never);
    if (number !== undefined) return number;
    throw new PythonError('TypeError', `must be a real number, not ${this.typeName(value)}`);
  }
}

const specialNames: Readonly<Record<string, string>> = {
  '+': '__add__',
  '-': '__sub__',
  '*': '__mul__',
  '/': '__truediv__',
  '//': '__floordiv__',
  '%': '__mod__',
  '**': '__pow__',
  '@': '__matmul__',
  '==': '__eq__',
  '!=': '__ne__',
  '<': '__lt__',
  '<=': '__le__',
  '>': '__gt__',
  '>=': '__ge__',
};
