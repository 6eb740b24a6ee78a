/** The workloads that are measured: a model with the data of `data.ts`, one of its entries, and inputs for it. */
import { defineModel, entry, input, type ModelDefinition, nn, type TypedArray } from 'gradc';
import lenet, { LeNet } from '../../examples/lenet/lenet.model.js';
import chain from '../../examples/zoo/chain.model.js';
import gpt from '../../examples/zoo/gpt.model.js';
import minilm from '../../examples/zoo/minilm.model.js';
import mlp from '../../examples/zoo/mlp.model.js';
import mobilenetv2 from '../../examples/zoo/mobilenetv2.model.js';
import resnet18 from '../../examples/zoo/resnet18.model.js';
import { fillNetwork, floats, integers } from './data.js';

export interface Workload {
  readonly name: string;
  readonly definition: ModelDefinition;
  /** The entry that is measured; the others are left out. */
  readonly entry: string;
  readonly inputs: () => Readonly<Record<string, TypedArray>>;
}

const matmul = (n: number): Workload => ({
  name: `matmul-${n}`,
  definition: defineModel('matmul', () => ({
    state: {},
    entries: { run: entry({ a: input([n, n]), b: input([n, n]) }, ({ a, b }) => ({ out: a.matmul(b) })) },
  })),
  entry: 'run',
  inputs: () => ({ a: floats(`matmul/a${n}`, n * n), b: floats(`matmul/b${n}`, n * n) }),
});

const lenetForward = (batch: number): Workload => ({
  name: `lenet-fwd-b${batch}`,
  definition: withData(
    defineModel('lenet', () => {
      const net = new LeNet();
      return {
        state: { net },
        entries: { predict: entry({ x: input([batch, 1, 32, 32]) }, ({ x }) => ({ logits: net.forward(x) })) },
      };
    }),
    'predict',
  ),
  entry: 'predict',
  inputs: () => ({ x: floats('lenet/x', batch * 1024) }),
});

/** A model over the named data, with one entry alone. */
function withData(definition: ModelDefinition, wanted: string): ModelDefinition {
  const build = (): ReturnType<ModelDefinition['build']> => {
    const { state, entries } = definition.build();
    for (const part of Object.values(state)) if (part instanceof nn.Module) fillNetwork(definition.name, part);
    return { state, entries: { [wanted]: entries[wanted] } };
  };
  return { ...definition, build };
}

const ofModel = (name: string, definition: ModelDefinition, entry: string, inputs: Workload['inputs']): Workload => ({
  name,
  definition: withData(definition, entry),
  entry,
  inputs,
});

const image = (model: string) => () => ({ x: floats(`${model}/x`, 3 * 224 * 224) });

export const workloads: readonly Workload[] = [
  ...[128, 256, 512, 1024].map(matmul),
  ...[1, 64].map(lenetForward),
  ofModel('lenet-train-b64', lenet, 'trainStep', () => ({
    x: floats('lenet/x', 64 * 1024),
    y: integers('lenet/y', 64, 10),
  })),
  ofModel('mlp-fwd-b1', mlp, 'predict', () => ({ x: floats('mlp/x', 784) })),
  ofModel('mlp-train-b128', mlp, 'trainStep', () => ({
    x: floats('mlp/x', 128 * 784),
    y: integers('mlp/y', 128, 10),
  })),
  ofModel('chain-1024', chain, 'run', () => ({ x: floats('chain/x', 1024 * 1024, { center: 0, bound: 2 }) })),
  ofModel('resnet18-fwd', resnet18, 'predict', image('resnet18')),
  ofModel('mobilenetv2-fwd', mobilenetv2, 'predict', image('mobilenetv2')),
  ofModel('gpt-fwd-b1', gpt, 'predict', () => ({ x: integers('gpt/x', 128, 512) })),
  ofModel('gpt-train-b4', gpt, 'trainStep', () => ({
    x: integers('gpt/x', 512, 512),
    y: integers('gpt/y', 512, 512),
  })),
  ofModel('minilm-fwd', minilm, 'encode', () => ({ x: integers('minilm/x', 128, 2048) })),
];
