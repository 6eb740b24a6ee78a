/**
 * Parametrizations: a parameter or buffer of a module that is computed, wherever it is read, by modules from one tensor or
 * several that take its place in the state, `parametrizations.<name>.original`.
 *
 * As in PyTorch the module becomes an instance of a class of its own, below its class, in which the tensor is an accessor.
 */
import { fail } from '../../../compiler/errors.js';
import { formatShape, sameShape } from '../../../compiler/ir/shape.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import { type Executor, executor, Tensor, takeLayout } from '../../../compiler/ops/tensor.js';
import { ModuleDict, ModuleList } from '../containers.js';
import type { Module } from '../module.js';
import { Parameter } from '../parameter.js';
import { type Fields, fieldsOf } from './computed-field.js';

/** Computes a tensor from the original ones in `forward`. */
export interface Parametrization extends Module {
  /**
   * The originals from which `forward` gives this value: of the value that a tensor has when it is parametrized, and of those
   * that it is set to. Where it is missing or null, the value itself is the original, and cannot be set later.
   */
  rightInverse?(value: Tensor): Tensor | readonly Tensor[] | null;
}

function refuse(problem: string, hint?: string): never {
  return fail('E208', { problem, hint });
}

function register(module: Module, name: string, value: Tensor): void {
  if (value instanceof Parameter) module.registerParameter(name, value);
  else module.registerBuffer(name, value);
}

/** Throws E208 unless a tensor can take the place of another. */
function checkLike(what: string, found: unknown, { dtype, shape }: Tensor): void {
  if (!(found instanceof Tensor)) refuse(`${what} must be a tensor, but is ${typeof found}`);
  const hint = 'pass { unsafe: true } to allow it';
  if (found.dtype !== dtype) refuse(`${what} must keep the dtype ${dtype}, but has ${found.dtype}`, hint);
  if (!sameShape(found.shape, shape))
    refuse(`${what} must keep the shape ${formatShape(shape)}, but has ${formatShape(found.shape)}`, hint);
}

/** The parametrizations of one tensor, each computing on what the one before gives, and what the first computes from. */
export class ParametrizationList extends ModuleList<Parametrization> {
  /** How many originals there are; null for one, named `original`, else `original0`, …. */
  readonly originals: number | null;
  unsafe: boolean;

  constructor(modules: Iterable<Parametrization>, value: Tensor, unsafe = false) {
    super(modules);
    if (this.length === 0) refuse('ParametrizationList requires one or more modules');
    this.unsafe = unsafe;
    const before = value.detach();
    const found = noGrad(() => this.inverted(value, false));
    this.originals = found instanceof Tensor ? null : found.length;
    if (found instanceof Tensor) this.keepOne(value, found);
    else this.keepSeveral(value, found);
    if (!unsafe) checkLike('what the parametrization computes', this.forward(), before);
  }

  /** The tensor itself goes on as the original, so that optimizers that know it need not be told. */
  private keepOne(value: Tensor, found: Tensor): void {
    if (found.dtype !== value.dtype)
      refuse(`rightInverse may not change the dtype: ${value.dtype} became ${found.dtype}`);
    if (found !== value) takeLayout(value, found.detach().clone());
    register(this, 'original', value);
  }
  private keepSeveral(value: Tensor, found: readonly Tensor[]): void {
    for (const [i, part] of found.entries()) {
      const own = part.detach().clone();
      const { requiresGrad } = value;
      register(this, `original${i}`, value instanceof Parameter ? new Parameter(own, { requiresGrad }) : own);
    }
  }

  /** The names of the originals. */
  get originalNames(): readonly string[] {
    return this.originals === null ? ['original'] : Array.from({ length: this.originals }, (_, i) => `original${i}`);
  }
  private originalTensors(): Tensor[] {
    return this.originalNames.map(name => fieldsOf(this)[name] as Tensor);
  }

  override forward(): Tensor {
    const [first, ...rest] = this;
    return rest.reduce((value: Tensor, next) => next.forward(value), first.forward(...this.originalTensors()));
  }

