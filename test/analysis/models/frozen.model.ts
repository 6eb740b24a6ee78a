/** W313: the value of a captured tensor, compiled in. */
import { defineModel, entry, input, nn, type Tensor, tensor } from 'gradc';

class Scaled extends nn.Module {
  readonly factor = tensor(2);
  forward(x: Tensor): Tensor {
    return x.mul(this.factor.item());
  }
}

export default defineModel('frozen', () => {
  const net = new Scaled();
  const shift = tensor([1, 2]);
  return {
    state: { net },
    entries: { run: entry({ x: input([4]) }, ({ x }) => ({ y: net.forward(x).add(shift.tolist<number[]>()[0]) })) },
  };
});
