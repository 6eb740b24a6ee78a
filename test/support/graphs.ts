/**
 * Graphs to test passes on: the traces of every op's samples.
 */
import { GradcError } from '../../compiler/errors.js';
import type { Graph } from '../../compiler/ir/graph.js';
import type { Infer } from '../../compiler/ir/verify.js';
import { opDef } from '../../compiler/ops/define.js';
import type { Sample } from '../../compiler/ops/samples.js';
import { traceFunction } from '../../compiler/trace/model.js';
import { makeArguments, type TestedOp, tensorsIn, testedOps, withTensors } from './op-samples.js';

export const infer: Infer = (op, inputs, attrs) => opDef(op).infer(inputs, attrs);

/** The graph of one call of an op on traced inputs `x0`, `x1`, …; null where the call needs values. */
export function graphOfSample(op: Pick<TestedOp, 'name' | 'call'>, sample: Sample): Graph | null {
  const args = makeArguments(sample.args, 'float32', op.name);
  const specs = Object.fromEntries(tensorsIn(args).map((tensor, i) => [`x${i}`, tensor.type]));
  try {
    return traceFunction(op.name, specs, inputs => {
      const outputs = tensorsIn(op.call(...withTensors(args, Object.values(inputs))));
      return Object.fromEntries(outputs.map((output, i) => [`y${i}`, output]));
    }).graph;
  } catch (error) {
    if (error instanceof GradcError && error.code === 'E301') return null;
    throw error;
  }
}

/** The graphs of all samples of all ops, to be made inside a test each. */
export const sampleGraphs = testedOps.flatMap(op =>
  op.samples.map((sample, i) => ({ name: `${op.name} ${i}`, make: () => graphOfSample(op, sample) })),
);
