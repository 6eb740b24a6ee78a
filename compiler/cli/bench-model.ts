/** What a model costs: time, memory and size of each entry, eagerly and compiled, and where the time goes by kernel. */
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { wasm } from '../../backends/wasm/backend.js';
import { withCounterRandom } from '../../runtime/entry-run.js';
import { memoryUses } from '../artifact/manifest.js';
import { fail } from '../errors.js';
import type { TypedArray } from '../ir/dtype.js';
import type { Kernel } from '../ir/kernel.js';
import type { EntryProgram, Program } from '../ir/program.js';
import { tensorOver } from '../ops/tensor.js';
import { compileToProgram, emitProgram } from '../pipeline.js';
import { type Entry, type ModelDefinition, type TracedModel, traceModel } from '../trace/model.js';
import { type Ceilings, measureCeilings } from './bench/ceilings.js';
import { type Cost, rooflineMs, totalCost } from './bench/cost.js';
import { type LaunchTime, launchTimes } from './bench/kernel-times.js';
import { countedLaunches } from './bench/launches.js';
import { measure, type Times } from './bench/timing.js';
import { type Variant, variants } from './choices.js';
import { allocating } from './compare/cost.js';
import { type Instance, instances, isRunnable } from './compare/variants.js';
import { type EntryInputs, randomInputs } from './random-inputs.js';

export interface BenchOptions {
  /** Only these entries; default all. */
  readonly entries?: readonly string[];
  /** Default: those that this engine runs. */
  readonly variants?: readonly Variant[];
  /** For each measurement; default 1. */
  readonly seconds?: number;
  /** Integer inputs are drawn from [0, `integers`); default 2. */
  readonly integers?: number;
  /** false: leave the eager model out. */
  readonly eager?: boolean;
  /** With the plans of a tuning; default as estimated. */
  readonly backend?: typeof wasm;
  readonly progress?: (text: string) => void;
}

export interface BenchResult {
  readonly name: string;
  readonly node: string;
  readonly ceilings: Ceilings;
  readonly modules: readonly ModuleSize[];
  /** Bytes of the state, and of all memory that compiled calls use. */
  readonly stateBytes: number;
  readonly memoryBytes: number;
  readonly entries: readonly EntryBench[];
}
export interface ModuleSize {
  readonly variant: Variant;
  readonly bytes: number;
}
export interface EntryBench extends Cost {
  readonly entry: string;
  readonly times: readonly EntryTime[];
  /** Inputs, outputs and temporaries where most of them are alive. */
  readonly memoryBytes: number;
  /** Of tensors that one eager call makes; null where it was left out. */
  readonly eagerBytes: number | null;
  /** Of a module with this entry alone. */
  readonly moduleBytes: number;
  /** Longest first, of the last variant. */
  readonly kernels: readonly KernelBench[];
}
export interface EntryTime extends Times {
  readonly mode: 'eager' | 'compiled';
  readonly variant: 'eager' | Variant;
  /** The least time on this machine, kernel by kernel, over the median. */
  readonly roofline: number;
}
export interface KernelBench extends Cost, Times {
  readonly kernel: string;
  /** What it computes. */
  readonly doc: string;
  /** How often the entry runs it; times and costs are of all of these together. */
  readonly calls: number;
  readonly roofline: number;
}

export async function benchModel(definition: ModelDefinition, options: BenchOptions = {}): Promise<BenchResult> {
  const { progress = () => {} } = options;
  progress('measuring what the machine can do');
  const ceilings = measureCeilings();
  const traced = traceModel(definition);
  const { program } = compileToProgram(traced, {}, evaluateConstant);
  const state = new Map(traced.state.map(({ name, storage }) => [name, storage.array]));
  const wanted = options.variants ?? variants.filter(variant => variant !== 'threads' && isRunnable(variant));
  const compiled = await instances(program, state, wanted, { backend: options.backend });
  const run = new Run(traced, program, state, compiled, ceilings, options);
  const entries = chosenEntries(program, options.entries);
  return {
    name: program.name,
    node: process.version,
    ceilings,
    modules: compiled.map(({ variant, moduleBytes }) => ({ variant, bytes: moduleBytes })),
    stateBytes: program.stateBytes,
    memoryBytes: program.totalBytes,
    entries: entries.map(entry => {
      progress(`timing ${entry.name}`);
      return run.entry(entry);
    }),
  };
}

