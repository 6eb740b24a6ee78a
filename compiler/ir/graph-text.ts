/**
 * The tensor IR as text, and back: `parseGraph(printGraph(g))` has the structure of `g`.
 *
 *   graph step(%x: float32[64, 10] input, %w: float32[10] state) {
 *     %0 = mul(%x, %w) : float32[64, 10]
 *     %1 = sum(%0) {dim: [0], keepdim: false, dtype: null} : float32[10]  # at model.ts:3:12 in fc1
 *     return loss = %1
 *     update %w = %1
 *   }
 *
 * Nodes are numbered in the order of their first use. Numbers are exact; NaN, the infinities and -0 are written `nan`, `inf`,
 * `-inf` and `-0`. The place in the user's file follows as a comment, which is read back where it is there. The bodies of a
 * loop or branch stand between its attrs and its type, as `with { graph … { … } }`, with names of their own.
 */
import type { Site } from '../errors.js';
import { isDType } from './dtype.js';
import {
  type Attrs,
  type AttrValue,
  formatType,
  type Graph,
  Interner,
  isParam,
  type Node,
  paramName,
  paramRole,
  roots,
  type TensorType,
  topological,
} from './graph.js';
import { Cursor, quoteName, unquoteName } from './tokens.js';

export interface GraphTextOptions {
  /** Write the place in the user's file after each node. */
  readonly sites?: boolean;
}

/** Longest header that stays on one line. */
const lineWidth = 120;

export const printGraph = (graph: Graph, options: GraphTextOptions = {}): string =>
  `${graphLines(graph, options).join('\n')}\n`;

function graphLines(graph: Graph, options: GraphTextOptions): string[] {
  const names = new Map<Node, string>();
  for (const param of graph.params) names.set(param, `%${quoteName(paramName(param))}`);
  const nodes = topological(roots(graph)).filter(node => !isParam(node));
  for (const [i, node] of nodes.entries()) names.set(node, `%${i}`);
  const nameOf = (node: Node): string => names.get(node) ?? `%"${paramName(node)} (not a parameter)"`;
  const site = (node: Node): string => (options.sites && node.site ? `  # at ${printSite(node.site)}` : '');
  return [
    ...header(graph, nameOf),
    ...nodes.flatMap(node => {
      const [first, ...rest] = nodeLines(node, nameOf, options);
      const lines = [`${nameOf(node)} = ${first}`, ...rest].map(line => `  ${line}`);
      return [...lines.slice(0, -1), `${lines[lines.length - 1]}${site(node)}`];
    }),
    ...graph.results.map(({ name, node }) => `  return ${quoteName(name)} = ${nameOf(node)}`),
    ...[...graph.updates].map(([param, value]) => `  update ${nameOf(param)} = ${nameOf(value)}`),
    '}',
  ];
}

function header(graph: Graph, nameOf: (node: Node) => string): string[] {
  const params = graph.params.map(param => `${nameOf(param)}: ${formatType(param.type)} ${paramRole(param)}`);
  const line = `graph ${quoteName(graph.name)}(${params.join(', ')}) {`;
  return line.length <= lineWidth
    ? [line]
    : [`graph ${quoteName(graph.name)}(`, ...params.map(param => `  ${param},`), ') {'];
}

/** One node as it stands after the `=` of its line. */
export const printNode = (node: Node, nameOf: (node: Node) => string): string =>
  nodeLines(node, nameOf, {}).join('\n  ');

function nodeLines(node: Node, nameOf: (node: Node) => string, options: GraphTextOptions): string[] {
  const attrs = Object.entries(node.attrs).map(([key, value]) => `${quoteName(key)}: ${printAttr(value)}`);
  const call = `${quoteName(node.op)}(${node.inputs.map(nameOf).join(', ')})${attrs.length > 0 ? ` {${attrs.join(', ')}}` : ''}`;
  const type = ` : ${formatType(node.type)}`;
  if (node.bodies.length === 0) return [`${call}${type}`];
  const bodies = node.bodies.flatMap(body => graphLines(body, options).map(line => `  ${line}`));
  return [`${call} with {`, ...bodies, `}${type}`];
}

function printAttr(value: AttrValue): string {
  if (Array.isArray(value)) return `[${value.map(printAttr).join(', ')}]`;
  if (typeof value === 'number') return printNumber(value);
  return JSON.stringify(value);
}

