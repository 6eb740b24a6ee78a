/**
 * Running loops and branches on tensors, with their derivatives.
 *
 * In a trace a control node is added to the graph, and to the tape one step for all its values: the gradients of the values are
 * gathered as they come, and pulled back together. Eagerly bodies run op by op, and the tape follows the ops themselves.
 */
import { fail, GradcError } from '../../errors.js';
import {
  type Control,
  carriesOf,
  controlNode,
  gradientLayout,
  isReversed,
  layoutOf,
  mainBody,
  nextCarry,
  resultTypes,
  scanLength,
} from '../../ir/control.js';
import { isFloat } from '../../ir/dtype.js';
import { type Graph, Interner, type TensorType } from '../../ir/graph.js';
import { apply, full, opDef } from '../../ops/define.js';
import { type Arrival, arrivalOf, existenceOf, onlyIf, presenceOf, settled, zeroUnless } from '../../ops/presence.js';
import { save } from '../../ops/saved.js';
import { stack } from '../../ops/shape.js';
import { enableGrad, type GradNode, gradEdge, isGradEnabled, recordStep, requiresGrad } from '../../ops/tape.js';
import { elements, type Tensor, withExecutor } from '../../ops/tensor.js';
import { Trace } from '../../trace/trace.js';
import { currentTrace, type Gradients } from './body.js';
import { LinearizedScan } from './linearize.js';
import { pulledBack } from './pull.js';
import { replay } from './replay.js';

/** Run a control node. The values are its carries after the last step, then its results. */
export function callControl(control: Control, inputs: readonly Tensor[]): readonly Tensor[] {
  const trace = currentTrace();
  if (trace === null) return runEagerly(control, inputs);
  const wanted = inputs.map(input => isGradEnabled() && requiresGrad(input));
  if (!wanted.includes(true)) return emit(trace, control, inputs);
  if (control.op === 'scan' && trace.outer !== null) return scanInBody(trace, control, inputs, wanted);
  switch (control.op) {
    case 'scan':
      return scanOnTape(trace, control, inputs, wanted);
    case 'cond':
      return differentiableCond(trace, control, inputs, wanted);
    case 'while':
      return forwardOnlyWhile(trace, control, inputs);
    case 'ownGradient':
      return withOwnGradient(control, inputs, emit(trace, control, inputs));
    default:
      return control.op satisfies never;
  }
}

function emit(trace: Trace, control: Control, inputs: readonly Tensor[]): Tensor[] {
  const nodes = trace.operands(inputs, control.op);
  return controlNode(trace.interner, control, nodes, trace.siteOf()).map(node => trace.tensorOf(node));
}

const zeros = ({ dtype, shape }: TensorType): Tensor => full(shape, 0, { dtype });
const settledOrZero = (grad: Tensor | null, type: TensorType): Tensor => (grad === null ? zeros(type) : settled(grad));

/** The values of a function whose gradient is a graph. */
function withOwnGradient(control: Control, inputs: readonly Tensor[], values: readonly Tensor[]): readonly Tensor[] {
  const [body] = control.bodies;
  const given = values.length + gradientLayout(control).captures.length;
  const incoming = gradientLayout(control).gradients;
  recordTogether('OwnGradientBackward0', inputs, values, (grads, remembered) => {
    const args = body.params.map((_, i) => (i < values.length ? remembered.out(i) : remembered.in(i)));
    const gradients = incoming.map(({ type }, i) => settledOrZero(grads[i], type));
    const valueOf = replay(body, [...args.slice(0, given), ...gradients], callControl);
    return inputs.map((_, i) => (i < given ? null : valueOf(body.results[i - given].node)));
  });
  return values;
}

/** What a step for several values reads again when it runs backwards. */
export interface Remembered {
  /** An input or a value of the step by number. */
  in(i: number): Tensor;
  out(i: number): Tensor;
}

/**
 * One step of the tape for several values: it runs after the gradients of all of them have come. Where it reads a tensor of a
 * trace that has since been changed in place, it reads what was there before: a graph has both. Eagerly such a change is an
 * error where the branch that was taken, or a step of a loop, has saved what it hits; which that is a graph does not know.
 * Gradients come with the conditions that they exist on; what `pull` gives exists only if one of them does, without its doing.
 */
