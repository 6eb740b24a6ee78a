/** E316: values carried from call to call outside of tensors. */
import { defineModel, entry, input, nn, optim, type Tensor, zeros } from 'gradc';

class Recurrent extends nn.Module {
  calls = 0;
  hidden = zeros([4]);
  cell = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    this.calls++;
    this.hidden = this.cell.forward(x.add(this.hidden)).tanh();
    return this.hidden;
  }
}

export default defineModel('carried', () => {
  const net = new Recurrent();
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  let last = zeros([4]);
  let steps = 0;
  return {
    state: { net, opt },
    entries: {
      run: entry({ x: input([4]) }, ({ x }) => {
        const change = x.sub(last);
        last = x;
        steps += 1;
        for (const group of opt.paramGroups) group.lr *= 0.9;
        return { y: net.forward(change) };
      }),
    },
  };
});
