/**
 * `nn.utils.parametrize` and `nn.utils.parametrizations`: training as recorded from PyTorch 1.13.1, eagerly and compiled;
 * what is registered, set, cached and removed.
 */
import { readFileSync } from 'node:fs';
import {
  defineModel,
  entry,
  eye,
  input,
  linalg,
  linspace,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  type Tensor,
  tensor,
} from 'gradc';
import { compileDefinition } from 'gradc/compiler';
import { beforeEach, describe, expect, test } from 'vitest';
import { expectClose, expectNumbers, numbers } from './support/tensors.js';

const { cached, isParametrized, registerParametrization, removeParametrizations } = nn.utils.parametrize;
const { transferParametrizationsAndParams, typeBeforeParametrizations } = nn.utils.parametrize;
const { orthogonal, spectralNorm } = nn.utils.parametrizations;
beforeEach(() => void manualSeed(0));

/** Upper triangles as symmetric matrices. */
class Sym extends nn.Module {
  override forward(x: Tensor): Tensor {
    return x.triu().add(x.triu(1).t());
  }
  rightInverse(value: Tensor): Tensor {
    return value.triu();
  }
}
class Exp extends nn.Module {
  override forward(x: Tensor): Tensor {
    return linalg.matrixExp(x);
  }
}
/** Two vectors as the matrix of their products. */
class RankOne extends nn.Module {
  override forward(x: Tensor, y: Tensor): Tensor {
    return x.unsqueeze(-1).matmul(y.unsqueeze(-2));
  }
  rightInverse(value: Tensor): Tensor[] {
    const { U, S, Vh } = linalg.svd(value, { fullMatrices: false });
    const [left, right, root] = [U.select(-1, 0), Vh.select(-2, 0), S.select(-1, 0).sqrt()];
    const sign = left.select(0, left.abs().argmax().item()).sign();
    return [left.mul(root).mul(sign), right.mul(root).mul(sign)];
  }
}
/** Counts how often it runs. */
class Counted extends nn.Module {
  runs = 0;
  override forward(x: Tensor): Tensor {
    this.runs++;
    return x.mul(2);
  }
}

interface Recorded {
  readonly name: string;
  readonly shape: readonly number[];
  readonly losses: readonly number[];
  readonly state: Readonly<Record<string, readonly number[]>>;
  readonly weight: readonly number[];
  readonly text: string;
}
const file = new URL('support/parametrize-recorded.json', import.meta.url);
const recorded = JSON.parse(readFileSync(file, 'utf8')) as readonly Recorded[];

type Net = nn.Linear | nn.ConvTranspose1d;
function makeNet(name: string): Net {
  if (name === 'spectral linear') return spectralNorm(new nn.Linear(4, 3));
  if (name === 'spectral conv') return spectralNorm(new nn.ConvTranspose1d(2, 3, 2), 'weight', { nPowerIterations: 2 });
  if (name === 'rank one') return registerParametrization(new nn.Linear(3, 2), 'weight', new RankOne());
  if (name.startsWith('symmetric')) {
    const layer = new nn.Linear(3, 3);
    registerParametrization(layer, 'weight', new Sym());
    registerParametrization(layer, 'weight', new Exp());
    return registerParametrization(layer, 'bias', new nn.Tanh());
  }
  const [, orthogonalMap, inputs, outputs, plain] = name.split(' ');
  return orthogonal(new nn.Linear(Number(inputs), Number(outputs)), 'weight', {
    orthogonalMap: orthogonalMap as 'cayley',
    useTrivialization: plain === undefined,
  });
}

const definitionOf = ({ name, shape }: Recorded) =>
  defineModel('parametrized', () => {
    manualSeed(3);
    const net = makeNet(name);
    const opt = new optim.SGD(net.parameters(), { lr: 0.05 });
    const step = entry({ x: input(shape) }, ({ x }: { x: Tensor }) => {
      opt.zeroGrad();
      const y = net.forward(x);
      const weights = linspace(1, y.numel(), y.numel()).reshape(y.shape).div(y.numel());
      const loss = y.mul(weights).sum().add(y.square().mean());
      loss.backward();
      opt.step();
      return { loss };
    });
    return { state: { net, opt }, entries: { step } };
  });

/** Of a spectral norm in training, where reading the weight changes the estimate of its singular vectors. */
const asRecorded = (net: Net): Tensor => (net.eval().weight as Tensor).detach();

