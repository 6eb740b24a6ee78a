/**
 * The places of one block: an entry, or the body of a loop or branch. See `plan-memory.ts`.
 *
 * A block knows the places of its parameters, as state has them in an entry; what is computed gets one where it belongs or of
 * its own. Loops and branches are steps of their block like kernels: all they need lives while they run. Their bodies are
 * blocks inside one temporary of this one, in which those of a branch overlap.
 */
import { invariant } from '../errors.js';
import {
  type Control,
  carriesOf,
  controlOf,
  isReversed,
  layoutOf,
  resultIndex,
  resultTypes,
  scanLength,
} from '../ir/control.js';
import { formatType, type Graph, isParam, type Node, paramName, type TensorType } from '../ir/graph.js';
import type { Launch, Loop, Step } from '../ir/program.js';
import type { Lowered } from '../lowering/lower.js';
import type { PassContext } from '../pass.js';
import { placeBlocks } from './arena.js';
import type { FusedGraph, LoweredControl } from './fuse.js';
import { canShareMemory, isElementwise, shareMemory } from './in-place.js';
import {
  addressOf,
  blockPlace,
  bytesOfType,
  type Copy,
  copyLaunch,
  fixedPlace,
  launchOn,
  orderCopies,
  type Place,
  type Role,
} from './place.js';

/** What a step of a block is before it has places. */
export type Unit = Lowered | LoweredControl;
const isKernel = (unit: Unit): unit is Lowered => 'kernel' in unit;

/** Where a block finds itself. */
export interface Surroundings {
  /** The places of its parameters, in order. */
  readonly params: readonly Place[];
  /** The place that a result must have; null: one that is found for it. */
  result(i: number): Place | null;
  /** What its own places are part of. */
  readonly arena: Place | null;
  /** Loops around it. */
  readonly depth: number;
}

export class BlockPlan {
  readonly outputs: Place[] = [];
  /** Steps that only copy, those of bodies included. */
  copies = 0;
  /** The moment of the copies at the end, after all units. */
  readonly #end: number;
  readonly #places = new Map<Node, Place>();
  readonly #extra: Place[] = [];
  readonly #copies: Copy[] = [];
  readonly #writerOf = new Map<Node, number>();
  readonly #readersOf = new Map<Node, number[]>();
  readonly #controls = new Map<number, ControlPlan>();
  readonly #firstCopies: Copy[] = [];
  #lastCopies: readonly Copy[] = [];

  constructor(
    readonly graph: Graph,
    readonly units: readonly Unit[],
    readonly around: Surroundings,
    readonly context: PassContext,
  ) {
    this.#end = units.length;
    for (const [i, { reads, writes }] of units.entries()) {
      for (const node of reads) this.#readersOf.set(node, [...(this.#readersOf.get(node) ?? []), i]);
      for (const node of writes) this.#writerOf.set(node, i);
    }
    for (const [i, param] of graph.params.entries()) this.#places.set(param, around.params[i]);
    this.#placeResults();
    this.#placeUpdates();
    this.#placeTemporaries();
    this.#reuseDying();
    this.#planControls();
    this.#lastCopies = orderCopies(this.#copies, ({ target }) =>
      this.#extraPlace(`${target.name} (old)`, target.bytes, this.#end),
    );
    const ownCopies = this.#firstCopies.length + this.#lastCopies.length;
    this.copies = ownCopies + [...this.#controls.values()].reduce((sum, { copies }) => sum + copies, 0);
  }

