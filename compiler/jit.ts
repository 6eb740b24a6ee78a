/**
 * `compile(fn, specs)`: a function compiled now, in this process, with the same signature. For notebooks, tests, comparison.
 *
 * Eager tensors that the function captures stay the owners of their values: what changed since the last call is copied into
 * the compiled program before it runs, and what it updated is copied back.
 */
import type { ArtifactFiles } from '../backends/backend.js';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { instantiateJs } from '../backends/js/run.js';
import { wasm } from '../backends/wasm/backend.js';
import { rowMajor } from '../runtime/eager.js';
import { fail, InternalError } from './errors.js';
import { arrayOf } from './ir/dtype.js';
import { formatType, type Graph, paramName } from './ir/graph.js';
import type { Program, Slot } from './ir/program.js';
import { formatShape, numel, sameShape } from './ir/shape.js';
import type { AnyFunction } from './ops/define.js';
import { overPair, type Storage, Tensor, tensorOver } from './ops/tensor.js';
import type { DebugOptions } from './pass.js';
import { type Compilation, compileToProgram, scheduleProgram } from './pipeline.js';
import { asDeclared, asReal, complexNames, realResults, realSpecs } from './trace/complex-entries.js';
import {
  checkName,
  type InputSpec,
  type ModelDefinition,
  nameCaptured,
  type StateEntry,
  type TracedModel,
  traceFunction,
  traceModel,
} from './trace/model.js';
import { errorOf, type ValueCheck } from './trace/trace.js';

/** What a program is compiled to. */
export interface CompileTarget {
  /** `wasm` (default), or `js`: the unscheduled oracle. */
  readonly backend?: 'wasm' | 'js';
  /** Fused multiply-add where the engine has relaxed SIMD. */
  readonly relaxed?: boolean;
}

export interface CompileOptions extends CompileTarget {
  /**
   * Throw what eager execution throws for values that an op does not take (an index beyond the end, a singular matrix),
   * after the call that met them, at the line of the op: what `gradc build --check-values` does to an artifact. For debugging:
   * looking at all values takes time.
   */
  readonly checkValues?: boolean;
  readonly debug?: DebugOptions;
}

type Structure =
  | { readonly kind: 'tensor' }
  | { readonly kind: 'list'; readonly keys: readonly string[] }
  | { readonly kind: 'record' };

/** A compiled function; `compilation` has every stage for inspection. */
export type Compiled<F> = F & { readonly compilation: Compilation; readonly files: ArtifactFiles };

/**
 * Compile a function of tensors. `specs` gives the shape and dtype of each argument: a list for positional arguments, or a
 * record for a function of one record of tensors. The function may return a tensor, a list, or a record of tensors.
 * Throws E301 to E304 from tracing, E601 from the backend; the compiled function throws E110 for an input that does not fit.
 */
export function compile<A extends readonly Tensor[], R>(
  fn: (...inputs: A) => R,
  specs: readonly InputSpec[],
  options?: CompileOptions,
): Compiled<(...inputs: A) => R>;
export function compile<I extends Readonly<Record<string, Tensor>>, R>(
  fn: (inputs: I) => R,
  specs: Readonly<Record<keyof I, InputSpec>>,
  options?: CompileOptions,
): Compiled<(inputs: I) => R>;
export function compile(
  fn: AnyFunction,
  specs: readonly InputSpec[] | Readonly<Record<string, InputSpec>>,
  options: CompileOptions = {},
): Compiled<AnyFunction> {
  return prepare(fn, specs, options)(options);
}

/**
 * The same for several targets: the function is traced and optimised once, here, and scheduled once, for the first target that
 * asks for it.
 */
