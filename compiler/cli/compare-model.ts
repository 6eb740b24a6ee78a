/**
 * Eager against compiled: the same model, the same inputs, several steps; how far outputs, gradients and state come apart.
 *
 * Each entry is compiled with the gradients it computes as further outputs, so that a wrong derivative shows as itself and
 * not only in the state it spoils. The compiled model starts from the eager model's state and then goes its own way.
 */
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { wasm } from '../../backends/wasm/backend.js';
import { instantiate, type Model, type OutputValue } from '../../runtime/deploy/model.js';
import { withCounterRandom } from '../../runtime/entry-run.js';
import { rowMajor } from '../../runtime/eager.js';
import { loaderManifest } from '../artifact/manifest.js';
import { artifactState } from '../artifact/write.js';
import { fail } from '../errors.js';
import { arrayOf, type TypedArray } from '../ir/dtype.js';
import { type Graph, paramName, paramRole, type TensorType } from '../ir/graph.js';
import type { EntryProgram, Program } from '../ir/program.js';
import { requiresGrad } from '../ops/tape.js';
import { Tensor, tensorOver } from '../ops/tensor.js';
import { compileToProgram, emitProgram, type Source } from '../pipeline.js';
import { type Entry, type ModelDefinition, type ModelParts, type TracedModel, traceModel } from '../trace/model.js';
import { type Closeness, closeness, type Tolerance } from './closeness.js';
import { type Divergence, firstDivergence, parametersOf } from './first-divergence.js';
import { type EntryInputs, randomInputs } from './random-inputs.js';

export interface CompareOptions extends Tolerance {
  /** Calls of each entry. */
  readonly steps: number;
  /** The inputs of a call. Default: floats in [-1, 1), integers in [0, `integers`). */
  readonly inputs?: (entry: string, step: number) => EntryInputs;
  /** Default 2. */
  readonly integers?: number;
  /** Compare the variant with relaxed SIMD. */
  readonly relaxed?: boolean;
}
export interface Difference extends Closeness {
  readonly kind: 'output' | 'gradient' | 'state';
  /** The entry; null for state, which is compared after the last step. */
  readonly entry: string | null;
  readonly name: string;
  /** The step at which `absolute` was seen. */
  readonly step: number;
}
export interface Timing {
  readonly entry: string;
  readonly eagerMs: number;
  readonly compiledMs: number;
}
export interface Comparison {
  readonly agrees: boolean;
  /** The largest difference of each tensor. */
  readonly differences: readonly Difference[];
  /** The first op that goes astray by itself, at the first call whose outputs differ. */
  readonly firstDivergence: Divergence | null;
  readonly timings: readonly Timing[];
}

const gradientSuffix = '.grad';

export function compareModel(definition: ModelDefinition, options: CompareOptions): Comparison {
  const run = new ComparedRun(definition, options);
  for (let step = 0; step < options.steps; step++) for (const entry of run.program.entries) run.call(entry, step);
  run.compareState();
  const { agree: agrees, list: differences } = run.differences;
  return { agrees, differences, firstDivergence: run.divergence ?? null, timings: run.timings() };
}

/** A model in both forms, called in step. */
class ComparedRun {
  readonly program: Program;
  readonly differences = new Differences();
  /** Looked for once, at the first call whose outputs differ. */
  divergence: Divergence | null | undefined;
  readonly #traced: TracedModel;
  readonly #compiled: Model;
  readonly #eagerState: ReadonlyMap<string, TypedArray>;
  readonly #drawn: (entry: EntryProgram) => EntryInputs;
  readonly #lastInputs = new Map<string, EntryInputs>();

