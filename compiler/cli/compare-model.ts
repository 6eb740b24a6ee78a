/**
 * Eager against compiled: the same model, the same inputs, several steps; how far outputs, gradients and state are from the
 * float64 oracle, and what they cost.
 *
 * Each variant runs twice: the program as it ships gives outputs and state, and the program with its gradients as further
 * results gives those, so that a wrong derivative shows as itself and not only in the state it spoils. Eager, compiled and
 * oracle start from the same state and then go their own ways.
 */
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { withCounterRandom } from '../../runtime/entry-run.js';
import type { DType, TypedArray } from '../ir/dtype.js';
import { type Graph, paramName } from '../ir/graph.js';
import type { EntryProgram } from '../ir/program.js';
import { tensorOver } from '../ops/tensor.js';
import type { DebugOptions } from '../pass.js';
import { compileToProgram, type Source } from '../pipeline.js';
import { type Entry, type ModelDefinition, type TracedModel, traceModel } from '../trace/model.js';
import type { Variant } from './choices.js';
import { type Accuracy, accuracyOf, type Tolerance } from './compare/accuracy.js';
import { noiseSamples, unlessRefused } from './compare/check.js';
import { allocating, type EntryCost, leastTime, type ModuleCost, timed } from './compare/cost.js';
import { type Divergence, type EagerCall, firstDivergence } from './compare/divergence.js';
import { eagerResult, eagerState, isGradient, withGradients } from './compare/gradients.js';
import { noiseOf } from './compare/noise.js';
import { type Call, Trajectory } from './compare/trajectory.js';
import { type Arrays, type GraphValues, parametersOf } from './compare/values.js';
import { callEntry, type EmitOptions, type Instance, instances } from './compare/variants.js';
import { type EntryInputs, randomInputs } from './random-inputs.js';

export interface CompareOptions extends Tolerance {
  /** Calls of each entry. */
  readonly steps: number;
  /** The inputs of a call. Default: floats in [-1, 1), integers in [0, `integers`). */
  readonly inputs?: (entry: string, step: number) => EntryInputs;
  /** Default 2. */
  readonly integers?: number;
  /** Default: SIMD alone. */
  readonly variants?: readonly Variant[];
  /** false: leave the costs out, which take most of the time of a small model. */
  readonly measure?: boolean;
  /** Of the compilation; tests spoil passes here. */
  readonly debug?: DebugOptions;
  /** With the plans of a tuning; default as estimated. */
  readonly backend?: EmitOptions['backend'];
  /** Is told what goes on. */
  readonly progress?: (text: string) => void;
}
export type ComparedKind = 'output' | 'gradient' | 'state';
export interface Difference extends Accuracy {
  readonly variant: Variant;
  readonly kind: ComparedKind;
  /** The entry; null for state, which all entries share. */
  readonly entry: string | null;
  readonly name: string;
  readonly dtype: DType;
  /** The step at which it was seen. */
  readonly step: number;
}
export interface Comparison {
  readonly agrees: boolean;
  /** Was there a float64 oracle? Without one eager is the truth. */
  readonly oracle: boolean;
  /** Every tensor of every variant at the step where it was worst. */
  readonly differences: readonly Difference[];
  /** Where the first call that went wrong goes wrong; null where nothing does, or no single call does by itself. */
  readonly firstDivergence: Divergence | null;
  /** Empty where they were not measured. */
  readonly costs: readonly EntryCost[];
  readonly modules: readonly ModuleCost[];
}

export async function compareModel(definition: ModelDefinition, options: CompareOptions): Promise<Comparison> {
  const forms = await compiledForms(definition, options);
  try {
    const run = new ComparedRun(forms, options);
    for (let step = 0; step < options.steps; step++) for (const entry of run.entries) run.call(entry, step);
    return {
      agrees: run.worst.agree,
      oracle: run.hasOracle,
      differences: run.worst.list,
      firstDivergence: await run.divergence(),
      costs: options.measure === false ? [] : run.costs(),
      modules: run.modules(),
    };
  } finally {
    for (const { model } of [...forms.shipped, ...forms.probes]) model.dispose();
  }
}

