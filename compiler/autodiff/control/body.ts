/**
 * Tracing the body of a loop or branch: a function of tensors becomes a graph of its own.
 *
 * What the function uses from outside, traced tensors, parameters and state alike, becomes an input of the body, so that the
 * node that runs it says all it reads. The tape is off meanwhile: a control node is differentiated as a whole.
 */
import { fail } from '../../errors.js';
import { type Graph, Interner, type ParamRole, type TensorType } from '../../ir/graph.js';
import { noGrad } from '../../ops/tape.js';
import { executor, type Tensor, withExecutor } from '../../ops/tensor.js';
import { Trace } from '../../trace/trace.js';
import { describeTree, type Flat } from './tree.js';

/** A parameter of a body that the function gets as an argument. */
export interface Argument {
  readonly name: string;
  readonly type: TensorType;
  readonly role: ParamRole;
}

/** A body before its captures are known to all its siblings. */
export interface TracedBody {
  readonly trace: Trace;
  readonly graph: Graph;
  readonly captures: readonly Tensor[];
}

/** The trace that is running; null where ops run eagerly. */
export function currentTrace(): Trace | null {
  const current = executor();
  return current instanceof Trace ? current : null;
}

/**
 * Run `body` on tensors that stand for its arguments. Its results are named by number; `updatesOf` says how many of them, from
 * the first on, are the new values of the arguments with the role of state.
 */
export function traceBody(
  op: string,
  outer: Trace,
  args: readonly Argument[],
  body: (args: readonly Tensor[]) => readonly Tensor[],
): TracedBody {
  const trace = new Trace(op, new Interner(), undefined, outer);
  const inputs = args.map(({ name, type, role }) => trace.input(name, type, role));
  const outputs = withExecutor(trace, () => noGrad(() => body(inputs).map(tensor => trace.nodeOf(tensor, op))));
  const carried = args.flatMap(({ role }, i) => (role === 'state' ? [trace.nodeOf(inputs[i])] : []));
  const results = outputs.slice(carried.length).map((node, i) => ({ name: `out.${i}`, node }));
  const { params } = trace.finish(results);
  const captures = trace.capturedFromOutside;
  return {
    trace,
    captures,
    graph: {
      name: op,
      params: [...captures.map(tensor => trace.nodeOf(tensor)), ...params],
      results,
      updates: new Map(carried.map((param, i) => [param, outputs[i]])),
    },
  };
}

/** Bodies that take the same captures, in one order: what a sibling alone uses is a parameter of all. */
export function shareCaptures(bodies: readonly TracedBody[]): {
  captures: readonly Tensor[];
  graphs: readonly Graph[];
} {
  const captures = [...new Set(bodies.flatMap(body => body.captures))];
  const graphs = bodies.map(({ trace, graph, captures: own }) => ({
    ...graph,
    params: [...captures.map(tensor => trace.nodeOf(tensor)), ...graph.params.slice(own.length)],
  }));
  return { captures, graphs };
}

/** Throws E107 where a tree that must be like another is not; `what` names both. */
export function checkSame(op: string, what: string, given: Flat, wanted: Flat, hint: string): void {
  const [is, should] = [describeTree(given), describeTree(wanted)];
  if (is !== should) fail('E107', { op, problem: `${what}: ${is} instead of ${should}`, hint });
}
