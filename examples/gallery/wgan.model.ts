/**
 * A generative adversarial network whose critic's gradient is held at length 1, a derivative of a derivative; spectral
 * normalisation, and an average of the generator to draw from. Gulrajani et al., "Improved training of Wasserstein GANs"
 * (2017).
 */
import { autograd, defineModel, entry, input, manualSeed, nn, noGrad, optim, rand, randn, type Tensor } from 'gradc';

const makeCritic = (): nn.Sequential =>
  new nn.Sequential(
    nn.utils.spectralNorm(new nn.Conv2d(1, 8, 4, { stride: 2, padding: 1 })),
    new nn.LeakyReLU(0.2, true),
    new nn.Conv2d(8, 16, 4, { stride: 2, padding: 1 }),
    new nn.InstanceNorm2d(16, { affine: true }),
    new nn.LeakyReLU(0.2, true),
    new nn.Flatten(),
    new nn.Linear(16 * 4 * 4, 1),
  );
const makeGenerator = (): nn.Sequential =>
  new nn.Sequential(
    new nn.Linear(8, 16 * 4 * 4),
    new nn.Unflatten(1, [16, 4, 4]),
    new nn.ConvTranspose2d(16, 8, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(true),
    new nn.ConvTranspose2d(8, 1, 4, { stride: 2, padding: 1 }),
    new nn.Tanh(),
  );

export default defineModel('wgan', () => {
  manualSeed(0);
  const [critic, generator] = [makeCritic(), makeGenerator()];
  const average = new optim.swaUtils.AveragedModel(generator, { avgFn: (mean, p) => mean.mul(0.99).add(p.mul(0.01)) });
  const criticOpt = new optim.Adam(critic.parameters(), { lr: 1e-4, betas: [0, 0.9] });
  const generatorOpt = new optim.Adam(generator.parameters(), { lr: 1e-4, betas: [0, 0.9] });

  /** How far the critic's slope between real and made images is from 1. */
  function gradientPenalty(real: Tensor, made: Tensor): Tensor {
    const between = made
      .lerp(real, rand(real.size(0), 1, 1, 1))
      .detach()
      .requiresGrad_();
    const score = critic.forward(between).sum();
    const [slope] = autograd.grad(score, between, { createGraph: true });
    return slope.flatten(1).norm(2, 1).sub(1).square().mean();
  }

  return {
    state: { critic, generator, average, criticOpt, generatorOpt },
    entries: {
      criticStep: entry({ real: input([4, 1, 16, 16]) }, ({ real }) => {
        const made = noGrad(() => generator.forward(randn(4, 8)));
        const distance = critic.forward(real).mean().sub(critic.forward(made).mean());
        const loss = gradientPenalty(real, made).mul(10).sub(distance);
        criticOpt.zeroGrad();
        loss.backward();
        criticOpt.step();
        return { distance };
      }),
      generatorStep: entry({}, () => {
        const loss = critic
          .forward(generator.forward(randn(4, 8)))
          .mean()
          .neg();
        generatorOpt.zeroGrad();
        loss.backward();
        generatorOpt.step();
        average.updateParameters(generator);
        return { loss };
      }),
      draw: entry({ z: input([4, 8]) }, ({ z }) => ({ image: average.eval().forward(z) })),
    },
  };
});