describe.each(recorded)('$name', c => {
  const elements = c.shape.reduce((a, b) => a * b, 1);
  const x = linspace(-1, 1, elements).reshape(c.shape);
  const expectTrained = (net: Net, losses: readonly Tensor[]): void => {
    for (const [i, loss] of losses.entries()) expect(Math.abs(loss.item() - c.losses[i])).toBeLessThan(1e-5);
    const state = net.stateDict();
    expect(Object.keys(state)).toEqual(Object.keys(c.state));
    for (const [name, values] of Object.entries(c.state)) expectNumbers(state[name], values, 1e-5);
    expectNumbers(asRecorded(net), c.weight, 1e-5);
  };
  test('eagerly', () => {
    const { state, entries } = definitionOf(c).build();
    const losses = c.losses.map(() => entries.step.run({ x }).loss as Tensor);
    expectTrained(state.net as Net, losses);
    if (!/orthogonal|spectral/.test(c.name)) expect(String(state.net)).toBe(c.text);
  });
  test('compiled', () => {
    const { traced, executable } = compileDefinition(definitionOf(c));
    const losses = c.losses.map(() => executable.call('step', { x }).loss);
    expectTrained(traced.parts.state.net as Net, losses);
  });
});

describe('registered', () => {
  test('a parameter is its own original, and an instance of a class below its own', () => {
    const layer = new nn.Linear(2, 2);
    const { weight } = layer;
    const net = registerParametrization(layer, 'weight', new nn.Tanh());
    expect(net.parametrizations.get('weight').originalNames).toEqual(['original']);
    expect([...net.parameters()]).toContain(weight);
    expect(net).toBeInstanceOf(nn.Linear);
    expect(net.constructor.name).toBe('ParametrizedLinear');
    expect(typeBeforeParametrizations(net)).toBe(nn.Linear);
    expect([isParametrized(net), isParametrized(net, 'weight'), isParametrized(net, 'bias')]).toEqual([
      true,
      true,
      false,
    ]);
    expectClose(net.weight as Tensor, weight.tanh());
  });
  test('a buffer stays one', () => {
    const norm = registerParametrization(new nn.BatchNorm1d(2), 'runningVar', new Counted());
    expect(Object.keys(norm.stateDict())).toContain('parametrizations.running_var.original');
    expect([...norm.parameters()]).toHaveLength(2);
    removeParametrizations(norm, 'runningVar');
    expect(norm.runningVar!.tolist()).toEqual([2, 2]);
    expect([...norm.buffers()]).toHaveLength(3);
  });
  test('the weights of a recurrent layer are named as before', () => {
    const lstm = registerParametrization(new nn.LSTM(2, 3), 'weightHhL0', new nn.Tanh());
    expect(Object.keys(lstm.stateDict())).toEqual([
      'weight_ih_l0',
      'bias_ih_l0',
      'bias_hh_l0',
      'parametrizations.weight_hh_l0.original',
    ]);
    expect(lstm.forward(ones(4, 1, 2))[0].shape).toEqual([4, 1, 3]);
  });
  test('a clone computes from its own', () => {
    const net = registerParametrization(new nn.Linear(2, 2), 'weight', new Counted());
    const copy = net.clone();
    noGrad(() => [...net.parameters()][1].zero_());
    expect(numbers(net.weight)).toEqual([0, 0, 0, 0]);
    expect(numbers(copy.weight)).not.toEqual([0, 0, 0, 0]);
    copy.loadStateDict(net.stateDict());
    expect(numbers(copy.weight)).toEqual([0, 0, 0, 0]);
  });
  test('a value that is set becomes the original that gives it', () => {
    const net = registerParametrization(new nn.Linear(2, 2), 'weight', new Sym());
    const original = [...net.parameters()][1];
    net.weight = tensor([
      [1, 2],
      [2, 5],
    ]).float() as nn.Parameter;
    expect(original.tolist()).toEqual([
      [1, 2],
      [0, 5],
    ]);
    const bounded = registerParametrization(new nn.Linear(2, 2), 'weight', new nn.Tanh());
    expect(() => {
      bounded.weight = ones(2, 2) as nn.Parameter;
    }).toThrow(/parametrization Tanh does not implement rightInverse/);
    const turned = orthogonal(new nn.Linear(3, 3));
    turned.weight = eye(3) as nn.Parameter;
    expectClose((turned.weight as Tensor).detach(), eye(3));
  });
  test('in training mode as the module is', () => {
    const net = spectralNorm(new nn.Linear(3, 2).eval());
    const before = numbers(net.stateDict()['parametrizations.weight.0._u']);
    net.forward(ones(1, 3));
    expect(numbers(net.stateDict()['parametrizations.weight.0._u'])).toEqual(before);
    net.train().forward(ones(1, 3));
    expect(linalg.svdvals((net.weight as Tensor).detach()).tolist()[0]).toBeCloseTo(1, 4);
  });
});

test('orthogonal weights of many shapes are orthonormal', () => {
  for (const shape of [
    [3, 3],
    [5, 2],
    [2, 5],
    [2, 4, 3],
  ]) {
    for (const orthogonalMap of ['matrix_exp', 'cayley', 'householder'] as const) {
      const holder = new nn.ParameterList([new nn.Parameter(randn(shape))]);
      const net = orthogonal(holder, '0', { orthogonalMap });
      const matrix = (net[0] as Tensor).detach();
      const tall = shape.at(-2)! < shape.at(-1)! ? matrix.transpose(-2, -1) : matrix;
      const product = tall.transpose(-2, -1).matmul(tall);
      expectClose(product, eye(product.size(-1)).expand(product.shape), 2e-6);
    }
  }
});