  constructor(
    definition: ModelDefinition,
    readonly options: CompareOptions,
  ) {
    this.#traced = traceModel(withGradients(definition));
    this.program = compileToProgram(this.#traced, {}, evaluateConstant).program;
    this.#eagerState = new Map(this.#traced.state.map(({ name, storage }) => [name, storage.array]));
    this.#compiled = instantiateProgram(this.program, this.#eagerState, options);
    this.#drawn = randomInputs(options.integers ?? 2);
  }

  call(entry: EntryProgram, step: number): void {
    const { options } = this;
    const inputs = options.inputs?.(entry.name, step) ?? this.#drawn(entry);
    this.#lastInputs.set(entry.name, inputs);
    const graph = this.#traced.graphs.find(g => g.name === entry.name)!;
    const parameters = parametersOf(graph, inputs, this.#eagerState);
    const eager = this.#runEagerly(entry, inputs);
    const compiled = runCompiled(this.#compiled, entry, inputs);
    for (const { name } of entry.outputs) {
      const kind = name.endsWith(gradientSuffix) ? 'gradient' : 'output';
      this.differences.add({ kind, entry: entry.name, name, step, ...closeness(eager[name], compiled[name], options) });
    }
    if (this.divergence === undefined && !this.differences.agree)
      this.divergence = firstDivergence(graph, parameters, compiledOnce(options), options);
  }

  compareState(): void {
    const step = this.options.steps - 1;
    for (const [name, array] of this.#eagerState) {
      const close = closeness(array, this.#compiled.state[name] as TypedArray, this.options);
      this.differences.add({ kind: 'state', entry: null, name, step, ...close });
    }
  }

  /** Calls further on; both states go their own ways now. */
  timings(): Timing[] {
    return this.program.entries.map(entry => {
      const inputs = this.#lastInputs.get(entry.name)!;
      const eagerMs = medianTime(() => this.#runEagerly(entry, inputs));
      const compiledMs = medianTime(() => this.#compiled[entry.name](inputs, { copy: false }));
      return { entry: entry.name, eagerMs, compiledMs };
    });
  }

  #runEagerly({ name, outputs }: EntryProgram, inputs: EntryInputs): Record<string, TypedArray> {
    const entry: Entry = this.#traced.parts.entries[name];
    const tensors = Object.entries(entry.inputs).map(([key, { shape, dtype }]) => [
      key,
      tensorOver(inputs[key].slice(), { dtype, shape }),
    ]);
    const results = withCounterRandom(() => entry.run(Object.fromEntries(tensors)));
    return Object.fromEntries(outputs.map(slot => [slot.name, rowMajor(results[slot.name], 'comparison')]));
  }
}

/** The same model, whose entries also return the gradients they leave in their parameters. */
function withGradients(definition: ModelDefinition): ModelDefinition {
  const build = (): ModelParts => {
    const parts = definition.build();
    const trained = trainedTensors(parts);
    const entries = Object.entries(parts.entries).map(([name, entry]) => [
      name,
      { ...entry, run: returningGradients(entry, trained) },
    ]);
    return { ...parts, entries: Object.fromEntries(entries) };
  };
  return { ...definition, build };
}

type NamedTensors = readonly (readonly [name: string, tensor: Tensor])[];

function returningGradients({ run }: Entry, trained: NamedTensors): Entry['run'] {
  return inputs => {
    const outputs = run(inputs);
    const gradients = trained.flatMap(([name, { grad }]) => (grad === null ? [] : [[name + gradientSuffix, grad]]));
    return typeof outputs === 'object' && !(outputs instanceof Tensor)
      ? { ...outputs, ...Object.fromEntries(gradients) }
      : outputs;
  };
}

function trainedTensors({ state }: ModelParts): NamedTensors {
  const named = Object.entries(state).flatMap(([key, source]): [string, Tensor][] =>
    source instanceof Tensor
      ? [[key, source]]
      : [...source.namedState(() => null)].map(([name, tensor]) => [`${key}.${name}`, tensor]),
  );
  return named.filter(([, tensor]) => requiresGrad(tensor));
}

function instantiateProgram(
  program: Program,
  state: ReadonlyMap<string, TypedArray>,
  { relaxed = false }: CompareOptions,
): Model {
  const bytes = emitProgram(program, wasm, { relaxed }).get(
    `${program.name}${relaxed ? '.relaxed' : ''}.wasm`,
  ) as BufferSource;
  if (!WebAssembly.validate(bytes))
    fail('E601', {
      backend: 'wasm',
      what: 'relaxed SIMD in this engine',
      hint: 'compare without --relaxed, or use Node 22 or later',
    });
  return instantiate(new WebAssembly.Module(bytes), loaderManifest(program), artifactState(program, state));
}

/** Compile a graph by itself and run it once. */
const compiledOnce =
  (options: CompareOptions) =>
  (graph: Graph, parameters: ReadonlyMap<string, TypedArray>): Record<string, TypedArray> => {
    const state = graph.params
      .filter(param => paramRole(param) === 'state')
      .map(param => ({ name: paramName(param), type: param.type }));
    const source: Source = { name: 'nodes', graphs: [graph], state };
    const { program } = compileToProgram(source, {}, evaluateConstant);
    return runCompiled(
      instantiateProgram(program, parameters, options),
      program.entries[0],
      Object.fromEntries(parameters),
    );
  };

function runCompiled(
  model: Model,
  { name, inputs, outputs }: EntryProgram,
  given: EntryInputs,
): Record<string, TypedArray> {
  const results = model[name](Object.fromEntries(inputs.map(slot => [slot.name, given[slot.name]])));
  return Object.fromEntries(outputs.map(slot => [slot.name, arrayFrom(results[slot.name], slot.type)]));
}

function arrayFrom(value: OutputValue, { dtype }: TensorType): TypedArray {
  if (typeof value !== 'number') return value as TypedArray;
  const array = new (arrayOf(dtype))(1);
  array[0] = dtype === 'int64' ? BigInt(value) : value;
  return array;
}

/** The largest difference of each tensor. */
class Differences {
  readonly #largest = new Map<string, Difference>();

  add(difference: Difference): void {
    const key = `${difference.entry}/${difference.name}`;
    const known = this.#largest.get(key) ?? difference;
    const larger = difference.absolute > known.absolute ? difference : known;
    this.#largest.set(key, { ...larger, agrees: known.agrees && difference.agrees });
  }

  get list(): Difference[] {
    return [...this.#largest.values()];
  }
  get agree(): boolean {
    return this.list.every(difference => difference.agrees);
  }
}

/** Milliseconds of a call once it is warm: the median of up to 30 calls within 300 ms. */
function medianTime(run: () => unknown): number {
  for (let warm = 0; warm < 3; warm++) run();
  const times: number[] = [];
  const start = performance.now();
  while (times.length === 0 || (times.length < 30 && performance.now() - start < 300)) {
    const before = performance.now();
    run();
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}
