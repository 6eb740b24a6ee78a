/** Finding the step of the backward pass that first makes NaN of its gradients, and the line that recorded it. */
import { setAnomalyFinder } from '../compiler/ops/anomaly.js';
import { captureSite } from '../compiler/trace/site.js';

let enabled = false;

/** From now on, look at every gradient, which is slow; eagerly. */
export function setDetectAnomaly(mode: boolean): void {
  enabled = mode;
  setAnomalyFinder(mode ? captureSite : null);
}

/** Run `fn`, forward and backward passes, with every gradient looked at. */
export function detectAnomaly<T>(fn: () => T): T {
  const previous = enabled;
  setDetectAnomaly(true);
  try {
    return fn();
  } finally {
    setDetectAnomaly(previous);
  }
}
