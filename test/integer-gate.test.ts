/**
 * Every op of the table on integers and booleans in the place of floats: it gives something, or refuses them by name. What it
 * never does is fail within: a kernel that is not defined, or a number that is none of the type.
 */
import { describe, expect, test } from 'vitest';
import { GradcError, InternalError } from '../compiler/errors.js';
import type { DType } from '../compiler/ir/dtype.js';
import { allComposites, allOps, apply, type Composite, type OpDef } from '../compiler/ops/define.js';
import { bindArguments } from '../compiler/ops/signature.js';
import { noGrad } from '../compiler/ops/tape.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import '../runtime/index.js';
import { makeArguments, makeTensor, numbersIn, tensorsIn, withTensors } from './support/op-samples.js';

const wholeNumbers = ['int64', 'int32', 'int16', 'int8', 'uint8', 'bool'] as const;

function call(op: OpDef | Composite, args: readonly unknown[]): unknown {
  const bound = bindArguments(op.name, op.params, args);
  if ('call' in op) return op.call(...args);
  const { inputs, attrs } = op.prepare(bound);
  return apply(op, inputs, attrs);
}

/** Small numbers, and none that is negative: every type has them. */
function wholeNumber(value: number, dtype: DType): number {
  const size = Math.abs(Math.round(value)) % (dtype === 'bool' ? 2 : 8);
  return Number.isFinite(size) ? size : 0;
}

const inPlaceOfFloats =
  (dtype: DType) =>
  (tensor: Tensor): Tensor => {
    if (tensor.dtype !== 'float64') return tensor;
    const values = numbersIn(tensor).map(value => wholeNumber(value, dtype));
    return makeTensor(dtype, tensor.shape, values);
  };

describe.each(wholeNumbers)('%s', dtype => {
  test.each([...allOps(), ...allComposites()].map(op => [op.name, op] as const))('%s', (_, op) => {
    for (const [i, { args }] of op.samples.entries()) {
      const real = makeArguments(args, 'float64', `${op.name} ${i}`);
      try {
        noGrad(() =>
          tensorsIn(call(op, withTensors(real, tensorsIn(real).map(inPlaceOfFloats(dtype))))).forEach(numbersIn),
        );
      } catch (error) {
        expect(error).toBeInstanceOf(GradcError);
        expect(error).not.toBeInstanceOf(InternalError);
      }
    }
  });
});
