/** Draws random programs: one for each seed. */
import { isFloat } from '../../../compiler/ir/dtype.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { testedOps } from '../op-samples.js';
import { isSteady } from './agreement.js';
import { drawCall } from './calls.js';
import { drawComplex } from './complex.js';
import { drawDerivative } from './derivatives.js';
import { Growth, Random, type Taste } from './growth.js';
import type { Grow } from './inside.js';
import { drawLongSum } from './long-sums.js';
import { drawCond, drawScan, drawWhile } from './loops.js';
import type { RandomEntry, RandomProgram, Step } from './program.js';
import { drawWrite } from './writes.js';

/** The program of a seed, such that its results can be compared; so many seeds in a row as there are ops draw each of them. */
export function randomProgram(seed: number): RandomProgram {
  for (let round = 0; round < 30; round++) {
    const random = new Random(`program ${seed}.${round}`);
    const program = drawProgram(random, testedOps[seed % testedOps.length], random.chance(0.3) && round < 3);
    if (isSteady(program)) return program;
  }
  throw new Error(`no program of seed ${seed} is steady`);
}

function drawProgram(random: Random, due: (typeof testedOps)[number], halves: boolean): RandomProgram {
  const state = random.list(random.below(3), i => random.tensor('float32', [[3], [2, 3], [4, 1]][i]));
  const seen = state.map(tensor => tensor.clone());
  const taste = { halves, depth: 2, writes: true };
  const count = random.of([1, 1, 1, 2, 3]);
  const entries = random.list(count, i => drawEntry(random, taste, seen, i === 0 ? due : null));
  return { state, entries: entries.filter(({ steps }) => steps.length > 0) };
}

function drawEntry(
  random: Random,
  taste: Taste,
  state: readonly Tensor[],
  due: (typeof testedOps)[number] | null,
): RandomEntry {
  const growth = new Growth(random, taste, state, [...state.keys()]);
  if (due)
    for (let tries = 0; growth.stepNumbers.length === 0 && tries < 10; tries++) growth.try(at => drawCall(at, due));
  grow(growth, 2 + random.below(6));
  const numbers = growth.stepNumbers;
  const results = numbers.filter((_, i) => i === numbers.length - 1 || random.chance(0.25));
  const { block, fresh } = growth.finish(results);
  const floats = growth.numbers.filter(number => growth.at(number).numel() > 0 && isFloat(growth.at(number).dtype));
  const updates = state.flatMap((_, i) => (random.chance(0.5) ? [{ state: i, value: random.of(floats) }] : []));
  const renumbered = updates.map(({ state: i, value }) => ({
    state: i,
    value: value < state.length ? value : value + fresh.length,
  }));
  return { ...block, inputs: fresh, updates: renumbered, derivatives: random.of([0, 0, 0, 1, 1, 2]) };
}

/** A first step that calls an op; false where ten tries gave none. */
function begin(growth: Growth, op: (typeof testedOps)[number]): boolean {
  for (let tries = 0; tries < 10; tries++) if (growth.try(at => drawCall(at, op))) return true;
  return false;
}

/** Whether the program of a seed that an op is due at begins with it. */
export const canBegin = (op: (typeof testedOps)[number]): boolean =>
  begin(new Growth(new Random(op.name), { halves: true, depth: 0, writes: false }, [], []), op);

const grow: Grow = (growth, steps) => {
  for (let tries = 0; growth.stepNumbers.length < steps && tries < 8 * steps; tries++) growth.try(drawStep);
};

function drawStep(growth: Growth): Step | null {
  const { random, taste } = growth;
  if (random.chance(0.15)) return drawWrite(growth);
  if (random.chance(0.06)) return drawComplex(growth);
  if (random.chance(0.02)) return drawLongSum(growth);
  if (taste.depth === 0 || random.chance(0.75)) return drawCall(growth);
  return random.of([drawScan, drawScan, drawCond, drawWhile, drawDerivative, drawDerivative])(growth, grow);
}
