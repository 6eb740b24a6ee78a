/** Gradients of several values at once, of which some may not depend on what is asked about. */
import { gradOf } from '../../ops/backward.js';
import { requiresGrad } from '../../ops/tape.js';
import type { Tensor } from '../../ops/tensor.js';

/** A value, and the gradient that comes to it. */
export interface Incoming {
  readonly tensor: Tensor;
  readonly grad: Tensor;
}

/** What arrives at each variable, perhaps on a condition (`ops/presence.ts`); null where nothing does. */
export function pulledBack(values: readonly Incoming[], variables: readonly Tensor[]): readonly (Tensor | null)[] {
  const followed = values.filter(({ tensor }) => requiresGrad(tensor));
  if (followed.length === 0 || variables.length === 0) return variables.map(() => null);
  return gradOf(
    followed.map(({ tensor }) => tensor),
    variables,
    { gradOutputs: followed.map(({ grad }) => grad), retainGraph: true, allowUnused: true, conditional: true },
  );
}
