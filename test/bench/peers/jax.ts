/**
 * jax-js on its WebAssembly backend: each workload, training step included, is one function under `jit`.
 *
 * jax-js counts references: a function consumes its arguments. Here every use takes a reference of its own, which costs
 * nothing once a function is compiled.
 */
import type { Inputs } from '../compiled.js';
import { type Engine, type Prepared, type StartEngine, Unsupported } from './engine.js';
import type { Network, Optimizer, PeerWorkload } from './networks.js';
import type { Activation, AttentionOptions, ConvOptions, Ops, PoolOptions } from './ops.js';
import { importPeer, titleOf } from './packages.js';

interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  sum(axis: number): JaxArray;
  mean(): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<Float32Array>;
}
type Arrays = Record<string, JaxArray>;
type Unary = (x: JaxArray) => JaxArray;
interface Axes {
  readonly keepdims?: boolean;
}

/** What is used of jax-js. */
interface Jax {
  readonly numpy: {
    readonly float32: unknown;
    readonly int32: unknown;
    readonly square: Unary;
    readonly sqrt: Unary;
    readonly exp: Unary;
    readonly transpose: Unary;
    array(data: unknown, options?: object): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    max(x: JaxArray): JaxArray;
    mean(x: JaxArray, axis: number | readonly number[], options?: Axes): JaxArray;
    sum(x: JaxArray, axis: number, options?: Axes): JaxArray;
    pad(x: JaxArray, widths: readonly (readonly number[])[]): JaxArray;
    split(x: JaxArray, parts: number, axis: number): JaxArray[];
    take(table: JaxArray, indices: JaxArray, axis: number): JaxArray;
  };
  readonly lax: {
    convGeneralDilated(
      x: JaxArray,
      filter: JaxArray,
      strides: readonly number[],
      padding: readonly (readonly number[])[],
      options: object,
    ): JaxArray;
    reduceWindow(x: JaxArray, f: Unary, size: readonly number[], strides: readonly number[]): JaxArray;
  };
  readonly nn: {
    readonly relu: Unary;
    readonly relu6: Unary;
    gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
    softmax(x: JaxArray, axis: number): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray, options: { isCausal: boolean }): JaxArray;
  };
  readonly tree: { ref<T>(tree: T): T; dispose(tree: unknown): void };
  jit<F extends (...args: never[]) => unknown>(f: F): F;
  valueAndGrad(loss: (parameters: Arrays) => JaxArray): (parameters: Arrays) => [JaxArray, Arrays];
  init(backend: string): Promise<unknown>;
  defaultDevice(backend: string): void;
  blockUntilReady(tree: unknown): Promise<unknown>;
}

class ArrayOps implements Ops<JaxArray> {
  constructor(
    private readonly jax: Jax,
    private readonly weights: Arrays,
    private readonly trains: boolean,
  ) {}

  private biased(x: JaxArray, name: string, shape: readonly number[] = [-1]): JaxArray {
    const bias = this.weights[`${name}.bias`];
    return bias === undefined ? x : x.add(bias.ref.reshape(shape));
  }
  private activated(x: JaxArray, activation: Activation = null): JaxArray {
    return activation === null ? x : this.jax.nn[activation](x);
  }

