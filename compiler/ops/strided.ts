/** The memory under a tensor by size, stride and offset, whatever view of it the tensor is. */
import { fail } from '../errors.js';
import { addIndex, type Expr, index, iterOf, loop, makeIter, mulIndex, type Stmt } from '../ir/kernel.js';
import { formatShape, mayOverlap, numel, type Shape, sameShape } from '../ir/shape.js';
import { composite, define, view as defineView, type Op } from './define.js';
import { random, sample } from './samples.js';
import { listOfInts } from './signature.js';
import { assignInPlace, firstLayout, noGrad, recordFunction } from './tape.js';
import { executor, type Tensor } from './tensor.js';
import { reindex } from './view.js';

interface Geometry {
  readonly size: Shape;
  readonly stride: readonly number[];
  readonly storageOffset: number;
}
const geometryOf = (tensor: Tensor): Geometry => ({
  size: tensor.shape,
  stride: tensor.stride(),
  storageOffset: tensor.storageOffset(),
});

const refuseStrides = (problem: string, hint?: string): never => fail('E110', { op: 'asStrided', problem, hint });

function checkGeometry({ size, stride, storageOffset }: Geometry, memory: Shape): void {
  if (size.length !== stride.length)
    refuseStrides(`mismatch in length of strides and shape: ${formatShape(stride)} and ${formatShape(size)}`);
  if (storageOffset < 0 || stride.some(step => step < 0))
    refuseStrides(
      `negative strides or offsets are not supported: got strides ${formatShape(stride)}, offset ${storageOffset}`,
    );
  const last = storageOffset + size.reduce((sum, dim, d) => sum + (dim - 1) * stride[d], 0);
  if (numel(size) > 0 && last >= numel(memory)) {
    refuseStrides(
      `sizes ${formatShape(size)}, strides ${formatShape(stride)} and offset ${storageOffset} reach element ${last}, out of bounds for a tensor of ${numel(memory)} elements`,
    );
  }
}

/** The tensor whose elements, in order, are the memory of `input` from its start. */
function memoryUnder(input: Tensor): Tensor {
  const owner = input.meta.base ?? executor().stateUnder?.(input) ?? input;
  const memory = noGrad(() => firstLayout(owner));
  if (memory.storageOffset() > 0 || !memory.isContiguous())
    refuseStrides(
      'strides over the memory of a view whose base is not known are not supported, such as that of a detached view',
      'take them of the tensor that owns the memory, or of view.clone()',
    );
  if (memory !== input && !executor().sharesMemory(memory, input))
    refuseStrides('strides over the memory of a view from outside a loop or branch', 'take the view inside the body');
  return memory;
}

type Offset = number | null;
type Strided = Op<
  (
    input: Tensor,
    size: Shape,
    stride: readonly number[],
    storageOffset?: Offset | { readonly storageOffset?: Offset },
  ) => Tensor
>;

/**
 * The node of `asStrided`, and how a trace sees what is part of captured memory; its input lies whole at the start of its
 * memory.
 */
const strided: Strided = defineView({
  name: 'strided',
  doc: 'The elements of a contiguous tensor under another size, stride and offset (in elements).',
  signature: 'input: tensor, size: size, stride: ints, storageOffset: int = 0',
  gradName: 'AsStridedBackward0',
  attrs({ size, stride, storageOffset }, input) {
    const geometry = { size, stride: listOfInts(stride), storageOffset };
    checkGeometry(geometry, input.shape);
    return geometry;
  },
  infer: (input, attrs) => ({ dtype: input.dtype, shape: attrs.size as Shape }),
  map(at, input, attrs) {
    const strides = attrs.stride as number[];
    const linear = at.reduce<Expr>(
      (sum, i, d) => addIndex(sum, mulIndex(i, strides[d])),
      index(attrs.storageOffset as number),
    );
    return reindex([linear], [numel(input.shape)], input.shape);
  },
  strides: (_input, _strides, attrs) => ({
    offset: attrs.storageOffset as number,
    strides: [...(attrs.stride as number[])],
  }),
  vjp: c => [stridedBackward(c.grad, c.types[0].shape, c.attrs.stride as number[], c.attrs.storageOffset as number)],
  samples: [sample(random([4, 3]), [3, 2], [1, 3], 1)],
});

