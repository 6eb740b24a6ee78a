/**
 * Graph -> Graph: the symbolic gradient of a result with respect to parameters.
 *
 * The graph is run once more under the tracer with the tape on, and the tape is run backwards there, so the vjp rules of the
 * op table are the only derivatives there are. Applied to its own output it gives higher orders.
 *
 *   graph f(%x) { return y = g(%x) }   ->   graph f_grad(%x) { return y = g(%x), grad.x = g'(%x) }
 */
import { fail } from '../errors.js';
import { type Graph, paramName } from '../ir/graph.js';
import { gradOf } from '../ops/backward.js';
import { enableGrad } from '../ops/tape.js';
import { withExecutor } from '../ops/tensor.js';
import { Trace } from '../trace/trace.js';
import { callControl } from './control/call.js';
import { replay } from './control/replay.js';

/** Append `grad.<param>` for each parameter named in `wrt` to the results. The result named `of` must be one element. */
export function differentiate(graph: Graph, of: string, wrt: readonly string[]): Graph {
  const trace = new Trace(`${graph.name}_grad`);
  return withExecutor(trace, () =>
    enableGrad(() => {
      const inputs = graph.params.map(param => {
        const tensor = trace.input(paramName(param), param.type);
        return wrt.includes(paramName(param)) ? tensor.requiresGrad_() : tensor;
      });
      const valueOf = replay(graph, inputs, callControl);
      const result =
        graph.results.find(({ name }) => name === of) ??
        fail('E304', {
          problem: `graph '${graph.name}' has no result '${of}'`,
          hint: `its results: ${graph.results.map(r => r.name).join(', ')}`,
        });
      const variables = wrt.map(name =>
        valueOf(
          graph.params.find(param => paramName(param) === name) ??
            fail('E304', { problem: `graph '${graph.name}' has no parameter '${name}'` }),
        ),
      );
      const grads = gradOf(valueOf(result.node), variables, { createGraph: true, allowUnused: true });
      return trace.finish([
        ...graph.results.map(({ name, node }) => ({ name, node: trace.nodeOf(valueOf(node)) })),
        ...grads.map((grad, i) => ({ name: `grad.${wrt[i]}`, node: trace.nodeOf(grad ?? variables[i].zerosLike()) })),
      ]);
    }),
  );
}