export function recordTogether(
  name: string,
  inputs: readonly Tensor[],
  values: readonly Tensor[],
  pull: (grads: Gradients, remembered: Remembered) => Gradients,
): void {
  if (!isGradEnabled() || !inputs.some(requiresGrad)) return;
  const arrived: (Tensor | null)[] = values.map(() => null);
  const join = zeros({ dtype: 'float32', shape: [0] });
  const edges = inputs.map(gradEdge);
  const trace = currentTrace();
  const asNow = (tensor: Tensor): Tensor => (trace === null ? tensor : unchanging(trace, tensor));
  const [inputsNow, valuesNow] = [inputs.map(asNow), values.map(asNow)];
  const [savedInputs, savedValues] = [inputsNow.map(save), valuesNow.map(save)];
  const steps: (GradNode | null)[] = [];
  recordStep(name, inputs, join, () => {
    const grads = [...arrived];
    arrived.fill(null);
    const found = pull(grads, {
      in: i => savedInputs[i].read(name, i, edges[i]),
      out: i => savedValues[i].read(name, `value ${i}`, steps[i]),
    });
    for (const saved of [...savedInputs, ...savedValues]) saved.drop();
    return found;
  });
  for (const [i, value] of values.entries()) {
    if (isFloat(value.dtype))
      recordStep(name, [join], value, grad => {
        arrived[i] = grad;
        return [join.detach()];
      });
    steps.push(value.meta.node);
    valuesNow[i].meta.node = value.meta.node;
  }
}

/** The value and history that a tensor has now, whatever is written to its memory later. */
function unchanging(trace: Trace, tensor: Tensor): Tensor {
  const same = trace.tensorOf(trace.nodeOf(tensor));
  same.meta.node = gradEdge(tensor);
  same.meta.isInference = tensor.meta.isInference;
  return same;
}

// ── scan ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A loop without a derivative, as around a `whileLoop`, says so only to those who ask for it. */
function scanOnTape(
  trace: Trace,
  control: Control,
  inputs: readonly Tensor[],
  wanted: readonly boolean[],
): readonly Tensor[] {
  let linear: LinearizedScan;
  try {
    linear = new LinearizedScan(control, wanted, callControl);
  } catch (error) {
    if (!(error instanceof GradcError)) throw error;
    const values = emit(trace, control, inputs);
    recordTogether('ScanBackward0', inputs, values, () => {
      throw error;
    });
    return values;
  }
  return scanCall(trace, linear, inputs).values.slice(0, resultTypes(control).length);
}

/**
 * A body is differentiated as a graph, so what its loops stack is decided then. Only for a derivative that is taken inside the
 * body itself a loop runs again.
 */
function scanInBody(
  trace: Trace,
  control: Control,
  inputs: readonly Tensor[],
  wanted: readonly boolean[],
): readonly Tensor[] {
  const values = emit(trace, control, inputs);
  recordTogether('ScanBackward0', inputs, values, (grads, remembered) =>
    scanCall(trace, new LinearizedScan(control, wanted, callControl), allInputs(control, remembered)).pull(grads),
  );
  return values;
}

interface ScanCall {
  /** Those of the loop, then what it stacks for its derivative. */
  readonly values: readonly Tensor[];
  readonly pull: (grads: Gradients) => Gradients;
}

const allInputs = (control: Control, remembered: Remembered): readonly Tensor[] =>
  mainBody(control).params.map((_, i) => remembered.in(i));

function scanCall(trace: Trace, linear: LinearizedScan, inputs: readonly Tensor[]): ScanCall {
  const values = emit(trace, linear.forward, inputs);
  const own = resultTypes(linear.control).length;
  const pull = (grads: Gradients, remembered: Remembered): Gradients => {
    if (grads.slice(own).every(grad => grad === null)) return pullScan(linear, remembered, grads);
    // a gradient of the gradient came through what is stacked: the loop again, with all of that among its own values
    const again = new LinearizedScan(linear.forward, linear.wanted, callControl);
    return scanCall(trace, again, allInputs(linear.forward, remembered)).pull(grads);
  };
  recordTogether('ScanBackward0', inputs, values, pull);
  return { values, pull: grads => pull(grads, { in: i => inputs[i], out: i => values[i] }) };
}

