/** LeNet-5 on 32x32 images, with its whole training step. */
import { defineModel, entry, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

export class LeNet extends nn.Module {
  conv1 = new nn.Conv2d(1, 6, 5);
  conv2 = new nn.Conv2d(6, 16, 5);
  fc1 = new nn.Linear(16 * 5 * 5, 120);
  fc2 = new nn.Linear(120, 84);
  fc3 = new nn.Linear(84, 10);

  forward(x: Tensor): Tensor {
    x = F.maxPool2d(F.relu(this.conv1.forward(x)), [2, 2]);
    x = F.maxPool2d(F.relu(this.conv2.forward(x)), 2);
    x = x.flatten(1);
    x = F.relu(this.fc1.forward(x));
    x = F.relu(this.fc2.forward(x));
    return this.fc3.forward(x);
  }
}

export default defineModel('lenet', () => {
  manualSeed(0);
  const net = new LeNet();
  const opt = new optim.SGD(net.parameters(), { lr: 0.01, momentum: 0.9 });
  return {
    state: { net, opt },
    entries: {
      predict: entry({ x: input([1, 1, 32, 32]) }, ({ x }) => ({ logits: net.forward(x) })),
      trainStep: entry({ x: input([64, 1, 32, 32]), y: input([64], int64) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(net.forward(x), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});
