/** No network, but what networks spend their memory traffic on: layer norm, an activation, a residual and softmax. */
import { defineModel, entry, input, manualSeed, nn, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

export class Chain extends nn.Module {
  ln: nn.LayerNorm;

  constructor(width: number) {
    super();
    this.ln = new nn.LayerNorm(width);
  }

  forward(x: Tensor): Tensor {
    return F.gelu(this.ln.forward(x), { approximate: 'tanh' }).add(x).softmax(-1);
  }
}

export const chain = (rows = 1024, width = 1024) =>
  defineModel('chain', () => {
    manualSeed(0);
    const net = new Chain(width);
    return {
      state: { net },
      entries: { run: entry({ x: input([rows, width]) }, ({ x }) => ({ out: net.forward(x) })) },
    };
  });

export default chain();
