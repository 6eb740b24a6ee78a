/**
 * Tracing the body of a loop or branch: a function of tensors becomes a graph of its own.
 *
 * What the function uses from outside, traced tensors, parameters and state alike, becomes an input of the body, so that the
 * node that runs it says all it reads. Memory from outside that it changes in place (running statistics, the state of a random
 * generator) is carried from step to step, or handed out by a branch, and written back afterwards. A control
 * node is differentiated as a whole, from its body: what the tape records in there serves only derivatives taken inside.
 */
import { fail } from '../../errors.js';
import { type Control, controlNode } from '../../ir/control.js';
import { isFloat } from '../../ir/dtype.js';
import {
  formatType,
  type Graph,
  Interner,
  type Node,
  type ParamRole,
  paramName,
  paramRole,
  type TensorType,
} from '../../ir/graph.js';
import { Rebuilder } from '../../ir/rebuild.js';
import { isGradEnabled, requiresGrad } from '../../ops/tape.js';
import { executor, type Tensor, withExecutor } from '../../ops/tensor.js';
import { Trace } from '../../trace/trace.js';
import { describeTree, type Flat } from './tree.js';

/** A parameter of a body that the function gets as an argument. */
export interface Argument {
  readonly name: string;
  readonly type: TensorType;
  readonly role: ParamRole;
}

/** Of several tensors, in their order; null for one that gets none. */
export type Gradients = readonly (Tensor | null)[];

/** A body before it is known what its siblings capture. */
export interface TracedBody {
  readonly trace: Trace;
  readonly args: readonly Node[];
  readonly results: readonly Node[];
  /** The new values of the arguments with the role of state. */
  readonly next: readonly Node[];
}

/** Bodies of one node: they take the same captures, in one order, then the memory that one of them changes, then arguments. */
export interface JoinedBodies {
  readonly captures: readonly Tensor[];
  /** Tensors from outside that a body changes in place. */
  readonly changed: readonly Tensor[];
  readonly graphs: readonly Graph[];
}

/** The trace that is running; null where ops run eagerly. */
export function currentTrace(): Trace | null {
  const current = executor();
  return current instanceof Trace ? current : null;
}

/**
 * The trace of a body. The body will be differentiated as a graph, so a gradient that is not its ops' becomes a graph, too, and
 * the values a node that knows it.
 */
export class BodyTrace extends Trace {
  ownGradient(output: Tensor, inputs: readonly Tensor[], backward: (grad: Tensor) => Gradients): void {
    const [value] = this.withGradient([output], inputs, ([grad]) => backward(grad));
    this.standFor(output, this.nodeOf(value));
  }

  /** The values, which get their gradients with respect to `args` from `backward`: what that is given and gives, in order. */
  withGradient(
    values: readonly Tensor[],
    args: readonly Tensor[],
    backward: (grads: readonly Tensor[]) => Gradients,
  ): readonly Tensor[] {
    const incoming = values.map(({ type }, i) => ({ name: `grad.${i}`, type, role: 'input' as const }));
    let reached: readonly Tensor[] = [];
    const traced = traceBody('ownGradient', this, incoming, grads => {
      // the values come first among what is captured
      for (const value of values) currentBody()!.nodeOf(value);
      const found = backward(grads);
      const isReached = (i: number): boolean => found[i] !== null && requiresGrad(args[i]);
      reached = args.filter((_, i) => isReached(i));
      return found.filter((grad, i): grad is Tensor => grad !== null && isReached(i));
    });
    const { captures, graphs } = joinBodies([traced], ['nothing']);
    const inputs = [...captures, ...reached].map(tensor => this.nodeOf(tensor));
    const control: Control = { op: 'ownGradient', attrs: { values: values.length }, bodies: graphs };
    return controlNode(this.interner, control, inputs, this.siteOf()).map(node => this.tensorOf(node));
  }
}

/** The body that is being traced, if one is. */
export function currentBody(): BodyTrace | null {
  const current = executor();
  return current instanceof BodyTrace ? current : null;
}

/**
 * Run `body` on tensors that stand for its arguments. As many of its results as there are arguments with the role of state are
 * the new values of those.
 */
