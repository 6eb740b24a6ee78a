/**
 * The evaluator: runs a Python syntax tree. What it knows itself is the language (names, control flow, functions, classes,
 * numbers, containers); everything else is a host object with a `Behaviour`.
 */
import { builtinAttribute, makeBuiltins } from './builtins.js';
import { catches, PythonError, Unsupported } from './errors.js';
import {
  binaryNumbers,
  compareValues,
  indexSequence,
  isNumeric,
  sameValue,
  sliceOf,
  unaryNumber,
} from './operators.js';
import type { Argument, BinaryOp, Body, CompareOp, Expr, FormatPart, Param, Stmt } from './syntax.js';
import { parseExpression, parseProgram } from './syntax.js';
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

/** Names visible to a piece of code. */
class Scope {
  readonly names = new Map<string, Value>();
  readonly parent: Scope | null;
  /** Names declared `global` or `nonlocal`, and where they live. */
  readonly elsewhere = new Map<string, Scope>();
  /** The class body or method call this is, for `super()`. */
  readonly owner: PyClass | null;
  readonly isClass: boolean;
  self: Value = undefined;
  constructor(parent: Scope | null, owner: PyClass | null = null, isClass = false) {
    this.parent = parent;
    this.owner = owner;
    this.isClass = isClass;
  }
  find(name: string): Value | undefined {
    if (this.names.has(name)) return this.names.get(name);
    for (let scope = this.parent; scope !== null; scope = scope.parent) {
      if (!scope.isClass && scope.names.has(name)) return scope.names.get(name);
    }
    return undefined;
  }
  assign(name: string, value: Value): void {
    (this.elsewhere.get(name) ?? this).names.set(name, value);
  }
}

class PyFunction {
  readonly name: string;
  readonly params: readonly Param[];
  readonly fallbacks: ReadonlyMap<string, Value>;
  readonly body: Body | Expr;
  readonly scope: Scope;
  readonly owner: PyClass | null;
  constructor(
    name: string,
    params: readonly Param[],
    fallbacks: ReadonlyMap<string, Value>,
    body: Body | Expr,
    scope: Scope,
    owner: PyClass | null,
  ) {
    this.name = name;
    this.params = params;
    this.fallbacks = fallbacks;
    this.body = body;
    this.scope = scope;
    this.owner = owner;
  }
}

