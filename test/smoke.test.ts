import { expect, test } from 'vitest';
import '../compiler/ops/table.js';
import '../runtime/eager.js';
import { rowMajor } from '../runtime/eager.js';
import { tensorOver } from '../compiler/ops/tensor.js';
import { matmul } from '../compiler/ops/contraction.js';

test('eager', () => {
  const x = tensorOver(new Float32Array([1, 2, 3, 4, 5, 6]), { dtype: 'float32', shape: [2, 3] }).requiresGrad_();
  const w = tensorOver(new Float32Array([1, 0, -1, 2, 0.5, 3]), { dtype: 'float32', shape: [3, 2] }).requiresGrad_();
  const y = matmul(x, w).add(1).tanh().mul(x.select(1, 0).unsqueeze(1)).sum();
  y.backward();
  console.log(rowMajor(y, ''), rowMajor(x.grad!, ''), rowMajor(w.grad!, ''));
  const z = x.detach().clone();
  z.select(0, 1).mul_(10);
  expect([...rowMajor(z, '')]).toEqual([1, 2, 3, 40, 50, 60]);
});
