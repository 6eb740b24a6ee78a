/** E311: tensors asked for their truth. */
import { defineModel, entry, input, nn, type Tensor } from 'gradc';

class Gate extends nn.Module {
  forward(x: Tensor, mask: Tensor | null, scale: Tensor | number): Tensor {
    if (x.gt(0)) return x;
    const y = x.lt(0).any() ? x.neg() : x;
    while (mask && !y.isnan()) break;
    return scale && mask && x.isinf() ? y : x;
  }
}

export default defineModel('condition', () => {
  const net = new Gate();
  return { state: { net }, entries: { run: entry({ x: input([4]) }, ({ x }) => ({ y: net.forward(x, null, 1) })) } };
});
