/** `fft`: discrete Fourier transforms under PyTorch's names, of real and complex tensors. */
import { fail } from '../../errors.js';
import { complexTypeOf, type DType, getDefaultDtype, isComplexDType, isFloat, partType } from '../../ir/dtype.js';
import { normalizeDim, normalizeDims, numel } from '../../ir/shape.js';
import { asComplex, asWritten } from '../complex/parts.js';
import { composite, type Op } from '../define.js';
import { random, sample } from '../samples.js';
import { padDim, roll } from '../shape.js';
import type { Bound } from '../signature.js';
import { isComplexTensor, overPair, realForm, type Tensor, tensorOver } from '../tensor.js';
import { halfWeights, type Sign } from './tables.js';
import { transformed } from './transform.js';

export type Norm = 'backward' | 'forward' | 'ortho';

// ── one dim ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the transform of n numbers is multiplied with; `whole` names the direction that has 1/n. */
function scaleOf(op: string, norm: Norm | null, n: number, whole: Norm): number {
  const given = norm ?? 'backward';
  if (given !== 'backward' && given !== 'forward' && given !== 'ortho')
    fail('E110', {
      op,
      problem: `Invalid normalization mode: "${given}"`,
      hint: "use 'backward', 'forward' or 'ortho'",
    });
  if (given === 'ortho') return 1 / Math.sqrt(n);
  return given === whole ? 1 / n : 1;
}

/** Floats as they are, integers in the default dtype. */
function checked(op: string, input: Tensor): Tensor {
  const { dtype } = input;
  if (isComplexDType(dtype) || dtype === 'float32' || dtype === 'float64') return input;
  if (isFloat(dtype)) fail('E108', { op, problem: `Unsupported dtype ${dtype}`, hint: 'convert with .float() first' });
  return input.to(getDefaultDtype());
}

/** The first n positions along a dim, zeros where there are fewer. */
function fitted(op: string, input: Tensor, n: number, dim: number): Tensor {
  if (!Number.isInteger(n) || n < 1) fail('E110', { op, problem: `Invalid number of data points (${n}) specified` });
  const missing = n - input.shape[dim];
  if (missing === 0) return input;
  return missing < 0 ? input.slice(dim, 0, n) : padDim(input, dim, 0, missing);
}

/** Rows along a dim as planes, [batch, 1 or 2, n]. */
function toPlanes(input: Tensor, dim: number): Tensor {
  const n = input.shape[dim];
  const rows = input.movedim(dim, -1);
  const batch = numel(rows.shape.slice(0, -1));
  if (!isComplexTensor(input)) return rows.reshape([batch, 1, n]);
  return realForm(rows).reshape([batch, n, 2]).transpose(1, 2);
}
function fromPlanes(planes: Tensor, like: Tensor, dim: number): Tensor {
  const lead = like.shape.filter((_, d) => d !== dim);
  const n = planes.shape[2];
  return overPair(
    planes
      .transpose(1, 2)
      .contiguous()
      .reshape([...lead, n, 2]),
  ).movedim(-1, dim);
}

interface Along {
  readonly op: string;
  readonly input: Tensor;
  readonly n: number | null;
  readonly dim: number;
  readonly norm: Norm | null;
}

/** To complex numbers: forward (-1) or back (1). */
function complexTransform({ op, input, n, dim, norm }: Along, sign: Sign): Tensor {
  const x = checked(op, input);
  const d = dimOf(op, dim, x);
  const fit = fitted(op, x, n ?? x.shape[d], d);
  const scale = scaleOf(op, norm, fit.shape[d], sign === -1 ? 'forward' : 'backward');
  return scaled(fromPlanes(transformed(toPlanes(fit, d), sign), fit, d), scale);
}
const scaled = (z: Tensor, scale: number): Tensor => (scale === 1 ? z : z.mul(scale));

function dimOf(op: string, dim: number, { ndim }: Tensor): number {
  if (ndim === 0) fail('E107', { op, problem: `Dimension specified as ${dim} but tensor has no dimensions` });
  return normalizeDim(op, dim, ndim);
}

function needsReal(op: string, { dtype }: Tensor): void {
  if (isComplexDType(dtype)) fail('E108', { op, problem: `expects a real input tensor, but got ${dtype}` });
}

/** Of real numbers: the half of the spectrum that tells the rest. */
function halfTransform(along: Along): Tensor {
  needsReal(along.op, along.input);
  const full = complexTransform(along, -1);
  const d = dimOf(along.op, along.dim, full);
  return full.slice(d, 0, Math.floor(full.shape[d] / 2) + 1);
}

