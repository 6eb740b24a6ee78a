/**
 * The networks of the benchmark once more, for engines that are not gradc: what `examples/lenet` and `examples/zoo` compute,
 * with the same weights. Batch norm is folded into the convolution before it.
 */
import { nn } from 'gradc';
import { LeNet } from '../../../examples/lenet/lenet.model.js';
import { Chain } from '../../../examples/zoo/chain.model.js';
import { GPT } from '../../../examples/zoo/gpt.model.js';
import { Encoder } from '../../../examples/zoo/minilm.model.js';
import { MLP } from '../../../examples/zoo/mlp.model.js';
import { MobileNetV2 } from '../../../examples/zoo/mobilenetv2.model.js';
import { ResNet18 } from '../../../examples/zoo/resnet18.model.js';
import { fillNetwork } from '../data.js';
import type { Ops, Weight, Weights } from './ops.js';

export interface Network {
  readonly weights: Weights;
  /** Of the inputs in the order of the workload's entry; labels are not among them. */
  forward<T>(ops: Ops<T>, inputs: readonly T[]): T;
}

export interface Optimizer {
  readonly kind: 'sgd' | 'adam';
  readonly learningRate: number;
  /** Of plain SGD. */
  readonly momentum: number;
  /** Decoupled from the gradient, as in AdamW. */
  readonly weightDecay: number;
}

export interface PeerWorkload {
  /** As in `workloads.ts`. */
  readonly name: string;
  readonly network: () => Network;
  /** Shapes in PyTorch's order of dimensions; the labels, if the network is trained, are not among them. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly training: { readonly labels: string; readonly classes: number; readonly optimizer: Optimizer } | null;
}

// ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function filled(model: string, net: nn.Module): Map<string, Weight> {
  fillNetwork(model, net);
  const tensors = [...net.namedParameters(), ...net.namedBuffers()].filter(([, { dtype }]) => dtype === 'float32');
  return new Map(
    tensors.map(([name, tensor]) => [
      name,
      { shape: [...tensor.shape], data: Float32Array.from(tensor.toTypedArray() as Float32Array) },
    ]),
  );
}

/** Each batch norm follows its convolution in the order of the modules; here it becomes that one's scale and bias. */
function folded(model: string, net: nn.Module): Weights {
  const weights = filled(model, net);
  let convolution = '';
  for (const [path, owner] of net.namedModules()) {
    if (owner instanceof nn.Conv2d) convolution = path;
    if (owner instanceof nn.BatchNorm2d) fold(weights, convolution, path, owner.eps);
  }
  return weights;
}

function fold(weights: Map<string, Weight>, convolution: string, norm: string, eps: number): void {
  const of = (name: string): Float32Array => weights.get(`${norm}.${name}`)!.data;
  const filter = weights.get(`${convolution}.weight`)!;
  const channels = filter.shape[0];
  const scale = Float64Array.from(
    { length: channels },
    (_, c) => of('weight')[c] / Math.sqrt(of('running_var')[c] + eps),
  );
  const perChannel = filter.data.length / channels;
  const bias = Float32Array.from({ length: channels }, (_, c) => of('bias')[c] - of('running_mean')[c] * scale[c]);
  const data = filter.data.map((w, i) => w * scale[Math.floor(i / perChannel)]);
  weights.set(`${convolution}.weight`, { shape: filter.shape, data });
  weights.set(`${convolution}.bias`, { shape: [channels], data: bias });
}

// ── networks ────────────────────────────────────────────────────────────────────────────────────────────────────────

const matmul = (): Network => ({ weights: new Map(), forward: (ops, [a, b]) => ops.matmul(a, b) });

const lenet = (): Network => ({
  weights: filled('lenet', new LeNet()),
  forward: (ops, [image]) => {
    const halve = { size: 2, stride: 2, padding: 0 };
    let x = ops.maxPool(ops.conv(image, 'conv1', { activation: 'relu' }), halve);
    x = ops.maxPool(ops.conv(x, 'conv2', { activation: 'relu' }), halve);
    return ops.linear(ops.linear(ops.linearOfImages(x, 'fc1', 'relu'), 'fc2', 'relu'), 'fc3');
  },
});

const mlp = (): Network => ({
  weights: filled('mlp', new MLP()),
  forward: (ops, [x]) => ops.linear(ops.linear(ops.linear(x, 'fc1', 'relu'), 'fc2', 'relu'), 'fc3'),
});

const chain = (): Network => ({
  weights: filled('chain', new Chain(1024)),
  forward: (ops, [x]) => ops.softmax(ops.add(ops.gelu(ops.layerNorm(x, 'ln', 1e-5), 'tanh'), x)),
});

const resnet18 = (): Network => {
  const weights = folded('resnet18', new ResNet18());
  return {
    weights,
    forward: <T>(ops: Ops<T>, [image]: readonly T[]) => {
      const block = (x: T, name: string, stride: number): T => {
        const y = ops.conv(x, `${name}.conv1`, { stride, padding: 1, activation: 'relu' });
        const shortcut = weights.has(`${name}.downsample.0.weight`)
          ? ops.conv(x, `${name}.downsample.0`, { stride })
          : x;
        return ops.relu(ops.add(ops.conv(y, `${name}.conv2`, { padding: 1 }), shortcut));
      };
      let x = ops.conv(image, 'conv1', { stride: 2, padding: 3, activation: 'relu' });
      x = ops.maxPool(x, { size: 3, stride: 2, padding: 1 });
      for (const layer of [1, 2, 3, 4])
        x = block(block(x, `layer${layer}.0`, layer === 1 ? 1 : 2), `layer${layer}.1`, 1);
      return ops.linear(ops.imageMean(x), 'fc');
    },
  };
};

/** Strides of the inverted residuals; what else they are can be read from the weights. */
const mobileStrides = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1];

