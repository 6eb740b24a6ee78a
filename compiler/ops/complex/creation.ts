/** Complex tensors made of real ones, and seen as such. */
import { fail } from '../../errors.js';
import { composite, type Op } from '../define.js';
import { random, sample } from '../samples.js';
import { isComplexTensor, overPair, realForm, type Tensor } from '../tensor.js';
import { asWritten, fromParts } from './parts.js';

type Pair = Op<(first: Tensor, second: Tensor) => Tensor>;

function checkParts(op: string, first: Tensor, second: Tensor): void {
  const wide = ({ dtype }: Tensor): boolean => dtype === 'float32' || dtype === 'float64';
  if (!wide(first) || !wide(second))
    fail('E108', {
      op,
      problem: `Expected both inputs to be Float or Double tensors but got ${first.dtype} and ${second.dtype}`,
      hint: 'convert them with .float() or .double() first',
    });
  if (first.dtype !== second.dtype)
    fail('E108', {
      op,
      problem: `Expected object of scalar type ${first.dtype} but got scalar type ${second.dtype} for second argument`,
    });
}

const ofTwo = (name: string, doc: string, names: readonly [string, string], make: Pair | FromTwo): Pair =>
  composite({
    name,
    doc,
    signature: `${names[0]}: tensor, ${names[1]}: tensor`,
    gradName: `${name[0].toUpperCase()}${name.slice(1)}Backward0`,
    compute(bound) {
      const [first, second]: Tensor[] = names.map(parameter => bound[parameter]);
      checkParts(name, first, second);
      return make(first, second);
    },
    samples: [],
    errors: [{ args: [random([2], -1, 1, 'float64'), random([2])], message: /for second argument/ }],
  });
type FromTwo = (first: Tensor, second: Tensor) => Tensor;

export const complex: Pair = ofTwo('complex', 'Complex numbers of these parts.', ['real', 'imag'], (re, im) => {
  const shape = re.add(im.detach()).shape;
  return fromParts(re.expand(shape), im.expand(shape));
});
export const polar: Pair = ofTwo(
  'polar',
  'Complex numbers of these magnitudes and angles.',
  ['abs', 'angle'],
  (length, angle) => fromParts(length.mul(angle.cos()), length.mul(angle.sin())),
);

type Seen = Op<(input: Tensor) => Tensor>;

export const viewAsComplex: Seen = composite({
  name: 'viewAsComplex',
  doc: 'Numbers of the same memory whose parts are the last dim of the input, which is 2.',
  signature: 'input: tensor',
  compute({ input }: { input: Tensor }) {
    const problem = (text: string, hint?: string): never => fail('E107', { op: 'viewAsComplex', problem: text, hint });
    if (input.dtype !== 'float32' && input.dtype !== 'float64')
      problem(`only supported for float and double tensors, but got a tensor of scalar type ${input.dtype}`);
    if (input.ndim === 0) problem('Input tensor must have one or more dimensions');
    if (input.shape[input.ndim - 1] !== 2) problem('Tensor must have a last dimension of size 2');
    const hint = 'call contiguous() first; the copy then shares nothing with the original';
    const strides = input.stride();
    if (strides[input.ndim - 1] !== 1) problem('Tensor must have a last dimension with stride 1', hint);
    if (strides.slice(0, -1).some(stride => stride % 2 !== 0))
      problem('Tensor must have a stride divisible by 2 for all but last dimension', hint);
    if (input.storageOffset() % 2 !== 0) problem('Tensor must have a storage_offset divisible by 2', hint);
    return overPair(input);
  },
  samples: [],
  errors: [
    { args: [random([3])], message: /a last dimension of size 2/ },
    { args: [random([2], -1, 1, 'int64')], message: /only supported for float and double/ },
  ],
});

export const viewAsReal: Seen = composite({
  name: 'viewAsReal',
  doc: 'The parts of complex numbers as a new last dim of 2, in the same memory.',
  signature: 'input: tensor',
  compute: ({ input }: { input: Tensor }) =>
    isComplexTensor(input)
      ? realForm(input)
      : fail('E108', { op: 'viewAsReal', problem: 'view_as_real is only supported for complex tensors' }),
  samples: [],
  errors: [{ args: [random([2])], message: /only supported for complex tensors/ }],
});
asWritten(viewAsReal);

const itself = (name: string, doc: string): Seen =>
  composite({ name, doc, signature: 'input: tensor', compute: ({ input }) => input, samples: [sample(random([3]))] });
export const resolveConj: Seen = itself('resolveConj', 'The tensor itself: conjugates are computed at once.');
export const resolveNeg: Seen = itself('resolveNeg', 'The tensor itself: negatives are computed at once.');
asWritten(resolveConj, resolveNeg);