/** A model as it is traced, and its variants in memory. */
interface Forms {
  readonly traced: TracedModel;
  /** The state that all start from. */
  readonly initial: Arrays;
  readonly shipped: readonly Instance[];
  /** The same with gradients as results; the shipped ones where there are none. */
  readonly probes: readonly Instance[];
}

async function compiledForms(
  definition: ModelDefinition,
  { variants = ['simd'], debug, backend, progress }: CompareOptions,
): Promise<Forms> {
  const traced = traceModel(withGradients(definition));
  const initial = new Map(traced.state.map(({ name, storage }) => [name, storage.array.slice()]));
  const instantiate = (source: Source): Promise<Instance[]> => {
    progress?.('compiling');
    return instances(compileToProgram(source, debug, evaluateConstant).program, initial, variants, { debug, backend });
  };
  const graphs = traced.graphs.map(withoutGradients);
  const shipped = await instantiate({ ...traced, graphs });
  const same = graphs.every((graph, i) => graph.results.length === traced.graphs[i].results.length);
  return { traced, initial, shipped, probes: same ? shipped : await instantiate(traced) };
}

/** A call, what it was made on, and the first variant that got it wrong. */
interface FailedCall extends EagerCall {
  readonly variant: Variant;
}

/** A model in all its forms, called in step. */
class ComparedRun {
  readonly worst = new Worst();
  readonly entries: readonly EntryProgram[];
  readonly #eagerState: () => Arrays;
  readonly #calls: Call[] = [];
  readonly #exact: Trajectory;
  readonly #noisy: readonly Trajectory[];
  readonly #eagerCosts = new Map<string, { readonly bytes: number; readonly times: number[] }>();
  readonly #drawn: (entry: EntryProgram) => EntryInputs;
  #failed: FailedCall | null = null;
  #refused = false;

  constructor(
    readonly forms: Forms,
    readonly options: CompareOptions,
  ) {
    const { traced, initial, probes } = forms;
    this.entries = probes[0].program.entries;
    this.#eagerState = eagerState(traced);
    this.#exact = new Trajectory(traced.graphs, initial);
    this.#noisy = Array.from({ length: noiseSamples }, (_, i) => new Trajectory(traced.graphs, initial, noiseOf(i)));
    this.#drawn = randomInputs(options.integers ?? 2);
  }

  get hasOracle(): boolean {
    return !this.#refused;
  }

