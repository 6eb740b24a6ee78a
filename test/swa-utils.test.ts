/** `optim.swaUtils`: averages of a model's parameters, eagerly and inside compiled steps, and statistics for them. */
import { defineModel, entry, input, manualSeed, nn, noGrad, optim, randn, type Tensor } from 'gradc';
import { compileDefinition } from 'gradc/compiler';
import { beforeEach, expect, test } from 'vitest';
import { expectClose, numbers } from './support/tensors.js';

beforeEach(() => void manualSeed(0));
const { AveragedModel, updateBn } = optim.swaUtils;

test('the mean of all that it was given; the model it was made of does not count', () => {
  const net = new nn.Linear(3, 2);
  const average = new AveragedModel(net);
  expect(Object.keys(average.stateDict())).toEqual(['n_averaged', 'module.weight', 'module.bias']);
  const seen: Tensor[] = [];
  for (let i = 0; i < 3; i++) {
    noGrad(() => net.weight.normal_());
    seen.push(net.weight.detach().clone());
    average.updateParameters(net);
  }
  expect(average.nAveraged.item()).toBe(3);
  expectClose(average.module.weight.detach(), seen[0].add(seen[1]).add(seen[2]).div(3), 1e-6);
  const x = randn(1, 3);
  expectClose(average.forward(x).detach(), average.module.forward(x).detach(), 1e-6);
});

test('another model is refused', () => {
  const average = new AveragedModel(new nn.Linear(3, 2));
  expect(() => average.updateParameters(new nn.Linear(3, 2, { bias: false }))).toThrow(/averages 2 tensors, .* has 1/);
});

test('buffers are copied, or averaged on request', () => {
  const net = new nn.BatchNorm1d(2);
  const [copied, averaged] = [new AveragedModel(net), new AveragedModel(net, { useBuffers: true })];
  for (const fill of [1, 3]) {
    net.runningMean!.fill_(fill);
    copied.updateParameters(net);
    averaged.updateParameters(net);
  }
  expect(copied.module.runningMean!.tolist()).toEqual([3, 3]);
  expect(averaged.module.runningMean!.tolist()).toEqual([2, 2]);
});

test('inside a compiled step as eagerly, with a rule of one’s own; a clone goes on', () => {
  const definition = defineModel('averaged', () => {
    const net = new nn.Linear(3, 1);
    const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
    const average = new AveragedModel(net, { avgFn: (mean, p) => mean.mul(0.9).add(p.mul(0.1)) }).clone();
    const step = entry({ x: input([4, 3]) }, ({ x }) => {
      opt.zeroGrad();
      const loss = net.forward(x).square().mean();
      loss.backward();
      opt.step();
      average.updateParameters(net);
      return { loss };
    });
    return { state: { net, average }, entries: { step } };
  });
  const x = randn(4, 3);
  const eager = definition.build();
  const { traced, executable } = compileDefinition(definition);
  const parts = [eager.state, traced.parts.state] as {
    net: nn.Linear;
    average: InstanceType<typeof AveragedModel<nn.Linear>>;
  }[];
  parts[1].net.loadStateDict(parts[0].net.stateDict());
  for (let i = 0; i < 4; i++) {
    eager.entries.step.run({ x });
    executable.call('step', { x });
  }
  const [expected, actual] = parts.map(({ average }) => average.stateDict());
  expect(actual.n_averaged.item()).toBe(4);
  for (const [name, value] of Object.entries(expected)) expectClose(actual[name], value, 1e-6);
  expect(numbers(actual['module.weight'])).not.toEqual(numbers(parts[1].net.weight));
});

test('updateBn: statistics of all batches, whatever was kept before', () => {
  const net = new nn.Sequential(new nn.BatchNorm1d(3)).eval();
  const bn = net.at(0) as nn.BatchNorm1d;
  bn.runningMean!.fill_(9);
  const batches = [randn(8, 3), randn(8, 3)];
  updateBn(
    batches.map(x => [x]),
    net,
  );
  expectClose(bn.runningMean!, batches[0].mean(0).add(batches[1].mean(0)).div(2), 1e-6);
  expectClose(bn.runningVar!, batches[0].var(0).add(batches[1].var(0)).div(2), 1e-6);
  expect([bn.momentum, net.training]).toEqual([0.1, false]);
});
