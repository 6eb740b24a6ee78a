/**
 * One step of a loop backwards, in the trace of the step forwards: from the gradients of what the body gives to those of what it
 * takes.
 *
 * A carry may have no gradient after the last step and get one from an earlier step on, and what comes out of a branch has one
 * only at times. Eagerly nothing arrives there; a loop has zeros, which must not meet an infinite derivative. So where a
 * gradient may be missing the step is told by a flag, and passes on whether there is one (`ops/presence.ts`). Most loops have
 * no use for that: where others always arrive, too, zero is as good as nothing. The loop carries the flags that are read.
 */
import { type Control, layoutOf } from '../../ir/control.js';
import { type Node, type TensorType, topological } from '../../ir/graph.js';
import { type Arrival, arrivalOf, existenceOf, presenceOf, settled, zeroUnless } from '../../ops/presence.js';
import type { Tensor } from '../../ops/tensor.js';
import type { Trace } from '../../trace/trace.js';
import type { BackwardStep, CarriedFlag } from './backward-loop.js';
import type { Gradients } from './body.js';
import { type Incoming, pulledBack } from './pull.js';

/** A step forwards, traced with the tape on. */
export interface TracedStep {
  readonly control: Control;
  readonly trace: Trace;
  /** Inputs that gradients flow through. */
  readonly active: readonly boolean[];
  /** Stand for the parameters of the body. */
  readonly variables: readonly Tensor[];
  readonly nexts: readonly Tensor[];
  readonly results: readonly Tensor[];
}

/** The step that is right at all times: for gradients of carries as they are given, and as a later step leaves them. */
export function steadyStepBackwards(traced: TracedStep, given: readonly Arrival[]): BackwardStep {
  const { captures, carries } = layoutOf(traced.control);
  for (;;) {
    const step = stepBackwards(traced, given);
    const lasting = given.map((arrival, value) => {
      const isCarried = value < carries && traced.active[captures + value];
      return isCarried && step.arrivals[captures + value] !== arrival ? 'perhaps' : arrival;
    });
    if (lasting.every((arrival, value) => arrival === given[value])) return step;
    given = lasting;
  }
}

/** The step, where `given` tells which values may have a gradient: the carries, then what is stacked. */
export function stepBackwards(traced: TracedStep, given: readonly Arrival[]): BackwardStep {
  const { captures, carries } = layoutOf(traced.control);
  const { trace, variables } = traced;
  const nodeOf = (tensor: Tensor): Node => trace.nodeOf(tensor);
  const arriving = arrivingAt(traced, given);
  const found = foundAt(traced, arriving);
  const outgoing = (input: number): Node => {
    const grad = found[input];
    return nodeOf(grad === null ? variables[input].detach().zerosLike() : settled(grad));
  };
  const reached = found.flatMap((grad, input) => (grad === null ? [] : [{ input, grad }]));
  const carried = arriving.flatMap(({ input, grad }) =>
    input === null ? [] : [{ input, incoming: nodeOf(grad), outgoing: outgoing(input) }],
  );
  const sums = reached
    .filter(({ input }) => input < captures)
    .map(({ input, grad }) => {
      const sum = trace.input(`sum.${input}`, variables[input].type);
      return { input, incoming: nodeOf(sum), outgoing: nodeOf(sum.add(settled(grad))) };
    });
  const stacks = reached
    .filter(({ input }) => input >= captures + carries)
    .map(({ input }) => ({ input, outgoing: outgoing(input) }));
  const flags = [
    ...flagsOfValues(traced, arriving, found),
    ...flagsOfAll(
      traced,
      reached.filter(({ input }) => input < captures || input >= captures + carries),
    ),
  ];
  const values = [...carried, ...sums, ...stacks].map(each => each.outgoing);
  const stacked = new Map(arriving.map(({ value, grad }) => [value - carries, nodeOf(grad)]));
  return {
    inputs: variables.map(nodeOf),
    incomingResults: traced.results.map((_, i) => stacked.get(i) ?? null),
    carries: carried,
    sums,
    flags: readFlags(flags, values),
    stacks,
    arrivals: found.map(arrivalOf),
  };
}

interface Arriving extends Incoming {
  /** The number of the value, and that of the input it becomes, if it is a carry. */
  readonly value: number;
  readonly input: number | null;
  /** Whether the gradient exists; null where it always does. */
  readonly flag: Tensor | null;
}

const truth: TensorType = { dtype: 'bool', shape: [] };

function arrivingAt({ control, trace, active, nexts, results }: TracedStep, given: readonly Arrival[]): Arriving[] {
  const { captures } = layoutOf(control);
  return [...nexts, ...results].flatMap((tensor, value): Arriving[] => {
    const input = value < nexts.length ? captures + value : null;
    if (given[value] === 'never' || (input !== null && !active[input])) return [];
    const grad = trace.input(`grad.${value}`, tensor.type);
    if (given[value] === 'always') return [{ value, input, tensor, grad, flag: null }];
    const flag = trace.input(`exists.${value}`, truth);
    return [{ value, input, tensor, grad: zeroUnless(grad, flag), flag }];
  });
}

/** The gradients of all inputs. */
function foundAt({ active, variables }: TracedStep, arriving: readonly Incoming[]): Gradients {
  const pulled = pulledBack(
    arriving,
    variables.filter((_, input) => active[input]),
  ).values();
  return variables.map((_, input) => (active[input] ? pulled.next().value! : null));
}

/** Those of gradients that are given: of a carry it becomes that of the gradient one step earlier. */
function flagsOfValues({ trace }: TracedStep, arriving: readonly Arriving[], found: Gradients): CarriedFlag[] {
  return arriving.flatMap(({ value, input, flag }) => {
    if (flag === null) return [];
    const incoming = trace.nodeOf(flag);
    if (input === null) return [{ input, value, incoming, outgoing: incoming }];
    const grad = found[input];
    const isOpen = arrivalOf(grad) === 'perhaps';
    return [{ input: isOpen ? input : null, value, incoming, outgoing: trace.nodeOf(existenceOf(grad)) }];
  });
}

/** Those of gradients that all steps contribute to: one of them must exist. */
function flagsOfAll({ trace }: TracedStep, found: readonly { input: number; grad: Tensor }[]): CarriedFlag[] {
  return found.flatMap(({ input, grad }) => {
    const condition = presenceOf(grad);
    if (condition === null) return [];
    const sofar = trace.input(`any.${input}`, truth);
    return [{ input, value: null, incoming: trace.nodeOf(sofar), outgoing: trace.nodeOf(sofar.logicalOr(condition)) }];
  });
}

/** The flags that tell something in the end, or that values or other such flags depend on. */
function readFlags(flags: readonly CarriedFlag[], values: readonly Node[]): readonly CarriedFlag[] {
  let read = flags.filter(({ input }) => input !== null);
  for (;;) {
    const reached = new Set(topological([...values, ...read.map(({ outgoing }) => outgoing)]));
    const more = flags.filter(flag => read.includes(flag) || reached.has(flag.incoming));
    if (more.length === read.length) return read;
    read = more;
  }
}
