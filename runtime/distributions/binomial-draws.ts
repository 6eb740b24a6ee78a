/**
 * Binomial numbers as PyTorch draws them: by the gaps between successes where few are expected, else by transformed
 * rejection; W. Hörmann, "The generation of binomial random variates" (1993).
 */
import { fail } from '../../compiler/errors.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import { arange } from '../creation.js';
import { valuesAs } from '../draws.js';
import type { Generator } from '../generator.js';
import { logFactorial } from '../poisson.js';
import { rand, sourceFor } from '../random.js';

function byGaps(g: Generator, count: number, p: number): number {
  const logFailure = Math.log1p(-p);
  let successes = 0;
  for (let trial = 0; ; successes++) {
    trial += Math.ceil(Math.log(g.uniform(53)) / logFailure);
    if (trial > count) return successes;
  }
}

function byRejection(g: Generator, count: number, p: number): number {
  const deviation = Math.sqrt(count * p * (1 - p));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const surely = 0.92 - 4.2 / b;
  const alpha = (2.83 + 5.1 / b) * deviation;
  const logOdds = Math.log(p / (1 - p));
  const height = (k: number): number => k * logOdds - logFactorial(k) - logFactorial(count - k);
  const peak = height(Math.floor((count + 1) * p));
  for (;;) {
    const u = g.uniform(53) - 0.5;
    const v = g.uniform(53);
    const side = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / side + b) * u + count * p + 0.5);
    if (side >= 0.07 && v <= surely) return k;
    if (k < 0 || k > count) continue;
    if (Math.log((v * alpha) / (a / (side * side) + b)) <= height(k) - peak) return k;
  }
}

function drawBinomial(g: Generator, count: number, p: number): number {
  if (count <= 0 || p <= 0) return 0;
  if (p >= 1) return count;
  const rarer = Math.min(p, 1 - p);
  const drawn = (count * rarer >= 10 ? byRejection : byGaps)(g, count, rarer);
  return p <= 0.5 ? drawn : count - drawn;
}

/**
 * How many of `counts` trials succeed with a probability each: two tensors of one shape. `most` is how many trials there may
 * be, where that is known before an entry runs.
 */
export function binomial(counts: Tensor, probs: Tensor, most: number | null): Tensor {
  const g = sourceFor('Binomial', null);
  if (g === null || !isConstant(counts) || !isConstant(probs)) return computedBinomial(counts, probs, most);
  const trials = elementsOf(counts, 'a binomial distribution').map(Number);
  const chances = elementsOf(probs, 'a binomial distribution').map(Number);
  const drawn = trials.map((count, i) => drawBinomial(g, count, chances[i]));
  return valuesAs(Float64Array.from(drawn), probs.shape, probs.dtype);
}

/** All trials at once, of which those beyond a count do not count. */
function computedBinomial(counts: Tensor, probs: Tensor, most: number | null): Tensor {
  if (most === null)
    return fail('E304', {
      problem: 'Binomial is sampled in an entry, but how many trials there are will be known only when it runs',
      hint: 'give the total count as a number',
    });
  return noGrad(() => {
    const isSuccess = rand(most, ...probs.shape, { dtype: 'float64' }).lt(probs);
    const trial = arange(most).reshape([most, ...probs.shape.map(() => 1)]);
    return isSuccess.logicalAnd(trial.lt(counts)).sum(0).to(probs.dtype);
  });
}
