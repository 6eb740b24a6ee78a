/** MobileNetV2 for 224x224 images. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018). */
import { defineModel, entry, input, manualSeed, nn, type Tensor } from 'gradc';

interface Stage {
  /** How many times wider the block is inside. */
  readonly expansion: number;
  readonly channels: number;
  readonly blocks: number;
  /** Of the first block. */
  readonly stride: number;
}
const standard: readonly Stage[] = [
  { expansion: 1, channels: 16, blocks: 1, stride: 1 },
  { expansion: 6, channels: 24, blocks: 2, stride: 2 },
  { expansion: 6, channels: 32, blocks: 3, stride: 2 },
  { expansion: 6, channels: 64, blocks: 4, stride: 2 },
  { expansion: 6, channels: 96, blocks: 3, stride: 1 },
  { expansion: 6, channels: 160, blocks: 3, stride: 2 },
  { expansion: 6, channels: 320, blocks: 1, stride: 1 },
];

interface ConvOptions {
  readonly stride?: number;
  readonly padding?: number;
  readonly groups?: number;
}
const convolution = (from: number, to: number, size: number, options: ConvOptions = {}): nn.Module[] => [
  new nn.Conv2d(from, to, size, { ...options, bias: false }),
  new nn.BatchNorm2d(to),
];

class InvertedResidual extends nn.Module {
  body: nn.Sequential;
  readonly residual: boolean;

  constructor(from: number, to: number, stride: number, expansion: number) {
    super();
    const inner = from * expansion;
    this.body = new nn.Sequential(
      ...(expansion === 1 ? [] : [...convolution(from, inner, 1), new nn.ReLU6()]),
      ...convolution(inner, inner, 3, { stride, padding: 1, groups: inner }),
      new nn.ReLU6(),
      ...convolution(inner, to, 1),
    );
    this.residual = stride === 1 && from === to;
  }

  forward(x: Tensor): Tensor {
    const y: Tensor = this.body.forward(x);
    return this.residual ? x.add(y) : y;
  }
}

export class MobileNetV2 extends nn.Module {
  features: nn.Sequential;
  fc: nn.Linear;

  constructor(stages = standard, { first = 32, last = 1280, classes = 1000 } = {}) {
    super();
    this.features = new nn.Sequential(...convolution(3, first, 3, { stride: 2, padding: 1 }), new nn.ReLU6());
    let from = first;
    for (const { expansion, channels, blocks, stride } of stages) {
      for (let i = 0; i < blocks; i++) {
        this.features.append(new InvertedResidual(from, channels, i === 0 ? stride : 1, expansion));
        from = channels;
      }
    }
    this.features.extend([...convolution(from, last, 1), new nn.ReLU6()]);
    this.fc = new nn.Linear(last, classes);
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(this.features.forward(x).mean([2, 3]));
  }
}

export default defineModel('mobilenetv2', () => {
  manualSeed(0);
  const net = new MobileNetV2().eval();
  return {
    state: { net },
    entries: { predict: entry({ x: input([1, 3, 224, 224]) }, ({ x }) => ({ logits: net.forward(x) })) },
  };
});