test('cached, a tensor is computed once', () => {
  const counted = new Counted();
  const net = registerParametrization(new nn.Linear(2, 2), 'weight', counted);
  const runs = (use: () => void): number => {
    const before = counted.runs;
    use();
    return counted.runs - before;
  };
  const twice = (): void => void [net.forward(ones(1, 2)), net.forward(ones(1, 2))];
  expect(runs(twice)).toBe(2);
  expect(runs(() => cached(twice))).toBe(1);
  expect(runs(() => cached(() => cached(twice)))).toBe(1);
  expect(runs(twice)).toBe(2);
  const loss = cached(() =>
    net
      .forward(ones(1, 2))
      .add(net.forward(ones(1, 2)))
      .sum(),
  );
  loss.backward();
  expect([...net.parameters()][1].grad!.tolist()).toEqual([
    [4, 4],
    [4, 4],
  ]);
});

describe('removed', () => {
  test('the parameter is the one it was, of the value that was computed', () => {
    const layer = new nn.Linear(2, 2);
    const { weight } = layer;
    const before = weight.detach().clone();
    registerParametrization(layer, 'weight', new Counted());
    removeParametrizations(layer, 'weight');
    expect(layer.weight).toBe(weight);
    expectClose(weight.detach(), before.mul(2));
    expect(layer.constructor).toBe(nn.Linear);
    expect(isParametrized(layer)).toBe(false);
    expect(Object.keys(layer.stateDict())).toEqual(['bias', 'weight']);
    registerParametrization(layer, 'weight', new Counted());
    removeParametrizations(layer, 'weight', { leaveParametrized: false });
    expectClose(layer.weight.detach(), before.mul(2));
  });
  test('one that was computed from several is a new parameter', () => {
    const layer = registerParametrization(new nn.Linear(3, 2), 'weight', new RankOne());
    expect(() => removeParametrizations(layer, 'weight', { leaveParametrized: false })).toThrow(/several originals/);
    const value = layer.weight.detach();
    removeParametrizations(layer, 'weight');
    expectClose(layer.weight.detach(), value);
    expect(layer.weight).toBeInstanceOf(nn.Parameter);
  });
  test('the others stay', () => {
    const layer = new nn.Linear(2, 2);
    for (const name of ['weight', 'bias']) registerParametrization(layer, name, new Counted());
    removeParametrizations(layer, 'weight');
    expect([isParametrized(layer, 'weight'), isParametrized(layer, 'bias')]).toEqual([false, true]);
  });
});

test('given to another module', () => {
  const from = registerParametrization(new nn.Linear(2, 2), 'weight', new Sym());
  const to = transferParametrizationsAndParams(from, new nn.Linear(2, 2));
  expectClose((to.weight as Tensor).detach(), (from.weight as Tensor).detach());
  noGrad(() => [...from.parameters()][1].zero_());
  expect(numbers(to.weight)).toEqual([0, 0, 0, 0]);
});

describe('what is refused', () => {
  class Wider extends nn.Module {
    override forward(x: Tensor): Tensor {
      return x.repeat(1, 2);
    }
  }
  const layer = (): nn.Linear => new nn.Linear(2, 2);
  test.each<[RegExp, () => unknown]>([
    [
      /Linear has no parameter, buffer or parametrized tensor 'wait'/,
      () => registerParametrization(layer(), 'wait', new Sym()),
    ],
    [
      /must keep the shape \[2, 2\], but has \[2, 4\]\n.*unsafe: true/s,
      () => registerParametrization(layer(), 'weight', new Wider()),
    ],
    [
      /must keep the shape/,
      () => registerParametrization(registerParametrization(layer(), 'weight', new Sym()), 'weight', new Wider()),
    ],
    [/Linear has no parametrization of 'weight' to remove/, () => removeParametrizations(layer(), 'weight')],
    [/Expected a matrix or batch of matrices. Got a tensor of 1 dimensions/, () => orthogonal(layer(), 'bias')],
    [
      /orthogonalMap has to be one of matrix_exp, cayley, householder, but is 'qr'/,
      () => orthogonal(layer(), 'weight', { orthogonalMap: 'qr' as 'cayley' }),
    ],
    [/Linear has no parameter or buffer with name 'wait'/, () => spectralNorm(layer(), 'wait')],
    [
      /Expected nPowerIterations to be positive, but got 0/,
      () => spectralNorm(layer(), 'weight', { nPowerIterations: 0 }),
    ],
    [/spectralNorm: Dimension out of range/, () => spectralNorm(layer(), 'weight', { dim: 2 })],
  ])('%s', (message, ask) => {
    expect(ask).toThrow(message);
  });
  test('unsafe, the shape may change', () => {
    const net = registerParametrization(layer(), 'weight', new Wider(), { unsafe: true });
    expect(net.forward(ones(1, 4)).shape).toEqual([1, 2]);
  });
});