/** A number exactly: shortest digits, and the values JSON lacks by name. */
export function printNumber(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

const printSite = ({ file, line, column, module }: Site): string =>
  `${file}:${line}:${column}${module ? ` in ${module}` : ''}`;

function parseSite(comment: string | null): Site | null {
  const match = /^at (.+):(\d+):(\d+)(?: in (.+))?$/.exec(comment ?? '');
  return match && { file: match[1], line: Number(match[2]), column: Number(match[3]), module: match[4] ?? '' };
}

/** Read a graph. Throws E401 with line and column where the text is not one. */
export function parseGraph(text: string, interner: Interner = new Interner()): Graph {
  return new GraphParser(new Cursor(text), interner).graph();
}

class GraphParser {
  readonly #cursor: Cursor;
  readonly #nodes = new Map<string, Node>();

  constructor(
    cursor: Cursor,
    readonly interner: Interner,
  ) {
    this.#cursor = cursor;
  }

  graph(): Graph {
    const cursor = this.#cursor;
    cursor.expect('graph');
    const name = unquoteName(cursor.take());
    const graph = { name, ...this.#rest() };
    if (!cursor.done) cursor.complain(`expected the end but found ${cursor.found()}`);
    return graph;
  }

  /** Everything after the name. */
  #rest(): Omit<Graph, 'name'> {
    const cursor = this.#cursor;
    const params = this.#params();
    const results: { name: string; node: Node }[] = [];
    const updates = new Map<Node, Node>();
    cursor.expect('{');
    while (!cursor.accept('}')) {
      if (cursor.accept('return')) results.push({ name: unquoteName(cursor.take()), node: this.#assigned() });
      else if (cursor.accept('update')) updates.set(this.#reference(), this.#assigned());
      else this.#node();
    }
    return { params, results, updates };
  }

  /** Graphs in braces, each with names and nodes of its own. */
  #bodies(): Graph[] {
    const bodies: Graph[] = [];
    this.#cursor.expect('{');
    while (!this.#cursor.accept('}')) {
      this.#cursor.expect('graph');
      const name = unquoteName(this.#cursor.take());
      bodies.push({ name, ...new GraphParser(this.#cursor, new Interner()).#rest() });
    }
    return bodies;
  }

  #params(): Node[] {
    const params: Node[] = [];
    this.#cursor.expect('(');
    while (!this.#cursor.accept(')')) {
      params.push(this.#param());
      if (this.#cursor.peek() !== ')') this.#cursor.expect(',');
    }
    return params;
  }

  #param(): Node {
    const key = this.#newName();
    this.#cursor.expect(':');
    const type = this.#type();
    const role = this.#cursor.take();
    if (role !== 'input' && role !== 'state') this.#cursor.reject(`a parameter is 'input' or 'state', not '${role}'`);
    const param = this.interner.param(unquoteName(key), role, type);
    this.#nodes.set(key, param);
    return param;
  }

  #node(): void {
    const cursor = this.#cursor;
    const key = this.#newName();
    cursor.expect('=');
    const op = unquoteName(cursor.take());
    cursor.expect('(');
    const inputs = cursor.list(')', () => this.#reference());
    const attrs = cursor.accept('{') ? this.#attrs() : {};
    const bodies = cursor.accept('with') ? this.#bodies() : [];
    cursor.expect(':');
    const type = this.#type();
    this.#nodes.set(key, this.interner.node(op, inputs, attrs, type, parseSite(cursor.comment()), bodies));
  }

  #name(): string {
    this.#cursor.expect('%');
    return this.#cursor.take();
  }

  #newName(): string {
    const key = this.#name();
    if (this.#nodes.has(key)) this.#cursor.reject(`%${key} is defined twice`);
    return key;
  }

  #reference(): Node {
    const key = this.#name();
    const node = this.#nodes.get(key);
    return node ?? this.#cursor.reject(`%${key} is not defined above`);
  }

  #assigned(): Node {
    this.#cursor.expect('=');
    return this.#reference();
  }

  #type(): TensorType {
    const dtype = this.#cursor.peek();
    if (!isDType(dtype)) return this.#cursor.complain(`expected a dtype but found ${this.#cursor.found()}`);
    this.#cursor.take();
    this.#cursor.expect('[');
    return { dtype, shape: this.#cursor.list(']', () => this.#cursor.integer()) };
  }

  #attrs(): Attrs {
    const entries = this.#cursor.list('}', (): [string, AttrValue] => {
      const key = unquoteName(this.#cursor.take());
      this.#cursor.expect(':');
      return [key, this.#attr()];
    });
    return Object.fromEntries(entries);
  }

  #attr(): AttrValue {
    const cursor = this.#cursor;
    if (cursor.accept('[')) return cursor.list(']', () => this.#attr());
    const sign = cursor.accept('-') ? -1 : 1;
    const text = cursor.peek();
    const words: Record<string, AttrValue> = {
      null: null,
      true: true,
      false: false,
      nan: Number.NaN,
      inf: sign * Number.POSITIVE_INFINITY,
    };
    if (Object.hasOwn(words, text)) return words[cursor.take()];
    if (text.startsWith('"')) return JSON.parse(cursor.take()) as string;
    if (!/^\d/.test(text)) cursor.complain(`expected a value but found ${cursor.found()}`);
    return sign * Number(cursor.take());
  }
}
