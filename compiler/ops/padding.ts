/**
 * Padding as PyTorch's `nn.functional.pad` has it: pairs from the last dim backward, with a constant or from the input.
 */
import { fail } from '../errors.js';
import { formatShape } from '../ir/shape.js';
import { composite, type Op } from './define.js';
import { random, sample } from './samples.js';
import { cat, constantPad } from './shape.js';
import type { Scalar } from './signature.js';
import type { Tensor } from './tensor.js';

type Mode = 'constant' | 'reflect' | 'replicate' | 'circular';

/** What stands beside the input along a dim: cells before and after it, taken from the input. */
type Border = (input: Tensor, dim: number, before: number, after: number) => [before: Tensor, after: Tensor];

const repeated = (edge: Tensor, dim: number, count: number): Tensor =>
  edge.expand(edge.shape.map((extent, d) => (d === dim ? count : extent)));

const borders: Record<Exclude<Mode, 'constant'>, Border> = {
  reflect(input, dim, before, after) {
    const extent = input.shape[dim];
    if (before >= extent || after >= extent) {
      fail('E107', {
        op: 'pad',
        problem: `Padding size should be less than the corresponding input dimension, but got: padding (${before}, ${after}) at dimension ${dim} of input ${formatShape(input.shape)}`,
      });
    }
    return [input.slice(dim, 1, 1 + before).flip([dim]), input.slice(dim, extent - 1 - after, extent - 1).flip([dim])];
  },
  replicate: (input, dim, before, after) => [
    repeated(input.slice(dim, 0, 1), dim, before),
    repeated(input.slice(dim, input.shape[dim] - 1), dim, after),
  ],
  circular(input, dim, before, after) {
    const extent = input.shape[dim];
    if (before > extent || after > extent) {
      fail('E107', { op: 'pad', problem: 'Padding value causes wrapping around more than once.' });
    }
    return [input.slice(dim, extent - before), input.slice(dim, 0, after)];
  },
};

/** One dim padded; negative sizes crop. */
function padAlong(input: Tensor, dim: number, before: number, after: number, border: Border): Tensor {
  const [left, right] = border(input, dim, Math.max(before, 0), Math.max(after, 0));
  const pieces = [left, input, right].filter(piece => piece.shape[dim] > 0);
  const whole = pieces.length === 1 ? pieces[0] : cat(pieces, dim);
  return before < 0 || after < 0
    ? whole.slice(dim, Math.max(-before, 0), whole.shape[dim] + Math.min(after, 0))
    : whole;
}

export const constantPadNd: Op<
  (input: Tensor, pad: readonly number[], value?: Scalar | { readonly value?: Scalar }) => Tensor
> = composite({
  name: 'constantPadNd',
  doc: 'One value around the last dims: pad with a constant.',
  signature: 'input: tensor, pad: ints, value: any = 0',
  compute: ({ input, pad: amounts, value }) => pad(input, [amounts].flat(), { value }),
  samples: [sample(random([2, 3]), [1, 2], 0.5)],
});

export const pad: Op<
  (
    input: Tensor,
    pad: readonly number[],
    mode?: Mode | { mode?: Mode; value?: Scalar | null },
    value?: Scalar | null,
  ) => Tensor
> = composite({
  name: 'pad',
  doc: 'The input surrounded by cells: pad holds [before, after] of the last dim, then of the one before it, and so on.',
  signature: "input: tensor, pad: ints, mode: string = 'constant', value: number = null",
  compute({ input, pad: sizes, mode, value }) {
    if (sizes.length % 2 !== 0 || sizes.length > 2 * input.ndim) {
      fail('E107', {
        op: 'pad',
        problem: `padding must hold pairs for at most ${input.ndim} dims, but is [${sizes.join(', ')}]`,
      });
    }
    const pairOf = (d: number): [number, number] => {
      const at = 2 * (input.ndim - 1 - d);
      return [sizes[at] ?? 0, sizes[at + 1] ?? 0];
    };
    const dims = input.shape.map((_: number, d: number) => d);
    if (mode === 'constant') return constantPad(input, dims.flatMap(pairOf), value ?? 0);
    if (!(mode in borders)) fail('E110', { op: 'pad', problem: `Unrecognised padding mode ${mode}` });
    const border = borders[mode as keyof typeof borders];
    const padded = dims.filter((d: number) => pairOf(d).some(size => size !== 0));
    return padded.reduce((x: Tensor, d: number) => padAlong(x, d, ...pairOf(d), border), input);
  },
  samples: [
    sample(random([2, 3]), [1, 2]),
    sample(random([2, 3]), [1, -1, 0, 2], { value: 0.5 }),
    sample(random([1, 2, 4]), [2, 1], 'reflect'),
    sample(random([1, 2, 3]), [2, 1], 'replicate'),
    sample(random([1, 2, 3]), [2, 1], 'circular'),
  ],
  errors: [{ args: [random([1, 3]), [3, 0], 'reflect'], message: /Padding size should be less than/ }],
});