export function prepare(
  fn: AnyFunction,
  specs: readonly InputSpec[] | Readonly<Record<string, InputSpec>>,
  options: Omit<CompileOptions, keyof CompileTarget> = {},
): (target: CompileTarget) => Compiled<AnyFunction> {
  const positional = Array.isArray(specs);
  const named: Record<string, InputSpec> = positional
    ? Object.fromEntries(specs.map((spec, i) => [`arg${i}`, spec]))
    : (specs as Record<string, InputSpec>);
  let structure: Structure = { kind: 'tensor' };
  let complexOnes: readonly string[] = [];
  const traced = traceFunction(
    fn.name || 'compiled',
    realSpecs(named),
    real => {
      const inputs = asDeclared(named, real);
      const outputs = positional ? fn(...Object.values(inputs)) : fn(inputs);
      structure = structureOf(outputs);
      const results =
        structure.kind === 'tensor'
          ? { out: outputs }
          : structure.kind === 'list'
            ? Object.fromEntries(structure.keys.map((key, i) => [key, (outputs as unknown[])[i]]))
            : outputs;
      complexOnes = complexNames(results);
      return realResults(results);
    },
    options,
  );
  const { graph, state } = nameCaptured(traced);
  const executables = new Executables('compiled', [graph], state, options.debug);
  return target => {
    const executable = executables.on(target);
    const call = (...args: unknown[]): unknown => {
      const inputs = positional
        ? Object.fromEntries(Object.keys(named).map((name, i) => [name, args[i]]))
        : (args[0] as Record<string, unknown>);
      const outputs = withoutChecks(executable.call(graph.name, asReal(named, inputs)), traced.trace.checks ?? []);
      for (const name of complexOnes) outputs[name] = overPair(outputs[name]);
      return structure.kind === 'tensor'
        ? outputs.out
        : structure.kind === 'list'
          ? structure.keys.map(key => outputs[key])
          : outputs;
    };
    return Object.assign(call, { compilation: executable.compilation, files: executable.files });
  };
}

/** The outputs that the function has; throws the error of the first check that does not hold. */
function withoutChecks(outputs: Record<string, Tensor>, checks: readonly ValueCheck[]): Record<string, Tensor> {
  for (const [i, check] of checks.entries()) {
    if (!outputs[checkName(i)].item<boolean>()) throw errorOf(check);
    delete outputs[checkName(i)];
  }
  return outputs;
}

/** A model file's entries, compiled in this process over one shared state. */
export function compileDefinition(
  definition: ModelDefinition,
  options: CompileOptions = {},
): { traced: TracedModel; executable: Executable } {
  const traced = traceModel(definition);
  const executables = new Executables(traced.name, traced.graphs, traced.state, options.debug);
  return { traced, executable: executables.on(options) };
}

/** Trace a function to its graph, without compiling it. */
export function trace(fn: (...inputs: Tensor[]) => Tensor, specs: readonly InputSpec[]): Graph {
  return traceFunction(fn.name || 'traced', Object.fromEntries(specs.map((spec, i) => [`arg${i}`, spec])), inputs => ({
    out: fn(...Object.values(inputs)),
  })).graph;
}

function structureOf(outputs: unknown): Structure {
  if (outputs instanceof Tensor) return { kind: 'tensor' };
  if (Array.isArray(outputs)) return { kind: 'list', keys: outputs.map((_, i) => `out${i}`) };
  return { kind: 'record' };
}

interface Module {
  readonly buffer: () => ArrayBufferLike;
  readonly entries: Readonly<Record<string, () => void>>;
}

/** Graphs over one state, compiled as far as no target matters, and from there to each that is asked for. */
class Executables {
  readonly #compilation: Compilation;
  #scheduled: Program | null = null;

  constructor(
    readonly name: string,
    graphs: readonly Graph[],
    readonly state: readonly StateEntry[],
    readonly debug: DebugOptions | undefined,
  ) {
    this.#compilation = compileToProgram({ name, graphs, state }, debug, evaluateConstant);
  }

