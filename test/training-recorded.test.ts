/**
 * Steps of training as PyTorch 1.13.1 takes them from the same seed: normalised weights, averaged models, a checkpoint around
 * dropout, activations that overwrite their input.
 */
import { readFileSync } from 'node:fs';
import { arange, checkpoint, manualSeed, nn, optim, rand, type Tensor, tensor } from 'gradc';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { numbers } from './support/tensors.js';

const file = new URL('support/training-recorded.json', import.meta.url);
const recorded = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>;

/** Equal but for rounding in float32. */
function expectRecorded(found: Tensor, expected: unknown): void {
  const values = ([expected] as unknown[]).flat(Infinity) as number[];
  const differing = numbers(found.detach()).filter(
    (value, i) => !(Math.abs(value - values[i]) <= 2e-6 + 1e-5 * Math.abs(values[i])),
  );
  expect(found.numel()).toBe(values.length);
  expect(differing).toEqual([]);
}

const names = (named: Iterable<readonly [string, Tensor]>): string[] => [...named].map(([name]) => name);
const someInput = (): Tensor => arange(6, { dtype: 'float32' }).reshape([2, 3]).div(5);

/** One step of gradient descent on the sum of squares of what the module answers; the answer before it. */
function step(net: nn.Linear, x: Tensor): Tensor {
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  const y = net.forward(x);
  y.square().sum().backward();
  opt.step();
  return y;
}

test.each([
  ['wn0', 0],
  ['wnNone', null],
  ['wn1', 1],
] as const)('weight normalisation: %s', (name, dim) => {
  const expected = recorded[name];
  manualSeed(5);
  const net = nn.utils.weightNorm(new nn.Linear(3, 2), 'weight', dim);
  expect(names(net.namedParameters())).toEqual(expected.names);
  const x = someInput();
  expectRecorded(step(net, x), expected.y);
  const { weight_g: length, weight_v: direction } = net.stateDict();
  expectRecorded(length, expected.g);
  expectRecorded(direction, expected.v);
  expectRecorded(net.forward(x), expected.y2);
});

test('spectral normalisation', () => {
  const expected = recorded.sn;
  manualSeed(5);
  const net = nn.utils.spectralNorm(new nn.Linear(3, 4));
  expect(names(net.namedParameters())).toEqual(expected.names);
  expect(names(net.namedBuffers())).toEqual(expected.buffers);
  expectRecorded(net.stateDict().weight_u, expected.u0);
  expectRecorded(net.stateDict().weight_v, expected.v0);
  const x = someInput();
  expectRecorded(step(net, x), expected.y);
  expectRecorded(net.stateDict().weight_u, expected.u);
  expectRecorded(net.stateDict().weight_orig, expected.orig);
  expectRecorded(net.forward(x), expected.y2);
  expectRecorded(net.eval().forward(x), expected.yeval);
});

test('spectral normalisation of a transposed convolution', () => {
  const expected = recorded.snct;
  manualSeed(6);
  const net = nn.utils.spectralNorm(new nn.ConvTranspose2d(2, 3, 2), { nPowerIterations: 2 });
  expectRecorded(net.stateDict().weight_u, expected.u0);
  expectRecorded(net.forward(arange(8, { dtype: 'float32' }).reshape([1, 2, 2, 2]).div(5)), expected.y);
});

test('an averaged model', () => {
  const expected = recorded.swa;
  manualSeed(7);
  const net = new nn.Linear(2, 2);
  const averaged = new optim.swaUtils.AveragedModel(net);
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  const x = tensor([
    [1, 2],
    [3, -1],
  ]).float();
  for (let i = 0; i < 3; i++) {
    opt.zeroGrad();
    net.forward(x).square().sum().backward();
    opt.step();
    averaged.updateParameters(net);
  }
  expectRecorded(averaged.module.weight, expected.w);
  expect(averaged.nAveraged.item()).toBe(expected.n);
  expectRecorded(averaged.module.forward(x), expected.y);
  expect(Object.keys(averaged.stateDict())).toEqual(expected.keys);
});

interface Annealed {
  readonly annealEpochs: number;
  readonly annealStrategy: 'cos' | 'linear';
  readonly swaLr: number | readonly number[];
  /** The rate at the start, and after each step. */
  readonly rates: readonly number[];
}
test.each(recorded.swalr as unknown as Annealed[])('the rate that leads to averages: %j', c => {
  const opt = new optim.SGD([tensor([0]).float().requiresGrad_()], { lr: 0.1 });
  const scheduler = new optim.swaUtils.SWALR(opt, c.swaLr, c.annealEpochs, c.annealStrategy);
  const found = c.rates.map(() => {
    const { lr } = opt.paramGroups[0];
    opt.step();
    scheduler.step();
    return lr;
  });
  expect(found.map((lr, i) => Math.abs(lr - c.rates[i]) < 1e-12)).toEqual(c.rates.map(() => true));
});

test('a checkpoint draws the same elements to drop again, and the generator goes on after it', () => {
  const expected = recorded.ckpt;
  manualSeed(8);
  const x = arange(1, 7, 1, { dtype: 'float32' }).requiresGrad_();
  const y = checkpoint((t: Tensor) => F.dropout(t.sin(), 0.5).mul(t), x);
  y.sum().backward();
  expectRecorded(y, expected.y);
  expectRecorded(x.grad!, expected.g);
  expectRecorded(rand([2]), expected.after);
});

const overwriting: Readonly<Record<string, (t: Tensor) => Tensor>> = {
  relu: t => F.relu(t, { inplace: true }),
  elu: t => F.elu(t, 0.5, { inplace: true }),
  leaky: t => F.leakyRelu(t, 0.1, { inplace: true }),
  hardtanh: t => F.hardtanh(t, -1, 1, { inplace: true }),
  celu: t => F.celu(t, 0.5, { inplace: true }),
  selu: t => F.selu(t, { inplace: true }),
  threshold: t => F.threshold(t, 0.1, -2, { inplace: true }),
  relu6: t => F.relu6(t, { inplace: true }),
  silu: t => F.silu(t, { inplace: true }),
  mish: t => F.mish(t, { inplace: true }),
  hardswish: t => F.hardswish(t, { inplace: true }),
  hardsigmoid: t => F.hardsigmoid(t, { inplace: true }),
};
describe('activations that overwrite their input', () => {
  test.each(Object.entries(overwriting))('%s', (name, activate) => {
    const expected = recorded[`ip_${name}`];
    const x = tensor([-4, -1, -0.2, 0, 0.3, 7]).requiresGrad_();
    const y = x.mul(1);
    const z = activate(y);
    expect(z === y).toBe(expected.same);
    z.square().sum().backward();
    expectRecorded(z, expected.z);
    expectRecorded(x.grad!, expected.g);
  });
});
