/**
 * What a loop must stack for its derivative.
 *
 * What depends on a gradient is the backward loop's. What does not belongs to the forward loop, and must be stacked where the
 * backward loop reads it; except what is cheaper made again: views, constants, what depends on captures alone, and what is
 * computed element by element from other things that are there.
 */
import { type Control, isControl, layoutOf } from '../../ir/control.js';
import { isParam, type Node, topological } from '../../ir/graph.js';
import { opDef } from '../../ops/define.js';
import type { BackwardStep } from './backward-loop.js';

/** The nodes to stack beside `results`, which are stacked anyway. */
export const residualsOf = (control: Control, step: BackwardStep, results: ReadonlySet<Node>): Node[] =>
  new Residuals(control, step, results).find();

class Residuals {
  readonly #outgoing: readonly Node[];
  /** Depends on a gradient. */
  readonly #late: ReadonlySet<Node>;
  /** Depends on more than captures. */
  readonly #varying: ReadonlySet<Node>;
  /** What each step slices is there in the step backwards, too. */
  readonly #slices: ReadonlySet<Node>;
  readonly #wanted = new Set<Node>();

  constructor(
    control: Control,
    { inputs, incomingResults, carries, sums, flags, stacks }: BackwardStep,
    readonly results: ReadonlySet<Node>,
  ) {
    const layout = layoutOf(control);
    const incoming = [...carries, ...sums, ...flags].map(each => each.incoming);
    this.#outgoing = [...carries, ...sums, ...flags, ...stacks].map(each => each.outgoing);
    this.#late = reachedFrom([...incoming, ...incomingResults.filter(node => node !== null)], this.#outgoing);
    this.#varying = reachedFrom(inputs.slice(layout.captures), this.#outgoing);
    this.#slices = new Set(inputs.slice(layout.captures + layout.carries));
  }

  find(): Node[] {
    this.#want();
    // the last first: what it is made from may be made in turn
    for (const node of [...this.#wanted].sort((a, b) => b.id - a.id)) {
      this.#wanted.delete(node);
      if (!this.#isMade(node, new Map())) this.#wanted.add(node);
    }
    return [...this.#wanted];
  }

  /** Where what the backward step computes meets what the forward step computed. */
  #want(): void {
    const seen = new Set<Node>();
    const pending = [...this.#outgoing];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      if (seen.has(node) || this.#isGiven(node)) continue;
      seen.add(node);
      if (this.#late.has(node) || isView(node) || isControl(node)) pending.push(...node.inputs);
      else this.#wanted.add(node);
    }
  }

  #isGiven = (node: Node): boolean =>
    this.results.has(node) || this.#slices.has(node) || (!this.#varying.has(node) && !this.#late.has(node));

  /** Can it be made element by element from what is given or wanted for itself? */
  #isMade(node: Node, known: Map<Node, boolean>): boolean {
    let made = known.get(node);
    if (made === undefined) {
      const isThere = (input: Node): boolean =>
        this.#isGiven(input) || this.#wanted.has(input) || this.#isMade(input, known);
      made = (isView(node) || isElementwise(node)) && node.inputs.every(isThere);
      known.set(node, made);
    }
    return made;
  }
}

const isView = (node: Node): boolean => !isParam(node) && opDef(node.op).fusion === 'view';
const isElementwise = (node: Node): boolean => !isParam(node) && opDef(node.op).elementwise === true;

/** The nodes that depend on one of `sources`, those included. */
function reachedFrom(sources: readonly Node[], roots: readonly Node[]): ReadonlySet<Node> {
  const reached = new Set(sources);
  for (const node of topological(roots)) if (node.inputs.some(input => reached.has(input))) reached.add(node);
  return reached;
}