/** From half a spectrum to n real numbers: what lies between its ends counts twice, for the half that it tells. */
function realTransform({ op, input, n, dim, norm }: Along, whole: Norm = 'backward'): Tensor {
  const x = checked(op, input);
  const spectrum = isComplexTensor(x) ? x : asComplex(x, complexTypeOf(x.dtype));
  const d = dimOf(op, dim, spectrum);
  const length = n ?? 2 * (spectrum.shape[d] - 1);
  if (length < 1) fail('E110', { op, problem: `Invalid number of data points (${length}) specified` });
  const half = Math.floor(length / 2) + 1;
  const scale = scaleOf(op, norm, length, whole);
  const part = partType(complexTypeOf(spectrum.dtype));
  const weight = halfWeights(length, scale, part).reshape(spectrum.shape.map((_, e) => (e === d ? half : 1)));
  const padded = fitted(op, fitted(op, spectrum, half, d).mul(weight), length, d);
  const planes = transformed(toPlanes(padded, d), 1);
  const lead = padded.shape.filter((_, e) => e !== d);
  return planes
    .select(1, 0)
    .reshape([...lead, length])
    .movedim(-1, d);
}

type OneDim = Op<
  (
    input: Tensor,
    n?: number | null | AlongOptions,
    dim?: number | AlongOptions,
    norm?: Norm | null | AlongOptions,
  ) => Tensor
>;
export interface AlongOptions {
  readonly n?: number | null;
  readonly dim?: number;
  readonly norm?: Norm | null;
}

const oneDim = (name: string, doc: string, step: string | null, compute: (along: Along) => Tensor): OneDim => {
  const op: OneDim = composite({
    name: `fft.${name}`,
    doc,
    signature: 'input: tensor, n: int = null, dim: int = -1, norm: string = null',
    gradName: ({ input }) => step ?? (isComplexTensor(input) ? 'FftC2CBackward0' : 'FftR2CBackward0'),
    compute: bound => compute({ ...bound, op: `fft.${name}` }),
    samples: [],
    errors: [{ args: [random([3]), 0], message: /Invalid number of data points \(0\) specified/ }],
  });
  asWritten(op);
  return op;
};

export const fft: OneDim = oneDim('fft', 'Fourier transform along a dim.', null, along => complexTransform(along, -1));
export const ifft: OneDim = oneDim('ifft', 'Inverse of fft.', null, along => complexTransform(along, 1));
export const rfft: OneDim = oneDim(
  'rfft',
  'Fourier transform of real numbers: the first n/2 + 1 frequencies, which tell the others.',
  'FftR2CBackward0',
  halfTransform,
);
export const irfft: OneDim = oneDim('irfft', 'Inverse of rfft.', 'FftC2RBackward0', along => realTransform(along));
export const hfft: OneDim = oneDim(
  'hfft',
  'Fourier transform of numbers that are half of a Hermitian signal: real.',
  'FftC2RBackward0',
  along => realTransform({ ...along, input: along.input.conj() }, 'forward'),
);
export const ihfft: OneDim = oneDim('ihfft', 'Inverse of hfft.', 'FftR2CBackward0', along => {
  needsReal(along.op, along.input);
  const x = checked(along.op, along.input);
  const d = dimOf(along.op, along.dim, x);
  const n = along.n ?? x.shape[d];
  const spectrum = complexTransform({ ...along, input: x, n, norm: 'backward' }, -1).conj();
  return scaled(spectrum.slice(d, 0, Math.floor(n / 2) + 1), scaleOf(along.op, along.norm, n, 'backward'));
});

// ── several dims ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface SeveralOptions {
  readonly s?: readonly number[] | null;
  readonly dim?: number | readonly number[] | null;
  readonly norm?: Norm | null;
}
type SeveralDims = Op<
  (
    input: Tensor,
    s?: readonly number[] | null | SeveralOptions,
    dim?: number | readonly number[] | null | SeveralOptions,
    norm?: Norm | null | SeveralOptions,
  ) => Tensor
>;

/** The dims that are transformed, and the length of each; null: as it is. */
function dimsOf(op: string, { input, s, dim }: Bound): { dims: number[]; lengths: (number | null)[] } {
  const sizes: (number | null)[] | null = s === null ? null : [s].flat().map((n: number) => (n === -1 ? null : n));
  const given: number[] | null = dim === null ? null : [dim].flat();
  const all = Array.from({ length: input.ndim }, (_, d) => d);
  if (given === null && sizes !== null && sizes.length > input.ndim)
    fail('E107', {
      op,
      problem: `Got shape with ${sizes.length} values but input tensor only has ${input.ndim} dimensions.`,
    });
  if (given !== null && sizes !== null && given.length !== sizes.length)
    fail('E107', { op, problem: 'When given, dim and shape arguments must have the same length' });
  const dims = given?.map(d => dimOf(op, d, input)) ?? all.slice(sizes === null ? 0 : input.ndim - sizes.length);
  normalizeDims(op, dims, input.ndim);
  return { dims, lengths: sizes ?? dims.map(() => null) };
}

