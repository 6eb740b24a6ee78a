/**
 * TensorFlow.js on its WebAssembly backend: images with channels last, weights laid out once, fused kernels for inference.
 * Training uses the plain kernels, which have gradients.
 */
import type { Inputs } from '../compiled.js';
import { type Engine, type Prepared, type StartEngine, Unsupported } from './engine.js';
import type { Network, Optimizer, PeerWorkload } from './networks.js';
import {
  type Activation,
  type AttentionOptions,
  type ConvOptions,
  causalMask,
  type Ops,
  type PoolOptions,
  type Weights,
} from './ops.js';
import { folderOf, requirePeer, titleOf } from './packages.js';

interface Tensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
  assign(value: Tensor): void;
}
type Pad = number | 'valid';
type Binary = (a: Tensor, b: Tensor | number) => Tensor;
type Unary = (x: Tensor) => Tensor;
type Fused = Readonly<Record<string, unknown>>;
type Conv = (x: Tensor, filter: Tensor, strides: number, pad: Pad) => Tensor;

/** What is used of TensorFlow.js. */
interface TensorFlow {
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly relu: Unary;
  readonly relu6: Unary;
  readonly erf: Unary;
  readonly tanh: Unary;
  readonly rsqrt: Unary;
  readonly sqrt: Unary;
  readonly square: Unary;
  readonly softmax: Unary;
  readonly conv2d: Conv;
  readonly depthwiseConv2d: Conv;
  readonly fused: Readonly<Record<'conv2d' | 'depthwiseConv2d' | 'matMul', (options: Fused) => Tensor>>;
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  readonly train: {
    momentum(rate: number, momentum: number): Training;
    adam(rate: number, beta1: number, beta2: number, epsilon: number): Training;
  };
  tensor(data: ArrayLike<number>, shape: readonly number[], dtype?: string): Tensor;
  variable(initial: Tensor): Tensor;
  transpose(x: Tensor, perm?: readonly number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  split(x: Tensor, parts: number, axis: number): Tensor[];
  gather(table: Tensor, indices: Tensor): Tensor;
  oneHot(indices: Tensor, depth: number): Tensor;
  cast(x: Tensor, dtype: string): Tensor;
  mean(x: Tensor, axis: number | readonly number[], keepDims?: boolean): Tensor;
  sum(x: Tensor, axis: number, keepDims?: boolean): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  maxPool(x: Tensor, size: number, strides: number, pad: Pad): Tensor;
  tidy(run: () => Tensor): Tensor;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
}
interface Training {
  minimize(loss: () => Tensor, returnCost: true, variables: readonly Tensor[]): Tensor;
}
interface WasmBackend {
  setWasmPaths(folder: string): void;
  setThreadsCount(count: number): void;
  getThreadsCount(): number;
}

type Layout = 'vector' | 'table' | 'matrix' | 'images' | 'filter' | 'depthwise';

class TensorOps implements Ops<Tensor> {
  /** The weights in this engine's layouts, made when first asked for. */
  readonly laidOut = new Map<string, Tensor>();

  constructor(
    private readonly tf: TensorFlow,
    private readonly weights: Weights,
    private readonly trains: boolean,
  ) {}

  private weight(name: string, layout: Layout): Tensor {
    let value = this.laidOut.get(name);
    if (value === undefined) {
      value = this.layOut(name, layout);
      this.laidOut.set(name, value);
    }
    return value;
  }

  private layOut(name: string, layout: Layout): Tensor {
    const { tf } = this;
    const { shape, data } = this.weights.get(name)!;
    const tensor = tf.tensor(data, shape);
    const laidOut: Record<Layout, () => Tensor> = {
      vector: () => tensor,
      table: () => tensor,
      matrix: () => tf.transpose(tensor),
      images: () => this.rowsOfPixels(name),
      filter: () => tf.transpose(tensor, [2, 3, 1, 0]),
      depthwise: () => tf.transpose(tensor, [2, 3, 0, 1]),
    };
    return this.trains ? tf.variable(laidOut[layout]()) : laidOut[layout]();
  }

  private channels = 0;
  private side = 0;
  /** From columns in the order [c, h, w] to rows in the order [h, w, c]. */
  private rowsOfPixels(name: string): Tensor {
    const { tf, side, channels } = this;
    const { shape, data } = this.weights.get(name)!;
    const images = tf.tensor(data, [shape[0], channels, side, side]);
    return tf.reshape(tf.transpose(images, [2, 3, 1, 0]), [shape[1], shape[0]]);
  }