export class PyClass {
  readonly name: string;
  readonly bases: readonly PyClass[];
  /** The host's class at the root, if any. */
  readonly native: Value;
  readonly namespace = new Map<string, Value>();
  constructor(name: string, bases: readonly PyClass[], native: Value) {
    this.name = name;
    this.bases = bases;
    this.native = native;
  }
  lookup(name: string): Value | undefined {
    if (this.namespace.has(name)) return this.namespace.get(name);
    for (const base of this.bases) {
      const found = base.lookup(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  isSubclassOf(other: PyClass): boolean {
    return this === other || this.bases.some(base => base.isSubclassOf(other));
  }
}

/** An instance of a class without a host's class at its root. */
class PyInstance {
  readonly attributes = new Map<string, Value>();
}

class BoundMethod {
  readonly self: Value;
  readonly fn: Value;
  constructor(self: Value, fn: Value) {
    this.self = self;
    this.fn = fn;
  }
}
/** `@staticmethod`, `@classmethod`, `@property`: how a function in a class is bound. */
class Descriptor {
  readonly form: 'static' | 'class' | 'property';
  readonly fn: Value;
  constructor(form: 'static' | 'class' | 'property', fn: Value) {
    this.form = form;
    this.fn = fn;
  }
}
class Super {
  readonly owner: PyClass;
  readonly self: Value;
  constructor(owner: PyClass, self: Value) {
    this.owner = owner;
    this.self = self;
  }
}

/** How a statement list ended, when not at its end. */
type Completion = { readonly kind: 'return'; readonly value: Value } | { readonly kind: 'break' | 'continue' } | null;

/** An exception on its way, with the object that `as` binds. */
class Raised extends PythonError {
  readonly exception: Value;
  constructor(className: string, message: string, exception: Value) {
    super(className, message);
    this.exception = exception;
  }
}

export class Evaluator {
  readonly host: Host;
  readonly globals: Scope;
  /** What was printed: strings, and texts not known yet. */
  readonly output: Value[] = [];
  readonly #classes = new WeakMap<object, PyClass>();

  constructor(host: Host) {
    this.host = host;
    this.globals = new Scope(null);
    for (const [name, value] of makeBuiltins(this)) this.globals.names.set(name, value);
    for (const [name, value] of this.#languageFunctions()) this.globals.names.set(name, value);
    for (const [name, value] of host.globals) this.globals.names.set(name, value);
  }

  run(source: string): void {
    this.#block(parseProgram(source), this.globals);
  }
  evaluate(source: string): Value {
    return this.#eval(parseExpression(source), this.globals);
  }

  // ── statements ────────────────────────────────────────────────────────────────────────────────────────────────────

  #block(body: Body, scope: Scope): Completion {
    for (const statement of body) {
      const completion = this.#execute(statement, scope);
      if (completion !== null) return completion;
    }
    return null;
  }

  #execute(statement: Stmt, scope: Scope): Completion {
    switch (statement.kind) {
      case 'expression':
        this.#eval(statement.value, scope);
        return null;
      case 'assign': {
        const value = this.#eval(statement.value, scope);
        for (const target of statement.targets) this.#assign(target, value, scope);
        return null;
      }
      case 'augment':
        this.#augment(statement.target, statement.op, this.#eval(statement.value, scope), scope);
        return null;
      case 'if': {
        for (const { test, body } of statement.branches)
          if (this.truth(this.#eval(test, scope))) return this.#block(body, scope);
        return this.#block(statement.otherwise, scope);
      }
      case 'for':
        return this.#loop(this.iterate(this.#eval(statement.iterable, scope)), statement, scope, item =>
          this.#assign(statement.target, item, scope),
        );
      case 'while':
        return this.#loop(this.#whileTrue(statement.test, scope), statement, scope, () => {});
      case 'def':
        scope.assign(
          statement.name,
          this.#decorate(
            statement.decorators,
            this.#function(statement.name, statement.params, statement.body, scope),
            scope,
          ),
        );
        return null;
      case 'class':
        scope.assign(statement.name, this.#decorate(statement.decorators, this.#class(statement, scope), scope));
        return null;
      case 'with':
        return this.#with(statement.items, statement.body, scope);
      case 'try':
        return this.#try(statement, scope);
      case 'return':
        return { kind: 'return', value: statement.value === null ? null : this.#eval(statement.value, scope) };
      case 'raise':
        throw this.#raised(
          statement.value === null ? new ExceptionValue('RuntimeError', []) : this.#eval(statement.value, scope),
        );
      case 'assert':
        if (this.truth(this.#eval(statement.test, scope))) return null;
        throw new PythonError(
          'AssertionError',
          statement.message === null ? '' : String(this.str(this.#eval(statement.message, scope))),
        );
      case 'delete':
        for (const target of statement.targets) this.#delete(target, scope);
        return null;
      case 'import':
        this.#import(statement, scope);
        return null;
      case 'scope':
        for (const name of statement.names)
          scope.elsewhere.set(name, statement.where === 'global' ? this.globals : this.#nonlocal(name, scope));
        return null;
      case 'break':
      case 'continue':
        return { kind: statement.kind };
      case 'pass':
        return null;
      default:
        return statement satisfies never;
    }
  }

  #loop(
    items: Iterable<Value>,
    { body, otherwise }: { body: Body; otherwise: Body },
    scope: Scope,
    bind: (item: Value) => void,
  ): Completion {
    for (const item of items) {
      bind(item);
      const completion = this.#block(body, scope);
      if (completion?.kind === 'break') return null;
      if (completion?.kind === 'return') return completion;
    }
    return this.#block(otherwise, scope);
  }

  *#whileTrue(test: Expr, scope: Scope): Generator<null> {
    while (this.truth(this.#eval(test, scope))) yield null;
  }

  #assign(target: Expr, value: Value, scope: Scope): void {
    switch (target.kind) {
      case 'name':
        scope.assign(target.name, value);
        return;
      case 'attribute':
        this.setattr(this.#eval(target.object, scope), target.name, value);
        return;
      case 'subscript':
        this.setitem(this.#eval(target.object, scope), this.#eval(target.index, scope), value);
        return;
      case 'sequence': {
        const values = [...this.iterate(value)];
        const starAt = target.items.findIndex(item => item.kind === 'starred');
        const wanted = target.items.length;
        if (starAt < 0 ? values.length !== wanted : values.length < wanted - 1) {
          throw new PythonError(
            'ValueError',
            `${values.length > wanted ? 'too many' : 'not enough'} values to unpack (expected ${wanted}, got ${values.length})`,
          );
        }
        const surplus = values.length - wanted + 1;
        const parts =
          starAt < 0
            ? values
            : [...values.slice(0, starAt), values.slice(starAt, starAt + surplus), ...values.slice(starAt + surplus)];
        for (const [i, item] of target.items.entries())
          this.#assign(item.kind === 'starred' ? item.value : item, parts[i], scope);
        return;
      }
      default:
        throw new PythonError('SyntaxError', `cannot assign to ${target.kind}`);
    }
  }

  #augment(target: Expr, op: BinaryOp, value: Value, scope: Scope): void {
    if (target.kind === 'name') scope.assign(target.name, this.#inPlace(op, this.#eval(target, scope), value));
    else if (target.kind === 'attribute') {
      const object = this.#eval(target.object, scope);
      this.setattr(object, target.name, this.#inPlace(op, this.getattr(object, target.name), value));
    } else if (target.kind === 'subscript') {
      const object = this.#eval(target.object, scope);
      const index = this.#eval(target.index, scope);
      this.setitem(object, index, this.#inPlace(op, this.getitem(object, index), value));
    } else throw new PythonError('SyntaxError', `cannot assign to ${target.kind}`);
  }

  #inPlace(op: BinaryOp, left: Value, right: Value): Value {
    if (Array.isArray(left) && op === '+') {
      left.push(...this.iterate(right));
      return left;
    }
    return this.#behaviour(left)?.augment?.(op, left as never, right) ?? this.binary(op, left, right);
  }

  #delete(target: Expr, scope: Scope): void {
    if (target.kind === 'name') scope.names.delete(target.name);
    else if (target.kind === 'subscript') {
      const object = this.#eval(target.object, scope);
      const index = this.#eval(target.index, scope);
      if (object instanceof Dict) object.delete(index);
      else if (Array.isArray(object) && typeof index === 'number')
        object.splice(index < 0 ? index + object.length : index, 1);
      else throw new Unsupported(`del on ${this.typeName(object)}`);
    } else throw new Unsupported(`del of ${target.kind}`);
  }

  #with(items: readonly { context: Expr; target: Expr | null }[], body: Body, scope: Scope): Completion {
    const [first, ...rest] = items;
    if (first === undefined) return this.#block(body, scope);
    const manager = this.#eval(first.context, scope);
    const behaviour = this.#behaviour(manager);
    if (!behaviour?.enter || !behaviour.exit) throw new Unsupported(`with ${this.typeName(manager)}`);
    const entered = behaviour.enter(manager as never);
    if (first.target !== null) this.#assign(first.target, entered, scope);
    try {
      return this.#with(rest, body, scope);
    } finally {
      behaviour.exit(manager as never);
    }
  }

  #try(statement: Extract<Stmt, { kind: 'try' }>, scope: Scope): Completion {
    let completion: Completion = null;
    try {
      completion = this.#block(statement.body, scope) ?? this.#block(statement.otherwise, scope);
    } catch (error) {
      const className = this.classOfError(error);
      const handler =
        className === null
          ? undefined
          : statement.handlers.find(({ type }) => type === null || this.#catches(this.#eval(type, scope), className));
      if (handler === undefined) throw error;
      if (handler.name !== null) {
        scope.assign(
          handler.name,
          error instanceof Raised ? error.exception : new ExceptionValue(className!, [(error as Error).message]),
        );
      }
      completion = this.#block(handler.body, scope);
    } finally {
      const last = this.#block(statement.final, scope);
      if (last !== null) completion = last;
    }
    return completion;
  }

  /** The Python class of an error; null for what no program can catch (Unsupported, internal errors). */
  classOfError(error: unknown): string | null {
    return error instanceof PythonError ? error.className : this.host.classOfError(error);
  }

  #catches(type: Value, className: string): boolean {
    if (type instanceof Tuple) return type.items.some(item => this.#catches(item, className));
    return type instanceof NativeType && catches(type.name, className);
  }

  #raised(value: Value): PythonError {
    const exception = value instanceof NativeType ? value.construct([], noKwargs) : value;
    if (!(exception instanceof ExceptionValue))
      throw new PythonError('TypeError', 'exceptions must derive from BaseException');
    return new Raised(exception.className, String(this.str(exception)), exception);
  }

  #import(statement: Extract<Stmt, { kind: 'import' }>, scope: Scope): void {
    if (statement.names.length === 0) {
      const whole = this.host.importModule(statement.alias === null ? statement.module.slice(0, 1) : statement.module);
      scope.assign(statement.alias ?? statement.module[0], whole);
      return;
    }
    const module = this.host.importModule(statement.module);
    for (const { name, alias } of statement.names) scope.assign(alias, this.getattr(module, name));
  }

  #nonlocal(name: string, scope: Scope): Scope {
    for (let outer = scope.parent; outer !== null; outer = outer.parent) if (outer.names.has(name)) return outer;
    throw new PythonError('SyntaxError', `no binding for nonlocal '${name}' found`);
  }

  // ── functions and classes ─────────────────────────────────────────────────────────────────────────────────────────

  #function(name: string, params: readonly Param[], body: Body | Expr, scope: Scope): PyFunction {
    const fallbacks = new Map(
      params.flatMap(param =>
        param.fallback === null ? [] : [[param.name, this.#eval(param.fallback, scope)] as const],
      ),
    );
    return new PyFunction(name, params, fallbacks, body, scope, scope.isClass ? scope.owner : null);
  }

  #decorate(decorators: readonly Expr[], value: Value, scope: Scope): Value {
    return decorators.reduceRight((wrapped, decorator) => this.call(this.#eval(decorator, scope), [wrapped]), value);
  }

  #callFunction(fn: PyFunction, args: readonly Value[], kwargs: Kwargs): Value {
    const scope = new Scope(fn.scope, fn.owner);
    this.#bind(fn, args, kwargs, scope);
    if (fn.params.length > 0) scope.self = scope.names.get(fn.params[0].name);
    if (!Array.isArray(fn.body)) return this.#eval(fn.body as Expr, scope);
    const completion = this.#block(fn.body as Body, scope);
    return completion?.kind === 'return' ? completion.value : null;
  }

  #bind(fn: PyFunction, args: readonly Value[], kwargs: Kwargs, scope: Scope): void {
    const problem = (text: string): never => {
      throw new PythonError('TypeError', `${fn.name}() ${text}`);
    };
    const left = new Map(kwargs);
    let next = 0;
    for (const param of fn.params) {
      if (param.spread === '*') {
        scope.names.set(param.name, new Tuple(args.slice(next)));
        next = args.length;
      } else if (param.spread === '**') {
        scope.names.set(param.name, new Dict([...left]));
        left.clear();
      } else if (!param.keywordOnly && next < args.length) {
        if (left.has(param.name)) problem(`got multiple values for argument '${param.name}'`);
        scope.names.set(param.name, args[next++]);
      } else if (left.has(param.name)) {
        scope.names.set(param.name, left.get(param.name));
        left.delete(param.name);
      } else if (fn.fallbacks.has(param.name)) scope.names.set(param.name, fn.fallbacks.get(param.name));
      else problem(`missing required argument: '${param.name}'`);
    }
    if (next < args.length) problem(`takes ${fn.params.length} positional arguments but ${args.length} were given`);
    for (const name of left.keys()) problem(`got an unexpected keyword argument '${name}'`);
  }

  #class(statement: Extract<Stmt, { kind: 'class' }>, scope: Scope): PyClass {
    const bases = statement.bases
      .map(base => this.#eval(base, scope))
      .filter(base => !(base instanceof NativeType && base.name === 'object'));
    const pythonBases = bases.filter(base => base instanceof PyClass);
    const native =
      bases.find(base => !(base instanceof PyClass)) ?? pythonBases.find(base => base.native !== null)?.native ?? null;
    if (native !== null && !this.#behaviour(native)?.subclass)
      throw new Unsupported(`class ${statement.name}(${this.typeName(native)})`);
    const made = new PyClass(statement.name, pythonBases, native);
    const body = new Scope(scope, made, true);
    this.#block(statement.body, body);
    for (const [name, value] of body.names) made.namespace.set(name, value);
    return made;
  }

  #instantiate(type: PyClass, args: readonly Value[], kwargs: Kwargs): Value {
    if (type.native !== null) {
      const construct = this.#behaviour(type.native)!.subclass!(type.native as never, this.#subclass(type));
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
    const behaviour = owner.native === null ? undefined : this.#behaviour(self);
    const inherited = behaviour?.getattr?.(self as never, name === '__init__' ? 'super().__init__' : name);
    if (inherited !== undefined) return inherited;
    if (name === '__init__') return new NativeFunction('__init__', () => null);
    throw new PythonError('AttributeError', `'super' object has no attribute '${name}'`);
  }

  /** Builtins that need the evaluator's own classes. */
  #languageFunctions(): [string, Value][] {
    const type = new NativeType(
      'type',
      value => value instanceof PyClass || value instanceof NativeType,
      ([value]) => this.#typeOf(value),
    );
    const descriptor = (name: string, form: 'static' | 'class' | 'property'): [string, Value] => [
      name,
      new NativeFunction(name, ([fn]) => new Descriptor(form, fn)),
    ];
    return [
      ['type', type],
      ['isinstance', new NativeFunction('isinstance', ([value, of]) => this.#isInstance(value, of))],
      ['callable', new NativeFunction('callable', ([value]) => this.isCallable(value))],
      descriptor('staticmethod', 'static'),
      descriptor('classmethod', 'class'),
      descriptor('property', 'property'),
    ];
  }

  #typeOf(value: Value): Value {
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

  #isInstance(value: Value, of: Value): boolean {
    if (of instanceof Tuple) return of.items.some(item => this.#isInstance(value, item));
    const own = this.#classOf(value);
    if (of instanceof PyClass) return own?.isSubclassOf(of) ?? false;
    if (of instanceof NativeType) return of.test(value);
    throw new Unsupported(`isinstance(…, ${this.typeName(of)})`);
  }

  isCallable(value: Value): boolean {
    return (
      value instanceof PyFunction ||
      value instanceof PyClass ||
      value instanceof BoundMethod ||
      value instanceof NativeFunction ||
      value instanceof NativeType ||
      this.#behaviour(value)?.call !== undefined
    );
  }

  // ── expressions ───────────────────────────────────────────────────────────────────────────────────────────────────

  #eval(expr: Expr, scope: Scope): Value {
    switch (expr.kind) {
      case 'constant':
        return expr.value;
      case 'name':
        return this.#name(expr.name, scope);
      case 'sequence': {
        const items = this.#items(expr.items, scope);
        return expr.form === 'list' ? items : expr.form === 'tuple' ? new Tuple(items) : new PySet(items);
      }
      case 'dict': {
        const dict = new Dict();
        for (const { key, value } of expr.entries) {
          if (key !== null) dict.set(this.#eval(key, scope), this.#eval(value, scope));
          else for (const [name, item] of this.#mapping(this.#eval(value, scope))) dict.set(name, item);
        }
        return dict;
      }
      case 'unary':
        return expr.op === 'not'
          ? !this.truth(this.#eval(expr.operand, scope))
          : this.unary(expr.op, this.#eval(expr.operand, scope));
      case 'binary':
        return this.binary(expr.op, this.#eval(expr.left, scope), this.#eval(expr.right, scope));
      case 'logical': {
        const left = this.#eval(expr.left, scope);
        return this.truth(left) === (expr.op === 'and') ? this.#eval(expr.right, scope) : left;
      }
      case 'compare':
        return this.#comparisonChain(expr, scope);
      case 'conditional':
        return this.#eval(this.truth(this.#eval(expr.test, scope)) ? expr.yes : expr.no, scope);
      case 'lambda':
        return this.#function('<lambda>', expr.params, expr.body, scope);
      case 'comprehension':
        return this.#comprehension(expr, scope);
      case 'call':
        return this.#evalCall(expr, scope);
      case 'attribute':
        return this.getattr(this.#eval(expr.object, scope), expr.name);
      case 'subscript':
        return this.getitem(this.#eval(expr.object, scope), this.#eval(expr.index, scope));
      case 'slice': {
        const bound = (part: Expr | null): Value => (part === null ? null : this.#eval(part, scope));
        return new Slice(bound(expr.start), bound(expr.stop), bound(expr.step));
      }
      case 'starred':
        throw new PythonError('SyntaxError', "can't use starred expression here");
      case 'walrus': {
        const value = this.#eval(expr.value, scope);
        scope.assign(expr.name, value);
        return value;
      }
      case 'format':
        return this.#interpolate(expr.parts, scope);
      default:
        return expr satisfies never;
    }
  }

  #name(name: string, scope: Scope): Value {
    const value = scope.elsewhere.get(name)?.find(name) ?? scope.find(name);
    if (value === undefined) throw new PythonError('NameError', `name '${name}' is not defined`);
    return value;
  }

  #items(exprs: readonly Expr[], scope: Scope): Value[] {
    return exprs.flatMap(item =>
      item.kind === 'starred' ? [...this.iterate(this.#eval(item.value, scope))] : [this.#eval(item, scope)],
    );
  }

  #mapping(value: Value): [Value, Value][] {
    if (value instanceof Dict) return value.entries();
    throw new PythonError('TypeError', `argument after ** must be a mapping, not ${this.typeName(value)}`);
  }

  #comparisonChain({ first, rest }: Extract<Expr, { kind: 'compare' }>, scope: Scope): Value {
    let left = this.#eval(first, scope);
    let result: Value = true;
    for (const [i, { op, right: rightExpr }] of rest.entries()) {
      const right = this.#eval(rightExpr, scope);
      result = this.compare(op, left, right);
      if (i < rest.length - 1 && !this.truth(result)) return result;
      left = right;
    }
    return result;
  }

  #comprehension(expr: Extract<Expr, { kind: 'comprehension' }>, scope: Scope): Value {
    const inner = new Scope(scope, scope.owner);
    inner.self = scope.self;
    const found: [Value, Value][] = [];
    const visit = (at: number): void => {
      const clause = expr.clauses[at];
      if (clause === undefined)
        found.push([expr.key === null ? null : this.#eval(expr.key, inner), this.#eval(expr.element, inner)]);
      else if (clause.kind === 'if') {
        if (this.truth(this.#eval(clause.test, inner))) visit(at + 1);
      } else {
        for (const item of this.iterate(this.#eval(clause.iterable, at === 0 ? scope : inner))) {
          this.#assign(clause.target, item, inner);
          visit(at + 1);
        }
      }
    };
    visit(0);
    if (expr.form === 'dict') return new Dict(found);
    const elements = found.map(([, element]) => element);
    return expr.form === 'set' ? new PySet(elements) : elements;
  }

  #evalCall(expr: Extract<Expr, { kind: 'call' }>, scope: Scope): Value {
    if (expr.callee.kind === 'name' && expr.callee.name === 'super') return this.#super(expr.args, scope);
    const callee = this.#eval(expr.callee, scope);
    const args: Value[] = [];
    const kwargs = new Map<string, Value>();
    for (const { spread, name, value } of expr.args) {
      const given = this.#eval(value, scope);
      if (spread === '*') args.push(...this.iterate(given));
      else if (spread === '**') for (const [key, item] of this.#mapping(given)) kwargs.set(String(key), item);
      else if (name !== null) kwargs.set(name, given);
      else args.push(given);
    }
    return this.call(callee, args, kwargs);
  }

  #super(args: readonly Argument[], scope: Scope): Super {
    if (args.length === 2) {
      const [type, self] = args.map(argument => this.#eval(argument.value, scope));
      if (type instanceof PyClass) return new Super(type, self);
    }
    for (let at: Scope | null = scope; at !== null; at = at.parent) {
      if (at.owner !== null && !at.isClass) return new Super(at.owner, at.self);
    }
    throw new PythonError('RuntimeError', 'super(): no arguments');
  }

  #interpolate(parts: readonly (string | FormatPart)[], scope: Scope): Value {
    const texts = parts.map(part => {
      if (typeof part === 'string') return part;
      const value = this.#eval(part.value, scope);
      const spec = String(this.#interpolate(part.spec, scope));
      const label = part.label;
      const asRepr = part.conversion === 'r' || (label !== '' && part.conversion === '' && spec === '');
      const shown = this.format(asRepr ? this.repr(value) : part.conversion === 's' ? this.str(value) : value, spec);
      return whenKnown([shown], text => `${label}${text}`);
    });
    return whenKnown(texts, (...known) => known.join(''));
  }

  /** Is it the host that knows what this is? */
  isHostObject(value: Value): boolean {
    return this.#behaviour(value) !== undefined;
  }

  // ── the data model ────────────────────────────────────────────────────────────────────────────────────────────────

  #behaviour(value: Value): Behaviour | undefined {
    return this.host.behaviours.find(behaviour => behaviour.matches(value));
  }

  call(callee: Value, args: readonly Value[], kwargs: Kwargs = noKwargs): Value {
    if (callee instanceof PyFunction) return this.#callFunction(callee, args, kwargs);
    if (callee instanceof BoundMethod) return this.call(callee.fn, [callee.self, ...args], kwargs);
    if (callee instanceof NativeFunction)
      return callee.pure ? whenKnown([...args], (...known) => callee.call(known, kwargs)) : callee.call(args, kwargs);
    if (callee instanceof PyClass) return this.#instantiate(callee, args, kwargs);
    if (callee instanceof NativeType) return callee.construct(args, kwargs);
    const own = this.#special(callee, '__call__');
    if (own !== undefined) return this.call(own, args, kwargs);
    const behaviour = this.#behaviour(callee);
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
    if (name === '__class__') return this.#typeOf(object);
    if (object instanceof PyClass) {
      if (name === '__name__') return object.name;
      const member = object.lookup(name);
      if (member !== undefined) return this.#bound(object, member, object);
      return object.native === null
        ? undefined
        : this.#behaviour(object.native)?.classMember?.(object.native as never, this.#subclass(object), name);
    }
    if (object instanceof PyInstance && object.attributes.has(name)) return object.attributes.get(name);
    const type = this.#classOf(object);
    if (type !== undefined) {
      const own = this.#behaviour(object)?.own?.(object as never, name);
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
    return builtinAttribute(this, object, name) ?? this.#behaviour(object)?.getattr?.(object as never, name);
  }

  setattr(object: Value, name: string, value: Value): void {
    if (object instanceof PyInstance) object.attributes.set(name, value);
    else if (object instanceof PyClass) object.namespace.set(name, value);
    else if (!this.#behaviour(object)?.setattr?.(object as never, name, value))
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
    const behaviour = this.#behaviour(object);
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
      const behaviour = this.#behaviour(object);
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
    const found = this.#behaviour(value)?.iterate?.(value as never);
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
    const behaviour = this.#behaviour(value);
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
    return this.#behaviour(value)?.truth?.(value as never) ?? true;
  }

  unary(op: string, value: Value): Value {
    if (value instanceof Deferred) return whenKnown([value], known => this.unary(op, known));
    if (isNumeric(value)) return unaryNumber(op, value);
    const result = this.#behaviour(value)?.unary?.(op, value as never);
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
      this.#behaviour(left)?.binary?.(op, left, right) ?? this.#behaviour(right)?.binary?.(op, left, right);
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
      this.#behaviour(left)?.compare?.(op, left, right) ?? this.#behaviour(right)?.compare?.(op, left, right);
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
    return this.#behaviour(value)?.typeName(value as never) ?? 'object';
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
    if (value instanceof Tuple)
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
    const text = this.#behaviour(value)?.repr?.(value as never);
    if (text !== undefined) return text;
    throw new Unsupported(`repr of ${this.typeName(value)}, which shows an address`);
  }

  format(value: Value, spec: string): Value {
    if (value instanceof Deferred) return whenKnown([value], known => this.format(known, spec));
    if (isNumeric(value) && !(typeof value === 'boolean' && spec === '')) {
      if (value instanceof PyFloat) return formatSpec({ kind: 'float', value: value.value }, spec);
      return formatSpec({ kind: 'int', value: typeof value === 'boolean' ? Number(value) : value }, spec);
    }
    const own = this.#behaviour(value)?.format?.(value as never, spec);
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
    const number = this.#behaviour(value)?.number?.(value as never);
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
