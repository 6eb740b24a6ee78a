/** A variational autoencoder of MNIST's digits. Kingma and Welling, "Auto-encoding variational Bayes" (2013). */
import { defineModel, entry, input, manualSeed, nn, optim, randnLike, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

class VAE extends nn.Module {
  hidden = new nn.Linear(784, 64);
  mean = new nn.Linear(64, 20);
  logVariance = new nn.Linear(64, 20);
  decoder = new nn.Sequential(new nn.Linear(20, 64), new nn.ReLU(), new nn.Linear(64, 784), new nn.Sigmoid());

  forward(x: Tensor): { image: Tensor; mean: Tensor; logVariance: Tensor } {
    const h = F.relu(this.hidden.forward(x.flatten(1)));
    const [mean, logVariance] = [this.mean.forward(h), this.logVariance.forward(h)];
    const z = mean.add(randnLike(mean).mul(logVariance.mul(0.5).exp()));
    return { image: this.decoder.forward(z), mean, logVariance };
  }
}

export default defineModel('vae', () => {
  manualSeed(0);
  const net = new VAE();
  const opt = new optim.Adam(net.parameters(), { lr: 1e-3 });
  return {
    state: { net, opt },
    entries: {
      trainStep: entry({ x: input([8, 1, 28, 28]) }, ({ x }) => {
        const { image, mean, logVariance } = net.forward(x);
        const reconstruction = F.binaryCrossEntropy(image, x.flatten(1), { reduction: 'sum' });
        const divergence = logVariance.add(1).sub(mean.square()).sub(logVariance.exp()).sum().mul(-0.5);
        const loss = reconstruction.add(divergence);
        opt.zeroGrad();
        loss.backward();
        opt.step();
        return { loss };
      }),
      decode: entry({ z: input([4, 20]) }, ({ z }) => ({ image: net.decoder.forward(z).reshape([4, 1, 28, 28]) })),
    },
  };
});
