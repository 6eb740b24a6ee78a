/**
 * Running a case compiled: the whole case, gradients included, is traced as one entry and the compiled program's results are
 * compared.
 *
 * A script is evaluated once, inside the trace, with its inputs as traced tensors. What it reads from tensors (`item()`,
 * `print`, `repr`) is deferred until the program has run; a script that decides on such a value cannot be traced as a whole
 * and is unsupported, by name.
 */
import { GradcError } from '../../compiler/errors.js';
import { gradOf } from '../../compiler/ops/backward.js';
import { executor, Tensor } from '../../compiler/ops/tensor.js';
import { type InputSpecs, input } from '../../compiler/trace/model.js';
import { Dict, Size, settled, Tuple, type Value } from '../support/python/values.js';
import { setReadLater } from '../support/torch-adapter-reading.js';
import { NamedTuple, NdArray } from '../support/torch-adapter-values.js';
import { programRunners } from './backends.js';
import type { Case, CaseInput } from './cases.js';
import {
  checkOutputs,
  compareGradients,
  compareScript,
  runEager,
  scriptAdapter,
  scriptText,
  withCotangents,
} from './eager.js';
import { decodeTensor } from './encoding.js';
import { evaluateTree } from './expression.js';
import {
  type Mode,
  missingError,
  notApplicable,
  type Outcome,
  outcomeOfError,
  outcomeOfExpectedError,
  passed,
  unsupported,
} from './outcome.js';

/** An entry to compile, and values to run it on. */
export interface Job {
  readonly name: string;
  readonly specs: InputSpecs;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly run: (inputs: Readonly<Record<string, Tensor>>) => Record<string, Tensor>;
}
export type JobResult = { readonly results: Readonly<Record<string, Tensor>> } | { readonly error: unknown };

/** What tracing a job showed. */
class Traced {
  /** No result is a tensor. */
  isEmpty = false;
  drawsRandom = false;

  /** Watch the trace that is being made. */
  watch(): void {
    const trace = executor();
    const run = trace.run.bind(trace);
    trace.run = (def, inputs, attrs, type) => {
      this.drawsRandom ||= def.name.startsWith('philox');
      return run(def, inputs, attrs, type);
    };
  }

  results(tensors: Record<string, Tensor>): Record<string, Tensor> {
    this.isEmpty = Object.keys(tensors).length === 0;
    return tensors;
  }
}

/** A case as a job, and how its results are judged. */
interface Compilation {
  readonly job: Job;
  readonly judge: (results: Readonly<Record<string, Tensor>>) => Outcome;
  readonly traced: Traced;
}

export async function compileCases(
  cases: readonly Case[],
  mode: Exclude<Mode, 'eager'>,
  root: string,
): Promise<Outcome[]> {
  const compilations = cases.map(entry =>
    entry.kind === 'expr' ? compileExpression(entry, root) : compileScript(entry, root),
  );
  const results = await programRunners[mode](compilations.map(({ job }) => job));
  return cases.map((entry, i) => judge(entry, compilations[i], results[i], root));
}

function judge(entry: Case, compilation: Compilation, result: JobResult, root: string): Outcome {
  if ('error' in result)
    return entry.error ? outcomeOfExpectedError(entry, result.error) : outcomeOfTraceError(result.error);
  if (entry.error) return judgeMissingError(entry, root);
  const outcome = judgeResults(compilation, result.results);
  if (outcome.status === 'passed' && compilation.traced.isEmpty) return notApplicable('no tensor is computed');
  if (outcome.status === 'failed' && compilation.traced.drawsRandom) {
    return unsupported("PyTorch's random numbers inside an entry: they come from the counter-based generator");
  }
  return outcome;
}

function judgeResults({ judge: check }: Compilation, results: Readonly<Record<string, Tensor>>): Outcome {
  try {
    return check(results);
  } catch (error) {
    return outcomeOfError(error);
  }
}

/** An error that eager execution finds in the values, where the compiled program does not look for it. */
function judgeMissingError(entry: Case, root: string): Outcome {
  if (runEager(entry, root).status !== 'passed') return missingError(entry);
  return unsupported(`an error that depends on values: ${entry.error!.message.slice(0, 80)}`);
}

/** Values needed, inputs changed or gradients carried over inside a trace: by design no program, so unsupported. */
const untraceable: ReadonlySet<string> = new Set(['E301', 'E302', 'E304']);
const outcomeOfTraceError = (error: unknown): Outcome =>
  error instanceof GradcError && untraceable.has(error.code)
    ? unsupported(`cannot be traced: ${error.sentence}`)
    : outcomeOfError(error);

/** Weights (`p.weight`) are state of the program, as in a model; the others are its inputs. */
const isState = ({ name }: CaseInput): boolean => name.includes('.');

