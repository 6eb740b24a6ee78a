/** Ops that copy elements to other places: padding, joining. What shares memory instead is in `view.ts`. */
import { fail } from '../errors.js';
import { computeType } from '../ir/dtype.js';
import { both, call, constant, type Expr, index, select as choose, subIndex } from '../ir/kernel.js';
import { normalizeDim } from '../ir/shape.js';
import { composite, define, type Op } from './define.js';
import { random, sample } from './samples.js';
import type { Scalar } from './signature.js';
import type { Tensor } from './tensor.js';

/** `position` lies in [0, extent). */
export const inside = (position: Expr, extent: number): Expr | null => {
  const cond = both(call('ge', position, index(0)), call('lt', position, index(extent)));
  return cond !== null && cond.kind === 'const' && cond.value ? null : cond;
};

export const constantPad: Op<(input: Tensor, pads: readonly number[], value?: Scalar) => Tensor> = define({
  name: 'constantPad',
  doc: 'The input surrounded by a value; `pads` holds [before, after] of each dim in order, negative ones crop.',
  signature: 'input: tensor, pads: ints, value: number = 0',
  fusion: 'pointwise',
  gradName: 'ConstantPadNdBackward0',
  infer([input], attrs) {
    const pads = attrs.pads as number[];
    if (pads.length !== 2 * input.shape.length) fail('E107', { op: 'constantPad', problem: `expected ${2 * input.shape.length} pads for a tensor of ${input.shape.length} dims, got ${pads.length}` });
    const shape = input.shape.map((dim, d) => dim + pads[2 * d] + pads[2 * d + 1]);
    if (shape.some(dim => dim < 0)) fail('E107', { op: 'constantPad', problem: `pads [${pads.join(', ')}] crop more than there is of shape [${input.shape.join(', ')}]` });
    return { dtype: input.dtype, shape };
  },
  lower: {
    kind: 'map',
    element(at, [input], attrs, type) {
      const pads = attrs.pads as number[];
      const position = at.map((i, d) => subIndex(i, pads[2 * d]));
      const valid = position.map((i, d) => inside(i, input.type.shape[d])).reduce(both, null);
      const value = input.at(position);
      return valid === null ? value : choose(valid, value, constant(computeType(type.dtype), attrs.value as number));
    },
  },
  vjp: c => [constantPad(c.grad, (c.attrs.pads as number[]).map(pad => -pad))],
  samples: [sample(random([2, 3]), [1, 0, 2, 1]), sample(random([4]), [-1, 2], 0.5)],
});

export const padDim: Op<(input: Tensor, dim: number, before: number, after: number) => Tensor> = composite({
  name: 'padDim',
  doc: 'Zeros before and after along one dim.',
  signature: 'input: tensor, dim: int, before: int, after: int',
  compute({ input, dim, before, after }) {
    const d = normalizeDim('padDim', dim, input.ndim);
    return constantPad(input, (input as Tensor).shape.flatMap((_, e) => (e === d ? [before, after] : [0, 0])));
  },
  samples: [sample(random([2, 3]), 1, 2, 0)],
});
