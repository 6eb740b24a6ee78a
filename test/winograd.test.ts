/**
 * Fast convolution: its matrices are exact, its errors stay within the bound that is reported and near those of plain sums,
 * its schedule computes what the plain kernel computes, and it is taken where the rule says so.
 */
import { defineModel, entry, fromTypedArray, input, type Tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { compileKernel as compileJs } from '../backends/js/emit.js';
import { evaluateConstant } from '../backends/js/evaluate.js';
import type { wasm } from '../backends/wasm/backend.js';
import { compileKernel } from '../backends/wasm/compile.js';
import type { Chooser } from '../backends/wasm/contraction.js';
import { errorBound, type FastConvolution, type PairedMatrix, plainErrorBound } from '../backends/wasm/cook-toom.js';
import { schedule, scheduleBy } from '../backends/wasm/schedule.js';
import { forms } from '../backends/wasm/winograd.js';
import { measuredBackend } from '../compiler/cli/measured-backend.js';
import { wasmTunedBy } from '../compiler/cli/tune/tuned-backend.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import { allLaunches } from '../compiler/ir/program.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import type { Pass } from '../compiler/pass.js';
import { compileToProgram, scheduleProgram } from '../compiler/pipeline.js';
import { traceModel } from '../compiler/trace/model.js';
import { type ConvShape, conv, convInputGrad } from './support/plain-kernels.js';
import { bitDifference, runAlone, Team } from './support/team.js';

const noise = (length: number, seed: number): Float32Array => {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >> 8) / 2 ** 23;
  });
};

const nameOf = ({ outputs, taps }: FastConvolution): string => `F(${outputs}, ${taps})`;
const times = ({ rows }: PairedMatrix, x: ArrayLike<number>): number[] =>
  rows.map(row => row.reduce((sum, c, j) => sum + c * x[j], 0));

describe('the matrices', () => {
  for (const form of forms) {
    test(`${nameOf(form)} convolves`, () => {
      const [x, w] = [noise(form.inputs, 1), noise(form.taps, 2)];
      const [inputs, weights] = [times(form.input, x), times(form.weight, w)];
      const fast = times(
        form.output,
        inputs.map((v, i) => v * weights[i]),
      );
      for (const [i, y] of fast.entries())
        expect(y).toBeCloseTo(
          w.reduce((sum, c, k) => sum + c * x[i + k], 0),
          12,
        );
    });
    test(`${nameOf(form)}: rows or columns of a pair differ in signs only`, () => {
      for (const { rows, pairs, paired } of [form.input, form.weight, form.output]) {
        const lines = paired === 'rows' ? rows : rows[0].map((_, j) => rows.map(row => row[j]));
        for (const [a, b] of pairs) expect(lines[a].map(Math.abs)).toEqual(lines[b].map(Math.abs));
      }
    });
  }
  test('F(2, 3) and F(4, 3) need 4 and 6 products', () => expect(forms.map(({ inputs }) => inputs)).toEqual([4, 6]));
});

/** The kernel scheduled, and the notes on its contractions. */
function scheduledBy(passes: readonly Pass<Kernel>[], kernel: Kernel): { kernel: Kernel; notes: string } {
  const notes: string[] = [];
  const scheduled = passes.reduce((ir, pass) => {
    const note = (what: string, why: string): void => {
      if (pass.name === 'tile-contractions') notes.push(`${what}: ${why}`);
    };
    const out = pass.run(ir, { note });
    verifyKernel(out);
    return out;
  }, kernel);
  return { kernel: scheduled, notes: notes.join() };
}

const only =
  (isWanted: (what: string) => boolean): Chooser =>
  (_, __, plans) =>
    plans.find(({ what }) => isWanted(what)) ?? null;
/** Plain sums in the order of the loops: where lanes go along the sum instead, each adds up a fourth of it, and rounds less. */
const oneByOne = scheduleBy({ choose: only(what => what.startsWith('columns')) });
const winograd = (form: FastConvolution) =>
  scheduleBy({ choose: only(what => what.startsWith(`Winograd F(${form.outputs}x${form.outputs}`)) });

function run(compiled: (...arrays: Float32Array[]) => void, kernel: Kernel): Float32Array {
  const arrays = kernel.params.map(({ buffer }, i) => noise(buffer.size, i + 1));
  compiled(...arrays);
  return arrays.at(-1)!;
}
const largest = (values: Iterable<number>): number => [...values].reduce((a, b) => Math.max(a, Math.abs(b)), 0);
const differences = (a: ArrayLike<number>, b: ArrayLike<number>): number[] => Array.from(a, (v, i) => v - b[i]);