  matmul(a: JaxArray, b: JaxArray): JaxArray {
    return this.jax.numpy.matmul(a.ref, b.ref);
  }
  linear(x: JaxArray, name: string, activation?: Activation): JaxArray {
    const { numpy } = this.jax;
    const product = numpy.matmul(x.ref, numpy.transpose(this.weights[`${name}.weight`].ref));
    return this.activated(this.biased(product, name), activation);
  }
  linearOfImages(x: JaxArray, name: string, activation?: Activation): JaxArray {
    return this.linear(x.ref.reshape([x.shape[0], -1]), name, activation);
  }
  conv(x: JaxArray, name: string, options: ConvOptions = {}): JaxArray {
    const { stride = 1, padding = 0, depthwise = false, activation } = options;
    const filter = this.weights[`${name}.weight`];
    const around = [
      [padding, padding],
      [padding, padding],
    ];
    const groups = { featureGroupCount: depthwise ? filter.shape[0] : 1 };
    const sums = this.jax.lax.convGeneralDilated(x.ref, filter.ref, [stride, stride], around, groups);
    return this.activated(this.biased(sums, name, [-1, 1, 1]), activation);
  }
  maxPool(x: JaxArray, { size, stride, padding }: PoolOptions): JaxArray {
    const { numpy, lax } = this.jax;
    const around = [0, 0, padding, padding].map(width => [width, width]);
    const padded = padding === 0 ? x.ref : numpy.pad(x.ref, around);
    return lax.reduceWindow(padded, window => numpy.max(window), [size, size], [stride, stride]);
  }
  imageMean(x: JaxArray): JaxArray {
    return this.jax.numpy.mean(x.ref, [2, 3]);
  }
  relu(x: JaxArray): JaxArray {
    return this.jax.nn.relu(x.ref);
  }
  add(a: JaxArray, b: JaxArray): JaxArray {
    return a.ref.add(b.ref);
  }
  gelu(x: JaxArray, approximate: 'none' | 'tanh'): JaxArray {
    return this.jax.nn.gelu(x.ref, { approximate: approximate === 'tanh' });
  }
  layerNorm(x: JaxArray, name: string, eps: number): JaxArray {
    const { numpy } = this.jax;
    const rows = { keepdims: true };
    const centred = x.ref.sub(numpy.mean(x.ref, -1, rows));
    const variance = numpy.mean(numpy.square(centred.ref), -1, rows);
    const normal = centred.div(numpy.sqrt(variance.add(eps)));
    return normal.mul(this.weights[`${name}.weight`].ref).add(this.weights[`${name}.bias`].ref);
  }
  softmax(x: JaxArray): JaxArray {
    return this.jax.nn.softmax(x.ref, -1);
  }
  /** `take` has no gradient: in training the tokens are a one-hot matrix. */
  embed(tokens: JaxArray, table: string, positions: string): JaxArray {
    const { numpy } = this.jax;
    const words = this.weights[`${table}.weight`].ref;
    const places = this.weights[`${positions}.weight`];
    const [time, width] = places.shape;
    const rows = this.trains ? numpy.matmul(tokens.ref, words) : numpy.take(words, tokens.ref, 0);
    return rows.reshape([-1, time, width]).add(places.ref).reshape([-1, width]);
  }
  splitInThree(x: JaxArray): [JaxArray, JaxArray, JaxArray] {
    return this.jax.numpy.split(x.ref, 3, 1) as [JaxArray, JaxArray, JaxArray];
  }
  attention(q: JaxArray, k: JaxArray, v: JaxArray, { batch, heads, causal }: AttentionOptions): JaxArray {
    const [rows, width] = q.shape;
    const [a, b, c] = [q, k, v].map(x => x.ref.reshape([batch, rows / batch, heads, width / heads]));
    return this.jax.nn.dotProductAttention(a, b, c, { isCausal: causal }).reshape([rows, width]);
  }
  unitMean(x: JaxArray): JaxArray {
    const { numpy } = this.jax;
    const mean = numpy.mean(x.ref, 0, { keepdims: true });
    return mean.ref.div(numpy.sqrt(numpy.sum(numpy.square(mean), -1, { keepdims: true })));
  }
}

export const startJax: StartEngine = async threads => {
  if (threads > 1) throw new Unsupported('has no threads outside browsers');
  addIteratorHelpers();
  const jax = (await importPeer('@jax-js/jax/dist/index.js')) as Jax;
  await jax.init('wasm');
  jax.defaultDevice('wasm');
  return engine(jax);
};

/** jax-js calls these methods of iterators, which Node 20 lacks. */
function addIteratorHelpers(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
  prototype.map ??= function* (this: Iterable<unknown>, f: (value: unknown, i: number) => unknown) {
    let i = 0;
    for (const value of this) yield f(value, i++);
  };
  prototype.filter ??= function* (this: Iterable<unknown>, f: (value: unknown, i: number) => boolean) {
    let i = 0;
    for (const value of this) if (f(value, i++)) yield value;
  };
  prototype.toArray ??= function (this: Iterable<unknown>) {
    return [...this];
  };
}

const engine = (jax: Jax): Engine => ({
  title: titleOf('@jax-js/jax'),
  async prepare(workload, inputs) {
    const network = workload.network();
    return workload.training === null
      ? inference(jax, workload, network, inputs)
      : training(jax, workload, network, inputs);
  },
});

const arrayOf = ({ numpy }: Jax, data: Float32Array | Int32Array, shape: readonly number[]): JaxArray =>
  numpy.array(data, { shape, dtype: data instanceof Int32Array ? numpy.int32 : numpy.float32 });

const weightArrays = (jax: Jax, { weights }: Network): Arrays =>
  Object.fromEntries([...weights].map(([name, { shape, data }]) => [name, arrayOf(jax, data, shape)]));

