/** Loops and branches: `scan`, `cond`, `whileLoop`, eager against compiled, and their derivatives. */
import { describe, expect, test } from 'vitest';
import { compile } from '../compiler/jit.js';
import * as g from '../runtime/index.js';

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
