/**
 * `compile`: what a function does eagerly, it does compiled, on the unscheduled oracle and in WASM, state and all.
 */
import { fullLike, int64, linalg, nn, noGrad, optim, type Tensor, tensor } from 'gradc';
import { type CompileOptions, compile, compileDefinition, emitProgram, traceModel } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../backends/backend.js';
import { grad } from '../compiler/autodiff/functional.js';
import { limitsOf } from '../compiler/ir/dtype.js';
import { defineModel, entry, input } from '../compiler/trace/model.js';
import { expectClose, numbers } from './support/tensors.js';

const backends: readonly CompileOptions[] = [
  { backend: 'js', debug: { verify: true } },
  { backend: 'wasm', debug: { verify: true } },
];

const ramp = (shape: number[], scale = 0.1): Tensor => {
  const count = shape.reduce((a, b) => a * b, 1);
  return tensor(Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) * scale * 10)).reshape(shape);
};

describe.each(backends)('$backend', options => {
  test('a training step updates captured parameters as eager does', () => {
    const make = (): Tensor[] => [ramp([7, 5]), ramp([5]), ramp([5, 3])].map(p => p.clone().requiresGrad_());
    const stepOf =
      ([w1, b1, w2]: Tensor[]) =>
      (x: Tensor, target: Tensor): Tensor => {
        for (const p of [w1, b1, w2]) p.grad = null;
        const h = x.matmul(w1).add(b1).tanh();
        const loss = h.matmul(w2).sub(target).pow(2).mean();
        loss.backward();
        noGrad(() => [w1, b1, w2].forEach(p => void p.sub_(p.grad!, { alpha: 0.1 })));
        return loss;
      };
    const [eagerParams, compiledParams] = [make(), make()];
    const step = stepOf(eagerParams);
    const compiled = compile(stepOf(compiledParams), [input([4, 7]), input([4, 3])], options);
    for (let i = 0; i < 5; i++) {
      const x = ramp([4, 7], 0.1 + i / 20);
      const target = ramp([4, 3], 0.2);
      expectClose(compiled(x, target), step(x, target));
    }
    for (const [i, p] of compiledParams.entries()) expectClose(p.detach(), eagerParams[i].detach());
  });

  test('a change made eagerly between calls is seen by the next call', () => {
    const w = tensor([1, 2, 3]).float();
    const scaled = compile((x: Tensor) => x.mul(w), [input([3])], options);
    expect(numbers(scaled(tensor([1, 1, 1]).float()))).toEqual([1, 2, 3]);
    w.mul_(10);
    expect(numbers(scaled(tensor([1, 1, 1]).float()))).toEqual([10, 20, 30]);
  });

  test('writes through views, and two states that exchange values', () => {
    const make = (): Tensor[] => [ramp([3, 4]), ramp([3, 4], 0.3)].map(t => t.clone());
    const fnOf =
      ([a, b]: Tensor[]) =>
      (x: Tensor): Tensor => {
        a.select(0, 1).add_(x);
        a.transpose(0, 1).select(0, 2).mul_(2);
        const old = a.clone();
        a.copy_(b);
        b.copy_(old);
        return a.add(b);
      };
    const [e, c] = [make(), make()];
    const compiled = compile(fnOf(c), [input([4])], options);
    const eager = fnOf(e);
    for (let i = 0; i < 3; i++) expectClose(compiled(ramp([4])), eager(ramp([4])));
    expectClose(c[0], e[0]);
    expectClose(c[1], e[1]);
  });

  test('results may be inputs, state, and one another', () => {
    const w = tensor([5, 6]).float();
    const f = ({ x }: { x: Tensor }) => {
      const y = x.add(1);
      return { x, w, y, again: y, seen: y.reshape([2, 1]) };
    };
    const out = compile(f, { x: input([2]) }, options)({ x: tensor([1, 2]).float() });
    expect(numbers(out.x)).toEqual([1, 2]);
    expect(numbers(out.w)).toEqual([5, 6]);
    expect(numbers(out.y)).toEqual([2, 3]);
    expect(numbers(out.again)).toEqual([2, 3]);
    expect(out.seen.tolist()).toEqual([[2], [3]]);
  });

  test('a conversion to 16 bits rounds, fused or not', () => {
    const f = (x: Tensor): Tensor => x.mul(3).half().float().add(x.bfloat16().float());
    const x = ramp([9], 1.234);
    expect(numbers(compile(f, [input([9])], options)(x))).toEqual(numbers(f(x)));
  });

  test.each(['float16', 'bfloat16'] as const)('every op on %s rounds, fused or not', dtype => {
    const f = (x: Tensor, y: Tensor): Tensor => {
      const product = x.to(dtype).mul(1.1).add(0.3).mul(y.to(dtype));
      const row = product.div(product.square().add(1).sqrt()).mul(0.7);
      return row
        .sub(row.amax(1, { keepdim: true }))
        .mul(product)
        .add(fullLike(product, 0.1));
    };
    const [x, y] = [ramp([5, 9], 0.7), ramp([9], 1.3)];
    const compiled = compile(f, [input([5, 9]), input([9])], options);
    expect(compiled.compilation.program.entries[0].steps.length).toBeLessThan(4);
    expect(numbers(compiled(x, y))).toEqual(numbers(f(x, y)));
  });

  test.each(['float16', 'bfloat16', 'float32'] as const)('nanToNum: the limits of %s', dtype => {
    const x = tensor([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1], { dtype });
    const { min, max } = limitsOf(dtype);
    expect(x.nanToNum().tolist()).toEqual([max, min, 0, 1]);
    const compiled = compile((given: Tensor) => given.nanToNum(), [input([4], dtype)], options);
    expect(compiled(x).tolist()).toEqual([max, min, 0, 1]);
  });

  test('second derivatives', () => {
    const f = (x: Tensor): Tensor => x.tanh().mul(x.exp()).sum();
    const second = (x: Tensor): Tensor => grad(y => grad(f)(y).sum())(x);
    const x = ramp([5]);
    expectClose(compile(second, [input([5])], options)(x), second(x), 1e-4);
  });
});

