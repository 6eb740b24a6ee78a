/** Loops and branches: `scan`, `cond`, `whileLoop`, eager against compiled, and their derivatives. */
import { describe, expect, test } from 'vitest';
import { cudaBackend } from '../backends/cuda/backend.js';
import { allLaunches } from '../compiler/ir/program.js';
import { compile } from '../compiler/jit.js';
import { tensorOver } from '../compiler/ops/tensor.js';
import { compileToProgram, scheduleProgram } from '../compiler/pipeline.js';
import { nameCaptured, traceFunction } from '../compiler/trace/model.js';
import { rowMajor } from '../runtime/eager.js';
import * as F from '../runtime/functional.js';
import * as g from '../runtime/index.js';
import { hasHostCompiler } from './support/cuda-host/compile.js';
import { runProgramOnHost } from './support/cuda-host/run.js';
import { backends, distance, expectSame, type Fn, gradients, randn } from './support/loops.js';

const { scan } = g;

describe('scan', () => {
  const rnn: Fn = (xs, h, w) => {
    const [last, ys] = scan(
      (c: g.Tensor, x: g.Tensor) => {
        const next = c.matmul(w).add(x).tanh();
        return [next, next.mul(2)];
      },
      h,
      xs,
    );
    return [last, ys];
  };
  const rnnInputs = (): g.Tensor[] => [randn(7, 2, 4), randn(2, 4), randn(4, 4)];

  test('values', () => expectSame(rnn, rnnInputs()));
  test('gradients', () => expectSame(gradients(rnn), rnnInputs(), 1e-5));
  test('second derivatives', () => expectSame(gradients(gradients(rnn)), rnnInputs(), 1e-5));
  test('third derivatives', () =>
    expectSame(gradients(gradients(gradients(rnn))), [randn(3, 1, 2), randn(1, 2), randn(2, 2)], 1e-4));

  test('from the last slice to the first, several slices and carries in trees, integers among them', () => {
    const fn: Fn = (xs, mask, h) => {
      const [{ sum, steps }, { ys, before }] = scan(
        ({ sum, steps }: { sum: g.Tensor; steps: g.Tensor }, [x, on]: readonly [g.Tensor, g.Tensor]) => {
          const next = g.where(on, sum.mul(0.5).add(x.sin()), sum);
          return [
            { sum: next, steps: steps.add(1) },
            { ys: next.mul(x), before: steps },
          ];
        },
        { sum: h, steps: g.tensor(3) },
        [xs, mask] as const,
        { reverse: true },
      );
      return [sum, steps, ys, before];
    };
    const inputs = [randn(5, 3), randn(5, 3).gt(0), randn(3)];
    expectSame(fn, inputs);
    const [last, steps, ys, before] = fn(...inputs);
    expect([last.shape, steps.item(), ys.shape, before.tolist()]).toEqual([[3], 8, [5, 3], [7, 6, 5, 4, 3]]);
    const some: Fn = (xs, h) => gradients((x, y) => fn(x, inputs[1], y).filter(t => t.isFloatingPoint()))(xs, h);
    expectSame(some, [inputs[0], inputs[2]], 1e-5);
  });

  test('without slices, without results, without steps', () => {
    expectSame(
      x => {
        const [last] = scan((c: g.Tensor) => [c.mul(1.5).cos(), null], x, null, { length: 4 });
        return [last];
      },
      [randn(3)],
    );
    expectSame(
      (x, xs) => {
        const [last, ys] = scan((c: g.Tensor, s: g.Tensor) => [c, s.mul(2)], x, xs);
        return [last, ys];
      },
      [randn(3), randn(6, 2)],
    );
    expectSame(
      (x, xs) => {
        const [last, ys] = scan((c: g.Tensor, s: g.Tensor) => [c.add(s), c], x, xs);
        return [last, ys];
      },
      [randn(3), randn(0, 3)],
    );
  });

  test('without steps nothing captured has a gradient, behind an infinite derivative neither', () => {
    const fn: Fn = (x, xs, h) => {
      const root = x.sqrt();
      const [last, ys] = scan((c: g.Tensor, s: g.Tensor) => [c.mul(root), s.mul(root)], h, xs);
      return [last, ys];
    };
    const inputs = [g.zeros([3]), randn(0, 3), randn(3)];
    expectSame(fn, inputs);
    expectSame(gradients(fn), inputs);
    expect(gradients(fn)(...inputs)[0].tolist()).toEqual([0, 0, 0]);
  });

  test('carries that change places', () => {
    const fn: Fn = (a, b, xs) => {
      const [[x, y], ys] = scan(
        ([p, q]: readonly [g.Tensor, g.Tensor], s: g.Tensor) => [[q, p.mul(s)] as const, p],
        [a, b] as const,
        xs,
      );
      return [x, y, ys];
    };
    expectSame(fn, [randn(3), randn(3), randn(5, 3)]);
    expectSame(gradients(fn), [randn(3), randn(3), randn(5, 3)], 1e-5);
  });

  test('a loop in a loop', () => {
    const fn: Fn = (xs, h, w) => {
      const outer = (c: g.Tensor, rows: g.Tensor): readonly [g.Tensor, g.Tensor] => {
        const [last, ys] = scan((d: g.Tensor, x: g.Tensor) => [d.mul(w).add(x).sin(), d.mul(x)], c, rows);
        return [last, ys.sum(0).mul(c)];
      };
      const [last, ys] = scan(outer, h, xs);
      return [last, ys];
    };
    const inputs = (): g.Tensor[] => [randn(3, 4, 2), randn(2), randn(2)];
    expectSame(fn, inputs());
    expectSame(gradients(fn), inputs(), 1e-5);
    expectSame(gradients(gradients(fn)), inputs(), 1e-4);
  });

  test('jvp, jacobian and hessian', () => {
    const sum = (x: g.Tensor): g.Tensor =>
      scan((c: g.Tensor, s: g.Tensor) => [c.mul(s).add(s.exp()), null], g.tensor(1, { dtype: 'float32' }), x)[0];
    const x = randn(4).mul(0.5);
    const v = randn(4);
    expectSame(y => [g.jvp(z => sum(z).reshape([1]), y, v)[1]], [x], 1e-5);
    expectSame(y => [g.hessian(sum, y)], [x], 1e-5);
    expectSame(
      y => [g.jacobian(z => scan((c: g.Tensor, s: g.Tensor) => [c.add(s), c.mul(s)], g.tensor(0.5), z)[1], y)],
      [x],
      1e-5,
    );
  });
});

