/**
 * Eager against compiled: the same model, the same inputs, several steps; how far outputs, gradients and state come apart.
 *
 * Each entry is compiled with the gradients it computes as further outputs, so that a wrong derivative shows as itself and
 * not only in the state it spoils. The compiled model starts from the eager model's state and then goes its own way.
 */
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { wasm } from '../../backends/wasm/backend.js';
import { instantiate, type Model, type OutputValue } from '../../runtime/deploy/model.js';
import { rowMajor } from '../../runtime/eager.js';
import { loaderManifest } from '../artifact/manifest.js';
import { artifactState } from '../artifact/write.js';
import { fail } from '../errors.js';
import { arrayOf, isFloat, type TypedArray } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import type { EntryProgram, Program } from '../ir/program.js';
import { numel } from '../ir/shape.js';
import { requiresGrad } from '../ops/tape.js';
import { Tensor, tensorOver } from '../ops/tensor.js';
import { compileToProgram, emitProgram } from '../pipeline.js';
import { type Entry, type ModelDefinition, type ModelParts, type TracedModel, traceModel } from '../trace/model.js';

export type EntryInputs = Readonly<Record<string, TypedArray>>;
export interface CompareOptions {
  /** Calls of each entry. */
  readonly steps: number;
  /** A tensor agrees where |a - b| <= atol + rtol · max|a| for all of its elements. Defaults 1e-6 and 1e-4. */
  readonly rtol?: number;
  readonly atol?: number;
  /** The inputs of a call. Default: floats in [-1, 1), integers in [0, `integers`). */
  readonly inputs?: (entry: string, step: number) => EntryInputs;
  /** Default 2. */
  readonly integers?: number;
  /** Compare the variant with relaxed SIMD. */
  readonly relaxed?: boolean;
}
export interface Difference {
  readonly kind: 'output' | 'gradient' | 'state';
  /** The entry; null for state, which is compared after the last step. */
  readonly entry: string | null;
  readonly name: string;
  /** Largest |a - b|, and the same over the largest |a|. */
  absolute: number;
  relative: number;
  agrees: boolean;
  /** The step at which `absolute` was seen. */
  step: number;
}
export interface Timing {
  readonly entry: string;
  readonly eagerMs: number;
  readonly compiledMs: number;
}
export interface Comparison {
  readonly agrees: boolean;
  readonly differences: readonly Difference[];
  readonly timings: readonly Timing[];
}

const gradientSuffix = '.grad';

export function compareModel(definition: ModelDefinition, options: CompareOptions): Comparison {
  const traced = traceModel(withGradients(definition));
  const { program } = compileToProgram(traced, {}, evaluateConstant);
  const model = instantiateProgram(program, traced, options.relaxed ?? false);
  const differences = new Map<string, Difference>();
  const record = (
    difference: Pick<Difference, 'kind' | 'entry' | 'name' | 'step'>,
    eager: TypedArray,
    compiled: TypedArray,
  ): void => {
    const key = `${difference.entry}/${difference.name}`;
    const measured = { ...difference, ...measure(eager, compiled, options) };
    const known = differences.get(key);
    if (known === undefined) differences.set(key, measured);
    else if (measured.absolute > known.absolute || !measured.agrees)
      differences.set(key, { ...measured, agrees: measured.agrees && known.agrees });
  };
  const times = new Map<string, { eager: number[]; compiled: number[] }>();
  const random = randomNumbers(1);
  const inputsOf = (entry: EntryProgram, step: number): EntryInputs =>
    options.inputs?.(entry.name, step) ??
    Object.fromEntries(entry.inputs.map(({ name, type }) => [name, randomInput(type, random, options.integers ?? 2)]));
  for (let step = 0; step < options.steps; step++) {
    for (const entry of program.entries) {
      const time = times.get(entry.name) ?? { eager: [], compiled: [] };
      times.set(entry.name, time);
      const inputs = inputsOf(entry, step);
      const eager = timed(time.eager, () => runEagerly(traced.parts.entries[entry.name], entry, inputs));
      const compiled = timed(time.compiled, () => model[entry.name](inputs, { copy: false }));
      for (const { name, type } of entry.outputs) {
        const kind = name.endsWith(gradientSuffix) ? 'gradient' : 'output';
        record({ kind, entry: entry.name, name, step }, eager[name], arrayFrom(compiled[name], type));
      }
    }
  }
  for (const { name, storage } of traced.state)
    record(
      { kind: 'state', entry: null, name, step: options.steps - 1 },
      storage.array,
      model.state[name] as TypedArray,
    );
  return {
    agrees: [...differences.values()].every(difference => difference.agrees),
    differences: [...differences.values()],
    timings: [...times].map(([entry, { eager, compiled }]) => ({
      entry,
      eagerMs: median(eager),
      compiledMs: median(compiled),
    })),
  };
}

