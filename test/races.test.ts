/**
 * Races between the threads of a team, found without waiting for the moment at which they would show: in random programs
 * every byte that two threads touch between two barriers is looked at, whatever the order in which they come to it.
 *
 * GRADC_FUZZ_SEED and GRADC_FUZZ_PROGRAMS are those of `fuzz.test.ts`.
 */
import { expect, test } from 'vitest';
import type { EntryStep } from '../backends/wasm/entry.js';
import { BARRIER } from '../backends/wasm/globals.js';
import { planTeam } from '../backends/wasm/plan.js';
import { GradcError } from '../compiler/errors.js';
import { call, constant, index, iterOf, load, loop, makeIter, store } from '../compiler/ir/kernel.js';
import type { Program, Slot } from '../compiler/ir/program.js';
import { kernelOf, param } from './support/plain-kernels.js';
import { inOrder, inReverse, runTraced } from './support/races.js';
import { compiledProgram } from './support/random-programs/compiled.js';
import { randomProgram } from './support/random-programs/generator.js';
import { bitDifference, runAlone } from './support/team.js';

const seed = Number(process.env.GRADC_FUZZ_SEED ?? 1);
const programs = Number(process.env.GRADC_FUZZ_PROGRAMS ?? 60);

/** The races, and what differs from one thread. */
function problems(seed: number): string[] {
  const { program, contents } = compiledProgram(randomProgram(seed));
  return [inOrder, inReverse].flatMap((turns, i) => {
    const threads = 2 + ((seed + i) % 3);
    const traced = runTraced(program, threads, turns);
    const difference = bitDifference(program, contents, runAlone(program), traced, threads);
    return [...(difference === null ? [] : [difference]), ...traced.races].map(
      problem => `GRADC_FUZZ_SEED=${seed}: ${problem}`,
    );
  });
}

test(`${programs} random programs from seed ${seed} on have no races`, { timeout: 60_000 + programs * 2000 }, () => {
  const found: string[] = [];
  for (let at = seed; at < seed + programs; at++) {
    try {
      found.push(...problems(at));
    } catch (error) {
      if (!(error instanceof GradcError && (error.code === 'E601' || error.code === 'E206')))
        throw new Error(`GRADC_FUZZ_SEED=${at}: ${(error as Error).message}`, { cause: error });
    }
  }
  expect(found).toEqual([]);
});

/** Two runs of a kernel, one after the other, each of which has a barrier inside. */
function early(): Program {
  const [x, y, z] = [param('x', 4), param('y', 1), param('z', 3)];
  const i = makeIter('i', z.size);
  const kernel = kernelOf(
    'early',
    [],
    [x, y, z],
    [
      store(x, index(0), call('add', load(x, index(1)), constant('float32', 2))),
      store(y, index(0), call('neg', load(x, index(0)))),
      loop(i, 'parallel', [store(z, iterOf(i), load(x, index(0)))]),
    ],
  );
  const slot = (name: string, size: number, offset: number): Slot => ({
    name,
    type: { dtype: 'float32', shape: [size] },
    offset,
  });
  const launches = [
    { kernel, args: [0, 64, 128] },
    { kernel, args: [128, 192, 256] },
  ];
  const outputs = [slot('y', 1, 64), slot('z', 3, 128), slot('y2', 1, 192), slot('z2', 3, 256)];
  return {
    name: 'early',
    state: [],
    stateBytes: 0,
    totalBytes: 320,
    entries: [{ name: 'run', inputs: [slot('x', 4, 0)], outputs, steps: launches }],
  };
}

test('what only the first thread reads, the others do not read before it is written', () => {
  const traced = runTraced(early(), 3, inReverse);
  const contents = { state: {}, inputs: () => ({ x: new Float32Array([1, 5, 0, 0]) }) };
  expect(bitDifference(early(), contents, runAlone(early()), traced, 3)).toBeNull();
  expect([...traced.races]).toEqual([]);
});

test.each(['between steps', 'within kernels'])('a barrier that is missing %s is found', where => {
  const without: typeof planTeam = (...given) => {
    const plan = planTeam(...given);
    const team = plan.team!;
    const entries = new Map([...team.entries].map(([name, steps]) => [name, steps.filter(step => !isBarrier(step))]));
    if (where === 'between steps') return { ...plan, team: { ...team, entries } };
    for (const { code } of plan.functions.values()) {
      const items = code.root.items.filter(({ kind }) => kind !== 'barrier');
      code.root.items.splice(0, Number.POSITIVE_INFINITY, ...items);
    }
    return plan;
  };
  const racesOf = (plans: typeof planTeam): string => {
    const traced = runTraced(early(), 3, inReverse, plans);
    traced.run('run');
    return [...traced.races].join();
  };
  expect(racesOf(without)).toMatch(/thread \d (reads|writes)/);
  expect(racesOf(planTeam)).toBe('');
});

const isBarrier = (step: EntryStep): boolean => 'target' in step && step.target === BARRIER;