  /** Set the originals so that `forward` gives a value. Throws E208 where a parametrization cannot say which. */
  rightInverse(value: Tensor): void {
    noGrad(() => {
      const found = this.inverted(value, true);
      const values = found instanceof Tensor ? [found] : found;
      const originals = this.originalTensors();
      if (values.length !== originals.length)
        refuse(`rightInverse must return ${originals.length} tensors here, but returned ${values.length}`);
      for (const [i, original] of originals.entries()) {
        checkLike('what rightInverse returns', values[i], original);
        original.copy_(values[i]);
      }
    });
  }

  private inverted(value: Tensor, isNeeded: boolean): Tensor | readonly Tensor[] {
    let found: Tensor | readonly Tensor[] = value;
    for (const parametrization of [...this].reverse()) {
      const next: unknown = parametrization.rightInverse?.(found as Tensor) ?? null;
      if (next === null && isNeeded)
        refuse(`the parametrization ${parametrization.constructor.name} does not implement rightInverse`);
      if (next !== null && !(next instanceof Tensor) && !isTensors(next))
        refuse(`rightInverse must return a tensor or an array of tensors, but returned ${typeof next}`);
      found = (next as Tensor | readonly Tensor[] | null) ?? found;
    }
    return found;
  }
}

const isTensors = (value: unknown): value is readonly Tensor[] =>
  Array.isArray(value) && value.every(part => part instanceof Tensor);

/** What a module is once a tensor of it is parametrized. */
export interface Parametrized extends Module {
  /** By the name of the tensor. */
  readonly parametrizations: Parametrizations;
}
interface Owner extends Parametrized {
  nameInState(field: string): string;
}

/** The parametrizations of a module by the name of the tensor; named in the state as the module names that. */
class Parametrizations extends ModuleDict {
  /** As PyTorch prints it. */
  static override readonly name = 'ModuleDict';

  constructor(private readonly owner: Owner) {
    super();
  }
  override get(name: string): ParametrizationList {
    return super.get(name) as ParametrizationList;
  }
  protected override stateName(field: string): string {
    return this.owner.nameInState(field);
  }
}

// ── classes with accessors ─────────────────────────────────────────────────────────────────────────────────────────────

/** Make a module an instance of a class of its own. */
function becomeParametrized(module: Module): Owner {
  const Base = module.constructor as typeof Module;
  abstract class Own extends Base {
    nameInState(field: string): string {
      return this.stateName(field);
    }
  }
  Object.defineProperty(Own, 'name', { value: `Parametrized${Base.name}` });
  Object.setPrototypeOf(module, Own.prototype);
  const owner = module as Owner;
  Object.assign(owner, { parametrizations: new Parametrizations(owner) });
  return owner;
}

function becomePlain(module: Owner): void {
  delete fieldsOf(module).parametrizations;
  Object.setPrototypeOf(module, Object.getPrototypeOf(module.constructor.prototype));
}

const addAccessor = (module: Owner, name: string): void =>
  void Object.defineProperty(module.constructor.prototype, name, {
    get(this: Owner): Tensor {
      return valueOf(this, name);
    },
    set(this: Owner, value: Tensor) {
      this.parametrizations.get(name).rightInverse(value);
    },
    configurable: true,
  });

// ── cached values ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Values = Map<ParametrizationList, Tensor>;
/** Kept for each executor: what is computed eagerly is no part of a trace, and what a loop's body computes none of the rest. */
let cache: WeakMap<Executor, Values> | null = null;

function valueOf(module: Owner, name: string): Tensor {
  const list = module.parametrizations.get(name);
  if (cache === null) return list.forward();
  const running = executor();
  const values: Values = cache.get(running) ?? new Map();
  cache.set(running, values);
  const value = values.get(list) ?? list.forward();
  values.set(list, value);
  return value;
}

/** While `fn` runs each parametrized tensor is computed once, when it is first read. */
export function cached<T>(fn: () => T): T {
  const outer = cache;
  cache ??= new WeakMap();
  try {
    return fn();
  } finally {
    cache = outer;
  }
}

// ── registering ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Is a tensor of a module parametrized, or any? */
export function isParametrized(module: Module, name?: string): module is Parametrized {
  const { parametrizations } = module as Parametrized;
  if (!(parametrizations instanceof Parametrizations)) return false;
  return name === undefined || parametrizations.has(name);
}

/** The class that a module had before its tensors were parametrized. */
export const typeBeforeParametrizations = (module: Module): typeof Module =>
  isParametrized(module) ? Object.getPrototypeOf(module.constructor) : (module.constructor as typeof Module);

