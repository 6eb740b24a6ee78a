/**
 * A place in one memory for every tensor: state at fixed addresses, then an arena that the entries share.
 *
 *   [ state … | inputs, outputs and temporaries of the entry that runs ]
 *
 * Each entry is planned by itself. Inputs keep their contents while the entry runs, so that a caller may run it again; outputs
 * live to its end. A value is written in place where its kernel allows it (`in-place.ts`): over an input that dies there, or,
 * for new state, straight over the old. What cannot be written where it belongs is copied there at the end: a result that is
 * itself a parameter or appears twice, and new state whose old value is needed until then, two states that change places
 * included.
 */
import { invariant } from '../errors.js';
import { bytesOf, type DType } from '../ir/dtype.js';
import { formatType, type Graph, isParam, type Node, paramName, paramRole, type TensorType } from '../ir/graph.js';
import { type Buffer, iterOf, type Kernel, load, loop, makeIter, store } from '../ir/kernel.js';
import type { EntryProgram, Launch, Program, Slot } from '../ir/program.js';
import { numel, sameShape } from '../ir/shape.js';
import type { PassContext } from '../pass.js';
import { align, mostAlive, placeBlocks } from './arena.js';
import { canShareMemory, isElementwise, shareMemory } from './in-place.js';

/** A kernel and the nodes behind its parameters: first those read, then those written. */
export interface GroupKernel {
  readonly kernel: Kernel;
  readonly reads: readonly Node[];
  readonly writes: readonly Node[];
}

export interface EntryKernels {
  readonly graph: Graph;
  /** In the order in which they run. */
  readonly kernels: readonly GroupKernel[];
}

export interface StateTensor {
  readonly name: string;
  readonly type: TensorType;
}

/** Where one tensor lies and when: for `inspect` and the report. */
export interface Lifetime {
  readonly name: string;
  readonly role: 'input' | 'output' | 'temporary';
  readonly bytes: number;
  /** Bytes from the start of the model's memory. */
  readonly offset: number;
  /** Launches by number: -1 before the first. */
  readonly first: number;
  readonly last: number;
}

export interface EntryMemory {
  readonly name: string;
  /** What this entry takes of the arena. */
  readonly arenaBytes: number;
  /** What it cannot do without: the most bytes alive at one moment. */
  readonly lowerBound: number;
  readonly lifetimes: readonly Lifetime[];
  /** Launches that only copy. */
  readonly copies: number;
}

export interface MemoryPlan {
  readonly program: Program;
  readonly entries: readonly EntryMemory[];
}

const silent: PassContext = { note: () => {} };

/** Plan a model: its state in order, and each entry's kernels in order. */
export function planMemory(
  name: string,
  state: readonly StateTensor[],
  entries: readonly EntryKernels[],
  context: PassContext = silent,
): MemoryPlan {
  const slots = placeState(state);
  const stateBytes = slots.reduce((end, slot) => Math.max(end, slot.offset + align(bytesOfType(slot.type))), 0);
  const planned = entries.map(entry => new EntryPlan(entry, slots, context).run(stateBytes));
  const arenaBytes = planned.reduce((most, { memory }) => Math.max(most, memory.arenaBytes), 0);
  return {
    program: {
      name,
      state: slots,
      stateBytes,
      totalBytes: stateBytes + arenaBytes,
      entries: planned.map(({ entry }) => entry),
    },
    entries: planned.map(({ memory }) => memory),
  };
}

const bytesOfType = ({ dtype, shape }: TensorType): number => numel(shape) * bytesOf(dtype);

function placeState(state: readonly StateTensor[]): Slot[] {
  let offset = 0;
  return state.map(({ name, type }) => {
    const slot = { name, type, offset };
    offset += align(bytesOfType(type));
    return slot;
  });
}

/** Memory for one value, or for several that follow one another in it. */
interface Place {
  readonly name: string;
  readonly role: Lifetime['role'] | 'state';
  readonly bytes: number;
  first: number;
  last: number;
  /** Set for state from the start, for the rest at the end. */
  offset: number;
}

/** `target` gets what `source` holds. All copies of an entry mean the values before the first of them. */
interface Copy {
  readonly target: Place;
  readonly source: Place;
  readonly type: TensorType;
}

class EntryPlan {
  readonly #graph: Graph;
  readonly #kernels: readonly GroupKernel[];
  /** The moment of the copies, after all kernels. */
  readonly #end: number;
  readonly #places = new Map<Node, Place>();
  readonly #outputs: Place[] = [];
  readonly #copies: Copy[] = [];
  readonly #writerOf = new Map<Node, number>();
  readonly #readersOf = new Map<Node, number[]>();

