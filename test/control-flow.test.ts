/** Loops and branches: `scan`, `cond`, `whileLoop`, eager against compiled, and their derivatives. */
import { describe, expect, test } from 'vitest';
import { cudaBackend } from '../backends/cuda/backend.js';
import { isControl } from '../compiler/ir/control.js';
import { type Graph, roots, topological } from '../compiler/ir/graph.js';
import { allLaunches } from '../compiler/ir/program.js';
import { parseGraph, printGraph } from '../compiler/ir/text.js';
import { graphProblems } from '../compiler/ir/verify.js';
import { compile } from '../compiler/jit.js';
import { tensorOver } from '../compiler/ops/tensor.js';
import type { Pass } from '../compiler/pass.js';
import { deferSums } from '../compiler/passes/defer-sums.js';
import { trimControl } from '../compiler/passes/trim-control.js';
import { compileToProgram, scheduleProgram } from '../compiler/pipeline.js';
import { nameCaptured, traceFunction } from '../compiler/trace/model.js';
import { rowMajor } from '../runtime/eager.js';
import * as F from '../runtime/functional.js';
import * as g from '../runtime/index.js';
import { hasHostCompiler } from './support/cuda-host/compile.js';
import { runProgramOnHost } from './support/cuda-host/run.js';
import { infer } from './support/graphs.js';

const { scan } = g;
const backends = ['js', 'wasm'] as const;

/** Largest difference between two tensors, relative to the largest element. */
function distance(a: g.Tensor, b: g.Tensor): number {
  expect([a.dtype, a.shape]).toEqual([b.dtype, b.shape]);
  if (a.numel() === 0) return 0;
  const scale = Math.max(1, Number(b.detach().to('float64').abs().max().item()));
  return Number(a.detach().to('float64').sub(b.detach().to('float64')).abs().max().item()) / scale;
}

type Fn = (...inputs: g.Tensor[]) => readonly g.Tensor[];

/** A function must give the same eagerly and compiled by every backend; all IR is verified on the way. */
function expectSame(fn: Fn, inputs: readonly g.Tensor[], tolerance = 1e-6): void {
  const expected = fn(...inputs);
  const specs = inputs.map(({ shape, dtype }) => g.input(shape, dtype));
  for (const backend of backends) {
    const compiled = compile(fn, specs, { backend, debug: { verify: true } });
    for (let run = 0; run < 2; run++) {
      const actual = compiled(...inputs) as readonly g.Tensor[];
      for (const [i, tensor] of actual.entries()) expect(distance(tensor, expected[i])).toBeLessThan(tolerance);
    }
  }
}

/** The gradients of the sum of squares of what a function gives, by its inputs. */
const gradients =
  (fn: Fn): Fn =>
  (...inputs) => {
    const loss = (...xs: g.Tensor[]): g.Tensor =>
      fn(...xs)
        .map(out => out.mul(out).sum())
        .reduce((a, b) => a.add(b));
    return g.vjp(loss, inputs, null, { createGraph: true })[1];
  };

