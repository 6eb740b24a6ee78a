/**
 * Places of values while memory is planned, and the copies between them.
 *
 * A place is memory of its own, or part of another place: a body has its places within those of the loop or branch that runs
 * it, and the slice that one step sees lies within the whole tensor, from step to step further on.
 */
import { bytesOf, type DType } from '../ir/dtype.js';
import { formatType, type TensorType } from '../ir/graph.js';
import { type Buffer, iterOf, type Kernel, load, loop, makeIter, store } from '../ir/kernel.js';
import type { Address, Launch } from '../ir/program.js';
import { numel } from '../ir/shape.js';
import { alignment } from './arena.js';

export type Role = 'input' | 'output' | 'temporary';

/** Memory for one value, or for several that follow one another in it. */
export interface Place {
  readonly name: string;
  /** `fixed`: its address follows from elsewhere. */
  readonly role: Role | 'fixed';
  /** What the bodies of a loop or branch take together is known after they are planned. */
  bytes: number;
  /** Steps of its block by number: -1 before the first. */
  first: number;
  last: number;
  /** From the start of what it is within; set at the end for what is not fixed. */
  offset: number;
  /** What it is part of; null: of the model's memory. */
  readonly within: Place | null;
  /** Bytes by which each step of a loop, counted from the outermost, moves it. */
  readonly moves: { readonly loop: number; readonly stride: number } | null;
}

export const bytesOfType = ({ dtype, shape }: TensorType): number => numel(shape) * bytesOf(dtype);
export const sameType = (a: TensorType, b: TensorType): boolean => formatType(a) === formatType(b);

/** A place whose address is still to be found. */
export const blockPlace = (
  about: Pick<Place, 'name' | 'bytes' | 'first' | 'last'> & { readonly role: Role },
  within: Place | null = null,
): Place => ({ ...about, offset: 0, within, moves: null });

/** A place at a known distance from the start of another. */
export const fixedPlace = (
  about: Pick<Place, 'name' | 'bytes'>,
  within: Place | null,
  offset = 0,
  moves: Place['moves'] = null,
): Place => ({ ...about, role: 'fixed', first: -1, last: -1, offset, within, moves });

/** Where a place lies inside `depth` loops, once all offsets are set. */
export function addressOf(place: Place, depth: number): Address {
  const strides = new Array<number>(depth).fill(0);
  let base = 0;
  for (let at: Place | null = place; at !== null; at = at.within) {
    base += at.offset;
    if (at.moves !== null) strides[at.moves.loop] += at.moves.stride;
  }
  return { base, strides };
}

/** A run of a kernel on places. */
export function launchOn(kernel: Kernel, places: readonly Place[], depth: number): Launch {
  const addresses = places.map(place => addressOf(place, depth));
  const args = addresses.map(({ base }) => base);
  if (depth === 0) return { kernel, args };
  const isLoose = ({ base, strides }: Address): boolean => [base, ...strides].some(bytes => bytes % alignment !== 0);
  const params = kernel.params.map((param, i) => (isLoose(addresses[i]) ? { ...param, loose: true } : param));
  return { kernel: { ...kernel, params }, args, strides: addresses.map(({ strides }) => strides) };
}

// ── copies ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `target` gets what `source` holds. */
export interface Copy {
  readonly target: Place;
  readonly source: Place;
  readonly type: TensorType;
}

/**
 * Copies one after another that do what they would do all at once: each before its target's old value is gone, cycles
 * through a temporary, which `temporary` makes. After "Tilting at windmills with Coq" (Rideau, Serpette, Leroy 2008).
 */
export function orderCopies(copies: readonly Copy[], temporary: (saved: Copy) => Place): Copy[] {
  const ordered: Copy[] = [];
  let pending = copies.filter(copy => copy.target !== copy.source);
  while (pending.length > 0) {
    const free = pending.find(copy => !pending.some(other => other !== copy && other.source === copy.target));
    if (free !== undefined) {
      ordered.push(free);
      pending = pending.filter(copy => copy !== free);
      continue;
    }
    const { target, type } = pending[0];
    const saved = temporary(pending[0]);
    ordered.push({ target: saved, source: target, type });
    pending = pending.map(copy => (copy.source === target ? { ...copy, source: saved } : copy));
  }
  return ordered;
}

export const copyLaunch = ({ target, source, type }: Copy, depth: number): Launch =>
  launchOn(copyKernel(type.dtype, numel(type.shape)), [source, target], depth);

function copyKernel(dtype: DType, size: number): Kernel {
  const x: Buffer = { name: 'x', dtype, size, scope: 'param' };
  const out: Buffer = { name: 'out', dtype, size, scope: 'param' };
  const i = makeIter('i', size);
  return {
    name: `copy_${dtype}_${size}`,
    params: [
      { buffer: x, access: 'read' },
      { buffer: out, access: 'write' },
    ],
    body: [loop(i, 'parallel', [store(out, iterOf(i), load(x, iterOf(i)))])],
    doc: 'copy',
  };
}
