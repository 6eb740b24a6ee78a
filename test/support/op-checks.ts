/** What the op tests of every mode share: a sample as a program of tensors, and how close is close. */
import { expect } from 'vitest';
import { type DType, isFloat } from '../../compiler/ir/dtype.js';
import { gradOf } from '../../compiler/ops/backward.js';
import type { Sample } from '../../compiler/ops/samples.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { TensorFunction } from './modes.js';
import {
  elementsIn,
  generator,
  makeArguments,
  makeTensor,
  type TestedOp,
  tensorsIn,
  withTensors,
} from './op-samples.js';

/** Float32 against float64, as a part of the largest magnitude in the result. */
const valueTolerance = 2e-5;
const gradientTolerance = 1e-4;

export function expectSameValues(actual: readonly Tensor[], expected: readonly Tensor[], tolerance: number): void {
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
export function weightedSum(outputs: readonly (Tensor | null)[], seed: string): Tensor | null {
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

/** A call of an op as a function of its tensors, whatever else it takes and however it returns them. */
export interface Call {
  readonly fn: TensorFunction;
  readonly inputs: readonly Tensor[];
}
export function callOf(op: TestedOp, { args, through }: Sample, dtype: DType, seed: string): Call {
  const made = makeArguments(args, dtype, seed);
  const adapted = (input: Tensor): Tensor => (through && isFloat(input.dtype) ? through(input) : input);
  return { fn: (...inputs) => tensorsIn(op.call(...withTensors(made, inputs.map(adapted)))), inputs: tensorsIn(made) };
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

/** One sample of an op: what runs in float32, and what it should give, from eager float64. */
export interface SampleProgram extends Call {
  readonly tolerance: number;
  expected(): readonly Tensor[];
}
export function sampleProgram(op: TestedOp, index: number): SampleProgram {
  const sample = op.samples[index];
  const seed = seedOf(op, index);
  const programOf = (dtype: 'float32' | 'float64'): Call => {
    const call = callOf(op, sample, dtype, seed);
    return { fn: sample.gradient === false ? call.fn : withGradients(call, seed), inputs: call.inputs };
  };
  const exact = programOf('float64');
  return {
    ...programOf('float32'),
    tolerance: sample.gradient === false ? valueTolerance : gradientTolerance,
    expected: () => exact.fn(...exact.inputs),
  };
}

export const seedOf = (op: TestedOp, index: number): string => `${op.name} ${index}`;