function pullScan(linear: LinearizedScan, remembered: Remembered, grads: Gradients): Gradients {
  const { captures, carries } = layoutOf(linear.control);
  const { params, results } = mainBody(linear.control);
  const loop = linear.backward(arrivalsTogether(grads.slice(0, carries + results.length)));
  const slices = loop.slices.map(({ kind, index }) =>
    kind === 'gradient'
      ? settled(grads[carries + index]!)
      : kind === 'stacked'
        ? remembered.out(carries + index)
        : remembered.in(index),
  );
  const found = callControl(loop.control, [
    ...loop.captures.map(remembered.in),
    ...loop.carries.map(input => settledOrZero(grads[input - captures], params[input].type)),
    ...loop.sums.map(input => zeros(params[input].type)),
    ...loop.flags.map(({ value }) => existenceOf(value === null ? null : grads[value])),
    ...slices,
  ]);
  const flags = loop.flags.map(({ input }) => input);
  const places = [...loop.carries, ...loop.sums, ...flags.map(() => null), ...loop.stacks];
  const flagged = loop.carries.length + loop.sums.length;
  return params.map((_, input) => {
    if (!linear.wanted[input] || loop.arrivals[input] === 'never') return null;
    const [grad, flag] = [found[places.indexOf(input)], flags.indexOf(input)];
    return flag < 0 ? grad : onlyIf(grad, found[flagged + flag]);
  });
}

/** What is known of gradients where at least one of them exists: the rest is not asked for (`recordTogether`). */
function arrivalsTogether(grads: Gradients): Arrival[] {
  const conditions = new Set(grads.flatMap(grad => (grad === null ? [] : [presenceOf(grad)])));
  if (conditions.size === 1) return grads.map(grad => (grad === null ? 'never' : 'always'));
  return grads.map(arrivalOf);
}

// ── cond ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The gradient of a branch is a branch: each side runs forwards once more, and backwards. Where a side may have no gradient for
 * an operand it also tells whether it had one.
 */
function differentiableCond(
  trace: Trace,
  control: Control,
  inputs: readonly Tensor[],
  wanted: readonly boolean[],
): readonly Tensor[] {
  const values = emit(trace, control, inputs);
  const places = inputs.flatMap((_, i) => (i > 0 && wanted[i] ? [i - 1] : []));
  recordTogether('CondBackward0', inputs, values, (grads, remembered) => {
    const arrivals = arrivalsTogether(grads);
    const given = grads.flatMap((grad, index) =>
      grad === null ? [] : [{ grad, index, open: arrivals[index] === 'perhaps' }],
    );
    const sides = control.bodies.map(body => pulledSide(body, given, places, false));
    const reached = places.map((_, at) => sides.some(({ found }) => found[at] !== null));
    const doubtful = places.flatMap((_, at) =>
      reached[at] && !sides.every(({ found }) => arrivalOf(found[at]) === 'always') ? [at] : [],
    );
    const operands = wanted.map((_, i) => remembered.in(i));
    const bodies = sides.map(side => graphOfSide(side, doubtful));
    const arriving = given.flatMap(({ grad, open }) => (open ? [settled(grad), existenceOf(grad)] : [settled(grad)]));
    const found = callControl({ ...control, bodies }, [...operands, ...arriving]);
    return wanted.map((_, i) => {
      const at = places.indexOf(i - 1);
      if (at < 0 || !reached[at]) return null;
      const flag = doubtful.indexOf(at);
      return flag < 0 ? found[at] : onlyIf(found[at], found[places.length + flag]);
    });
  });
  return values;
}

/**
 * From the operands and the gradients of some results to the gradients of some operands. `anew`: the graph itself runs there
 * once more, when the first of those gradients has come.
 */
export const backwardSide = (body: Graph, given: readonly number[], places: readonly number[], anew: boolean): Graph =>
  graphOfSide(
    pulledSide(
      body,
      given.map(index => ({ index, open: false })),
      places,
      anew,
    ),
    [],
  );

/** A result that has a gradient; an open one perhaps, which a bool[] behind the gradient tells. */
interface Given {
  readonly index: number;
  readonly open: boolean;
}
interface PulledSide {
  readonly trace: Trace;
  readonly asked: readonly Tensor[];
  readonly found: Gradients;
}

