/** Settings in PyTorch's order, by name, or both; what would pass unseen in JavaScript is refused by name. */

import { cdist, manualSeed, nn, ones, optim, tensor, zeros } from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';

/** As JavaScript calls it. */
// biome-ignore lint/suspicious/noExplicitAny: what type checks would refuse
const untyped = (constructor: unknown) => constructor as new (...given: any[]) => object;
const params = () => [new nn.Parameter(zeros([2]))];
const optimizers = Object.entries(optim).filter(([, value]) => {
  const { prototype } = value as { prototype?: object };
  return prototype instanceof optim.Optimizer;
});

describe('optimizers', () => {
  test.each(optimizers)('%s takes the learning rate first, and refuses what it does not know', (name, optimizer) => {
    const Made = untyped(optimizer);
    const made = new Made(params(), 0.25) as optim.Optimizer;
    expect(made.paramGroups[0].lr).toBe(0.25);
    expect(String(made)).toBe(String(new Made(params(), { lr: 0.25 })));
    expect(() => new Made(params(), { lr: 0.1, weight_decay: 1 })).toThrow(
      new RegExp(`E108: ${name}: got an unexpected setting 'weight_decay'\n.*\n.*its settings: lr, `),
    );
    expect(() => new Made(params(), 0.1, ...new Array(9).fill(0))).toThrow(/takes \d settings but 10 were given/);
  });
  test('the others follow in PyTorch’s order', () => {
    const [group] = new optim.SGD(params(), 0.1, 0.9, 0, 1e-4, true, { maximize: true }).paramGroups;
    expect(group).toMatchObject({ lr: 0.1, momentum: 0.9, weightDecay: 1e-4, nesterov: true, maximize: true });
    expect(new optim.Adam(params(), 1e-3, [0.8, 0.9]).paramGroups[0].betas).toEqual([0.8, 0.9]);
  });
  test('a group that names a setting as Python does is refused', () => {
    const group = { params: params(), weight_decay: 0.1 };
    expect(() => new optim.SGD([group], 0.1)).toThrow(/'weight_decay'[\s\S]*its name is weightDecay/);
  });
});

describe('schedulers', () => {
  const { lrScheduler } = optim;
  const rates = (make: (opt: optim.SGD) => { step(): void; getLastLr(): readonly number[] }): number[] => {
    const opt = new optim.SGD(params(), 0.5);
    const scheduler = make(opt);
    return [0, 1, 2, 3].map(() => {
      scheduler.step();
      return scheduler.getLastLr()[0];
    });
  };
  test('take what they need in order or by name', () => {
    expect(rates(opt => new lrScheduler.CosineAnnealingLR(opt, { tMax: 5, etaMin: 0.1 }))).toEqual(
      rates(opt => new lrScheduler.CosineAnnealingLR(opt, 5, 0.1)),
    );
    expect(rates(opt => new lrScheduler.StepLR(opt, { stepSize: 2, gamma: 0.5 }))).toEqual([0.5, 0.25, 0.25, 0.125]);
    expect(rates(opt => new lrScheduler.StepLR(opt, 2, 0.5))).toEqual([0.5, 0.25, 0.25, 0.125]);
    expect(rates(opt => new lrScheduler.LambdaLR(opt, { lrLambda: epoch => epoch }))).toEqual([0.5, 1, 1.5, 2]);
  });
  test('say what is missing or unknown', () => {
    const opt = new optim.SGD(params(), 0.5);
    const Cosine = untyped(lrScheduler.CosineAnnealingLR);
    expect(() => new Cosine(opt, {})).toThrow(/E108: CosineAnnealingLR: missing setting 'tMax'/);
    expect(() => new Cosine(opt, { T_max: 5 })).toThrow(/unexpected setting 'T_max'[\s\S]*tMax, etaMin, lastEpoch/);
  });
});

