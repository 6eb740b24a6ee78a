/**
 * One graph, compiled by itself and run once, held against its values op by op and against the float64 oracle. What the
 * search for a fault repeats on smaller and smaller graphs, and what a written reproduction is checked with.
 */
import { evaluateConstant } from '../../../backends/js/evaluate.js';
import { GradcError } from '../../errors.js';
import type { DType, TypedArray } from '../../ir/dtype.js';
import { type Graph, paramName, paramRole } from '../../ir/graph.js';
import { compileToProgram, type Source } from '../../pipeline.js';
import type { Variant } from '../choices.js';
import { type Accuracy, accuracyOf, type Tensors, type Tolerance } from './accuracy.js';
import { noiseOf } from './noise.js';
import { type Arrays, evaluate, evaluateExactly, type GraphValues } from './values.js';
import { callEntry, type EmitOptions, instances } from './variants.js';

/** A graph with what it is run on. */
export interface Case {
  readonly graph: Graph;
  readonly parameters: Arrays;
}

/** Tests spoil passes through `debug`. */
export interface CheckOptions extends EmitOptions {
  readonly tolerance: Tolerance;
  readonly variant: Variant;
}

export interface CheckedValue extends Accuracy {
  readonly kind: 'result' | 'update';
  readonly name: string;
}

/** Samples of rounding noise drawn before a difference is called a fault. */
export const noiseSamples = 3;

/** Compile and run a case, and judge every result and update of it. */
export async function checkCompiled(given: Case, options: CheckOptions): Promise<CheckedValue[]> {
  return new References(given, options.tolerance).judge(await runCompiled(given, options));
}

/** Compile a graph by itself and run it once. */
export async function runCompiled(
  { graph, parameters }: Case,
  { variant, ...options }: CheckOptions,
): Promise<GraphValues> {
  const { program } = compileToProgram(sourceOf(graph), options.debug, evaluateConstant);
  const [{ model }] = await instances(program, parameters, [variant], options);
  const results = callEntry(model, program.entries[0], Object.fromEntries(parameters));
  const updates = [...graph.updates.keys()].map(param => [paramName(param), stateOf(model.state, param)] as const);
  model.dispose();
  return { results, updates: new Map(updates) };
}

const stateOf = (state: Readonly<Record<string, TypedArray>>, param: Graph['params'][number]): TypedArray =>
  state[paramName(param)].slice();

/** A graph as a program of one entry. */
export const sourceOf = (graph: Graph): Source => ({
  name: 'graph',
  graphs: [graph],
  state: graph.params
    .filter(param => paramRole(param) === 'state')
    .map(param => ({ name: paramName(param), type: param.type })),
});

/** What a case gives eagerly and exactly, and what rounding may make of it. */
export class References {
  readonly eager: GraphValues;
  readonly exact: GraphValues | null;
  readonly #given: Case;
  readonly #drawn: GraphValues[] = [];

  constructor(
    given: Case,
    readonly tolerance: Tolerance,
  ) {
    this.#given = given;
    this.eager = evaluate(given.graph, given.parameters);
    this.exact = unlessRefused(() => evaluateExactly(given.graph, given.parameters));
  }

  judge(actual: GraphValues): CheckedValue[] {
    const { graph } = this.#given;
    return [
      ...graph.results.map(({ name, node }) => this.#value('result', name, node.type.dtype, actual)),
      ...[...graph.updates.keys()].map(param => this.#value('update', paramName(param), param.type.dtype, actual)),
    ];
  }

  #value(kind: CheckedValue['kind'], name: string, dtype: DType, actual: GraphValues): CheckedValue {
    const of = (values: GraphValues): TypedArray => values[kind === 'result' ? 'results' : 'updates'].get(name)!;
    const tensors: Tensors = {
      dtype,
      eager: of(this.eager),
      compiled: of(actual),
      exact: this.exact && of(this.exact),
      noise: () => this.#samples(of),
    };
    return { kind, name, ...accuracyOf(tensors, this.tolerance) };
  }

  /** Drawn as they are asked for. */
  *#samples(of: (values: GraphValues) => TypedArray): Generator<TypedArray> {
    const { graph, parameters } = this.#given;
    for (let i = 0; i < noiseSamples; i++) {
      this.#drawn[i] ??= evaluateExactly(graph, parameters, noiseOf(i));
      yield of(this.#drawn[i]);
    }
  }
}

/** null where gradc refuses it: an op that there is not in float64. */
export function unlessRefused<T>(compute: () => T): T | null {
  try {
    return compute();
  } catch (error) {
    if (error instanceof GradcError) return null;
    throw error;
  }
}
