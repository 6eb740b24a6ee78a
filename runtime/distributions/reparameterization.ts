/**
 * How samples of gamma and beta variables move with their parameters: -(∂F/∂α) / f at the sample x, for a distribution
 * function F with the density f. Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients" (2018).
 *
 * ∂F/∂α is the integral, up to x, of f times the derivative of its logarithm; over the whole range that is 0, so the shorter
 * side is taken. In a logarithmic variable u that is 0 at x, f is the exponential of a concave function that falls with u, so
 * Gauss–Legendre rules on the stretch where it is above e^-40 give ten digits: one for the first of it, where f bends, and one
 * for the rest.
 */
import { logsigmoid } from '../../compiler/ops/activation.js';
import { where } from '../../compiler/ops/selection.js';
import { digamma } from '../../compiler/ops/special.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { tensor } from '../creation.js';

const depth = 40;
const newtonSteps = 8;
const nodeCount = 40;
/** Farther away the density is an exponential function. */
const bend = 16;

/** Nodes and weights on [0, 1]: the roots of a Legendre polynomial, by Newton's method. */
function gaussLegendre(count: number): { nodes: number[]; weights: number[] } {
  const [nodes, weights]: [number[], number[]] = [[], []];
  for (let i = 0; i < count; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
    let slope = 1;
    for (let step = 0; step < 6; step++) {
      let [before, value] = [1, x];
      for (let n = 2; n <= count; n++) [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
      slope = (count * (x * value - before)) / (x * x - 1);
      x -= value / slope;
    }
    nodes.push((1 + x) / 2);
    weights.push(1 / ((1 - x * x) * slope * slope));
  }
  return { nodes, weights };
}
const rule = gaussLegendre(nodeCount);

/** The logarithm of a density at a distance u from the sample, less that at the sample, and its slope. */
interface Falling {
  readonly height: (u: Tensor) => Tensor;
  readonly slope: (u: Tensor) => Tensor;
  /** Beyond the place where the height is -`depth`. */
  readonly beyond: Tensor;
}

/** ∫ exp(height(u)) · factor(u) du from 0. */
function integral({ height, slope, beyond }: Falling, factor: (u: Tensor) => Tensor): Tensor {
  let end = beyond;
  for (let step = 0; step < newtonSteps; step++) end = end.sub(height(end).add(depth).div(slope(end)));
  const nodes = tensor(rule.nodes, { dtype: 'float64' });
  const weights = tensor(rule.weights, { dtype: 'float64' });
  const panel = (from: Tensor, length: Tensor): Tensor => {
    const u = length.mul(nodes).add(from);
    return height(u).exp().mul(factor(u)).mul(weights).sum(-1, { keepdim: true }).mul(length);
  };
  const first = end.clamp(null, bend);
  return panel(first.zerosLike(), first).add(panel(first, end.sub(first)));
}

const wide = (value: Tensor): Tensor => value.detach().to('float64').unsqueeze(-1);

/** dx/dα of standard gamma variables x of shapes α. */
export function gammaSlope(sample: Tensor, shape: Tensor): Tensor {
  return noGrad(() => {
    const [x, a] = [wide(sample), wide(shape)];
    const centered = x.log().sub(digamma(a));
    const below: Falling = {
      height: u => u.neg().expm1().neg().mul(x).sub(a.mul(u)),
      slope: u => u.neg().exp().mul(x).sub(a),
      beyond: x.add(depth).div(a),
    };
    const above: Falling = {
      height: u => a.mul(u).sub(u.expm1().mul(x)),
      slope: u => a.sub(u.exp().mul(x)),
      beyond: x
        .reciprocal()
        .mul(2 * depth)
        .log1p()
        .add(1),
    };
    const lower = integral(below, u => centered.sub(u)).neg();
    const upper = integral(above, u => centered.add(u));
    return where(x.lt(a), lower, upper).mul(x).squeeze(-1).to(sample.dtype);
  });
}

/** dx/dα of beta variables x of shapes α and β. */
export function betaSlope(sample: Tensor, alpha: Tensor, beta: Tensor): Tensor {
  return noGrad(() => {
    const [x, a, b] = [wide(sample), wide(alpha), wide(beta)];
    const total = a.add(b);
    const mean = digamma(a).sub(digamma(total));
    const [logX, logRest] = [x.log(), x.neg().log1p()];
    const odds = logX.sub(logRest);
    /** The logarithms of t and 1 - t, for log odds that are `u` away in a direction. */
    const logs = (u: Tensor, sign: number): [Tensor, Tensor] => {
      const at = odds.add(u.mul(sign));
      return [logsigmoid(at), logsigmoid(at.neg())];
    };
    const towards = (sign: number, limit: Tensor, edge: Tensor): Falling => ({
      height(u) {
        const [logT, logOther] = logs(u, sign);
        return a.mul(logT.sub(logX)).add(b.mul(logOther.sub(logRest)));
      },
      slope: u => a.sub(total.mul(odds.add(u.mul(sign)).sigmoid())).mul(sign),
      beyond: total.mul(edge).neg().add(depth).div(limit),
    });
    const lower = integral(towards(-1, a, logRest), u => logs(u, -1)[0].sub(mean)).neg();
    const upper = integral(towards(1, b, logX), u => logs(u, 1)[0].sub(mean));
    const isLow = x.mul(total).lt(a);
    return where(isLow, lower, upper).mul(x).mul(x.neg().add(1)).squeeze(-1).to(sample.dtype);
  });
}

/** A sample whose derivative by a parameter is known: its value, and that gradient for the parameter. */
export const withSlope = (sample: Tensor, parameter: Tensor, slope: Tensor): Tensor =>
  sample.add(parameter.sub(parameter.detach()).mul(slope));
