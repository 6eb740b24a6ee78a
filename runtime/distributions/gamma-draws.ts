/**
 * Standard gamma variables, eagerly PyTorch's numbers for the same seed: G. Marsaglia and W. W. Tsang, "A simple method for
 * generating gamma variables" (2000). A compiled entry tries a fixed number of times; all fail once in 10¹⁵ draws.
 */
import { precisionOf } from '../../compiler/ir/dtype.js';
import { where } from '../../compiler/ops/selection.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import { valuesAs } from '../draws.js';
import type { Generator } from '../generator.js';
import { rand, randn, sourceFor } from '../random.js';
import { firstAccepted } from './rejection.js';

/** One number of a shape `alpha`. Shapes below 1 take one above and a power of a uniform number. */
function drawGamma(g: Generator, alpha: number): number {
  if (alpha === 0) return 0;
  const boost = alpha < 1 ? (1 - g.uniform(53)) ** (1 / alpha) : 1;
  const d = (alpha < 1 ? alpha + 1 : alpha) - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = g.normal();
    const root = 1 + c * x;
    if (root <= 0) continue;
    const v = root ** 3;
    const u = 1 - g.uniform(53);
    const isSurely = u < 1 - 0.0331 * x ** 4;
    if (isSurely || Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v))) return boost * d * v;
  }
}

const tries = 12;

/** The same distribution, from numbers that are drawn all at once. */
function computedGamma(alpha: Tensor): Tensor {
  const shape = alpha.to('float64');
  const isSmall = shape.lt(1);
  const many = [tries, ...alpha.shape];
  const d = where(isSmall, shape.add(1), shape).sub(1 / 3);
  const x = randn(many, { dtype: 'float64' });
  const v = x.div(d.mul(9).sqrt()).add(1).pow(3);
  const threshold = x
    .square()
    .mul(0.5)
    .add(
      d.mul(
        v
          .neg()
          .add(1)
          .add(v.clamp(precisionOf('float64').smallestNormal).log()),
      ),
    );
  const uniform = (size: readonly number[]): Tensor => rand(size, { dtype: 'float64' }).neg().add(1);
  const isAccepted = v.gt(0).logicalAnd(uniform(many).log().lt(threshold));
  const boost = where(isSmall, uniform(alpha.shape).pow(shape.reciprocal()), 1);
  return where(shape.eq(0), 0, firstAccepted(v, isAccepted).mul(d).mul(boost));
}

/** Standard gamma variables in double precision, without a gradient. */
export function standardGamma(alpha: Tensor): Tensor {
  return noGrad(() => {
    const g = sourceFor('Gamma', null);
    if (g === null || !isConstant(alpha)) return computedGamma(alpha);
    const shapes = elementsOf(alpha, 'a gamma distribution').map(Number);
    return valuesAs(
      Float64Array.from(shapes, shape => drawGamma(g, shape)),
      alpha.shape,
      'float64',
    );
  });
}
