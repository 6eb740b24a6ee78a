/**
 * A model's traced entries run op by op in float64, call after call on a state of its own: the oracle over several steps,
 * and, with noise, samples of what rounding alone does over as many.
 */
import type { TypedArray } from '../../ir/dtype.js';
import type { Graph } from '../../ir/graph.js';
import type { EntryInputs } from '../random-inputs.js';
import type { Noise } from './noise.js';
import { type Arrays, evaluateExactly, type GraphValues, parametersOf } from './values.js';

export interface Call {
  readonly entry: string;
  readonly inputs: EntryInputs;
}

export class Trajectory {
  readonly #state: Map<string, TypedArray>;
  #done = 0;
  #last: GraphValues | null = null;

  constructor(
    readonly graphs: readonly Graph[],
    initial: Arrays,
    readonly noise: Noise | null = null,
  ) {
    this.#state = new Map(initial);
  }

  /** What the last of these calls left; each call is run once, in order, unless nothing is left of it. */
  after(calls: readonly Call[]): GraphValues {
    for (; this.#done < calls.length; this.#done++) {
      const call = calls[this.#done];
      const isLast = this.#done === calls.length - 1;
      if (isLast || this.#graphOf(call).updates.size > 0) this.#last = this.#run(call);
    }
    return this.#last!;
  }

  #graphOf({ entry }: Call): Graph {
    return this.graphs.find(({ name }) => name === entry)!;
  }

  #run(call: Call): GraphValues {
    const { inputs } = call;
    const graph = this.#graphOf(call);
    const values = evaluateExactly(graph, parametersOf(graph, inputs, this.#state), this.noise);
    for (const [name, array] of values.updates) this.#state.set(name, array);
    return values;
  }
}