describe('checks of values', () => {
  const classes = { dtype: 'int64' } as const;
  const float = { dtype: 'float32' } as const;
  const faults: readonly (readonly [string, (x: Tensor) => Tensor, Tensor, Tensor, RegExp])[] = [
    [
      'an index beyond the end',
      i => ramp([4, 2]).indexSelect(0, i),
      tensor([0, 1, 3], classes),
      tensor([4], classes),
      /index .* is out of bounds for dimension with size 4/,
    ],
    [
      'a negative index along a dim that is named, as PyTorch 1.13 has it',
      i => ramp([4, 2]).indexSelect(0, i),
      tensor([0, 1, 3], classes),
      tensor([0, -1, 3], classes),
      /index .* is out of bounds for dimension with size 4/,
    ],
    [
      'a target that is no class',
      y => F.crossEntropy(ramp([3, 2]), y),
      tensor([0, -100, 1], classes),
      tensor([0, 2, 1], classes),
      /Target .* is out of bounds/,
    ],
    ['an integer divisor of zero', x => tensor([7]).remainder(x), tensor([2]), tensor([0]), /ZeroDivisionError/],
    [
      'a singular matrix',
      linalg.inv,
      tensor(
        [
          [2, 1],
          [1, 2],
        ],
        float,
      ),
      tensor(
        [
          [1, 1],
          [1, 1],
        ],
        float,
      ),
      /singular/,
    ],
    [
      'a matrix that is not positive',
      linalg.cholesky,
      tensor(
        [
          [2, 1],
          [1, 2],
        ],
        float,
      ),
      tensor(
        [
          [1, 2],
          [2, 1],
        ],
        float,
      ),
      /not positive-definite/,
    ],
    [
      'a probability over one',
      p => F.binaryCrossEntropy(p, p),
      tensor([0.5, 1], float),
      tensor([0.5, 1.5], float),
      /between 0 and 1/,
    ],
  ];
  test.each(faults)('%s', (_, fn, good, bad, message) => {
    const compiled = compile(fn, [input(bad.shape, bad.dtype)], {
      checkValues: true,
    });
    expect(() => fn(bad)).toThrow(message);
    expect(() => compiled(bad)).toThrow(message);
    expect(() => compiled(bad)).toThrow(/compile\.test\.ts:\d+/);
    expectClose(compile(fn, [input(good.shape, good.dtype)], { checkValues: true })(good), fn(good));
  });
  test('add nothing to what the function returns', () => {
    const pick = compile(
      ({ i }: { i: Tensor }) => ({ picked: ramp([4]).indexSelect(0, i) }),
      { i: input([2], int64) },
      { checkValues: true },
    );
    expect(Object.keys(pick({ i: tensor([1, 2]) }))).toEqual(['picked']);
  });
});

