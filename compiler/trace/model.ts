/**
 * Model files: what `defineModel`, `entry` and `input` describe, and how a whole model is traced.
 *
 * A model is state (modules, optimizers, tensors) and entries (functions on inputs that may read and change that state). All
 * entries share one state: traced, each is a pure program `(state, inputs) -> (state', outputs)`.
 */
import { fail } from '../errors.js';
import { type DType, float32 } from '../ir/dtype.js';
import {
  type Graph,
  Interner,
  mapGraph,
  type NamedResult,
  type Node,
  paramName,
  roots,
  type TensorType,
  topological,
} from '../ir/graph.js';
import type { Shape } from '../ir/shape.js';
import { philoxState } from '../ops/random.js';
import { eagerGrad, realForm, type Storage, Tensor, withExecutor } from '../ops/tensor.js';
import { checkInput, checkParts } from './check-model.js';
import { asDeclared, realResults, realSpecs } from './complex-entries.js';
import { withinEntry } from './entry-scope.js';
import { Trace, type ValueCheck } from './trace.js';

/** The shape and dtype of an argument. */
export interface InputSpec {
  readonly shape: Shape;
  readonly dtype: DType;
}
/** An input of an entry: a shape, and a dtype (float32 unless given). */
export function input(shape: Shape, dtype: DType = float32): InputSpec {
  checkInput(shape, dtype);
  return { shape: [...shape], dtype };
}

export type InputSpecs = Readonly<Record<string, InputSpec>>;
export type Outputs = Readonly<Record<string, Tensor>>;

export interface Entry<I extends InputSpecs = InputSpecs, O extends Outputs = Outputs> {
  readonly inputs: I;
  readonly run: (inputs: { readonly [K in keyof I]: Tensor }) => O;
}
/** Entries by name, whatever their inputs and outputs. */
// biome-ignore lint/suspicious/noExplicitAny: an entry's function takes its own inputs, so no narrower type bounds them all
export type Entries = Readonly<Record<string, Entry<any, any>>>;
/**
 * A function of a model that is compiled: its inputs, and what it does with them. It starts with the modules in the modes
 * they had when the model was built: `net.eval()` lasts until it returns. Complex numbers cross as pairs, [..., 2].
 */
export const entry = <I extends InputSpecs, O extends Outputs>(
  inputs: I,
  run: (inputs: { readonly [K in keyof I]: Tensor }) => O,
): Entry<I, O> => ({
  inputs: realSpecs(inputs),
  run: given => withinEntry(() => realResults(run(asDeclared(inputs, given)))),
});

/**
 * Anything that owns state: modules give parameters and buffers by name; optimizers name theirs after the parameters, whose
 * names `nameOf` tells.
 */
export interface StateSource {
  namedState(nameOf: (tensor: Tensor) => string | null): Iterable<readonly [name: string, tensor: Tensor]>;
}

export interface ModelParts<E extends Entries = Entries> {
  readonly state: Readonly<Record<string, StateSource | Tensor>>;
  readonly entries: E;
}
export interface ModelDefinition<E extends Entries = Entries> {
  readonly kind: 'gradc.model';
  readonly name: string;
  readonly build: () => ModelParts<E>;
}
/** The default export of a model file. `build` runs once per use and makes the state and the entries over it. */
export function defineModel<E extends Entries>(name: string, build: () => ModelParts<E>): ModelDefinition<E> {
  if (!/^[A-Za-z_]\w*$/.test(name))
    fail('E304', {
      problem: `model name '${name}' is not an identifier`,
      hint: 'it names files and exports: use letters, digits and _',
    });
  return { kind: 'gradc.model', name, build };
}

/** State by qualified name, as traced: the eager tensor holds the initial value. */
export interface StateEntry {
  readonly name: string;
  readonly type: TensorType;
  readonly storage: Storage;
}
export interface TracedModel {
  readonly name: string;
  readonly parts: ModelParts;
  /** One per entry, in order; their state parameters bear the names of `state`. */
  readonly graphs: readonly Graph[];
  readonly state: readonly StateEntry[];
  /** By entry, of those that have any: the conditions behind its results `check.0`, `check.1` and so on. */
  readonly checks: ReadonlyMap<string, readonly ValueCheck[]>;
}

/**
 * Build a model and trace all its entries; one of them again if another makes state of a gradient that it has not known as
 * such. Throws what the model's own code throws, and E301 to E304.
 */
export function traceModel(definition: ModelDefinition, options: Pick<TraceOptions, 'checkValues'> = {}): TracedModel {
  const parts = definition.build();
  checkParts(parts);
  const left = new Set<Tensor>();
  const traceEntry = ([name, { inputs, run }]: [string, Entry]): TracedFunction => {
    const traced = traceFunction(name, inputs, run, { ...options, left });
    for (const leaf of traced.trace.leaves) left.add(leaf);
    return traced;
  };
  const entries = Object.entries(parts.entries);
  let traces = entries.map(traceEntry);
  while (traces.some(({ trace }) => trace.isOutdated))
    traces = traces.map((traced, i) => (traced.trace.isOutdated ? traceEntry(entries[i]) : traced));
  return nameState(definition.name, parts, traces);
}

export interface TracedFunction {
  readonly trace: Trace;
  readonly graph: Graph;
}

