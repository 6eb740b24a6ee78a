/**
 * Gradients of functions that have their own are used up once a program is differentiated; what is left are the values.
 *
 *   %1 = ownGradient(%y, %x) {values: 1} with { graph … }; %2 = result(%1) {index: 0}   ->   %y
 */
import { isResult, resultIndex } from '../ir/control.js';
import { type Graph, Interner, mapGraph, roots, topological } from '../ir/graph.js';
import type { Pass } from '../pass.js';

export const dropOwnGradients: Pass<Graph> = {
  name: 'own-gradients',
  doc: 'Values with a gradient of their own become plain values.',
  run(graph) {
    if (!topological(roots(graph)).some(node => node.op === 'ownGradient')) return graph;
    const interner = new Interner();
    return mapGraph(graph, interner, (node, inputs) =>
      isResult(node) && node.inputs[0].op === 'ownGradient'
        ? inputs[0].inputs[resultIndex(node)]
        : interner.like(node, inputs),
    );
  },
};
