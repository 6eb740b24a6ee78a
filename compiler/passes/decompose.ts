/**
 * Composite ops become the ops they are defined by.
 *
 *   %1 = layerNorm(%x, %w, %b) {…}   ->   %1 = mean(%x) … %9 = add(%8, %b)
 *
 * An op's `decompose` calls other ops as plain functions; running it needs a tracer, which is handed in. What it gives may hold
 * composites again, so the pass repeats until none is left.
 */
import { invariant } from '../errors.js';
import { formatType, type Graph, Interner, isParam, mapGraph, type Node, roots, topological } from '../ir/graph.js';
import { sameShape } from '../ir/shape.js';
import { opDef } from '../ops/define.js';
import type { Pass } from '../pass.js';

/** The node that computes the same as a composite one, made in `interner` from `inputs`. */
export type Expand = (node: Node, inputs: readonly Node[], interner: Interner) => Node;

/** Composites within composites; more levels than this are taken for a definition that goes in circles. */
const deepest = 20;

const isComposite = (node: Node): boolean =>
  !isParam(node) && opDef(node.op).lower === undefined && opDef(node.op).decompose !== undefined;

export const decompose = (expand: Expand): Pass<Graph> => ({
  name: 'decompose',
  doc: 'Composite ops become the ops they are defined by.',
  run(graph, context) {
    for (let level = 0; ; level++) {
      const composites = topological(roots(graph)).filter(isComposite);
      if (composites.length === 0) return graph;
      invariant(level < deepest, () => `the decomposition of '${composites[0].op}' does not end`);
      for (const op of new Set(composites.map(node => node.op))) context.note(op, 'written in other ops');
      graph = expandAll(graph, expand);
    }
  },
});

function expandAll(graph: Graph, expand: Expand): Graph {
  const interner = new Interner();
  return mapGraph(graph, interner, (node, inputs) => {
    if (!isComposite(node)) return interner.like(node, inputs);
    const expanded = expand(node, inputs, interner);
    const fits = expanded.type.dtype === node.type.dtype && sameShape(expanded.type.shape, node.type.shape);
    invariant(fits, () => `'${node.op}' of type ${formatType(node.type)} decomposes to a ${formatType(expanded.type)}`);
    return expanded;
  });
}
