/**
 * Denoising diffusion with a small U-Net: group norm, attention in the middle, skip connections, a cosine rate. Ho, Jain and
 * Abbeel, "Denoising diffusion probabilistic models" (2020).
 */
import {
  arange,
  cat,
  cumprod,
  defineModel,
  entry,
  input,
  int64,
  linspace,
  manualSeed,
  nn,
  optim,
  randint,
  randn,
  randnLike,
  type Tensor,
  where,
} from 'gradc';
import * as F from 'gradc/functional';

const steps = 100;
const timeSize = 32;

/** Sines and cosines of the step number. */
function embedTime(step: Tensor): Tensor {
  const half = timeSize / 2;
  const frequencies = arange(half)
    .mul(-Math.log(10_000) / half)
    .exp();
  const angles = step.float().unsqueeze(1).mul(frequencies);
  return cat([angles.sin(), angles.cos()], -1);
}

class Block extends nn.Module {
  first: nn.Sequential;
  second: nn.Sequential;
  time: nn.Linear;
  skip: nn.Conv2d;
  constructor(inputs: number, outputs: number) {
    super();
    const padding = 1;
    this.first = new nn.Sequential(new nn.Conv2d(inputs, outputs, 3, { padding }), new nn.GroupNorm(4, outputs));
    this.second = new nn.Sequential(new nn.Conv2d(outputs, outputs, 3, { padding }), new nn.GroupNorm(4, outputs));
    this.time = new nn.Linear(timeSize, outputs);
    this.skip = new nn.Conv2d(inputs, outputs, 1);
  }
  forward(x: Tensor, time: Tensor): Tensor {
    const moved = F.silu(this.first.forward(x)).add(this.time.forward(time).unsqueeze(-1).unsqueeze(-1));
    return F.silu(this.second.forward(moved)).add(this.skip.forward(x));
  }
}

class UNet extends nn.Module {
  time = new nn.Sequential(new nn.Linear(timeSize, timeSize), new nn.SiLU());
  down1 = new Block(1, 8);
  down2 = new Block(8, 16);
  middle = new Block(16, 16);
  attention = new nn.MultiheadAttention(16, 4, { batchFirst: true });
  up2 = new Block(32, 8);
  up1 = new Block(16, 8);
  out = new nn.Conv2d(8, 1, 1);

  forward(x: Tensor, step: Tensor): Tensor {
    const time = this.time.forward(embedTime(step));
    const d1 = this.down1.forward(x, time);
    const d2 = this.down2.forward(F.maxPool2d(d1, 2), time);
    const m = this.attend(this.middle.forward(F.avgPool2d(d2, 2), time));
    const u2 = this.up2.forward(cat([F.interpolate(m, { scaleFactor: 2, mode: 'nearest' }), d2], 1), time);
    return this.out.forward(
      this.up1.forward(cat([F.interpolate(u2, { scaleFactor: 2, mode: 'bilinear' }), d1], 1), time),
    );
  }
  private attend(x: Tensor): Tensor {
    const pixels = x.flatten(2).transpose(1, 2);
    const [seen] = this.attention.forward(pixels, pixels, pixels);
    return x.add(seen.transpose(1, 2).reshape(x.shape));
  }
}

export default defineModel('diffusion', () => {
  manualSeed(0);
  const net = new UNet();
  const opt = new optim.AdamW(net.parameters(), { lr: 1e-3 });
  const rate = new optim.lrScheduler.CosineAnnealingLR(opt, 1000);
  const noise = linspace(1e-4, 0.02, steps);
  const kept = cumprod(noise.neg().add(1), 0);
  const perImage = (values: Tensor, step: Tensor): Tensor => values.at(step).reshape([-1, 1, 1, 1]);

  return {
    state: { net, opt, rate },
    entries: {
      trainStep: entry({ x: input([2, 1, 8, 8]) }, ({ x }) => {
        const step = randint(0, steps, [2]);
        const added = randn(x.shape);
        const share = perImage(kept, step);
        const noisy = x.mul(share.sqrt()).add(added.mul(share.neg().add(1).sqrt()));
        const loss = F.mseLoss(net.forward(noisy, step), added);
        opt.zeroGrad();
        loss.backward();
        nn.utils.clipGradNorm_(net.parameters(), 1);
        opt.step();
        rate.step();
        return { loss };
      }),
      /** One step back from noise, from `step` to the one before. */
      denoise: entry({ x: input([2, 1, 8, 8]), step: input([2], int64) }, ({ x, step }) => {
        const [now, share] = [perImage(noise, step), perImage(kept, step)];
        const found = net.forward(x, step).mul(now.div(share.neg().add(1).sqrt()));
        const mean = x.sub(found).div(now.neg().add(1).sqrt());
        const isLast = step.eq(0).reshape([-1, 1, 1, 1]);
        return { x: mean.add(where(isLast, 0, randnLike(x).mul(now.sqrt()))) };
      }),
    },
  };
});