const layer = (channels: number, size: number, more: Partial<ConvShape> = {}): ConvShape => ({
  batch: 1,
  channels,
  size,
  filters: channels,
  kernel: 3,
  stride: 1,
  padding: 1,
  ...more,
});

describe('rounding', () => {
  /** The same convolution in float64. */
  function exact({ channels, size, filters }: ConvShape): Float64Array {
    const [x, w, bias] = [noise(channels * size ** 2, 1), noise(filters * channels * 9, 2), noise(filters, 3)];
    return Float64Array.from({ length: filters * size ** 2 }, (_, at) => {
      const [o, h, v] = [Math.floor(at / size ** 2), Math.floor(at / size) % size, at % size];
      let sum = bias[o];
      for (let c = 0; c < channels; c++)
        for (let k = 0; k < 9; k++) {
          const [y, z] = [h + Math.floor(k / 3) - 1, v + (k % 3) - 1];
          if (y >= 0 && y < size && z >= 0 && z < size)
            sum += x[(c * size + y) * size + z] * w[(o * channels + c) * 9 + k];
        }
      return Math.max(sum, 0);
    });
  }
  const rms = (errors: readonly number[]): number => Math.hypot(...errors) / Math.sqrt(errors.length);

  // the root mean square of the errors, over that of plain sums
  const mostOf = new Map([
    [2, 1],
    [4, 2.5],
  ]);
  for (const form of forms) {
    for (const channels of [32, 128]) {
      test(`${nameOf(form)} over ${channels} channels`, () => {
        const shape = layer(channels, 12);
        const kernel = conv(shape);
        const expected = exact(shape);
        const { kernel: fast, notes } = scheduledBy(winograd(form), kernel);
        const errors = differences(run(compileKernel(fast), kernel), expected);
        const plain = differences(run(compileKernel(scheduledBy(oneByOne, kernel).kernel), kernel), expected);
        expect(largest(errors)).toBeGreaterThan(0);
        expect(largest(errors)).toBeLessThan(errorBound(form, channels, 2));
        expect(largest(plain)).toBeLessThan(plainErrorBound(form, channels, 2));
        expect(rms(errors) / rms(plain)).toBeLessThan(mostOf.get(form.outputs)!);
        expect(notes).toContain(`errors up to ${errorBound(form, channels, 2).toPrecision(2)}·max|a|·max|b|`);
      });
    }
  }
});

describe('the schedule computes what the plain kernel computes', () => {
  const shapes: Readonly<Record<string, ConvShape>> = {
    'whole tiles': layer(32, 16),
    'tiles beyond the edge': layer(32, 13),
    'no padding': layer(32, 15, { padding: 0 }),
    'much padding': layer(32, 9, { padding: 2 }),
    'several images': layer(32, 7, { batch: 5 }),
    'other filters than channels': layer(48, 16, { filters: 24 }),
    'blocks of tiles': layer(64, 64, { filters: 32 }),
    'blocks of tiles, the last beyond the edge': layer(64, 61, { filters: 32 }),
    'blocks of images': layer(256, 10, { batch: 24, filters: 32 }),
  };
  for (const [name, shape] of Object.entries(shapes)) {
    for (const form of forms) {
      for (const make of [conv, convInputGrad]) {
        test(`${name}, ${nameOf(form)}, ${make.name}`, () => {
          const kernel = make(shape);
          const { kernel: fast, notes } = scheduledBy(winograd(form), kernel);
          expect(notes).toMatch(`Winograd F(${form.outputs}x${form.outputs}, 3x3)`);
          const expected = run(compileJs(kernel), kernel);
          const errors = differences(run(compileKernel(fast), kernel), expected);
          expect(largest(errors)).toBeLessThan(5e-6 * largest(expected) + 1e-5);
        });
      }
    }
  }
});

