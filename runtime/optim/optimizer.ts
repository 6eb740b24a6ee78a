/**
 * What all optimizers share: parameter groups, state, and a `step()` that runs eagerly and inside a trace alike.
 *
 * A traced step becomes one program that runs for every step of the training, so nothing that changes from step to step may
 * be a plain number there. The learning rate is a 0-d float64 tensor behind `group.lr` (live-settings.ts); counters and
 * running powers live in *clocks*, also 0-d tensors, shared by the parameters that have taken the same steps. State is made
 * when a parameter first has a gradient, and only ever changed in place: eagerly, as state of the model, or, of an optimizer
 * made inside an entry, in the trace of that entry, where the clocks and rates of each step are known numbers.
 */
import { fail } from '../../compiler/errors.js';
import { isFloat } from '../../compiler/ir/dtype.js';
import { sameShape } from '../../compiler/ir/shape.js';
import { full } from '../../compiler/ops/define.js';
import { enableGrad, noGrad } from '../../compiler/ops/tape.js';
import { type Executor, executor, realForm, Tensor, withExecutor } from '../../compiler/ops/tensor.js';
import { eager } from '../eager.js';
import { resetGrad, type ZeroGradOptions } from '../nn/module.js';
import { pythonValue } from '../numerals.js';
import { adoptGroup, eagerScalar, liveState, liveValue } from './live-settings.js';

export interface GroupSettings {
  /** Learning rate; may be changed at any time. */
  lr: number;
}
/** Parameters that share settings, complex ones as their parts, [..., 2]. Schedulers add `initialLr`. */
export type ParamGroup<S extends GroupSettings = GroupSettings> = S & { params: Tensor[]; initialLr?: number };
/** What an optimizer is given: tensors, or groups of them with settings of their own. */
export type Parameters<S extends GroupSettings = GroupSettings> =
  | Iterable<Tensor>
  | Iterable<{ readonly params: Iterable<Tensor> | Tensor } & Partial<S>>;

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;
export type Numbers = Readonly<Record<string, number>>;

type SavedState = Readonly<Record<string, Tensor | number>>;
type SavedGroup = Readonly<Record<string, unknown>>;
/** A state dict: per-parameter state by position, and the settings of each group. */
export interface OptimizerState {
  readonly state: Readonly<Record<number, SavedState>>;
  readonly paramGroups: readonly SavedGroup[];
}
/** The same as PyTorch's checkpoints have it. */
export interface TorchOptimizerState {
  readonly state: ReadonlyMap<number, SavedState> | Readonly<Record<number, SavedState>>;
  readonly param_groups: readonly SavedGroup[];
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);

export abstract class Optimizer<S extends GroupSettings = GroupSettings> {
  readonly paramGroups: ParamGroup<S>[] = [];
  readonly #slots = new Map<Tensor, Tensors>();
  readonly #clocks = new Map<Tensor, Tensors>();
  readonly #defaults: S;
  /** Where the optimizer was made: eagerly, or in the trace of an entry, whose own it is. */
  readonly #home: Executor = executor().kind === 'trace' ? executor() : eager;

  /** `defaults` are the settings of groups that do not give their own; an undefined `lr` is required of each group. */
  constructor(params: Parameters<S>, defaults: S) {
    this.#defaults = defaults;
    const given = [...params] as (Tensor | ({ params: Iterable<Tensor> | Tensor } & Partial<S>))[];
    if (given.length === 0) fail('E208', { problem: 'optimizer got an empty parameter list' });
    if (given[0] instanceof Tensor) this.addParamGroup({ params: given as Tensor[] } as never);
    else for (const group of given) this.addParamGroup(group as never);
  }

  // ── what each optimizer says ───────────────────────────────────────────────────────────────────────────────────────

