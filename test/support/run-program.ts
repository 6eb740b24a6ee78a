/**
 * Programs and graphs run by the js kernels, for tests: a planned program on one ArrayBuffer, a graph node by node, each node
 * with memory of its own. What the two give must agree to the bit.
 */
import { compileKernel } from '../../backends/js/emit.js';
import { instantiateJs } from '../../backends/js/run.js';
import { arrayOf, type TypedArray } from '../../compiler/ir/dtype.js';
import {
  type Graph,
  isParam,
  type Node,
  paramName,
  roots,
  type TensorType,
  topological,
} from '../../compiler/ir/graph.js';
import type { Program, Slot } from '../../compiler/ir/program.js';
import { numel } from '../../compiler/ir/shape.js';
import { lowerGroup } from '../../compiler/lowering/lower.js';

export type Values = Readonly<Record<string, TypedArray>>;

/** Numbers that differ from element to element and from seed to seed; small integers in integer types. */
export function fillOf(type: TensorType, seed: number): TypedArray {
  const array = new (arrayOf(type.dtype))(numel(type.shape));
  for (let i = 0; i < array.length; i++) {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 3;
    array[i] =
      type.dtype === 'int64'
        ? BigInt(Math.round(x))
        : type.dtype === 'bool'
          ? Number(x > 0)
          : type.dtype.includes('float')
            ? x
            : Math.round(x);
  }
  return array;
}

/** Every node of a graph by a kernel of its own. Returns results and new state by name. */
export function runGraph(graph: Graph, inputs: Values): { results: Values; updates: Values } {
  const values = new Map<Node, TypedArray>();
  for (const node of topological([...roots(graph), ...graph.params]))
    values.set(node, isParam(node) ? inputs[paramName(node)] : runNode(node, input => values.get(input)!));
  return {
    results: Object.fromEntries(graph.results.map(({ name, node }) => [name, values.get(node)!])),
    updates: Object.fromEntries([...graph.updates].map(([param, value]) => [paramName(param), values.get(value)!])),
  };
}

function runNode(node: Node, valueOf: (input: Node) => TypedArray): TypedArray {
  const lowered = lowerGroup({ nodes: new Set([node]), outputs: [node] }, node.op);
  if (lowered === null) throw new Error(`${node.op} does not lower`);
  const out = new (arrayOf(node.type.dtype))(numel(node.type.shape));
  compileKernel(lowered.kernel)(...lowered.reads.map(valueOf), out);
  return out;
}

const viewOf = (memory: ArrayBuffer, { type, offset }: Slot): TypedArray =>
  new (arrayOf(type.dtype))(memory, offset, numel(type.shape));

/** One run of an entry of a planned program. Returns the outputs and the whole state afterwards. */
export function runProgram(program: Program, entry: string, inputs: Values): { results: Values; state: Values } {
  const { memory, entries } = instantiateJs(program);
  new Uint8Array(memory).fill(0xa5);
  const planned = program.entries.find(({ name }) => name === entry)!;
  for (const slot of [...program.state, ...planned.inputs]) viewOf(memory, slot).set(inputs[slot.name] as never);
  entries[entry]();
  const read = (slots: readonly Slot[]): Values =>
    Object.fromEntries(slots.map(slot => [slot.name, viewOf(memory, slot).slice()]));
  return { results: read(planned.outputs), state: read(program.state) };
}
