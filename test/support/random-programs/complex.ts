/** Steps in complex numbers: real values taken as their parts, some operations, and the parts of what comes out. */
import * as g from 'gradc';
import { SampleTensor } from '../../../compiler/ops/samples.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import type { Growth } from './growth.js';
import type { Kind, Step } from './program.js';

/** On a value, complex or by then real, and another that is complex. */
const operations: Record<string, (z: Tensor, w: Tensor) => Tensor> = {
  add: (z, w) => z.add(w),
  sub: (z, w) => w.sub(z),
  mul: (z, w) => z.mul(w),
  div: (z, w) => z.div(w),
  square: z => z.mul(z),
  reciprocal: z => z.reciprocal(),
  exp: z => z.exp(),
  log: z => z.log(),
  sqrt: z => z.sqrt(),
  sin: z => z.sin(),
  cos: z => z.cos(),
  tanh: z => z.tanh(),
  pow: (z, w) => z.pow(w),
  abs: z => z.abs(),
  angle: z => z.angle(),
  conj: z => z.conj(),
  imag: (z, w) => z.mul(w).imag(),
  sum: z => z.sum(0),
  mean: z => z.mean(),
  prod: (z, w) => z.mul(w).prod(),
  cumsum: z => z.cumsum(0),
  transpose: z => z.transpose(0, -1),
  flip: z => z.flip([0]),
  outer: (z, w) => z.reshape([-1, 1]).matmul(w.reshape([1, -1])),
  inner: (z, w) =>
    z
      .mul(w)
      .reshape([1, -1])
      .matmul(w.conj().reshape([-1, 1])),
  fft: z => g.fft.fft(z),
  ifft: z => g.fft.ifft(z),
  where: (z, w) => g.where(w.abs().gt(1), z, w),
  written: (z, w) => w.clone().copy_(z),
};

const shapes = [[], [1], [3], [2, 3], [4, 4], [17], [0]];

export function drawComplex(growth: Growth): Step {
  const { random } = growth;
  const parts = new SampleTensor([...random.of(shapes), 2], -2, 2, random.of(['float32', 'float32', 'float64']), null);
  const names = random.list(1 + random.below(3), () => random.of(Object.keys(operations)));
  return { kind: complexKind(names), sources: [growth.source(parts), growth.source(parts)], bodies: [] };
}

const complexKind = (names: readonly string[]): Kind => ({
  name: 'complex',
  run(given) {
    const [z, w] = given.map(parts => g.viewAsComplex(parts));
    const made = names.reduce((value, name) => operations[name](value, w), z);
    return made.isComplex() ? g.viewAsReal(made) : made;
  },
  text: ([z, w]) => `parts of the complex ${names.join(', ')} on (${z}, ${w})`,
});
