/**
 * The values of a graph, computed op by op with eager's kernels: what a compiled graph must agree with, and in float64 the
 * oracle that tells how far either is from the truth. No pass takes part.
 */
import { fromBfloat, fromHalf } from '../../../backends/js/math.js';
import { eager, rowMajor } from '../../../runtime/eager.js';
import { callControl } from '../../autodiff/control/call.js';
import { controlOf, isControl, isResult, resultIndex } from '../../ir/control.js';
import { type DType, isFloat, type TypedArray } from '../../ir/dtype.js';
import { type Graph, isParam, type Node, paramName, paramRole, roots, topological, usersOf } from '../../ir/graph.js';
import { opDef } from '../../ops/define.js';
import { noGrad } from '../../ops/tape.js';
import { type Tensor, tensorOver, withExecutor } from '../../ops/tensor.js';
import { widen } from '../../passes/widen.js';
import { type Noise, roundingExecutor } from './noise.js';

export type Arrays = ReadonlyMap<string, TypedArray>;

/** What a run of a graph leaves behind. */
export interface GraphValues {
  /** Results by name. */
  readonly results: Arrays;
  /** New state by name. */
  readonly updates: Arrays;
}

/** Run a graph on its parameters by name. Values are let go after their last use. */
export function evaluate(graph: Graph, parameters: Arrays, noise: Noise | null = null): GraphValues {
  const kept = new Set(roots(graph));
  const pending = new Map([...usersOf([...kept])].map(([node, users]) => [node, users.length]));
  const values = compute(graph, parameters, {
    noise,
    done: (node, values) => {
      for (const input of new Set(node.inputs)) {
        const left = pending.get(input)! - 1;
        pending.set(input, left);
        if (left === 0 && !kept.has(input)) values.delete(input);
      }
    },
  });
  const arrayOf = (node: Node): TypedArray => rowMajor(values.get(node)!, 'comparison').slice();
  return {
    results: new Map(graph.results.map(({ name, node }) => [name, arrayOf(node)])),
    updates: new Map([...graph.updates].map(([param, value]) => [paramName(param), arrayOf(value)])),
  };
}

/** The value of every node. */
export function evaluateAll(graph: Graph, parameters: Arrays): ReadonlyMap<Node, TypedArray> {
  const values = compute(graph, parameters, {});
  return new Map([...values].map(([node, tensor]) => [node, rowMajor(tensor, 'comparison')]));
}

interface Hooks {
  readonly noise?: Noise | null;
  readonly done?: (node: Node, values: Map<Node, Tensor>) => void;
}

function compute(graph: Graph, parameters: Arrays, { noise = null, done }: Hooks): Map<Node, Tensor> {
  const values = new Map<Node, Tensor>();
  const executor = noise === null ? eager : roundingExecutor(noise);
  /** What loops and branches give, to be taken apart. */
  const several = new Map<Node, readonly Tensor[]>();
  for (const param of graph.params) values.set(param, tensorOver(parameters.get(paramName(param))!, param.type));
  const run = (node: Node): Tensor => {
    if (isResult(node)) return several.get(node.inputs[0])![resultIndex(node)];
    const inputs = node.inputs.map(input => values.get(input)!);
    return executor.run(opDef(node.op), inputs, node.attrs, node.type);
  };
  const visit = (node: Node): void => {
    if (isControl(node))
      several.set(
        node,
        callControl(
          controlOf(node),
          node.inputs.map(input => values.get(input)!),
        ),
      );
    else values.set(node, run(node));
    done?.(node, values);
  };
  withExecutor(executor, () =>
    noGrad(() => {
      for (const node of topological(roots(graph))) if (!isParam(node)) visit(node);
    }),
  );
  return values;
}

/** The same graph in float64, on the same parameters. */
export function evaluateExactly(graph: Graph, parameters: Arrays, noise: Noise | null = null): GraphValues {
  return evaluate(widen(graph), widenParameters(graph, parameters), noise);
}

function widenParameters(graph: Graph, parameters: Arrays): Arrays {
  return new Map(
    graph.params.map(param => [paramName(param), toFloat64(parameters.get(paramName(param))!, param.type.dtype)]),
  );
}

/** Floats in double precision; the rest, and what is in double precision already, as it is. */
export function toFloat64(array: TypedArray, dtype: DType): TypedArray {
  if (!isFloat(dtype) || array instanceof Float64Array) return array;
  if (dtype === 'float16') return Float64Array.from(array as Uint16Array, fromHalf);
  if (dtype === 'bfloat16') return Float64Array.from(array as Uint16Array, fromBfloat);
  return new Float64Array(array as Float32Array);
}

/** Copies of what an entry reads: its inputs and the state it captured, by parameter name. */
export function parametersOf(graph: Graph, inputs: Readonly<Record<string, TypedArray>>, state: Arrays): Arrays {
  return new Map(
    graph.params.map(param => {
      const name = paramName(param);
      return [name, (paramRole(param) === 'input' ? inputs[name] : state.get(name)!).slice()];
    }),
  );
}
