/**
 * The smallest part of a graph that goes wrong by itself.
 *
 * Any set of nodes is a graph: what it reads from outside becomes parameters with the values they have eagerly, what others
 * need of it becomes results. Halves of the nodes are tried, then quarters and what they leave, and so on: Zeller and
 * Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002). Every step keeps a part that was seen to fail.
 */
import { isControl } from '../../ir/control.js';
import type { TypedArray } from '../../ir/dtype.js';
import {
  type Graph,
  Interner,
  isParam,
  type Node,
  paramName,
  paramRole,
  roots,
  topological,
  usersOf,
} from '../../ir/graph.js';
import type { Case } from './check.js';
import { evaluateAll } from './values.js';

/** Compilations that a search may take. */
const mostTrials = 200;

/** `fails` holds for `given`; and for what is returned, which cannot lose a node without passing. */
export async function smallestFailing(given: Case, fails: (part: Case) => Promise<boolean>): Promise<Case> {
  const cutter = new Cutter(given);
  let trials = 0;
  const failsAlone = async (nodes: readonly Node[]): Promise<boolean> =>
    nodes.length > 0 && trials++ < mostTrials && fails(cutter.cut(new Set(nodes)));
  const nodes = await minimise(cutter.candidates, failsAlone);
  const part = cutter.cut(new Set(nodes));
  return withOneResult((await fails(part)) ? part : given, fails);
}

/** The first that passes a test, which is asked of one after another. */
export async function firstOf<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T | undefined> {
  for (const item of items) if (await test(item)) return item;
  return undefined;
}

/** Delta debugging: a sublist that fails and of which no chunk can go. */
async function minimise<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let chunks = 2;
  while (items.length > 1) {
    const size = Math.ceil(items.length / chunks);
    const parts = Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
      items.slice(i * size, (i + 1) * size),
    );
    const part = await firstOf(parts, fails);
    const others = parts.length > 2 ? parts.map(p => items.filter(item => !p.includes(item))) : [];
    const rest = part ?? (await firstOf(others, fails));
    if (rest !== undefined) {
      chunks = part === undefined ? Math.max(2, chunks - 1) : 2;
      items = rest;
    } else if (size === 1) return items;
    else chunks = Math.min(items.length, 2 * chunks);
  }
  return items;
}

/** Only the first result that fails without the others, where there is one. */
async function withOneResult({ graph, parameters }: Case, fails: (part: Case) => Promise<boolean>): Promise<Case> {
  const wanted = [
    ...graph.results,
    ...[...graph.updates].map(([param, node]) => ({ name: `new ${paramName(param)}`, node })),
  ];
  if (wanted.length > 1 || graph.updates.size > 0) {
    for (const result of wanted) {
      const alone = { graph: withReadParams({ ...graph, results: [result], updates: new Map() }), parameters };
      if (await fails(alone)) return alone;
    }
  }
  return { graph, parameters };
}

function withReadParams(graph: Graph): Graph {
  const read = new Set(topological(roots(graph)));
  return { ...graph, params: graph.params.filter(param => read.has(param) || graph.updates.has(param)) };
}

/** Constants, and loops and branches, whose values only their readers know to take apart. */
const comesAlong = (node: Node): boolean => !isParam(node) && (node.inputs.length === 0 || isControl(node));

/** Cuts sets of nodes out of a graph. */
class Cutter {
  /** The nodes that may be left out, in the order of computation. */
  readonly candidates: readonly Node[];
  readonly #graph: Graph;
  readonly #values: ReadonlyMap<Node, TypedArray>;
  readonly #users: ReadonlyMap<Node, readonly Node[]>;

  constructor({ graph, parameters }: Case) {
    this.#graph = graph;
    this.#values = evaluateAll(graph, parameters);
    this.#users = usersOf(roots(graph));
    this.candidates = topological(roots(graph)).filter(node => !isParam(node) && !comesAlong(node));
  }

  cut(kept: ReadonlySet<Node>): Case {
    const interner = new Interner();
    const image = new Map<Node, Node>();
    const params = new Map<Node, Node>();
    const parameters = new Map<string, TypedArray>();
    const given = (node: Node): Node => {
      const known = params.get(node);
      if (known !== undefined) return known;
      const name = isParam(node) ? paramName(node) : `value.${node.id}`;
      const param = interner.param(name, isParam(node) ? paramRole(node) : 'input', node.type, node.site);
      params.set(node, param);
      parameters.set(name, this.#values.get(node)!);
      return param;
    };
    const imageOf = (node: Node): Node => {
      const known = image.get(node);
      if (known !== undefined) return known;
      const made = kept.has(node) || comesAlong(node) ? interner.like(node, node.inputs.map(imageOf)) : given(node);
      image.set(node, made);
      return made;
    };
    const results = this.candidates
      .filter(node => kept.has(node) && this.#isNeeded(node, kept))
      .map(node => ({ name: this.#resultName(node), node: imageOf(node) }));
    const updates = [...this.#graph.updates].filter(([, value]) => kept.has(value));
    const newState = new Map(updates.map(([param, value]) => [given(param), imageOf(value)]));
    return {
      graph: { name: this.#graph.name, params: [...params.values()], results, updates: newState },
      parameters,
    };
  }

  /** Do others read it, or is it a result? */
  #isNeeded(node: Node, kept: ReadonlySet<Node>): boolean {
    const isResult = this.#graph.results.some(result => result.node === node);
    const isUpdate = [...this.#graph.updates.values()].includes(node);
    const users = this.#users.get(node)!;
    return isResult || (users.length === 0 && !isUpdate) || users.some(user => !kept.has(user));
  }

  #resultName(node: Node): string {
    return this.#graph.results.find(result => result.node === node)?.name ?? `value.${node.id}`;
  }
}
