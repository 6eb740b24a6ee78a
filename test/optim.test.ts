/** Optimizers against PyTorch's trajectories, and traced steps against eager ones. The `optim` reference group holds more. */
import { float32, manualSeed, nn, optim, rand, type Tensor, tensor, zeros } from 'gradc';
import { compile, compileDefinition } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { defineModel, entry, input } from '../compiler/trace/model.js';
import { numbers } from './support/tensors.js';

const floats = (values: number[] | number[][]): Tensor => tensor(values, { dtype: float32 });

/** The problem of the reference group: ‖A tanh(q) p - y‖² / n + Σp⁴ / 100. */
function leastSquares(A: number[][], y: number[], p0: number[], q0: number[][]) {
  const [p, q] = [floats(p0).requiresGrad_(), floats(q0).requiresGrad_()];
  const [a, target] = [floats(A), floats(y)];
  const loss = (): Tensor => a.matmul(q.tanh()).matmul(p).sub(target).pow(2).mean().add(p.pow(4).sum().mul(0.01));
  return { p, q, loss };
}

describe("PyTorch's trajectories", () => {
  test('SGD with momentum, dampening and weight decay', () => {
    const { p, q, loss } = leastSquares(
      [
        [0.91, -0.36, -0.43, 0.94],
        [-0.89, 0.48, 0.77, -1.23],
        [-0.96, -0.67, 0.48, -0.26],
        [-0.61, 0.05, 0.7, 0.43],
        [-0.1, 0.01, -0.45, 1.27],
      ],
      [-0.55, -0.01, -0.39, -0, -0.63],
      [0.78, -1.52, 0.3],
      [
        [0.75, -0.05, -0.04],
        [0.07, 0.69, -0.39],
        [-0.77, 1.15, 0.68],
        [-2.29, 2.04, -0.69],
      ],
    );
    const opt = new optim.SGD([p, q], { lr: 0.02, momentum: 0.8, dampening: 0.3, weightDecay: 0.01 });
    const losses = Array.from({ length: 6 }, () =>
      opt.step(() => {
        opt.zeroGrad();
        const value = loss();
        value.backward();
        return value.item();
      }),
    );
    const expected = [2.1421978, 1.9632081, 1.7176383, 1.4444356, 1.1741301, 0.9275168];
    for (const [i, value] of losses.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(1e-4 * expected[i]);
    expect(numbers(p)[0]).toBeCloseTo(0.36774376, 4);
  });

  test('AdamW', () => {
    const { p, q, loss } = leastSquares(
      [
        [-0.63, -0.48, -1.03, 0.23],
        [-1.09, -0.9, 0.83, 0.82],
        [2.14, -0.14, 0.95, 0.98],
        [0.99, -2.44, -0.65, 0.32],
        [0.21, -1.08, -1.28, -0.98],
      ],
      [0.84, 0.2, 2.47, -0.88, -0.13],
      [0.05, 0.39, -0.43],
      [
        [-0.39, -1.24, 1.23],
        [-0.39, 0.32, -0.14],
        [-0.46, 0.73, -0.06],
        [1.43, -2.11, 0.83],
      ],
    );
    const opt = new optim.AdamW([p, q], { lr: 0.05 });
    const trajectory: number[][] = [];
    for (let i = 0; i < 4; i++) {
      opt.zeroGrad();
      loss().backward();
      opt.step();
      trajectory.push(numbers(p));
    }
    const expected = [
      [0.09997499, 0.339805, -0.379785],
      [0.14859296, 0.29000747, -0.32994664],
      [0.19775417, 0.24089599, -0.2807439],
      [0.24717396, 0.19278024, -0.23244403],
    ];
    for (const [i, row] of trajectory.entries())
      for (const [j, value] of row.entries()) expect(value).toBeCloseTo(expected[i][j], 5);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: optimizers of all settings
type AnyOptimizer = optim.Optimizer<any>;
const optimizers: readonly (readonly [string, (params: Iterable<Tensor>) => AnyOptimizer])[] = [
  ['SGD', p => new optim.SGD(p, { lr: 0.05, momentum: 0.9, dampening: 0.2, weightDecay: 0.01 })],
  ['SGD, Nesterov', p => new optim.SGD(p, { lr: 0.05, momentum: 0.9, nesterov: true })],
  ['Adam', p => new optim.Adam(p, { lr: 0.01, amsgrad: true })],
  ['AdamW', p => new optim.AdamW(p, { lr: 0.01 })],
  ['Adamax', p => new optim.Adamax(p, { lr: 0.01 })],
  ['NAdam', p => new optim.NAdam(p, { lr: 0.01 })],
  ['RAdam', p => new optim.RAdam(p, { lr: 0.01 })],
  ['RMSprop', p => new optim.RMSprop(p, { lr: 0.01, centered: true, momentum: 0.5 })],
  ['Adagrad', p => new optim.Adagrad(p, { lr: 0.05, lrDecay: 0.1 })],
  ['Adadelta', p => new optim.Adadelta(p)],
  ['ASGD', p => new optim.ASGD(p, { lr: 0.05 })],
  ['Rprop', p => new optim.Rprop(p)],
];

describe.each(optimizers.map(([name, make]) => ({ name, make })))('$name', ({ make }) => {
  const stepOf = (net: nn.Module, opt: AnyOptimizer) => (x: Tensor, y: Tensor) => {
    opt.zeroGrad();
    const loss = F.mseLoss(net.forward(x), y);
    loss.backward();
    opt.step();
    return loss;
  };
  const makeNet = (): nn.Module => {
    manualSeed(3);
    return new nn.Sequential(new nn.Linear(3, 5), new nn.Tanh(), new nn.Linear(5, 1));
  };

  test('a compiled step trains as the eager one does, changes of the learning rate included', () => {
    const [eagerNet, net] = [makeNet(), makeNet()];
    const [eagerOpt, opt] = [make(eagerNet.parameters()), make(net.parameters())];
    const eager = stepOf(eagerNet, eagerOpt);
    const compiled = compile(stepOf(net, opt), [input([8, 3]), input([8, 1])]);
    for (let i = 0; i < 12; i++) {
      if (i === 6) for (const o of [eagerOpt, opt]) o.paramGroups[0].lr *= 0.5;
      const x = rand(8, 3);
      const y = x.sum(1, { keepdim: true });
      const [want, got] = [eager(x, y).item(), compiled(x, y).item()];
      expect(Math.abs(got - want)).toBeLessThanOrEqual(1e-4 * Math.abs(want) + 1e-6);
    }
    const expected = eagerNet.stateDict();
    for (const [name, value] of Object.entries(net.stateDict())) {
      const want = numbers(expected[name]);
      for (const [i, got] of numbers(value).entries())
        expect(Math.abs(got - want[i])).toBeLessThanOrEqual(1e-4 * Math.abs(want[i]) + 1e-5);
    }
  });

  test('a state dict resumes where it was taken', () => {
    const [first, second] = [makeNet(), makeNet()];
    const [a, b] = [make(first.parameters()), make(second.parameters())];
    const x = rand(8, 3);
    const y = x.sum(1, { keepdim: true });
    for (let i = 0; i < 3; i++) stepOf(first, a)(x, y);
    second.loadStateDict(first.stateDict());
    b.loadStateDict(a.stateDict());
    for (let i = 0; i < 3; i++) expect(stepOf(second, b)(x, y).item()).toBeCloseTo(stepOf(first, a)(x, y).item(), 5);
  });
});

describe('parameters and groups', () => {
  test('a parameter without a gradient is left alone and keeps its own step count', () => {
    const [a, b] = [zeros(1, { requiresGrad: true }), zeros(1, { requiresGrad: true })];
    const opt = new optim.Adam([a, b], { lr: 0.1 });
    const step = (...params: Tensor[]): void => {
      opt.zeroGrad(true);
      for (const p of params) p.grad = floats([1]);
      opt.step();
    };
    step(a);
    expect([opt.stateOf(a).step.toString(), opt.stateOf(b)]).toEqual(['tensor(1.)', {}]);
    step(a, b);
    step(a);
    expect(numbers(opt.stateOf(a).step as Tensor)).toEqual([3]);
    expect(numbers(opt.stateOf(b).step as Tensor)).toEqual([1]);
    expect(b.item()).toBeCloseTo(-0.1, 6);
  });

  test('groups have settings of their own; the learning rate is a number outside and state inside', () => {
    const net = new nn.Linear(2, 1);
    const opt = new optim.SGD([{ params: [net.weight] }, { params: [net.bias!], lr: 0.5 }], { lr: 0.1, momentum: 0.9 });
    expect(opt.paramGroups.map(group => group.lr)).toEqual([0.1, 0.5]);
    net.forward(rand(1, 2)).sum().backward();
    opt.step();
    const nameOf = (t: Tensor): string | null => [...net.namedParameters('net')].find(([, p]) => p === t)?.[0] ?? null;
    expect([...opt.namedState(nameOf)].map(([name]) => name)).toEqual([
      'lr',
      'lr.1',
      'momentum_buffer.net.weight',
      'momentum_buffer.net.bias',
    ]);
  });

  test('as PyTorch prints it', () => {
    expect(String(new optim.SGD([zeros(1)], { lr: 0.1 }))).toBe(
      'SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n    lr: 0.1\n    maximize: False\n    momentum: 0\n    nesterov: False\n    weight_decay: 0\n)',
    );
  });
});

describe('LBFGS', () => {
  test('finds the minimum of the Rosenbrock function', () => {
    const x = floats([-1, 1.5]).requiresGrad_();
    const opt = new optim.LBFGS([x], { maxIter: 60, lineSearchFn: 'strong_wolfe' });
    opt.step(() => {
      opt.zeroGrad();
      const [a, b] = x.unbind();
      const loss = a.neg().add(1).square().add(b.sub(a.square()).square().mul(100));
      loss.backward();
      return loss;
    });
    for (const value of numbers(x)) expect(value).toBeCloseTo(1, 2);
  });
  test('minimises with a compiled closure as with an eager one', () => {
    const [reference, x] = [0, 1].map(() => floats([-1, 1.5]).requiresGrad_());
    const lossOf = (p: Tensor) => (): Tensor => {
      const [a, b] = p.unbind();
      const loss = a.neg().add(1).square().add(b.sub(a.square()).square().mul(100));
      loss.backward();
      return loss;
    };
    const minimise = (p: Tensor, lossAndGradient: () => Tensor): void => {
      const opt = new optim.LBFGS([p], { maxIter: 10, lineSearchFn: 'strong_wolfe' });
      opt.step(() => {
        opt.zeroGrad();
        return lossAndGradient();
      });
    };
    minimise(reference, lossOf(reference));
    minimise(x, compile(lossOf(x), []));
    for (const [i, value] of numbers(x).entries()) expect(value).toBeCloseTo(reference.tolist<number[]>()[i], 3);
    expect(Math.abs(x.tolist<number[]>()[0] + 1)).toBeGreaterThan(0.1);
  });
  describe.each([null, 'strong_wolfe'] as const)('a whole step inside an entry, line search %s', lineSearchFn => {
    const rosenbrock = (x: Tensor): Tensor => {
      const [a, b] = x.unbind();
      return a.neg().add(1).square().add(b.sub(a.square()).square().mul(100));
    };
    test('decides as eagerly, its memory lasting from call to call', () => {
      const train = (compiled: boolean) => {
        const x = tensor([-1, 1.5], { dtype: 'float64', requiresGrad: true });
        const opt = new optim.LBFGS([x], { lr: lineSearchFn ? 1 : 0.1, maxIter: 6, historySize: 3, lineSearchFn });
        let evaluations = 0;
        const step = (): Tensor =>
          opt.step(() => {
            evaluations++;
            opt.zeroGrad();
            const loss = rosenbrock(x);
            loss.backward();
            return loss;
          });
        const run = compiled ? compile(step, []) : step;
        const seen = Array.from({ length: 5 }, () => [run().item<number>(), ...x.tolist<number[]>()]);
        return { seen, evaluations };
      };
      const [eager, compiled] = [train(false), train(true)];
      for (const [i, row] of compiled.seen.entries())
        for (const [j, value] of row.entries()) expect(value).toBeCloseTo(eager.seen[i][j], 8);
      expect(compiled.seen[4][0]).toBeLessThan(compiled.seen[0][0]);
      // the closure is traced before the first iteration and within one, however often it will run
      expect([eager.evaluations > 10, compiled.evaluations]).toEqual([true, 2]);
    });
    test('of several parameters, with the gradients it leaves, stopping early and for good', () => {
      const learn = (compiled: boolean) => {
        manualSeed(2);
        const net = new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 1));
        const opt = new optim.LBFGS(net.parameters(), { maxIter: 8, maxEval: 5, lineSearchFn });
        const [data, target] = [rand(6, 3), rand(6, 1)];
        const step = (x: Tensor, y: Tensor): Tensor[] => {
          const loss = opt.step(() => {
            opt.zeroGrad(true);
            const value = F.mseLoss(net.forward(x) as Tensor, y);
            value.backward();
            return value;
          });
          return [loss, ...[...net.parameters()].map(({ grad }) => grad!)];
        };
        const run = compiled ? compile(step, [input([6, 3]), input([6, 1])]) : step;
        return Array.from({ length: 4 }, () => [
          ...run(data, target).flatMap(numbers),
          ...[...net.parameters()].flatMap(numbers),
        ]);
      };
      const [eager, compiled] = [learn(false), learn(true)];
      for (const [i, row] of compiled.entries())
        for (const [j, value] of row.entries()) expect(value).toBeCloseTo(eager[i][j], 3);
      expect(eager[3][0]).toBeLessThan(eager[0][0]);
    });
  });
  test('its memory has names in the state of a model', () => {
    const w = zeros(2, { requiresGrad: true });
    const opt = new optim.LBFGS([w], { historySize: 2 });
    const model = defineModel('fitted', () => ({
      state: { w, opt },
      entries: {
        fit: entry({ x: input([2]) }, ({ x }) => ({
          loss: opt.step(() => {
            opt.zeroGrad();
            const loss = w.sub(x).square().sum();
            loss.backward();
            return loss;
          }),
        })),
      },
    }));
    const { executable } = compileDefinition(model);
    const names = executable.state.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['w', 'opt.lr', 'opt.direction', 'opt.changes', 'opt.iterations']));
    expect(names.some(name => name.startsWith('constant'))).toBe(false);
    executable.call('fit', { x: floats([1, 2]) });
    for (const [i, value] of numbers(w).entries()) expect(value).toBeCloseTo(i + 1, 4);
  });
});

interface Resumable {
  step(): void;
  getLastLr(): readonly number[];
  stateDict(): object;
  loadStateDict(state: object): void;
}

describe('schedulers', () => {
  const rates = (make: (opt: AnyOptimizer) => { step(): void }, steps: number): number[] => {
    const opt = new optim.SGD([zeros(1)], { lr: 0.1, momentum: 0.9 });
    const scheduler = make(opt);
    return Array.from({ length: steps }, () => {
      const { lr } = opt.paramGroups[0];
      scheduler.step();
      return Math.round(lr * 1e9) / 1e9;
    });
  };
  const { lrScheduler: lr } = optim;
  const schedules: readonly (readonly [string, Parameters<typeof rates>[0], number[]])[] = [
    ['StepLR', o => new lr.StepLR(o, 2, { gamma: 0.5 }), [0.1, 0.1, 0.05, 0.05, 0.025]],
    ['MultiStepLR', o => new lr.MultiStepLR(o, [1, 3]), [0.1, 0.01, 0.01, 0.001, 0.001]],
    ['ExponentialLR', o => new lr.ExponentialLR(o, 0.5), [0.1, 0.05, 0.025, 0.0125, 0.00625]],
    ['LinearLR', o => new lr.LinearLR(o, { startFactor: 0.5, totalIters: 2 }), [0.05, 0.075, 0.1, 0.1, 0.1]],
    ['CosineAnnealingLR', o => new lr.CosineAnnealingLR(o, 2), [0.1, 0.05, 0, 0.05, 0.1]],
    ['LambdaLR', o => new lr.LambdaLR(o, epoch => 1 / (1 + epoch)), [0.1, 0.05, 0.033333333, 0.025, 0.02]],
    [
      'SequentialLR',
      o =>
        new lr.SequentialLR(
          o,
          [new lr.ConstantLR(o, { factor: 0.1, totalIters: 2 }), new lr.ExponentialLR(o, 0.5)],
          [3],
        ),
      [0.01, 0.01, 0.1, 0.1, 0.05],
    ],
  ];
  test.each(schedules.map(([name, make, expected]) => ({ name, make, expected })))('$name', ({ make, expected }) => {
    expect(rates(make, 5)).toEqual(expected);
  });
  test('ReduceLROnPlateau waits, then reduces', () => {
    const opt = new optim.SGD([zeros(1)], { lr: 0.1 });
    const scheduler = new lr.ReduceLROnPlateau(opt, { factor: 0.5, patience: 1 });
    const seen = [1, 0.9, 0.9, 0.9, 0.9].map(metric => {
      scheduler.step(metric);
      return opt.paramGroups[0].lr;
    });
    expect(seen).toEqual([0.1, 0.1, 0.1, 0.05, 0.05]);
  });
  const resumable: readonly (readonly [string, (opt: AnyOptimizer) => Resumable])[] = [
    ['StepLR', o => new lr.StepLR(o, 2, { gamma: 0.5 })],
    ['OneCycleLR', o => new lr.OneCycleLR(o, 0.3, { totalSteps: 9, baseMomentum: [0.7] })],
    ['CyclicLR', o => new lr.CyclicLR(o, 0.01, 0.3, { stepSizeUp: 2, scaleFn: x => 1 / x })],
    [
      'SequentialLR',
      o => new lr.SequentialLR(o, [new lr.ConstantLR(o, { totalIters: 2 }), new lr.ExponentialLR(o, 0.5)], [3]),
    ],
    ['ChainedScheduler', o => new lr.ChainedScheduler([new lr.StepLR(o, 3), new lr.ExponentialLR(o, 0.9)])],
    [
      'ReduceLROnPlateau',
      o => {
        const scheduler = new lr.ReduceLROnPlateau(o, { patience: 1, cooldown: 1 });
        return Object.assign(scheduler, { step: () => lr.ReduceLROnPlateau.prototype.step.call(scheduler, 1) });
      },
    ],
  ];
  test.each(resumable)('%s goes on from a state dict', (_, make) => {
    const optimizer = (): AnyOptimizer => new optim.SGD([zeros(1)], { lr: 0.1, momentum: 0.9 });
    const [first, second] = [optimizer(), optimizer()];
    const [original, resumed] = [make(first), make(second)];
    for (let i = 0; i < 4; i++) original.step();
    resumed.loadStateDict(JSON.parse(JSON.stringify(original.stateDict())));
    second.loadStateDict(first.stateDict());
    expect(resumed.getLastLr()).toEqual(original.getLastLr());
    for (let i = 0; i < 4; i++) {
      original.step();
      resumed.step();
      expect(second.paramGroups[0].lr).toBe(first.paramGroups[0].lr);
      expect(second.paramGroups[0].momentum).toBe(first.paramGroups[0].momentum);
    }
  });
  test('warm restarts have rates between epochs', () => {
    const opt = new optim.SGD([zeros(1)], { lr: 1 });
    const scheduler = new lr.CosineAnnealingWarmRestarts(opt, 2);
    scheduler.step(2.5);
    expect(opt.paramGroups[0].lr).toBeCloseTo((1 + Math.cos(Math.PI / 4)) / 2, 12);
  });
  const inEntry: readonly (readonly [string, (opt: AnyOptimizer) => { step(): void }])[] = [
    ['StepLR', o => new lr.StepLR(o, 2, { gamma: 0.5 })],
    ['MultiStepLR', o => new lr.MultiStepLR(o, [1, 3, 3], { gamma: 0.5 })],
    ['ExponentialLR', o => new lr.ExponentialLR(o, 0.5)],
    ['ConstantLR', o => new lr.ConstantLR(o, { factor: 0.2, totalIters: 3 })],
    ['LinearLR', o => new lr.LinearLR(o, { startFactor: 0.2, endFactor: 0.7, totalIters: 4 })],
    ['PolynomialLR', o => new lr.PolynomialLR(o, { totalIters: 5, power: 2 })],
    ['CosineAnnealingLR', o => new lr.CosineAnnealingLR(o, 3, { etaMin: 0.01 })],
    ['warm restarts', o => new lr.CosineAnnealingWarmRestarts(o, 2, { tMult: 2, etaMin: 0.01 })],
    ['warm restarts of one length', o => new lr.CosineAnnealingWarmRestarts(o, 3)],
    ['CyclicLR', o => new lr.CyclicLR(o, 0.01, 0.2, { stepSizeUp: 2, mode: 'triangular2' })],
    ['CyclicLR, decaying', o => new lr.CyclicLR(o, 0.01, 0.2, { stepSizeUp: 1, mode: 'exp_range', gamma: 0.9 })],
    ['OneCycleLR', o => new lr.OneCycleLR(o, 0.2, { totalSteps: 9, threePhase: true })],
    ['OneCycleLR, straight', o => new lr.OneCycleLR(o, 0.2, { totalSteps: 9, annealStrategy: 'linear' })],
    ['ChainedScheduler', o => new lr.ChainedScheduler([new lr.StepLR(o, 3), new lr.ExponentialLR(o, 0.9)])],
    ['LambdaLR', o => new lr.LambdaLR(o, epoch => 1 / (1 + epoch), { steps: 20 })],
    ['MultiplicativeLR', o => new lr.MultiplicativeLR(o, epoch => 1 - epoch / 10, { steps: 20 })],
    ['CyclicLR of a function', o => new lr.CyclicLR(o, 0.01, 0.2, { stepSizeUp: 2, scaleFn: x => 1 / x, steps: 9 })],
    [
      'SequentialLR',
      o =>
        new lr.SequentialLR(
          o,
          [new lr.LinearLR(o, { totalIters: 3 }), new lr.StepLR(o, 2, { gamma: 0.5 }), new lr.ExponentialLR(o, 0.7)],
          [2, 5],
        ),
    ],
  ];
  test.each(inEntry)('%s steps inside a compiled entry as eagerly', (_, make) => {
    const train = (compiled: boolean) => {
      const w = floats([1, -2]).requiresGrad_();
      const opt: AnyOptimizer = new optim.SGD([w], { lr: 0.1, momentum: 0.9 });
      const scheduler = make(opt);
      const step = (x: Tensor): Tensor => {
        opt.zeroGrad();
        w.sub(x).square().sum().backward();
        opt.step();
        scheduler.step();
        return x;
      };
      const run = compiled ? compile(step, [input([2])]) : step;
      return Array.from({ length: 8 }, () => {
        run(floats([0.5, 0.25]));
        return [opt.paramGroups[0].lr, opt.paramGroups[0].momentum, ...numbers(w)];
      });
    };
    const [eager, compiled] = [train(false), train(true)];
    for (const [i, row] of compiled.entries())
      for (const [j, value] of row.entries()) expect(Math.abs(value - eager[i][j])).toBeLessThan(1e-6);
  });
  test('a scheduler is named in the state of its model, and a call of the entry moves its epoch', () => {
    const opt = new optim.SGD([zeros(1, { requiresGrad: true })], { lr: 0.1 });
    const scheduler = new lr.StepLR(opt, 2);
    const { executable } = compileDefinition(
      defineModel('scheduled', () => ({
        state: { opt, scheduler },
        entries: {
          advance: entry({ x: input([1]) }, ({ x }) => {
            scheduler.step();
            return { x };
          }),
        },
      })),
    );
    expect(executable.state.map(({ name }) => name)).toEqual(['opt.lr', 'scheduler.epoch']);
    for (let i = 0; i < 3; i++) executable.call('advance', { x: zeros(1) });
    expect(scheduler.lastEpoch).toBe(3);
    expect(opt.paramGroups[0].lr).toBeCloseTo(0.01, 12);
  });
  test.each<[string, (opt: AnyOptimizer) => { step(): void }]>([
    ['LambdaLR', o => new lr.LambdaLR(o, epoch => 1 / (1 + epoch))],
    ['MultiplicativeLR', o => new lr.MultiplicativeLR(o, () => 0.5)],
    ['CyclicLR', o => new lr.CyclicLR(o, 0.01, 0.2, { scaleFn: x => 1 / x, cycleMomentum: false })],
  ])('%s of a function inside an entry asks for how many steps, and freezes no rate', (_, make) => {
    const opt = new optim.SGD([zeros(1, { requiresGrad: true })], { lr: 0.1 });
    const scheduler = make(opt);
    const step = (x: Tensor): Tensor => {
      scheduler.step();
      return x;
    };
    expect(() => compile(step, [input([1])])).toThrow(/E304.*JavaScript function.*\{ steps: 10000 \}/s);
  });
  test('a function of the epoch is asked for no more steps than were told, and its last answer stands', () => {
    const opt = new optim.SGD([zeros(1)], { lr: 1 });
    const scheduler = new lr.LambdaLR(opt, epoch => 1 / (1 + epoch), { steps: 2 });
    const step = (x: Tensor): Tensor => {
      scheduler.step();
      return x;
    };
    const compiled = compile(step, [input([1])]);
    const rate = (): number => {
      compiled(zeros(1));
      return opt.paramGroups[0].lr;
    };
    expect([rate(), rate(), rate()]).toEqual([1 / 2, 1 / 3, 1 / 3]);
  });
  test.each([
    ['a loss that stops falling', { factor: 0.5, patience: 1 }, [1, 0.9, 0.9, 0.9, 0.9, 0.2, 0.3, 0.3], 3],
    ['a cooldown', { factor: 0.5, patience: 0, cooldown: 2, minLr: 0.03 }, [1, 1, 1, 1, 1, 1, 1, 1], 3],
    [
      'a score, by an absolute threshold',
      { mode: 'max', patience: 0, threshold: 0.1, thresholdMode: 'abs' },
      [0, 0.2, 0.25, 0.5, 0.55, 0.6],
      3,
    ],
    ['a negative loss, of which half will do', { patience: 0, threshold: 0.5 }, [-1, -1, -0.6, -0.4, -0.4], 1],
  ] as const)('ReduceLROnPlateau inside an entry, of the loss computed there: %s', (_, options, losses, count) => {
    const train = (compiled: boolean) => {
      const opt = new optim.SGD([zeros(1)], { lr: 0.1 });
      const scheduler = new lr.ReduceLROnPlateau(opt, options);
      const step = (loss: Tensor): Tensor => {
        scheduler.step(loss.mul(1));
        return loss;
      };
      const run = compiled ? compile(step, [input([])]) : step;
      return losses.map(loss => {
        run(tensor(loss, { dtype: 'float32' }));
        return [opt.paramGroups[0].lr, scheduler.stateDict()];
      });
    };
    const eager = train(false);
    expect(train(true)).toEqual(eager);
    expect(new Set(eager.map(([rate]) => rate)).size).toBe(count);
  });
  test('what schedulers of schedulers keep has names, too', () => {
    const opt = new optim.SGD([zeros(1)], { lr: 0.1 });
    const both = new lr.SequentialLR(opt, [new lr.StepLR(opt, 1), new lr.ConstantLR(opt)], [3]);
    const names = (source: { namedState(): Iterable<[string, Tensor]> }) =>
      [...source.namedState()].map(([name]) => name);
    expect(names(both)).toEqual(['epoch', '0.epoch', '1.epoch']);
    expect(names(new lr.ChainedScheduler([new lr.StepLR(opt, 1), both]))).toEqual([
      '0.epoch',
      '1.epoch',
      '1.0.epoch',
      '1.1.epoch',
    ]);
    expect(names(new lr.ReduceLROnPlateau(opt))).toEqual(['epoch', 'best', 'numBadEpochs', 'cooldown']);
  });
  test('a rate set inside an entry is an error, not a frozen rate', () => {
    const opt = new optim.SGD([zeros(1, { requiresGrad: true })], { lr: 0.1 });
    const step = (x: Tensor): Tensor => {
      opt.paramGroups[0].lr *= 0.5;
      return x;
    };
    expect(() => compile(step, [input([1])])).toThrow(
      /E304.*learning rate of an optimizer made outside the entry is set while the entry is being traced/s,
    );
  });

  const cycles: readonly (readonly [string, (w: Tensor) => ConstructorParameters<typeof lr.OneCycleLR>[0]])[] = [
    ['SGD', w => new optim.SGD([w], { lr: 0.1, momentum: 0.9 })],
    ['SGD with Nesterov', w => new optim.SGD([w], { lr: 0.1, momentum: 0.9, nesterov: true })],
    ['RMSprop', w => new optim.RMSprop([w], { momentum: 0.9 })],
    ['Adam', w => new optim.Adam([w])],
    ['AdamW', w => new optim.AdamW([w], { amsgrad: true })],
    ['NAdam', w => new optim.NAdam([w])],
    ['RAdam', w => new optim.RAdam([w])],
    ['Adamax', w => new optim.Adamax([w])],
  ];
  test.each(cycles)('%s: a compiled step sees the momentum that a scheduler moves between calls', (_, make) => {
    const trained = (compiled: boolean): number[] => {
      const w = floats([1, -2, 3]).requiresGrad_();
      const opt = make(w);
      const cycle = new lr.OneCycleLR(opt, 0.1, { totalSteps: 8 });
      const step = (x: Tensor): Tensor => {
        opt.zeroGrad();
        const loss = w.sub(x).pow(4).sum();
        loss.backward();
        opt.step();
        return loss;
      };
      const run = compiled ? compile(step, [input([3])]) : step;
      for (let i = 0; i < 6; i++) {
        run(floats([0.5, 0.5, i / 10]));
        cycle.step();
      }
      return numbers(w);
    };
    const [eager, compiled] = [trained(false), trained(true)];
    for (const [i, value] of compiled.entries()) expect(value).toBeCloseTo(eager[i], 5);
  });
  test('Adam corrects its bias by the momentum of the day, as PyTorch does', () => {
    const w = floats([1]).requiresGrad_();
    const opt = new optim.Adam([w], { lr: 0.1, betas: [0.9, 0.999] });
    const cycle = new lr.CyclicLR(opt, 0.1, 0.1, { stepSizeUp: 2, baseMomentum: 0.5, maxMomentum: 0.9 });
    for (const grad of [1, 1, 1]) {
      w.grad = floats([grad]);
      opt.step();
      cycle.step();
    }
    // Momenta 0.9, 0.7, 0.5: averages of a constant 1 are 0.1, 0.37, 0.685, corrected by 0.1, 0.51, 0.875.
    expect(w.item()).toBeCloseTo(1 - 0.1 * (1 + 0.37 / 0.51 + 0.685 / 0.875), 5);
  });
  const makers = [
    (w: Tensor) => new optim.RMSprop([w], { lr: 0.1, momentum: 0.9 }),
    (w: Tensor) => new optim.Adam([w], { lr: 0.1 }),
  ];
  test.each(makers)('an optimizer and a scheduler made in an entry start anew in each call: %#', make => {
    const start = floats([1, -2, 3]);
    const train = (x: Tensor): Record<string, Tensor> => {
      const w = start.clone().requiresGrad_();
      const opt = make(w);
      const scheduler = new lr.CyclicLR(opt, 0.01, 0.1, { stepSizeUp: 2 });
      for (let i = 0; i < 5; i++) {
        opt.zeroGrad();
        w.sub(x).pow(2).sum().backward();
        opt.step();
        scheduler.step();
      }
      const resumed = make(w);
      resumed.loadStateDict(opt.stateDict());
      resumed.step();
      return { w: w.detach(), average: Object.values(resumed.stateOf(w))[1] as Tensor };
    };
    const x = floats([0.5, 0.5, 0.5]);
    const eager = train(x);
    const compiled = compile(({ x }: { x: Tensor }) => train(x), { x: input([3]) });
    for (const outputs of [compiled({ x }), compiled({ x })]) {
      for (const name of ['w', 'average'])
        for (const [i, value] of numbers(outputs[name]).entries())
          expect(value).toBeCloseTo(numbers(eager[name])[i], 5);
    }
  });
});

describe('errors', () => {
  const w = zeros(2, { requiresGrad: true });
  const steady = (): optim.SGD => new optim.SGD([w], { lr: 1 });
  test.each([
    ['a negative rate', () => new optim.SGD([w], { lr: -1 }), /Invalid learning rate: -1/],
    ['no parameters', () => new optim.SGD([], { lr: 0.1 }), /empty parameter list/],
    ['Nesterov without momentum', () => new optim.SGD([w], { lr: 0.1, nesterov: true }), /Nesterov momentum requires/],
    ['a beta of 1', () => new optim.Adam([w], { betas: [1, 0.9] }), /Invalid beta parameter at index 0: 1\.0/],
    ['no rate', () => new optim.SGD([w]), /required optimization parameter lr/],
    ['a non-leaf', () => new optim.SGD([w.mul(1)], { lr: 0.1 }), /can't optimize a non-leaf Tensor/],
    ['a parameter twice', () => new optim.SGD([w, w], { lr: 0.1 }), /duplicate parameters/],
    [
      'groups that differ',
      () => new optim.SGD([w], { lr: 1 }).loadStateDict({ state: {}, paramGroups: [] }),
      /parameter groups of sizes/,
    ],
    [
      'a growing constant',
      () => new optim.lrScheduler.ConstantLR(steady(), { factor: 2 }),
      /Constant multiplicative factor.* but is 2/,
    ],
    [
      'a falling start',
      () => new optim.lrScheduler.LinearLR(steady(), { startFactor: -1 }),
      /Starting multiplicative factor/,
    ],
    [
      'no such mode',
      () => new optim.lrScheduler.ReduceLROnPlateau(steady(), { mode: 'low' as 'min' }),
      /mode low is unknown/,
    ],
  ] as const)('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });
});
