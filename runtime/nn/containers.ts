/** Modules that hold modules: Sequential, ModuleList and ModuleDict; and those that hold parameters. */
import { fail } from '../../compiler/errors.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

const notRun = (module: Module): never =>
  fail('E208', {
    problem: `${module.constructor.name} only holds parts and has no forward()`,
    hint: 'run its parts in the forward() of the module that owns it',
  });

/** Parts kept under their position: fields '0', '1', ... */
abstract class Indexed<T> extends Module {
  [index: number]: T;

  // biome-ignore lint/suspicious/noExplicitAny: a subclass that is more than a holder says what it takes and gives
  override forward(..._inputs: any[]): any {
    return notRun(this);
  }

  protected abstract accepts(value: unknown): value is T;

  get length(): number {
    return Object.keys(this).filter(key => /^\d+$/.test(key)).length;
  }
  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = 0; i < this.length; i++) yield this[i];
  }
  /** The part at a position, counted from the end if negative. */
  at(index: number): T {
    const position = index < 0 ? index + this.length : index;
    if (position < 0 || position >= this.length) {
      fail('E109', { op: this.constructor.name, problem: `index ${index} is out of range for ${this.length} parts` });
    }
    return this[position];
  }
  append(part: T): this {
    if (!this.accepts(part)) {
      fail('E108', {
        op: this.constructor.name,
        problem: `cannot hold ${part === null ? 'null' : ((part as object)?.constructor?.name ?? typeof part)}`,
      });
    }
    this[this.length] = part;
    return this;
  }
  extend(parts: Iterable<T>): this {
    for (const part of parts) this.append(part);
    return this;
  }
  insert(index: number, part: T): this {
    const parts = [...this];
    parts.splice(index, 0, part);
    parts.forEach((each, i) => {
      this[i] = each;
    });
    return this;
  }
}

/** Modules run one after another, each on the output of the one before. */
export class Sequential extends Indexed<Module> {
  /** The modules, or an object of modules by name. */
  constructor(...modules: readonly Module[] | readonly [Readonly<Record<string, Module>>]) {
    super();
    const [first] = modules;
    if (modules.length === 1 && !(first instanceof Module))
      for (const [name, module] of Object.entries(first)) this.addModule(name, module as Module);
    else this.extend(modules as readonly Module[]);
  }
  protected accepts(value: unknown): value is Module {
    return value instanceof Module;
  }
  // biome-ignore lint/suspicious/noExplicitAny: the first module says what goes in, the last what comes out
  override forward(...inputs: any[]): any {
    const [first, ...rest] = this.children();
    if (first === undefined) return inputs[0];
    return rest.reduce((value, module) => module.forward(value), first.forward(...inputs));
  }
  /** The modules, in order; named ones included. */
  override *[Symbol.iterator](): IterableIterator<Module> {
    yield* this.children();
  }
  override get length(): number {
    return [...this.children()].length;
  }
}

/** A list of modules; unlike in an array, their parameters are found. */
export class ModuleList<M extends Module = Module> extends Indexed<M> {
  constructor(modules: Iterable<M> = []) {
    super();
    this.extend(modules);
  }
  protected accepts(value: unknown): value is M {
    return value instanceof Module;
  }
}

/** A list of parameters. */
export class ParameterList extends Indexed<Parameter> {
  constructor(parameters: Iterable<Parameter> = []) {
    super();
    this.extend(parameters);
  }
  protected accepts(value: unknown): value is Parameter {
    return value instanceof Parameter;
  }
}

type ByName<T> = Readonly<Record<string, T>> | ReadonlyMap<string, T>;

/** Parts under names of the user's, in the order in which they were set. */
abstract class Named<T> extends Module {
  protected readonly byName = new Map<string, T>();
  /** What a part is, for messages. */
  protected abstract get kind(): string;

  constructor(parts: ByName<T> = {}) {
    super();
    this.update(parts);
  }
  // biome-ignore lint/suspicious/noExplicitAny: a subclass that is more than a holder says what it takes and gives
  override forward(..._inputs: any[]): any {
    return notRun(this);
  }
  protected override fields(): Iterable<readonly [string, unknown]> {
    return this.byName;
  }
  get(name: string): T {
    return (
      this.byName.get(name) ??
      fail('E208', {
        problem: `${this.constructor.name} has no ${this.kind} '${name}'`,
        hint: `it has: ${[...this.byName.keys()].join(', ')}`,
      })
    );
  }
  set(name: string, part: T): this {
    this.byName.set(name, part);
    return this;
  }
  /** Set several. */
  update(parts: ByName<T>): this {
    for (const [name, part] of parts instanceof Map ? parts : Object.entries(parts)) this.set(name, part);
    return this;
  }
  has(name: string): boolean {
    return this.byName.has(name);
  }
  delete(name: string): boolean {
    return this.byName.delete(name);
  }
  get length(): number {
    return this.byName.size;
  }
  keys(): IterableIterator<string> {
    return this.byName.keys();
  }
  values(): IterableIterator<T> {
    return this.byName.values();
  }
  entries(): IterableIterator<[string, T]> {
    return this.byName.entries();
  }
  [Symbol.iterator](): IterableIterator<string> {
    return this.byName.keys();
  }
}

/** Modules by name. */
export class ModuleDict<M extends Module = Module> extends Named<M> {
  protected override get kind(): string {
    return 'module';
  }
  override addModule(name: string, module: M): void {
    this.set(name, module);
  }
}

/** Parameters by name. */
export class ParameterDict extends Named<Parameter> {
  protected override get kind(): string {
    return 'parameter';
  }
  override registerParameter(name: string, parameter: Parameter): void {
    this.set(name, parameter);
  }
}
