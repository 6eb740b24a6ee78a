/**
 * Floats -> float64 throughout a graph: the oracle that tells how far a float32 result is from the true one.
 *
 *   %1 = mul(%x, %x) : float32[4]   ->   %1 = mul(%x, %x) : float64[4]
 *
 * What an op gives in float32 whatever it is given (random numbers) is converted, with the same value.
 */
import { type DType, isDType, isFloat } from '../ir/dtype.js';
import {
  type AttrValue,
  type Graph,
  Interner,
  isParam,
  type Node,
  paramName,
  paramRole,
  roots,
  type TensorType,
  topological,
} from '../ir/graph.js';
import { opDef } from '../ops/define.js';

const wide = (dtype: DType): DType => (isFloat(dtype) ? 'float64' : dtype);
export const widenType = (type: TensorType): TensorType => ({ dtype: wide(type.dtype), shape: type.shape });
const widenAttr = (value: AttrValue): AttrValue => (isDType(value) ? wide(value) : value);

const known = new WeakMap<Graph, Graph>();
/** The same program in double precision; made once of each graph, since an oracle runs it call after call. */
export function widen(graph: Graph): Graph {
  const image = known.get(graph) ?? widened(graph);
  known.set(graph, image);
  return image;
}

function widened(graph: Graph): Graph {
  const interner = new Interner();
  const image = new Map<Node, Node>();
  const params = graph.params.map(param => {
    const mapped = interner.param(paramName(param), paramRole(param), widenType(param.type), param.site);
    image.set(param, mapped);
    return mapped;
  });
  for (const node of topological(roots(graph))) {
    if (isParam(node)) continue;
    const inputs = node.inputs.map(input => image.get(input)!);
    const attrs = Object.fromEntries(Object.entries(node.attrs).map(([key, value]) => [key, widenAttr(value)]));
    const type = opDef(node.op).infer(
      inputs.map(input => input.type),
      attrs,
    );
    const same = interner.node(node.op, inputs, attrs, type, node.site, node.bodies.map(widen));
    const wanted = widenType(node.type);
    image.set(
      node,
      type.dtype === wanted.dtype ? same : interner.node('castTo', [same], { dtype: wanted.dtype }, wanted, node.site),
    );
  }
  return {
    name: graph.name,
    params,
    results: graph.results.map(({ name, node }) => ({ name, node: image.get(node)! })),
    updates: new Map([...graph.updates].map(([param, value]) => [image.get(param)!, image.get(value)!])),
  };
}
