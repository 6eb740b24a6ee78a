/**
 * Part of a graph made anew in another interner: from some nodes down to where `leaf` gives a replacement.
 */
import { invariant } from '../errors.js';
import { type Interner, isParam, type Node } from './graph.js';

/** Makes nodes anew, each once over all calls. `leaf` answers null for a node that is made from its inputs. */
export class Rebuilder {
  readonly #image = new Map<Node, Node>();

  constructor(
    readonly interner: Interner,
    readonly leaf: (node: Node) => Node | null,
  ) {}

  node(root: Node): Node {
    const pending = [root];
    for (let node = pending[pending.length - 1]; node !== undefined; node = pending[pending.length - 1]) {
      if (this.#image.has(node) || this.#settled(node)) {
        pending.pop();
        continue;
      }
      const missing = node.inputs.filter(input => !this.#image.has(input));
      if (missing.length === 0) this.#image.set(node, this.#made(node));
      else pending.push(...missing);
    }
    return this.#image.get(root)!;
  }

  #settled(node: Node): boolean {
    const replacement = this.leaf(node);
    if (replacement !== null) this.#image.set(node, replacement);
    return replacement !== null;
  }

  #made(node: Node): Node {
    invariant(!isParam(node), () => `parameter ${node.attrs.name} has no place in the new graph`);
    return this.interner.like(
      node,
      node.inputs.map(input => this.#image.get(input)!),
    );
  }
}
