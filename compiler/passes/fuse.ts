/**
 * Fusion: which nodes become one kernel.
 *
 * Nodes are visited from the results backwards. Views and constants are free: whoever reads them computes them. Any other node
 * whose readers all lie in one group joins that group, if the group with it still lowers to one kernel (which is asked, not
 * guessed: `lowerGroup` returns null where it does not) and if it would not be computed more often for it: nothing is inlined
 * into the operands of a contraction, and a contraction accepts only what is computed at its own positions. A node that others
 * need too (a result, new state, several readers) is also written by the group it joined: the one of its readers that needs
 * none of the others. What joins nobody starts a group of its own.
 *
 *   y = relu(conv(x, w) + b)                      -> one kernel: contraction with epilogue
 *   softmax: max, sub, exp, sum, div              -> one kernel: a row with two reductions
 *   buf' = m·buf + g ; p' = p - lr·buf'           -> one kernel with two outputs
 *
 * A loop or branch is a group of its own with the values that are taken from it; what it reads lies in memory.
 *
 * The fuser reads the class on each op and lists no names (after TVM's OpPatternKind).
 */

import { invariant } from '../errors.js';
import { isControl } from '../ir/control.js';
import { type Graph, isParam, type Node, roots, topological, usersOf } from '../ir/graph.js';
import { numel } from '../ir/shape.js';
import { codeSize } from '../lowering/code-size.js';
import { type Group, isFree, type Lowered, lowerGroup } from '../lowering/lower.js';
import { type FusionClass, opDef } from '../ops/define.js';
import type { PassContext } from '../pass.js';

export interface FusedGraph {
  readonly graph: Graph;
  /** In an order in which they can run. */
  readonly groups: readonly FusedGroup[];
}
export interface FusedGroup extends Group {
  readonly lowered: Lowered | LoweredControl;
}
/** A loop or branch: its bodies are fused each by itself. */
export interface LoweredControl {
  readonly control: Node;
  readonly bodies: readonly FusedGraph[];
  /** The inputs of the node, each once, and the values that somebody takes from it. */
  readonly reads: readonly Node[];
  readonly writes: readonly Node[];
}

/** The kernels of groups, those inside loops and branches included. */
export const kernelsOf = (groups: readonly FusedGroup[]): readonly Lowered[] =>
  groups.flatMap(({ lowered }) =>
    'kernel' in lowered ? [lowered] : lowered.bodies.flatMap(body => kernelsOf(body.groups)),
  );

interface Draft {
  readonly nodes: Set<Node>;
  outputs: Node[];
}

const classOf = (node: Node): FusionClass => opDef(node.op).fusion;
/** Expressions of a kernel's code beyond which it takes no further node. */
const largestCode = 2000;

/** Partition the nodes of a graph into groups, each one kernel. */
export function fuse(graph: Graph, context: PassContext): FusedGraph {
  return new Fuser(graph, context).run();
}

class Fuser {
  readonly #rootNodes: ReadonlySet<Node>;
  readonly #users: ReadonlyMap<Node, Node[]>;
  readonly #draftOf = new Map<Node, Draft>();
  readonly #drafts: Draft[] = [];

  constructor(
    readonly graph: Graph,
    readonly context: PassContext,
  ) {
    this.#rootNodes = new Set(roots(graph));
    this.#users = usersOf([...this.#rootNodes]);
  }

  run(): FusedGraph {
    const order = topological([...this.#rootNodes]).filter(node => !isParam(node));
    for (const node of [...order].reverse()) this.#place(node);
    const groups = this.#sorted().map((draft, i) => {
      if (isControlDraft(draft)) return this.#control(draft);
      const group = { nodes: this.#withFreeInputs(draft.nodes), outputs: draft.outputs };
      const lowered = lowerGroup(group, kernelName(draft, i));
      invariant(lowered, () => `a group of ${draft.nodes.size} nodes does not lower`);
      return { ...group, lowered };
    });
    return { graph: this.graph, groups };
  }

  #control(draft: Draft): FusedGroup {
    const control = [...draft.nodes].find(isControl)!;
    const bodies = control.bodies.map(body => fuse(body, this.context));
    const reads = [...new Set(control.inputs)];
    return { nodes: draft.nodes, outputs: draft.outputs, lowered: { control, bodies, reads, writes: draft.outputs } };
  }

