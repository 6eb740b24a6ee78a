/**
 * A sentence encoder in the shape of MiniLM: layer norm after each part, mean pooling, vectors of length one.
 * Devlin et al., "BERT" (2018); Wang et al., "MiniLM" (2020).
 */
import { defineModel, entry, input, int64, manualSeed, nn, type Tensor } from 'gradc';
import * as F from 'gradc/functional';
import { attend } from './attention.js';

export interface EncoderOptions {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width inside the feed-forward parts. */
  readonly inner: number;
  /** Tokens of a sequence. */
  readonly time: number;
  readonly vocabulary: number;
}
const standard: EncoderOptions = { layers: 6, width: 384, heads: 12, inner: 1536, time: 128, vocabulary: 2048 };
const eps = 1e-12;

class Layer extends nn.Module {
  q: nn.Linear;
  k: nn.Linear;
  v: nn.Linear;
  o: nn.Linear;
  ln1: nn.LayerNorm;
  fc1: nn.Linear;
  fc2: nn.Linear;
  ln2: nn.LayerNorm;

  constructor(
    width: number,
    readonly heads: number,
    inner: number,
  ) {
    super();
    this.q = new nn.Linear(width, width);
    this.k = new nn.Linear(width, width);
    this.v = new nn.Linear(width, width);
    this.o = new nn.Linear(width, width);
    this.ln1 = new nn.LayerNorm(width, { eps });
    this.fc1 = new nn.Linear(width, inner);
    this.fc2 = new nn.Linear(inner, width);
    this.ln2 = new nn.LayerNorm(width, { eps });
  }

  forward(x: Tensor): Tensor {
    const attended = attend(this.q.forward(x), this.k.forward(x), this.v.forward(x), this.heads);
    x = this.ln1.forward(x.add(this.o.forward(attended)));
    return this.ln2.forward(x.add(this.fc2.forward(F.gelu(this.fc1.forward(x)))));
  }
}

export class Encoder extends nn.Module {
  tok: nn.Embedding;
  pos: nn.Embedding;
  ln: nn.LayerNorm;
  layers: nn.ModuleList<Layer>;

  constructor({ layers, width, heads, inner, time, vocabulary }: EncoderOptions = standard) {
    super();
    this.tok = new nn.Embedding(vocabulary, width);
    this.pos = new nn.Embedding(time, width);
    this.ln = new nn.LayerNorm(width, { eps });
    this.layers = new nn.ModuleList(Array.from({ length: layers }, () => new Layer(width, heads, inner)));
  }

  forward(tokens: Tensor): Tensor {
    let x = this.ln.forward(this.tok.forward(tokens).add(this.pos.weight));
    for (const layer of this.layers) x = layer.forward(x);
    const sentence = x.mean(1);
    return sentence.div(sentence.mul(sentence).sum(-1, { keepdim: true }).sqrt());
  }
}

export const minilm = (options = standard) =>
  defineModel('minilm', () => {
    manualSeed(0);
    const net = new Encoder(options).eval();
    return {
      state: { net },
      entries: {
        encode: entry({ x: input([1, options.time], int64) }, ({ x }) => ({ vector: net.forward(x) })),
      },
    };
  });

export default minilm();
