/**
 * Fourier transforms beyond the recorded ones: float32 against float64 at all kinds of lengths, with a bound that grows as the
 * logarithm of the length; plans and their size; a transform there and back, compiled with its gradient.
 */
import { describe, expect, test } from 'vitest';
import { compile } from '../compiler/jit.js';
import { planOf } from '../compiler/ops/fft/transform.js';
import {
  complex64,
  complex128,
  fft,
  float32,
  hannWindow,
  inferenceMode,
  istft,
  manualSeed,
  randn,
  stft,
  type Tensor,
} from '../runtime/index.js';

/** Rounding of float32. */
const unit = 2 ** -24;
const relative = (actual: Tensor, expected: Tensor): number =>
  actual.to(complex128).sub(expected).norm().div(expected.norm()).item();

/** The definition, in float64. */
function byDefinition(values: readonly { re: number; im: number }[]): { re: number; im: number }[] {
  const n = values.length;
  return values.map((_, k) =>
    values.reduce(
      (sum, { re, im }, j) => {
        const angle = (-2 * Math.PI * ((k * j) % n)) / n;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        return { re: sum.re + re * c - im * s, im: sum.im + re * s + im * c };
      },
      { re: 0, im: 0 },
    ),
  );
}

describe('accuracy', () => {
  test.each([1, 2, 7, 64, 67, 100, 128, 131, 257, 500, 1000, 1024, 1536, 2018, 4096])('%i numbers', n => {
    manualSeed(n);
    const z = randn(n, { dtype: complex64 });
    const exact = fft.fft(z.to(complex128));
    if (n <= 1024) {
      const defined = byDefinition(z.tolist() as unknown as { re: number; im: number }[]);
      const got = exact.tolist() as unknown as { re: number; im: number }[];
      const scale = Math.sqrt(n) * 1e-12;
      for (const [k, { re, im }] of defined.entries())
        expect(Math.hypot(got[k].re - re, got[k].im - im)).toBeLessThan(scale * 10);
    }
    expect(relative(fft.fft(z), exact)).toBeLessThan(unit * (1 + Math.log2(n)));
    expect(relative(fft.ifft(fft.fft(z)), z.to(complex128))).toBeLessThan(unit * (1 + 2 * Math.log2(n)));
  });
});

test('plans: factors near equal steps, a chirp where there are none', () => {
  expect(planOf(64)).toEqual({ kind: 'dense' });
  expect(planOf(1024)).toEqual({ kind: 'split', rows: 32, columns: 32 });
  expect(planOf(4096)).toEqual({ kind: 'split', rows: 64, columns: 64 });
  expect(planOf(134)).toEqual({ kind: 'split', rows: 2, columns: 67 });
  expect(planOf(67)).toEqual({ kind: 'chirp', size: 256 });
});

test('a filter in the frequency domain, compiled with its gradient', () => {
  const filtered = (x: Tensor, weight: Tensor): Tensor => fft.irfft(fft.rfft(x).mul(weight), 96);
  const loss = (x: Tensor, weight: Tensor): Tensor[] => {
    const leaf = weight.detach().requiresGrad_();
    const y = filtered(x, leaf).square().mean();
    y.backward();
    return [y, leaf.grad!];
  };
  const [x, weight] = [randn(3, 96), randn(49, { dtype: complex64 })];
  const expected = loss(x, weight);
  const run = compile(loss, [
    { shape: [3, 96], dtype: float32 },
    { shape: [49], dtype: complex64 },
  ]);
  const actual = run(x, weight);
  expect(actual[0].item()).toBeCloseTo(expected[0].item(), 4);
  expect(relative(actual[1], expected[1].to(complex128))).toBeLessThan(20 * unit);
});

test('tables made in inference mode serve gradients later', () => {
  inferenceMode(() => fft.fft(randn(11)));
  const x = randn(11).requiresGrad_();
  fft.fft(x).abs().sum().backward();
  expect(x.grad?.shape).toEqual([11]);
});

describe('istft refuses', () => {
  const spectra = (): Tensor => stft(randn(64), 8, { center: false });
  test.each<[string, () => Tensor, RegExp]>([
    [
      'windows that are 0 at a place',
      () => istft(spectra(), 8, { window: hannWindow(8), center: false }),
      /is lost there/,
    ],
    ['frequencies of another length', () => istft(spectra(), 10), /expected 6 frequencies for n_fft=10/],
    ['half a spectrum as a whole one', () => istft(spectra(), 8, { onesided: false }), /expected 8 frequencies/],
    ['no windows', () => istft(spectra().slice(1, 0, 0), 8), /input tensor cannot be empty/],
    ['steps beyond the window', () => istft(spectra(), 8, { hopLength: 9 }), /0 < hop_length <= win_length/],
    ['four dims', () => istft(spectra().unsqueeze(0).unsqueeze(0), 8), /expected a 2D or 3D tensor/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });
});