/** Throws E501 for a name that no entry has. */
function chosenEntries({ name, entries }: Program, wanted?: readonly string[]): readonly EntryProgram[] {
  const missing = wanted?.find(entry => !entries.some(known => known.name === entry));
  if (missing !== undefined)
    fail('E501', {
      problem: `${name} has no entry '${missing}'`,
      hint: `its entries: ${entries.map(entry => entry.name).join(', ')}`,
    });
  return wanted === undefined ? entries : entries.filter(entry => wanted.includes(entry.name));
}

/** One model, eager and compiled, and what its entries are measured against. */
class Run {
  readonly #drawn: (entry: EntryProgram) => EntryInputs;
  readonly #seconds: number;
  constructor(
    readonly traced: TracedModel,
    readonly program: Program,
    readonly state: ReadonlyMap<string, TypedArray>,
    readonly compiled: readonly Instance[],
    readonly ceilings: Ceilings,
    readonly options: BenchOptions,
  ) {
    this.#drawn = randomInputs(options.integers ?? 2);
    this.#seconds = options.seconds ?? 1;
  }

  entry(entry: EntryProgram): EntryBench {
    const { program, options } = this;
    const inputs = this.#drawn(entry);
    const eagerly = (): unknown => this.#runEagerly(entry.name, inputs);
    const withEager = options.eager ?? true;
    return {
      entry: entry.name,
      ...totalCost(countedLaunches(entry.steps)),
      times: [...this.#compiledTimes(entry, inputs), ...(withEager ? [this.#eagerTime(entry, eagerly)] : [])],
      memoryBytes: mostAlive(program, entry),
      eagerBytes: withEager ? allocating(eagerly).bytes : null,
      moduleBytes: emitProgram({ ...program, entries: [entry] }, options.backend ?? wasm).get(`${program.name}.wasm`)!
        .length,
      kernels: this.#kernels(entry, inputs),
    };
  }

  #compiledTimes(entry: EntryProgram, inputs: EntryInputs): EntryTime[] {
    return this.compiled.map(({ variant, model }) => {
      const times = measure(() => model[entry.name](inputs, { copy: false }), this.#seconds);
      const least = rooflineMs(countedLaunches(entry.steps), this.ceilings, variant === 'relaxed');
      return { mode: 'compiled', variant, ...times, roofline: least / times.medianMs };
    });
  }

  #eagerTime({ steps }: EntryProgram, run: () => unknown): EntryTime {
    const times = measure(run, this.#seconds);
    const least = rooflineMs(countedLaunches(steps), this.ceilings, isRunnable('relaxed'));
    return { mode: 'eager', variant: 'eager', ...times, roofline: least / times.medianMs };
  }

  #runEagerly(name: string, inputs: EntryInputs): unknown {
    const entry: Entry = this.traced.parts.entries[name];
    const tensors = Object.entries(entry.inputs).map(([key, { shape, dtype }]) => [
      key,
      tensorOver(inputs[key], { dtype, shape }),
    ]);
    return withCounterRandom(() => entry.run(Object.fromEntries(tensors)));
  }

  #kernels(entry: EntryProgram, inputs: EntryInputs): KernelBench[] {
    const contents = new Map([...this.state, ...Object.entries(inputs)]);
    const relaxed = this.compiled.at(-1)?.variant === 'relaxed';
    const byKernel = new Map<Kernel, LaunchTime[]>();
    for (const time of launchTimes(this.program, entry, contents, relaxed, this.#seconds, this.options.backend)) {
      const { kernel } = time.launch;
      byKernel.set(kernel, [...(byKernel.get(kernel) ?? []), time]);
    }
    return [...byKernel].map(([kernel, times]) => this.#kernel(kernel, times, relaxed)).sort(longestFirst);
  }

  #kernel(kernel: Kernel, times: readonly LaunchTime[], relaxed: boolean): KernelBench {
    const sum = (of: (time: LaunchTime) => number): number =>
      times.reduce((total, time) => total + time.runs * of(time), 0);
    const medianMs = sum(time => time.medianMs);
    return {
      kernel: kernel.name,
      doc: kernel.doc,
      calls: sum(() => 1),
      ...totalCost(times),
      medianMs,
      minMs: sum(time => time.minMs),
      roofline: rooflineMs(times, this.ceilings, relaxed) / medianMs,
    };
  }
}

const longestFirst = (a: KernelBench, b: KernelBench): number => b.medianMs - a.medianMs;

/** Bytes of an entry's buffers at the kernel where most are alive. */
function mostAlive(program: Program, entry: EntryProgram): number {
  const uses = memoryUses(program, entry);
  const alive = (step: number): number =>
    uses.filter(({ first, last }) => first <= step && step <= last).reduce((sum, { bytes }) => sum + bytes, 0);
  return Math.max(0, ...uses.map(({ first }) => alive(first)));
}
