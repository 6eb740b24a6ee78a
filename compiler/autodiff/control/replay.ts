/**
 * A graph run again on tensors: by the eager executor its values are computed, by a tracer its nodes are made anew, and with
 * the tape on it can be differentiated.
 */
import { type Control, controlOf, isControl, isResult, resultIndex } from '../../ir/control.js';
import { type Graph, isParam, type Node, roots, topological } from '../../ir/graph.js';
import { apply, opDef } from '../../ops/define.js';
import type { Tensor } from '../../ops/tensor.js';

/** Runs a loop or branch: gives its values in the order in which `result` counts them. */
export type RunControl = (control: Control, inputs: readonly Tensor[]) => readonly Tensor[];

/** Run a graph on the values of its parameters, in order; the answer gives the value of each node. */
export function replay(
  graph: Graph,
  args: readonly Tensor[],
  run: RunControl,
  before: (node: Node) => void = () => {},
): (node: Node) => Tensor {
  const values = new Map<Node, Tensor>(graph.params.map((param, i) => [param, args[i]]));
  const valueOf = (node: Node): Tensor => values.get(node)!;
  const several = new Map<Node, readonly Tensor[]>();
  for (const node of topological(roots(graph))) {
    if (isParam(node)) continue;
    before(node);
    if (isControl(node)) several.set(node, run(controlOf(node), node.inputs.map(valueOf)));
    else if (isResult(node)) values.set(node, several.get(node.inputs[0])![resultIndex(node)]);
    else values.set(node, apply(opDef(node.op), node.inputs.map(valueOf), node.attrs));
  }
  return valueOf;
}
