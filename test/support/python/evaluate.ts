/**
 * The evaluator: runs a Python syntax tree. Names, control flow, functions and classes are here; what values do is in
 * data-model.ts.
 */
import { makeBuiltins } from './builtins.js';
import { DataModel, type Host } from './data-model.js';
import { catches, PythonError, Unsupported } from './errors.js';
import { Descriptor, PyClass, PyFunction, Scope, Super } from './objects.js';
import type { Argument, BinaryOp, Body, Expr, FormatPart, Param, Stmt } from './syntax.js';
import { parseExpression, parseProgram } from './syntax.js';
import {
  Dict,
  ExceptionValue,
  type Kwargs,
  NativeFunction,
  NativeType,
  noKwargs,
  PySet,
  Slice,
  Tuple,
  type Value,
  whenKnown,
} from './values.js';

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

export class Evaluator extends DataModel {
  constructor(host: Host) {
    super(host);
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
    return this.behaviourOf(left)?.augment?.(op, left as never, right) ?? this.binary(op, left, right);
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
    const behaviour = this.behaviourOf(manager);
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

  protected callFunction(fn: PyFunction, args: readonly Value[], kwargs: Kwargs): Value {
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
    if (native !== null && !this.behaviourOf(native)?.subclass)
      throw new Unsupported(`class ${statement.name}(${this.typeName(native)})`);
    const made = new PyClass(statement.name, pythonBases, native);
    const body = new Scope(scope, made, true);
    this.#block(statement.body, body);
    for (const [name, value] of body.names) made.namespace.set(name, value);
    return made;
  }

  /** Builtins that need the evaluator's own classes. */
  #languageFunctions(): [string, Value][] {
    const type = new NativeType(
      'type',
      value => value instanceof PyClass || value instanceof NativeType,
      ([value]) => this.typeOf(value),
    );
    const descriptor = (name: string, form: 'static' | 'class' | 'property'): [string, Value] => [
      name,
      new NativeFunction(name, ([fn]) => new Descriptor(form, fn)),
    ];
    return [
      ['type', type],
      ['isinstance', new NativeFunction('isinstance', ([value, of]) => this.isInstance(value, of))],
      ['callable', new NativeFunction('callable', ([value]) => this.isCallable(value))],
      descriptor('staticmethod', 'static'),
      descriptor('classmethod', 'class'),
      descriptor('property', 'property'),
    ];
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
}

export type { Host };