/** One dim after the other; `last` transforms the last one, first where it starts from real numbers. */
function along(op: string, bound: Bound, first: OneDim, rest: OneDim, order: 'first' | 'last'): Tensor {
  const { dims, lengths } = dimsOf(op, bound);
  if (dims.length === 0) fail('E107', { op, problem: 'at least one dimension must be transformed' });
  const steps = dims.map((dim, i) => ({ dim, n: lengths[i] }));
  const own = steps.pop()!;
  const sequence =
    order === 'first'
      ? [{ ...own, by: first }, ...steps.map(step => ({ ...step, by: rest }))]
      : [...steps.map(step => ({ ...step, by: rest })), { ...own, by: first }];
  return sequence.reduce((x, { dim, n, by }) => by(x, n, dim, bound.norm), bound.input as Tensor);
}

const severalDims = (
  name: string,
  doc: string,
  dims: string,
  transforms: readonly [last: OneDim, others: OneDim],
  order: 'first' | 'last' = 'first',
): SeveralDims => {
  const op: SeveralDims = composite({
    name: `fft.${name}`,
    doc,
    signature: `input: tensor, s: ints = null, dim: dims = ${dims}, norm: string = null`,
    compute: bound => along(`fft.${name}`, bound, ...transforms, order),
    samples: [],
    errors: [{ args: [random([2, 2]), [2, 2, 2]], message: /shape/ }],
  });
  asWritten(op);
  return op;
};

const [every, lastTwo] = ['null', '[-2, -1]'];
export const fftn: SeveralDims = severalDims('fftn', 'fft along several dims, or all.', every, [fft, fft]);
export const ifftn: SeveralDims = severalDims('ifftn', 'Inverse of fftn.', every, [ifft, ifft]);
export const rfftn: SeveralDims = severalDims('rfftn', 'rfft along the last dim, fft along the others.', every, [
  rfft,
  fft,
]);
export const irfftn: SeveralDims = severalDims('irfftn', 'Inverse of rfftn.', every, [irfft, ifft], 'last');
export const fft2: SeveralDims = severalDims('fft2', 'fft along two dims.', lastTwo, [fft, fft]);
export const ifft2: SeveralDims = severalDims('ifft2', 'Inverse of fft2.', lastTwo, [ifft, ifft]);
export const rfft2: SeveralDims = severalDims(
  'rfft2',
  'rfft along the last of two dims, fft along the other.',
  lastTwo,
  [rfft, fft],
);
export const irfft2: SeveralDims = severalDims('irfft2', 'Inverse of rfft2.', lastTwo, [irfft, ifft], 'last');

// ── frequencies ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface FrequencyOptions {
  readonly d?: number;
  readonly dtype?: DType | null;
  readonly requiresGrad?: boolean;
}

/** k/(n·d) for each k. */
function frequencies(
  n: number,
  d: number | FrequencyOptions,
  options: FrequencyOptions,
  ks: readonly number[],
): Tensor {
  const { d: spacing = 1, dtype, requiresGrad = false } = typeof d === 'number' ? { ...options, d } : d;
  const type = dtype ?? getDefaultDtype();
  const values = Float64Array.from(ks, k => k * (1 / (n * spacing)));
  const made = tensorOver(values, { dtype: 'float64', shape: [ks.length] });
  const converted = type === 'float64' ? made : made.to(type);
  return requiresGrad ? converted.requiresGrad_() : converted;
}
/** The frequencies of the places of fft(n samples, d apart). */
export const fftfreq = (n: number, d: number | FrequencyOptions = 1, options: FrequencyOptions = {}): Tensor =>
  frequencies(
    n,
    d,
    options,
    Array.from({ length: n }, (_, k) => (k < Math.ceil(n / 2) ? k : k - n)),
  );
/** The same of rfft. */
export const rfftfreq = (n: number, d: number | FrequencyOptions = 1, options: FrequencyOptions = {}): Tensor =>
  frequencies(
    n,
    d,
    options,
    Array.from({ length: Math.floor(n / 2) + 1 }, (_, k) => k),
  );

type Dims = number | readonly number[] | null;
type Shift = Op<(input: Tensor, dim?: Dims | { readonly dim?: Dims }) => Tensor>;
const shift = (name: string, doc: string, by: (extent: number) => number): Shift => {
  const op: Shift = composite({
    name: `fft.${name}`,
    doc,
    signature: 'input: tensor, dim: dims = null',
    compute({ input, dim }) {
      const dims = normalizeDims(`fft.${name}`, dim, input.ndim);
      return roll(
        input,
        dims.map(d => by(input.shape[d])),
        dims,
      );
    },
    samples: [sample(random([5, 4])), sample(random([5]), 0)],
  });
  asWritten(op);
  return op;
};
export const fftshift: Shift = shift('fftshift', 'The zero frequency moved to the middle.', n => Math.floor(n / 2));
export const ifftshift: Shift = shift('ifftshift', 'Inverse of fftshift.', n => Math.ceil(n / 2));
