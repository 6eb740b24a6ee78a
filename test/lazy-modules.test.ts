/** Lazy modules: sizes found in the first batch, values and training as recorded from PyTorch 1.13.1, what is refused before. */
import { defineModel, entry, input, linspace, manualSeed, nn, ones, optim, type Tensor, zeros } from 'gradc';
import { compileDefinition } from 'gradc/compiler';
import { beforeEach, describe, expect, test } from 'vitest';
import { expectClose, numbers } from './support/tensors.js';

beforeEach(() => void manualSeed(0));

const makeNet = (): nn.Sequential =>
  new nn.Sequential(
    new nn.LazyConv1d(4, 3, { groups: 2, padding: 1 }),
    new nn.LazyBatchNorm1d(),
    new nn.ReLU(),
    new nn.LazyConvTranspose1d(3, 2, { bias: false }),
    new nn.LazyInstanceNorm1d(),
    new nn.Flatten(),
    new nn.LazyLinear(2),
  );
const x = linspace(0, 19, 20).reshape([2, 2, 5]).sin();
const recorded = {
  losses: [1.3898811340332031, 0.2886616587638855, 0.1118815690279007, 0.7170012593269348],
  text: `Sequential(
  (0): Conv1d(2, 4, kernel_size=(3,), stride=(1,), padding=(1,), groups=2)
  (1): BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (2): ReLU()
  (3): ConvTranspose1d(4, 3, kernel_size=(2,), stride=(1,), bias=False)
  (4): InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (5): Flatten(start_dim=1, end_dim=-1)
  (6): Linear(in_features=18, out_features=2, bias=True)
)`,
};

test('an optimizer made before the sizes are known trains as in PyTorch', () => {
  const net = makeNet();
  const opt = new optim.SGD(net.parameters(), { lr: 0.01, momentum: 0.9 });
  const losses = [1, 2, 3, 4].map(() => {
    opt.zeroGrad();
    const loss = net.forward(x).square().sum();
    loss.backward();
    opt.step();
    return loss.item();
  });
  for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(recorded.losses[i], 4);
  expect(String(net)).toBe(recorded.text);
  expect(net[0]).toBeInstanceOf(nn.Conv1d);
  expect(net[0]).not.toBeInstanceOf(nn.LazyConv1d);
  expect([...net.parameters()].every(parameter => parameter.constructor === nn.Parameter)).toBe(true);
});

describe('the other convolutions', () => {
  test.each([
    ['LazyConv2d', [2, 3, 4, 4], 'Conv2d(3, 2, kernel_size=(2, 2), stride=(1, 1))', -3.350171696394682],
    ['LazyConv3d', [3, 4, 4, 4], 'Conv3d(3, 2, kernel_size=(2, 2, 2), stride=(1, 1, 1))', -7.7576876394450665],
    ['LazyConvTranspose2d', [3, 4, 4], 'ConvTranspose2d(3, 2, kernel_size=(2, 2), stride=(1, 1))', -4.56488055549562],
    [
      'LazyConvTranspose3d',
      [1, 3, 4, 4, 4],
      'ConvTranspose3d(3, 2, kernel_size=(2, 2, 2), stride=(1, 1, 1))',
      -16.798871386796236,
    ],
  ] as const)('%s', (name, shape, text, sum) => {
    manualSeed(1);
    const layer = new nn[name](2, 2);
    const y = layer.forward(
      linspace(
        -1,
        1,
        shape.reduce<number>((a, b) => a * b, 1),
      ).reshape(shape),
    );
    expect(y.sum().item()).toBeCloseTo(sum, 4);
    expect(String(layer)).toBe(text);
  });
});

test('the other normalisations', () => {
  for (const [layer, shape] of [
    [new nn.LazyBatchNorm2d(), [2, 3, 4, 4]],
    [new nn.LazyBatchNorm3d(), [2, 3, 2, 2, 2]],
    [new nn.LazyInstanceNorm2d(), [3, 4, 4]],
    [new nn.LazyInstanceNorm3d({ affine: false }), [2, 3, 2, 2, 2]],
  ] as const) {
    layer.forward(ones(shape));
    expect(layer.numFeatures).toBe(3);
    expect(numbers(layer.runningMean!).length).toBe(3);
  }
});

