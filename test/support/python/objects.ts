/** The evaluator's own objects: scopes, functions, classes and their instances. */
import type { Body, Expr, Param } from './syntax.js';
import type { Value } from './values.js';

/** Names visible to a piece of code. */
export class Scope {
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

export class PyFunction {
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
export class PyInstance {
  readonly attributes = new Map<string, Value>();
}

export class BoundMethod {
  readonly self: Value;
  readonly fn: Value;
  constructor(self: Value, fn: Value) {
    this.self = self;
    this.fn = fn;
  }
}
/** `@staticmethod`, `@classmethod`, `@property`: how a function in a class is bound. */
export class Descriptor {
  readonly form: 'static' | 'class' | 'property';
  readonly fn: Value;
  constructor(form: 'static' | 'class' | 'property', fn: Value) {
    this.form = form;
    this.fn = fn;
  }
}
export class Super {
  readonly owner: PyClass;
  readonly self: Value;
  constructor(owner: PyClass, self: Value) {
    this.owner = owner;
    this.self = self;
  }
}