export interface TraceOptions {
  /** Make the conditions that ops set on their values results of the graph too, named by `checkName`. */
  readonly checkValues?: boolean;
  /** Leaves whose gradient an entry traced before leaves behind. */
  readonly left?: ReadonlySet<Tensor>;
}
export const checkName = (i: number): string => `check.${i}`;
/** Is a result of this name such a condition? */
export const isCheckName = (name: string): boolean => /^check\.\d+$/.test(name);

/** Trace one function on named inputs. */
export function traceFunction(
  name: string,
  specs: InputSpecs,
  run: (inputs: Record<string, Tensor>) => unknown,
  { checkValues = false, left }: TraceOptions = {},
): TracedFunction {
  const trace = new Trace(name);
  if (left !== undefined) trace.left = left;
  if (checkValues) trace.checks = [];
  const inputs = Object.fromEntries(
    Object.entries(specs).map(([key, { shape, dtype }]) => [key, trace.input(key, { shape, dtype })]),
  );
  const results = withExecutor(trace, () => namedResults(trace, run(inputs)));
  const checks = (trace.checks ?? []).map(({ node }, i) => ({ name: checkName(i), node }));
  return { trace, graph: trace.finish([...results, ...checks]) };
}

function namedResults(trace: Trace, outputs: unknown): NamedResult[] {
  const describe = (value: unknown): string =>
    value instanceof Tensor
      ? 'a Tensor'
      : value === null
        ? 'null'
        : Array.isArray(value)
          ? 'an array'
          : `a ${typeof value}`;
  if (typeof outputs !== 'object' || outputs === null || outputs instanceof Tensor || Array.isArray(outputs)) {
    return fail('E303', {
      entry: trace.name,
      given: `it returned ${outputs === undefined ? 'nothing' : describe(outputs)}`,
    });
  }
  return Object.entries(outputs).map(([name, value]) => {
    if (!(value instanceof Tensor)) fail('E303', { entry: trace.name, given: `'${name}' is ${describe(value)}` });
    return { name, node: trace.nodeOf(value, `result '${name}'`) };
  });
}

/** The graph of one function on its own, and the eager memory it captured. */
export function nameCaptured(traced: TracedFunction): { graph: Graph; state: readonly StateEntry[] } {
  const { graphs, state } = nameState(traced.graph.name, { state: {}, entries: {} }, [traced]);
  return { graph: graphs[0], state };
}

/** Give captured memory the names of the model's state. Memory that no state source owns is called `constant.N`. */
function nameState(name: string, parts: ModelParts, traces: readonly TracedFunction[]): TracedModel {
  const names = stateNames(parts.state);
  const state = new Map<Storage, StateEntry>();
  const dropped = unreadGradients(traces);
  for (const { trace } of traces) {
    for (const { storage, type } of trace.captured.values()) {
      if (!state.has(storage) && !dropped.has(storage))
        state.set(storage, { name: names.get(storage) ?? `constant.${state.size}`, type, storage });
    }
  }
  const order = [...names.keys()];
  const rank = (storage: Storage): number => (order.includes(storage) ? order.indexOf(storage) : order.length);
  const sorted = [...state.values()].sort((a, b) => rank(a.storage) - rank(b.storage));
  const checks = traces.flatMap(({ trace }) => (trace.checks?.length ? [[trace.name, trace.checks] as const] : []));
  return {
    name,
    parts,
    graphs: traces.map(traced => renameState(traced, state)),
    state: sorted,
    checks: new Map(checks),
  };
}

/** Gradients that every entry resets before it looks at them: they end with the call, so they are no state. */
function unreadGradients(traces: readonly TracedFunction[]): ReadonlySet<Storage> {
  const gradients = new Set(traces.flatMap(({ trace }) => trace.gradients));
  for (const { trace, graph } of traces) {
    const read = new Set(topological(roots(graph)));
    for (const storage of gradients) {
      const captured = trace.captured.get(storage);
      if (captured !== undefined && read.has(captured.param)) gradients.delete(storage);
    }
  }
  return gradients;
}

function stateNames(sources: ModelParts['state']): Map<Storage, string> {
  const names = new Map<Storage, string>();
  const nameOf = (tensor: Tensor): string | null =>
    tensor.value.kind === 'eager' ? (names.get(tensor.value.storage) ?? null) : null;
  const add = (name: string, given: Tensor): void => {
    const tensor = realForm(given);
    if (tensor.value.kind !== 'eager' || names.has(tensor.value.storage)) return;
    names.set(tensor.value.storage, name);
    const grad = eagerGrad.read(tensor);
    if (grad !== null) add(`${name}.grad`, grad);
  };
  for (const [key, source] of Object.entries(sources)) {
    if (source instanceof Tensor) add(key, source);
    else for (const [name, tensor] of source.namedState(nameOf)) add(`${key}.${name}`, tensor);
  }
  add('random', philoxState());
  return names;
}

function renameState({ trace, graph }: TracedFunction, state: ReadonlyMap<Storage, StateEntry>): Graph {
  const newNames = new Map<Node, string>();
  const dropped = new Set<Node>();
  for (const { param, storage } of trace.captured.values()) {
    const entry = state.get(storage);
    if (entry === undefined) dropped.add(param);
    else newNames.set(param, entry.name);
  }
  const interner = new Interner();
  const kept: Graph = {
    ...graph,
    params: graph.params.filter(param => !dropped.has(param)),
    updates: new Map([...graph.updates].filter(([param]) => !dropped.has(param))),
  };
  return mapGraph(
    kept,
    interner,
    (node, inputs) => interner.like(node, inputs),
    param => newNames.get(param) ?? paramName(param),
  );
}