export function traceBody(
  op: string,
  outer: Trace,
  args: readonly Argument[],
  body: (args: readonly Tensor[]) => readonly Tensor[],
): TracedBody {
  const trace = new BodyTrace(op, new Interner(), undefined, outer);
  const inputs = args.map(({ name, type, role }) => {
    const input = trace.input(name, type, role);
    return isGradEnabled() && isFloat(type.dtype) ? input.requiresGrad_() : input;
  });
  const outputs = withExecutor(trace, () => body(inputs).map(tensor => trace.nodeOf(tensor, op)));
  trace.finish([]);
  const carried = args.filter(({ role }) => role === 'state').length;
  return {
    trace,
    args: inputs.map(input => trace.nodeOf(input)),
    next: outputs.slice(0, carried),
    results: outputs.slice(carried),
  };
}

/** How the memory that a body changes leaves it: as a new carry, as one more result; or it must change none. */
export type Leaving = 'carry' | 'result' | 'nothing';

/** The graphs of bodies that run as one node. Throws E304 for a change by a body that must make none. */
export function joinBodies(bodies: readonly TracedBody[], leaving: readonly Leaving[]): JoinedBodies {
  const seen = [...new Set(bodies.flatMap(({ trace }) => trace.capturedFromOutside))];
  const changed = seen.filter(tensor => bodies.some((body, i) => changes(body, tensor, leaving[i])));
  const captures = seen.filter(tensor => !changed.includes(tensor));
  return { captures, changed, graphs: bodies.map((body, i) => graphOf(body, captures, changed, leaving[i])) };
}

function changes({ trace }: TracedBody, tensor: Tensor, leaving: Leaving): boolean {
  if (!trace.capturedFromOutside.includes(tensor)) return false;
  const { param, value } = trace.fromOutside(tensor);
  if (param !== value && leaving === 'nothing')
    fail('E304', {
      problem: `${trace.name === 'ownGradient' ? 'the gradient of a function' : `the condition of a ${trace.name}`} changes a ${formatType(tensor.type)} in place`,
      hint: 'change it in the step, or carry it',
    });
  return param !== value;
}

function graphOf(
  { trace, args, results, next }: TracedBody,
  captures: readonly Tensor[],
  changed: readonly Tensor[],
  leaving: Leaving,
): Graph {
  const interner = new Interner();
  const places = new Map<Node, Node>();
  const made = new Rebuilder(interner, node => places.get(node) ?? null);
  const param = (node: Node, role: ParamRole): Node => {
    const image = interner.param(paramName(node), role, node.type, node.site);
    places.set(node, image);
    return image;
  };
  const outside = (tensor: Tensor, role: ParamRole): Node => param(trace.fromOutside(tensor).param, role);
  const captured = captures.map(tensor => outside(tensor, 'input'));
  const memory = changed.map(tensor => outside(tensor, leaving === 'carry' ? 'state' : 'input'));
  const given = args.map(arg => param(arg, paramRole(arg)));
  const after = changed.map(tensor => made.node(trace.fromOutside(tensor).value));
  const outputs = [...results.map(node => made.node(node)), ...(leaving === 'result' ? after : [])];
  const carried = given.filter(node => paramRole(node) === 'state');
  return {
    name: trace.name,
    params: [...captured, ...memory, ...given],
    results: outputs.map((node, i) => ({ name: `out.${i}`, node })),
    updates: new Map([
      ...(leaving === 'carry' ? memory.map((node, i) => [node, after[i]] as const) : []),
      ...carried.map((node, i) => [node, made.node(next[i])] as const),
    ]),
  };
}

/** What memory from outside holds before a loop or branch changes it, also for a derivative that runs the body again. */
export const contentsNow = (memory: Tensor): Tensor => memory.clone();

/** Memory from outside gets the values that a loop or branch left for it. */
export function writeBack(changed: readonly Tensor[], values: readonly Tensor[]): void {
  for (const [i, tensor] of changed.entries()) executor().write(tensor, values[i]);
}

/** Throws E107 where a tree that must be like another is not; `what` names both. */
export function checkSame(op: string, what: string, given: Flat, wanted: Flat, hint: string): void {
  const [is, should] = [describeTree(given), describeTree(wanted)];
  if (is !== should) fail('E107', { op, problem: `${what}: ${is} instead of ${should}`, hint });
}
