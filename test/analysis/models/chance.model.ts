/** E314: chance that would be the same in every compiled call. */
import { defineModel, entry, input, nn, type Tensor } from 'gradc';

class StochasticDepth extends nn.Module {
  inner = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    return Math.random() < 0.5 ? x : this.inner.forward(x);
  }
}

export default defineModel('chance', () => {
  const net = new StochasticDepth();
  const noise = Math.random();
  return { state: { net }, entries: { run: entry({ x: input([4]) }, ({ x }) => ({ y: net.forward(x).mul(noise) })) } };
});
