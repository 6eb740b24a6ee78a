/** What PyTorch asks of complex numbers, answered for real ones; for complex ones in `complex/arithmetic.ts`. */
import { fail } from '../errors.js';
import { composite, pointwise } from './define.js';
import type { Unary } from './elementwise.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { isComplexTensor } from './tensor.js';

export const angle: Unary = pointwise({
  name: 'angle',
  doc: 'π for negative numbers, 0 for others, NaN for NaN.',
  types: 'float',
  body: (s, x) => s.select(s.isNan(x), x, s.select(s.lt(x, 0), s.constant(x.dtype, Math.PI), 0)),
  vjp: c => [c.grad.zerosLike()],
  samples: [sample(random([2, 3])), sampleWithoutGradient(exactly([4], [0, -0, -1, Number.NaN]))],
});

export const isreal: Unary = pointwise({
  name: 'isreal',
  doc: 'Where numbers have no imaginary part: of real ones everywhere.',
  types: 'compare',
  differentiable: false,
  body: s => s.constant('bool', true),
  signature: 'input: tensor',
  samples: [sampleWithoutGradient(exactly([3], [1, -2, Number.NaN]))],
});

export const real: Unary = composite({
  name: 'real',
  doc: 'The real part, in the same memory: of real numbers the tensor itself.',
  signature: 'input: tensor',
  compute: ({ input }) => input,
  samples: [sample(random([3]))],
});

export const conj: Unary = composite({
  name: 'conj',
  doc: 'The complex conjugate: of real numbers the tensor itself.',
  gradName: ({ input }) => (isComplexTensor(input) ? 'ConjBackward0' : null),
  signature: 'input: tensor',
  compute: ({ input }) => input,
  samples: [sample(random([3]))],
});

export const imag: Unary = composite({
  name: 'imag',
  doc: 'The imaginary part, in the same memory: refused of real numbers, as PyTorch does.',
  signature: 'input: tensor',
  compute: () => fail('E108', { op: 'imag', problem: 'imag is not implemented for tensors with non-complex dtypes.' }),
  samples: [],
  errors: [{ args: [random([2])], message: /non-complex dtypes/ }],
});
