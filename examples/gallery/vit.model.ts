/**
 * A vision transformer with gradient checkpointing, a warm-up and an average of its parameters to predict with. Dosovitskiy et
 * al., "An image is worth 16x16 words" (2020).
 */
import {
  cat,
  checkpoint,
  defineModel,
  entry,
  input,
  int64,
  manualSeed,
  nn,
  optim,
  randn,
  type Tensor,
  zeros,
} from 'gradc';
import * as F from 'gradc/functional';

const width = 32;

class ViT extends nn.Module {
  patches = new nn.Conv2d(3, width, 4, { stride: 4 });
  classToken = new nn.Parameter(zeros(1, 1, width));
  positions = new nn.Parameter(randn(1, 17, width).mul(0.02));
  layers = new nn.ModuleList(
    Array.from(
      { length: 2 },
      () =>
        new nn.TransformerEncoderLayer(width, 4, {
          dimFeedforward: 2 * width,
          dropout: 0.1,
          activation: 'gelu',
          batchFirst: true,
          normFirst: true,
        }),
    ),
  );
  head = new nn.Sequential(new nn.LayerNorm(width), new nn.Linear(width, 10));

  forward(x: Tensor): Tensor {
    const patches = this.patches.forward(x).flatten(2).transpose(1, 2);
    const tokens = cat([this.classToken.expand(x.size(0), -1, -1), patches], 1).add(this.positions);
    const seen = [...this.layers].reduce((t, layer) => checkpoint((y: Tensor) => layer.forward(y), t), tokens);
    return this.head.forward(seen.select(1, 0));
  }
}

export default defineModel('vit', () => {
  manualSeed(0);
  const net = new ViT();
  const opt = new optim.AdamW(net.parameters(), { lr: 3e-4, weightDecay: 0.05 });
  const rate = new optim.lrScheduler.OneCycleLR(opt, 1e-3, { totalSteps: 1000 });
  const average = new optim.swaUtils.AveragedModel(net, { avgFn: (mean, p) => mean.lerp(p, 0.001) });
  return {
    state: { net, opt, rate, average },
    entries: {
      trainStep: entry({ x: input([2, 3, 16, 16]), y: input([2], int64) }, ({ x, y }) => {
        const logits = net.forward(x);
        const loss = F.crossEntropy(logits, y, { labelSmoothing: 0.1 });
        opt.zeroGrad();
        loss.backward();
        nn.utils.clipGradNorm_(net.parameters(), 1);
        opt.step();
        rate.step();
        average.updateParameters(net);
        return { loss, right: logits.argmax(1).eq(y).sum() };
      }),
      predict: entry({ x: input([1, 3, 16, 16]) }, ({ x }) => {
        const [chances, classes] = average.eval().forward(x).softmax(-1).topk(3);
        return { chances, classes };
      }),
    },
  };
});
