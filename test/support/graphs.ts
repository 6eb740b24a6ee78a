/**
 * Graphs to test passes on: the traces of every op's samples, and graphs from text.
 */
import '../../compiler/ops/table.js';
import { isFloat } from '../../compiler/ir/dtype.js';
import type { Graph, TensorType } from '../../compiler/ir/graph.js';
import { traceFunction } from '../../compiler/trace/model.js';
import { allComposites, allOps, apply, type Composite, type OpDef, opDef } from '../../compiler/ops/define.js';
import { type Sample, SampleTensor } from '../../compiler/ops/samples.js';
import { bindArguments } from '../../compiler/ops/signature.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import type { Infer } from '../../compiler/ir/verify.js';

export const infer: Infer = (op, inputs, attrs) => opDef(op).infer(inputs, attrs);

export type TableEntry = OpDef | Composite;
export const tableEntries = (): readonly TableEntry[] => [...allOps(), ...allComposites()];

/** Call an op of the table, with a node of its own or composite. */
export function callEntry(entry: TableEntry, args: readonly unknown[]): unknown {
  if ('call' in entry) return entry.call(...args);
  const { inputs, attrs } = entry.prepare(bindArguments(entry.name, entry.params, args));
  return apply(entry, inputs, attrs);
}

/** The tensors a sample describes, in the order of its arguments, lists included. */
export const sampleTensors = (sample: Sample): SampleTensor[] => sample.args.flat().filter(arg => arg instanceof SampleTensor);

export const sampleType = (described: SampleTensor): TensorType => ({ dtype: described.dtype ?? 'float32', shape: described.shape });

/** A sample's arguments with its described tensors replaced by real ones, taken in order. */
export function fillSample(sample: Sample, tensors: readonly Tensor[]): unknown[] {
  let next = 0;
  const fill = (arg: unknown): unknown => (arg instanceof SampleTensor ? tensors[next++] : Array.isArray(arg) ? arg.map(fill) : arg);
  return sample.args.map(fill);
}

/** The graph of one call of an op on traced inputs `x0`, `x1`, …; null where the op gives no tensor. */
export function graphOfSample(entry: TableEntry, sample: Sample): Graph | null {
  const specs = Object.fromEntries(sampleTensors(sample).map((described, i) => [`x${i}`, sampleType(described)]));
  let tensors = true;
  const { graph } = traceFunction(entry.name, specs, inputs => {
    const out = callEntry(entry, fillSample(sample, Object.values(inputs)));
    const outputs = Array.isArray(out) ? out : [out];
    tensors = outputs.every(output => output instanceof Tensor);
    return Object.fromEntries(outputs.filter(output => output instanceof Tensor).map((output, i) => [`y${i}`, output]));
  });
  return tensors ? graph : null;
}

export const isFloatType = (type: TensorType): boolean => isFloat(type.dtype);