describe('layers', () => {
  test.each([
    ['Softplus', [2, 10], { beta: 2, threshold: 10 }],
    ['GELU', ['tanh'], { approximate: 'tanh' }],
    ['Softmax', [1], { dim: 1 }],
    ['GLU', [0], { dim: 0 }],
    ['LeakyReLU', [0.2], { negativeSlope: 0.2 }],
    ['Hardtanh', [-2, 3], { minVal: -2, maxVal: 3 }],
    ['Threshold', [1, 2], { threshold: 1, value: 2 }],
    ['Dropout', [0.25], { p: 0.25 }],
    ['Flatten', [0, 1], { startDim: 0, endDim: 1 }],
    ['Upsample', [[4, 4], null, 'bilinear'], { size: [4, 4], mode: 'bilinear' }],
    ['CTCLoss', [1, 'sum'], { options: { blank: 1, reduction: 'sum' } }],
    ['HuberLoss', ['sum', 2], { reduction: 'sum', delta: 2 }],
    ['MarginRankingLoss', [0.5], { options: { margin: 0.5 } }],
  ])('%s', (name, inOrder, named) => {
    const Layer = untyped(nn[name as 'Softplus']);
    expect(new Layer(...(inOrder as unknown[]))).toMatchObject(named as object);
  });
  test.each(
    Object.entries({ BatchNorm1d: [2], LayerNorm: [2], MultiheadAttention: [2, 1], TransformerEncoderLayer: [2, 1] }),
  )('%s refuses what it does not know', (name, sizes) => {
    const Layer = untyped(nn[name as 'LayerNorm']);
    expect(() => new Layer(...sizes, { epsilon: 1 })).toThrow(`E108: ${name}: got an unexpected setting 'epsilon'`);
  });
  test('losses take weights first; other settings only by name', () => {
    const weight = tensor([1, 2]);
    expect(new nn.CrossEntropyLoss(weight).weight).toBe(weight);
    const MSELoss = untyped(nn.MSELoss);
    expect(() => new MSELoss(true)).toThrow(/E108: MSELoss: takes its settings by name/);
  });
});

test('random values in place take their numbers by name', () => {
  const drawn = (draw: () => { tolist(): unknown }): unknown => {
    manualSeed(0);
    return draw().tolist();
  };
  expect(drawn(() => zeros([4]).normal_({ mean: 1, std: 2 }))).toEqual(drawn(() => zeros([4]).normal_(1, 2)));
  expect(drawn(() => zeros([4]).uniform_({ to: 3 }))).toEqual(drawn(() => zeros([4]).uniform_(0, 3)));
  expect(drawn(() => nn.init.truncNormal_(zeros([4]), { std: 0.02 }))).toEqual(
    drawn(() => nn.init.truncNormal_(zeros([4]), 0, 0.02)),
  );
  expect(drawn(() => nn.init.kaimingNormal_(zeros([2, 2]), 0, 'fan_out'))).toEqual(
    drawn(() => nn.init.kaimingNormal_(zeros([2, 2]), { mode: 'fan_out' })),
  );
  expect(() => nn.init.truncNormal_(zeros([4]), { deviation: 1 } as object)).toThrow(/unexpected setting 'deviation'/);
});

test('ops that PyTorch’s users give settings by name', () => {
  const image = ones([1, 1, 4, 4]);
  expect(F.avgPool2d(image, { kernelSize: 2, stride: 1 }).shape).toEqual([1, 1, 3, 3]);
  expect(F.maxPool2d(image, { kernelSize: 2 }).shape).toEqual([1, 1, 2, 2]);
  expect(cdist(zeros([1, 2]), ones([1, 2]), { p: 1 }).item()).toBe(2);
  const sums = zeros([2]).scatterReduce_(0, tensor([0, 0, 1]), tensor([0.5, 2.5, 3]), { reduce: 'sum' });
  expect(sums.tolist()).toEqual([3, 3]);
});

test('cond.where(a, b) is told how it is written', () => {
  expect(() => tensor([true]).where(tensor([1]), tensor([2]))).toThrow(/E108[\s\S]*write where\(cond, a, b\)/);
});

describe('the learning rate in an entry that changes it', () => {
  const make = () => {
    const opt = new optim.SGD(params(), 0.5);
    return { opt, scheduler: new optim.lrScheduler.ExponentialLR(opt, 0.5) };
  };
  test('is returned as a tensor', () => {
    const { opt, scheduler } = make();
    const step = compile(() => {
      scheduler.step();
      return { lr: opt.learningRates()[0] };
    }, []);
    expect([step(), step()].map(({ lr }) => lr.item())).toEqual([0.25, 0.125]);
    expect(opt.learningRates()[0].item()).toBe(0.125);
  });
  test('as a number is refused with what to do', () => {
    const { scheduler } = make();
    const traced = () =>
      compile(() => {
        scheduler.step();
        return { lr: tensor(scheduler.getLastLr()) };
      }, []);
    expect(traced).toThrow(/E304[\s\S]*learningRates\(\)\[0\]/);
  });
});