  private bias(name: string): Tensor | null {
    return this.weights.has(`${name}.bias`) ? this.weight(`${name}.bias`, 'vector') : null;
  }

  /** As one kernel for inference; the fused kernels have no gradients here. */
  private finished(
    plain: () => Tensor,
    fused: (options: Fused) => Tensor,
    name: string,
    activation: Activation,
  ): Tensor {
    const bias = this.bias(name);
    if (!this.trains) return fused({ ...(bias && { bias }), ...(activation && { activation }) });
    const sum = bias === null ? plain() : this.tf.add(plain(), bias);
    return activation === null ? sum : this.tf[activation](sum);
  }

  matmul(a: Tensor, b: Tensor): Tensor {
    return this.tf.matMul(a, b);
  }
  linear(x: Tensor, name: string, activation: Activation = null): Tensor {
    return this.product(x, name, this.weight(`${name}.weight`, 'matrix'), activation);
  }
  linearOfImages(x: Tensor, name: string, activation: Activation = null): Tensor {
    [, this.side, , this.channels] = x.shape;
    const b = this.weight(`${name}.weight`, 'images');
    return this.product(this.tf.reshape(x, [x.shape[0], b.shape[0]]), name, b, activation);
  }
  private product(a: Tensor, name: string, b: Tensor, activation: Activation): Tensor {
    const { tf } = this;
    return this.finished(
      () => tf.matMul(a, b),
      options => tf.fused.matMul({ a, b, ...options }),
      name,
      activation,
    );
  }
  conv(x: Tensor, name: string, options: ConvOptions = {}): Tensor {
    const { stride = 1, padding: pad = 0, depthwise = false, activation = null } = options;
    const { tf } = this;
    const filter = this.weight(`${name}.weight`, depthwise ? 'depthwise' : 'filter');
    const kernel = depthwise ? 'depthwiseConv2d' : 'conv2d';
    return this.finished(
      () => tf[kernel](x, filter, stride, pad),
      rest => tf.fused[kernel]({ x, filter, strides: stride, pad, ...rest }),
      name,
      activation,
    );
  }
  maxPool(x: Tensor, { size, stride, padding }: PoolOptions): Tensor {
    return this.tf.maxPool(x, size, stride, padding);
  }
  imageMean(x: Tensor): Tensor {
    return this.tf.mean(x, [1, 2]);
  }
  relu(x: Tensor): Tensor {
    return this.tf.relu(x);
  }
  add(a: Tensor, b: Tensor): Tensor {
    return this.tf.add(a, b);
  }
  gelu(x: Tensor, approximate: 'none' | 'tanh'): Tensor {
    const { tf } = this;
    const cubic = (): Tensor => tf.mul(tf.add(tf.mul(tf.mul(tf.mul(x, x), x), 0.044715), x), Math.sqrt(2 / Math.PI));
    const bend = approximate === 'tanh' ? tf.tanh(cubic()) : tf.erf(tf.mul(x, Math.SQRT1_2));
    return tf.mul(tf.mul(x, 0.5), tf.add(bend, 1));
  }
  layerNorm(x: Tensor, name: string, eps: number): Tensor {
    const { tf } = this;
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), eps));
    const normal = tf.mul(centred, scale);
    return tf.add(tf.mul(normal, this.weight(`${name}.weight`, 'vector')), this.weight(`${name}.bias`, 'vector'));
  }
  softmax(x: Tensor): Tensor {
    return this.tf.softmax(x);
  }
  /** `gather` has no gradient on this backend: in training the rows come from a product with a one-hot matrix. */
  embed(tokens: Tensor, table: string, positions: string): Tensor {
    const { tf } = this;
    const words = this.weight(`${table}.weight`, 'table');
    const places = this.weight(`${positions}.weight`, 'table');
    const oneHot = (): Tensor => tf.cast(tf.oneHot(tokens, words.shape[0]), 'float32');
    const rows = this.trains ? tf.matMul(oneHot(), words) : tf.gather(words, tokens);
    return tf.reshape(tf.add(tf.reshape(rows, [-1, ...places.shape]), places), [-1, places.shape[1]]);
  }
  splitInThree(x: Tensor): [Tensor, Tensor, Tensor] {
    return this.tf.split(x, 3, 1) as [Tensor, Tensor, Tensor];
  }
  attention(q: Tensor, k: Tensor, v: Tensor, { batch, heads, causal }: AttentionOptions): Tensor {
    const { tf } = this;
    const [rows, width] = q.shape;
    const [time, size] = [rows / batch, width / heads];
    const apart = (x: Tensor): Tensor => tf.transpose(tf.reshape(x, [batch, time, heads, size]), [0, 2, 1, 3]);
    let scores = tf.mul(tf.matMul(apart(q), apart(k), false, true), 1 / Math.sqrt(size));
    if (causal) scores = tf.add(scores, this.mask(time));
    const mixed = tf.matMul(tf.softmax(scores), apart(v));
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [rows, width]);
  }
  private readonly masks = new Map<number, Tensor>();
  private mask(time: number): Tensor {
    const mask = this.masks.get(time) ?? this.tf.tensor(causalMask(time), [time, time]);
    this.masks.set(time, mask);
    return mask;
  }
  unitMean(x: Tensor): Tensor {
    const { tf } = this;
    const mean = tf.mean(x, 0, true);
    return tf.div(mean, tf.sqrt(tf.sum(tf.square(mean), -1, true)));
  }
}

