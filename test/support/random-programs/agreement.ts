/** How close two results of a program must be, and whether its numbers bear such a comparison. */
import { type DType, isFloat } from '../../../compiler/ir/dtype.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { elementsIn, generator, makeTensor } from '../op-samples.js';
import { type RandomProgram, runEntry, type Touch } from './program.js';

/** As a part of the largest magnitude in a result. Programs chain up to eight ops, each of which may amplify. */
const single = 1e-3;
const tolerances: Partial<Record<DType, number>> = { float16: 2e-2, bfloat16: 0.1 };
/** The distance of 1 to the next number; of single precision several, as sums may be taken in another order. */
const units: Partial<Record<DType, number>> = { float16: 2 ** -10, bfloat16: 2 ** -7, float32: 2 ** -21 };

/** What is wrong with one of two tensors that should be the same; null where nothing is, or what differs is excused. */
export function mismatch(
  got: Tensor,
  want: Tensor,
  tolerance: number,
  isExcused: (element: number) => boolean = () => false,
): string | null {
  if (got.dtype !== want.dtype || `${got.shape}` !== `${want.shape}`)
    return `${got.dtype}[${got.shape}] instead of ${want.dtype}[${want.shape}]`;
  const [values, wanted] = [elementsIn(got), elementsIn(want)];
  const scale = Math.max(1, ...wanted.map(Number).filter(Number.isFinite).map(Math.abs));
  for (const [i, value] of values.entries()) {
    if (Object.is(value, wanted[i]) || value === wanted[i]) continue;
    const close = isFloat(got.dtype) && Math.abs(Number(value) - Number(wanted[i])) <= tolerance * scale;
    if (!close && !isExcused(i)) return `element ${i} is ${value} instead of ${wanted[i]}`;
  }
  return null;
}

function eagerRun(program: RandomProgram, touch?: Touch): Tensor[] {
  const state = program.state.map(tensor => tensor.clone());
  return [0, 1].flatMap(() =>
    program.entries.flatMap(entry =>
      [...runEntry(entry, entry.inputs, state, touch), ...state].map(tensor => tensor.clone()),
    ),
  );
}

interface Expected {
  /** Of two calls of each entry in turn: its results, then the state after it. */
  readonly results: readonly Tensor[];
  /** As the coarsest type among the values needs it. */
  readonly tolerance: number;
}
const known = new WeakMap<RandomProgram, Expected>();

/** What a program does eagerly. */
export function expectedOf(program: RandomProgram): Expected {
  const expected = known.get(program) ?? plainRun(program);
  known.set(program, expected);
  return expected;
}

function plainRun(program: RandomProgram): Expected {
  let tolerance = single;
  const consider = (value: Tensor): Tensor => {
    tolerance = Math.max(tolerance, tolerances[value.dtype] ?? 0);
    return value;
  };
  for (const given of [...program.state, ...program.entries.flatMap(({ inputs }) => inputs)]) consider(given);
  const results = eagerRun(program, consider);
  return { results, tolerance };
}

/**
 * Whether the results stay where they are when each value on the way moves by a unit of its type: elsewhere a comparison says
 * nothing. Also false where the program cannot run as a whole.
 */
export function isSteady(program: RandomProgram): boolean {
  try {
    const { results, tolerance } = expectedOf(program);
    const moved = eagerRun(program, nudging());
    return (
      moved.length === results.length && moved.every((got, i) => mismatch(got, results[i], tolerance / 4) === null)
    );
  } catch {
    return false;
  }
}

/** Moves each element of each value by about a unit, no two alike: what is equal by its making should not stay equal. */
function nudging(): Touch {
  const next = generator('nudge');
  return value => {
    const unit = units[value.dtype];
    if (unit === undefined || value.numel() === 0) return value;
    const factors = Array.from({ length: value.numel() }, () => 1 + unit * (next() < 0.5 ? -1 : 1) * (0.5 + next()));
    return value.mul(makeTensor(value.dtype, value.shape, factors));
  };
}
