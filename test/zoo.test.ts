/**
 * The models of examples/zoo. Small ones: what they compute eagerly, as WebAssembly and by the js kernels is the same, forward
 * and through training steps. The workloads of the benchmark, at full size: PyTorch's numbers.
 *
 * test/bench/torch-1.13.json holds what PyTorch 1.13.1 computes on the same weights and inputs (data.ts): elements of the
 * outputs, or the losses of three steps and the norms of the first gradients.
 */
import { readFileSync } from 'node:fs';
import {
  defineModel,
  entry,
  fromTypedArray,
  input,
  type ModelDefinition,
  manualSeed,
  type nn,
  optim,
  type Tensor,
  type TypedArray,
} from 'gradc';
import { compareModel, compileDefinition, traceModel } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { compileToProgram } from '../compiler/pipeline.js';
import { chain } from '../examples/zoo/chain.model.js';
import { gpt } from '../examples/zoo/gpt.model.js';
import { Encoder } from '../examples/zoo/minilm.model.js';
import { mlp } from '../examples/zoo/mlp.model.js';
import { MobileNetV2 } from '../examples/zoo/mobilenetv2.model.js';
import { resnet18 } from '../examples/zoo/resnet18.model.js';
import { withGradients } from './bench/cases.js';
import { CompiledWorkload, type Inputs } from './bench/compiled.js';
import { floats, integers } from './bench/data.js';
import { workloads } from './bench/workloads.js';
import { bitDifference, runAlone, Team } from './support/team.js';

/** A network that only computes, with a training step on top: `loss` of what it makes of `x`. */
function trained(name: string, make: () => nn.Module, x: Tensor, loss: (out: Tensor) => Tensor): SmallModel {
  const spec = input(x.shape, x.dtype);
  const definition = defineModel(name, () => {
    manualSeed(0);
    const net = make();
    const opt = new optim.SGD(net.parameters(), { lr: 0.01, momentum: 0.9 });
    return {
      state: { net, opt },
      entries: {
        predict: entry({ x: spec }, ({ x }) => ({ out: net.eval().forward(x) })),
        trainStep: entry({ x: spec }, ({ x }) => {
          opt.zeroGrad();
          const value = loss(net.train().forward(x));
          value.backward();
          opt.step();
          return { loss: value };
        }),
      },
    };
  });
  return { definition, inputs: () => ({ x: x.toTypedArray() }) };
}

interface SmallModel {
  readonly definition: ModelDefinition;
  readonly inputs: (entry: string) => Inputs;
}

const images = (name: string, batch: number, size: number): Tensor =>
  fromTypedArray(floats(name, batch * 3 * size * size), [batch, 3, size, size]);
const tokens = (name: string, batch: number, time: number, below: number): Tensor =>
  fromTypedArray(integers(name, batch * time, below), [batch, time]);
/** Far from symmetric, so that no gradient is zero for reasons of symmetry. */
const weighted = (out: Tensor): Tensor => out.mul(fromTypedArray(floats('weights', out.numel()), out.shape)).sum();

const small: readonly SmallModel[] = [
  {
    definition: mlp({ sizes: [12, 16, 9, 5], batch: 6 }),
    inputs: (entry): Inputs =>
      entry === 'predict' ? { x: floats('x', 12) } : { x: floats('x', 72), y: integers('y', 6, 5) },
  },
  {
    definition: gpt({ layers: 1, width: 16, heads: 2, time: 9, vocabulary: 24 }, 2),
    inputs: (entry): Inputs =>
      entry === 'predict' ? { x: integers('x', 9, 24) } : { x: integers('x', 18, 24), y: integers('y', 18, 24) },
  },
  trained(
    'minilm',
    () => new Encoder({ layers: 1, width: 12, heads: 3, inner: 20, time: 7, vocabulary: 24 }),
    tokens('x', 2, 7, 24),
    weighted,
  ),
  {
    definition: resnet18({ channels: [4, 6, 8, 10], classes: 5, size: 64, batch: 2 }),
    inputs: (entry): Inputs =>
      entry === 'predict'
        ? { x: floats('x', 3 * 64 * 64) }
        : { x: floats('x', 2 * 3 * 64 * 64), y: integers('y', 2, 5) },
  },
  trained(
    'mobilenet',
    () =>
      new MobileNetV2(
        [
          { expansion: 1, channels: 4, blocks: 1, stride: 1 },
          { expansion: 2, channels: 6, blocks: 2, stride: 2 },
        ],
        { first: 6, last: 12, classes: 5 },
      ),
    images('x', 2, 20),
    weighted,
  ),
  { definition: chain(5, 37), inputs: () => ({ x: floats('x', 5 * 37) }) },
];