  /** Throws E208 for settings out of range. */
  protected abstract check(settings: S): void;
  /** Tensors kept for each parameter, in its shape, with the value they start from. */
  protected abstract slots(group: ParamGroup<S>): Numbers;
  /** Numbers that change from step to step: where they start, or where a state dict left them. */
  protected clockAt(_saved: Numbers | null, _group: ParamGroup<S>): Numbers {
    return {};
  }
  /** Move a clock one step on, and give what `update` needs of it. */
  protected advance(_clock: Tensors, _lr: Tensor, _group: ParamGroup<S>): Tensors {
    return {};
  }
  /** Change a parameter and its slots in place. */
  protected abstract update(
    param: Tensor,
    grad: Tensor,
    slots: Tensors,
    scalars: Tensors,
    lr: Tensor,
    group: ParamGroup<S>,
  ): void;
  /** Clock values that a state dict shows; `step` as a plain number where `stepIsNumber`. */
  protected readonly savedClock: readonly string[] = [];
  protected readonly stepIsNumber: boolean = false;
  /** Settings that PyTorch prints and that have one value here. */
  protected readonly fixedSettings: Readonly<Record<string, unknown>> = {};

  // ── groups ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  addParamGroup(given: { readonly params: Iterable<Tensor> | Tensor } & Partial<S>): void {
    const wanted = given.params instanceof Tensor ? [given.params] : [...given.params];
    const params = wanted.map(param => (param instanceof Tensor ? realForm(param) : param));
    for (const param of params) {
      if (!(param instanceof Tensor))
        fail('E108', {
          op: 'optimizer',
          problem: `can only optimize Tensors, but one of the params is ${typeof param}`,
        });
      if (!isFloat(param.dtype)) fail('E208', { problem: `can't optimize a Tensor of dtype ${param.dtype}` });
      if (!param.isLeaf)
        fail('E208', {
          problem: "can't optimize a non-leaf Tensor",
          hint: 'optimize the leaf it was computed from, or detach() it',
        });
      if (this.#allParams().includes(param))
        fail('E208', { problem: 'some parameters appear in more than one parameter group' });
    }
    if (new Set(params).size !== params.length)
      fail('E208', { problem: 'optimizer contains a parameter group with duplicate parameters' });
    const pythons = Object.keys(given).find(name => camelCase(name) !== name && camelCase(name) in this.#defaults);
    if (pythons !== undefined)
      fail('E208', { problem: `a parameter group has '${pythons}'`, hint: `its name is ${camelCase(pythons)}` });
    const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const group = { ...this.#defaults, ...own, params } as ParamGroup<S>;
    if (group.lr === undefined)
      fail('E208', { problem: "parameter group didn't specify a value of required optimization parameter lr" });
    if (!(group.lr >= 0)) fail('E208', { problem: `Invalid learning rate: ${pythonValue(group.lr)}` });
    this.check(group);
    adoptGroup(group);
    this.paramGroups.push(group);
  }
  #allParams(): Tensor[] {
    return this.paramGroups.flatMap(group => group.params);
  }

  /**
   * The learning rate of each group as it is now, a 0-d float64 tensor: what an entry returns to have its rates logged. As
   * numbers they are `group.lr` and a scheduler's `getLastLr()`, outside of entries.
   */
  learningRates(): Tensor[] {
    return noGrad(() => this.paramGroups.map(group => (liveValue(group, 'lr') as Tensor).clone()));
  }

  /** Reset all gradients: to zero, or to none. */
  zeroGrad(options: boolean | ZeroGradOptions = false): void {
    const setToNone = typeof options === 'boolean' ? options : (options.setToNone ?? false);
    for (const param of this.#allParams()) resetGrad(param, setToNone);
  }

  // ── stepping ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Change every parameter that has a gradient. With a closure, call it first and return what it returns. */
  step(): void;
  step<T>(closure: () => T): T;
  step<T>(closure?: () => T): T | undefined {
    const loss = closure && enableGrad(closure);
    if (executor().kind === 'trace' && this.#home === eager) this.#needsGradients();
    noGrad(() => {
      for (const group of this.paramGroups) this.#stepGroup(group);
    });
    return loss;
  }

  /** Parameters without a gradient stay as they are: when an entry is traced, and so in every call. */
  #needsGradients(): void {
    if (this.#allParams().some(param => param.grad !== null)) return;
    fail('E304', {
      problem: `${this.constructor.name}.step() finds no gradient in the entry being traced, so the compiled step would change nothing`,
      hint: 'call backward() before it; if another entry does, name that entry before this one in the model',
    });
  }

  #stepGroup(group: ParamGroup<S>): void {
    const lr = liveValue(group, 'lr') as Tensor;
    const stepping = group.params.filter(param => param.grad !== null);
    const scalars = new Map<Tensors, Tensors>();
    for (const param of stepping) if (!this.#slots.has(param)) this.#slots.set(param, this.#makeSlots(param, group));
    for (const clock of this.#clocksOf(stepping, group))
      scalars.set(
        clock,
        this.#onClock(() => this.advance(clock, lr, group)),
      );
    for (const param of stepping)
      this.update(param, param.grad!, this.#slots.get(param)!, scalars.get(this.#clocks.get(param)!)!, lr, group);
  }

  #makeSlots(param: Tensor, group: ParamGroup<S>): Tensors {
    const make = (value: number): Tensor => this.atHome(() => full(param.shape, value, { dtype: param.dtype }));
    return Object.fromEntries(Object.entries(this.slots(group)).map(([name, value]) => [name, make(value)]));
  }

  /** Make state where the optimizer was made. */
  protected atHome<T>(fn: () => T): T {
    return withExecutor(this.#home, () => noGrad(fn));
  }
  /** Clocks are eager tensors: parts of a trace as state, but known numbers of an optimizer made in it. */
  #onClock<T>(fn: () => T): T {
    return this.#home === eager ? fn() : withExecutor(eager, () => noGrad(fn));
  }

  #makeClock(values: Numbers): Tensors {
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, eagerScalar(value)]));
  }

