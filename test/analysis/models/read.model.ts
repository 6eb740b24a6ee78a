/** E313: values read where there are none yet. */
import { allclose, defineModel, entry, input, nn, optim } from 'gradc';
import * as F from 'gradc/functional';

export default defineModel('read', () => {
  const net = new nn.Linear(4, 1);
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  return {
    state: { net, opt },
    entries: {
      train: entry({ x: input([8, 4]), y: input([8, 1]) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.mseLoss(net.forward(x), y);
        loss.backward();
        opt.step();
        console.log(loss.item(), x.tolist(), y.sum().toTypedArray());
        console.log(allclose(x, y));
        return { loss };
      }),
    },
  };
});
