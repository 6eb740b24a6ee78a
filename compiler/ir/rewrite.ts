/**
 * Rewriting a graph by rules: patterns over nodes, and the driver that applies a list of them until none matches.
 *
 *   rule('neg(neg(x)) -> x', p.op('neg', p.op('neg', p.any('x'))), ({ x }) => x)
 *
 * The driver rebuilds the graph bottom-up through `make`, a constructor that simplifies what it makes; whatever a rule makes
 * goes through it too. So one sweep reaches the fixpoint, and a rule may assume that its inputs are already simple.
 */
import { InternalError, invariant } from '../errors.js';
import { type Attrs, formatType, type Graph, Interner, mapGraph, type Node, type TensorType } from './graph.js';
import { sameShape } from './shape.js';

// ── patterns ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Match = Readonly<Record<string, Node>>;

/** Matches a node; adds what it captures. */
export type Pattern = (node: Node, captured: Record<string, Node>) => boolean;

/** The ops at which a rule is tried; null: at every node. */
interface RootedPattern extends Pattern {
  readonly roots?: readonly string[];
}

const rooted = (roots: readonly string[], pattern: Pattern): RootedPattern => Object.assign(pattern, { roots });

const matchesAll = (patterns: readonly Pattern[], nodes: readonly Node[], captured: Record<string, Node>): boolean =>
  patterns.length === nodes.length && patterns.every((pattern, i) => pattern(nodes[i], captured));

export const p = {
  /** Any node, captured by name; the same name twice means the same node. */
  any:
    (name: string): Pattern =>
    (node, captured) => {
      captured[name] ??= node;
      return captured[name] === node;
    },

  /** A node of the op, or of one of the ops, whose inputs match in order. */
  op: (op: string | readonly string[], ...inputs: readonly Pattern[]): RootedPattern => {
    const ops = typeof op === 'string' ? [op] : op;
    return rooted(ops, (node, captured) => ops.includes(node.op) && matchesAll(inputs, node.inputs, captured));
  },

  /** The same for two inputs that may change places. */
  either: (op: string | readonly string[], a: Pattern, b: Pattern): RootedPattern => {
    const ops = typeof op === 'string' ? [op] : op;
    return rooted(ops, (node, captured) => {
      if (!ops.includes(node.op)) return false;
      const first = { ...captured };
      if (matchesAll([a, b], node.inputs, first)) return Object.assign(captured, first) === captured;
      return matchesAll([b, a], node.inputs, captured);
    });
  },

  /** What `pattern` matches, captured too. */
  as:
    (name: string, pattern: Pattern): Pattern =>
    (node, captured) =>
      p.any(name)(node, captured) && pattern(node, captured),

  /** What `pattern` matches and for which `condition` holds. */
  where: (pattern: RootedPattern, condition: (node: Node) => boolean): RootedPattern =>
    rooted(pattern.roots ?? [], (node, captured) => condition(node) && pattern(node, captured)),

  /** A tensor filled with one value that passes the test. */
  filled:
    (test: (value: number, node: Node) => boolean, name?: string): Pattern =>
    (node, captured) =>
      node.op === 'full' && test(Number(node.attrs.value), node) && (name === undefined || p.any(name)(node, captured)),
};

// ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes the node of an op; its type is what the op infers. The result is already simplified. */
export type Make = (op: string, inputs: readonly Node[], attrs?: Attrs) => Node;

export interface Rule {
  /** What it does, as in `x * 1 -> x`. */
  readonly name: string;
  /** The ops it is tried at; null: all. */
  readonly roots: readonly string[] | null;
  /** The replacement, or null where it does not apply. */
  readonly apply: (node: Node, make: Make) => Node | null;
}

/** A rule from a pattern. `replace` may still decline with null. */
export function rule(
  name: string,
  pattern: RootedPattern,
  replace: (match: Match, node: Node, make: Make) => Node | null,
): Rule {
  return {
    name,
    roots: pattern.roots ?? null,
    apply(node, make) {
      const captured: Record<string, Node> = {};
      return pattern(node, captured) ? replace(captured, node, make) : null;
    },
  };
}

// ── the driver ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Replacements of one node by rules, one after another; more are taken for rules that undo each other. */
const mostSteps = 200;

export interface Rewritten {
  readonly graph: Graph;
  /** How often each rule was applied, by name. */
  readonly applied: ReadonlyMap<string, number>;
}

/** Apply rules everywhere until none matches. `infer` gives the types of the nodes that rules make. */
export function rewriteGraph(
  graph: Graph,
  rules: readonly Rule[],
  infer: (op: string, inputs: readonly TensorType[], attrs: Attrs) => TensorType,
): Rewritten {
  const rewriter = new Rewriter(rules, infer);
  const rewritten = mapGraph(graph, rewriter.interner, (node, inputs) => rewriter.rebuilt(node, inputs));
  return rewriter.applied.size === 0
    ? { graph, applied: rewriter.applied }
    : { graph: rewritten, applied: rewriter.applied };
}

class Rewriter {
  readonly interner = new Interner();
  readonly applied = new Map<string, number>();
  readonly #rulesAt = new Map<string, readonly Rule[]>();
  readonly #simple = new Map<Node, Node>();
  /** The rules being applied, each inside the one before. */
  readonly #trail: string[] = [];

  constructor(
    readonly rules: readonly Rule[],
    readonly infer: (op: string, inputs: readonly TensorType[], attrs: Attrs) => TensorType,
  ) {}

  rebuilt(node: Node, inputs: readonly Node[]): Node {
    return this.#simplified(this.interner.like(node, inputs));
  }

  #simplified(node: Node): Node {
    const known = this.#simple.get(node);
    if (known !== undefined) return known;
    const simple = this.#apply(node);
    this.#simple.set(node, simple);
    return simple;
  }

  #apply(node: Node): Node {
    const make: Make = (op, inputs, attrs = {}) => {
      const type = this.infer(
        op,
        inputs.map(input => input.type),
        attrs,
      );
      return this.#simplified(this.interner.node(op, inputs, attrs, type, node.site));
    };
    for (const candidate of this.#candidates(node.op)) {
      invariant(
        this.#trail.length < mostSteps,
        () => `rewriting does not end at '${node.op}'; rules applied: ${[...new Set(this.#trail)].join('; ')}`,
      );
      this.#trail.push(candidate.name);
      const replacement = candidate.apply(node, make);
      const changed = replacement !== null && replacement !== node;
      if (changed) {
        checkType(candidate, node, replacement);
        this.applied.set(candidate.name, (this.applied.get(candidate.name) ?? 0) + 1);
      }
      const simple = changed ? this.#simplified(replacement) : node;
      this.#trail.pop();
      if (changed) return simple;
    }
    return node;
  }

  #candidates(op: string): readonly Rule[] {
    let found = this.#rulesAt.get(op);
    if (found === undefined) {
      found = this.rules.filter(({ roots }) => roots === null || roots.includes(op));
      this.#rulesAt.set(op, found);
    }
    return found;
  }
}

function checkType({ name }: Rule, node: Node, replacement: Node): void {
  if (replacement.type.dtype === node.type.dtype && sameShape(replacement.type.shape, node.type.shape)) return;
  throw new InternalError(
    `rule '${name}' replaces ${node.op} of type ${formatType(node.type)} by a ${formatType(replacement.type)}`,
  );
}