function jobInputs(entry: Case): Pick<Job, 'specs' | 'inputs'> {
  const given = entry.inputs.flatMap((input, i) => (isState(input) ? [] : [[`in${i}`, decodeTensor(input)] as const]));
  return {
    specs: Object.fromEntries(given.map(([name, { shape, dtype }]) => [name, input(shape, dtype)])),
    inputs: Object.fromEntries(given),
  };
}

/** The inputs as a case sees them: leaves of its own, which it may change. */
function leaves(entry: Case, given: Readonly<Record<string, Tensor>>): Map<string, Tensor> {
  return new Map(
    entry.inputs.map((encoded, i) => {
      const leaf = (isState(encoded) ? decodeTensor(encoded) : given[`in${i}`]).detach().clone();
      return [encoded.name, encoded.requires_grad ? leaf.requiresGrad_() : leaf];
    }),
  );
}

/** The tensors of a value, to be results of the program, and the value again once they are known. */
class Template {
  readonly tensors: Tensor[] = [];
  readonly #value: Value;
  constructor(value: Value) {
    this.#value = this.#visit(value, tensor => {
      this.tensors.push(tensor);
      return tensor;
    });
  }
  /** With the results of the program under `prefix`. */
  fill(results: Readonly<Record<string, Tensor>>, prefix: string): Value {
    let next = 0;
    return this.#visit(this.#value, () => results[`${prefix}${next++}`]);
  }
  #visit(value: Value, each: (tensor: Tensor) => Tensor): Value {
    const visit = (item: Value): Value => this.#visit(item, each);
    if (value instanceof Tensor) return each(value);
    if (value instanceof NdArray) return new NdArray(each(value.tensor));
    if (Array.isArray(value)) return value.map(visit);
    if (value instanceof Size) return value;
    if (value instanceof NamedTuple) return new NamedTuple(value.names, value.items.map(visit), value.typeName);
    if (value instanceof Tuple) return new Tuple(value.items.map(visit));
    if (value instanceof Dict) return new Dict(value.entries().map(([key, item]) => [key, visit(item)] as const));
    return value;
  }
}

const named = (prefix: string, tensors: readonly Tensor[]): Record<string, Tensor> =>
  Object.fromEntries(tensors.map((tensor, i) => [`${prefix}${i}`, tensor]));
/** Tensors that the case reads while it is traced: kept as results of the program, and read when it has run. */
class LaterReads {
  readonly tensors: Tensor[] = [];
  #results: Readonly<Record<string, Tensor>> = {};

  during<T>(run: () => T): T {
    const restore = setReadLater(tensor => {
      const at = this.tensors.push(tensor.detach().clone()) - 1;
      return () => this.#results[`later${at}`];
    });
    try {
      return run();
    } finally {
      setReadLater(restore);
    }
  }
  settle(results: Readonly<Record<string, Tensor>>): void {
    this.#results = results;
  }
}

function compileExpression(entry: Case, root: string): Compilation {
  const names = Object.keys(entry.grads);
  const traced = new Traced();
  const later = new LaterReads();
  let value = new Template(null);
  let grads = new Template([]);
  const run = (given: Readonly<Record<string, Tensor>>): Record<string, Tensor> => {
    traced.watch();
    const inputs = leaves(entry, given);
    const result = later.during(() => evaluateTree(scriptAdapter(root, inputs), entry.expr!, inputs));
    value = new Template(result);
    if (names.length > 0) {
      const { outputs, cotangents } = withCotangents(entry, result);
      const wanted = names.map(name => inputs.get(name)!);
      grads = new Template(gradOf(outputs, wanted, { gradOutputs: cotangents, allowUnused: true }));
    }
    return traced.results({
      ...named('out', value.tensors),
      ...named('grad', grads.tensors),
      ...named('later', later.tensors),
    });
  };
  return {
    job: { name: 'case', ...jobInputs(entry), run },
    traced,
    judge: results => {
      later.settle(results);
      const found = grads.fill(results, 'grad') as (Tensor | null)[];
      const byName = new Map(names.map((name, i) => [name, found[i]]));
      return checkOutputs(entry, settled(value.fill(results, 'out'))) ?? compareGradients(entry, byName) ?? passed;
    },
  };
}

function compileScript(entry: Case, root: string): Compilation {
  const traced = new Traced();
  const later = new LaterReads();
  let values = new Template([]);
  let printed: readonly Value[] = [];
  const run = (given: Readonly<Record<string, Tensor>>): Record<string, Tensor> => {
    traced.watch();
    return later.during(() => {
      const torch = scriptAdapter(root, leaves(entry, given));
      torch.python.run(scriptText(entry));
      values = new Template(entry.outputs.map(output => torch.python.evaluate(output.name!)));
      printed = torch.python.output;
      return traced.results({ ...named('out', values.tensors), ...named('later', later.tensors) });
    });
  };
  return {
    job: { name: 'case', ...jobInputs(entry), run },
    traced,
    judge: results => {
      later.settle(results);
      return compareScript(entry, values.fill(results, 'out') as Value[], printed);
    },
  };
}
