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
    return g.vjp(loss, inputs)[1];
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
});
