/**
 * The backward loop, cut out of one step forwards and backwards.
 *
 * What the step forwards computed comes in slices, where the forward loop has stacked it (`residuals.ts`); the rest is made
 * again.
 */
import { invariant } from '../../errors.js';
import { type Control, isReversed, layoutOf, scanLength } from '../../ir/control.js';
import { Interner, isParam, type Node } from '../../ir/graph.js';
import { Rebuilder } from '../../ir/rebuild.js';
import type { Arrival } from '../../ops/presence.js';

/** Where a slice of the backward loop comes from, by number. */
export interface Source {
  /**
   * The gradient of a stacked result; a stacked result; what the forward loop itself slices, by its number among the inputs.
   */
  readonly kind: 'gradient' | 'stacked' | 'input';
  readonly index: number;
}

/** The backward loop, and what its inputs and values are, as places among the inputs of the forward loop. */
export interface BackwardLoop {
  readonly control: Control;
  readonly captures: readonly number[];
  readonly slices: readonly Source[];
  /** Its first values: the gradients of carries, which start as those of the last carries. */
  readonly carries: readonly number[];
  /** Then the gradients of captures, which start at zero. */
  readonly sums: readonly number[];
  /** Then what tells whether gradients exist that may not. */
  readonly flags: readonly Flag[];
  /** Then, stacked, those of what is sliced. */
  readonly stacks: readonly number[];
  /** What is known of the gradients of all inputs after the last step. */
  readonly arrivals: readonly Arrival[];
}

/** A bool[] that the backward loop carries: whether a gradient exists (`ops/presence.ts`). */
export interface Flag {
  /** The input of the forward loop whose gradient that is in the end; null where that needs no telling. */
  readonly input: number | null;
  /** The value of the forward loop whose gradient tells it before the first step; null: there is none yet. */
  readonly value: number | null;
}

/** One step backwards: nodes of a graph that holds the step forwards, too. */
export interface BackwardStep {
  /** The parameters of the step forwards. */
  readonly inputs: readonly Node[];
  /** Parameters for the gradients of its results; null for those that have none. */
  readonly incomingResults: readonly (Node | null)[];
  readonly carries: readonly Carried[];
  readonly sums: readonly Carried[];
  readonly flags: readonly CarriedFlag[];
  readonly stacks: readonly Omit<Carried, 'incoming'>[];
  /** What is known of the gradients of all inputs after it. */
  readonly arrivals: readonly Arrival[];
}
/** The gradient of an input: a parameter with what came from later steps, and the node with what goes to earlier ones. */
interface Carried {
  readonly input: number;
  readonly incoming: Node;
  readonly outgoing: Node;
}
export interface CarriedFlag extends Flag {
  readonly incoming: Node;
  readonly outgoing: Node;
}

/** The loop that runs the step backwards. `stackedAt` tells which result of the forward loop holds a value, if one does. */
export function cutBackward(
  control: Control,
  step: BackwardStep,
  stackedAt: (node: Node) => number | undefined,
): BackwardLoop {
  const carried = [...step.carries, ...step.sums, ...step.flags];
  const params = new Parameters(control, step, stackedAt);
  const made = new Rebuilder(params.interner, node => {
    if (isParam(node)) return params.forParam(node);
    const index = stackedAt(node);
    return index === undefined ? null : params.slice({ kind: 'stacked', index }, node);
  });
  const updates = new Map(carried.map(each => [params.forParam(each.incoming), made.node(each.outgoing)] as const));
  const results = step.stacks.map(({ outgoing: node }, i) => ({ name: `out.${i}`, node: made.node(node) }));
  const inputsOf = (all: readonly Pick<Carried, 'input'>[]): number[] => all.map(({ input }) => input);
  return {
    control: {
      op: 'scan',
      attrs: {
        captures: params.captures.size,
        carries: carried.length,
        length: scanLength(control),
        reverse: !isReversed(control),
      },
      bodies: [{ name: 'scan', params: params.all(), results, updates }],
    },
    captures: [...params.captures.keys()],
    slices: params.sources,
    carries: inputsOf(step.carries),
    sums: inputsOf(step.sums),
    flags: step.flags,
    stacks: inputsOf(step.stacks),
    arrivals: step.arrivals,
  };
}

/** The parameters of the backward body, made as they are asked for. */
class Parameters {
  readonly interner = new Interner();
  readonly captures = new Map<number, Node>();
  readonly sources: Source[] = [];
  readonly #carries: readonly Node[];
  readonly #slices = new Map<string, Node>();
  readonly #fixed = new Map<Node, Node>();

  constructor(
    readonly control: Control,
    readonly step: BackwardStep,
    readonly stackedAt: (node: Node) => number | undefined,
  ) {
    this.#carries = [...step.carries, ...step.sums, ...step.flags].map(({ incoming }, i) => {
      const param = this.interner.param(`carry.${i}`, 'state', incoming.type);
      this.#fixed.set(incoming, param);
      return param;
    });
  }

  all(): Node[] {
    return [...this.captures.values(), ...this.#carries, ...this.#slices.values()];
  }

  forParam(node: Node): Node {
    const fixed = this.#fixed.get(node);
    if (fixed !== undefined) return fixed;
    const result = this.step.incomingResults.indexOf(node);
    if (result >= 0) return this.slice({ kind: 'gradient', index: result }, node);
    const input = this.step.inputs.indexOf(node);
    const { captures, carries } = layoutOf(this.control);
    if (input < captures) return this.#capture(input, node);
    if (input >= captures + carries) return this.slice({ kind: 'input', index: input }, node);
    const index = this.stackedAt(node);
    invariant(index !== undefined, 'a carry is needed backwards but was not stacked');
    return this.slice({ kind: 'stacked', index }, node);
  }

  #capture(input: number, { type }: Node): Node {
    const param = this.captures.get(input) ?? this.interner.param(`capture.${this.captures.size}`, 'input', type);
    this.captures.set(input, param);
    return param;
  }

  slice(source: Source, { type }: Node): Node {
    const key = `${source.kind} ${source.index}`;
    let param = this.#slices.get(key);
    if (param === undefined) {
      param = this.interner.param(`slice.${this.#slices.size}`, 'input', type);
      this.#slices.set(key, param);
      this.sources.push(source);
    }
    return param;
  }
}
