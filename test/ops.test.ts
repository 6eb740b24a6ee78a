/**
 * Every op of the table: op × sample × mode, generated from the definitions. A new op brings its tests with it.
 *
 * Each mode runs the sample in float32, value and gradient in one program, against eager in float64. The float64
 * gradient is checked against central differences, the gradient of the gradient likewise. What an op declares as an
 * error must fail with that message; what depends on values must be refused by a trace.
 */
import { describe, expect, test } from 'vitest';
import { gradOf } from '../compiler/ops/backward.js';
import { allComposites, allOps } from '../compiler/ops/define.js';
import type { Sample } from '../compiler/ops/samples.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { type Mode, modes, SharedFunction } from './support/modes.js';
import { type Call, callOf, expectSameValues, sampleProgram, seedOf, weightedSum } from './support/op-checks.js';
import { makeArguments, makeTensor, numbersIn, type TestedOp, testedOps } from './support/op-samples.js';

type Scalar = (inputs: readonly Tensor[]) => Tensor;

/** Central differences of a scalar function by each element of each input. */
function differences(f: Scalar, inputs: readonly Tensor[]): number[][] {
  const step = 1e-5;
  return inputs.map((input, i) => {
    const values = numbersIn(input);
    return values.map((value, at) => {
      const moved = (by: number): number => {
        const changed = makeTensor('float64', input.shape, values.with(at, value + by));
        return numbersIn(f(inputs.map((other, j) => (j === i ? changed : other))))[0];
      };
      return (moved(step) - moved(-step)) / (2 * step);
    });
  });
}

function expectGradients(actual: readonly (Tensor | null)[], expected: readonly number[][], tolerance: number): void {
  for (const [i, wanted] of expected.entries()) {
    const gradient = actual[i];
    const values = gradient === null ? wanted.map(() => 0) : numbersIn(gradient);
    const scale = Math.max(1, ...wanted.map(Math.abs));
    for (const [at, value] of values.entries()) {
      const message = `input ${i}, element ${at}: ${value}, by differences ${wanted[at]}`;
      expect(Math.abs(value - wanted[at]), message).toBeLessThanOrEqual(tolerance * scale);
    }
  }
}

/** The call as a scalar function of its float64 inputs. */
function scalarOf({ fn, inputs }: Call, seed: string): { f: Scalar; inputs: Tensor[] } {
  const f: Scalar = changed => {
    let next = 0;
    return weightedSum(fn(...inputs.map(input => (input.dtype === 'float64' ? changed[next++] : input))), seed)!;
  };
  return { f, inputs: inputs.filter(input => input.dtype === 'float64') };
}

const tracked = (inputs: readonly Tensor[]): Tensor[] => inputs.map(input => input.detach().clone().requiresGrad_());

interface SharedSample {
  readonly seed: string;
  readonly fn: SharedFunction;
  readonly expected: readonly Tensor[];
}
/** What the modes of the sample that is being tested have in common, so that it is made once. */
let current: SharedSample | null = null;

function testMode(mode: Mode, op: TestedOp, index: number): void {
  const { fn, inputs, expected, tolerance } = sampleProgram(op, index);
  if (mode.compiled && op.samples[index].eagerOnly) {
    const compiling = (): unknown => mode.run(new SharedFunction(fn), inputs);
    expect(compiling).toThrow(/needs the value of a tensor that is only being traced/);
    return;
  }
  const seed = seedOf(op, index);
  if (current?.seed !== seed) current = { seed, fn: new SharedFunction(fn), expected: expected() };
  expectSameValues(mode.run(current.fn, inputs), current.expected, tolerance);
}

describe.each(testedOps.map(op => [op.name, op] as const))('%s', (name, op) => {
  for (const [index, sample] of op.samples.entries()) {
    const seed = seedOf(op, index);
    test.each(modes)(`sample ${index}, $name`, mode => testMode(mode, op, index));
    if (sample.gradient === false) continue;

    test(`gradient ${index}`, () => {
      const { f, inputs } = scalarOf(callOf(op, sample, 'float64', seed), seed);
      const leaves = tracked(inputs);
      expectGradients(gradOf(f(leaves), leaves, { allowUnused: true }), differences(f, inputs), 1e-6);
    });

    if (sample.gradient === 'first') continue;

    test(`second derivative ${index}`, () => {
      const { f, inputs } = scalarOf(callOf(op, sample, 'float64', seed), seed);
      const gradientSum = (leaves: readonly Tensor[]): Tensor | null =>
        weightedSum(gradOf(f(leaves), leaves, { allowUnused: true, createGraph: true }), `${seed} second`);
      const slope: Scalar = changed => gradientSum(tracked(changed)) ?? makeTensor('float64', [], [0]);
      const leaves = tracked(inputs);
      const total = gradientSum(leaves);
      const second = total?.requiresGrad ? gradOf(total, leaves, { allowUnused: true }) : leaves.map(() => null);
      expectGradients(second, differences(slope, inputs), 1e-5);
    });
  }

  for (const [index, { args, message }] of op.errors.entries()) {
    test(`error ${index}`, () => {
      expect(() => op.call(...makeArguments(args, 'float32', `${name} error ${index}`))).toThrow(message);
    });
  }
});

/** The samples of an op whose float64 results carry a derivative. */
const carriesDerivative = (op: TestedOp): Sample[] =>
  op.samples.filter((sample, index) => {
    const { fn, inputs } = callOf(op, sample, 'float64', seedOf(op, index));
    const leaves = inputs.map(input => (input.dtype === 'float64' ? input.requiresGrad_() : input));
    return fn(...leaves).some(output => output.requiresGrad && output.dtype === 'float64');
  });

test('every op with a derivative has it checked, and nearly all to second order', () => {
  const differentiable = testedOps
    .map(({ name, ...op }) => ({ name, samples: carriesDerivative({ name, ...op }) }))
    .filter(({ samples }) => samples.length > 0);
  const unchecked = differentiable.filter(op => op.samples.every(sample => sample.gradient === false));
  const second = differentiable.filter(op => op.samples.some(sample => (sample.gradient ?? true) === true));
  console.log(
    `Derivatives by central differences: ${differentiable.length - unchecked.length} of ${differentiable.length} ops, ` +
      `second derivatives: ${second.length}`,
  );
  expect(unchecked.map(({ name }) => name)).toEqual([]);
  expect(second.length).toBeGreaterThanOrEqual(0.9 * differentiable.length);
});

test('the table has every op of the library', async () => {
  await import('gradc');
  const all = [...allOps(), ...allComposites()].map(({ name }) => name);
  expect(all.filter(name => !testedOps.some(op => op.name === name))).toEqual([]);
});
