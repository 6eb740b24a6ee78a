/**
 * Random kernels through the CUDA schedules, run on the CPU, against their plain form. Another seed: GRADC_FUZZ_SEED=7.
 */
import { describe, expect, test } from 'vitest';
import { compileKernel } from '../backends/js/emit.js';
import type { TypedArray } from '../compiler/ir/dtype.js';
import { printKernel } from '../compiler/ir/text.js';
import { hasHostCompiler } from './support/cuda-host/compile.js';
import { RandomKernels } from './support/cuda-host/random-kernels.js';
import { runKernelsOnHost } from './support/cuda-host/run.js';
import { Bits } from './support/cuda-host/values.js';

const seed = Number(process.env.GRADC_FUZZ_SEED ?? 1);
const count = 60;
const tolerance = 5e-5;

describe.skipIf(!hasHostCompiler)('random kernels as CUDA on the CPU (g++)', () => {
  test(`${count} kernels of seed ${seed} agree with their plain form`, async () => {
    const random = new Bits(seed * 7919);
    const source = new RandomKernels(random);
    const cases = Array.from({ length: count }, (_, i) => source.next(`random${i}`)).map(kernel => ({
      kernel,
      arrays: kernel.params.map(({ buffer }) => random.floats('float32', buffer.size)),
    }));
    const wanted = cases.map(({ kernel, arrays }) => {
      const copies = arrays.map(array => array.slice());
      compileKernel(kernel)(...(copies as never[]));
      return copies;
    });
    await runKernelsOnHost(cases);
    for (const [i, { kernel, arrays }] of cases.entries()) {
      for (const [p, { access, buffer }] of kernel.params.entries()) {
        const worst = access === 'read' ? 0 : difference(arrays[p], wanted[i][p]);
        expect(worst, `${buffer.name} of\n${printKernel(kernel)}`).toBeLessThan(tolerance);
      }
    }
  });
});

/** The largest difference, relative to the largest value; NaN differs from everything. */
function difference(got: TypedArray, want: TypedArray): number {
  let [worst, scale] = [0, 1];
  for (const [i, value] of want.entries()) {
    const distance = Math.abs(Number(got[i]) - Number(value));
    if (!(distance <= worst)) worst = distance;
    scale = Math.max(scale, Math.abs(Number(value)));
  }
  return worst / scale;
}