describe('recurrent layers', () => {
  const { nn } = g;
  const kernelsOf = (compiled: { compilation: { program: Parameters<typeof allLaunches>[0] } }): string[] =>
    allLaunches(compiled.compilation.program).map(({ kernel }) => kernel.name);

  test.each(['RNN', 'GRU', 'LSTM'] as const)('%s: two layers in both directions, with gradients', name => {
    g.manualSeed(1);
    const layer = new nn[name](3, 4, { numLayers: 2, bidirectional: true, batchFirst: true });
    expectSame(x => [layer.forward(x)[0]], [randn(2, 6, 3)]);
    expectSame(
      gradients(x => [layer.forward(x)[0]]),
      [randn(2, 6, 3)],
      1e-5,
    );
  });

  test('the code of a GRU and of its training step does not grow with the sequence', () => {
    const layer = new nn.GRU(3, 4, { numLayers: 2 });
    const opt = new g.optim.SGD(layer.parameters(), { lr: 0.1 });
    const step = (x: g.Tensor): g.Tensor => {
      opt.zeroGrad();
      const loss = layer.forward(x)[0].square().mean();
      loss.backward();
      opt.step();
      return loss;
    };
    const [few, many, more] = [8, 2048, 32768].map(length => compile(step, [g.input([length, 2, 3])]));
    for (const long of [many, more]) expect(kernelsOf(long)).toEqual(kernelsOf(few));
    // with few steps the products of all of them at once have tiles of other shapes, and sums that are not in blocks
    const [before, after] = [many, more].map(({ files }) => (files.get('compiled.wasm') as Uint8Array).length);
    expect(Math.abs(after - before)).toBeLessThan(0.02 * before);
  });

  test('a training step, eager and compiled, for some steps', () => {
    const build = () => {
      g.manualSeed(3);
      const layer = new nn.LSTM(3, 5, { batchFirst: true });
      const head = new nn.Linear(5, 2);
      const opt = new g.optim.Adam([...layer.parameters(), ...head.parameters()], { lr: 0.05 });
      return (x: g.Tensor, y: g.Tensor): g.Tensor => {
        opt.zeroGrad();
        const loss = F.crossEntropy(head.forward(layer.forward(x)[1][0].squeeze(0)), y);
        loss.backward();
        opt.step();
        return loss;
      };
    };
    const [x, y] = [randn(4, 9, 3), g.tensor([0, 1, 1, 0])];
    const eager = build();
    const compiled = backends.map(backend =>
      compile(build(), [g.input(x.shape), g.input(y.shape, 'int64')], { backend, debug: { verify: true } }),
    );
    for (let step = 0; step < 6; step++) {
      const loss = eager(x, y);
      for (const run of compiled) expect(distance(run(x, y), loss)).toBeLessThan(1e-5);
    }
  });
});

