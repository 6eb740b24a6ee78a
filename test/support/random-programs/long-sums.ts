/**
 * Steps with sums of so many terms that they are taken in several passes or blocks (`compiler/lowering/long-sums.ts`), in
 * themselves or in their derivative; samples of ops are shorter. Some loops among them choose, and keep truth values of each
 * step for their derivative.
 */
import * as g from 'gradc';
import { SampleTensor } from '../../../compiler/ops/samples.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import type { Growth } from './growth.js';
import type { Kind, Step } from './program.js';

interface LongSum {
  /** Of its operands, for a number of terms. */
  shapes(terms: number): readonly (readonly number[])[];
  run(...operands: Tensor[]): Tensor;
}

type Cell = (carry: Tensor, slice: Tensor, weight: Tensor) => Tensor;

/** The gradient of the weight is a sum over the steps. */
const loop = (cell: Cell): LongSum => ({
  shapes: terms => [[3], [terms, 3], [3, 3]],
  run: (first, slices, weight) =>
    g.scan((carry: Tensor, slice: Tensor) => [cell(carry, slice, weight), null], first, slices)[0],
});

const sums: Record<string, LongSum> = {
  sum: { shapes: n => [[n]], run: x => x.sin().sum() },
  dot: { shapes: n => [[n], [n]], run: (x, y) => x.mul(y).mean() },
  columns: { shapes: n => [[n, 3], [3]], run: (x, y) => x.mul(y).exp().mean(0) },
  rows: {
    shapes: n => [
      [2, n],
      [2, 1],
    ],
    run: (x, y) => x.add(y).square().sum(-1).sqrt(),
  },
  logsumexp: { shapes: n => [[2, n]], run: x => x.logsumexp(1) },
  softmax: { shapes: n => [[n], [n]], run: (x, y) => x.softmax(0).mul(y).sum() },
  matmul: {
    shapes: n => [
      [2, n],
      [n, 3],
    ],
    run: (x, y) => x.matmul(y),
  },
  // the derivative by y sums over as many
  weight: {
    shapes: n => [
      [n, 2],
      [2, 2],
    ],
    run: (x, y) => x.matmul(y).tanh().square().mean(),
  },
  count: { shapes: n => [[n], []], run: (x, y) => g.where(x.gt(y), x.mul(y), x).sum() },
};
const loops: Record<string, LongSum> = {
  'loop that adds up': loop((carry, slice) => carry.add(slice.sin().mul(0.01))),
  'recurrent loop': loop((carry, slice, weight) => carry.matmul(weight).mul(0.5).add(slice).tanh()),
  'loop of products': loop((carry, slice, weight) => carry.mul(0.5).add(slice.matmul(weight))),
  'loop that chooses': loop((carry, slice, weight) =>
    g.where(slice.gt(0.25), carry.mul(slice), carry.mul(0.5).add(weight.sum(0))),
  ),
};

/** A loop of so many steps does not lie in another. */
export function drawLongSum(growth: Growth): Step {
  const { random, taste } = growth;
  const all = taste.depth > 1 ? { ...sums, ...loops } : sums;
  const name = random.of(Object.keys(all));
  const terms = random.of([1280, 1281, 1500, 2561]);
  const sources = all[name].shapes(terms).map(shape => growth.source(new SampleTensor(shape, -1, 1, 'float32', null)));
  return { kind: longKind(name, terms, all[name]), sources, bodies: [] };
}

const longKind = (name: string, terms: number, { run }: LongSum): Kind => ({
  name: 'long sum',
  run: given => run(...given),
  text: given => `${name} of ${terms} terms of (${given.join(', ')})`,
});
