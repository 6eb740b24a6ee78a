/**
 * A pass over graphs, over the bodies of their loops and branches, too.
 *
 *   %1 = scan(…) with { graph step(…) { mul(%h, full 1) } }   ->   %1 = scan(…) with { graph step(…) { %h } }
 *
 * For passes that keep the parameters of a graph: those of a body are its signature.
 */
import { isControl } from '../ir/control.js';
import { type Graph, Interner, mapGraph, type Node, roots, topological } from '../ir/graph.js';
import type { Pass } from '../pass.js';

/** The pass on all bodies, innermost first, then on the graph itself. */
export const inBodies = (pass: Pass<Graph>): Pass<Graph> => {
  const run: Pass<Graph>['run'] = (graph, context) =>
    pass.run(
      mapBodies(graph, body => run(body, context)),
      context,
    );
  return { ...pass, run };
};

/** A graph with its bodies replaced; the same object where none changed. */
export function mapBodies(graph: Graph, change: (body: Graph) => Graph): Graph {
  const changed = new Map<Node, readonly Graph[]>();
  for (const node of topological(roots(graph)).filter(isControl)) {
    const bodies = node.bodies.map(change);
    if (bodies.some((body, i) => body !== node.bodies[i])) changed.set(node, bodies);
  }
  if (changed.size === 0) return graph;
  const interner = new Interner();
  return mapGraph(graph, interner, (node, inputs) => interner.like(node, inputs, changed.get(node)));
}
