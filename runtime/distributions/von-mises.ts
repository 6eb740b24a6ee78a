/**
 * The von Mises distribution of angles. Best and Fisher, "Efficient simulation of the von Mises distribution" (1979), for
 * samples; Abramowitz and Stegun, "Handbook of mathematical functions" (1964), 9.8, for the Bessel functions, as in PyTorch.
 */
import type { Shape } from '../../compiler/ir/shape.js';
import { where } from '../../compiler/ops/selection.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import { rand, sourceFor } from '../random.js';
import { broadcastAll, Distribution, type DistributionOptions, type ParameterValue } from './distribution.js';
import { type Domain, positive, real } from './domain.js';
import { firstAccepted } from './rejection.js';

type Coefficients = { readonly small: readonly number[]; readonly large: readonly number[] };
const orders: readonly [Coefficients, Coefficients] = [
  {
    small: [1, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813],
    large: [
      0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633, 0.00392377,
    ],
  },
  {
    small: [0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411],
    large: [
      0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555, 0.02282967, -0.02895312, 0.01787654, -0.00420059,
    ],
  },
];

const polynomial = (x: Tensor, coefficients: readonly number[]): Tensor =>
  coefficients.slice(0, -1).reduceRight((sum: Tensor, c) => sum.mul(x).add(c), x.zerosLike().add(coefficients.at(-1)!));

/** The logarithm of the modified Bessel function of the first kind. */
function logBessel(x: Tensor, order: 0 | 1): Tensor {
  const { small, large } = orders[order];
  const isSmall = x.lt(3.75);
  const near = polynomial(where(isSmall, x, 1).div(3.75).square(), small).log();
  const far = where(isSmall, 3.75, x);
  const atFar = far.sub(far.log().mul(0.5)).add(polynomial(far.reciprocal().mul(3.75), large).log());
  return where(isSmall, order === 1 ? near.add(x.abs().log()) : near, atFar);
}

const compiledTries = 32;

/** Angles around `loc`, the closer the higher the concentration. */
export class VonMises extends Distribution {
  readonly loc: Tensor;
  readonly concentration: Tensor;
  constructor(loc: ParameterValue, concentration: ParameterValue, options: DistributionOptions = {}) {
    const [center, sharpness] = broadcastAll(loc, concentration);
    super(center.shape, [], options);
    this.checkParameter('loc', center, real);
    this.checkParameter('concentration', sharpness, positive);
    this.loc = center;
    this.concentration = sharpness;
  }
  get support(): Domain {
    return real;
  }
  get mean(): Tensor {
    return this.loc;
  }
  override get mode(): Tensor {
    return this.loc;
  }
  /** The circular variance. */
  get variance(): Tensor {
    return logBessel(this.concentration, 1).sub(logBessel(this.concentration, 0)).exp().neg().add(1);
  }
  override sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => {
      const angle = this.deviations(this.extendedShape(sampleShape));
      return angle
        .add(Math.PI)
        .add(this.loc)
        .remainder(2 * Math.PI)
        .sub(Math.PI);
    });
  }
  /** Angles around 0, by rejection from a wrapped Cauchy distribution. */
  private deviations(shape: Shape): Tensor {
    const { dtype } = this.loc;
    const isKnown = sourceFor('VonMises', null) !== null && isConstant(this.concentration);
    if (!isKnown) {
      const { angle, isAccepted } = this.candidates(rand([3, compiledTries, ...shape], { dtype }));
      return firstAccepted(angle, isAccepted);
    }
    let found = empty(shape, { dtype });
    let isDone = found.isnan().logicalAnd(false);
    while (!isDone.all().item()) {
      const { angle, isAccepted } = this.candidates(rand([3, ...shape], { dtype }));
      found = where(isAccepted, angle, found);
      isDone = isDone.logicalOr(isAccepted);
    }
    return found;
  }
  private candidates(uniforms: Tensor): { angle: Tensor; isAccepted: Tensor } {
    const { concentration } = this;
    const tau = concentration.square().mul(4).add(1).sqrt().add(1);
    const rho = tau.sub(tau.mul(2).sqrt()).div(concentration.mul(2));
    const r = rho.square().add(1).div(rho.mul(2));
    const [u1, u2, u3] = uniforms.unbind();
    const z = u1.mul(Math.PI).cos();
    const f = r.mul(z).add(1).div(r.add(z));
    const c = concentration.mul(r.sub(f));
    const isSurely = c.mul(c.neg().add(2)).sub(u2).gt(0);
    const isAccepted = isSurely.logicalOr(c.div(u2).log().add(1).sub(c).ge(0));
    return { angle: u3.sub(0.5).sign().mul(f.acos()), isAccepted };
  }
  logProb(value: Tensor): Tensor {
    this.checkSample(value);
    return this.concentration
      .mul(value.sub(this.loc).cos())
      .sub(Math.log(2 * Math.PI))
      .sub(logBessel(this.concentration, 0));
  }
}
