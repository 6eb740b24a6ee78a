/** Tensors in arrays and objects, as loops carry them: taken apart into a list, and put together again. */
import { fail } from '../../errors.js';
import { formatType } from '../../ir/graph.js';
import { likeTuple } from '../../ops/named-tuple.js';
import { Tensor } from '../../ops/tensor.js';

/** A tensor, or arrays and plain objects of tensors, nested as one likes; null stands for nothing. */
export type Tree = null | Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/** The tensors of a tree in order, and where they stood. */
export interface Flat<T extends Tree = Tree> {
  readonly tensors: readonly Tensor[];
  /** Equal for trees of equal form. */
  readonly form: string;
  /** A tree of this form with other tensors. */
  rebuild(tensors: readonly Tensor[]): T;
}

/** Take a tree apart. Throws E110 for anything in it that is no tensor; `what` names the tree. */
export function flatten<T extends Tree>(op: string, what: string, tree: T): Flat<T> {
  const tensors: Tensor[] = [];
  const form = visit(tree, (tensor, path) => {
    if (!(tensor instanceof Tensor))
      fail('E110', {
        op,
        problem: `${what}${path} must be a Tensor, but is ${tensor === undefined ? 'undefined' : `a ${typeof tensor}`}`,
        hint: 'a tree is a tensor, null, or arrays and objects of trees; wrap a number: tensor(0)',
      });
    tensors.push(tensor);
  });
  return { tensors, form, rebuild: others => rebuild(tree, others[Symbol.iterator]()) as T };
}

function visit(tree: unknown, leaf: (leaf: unknown, path: string) => void, path = ''): string {
  if (tree === null) return 'null';
  if (Array.isArray(tree)) return `[${tree.map((part, i) => visit(part, leaf, `${path}[${i}]`)).join(', ')}]`;
  if (isRecord(tree)) {
    const entries = Object.entries(tree).map(([key, part]) => `${key}: ${visit(part, leaf, `${path}.${key}`)}`);
    return `{ ${entries.join(', ')} }`;
  }
  leaf(tree, path);
  return 'Tensor';
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !(value instanceof Tensor) && !Array.isArray(value);

function rebuild(tree: Tree, tensors: Iterator<Tensor>): Tree {
  if (tree === null) return null;
  if (tree instanceof Tensor) return tensors.next().value as Tensor;
  if (Array.isArray(tree))
    return likeTuple(
      tree,
      (tree as readonly Tree[]).map(part => rebuild(part, tensors)),
    );
  return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, rebuild(part, tensors)]));
}

/** A tree's form with types, for messages. */
export function describeTree(tree: Flat): string {
  let next = 0;
  return tree.form.replace(/Tensor/g, () => formatType(tree.tensors[next++].type));
}