describe('cond', () => {
  const { cond } = g;
  const either: Fn = (x, y, w) => {
    const [a, b] = cond(
      x.sum().gt(0),
      (p: g.Tensor, q: g.Tensor) => [p.mul(w).sin(), q.add(1)] as const,
      (p: g.Tensor, q: g.Tensor) => [p.exp(), q.mul(w).mul(p)] as const,
      x,
      y,
    );
    return [a.add(b), b];
  };
  const inputs = (sign: number): g.Tensor[] => [randn(3).abs().mul(sign), randn(3), randn(3)];

  test.each([1, -1])('values and derivatives, predicate of sign %i', sign => {
    expectSame(either, inputs(sign));
    expectSame(gradients(either), inputs(sign), 1e-5);
    expectSame(gradients(gradients(either)), inputs(sign), 1e-4);
  });

  test('one program takes either side, by its input', () => {
    const compiled = compile(either, [g.input([3]), g.input([3]), g.input([3])]);
    for (const sign of [1, -1, 1]) {
      const given = inputs(sign);
      const [expected, actual] = [either(...given), compiled(...(given as [g.Tensor, g.Tensor, g.Tensor]))];
      for (const [i, tensor] of actual.entries()) expect(distance(tensor, expected[i])).toBeLessThan(1e-6);
    }
  });

  test('inside a scan, and a scan inside it', () => {
    const steps: Fn = (xs, h) => {
      const [last, ys] = scan(
        (c: g.Tensor, x: g.Tensor) => {
          const next = cond(
            x.sum().gt(0),
            (d: g.Tensor) => d.mul(x).cos(),
            (d: g.Tensor) => d.sub(x),
            c,
          );
          return [next, next.sum()];
        },
        h,
        xs,
      );
      return [last, ys];
    };
    expectSame(steps, [randn(8, 3), randn(3)]);
    expectSame(gradients(steps), [randn(8, 3), randn(3)], 1e-5);
    const around: Fn = (xs, h) => [
      cond(
        h.sum().gt(0),
        () => steps(xs, h)[0],
        () => h.mul(2),
      ),
    ];
    for (const sign of [1, -1]) {
      expectSame(around, [randn(5, 3), randn(3).abs().mul(sign)]);
      expectSame(gradients(around), [randn(5, 3), randn(3).abs().mul(sign)], 1e-5);
    }
  });
});

describe('whileLoop', () => {
  const { whileLoop } = g;
  const newton: Fn = (a, limit) => {
    const [x, n] = whileLoop(
      ([y, steps]: readonly [g.Tensor, g.Tensor]) => y.mul(y).sub(a).abs().max().gt(1e-4).logicalAnd(steps.lt(limit)),
      ([y, steps]) => [y.add(a.div(y)).mul(0.5), steps.add(1)] as const,
      [a.mul(0).add(1), g.tensor(0)] as const,
    );
    return [x, n];
  };

  test('runs as long as its condition holds', () => {
    expectSame(newton, [g.tensor([2, 3, 10.5]), g.tensor(50)]);
    const [root, steps] = newton(g.tensor([2, 9, 16.5]), g.tensor(50));
    expect(Number(steps.item())).toBeGreaterThan(3);
    expect(distance(root, g.tensor([2, 9, 16.5]).sqrt())).toBeLessThan(1e-4);
  });
  test('not at all where it does not hold at the start, and differently often from call to call', () => {
    const compiled = compile(newton, [g.input([3]), g.input([], 'int64')]);
    for (const limit of [0, 3, 1, 50]) {
      const given = [g.tensor([2, 3, 10.5]), g.tensor(limit)] as const;
      const [expected, actual] = [newton(...given), compiled(...given)];
      expect(actual[1].item()).toBe(expected[1].item());
      expect(distance(actual[0], expected[0])).toBeLessThan(1e-6);
    }
  });
  test('inside a scan, over its slices', () => {
    const fn: Fn = (xs, h) => {
      const [last, ys] = scan(
        (c: g.Tensor, x: g.Tensor) => {
          const next = whileLoop(
            (d: g.Tensor) => d.abs().sum().gt(x.abs().sum()),
            d => d.mul(0.7),
            c,
          );
          return [next.add(x), next];
        },
        h,
        xs,
      );
      return [last, ys];
    };
    expectSame(fn, [randn(6, 3), randn(3).mul(5)]);
  });
  test('has no gradient, and says what has', () => {
    const fn = (a: g.Tensor): g.Tensor => newton(a, g.tensor(3))[0].sum();
    const x = g.tensor([2, 3, 10.5]).requiresGrad_();
    expect(() => fn(x).backward()).toThrow(/E206.*whileLoop[\s\S]*use scan/);
    expect(() => compile((y: g.Tensor) => [g.grad(fn)(y)], [g.input([3])])).toThrow(/E206.*whileLoop[\s\S]*use scan/);
  });
});

