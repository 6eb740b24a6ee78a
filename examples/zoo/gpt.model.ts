/**
 * A GPT in the shape of GPT-2: causal attention, layer norm before each part, a head of its own weights; trained with AdamW.
 * Radford et al., "Language models are unsupervised multitask learners" (2019).
 */
import { defineModel, entry, float32, full, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';
import * as F from 'gradc/functional';
import { attend } from './attention.js';

export interface GPTOptions {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Tokens of a sequence. */
  readonly time: number;
  readonly vocabulary: number;
}
const standard: GPTOptions = { layers: 4, width: 256, heads: 4, time: 128, vocabulary: 512 };

class Block extends nn.Module {
  ln1: nn.LayerNorm;
  qkv: nn.Linear;
  proj: nn.Linear;
  ln2: nn.LayerNorm;
  fc1: nn.Linear;
  fc2: nn.Linear;

  constructor(
    width: number,
    readonly heads: number,
  ) {
    super();
    this.ln1 = new nn.LayerNorm(width);
    this.qkv = new nn.Linear(width, 3 * width);
    this.proj = new nn.Linear(width, width);
    this.ln2 = new nn.LayerNorm(width);
    this.fc1 = new nn.Linear(width, 4 * width);
    this.fc2 = new nn.Linear(4 * width, width);
  }

  forward(x: Tensor, mask: Tensor): Tensor {
    const [q, k, v] = this.qkv.forward(this.ln1.forward(x)).chunk(3, -1);
    x = x.add(this.proj.forward(attend(q, k, v, this.heads, mask)));
    const hidden = F.gelu(this.fc1.forward(this.ln2.forward(x)), { approximate: 'tanh' });
    return x.add(this.fc2.forward(hidden));
  }
}

export class GPT extends nn.Module {
  tok: nn.Embedding;
  pos: nn.Embedding;
  blocks: nn.ModuleList<Block>;
  lnf: nn.LayerNorm;
  head: nn.Linear;

  constructor({ layers, width, heads, time, vocabulary }: GPTOptions = standard) {
    super();
    this.tok = new nn.Embedding(vocabulary, width);
    this.pos = new nn.Embedding(time, width);
    this.blocks = new nn.ModuleList(Array.from({ length: layers }, () => new Block(width, heads)));
    this.lnf = new nn.LayerNorm(width);
    this.head = new nn.Linear(width, vocabulary, { bias: false });
  }

  forward(tokens: Tensor): Tensor {
    const time = tokens.shape[1];
    const future = full([time, time], -1e9, { dtype: float32 }).triu(1);
    let x = this.tok.forward(tokens).add(this.pos.weight);
    for (const block of this.blocks) x = block.forward(x, future);
    return this.head.forward(this.lnf.forward(x));
  }
}

export const gpt = (options = standard, batch = 4) =>
  defineModel('gpt', () => {
    manualSeed(0);
    const net = new GPT(options);
    const opt = new optim.AdamW(net.parameters(), { lr: 3e-4, weightDecay: 0.01 });
    const tokens = input([batch, options.time], int64);
    return {
      state: { net, opt },
      entries: {
        predict: entry({ x: input([1, options.time], int64) }, ({ x }) => ({ logits: net.forward(x) })),
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

export default gpt();
