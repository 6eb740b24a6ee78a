/**
 * Convolution in any number of dims, with stride, padding, dilation and groups.
 *
 * Three bilinear nodes, each a contraction and each the gradient of the others: from input and weight to output, from
 * output gradient and weight to input gradient (which is also transposed convolution), from input and output gradient
 * to weight gradient. So every order of derivative stays among them, and none scatters.
 *
 *   y[n, o, s]  = Σ c, k   x[n, c, s·stride + k·dilation - padding] · w[o, c, k]
 *   dx[n, c, p] = Σ o, k   dy[n, o, (p + padding - k·dilation) / stride] · w[o, c, k]      where the division is exact
 *   dw[o, c, k] = Σ n, s   x[n, c, s·stride + k·dilation - padding] · dy[n, o, s]
 */
import { fail } from '../errors.js';
import { computeType } from '../ir/dtype.js';
import type { Attrs, TensorType } from '../ir/graph.js';
import {
  addIndex,
  both,
  call,
  constant,
  type Expr,
  floorDivIndex,
  index,
  modIndex,
  mulIndex,
  select,
  subIndex,
} from '../ir/kernel.js';
import { type Dim, formatShape, type Shape } from '../ir/shape.js';
import { composite, define, type Op, type Operand } from './define.js';
import { exactly, random, sample } from './samples.js';
import { constantPad, inside, padDim } from './shape.js';
import { listOfInts } from './signature.js';
import type { Tensor } from './tensor.js';

interface Geometry {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}
const geometryOf = (attrs: Attrs): Geometry => attrs as unknown as Geometry;

/** Size of one output dim. */
const outputSize = (size: Dim, kernel: Dim, { stride, padding, dilation }: Geometry, d: number): Dim =>
  Math.floor((size + 2 * padding[d] - dilation[d] * (kernel - 1) - 1) / stride[d]) + 1;

/** Throws E108 for two dtypes, and for bool, which has no products. */
function checkTypes(op: string, input: TensorType, weight: TensorType): void {
  if (input.dtype !== weight.dtype)
    fail('E108', { op, problem: `Input type (${input.dtype}) and weight type (${weight.dtype}) should be the same` });
  if (input.dtype === 'bool') {
    const hint = 'convert with .int() or .float() first';
    fail('E108', { op, problem: 'is defined on numbers, not on bool', hint });
  }
}

function inferOutput(input: TensorType, weight: TensorType, attrs: Attrs): TensorType {
  const op = `conv${input.shape.length - 2}d`;
  const geometry = geometryOf(attrs);
  const [, channels, ...size] = input.shape;
  const [outChannels, groupChannels, ...kernel] = weight.shape;
  checkRanks(op, input, weight);
  checkGroups(op, geometry.groups);
  if (channels !== groupChannels * geometry.groups) {
    fail('E107', {
      op,
      problem: `Given groups=${geometry.groups}, weight of size ${formatShape(weight.shape)}, expected input${formatShape(input.shape)} to have ${groupChannels * geometry.groups} channels, but got ${channels} channels instead`,
    });
  }
  if (outChannels % geometry.groups !== 0)
    fail('E107', { op, problem: `the ${outChannels} output channels must be divisible by groups=${geometry.groups}` });
  checkTypes(op, input, weight);
  const out = size.map((dim, d) => outputSize(dim, kernel[d], geometry, d));
  if (out.some(dim => dim < 1)) {
    const padded = size.map((dim, d) => dim + 2 * geometry.padding[d]);
    fail('E107', {
      op,
      problem: `Calculated padded input size per channel: ${formatShape(padded)}. Kernel size: ${formatShape(kernel)}. Kernel size can't be greater than actual input size`,
    });
  }
  return { dtype: input.dtype, shape: [input.shape[0], outChannels, ...out] };
}

function checkRanks(op: string, input: TensorType, weight: TensorType): void {
  if (input.shape.length === weight.shape.length) return;
  fail('E107', {
    op,
    problem: `Expected ${weight.shape.length}D input to ${op}, but got input of size: ${formatShape(input.shape)} with weight of size ${formatShape(weight.shape)}`,
  });
}