describe('on CUDA, executed on the CPU', () => {
  test.skipIf(!hasHostCompiler)(
    'loops of launches; conditions are fetched by the host',
    async () => {
      const fn: Fn = (xs, h) => {
        const walk = (c: g.Tensor, x: g.Tensor): readonly [g.Tensor, g.Tensor] => {
          const next = g.cond(
            x.sum().gt(0),
            () => c.mul(x).cos(),
            () => c.sub(x),
          );
          return [next, next.mul(x)];
        };
        const [last, ys] = scan(walk, h, xs, { reverse: true });
        const halved = g.whileLoop(
          (c: g.Tensor) => c.abs().sum().gt(0.5),
          c => c.mul(0.5),
          last,
        );
        return [last, ys, halved];
      };
      // rows of three floats start where no four floats may be read at once
      const inputs = [randn(6, 3), randn(3)];
      const all: Fn = (xs, h) => [...fn(xs, h), ...gradients((x, y) => fn(x, y).slice(0, 2))(xs, h)];
      const specs = { xs: g.input([6, 3]), h: g.input([3]) };
      const { graph, state } = nameCaptured(
        traceFunction('run', specs, ({ xs, h }) =>
          Object.fromEntries(all(xs, h).map((output, i) => [`out${i}`, output])),
        ),
      );
      const { program } = compileToProgram({ name: 'loops', graphs: [graph], state }, { verify: true });
      const host = await runProgramOnHost(scheduleProgram(program, cudaBackend, { verify: true }));
      const expected = all(...inputs);
      for (let run = 0; run < 2; run++) {
        const given = { xs: rowMajor(inputs[0], 'xs'), h: rowMajor(inputs[1], 'h') };
        const outputs = Object.values(host.entries.run(given));
        for (const [i, array] of outputs.entries())
          expect(distance(tensorOver(array, expected[i].type), expected[i])).toBeLessThan(1e-5);
      }
      host.dispose();
    },
    120_000,
  );
});

