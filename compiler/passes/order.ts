/**
 * The order in which the groups of a graph run, chosen for the least peak of memory.
 *
 * A beam search over partial schedules: each step runs one ready group; of the schedules reached, those are kept that copy
 * the least state, then have the lowest peak, then the least memory still alive. The order that fusion gave is a candidate
 * too, so the result is never worse.
 * After the memory-aware scheduling of Ahn et al., "Ordering Chaos" (2020), with a beam in place of its full dynamic program.
 */
import { bytesOf } from '../ir/dtype.js';
import { isParam, type Node } from '../ir/graph.js';
import { numel } from '../ir/shape.js';
import type { PassContext } from '../pass.js';
import type { FusedGraph, FusedGroup } from './fuse.js';

/** Partial schedules kept, and continuations tried of each. */
const beamWidth = 8;
const branches = 4;

export const bytesOfNode = (node: Node): number => numel(node.type.shape) * bytesOf(node.type.dtype);

export function orderGroups(fused: FusedGraph, context: PassContext): FusedGraph {
  return orderAlone({ ...fused, groups: fused.groups.map(group => withOrderedBodies(group, context)) }, context);
}

function withOrderedBodies(group: FusedGroup, context: PassContext): FusedGroup {
  const { lowered } = group;
  if ('kernel' in lowered) return group;
  return { ...group, lowered: { ...lowered, bodies: lowered.bodies.map(body => orderGroups(body, context)) } };
}

function orderAlone(fused: FusedGraph, context: PassContext): FusedGraph {
  const problem = new OrderingProblem(fused);
  const given = problem.groups.map((_, i) => i);
  const found = problem.search();
  const [before, after] = [problem.costOf(given), problem.costOf(found)];
  if (compare(after, before) >= 0) return fused;
  context.note(fused.graph.name, `reordered: ${describe(after)} instead of ${describe(before)}`);
  return { ...fused, groups: found.map(i => fused.groups[i]) };
}

/** What an order costs, or its beginning. */
interface Cost {
  /** New state that must be copied at the end because it was written while others still had to read the old. */
  readonly copies: number;
  /** Most bytes of temporaries, results and new state alive at once. */
  readonly peak: number;
  /** Bytes alive at the end. */
  readonly live: number;
}
const compare = (a: Cost, b: Cost): number => a.copies - b.copies || a.peak - b.peak || a.live - b.live;
const describe = ({ copies, peak }: Cost): string =>
  `a peak of ${peak} bytes and ${copies} ${copies === 1 ? 'copy' : 'copies'} of state`;

/** A partial schedule. */
interface Schedule extends Cost {
  readonly last: number;
  readonly before: Schedule | null;
  /** Groups not run yet that each group waits for. */
  readonly waiting: Uint16Array;
  /** Groups not run yet that read each value. */
  readonly readers: Uint16Array;
  /** Tells which groups have run, whatever their order. */
  readonly key: number;
}

interface Value {
  readonly bytes: number;
  /** Results and new state stay until the end. */
  readonly kept: boolean;
  /** The value is a parameter: its memory is not ours to count. */
  readonly given: boolean;
  /** The state it will replace: no memory of its own where all readers of the old value have run. */
  readonly replaces: number | null;
}

class OrderingProblem {
  readonly groups: readonly FusedGroup[];
  readonly #values: Value[] = [];
  readonly #indexOf = new Map<Node, number>();
  readonly #reads: number[][];
  readonly #writes: number[][];
  /** Groups that wait for a group. */
  readonly #followers: number[][];
  readonly #start: Schedule;