function checkGroups(op: string, groups: number): void {
  if (groups < 1) fail('E110', { op, problem: `non-positive groups is not supported: ${groups}` });
}

/** The element of a padded operand: 0 outside. */
function guarded(operand: Operand, position: readonly Expr[], conditions: readonly (Expr | null)[]): Expr {
  const valid = conditions.reduce(both, null);
  const value = operand.at(position);
  return valid === null ? value : select(valid, value, constant(computeType(operand.type.dtype), 0));
}

/** The input channel that channel `c` of a group is, for output channel `o`. */
const channelOf = (o: Expr, c: Expr, outPerGroup: Dim, inPerGroup: Dim, groups: number): Expr =>
  groups === 1 ? c : addIndex(mulIndex(floorDivIndex(o, outPerGroup), inPerGroup), c);

/** x[n, group(o)·C/g + c, s·stride + k·dilation - padding]. */
function inputAt(
  input: Operand,
  n: Expr,
  channel: Expr,
  s: readonly Expr[],
  k: readonly Expr[],
  { stride, padding, dilation }: Geometry,
): Expr {
  const position = s.map((i, d) => subIndex(addIndex(mulIndex(i, stride[d]), mulIndex(k[d], dilation[d])), padding[d]));
  return guarded(
    input,
    [n, channel, ...position],
    position.map((p, d) => inside(p, input.type.shape[d + 2])),
  );
}

const signature = 'stride: ints, padding: ints, dilation: ints, groups: int';
type GeometryArgs = [
  stride: readonly number[],
  padding: readonly number[],
  dilation: readonly number[],
  groups: number,
];
const argsOf = ({ stride, padding, dilation, groups }: Geometry): GeometryArgs => [stride, padding, dilation, groups];

export const convolution: Op<(input: Tensor, weight: Tensor, ...geometry: GeometryArgs) => Tensor> = define({
  name: 'convolution',
  doc: 'Cross-correlation of input [N, C, ...] with weight [O, C / groups, ...].',
  signature: `input: tensor, weight: tensor, ${signature}`,
  fusion: 'contraction',
  infer: ([input, weight], attrs) => inferOutput(input, weight, attrs),
  lower: {
    kind: 'reduce',
    fn: 'add',
    extents: ([, weight]) => weight.shape.slice(1),
    element([n, o, ...s], [c, ...k], [input, weight], attrs) {
      const geometry = geometryOf(attrs);
      const [outChannels, groupChannels] = weight.type.shape;
      const channel = channelOf(o, c, outChannels / geometry.groups, groupChannels, geometry.groups);
      return call('mul', inputAt(input, n, channel, s, k, geometry), weight.at([o, c, ...k]));
    },
  },
  vjp: c => {
    const geometry = argsOf(geometryOf(c.attrs));
    return [
      c.needs(0) ? convolutionInput(c.grad, c.in(1), c.types[0].shape, ...geometry) : null,
      c.needs(1) ? convolutionWeight(c.in(0), c.grad, c.types[1].shape, ...geometry) : null,
    ];
  },
  samples: [
    sample(random([2, 3, 5, 6]), random([4, 3, 3, 2]), [1, 1], [0, 0], [1, 1], 1),
    sample(random([1, 4, 7, 6]), random([6, 2, 3, 3]), [2, 1], [1, 2], [1, 2], 2),
    sample(random([2, 3, 9]), random([2, 3, 4]), [3], [2], [1], 1),
  ],
  errors: [
    {
      args: [random([1, 2, 5, 5]), random([4, 3, 3, 3]), [1, 1], [0, 0], [1, 1], 1],
      message: /to have 3 channels, but got 2 channels instead/,
    },
    {
      args: [random([1, 4, 3, 3]), random([4, 2, 1, 1]), [1, 1], [0, 0], [1, 1], 0],
      message: /conv2d: non-positive groups is not supported: 0/,
    },
    {
      args: [exactly([1, 1, 2], [1, 0], 'bool'), exactly([1, 1, 1], [1], 'bool'), [1], [0], [1], 1],
      message: /conv1d: is defined on numbers, not on bool/,
    },
  ],
});

