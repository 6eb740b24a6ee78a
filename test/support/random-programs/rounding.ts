/**
 * Whether rounding explains a result of a random program that is elsewhere than eager's: by the rule of `gradc compare`, which
 * holds both against the same program in float64, and against samples of what float32 makes of that.
 *
 * The programs drawn are steady under one nudge of their values. Rounding can also do what that nudge did not: a sum of equal
 * numbers taken in another order is where they cancel, or is not.
 */

import { accuracyOf } from '../../../compiler/cli/compare/accuracy.js';
import { unlessRefused } from '../../../compiler/cli/compare/check.js';
import { type Noise, noiseOf } from '../../../compiler/cli/compare/noise.js';
import { Trajectory } from '../../../compiler/cli/compare/trajectory.js';
import type { TypedArray } from '../../../compiler/ir/dtype.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import type { TracedModel } from '../../../compiler/trace/model.js';
import { rowMajor } from '../../../runtime/eager.js';
import { traced } from './compiled.js';
import type { RandomProgram } from './program.js';

/** One element of one value that a program leaves; values are counted as in `Expected`. */
interface Found {
  readonly at: number;
  readonly element: number;
  readonly got: Tensor;
  readonly want: Tensor;
}

/** More than `compare` draws, as each element is judged by itself, not by the worst of its tensor. */
const samples = 8;

/** Is what a compiled program gave no further from float64 than rounding may take it? */
export function isRounding(program: RandomProgram, { at, element, got, want }: Found): boolean {
  const truth = truthOf(program);
  if (truth.exact === null) return false;
  const only = (array: TypedArray): TypedArray => array.slice(element, element + 1);
  const stored = (tensor: Tensor): TypedArray => only(rowMajor(tensor, 'a test'));
  const noise = function* (): Generator<TypedArray> {
    for (let i = 0; i < samples; i++) yield only(truth.sample(i)[at]);
  };
  const exact = only(truth.exact[at]);
  const tensors = { dtype: want.dtype, eager: stored(want), compiled: stored(got), noise };
  return accuracyOf({ ...tensors, exact: firstFinite([exact], noise()) ?? exact }, {}).agrees;
}

/** A place where float64 divides zero by zero has a value beside it: a number must be as close to that as to any other. */
function firstFinite(...runs: readonly Iterable<TypedArray>[]): TypedArray | null {
  for (const run of runs) for (const values of run) if (Number.isFinite(Number(values[0]))) return values;
  return null;
}

/** What a program leaves in float64, and with noise; drawn as it is asked for. */
class Truth {
  readonly exact: readonly TypedArray[] | null;
  readonly #program: RandomProgram;
  readonly #traced: TracedModel;
  readonly #drawn: (readonly TypedArray[])[] = [];

  constructor(program: RandomProgram) {
    this.#program = program;
    this.#traced = traced(program);
    this.exact = unlessRefused(() => valuesLeft(program, this.#traced, null));
  }

  sample(i: number): readonly TypedArray[] {
    this.#drawn[i] ??= valuesLeft(this.#program, this.#traced, noiseOf(i));
    return this.#drawn[i];
  }
}

const known = new WeakMap<RandomProgram, Truth>();
function truthOf(program: RandomProgram): Truth {
  const truth = known.get(program) ?? new Truth(program);
  known.set(program, truth);
  return truth;
}

/** Of two calls of each entry in turn: its results, then the state after it. */
function valuesLeft(program: RandomProgram, { graphs, state: given }: TracedModel, noise: Noise | null): TypedArray[] {
  const arraysOf = (tensors: readonly Tensor[], name: string): [string, TypedArray][] =>
    tensors.map((tensor, i) => [`${name}${i}`, tensor.contiguous().toTypedArray()]);
  const seen = new Map(given.map(({ name, storage }) => [name, storage.array]));
  // what no entry touches is not in the model
  let state = new Map([...arraysOf(program.state, 'state'), ...seen]);
  const trajectory = new Trajectory(graphs, state, noise);
  const calls = [0, 1].flatMap(() =>
    program.entries.map(({ inputs }, e) => ({ entry: `run${e}`, inputs: Object.fromEntries(arraysOf(inputs, 'v')) })),
  );
  return calls.flatMap((_, i) => {
    const { results, updates } = trajectory.after(calls.slice(0, i + 1));
    state = new Map([...state, ...updates]);
    const made = [...results].filter(([name]) => name.startsWith('out')).map(([, array]) => array);
    return [...made, ...program.state.map((_, i) => state.get(`state${i}`)!)];
  });
}
