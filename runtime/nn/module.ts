/**
 * Module: what models are made of. A subclass makes its parts in fields and says in `forward` what it computes.
 *
 * Parameters, buffers and submodules are found by going through the fields, in the order in which they were made. The base
 * constructor wraps `forward`, so that `net.forward(x)` runs the hooks and notes which module is running.
 */
import { fail } from '../../compiler/errors.js';
import { type DType, isFloat } from '../../compiler/ir/dtype.js';
import { sameShape } from '../../compiler/ir/shape.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { executor, Tensor, takeValue } from '../../compiler/ops/tensor.js';
import { whenEntryReturns } from '../../compiler/trace/entry-scope.js';
import { setModulePathSource } from '../../compiler/trace/site.js';
import { type BackwardHook, runObserved } from './backward-hooks.js';
import { Parameter } from './parameter.js';
import { isUninitialized } from './uninitialized.js';

export type StateDict = Record<string, Tensor>;
/** What a hook that runs before `forward` returns replaces the arguments. */
export type ForwardPreHook = (module: Module, args: readonly unknown[]) => unknown;
/** What a hook that runs after `forward` returns replaces the output. */
export type ForwardHook = (module: Module, args: readonly unknown[], output: unknown) => unknown;

export interface LoadReport {
  readonly missingKeys: readonly string[];
  readonly unexpectedKeys: readonly string[];
}

interface Internals {
  readonly preHooks: Set<ForwardPreHook>;
  readonly hooks: Set<ForwardHook>;
  readonly backwardHooks: Set<BackwardHook>;
  /** Fields that hold buffers; false for those left out of the state dict. */
  readonly buffers: Map<string, boolean>;
}
const internals = new WeakMap<Module, Internals>();
const internalsOf = (module: Module): Internals => internals.get(module)!;

const join = (prefix: string, name: string): string => (prefix === '' ? name : `${prefix}.${name}`);

export abstract class Module {
  training = true;

  constructor() {
    prepare(this);
  }

  /** What this module computes. */
  // biome-ignore lint/suspicious/noExplicitAny: each subclass says what it takes and gives
  abstract forward(...inputs: any[]): any;

  // ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Where parameters, buffers and submodules are looked for. */
  protected fields(): Iterable<readonly [name: string, value: unknown]> {
    return Object.entries(this);
  }

  /** The name of a field in state dicts and printed modules. */
  protected stateName(field: string): string {
    return field;
  }

