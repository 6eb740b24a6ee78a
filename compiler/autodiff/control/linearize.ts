/**
 * The derivative of a scan as two scans: the loop itself, which also stacks what its derivative will need, and a loop in the
 * other direction that carries the gradients of the carries and sums up those of the captures.
 *
 *   h' = tanh(w · h + x)                         forward: also stacks h' and h
 *     ->  g = dh' · (1 - h'²)                    backward: carries dh, dw; slices h', h; stacks dx
 *         dh = w · g;  dw += h · g;  dx = g
 *
 * The body is run once more under a tracer with the tape on, and the tape backwards there (`backward-step.ts`), so that
 * derivatives of bodies are those of the op table. What part of that belongs to which loop is decided in `backward-loop.ts`.
 * Since both are scans, the gradient of a gradient is made the same way. After Radul et al., "You Only Linearize Once" (2023).
 */
import { type Control, carriesOf, isControl, layoutOf, mainBody, nextCarry } from '../../ir/control.js';
import { isFloat } from '../../ir/dtype.js';
import { type Graph, Interner, isParam, type Node, roots, topological } from '../../ir/graph.js';
import { Rebuilder } from '../../ir/rebuild.js';
import { opDef } from '../../ops/define.js';
import type { Arrival } from '../../ops/presence.js';
import { enableGrad } from '../../ops/tape.js';
import { withExecutor } from '../../ops/tensor.js';
import { captureSite } from '../../trace/site.js';
import { Trace } from '../../trace/trace.js';
import { type BackwardLoop, cutBackward } from './backward-loop.js';
import { steadyStepBackwards, stepBackwards, type TracedStep } from './backward-step.js';
import { type RunControl, replay } from './replay.js';
import { residualsOf } from './residuals.js';

export class LinearizedScan {
  /** The loop that stacks what backward needs, too: after its own results. */
  readonly forward: Control;
  readonly #body: Graph;
  readonly #step: TracedStep;
  /** Which stacked result holds the value of a node. */
  readonly #stacked = new Map<Node, number>();

  constructor(
    readonly control: Control,
    readonly wanted: readonly boolean[],
    run: RunControl,
  ) {
    const call = captureSite();
    let site: Node['site'] = call;
    this.#body = mainBody(control);
    const active = activeInputs(control, wanted);
    const trace = new Trace('scan', new Interner(), () => site);
    const variables = this.#body.params.map(({ type }, i) => {
      const tensor = trace.input(`p${i}`, type);
      return active[i] ? tensor.requiresGrad_() : tensor;
    });
    const valueOf = withExecutor(trace, () =>
      enableGrad(() =>
        replay(this.#body, variables, run, node => {
          site = node.site ?? call;
        }),
      ),
    );
    site = call;
    const nexts = carriesOf(control).map(carry => valueOf(nextCarry(this.#body, carry)));
    const results = this.#body.results.map(({ node }) => valueOf(node));
    this.#step = { control, trace, active, variables, nexts, results };
    for (const [i, result] of results.entries()) this.#stacked.set(trace.nodeOf(result), i);
    // whatever will be known of the gradients that come, this reads all that will be read
    const most = withExecutor(trace, () =>
      stepBackwards(
        this.#step,
        [...nexts, ...results].map(() => 'perhaps'),
      ),
    );
    const residuals = residualsOf(control, most, new Set(this.#stacked.keys()));
    for (const [i, node] of residuals.entries()) this.#stacked.set(node, results.length + i);
    this.forward = this.#stacking(residuals);
  }

  /** The backward loop, where `given` tells which values have a gradient: the carries, then the stacked results. */
  backward(given: readonly Arrival[]): BackwardLoop {
    const step = withExecutor(this.#step.trace, () => steadyStepBackwards(this.#step, given));
    return cutBackward(this.control, step, node => this.#stacked.get(node));
  }

  /** The forward loop with more results. */
  #stacking(residuals: readonly Node[]): Control {
    const { captures, carries } = layoutOf(this.control);
    const { trace, variables, nexts, results } = this.#step;
    const interner = new Interner();
    const params = this.#body.params.map(({ type }, i) =>
      i < captures
        ? interner.param(`capture.${i}`, 'input', type)
        : i < captures + carries
          ? interner.param(`carry.${i - captures}`, 'state', type)
          : interner.param(`slice.${i - captures - carries}`, 'input', type),
    );
    const places = new Map(variables.map((variable, i) => [trace.nodeOf(variable), params[i]]));
    const made = new Rebuilder(interner, node => places.get(node) ?? null);
    const outs = [...results.map(result => trace.nodeOf(result)), ...residuals];
    const body: Graph = {
      name: this.#body.name,
      params,
      results: outs.map((node, i) => ({ name: `out.${i}`, node: made.node(node) })),
      updates: new Map(nexts.map((next, i) => [params[captures + i], made.node(trace.nodeOf(next))] as const)),
    };
    return { ...this.control, bodies: [body] };
  }
}

/** The inputs asked for, and the carries that come to depend on them. */
function activeInputs(control: Control, wanted: readonly boolean[]): readonly boolean[] {
  const body = mainBody(control);
  const first = layoutOf(control).captures;
  const active = [...wanted];
  for (;;) {
    const reached = dependents(
      body,
      body.params.filter((_, i) => active[i]),
    );
    const more = carriesOf(control).flatMap((carry, i) =>
      !active[first + i] && reached.has(nextCarry(body, carry)) ? [first + i] : [],
    );
    if (more.length === 0) return active;
    for (const input of more) active[input] = true;
  }
}

/** The nodes through which a gradient flows to one of `sources`. */
function dependents(body: Graph, sources: readonly Node[]): ReadonlySet<Node> {
  const reached = new Set(sources);
  for (const node of topological(roots(body))) {
    if (isParam(node)) continue;
    const carries = isControl(node) || (isFloat(node.type.dtype) && opDef(node.op).differentiable !== false);
    if (carries && node.inputs.some(input => reached.has(input))) reached.add(node);
  }
  return reached;
}
