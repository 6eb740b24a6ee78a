/** An agent that acts and learns from what came of it. Schulman et al., "Proximal policy optimization algorithms" (2017). */
import { defineModel, distributions, entry, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';

const { Categorical } = distributions;

class Agent extends nn.Module {
  body = new nn.Sequential(new nn.Linear(4, 64), new nn.Tanh(), new nn.Linear(64, 64), new nn.Tanh());
  policy = new nn.Linear(64, 2);
  value = new nn.Linear(64, 1);
  forward(seen: Tensor): { choice: distributions.Categorical; value: Tensor } {
    const hidden = this.body.forward(seen);
    const choice = new Categorical({ logits: this.policy.forward(hidden) });
    return { choice, value: this.value.forward(hidden).squeeze(-1) };
  }
}

export default defineModel('ppo', () => {
  manualSeed(0);
  const agent = new Agent();
  const opt = new optim.Adam(
    [
      { params: [...agent.body.parameters(), ...agent.policy.parameters()], lr: 3e-4 },
      { params: [...agent.value.parameters()], lr: 1e-3 },
    ],
    { lr: 3e-4 },
  );
  const batch = {
    seen: input([64, 4]),
    action: input([64], int64),
    before: input([64]),
    gain: input([64]),
    worth: input([64]),
  };
  return {
    state: { agent, opt },
    entries: {
      act: entry({ seen: input([1, 4]) }, ({ seen }) => {
        const { choice, value } = agent.forward(seen);
        const action = choice.sample();
        return { action, logProb: choice.logProb(action), value };
      }),
      learn: entry(batch, ({ seen, action, before, gain, worth }) => {
        const { choice, value } = agent.forward(seen);
        const advantage = gain.sub(gain.mean()).div(gain.std().add(1e-8));
        const ratio = choice.logProb(action).sub(before).exp();
        const surrogate = ratio.mul(advantage).minimum(ratio.clamp(0.8, 1.2).mul(advantage)).mean();
        const loss = value.sub(worth).square().mean().mul(0.5).sub(surrogate).sub(choice.entropy().mean().mul(0.01));
        opt.zeroGrad();
        loss.backward();
        nn.utils.clipGradNorm_(agent.parameters(), 0.5);
        opt.step();
        return { loss };
      }),
    },
  };
});
