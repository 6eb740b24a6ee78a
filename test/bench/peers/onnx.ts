/**
 * ONNX models written from scratch: the operations of `ops.ts` become nodes, and the graph a file in protocol buffers.
 * Field numbers are those of onnx.proto (ONNX 1.15: IR version 9, operator set 20).
 */
import type { PeerWorkload } from './networks.js';
import {
  type Activation,
  type AttentionOptions,
  type ConvOptions,
  causalMask,
  type Ops,
  type PoolOptions,
  type Weights,
} from './ops.js';

// ── protocol buffers ────────────────────────────────────────────────────────────────────────────────────────────────

type Bytes = Uint8Array;
const concat = (parts: readonly Bytes[]): Bytes => Buffer.concat(parts);

function varint(value: number | bigint): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(rest)]);
}

/** A field of an integer. */
const int = (field: number, value: number): Bytes => concat([varint(field << 3), varint(value)]);
/** A field of bytes: a string, raw data or a message. */
const blob = (field: number, bytes: Bytes): Bytes => concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
const text = (field: number, value: string): Bytes => blob(field, Buffer.from(value));
const float = (field: number, value: number): Bytes =>
  concat([varint((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)]);
const message = (field: number, ...fields: readonly Bytes[]): Bytes => blob(field, concat(fields));

// ── ONNX's messages ─────────────────────────────────────────────────────────────────────────────────────────────────

type Attribute = number | string | readonly number[] | { readonly float: number };
type ElementType = 'float32' | 'int64';
const elementTypes: Record<ElementType, number> = { float32: 1, int64: 7 };
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

function attribute(name: string, value: Attribute): Bytes {
  const label = text(1, name);
  if (typeof value === 'number') return message(5, label, int(3, value), int(20, attributeTypes.int));
  if (typeof value === 'string') return message(5, label, text(4, value), int(20, attributeTypes.string));
  if ('float' in value) return message(5, label, float(2, value.float), int(20, attributeTypes.float));
  return message(5, label, ...value.map(each => int(8, each)), int(20, attributeTypes.ints));
}

function tensor(name: string, shape: readonly number[], data: Float32Array | BigInt64Array): Bytes {
  const type = data instanceof Float32Array ? 'float32' : 'int64';
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return message(5, ...shape.map(size => int(1, size)), int(2, elementTypes[type]), text(8, name), blob(9, raw));
}

function valueInfo(field: number, name: string, type: ElementType, shape: readonly number[] | null): Bytes {
  const dims = shape === null ? [] : [message(2, ...shape.map(size => message(1, int(1, size))))];
  return message(field, text(1, name), message(2, message(1, int(1, elementTypes[type]), ...dims)));
}

// ── the graph ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A value of the graph, by its name. */
interface Value {
  readonly name: string;
}

class GraphOps implements Ops<Value> {
  readonly nodes: Bytes[] = [];
  private readonly initializers = new Map<string, Bytes>();
  private count = 0;

  constructor(private readonly weights: Weights) {}

  /** The file, with the inputs and the output `y` named. */
  file(inputs: readonly { name: string; type: ElementType; shape: readonly number[] }[], output: Value): Bytes {
    const result = this.node('Identity', [output], {}, 'y');
    const graph = message(
      7,
      ...this.nodes,
      text(2, 'network'),
      ...this.initializers.values(),
      ...inputs.map(({ name, type, shape }) => valueInfo(11, name, type, shape)),
      valueInfo(12, result.name, 'float32', null),
    );
    return concat([int(1, 9), graph, message(8, text(1, ''), int(2, 20))]);
  }

  private node(op: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}, name?: string): Value {
    return this.nodeWith(op, inputs, attributes, [name ?? `v${this.count++}`])[0];
  }

  private nodeWith(
    op: string,
    inputs: readonly Value[],
    attributes: Record<string, Attribute>,
    outputs: readonly string[],
  ): Value[] {
    this.nodes.push(
      message(
        1,
        ...inputs.map(({ name }) => text(1, name)),
        ...outputs.map(name => text(2, name)),
        text(4, op),
        ...Object.entries(attributes).map(([key, value]) => attribute(key, value)),
      ),
    );
    return outputs.map(name => ({ name }));
  }

  private constant(name: string, shape: readonly number[], data: Float32Array | BigInt64Array): Value {
    if (!this.initializers.has(name)) this.initializers.set(name, tensor(name, shape, data));
    return { name };
  }
  private shape(sizes: readonly number[]): Value {
    return this.constant(`shape ${sizes}`, [sizes.length], BigInt64Array.from(sizes, BigInt));
  }
  private number(value: number): Value {
    return this.constant(`number ${value}`, [], Float32Array.of(value));
  }
  private weight(name: string): Value {
    const { shape, data } = this.weights.get(name)!;
    return this.constant(name, shape, data);
  }
  private withBias(inputs: readonly Value[], name: string): Value[] {
    return this.weights.has(`${name}.bias`) ? [...inputs, this.weight(`${name}.bias`)] : [...inputs];
  }
  private activated(x: Value, activation: Activation = null): Value {
    if (activation === 'relu6') return this.node('Clip', [x, this.number(0), this.number(6)]);
    return activation === 'relu' ? this.relu(x) : x;
  }

  matmul(a: Value, b: Value): Value {
    return this.node('MatMul', [a, b]);
  }
  linear(x: Value, name: string, activation?: Activation): Value {
    const inputs = this.withBias([x, this.weight(`${name}.weight`)], name);
    return this.activated(this.node('Gemm', inputs, { transB: 1 }), activation);
  }
  linearOfImages(x: Value, name: string, activation?: Activation): Value {
    return this.linear(this.node('Flatten', [x], { axis: 1 }), name, activation);
  }
  conv(x: Value, name: string, { stride = 1, padding = 0, depthwise = false, activation }: ConvOptions = {}): Value {
    const { shape } = this.weights.get(`${name}.weight`)!;
    const attributes = {
      kernel_shape: shape.slice(2),
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      group: depthwise ? shape[0] : 1,
    };
    const inputs = this.withBias([x, this.weight(`${name}.weight`)], name);
    return this.activated(this.node('Conv', inputs, attributes), activation);
  }
  maxPool(x: Value, { size, stride, padding }: PoolOptions): Value {
    const pads = [padding, padding, padding, padding];
    return this.node('MaxPool', [x], { kernel_shape: [size, size], strides: [stride, stride], pads });
  }
  imageMean(x: Value): Value {
    return this.node('Flatten', [this.node('GlobalAveragePool', [x])], { axis: 1 });
  }
  relu(x: Value): Value {
    return this.node('Relu', [x]);
  }
  add(a: Value, b: Value): Value {
    return this.node('Add', [a, b]);
  }
  gelu(x: Value, approximate: 'none' | 'tanh'): Value {
    return this.node('Gelu', [x], { approximate });
  }
  layerNorm(x: Value, name: string, eps: number): Value {
    const inputs = [x, this.weight(`${name}.weight`), this.weight(`${name}.bias`)];
    return this.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: eps } });
  }
  softmax(x: Value): Value {
    return this.node('Softmax', [x], { axis: -1 });
  }
  embed(tokens: Value, table: string, positions: string): Value {
    const [time, width] = this.weights.get(`${positions}.weight`)!.shape;
    const rows = this.node('Gather', [this.weight(`${table}.weight`), tokens], { axis: 0 });
    const sequences = this.node('Reshape', [rows, this.shape([-1, time, width])]);
    return this.node('Reshape', [this.add(sequences, this.weight(`${positions}.weight`)), this.shape([-1, width])]);
  }
  splitInThree(x: Value): [Value, Value, Value] {
    const names = [0, 1, 2].map(() => `v${this.count++}`);
    return this.nodeWith('Split', [x], { axis: 1, num_outputs: 3 }, names) as [Value, Value, Value];
  }
  attention(q: Value, k: Value, v: Value, { batch, heads, causal }: AttentionOptions): Value {
    const time = this.weights.get('pos.weight')!.shape[0];
    const width = this.weights.get('pos.weight')!.shape[1];
    const size = width / heads;
    const apart = (x: Value, perm: readonly number[]): Value =>
      this.node('Transpose', [this.node('Reshape', [x, this.shape([batch, time, heads, size])])], { perm });
    const products = this.matmul(apart(q, [0, 2, 1, 3]), apart(k, [0, 2, 3, 1]));
    let scores = this.node('Mul', [products, this.number(1 / Math.sqrt(size))]);
    if (causal) scores = this.add(scores, this.constant('mask', [time, time], causalMask(time)));
    const mixed = this.matmul(this.softmax(scores), apart(v, [0, 2, 1, 3]));
    const together = this.node('Transpose', [mixed], { perm: [0, 2, 1, 3] });
    return this.node('Reshape', [together, this.shape([batch * time, width])]);
  }
  unitMean(x: Value): Value {
    const mean = this.node('ReduceMean', [x, this.shape([0])], { keepdims: 1 });
    return this.node('Div', [mean, this.node('ReduceL2', [mean, this.shape([1])], { keepdims: 1 })]);
  }
}

/** The forward part of a workload as an ONNX file whose output is `y`. */
export function onnxModel({ network, inputs }: PeerWorkload, typeOf: (input: string) => ElementType): Uint8Array {
  const { weights, forward } = network();
  const ops = new GraphOps(weights);
  const named = inputs.map(({ name, shape }) => ({ name, shape, type: typeOf(name) }));
  return ops.file(named, forward(ops, named));
}