  #place(node: Node): void {
    if (classOf(node) === 'control') {
      this.#placeControl(node);
      return;
    }
    const users = this.#users.get(node) ?? [];
    const isRoot = this.#rootNodes.has(node) || users.some(isControl);
    if (isFree(node) && !isRoot) return;
    const readers = this.#readersOf(node);
    for (const draft of this.#earliest(readers)) {
      const refusal = this.#join(node, draft, isRoot || readers.size > 1);
      if (refusal === null) return;
      this.context.note(describe(node), `not fused into ${describe(draft.outputs[0])}: ${refusal}`, [
        node,
        draft.outputs[0],
      ]);
    }
    this.#start(node);
  }

  /** The values of a loop or branch and the node itself are one group. */
  #placeControl(node: Node): void {
    const control = isControl(node) ? node : node.inputs[0];
    if (!this.#draftOf.has(control)) this.#draftOf.set(control, this.#start(node));
    const draft = this.#draftOf.get(control)!;
    draft.nodes.add(node);
    if (node !== control && !draft.outputs.includes(node)) draft.outputs.push(node);
    this.#draftOf.set(node, draft);
  }

  /** The readers that need none of the others: with the node in one of them, the others can still run after it. */
  #earliest(readers: ReadonlySet<Draft>): Draft[] {
    return [...readers].filter(draft => !this.#reaches(draft, readers));
  }

  /** Does `draft` read, directly or not, what another of `targets` writes? */
  #reaches(draft: Draft, targets: ReadonlySet<Draft>): boolean {
    if (targets.size === 1) return false;
    const seen = new Set<Draft>([draft]);
    const pending = [draft];
    for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
      for (const source of this.#sourcesOf(current)) {
        if (seen.has(source)) continue;
        if (targets.has(source)) return true;
        seen.add(source);
        pending.push(source);
      }
    }
    return false;
  }

  /** The groups whose outputs a group reads. */
  #sourcesOf(draft: Draft): Set<Draft> {
    const sources = new Set<Draft>();
    for (const node of this.#withFreeInputs(draft.nodes)) {
      for (const input of node.inputs) {
        const source = this.#draftOf.get(input);
        if (source && source !== draft) sources.add(source);
      }
    }
    return sources;
  }

  #start(node: Node): Draft {
    const draft: Draft = { nodes: new Set([node]), outputs: [node] };
    this.#drafts.push(draft);
    this.#draftOf.set(node, draft);
    return draft;
  }

  /** The groups that read a node, through free nodes too. */
  #readersOf(node: Node): Set<Draft> {
    const readers = new Set<Draft>();
    const follow = (n: Node): void => {
      for (const user of this.#users.get(n) ?? []) {
        const draft = this.#draftOf.get(user);
        if (draft) readers.add(draft);
        else follow(user);
      }
    };
    follow(node);
    return readers;
  }

  /** Take a node into a group; the reason where that is not possible. */
  #join(node: Node, draft: Draft, written: boolean): string | null {
    const refusal = this.#refusal(node, draft, written);
    if (refusal !== null) return refusal;
    const nodes = new Set([...draft.nodes, node]);
    const outputs = written ? [...draft.outputs, node] : draft.outputs;
    const trial = lowerGroup({ nodes: this.#withFreeInputs(nodes), outputs }, 'trial');
    if (trial === null) return 'it is read at other positions than where the kernel computes it, or at too many';
    if (codeSize(trial.kernel.body, largestCode) > largestCode) return 'the kernel would become too long';
    draft.nodes.add(node);
    draft.outputs = outputs;
    this.#draftOf.set(node, draft);
    return null;
  }

  #refusal(node: Node, draft: Draft, written: boolean): string | null {
    const kind = classOf(node);
    const members = [...draft.nodes].map(classOf);
    if (members.includes('control')) return 'a loop or branch is no kernel';
    if (kind === 'opaque' || members.includes('opaque')) return 'a scatter, scan or sort is a kernel of its own';
    const contraction = [...draft.nodes].find(member => classOf(member) === 'contraction');
    const reduces = members.includes('reduction') || contraction !== undefined;
    if (kind === 'contraction' && reduces) return 'a contraction shares its loops with no other reduction';
    if (kind === 'reduction' && contraction) return 'a contraction shares its loops with no other reduction';
    const across = [...draft.nodes].find(member => classOf(member) === 'reduction' && !alongRows(member));
    if (across && written && numel(node.type.shape) > numel(across.type.shape))
      return 'it would be written across the rows that the kernel reduces';
    if (contraction && this.#feeds(node, contraction, draft)) return 'an operand of a contraction is read many times';
    return null;
  }

  /** Is `node` used, inside the group or through free nodes, to compute `target`? */
  #feeds(node: Node, target: Node, draft: Draft): boolean {
    const seen = new Set<Node>();
    const search = (n: Node): boolean => {
      if (n === node) return true;
      if (seen.has(n) || isParam(n) || (n !== target && !draft.nodes.has(n) && !isFree(n))) return false;
      seen.add(n);
      return n.inputs.some(search);
    };
    return search(target);
  }

  #withFreeInputs(nodes: ReadonlySet<Node>): Set<Node> {
    const all = new Set(nodes);
    const visit = (node: Node): void => {
      for (const input of node.inputs) {
        if (all.has(input) || isParam(input) || this.#draftOf.has(input) || !isFree(input)) continue;
        all.add(input);
        visit(input);
      }
    };
    for (const node of nodes) visit(node);
    return all;
  }

  /** Groups after those they read. */
  #sorted(): Draft[] {
    const done = new Set<Draft>();
    const sorted: Draft[] = [];
    const visit = (draft: Draft): void => {
      if (done.has(draft)) return;
      done.add(draft);
      for (const source of this.#sourcesOf(draft)) visit(source);
      sorted.push(draft);
    };
    for (const draft of [...this.#drafts].reverse()) visit(draft);
    return sorted;
  }
}

const isControlDraft = ({ nodes }: Draft): boolean => [...nodes].some(isControl);

/** Does a reduction run along memory, over the last dims, with several rows to share out? */
function alongRows(node: Node): boolean {
  const { dim } = node.attrs;
  const rank = node.inputs[0].type.shape.length;
  return Array.isArray(dim) && numel(node.type.shape) >= minimumRows && dim.every(d => Number(d) >= rank - dim.length);
}
/** Rows below which a kernel over rows has too little to run in parallel. */
const minimumRows = 16;

const describe = (node: Node): string => `%${node.id} ${node.op}${node.site?.module ? ` in ${node.site.module}` : ''}`;

/** Named after what is most telling in it: its contraction or reduction, else the last op. */
function kernelName(draft: Draft, i: number): string {
  const rank: Partial<Record<FusionClass, number>> = { contraction: 0, opaque: 1, reduction: 2, pointwise: 3 };
  const members = [...draft.nodes].sort((a, b) => (rank[classOf(a)] ?? 9) - (rank[classOf(b)] ?? 9) || b.id - a.id);
  return `k${i}_${members[0].op}`;
}