/** The gradient of `convolution` with respect to its input of the given shape. */
export const convolutionInput: Op<(grad: Tensor, weight: Tensor, shape: Shape, ...geometry: GeometryArgs) => Tensor> =
  define({
    name: 'convolutionInput',
    doc: 'The input gradient of a convolution; as an operation of its own, transposed convolution.',
    signature: `grad: tensor, weight: tensor, shape: ints, ${signature}`,
    gradName: 'ConvolutionBackwardBackward0',
    fusion: 'contraction',
    infer([grad, weight], attrs) {
      checkTypes(`convTranspose${grad.shape.length - 2}d`, grad, weight);
      return { dtype: grad.dtype, shape: attrs.shape as Shape };
    },
    lower: {
      kind: 'reduce',
      fn: 'add',
      extents: ([, weight], attrs) => [weight.shape[0] / geometryOf(attrs).groups, ...weight.shape.slice(2)],
      element([n, channel, ...p], [oInGroup, ...k], [grad, weight], attrs) {
        const { stride, padding, dilation, groups } = geometryOf(attrs);
        const [outChannels, groupChannels] = weight.type.shape;
        const o = channelOf(channel, oInGroup, groupChannels, outChannels / groups, groups);
        const numerator = p.map((i, d) => subIndex(addIndex(i, padding[d]), mulIndex(k[d], dilation[d])));
        const s = numerator.map((t, d) => floorDivIndex(t, stride[d]));
        const exact = numerator.map((t, d) => (stride[d] === 1 ? null : call('eq', modIndex(t, stride[d]), index(0))));
        const valid = s.map((i, d) => both(inside(i, grad.type.shape[d + 2]), exact[d]));
        return call(
          'mul',
          guarded(grad, [n, o, ...s], valid),
          weight.at([o, groups === 1 ? channel : modIndex(channel, groupChannels), ...k]),
        );
      },
    },
    vjp: c => {
      const geometry = argsOf(geometryOf(c.attrs));
      return [
        c.needs(0) ? convolution(c.grad, c.in(1), ...geometry) : null,
        c.needs(1) ? convolutionWeight(c.grad, c.in(0), c.types[1].shape, ...geometry) : null,
      ];
    },
    samples: [
      sample(random([2, 4, 3, 5]), random([4, 3, 3, 2]), [2, 3, 5, 6], [1, 1], [0, 0], [1, 1], 1),
      sample(random([1, 6, 4, 6]), random([6, 2, 3, 3]), [1, 4, 7, 6], [2, 1], [1, 2], [1, 2], 2),
    ],
    errors: [
      {
        args: [random([1, 1, 2]), random([1, 1, 1], -1, 1, 'float64'), [1, 1, 2], [1], [0], [1], 1],
        message: /convTranspose1d: Input type \(float32\) and weight type \(float64\) should be the same/,
      },
    ],
  });

