/**
 * A place in one memory for every tensor: state at fixed addresses, then an arena that the entries share.
 *
 *   [ state … | inputs, outputs and temporaries of the entry that runs ]
 *
 * Each entry is planned by itself (`plan-block.ts`). Inputs keep their contents while the entry runs, so that a caller may
 * run it again; outputs live to its end. A value is written in place where its kernel allows it (`in-place.ts`): over an
 * input that dies there, or, for new state, straight over the old. What cannot be written where it belongs is copied there at
 * the end: a result that is itself an input or appears twice, and new state whose old value is needed until then, two states
 * that change places included. A result that is state before its update is copied at the start.
 */
import { invariant } from '../errors.js';
import { formatType, type Graph, type Node, paramName, paramRole, type TensorType } from '../ir/graph.js';
import type { EntryProgram, Program, Slot } from '../ir/program.js';
import type { PassContext } from '../pass.js';
import { align, mostAlive } from './arena.js';
import { blockPlace, bytesOfType, fixedPlace, type Place, type Role, sameType } from './place.js';
import { BlockPlan, type Unit } from './plan-block.js';

export interface EntryKernels {
  readonly graph: Graph;
  /** In the order in which they run. */
  readonly kernels: readonly Unit[];
}

export interface StateTensor {
  readonly name: string;
  readonly type: TensorType;
}

/** Where one tensor lies and when: for `inspect` and the report. */
export interface Lifetime {
  readonly name: string;
  readonly role: Role;
  readonly bytes: number;
  /** Bytes from the start of the model's memory. */
  readonly offset: number;
  /** Steps by number: -1 before the first. */
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
  /** Steps that only copy. */
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
  const planned = entries.map(entry => planEntry(entry, slots, stateBytes, context));
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

function placeState(state: readonly StateTensor[]): Slot[] {
  let offset = 0;
  return state.map(({ name, type }) => {
    const slot = { name, type, offset };
    offset += align(bytesOfType(type));
    return slot;
  });
}

function planEntry(
  { graph, kernels }: EntryKernels,
  state: readonly Slot[],
  stateBytes: number,
  context: PassContext,
): { entry: EntryProgram; memory: EntryMemory } {
  const params = graph.params.map(param => placeOfParam(graph, param, state, kernels.length));
  const plan = new BlockPlan(graph, kernels, { params, result: () => null, arena: null, depth: 0 }, context);
  const arenaBytes = plan.allocate(stateBytes);
  const { places, copies } = plan;
  const slot = (name: string, type: TensorType, { offset }: Place): Slot => ({ name, type, offset });
  return {
    entry: {
      name: graph.name,
      inputs: graph.params
        .filter(param => paramRole(param) === 'input')
        .map(param => slot(paramName(param), param.type, plan.placeOf(param))),
      outputs: graph.results.map(({ name, node }, i) => slot(name, node.type, plan.outputs[i])),
      steps: plan.steps(),
    },
    memory: {
      name: graph.name,
      arenaBytes,
      lowerBound: mostAlive(places),
      lifetimes: places.map(lifetimeOf),
      copies,
    },
  };
}

function placeOfParam(graph: Graph, param: Node, state: readonly Slot[], end: number): Place {
  const { type } = param;
  const name = paramName(param);
  const bytes = bytesOfType(type);
  if (paramRole(param) === 'input') return blockPlace({ name, role: 'input', bytes, first: -1, last: end });
  const slot = state.find(s => s.name === name);
  invariant(slot, () => `entry ${graph.name}: the model has no state named '${name}'`);
  invariant(
    sameType(slot.type, type),
    () => `state '${name}' is ${formatType(slot.type)}, but entry ${graph.name} takes it for ${formatType(type)}`,
  );
  return fixedPlace({ name, bytes }, null, slot.offset);
}

const lifetimeOf = ({ name, role, bytes, offset, first, last }: Place): Lifetime => ({
  name,
  role: role as Role,
  bytes,
  offset,
  first,
  last,
});
