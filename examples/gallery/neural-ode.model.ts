/**
 * A differential equation whose right side is a network, solved by Runge and Kutta's method in a loop and trained through it.
 * Chen et al., "Neural ordinary differential equations" (2018).
 */
import { defineModel, entry, input, manualSeed, nn, optim, scan, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

export default defineModel('neural_ode', () => {
  manualSeed(0);
  const net = new nn.Sequential(new nn.Linear(2, 50), new nn.Tanh(), new nn.Linear(50, 2));
  const opt = new optim.RMSprop(net.parameters(), { lr: 1e-3 });
  const slope = (y: Tensor): Tensor => net.forward(y.pow(3));

  function step(y: Tensor, h: number): Tensor {
    const k1 = slope(y);
    const k2 = slope(y.add(k1.mul(h / 2)));
    const k3 = slope(y.add(k2.mul(h / 2)));
    const k4 = slope(y.add(k3.mul(h)));
    return y.add(
      k1
        .add(k2.mul(2))
        .add(k3.mul(2))
        .add(k4)
        .mul(h / 6),
    );
  }

  return {
    state: { net, opt },
    entries: {
      trainStep: entry({ start: input([8, 2]), path: input([20, 8, 2]) }, ({ start, path }) => {
        const [, found] = scan(
          (y: Tensor) => {
            const next = step(y, 0.05);
            return [next, next];
          },
          start,
          path,
        );
        const loss = F.l1Loss(found, path);
        opt.zeroGrad();
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});
