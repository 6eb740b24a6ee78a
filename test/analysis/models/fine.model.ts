/** Nothing to report: what ordinary modules do with tensors and numbers, and what happens outside of traced functions. */
import {
  defineModel,
  entry,
  type Generator,
  input,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  type Tensor,
  zeros,
} from 'gradc';
import * as F from 'gradc/functional';

class Attention extends nn.Module {
  q = new nn.Linear(8, 8);
  out: nn.Linear | null = null;
  readonly created = Date.now();
  readonly slope = Math.random();

  constructor(readonly heads = 2) {
    super();
    if (heads > 1) this.out = new nn.Linear(8, 8);
    this.registerBuffer('average', zeros([8]));
  }

  forward(query: Tensor, key?: Tensor, mask: Tensor | null = null, bias: Tensor | false = false): Tensor {
    key ??= query;
    const own = query === key;
    let scores = this.q.forward(query).matmul(key.transpose(-2, -1));
    if (mask) scores = scores.add(mask);
    if (bias) scores = scores.add(bias);
    if (mask !== null && mask && mask != null) scores = scores.mul(1);
    const weights = scores.softmax(-1);
    if (weights.shape[0] % this.heads !== 0) throw new Error(`no ${this.heads} heads for ${weights}`);
    const parts: Tensor[] = [];
    for (const row of weights) parts.push(row.unsqueeze(0));
    const training = this.training;
    this.training = false;
    const cache: Tensor[] = [];
    const named: Record<string, Tensor> = {};
    const [first] = cache;
    if (cache[0] && named.scores && !first) scores = scores.add(cache[0]);
    const sizes = new Map<string, number>();
    sizes.set('rows', parts.length);
    let count = 0;
    for (let i = 0; i < this.heads; i++) count += i;
    const settings = { scale: 1 };
    settings.scale = own ? count : 2;
    this.training = training;
    if (this.training && this.created > 0) noGrad(() => (this as unknown as { average: Tensor }).average.mul_(0.9));
    return this.out?.forward(weights.matmul(query).mul(settings.scale)) ?? query;
  }

  /** For people, not for the compiler: nothing traced calls it. */
  summary(x: Tensor): string {
    return x.sum().item() > 0 ? 'positive' : `${x.tolist()}`;
  }
}

export default defineModel('fine', () => {
  manualSeed(0);
  const net = new Attention();
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  let built = 0;
  built++;
  const start = ones([1]).item() + built;
  const generator: Generator | null = null;
  return {
    state: { net, opt },
    entries: {
      train: entry({ x: input([4, 8]), y: input([4, 8]) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.mseLoss(net.forward(x).mul(start), y);
        loss.backward();
        for (const p of net.parameters()) if (p.grad && generator === null) p.grad.mul_(0.5);
        opt.step();
        for (const p of net.parameters()) p.grad = null;
        return { loss };
      }),
    },
  };
});