  on({ backend, relaxed = false }: CompileTarget): Executable {
    if (backend === 'js') {
      const { memory, entries } = instantiateJs(this.#compilation.program);
      return this.#executable(new Map(), { buffer: () => memory, entries });
    }
    this.#scheduled ??= scheduleProgram(this.#compilation.program, wasm, this.debug);
    const files = wasm.emit(this.#scheduled, { relaxed: relaxed && 'only' });
    const module = files.get(`${this.name}${relaxed ? '.relaxed' : ''}.wasm`) as Uint8Array;
    return this.#executable(files, instantiateWasm(module));
  }

  #executable(files: ArtifactFiles, module: Module): Executable {
    return new Executable(this.#compilation, files, this.state, module);
  }
}

/** A program in memory, synchronised with the eager tensors it was traced over. */
export class Executable {
  readonly #module: Module;
  readonly #versions = new Map<Storage, number>();

  constructor(
    readonly compilation: Compilation,
    readonly files: ArtifactFiles,
    readonly state: readonly StateEntry[],
    module: Module,
  ) {
    this.#module = module;
  }

  /** Run an entry on eager tensors; returns new ones. Throws E110 for a missing, unknown or misfitting input. */
  call(name: string, inputs: Readonly<Record<string, unknown>>): Record<string, Tensor> {
    const entry = this.compilation.program.entries.find(e => e.name === name);
    if (!entry) throw new InternalError(`no entry '${name}'`);
    for (const given of Object.keys(inputs)) {
      if (!entry.inputs.some(slot => slot.name === given))
        fail('E110', {
          op: name,
          problem: `unknown input '${given}'`,
          hint: `its inputs: ${entry.inputs.map(slot => `${slot.name}: ${formatType(slot.type)}`).join(', ')}`,
        });
    }
    this.#writeState();
    for (const slot of entry.inputs)
      this.#view(slot).set(rowMajor(checkedInput(name, slot, inputs[slot.name]), 'an input') as never);
    this.#module.entries[name]();
    this.#readState(name);
    return Object.fromEntries(entry.outputs.map(slot => [slot.name, tensorOver(this.#view(slot).slice(), slot.type)]));
  }

  #view({ type, offset }: Slot) {
    return new (arrayOf(type.dtype))(this.#module.buffer(), offset, numel(type.shape));
  }

  #slots(): (readonly [Slot, Storage])[] {
    const { state } = this.compilation.program;
    return this.state.map(({ name, storage }) => [state.find(slot => slot.name === name)!, storage] as const);
  }

  #writeState(): void {
    for (const [slot, storage] of this.#slots()) {
      if (this.#versions.get(storage) === storage.version) continue;
      this.#view(slot).set(storage.array as never);
      this.#versions.set(storage, storage.version);
    }
  }

  #readState(entry: string): void {
    const graph = this.compilation.graphs.find(g => g.name === entry)!;
    const updated = new Set([...graph.updates.keys()].map(paramName));
    for (const [slot, storage] of this.#slots()) {
      if (!updated.has(slot.name)) continue;
      storage.array.set(this.#view(slot) as never);
      this.#versions.set(storage, ++storage.version);
    }
  }
}

function checkedInput(entry: string, slot: Slot, given: unknown): Tensor {
  const expected = formatType(slot.type);
  if (!(given instanceof Tensor))
    return fail('E110', {
      op: entry,
      problem: `input '${slot.name}' must be a Tensor ${expected}, but ${given === undefined ? 'it is missing' : `a ${typeof given} was given`}`,
    });
  if (given.dtype !== slot.type.dtype || !sameShape(given.shape, slot.type.shape)) {
    fail('E110', {
      op: entry,
      problem: `input '${slot.name}' must be ${expected}, but ${given.dtype}${formatShape(given.shape)} was given`,
      hint: 'an entry is compiled for the shapes and dtypes of its specs; compile another for other shapes',
    });
  }
  return given;
}

function instantiateWasm(bytes: Uint8Array): Module {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const memory = exports.memory as WebAssembly.Memory;
  return { buffer: () => memory.buffer, entries: exports as unknown as Record<string, () => void> };
}
