/**
 * Gradients that exist only if a condition holds: those that come out of a branch which may not have been taken, or arrive at a
 * carry of a loop in some steps only.
 *
 * Where `if` decides, the tape follows the side that was taken, and nothing at all arrives at what only the other side used.
 * In a graph something must arrive. Zero would do if every derivative were finite, but 0 · Infinity is NaN: the derivative of
 * sqrt at 0, of a QR of a singular matrix. So the tape carries the condition along with the gradient, whose numbers mean nothing
 * while the condition does not hold, and chooses zero only after all derivatives on the way: where gradients meet, and where they
 * end. That choice is an op whose own derivative has the same condition, so that it holds for derivatives of any order.
 */
import { apply, full, opDef } from './define.js';
import { logicalAnd, logicalOr } from './logic.js';
import { gradEdge } from './tape.js';
import { Tensor } from './tensor.js';

const conditions = new WeakMap<Tensor, Tensor>();
/** Those which are zero anyway where they do not exist. */
const zeroOtherwise = new WeakSet<Tensor>();

/** The bool[] that says whether a gradient exists; null where it always does. */
export const presenceOf = (grad: Tensor): Tensor | null => conditions.get(grad) ?? null;

/** The same gradient, which exists only if `condition` holds, too. */
export function onlyIf(grad: Tensor, condition: Tensor | null): Tensor {
  const own = presenceOf(grad);
  if (condition === null || condition === own) return grad;
  const same = new Tensor(grad.type, grad.value);
  same.meta.node = gradEdge(grad);
  conditions.set(same, own === null ? condition : logicalAnd(own, condition));
  return same;
}

/** The same gradient, which exists only if `condition` holds, and is zero where it does not. */
export function zeroUnless(grad: Tensor, condition: Tensor): Tensor {
  const same = onlyIf(grad, condition);
  zeroOtherwise.add(same);
  return same;
}

/** A gradient for whoever knows of no conditions: zero where it does not exist. */
export function settled(grad: Tensor): Tensor {
  const condition = presenceOf(grad);
  if (condition === null || zeroOtherwise.has(grad)) return grad;
  return apply(opDef('onlyWhere'), [grad, condition], {});
}

/** The sum of what arrives from two sides; it exists where one of them does. */
export function addedUp(a: Tensor, b: Tensor): Tensor {
  const [first, second] = [presenceOf(a), presenceOf(b)];
  if (first === second) return onlyIf(a.add(b), first);
  const sum = settled(a).add(settled(b));
  return first === null || second === null ? sum : onlyIf(sum, logicalOr(first, second));
}

/** What is known of whether a gradient exists before the program runs. */
export type Arrival = 'never' | 'perhaps' | 'always';

export function arrivalOf(grad: Tensor | null): Arrival {
  if (grad === null) return 'never';
  return presenceOf(grad) === null ? 'always' : 'perhaps';
}

const truth = (value: boolean): Tensor => full([], Number(value), { dtype: 'bool' });

/** Whether a gradient exists, as a bool[]. */
export const existenceOf = (grad: Tensor | null): Tensor =>
  grad === null ? truth(false) : (presenceOf(grad) ?? truth(true));