describe.each(small.map(model => [model.definition.name, model] as const))('small %s', (_, { definition, inputs }) => {
  test('outputs, gradients and state are as accurate as those of eager mode', async () => {
    const { differences, oracle } = await compareModel(definition, { steps: 2, inputs, measure: false });
    expect(oracle).toBe(true);
    expect(differences.filter(({ agrees }) => !agrees)).toEqual([]);
    expect(differences.some(({ kind }) => kind === 'output')).toBe(true);
    const state = differences.filter(({ kind }) => kind === 'state').map(({ name }) => name);
    const trains = 'trainStep' in definition.build().entries;
    expect(state.some(name => /^net\..*(weight|bias)$/.test(name))).toBe(trains);
    expect(state.some(name => /^opt\.(exp_avg_sq|momentum_buffer)\./.test(name))).toBe(trains);
  });

  test('any number of threads gives the bits of one', async () => {
    const traced = traceModel(definition);
    const { program } = compileToProgram(traced, {}, evaluateConstant);
    const state = Object.fromEntries(traced.state.map(({ name, storage }) => [name, storage.array]));
    const team = await Team.start();
    for (const threads of [2, 3]) {
      const [alone, together] = [runAlone(program), team.run(program, threads)];
      expect(bitDifference(program, { state, inputs }, alone, together, threads)).toBeNull();
    }
    await team.end();
  });

  test('the js kernels compute what WebAssembly computes', () => {
    const [js, wasm] = (['js', 'wasm'] as const).map(backend => compileDefinition(definition, { backend }));
    for (const { name, inputs: slots } of js.executable.compilation.program.entries) {
      const given = inputs(name);
      const tensors = Object.fromEntries(
        slots.map(({ name, type }) => [name, fromTypedArray(given[name], type.shape)]),
      );
      const expected = js.executable.call(name, tensors);
      for (const [key, actual] of Object.entries(wasm.executable.call(name, tensors)))
        expect(farApart(actual.toTypedArray(), expected[key].toTypedArray()), `${name} ${key}`).toBeLessThan(1e-4);
    }
  });
});

/** The largest difference over the largest element. */
function farApart(actual: TypedArray, expected: TypedArray): number {
  const largest = Math.max(...Array.from(expected as Float32Array, Math.abs));
  return Math.max(...Array.from(actual as Float32Array, (a, i) => Math.abs(a - Number(expected[i])))) / largest;
}

const euclidean = (array: Float32Array): number => Math.sqrt(array.reduce((sum, x) => sum + x * x, 0));

interface Forward {
  readonly largest: number;
  readonly elements: readonly (readonly [index: number, value: number])[];
}
interface Training {
  readonly losses: readonly number[];
  readonly gradients: Readonly<Record<string, number>>;
}
const torch: Readonly<Record<string, Forward | Training>> = JSON.parse(
  readFileSync(new URL('bench/torch-1.13.json', import.meta.url), 'utf8'),
);

test.each(workloads.map(workload => [workload.name, workload] as const))('%s is as in PyTorch', (name, workload) => {
  const expected = torch[name];
  const model = new CompiledWorkload({ ...workload, definition: withGradients(workload.definition) }).model({
    relaxed: false,
  });
  const given = workload.inputs();
  const first = model[workload.entry](given);
  if ('elements' in expected) {
    const [out] = Object.values(first) as Float32Array[];
    for (const [i, value] of expected.elements)
      expect(Math.abs(out[i] - value), `element ${i}`).toBeLessThan(2e-5 * expected.largest);
    return;
  }
  for (const [parameter, norm] of Object.entries(expected.gradients))
    expect(euclidean(first[parameter] as Float32Array) / norm, parameter).toBeCloseTo(1, 4);
  const losses = [first.loss, model[workload.entry](given).loss, model[workload.entry](given).loss] as number[];
  for (const [step, loss] of losses.entries()) expect(loss / expected.losses[step]).toBeCloseTo(1, 5);
});

/** By processor time, since the clock also counts what else the machine does; whoever has more processors waits less. */
test.each([
  ['ResNet-18', resnet18()],
  ['GPT', gpt()],
])(
  '%s is compiled with its training step within 20 seconds, for hardly more memory than it must have',
  (_, definition) => {
    const start = process.cpuUsage();
    const { executable } = compileDefinition(definition);
    const { user, system } = process.cpuUsage(start);
    expect(executable.compilation.program.entries.map(({ name }) => name)).toEqual(['predict', 'trainStep']);
    expect((user + system) / 1e6).toBeLessThan(20);
    for (const { name, arenaBytes, lowerBound } of executable.compilation.plan.entries)
      expect(arenaBytes / lowerBound, `memory of ${name}`).toBeLessThan(1.15);
  },
);