/** The same model, whose entries also return the gradients they leave in their parameters. */
function withGradients(definition: ModelDefinition): ModelDefinition {
  return {
    ...definition,
    build() {
      const parts = definition.build();
      const parameters = parametersOf(parts);
      const instrumented = (entry: Entry): Entry => ({
        ...entry,
        run(inputs) {
          const outputs = entry.run(inputs);
          const gradients = parameters
            .filter(([, tensor]) => tensor.grad !== null)
            .map(([name, tensor]) => [name + gradientSuffix, tensor.grad!] as const);
          return typeof outputs === 'object' && !(outputs instanceof Tensor)
            ? { ...outputs, ...Object.fromEntries(gradients) }
            : outputs;
        },
      });
      return {
        ...parts,
        entries: Object.fromEntries(Object.entries(parts.entries).map(([name, entry]) => [name, instrumented(entry)])),
      };
    },
  };
}

function parametersOf({ state }: ModelParts): [name: string, tensor: Tensor][] {
  const named = Object.entries(state).flatMap(([key, source]): [string, Tensor][] =>
    source instanceof Tensor
      ? [[key, source]]
      : [...source.namedState(() => null)].map(([name, tensor]) => [`${key}.${name}`, tensor]),
  );
  return named.filter(([, tensor]) => requiresGrad(tensor));
}

function instantiateProgram(program: Program, traced: TracedModel, relaxed: boolean): Model {
  const files = emitProgram(program, wasm, { relaxed });
  const bytes = files.get(`${program.name}${relaxed ? '.relaxed' : ''}.wasm`) as Uint8Array;
  if (!WebAssembly.validate(bytes as BufferSource))
    fail('E601', {
      backend: 'wasm',
      what: 'relaxed SIMD in this engine',
      hint: 'compare without --relaxed, or use Node 22 or later',
    });
  const state = artifactState(program, new Map(traced.state.map(({ name, storage }) => [name, storage.array])));
  return instantiate(new WebAssembly.Module(bytes as BufferSource), loaderManifest(program), state);
}

function runEagerly(
  entry: Entry,
  { outputs }: EntryProgram,
  inputs: Readonly<Record<string, TypedArray>>,
): Record<string, TypedArray> {
  const tensors = Object.fromEntries(
    Object.entries(entry.inputs).map(([name, { shape, dtype }]) => [
      name,
      tensorOver(inputs[name].slice(), { dtype, shape }),
    ]),
  );
  const results = entry.run(tensors);
  return Object.fromEntries(outputs.map(({ name }) => [name, rowMajor(results[name], 'comparison')]));
}

function arrayFrom(value: OutputValue, { dtype }: TensorType): TypedArray {
  if (typeof value !== 'number') return value as TypedArray;
  const array = new (arrayOf(dtype))(1);
  array[0] = dtype === 'int64' ? BigInt(value) : value;
  return array;
}

function measure(
  eager: TypedArray,
  compiled: TypedArray,
  { rtol = 1e-4, atol = 1e-6 }: CompareOptions,
): Pick<Difference, 'absolute' | 'relative' | 'agrees'> {
  let absolute = 0;
  let largest = 0;
  for (let i = 0; i < eager.length; i++) {
    const [a, b] = [Number(eager[i]), Number(compiled[i])];
    largest = Math.max(largest, Number.isFinite(a) ? Math.abs(a) : 0);
    if (!Object.is(a, b) && a !== b)
      absolute = Math.max(absolute, Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.abs(a - b));
  }
  return {
    absolute,
    relative: absolute === 0 ? 0 : absolute / Math.max(largest, Number.MIN_VALUE),
    agrees: absolute <= atol + rtol * largest,
  };
}

function randomInput({ dtype, shape }: TensorType, random: () => number, integers: number): TypedArray {
  const array = new (arrayOf(dtype))(numel(shape));
  for (let i = 0; i < array.length; i++) {
    if (isFloat(dtype)) array[i] = random() * 2 - 1;
    else
      array[i] =
        dtype === 'int64'
          ? BigInt(Math.floor(random() * integers))
          : Math.floor(random() * (dtype === 'bool' ? 2 : integers));
  }
  return array;
}

/** Uniform in [0, 1), the same for the same seed (mulberry32 by T. Ettinger, public domain). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function timed<T>(times: number[], run: () => T): T {
  const start = performance.now();
  const result = run();
  times.push(performance.now() - start);
  return result;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];