  constructor(
    { graph, kernels }: EntryKernels,
    readonly state: readonly Slot[],
    readonly context: PassContext,
  ) {
    this.#graph = graph;
    this.#kernels = kernels;
    this.#end = kernels.length;
    for (const [i, { reads, writes }] of kernels.entries()) {
      for (const node of reads) this.#readersOf.set(node, [...(this.#readersOf.get(node) ?? []), i]);
      for (const node of writes) this.#writerOf.set(node, i);
    }
  }

  run(base: number): { entry: EntryProgram; memory: EntryMemory } {
    this.#placeParams();
    this.#placeResults();
    this.#placeUpdates();
    this.#placeTemporaries();
    this.#reuseDying();
    const copies = this.#orderCopies();
    const places = [
      ...new Set([
        ...this.#places.values(),
        ...this.#outputs,
        ...copies.flatMap(({ target, source }) => [target, source]),
      ]),
    ].filter(place => place.role !== 'state');
    const placement = placeBlocks(places);
    for (const [i, place] of places.entries()) place.offset = base + placement.offsets[i];
    return {
      entry: {
        name: this.#graph.name,
        inputs: this.#graph.params
          .filter(param => paramRole(param) === 'input')
          .map(param => ({ name: paramName(param), type: param.type, offset: this.#places.get(param)!.offset })),
        outputs: this.#graph.results.map(({ name, node }, i) => ({
          name,
          type: node.type,
          offset: this.#outputs[i].offset,
        })),
        launches: [...this.#kernels.map(kernel => this.#launch(kernel)), ...copies.map(copyLaunch)],
      },
      memory: {
        name: this.#graph.name,
        arenaBytes: placement.bytes,
        lowerBound: mostAlive(places),
        lifetimes: places.map(lifetimeOf),
        copies: copies.length,
      },
    };
  }

  // ── a place for each value

  #placeParams(): void {
    for (const param of this.#graph.params) {
      const name = paramName(param);
      if (paramRole(param) === 'input') this.#place(param, { name, role: 'input', first: -1, last: this.#end });
      else {
        const slot = this.state.find(s => s.name === name);
        invariant(slot, () => `entry ${this.#graph.name}: the model has no state named '${name}'`);
        invariant(
          sameType(slot.type, param.type),
          () =>
            `state '${name}' is ${formatType(slot.type)}, but entry ${this.#graph.name} takes it for ${formatType(param.type)}`,
        );
        this.#place(param, { name, role: 'state', first: -1, last: this.#end }, slot.offset);
      }
    }
  }