describe('gradients', () => {
  const x = ramp([4, 3]);
  /** Gradients are added up by one entry and used by another. */
  function makeModel() {
    const layer = new nn.Linear(3, 2);
    for (const p of layer.parameters()) noGrad(() => p.copy_(ramp([...p.shape])));
    const opt = new optim.SGD(layer.parameters(), { lr: 0.1, momentum: 0.9 });
    const accumulate = ({ x }: { x: Tensor }): { loss: Tensor } => {
      const loss = layer.forward(x).pow(2).mean();
      loss.backward();
      return { loss };
    };
    const apply = (): { norm: Tensor } => {
      const norm = nn.utils.clipGradNorm_(layer.parameters(), 0.5);
      opt.step();
      opt.zeroGrad();
      return { norm };
    };
    const begin = (given: { x: Tensor }): { loss: Tensor } => {
      opt.zeroGrad(true);
      return accumulate(given);
    };
    return { layer, opt, begin, accumulate, apply };
  }
  const calls = ['accumulate', 'apply', 'begin', 'accumulate', 'apply', 'accumulate', 'begin', 'apply'] as const;
  const orders = [
    ['accumulate', 'apply', 'begin'],
    ['begin', 'apply', 'accumulate'],
    ['begin', 'accumulate', 'apply'],
  ] as const;
  const ways = backends.flatMap(options => orders.map(order => ({ order, options, backend: options.backend })));

  test.each(ways)('add up from call to call and entry to entry, by $backend, $order', ({ order, options }) => {
    const eager = makeModel();
    const model = makeModel();
    const inputs = { accumulate: { x: input([4, 3]) }, begin: { x: input([4, 3]) }, apply: {} };
    const { executable } = compileDefinition(
      defineModel('accumulation', () => ({
        state: { layer: model.layer, opt: model.opt },
        entries: Object.fromEntries(
          order.map(name => [name, entry(inputs[name], given => model[name](given as never))]),
        ),
      })),
      options,
    );
    expect(executable.state.map(({ name }) => name)).toContain('layer.weight.grad');
    for (const name of calls) {
      const expected = eager[name]({ x });
      const actual = executable.call(name, name === 'apply' ? {} : { x });
      for (const [key, value] of Object.entries(expected)) expectClose(actual[key], value);
    }
    expectClose(model.layer.weight, eager.layer.weight);
    expectClose(model.layer.weight.grad as Tensor, eager.layer.weight.grad as Tensor);
  });
  test('that are there when a function is compiled are added to', () => {
    const [w, reference] = [ramp([3]), ramp([3])].map(p => p.clone().requiresGrad_());
    const lossOf =
      (p: Tensor) =>
      (row: Tensor): Tensor => {
        const loss = p.mul(row).sum();
        loss.backward();
        return loss;
      };
    const row = ramp([3], 1);
    for (const p of [w, reference]) lossOf(p)(row);
    const compiled = compile(lossOf(w), [input([3])]);
    for (const run of [compiled, lossOf(reference)]) [row, row].forEach(run);
    expectClose(w.grad as Tensor, reference.grad as Tensor);
  });
  test('reset by each call are no state, whether or not there were any before', () => {
    const { layer, opt, accumulate } = makeModel();
    accumulate({ x });
    const step = compile(
      ({ x }: { x: Tensor }) => {
        opt.zeroGrad();
        const { loss } = accumulate({ x });
        opt.step();
        return { loss };
      },
      { x: input([4, 3]) },
    );
    const parameters = [...layer.parameters()].length;
    // Besides the parameters: their momenta and the learning rate.
    expect(step.compilation.program.state).toHaveLength(2 * parameters + 1);
  });
  test('dropped after use begin at zero in the next call', () => {
    const w = ramp([3]).requiresGrad_();
    const twice = compile(
      (row: Tensor): Tensor => {
        w.mul(row).sum().backward();
        const sum = (w.grad as Tensor).clone();
        w.grad = null;
        return sum;
      },
      [input([3])],
    );
    const row = ramp([3], 1);
    expectClose(twice(row), row);
    expectClose(twice(row), row);
  });
});