export const asStrided: Strided = composite({
  name: 'asStrided',
  doc: 'The memory that a tensor lies in under another size, stride and offset (in elements; default: its own offset).',
  signature: 'input: tensor, size: size, stride: ints, storageOffset: int = null',
  compute({ input, size, stride, storageOffset }) {
    const memory = memoryUnder(input);
    const wanted: Geometry = {
      size,
      stride: listOfInts(stride),
      storageOffset: storageOffset ?? input.storageOffset(),
    };
    checkGeometry(wanted, memory.shape);
    if (memory === input) return strided(input, wanted.size, wanted.stride, wanted.storageOffset);
    const output = noGrad(() => strided(memory, wanted.size, wanted.stride, wanted.storageOffset));
    const own = geometryOf(input);
    recordFunction('AsStridedBackward0', [input], output, grad => [betweenViews(grad, wanted, own, memory.shape)]);
    return output;
  },
  samples: [sample(random([4, 3]), [3, 2], [1, 3], 1), sample(random([4, 3]), [3, 2], [2, 1])],
  errors: [
    { args: [random([4, 3]), [4, 4], [3, 1], 0], message: /reach element 12, out of bounds for a tensor of 12/ },
  ],
});

export const asStridedScatter: Op<
  (
    input: Tensor,
    src: Tensor,
    size: readonly number[],
    stride: readonly number[],
    storageOffset?: Offset | { readonly storageOffset?: Offset },
  ) => Tensor
> = composite({
  name: 'asStridedScatter',
  doc: 'A copy whose memory has, under the given size, stride and offset, the elements of src.',
  signature: 'input: tensor, src: tensor, size: ints, stride: ints, storageOffset: int = null',
  compute({ input, src, size, stride, storageOffset }) {
    const copy: Tensor = input.clone();
    const part = copy.asStrided(listOfInts(size), stride, storageOffset ?? input.storageOffset());
    if (!sameShape(part.shape, src.shape))
      fail('E107', {
        op: 'asStridedScatter',
        problem: `expected src to have the size ${formatShape(part.shape)}, but it has ${formatShape(src.shape)}`,
      });
    assignInPlace(part, src.expand(part.shape));
    return copy;
  },
  samples: [sample(random([4, 3]), random([3, 2]), [3, 2], [3, 1], 1)],
});

/**
 * The gradient of one view of a memory as that of another: added up where places are read more than once, dropped outside,
 * and shared where the other shows a place more than once. After PyTorch's `as_strided_backward`.
 */
function betweenViews(grad: Tensor, from: Geometry, to: Geometry, memory: Shape): Tensor {
  const inMemory = (values: Tensor, { stride, storageOffset }: Geometry): Tensor =>
    stridedBackward(values, memory, stride, storageOffset);
  const read = (values: Tensor): Tensor => strided(values, to.size, to.stride, to.storageOffset);
  const total = read(inMemory(grad, from));
  return mayOverlap(to.size, to.stride) ? total.div(read(inMemory(total.detach().onesLike(), to))) : total;
}

/** The gradient of `strided`: every element added where it was read. */
const stridedBackward: Op<(grad: Tensor, shape: Shape, stride: readonly number[], storageOffset: number) => Tensor> =
  define({
    name: 'stridedBackward',
    doc: 'Zeros of the given shape with the gradient added at the places that the strides name.',
    signature: 'grad: tensor, shape: ints, stride: ints, storageOffset: int',
    fusion: 'opaque',
    infer: ([grad], attrs) => ({ dtype: grad.dtype, shape: attrs.shape as Shape }),
    lower: {
      kind: 'program',
      build({ inputs: [grad], attrs, type, out }) {
        const iters = grad.type.shape.map((extent, d) => makeIter(`i${d}`, extent));
        const at = iters.map(iterOf);
        const strides = attrs.stride as number[];
        const linear = at.reduce<Expr>(
          (sum, i, d) => addIndex(sum, mulIndex(i, strides[d])),
          index(attrs.storageOffset as number),
        );
        const accumulate: readonly Stmt[] = [
          out.reduce(reindex([linear], [numel(type.shape)], type.shape), 'add', grad.at(at)),
        ];
        return [
          out.fill(0),
          ...iters.reduceRight<readonly Stmt[]>((body, iter) => [loop(iter, 'serial', body)], accumulate),
        ];
      },
    },
    vjp: c => [strided(c.grad.clone(), c.types[0].shape, c.attrs.stride as number[], c.attrs.storageOffset as number)],
    samples: [sample(random([3, 2]), [4, 3], [1, 3], 1)],
  });