export interface ParametrizationOptions {
  /** Allow the shape and the dtype to change, and check nothing. */
  readonly unsafe?: boolean;
}

/**
 * Have a parameter or buffer computed by a module: `parametrization.forward(original)`. One that is parametrized already is
 * given on to the new module. Returns the module. Throws E208 where there is no such tensor, or the shape or dtype changes.
 */
export function registerParametrization<M extends Module>(
  module: M,
  name: string,
  parametrization: Parametrization,
  { unsafe = false }: ParametrizationOptions = {},
): M & Parametrized {
  parametrization.train(module.training);
  if (isParametrized(module, name)) append(module.parametrizations.get(name), parametrization, unsafe);
  else begin(module, name, parametrization, unsafe);
  return module as M & Parametrized;
}

function begin(module: Module, name: string, parametrization: Parametrization, unsafe: boolean): void {
  const fields: Fields = fieldsOf(module);
  const value = fields[name];
  const isOwn = value instanceof Parameter || (value instanceof Tensor && [...module.buffers(false)].includes(value));
  if (!isOwn)
    refuse(`${module.constructor.name} has no parameter, buffer or parametrized tensor '${name}' to parametrize`);
  const list = new ParametrizationList([parametrization], value, unsafe);
  delete fields[name];
  const owner = (isParametrized(module) ? module : becomeParametrized(module)) as Owner;
  owner.parametrizations.set(name, list);
  addAccessor(owner, name);
}

function append(list: ParametrizationList, parametrization: Parametrization, unsafe: boolean): void {
  if (!unsafe) {
    noGrad(() => {
      const before = list.forward();
      const after = parametrization.forward(before);
      checkLike('what the parametrization computes', after, before);
      const inverse = parametrization.rightInverse?.(after) ?? null;
      if (inverse !== null) checkLike('what rightInverse returns', inverse, before);
    });
  }
  list.append(parametrization);
  list.unsafe ||= unsafe;
}

/**
 * Make a tensor an ordinary one again: of its present value, or with `leaveParametrized: false` of the original's. Returns the
 * module. Throws E208 where it is not parametrized.
 */
export function removeParametrizations<M extends Module>(
  module: M,
  name: string,
  { leaveParametrized = true }: { readonly leaveParametrized?: boolean } = {},
): M {
  if (!isParametrized(module, name))
    return refuse(`${module.constructor.name} has no parametrization of '${name}' to remove`);
  const owner = module as Module as Owner;
  const restored = restoredTensor(owner.parametrizations.get(name), leaveParametrized);
  delete owner.constructor.prototype[name];
  owner.parametrizations.delete(name);
  register(owner, name, restored);
  if (owner.parametrizations.length === 0) becomePlain(owner);
  return module;
}

function restoredTensor(list: ParametrizationList, leaveParametrized: boolean): Tensor {
  const fields = fieldsOf(list);
  if (list.originals === null) {
    const original = fields.original as Tensor;
    return leaveParametrized ? takeLayout(original, noGrad(() => list.forward()).clone()) : original;
  }
  if (!leaveParametrized)
    refuse(
      'a tensor that is computed from several originals cannot be left as it was before',
      'leave out leaveParametrized',
    );
  const value = list.forward();
  return value.requiresGrad ? new Parameter(value.detach().clone()) : value.clone();
}

/**
 * Give a module the parametrizations of another, of one tensor or of all, and what they compute from; both share them from
 * then on. A tensor that it lacks becomes a parameter of it.
 */
export function transferParametrizationsAndParams<M extends Module>(from: Module, to: M, name?: string): M {
  if (!isParametrized(from)) return to;
  for (const tensor of name === undefined ? [...from.parametrizations] : [name]) {
    const source = from.parametrizations.get(tensor);
    const values = fieldsOf(to);
    values[tensor] ??= new Parameter((fieldsOf(from)[tensor] as Tensor).detach().clone());
    for (const parametrization of source) registerParametrization(to, tensor, parametrization);
    const target = (to as Module as Owner).parametrizations.get(tensor);
    for (const original of source.originalNames) fieldsOf(target)[original] = fieldsOf(source)[original];
  }
  return to;
}