/** The gradient of `convolution` with respect to its weight of the given shape. */
export const convolutionWeight: Op<(input: Tensor, grad: Tensor, shape: Shape, ...geometry: GeometryArgs) => Tensor> =
  define({
    name: 'convolutionWeight',
    doc: 'The weight gradient of a convolution.',
    signature: `input: tensor, grad: tensor, shape: ints, ${signature}`,
    gradName: 'ConvolutionBackwardBackward0',
    fusion: 'contraction',
    infer([input, grad], attrs) {
      checkTypes(`conv${input.shape.length - 2}d`, input, grad);
      return { dtype: input.dtype, shape: attrs.shape as Shape };
    },
    lower: {
      kind: 'reduce',
      fn: 'add',
      extents: ([, grad]) => [grad.shape[0], ...grad.shape.slice(2)],
      element([o, c, ...k], [n, ...s], [input, grad], attrs) {
        const geometry = geometryOf(attrs);
        const [outChannels, groupChannels] = attrs.shape as Shape;
        const channel = channelOf(o, c, outChannels / geometry.groups, groupChannels, geometry.groups);
        return call('mul', grad.at([n, o, ...s]), inputAt(input, n, channel, s, k, geometry));
      },
    },
    vjp: c => {
      const geometry = argsOf(geometryOf(c.attrs));
      return [
        c.needs(0) ? convolutionInput(c.in(1), c.grad, c.types[0].shape, ...geometry) : null,
        c.needs(1) ? convolution(c.in(0), c.grad, ...geometry) : null,
      ];
    },
    samples: [
      sample(random([2, 3, 5, 6]), random([2, 4, 3, 5]), [4, 3, 3, 2], [1, 1], [0, 0], [1, 1], 1),
      sample(random([1, 4, 7, 6]), random([1, 6, 4, 6]), [6, 2, 3, 3], [2, 1], [1, 2], [1, 2], 2),
    ],
  });

// ── as PyTorch names them ──────────────────────────────────────────────────────────────────────────────────────────────

/** A setting given once for all dims, or for each. */
export function perDim(op: string, name: string, value: number | readonly number[], rank: number): number[] {
  const list = listOfInts(value);
  if (list.length !== 1 && list.length !== rank)
    fail('E107', { op, problem: `${name} must be one number or ${rank}, but got [${list.join(', ')}]` });
  return Array.from({ length: rank }, (_, d) => (list.length === 1 ? list[0] : list[d]));
}

/** The same of what must be at least 1. */
function positivePerDim(op: string, name: string, value: number | readonly number[], rank: number): number[] {
  const list = perDim(op, name, value, rank);
  if (list.some(size => size < 1)) fail('E110', { op, problem: `non-positive ${name} is not supported: [${list}]` });
  return list;
}

export interface ConvOptions {
  readonly bias?: Tensor | null;
  readonly stride?: number | readonly number[];
  readonly padding?: number | readonly number[] | 'same' | 'valid';
  readonly dilation?: number | readonly number[];
  readonly groups?: number;
}
type Conv = Op<
  (
    input: Tensor,
    weight: Tensor,
    bias?: Tensor | null | ConvOptions,
    stride?: number | readonly number[] | ConvOptions,
    padding?: ConvOptions['padding'],
    dilation?: number | readonly number[],
    groups?: number,
  ) => Tensor
>;

interface ConvBound {
  input: Tensor;
  weight: Tensor;
  bias: Tensor | null;
  stride: number | readonly number[];
  padding: number | readonly number[] | string;
  dilation: number | readonly number[];
  groups: number;
}

const withBias = (out: Tensor, bias: Tensor | null): Tensor =>
  bias === null ? out : out.add(bias.reshape([1, -1, ...new Array<number>(out.ndim - 2).fill(1)]));

/** Run `fn` on an input with a batch dim, adding and removing one where it has none. */
export function batched(input: Tensor, rank: number, fn: (input: Tensor) => Tensor): Tensor {
  return input.ndim === rank + 1 ? fn(input.unsqueeze(0)).squeeze(0) : fn(input);
}

function convolve(
  op: string,
  rank: number,
  { input, weight, bias, stride, padding, dilation, groups }: ConvBound,
): Tensor {
  const strides = positivePerDim(op, 'stride', stride, rank);
  const dilations = positivePerDim(op, 'dilation', dilation, rank);
  return batched(input, rank, x => {
    if (padding === 'same') {
      if (strides.some(s => s !== 1))
        fail('E110', { op, problem: "padding='same' is not supported for strided convolutions" });
      const total = weight.shape.slice(2).map((kernel, d) => dilations[d] * (kernel - 1));
      const padded = total.reduce((t, pad, d) => (pad % 2 === 0 ? t : padDim(t, d + 2, 0, 1)), x);
      const even = total.map(pad => Math.floor(pad / 2));
      return withBias(convolution(padded, weight, strides, even, dilations, groups), bias);
    }
    if (typeof padding === 'string' && padding !== 'valid')
      fail('E110', { op, problem: `padding must be numbers, 'same' or 'valid', not '${padding}'` });
    const pads = perDim(op, 'padding', typeof padding === 'string' ? 0 : padding, rank);
    return withBias(convolution(x, weight, strides, pads, dilations, groups), bias);
  });
}

