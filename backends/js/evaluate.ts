/**
 * Constants computed at compile time: a node whose inputs are all constants, run by this backend as one kernel.
 */
import { arrayOf, type TypedArray } from '../../compiler/ir/dtype.js';
import { type Node, topological } from '../../compiler/ir/graph.js';
import { numel } from '../../compiler/ir/shape.js';
import { lowerGroup } from '../../compiler/lowering/lower.js';
import { compileKernel } from './emit.js';

/** The elements of a node that depends on no parameter, in row-major order; null for types that are stored as bits. */
export function evaluateConstant(node: Node): ArrayLike<number | bigint> | null {
  const { dtype, shape } = node.type;
  if (dtype === 'float16' || dtype === 'bfloat16') return null;
  const lowered = lowerGroup({ nodes: new Set(topological([node])), outputs: [node] }, node.op);
  if (lowered === null || lowered.reads.length > 0) return null;
  const out: TypedArray = new (arrayOf(dtype))(numel(shape));
  compileKernel(lowered.kernel)(out);
  return out;
}