describe('memory from outside that bodies change', () => {
  /** The function's values and what it leaves in a buffer, eagerly and compiled, over some calls. */
  function expectSameMemory(build: (buffer: g.Tensor) => Fn, inputs: readonly g.Tensor[]): void {
    const first = randn(3);
    const [own, ...others] = Array.from({ length: 1 + backends.length }, () => first.clone());
    const eager = build(own);
    const specs = inputs.map(({ shape, dtype }) => g.input(shape, dtype));
    const runs = backends.map((backend, i) => compile(build(others[i]), specs, { backend, debug: { verify: true } }));
    for (let call = 0; call < 3; call++) {
      const expected = eager(...inputs);
      for (const [b, run] of runs.entries()) {
        for (const [i, tensor] of (run(...inputs) as readonly g.Tensor[]).entries())
          expect(distance(tensor, expected[i])).toBeLessThan(1e-6);
        expect(distance(others[b], own)).toBeLessThan(1e-6);
      }
    }
  }

  test('a running mean in a scan, read by the step', () =>
    expectSameMemory(
      mean => (xs, h) => {
        const [last, ys] = scan(
          (c: g.Tensor, x: g.Tensor) => {
            mean.mul_(0.9).add_(x.mul(0.1));
            return [c.add(x.sub(mean)), mean.mul(2)];
          },
          h,
          xs,
        );
        return [last, ys, mean.add(1)];
      },
      [randn(5, 3), randn(3)],
    ));
  test('in loops in loops, and in one side of a branch', () =>
    expectSameMemory(
      buffer => (xs, h) => {
        const inner = (c: g.Tensor, x: g.Tensor): readonly [g.Tensor, null] => {
          const next = g.cond(
            x.sum().gt(0),
            () => {
              buffer.mul_(0.5).add_(x);
              return c.add(buffer);
            },
            () => c.mul(0.5),
          );
          return [next, null];
        };
        const outer = (c: g.Tensor, rows: g.Tensor): readonly [g.Tensor, g.Tensor] => [
          scan(inner, c, rows)[0],
          buffer.sum(),
        ];
        const [last, ys] = scan(outer, h, xs);
        return [last, ys];
      },
      [randn(4, 3, 3), randn(3)],
    ));
  test('in a whileLoop', () =>
    expectSameMemory(
      buffer => x => [
        g.whileLoop(
          (c: g.Tensor) => c.abs().sum().gt(0.1),
          c => {
            buffer.add_(c);
            return c.mul(0.5);
          },
          x,
        ),
      ],
      [randn(3)],
    ));
  test('the state of the random generator: dropout draws anew at every step and call', () => {
    const drop = compile(
      (xs: g.Tensor) => scan((c: g.Tensor, x: g.Tensor) => [c, F.dropout(x, 0.5)], g.zeros(1), xs)[1],
      [g.input([4, 64])],
    );
    const rows = [drop(g.ones(4, 64)), drop(g.ones(4, 64))].flatMap(ys => ys.gt(0).tolist() as boolean[][]);
    expect(new Set(rows.map(row => row.join())).size).toBe(8);
  });
});

describe('memory that is changed in place after a loop or branch has read it', () => {
  /** What `run` makes of some memory, which is changed then. */
  const changing =
    (run: (memory: g.Tensor, x: g.Tensor) => g.Tensor): Fn =>
    x => {
      const memory = x.mul(2);
      const made = run(memory, x);
      memory.add_(1);
      return [made, memory];
    };

  test('a side of a branch that is not taken, or does not need it, may have saved it', () => {
    const fn = changing((memory, x) =>
      g.cond(
        x.sum().gt(0),
        () => memory.exp(),
        () => memory.mul(memory),
      ),
    );
    expectSame(gradients(fn), [randn(3).abs()], 1e-5);
    expectSame(gradients(gradients(fn)), [randn(3).abs()], 1e-5);
  });

  test('the predicate, and what a loop slices and stacks', () => {
    const either: Fn = x => {
      const isOn = x.sum().gt(0);
      const made = g.cond(
        isOn,
        () => x.sin(),
        () => x.cos(),
      );
      isOn.logicalNot_();
      return [made];
    };
    expectSame(gradients(either), [randn(3)], 1e-5);
    const loop = changing((memory, x) => {
      const [, ys] = scan((c: g.Tensor, m: g.Tensor) => [c, m.exp().mul(c)], x.sum(), memory);
      const made = ys.add(1);
      ys.mul_(3);
      return made;
    });
    expectSame(gradients(loop), [randn(4)], 1e-5);
  });
});