  /** The places that need memory. */
  get places(): Place[] {
    const all = [...this.#places.values(), ...this.outputs, ...this.#extra];
    return [...new Set(all)].filter(place => place.role !== 'fixed');
  }

  /** Sets the offsets of its places and answers with the bytes they take together. */
  allocate(base: number): number {
    for (const control of this.#controls.values()) control.allocate();
    const { places } = this;
    const placement = placeBlocks(places);
    for (const [i, place] of places.entries()) place.offset = base + placement.offsets[i];
    return placement.bytes;
  }

  /** The steps, once all places have offsets. */
  steps(): Step[] {
    const { depth } = this.around;
    return [
      ...this.#firstCopies.map(copy => copyLaunch(copy, depth)),
      ...this.units.flatMap((unit, i) => (isKernel(unit) ? [this.#launch(unit)] : this.#controls.get(i)!.steps())),
      ...this.#lastCopies.map(copy => copyLaunch(copy, depth)),
    ];
  }

  placeOf(node: Node): Place {
    return this.#places.get(node)!;
  }

  // ── a place for each value

  #place(node: Node, name: string, role: Role, first: number, last: number): Place {
    const place = blockPlace({ name, role, bytes: bytesOfType(node.type), first, last }, this.around.arena);
    this.#places.set(node, place);
    return place;
  }

  #extraPlace(name: string, bytes: number, at: number): Place {
    const place = blockPlace({ name, role: 'temporary', bytes, first: at, last: at }, this.around.arena);
    this.#extra.push(place);
    return place;
  }

  /** A result is computed where it is handed out, except where that is also the place of something else. */
  #placeResults(): void {
    for (const [i, { name, node }] of this.graph.results.entries()) {
      const given = this.around.result(i);
      if (!this.#places.has(node)) {
        if (given === null) this.#place(node, name, 'output', this.#written(node), this.#end);
        else this.#places.set(node, given);
        this.outputs.push(this.#places.get(node)!);
      } else {
        const bytes = bytesOfType(node.type);
        const isOld = this.graph.updates.has(node);
        const first = isOld ? -1 : this.#end;
        const output = given ?? blockPlace({ name, role: 'output', bytes, first, last: this.#end }, this.around.arena);
        this.outputs.push(output);
        if (isOld) this.#copyFirst(output, node);
        else
          this.#copy(
            output,
            node,
            `result '${name}' is also ${isParam(node) ? `the parameter '${paramName(node)}'` : 'another result'}`,
          );
      }
    }
  }

  /** State that is handed out as it was before: copied before anything runs, so that the new may replace it. */
  #copyFirst(target: Place, param: Node): void {
    this.context.note(`${this.graph.name}: ${target.name}`, 'copied at the start: it is state before the update');
    this.#firstCopies.push({ target, source: this.#places.get(param)!, type: param.type });
  }

  #placeUpdates(): void {
    const needed = new Set(this.graph.updates.values());
    for (const [param, value] of this.graph.updates) {
      if (value === param) continue;
      const obstacle = needed.has(param) ? 'its old value is moved at the end' : this.#obstacle(param, value);
      const state = this.#places.get(param)!;
      if (obstacle === null) this.#places.set(value, state);
      else {
        if (!this.#places.has(value))
          this.#place(value, `${paramName(param)} (new)`, 'temporary', this.#written(value), this.#end);
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
    if (!readers.includes(writer) || this.#canReplace(writer, param, value)) return null;
    const unit = this.units[writer];
    return `${isKernel(unit) ? unit.kernel.name : unit.control.op} reads its old value elsewhere than where it writes`;
  }

  /** May a unit write a value over one that it reads? */
  #canReplace(i: number, read: Node, written: Node): boolean {
    const unit = this.units[i];
    if (!isKernel(unit)) return firstCarryOf(unit, written) === read && timesRead(unit, read) === 1;
    const input = unit.kernel.params[unit.reads.indexOf(read)].buffer;
    const output = unit.kernel.params[unit.reads.length + unit.writes.indexOf(written)].buffer;
    return canShareMemory(unit.kernel, input, output);
  }

  #placeTemporaries(): void {
    for (const [i, unit] of this.units.entries()) {
      const { writes } = unit;
      const name = isKernel(unit) ? unit.kernel.name : unit.control.op;
      for (const node of writes) {
        if (this.#places.has(node)) continue;
        const last = Math.max(i, ...(this.#readersOf.get(node) ?? []));
        this.#place(node, writes.length > 1 ? `${name}.${writes.indexOf(node)}` : name, 'temporary', i, last);
      }
    }
  }

  /** A value takes the place of an input of its unit that nobody needs afterwards, where it may be written over that. */
  #reuseDying(): void {
    for (const [i, unit] of this.units.entries()) {
      if (isKernel(unit) && !isElementwise(unit.kernel)) continue;
      const taken = new Set<Place>();
      for (const value of unit.writes) {
        const place = this.#places.get(value)!;
        if (place.role === 'fixed' || place.first !== i) continue;
        const dying = unit.reads.find(
          node => this.#dies(node, i) && !taken.has(this.#places.get(node)!) && this.#canReplace(i, node, value),
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

  /** `later` begins where `earlier` lies. */
  #join(earlier: Place, later: Place): void {
    later.first = earlier.first;
    for (const [node, place] of this.#places) if (place === earlier) this.#places.set(node, later);
  }

  #written(node: Node): number {
    const writer = this.#writerOf.get(node);
    invariant(
      writer !== undefined,
      () => `entry ${this.graph.name}: no kernel computes ${node.op} ${formatType(node.type)}`,
    );
    return writer;
  }

  #copy(target: Place, source: Node, why: string): void {
    this.context.note(`${this.graph.name}: ${target.name}`, `copied at the end: ${why}`);
    const place =
      this.#places.get(source) ?? this.#place(source, target.name, 'temporary', this.#written(source), this.#end);
    place.last = Math.max(place.last, this.#end);
    this.#copies.push({ target, source: place, type: source.type });
  }

  #planControls(): void {
    for (const [i, unit] of this.units.entries()) {
      if (isKernel(unit)) continue;
      const block = {
        placeOf: (node: Node) => this.#places.get(node)!,
        temporary: (name: string, bytes: number) => this.#extraPlace(name, bytes, i),
        depth: this.around.depth,
        context: this.context,
      };
      this.#controls.set(i, controlPlan(unit, block));
    }
  }

  /** Parameters that ended up in one place become one. */
  #launch({ kernel, reads, writes }: Lowered): Launch {
    const nodes = [...reads, ...writes];
    let shared = kernel;
    const dropped = new Set<number>();
    for (const [r, read] of reads.entries()) {
      const w = writes.findIndex(written => this.#places.get(written) === this.#places.get(read));
      if (w < 0) continue;
      shared = shareMemory(shared, kernel.params[r].buffer, kernel.params[reads.length + w].buffer);
      dropped.add(r);
    }
    const places = nodes.filter((_, i) => !dropped.has(i)).map(node => this.#places.get(node)!);
    return launchOn(shared, places, this.around.depth);
  }
}

// ── loops and branches ─────────────────────────────────────────────────────────────────────────────────────────────────

/** For the value of a loop that is a carry after the last step: the node it started as. */
function firstCarryOf({ control }: LoweredControl, value: Node): Node | null {
  const { captures, carries } = layoutOf(controlOf(control));
  const index = resultIndex(value);
  return index < carries ? control.inputs[captures + index] : null;
}
const timesRead = ({ control }: LoweredControl, node: Node): number =>
  control.inputs.filter(input => input === node).length;

/** What a loop or branch needs of the block it is a step of. */
interface Enclosing {
  placeOf(node: Node): Place;
  /** Memory while it runs. */
  temporary(name: string, bytes: number): Place;
  readonly depth: number;
  readonly context: PassContext;
}

interface ControlPlan {
  readonly copies: number;
  allocate(): void;
  steps(): Step[];
}

function controlPlan(unit: LoweredControl, block: Enclosing): ControlPlan {
  return unit.control.op === 'cond' ? new BranchPlan(unit, block) : new LoopPlan(unit, block);
}

class LoopPlan implements ControlPlan {
  readonly #control: Control;
  readonly #arena: Place;
  readonly #starts: readonly Copy[];
  readonly #body: BlockPlan;
  readonly #condition: { readonly plan: BlockPlan; readonly holds: Place } | null;

  constructor(
    { control, bodies, writes }: LoweredControl,
    readonly block: Enclosing,
  ) {
    this.#control = controlOf(control);
    this.#arena = block.temporary(`inside ${control.op}`, 0);
    const { captures, carries } = layoutOf(this.#control);
    const values = placesOfValues(this.#control, writes, block);
    this.#starts = carriesOf(this.#control).flatMap(({ type }, i) => {
      const source = block.placeOf(control.inputs[captures + i]);
      return source === values[i] ? [] : [{ target: values[i], source, type }];
    });
    const params = control.inputs.map((input, i) => {
      if (i < captures) return within(input, block);
      if (i < captures + carries) return fixedPlace(about('carry', input), values[i - captures]);
      return this.#slice(block.placeOf(input), bytesOfType(input.type));
    });
    const body = bodies[bodies.length - 1];
    this.#body = this.#inside(body, params, i => this.#slice(values[carries + i], values[carries + i].bytes));
    this.#condition = control.op === 'while' ? this.#test(bodies[0], params) : null;
  }

  get copies(): number {
    return this.#starts.length + this.#body.copies + (this.#condition?.plan.copies ?? 0);
  }

  allocate(): void {
    this.#arena.bytes = Math.max(this.#body.allocate(0), this.#condition?.plan.allocate(0) ?? 0);
  }

  steps(): Step[] {
    const { depth } = this.block;
    const loop: Loop = {
      trips:
        this.#condition === null
          ? scanLength(this.#control)
          : { steps: this.#condition.plan.steps(), holds: addressOf(this.#condition.holds, depth + 1) },
      body: this.#body.steps(),
    };
    const starts = this.#starts.map(copy => copyLaunch(copy, depth));
    return loop.trips === 0 ? starts : [...starts, loop];
  }

  #inside(body: FusedGraph, params: readonly Place[], result: (i: number) => Place): BlockPlan {
    const around = { params, result, arena: this.#arena, depth: this.block.depth + 1 };
    return new BlockPlan(body.graph, unitsOf(body), around, this.block.context);
  }

  #test(condition: FusedGraph, params: readonly Place[]): { plan: BlockPlan; holds: Place } {
    const holds = this.block.temporary('condition', 1);
    return { holds, plan: this.#inside(condition, params, () => fixedPlace({ name: 'condition', bytes: 1 }, holds)) };
  }

  /** The part of a tensor that one step sees, out of `bytes` of the whole. */
  #slice(whole: Place, bytes: number): Place {
    const length = scanLength(this.#control);
    const size = length === 0 ? 0 : bytes / length;
    const [offset, stride] = isReversed(this.#control) ? [Math.max(0, length - 1) * size, -size] : [0, size];
    return fixedPlace({ name: `slice of ${whole.name}`, bytes: size }, whole, offset, {
      loop: this.block.depth,
      stride,
    });
  }
}

class BranchPlan implements ControlPlan {
  readonly #arena: Place;
  readonly #predicate: Place;
  readonly #sides: readonly BlockPlan[];

  constructor(
    { control, bodies, writes }: LoweredControl,
    readonly block: Enclosing,
  ) {
    this.#arena = block.temporary('inside cond', 0);
    const [predicate, ...operands] = control.inputs.map(input => within(input, block));
    this.#predicate = predicate;
    const values = placesOfValues(controlOf(control), writes, block);
    const around = {
      params: operands,
      result: (i: number) => fixedPlace(values[i], values[i]),
      arena: this.#arena,
      depth: block.depth,
    };
    this.#sides = bodies.map(body => new BlockPlan(body.graph, unitsOf(body), around, block.context));
  }

  get copies(): number {
    return this.#sides.reduce((sum, { copies }) => sum + copies, 0);
  }

  allocate(): void {
    this.#arena.bytes = Math.max(...this.#sides.map(side => side.allocate(0)));
  }

  steps(): Step[] {
    const [yes, no] = this.#sides.map(side => side.steps());
    return [{ predicate: addressOf(this.#predicate, this.block.depth), yes, no }];
  }
}

const unitsOf = ({ groups }: FusedGraph): readonly Unit[] => groups.map(group => group.lowered);
const about = (name: string, { type }: Node): Pick<Place, 'name' | 'bytes'> => ({ name, bytes: bytesOfType(type) });
const within = (node: Node, block: Enclosing): Place => fixedPlace(about(node.op, node), block.placeOf(node));

/** Where the values of a loop or branch go; those that nobody takes need memory while it runs. */
function placesOfValues(control: Control, taken: readonly Node[], block: Enclosing): Place[] {
  const nodes = new Map(taken.map(node => [resultIndex(node), node]));
  return resultTypes(control).map((type: TensorType, i) => {
    const node = nodes.get(i);
    return node === undefined ? block.temporary(`${control.op}.${i}`, bytesOfType(type)) : block.placeOf(node);
  });
}