function inference(jax: Jax, workload: PeerWorkload, network: Network, inputs: Inputs): Prepared {
  const given = workload.inputs.map(({ name, shape }) => {
    const array = inputs[name];
    return arrayOf(jax, array instanceof Float32Array ? array : Int32Array.from(array as BigInt64Array, Number), shape);
  });
  const weights = weightArrays(jax, network);
  const run = jax.jit((weights: Arrays, ...given: JaxArray[]) =>
    network.forward(new ArrayOps(jax, weights, false), given),
  );
  return {
    run: () => run(jax.tree.ref(weights), ...jax.tree.ref(given)).data(),
    dispose: () => jax.tree.dispose([weights, given]),
  };
}

interface State {
  readonly parameters: Arrays;
  readonly first: Arrays;
  readonly second: Arrays;
  readonly step: JaxArray;
}

function training(jax: Jax, workload: PeerWorkload, network: Network, inputs: Inputs): Prepared {
  const { labels, classes, optimizer } = workload.training!;
  const [{ name, shape }] = workload.inputs;
  const array = inputs[name];
  const x =
    array instanceof Float32Array
      ? arrayOf(jax, array, shape)
      : oneHot(jax, array, network.weights.get('tok.weight')!.shape[0]);
  const y = oneHot(jax, inputs[labels], classes);
  const update = updateOf(jax, optimizer);
  const step = jax.jit((state: State, x: JaxArray, y: JaxArray): [JaxArray, State] => {
    const lossOf = (parameters: Arrays): JaxArray => {
      const logits = network.forward(new ArrayOps(jax, parameters, true), [x]);
      return jax.nn.logSoftmax(logits, -1).mul(y.ref).sum(-1).mean().mul(-1);
    };
    const [loss, gradients] = jax.valueAndGrad(lossOf)(jax.tree.ref(state.parameters));
    return [loss, update(state, gradients)];
  });
  let state: State = {
    parameters: weightArrays(jax, network),
    first: zerosLike(jax, network),
    second: optimizer.kind === 'adam' ? zerosLike(jax, network) : {},
    step: jax.numpy.array(0),
  };
  return {
    run: async () => {
      const [loss, next] = step(state, x.ref, y.ref);
      state = next;
      const data = await loss.data();
      await jax.blockUntilReady(state);
      return data;
    },
    dispose: () => jax.tree.dispose([state, x, y]),
  };
}

function oneHot(jax: Jax, indices: Inputs[string], classes: number): JaxArray {
  const data = new Float32Array(indices.length * classes);
  for (const [row, column] of Array.from(indices, Number).entries()) data[row * classes + column] = 1;
  return arrayOf(jax, data, [indices.length, classes]);
}

const zerosLike = (jax: Jax, { weights }: Network): Arrays =>
  Object.fromEntries([...weights].map(([name, { shape }]) => [name, jax.numpy.zeros(shape)]));

const mapped = (like: Arrays, f: (name: string) => JaxArray): Arrays =>
  Object.fromEntries(Object.keys(like).map(name => [name, f(name)]));

/** As PyTorch's SGD, Adam and AdamW. */
function updateOf(jax: Jax, optimizer: Optimizer): (state: State, gradients: Arrays) => State {
  const { kind, learningRate, momentum, weightDecay } = optimizer;
  const { numpy } = jax;
  if (kind === 'sgd')
    return ({ parameters, second, first, step }, gradients) => {
      const velocity = mapped(parameters, name => first[name].ref.mul(momentum).add(gradients[name].ref));
      const moved = mapped(parameters, name => parameters[name].ref.sub(velocity[name].ref.mul(learningRate)));
      return { parameters: moved, first: velocity, second, step };
    };
  const [beta1, beta2] = [0.9, 0.999];
  return ({ parameters, first, second, step }, gradients) => {
    const next = step.ref.add(1);
    const correction = (beta: number): JaxArray => numpy.array(1).sub(numpy.exp(next.ref.mul(Math.log(beta))));
    const [bias1, bias2] = [correction(beta1), correction(beta2)];
    const mean = mapped(parameters, name => first[name].ref.mul(beta1).add(gradients[name].ref.mul(1 - beta1)));
    const spread = mapped(parameters, name =>
      second[name].ref.mul(beta2).add(numpy.square(gradients[name].ref).mul(1 - beta2)),
    );
    const moved = mapped(parameters, name => {
      const size = numpy.sqrt(spread[name].ref.div(bias2.ref)).add(1e-8);
      const change = mean[name].ref.div(bias1.ref).mul(learningRate).div(size);
      return parameters[name].ref.mul(1 - learningRate * weightDecay).sub(change);
    });
    return { parameters: moved, first: mean, second: spread, step: next };
  };
}
