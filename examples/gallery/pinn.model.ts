/**
 * A network that solves Burgers' equation, u_t + u u_x = 0.01/π u_xx: its own derivatives by place and time are in the loss.
 * Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (2019).
 */
import { autograd, defineModel, entry, input, manualSeed, nn, onesLike, optim, type Tensor } from 'gradc';

export default defineModel('pinn', () => {
  manualSeed(0);
  const net = new nn.Sequential(
    new nn.Linear(2, 32),
    new nn.Tanh(),
    new nn.Linear(32, 32),
    new nn.Tanh(),
    new nn.Linear(32, 1),
  );
  const opt = new optim.Adam(net.parameters(), { lr: 1e-3 });
  const slopes = (u: Tensor, at: Tensor): Tensor =>
    autograd.grad(u, at, { gradOutputs: onesLike(u), createGraph: true })[0];

  return {
    state: { net, opt },
    entries: {
      trainStep: entry(
        { inside: input([64, 2]), edge: input([16, 2]), edgeValue: input([16, 1]) },
        ({ inside, edge, edgeValue }) => {
          const at = inside.clone().requiresGrad_();
          const u = net.forward(at);
          const [ux, ut] = slopes(u, at).split(1, 1);
          const [uxx] = slopes(ux, at).split(1, 1);
          const residual = ut.add(u.mul(ux)).sub(uxx.mul(0.01 / Math.PI));
          const loss = residual.square().mean().add(net.forward(edge).sub(edgeValue).square().mean());
          opt.zeroGrad();
          loss.backward();
          opt.step();
          return { loss };
        },
      ),
    },
  };
});
