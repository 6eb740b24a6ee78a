/** Looking for NaN in gradients while they are computed, and for the call whose step made it. */
import { fail, type Site } from '../errors.js';
import type { GradNode } from './tape.js';
import { elements, executor, type Tensor } from './tensor.js';

let findSite: (() => Site) | null = null;
/** Look for NaN from now on, with what tells the place of a call; null for no longer. */
export function setAnomalyFinder(find: (() => Site) | null): void {
  findSite = find;
}

/** The place of the call that is being recorded, while anomalies are looked for. */
export const recordedSite = (): Site | null => findSite?.() ?? null;

/** Throws E207 where a step has made NaN of its gradients, while anomalies are looked for; eagerly. */
export function checkForNan({ name, site }: GradNode, grads: readonly (Tensor | null)[]): void {
  if (findSite === null || executor().kind !== 'eager') return;
  const which = grads.findIndex(grad => grad !== null && elements(grad.isnan().any(), name)[0]);
  if (which < 0) return;
  fail('E207', {
    problem: `Function '${name}' returned nan values in its ${which}th output.`,
    hint: site ? `its forward call is in ${site.file}, line ${site.line}` : undefined,
  });
}
