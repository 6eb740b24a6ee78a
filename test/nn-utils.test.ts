/** `nn.utils`: weights computed from other parameters, parameters as a vector, folded batch normalisation, padded sequences. */
import {
  arange,
  defineModel,
  entry,
  input,
  linalg,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  rand,
  randn,
  type Tensor,
  tensor,
} from 'gradc';
import { compileDefinition } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { beforeEach, describe, expect, test } from 'vitest';
import { expectClose, numbers } from './support/tensors.js';

beforeEach(() => void manualSeed(0));
const names = (module: nn.Module): string[] => Object.keys(module.stateDict());

/** A step of training, eager and compiled, from the same start. */
function trainBoth(
  make: () => nn.Module & { forward(x: Tensor): Tensor },
  x: Tensor,
): [eager: nn.Module, compiled: nn.Module] {
  const definition = defineModel('trained', () => {
    const net = make();
    const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
    const step = entry({ x: input(x.shape) }, given => {
      opt.zeroGrad();
      const loss = net.forward(given.x).square().mean();
      loss.backward();
      opt.step();
      return { loss };
    });
    return { state: { net }, entries: { step } };
  });
  manualSeed(1);
  const parts = definition.build();
  manualSeed(1);
  const { traced, executable } = compileDefinition(definition);
  for (let i = 0; i < 3; i++) {
    const { loss } = parts.entries.step.run({ x });
    expectClose(executable.call('step', { x }).loss, loss.detach());
  }
  return [parts.state.net as nn.Module, traced.parts.state.net as nn.Module];
}

describe('weightNorm', () => {
  test('keeps the output, and has the length and the direction as parameters', () => {
    const plain = new nn.Linear(3, 2);
    const normed = nn.utils.weightNorm(plain.clone());
    const x = randn(4, 3);
    expect(names(normed)).toEqual(['bias', 'weight_g', 'weight_v']);
    expect(normed.stateDict().weight_g.shape).toEqual([2, 1]);
    expectClose(normed.forward(x), plain.forward(x));
    expect(nn.utils.weightNorm(plain.clone(), 'weight', null).stateDict().weight_g.shape).toEqual([]);
    expect(nn.utils.weightNorm(plain.clone(), 'weight', -1).stateDict().weight_g.shape).toEqual([1, 3]);
    expect(() => nn.utils.weightNorm(plain.clone(), 'weight', 2)).toThrow(/weightNorm: Dimension out of range/);
  });
  test('of a vector, each element has a length', () => {
    const normed = nn.utils.weightNorm(new nn.LayerNorm(3));
    expect(normed.stateDict().weight_g.tolist()).toEqual([1, 1, 1]);
    expectClose(normed.forward(ones(1, 3).cumsum(1)), new nn.LayerNorm(3).forward(ones(1, 3).cumsum(1)));
  });
  test('the direction gets no gradient along itself, the length that of the output', () => {
    const layer = nn.utils.weightNorm(new nn.Linear(3, 1, { bias: false }));
    const x = randn(1, 3);
    layer.forward(x).sum().backward();
    const [g, v] = [...layer.parameters()];
    expectClose(v.grad!.mul(v.detach()).sum(), tensor(0, { dtype: 'float32' }));
    expectClose(g.grad!, x.mul(v.detach()).sum().div(v.detach().square().sum().sqrt()).reshape([1, 1]));
  });
  test('trains, eagerly as compiled', () => {
    const [eager, compiled] = trainBoth(
      () => new nn.Sequential(nn.utils.weightNorm(new nn.Linear(3, 4)), new nn.Tanh(), new nn.Linear(4, 1)) as never,
      randn(5, 3),
    );
    for (const [name, value] of Object.entries(eager.stateDict())) expectClose(compiled.stateDict()[name], value);
  });
  test('a clone has a weight of its own; removed, the weight is a parameter of the same value', () => {
    const layer = nn.utils.weightNorm(new nn.Conv2d(2, 3, 3));
    const before = layer.weight.detach().clone();
    const copy = layer.clone();
    noGrad(() => (layer as unknown as { weight_g: Tensor }).weight_g.mul_(2));
    expectClose(copy.weight.detach(), before);
    nn.utils.removeWeightNorm(layer);
    expectClose(layer.weight.detach(), before.mul(2));
    expect(names(layer)).toEqual(['bias', 'weight']);
    expect(() => nn.utils.removeWeightNorm(layer)).toThrow(
      /'weight' of Conv2d is not computed from weight_g, weight_v/,
    );
    expect(() => nn.utils.weightNorm(layer, 'wait')).toThrow(/Conv2d has no parameter 'wait'\n.*'bias', 'weight'/s);
  });
});