  /** The clocks of parameters about to step. Parameters that stay behind get a copy of theirs first. */
  #clocksOf(stepping: readonly Tensor[], group: ParamGroup<S>): Set<Tensors> {
    const fresh = stepping.filter(param => !this.#clocks.has(param));
    if (fresh.length > 0) {
      const clock = this.#makeClock(this.clockAt(null, group));
      for (const param of fresh) this.#clocks.set(param, clock);
    }
    const clocks = new Set(stepping.map(param => this.#clocks.get(param)!));
    for (const clock of clocks) {
      const behind = group.params.filter(param => this.#clocks.get(param) === clock && !stepping.includes(param));
      if (behind.length === 0) continue;
      const copy = this.#makeClock(Object.fromEntries(Object.keys(clock).map(name => [name, 0])));
      this.#onClock(() => {
        for (const [name, value] of Object.entries(clock)) copy[name].copy_(value);
      });
      for (const param of behind) this.#clocks.set(param, copy);
    }
    return clocks;
  }

  // ── state ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** All state with names made of the parameters' names: what a compiled model keeps. */
  *namedState(nameOf: (tensor: Tensor) => string | null): IterableIterator<[string, Tensor]> {
    for (const [i, group] of this.paramGroups.entries())
      for (const [name, value] of liveState(group)) yield [i === 0 ? name : `${name}.${i}`, value];
    for (const [i, clock] of [...new Set(this.#clocks.values())].entries()) {
      for (const [name, value] of Object.entries(clock)) yield [i === 0 ? name : `${name}.${i}`, value];
    }
    for (const [i, param] of this.#allParams().entries()) {
      for (const [name, value] of Object.entries(this.#slots.get(param) ?? {}))
        yield [`${name}.${nameOf(param) ?? i}`, value];
    }
  }

  /** The state of one parameter, as a state dict shows it; empty before its first step. In a trace, state has no numbers. */
  stateOf(param: Tensor): Record<string, Tensor | number> {
    const slots = this.#slots.get(param);
    const clock = this.#clocks.get(param);
    if (slots === undefined || clock === undefined) return {};
    const shown = (name: string): Tensor | number => {
      const isNumber = name === 'step' && this.stepIsNumber && executor().kind === 'eager';
      return isNumber ? clock[name].item() : clock[name].to('float32');
    };
    return { ...this.#onClock(() => Object.fromEntries(this.savedClock.map(name => [name, shown(name)]))), ...slots };
  }

  stateDict(): OptimizerState {
    const params = this.#allParams();
    const states = params.map((param, i) => [i, this.stateOf(param)] as const);
    const groups = this.paramGroups.map(group => ({
      ...(group as GroupSettings),
      params: group.params.map(param => params.indexOf(param)),
    }));
    return {
      state: Object.fromEntries(states.filter(([, state]) => Object.keys(state).length > 0)),
      paramGroups: groups,
    };
  }

  /** Take over state and settings, PyTorch's own included. Throws E208 where groups or shapes differ. */
  loadStateDict(given: OptimizerState | TorchOptimizerState): void {
    const groups = 'paramGroups' in given ? given.paramGroups : given.param_groups;
    const sizes = (list: readonly { readonly params?: unknown }[]): string =>
      list.map(group => (group.params as unknown[]).length).join(', ');
    if (sizes(groups) !== sizes(this.paramGroups)) {
      fail('E208', {
        problem: `loaded state dict has parameter groups of sizes [${sizes(groups)}], the optimizer of sizes [${sizes(this.paramGroups)}]`,
      });
    }
    const savedOf = (i: number): SavedState | undefined =>
      given.state instanceof Map ? given.state.get(i) : (given.state as Readonly<Record<number, SavedState>>)[i];
    const entries = this.paramGroups
      .flatMap(group => group.params.map(param => ({ group, param })))
      .flatMap((entry, i) => (savedOf(i) === undefined ? [] : [{ ...entry, saved: savedOf(i)! }]));
    for (const { group, param, saved } of entries) this.#checkState(group, param, saved);
    for (const [i, group] of this.paramGroups.entries()) takeSettings(group, groups[i]);
    const clocks = new Map<string, Tensors>();
    for (const { group, param, saved } of entries) {
      if (!this.#slots.has(param)) this.#slots.set(param, this.#makeSlots(param, group));
      for (const [name, slot] of Object.entries(this.#slots.get(param)!)) {
        this.atHome(() => slot.copy_(saved[name] as Tensor));
      }
      const numbers = Object.fromEntries(this.savedClock.map(name => [name, numberOf(saved[name])]));
      const values = this.clockAt(numbers, group);
      const key = `${this.paramGroups.indexOf(group)} ${JSON.stringify(values)}`;
      if (!clocks.has(key)) clocks.set(key, this.#makeClock(values));
      this.#clocks.set(param, clocks.get(key)!);
    }
  }

  #checkState(group: ParamGroup<S>, param: Tensor, saved: SavedState): void {
    for (const name of Object.keys(this.slots(group))) {
      const slot = saved[name];
      if (slot instanceof Tensor && sameShape(slot.shape, param.shape)) continue;
      fail('E208', {
        problem: `state '${name}' for a parameter of shape [${param.shape.join(', ')}] is ${slot instanceof Tensor ? `of shape [${slot.shape.join(', ')}]` : 'missing'}`,
      });
    }
  }

  /** As PyTorch prints it. */
  toString(): string {
    const lines = this.paramGroups.map((group, i) => {
      const settings = Object.entries({ ...this.fixedSettings, ...group }).filter(([name]) => name !== 'params');
      const named = settings
        .map(([name, value]) => [snakeCase(name), value] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      return `Parameter Group ${i}\n${named.map(([name, value]) => `    ${name}: ${typeof value === 'string' ? value : pythonValue(value)}\n`).join('')}`;
    });
    return `${this.constructor.name} (\n${lines.join('\n')})`;
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

const camelCase = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
/** Settings that the group has, under either spelling; those of PyTorch that mean nothing here are left out. */
function takeSettings(group: object, saved: SavedGroup): void {
  const settings = Object.entries(saved).map(([name, value]) => [camelCase(name), value] as const);
  const known = settings.filter(([name]) => name !== 'params' && (name in group || name === 'initialLr'));
  Object.assign(group, Object.fromEntries(known));
}

const numberOf = (value: Tensor | number): number => (value instanceof Tensor ? value.item() : value);

/** The error of a setting out of range. */
export function checkSetting(valid: boolean, problem: () => string): void {
  if (!valid) fail('E208', { problem: problem() });
}
