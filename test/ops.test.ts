/**
 * Every op of the table: op × sample × mode, generated from the definitions. A new op brings its tests with it.
 *
 * Value: each mode in float32 against eager in float64. Gradient: the tape in float64 against central differences. Second
 * order: the gradient of the gradient likewise. Errors: what the op declares must fail, fails with that message.
 */
import { describe, expect, test } from 'vitest';
import { isFloat } from '../compiler/ir/dtype.js';
import { gradOf, noGrad } from '../compiler/ops/tape.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { modes } from './support/modes.js';
import {
  elementsIn,
  generator,
  makeArguments,
  makeTensor,
  numbersIn,
  type TestedOp,
  tensorsIn,
  testedOps,
  withTensors,
} from './support/op-samples.js';

/** Float32 against float64: some roundings of the largest value that takes part. */
const valueTolerance = 2e-5;

function expectSameValues(actual: readonly Tensor[], expected: readonly Tensor[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, output] of actual.entries()) {
    expect(output.shape).toEqual(expected[i].shape);
    const [values, wanted] = [elementsIn(output), elementsIn(expected[i])];
    if (!isFloat(output.dtype)) {
      expect(output.dtype).toBe(expected[i].dtype);
      expect(values).toEqual(wanted);
      continue;
    }
    const scale = Math.max(1, ...wanted.map(Number).filter(Number.isFinite).map(Math.abs));
    for (const [at, value] of values.entries()) {
      if (Object.is(value, wanted[at])) continue;
      expect(
        Math.abs(Number(value) - Number(wanted[at])),
        `output ${i}, element ${at}: ${value}, expected ${wanted[at]}`,
      ).toBeLessThanOrEqual(valueTolerance * scale);
    }
  }
}

const randomLike = (tensor: Tensor, random: () => number): Tensor =>
  makeTensor(
    'float64',
    tensor.shape,
    Array.from({ length: tensor.numel() }, () => random() * 2 - 1),
  );

/** Σ of the outputs weighted by fixed random numbers: a scalar whose gradient shows every element. */
function weightedSum(outputs: readonly Tensor[], seed: string): Tensor | null {
  const random = generator(seed);
  const terms = outputs
    .filter(output => isFloat(output.dtype))
    .map(output => output.to('float64').mul(randomLike(output, random)).sum());
  return terms.length === 0 ? null : terms.reduce((a, b) => a.add(b));
}

type Scalars = (inputs: readonly Tensor[]) => Tensor;

/** Central differences of a scalar function by each element of each input. */
function differences(f: Scalars, inputs: readonly Tensor[]): number[][] {
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
      expect(
        Math.abs(value - wanted[at]),
        `input ${i}, element ${at}: ${value}, by differences ${wanted[at]}`,
      ).toBeLessThanOrEqual(tolerance * scale);
    }
  }
}

/** The call as a scalar function of its float64 inputs. */
function scalarFunction(op: TestedOp, args: readonly unknown[], seed: string): { f: Scalars; inputs: Tensor[] } {
  const tensors = tensorsIn(args);
  const inputs = tensors.filter(tensor => tensor.dtype === 'float64');
  const f = (changed: readonly Tensor[]): Tensor => {
    let next = 0;
    const all = tensors.map(tensor => (tensor.dtype === 'float64' ? changed[next++] : tensor));
    return weightedSum(tensorsIn(op.call(...withTensors(args, all))), seed)!;
  };
  return { f, inputs };
}

const tracked = (inputs: readonly Tensor[]): Tensor[] => inputs.map(input => input.detach().clone().requiresGrad_());

describe.each(testedOps.map(op => [op.name, op] as const))('%s', (name, op) => {
  for (const [index, sample] of op.samples.entries()) {
    const seed = `${name} ${index}`;
    const expected = (): Tensor[] => noGrad(() => tensorsIn(op.call(...makeArguments(sample.args, 'float64', seed))));

    for (const mode of modes) {
      test(`value ${index}, ${mode.name}`, () => {
        const args = makeArguments(sample.args, 'float32', seed);
        expectSameValues(mode.run(op, args), expected());
      });
    }
    if (sample.gradient === false) continue;

    test(`gradient ${index}`, () => {
      const { f, inputs } = scalarFunction(op, makeArguments(sample.args, 'float64', seed), `${seed} weights`);
      const leaves = tracked(inputs);
      expectGradients(gradOf(f(leaves), leaves, { allowUnused: true }), differences(f, inputs), 1e-6);
    });

    test(`second derivative ${index}`, () => {
      const { f, inputs } = scalarFunction(op, makeArguments(sample.args, 'float64', seed), `${seed} weights`);
      const slope: Scalars = changed => {
        const leaves = tracked(changed);
        const gradients = gradOf(f(leaves), leaves, { allowUnused: true, createGraph: true });
        return (
          weightedSum(
            gradients.filter(gradient => gradient !== null),
            `${seed} second`,
          ) ?? makeTensor('float64', [], [0])
        );
      };
      const leaves = tracked(inputs);
      const gradients = gradOf(f(leaves), leaves, { allowUnused: true, createGraph: true });
      const total = weightedSum(
        gradients.filter(gradient => gradient !== null),
        `${seed} second`,
      );
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