  *#parts<T>(wanted: (field: string, value: unknown) => T | null): Generator<[string, T]> {
    for (const [field, value] of this.fields()) {
      const part = wanted(field, value);
      if (part !== null) yield [this.stateName(field), part];
    }
  }

  namedChildren(): IterableIterator<[string, Module]> {
    return this.#parts((_, value) => (value instanceof Module ? value : null));
  }
  *children(): IterableIterator<Module> {
    for (const [, child] of this.namedChildren()) yield child;
  }

  /** This module and all below it, each once, with their paths; '' for this one. */
  *namedModules(prefix = '', seen = new Set<Module>()): IterableIterator<[string, Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(join(prefix, name), seen);
  }
  *modules(): IterableIterator<Module> {
    for (const [, module] of this.namedModules()) yield module;
  }

  #ownParameters(): Generator<[string, Parameter]> {
    return this.#parts((_, value) => (value instanceof Parameter ? value : null));
  }
  #ownBuffers(persistentOnly = false): Generator<[string, Tensor]> {
    const { buffers } = internalsOf(this);
    return this.#parts((field, value) =>
      value instanceof Tensor && buffers.has(field) && (!persistentOnly || buffers.get(field)) ? value : null,
    );
  }

  *#everywhere<T>(
    own: (module: Module) => Iterable<[string, T]>,
    prefix: string,
    recurse: boolean,
  ): Generator<[string, T]> {
    const seen = new Set<T>();
    const modules: Iterable<[string, Module]> = recurse ? this.namedModules(prefix) : [[prefix, this]];
    for (const [path, module] of modules) {
      for (const [name, part] of own(module)) {
        if (seen.has(part)) continue;
        seen.add(part);
        yield [join(path, name), part];
      }
    }
  }

  /** Parameters with their paths, each once. */
  namedParameters(prefix = '', recurse = true): IterableIterator<[string, Parameter]> {
    return this.#everywhere(module => module.#ownParameters(), prefix, recurse);
  }
  *parameters(recurse = true): IterableIterator<Parameter> {
    for (const [, parameter] of this.namedParameters('', recurse)) yield parameter;
  }
  namedBuffers(prefix = '', recurse = true): IterableIterator<[string, Tensor]> {
    return this.#everywhere(module => module.#ownBuffers(), prefix, recurse);
  }
  *buffers(recurse = true): IterableIterator<Tensor> {
    for (const [, buffer] of this.namedBuffers('', recurse)) yield buffer;
  }

  /** Parameters and buffers by path: the state that a compiled model keeps. */
  *namedState(): IterableIterator<[string, Tensor]> {
    yield* this.namedParameters();
    yield* this.namedBuffers();
  }

  /**
   * Make a tensor part of the state without making it trainable; kept in the state dict unless `persistent` is false.
   * Returned, so that a field can be declared with it: `count = this.registerBuffer('count', zeros(1))`.
   */
  registerBuffer<T extends Tensor | null>(name: string, tensor: T, persistent = true): T {
    internalsOf(this).buffers.set(name, persistent);
    (this as Record<string, unknown>)[name] = tensor;
    return tensor;
  }
  registerParameter(name: string, parameter: Parameter | null): void {
    (this as Record<string, unknown>)[name] = parameter;
  }
  /** The same as assigning a field; for names that are computed. */
  addModule(name: string, module: Module): void {
    (this as Record<string, unknown>)[name] = module;
  }

  /** The same as `addModule`. */
  registerModule(name: string, module: Module): void {
    this.addModule(name, module);
  }

  /** The module at a dotted path. */
  getSubmodule(path: string): Module {
    for (const [name, module] of this.namedModules()) if (name === path) return module;
    return fail('E208', { problem: `${this.constructor.name} has no submodule '${path}'` });
  }

  /** The parameter at a dotted path. */
  getParameter(path: string): Parameter {
    for (const [name, parameter] of this.namedParameters()) if (name === path) return parameter;
    return fail('E208', { problem: `${this.constructor.name} has no parameter '${path}'` });
  }
  /** The buffer at a dotted path. */
  getBuffer(path: string): Tensor {
    for (const [name, buffer] of this.namedBuffers()) if (name === path) return buffer;
    return fail('E208', { problem: `${this.constructor.name} has no buffer '${path}'` });
  }

  // ── state dict ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Parameters and persistent buffers by path. The tensors share memory with the module's; one without a shape is itself. */
  stateDict(): StateDict {
    const shared = (tensor: Tensor): Tensor => (isUninitialized(tensor) ? tensor : tensor.detach());
    return Object.fromEntries([...this.#stateTensors('')].map(([name, tensor]) => [name, shared(tensor)]));
  }

  *#stateTensors(prefix: string): Generator<[string, Tensor]> {
    for (const [name, parameter] of this.#ownParameters()) yield [join(prefix, name), parameter];
    for (const [name, buffer] of this.#ownBuffers(true)) yield [join(prefix, name), buffer];
    for (const [name, child] of this.namedChildren()) yield* child.#stateTensors(join(prefix, name));
  }

  /**
   * Copy tensors in by path. With `strict`, names on either side that the other lacks are an error; sizes that differ always
   * are; what has no shape yet takes that of the state. Throws E208 with all that is wrong, before anything is changed.
   */
  loadStateDict(
    state: Readonly<StateDict> | ReadonlyMap<string, Tensor>,
    { strict = true }: { readonly strict?: boolean } = {},
  ): LoadReport {
    const given = new Map(state instanceof Map ? state : Object.entries(state));
    const own = new Map(this.#stateTensors(''));
    const missingKeys = [...own.keys()].filter(name => !given.has(name));
    const unexpectedKeys = [...given.keys()].filter(name => !own.has(name));
    const problems: string[] = [];
    const quoted = (names: readonly string[]): string => names.map(name => `"${name}"`).join(', ');
    if (strict && unexpectedKeys.length > 0)
      problems.push(`Unexpected key(s) in state_dict: ${quoted(unexpectedKeys)}. `);
    if (strict && missingKeys.length > 0) problems.push(`Missing key(s) in state_dict: ${quoted(missingKeys)}. `);
    const matched = [...own].flatMap(([name, target]) =>
      given.has(name) ? [{ name, target, source: given.get(name)! }] : [],
    );
    for (const { name, target, source } of matched) {
      if (isUninitialized(target) || sameShape(target.shape, source.shape)) continue;
      problems.push(
        `size mismatch for ${name}: copying a param with shape ${sizeText(source)} from checkpoint, the shape in current model is ${sizeText(target)}.`,
      );
    }
    if (problems.length > 0) {
      fail('E208', {
        problem: `Error(s) in loading state_dict for ${this.constructor.name}:\n\t${problems.join('\n\t')}`,
        hint: 'the state must come from a model of the same structure; { strict: false } ignores names that one side lacks',
      });
    }
    noGrad(() => {
      for (const { target, source } of matched) {
        if (isUninitialized(source)) continue;
        if (isUninitialized(target)) target.materialize(source.shape);
        target.copy_(source);
      }
    });
    return { missingKeys, unexpectedKeys };
  }

  // ── modes and conversions ──────────────────────────────────────────────────────────────────────────────────────────

  /** Training or evaluation; within an entry until it returns. */
  train(mode = true): this {
    for (const module of this.modules()) {
      const before = module.training;
      whenEntryReturns(() => {
        module.training = before;
      });
      module.training = mode;
    }
    return this;
  }
  eval(): this {
    return this.train(false);
  }
  requiresGrad_(wanted = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = wanted;
    return this;
  }

  /** Reset all gradients: to zero, or to none. */
  zeroGrad(options: boolean | ZeroGradOptions = false): void {
    const setToNone = typeof options === 'boolean' ? options : (options.setToNone ?? false);
    for (const parameter of this.parameters()) resetGrad(parameter, setToNone);
  }

  /** Call `fn` on every module below this one and on this one, children first. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /**
   * Convert floating-point parameters and buffers, and the gradients they have. They stay the same objects, so that an
   * optimizer made before goes on with them.
   */
  to(dtype: DType): this {
    if (!isFloat(dtype))
      fail('E108', { op: 'Module.to', problem: `only accepts floating point dtypes, but got ${dtype}` });
    return this.#convert(tensor => (isFloat(tensor.dtype) ? dtype : tensor.dtype));
  }
  /** Convert all parameters and buffers, integers too. */
  type(dtype: DType): this {
    return this.#convert(() => dtype);
  }
  #convert(dtypeFor: (tensor: Tensor) => DType): this {
    for (const [, tensor] of this.namedState()) convertInPlace(tensor, dtypeFor(tensor));
    return this;
  }
  half(): this {
    return this.to('float16');
  }
  bfloat16(): this {
    return this.to('bfloat16');
  }
  float(): this {
    return this.to('float32');
  }
  double(): this {
    return this.to('float64');
  }

  /** A module of the same structure, values and hooks that shares no memory with this one. */
  clone(): this {
    return copyModule(this, new Map());
  }

  // ── hooks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Returns a function that removes the hook. */
  registerForwardPreHook(hook: ForwardPreHook): () => void {
    return addTo(internalsOf(this).preHooks, hook);
  }
  /** Returns a function that removes the hook. */
  registerForwardHook(hook: ForwardHook): () => void {
    return addTo(internalsOf(this).hooks, hook);
  }
  /** Runs when the gradients of the arguments have been computed. Returns a function that removes the hook. */
  registerFullBackwardHook(hook: BackwardHook): () => void {
    return addTo(internalsOf(this).backwardHooks, hook);
  }

  // ── printing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What stands between the parentheses when this module is printed. */
  extraRepr(): string {
    return '';
  }

  toString(): string {
    const extra = this.extraRepr() === '' ? [] : this.extraRepr().split('\n');
    const children = [...this.namedChildren()].map(
      ([name, child]) => `(${name}): ${String(child).replaceAll('\n', '\n  ')}`,
    );
    const lines = [...extra, ...children];
    const inline = children.length === 0 && extra.length <= 1;
    return `${this.constructor.name}(${inline ? lines.join('') : `\n  ${lines.join('\n  ')}\n`})`;
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** Have a tensor, and its gradient, hold its values in another dtype. */
function convertInPlace(tensor: Tensor, dtype: DType): void {
  if (tensor.dtype === dtype) return;
  const running = executor();
  if (running.kind === 'trace' && tensor.value.kind === 'eager' && tensor.value.storage.madeIn !== running)
    fail('E304', {
      problem: `a module is converted to ${dtype} while an entry is traced, but the dtypes of a compiled model's state are fixed`,
      hint: 'convert the module where the model is defined',
    });
  const { grad } = tensor;
  if (isUninitialized(tensor)) tensor.materializeAs(dtype);
  else takeValue(tensor, tensor.detach().to(dtype));
  if (grad !== null) tensor.grad = grad.to(dtype);
}

const sizeText = (tensor: Tensor): string => `torch.Size([${tensor.shape.join(', ')}])`;

function addTo<T>(set: Set<T>, item: T): () => void {
  set.add(item);
  return () => void set.delete(item);
}

export interface ZeroGradOptions {
  /** Have no gradient afterwards, instead of zeros. */
  readonly setToNone?: boolean;
}
/** Forget or zero a gradient. Inside a trace there is none to zero until the entry has made one. */
export function resetGrad(tensor: Tensor, setToNone: boolean): void {
  const grad = setToNone ? null : tensor.grad;
  tensor.grad = grad?.detach() ?? null;
  if (tensor.grad !== null) noGrad(() => tensor.grad!.zero_());
}

// ── running ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Frame {
  readonly module: Module;
  /** Found when first asked for. */
  path: string | null;
}
const running: Frame[] = [];

/** Path of the module whose `forward` is running, from the outermost one that is; '' for that one and outside modules. */
export const currentModulePath = (): string => (running.length === 0 ? '' : pathOfFrame(running.length - 1));
setModulePathSource(currentModulePath);

function pathOfFrame(depth: number): string {
  const frame = running[depth];
  if (frame.path === null)
    frame.path = depth === 0 ? '' : join(pathOfFrame(depth - 1), nameWithin(running[depth - 1].module, frame.module));
  return frame.path;
}

function nameWithin(parent: Module, wanted: Module): string {
  for (const [name, module] of parent.namedModules()) if (module === wanted) return name;
  return wanted.constructor.name;
}

type Forward = (...args: unknown[]) => unknown;

/** Give a module its hooks and a `forward` that runs them. */
function prepare(module: Module): void {
  internals.set(module, { preHooks: new Set(), hooks: new Set(), backwardHooks: new Set(), buffers: new Map() });
  const forward: Forward =
    module.forward ??
    (() =>
      fail('E208', {
        problem: `${module.constructor.name} has no forward()`,
        hint: 'define forward(x) { ... } in the class',
      }));
  Object.defineProperty(module, 'forward', {
    value: (...args: unknown[]) => run(module, forward, args),
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

function run(module: Module, forward: Forward, given: readonly unknown[]): unknown {
  const { preHooks, hooks, backwardHooks } = internalsOf(module);
  let args = given;
  running.push({ module, path: null });
  try {
    for (const hook of preHooks) {
      const replaced = hook(module, args);
      if (replaced !== undefined && replaced !== null) args = Array.isArray(replaced) ? replaced : [replaced];
    }
    const compute = (inputs: readonly unknown[]): unknown => forward.apply(module, [...inputs]);
    let output = backwardHooks.size > 0 ? runObserved(module, backwardHooks, args, compute) : compute(args);
    for (const hook of hooks) output = hook(module, args, output) ?? output;
    return output;
  } finally {
    running.pop();
  }
}

// ── copying ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function copyModule<T extends Module>(module: T, copies: Map<unknown, unknown>): T {
  const found = copies.get(module);
  if (found !== undefined) return found as T;
  const copy = Reflect.construct(Module, [], module.constructor) as T;
  copies.set(module, copy);
  const { preHooks, hooks, backwardHooks, buffers } = internalsOf(module);
  internals.set(copy, {
    preHooks: new Set(preHooks),
    hooks: new Set(hooks),
    backwardHooks: new Set(backwardHooks),
    buffers: new Map(buffers),
  });
  for (const [field, property] of Object.entries(Object.getOwnPropertyDescriptors(module)))
    if (property.get !== undefined) Object.defineProperty(copy, field, property);
  for (const [field, value] of Object.entries(module))
    (copy as Record<string, unknown>)[field] = copyPart(value, copies);
  return copy;
}

function copyPart(value: unknown, copies: Map<unknown, unknown>): unknown {
  if (value instanceof Module) return copyModule(value, copies);
  if (isUninitialized(value)) return remembered(copies, value, () => value.another());
  if (value instanceof Parameter)
    return remembered(copies, value, () => new Parameter(value.detach().clone(), { requiresGrad: value.requiresGrad }));
  if (value instanceof Tensor) return remembered(copies, value, () => value.detach().clone());
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, copyPart(item, copies)]));
  return Array.isArray(value) ? value.map(item => copyPart(item, copies)) : value;
}

function remembered<T>(copies: Map<unknown, unknown>, original: T, make: () => T): T {
  if (!copies.has(original)) copies.set(original, make());
  return copies.get(original) as T;
}
