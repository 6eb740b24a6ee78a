/**
 * Where a compiled entry first goes another way than its ops run one by one: every node of the traced graph is made a result,
 * compiled, and compared with the same node computed eagerly from eager inputs.
 *
 * Writing every value out changes what is fused, so a fault of fusion may hide here; then no op is found, which is told.
 */
import { eager, rowMajor } from '../../runtime/eager.js';
import type { Site } from '../errors.js';
import type { TypedArray } from '../ir/dtype.js';
import { type Graph, isParam, type Node, paramName, paramRole, roots, topological } from '../ir/graph.js';
import { opDef } from '../ops/define.js';
import { noGrad } from '../ops/tape.js';
import { type Tensor, tensorOver, withExecutor } from '../ops/tensor.js';
import { type Closeness, closeness, type Tolerance } from './closeness.js';

export interface Divergence extends Closeness {
  readonly entry: string;
  readonly op: string;
  readonly site: Site | null;
}
/** Compiles a graph and runs it once on parameters by name; gives its results by name. */
export type RunCompiled = (
  graph: Graph,
  parameters: ReadonlyMap<string, TypedArray>,
) => Readonly<Record<string, TypedArray>>;

/** The first node, in the order of computation, that differs; null where none does by itself. */
export function firstDivergence(
  graph: Graph,
  parameters: ReadonlyMap<string, TypedArray>,
  runCompiled: RunCompiled,
  tolerance: Tolerance,
): Divergence | null {
  const nodes = topological(roots(graph)).filter(node => !isParam(node));
  const nameOf = (node: Node): string => `node${node.id}`;
  const compiled = runCompiled(
    { ...graph, results: nodes.map(node => ({ name: nameOf(node), node })), updates: new Map() },
    parameters,
  );
  const values = evaluateEagerly(graph, nodes, parameters);
  for (const node of nodes) {
    const close = closeness(rowMajor(values.get(node)!, 'comparison'), compiled[nameOf(node)], tolerance);
    if (!close.agrees) return { entry: graph.name, op: node.op, site: node.site, ...close };
  }
  return null;
}

function evaluateEagerly(
  graph: Graph,
  nodes: readonly Node[],
  parameters: ReadonlyMap<string, TypedArray>,
): Map<Node, Tensor> {
  const values = new Map<Node, Tensor>();
  for (const param of graph.params) values.set(param, tensorOver(parameters.get(paramName(param))!, param.type));
  const compute = (node: Node): Tensor => {
    const inputs = node.inputs.map(input => values.get(input)!);
    return eager.run(opDef(node.op), inputs, node.attrs, node.type);
  };
  withExecutor(eager, () =>
    noGrad(() => {
      for (const node of nodes) values.set(node, compute(node));
    }),
  );
  return values;
}

/** Copies of what an entry reads: its inputs and the state it captured, by parameter name. */
export function parametersOf(
  graph: Graph,
  inputs: Readonly<Record<string, TypedArray>>,
  state: ReadonlyMap<string, TypedArray>,
): Map<string, TypedArray> {
  return new Map(
    graph.params.map(param => {
      const name = paramName(param);
      return [name, (paramRole(param) === 'input' ? inputs[name] : state.get(name)!).slice()];
    }),
  );
}