/** PyTorch's step; of an input without a batch dim that which takes the dim away again. */
const stepOf =
  (rank: number) =>
  ({ input }: { input: Tensor }): string =>
    input.ndim === rank + 2 ? 'ConvolutionBackward0' : 'SqueezeBackward1';

const convSignature =
  'input: tensor, weight: tensor, bias: tensor = null, stride: ints = 1, padding: any = 0, dilation: ints = 1, groups: int = 1';

export const conv1d: Conv = composite({
  name: 'conv1d',
  gradName: stepOf(1),
  doc: 'Convolution of [N, C, L] (or [C, L]) with weight [O, C / groups, K].',
  signature: convSignature,
  compute: bound => convolve('conv1d', 1, bound),
  samples: [sample(random([2, 3, 7]), random([4, 3, 3]), random([4]), { padding: 'same' })],
});
export const conv2d: Conv = composite({
  name: 'conv2d',
  gradName: stepOf(2),
  doc: 'Convolution of [N, C, H, W] (or [C, H, W]) with weight [O, C / groups, KH, KW].',
  signature: convSignature,
  compute: bound => convolve('conv2d', 2, bound),
  samples: [
    sample(random([2, 3, 5, 5]), random([4, 3, 2, 3]), random([4]), { stride: 2, padding: 1 }),
    sample(random([3, 5, 5]), random([4, 3, 2, 2])),
  ],
});
export const conv3d: Conv = composite({
  name: 'conv3d',
  gradName: stepOf(3),
  doc: 'Convolution of [N, C, D, H, W] (or [C, D, H, W]) with weight [O, C / groups, KD, KH, KW].',
  signature: convSignature,
  compute: bound => convolve('conv3d', 3, bound),
  samples: [sample(random([1, 2, 3, 4, 3]), random([2, 2, 2, 2, 2]), random([2]), { padding: 1 })],
});

export interface ConvTransposeOptions {
  readonly bias?: Tensor | null;
  readonly stride?: number | readonly number[];
  readonly padding?: number | readonly number[];
  readonly outputPadding?: number | readonly number[];
  readonly groups?: number;
  readonly dilation?: number | readonly number[];
}
type ConvTranspose = Op<
  (
    input: Tensor,
    weight: Tensor,
    bias?: Tensor | null | ConvTransposeOptions,
    stride?: number | readonly number[] | ConvTransposeOptions,
    padding?: number | readonly number[],
    outputPadding?: number | readonly number[],
    groups?: number,
    dilation?: number | readonly number[],
  ) => Tensor
>;

function convolveTransposed(
  op: string,
  rank: number,
  bound: ConvBound & { outputPadding: number | readonly number[] },
): Tensor {
  const [padding, extra] = (['padding', 'outputPadding'] as const).map(name =>
    perDim(op, name, bound[name] as number, rank),
  );
  const [stride, dilation] = (['stride', 'dilation'] as const).map(name => positivePerDim(op, name, bound[name], rank));
  const { weight, groups } = bound;
  if (extra.some((pad, d) => pad >= Math.max(stride[d], dilation[d]))) {
    const problem = `output padding must be smaller than either stride or dilation, but is [${extra}]`;
    fail('E110', { op, problem });
  }
  return batched(bound.input, rank, x => {
    checkTransposed(op, x.type, weight.type, groups);
    const reach = x.shape.slice(2).map((dim, d) => (dim - 1) * stride[d] + dilation[d] * (weight.shape[d + 2] - 1) + 1);
    const lead = [x.shape[0], weight.shape[1] * groups];
    if (extra.some((pad, d) => pad >= stride[d])) {
      // A convolution of so large an output would have more places than the input has: what they reach, cut and padded.
      const none = reach.map(() => 0);
      const whole = convolutionInput(x, weight, [...lead, ...reach], stride, none, dilation, groups);
      const edges = reach.flatMap((_, d) => [-padding[d], extra[d] - padding[d]]);
      return withBias(constantPad(whole, [0, 0, 0, 0, ...edges]), bound.bias);
    }
    const size = reach.map((size, d) => size - 2 * padding[d] + extra[d]);
    if (size.some(dim => dim < 1)) {
      const problem = `Given input size per channel: ${formatShape(x.shape.slice(2))}. Calculated output size per channel: ${formatShape(size)}. Output size is too small`;
      fail('E107', { op, problem });
    }
    return withBias(convolutionInput(x, weight, [...lead, ...size], stride, padding, dilation, groups), bound.bias);
  });
}

