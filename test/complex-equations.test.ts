/** Solutions and inverses of complex matrices: what they are multiplied with comes back, eagerly and compiled; derivatives. */
import { complex, linalg, manualSeed, randn, type Tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { expect, test } from 'vitest';
import { realForm } from '../compiler/ops/tensor.js';
import { gradcheck } from '../runtime/gradcheck.js';
import { numbers } from './support/tensors.js';

const random = (...shape: number[]): Tensor =>
  complex(randn(shape, { dtype: 'float64' }), randn(shape, { dtype: 'float64' }));
const distance = (a: Tensor, b: Tensor): number => Math.max(...numbers(realForm(a.sub(b)).abs()));

test.each([
  [[3, 3], [3]],
  [
    [3, 3],
    [3, 2],
  ],
  [
    [2, 4, 4],
    [2, 4, 1],
  ],
])('solve of %j and %j', (a, b) => {
  manualSeed(1);
  const [A, B] = [random(...a), random(...b)];
  const eager = linalg.solve(A, B);
  expect(eager.dtype).toBe('complex128');
  expect(eager.shape).toEqual(b);
  expect(distance(A.matmul(eager), B)).toBeLessThan(1e-11);
  const compiled = compile((x: Tensor, y: Tensor) => linalg.solve(x, y), [A, B]);
  expect(distance(compiled(A, B), eager)).toBeLessThan(1e-11);
});

test('inverses, and derivatives of both', () => {
  manualSeed(2);
  const [A, B] = [random(2, 3, 3), random(2, 3, 2)];
  const unit = A.matmul(linalg.inv(A));
  expect(distance(unit.matmul(B), B)).toBeLessThan(1e-11);
  const leaves = [A, B].map(z => realForm(z).detach().requiresGrad_());
  const of = (x: Tensor): Tensor => complex(x.select(-1, 0), x.select(-1, 1));
  expect(gradcheck((x: Tensor) => realForm(linalg.inv(of(x))), [leaves[0]])).toBe(true);
  expect(gradcheck((x: Tensor, y: Tensor) => realForm(linalg.solve(of(x), of(y))), leaves)).toBe(true);
});

test('a singular matrix is refused', () => {
  const zero = random(2, 2).mul(0);
  expect(() => linalg.inv(zero)).toThrow(/singular/);
});
