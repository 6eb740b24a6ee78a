/**
 * The tensor IR: an immutable, interned dataflow graph.
 *
 * A Node has one result. Two nodes of one interner with the same op, inputs and attrs are the same object, so common
 * subexpressions are found by construction and rewriting is memoised by identity. A whole training step is one Graph: the
 * loss is a result, and every change of captured state is an update `parameter <- new value`. Loops and branches are nodes
 * that run other graphs, their bodies (`control.ts`).
 */
import type { Site } from '../errors.js';
import type { DType } from './dtype.js';
import { formatShape, type Shape } from './shape.js';

/** Plain data that prints, hashes and serialises by itself. */
export type AttrValue = null | boolean | number | string | readonly AttrValue[];
export type Attrs = Readonly<Record<string, AttrValue>>;

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface Node {
  /** Unique within its interner, ascending in creation order, so inputs have smaller ids. */
  readonly id: number;
  /** Key of the op table, or `param`. */
  readonly op: string;
  readonly inputs: readonly Node[];
  readonly attrs: Attrs;
  readonly type: TensorType;
  /** The graphs it runs: the body of a loop, the sides of a branch; empty for all other ops. */
  readonly bodies: readonly Graph[];
  /** Where the user wrote it; not part of identity. */
  readonly site: Site | null;
}

/** What a parameter of a graph stands for: an argument of the call, or state that outlives it. */
export type ParamRole = 'input' | 'state';

export interface Graph {
  readonly name: string;
  /** Nodes of op `param`, with attrs `{ name, role }`. */
  readonly params: readonly Node[];
  readonly results: readonly NamedResult[];
  /** State parameter <- its new value: in-place ops and optimizer steps, made pure. */
  readonly updates: ReadonlyMap<Node, Node>;
}
export interface NamedResult {
  readonly name: string;
  readonly node: Node;
}

export const formatType = (type: TensorType): string => `${type.dtype}${formatShape(type.shape)}`;
export const isParam = (node: Node): boolean => node.op === 'param';
export const paramName = (node: Node): string => node.attrs.name as string;
export const paramRole = (node: Node): ParamRole => node.attrs.role as ParamRole;

const attrsKeys = new WeakMap<Attrs, string>();
/** Attrs as text, telling apart the numbers that JSON does not: NaN, the infinities and -0. Those of nodes are kept. */
export function attrsKey(attrs: Attrs): string {
  const known = attrsKeys.get(attrs);
  if (known !== undefined) return known;
  const key = JSON.stringify(attrs, (_, value) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? { number: Object.is(value, -0) ? '-0' : String(value) }
      : value,
  );
  if (Object.isFrozen(attrs)) attrsKeys.set(attrs, key);
  return key;
}

/** Creates nodes and returns the existing one where an equal node was made before. */
export class Interner {
  readonly #nodes = new Map<string, Node>();
  #next = 0;

  node(
    op: string,
    inputs: readonly Node[],
    attrs: Attrs,
    type: TensorType,
    site: Site | null = null,
    bodies: readonly Graph[] = noBodies,
  ): Node {
    const key = `${op}(${inputs.map(input => input.id).join()})${attrsKey(attrs)}${typeKey(type)}${bodies.map(graphKey).join()}`;
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = Object.freeze({
        id: this.#next++,
        op,
        inputs: Object.freeze([...inputs]),
        attrs: Object.freeze(attrs),
        type,
        bodies,
        site,
      });
      this.#nodes.set(key, node);
    }
    return node;
  }

  param(name: string, role: ParamRole, type: TensorType, site: Site | null = null): Node {
    return this.node('param', [], { name, role }, type, site);
  }

  /** The same node on other inputs of the same types, and with other bodies of the same signatures. */
  like({ op, attrs, type, site, bodies }: Node, inputs: readonly Node[], other: readonly Graph[] = bodies): Node {
    return this.node(op, inputs, attrs, type, site, other);
  }
}

const noBodies: readonly Graph[] = Object.freeze([]);
const typeKey = ({ dtype, shape }: TensorType): string => `${dtype}${shape.join()}`;

const graphKeys = new WeakMap<Graph, string>();
/** Equal for graphs of equal structure, whatever interner made them. */
export function graphKey(graph: Graph): string {
  let key = graphKeys.get(graph);
  if (key === undefined) {
    key = structureOf(graph);
    graphKeys.set(graph, key);
  }
  return key;
}

function structureOf(graph: Graph): string {
  const numbers = new Map<Node, number>(graph.params.map((param, i) => [param, i]));
  const lines = graph.params.map(param => `${paramRole(param)} ${typeKey(param.type)}`);
  for (const node of topological(roots(graph))) {
    if (numbers.has(node)) continue;
    numbers.set(node, numbers.size);
    const inputs = node.inputs.map(input => numbers.get(input)).join();
    lines.push(`${node.op}(${inputs})${attrsKey(node.attrs)}${typeKey(node.type)}${node.bodies.map(graphKey).join()}`);
  }
  const results = graph.results.map(({ node }) => numbers.get(node)).join();
  const updates = [...graph.updates].map(([param, value]) => `${numbers.get(param)}=${numbers.get(value)}`).join();
  return `{${lines.join(';')}|${results}|${updates}}`;
}

/** The nodes a graph must compute: its results and the new values of its state. */
export const roots = (graph: Graph): Node[] => [...graph.results.map(result => result.node), ...graph.updates.values()];

/** All nodes reachable from the roots (without leaving `within`), inputs before users, each once. */
export function topological(rootNodes: readonly Node[], within: ReadonlySet<Node> | null = null): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  for (const root of rootNodes) {
    const stack: { node: Node; next: number }[] = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (seen.has(top.node)) stack.pop();
      else if (top.next < top.node.inputs.length) {
        const input = top.node.inputs[top.next++];
        if (!seen.has(input) && (within === null || within.has(input))) stack.push({ node: input, next: 0 });
      } else {
        seen.add(top.node);
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}

/** For every reachable node, the nodes that read it (a node that reads it twice appears once). */
export function usersOf(rootNodes: readonly Node[]): Map<Node, Node[]> {
  const users = new Map<Node, Node[]>();
  for (const node of topological(rootNodes)) {
    users.set(node, []);
    for (const input of new Set(node.inputs)) users.get(input)!.push(node);
  }
  return users;
}

/**
 * Rebuild a graph bottom-up. `rewrite` gets each node with its inputs already rewritten and returns its replacement;
 * parameters are made anew, under the names that `nameOf` gives.
 */
export function mapGraph(
  graph: Graph,
  interner: Interner,
  rewrite: (node: Node, inputs: readonly Node[]) => Node,
  nameOf: (param: Node) => string = paramName,
): Graph {
  const image = new Map<Node, Node>();
  const paramImage = graph.params.map(param => {
    const mapped = interner.param(nameOf(param), paramRole(param), param.type, param.site);
    image.set(param, mapped);
    return mapped;
  });
  for (const node of topological(roots(graph))) {
    if (!isParam(node))
      image.set(
        node,
        rewrite(
          node,
          node.inputs.map(input => image.get(input)!),
        ),
      );
  }
  return {
    name: graph.name,
    params: paramImage,
    results: graph.results.map(({ name, node }) => ({ name, node: image.get(node)! })),
    updates: new Map([...graph.updates].map(([param, value]) => [image.get(param)!, image.get(value)!])),
  };
}
