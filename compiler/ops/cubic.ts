/** Cubic convolution: the weight of a cell by its distance (R. Keys, "Cubic convolution interpolation", 1981). */
import { where } from './selection.js';
import type { Tensor } from './tensor.js';

/** At distance |x|, with Keys' a = -0.75. */
export function cubicWeight(x: Tensor): Tensor {
  const a = -0.75;
  const near = x
    .mul(a + 2)
    .sub(a + 3)
    .mul(x)
    .mul(x)
    .add(1);
  const far = x
    .mul(a)
    .sub(5 * a)
    .mul(x)
    .add(8 * a)
    .mul(x)
    .sub(4 * a);
  return where(x.le(1), near, where(x.lt(2), far, 0));
}