function pulledSide(body: Graph, given: readonly Given[], places: readonly number[], anew: boolean): PulledSide {
  const trace = new Trace(body.name, new Interner());
  return withExecutor(trace, () =>
    enableGrad(() => {
      const variables = body.params.map(({ type }, i) => {
        const tensor = trace.input(`operand.${i}`, type);
        return places.includes(i) ? tensor.requiresGrad_() : tensor;
      });
      const arriving = given.map(({ index, open }) => {
        const grad = trace.input(`grad.${index}`, body.results[index].node.type);
        return open ? zeroUnless(grad, trace.input(`exists.${index}`, { dtype: 'bool', shape: [] })) : grad;
      });
      const operands = anew ? variables.map(variable => apply(opDef('later'), [variable, arriving[0]], {})) : variables;
      const valueOf = replay(body, operands, callControl);
      const incoming = given.map(({ index }, g) => ({ tensor: valueOf(body.results[index].node), grad: arriving[g] }));
      const asked = places.map(i => variables[i]);
      return { trace, asked, found: pulledBack(incoming, asked) };
    }),
  );
}

/** The gradients, then whether there were those called `doubtful`. */
function graphOfSide({ trace, asked, found }: PulledSide, doubtful: readonly number[]): Graph {
  return withExecutor(trace, () => {
    const gradients = found.map((grad, i) => settledOrZero(grad, asked[i].type));
    const flags = doubtful.map(at => existenceOf(found[at]));
    return trace.finish([...gradients, ...flags].map((each, i) => ({ name: `out.${i}`, node: trace.nodeOf(each) })));
  });
}

// ── while ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

function forwardOnlyWhile(trace: Trace, control: Control, inputs: readonly Tensor[]): readonly Tensor[] {
  return forbidBackwards(inputs, emit(trace, control, inputs));
}

/** How often the loop ran is not known before it runs, so a compiled one has no room for what its derivative would need. */
export function forbidBackwards(inputs: readonly Tensor[], values: readonly Tensor[]): readonly Tensor[] {
  if (!isGradEnabled() || !inputs.some(requiresGrad)) return values;
  recordTogether('WhileBackward0', inputs, values, () =>
    fail('E206', {
      op: 'whileLoop',
      hint: 'its number of steps is not known before it runs; use scan, which has a fixed one and a derivative',
    }),
  );
  return values;
}

// ── eagerly ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function runEagerly(control: Control, inputs: readonly Tensor[]): readonly Tensor[] {
  switch (control.op) {
    case 'scan':
      return scanEagerly(control, inputs);
    case 'cond':
      return condEagerly(control, inputs);
    case 'while':
      return whileEagerly(control, inputs);
    case 'ownGradient': {
      const { values } = gradientLayout(control);
      return withOwnGradient(
        control,
        inputs,
        values.map((_, i) => inputs[i].detach()),
      );
    }
    default:
      return control.op satisfies never;
  }
}

function scanEagerly(control: Control, inputs: readonly Tensor[]): readonly Tensor[] {
  const { captures, carries } = layoutOf(control);
  const body = mainBody(control);
  const length = scanLength(control);
  const steps = Array.from({ length }, (_, t) => (isReversed(control) ? length - 1 - t : t));
  const outs: Tensor[][] = body.results.map(() => []);
  let carried = inputs.slice(captures, captures + carries);
  for (const t of steps) {
    const slices = inputs.slice(captures + carries).map(input => input.select(0, t));
    const valueOf = replay(body, [...inputs.slice(0, captures), ...carried, ...slices], callControl);
    for (const [i, { node }] of body.results.entries()) outs[i][t] = valueOf(node);
    carried = carriesOf(control).map(carry => valueOf(nextCarry(body, carry)));
  }
  const types = resultTypes(control).slice(carries);
  return [...carried, ...outs.map((list, i) => (length === 0 ? zeros(types[i]) : stack(list)))];
}

/** The value of a bool[]. */
export const holds = (predicate: Tensor): boolean => Boolean(elements(predicate, 'a condition')[0]);

function condEagerly({ bodies }: Control, [predicate, ...operands]: readonly Tensor[]): readonly Tensor[] {
  const side = bodies[holds(predicate) ? 0 : 1];
  const valueOf = replay(side, operands, callControl);
  return side.results.map(({ node }) => valueOf(node));
}

function whileEagerly(control: Control, inputs: readonly Tensor[]): readonly Tensor[] {
  const { captures } = layoutOf(control);
  const [condition, step] = control.bodies;
  const constant = inputs.slice(0, captures);
  let carried = inputs.slice(captures);
  while (holds(replay(condition, [...constant, ...carried], callControl)(condition.results[0].node))) {
    const valueOf = replay(step, [...constant, ...carried], callControl);
    carried = carriesOf(control).map(carry => valueOf(nextCarry(step, carry)));
  }
  return carried;
}
