/**
 * Sums of very many floats, eager, compiled and as CUDA C, against sums in float64: rounding errors must not grow with the length, as
 * those of one float32 accumulator do (300,000 equal values: 0.3 %; three million: 3 %).
 */
import { type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { cudaBackend } from '../backends/cuda/backend.js';
import { grad } from '../compiler/autodiff/functional.js';
import type { Program } from '../compiler/ir/program.js';
import { compileToProgram, scheduleProgram } from '../compiler/pipeline.js';
import { input, nameCaptured, traceFunction } from '../compiler/trace/model.js';
import { rowMajor } from '../runtime/eager.js';
import { hasHostCompiler } from './support/cuda-host/compile.js';
import { type HostModel, runProgramsOnHost } from './support/cuda-host/run.js';
import { numbers } from './support/tensors.js';

type Fill = (i: number) => number;
/** Not a power of two, so that sums round; in [0, 1) without two alike nearby. */
const fills: Record<string, Fill> = {
  equal: () => 0.1,
  random: i => (Math.imul(i + 1, 2654435761) >>> 8) / 2 ** 24,
};
const filled = (shape: number[], fill: Fill): Tensor =>
  tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => fill(i))).reshape(shape);

/** Largest error of values that are all positive, relative to what they should be. */
const errorOf = (actual: readonly number[], expected: readonly number[]): number => {
  expect(actual).toHaveLength(expected.length);
  return Math.max(...actual.map((value, i) => Math.abs(value / expected[i] - 1)));
};

interface Case {
  readonly name: string;
  readonly shapes: number[][];
  readonly run: (...inputs: Tensor[]) => Tensor;
}
const gradientOfWeight = (x: Tensor, dy: Tensor, w: Tensor): Tensor =>
  grad((weight: Tensor) => F.conv2d(x, weight).mul(dy).sum())(w) as Tensor;

const lengths: readonly Case[] = [1e3, 3e4, 3e5, 3e6, 1e7, 1e7 + 19].map(n => ({
  name: `sum of ${n}`,
  shapes: [[n]],
  run: x => x.sum(),
}));
const others: readonly Case[] = [
  { name: 'mean', shapes: [[3e5]], run: x => x.mean() },
  { name: 'sum of three dims', shapes: [[300, 7, 501]], run: x => x.sum() },
  {
    name: 'sum of a transposed tensor and another',
    shapes: [
      [1000, 301],
      [301, 1000],
    ],
    run: (x, y) => x.t().add(y).sum(),
  },
  { name: 'sum of every third', shapes: [[3e5, 3]], run: x => x.select(1, 1).sum() },
  { name: 'sum of ends', shapes: [[1e5, 8]], run: x => x.slice(1, 2, 7).sum() },
  { name: 'norm', shapes: [[3e5]], run: x => x.norm() },
  { name: 'mean of squares', shapes: [[3e5]], run: x => x.sub(0.7).mul(x).add(1).square().mean() },
  { name: 'logsumexp', shapes: [[3e5]], run: x => x.logsumexp(0) },
  { name: 'softmax denominators', shapes: [[2, 2e5]], run: x => x.softmax(1).select(1, 5) },
  { name: 'sums of rows', shapes: [[5, 100003]], run: x => x.sum(1) },
  { name: 'sums of few columns', shapes: [[100003, 5]], run: x => x.sum(0) },
  { name: 'sums of columns', shapes: [[20000, 128]], run: x => x.sum(0) },
  { name: 'sums of many columns', shapes: [[20000, 150]], run: x => x.sum(0) },
  { name: 'sums over batch and place', shapes: [[64, 3, 60, 60]], run: x => x.sum([0, 2, 3]) },
  { name: 'loss', shapes: [[60000, 3]], run: x => F.crossEntropy(x, x.argmax(1)) },
  { name: 'dot', shapes: [[3e5], [3e5]], run: (x, y) => x.dot(y) },
  {
    name: 'matmul',
    shapes: [
      [6, 50000],
      [50000, 20],
    ],
    run: (x, y) => x.matmul(y),
  },
  {
    name: 'matmul of a transposed matrix',
    shapes: [
      [50000, 6],
      [50000, 20],
    ],
    run: (x, y) => x.t().matmul(y),
  },
  {
    name: 'matmul with a transposed matrix',
    shapes: [
      [6, 50000],
      [20, 50000],
    ],
    run: (x, y) => x.matmul(y.t()),
  },
  {
    name: 'matmul of tiles enough for a device',
    shapes: [
      [256, 6000],
      [6000, 260],
    ],
    run: (x, y) => x.matmul(y),
  },
  {
    name: 'gradient of a weight of conv2d',
    shapes: [
      [32, 3, 42, 42],
      [32, 8, 40, 40],
      [8, 3, 3, 3],
    ],
    run: gradientOfWeight,
  },
];

const cases = [...lengths, ...others];

/** In float64, by the same function. */
const exact = ({ run }: Case, inputs: readonly Tensor[]): number[] => numbers(run(...inputs.map(x => x.double())));

/** The cases as generated CUDA C on the CPU, compiled when the first of the tests asks. */
let onHost: Promise<HostModel[]> | null = null;
const hostModels = (): Promise<HostModel[]> => (onHost ??= runProgramsOnHost(cases.map(programOf)));

function programOf({ shapes, run }: Case, i: number): Program {
  const specs = Object.fromEntries(shapes.map((shape, at) => [`x${at}`, input(shape)]));
  const { graph, state } = nameCaptured(traceFunction('run', specs, given => ({ y: run(...Object.values(given)) })));
  return scheduleProgram(compileToProgram({ name: `sums${i}`, graphs: [graph], state }).program, cudaBackend);
}

describe.each(Object.entries(fills))('%s values', (_, fill) => {
  test.each(cases)('$name', each => {
    const inputs = each.shapes.map(shape => filled(shape, fill));
    const expected = exact(each, inputs);
    const fn = compile(each.run, each.shapes.map(shape => input(shape)) as never) as Case['run'];
    expect(errorOf(numbers(each.run(...inputs)), expected)).toBeLessThan(1e-6);
    expect(errorOf(numbers(fn(...inputs)), expected)).toBeLessThan(1e-5);
  });
  test.skipIf(!hasHostCompiler).each(cases)('$name by CUDA C', async each => {
    const model = (await hostModels())[cases.indexOf(each)];
    const inputs = each.shapes.map(shape => filled(shape, fill));
    const values = inputs.map((x, i) => [`x${i}`, rowMajor(x, 'an input')] as const);
    const { y } = model.entries.run(Object.fromEntries(values));
    expect(errorOf(Array.from(y, Number), exact(each, inputs))).toBeLessThan(1e-5);
  });
});
