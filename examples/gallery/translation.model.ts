/**
 * A transformer that translates, with masks for padding and for what is still to come. Vaswani et al., "Attention is all you
 * need" (2017).
 */
import { arange, defineModel, entry, input, int64, manualSeed, nn, optim, stack, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

const [words, width, padding] = [30, 32, 0];

class Positional extends nn.Module {
  table: Tensor;
  dropout = new nn.Dropout(0.1);
  constructor(longest: number) {
    super();
    const frequencies = arange(0, width, 2)
      .mul(-Math.log(10_000) / width)
      .exp();
    const angles = arange(longest).unsqueeze(1).mul(frequencies);
    this.table = this.registerBuffer(
      'table',
      stack([angles.sin(), angles.cos()], 2).reshape([1, longest, width]),
      false,
    );
  }
  forward(x: Tensor): Tensor {
    return this.dropout.forward(x.mul(Math.sqrt(width)).add(this.table.narrow(1, 0, x.size(1))));
  }
}

class Translator extends nn.Module {
  source = new nn.Embedding(words, width, { paddingIdx: padding });
  target = new nn.Embedding(words, width, { paddingIdx: padding });
  positional = new Positional(64);
  transformer = new nn.Transformer({
    dModel: width,
    nhead: 4,
    numEncoderLayers: 1,
    numDecoderLayers: 1,
    dimFeedforward: 2 * width,
    batchFirst: true,
  });
  out = new nn.Linear(width, words);

  forward(source: Tensor, target: Tensor): Tensor {
    const isPadding = source.eq(padding);
    const hidden = this.transformer.forward(
      this.positional.forward(this.source.forward(source)),
      this.positional.forward(this.target.forward(target)),
      {
        tgtMask: nn.Transformer.generateSquareSubsequentMask(target.size(1)),
        srcKeyPaddingMask: isPadding,
        memoryKeyPaddingMask: isPadding,
      },
    );
    return this.out.forward(hidden);
  }
}

export default defineModel('translation', () => {
  manualSeed(0);
  const net = new Translator();
  for (const parameter of net.parameters()) if (parameter.ndim > 1) nn.init.xavierUniform_(parameter);
  const opt = new optim.Adam(net.parameters(), { lr: 1e-3, betas: [0.9, 0.98], eps: 1e-9 });
  return {
    state: { net, opt },
    entries: {
      trainStep: entry({ source: input([4, 9], int64), target: input([4, 8], int64) }, ({ source, target }) => {
        const logits = net.forward(source, target.narrow(1, 0, 7));
        const next = target.narrow(1, 1, 7);
        const loss = F.crossEntropy(logits.transpose(1, 2), next, { ignoreIndex: padding, labelSmoothing: 0.1 });
        opt.zeroGrad();
        loss.backward();
        opt.step();
        return { loss };
      }),
      /** The most likely next word after each prefix of the target. */
      next: entry({ source: input([1, 9], int64), target: input([1, 8], int64) }, ({ source, target }) => ({
        word: net.eval().forward(source, target).argmax(-1),
      })),
    },
  };
});
