/** A small GPT over characters, which learns a text of a few kilobytes by heart in a minute. */
import { defineModel, entry, input, int64, manualSeed, optim } from 'gradc';
import * as F from 'gradc/functional';
import { GPT } from '../zoo/gpt.model.js';
import { batchSize, time, vocabulary } from './characters.js';

export default defineModel('writer', () => {
  manualSeed(0);
  const net = new GPT({ layers: 3, width: 96, heads: 4, time, vocabulary });
  const opt = new optim.AdamW(net.parameters(), { lr: 2e-3, betas: [0.9, 0.99] });
  const tokens = input([batchSize, time], int64);
  return {
    state: { net, opt },
    entries: {
      predict: entry({ x: input([1, time], int64) }, ({ x }) => ({ logits: net.forward(x).squeeze(0) })),
      trainStep: entry({ x: tokens, y: tokens }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(net.forward(x).flatten(0, 1), y.flatten());
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});