describe('whatever convolves by windows of three', () => {
  type Case = readonly [shapes: readonly (readonly number[])[], compute: (...inputs: Tensor[]) => Tensor];
  const cases: Readonly<Record<string, Case>> = {
    'in one dimension': [
      [
        [2, 24, 37],
        [8, 24, 3],
      ],
      (x, w) => F.conv1d(x, w, null, { padding: 1 }),
    ],
    'along rows': [
      [
        [1, 24, 9, 20],
        [12, 24, 1, 3],
      ],
      (x, w) => F.conv2d(x, w),
    ],
    'of every other pixel': [
      [
        [1, 24, 20, 19],
        [8, 24, 3, 3],
      ],
      (x, w) => F.conv2d(x, w, null, { stride: 2, dilation: 2 }),
    ],
    transposed: [
      [
        [2, 24, 10, 11],
        [24, 8, 3, 3],
      ],
      (x, w) => F.convTranspose2d(x, w, null, { padding: 1 }),
    ],
    'of an image turned around': [
      [
        [1, 24, 15, 15],
        [8, 24, 3, 3],
      ],
      (x, w) => F.conv2d(x.flip(3), w),
    ],
    'with a residual': [
      [
        [1, 24, 13, 13],
        [24, 24, 3, 3],
      ],
      (x, w) => F.conv2d(x, w, null, { padding: 1 }).add(x).sigmoid(),
    ],
  };
  for (const [name, [shapes, compute]] of Object.entries(cases)) {
    for (const form of ['F(2', 'F(4']) {
      test(`${name}, ${form}`, () => {
        const { program } = compile(
          compute,
          shapes.map(shape => input(shape)),
        ).compilation;
        const { kernel } = allLaunches(program).find(({ kernel }) => kernel.name.includes('convolution'))!;
        const { kernel: fast, notes } = scheduledBy(
          scheduleBy({ choose: only(what => what.startsWith(`Winograd ${form}`)) }),
          kernel,
        );
        expect(notes).toContain(`Winograd ${form}`);
        const expected = run(compileJs(kernel), kernel);
        expect(largest(differences(run(compileKernel(fast), kernel), expected))).toBeLessThan(1e-4);
      });
    }
  }
});

describe('the rule', () => {
  const chosen = (kernel: Kernel): string => scheduledBy(schedule, kernel).notes;
  test('takes it for the layers of a ResNet', () => {
    for (const [channels, size] of [
      [64, 56],
      [128, 28],
      [256, 14],
    ])
      for (const make of [conv, convInputGrad]) expect(chosen(make(layer(channels, size)))).toMatch(/^Winograd F\(4x4/);
  });
  test('keeps to tiles of two where fewer channels are summed', () => {
    expect(chosen(conv(layer(22, 56, { filters: 64 })))).toMatch(/^Winograd F\(2x2/);
  });
  test('leaves other windows, other steps, and what is too small', () => {
    for (const shape of [
      layer(64, 28, { stride: 2 }),
      layer(64, 28, { kernel: 1, padding: 0 }),
      layer(64, 28, { kernel: 5, padding: 2 }),
      layer(3, 224, { filters: 16 }),
      layer(512, 3),
    ])
      expect(chosen(conv(shape))).not.toContain('Winograd');
  });
});

describe('in a program', () => {
  const [weight, second] = [48, 32].map((channels, i) =>
    fromTypedArray(noise(64 * channels * 9, i + 1), [64, channels, 3, 3]),
  );
  const image = noise(2 * 48 * 40 * 40, 3);
  const definition = defineModel('layers', () => ({
    state: { weight, second },
    entries: {
      run: entry({ x: input([2, 48, 40, 40]) }, ({ x }) => {
        const y = F.relu(F.conv2d(x, weight, null, { padding: 1 }));
        return { y, z: F.conv2d(y.narrow(1, 0, 32), second).maximum(0) };
      }),
    },
  }));
  const traced = traceModel(definition);
  const { program } = compileToProgram(traced, {}, evaluateConstant);
  const contents = {
    state: Object.fromEntries(traced.state.map(({ name, storage }) => [name, storage.array])),
    inputs: () => ({ x: image }),
  };

  test('any number of threads gives the bits of one', async () => {
    const team = await Team.start();
    for (const threads of [2, 3]) {
      const [alone, together] = [runAlone(program), team.run(program, threads)];
      expect(bitDifference(program, contents, alone, together, threads)).toBeNull();
    }
    await team.end();
  });

  test('it can be switched off', () => {
    const plans = (backend: typeof wasm): string[] => {
      const notes: string[] = [];
      scheduleProgram(program, backend, {
        noted: ({ pass, what }) => {
          if (pass === 'tile-contractions') notes.push(what.split(' ')[0]);
        },
      });
      return notes;
    };
    expect(plans(wasmTunedBy(null))).toEqual(['Winograd', 'Winograd']);
    for (const plainly of [wasmTunedBy(null, false), measuredBackend(null, { winograd: false })])
      expect(plans(plainly)).not.toContain('Winograd');
  });
});
