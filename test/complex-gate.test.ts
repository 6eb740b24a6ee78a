/**
 * Every op of the table on complex numbers: one without a rule refuses them by name, and one with a rule does with numbers on the
 * real line what it does with real ones. Neither list is written down here.
 */
import { describe, expect, test } from 'vitest';
import { complexRuleFor, takesComplex } from '../compiler/ops/complex/rules.js';
import { allComposites, allOps, apply, type Composite, type OpDef } from '../compiler/ops/define.js';
import { bindArguments } from '../compiler/ops/signature.js';
import { isComplexTensor, Tensor } from '../compiler/ops/tensor.js';
import { complex } from '../runtime/index.js';
import { makeArguments, numbersIn, tensorsIn, withTensors } from './support/op-samples.js';

const onRealLine = (tensor: Tensor): Tensor =>
  tensor.dtype === 'float64' ? complex(tensor, tensor.zerosLike()) : tensor;

function call(op: OpDef | Composite, args: readonly unknown[]): unknown {
  const bound = bindArguments(op.name, op.params, args);
  const rule = complexRuleFor(op.name, bound);
  if (rule !== null) return rule(bound);
  if ('call' in op) return op.call(...args);
  const { inputs, attrs } = op.prepare(bound);
  return apply(op, inputs, attrs);
}

/** Arguments of the first sample that has floats, with these on the real line. */
const samplesOf = (op: OpDef | Composite): { real: unknown[]; complex: unknown[] }[] =>
  op.samples.flatMap(({ args }, i) => {
    const real = makeArguments(args, 'float64', `${op.name} ${i}`);
    const tensors = tensorsIn(real);
    return tensors.some(({ dtype }) => dtype === 'float64')
      ? [{ real, complex: withTensors(real, tensors.map(onRealLine)) }]
      : [];
  });

const ops = [...allOps(), ...allComposites()].filter(op => samplesOf(op).length > 0);

describe('ops without a rule refuse complex numbers', () => {
  const refusing = ops.filter(op => !takesComplex(op.name));
  test('and there are many', () => expect(refusing.length).toBeGreaterThan(200));
  test.each(refusing.map(op => [op.name, op] as const))('%s', (name, op) => {
    for (const { complex: args } of samplesOf(op))
      expect(() => call(op, args)).toThrow(new RegExp(`E111: ${name.replace('.', '\\.')} does not take complex128`));
  });
});

/** Of -0 the angle is 0 as a real number and π as a complex one. */
const ownMeaning = new Set(['angle']);
/** Options of an op that does take complex numbers. */
const withoutMeaning = (args: readonly unknown[]): boolean => JSON.stringify(args).includes('roundingMode');

describe('ops with a rule are what they are on the real line', () => {
  const taking = ops.filter(op => takesComplex(op.name) && !ownMeaning.has(op.name));
  test('and there are many', () => expect(taking.length).toBeGreaterThan(120));
  test.each(taking.map(op => [op.name, op] as const))('%s', (_, op) => {
    for (const { real, complex: args } of samplesOf(op)) {
      if (withoutMeaning(real.filter(arg => !(arg instanceof Tensor)))) continue;
      const expected = tensorsIn(call(op, real));
      const actual = tensorsIn(call(op, args));
      expect(actual.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
      for (const [i, tensor] of actual.entries()) {
        const wanted = numbersIn(expected[i]);
        const got = numbersIn(isComplexTensor(tensor) ? tensor.real() : tensor);
        for (const [k, value] of wanted.entries()) if (Number.isFinite(value)) expect(got[k]).toBeCloseTo(value, 9);
        if (isComplexTensor(tensor) && wanted.every(Number.isFinite))
          for (const part of numbersIn(tensor.imag())) expect(part).toBeCloseTo(0, 9);
      }
    }
  });
});
