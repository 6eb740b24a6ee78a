/**
 * Complex numbers and Fourier transforms against PyTorch 1.13.1: values and gradients of every rule, in float64, eagerly and
 * compiled, second derivatives against differences.
 *
 * `support/complex-recorded.jsonl` holds one call a line, in JavaScript; complex numbers as pairs.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compile } from '../compiler/jit.js';
import { realForm } from '../compiler/ops/tensor.js';
import * as F from '../runtime/functional.js';
import type { Tensor } from '../runtime/index.js';
import * as gradc from '../runtime/index.js';

interface Recorded {
  readonly dtype: gradc.DType;
  readonly shape: readonly number[];
  readonly data: readonly (number | boolean | string)[];
}
interface Case {
  readonly group: string;
  readonly js: string;
  readonly inputs: Readonly<Record<string, Recorded>>;
  readonly outputs: readonly Recorded[];
  readonly cotangent?: Recorded;
  readonly grads?: Readonly<Record<string, Recorded>>;
}

const cases: Case[] = readFileSync(new URL('support/complex-recorded.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map(line => JSON.parse(line));

const special: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
};
const numbers = ({ data }: Recorded): number[] =>
  data.map(value => (typeof value === 'string' ? special[value] : Number(value)));

function made(recorded: Recorded): Tensor {
  const values = numbers(recorded);
  if (!recorded.dtype.startsWith('complex'))
    return gradc.tensor(values, { dtype: recorded.dtype }).reshape(recorded.shape);
  const dtype = recorded.dtype === 'complex64' ? 'float32' : 'float64';
  return gradc.viewAsComplex(gradc.tensor(values, { dtype }).reshape([...recorded.shape, 2]));
}

const isReal = ({ dtype }: Recorded): boolean => dtype.startsWith('float') || dtype.startsWith('complex');

/** The call with these inputs; everything of gradc is at hand in it. */
function called({ js, inputs }: Case, given: readonly Tensor[]): Tensor[] {
  const { var: _reserved, ...functions } = gradc;
  const names = { ...functions, F };
  const keys = [...Object.keys(names), ...Object.keys(inputs)];
  return [new Function(...keys, `return ${js}`)(...Object.values(names), ...given)].flat();
}

function expectLike(actual: Tensor, expected: Recorded, what: string): void {
  expect(actual.dtype, what).toBe(expected.dtype);
  expect(actual.shape, what).toEqual(expected.shape);
  const tolerance = expected.dtype === 'complex64' || expected.dtype === 'float32' ? 1e-5 : 1e-9;
  const got = realForm(actual).detach().flatten().tolist<(number | boolean)[]>().map(Number);
  for (const [i, wanted] of numbers(expected).entries()) {
    if (Number.isFinite(wanted)) {
      const error = Math.abs(got[i] - wanted);
      expect(error, `${what}[${i}]: ${got[i]}, not ${wanted}`).toBeLessThanOrEqual(tolerance * (1 + Math.abs(wanted)));
    } else expect(got[i], `${what}[${i}]`).toBe(wanted);
  }
}

/** Values and gradients of a call. */
function differentiated(recorded: Case, given: readonly Tensor[]): Tensor[] {
  const outputs = called(recorded, given);
  if (recorded.cotangent === undefined) return outputs;
  const leaves = Object.keys(recorded.inputs).flatMap((name, i) => (recorded.grads?.[name] ? [given[i]] : []));
  const grads = gradc.autograd.grad([outputs[0]], leaves, { gradOutputs: [made(recorded.cotangent)] });
  return [...outputs, ...grads];
}

const expectedOf = ({ outputs, grads = {} }: Case): [string, Recorded][] => [
  ...outputs.map((output, i): [string, Recorded] => [`output ${i}`, output]),
  ...Object.entries(grads).map(([name, grad]): [string, Recorded] => [`gradient of ${name}`, grad]),
];

const leavesOf = ({ inputs }: Case): Tensor[] =>
  Object.values(inputs).map(recorded => (isReal(recorded) ? made(recorded).requiresGrad_() : made(recorded)));

const groups = [...new Set(cases.map(({ group }) => group))];
describe.each(groups)('%s, eagerly', group => {
  test.each(
    cases.filter(recorded => recorded.group === group).map((recorded, i) => [`${i} ${recorded.js}`, recorded] as const),
  )('%s', (_, recorded) => {
    const results = differentiated(recorded, leavesOf(recorded));
    for (const [i, [what, expected]] of expectedOf(recorded).entries()) expectLike(results[i], expected, what);
  });
});

/** Calls whose size depends on data. */
const eagerOnly = /maskedSelect|at\(m\)/;
/** Calls that one program computes. */
const perProgram = 16;

const compiledOnes = cases.filter(({ js, inputs }) => !eagerOnly.test(js) && Object.keys(inputs).length > 0);
const programs = Array.from({ length: Math.ceil(compiledOnes.length / perProgram) }, (_, i) =>
  compiledOnes.slice(i * perProgram, (i + 1) * perProgram),
);

test.each(programs.map(program => [`${program[0].js} to ${program[program.length - 1].js}`, program] as const))(
  'compiled: %s',
  (_, program) => {
    const inputs = program.flatMap(recorded => Object.values(recorded.inputs));
    const given = inputs.map(made);
    const run = compile(
      (...tensors: Tensor[]) => {
        const leaves = tensors.map((tensor, i) => (isReal(inputs[i]) ? tensor.detach().requiresGrad_() : tensor));
        return program.flatMap(recorded =>
          differentiated(recorded, leaves.splice(0, Object.keys(recorded.inputs).length)),
        );
      },
      given.map(({ shape, dtype }) => ({ shape, dtype })),
    );
    const results = run(...given);
    const expected = program.flatMap(recorded =>
      expectedOf(recorded).map(([what, value]) => [`${recorded.js}: ${what}`, value] as const),
    );
    for (const [i, [what, value]] of expected.entries()) expectLike(results[i], value, what);
  },
);
