/** LeNet: its modules, its parameters, a forward pass and its gradients. */
import { manualSeed, nn, rand, randn, type Tensor } from 'gradc';
import * as F from 'gradc/functional';
import { print } from './print.js';

class Net extends nn.Module {
  conv1 = new nn.Conv2d(1, 6, 5);
  conv2 = new nn.Conv2d(6, 16, 5);
  fc1 = new nn.Linear(16 * 5 * 5, 120);
  fc2 = new nn.Linear(120, 84);
  fc3 = new nn.Linear(84, 10);

  forward(x: Tensor): Tensor {
    x = F.maxPool2d(F.relu(this.conv1.forward(x)), [2, 2]);
    x = F.maxPool2d(F.relu(this.conv2.forward(x)), 2);
    x = x.view(-1, this.numFlatFeatures(x));
    x = F.relu(this.fc1.forward(x));
    x = F.relu(this.fc2.forward(x));
    return this.fc3.forward(x);
  }

  numFlatFeatures(x: Tensor): number {
    return x
      .size()
      .slice(1)
      .reduce((product, size) => product * size, 1);
  }
}

export function modulesAndParameters(): void {
  const net = new Net();
  print(net);
  for (const parameter of net.parameters()) print(parameter.size());
}

export function forwardAndBackward(): void {
  manualSeed(0);
  const net = new Net();
  const x = rand(1, 1, 32, 32);
  const out = net.forward(x);
  print(out);
  net.zeroGrad();
  out.backward(randn(1, 10));
  for (const [name, parameter] of net.namedParameters()) print(name, parameter.grad!.double().sum().item().toFixed(4));
}
