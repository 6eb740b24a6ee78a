/**
 * What no result and no update needs is dropped.
 *
 *   graph g(%x: … input, %w: … state, %unused: … state) { return y = %x; update %w = %w }
 *     ->  graph g(%x: … input) { return y = %x }
 *
 * Nodes that nothing reads are gone by construction. What can be dead are updates that put back what was there, and state
 * that is neither read nor written. Inputs stay: they are the signature of the entry.
 */
import { type Graph, isParam, paramName, paramRole, roots, topological } from '../ir/graph.js';
import type { Pass } from '../pass.js';

export const deadCode: Pass<Graph> = {
  name: 'dead-code',
  doc: 'Updates that change nothing and state that nothing touches are dropped.',
  run(graph, context) {
    const updates = new Map([...graph.updates].filter(([param, value]) => param !== value));
    const needed = new Set([...topological(roots({ ...graph, updates })).filter(isParam), ...updates.keys()]);
    const params = graph.params.filter(param => paramRole(param) === 'input' || needed.has(param));
    if (params.length === graph.params.length && updates.size === graph.updates.size) return graph;
    for (const param of graph.params) if (!params.includes(param)) context.note(paramName(param), 'no result needs it');
    return { ...graph, params, updates };
  },
};