export const startTensorFlow: StartEngine = async threads => {
  const tf = requirePeer('@tensorflow/tfjs-core') as TensorFlow;
  console.warn = () => {};
  requirePeer('@tensorflow/tfjs'); // registers the gradients
  const backend = requirePeer('@tensorflow/tfjs-backend-wasm') as WasmBackend;
  backend.setWasmPaths(folderOf('@tensorflow/tfjs-backend-wasm/dist/'));
  backend.setThreadsCount(threads);
  await tf.setBackend('wasm');
  await tf.ready();
  if (backend.getThreadsCount() < threads) throw new Unsupported('has no threads outside browsers');
  return engine(tf);
};

const engine = (tf: TensorFlow): Engine => ({
  title: titleOf('@tensorflow/tfjs-backend-wasm'),
  async prepare(workload, inputs) {
    const network = workload.network();
    const ops = new TensorOps(tf, network.weights, workload.training !== null);
    const given = workload.inputs.map(({ name, shape }) => tensorOf(tf, inputs[name], shape));
    // Weights and masks are made in a call outside `tidy`, which would free them.
    const first = network.forward(ops, given);
    await first.data();
    return workload.training === null
      ? inference(tf, network, ops, given)
      : training(tf, workload, network, ops, given, inputs);
  },
});

function tensorOf(tf: TensorFlow, array: Inputs[string], shape: readonly number[]): Tensor {
  if (!(array instanceof Float32Array)) return tf.tensor(Array.from(array, Number), shape, 'int32');
  const tensor = tf.tensor(array, shape);
  return shape.length === 4 ? tf.transpose(tensor, [0, 2, 3, 1]) : tensor;
}

function inference(tf: TensorFlow, network: Network, ops: TensorOps, given: readonly Tensor[]): Prepared {
  return {
    run: async () => {
      const output = tf.tidy(() => network.forward(ops, given));
      const data = await output.data();
      output.dispose();
      return data;
    },
    dispose: () => disposeAll(ops, given),
  };
}

function training(
  tf: TensorFlow,
  { training }: PeerWorkload,
  network: Network,
  ops: TensorOps,
  given: readonly Tensor[],
  inputs: Inputs,
): Prepared {
  const { labels, classes, optimizer } = training!;
  const indices = Array.from(inputs[labels], Number);
  const expected = tf.cast(tf.oneHot(tf.tensor(indices, [indices.length], 'int32'), classes), 'float32');
  const variables = [...ops.laidOut.values()];
  const stepper = stepperOf(tf, optimizer);
  const decay = 1 - optimizer.learningRate * optimizer.weightDecay;
  const step = (): Tensor => {
    if (decay !== 1) for (const variable of variables) variable.assign(tf.mul(variable, decay));
    return stepper.minimize(
      () => tf.losses.softmaxCrossEntropy(expected, network.forward(ops, given)),
      true,
      variables,
    );
  };
  return {
    run: async () => {
      const loss = tf.tidy(step);
      const data = await loss.data();
      loss.dispose();
      return data;
    },
    dispose: () => disposeAll(ops, [...given, expected]),
  };
}

const stepperOf = (tf: TensorFlow, { kind, learningRate, momentum }: Optimizer): Training =>
  kind === 'sgd' ? tf.train.momentum(learningRate, momentum) : tf.train.adam(learningRate, 0.9, 0.999, 1e-8);

function disposeAll(ops: TensorOps, tensors: readonly Tensor[]): void {
  for (const tensor of [...ops.laidOut.values(), ...tensors]) tensor.dispose();
}
