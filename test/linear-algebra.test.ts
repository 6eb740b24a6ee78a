/**
 * How exact the factorisations are, eagerly and compiled: residuals in units of rounding times the norm, with values that are
 * close or equal, and with matrices that are singular or nearly so.
 */
import { float32, float64, linalg, manualSeed, randn, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { expectNumbers, numbers } from './support/tensors.js';

type Float = 'float32' | 'float64';
const epsilon = { float32: 2 ** -23, float64: 2 ** -52 };

const wide = (x: Tensor): Tensor => x.to(float64);
const largest = (x: Tensor): number => Math.max(...numbers(x.abs()), 0);
const unit = (n: number): Tensor =>
  tensor(
    Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => Number(i === j))),
    { dtype: float64 },
  );
const columnsOf = (x: Tensor): Tensor => x.transpose(-2, -1).matmul(x);
const diagonal = (values: readonly number[]): Tensor => tensor(values, { dtype: float64 }).diagEmbed();
const orthogonal = (n: number): Tensor => linalg.qr(randn([n, n], { dtype: float64 }))[0];
/** A matrix with just these singular values, or as `symmetric` one these eigenvalues. */
const withValues = (values: readonly number[], symmetric: boolean): Tensor => {
  const [left, right] = [orthogonal(values.length), orthogonal(values.length)];
  return left.matmul(diagonal(values)).matmul((symmetric ? left : right).transpose(-2, -1));
};
const range = (n: number, value: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => value(i));

/** What a function of one matrix gives in each mode. */
const modes: Readonly<
  Record<string, (fn: (A: Tensor) => Record<string, Tensor>, A: Tensor) => Record<string, Tensor>>
> = {
  eager: (fn, A) => fn(A),
  ...Object.fromEntries(
    (['js', 'wasm'] as const).map(backend => [
      backend,
      (fn: (A: Tensor) => Record<string, Tensor>, A: Tensor) =>
        compile(({ A: given }: { A: Tensor }) => fn(given), { A: input(A.shape, A.dtype) }, { backend })({ A }),
    ]),
  ),
};

const spectra: readonly (readonly [string, readonly number[]])[] = [
  ['of all sizes', range(50, i => Math.sin(i + 1))],
  ['equal in groups', range(24, i => Math.floor(i / 6))],
  ['close together', range(24, i => 1 + i * 1e-9)],
  ['over twelve decades', range(13, i => 10 ** -i)],
];

describe.each(Object.entries(modes))('%s', (_, run) => {
  describe.each(['float32', 'float64'] as const)('%s', (dtype: Float) => {
    const round = epsilon[dtype];

    test.each(spectra)('eigenvalues %s', (_, values) => {
      manualSeed(1);
      const whole = withValues(values, true);
      const A = whole.add(whole.transpose(-2, -1)).mul(0.5).to(dtype);
      const { w, V } = run(x => {
        const [values, vectors] = linalg.eigh(x);
        return { w: values, V: vectors };
      }, A);
      const norm = largest(linalg.svdvals(wide(A)));
      expect(
        largest(
          wide(A)
            .matmul(wide(V))
            .sub(wide(V).mul(wide(w))),
        ),
      ).toBeLessThan(4 * round * norm);
      expect(largest(columnsOf(wide(V)).sub(unit(values.length)))).toBeLessThan(12 * round);
      const sorted = [...values].sort((a, b) => a - b);
      // the matrix itself was rounded once
      for (const [i, value] of numbers(w).entries()) expect(Math.abs(value - sorted[i])).toBeLessThan(8 * round * norm);
    });

    test.each(spectra)('singular values %s', (_, values) => {
      manualSeed(2);
      const A = withValues(values, false).to(dtype);
      const { U, S, Vh } = run(x => {
        const [left, middle, right] = linalg.svd(x);
        return { U: left, S: middle, Vh: right };
      }, A);
      const norm = numbers(S)[0];
      expect(largest(wide(U).mul(wide(S)).matmul(wide(Vh)).sub(wide(A)))).toBeLessThan(4 * round * norm);
      expect(largest(columnsOf(wide(Vh).transpose(-2, -1)).sub(unit(values.length)))).toBeLessThan(12 * round);
      const sorted = values.map(Math.abs).sort((a, b) => b - a);
      for (const [i, value] of numbers(S).entries()) expect(Math.abs(value - sorted[i])).toBeLessThan(8 * round * norm);
    });

    test('a solution leaves a small rest, however badly conditioned the matrix', () => {
      const hilbert = tensor(
        range(10, i => i).map(i => range(10, j => 1 / (i + j + 1))),
        { dtype },
      );
      const { X, inverse } = run(x => ({ X: linalg.solve(x, x.sum(-1)), inverse: linalg.inv(x) }), hilbert);
      const rest = wide(hilbert)
        .matmul(wide(X))
        .sub(wide(hilbert.sum(-1)));
      expect(largest(rest)).toBeLessThan(8 * round * largest(wide(X)) * 3);
      expect(numbers(inverse).every(Number.isFinite)).toBe(true);
    });

    test('small and large matrices have determinants and inverses', () => {
      const small = unit(20).mul(1e-30).to(dtype);
      const { inverse, sign, log, det } = run(x => {
        const [sign, log] = linalg.slogdet(x.neg());
        return { inverse: linalg.inv(x), sign, log, det: linalg.det(x.mul(1e30)) };
      }, small);
      expect(largest(wide(inverse).sub(unit(20).mul(1e30)))).toBeLessThan(4 * round * 1e30);
      expect(sign.item()).toBe(1);
      expect(log.item()).toBeCloseTo(-20 * 30 * Math.LN10, dtype === 'float64' ? 9 : 2);
      expect(det.item()).toBeCloseTo(1, 5);
    });
  });

  test('the determinant of a singular matrix has a derivative', () => {
    const A = tensor(
      [
        [2, 4, 6],
        [1, 3, 5],
        [1, 1, 1],
      ],
      { dtype: float64 },
    );
    const { det, gradient } = run(x => {
      const leaf = x.detach().requiresGrad_();
      const det = linalg.det(leaf);
      det.backward();
      return { det: det.detach(), gradient: leaf.grad! };
    }, A);
    expect(det.item()).toBe(0);
    const cofactors = [-2, 4, -2, 2, -4, 2, 2, -4, 2];
    expectNumbers(gradient, cofactors, 1e-13);
  });

  test('functions of equal eigenvalues and singular values have derivatives', () => {
    manualSeed(3);
    const A = withValues([2, 2, 2, 1], true);
    const { sums } = run(x => {
      const leaf = x.detach().requiresGrad_();
      linalg.eigvalsh(leaf).pow(2).sum().add(linalg.svdvals(leaf).pow(2).sum()).backward();
      return { sums: leaf.grad! };
    }, A);
    // both are the sum of squares of the elements
    expect(largest(sums.sub(A.mul(4)))).toBeLessThan(1e-12);
  });
});

test('a wide matrix of few columns that are independent has a derivative of its factors', () => {
  const A = randn([2, 4], { dtype: float32 }).requiresGrad_();
  const [Q, R] = linalg.qr(A);
  Q.matmul(R).sum().backward();
  expect(largest(A.grad!.sub(1))).toBeLessThan(1e-5);
});

test('a shape that does not fit is an error', () => {
  expect(() => linalg.solve(randn([2, 2]), randn([3, 2]))).toThrow(
    /Incompatible shapes of A and B .*\[2, 2\] and \[3, 2\]/,
  );
});