const randn = (...shape: number[]): g.Tensor => g.randn(...shape);

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
    const [short, long] = [8, 512].map(length => compile(step, [g.input([length, 2, 3])]));
    expect(kernelsOf(long)).toEqual(kernelsOf(short));
    const bytes = [short, long].map(({ files }) => (files.get('compiled.wasm') as Uint8Array).length);
    expect(Math.abs(bytes[1] - bytes[0])).toBeLessThan(0.05 * bytes[0]);
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
  test('a function with a gradient of its own runs, but has no derivative there', () => {
    const own = walk((c, x) => Doubled.apply(c.mul(x)) as g.Tensor);
    expectSame(own, inputs());
    const weights = randn(3).requiresGrad_();
    expectSame((xs, h) => own(xs.mul(weights), h), inputs());
    expect(() => compile(gradients(own), [g.input([4, 3]), g.input([3])])).toThrow(/E206[\s\S]*gradient of its own/);
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

describe('passes', () => {
  const passed = (pass: Pass<Graph>, text: string): string => {
    const graph = pass.run(parseGraph(text), { note: () => {} });
    expect(graphProblems(graph, infer)).toEqual([]);
    return printGraph(graph);
  };

  test('a loop loses what nobody takes, and computes before itself what does not change', () => {
    const before = `graph run(%w: float32[3] input, %xs: float32[4, 3] input, %h: float32[3] input) {
  %0 = scan(%w, %w, %h, %h, %xs, %xs) {captures: 2, carries: 2, length: 4, reverse: false} with {
    graph step(
      %w: float32[3] input,
      %v: float32[3] input,
      %h: float32[3] state,
      %dead: float32[3] state,
      %x: float32[3] input,
      %z: float32[3] input,
    ) {
      %0 = exp(%w) : float32[3]
      %1 = mul(%h, %0) : float32[3]
      %2 = mul(%x, %v) : float32[3]
      %3 = add(%1, %2) {alpha: 1} : float32[3]
      %4 = mul(%dead, %z) : float32[3]
      return unused = %4
      update %h = %3
      update %dead = %4
    }
  } : bool[0]
  %1 = result(%0) {index: 0, dtype: "float32", shape: [3]} : float32[3]
  return last = %1
}
`;
    expect(
      passed(trimControl, before),
    ).toBe(`graph run(%w: float32[3] input, %xs: float32[4, 3] input, %h: float32[3] input) {
  %0 = exp(%w) : float32[3]
  %1 = scan(%w, %0, %h, %xs) {captures: 2, carries: 1, length: 4, reverse: false} with {
    graph step(%w: float32[3] input, %before.1: float32[3] input, %h: float32[3] state, %x: float32[3] input) {
      %0 = mul(%h, %before.1) : float32[3]
      %1 = mul(%x, %w) : float32[3]
      %2 = add(%0, %1) {alpha: 1} : float32[3]
      update %h = %2
    }
  } : bool[0]
  %2 = result(%1) {index: 0, dtype: "float32", shape: [3]} : float32[3]
  return last = %2
}
`);
  });

  test('products that a loop adds up are one product after it', () => {
    const before = `graph run(%xs: float32[4, 2, 3] input, %gs: float32[4, 2, 5] input) {
  %0 = full() {size: [3, 5], value: 0, dtype: "float32"} : float32[3, 5]
  %1 = scan(%0, %xs, %gs) {captures: 0, carries: 1, length: 4, reverse: true} with {
    graph step(%sum: float32[3, 5] state, %x: float32[2, 3] input, %g: float32[2, 5] input) {
      %0 = permute(%x) {dims: [1, 0]} : float32[3, 2]
      %1 = sin(%g) : float32[2, 5]
      %2 = batchedMatmul(%0, %1) : float32[3, 5]
      %3 = add(%sum, %2) {alpha: 1} : float32[3, 5]
      return sine = %1
      update %sum = %3
    }
  } : bool[0]
  %2 = result(%1) {index: 0, dtype: "float32", shape: [3, 5]} : float32[3, 5]
  %3 = result(%1) {index: 1, dtype: "float32", shape: [4, 2, 5]} : float32[4, 2, 5]
  return total = %2
  return sines = %3
}
`;
    const text = passed(deferSums, before);
    expect(text).toContain('carries: 0');
    expect(text).toMatch(/reshape\(%xs\) \{shape: \[8, 3\]\}/);
    expect(text).toMatch(/batchedMatmul\(%\d+, %\d+\) : float32\[3, 5\]\n {2}return|return total/);
    expect(text.indexOf('batchedMatmul')).toBeGreaterThan(text.indexOf('bool[0]'));
  });

  test('so the gradient of a weight that all steps share', () => {
    const w = randn(4, 4).requiresGrad_();
    const { compilation } = compile(
      (xs: g.Tensor, h: g.Tensor) => {
        const [last] = scan((c: g.Tensor, x: g.Tensor) => [c.matmul(w).add(x).tanh(), null], h, xs);
        const [grad] = g.autograd.grad(last.sum(), [w]);
        return grad as g.Tensor;
      },
      [g.input([6, 2, 4]), g.input([2, 4])],
    );
    const loops = topological(roots(compilation.graphs[0])).filter(isControl);
    expect(loops.map(({ attrs }) => [attrs.reverse, attrs.carries])).toEqual([
      [false, 1],
      [true, 1],
    ]);
  });
});

describe('as text', () => {
  const text = `graph run(%w: float32[3] input, %xs: float32[4, 3] input, %h: float32[3] input) {
  %0 = scan(%w, %h, %xs) {captures: 1, carries: 1, length: 4, reverse: false} with {
    graph step(%w: float32[3] input, %h: float32[3] state, %x: float32[3] input) {
      %0 = mul(%h, %w) : float32[3]
      %1 = add(%0, %x) : float32[3]
      %2 = sin(%1) : float32[3]
      return y = %2
      update %h = %1
    }
  } : bool[0]
  %1 = result(%0) {index: 0, dtype: "float32", shape: [3]} : float32[3]
  %2 = result(%0) {index: 1, dtype: "float32", shape: [4, 3]} : float32[4, 3]
  return last = %1
  return ys = %2
}
`;
  const problemsOf = (from: string, to: string): string => {
    expect(text).toContain(from);
    return graphProblems(parseGraph(text.replace(from, to)), infer).join('\n');
  };

  test('reads back what it prints', () => {
    expect(printGraph(parseGraph(text))).toBe(text);
    expect(graphProblems(parseGraph(text), infer)).toEqual([]);
  });
  test.each([
    [
      'graph step(%w: float32[3] input',
      'graph step(%w: float32[4] input',
      /needs a float32\[4\], but input 0 is float32\[3\]/,
    ],
    ['%x: float32[3] input', '%x: float32[5] input', /'x' needs a float32\[4, 5\]/],
    ['%h: float32[3] state', '%h: float32[3] input', /'h' is an input of the body[\s\S]*updated but is an input/],
    ['length: 4', 'length: 5', /'x' needs a float32\[5, 3\]/],
    ['scan(%w, %h, %xs)', 'scan(%w, %xs)', /scan has 2 inputs, but its body step has 3 parameters/],
    ['{index: 1, dtype', '{index: 2, dtype', /result 2 of a scan that has 2/],
    ['shape: [3]} : float32[3]', 'shape: [7]} : float32[7]', /result 0 of scan is float32\[3\], not float32\[7\]/],
    ['update %h = %1', 'update %h = %1\n      update %w = %1', /w is updated but is an input/],
    ['scan(%w, %h, %xs)', 'while(%w, %h, %xs)', /while has 1 bodies, not 2/],
  ])('%s -> %s is not legal', (from, to, problem) => {
    expect(problemsOf(from, to)).toMatch(problem);
  });
});

describe('mistakes', () => {
  const step = (c: g.Tensor, x: g.Tensor): readonly [g.Tensor, null] => [c.add(x), null];
  const eagerly = (fn: Fn, ...inputs: g.Tensor[]): unknown => fn(...inputs);
  const compiled = (fn: Fn, ...inputs: g.Tensor[]): unknown =>
    compile(
      fn,
      inputs.map(({ shape, dtype }) => g.input(shape, dtype)),
    );

  describe.each([
    ['eagerly', eagerly],
    ['compiled', compiled],
  ] as const)('%s', (_, run) => {
    const refuses = (fn: Fn, inputs: g.Tensor[], message: RegExp): void => {
      expect(() => run(fn, ...inputs)).toThrow(message);
      // told with the user's line
      expect(() => run(fn, ...inputs)).toThrow(/at test\/control-flow\.test\.ts:\d+:\d+/);
    };
    test('a carry that changes its shape', () =>
      refuses(
        (xs, h) => [scan(step, h, xs)[0]],
        [randn(4, 2, 3), randn(3)],
        /E107: scan: the carry that the function returns: float32\[2, 3\] instead of float32\[3\]/,
      ));
    test('a carry that changes its dtype', () =>
      refuses(xs => [scan(step, g.tensor(0), xs)[0]], [randn(4)], /float32\[\] instead of int64\[\]/));
    test('a carry that changes its form', () =>
      refuses(
        (xs, h) => [
          scan((c: readonly g.Tensor[], x: g.Tensor) => [[...c, x], null], [h] as readonly g.Tensor[], xs)[0][0],
        ],
        [randn(4), g.ones(1)],
        /\[float32\[1\], float32\[\]\] instead of \[float32\[1\]\]/,
      ));
    test('a step that returns no pair', () =>
      refuses(
        (xs, h) => [scan((c: g.Tensor) => c as never, h, xs)[0]],
        [randn(4), randn(1)],
        /must return \[carry, y\]/,
      ));
    test('lengths that differ, or are missing', () => {
      const two = ([a, b]: readonly g.Tensor[]) => scan((c: g.Tensor) => [c, null], g.ones(1), [a, b] as const);
      refuses((a, b) => [two([a, b])[0]], [randn(4), randn(5)], /number of steps is not clear: 4, 5/);
      refuses(h => [scan((c: g.Tensor) => [c, null], h, null)[0]], [randn(1)], /xs holds no tensor/);
    });
    test('what is no tree', () =>
      refuses(
        (xs, h) => [scan((c: g.Tensor) => [c, { a: 3 } as never], h, xs)[0]],
        [randn(4), randn(1)],
        /E110: scan: y\.a must be a Tensor, but is a number/,
      ));
    test('a predicate that is no bool', () =>
      refuses(
        x => [
          g.cond(
            x,
            () => x,
            () => x,
          ),
        ],
        [randn()],
        /E108: cond: the predicate must be bool\[\], but is float32\[\]/,
      ));
    test('a loop whose carry changes', () =>
      refuses(
        x => [
          g.whileLoop(
            (c: g.Tensor) => c.sum().lt(3),
            c => c.unsqueeze(0),
            x,
          ),
        ],
        [g.zeros(2)],
        /E107: whileLoop: bodyFn returns: float32\[1, 2\] instead of float32\[2\]/,
      ));
  });

  test('sides of a cond that differ', () => {
    const fn: Fn = x => [
      g.cond(
        x.sum().gt(0),
        () => x.sum(),
        () => x,
      ),
    ];
    expect(() => compiled(fn, randn(3))).toThrow(/E107: cond: falseFn returns: float32\[3\] instead of float32\[\]/);
  });
  test('a body that changes its argument in place', () => {
    const fn: Fn = (xs, h) => [scan((c: g.Tensor, x: g.Tensor) => [c.add_(x), null], h, xs)[0]];
    expect(() => compiled(fn, g.tensor([1, 2, 3]), g.tensor(0))).toThrow(
      /E304: the body of a scan changes its argument 'carry\.0'[\s\S]*at test\/control-flow\.test\.ts/,
    );
    // a float may need a gradient
    expect(() => compiled(fn, randn(4), randn(1))).toThrow(/E205[\s\S]*at test\/control-flow\.test\.ts/);
  });
  test('a body that changes memory which it also sees otherwise', () => {
    const buffer = g.zeros(3);
    const part = buffer.slice(0, 0, 2);
    const fn: Fn = (xs, h) => [
      scan(
        (c: g.Tensor, x: g.Tensor) => {
          buffer.add_(x);
          return [c.add(part.sum()), null];
        },
        h,
        xs,
      )[0],
    ];
    expect(() => compiled(fn, randn(4), randn(1))).toThrow(/E304[\s\S]*also sees through another tensor/);
  });
  test('a condition that changes something', () => {
    const counter = g.zeros(1);
    const fn: Fn = x => [
      g.whileLoop(
        (c: g.Tensor) => counter.add_(1).sum().lt(c.sum()),
        c => c.mul(0.5),
        x,
      ),
    ];
    expect(() => compiled(fn, randn(1))).toThrow(/E304: the condition of a whileLoop changes/);
  });
  test('a tensor that left a body', () => {
    const fn: Fn = (xs, h) => {
      let leaked = h;
      scan(
        (c: g.Tensor, x: g.Tensor) => {
          leaked = c.add(x);
          return [c, null];
        },
        h,
        xs,
      );
      return [leaked.mul(2)];
    };
    expect(() => compiled(fn, randn(4), randn(1))).toThrow(/E302/);
  });
});
