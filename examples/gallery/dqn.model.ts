/**
 * An agent that remembers: what it saw lies in a ring that is state of the model, and is drawn from as surprising as it was.
 * Mnih et al., "Human-level control through deep reinforcement learning" (2015); van Hasselt et al. (2015) for the two
 * networks, Schaul et al., "Prioritized experience replay" (2015) for the draws.
 */
import {
  defineModel,
  entry,
  input,
  int64,
  manualSeed,
  nn,
  noGrad,
  optim,
  rand,
  randint,
  type Tensor,
  where,
  zeros,
} from 'gradc';
import * as F from 'gradc/functional';

const [features, actions, places, batch, discount] = [4, 2, 64, 16, 0.99];

class QNetwork extends nn.Module {
  body = new nn.Sequential(new nn.Linear(features, 32), new nn.ReLU(), new nn.Linear(32, 32), new nn.ReLU());
  advantage = new nn.Linear(32, actions);
  value = new nn.Linear(32, 1);
  forward(seen: Tensor): Tensor {
    const hidden = this.body.forward(seen);
    const advantage = this.advantage.forward(hidden);
    return this.value.forward(hidden).add(advantage).sub(advantage.mean(-1, true));
  }
}

interface Step {
  readonly seen: Tensor;
  readonly action: Tensor;
  readonly reward: Tensor;
  readonly next: Tensor;
  readonly isLast: Tensor;
}

class Memory extends nn.Module {
  seen = this.registerBuffer('seen', zeros(places, features));
  action = this.registerBuffer('action', zeros(places, { dtype: int64 }));
  reward = this.registerBuffer('reward', zeros(places));
  next = this.registerBuffer('next', zeros(places, features));
  isLast = this.registerBuffer('isLast', zeros(places));
  /** 0 where nothing has been remembered yet. */
  surprise = this.registerBuffer('surprise', zeros(places));
  count = this.registerBuffer('count', zeros([], { dtype: int64 }));

  remember(step: Step): void {
    const place = this.count.remainder(places);
    for (const part of ['seen', 'action', 'reward', 'next', 'isLast'] as const) this[part].setAt(place, step[part]);
    this.surprise.setAt(place, this.surprise.max().clamp(1));
    this.count.add_(1);
  }
  forward(place: Tensor): Step {
    const { seen, action, reward, next, isLast } = this;
    const at = (part: Tensor): Tensor => part.at(place);
    return { seen: at(seen), action: at(action), reward: at(reward), next: at(next), isLast: at(isLast) };
  }
}

export default defineModel('dqn', () => {
  manualSeed(0);
  const net = new QNetwork();
  const target = new QNetwork();
  target.loadStateDict(net.stateDict());
  const memory = new Memory();
  const opt = new optim.AdamW(net.parameters(), { lr: 1e-3, amsgrad: true });
  const one = { seen: input([features]), next: input([features]), action: input([], int64) };
  return {
    state: { net, target, memory, opt },
    entries: {
      act: entry({ seen: input([features]), curiosity: input([]) }, ({ seen, curiosity }) => {
        const best = net.forward(seen).argmax();
        return { action: where(rand([]).lt(curiosity), randint(0, actions, []), best) };
      }),
      remember: entry({ ...one, reward: input([]), isLast: input([]) }, step => {
        memory.remember(step);
        return { count: memory.count };
      }),
      learn: entry({}, () => {
        const place = memory.surprise.pow(0.6).add(1e-6).multinomial(batch, true);
        const { seen, action, reward, next, isLast } = memory.forward(place);
        const worth = noGrad(() => {
          const best = net.forward(next).argmax(1, true);
          const later = target.forward(next).gather(1, best).squeeze(1);
          return reward.add(later.mul(discount).mul(isLast.rsub(1)));
        });
        const expected = net.forward(seen).gather(1, action.unsqueeze(1)).squeeze(1);
        const loss = F.smoothL1Loss(expected, worth);
        opt.zeroGrad();
        loss.backward();
        nn.utils.clipGradValue_(net.parameters(), 100);
        opt.step();
        memory.surprise.setAt(place, expected.detach().sub(worth).abs().add(1e-5));
        noGrad(() => {
          const learnt = [...net.parameters()];
          for (const [i, parameter] of [...target.parameters()].entries()) parameter.lerp_(learnt[i], 0.005);
        });
        return { loss };
      }),
    },
  };
});
