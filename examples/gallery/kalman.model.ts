/**
 * A Kalman filter that learns how noisy its world is: the likelihood of a track by a scan, followed online with the belief as
 * state. Kalman, "A new approach to linear filtering and prediction problems" (1960).
 */
import {
  defineModel,
  distributions,
  entry,
  eye,
  float64,
  input,
  linalg,
  nn,
  optim,
  scan,
  type Tensor,
  zeros,
} from 'gradc';
import * as F from 'gradc/functional';

const [inner, seen, length, dt] = [4, 2, 12, 0.5];
const dtype = float64;

type Belief = [mean: Tensor, covariance: Tensor];

class Filter extends nn.Module {
  /** Place and speed, both in two dims. */
  motion = this.registerBuffer('motion', eye(inner, { dtype }).add(F.pad(eye(seen, { dtype }).mul(dt), [2, 0, 0, 2])));
  view = this.registerBuffer('view', F.pad(eye(seen, { dtype }), [0, 2]));
  logMotionNoise = new nn.Parameter(zeros(inner, { dtype }));
  logViewNoise = new nn.Parameter(zeros(seen, { dtype }));

  /** The belief after a place was seen, and how likely that was. */
  forward([mean, covariance]: Belief, place: Tensor): [Belief, Tensor] {
    const { motion, view } = this;
    const expected = motion.mv(mean);
    const spread = motion.mm(covariance).mm(motion.T).add(this.logMotionNoise.exp().diag());
    const viewSpread = view.mm(spread).mm(view.T).add(this.logViewNoise.exp().diag());
    const gain = linalg.solve(viewSpread, view.mm(spread)).T;
    const kept = eye(inner, { dtype }).sub(gain.mm(view));
    const likely = new distributions.MultivariateNormal(view.mv(expected), { covarianceMatrix: viewSpread });
    const belief: Belief = [expected.add(gain.mv(place.sub(view.mv(expected)))), kept.mm(spread)];
    return [belief, likely.logProb(place)];
  }
}

export default defineModel('kalman', () => {
  const filter = new Filter();
  const opt = new optim.Adam(filter.parameters(), { lr: 0.05 });
  const start = (): Belief => [zeros(inner, { dtype }), eye(inner, { dtype })];
  const [mean, covariance] = start();
  return {
    state: { filter, opt, mean, covariance },
    entries: {
      learn: entry({ track: input([length, seen], dtype) }, ({ track }) => {
        const [, logProbs] = scan((belief: Belief, place: Tensor) => filter.forward(belief, place), start(), track);
        const loss = logProbs.mean().neg();
        opt.zeroGrad();
        loss.backward();
        opt.step();
        return { loss };
      }),
      follow: entry({ place: input([seen], dtype) }, ({ place }) => {
        const [[now, spread]] = filter.forward([mean, covariance], place);
        mean.copy_(now);
        covariance.copy_(spread);
        return { now, doubt: spread.trace() };
      }),
      forget: entry({}, () => {
        mean.zero_();
        covariance.copy_(eye(inner, { dtype }));
        return {};
      }),
    },
  };
});