describe('spectralNorm', () => {
  test('divides by the largest singular value, once it has been found', () => {
    const layer = nn.utils.spectralNorm(new nn.Linear(6, 4), { nPowerIterations: 50 });
    expect(names(layer)).toEqual(['bias', 'weight_orig', 'weight_u', 'weight_v']);
    layer.forward(ones(1, 6));
    expect(linalg.svdvals(layer.weight.detach()).tolist()[0]).toBeCloseTo(1, 4);
  });
  test('looks for it while training only', () => {
    const layer = nn.utils.spectralNorm(new nn.ConvTranspose2d(2, 3, 2)).eval();
    const u = (): number[] => numbers(layer.stateDict().weight_u);
    expect(u()).toHaveLength(3);
    const before = u();
    layer.forward(rand(1, 2, 2, 2));
    expect(u()).toEqual(before);
    layer.train().forward(rand(1, 2, 2, 2));
    expect(u()).not.toEqual(before);
    nn.utils.removeSpectralNorm(layer);
    expect(names(layer)).toEqual(['bias', 'weight']);
    layer.forward(rand(1, 2, 2, 2));
  });
  test('trains, eagerly as compiled, its vectors included', () => {
    const [eager, compiled] = trainBoth(() => nn.utils.spectralNorm(new nn.Linear(3, 4)), randn(5, 3));
    for (const [name, value] of Object.entries(eager.stateDict())) expectClose(compiled.stateDict()[name], value);
  });
});

describe('parameters as a vector', () => {
  test('there and back', () => {
    const [a, b] = [new nn.Linear(3, 2), new nn.Linear(3, 2)];
    const vector = nn.utils.parametersToVector(a.parameters());
    expect(vector.shape).toEqual([8]);
    nn.utils.vectorToParameters(vector.detach(), b.parameters());
    expect(numbers(b.weight)).toEqual(numbers(a.weight));
    expect(numbers(b.bias!)).toEqual(numbers(a.bias!));
    expect(() => nn.utils.vectorToParameters(arange(7), b.parameters())).toThrow(/8 elements in all.*shape \[7\]/);
  });
});

test('a gradient that is not finite is clipped, or refused on request', () => {
  const a = ones(1, { requiresGrad: true });
  a.grad = tensor([Number.POSITIVE_INFINITY]);
  expect(() => nn.utils.clipGradNorm_([a], 1, { errorIfNonfinite: true })).toThrow(/order 2 .* is non-finite/);
  expect(nn.utils.clipGradNorm_([a], 1, { normType: 'inf' }).item()).toBe(Number.POSITIVE_INFINITY);
});

describe('fuseConvBnEval', () => {
  test.each([
    ['Conv2d', () => new nn.Conv2d(2, 3, 3, { bias: false })],
    ['ConvTranspose2d', () => new nn.ConvTranspose2d(2, 3, 3)],
  ] as const)('%s computes what both did', (_, make) => {
    const [conv, bn] = [make(), new nn.BatchNorm2d(3)];
    const x = randn(4, 2, 5, 5);
    for (let i = 0; i < 3; i++) bn.forward(conv.forward(x)).sum().backward();
    noGrad(() => bn.weight!.uniform_().add_(0.5));
    expect(() => nn.utils.fuseConvBnEval(conv, bn)).toThrow(/must be in eval mode/);
    const fused = nn.utils.fuseConvBnEval(conv.eval(), bn.eval());
    expectClose(fused.forward(x).detach(), bn.forward(conv.forward(x)).detach());
  });
});

describe('sequences of different lengths', () => {
  const sequences = [3, 1, 2].map(length =>
    arange(length * 2)
      .reshape([length, 2])
      .float(),
  );
  test('padded and cut again', () => {
    const padded = nn.utils.rnn.padSequence(sequences, { batchFirst: true, paddingValue: -1 });
    expect(padded.shape).toEqual([3, 3, 2]);
    expect(padded.select(0, 1).tolist()).toEqual([
      [0, 1],
      [-1, -1],
      [-1, -1],
    ]);
    expectClose(nn.utils.rnn.padSequence(sequences), F.relu(padded).transpose(0, 1));
    const back = nn.utils.rnn.unpadSequence(padded, [3, 1, 2], { batchFirst: true });
    expect(back.map(part => part.tolist())).toEqual(sequences.map(part => part.tolist()));
    expect(() => nn.utils.rnn.unpadSequence(padded, [3, 1])).toThrow(/2 lengths were given for 3 sequences/);
  });
});