  constructor({ graph, groups }: FusedGraph) {
    this.groups = groups;
    const kept = new Set([...graph.results.map(result => result.node), ...graph.updates.values()]);
    const replaced = new Map([...graph.updates].map(([param, value]) => [value, param]));
    const valueOf = (node: Node): number => {
      let i = this.#indexOf.get(node);
      if (i === undefined) {
        const param = replaced.get(node);
        const replaces = param === undefined || isParam(node) ? null : valueOf(param);
        i = this.#values.push({ bytes: bytesOfNode(node), kept: kept.has(node), given: isParam(node), replaces }) - 1;
        this.#indexOf.set(node, i);
      }
      return i;
    };
    this.#reads = groups.map(group => group.lowered.reads.map(valueOf));
    this.#writes = groups.map(group => group.lowered.writes.map(valueOf));
    const writer = new Map(this.#writes.flatMap((values, g) => values.map(value => [value, g] as const)));
    const awaited = groups.map(group => laterThan(group).flatMap(node => this.#indexOf.get(node) ?? []));
    const sources = this.#reads.map(
      (values, g) => new Set([...values, ...awaited[g]].flatMap(value => writer.get(value) ?? [])),
    );
    this.#followers = groups.map((_, g) => sources.flatMap((waits, f) => (waits.has(g) ? [f] : [])));
    const readers = new Uint16Array(this.#values.length);
    for (const value of this.#reads.flat()) readers[value]++;
    this.#start = {
      last: -1,
      before: null,
      waiting: Uint16Array.from(sources, waits => waits.size),
      readers,
      live: 0,
      peak: 0,
      copies: 0,
      key: 0,
    };
  }

  costOf(order: readonly number[]): Cost {
    return order.reduce((schedule, g) => this.#run(schedule, g), this.#start);
  }

  search(): number[] {
    let beam = [this.#start];
    for (let step = 0; step < this.groups.length; step++) {
      const reached = new Map<number, Schedule>();
      for (const schedule of beam) {
        for (const next of this.#continuations(schedule)) {
          const rival = reached.get(next.key);
          if (rival === undefined || compare(next, rival) < 0) reached.set(next.key, next);
        }
      }
      beam = [...reached.values()].sort(compare).slice(0, beamWidth);
    }
    const order: number[] = [];
    for (let at: Schedule | null = beam[0]; at !== null && at.last >= 0; at = at.before) order.push(at.last);
    return order.reverse();
  }

  #continuations(schedule: Schedule): Schedule[] {
    const ready = this.groups.map((_, g) => g).filter(g => schedule.waiting[g] === 0);
    return ready
      .map(g => ({ g, ...this.#effect(schedule, g) }))
      .sort(compare)
      .slice(0, branches)
      .map(({ g }) => this.#run(schedule, g));
  }

  #run(schedule: Schedule, g: number): Schedule {
    const waiting = schedule.waiting.slice();
    const readers = schedule.readers.slice();
    for (const value of this.#reads[g]) readers[value]--;
    for (const follower of this.#followers[g]) waiting[follower]--;
    waiting[g] = ran;
    return { last: g, before: schedule, waiting, readers, ...this.#effect(schedule, g), key: schedule.key + keyOf(g) };
  }

  /** Memory alive after running a group, and the peak so far. */
  #effect({ live, peak, copies, readers }: Schedule, g: number): Cost {
    const reads = this.#reads[g];
    const left = (value: number): number => readers[value] - (reads.includes(value) ? 1 : 0);
    let during = live;
    let freed = 0;
    let late = 0;
    for (const value of this.#writes[g]) {
      const { replaces, bytes } = this.#values[value];
      // new state is written straight over the old, unless that is still needed
      if (replaces !== null && left(replaces) === 0) continue;
      during += bytes;
      if (replaces !== null) late++;
    }
    for (const value of [...reads, ...this.#writes[g]]) {
      const { kept, given, bytes } = this.#values[value];
      if (left(value) === 0 && !kept && !given) freed += bytes;
    }
    return { live: during - freed, peak: Math.max(peak, during), copies: copies + late };
  }
}

/** The nodes that a group is not to run before: it computes something anew for what comes after them. */
function laterThan({ nodes }: FusedGroup): Node[] {
  const seen = new Set<Node>();
  const pending = [...nodes].filter(node => node.op === 'later').map(({ inputs: [, after] }) => after);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (nodes.has(node)) pending.push(...node.inputs);
  }
  return [...seen].filter(node => !nodes.has(node));
}

/** In place of a count of groups to wait for: this one has run. */
const ran = 0xffff;

/** A random number per group; the sum over a set tells sets apart (Zobrist's hashing, with sums for exclusive ors). */
const keyOf = (g: number): number => {
  let x = Math.imul(g + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
  return (x ^ (x >>> 13)) >>> 0;
};
