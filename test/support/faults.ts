/**
 * Faults by name, to break a pass with: what the pass leaves is spoiled, so that a test can show that it is found.
 *
 *   compareModel(definition, { steps: 1, debug: { faults: faultsAt({ cse: 'drop-add' }) } })
 */
import { type Graph, Interner, mapGraph } from '../../compiler/ir/graph.js';
import { call, cast, constant, type Kernel, type Stmt } from '../../compiler/ir/kernel.js';
import { sameShape } from '../../compiler/ir/shape.js';
import type { DebugOptions } from '../../compiler/pass.js';
import type { FusedGraph } from '../../compiler/passes/fuse.js';
import type { MemoryPlan } from '../../compiler/passes/plan-memory.js';

const onGraphs =
  (spoil: (graph: Graph) => Graph) =>
  (ir: unknown): unknown =>
    spoil(ir as Graph);

/** a + b -> a */
function dropAdds(graph: Graph): Graph {
  const interner = new Interner();
  return mapGraph(graph, interner, (node, inputs) =>
    node.op === 'add' && sameShape(inputs[0].type.shape, node.type.shape) ? inputs[0] : interner.like(node, inputs),
  );
}

/** Stores of floats into parameters are 1 % too large. */
function enlarge(stmt: Stmt): Stmt {
  switch (stmt.kind) {
    case 'store': {
      const { dtype } = stmt.value;
      if (stmt.buffer.scope !== 'param' || dtype !== 'float32') return stmt;
      return { ...stmt, value: call('mul', stmt.value, cast(dtype, constant('float64', 1.01))) };
    }
    case 'loop':
    case 'alloc':
      return { ...stmt, body: stmt.body.map(enlarge) };
    default:
      return stmt;
  }
}
const enlargeKernel = (kernel: Kernel): Kernel => ({ ...kernel, body: kernel.body.map(enlarge) });

const enlargeRows = ({ graph, groups }: FusedGraph): FusedGraph => ({
  graph,
  groups: groups.map(group =>
    'kernel' in group.lowered && [...group.nodes].some(node => node.op === 'exp')
      ? { ...group, lowered: { ...group.lowered, kernel: enlargeKernel(group.lowered.kernel) } }
      : group,
  ),
});

/** Outputs are looked for where the first of them lies. */
const mergeOutputs = (plan: MemoryPlan): MemoryPlan => ({
  ...plan,
  program: {
    ...plan.program,
    entries: plan.program.entries.map(entry => ({
      ...entry,
      outputs: entry.outputs.map(output => ({ ...output, offset: entry.inputs[0]?.offset ?? output.offset })),
    })),
  },
});

const faults = {
  'drop-add': onGraphs(dropAdds),
  'enlarge-stores': (ir: unknown): unknown => enlargeKernel(ir as Kernel),
  'enlarge-exponentials': (ir: unknown): unknown => enlargeRows(ir as FusedGraph),
  'misplace-outputs': (ir: unknown): unknown => mergeOutputs(ir as MemoryPlan),
};
export type Fault = keyof typeof faults;

/** The faults of these names, at these passes. */
export const faultsAt = (wanted: Readonly<Record<string, Fault>>): DebugOptions['faults'] =>
  Object.fromEntries(Object.entries(wanted).map(([pass, fault]) => [pass, faults[fault]]));
