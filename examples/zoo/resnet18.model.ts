/**
 * ResNet-18 for 224x224 images, trained by SGD with momentum and weight decay as in the paper, batch norm over the batch.
 * He et al., "Deep residual learning for image recognition" (2015).
 */
import { defineModel, entry, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

class BasicBlock extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  /** Brings the input to the shape of the output where they differ. */
  downsample: nn.Sequential | null = null;

  constructor(from: number, to: number, stride: number) {
    super();
    this.conv1 = new nn.Conv2d(from, to, 3, { stride, padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(to);
    this.conv2 = new nn.Conv2d(to, to, 3, { padding: 1, bias: false });
    this.bn2 = new nn.BatchNorm2d(to);
    if (stride !== 1 || from !== to)
      this.downsample = new nn.Sequential(new nn.Conv2d(from, to, 1, { stride, bias: false }), new nn.BatchNorm2d(to));
  }

  forward(x: Tensor): Tensor {
    let y = F.relu(this.bn1.forward(this.conv1.forward(x)));
    y = this.bn2.forward(this.conv2.forward(y));
    return F.relu(y.add(this.downsample?.forward(x) ?? x));
  }
}

export class ResNet18 extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  layer1: nn.Sequential;
  layer2: nn.Sequential;
  layer3: nn.Sequential;
  layer4: nn.Sequential;
  fc: nn.Linear;

  constructor([first, second, third, fourth]: readonly number[] = [64, 128, 256, 512], classes = 1000) {
    super();
    const stage = (from: number, to: number, stride: number): nn.Sequential =>
      new nn.Sequential(new BasicBlock(from, to, stride), new BasicBlock(to, to, 1));
    this.conv1 = new nn.Conv2d(3, first, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = new nn.BatchNorm2d(first);
    this.layer1 = stage(first, first, 1);
    this.layer2 = stage(first, second, 2);
    this.layer3 = stage(second, third, 2);
    this.layer4 = stage(third, fourth, 2);
    this.fc = new nn.Linear(fourth, classes);
  }

  forward(x: Tensor): Tensor {
    x = F.relu(this.bn1.forward(this.conv1.forward(x)));
    x = F.maxPool2d(x, 3, { stride: 2, padding: 1 });
    for (const layer of [this.layer1, this.layer2, this.layer3, this.layer4]) x = layer.forward(x);
    return this.fc.forward(x.mean([2, 3]));
  }
}

export interface ResNet18Options {
  readonly channels?: readonly number[];
  readonly classes?: number;
  /** Of the square images. */
  readonly size?: number;
  /** Images of a training step. */
  readonly batch?: number;
}

export const resnet18 = ({ channels, classes = 1000, size = 224, batch = 8 }: ResNet18Options = {}) =>
  defineModel('resnet18', () => {
    manualSeed(0);
    const net = new ResNet18(channels, classes);
    const opt = new optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 1e-4 });
    const images = (count: number): ReturnType<typeof input> => input([count, 3, size, size]);
    return {
      state: { net, opt },
      entries: {
        predict: entry({ x: images(1) }, ({ x }) => ({ logits: net.eval().forward(x) })),
        trainStep: entry({ x: images(batch), y: input([batch], int64) }, ({ x, y }) => {
          opt.zeroGrad();
          const loss = F.crossEntropy(net.train().forward(x), y);
          loss.backward();
          opt.step();
          return { loss };
        }),
      },
    };
  });

export default resnet18();
