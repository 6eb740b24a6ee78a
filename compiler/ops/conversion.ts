/** Conversion between dtypes, and copies. */
import { computeType, type DType, isFloat } from '../ir/dtype.js';
import { cast } from '../ir/kernel.js';
import { composite, define, type Op } from './define.js';
import { random, sample, sampleWithoutGradient } from './samples.js';
import { Tensor } from './tensor.js';

type Unary = Op<(input: Tensor) => Tensor>;

/** Elementwise conversion; `to` on the Tensor class returns the tensor itself where the dtype is already right. */
export const castTo: Op<(input: Tensor, dtype: DType) => Tensor> = define({
  name: 'castTo',
  gradName: 'ToCopyBackward0',
  doc: 'The input converted to another dtype: floats truncate to integers, anything nonzero is true.',
  signature: 'input: tensor, dtype: dtype',
  fusion: 'pointwise',
  elementwise: true,
  infer: ([input], attrs) => ({ dtype: attrs.dtype as DType, shape: input.shape }),
  lower: {
    kind: 'map',
    element: (at, [input], _, type) => cast(computeType(type.dtype), cast(type.dtype, input.at(at))),
  },
  vjp: c => [isFloat(c.types[0].dtype) ? castTo(c.grad, c.types[0].dtype) : null],
  samples: [
    sampleWithoutGradient(random([2, 3]), 'int32'),
    sample(random([2, 3]), 'float64'),
    sampleWithoutGradient(random([2, 3]), 'bool'),
  ],
});

export const clone: Unary = define({
  name: 'clone',
  doc: 'A copy with memory of its own; gradients pass through.',
  signature: 'input: tensor',
  fusion: 'pointwise',
  elementwise: true,
  infer: ([input]) => input,
  lower: { kind: 'map', element: (at, [input]) => input.at(at) },
  vjp: ({ grad }) => [grad],
  samples: [sample(random([2, 3]))],
});

export const contiguous: Unary = composite({
  name: 'contiguous',
  doc: 'The input in row-major memory: itself where it lies so already.',
  signature: 'input: tensor',
  compute: ({ input }) => (input.isContiguous() ? input : clone(input)),
  samples: [sample(random([2, 3]))],
});

export const to: Op<(input: Tensor, dtype: DType | Tensor) => Tensor> = composite({
  name: 'to',
  doc: 'The input in another dtype, given by name or by a tensor that has it; itself where it has that dtype already.',
  signature: 'input: tensor, dtype: any',
  compute({ input, dtype }) {
    const wanted = dtype instanceof Tensor ? dtype.dtype : dtype;
    return input.dtype === wanted ? input : castTo(input, wanted);
  },
  samples: [sample(random([2, 3]), 'float64'), sampleWithoutGradient(random([2, 3]), 'int64')],
});

export const typeAs: Op<(input: Tensor, other: Tensor) => Tensor> = composite({
  name: 'typeAs',
  doc: 'The input in the dtype of another tensor.',
  signature: 'input: tensor, other: tensor',
  compute: ({ input, other }) => to(input, other.dtype),
  samples: [sample(random([2, 3]), random([1]))],
});

const conversion = (name: string, dtype: DType): Unary =>
  composite({
    name,
    doc: `The input as ${dtype}.`,
    signature: 'input: tensor',
    compute: ({ input }) => to(input, dtype),
    samples: [dtype === 'float64' ? sample(random([3])) : sampleWithoutGradient(random([3]))],
  });

export const float: Unary = conversion('float', 'float32');
export const double: Unary = conversion('double', 'float64');
export const half: Unary = conversion('half', 'float16');
export const bfloat16: Unary = conversion('bfloat16', 'bfloat16');
export const long: Unary = conversion('long', 'int64');
export const int: Unary = conversion('int', 'int32');
export const short: Unary = conversion('short', 'int16');
export const char: Unary = conversion('char', 'int8');
export const byte: Unary = conversion('byte', 'uint8');
export const bool: Unary = conversion('bool', 'bool');