const mobilenetv2 = (): Network => {
  const weights = folded('mobilenetv2', new MobileNetV2());
  const channelsOf = (name: string): number => weights.get(`${name}.weight`)!.shape[0];
  return {
    weights,
    forward: <T>(ops: Ops<T>, [image]: readonly T[]) => {
      let x = ops.conv(image, 'features.0', { stride: 2, padding: 1, activation: 'relu6' });
      let channels = channelsOf('features.0');
      for (const [i, stride] of mobileStrides.entries()) {
        const name = `features.${i + 3}.body`;
        const expands = weights.has(`${name}.6.weight`);
        const depthwise = expands ? `${name}.3` : `${name}.0`;
        const project = expands ? `${name}.6` : `${name}.3`;
        let y = expands ? ops.conv(x, `${name}.0`, { activation: 'relu6' }) : x;
        y = ops.conv(y, depthwise, { stride, padding: 1, depthwise: true, activation: 'relu6' });
        y = ops.conv(y, project);
        x = stride === 1 && channels === channelsOf(project) ? ops.add(x, y) : y;
        channels = channelsOf(project);
      }
      return ops.linear(ops.imageMean(ops.conv(x, 'features.20', { activation: 'relu6' })), 'fc');
    },
  };
};

const gpt = (batch: number) => (): Network => ({
  weights: filled('gpt', new GPT()),
  forward: (ops, [tokens]) => {
    let x = ops.embed(tokens, 'tok', 'pos');
    for (const layer of [0, 1, 2, 3]) {
      const name = `blocks.${layer}`;
      const [q, k, v] = ops.splitInThree(ops.linear(ops.layerNorm(x, `${name}.ln1`, 1e-5), `${name}.qkv`));
      x = ops.add(x, ops.linear(ops.attention(q, k, v, { batch, heads: 4, causal: true }), `${name}.proj`));
      const hidden = ops.gelu(ops.linear(ops.layerNorm(x, `${name}.ln2`, 1e-5), `${name}.fc1`), 'tanh');
      x = ops.add(x, ops.linear(hidden, `${name}.fc2`));
    }
    return ops.linear(ops.layerNorm(x, 'lnf', 1e-5), 'head');
  },
});

const minilm = (): Network => ({
  weights: filled('minilm', new Encoder()),
  forward: (ops, [tokens]) => {
    let x = ops.layerNorm(ops.embed(tokens, 'tok', 'pos'), 'ln', 1e-12);
    for (const layer of [0, 1, 2, 3, 4, 5]) {
      const name = `layers.${layer}`;
      const [q, k, v] = ['q', 'k', 'v'].map(part => ops.linear(x, `${name}.${part}`));
      const attended = ops.attention(q, k, v, { batch: 1, heads: 12, causal: false });
      x = ops.layerNorm(ops.add(x, ops.linear(attended, `${name}.o`)), `${name}.ln1`, 1e-12);
      const inner = ops.gelu(ops.linear(x, `${name}.fc1`), 'none');
      x = ops.layerNorm(ops.add(x, ops.linear(inner, `${name}.fc2`)), `${name}.ln2`, 1e-12);
    }
    return ops.unitMean(x);
  },
});

// ── workloads ───────────────────────────────────────────────────────────────────────────────────────────────────────

const forward = (name: string, network: () => Network, shape: readonly number[]): PeerWorkload => ({
  name,
  network,
  inputs: [{ name: 'x', shape }],
  training: null,
});

function trained(name: string, network: () => Network, shape: readonly number[], training: Training): PeerWorkload {
  const optimizer = { momentum: 0, weightDecay: 0, ...training.optimizer };
  return { ...forward(name, network, shape), training: { labels: 'y', classes: training.classes, optimizer } };
}
interface Training {
  readonly classes: number;
  readonly optimizer: Pick<Optimizer, 'kind' | 'learningRate'> & Partial<Optimizer>;
}

const photograph = [1, 3, 224, 224];

export const peerWorkloads: readonly PeerWorkload[] = [
  ...[128, 256, 512, 1024].map(n => ({
    name: `matmul-${n}`,
    network: matmul,
    inputs: ['a', 'b'].map(name => ({ name, shape: [n, n] })),
    training: null,
  })),
  forward('lenet-fwd-b1', lenet, [1, 1, 32, 32]),
  forward('lenet-fwd-b64', lenet, [64, 1, 32, 32]),
  trained('lenet-train-b64', lenet, [64, 1, 32, 32], {
    classes: 10,
    optimizer: { kind: 'sgd', learningRate: 0.01, momentum: 0.9 },
  }),
  forward('mlp-fwd-b1', mlp, [1, 784]),
  trained('mlp-train-b128', mlp, [128, 784], { classes: 10, optimizer: { kind: 'adam', learningRate: 1e-3 } }),
  forward('chain-1024', chain, [1024, 1024]),
  forward('resnet18-fwd', resnet18, photograph),
  forward('mobilenetv2-fwd', mobilenetv2, photograph),
  forward('gpt-fwd-b1', gpt(1), [128]),
  trained('gpt-train-b4', gpt(4), [512], {
    classes: 512,
    optimizer: { kind: 'adam', learningRate: 3e-4, weightDecay: 0.01 },
  }),
  forward('minilm-fwd', minilm, [128]),
];
