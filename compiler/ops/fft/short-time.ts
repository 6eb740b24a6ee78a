/** The short-time Fourier transform: the spectra of windows that a signal is seen through one after the other, and back. */
import { fail } from '../../errors.js';
import { isComplexDType, isFloat } from '../../ir/dtype.js';
import { formatShape } from '../../ir/shape.js';
import { requireValues } from '../checks.js';
import { asWritten } from '../complex/parts.js';
import { composite, full, type Op } from '../define.js';
import { pad } from '../padding.js';
import { random } from '../samples.js';
import { foldDim, padDim } from '../shape.js';
import { isComplexTensor, realForm, type Tensor } from '../tensor.js';
import { fft, ifft, irfft, rfft } from './index.js';

interface Windows {
  readonly nFft: number;
  readonly hopLength: number | null;
  readonly winLength: number | null;
  readonly window: Tensor | null;
}
interface Frames {
  readonly hop: number;
  /** [nFft]: the window in the middle of zeros. */
  readonly window: Tensor;
}

function framesOf(op: string, { nFft, hopLength, winLength, window }: Windows, like: Tensor): Frames {
  const problem = (text: string): never => fail('E110', { op, problem: text });
  const length = winLength ?? nFft;
  const hop = hopLength ?? Math.floor(nFft / 4);
  if (nFft < 1) problem(`expected n_fft > 0, but got n_fft=${nFft}`);
  if (hop < 1) problem(`expected hop_length > 0, but got hop_length=${hop}`);
  if (length < 1 || length > nFft) problem(`expected 0 < win_length <= n_fft, but got win_length=${length}`);
  if (window !== null && (window.ndim !== 1 || window.shape[0] !== length))
    problem(`expected a 1D window tensor of size equal to win_length=${length}, but got ${formatShape(window.shape)}`);
  const before = Math.floor((nFft - length) / 2);
  const whole = window ?? full([length], 1, { dtype: realForm(like).dtype });
  return { hop, window: padDim(whole, 0, before, nFft - length - before) };
}

type ShortTime = Op<
  (
    input: Tensor,
    nFft: number,
    options?: {
      hopLength?: number | null;
      winLength?: number | null;
      window?: Tensor | null;
      center?: boolean;
      padMode?: 'reflect' | 'constant' | 'replicate' | 'circular';
      normalized?: boolean;
      onesided?: boolean | null;
      returnComplex?: boolean;
    },
  ) => Tensor
>;

export const stft: ShortTime = composite({
  name: 'stft',
  doc: 'Spectra of windows along the last dim, [..., frequencies, windows].',
  signature:
    "input: tensor, nFft: int, hopLength: int = null, winLength: int = null, window: tensor = null, center: bool = true, padMode: string = 'reflect', normalized: bool = false, onesided: bool = null, returnComplex: bool = true",
  compute(bound) {
    const { input, nFft, center, padMode, normalized, onesided, returnComplex } = bound;
    if (input.ndim !== 1 && input.ndim !== 2)
      fail('E107', { op: 'stft', problem: `expected a 1D or 2D tensor, but got ${formatShape(input.shape)}` });
    if (!isFloat(input.dtype) && !isComplexDType(input.dtype))
      fail('E108', {
        op: 'stft',
        problem: `expected a tensor of floating point or complex values, got ${input.dtype}`,
      });
    const { hop, window } = framesOf('stft', bound, input);
    const half = Math.floor(nFft / 2);
    const rows: Tensor = input.ndim === 1 ? input.unsqueeze(0) : input;
    const padded = center ? pad(rows, [half, half], { mode: padMode }) : rows;
    if (padded.shape[1] < nFft)
      fail('E110', { op: 'stft', problem: `expected 0 < n_fft <= ${padded.shape[1]}, but got n_fft=${nFft}` });
    const frames = padded.unfold(1, nFft, hop).mul(window);
    const isHalf = onesided ?? !isComplexTensor(frames);
    const norm = normalized ? 'ortho' : 'backward';
    const spectra = (isHalf ? rfft : fft)(frames, { norm }).transpose(1, 2);
    const result = input.ndim === 1 ? spectra.squeeze(0) : spectra;
    return returnComplex ? result : realForm(result);
  },
  samples: [],
  errors: [{ args: [random([2, 2, 2]), 2], message: /expected a 1D or 2D tensor/ }],
});

