/**
 * Differential fuzzing: random programs over the whole op table, compiled, against eager; and by several threads, against one,
 * bit for bit.
 *
 * The first hundred run with the other tests; `npm run fuzz` runs two thousand from a new seed. GRADC_FUZZ_SEED starts from a
 * given seed, GRADC_FUZZ_PROGRAMS changes how many. A failure is shrunk and printed as steps and as a graph.
 */
import { setFlagsFromString } from 'node:v8';
import { type CompileOptions, compile } from 'gradc/compiler';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { GradcError } from '../compiler/errors.js';
import { isFloat } from '../compiler/ir/dtype.js';
import { printGraph } from '../compiler/ir/text.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { compileToProgram } from '../compiler/pipeline.js';
import { input, nameCaptured, traceFunction } from '../compiler/trace/model.js';
import { elementsIn, testedOps } from './support/op-samples.js';
import {
  describeProgram,
  leftOut,
  type RandomProgram,
  randomProgram,
  runSteps,
  shrink,
} from './support/random-programs.js';
import { bitDifference, type Contents, runAlone, Team } from './support/team.js';

const long = process.env.MODE === 'fuzz';
const seed = Number(process.env.GRADC_FUZZ_SEED ?? (long ? Date.now() % 1_000_000 : 1));
const programs = Number(process.env.GRADC_FUZZ_PROGRAMS ?? (long ? 2000 : 100));
/** As a part of the largest magnitude in a result. Programs chain up to eight ops, each of which may amplify. */
const tolerance = 1e-3;

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
beforeAll(async () => {
  team = await Team.start();
});
afterAll(() => team.end());

/** What differs between two calls of a compiled program and eager, state included; null where nothing does. */
function difference(program: RandomProgram, { name, threads, ...options }: Variant): string | null {
  const [ownState, compiledState] = [0, 1].map(() => program.state.map(tensor => tensor.clone()));
  const specs = program.inputs.map(({ shape, dtype }) => input(shape, dtype));
  const fn = (...inputs: Tensor[]): Tensor[] => runSteps(program, inputs, compiledState);
  const compiled = compile(fn, specs, { ...options, debug: { verify: true } });
  for (const call of ['first', 'second']) {
    const expected = runSteps(program, program.inputs, ownState).map(tensor => tensor.clone());
    const actual = compiled(...program.inputs);
    const pairs = [
      ...actual.map((tensor, i) => [`result ${i}`, tensor, expected[i]] as const),
      ...compiledState.map((tensor, i) => [`state ${i}`, tensor, ownState[i]] as const),
    ];
    for (const [what, got, want] of pairs) {
      const problem = mismatch(got, want);
      if (problem !== null) return `${name}, ${call} call, ${what}: ${problem}`;
    }
  }
  return threads === undefined ? null : threadDifference(program, threads, options);
}

/** Whether several threads leave the same bits in memory as one, after two calls. */
function threadDifference(program: RandomProgram, threads: number, options: CompileOptions): string | null {
  const state = program.state.map(tensor => tensor.clone());
  const specs = Object.fromEntries(program.inputs.map(({ shape, dtype }, i) => [`v${i}`, { shape, dtype }]));
  const traced = nameCaptured(
    traceFunction('fuzz', specs, inputs =>
      Object.fromEntries(runSteps(program, Object.values(inputs), state).map((tensor, i) => [`out${i}`, tensor])),
    ),
  );
  const source = { name: 'fuzz', graphs: [traced.graph], state: traced.state };
  const compiled = compileToProgram(source, {}, evaluateConstant).program;
  const inputs = program.inputs.map((tensor, i) => [`v${i}`, tensor.contiguous().toTypedArray()]);
  const contents: Contents = {
    state: Object.fromEntries(traced.state.map(({ name, storage }) => [name, storage.array])),
    inputs: () => Object.fromEntries(inputs),
  };
  return bitDifference(compiled, contents, runAlone(compiled, options), team.run(compiled, threads, options), threads);
}

function mismatch(got: Tensor, want: Tensor): string | null {
  if (got.dtype !== want.dtype || `${got.shape}` !== `${want.shape}`)
    return `${got.dtype}[${got.shape}] instead of ${want.dtype}[${want.shape}]`;
  const [values, wanted] = [elementsIn(got), elementsIn(want)];
  const scale = Math.max(1, ...wanted.map(Number).filter(Number.isFinite).map(Math.abs));
  for (const [i, value] of values.entries()) {
    if (Object.is(value, wanted[i]) || value === wanted[i]) continue;
    const close = isFloat(got.dtype) && Math.abs(Number(value) - Number(wanted[i])) <= tolerance * scale;
    if (!close) return `element ${i} is ${value} instead of ${wanted[i]}`;
  }
  return null;
}

/** The difference, or the error that a program ends in; null where it agrees, or where a backend lacks an element type. */
function failure(program: RandomProgram, variant: Variant): string | null {
  try {
    return difference(program, variant);
  } catch (error) {
    const refused = error instanceof GradcError && (error.code === 'E601' || error.code === 'E206');
    return refused ? null : `${variant.name}: ${(error as Error).message.slice(0, 2000)}`;
  }
}

/** What a run made of a program, and the smallest that still shows it; a race between threads may not show again. */
function report(program: RandomProgram, variant: Variant, from: number, found: string): string {
  const smallest = shrink(program, candidate => failure(candidate, variant) !== null);
  const state = smallest.state.map(tensor => tensor.clone());
  const specs = Object.fromEntries(smallest.inputs.map(({ shape, dtype }, i) => [`v${i}`, { shape, dtype }]));
  let graph: string;
  try {
    graph = printGraph(
      traceFunction('fuzz', specs, inputs =>
        Object.fromEntries(runSteps(smallest, Object.values(inputs), state).map((tensor, i) => [`out${i}`, tensor])),
      ).graph,
    );
  } catch (error) {
    graph = `(does not trace: ${(error as Error).message})`;
  }
  return `GRADC_FUZZ_SEED=${from}\n${found}\nmade smaller: ${failure(smallest, variant) ?? 'it agrees this time'}\n\n${describeProgram(smallest)}\n\n${graph}`;
}

test(`${programs} random programs from seed ${seed} on agree with eager`, { timeout: 60_000 + programs * 2000 }, () => {
  for (let at = seed; at < seed + programs; at++) {
    const program = randomProgram(at);
    for (const variant of variants(at)) {
      const found = failure(program, variant);
      if (found !== null) expect.fail(report(program, variant, at, found));
    }
  }
});

test('as many programs as there are ops draw each of them, but those that no program can have', () => {
  const drawn = new Set(testedOps.flatMap((_, i) => randomProgram(i).steps.map(step => step.op.name)));
  const missing = testedOps.filter(op => !drawn.has(op.name));
  expect(missing.filter(op => leftOut(op) === null).map(op => op.name)).toEqual([]);
  expect(missing.length).toBeLessThan(0.03 * testedOps.length);
});

test('the fuzzer finds a planted mistake and shrinks it', () => {
  const program = randomProgram(3);
  const planted = program.steps[0].op.name;
  const smallest = shrink(program, candidate => candidate.steps.some(({ op }) => op.name === planted));
  expect(smallest.steps.map(({ op }) => op.name)).toEqual([planted]);
  expect(smallest.updates).toEqual([]);
  expect(smallest.gradient).toBe(false);
  expect(describeProgram(smallest)).toContain(`= ${planted}(`);
});