describe('modes of modules', () => {
  const definition = defineModel('modes', () => {
    const drop = new nn.Dropout(1);
    return {
      state: { drop },
      entries: {
        evaluate: entry({ x: input([2]) }, ({ x }) => {
          drop.eval();
          return { y: drop.forward(x) };
        }),
        train: entry({ x: input([2]) }, ({ x }) => ({ y: drop.forward(x) })),
      },
    };
  });
  const x = tensor([1, 2], { dtype: 'float32' });

  test('set in one entry are not seen by the next, eagerly and compiled', () => {
    const { evaluate, train } = definition.build().entries;
    const { executable } = compileDefinition(definition);
    for (const y of [evaluate.run({ x }).y, executable.call('evaluate', { x }).y]) expectClose(y, x);
    for (const y of [train.run({ x }).y, executable.call('train', { x }).y]) expectClose(y, x.mul(0));
  });
  test('are as before where an entry throws', () => {
    const net = new nn.Dropout(1);
    const failing = entry({}, () => {
      net.eval();
      throw new Error('in the entry');
    });
    expect(() => failing.run({})).toThrow('in the entry');
    expect(net.training).toBe(true);
  });
});

describe('refused, with the entry, the tensor and what to do', () => {
  const trace = (f: (x: Tensor) => Tensor, state?: () => void) => {
    state?.();
    return () => compile(f, [input([2])], { backend: 'js' });
  };
  test('reading a value', () => {
    expect(trace(x => x.mul(x.sum().item() as number))).toThrow(/E301.*item.*compile\.test\.ts/s);
  });
  test('changing an input', () => {
    expect(trace(x => x.add_(1))).toThrow(/changes its input 'arg0'/);
  });
  test('a step that finds no gradients', () => {
    const w = ramp([2]).requiresGrad_();
    const opt = new optim.SGD([w], { lr: 0.1 });
    const step = (x: Tensor): Tensor => {
      opt.step();
      return x;
    };
    expect(() => compile(step, [input([2])])).toThrow(/E304.*SGD.step\(\) finds no gradient in the entry/s);
  });
  test('a tensor kept from another trace', () => {
    let kept: Tensor | null = null;
    trace(x => (kept = x.add(1)))();
    expect(trace(x => x.add(kept!))).toThrow(/E302/);
  });
  test('a result that is no tensor', () => {
    expect(() => compile((() => ({ n: 1 })) as never, { x: input([2]) }, { backend: 'js' })).toThrow(
      /E303.*'n' is a number/s,
    );
  });
  test('an element type that the backend lacks', () => {
    const { compilation } = compile((x: Tensor) => x.double().exp(), [input([2])], { backend: 'js' });
    const small: Backend = {
      name: 'small',
      capabilities: { dtypes: ['float32'], lanes: 1 },
      schedule: [],
      emit: () => new Map(),
    };
    expect(() => emitProgram(compilation.program, small)).toThrow(
      /E601: backend 'small' cannot do float64 \(in entry 'compiled', .*exp.*\).*hint: convert to float32/s,
    );
  });
  test('a wrong dtype at a call, eagerly and in a trace, at its line', () => {
    const wrong =
      /E108: matmul: expected both operands to have the same dtype, but got float32 and int64\n {2}at .*compile\.test\.ts:\d+:\d+/;
    const weight = tensor([[1], [2], [3]]);
    expect(() => ramp([2, 3]).matmul(weight)).toThrow(wrong);
    expect(() => compile((x: Tensor) => x.matmul(weight), [input([2, 3])])).toThrow(wrong);
  });
  test('names that the compiled module could not bear', () => {
    const model = (name: string) =>
      defineModel('m', () => ({
        state: {},
        entries: { [name]: entry({ x: input([2]) }, ({ x }) => ({ y: x.add(1) })) },
      }));
    expect(() => traceModel(model('memory'))).toThrow(/entry 'memory' is taken by the memory/);
    expect(() => traceModel(model('train step'))).toThrow(/entry 'train step' is not an identifier/);
    expect(() => traceModel(defineModel('m', () => ({ state: {}, entries: {} })))).toThrow(/no entries/);
  });
  test('an input that does not fit', () => {
    const f = compile((x: Tensor) => x.add(1), [input([2])], { backend: 'js' });
    expect(() => f(tensor([1, 2, 3]).float())).toThrow(/input 'arg0' must be float32\[2\], but float32\[3\] was given/);
    expect(() => f(tensor([1, 2]))).toThrow(/must be float32\[2\], but int64\[2\] was given/);
  });
});
