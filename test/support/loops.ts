/** What tests of loops and branches share: functions of tensors, run eagerly and compiled by every backend. */
import { expect } from 'vitest';
import { compile } from '../../compiler/jit.js';
import * as g from '../../runtime/index.js';

export const backends = ['js', 'wasm'] as const;

/** Largest difference between two tensors, relative to the largest element. */
export function distance(a: g.Tensor, b: g.Tensor): number {
  expect([a.dtype, a.shape]).toEqual([b.dtype, b.shape]);
  if (a.numel() === 0) return 0;
  const scale = Math.max(1, Number(b.detach().to('float64').abs().max().item()));
  return Number(a.detach().to('float64').sub(b.detach().to('float64')).abs().max().item()) / scale;
}

export type Fn = (...inputs: g.Tensor[]) => readonly g.Tensor[];

/** A function must give the same eagerly and compiled by every backend; all IR is verified on the way. */
export function expectSame(fn: Fn, inputs: readonly g.Tensor[], tolerance = 1e-6): void {
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
export const gradients =
  (fn: Fn): Fn =>
  (...inputs) => {
    const loss = (...xs: g.Tensor[]): g.Tensor =>
      fn(...xs)
        .map(out => out.mul(out).sum())
        .reduce((a, b) => a.add(b));
    return g.vjp(loss, inputs, null, { createGraph: true })[1];
  };

export const randn = (...shape: number[]): g.Tensor => g.randn(...shape);
