/**
 * Settings of parameter groups that change between steps: the learning rate, and momentum where a scheduler moves it.
 *
 * A compiled step must see the changes, so such a setting is a 0-d float64 tensor, state of the model, behind a property that
 * looks like a number. A group made inside an entry is made anew by each call: there the numbers it has at each step are
 * constants, and its settings stay plain.
 */
import { fail } from '../../compiler/errors.js';
import { full } from '../../compiler/ops/define.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { executor, type Tensor, withExecutor } from '../../compiler/ops/tensor.js';
import { eager } from '../eager.js';

/** `betas` stands for the first of them, which is the momentum. */
export type LiveName = 'lr' | 'momentum' | 'betas';
const stateNames: Readonly<Record<LiveName, string>> = { lr: 'lr', momentum: 'momentum', betas: 'beta1' };

interface Live {
  /** Made while an entry was traced? */
  readonly ofEntry: boolean;
  /** Null in a group of an entry. */
  readonly tensors: Map<LiveName, Tensor | null>;
}
const known = new WeakMap<object, Live>();

const eagerly = <T>(fn: () => T): T => withExecutor(eager, () => noGrad(fn));
/** A 0-d tensor outside any trace. */
export const eagerScalar = (value: number): Tensor => eagerly(() => full([], value, { dtype: 'float64' }));

type Group = Partial<Record<'lr' | 'momentum', number>> & { betas?: readonly [number, number] };

const numberIn = (name: LiveName, value: unknown): number =>
  name === 'betas' ? (value as [number, number])[0] : Number(value);

/** Note where a new group is made; its learning rate may change. */
export function adoptGroup(group: Group): void {
  known.set(group, { ofEntry: executor().kind === 'trace', tensors: new Map() });
  keepLive(group, 'lr');
}

/** Let a setting change without a new compilation. */
export function keepLive(group: Group, name: LiveName): void {
  const { ofEntry, tensors } = known.get(group)!;
  if (tensors.has(name)) return;
  if (ofEntry) {
    tensors.set(name, null);
    return;
  }
  const tensor = eagerScalar(numberIn(name, group[name]));
  const second = group.betas?.[1] ?? 0;
  tensors.set(name, tensor);
  Object.defineProperty(group, name, {
    enumerable: true,
    get() {
      const running = executor();
      if (running.kind === 'trace' && running.versionOf(tensor) > 0) refuseReading(name);
      return name === 'betas' ? [tensor.item(), second] : tensor.item();
    },
    set(value: unknown) {
      if (executor().kind === 'trace') {
        fail('E304', {
          problem: `${name === 'lr' ? 'the learning rate' : `'${name}'`} of an optimizer made outside the entry is set while the entry is being traced; the compiled entry would not set it again`,
          hint: 'set it, or call scheduler.step(), outside the entry: it is part of the state',
        });
      }
      eagerly(() => tensor.fill_(numberIn(name, value)));
    },
  });
}

/** A trace that has changed a setting does not know its number. */
const refuseReading = (name: LiveName): never =>
  fail('E304', {
    problem: `${name === 'lr' ? 'the learning rate' : `'${name}'`} is read as a number after the entry being traced has changed it; its value is known only when the compiled entry runs`,
    hint:
      name === 'lr'
        ? 'return it as a tensor, as in { loss, lr: opt.learningRates()[0] }; or read it between calls, outside the entry'
        : 'read it between calls, outside the entry',
  });

/** The value of a setting that steps compute with: a tensor where it may change. */
export function liveValue(group: Group, name: LiveName): number | Tensor {
  const { tensors } = known.get(group)!;
  const kept = tensors.get(name);
  if (kept) return kept;
  const value = numberIn(name, group[name]);
  return tensors.has(name) ? eagerScalar(value) : value;
}

/** Give a setting that may change a new value, computed from others: in an entry, an update of the state. */
export function moveLive(group: Group, name: LiveName, to: Tensor): void {
  const kept = known.get(group)!.tensors.get(name);
  if (kept) noGrad(() => kept.copy_(to));
  else if (name === 'betas') group.betas = [to.item(), group.betas![1]];
  else group[name] = to.item();
}

/** Compute where the numbers of a group are: eagerly for a group made in an entry, whose numbers are known. */
export const whereKept = <T>(group: Group, fn: () => T): T => (known.get(group)!.ofEntry ? eagerly(fn) : noGrad(fn));

/** The settings kept as state, by name. */
export const liveState = (group: object): (readonly [name: string, tensor: Tensor])[] =>
  [...known.get(group)!.tensors].flatMap(([name, tensor]) => (tensor === null ? [] : [[stateNames[name], tensor]]));

// ── arithmetic on either kind ──────────────────────────────────────────────────────────────────────────────────────────

/** `1 - x`. */
export const complement = <T extends number | Tensor>(x: T): T => (typeof x === 'number' ? 1 - x : x.neg().add(1)) as T;
/** `a + factor · b`. */
export const plusScaled = (a: Tensor, b: Tensor, factor: number | Tensor): Tensor =>
  typeof factor === 'number' ? a.add(b, { alpha: factor }) : a.add(b.mul(factor));
/** `rate · average + (1 - rate) · value`, into `average`. */
export const track = (average: Tensor, value: Tensor, rate: number | Tensor): Tensor =>
  average.copy_(plusScaled(average.mul(rate), value, complement(rate)));
