/**
 * Graphs to test passes on: the traces of every op's samples, and graphs from text.
 */
import '../../compiler/ops/table.js';
import { GradcError } from '../../compiler/errors.js';
import type { Graph, TensorType } from '../../compiler/ir/graph.js';
import type { Infer } from '../../compiler/ir/verify.js';
import { allComposites, allOps, apply, type Composite, type OpDef, opDef } from '../../compiler/ops/define.js';
import { type Sample, SampleTensor } from '../../compiler/ops/samples.js';
import { bindArguments } from '../../compiler/ops/signature.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { traceFunction } from '../../compiler/trace/model.js';

export const infer: Infer = (op, inputs, attrs) => opDef(op).infer(inputs, attrs);

export type TableEntry = OpDef | Composite;
export const tableEntries = (): readonly TableEntry[] => [...allOps(), ...allComposites()];

/** Call an op of the table, with a node of its own or composite. */
export function callEntry(entry: TableEntry, args: readonly unknown[]): unknown {
  if ('call' in entry) return entry.call(...args);
  const { inputs, attrs } = entry.prepare(bindArguments(entry.name, entry.params, args));
  return apply(entry, inputs, attrs);
}

type Leaf = (described: SampleTensor) => unknown;
/** An argument with every tensor described in it, in lists and options too, replaced. */
function mapTensors(arg: unknown, leaf: Leaf): unknown {
  if (arg instanceof SampleTensor) return leaf(arg);
  if (Array.isArray(arg)) return arg.map(item => mapTensors(item, leaf));
  if (typeof arg !== 'object' || arg === null || Object.getPrototypeOf(arg) !== Object.prototype) return arg;
  return Object.fromEntries(Object.entries(arg).map(([key, value]) => [key, mapTensors(value, leaf)]));
}

/** The tensors a sample describes, in the order of its arguments, those in lists and options included. */
export function sampleTensors(sample: Sample): SampleTensor[] {
  const found: SampleTensor[] = [];
  for (const arg of sample.args) mapTensors(arg, described => found.push(described));
  return found;
}

export const sampleType = (described: SampleTensor): TensorType => ({
  dtype: described.dtype ?? 'float32',
  shape: described.shape,
});

/** A sample's arguments with its described tensors replaced by real ones, taken in order. */
export function fillSample(sample: Sample, tensors: readonly Tensor[]): unknown[] {
  let next = 0;
  return sample.args.map(arg => mapTensors(arg, () => tensors[next++]));
}

/** The graph of one call of an op on traced inputs `x0`, `x1`, …; null where the call needs values, or gives no tensors. */
export function graphOfSample(entry: TableEntry, sample: Sample): Graph | null {
  const specs = Object.fromEntries(sampleTensors(sample).map((described, i) => [`x${i}`, sampleType(described)]));
  try {
    return traceFunction(entry.name, specs, inputs => {
      const out = callEntry(entry, fillSample(sample, Object.values(inputs)));
      const outputs = Array.isArray(out) ? out : [out];
      return Object.fromEntries(outputs.map((output, i) => [`y${i}`, output]));
    }).graph;
  } catch (error) {
    if (error instanceof GradcError && (error.code === 'E301' || error.code === 'E303')) return null;
    throw error;
  }
}