  call(entry: EntryProgram, step: number): void {
    const { name } = entry;
    this.options.progress?.(`${name}, step ${step}`);
    const inputs = this.options.inputs?.(name, step) ?? this.#drawn(entry);
    this.#calls.push({ entry: name, inputs });
    const graph = this.forms.traced.graphs.find(g => g.name === name)!;
    const parameters = parametersOf(graph, inputs, this.#eagerState());
    const eager: GraphValues = { results: this.#callEagerly(entry, inputs), updates: this.#eagerState() };
    const exact = this.#oracle();
    for (const [i, shipped] of this.forms.shipped.entries()) {
      const compiled = this.#runCompiled(shipped, this.forms.probes[i], name, inputs);
      const agrees = this.#judge(graph, step, shipped.variant, eager, compiled, exact);
      if (!agrees) this.#failed ??= { graph, parameters, values: copied(eager), variant: shipped.variant };
    }
  }

  /** Looked for at the first call that went wrong. */
  async divergence(): Promise<Divergence | null> {
    if (this.#failed === null) return null;
    const { debug, progress } = this.options;
    const { variant } = this.#failed;
    return firstDivergence(this.#failed, { variant, debug, progress, tolerance: this.options });
  }

  /** The calls of the comparison and, where those were short, further ones; the states go their own ways now. */
  costs(): EntryCost[] {
    return this.entries.map(entry => {
      const { inputs } = this.#calls.findLast(call => call.entry === entry.name)!;
      const { bytes, times } = this.#eagerCosts.get(entry.name)!;
      return {
        entry: entry.name,
        eager: { ms: leastTime(() => this.#runEagerly(entry, inputs), times), bytes },
        compiled: this.forms.shipped.map(({ variant, model }) => ({
          variant,
          ms: leastTime(() => model[entry.name](inputs, { copy: false })),
        })),
      };
    });
  }

  modules(): ModuleCost[] {
    return this.forms.shipped.map(({ variant, model, moduleBytes, program }) => ({
      variant,
      threads: model.threads.count,
      moduleBytes,
      stateBytes: program.stateBytes,
      memoryBytes: program.totalBytes,
    }));
  }

  #oracle(): GraphValues | null {
    if (this.#refused) return null;
    const values = unlessRefused(() => this.#exact.after(this.#calls));
    this.#refused = values === null;
    return values;
  }

  /** The first call of an entry tells what it allocates, the later ones, when it is warm, how long they take. */
  #callEagerly(entry: EntryProgram, inputs: EntryInputs): Arrays {
    const run = (): Arrays => this.#runEagerly(entry, inputs);
    const costs = this.#eagerCosts.get(entry.name);
    if (costs === undefined) {
      const { result, bytes } = allocating(run);
      this.#eagerCosts.set(entry.name, { bytes, times: [] });
      return result;
    }
    const { result, ms } = timed(run);
    costs.times.push(ms);
    return result;
  }

  *#noise(of: (values: GraphValues) => TypedArray): Generator<TypedArray> {
    for (const trajectory of this.#noisy) yield of(trajectory.after(this.#calls));
  }

  #runEagerly({ name, outputs }: EntryProgram, inputs: EntryInputs): Arrays {
    const entry: Entry = this.forms.traced.parts.entries[name];
    const tensors = Object.entries(entry.inputs).map(([key, { shape, dtype }]) => [
      key,
      tensorOver(inputs[key].slice(), { dtype, shape }),
    ]);
    const results = withCounterRandom(() => entry.run(Object.fromEntries(tensors)));
    return new Map(outputs.map(slot => [slot.name, eagerResult(results, slot)]));
  }

  #runCompiled(shipped: Instance, probe: Instance, name: string, inputs: EntryInputs): GraphValues {
    const call = ({ model, program }: Instance): Arrays =>
      callEntry(model, program.entries.find(entry => entry.name === name)!, inputs);
    const gradients = probe === shipped ? new Map() : call(probe);
    const results = new Map([...gradients, ...call(shipped)]);
    return { results, updates: new Map(Object.entries(shipped.model.state)) };
  }

  #judge(
    graph: Graph,
    step: number,
    variant: Variant,
    eager: GraphValues,
    compiled: GraphValues,
    exact: GraphValues | null,
  ): boolean {
    const judge = (kind: ComparedKind, name: string, dtype: DType): boolean => {
      const of = (values: GraphValues): TypedArray => values[kind === 'state' ? 'updates' : 'results'].get(name)!;
      const accuracy = accuracyOf(
        {
          dtype,
          eager: of(eager),
          compiled: of(compiled),
          exact: exact && of(exact),
          noise: () => this.#noise(of),
        },
        this.options,
      );
      this.worst.add({ variant, kind, entry: kind === 'state' ? null : graph.name, name, dtype, step, ...accuracy });
      return accuracy.agrees;
    };
    const results = graph.results.map(({ name, node }) =>
      judge(isGradient(name) ? 'gradient' : 'output', name, node.type.dtype),
    );
    const updates = [...graph.updates.keys()].map(param => judge('state', paramName(param), param.type.dtype));
    return [...results, ...updates].every(Boolean);
  }
}

const copied = ({ results, updates }: GraphValues): GraphValues => {
  const copies = (arrays: Arrays): Arrays => new Map([...arrays].map(([name, array]) => [name, array.slice()]));
  return { results: copies(results), updates: copies(updates) };
};

const withoutGradients = (graph: Graph): Graph => ({
  ...graph,
  results: graph.results.filter(({ name }) => !isGradient(name)),
});

/** Each tensor at its worst: where it fails, else where compiled is farthest from eager. */
class Worst {
  readonly #byTensor = new Map<string, Difference>();

  add(difference: Difference): void {
    const { variant, entry, name } = difference;
    const key = `${variant}/${entry}/${name}`;
    const known = this.#byTensor.get(key);
    if (known === undefined || isWorse(difference, known)) this.#byTensor.set(key, difference);
  }

  get list(): Difference[] {
    return [...this.#byTensor.values()];
  }
  get agree(): boolean {
    return this.list.every(difference => difference.agrees);
  }
}

const isWorse = (a: Difference, b: Difference): boolean =>
  a.agrees === b.agrees ? a.absolute > b.absolute : !a.agrees;