describe('before the first batch', () => {
  test('parameters have no shape', () => {
    const layer = new nn.LazyLinear(3);
    const message = /Can't access the shape of an uninitialized parameter or buffer\n.*run forward once/s;
    expect(() => layer.weight.shape).toThrow(message);
    expect(() => layer.weight.add(1)).toThrow(message);
    expect(() => layer.weight.numel()).toThrow(message);
    expect(() => new nn.Linear(2, 3).loadStateDict(layer.stateDict())).toThrow(message);
    expect(String(layer.weight)).toBe('<UninitializedParameter>');
    expect(String(layer)).toBe('LazyLinear(in_features=0, out_features=3, bias=True)');
    expect(Object.keys(new nn.LazyBatchNorm1d().stateDict())).toEqual(Object.keys(new nn.BatchNorm1d(1).stateDict()));
  });
  test('a state that is loaded tells the sizes', () => {
    const [lazy, plain] = [new nn.LazyConv2d(3, 2), new nn.Conv2d(5, 3, 2)];
    lazy.loadStateDict(plain.stateDict());
    expectClose(lazy.forward(ones(1, 5, 3, 3)).detach(), plain.forward(ones(1, 5, 3, 3)).detach());
    expect(lazy.inChannels).toBe(5);
    expect(lazy).not.toBeInstanceOf(nn.LazyConv2d);
  });
  test('a state without sizes leaves them open', () => {
    const lazy = new nn.LazyLinear(3);
    lazy.loadStateDict(new nn.LazyLinear(3).stateDict());
    expect(lazy.forward(ones(2, 4)).shape).toEqual([2, 3]);
  });
  test('copies and other dtypes settle by themselves', () => {
    const lazy = new nn.LazyLinear(3);
    const copy = lazy.clone().double();
    lazy.forward(ones(1, 4));
    expect(copy).toBeInstanceOf(nn.LazyLinear);
    expect(copy.forward(ones(1, 2, { dtype: 'float64' })).dtype).toBe('float64');
    expect([lazy.inFeatures, copy.inFeatures]).toEqual([4, 2]);
  });
  test('inputs of the wrong rank are refused, and change nothing', () => {
    const conv = new nn.LazyConv2d(3, 3);
    expect(() => conv.forward(ones(3))).toThrow(
      /Expected 3D \(unbatched\) or 4D \(batched\) input to LazyConv2d, but got input of size: \[3\]/,
    );
    expect(() => new nn.LazyConv1d(4, 1, { groups: 2 }).forward(ones(1, 3, 2))).toThrow(/divisible by groups: 3 and 2/);
    expect(() => new nn.LazyBatchNorm2d().forward(ones(2, 3))).toThrow(/expected 4D input \(got 2D input/);
    expect(conv.forward(ones(2, 3, 3)).shape).toEqual([3, 1, 1]);
  });
  test('an entry is not traced: initialized in the definition it trains like the layer it became', () => {
    const definition = (isRun: boolean) =>
      defineModel('lazy', () => {
        manualSeed(0);
        const net = new nn.LazyLinear(2);
        const opt = new optim.Adam(net.parameters());
        if (isRun) net.forward(zeros(1, 3));
        const step = entry({ x: input([4, 3]) }, (given: { x: Tensor }) => {
          opt.zeroGrad();
          const loss = net.forward(given.x).square().mean();
          loss.backward();
          opt.step();
          return { loss };
        });
        return { state: { net }, entries: { step } };
      });
    expect(() => compileDefinition(definition(false))).toThrow(
      /LazyLinear is run for the first time while an entry is traced/,
    );
    const eager = definition(true).build();
    const { executable } = compileDefinition(definition(true));
    for (let i = 0; i < 2; i++) {
      const given = { x: linspace(-1, 1, 12).reshape([4, 3]) };
      const { loss } = executable.call('step', given);
      expectClose(loss, (eager.entries.step.run(given).loss as Tensor).detach());
    }
  });
});
