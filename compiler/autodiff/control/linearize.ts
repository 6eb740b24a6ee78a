/**
 * The derivative of a scan as two scans: the loop itself, which also stacks what its derivative will need, and a loop in the
 * other direction that carries the gradients of the carries and sums up those of the captures.
 *
 *   h' = tanh(w · h + x)                         forward: also stacks h' and h
 *     ->  g = dh' · (1 - h'²)                    backward: carries dh, dw; slices h', h; stacks dx
 *         dh = w · g;  dw += h · g;  dx = g
 *
 * The body is run once more under a tracer with the tape on, and the tape backwards there, so that derivatives of bodies are
 * those of the op table. What part of that belongs to which loop is decided in `backward-loop.ts`. Since both are scans, the
 * gradient of a gradient is made the same way. After Radul et al., "You Only Linearize Once" (2023).
 */
import { type Control, carriesOf, isControl, layoutOf, mainBody, nextCarry } from '../../ir/control.js';
import { isFloat } from '../../ir/dtype.js';
import { type Graph, Interner, isParam, type Node, roots, topological } from '../../ir/graph.js';
import { Rebuilder } from '../../ir/rebuild.js';
import { opDef } from '../../ops/define.js';
import { settled } from '../../ops/presence.js';
import { enableGrad } from '../../ops/tape.js';
import { type Tensor, withExecutor } from '../../ops/tensor.js';
import { captureSite } from '../../trace/site.js';
import { Trace } from '../../trace/trace.js';
import { type BackwardLoop, type BackwardStep, cutBackward } from './backward-loop.js';
import { type Incoming, pulledBack } from './pull.js';
import { type RunControl, replay } from './replay.js';
import { residualsOf } from './residuals.js';

export class LinearizedScan {
  /** The loop that stacks what backward needs, too: after its own results. */
  readonly forward: Control;
  readonly #trace: Trace;
  readonly #body: Graph;
  /** Inputs that gradients flow through: those asked for, and the carries that depend on them. */
  readonly #active: readonly boolean[];
  /** Stand for the parameters of the body. */
  readonly #variables: readonly Tensor[];
  readonly #nexts: readonly Tensor[];
  readonly #results: readonly Tensor[];
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
    this.#active = activeInputs(control, wanted);
    this.#trace = new Trace('scan', new Interner(), () => site);
    this.#variables = this.#body.params.map(({ type }, i) => {
      const tensor = this.#trace.input(`p${i}`, type);
      return this.#active[i] ? tensor.requiresGrad_() : tensor;
    });
    const valueOf = withExecutor(this.#trace, () =>
      enableGrad(() =>
        replay(this.#body, this.#variables, run, node => {
          site = node.site ?? call;
        }),
      ),
    );
    site = call;
    this.#nexts = carriesOf(control).map(carry => valueOf(nextCarry(this.#body, carry)));
    this.#results = this.#body.results.map(({ node }) => valueOf(node));
    for (const [i, result] of this.#results.entries()) this.#stacked.set(this.#trace.nodeOf(result), i);
    const step = withExecutor(this.#trace, () => this.#step(this.#results.map(() => true)));
    const residuals = residualsOf(control, step, new Set(this.#stacked.keys()));
    for (const [i, node] of residuals.entries()) this.#stacked.set(node, this.#results.length + i);
    this.forward = this.#stacking(residuals);
  }

  /** The backward loop where `given` says which stacked results have a gradient. */
  backward(given: readonly boolean[]): BackwardLoop {
    const step = withExecutor(this.#trace, () => this.#step(given));
    return cutBackward(this.control, step, node => this.#stacked.get(node));
  }

  /** The forward loop with more results. */
  #stacking(residuals: readonly Node[]): Control {
    const { captures, carries } = layoutOf(this.control);
    const interner = new Interner();
    const params = this.#body.params.map(({ type }, i) =>
      i < captures
        ? interner.param(`capture.${i}`, 'input', type)
        : i < captures + carries
          ? interner.param(`carry.${i - captures}`, 'state', type)
          : interner.param(`slice.${i - captures - carries}`, 'input', type),
    );
    const places = new Map(this.#variables.map((variable, i) => [this.#trace.nodeOf(variable), params[i]]));
    const made = new Rebuilder(interner, node => places.get(node) ?? null);
    const outs = [...this.#results.map(result => this.#trace.nodeOf(result)), ...residuals];
    const body: Graph = {
      name: this.#body.name,
      params,
      results: outs.map((node, i) => ({ name: `out.${i}`, node: made.node(node) })),
      updates: new Map(
        this.#nexts.map((next, i) => [params[captures + i], made.node(this.#trace.nodeOf(next))] as const),
      ),
    };
    return { ...this.control, bodies: [body] };
  }

  /** One step backwards, in the tracer: from the gradients of what the body gives to those of what it takes. */
  #step(given: readonly boolean[]): BackwardStep {
    const { captures, carries } = layoutOf(this.control);
    const isCarry = (input: number): boolean => input >= captures && input < captures + carries;
    const inputs = this.#active.flatMap((active, input) => (active ? [input] : []));
    const incoming = (name: string, tensor: Tensor): Incoming => ({
      tensor,
      grad: this.#trace.input(`grad.${name}`, tensor.type),
    });
    const ofCarries = inputs.filter(isCarry).map(input => incoming(`carry.${input}`, this.#nexts[input - captures]));
    const ofResults = this.#results.map((tensor, i) => (given[i] ? incoming(`result.${i}`, tensor) : null));
    const pulled = pulledBack(
      [...ofCarries, ...ofResults.filter(each => each !== null)],
      inputs.map(input => this.#variables[input]),
    );
    const found = new Map(
      inputs.flatMap((input, i) => (pulled[i] === null ? [] : [[input, settled(pulled[i])] as const])),
    );
    const nodeOf = (tensor: Tensor): Node => this.#trace.nodeOf(tensor);
    const zeros = (input: number): Tensor => this.#variables[input].detach().zerosLike();
    return {
      inputs: this.#variables.map(nodeOf),
      incomingResults: ofResults.map(each => each && nodeOf(each.grad)),
      carries: inputs.filter(isCarry).map((input, i) => ({
        input,
        incoming: nodeOf(ofCarries[i].grad),
        outgoing: nodeOf(found.get(input) ?? zeros(input)),
      })),
      sums: inputs
        .filter(input => input < captures && found.has(input))
        .map(input => {
          const sum = this.#trace.input(`sum.${input}`, this.#variables[input].type);
          return { input, incoming: nodeOf(sum), outgoing: nodeOf(sum.add(found.get(input)!)) };
        }),
      stacks: inputs
        .filter(input => input >= captures + carries && found.has(input))
        .map(input => ({ input, outgoing: nodeOf(found.get(input)!) })),
    };
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