describe('derivatives that bodies decide', () => {
  class Doubled extends g.autograd.Function {
    static forward(_: unknown, x: g.Tensor): g.Tensor {
      return x.mul(1);
    }
    static backward(_: unknown, grad: g.Tensor): g.Tensor {
      return grad.mul(2);
    }
  }
  const walk =
    (step: (c: g.Tensor, x: g.Tensor) => g.Tensor): Fn =>
    (xs, h) => {
      const [last, ys] = scan(
        (c: g.Tensor, x: g.Tensor) => {
          const next = step(c, x);
          return [next, next.sin()];
        },
        h,
        xs,
      );
      return [last, ys];
    };
  const inputs = (): g.Tensor[] => [randn(4, 3), randn(3)];

  test('noGrad and detach inside a body', () => {
    const hidden = walk((c, x) => c.mul(g.noGrad(() => c.mul(x).narrow(0, 0, 3).cos())).add(x.detach().mul(x)));
    expectSame(gradients(hidden), inputs(), 1e-5);
    const either: Fn = x => [
      g.cond(
        x.sum().gt(0),
        () => x.mul(g.noGrad(() => x.exp())),
        () => x.detach().mul(x),
      ),
    ];
    for (const sign of [1, -1]) expectSame(gradients(either), [randn(3).abs().mul(sign)], 1e-5);
  });
  test('a gradient taken inside a body, and the gradient of that', () => {
    const descent = walk((c, x) =>
      c.sub(
        g
          .grad((y: g.Tensor) => y.mul(x).sin().sum())(c)
          .mul(0.1),
      ),
    );
    expectSame(descent, inputs());
    expectSame(gradients(descent), inputs(), 1e-5);
  });
  test('a gradient of a loop, taken inside a body', () => {
    const nested = walk((c, x) =>
      c.sub(g.grad((y: g.Tensor) => scan((d: g.Tensor) => [d.mul(x).sin(), null], y, null, { length: 3 })[0].sum())(c)),
    );
    expectSame(nested, inputs(), 1e-5);
    expectSame(gradients(nested), inputs(), 1e-4);
  });
  test('a function with a gradient of its own, and the gradient of that', () => {
    const own = walk((c, x) => Doubled.apply(c.mul(x)) as g.Tensor);
    expectSame(own, inputs());
    expectSame(gradients(own), inputs(), 1e-5);
    expectSame(gradients(gradients(own)), inputs(), 1e-4);
  });
  test('a function whose gradient uses its output, and a value from around the loop', () => {
    const weights = randn(3).requiresGrad_();
    const Powered = {
      name: 'Powered',
      forward(context: g.autograd.FunctionContext, x: g.Tensor): g.Tensor {
        const y = x.exp();
        context.saveForBackward(y);
        return y;
      },
      backward: (context: g.autograd.FunctionContext, grad: g.Tensor) => grad.mul(context.savedTensors[0]).mul(weights),
    };
    const own = walk((c, x) => g.autograd.apply(Powered, c.mul(x).sin()));
    expectSame(gradients(own), inputs(), 1e-4);
    expectSame(gradients(gradients(own)), inputs(), 1e-3);
  });
  test('a module with backward hooks, in loops and branches', () => {
    const layer = new g.nn.Linear(3, 3);
    const looped = gradients(walk((c, x) => layer.forward(c.mul(x)).tanh()));
    const branched = gradients(x => [
      g.cond(
        x.sum().gt(0),
        () => layer.forward(x).tanh(),
        () => x.mul(2),
      ),
    ]);
    const given = inputs();
    const plain = looped(...given).map(tensor => tensor.tolist());
    layer.registerFullBackwardHook((_, [grad], [incoming]) => [grad!.mul(3).add(incoming!)]);
    expect(looped(...given).map(tensor => tensor.tolist())).not.toEqual(plain);
    expectSame(looped, given, 1e-4);
    for (const sign of [1, -1]) expectSame(branched, [randn(3).abs().mul(sign)], 1e-4);
  });
  test('dropout in a branch: its gradient, which runs it again, has the same mask', () => {
    const masked = (x: g.Tensor): g.Tensor => {
      const leaf = x.detach().requiresGrad_();
      const dropped = g.cond(
        x.sum().gt(0),
        () => F.dropout(leaf.mul(1), 0.5),
        () => leaf.mul(2),
      );
      return g.stack([dropped.detach(), g.autograd.grad(dropped.sum(), leaf)[0]]);
    };
    const [values, slopes] = compile(masked, [g.input([64])])(g.ones([64])).tolist() as number[][];
    expect(slopes).toEqual(values);
    expect(new Set(values)).toEqual(new Set([0, 2]));
  });
  test('a hook on a tensor inside a loop', () => {
    const hooked = walk((c, x) => {
      const y = c.mul(x).sin();
      y.registerHook(grad => grad.mul(0.5).add(x));
      return y.add(c);
    });
    expectSame(gradients(hooked), inputs(), 1e-5);
  });
  test('a whileLoop inside a scan refuses only who asks for its gradient', () => {
    const halving = walk((c, x) =>
      g.whileLoop(
        (d: g.Tensor) => d.abs().sum().gt(1),
        d => d.mul(0.5),
        c.add(x),
      ),
    );
    const weights = randn(3).requiresGrad_();
    expectSame((xs, h) => halving(xs.mul(weights), h), inputs());
    expect(() => compile(gradients(halving), [g.input([4, 3]), g.input([3])])).toThrow(/E206[\s\S]*whileLoop/);
  });
});
