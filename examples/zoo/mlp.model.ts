/** A multilayer perceptron for 28x28 images, trained with Adam. */
import { defineModel, entry, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

export class MLP extends nn.Module {
  fc1: nn.Linear;
  fc2: nn.Linear;
  fc3: nn.Linear;

  constructor([pixels, first, second, classes]: readonly number[] = [784, 512, 256, 10]) {
    super();
    this.fc1 = new nn.Linear(pixels, first);
    this.fc2 = new nn.Linear(first, second);
    this.fc3 = new nn.Linear(second, classes);
  }

  forward(x: Tensor): Tensor {
    x = F.relu(this.fc1.forward(x));
    x = F.relu(this.fc2.forward(x));
    return this.fc3.forward(x);
  }
}

export const mlp = ({ sizes = [784, 512, 256, 10], batch = 128 } = {}) =>
  defineModel('mlp', () => {
    manualSeed(0);
    const net = new MLP(sizes);
    const opt = new optim.Adam(net.parameters(), { lr: 1e-3 });
    return {
      state: { net, opt },
      entries: {
        predict: entry({ x: input([1, sizes[0]]) }, ({ x }) => ({ logits: net.forward(x) })),
        trainStep: entry({ x: input([batch, sizes[0]]), y: input([batch], int64) }, ({ x, y }) => {
          opt.zeroGrad();
          const loss = F.crossEntropy(net.forward(x), y);
          loss.backward();
          opt.step();
          return { loss };
        }),
      },
    };
  });

export default mlp();