type InverseShortTime = Op<
  (
    input: Tensor,
    nFft: number,
    options?: {
      hopLength?: number | null;
      winLength?: number | null;
      window?: Tensor | null;
      center?: boolean;
      normalized?: boolean;
      onesided?: boolean | null;
      length?: number | null;
      returnComplex?: boolean;
    },
  ) => Tensor
>;

/** Are these spectra of windows of nFft numbers, [..., frequencies, windows]? */
function checkSpectra(input: Tensor, nFft: number, isHalf: boolean): void {
  const problem = (text: string): never => fail('E107', { op: 'istft', problem: text });
  const wanted = isHalf ? Math.floor(nFft / 2) + 1 : nFft;
  const [frequencies, windows] = input.shape.slice(-2);
  if (frequencies !== wanted)
    problem(
      `expected ${wanted} frequencies for n_fft=${nFft} with onesided=${isHalf}, but got ${formatShape(input.shape)}`,
    );
  if (windows === 0) problem('input tensor cannot be empty.');
}

/** Where the windows are 0, nothing is known of the signal. */
const checkOverlap = (weight: Tensor): void =>
  requireValues(weight, {
    op: 'istft',
    accepts: value => Math.abs(value) >= 1e-11,
    acceptsAll: values => values.abs().ge(1e-11),
    refuse: () =>
      fail('E110', {
        op: 'istft',
        problem: 'the squares of the windows add up to 0 at a place of the signal, which is lost there',
        hint: 'let windows overlap more, or use center: true in both directions, which leaves their edges out',
      }),
  });

export const istft: InverseShortTime = composite({
  name: 'istft',
  doc: 'Inverse of stft: windows added up where they overlap, divided by the squares of the windows there.',
  signature:
    'input: tensor, nFft: int, hopLength: int = null, winLength: int = null, window: tensor = null, center: bool = true, normalized: bool = false, onesided: bool = null, length: int = null, returnComplex: bool = false',
  compute(bound) {
    const { input, nFft, center, normalized, onesided, length, returnComplex } = bound;
    if (!isComplexTensor(input))
      fail('E108', { op: 'istft', problem: 'requires a complex-valued input tensor', hint: 'use viewAsComplex' });
    if (input.ndim !== 2 && input.ndim !== 3)
      fail('E107', { op: 'istft', problem: `expected a 2D or 3D tensor, but got ${formatShape(input.shape)}` });
    const { hop, window } = framesOf('istft', bound, input);
    if (hop > (bound.winLength ?? nFft))
      fail('E110', { op: 'istft', problem: `expected 0 < hop_length <= win_length, but got hop_length=${hop}` });
    const rows: Tensor = input.ndim === 2 ? input.unsqueeze(0) : input;
    const isHalf = onesided ?? rows.shape[1] !== nFft;
    if (returnComplex && isHalf)
      fail('E110', { op: 'istft', problem: 'cannot have onesided output if window or input is complex' });
    checkSpectra(rows, nFft, isHalf);
    const norm = normalized ? 'ortho' : 'backward';
    const frames = (isHalf ? irfft : ifft)(rows.transpose(1, 2), { n: nFft, norm });
    const windowed = returnComplex ? frames.mul(window) : frames.real().mul(window);
    const extent = nFft + hop * (rows.shape[2] - 1);
    const sum = foldDim(windowed, 1, extent, hop);
    const weight = foldDim(window.square().expand([rows.shape[2], nFft]), 0, extent, hop);
    const start = center ? Math.floor(nFft / 2) : 0;
    const end = length !== null ? start + length : center ? extent - Math.floor(nFft / 2) : extent;
    const covered = weight.slice(0, start, end);
    checkOverlap(covered);
    const kept = sum.slice(1, start, end).div(covered);
    const filled = end > extent ? padDim(kept, 1, 0, end - extent) : kept;
    return input.ndim === 2 ? filled.squeeze(0) : filled;
  },
  samples: [],
  errors: [{ args: [random([2, 2]), 2], message: /requires a complex-valued input tensor/ }],
});
asWritten(stft, istft);
