/**
 * Every op of the table: op × sample × mode, generated from the definitions. A new op brings its tests with it.
 *
 * Each mode runs the sample in float32, value and gradient in one program, against eager in float64. The float64 gradient is
 * checked against central differences, the gradient of the gradient likewise. What an op declares as an error must fail with
 * that message; what depends on values must be refused by a trace.
 */
import { describe, expect, test } from 'vitest';
import { isFloat } from '../compiler/ir/dtype.js';
import { gradOf } from '../compiler/ops/tape.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { type Mode, modes, type TensorFunction } from './support/modes.js';
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

/** Float32 against float64, as a part of the largest magnitude in the result. */
const valueTolerance = 2e-5;
const gradientTolerance = 1e-4;

function expectSameValues(actual: readonly Tensor[], expected: readonly Tensor[], tolerance: number): void {
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
      const distance = Math.abs(Number(value) - Number(wanted[at]));
      expect(distance, `output ${i}, element ${at}: ${value}, expected ${wanted[at]}`).toBeLessThanOrEqual(
        tolerance * scale,
      );
    }
  }
}

/** Σ of the float outputs weighted by fixed random numbers: a scalar whose gradient shows every element. */
function weightedSum(outputs: readonly (Tensor | null)[], seed: string): Tensor | null {
  const random = generator(seed);
  const terms = outputs.flatMap(output => {
    if (output === null || !isFloat(output.dtype)) return [];
    const weights = Array.from({ length: output.numel() }, () => Math.fround(random() * 2 - 1));
    const dtype = output.dtype === 'float64' ? 'float64' : 'float32';
    return [
      output
        .to(dtype)
        .mul(makeTensor(dtype, output.shape, weights))
        .sum(),
    ];
  });
  return terms.length === 0 ? null : terms.reduce((a, b) => a.add(b));
}

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

/** A call of an op as a function of its tensors, whatever else it takes and however it returns them. */
interface Call {
  readonly fn: TensorFunction;
  readonly inputs: readonly Tensor[];
}
function callOf(op: TestedOp, args: readonly unknown[]): Call {
  return { fn: (...inputs) => tensorsIn(op.call(...withTensors(args, inputs))), inputs: tensorsIn(args) };
}

/** The results of a call, and the gradients of their weighted sum by all float inputs that have one. */
function withGradients({ fn, inputs }: Call, seed: string): TensorFunction {
  const floats = inputs.map(input => isFloat(input.dtype));
  return (...given) => {
    const leaves = given.map((input, i) => (floats[i] ? input.detach().clone().requiresGrad_() : input));
    const outputs = fn(...leaves);
    const total = weightedSum(outputs, seed);
    if (!total?.requiresGrad) return outputs.map(output => output.detach());
    const gradients = gradOf(
      total,
      leaves.filter((_, i) => floats[i]),
      { allowUnused: true },
    );
    return [...outputs.map(output => output.detach()), ...gradients.filter(gradient => gradient !== null)];
  };
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

function testMode(mode: Mode, op: TestedOp, index: number, seed: string): void {
  const sample = op.samples[index];
  const programOf = (dtype: 'float32' | 'float64'): Call => {
    const call = callOf(op, makeArguments(sample.args, dtype, seed));
    return { fn: sample.gradient === false ? call.fn : withGradients(call, seed), inputs: call.inputs };
  };
  const { fn, inputs } = programOf('float32');
  if (mode.compiled && sample.eagerOnly) {
    expect(() => mode.run(fn, inputs)).toThrow(/needs the value of a tensor that is only being traced/);
    return;
  }
  const missing = [...inputs, ...fn(...inputs)].find(tensor => mode.lacks.includes(tensor.dtype));
  if (missing !== undefined) {
    expect(() => mode.run(fn, inputs)).toThrow(`backend '${mode.name}' cannot do ${missing.dtype}`);
    return;
  }
  const exact = programOf('float64');
  const tolerance = sample.gradient === false ? valueTolerance : gradientTolerance;
  expectSameValues(mode.run(fn, inputs), exact.fn(...exact.inputs), tolerance);
}

describe.each(testedOps.map(op => [op.name, op] as const))('%s', (name, op) => {
  for (const [index, sample] of op.samples.entries()) {
    const seed = `${name} ${index}`;
    test.each(modes)(`sample ${index}, $name`, mode => testMode(mode, op, index, seed));
    if (sample.gradient === false) continue;

    test(`gradient ${index}`, () => {
      const { f, inputs } = scalarOf(callOf(op, makeArguments(sample.args, 'float64', seed)), seed);
      const leaves = tracked(inputs);
      expectGradients(gradOf(f(leaves), leaves, { allowUnused: true }), differences(f, inputs), 1e-6);
    });

    test(`second derivative ${index}`, () => {
      const { f, inputs } = scalarOf(callOf(op, makeArguments(sample.args, 'float64', seed)), seed);
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
