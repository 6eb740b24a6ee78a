/** Programs made smaller as long as they fail: fewer entries, results, updates, derivatives and steps, also inside loops. */
import { makeTensor, numbersIn } from '../op-samples.js';
import { attempt } from './growth.js';
import { allSteps, type Block, type RandomEntry, type RandomProgram, runStep, type Step, writes } from './program.js';

export function shrink(program: RandomProgram, fails: (candidate: RandomProgram) => boolean): RandomProgram {
  for (;;) {
    const smaller = smallerPrograms(program).find(candidate => sizeOf(candidate) < sizeOf(program) && fails(candidate));
    if (smaller === undefined) return program;
    program = smaller;
  }
}

const sizeOf = ({ entries }: RandomProgram): number =>
  entries.reduce(
    (sum, entry) =>
      sum +
      100 +
      10 * allSteps(entry).length +
      3 * entry.results.length +
      3 * entry.updates.length +
      entry.inputs.length +
      entry.derivatives * 2,
    0,
  );

function smallerPrograms(program: RandomProgram): RandomProgram[] {
  const { entries } = program;
  return [
    ...(entries.length > 1 ? entries.map(entry => ({ ...program, entries: [entry] })) : []),
    ...(entries.length > 2 ? entries.map((_, i) => ({ ...program, entries: entries.toSpliced(i, 1) })) : []),
    ...entries.flatMap((entry, i) =>
      smallerEntries(program, entry).map(smaller => ({ ...program, entries: entries.with(i, prunedEntry(smaller)) })),
    ),
  ];
}

function smallerEntries(program: RandomProgram, entry: RandomEntry): RandomEntry[] {
  const { results, updates, steps, derivatives } = entry;
  const alone = { ...entry, updates: [], derivatives: 0 } as const;
  return [
    ...steps.map((_, i) => ({ ...alone, results: [entry.given + i] })),
    ...results.map(kept => ({ ...alone, results: [kept] })),
    ...results.map(kept => ({ ...entry, results: [kept] })),
    ...updates.map(kept => ({ ...alone, results: [], updates: [kept] })),
    ...updates.map(dropped => ({ ...entry, updates: updates.filter(update => update !== dropped) })),
    ...(derivatives > 0 ? [{ ...entry, derivatives: (derivatives - 1) as 0 | 1 }] : []),
    ...steps.flatMap((_, i) => attempt(() => cut(program, entry, i)) ?? []),
    ...steps.flatMap((step, i) => withSmallerBody(step).map(smaller => ({ ...entry, steps: steps.with(i, smaller) }))),
  ];
}

/** A step of whose bodies one ends earlier. */
const withSmallerBody = (step: Step): Step[] =>
  step.bodies.flatMap((body, b) =>
    [
      ...body.results.flatMap((result, r) =>
        Array.from({ length: result }, (_, earlier) => ({ ...body, results: body.results.with(r, earlier) })),
      ),
      ...body.steps.flatMap((inner, i) =>
        withSmallerBody(inner).map(smaller => ({ ...body, steps: body.steps.with(i, smaller) })),
      ),
    ].map(smaller => ({ ...step, bodies: step.bodies.with(b, pruned(smaller, smaller.results)) })),
  );

/** The entry with the output of one step given as an input. */
function cut(program: RandomProgram, entry: RandomEntry, i: number): RandomEntry {
  const values = [...program.state.map(tensor => tensor.clone()), ...entry.inputs];
  for (const step of entry.steps.slice(0, i + 1)) values.push(runStep(step, at => values[at]));
  const value = values[entry.given + i];
  const input = makeTensor(value.dtype, value.shape, numbersIn(value.detach()));
  const cutValue = entry.given + i;
  const number = (old: number): number =>
    old === cutValue ? entry.given : old < entry.given || old > cutValue ? old : old + 1;
  const without = { ...entry, steps: entry.steps.toSpliced(i, 1), inputs: [...entry.inputs, input] };
  return renumberedEntry({ ...without, given: entry.given + 1 }, number);
}

const renumberedEntry = (entry: RandomEntry, number: (value: number) => number): RandomEntry => ({
  ...entry,
  ...renumbered(entry, number),
  updates: entry.updates.map(({ state, value }) => ({ state, value: number(value) })),
});

const renumbered = (block: Block, number: (value: number) => number): Block => ({
  given: block.given,
  steps: block.steps.map(step => ({
    ...step,
    sources: step.sources.map(({ value, as }) => ({ value: number(value), as })),
  })),
  results: block.results.map(number),
});

/** Without inputs and steps that nothing uses. */
function prunedEntry(entry: RandomEntry): RandomEntry {
  const roots = [...entry.results, ...entry.updates.map(({ value }) => value)];
  const used = usedBy(entry, roots);
  const state = entry.given - entry.inputs.length;
  const kept = valuesOf(entry).filter(value => value < state || used.has(value));
  const inputs = entry.inputs.filter((_, i) => used.has(state + i));
  const steps = entry.steps.filter((_, i) => used.has(entry.given + i));
  return renumberedEntry({ ...entry, inputs, steps, given: state + inputs.length }, value => kept.indexOf(value));
}

/** What a body is given stays. */
function pruned(body: Block, roots: readonly number[]): Block {
  const used = usedBy(body, roots);
  const kept = valuesOf(body).filter(value => value < body.given || used.has(value));
  const steps = body.steps.filter((_, i) => used.has(body.given + i));
  return renumbered({ ...body, steps }, value => kept.indexOf(value));
}

const valuesOf = ({ given, steps }: Block): number[] => Array.from({ length: given + steps.length }, (_, i) => i);

function usedBy({ given, steps }: Block, roots: readonly number[]): Set<number> {
  const used = new Set(roots);
  for (const [i, step] of steps.entries()) if (writes(step)) used.add(given + i);
  for (let i = steps.length - 1; i >= 0; i--) {
    if (used.has(given + i)) for (const { value } of steps[i].sources) used.add(value);
  }
  return used;
}
