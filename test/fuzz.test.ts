/**
 * Differential fuzzing: random programs over the whole op table, with loops, branches, derivatives and writes in place,
 * compiled, against eager; and by several threads, against one, bit for bit.
 *
 * The first hundred run with the other tests; `npm run fuzz` runs two thousand from a new seed. GRADC_FUZZ_SEED starts from a
 * given seed, GRADC_FUZZ_PROGRAMS changes how many. What fails is written to a file and told at once, as a race may not show
 * again; then it is shrunk and printed as steps and as a graph.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { type CompileOptions, compile } from 'gradc/compiler';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GradcError } from '../compiler/errors.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { input } from '../compiler/trace/model.js';
import { testedOps } from './support/op-samples.js';
import { expectedOf, mismatch } from './support/random-programs/agreement.js';
import { leftOut } from './support/random-programs/calls.js';
import { compiledProgram, graphsOf } from './support/random-programs/compiled.js';
import { describeProgram } from './support/random-programs/describe.js';
import { canBegin, randomProgram } from './support/random-programs/generator.js';
import { attempt } from './support/random-programs/growth.js';
import { allSteps, type RandomEntry, type RandomProgram, runEntry } from './support/random-programs/program.js';
import { isRounding } from './support/random-programs/rounding.js';
import { shrink } from './support/random-programs/shrink.js';
import { bitDifference, runAlone, Team } from './support/team.js';
import { Watch } from './support/watch.js';

const long = process.env.MODE === 'fuzz';
const seed = Number(process.env.GRADC_FUZZ_SEED ?? (long ? Date.now() % 1_000_000 : 1));
const programs = Number(process.env.GRADC_FUZZ_PROGRAMS ?? (long ? 2000 : 100));
/** So many failures end a run. */
const enough = long ? 20 : 1;
const reports = join(tmpdir(), 'gradc-fuzz');

/** Node 20 has relaxed SIMD behind a flag, which can still be set here. */
if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');

interface Variant extends CompileOptions {
  readonly name: string;
  /** Also compare so many threads with one. */
  readonly threads?: number;
}
const variants = (seed: number): readonly Variant[] => [
  { name: 'js', backend: 'js' },
  { name: 'wasm', backend: 'wasm', threads: 2 + (seed % 3) },
  { name: 'wasm-relaxed', backend: 'wasm', relaxed: true, threads: 2 + ((seed + 1) % 3) },
];

let team: Team;
const watch = new Watch(120);
beforeAll(async () => {
  team = await Team.start();
});
afterAll(() => Promise.all([team.end(), watch.end()]));

/** What differs between two calls of each compiled entry and eager, state included; null where nothing does. */
function difference(program: RandomProgram, { name, threads, ...options }: Variant): string | null {
  const { results, tolerance } = expectedOf(program);
  const state = program.state.map(tensor => tensor.clone());
  const compiled = program.entries.map(entry => compiledEntry(entry, state, options));
  const expected = results.entries();
  for (const call of ['first', 'second']) {
    for (const [e, entry] of program.entries.entries()) {
      const made = compiled[e](...entry.inputs);
      for (const [i, got] of [...made, ...state].entries()) {
        const [at, want] = expected.next().value!;
        const problem = mismatch(got, want, tolerance, element => isRounding(program, { at, element, got, want }));
        const what = i < made.length ? `result ${i}` : `state ${i - made.length}`;
        if (problem !== null) return `${name}, ${call} call of entry ${e}, ${what}: ${problem}`;
      }
    }
  }
  return threads === undefined ? null : threadDifference(program, threads, options);
}

function compiledEntry(
  entry: RandomEntry,
  state: readonly Tensor[],
  options: CompileOptions,
): (...inputs: Tensor[]) => Tensor[] {
  const specs = entry.inputs.map(({ shape, dtype }) => input(shape, dtype));
  const fn = (...inputs: Tensor[]): Tensor[] => runEntry(entry, inputs, state);
  return compile(fn, specs, { ...options, debug: { verify: true } });
}

/** Whether several threads leave the same bits in memory as one, after two calls. */
function threadDifference(random: RandomProgram, threads: number, options: CompileOptions): string | null {
  const { program, contents } = compiledProgram(random);
  return bitDifference(program, contents, runAlone(program, options), team.run(program, threads, options), threads);
}

