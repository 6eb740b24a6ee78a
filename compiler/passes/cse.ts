/**
 * Common subexpressions are computed once.
 *
 *   %0 = mul(%a, %b); %1 = mul(%b, %a); %2 = add(%0, %1)   ->   %0 = mul(%a, %b); %1 = add(%0, %0)
 *
 * An interner makes equal nodes one object as they are built; what is left are nodes from different interners and operands
 * in another order.
 */
import { attrsKey, type Graph, graphKey, Interner, mapGraph, type Node, roots, topological } from '../ir/graph.js';
import type { Pass } from '../pass.js';

/** Ops whose two operands may change places without changing a bit. With `alpha`, only where it is 1. */
const commutative = new Set([
  'add',
  'mul',
  'maximum',
  'minimum',
  'fmax',
  'fmin',
  'eq',
  'ne',
  'logicalAnd',
  'logicalOr',
  'logicalXor',
  'bitwiseAnd',
  'bitwiseOr',
  'bitwiseXor',
  'hypot',
  'logaddexp',
]);

const isCommutative = (op: string, attrs: Node['attrs']): boolean => commutative.has(op) && (attrs.alpha ?? 1) === 1;

export const cse: Pass<Graph> = {
  name: 'cse',
  doc: 'Equal subexpressions become one node.',
  run(graph, context) {
    const interner = new Interner();
    const known = new Map<string, Node>();
    const before = topological(roots(graph)).length;
    const merged = mapGraph(graph, interner, (node, inputs) => {
      const ids = inputs.map(input => input.id);
      const key = `${node.op}(${isCommutative(node.op, node.attrs) ? ids.sort((a, b) => a - b) : ids})${attrsKey(node.attrs)}${node.type.dtype}${node.bodies.map(graphKey)}`;
      const same = known.get(key) ?? interner.like(node, inputs);
      known.set(key, same);
      return same;
    });
    const saved = before - topological(roots(merged)).length;
    if (saved === 0) return graph;
    context.note(graph.name, `${saved} of ${before} nodes were computed twice`);
    return merged;
  },
};
