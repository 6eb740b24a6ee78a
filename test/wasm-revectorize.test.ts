/**
 * The schedule for V8's revectorizer: wider tiles, the same values bit for bit, with the flag where the engine has it.
 */
import { setFlagsFromString } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { compileKernel } from '../backends/wasm/compile.js';
import { revectorized } from '../backends/wasm/revectorized.js';
import { schedule, scheduleOfPairs } from '../backends/wasm/schedule.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import { printKernel } from '../compiler/ir/text.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import type { Pass } from '../compiler/pass.js';
import { type ConvShape, conv, convInputGrad, convWeightGrad, matmul } from './support/plain-kernels.js';

if (Number.parseInt(process.versions.node, 10) >= 24) setFlagsFromString('--experimental-wasm-revectorize');

function scheduledBy(passes: readonly Pass<Kernel>[], kernel: Kernel): Kernel {
  return passes.reduce((ir, pass) => {
    const out = pass.run(ir, { note: () => {} });
    verifyKernel(out);
    return out;
  }, kernel);
}

function results(kernel: Kernel, relaxed: boolean, plain: Kernel): Float32Array[] {
  const arrays = plain.params.map(({ buffer }, p) =>
    Float32Array.from({ length: buffer.size }, (_, i) => Math.sin(i * (p + 1.7) + p)),
  );
  compileKernel(kernel, { relaxed })(...arrays);
  return arrays;
}

function expectSameBits(kernel: Kernel): void {
  const wide = scheduledBy(scheduleOfPairs, kernel);
  expect(results(wide, false, kernel)).toEqual(results(scheduledBy(schedule, kernel), false, kernel));
}

test('tiles are twice as wide, and nothing but stores comes after their sums', () => {
  expect(printKernel(scheduledBy(schedule, matmul(32, 64, 64)))).toContain('tile: float32[32] register');
  const wide = printKernel(scheduledBy(scheduleOfPairs, matmul(32, 64, 64, { fused: true })));
  expect(wide).toContain('tile: float32[64] register');
  expect(wide).toContain('sums: float32[64] local');
});

describe('the same values bit for bit', () => {
  for (const [m, k, n] of [
    [1, 3, 5],
    [7, 33, 10],
    [32, 64, 64],
    [33, 100, 131],
  ]) {
    for (const transposeB of [false, true]) {
      test(`${m}x${k} @ ${k}x${n}${transposeB ? ', right transposed' : ''}`, () => {
        expectSameBits(matmul(m, k, n, { transposeB }));
        expectSameBits(matmul(m, k, n, { transposeB, fused: true, long: true }));
      });
    }
  }
  const shapes: ConvShape[] = [
    { batch: 2, channels: 3, size: 20, filters: 6, kernel: 5, stride: 1, padding: 0 },
    { batch: 1, channels: 4, size: 30, filters: 8, kernel: 3, stride: 2, padding: 1 },
  ];
  for (const shape of shapes)
    test(`convolution in steps of ${shape.stride} and its gradients`, () => {
      for (const make of [conv, convInputGrad, convWeightGrad]) expectSameBits(make(shape));
    });
});

test('its module lies beside the others', () => {
  const program = { name: 'model', state: [], stateBytes: 0, totalBytes: 0, entries: [] };
  expect([...revectorized.emit(program, { relaxed: true }).keys()]).toEqual([
    'model.revectorize.wasm',
    'model.revectorize.relaxed.wasm',
  ]);
});