/** The difference, or the error that a program ends in; null where it agrees, or where a backend lacks an element type. */
function failure(program: RandomProgram, variant: Variant, of: number): string | null {
  try {
    return watch.during(`GRADC_FUZZ_SEED=${of} ${variant.name}`, () => difference(program, variant));
  } catch (error) {
    const refused = error instanceof GradcError && (error.code === 'E601' || error.code === 'E206');
    return refused ? null : `${variant.name}: ${(error as Error).message.slice(0, 2000)}`;
  }
}

/** What a run made of a program, kept before anything else is tried, and the smallest that still shows it. */
function report(program: RandomProgram, variant: Variant, from: number, found: string): string {
  mkdirSync(reports, { recursive: true });
  const file = join(reports, `${from}-${variant.name}.txt`);
  const text = `GRADC_FUZZ_SEED=${from}\n${found}\n\n${describeProgram(program)}\n`;
  writeFileSync(file, text);
  console.error(`${text}\n(also in ${file})`);
  const runs = (candidate: RandomProgram): boolean => attempt(() => expectedOf(candidate)) !== null;
  const smallest = shrink(program, candidate => runs(candidate) && failure(candidate, variant, from) !== null);
  const again = failure(smallest, variant, from) ?? 'it agrees this time';
  const shrunk = `made smaller: ${again}\n\n${describeProgram(smallest)}\n\n${graphsOrError(smallest)}`;
  writeFileSync(file, `${text}\n${shrunk}\n`);
  return `GRADC_FUZZ_SEED=${from}\n${found}\n${shrunk}\n(also in ${file})`;
}

function graphsOrError(program: RandomProgram): string {
  try {
    return graphsOf(program);
  } catch (error) {
    return `(does not trace: ${(error as Error).message})`;
  }
}

test(`${programs} random programs from seed ${seed} on agree with eager`, {
  timeout: 60_000 + programs * 4000,
}, async () => {
  const failures: string[] = [];
  for (let at = seed; at < seed + programs && failures.length < enough; at++) {
    await nextTurn(); // so that what is told comes out
    if (long && at % 100 === 0) console.log(`${at - seed} programs, ${failures.length} failures`);
    const program = watch.during(`GRADC_FUZZ_SEED=${at} drawing`, () => randomProgram(at));
    for (const variant of variants(at)) {
      const found = failure(program, variant, at);
      if (found === null) continue;
      failures.push(report(program, variant, at, found));
      break;
    }
  }
  expect(failures.join('\n\n')).toBe('');
});

test('as many programs as there are ops begin with each that has samples, but those that no program can have', () => {
  // those of complex numbers have none: programs are of real tensors
  const sampled = testedOps.filter(({ samples }) => samples.length > 0);
  const missing = sampled.filter(op => !canBegin(op));
  expect(missing.filter(op => leftOut(op) === null).map(op => op.name)).toEqual([]);
  expect(missing.length).toBeLessThan(0.03 * sampled.length);
});

test('some programs have loops, branches, derivatives, complex numbers and long sums in them', () => {
  const drawn = new Set(Array.from({ length: 40 }, (_, i) => namesIn(randomProgram(i))).flat());
  for (const name of ['scan', 'whileLoop', 'cond', 'copy_', 'complex', 'long sum']) expect(drawn).toContain(name);
  expect(drawn.has('vjp') || drawn.has('jvp')).toBe(true);
});

const namesIn = ({ entries }: RandomProgram): string[] => entries.flatMap(allSteps).map(({ kind }) => kind.name);

test('the fuzzer finds a planted mistake and shrinks it', () => {
  const program = randomProgram(3);
  const [{ kind: planted }] = program.entries[0].steps;
  const smallest = shrink(program, candidate => namesIn(candidate).includes(planted.name));
  expect(namesIn(smallest)).toEqual([planted.name]);
  expect(smallest.entries.map(({ updates, derivatives }) => [updates, derivatives])).toEqual([[[], 0]]);
  expect(describeProgram(smallest)).toContain(`= ${planted.name}(`);
});
