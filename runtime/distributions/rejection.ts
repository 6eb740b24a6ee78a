/** Rejection sampling where how often one tries must be known before: all tries at once, of which the first that holds counts. */
import { where } from '../../compiler/ops/selection.js';
import type { Tensor } from '../../compiler/ops/tensor.js';

/** Of candidates [tries, …] the first accepted one; the last where none is. */
export function firstAccepted(candidates: Tensor, isAccepted: Tensor): Tensor {
  const tries = candidates.size(0);
  let found = candidates.select(0, tries - 1);
  for (let i = tries - 2; i >= 0; i--) found = where(isAccepted.select(0, i), candidates.select(0, i), found);
  return found;
}