function checkTransposed(op: string, input: TensorType, weight: TensorType, groups: number): void {
  checkRanks(op, input, weight);
  checkGroups(op, groups);
  const [channels] = weight.shape;
  if (input.shape[1] !== channels) {
    fail('E107', {
      op,
      problem: `Given transposed=1, weight of size ${formatShape(weight.shape)}, expected input${formatShape(input.shape)} to have ${channels} channels, but got ${input.shape[1]} channels instead`,
    });
  }
  if (channels % groups !== 0)
    fail('E107', { op, problem: `the ${channels} channels must be divisible by groups=${groups}` });
}

const transposeSignature =
  'input: tensor, weight: tensor, bias: tensor = null, stride: ints = 1, padding: ints = 0, outputPadding: ints = 0, groups: int = 1, dilation: ints = 1';

export const convTranspose1d: ConvTranspose = composite({
  name: 'convTranspose1d',
  gradName: stepOf(1),
  doc: 'Transposed convolution of [N, C, L] with weight [C, O / groups, K].',
  signature: transposeSignature,
  compute: bound => convolveTransposed('convTranspose1d', 1, bound),
  samples: [
    sample(random([2, 3, 4]), random([3, 2, 3]), random([2]), { stride: 2, outputPadding: 1 }),
    sample(random([1, 2, 3]), random([2, 2, 3]), random([2]), { dilation: 3, padding: 1, outputPadding: 2 }),
  ],
});
export const convTranspose2d: ConvTranspose = composite({
  name: 'convTranspose2d',
  gradName: stepOf(2),
  doc: 'Transposed convolution of [N, C, H, W] with weight [C, O / groups, KH, KW].',
  signature: transposeSignature,
  compute: bound => convolveTransposed('convTranspose2d', 2, bound),
  samples: [sample(random([1, 4, 3, 4]), random([4, 3, 2, 3]), random([6]), { stride: 2, padding: 1, groups: 2 })],
  errors: [
    {
      args: [random([1, 5, 3, 3]), random([5, 2, 1, 1]), null, { groups: 2 }],
      message: /convTranspose2d: the 5 channels must be divisible by groups=2/,
    },
    {
      args: [random([1, 4, 3, 3]), random([4, 2, 1, 1]), null, { groups: 0 }],
      message: /convTranspose2d: non-positive groups is not supported: 0/,
    },
    {
      args: [random([1, 4, 1, 1]), random([4, 2, 1, 1]), null, { padding: 1 }],
      message: /Calculated output size per channel: \[-1, -1\]\. Output size is too small/,
    },
    {
      args: [random([1, 1, 3]), random([1, 1, 1]), null],
      message: /Expected 3D input to convTranspose2d/,
    },
  ],
});
export const convTranspose3d: ConvTranspose = composite({
  name: 'convTranspose3d',
  gradName: stepOf(3),
  doc: 'Transposed convolution of [N, C, D, H, W] with weight [C, O / groups, KD, KH, KW].',
  signature: transposeSignature,
  compute: bound => convolveTransposed('convTranspose3d', 3, bound),
  samples: [sample(random([1, 2, 2, 2, 2]), random([2, 1, 2, 2, 2]))],
});