  #place(node: Node, about: Pick<Place, 'name' | 'role' | 'first' | 'last'>, offset = 0): Place {
    const place = { ...about, bytes: bytesOfType(node.type), offset };
    this.#places.set(node, place);
    return place;
  }

  /** A result is computed where it is handed out, except where that is also the place of something else. */
  #placeResults(): void {
    for (const { name, node } of this.#graph.results) {
      const about = { name, role: 'output' as const, last: this.#end };
      if (!this.#places.has(node)) this.#outputs.push(this.#place(node, { ...about, first: this.#written(node) }));
      else {
        const output: Place = { ...about, bytes: bytesOfType(node.type), first: this.#end, offset: 0 };
        this.#outputs.push(output);
        this.#copy(
          output,
          node,
          `result '${name}' is also ${isParam(node) ? `the parameter '${paramName(node)}'` : 'another result'}`,
        );
      }
    }
  }

  #placeUpdates(): void {
    const needed = new Set([...this.#graph.results.map(result => result.node), ...this.#graph.updates.values()]);
    for (const [param, value] of this.#graph.updates) {
      if (value === param) continue;
      const obstacle = needed.has(param)
        ? 'its old value is handed out or moved at the end'
        : this.#obstacle(param, value);
      const state = this.#places.get(param)!;
      if (obstacle === null) this.#places.set(value, state);
      else {
        if (!this.#places.has(value))
          this.#place(value, {
            name: `${paramName(param)} (new)`,
            role: 'temporary',
            first: this.#written(value),
            last: this.#end,
          });
        this.#copy(state, value, obstacle);
      }
    }
  }

  /** Why new state cannot be written straight over the old; null where it can. */
  #obstacle(param: Node, value: Node): string | null {
    if (isParam(value)) return `its new value is the parameter '${paramName(value)}'`;
    if (this.#places.has(value)) return 'its new value is also a result or other state';
    const writer = this.#written(value);
    const readers = this.#readersOf.get(param) ?? [];
    if (readers.some(reader => reader > writer)) return 'its old value is read later';
    if (!readers.includes(writer)) return null;
    const { kernel, input, output } = this.#buffers(writer, param, value);
    return canShareMemory(kernel, input, output)
      ? null
      : `${kernel.name} reads its old value elsewhere than where it writes`;
  }

  #placeTemporaries(): void {
    for (const [i, { kernel, writes }] of this.#kernels.entries()) {
      for (const node of writes) {
        if (this.#places.has(node)) continue;
        const last = Math.max(i, ...(this.#readersOf.get(node) ?? []));
        this.#place(node, {
          name: writes.length > 1 ? `${kernel.name}.${writes.indexOf(node)}` : kernel.name,
          role: 'temporary',
          first: i,
          last,
        });
      }
    }
  }

  /** A value computed element by element takes the place of an input of its kernel that nobody needs afterwards. */
  #reuseDying(): void {
    for (const [i, { kernel, reads, writes }] of this.#kernels.entries()) {
      if (!isElementwise(kernel)) continue;
      const taken = new Set<Place>();
      for (const value of writes) {
        const place = this.#places.get(value)!;
        if (place.role === 'state' || place.first !== i) continue;
        const dying = reads.find(
          node => this.#dies(node, i) && !taken.has(this.#places.get(node)!) && this.#fits(i, node, value),
        );
        if (dying === undefined) continue;
        taken.add(place);
        this.#join(this.#places.get(dying)!, place);
      }
    }
  }

  #dies(node: Node, i: number): boolean {
    const place = this.#places.get(node)!;
    return place.role === 'temporary' && place.last === i;
  }

  #fits(i: number, node: Node, value: Node): boolean {
    const { kernel, input, output } = this.#buffers(i, node, value);
    return canShareMemory(kernel, input, output);
  }

  /** `later` begins where `earlier` lies. */
  #join(earlier: Place, later: Place): void {
    later.first = earlier.first;
    for (const [node, place] of this.#places) if (place === earlier) this.#places.set(node, later);
  }

  #written(node: Node): number {
    const writer = this.#writerOf.get(node);
    invariant(
      writer !== undefined,
      () => `entry ${this.#graph.name}: no kernel computes ${node.op} ${formatType(node.type)}`,
    );
    return writer;
  }

  #buffers(i: number, read: Node, written: Node): { kernel: Kernel; input: Buffer; output: Buffer } {
    const { kernel, reads, writes } = this.#kernels[i];
    return {
      kernel,
      input: kernel.params[reads.indexOf(read)].buffer,
      output: kernel.params[reads.length + writes.indexOf(written)].buffer,
    };
  }

  // ── copies at the end

  #copy(target: Place, source: Node, why: string): void {
    this.context.note(`${this.#graph.name}: ${target.name}`, `copied at the end: ${why}`);
    const place =
      this.#places.get(source) ??
      this.#place(source, { name: target.name, role: 'temporary', first: this.#written(source), last: this.#end });
    place.last = this.#end;
    this.#copies.push({ target, source: place, type: source.type });
  }

  /**
   * Copies one after another that do what they would do all at once: each before its target's old value is gone, cycles
   * through a temporary. After "Tilting at windmills with Coq" (Rideau, Serpette, Leroy 2008).
   */
  #orderCopies(): Copy[] {
    const ordered: Copy[] = [];
    let pending = this.#copies.filter(copy => copy.target !== copy.source);
    while (pending.length > 0) {
      const free = pending.find(copy => !pending.some(other => other !== copy && other.source === copy.target));
      if (free !== undefined) {
        ordered.push(free);
        pending = pending.filter(copy => copy !== free);
        continue;
      }
      const { target, type } = pending[0];
      const saved: Place = {
        name: `${target.name} (old)`,
        role: 'temporary',
        bytes: target.bytes,
        first: this.#end,
        last: this.#end,
        offset: 0,
      };
      ordered.push({ target: saved, source: target, type });
      pending = pending.map(copy => (copy.source === target ? { ...copy, source: saved } : copy));
    }
    return ordered;
  }

  // ── the result

  /** Parameters that ended up in one place become one. */
  #launch({ kernel, reads, writes }: GroupKernel): Launch {
    const nodes = [...reads, ...writes];
    let shared = kernel;
    const dropped = new Set<number>();
    for (const [r, read] of reads.entries()) {
      const w = writes.findIndex(written => this.#places.get(written) === this.#places.get(read));
      if (w < 0) continue;
      shared = shareMemory(shared, kernel.params[r].buffer, kernel.params[reads.length + w].buffer);
      dropped.add(r);
    }
    return {
      kernel: shared,
      args: nodes.filter((_, i) => !dropped.has(i)).map(node => this.#places.get(node)!.offset),
    };
  }
}

const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);

const lifetimeOf = ({ name, role, bytes, offset, first, last }: Place): Lifetime => ({
  name,
  role: role as Lifetime['role'],
  bytes,
  offset,
  first,
  last,
});

function copyLaunch({ target, source, type }: Copy): Launch {
  return { kernel: copyKernel(type.dtype, numel(type.shape)), args: [source.offset, target.offset] };
}

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
