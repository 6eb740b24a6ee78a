/**
 * Loops and branches on several threads: where barriers stand in them, and that every number of threads gives the bits of
 * one.
 */
import * as g from 'gradc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { wasm } from '../backends/wasm/backend.js';
import type { TeamCosts } from '../backends/wasm/divide.js';
import type { EntryStep } from '../backends/wasm/entry.js';
import { planTeam } from '../backends/wasm/plan.js';
import { type Span, type TeamRun, type TeamStep, withBarriers } from '../backends/wasm/steps.js';
import type { Program } from '../compiler/ir/program.js';
import { compileToProgram, scheduleProgram } from '../compiler/pipeline.js';
import { nameCaptured, type TracedModel, traceFunction, traceModel } from '../compiler/trace/model.js';
import { type Fn, gradients, randn } from './support/loops.js';
import { inOrder, inReverse, runTraced } from './support/races.js';
import { bitDifference, type Contents, divideAll, runAlone, Team } from './support/team.js';

// ── barriers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const BYTES = 64;
const at = (place: number, ...strides: number[]): Omit<Span, 'isWritten'> => ({
  start: place * BYTES,
  end: (place + 1) * BYTES,
  strides: strides.map(stride => stride * BYTES),
});
const bit = (place: number): { base: number; strides: number[] } => ({ base: place * BYTES, strides: [] });
const reads = (...places: Parameters<typeof at>): Span => ({ ...at(...places), isWritten: false });
const writes = (...places: Parameters<typeof at>): Span => ({ ...at(...places), isWritten: true });
const all = (target: string, ...touches: Span[]): TeamRun => ({ step: { target, args: [] }, byAll: true, touches });
const first = (target: string, ...touches: Span[]): TeamRun => ({ ...all(target, ...touches), byAll: false });

/** Steps as text: `|` is a barrier, `(a)` what only the first thread does, `8[…]` a loop, `while[c: …]`, `if[…: …]`. */
const text = (steps: readonly EntryStep[]): string => steps.map(textOf).join(' ');
function textOf(step: EntryStep): string {
  if ('target' in step) return step.target === 'barrier' ? '|' : step.target;
  if ('alone' in step) return `(${text(step.alone)})`;
  if ('predicate' in step) return `if[${text(step.yes)}: ${text(step.no)}]`;
  const { trips, body } = step;
  return typeof trips === 'number' ? `${trips}[${text(body)}]` : `while[${text(trips.steps)}: ${text(body)}]`;
}
const placed = (...steps: TeamStep[]): string => text(withBarriers(steps));
const loop = (trips: number, ...body: TeamStep[]): TeamStep => ({ trips, body });

describe('barriers', () => {
  test('stand between steps of different threads that meet', () => {
    expect(placed(all('a', writes(0)), all('b', writes(1)), all('c', reads(0)))).toBe('a b | c');
    expect(placed(first('a', writes(0)), first('b', reads(0)), all('c', reads(0)))).toBe('(a) (b) | c');
    expect(placed(all('a', reads(0)), all('b', reads(0)), first('c', writes(0)))).toBe('a b | (c)');
  });

  test('stand where an iteration meets the one before', () => {
    const step = [all('a', reads(0), writes(1)), all('b', reads(1), writes(0))];
    expect(placed(loop(8, ...step))).toBe('8[| a | b]');
    expect(placed(loop(8, all('a', reads(0), writes(1)), all('b', reads(1), writes(2))))).toBe('8[| a | b]');
    expect(placed(loop(8, all('a', reads(0))))).toBe('8[a]');
    expect(placed(loop(8, all('a', writes(0))))).toBe('8[| a]');
    expect(placed(loop(8, first('a', writes(0)), first('b', reads(0))))).toBe('8[(a) (b)]');
  });

  test('one that has been waited for already is not waited for again', () => {
    const step = [all('a', reads(0), writes(1)), all('b', reads(1), writes(0)), all('c', reads(0), writes(9, 1))];
    expect(placed(loop(8, ...step))).toBe('8[a | b | c]');
  });

  test('compare places that move with the loop', () => {
    expect(placed(loop(8, all('a', reads(0, 1), writes(20, 1))))).toBe('8[a]');
    expect(placed(loop(8, all('a', reads(20, -1), writes(19, -1))))).toBe('8[| a]');
    expect(placed(loop(8, all('a', reads(0, 1), writes(1, 1))))).toBe('8[| a]');
    // a thread must not write what another one still reads, one iteration behind
    expect(placed(loop(8, all('a', reads(1, 1)), all('b', writes(0, 1))))).toBe('8[a | b]');
    expect(placed(loop(8, all('a', reads(0, 1)), all('b', writes(20, 1))))).toBe('8[a b]');
    expect(placed(loop(8, all('a', reads(0, 1), writes(8, 1))))).toBe('8[a]');
    expect(placed(loop(9, all('a', reads(0, 1), writes(8, 1))))).toBe('9[| a]');
    // half as far as they are long
    expect(placed(loop(8, all('a', writes(0, 1 / 2))))).toBe('8[| a]');
  });

  test('compare places that move with several loops', () => {
    const rows = (trips: number, ...steps: TeamStep[]): TeamStep => loop(3, loop(trips, ...steps));
    expect(placed(rows(4, all('a', writes(0, 4, 1))))).toBe('3[4[a]]');
    expect(placed(rows(5, all('a', writes(0, 4, 1))))).toBe('3[| 5[a]]');
    expect(placed(rows(4, all('a', reads(30), writes(0, 0, 1))))).toBe('3[| 4[a]]');
    expect(placed(rows(4, all('a', reads(0, 0, 1), writes(1, 0, 1))))).toBe('3[| 4[| a]]');
  });

  test('stand before and after a loop for what is in it', () => {
    const filled = loop(4, all('fill', writes(10, 1)));
    expect(placed(all('a', writes(13)), filled, all('b', reads(14)), all('c', reads(13)))).toBe('a | 4[fill] b | c');
    expect(placed(loop(0, all('a', writes(0))), all('b', reads(0)))).toBe('b');
  });

  test('stand before the bit that decides is read, and before it changes', () => {
    const branch = (...yes: TeamStep[]): TeamStep => ({ predicate: bit(0), yes, no: [first('c', writes(2))] });
    expect(placed(first('a', writes(0)), branch(all('b', writes(1))), all('d', reads(1)))).toBe('(a) | if[b: (c)] | d');
    expect(placed(branch(all('b', writes(1))), first('d', writes(0)))).toBe('if[b: (c)] | (d)');
    expect(placed(branch(first('b', writes(0))))).toBe('if[| (b): (c)]');
    const whileLoop: TeamStep = {
      trips: { steps: [first('test', reads(1), writes(0))], holds: bit(0) },
      body: [all('a', reads(2), writes(3))],
    };
    expect(placed(whileLoop)).toBe('while[| (test) |: a]');
    expect(placed(whileLoop, first('b', reads(3)))).toBe('while[| (test) |: a] (b)');
  });
});

// ── results ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Case {
  readonly model: Pick<TracedModel, 'name' | 'graphs' | 'state'>;
  readonly inputs: Readonly<Record<string, g.Tensor>>;
}

/** One training step of a recurrent net. */
function training(make: () => { net: g.nn.Module; run: (x: g.Tensor) => g.Tensor }): Case {
  const definition = g.defineModel('recurrent', () => {
    g.manualSeed(1);
    const { net, run } = make();
    const opt = new g.optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
    const trainStep = g.entry({ x: g.input([9, 5, 12]) }, ({ x }) => {
      opt.zeroGrad();
      const loss = run(x).pow(2).sum();
      loss.backward();
      opt.step();
      return { loss };
    });
    return { state: { net, opt }, entries: { trainStep } };
  });
  return { model: traceModel(definition), inputs: { x: randn(9, 5, 12) } };
}

function entryOf(fn: Fn, ...given: g.Tensor[]): Case {
  const inputs = Object.fromEntries(given.map((tensor, i) => [`in${i}`, tensor]));
  const specs = Object.fromEntries(given.map(({ shape, dtype }, i) => [`in${i}`, g.input(shape, dtype)]));
  const run = (params: Case['inputs']): Case['inputs'] =>
    Object.fromEntries(fn(...Object.values(params)).map((out, i) => [`out${i}`, out]));
  const { graph, state } = nameCaptured(traceFunction('run', specs, run));
  return { model: { name: 'loops', graphs: [graph], state }, inputs };
}

const withGradients =
  (fn: Fn): Fn =>
  (...inputs) => [...fn(...inputs), ...gradients(fn)(...inputs)];

const lstm = (): Case =>
  training(() => {
    const net = new g.nn.LSTM(12, 20, { numLayers: 2 });
    return { net, run: x => net.forward(x)[0] };
  });
const gru = (): Case =>
  training(() => {
    const net = new g.nn.GRU(12, 20, { bidirectional: true });
    return { net, run: x => net.forward(x)[0] };
  });

const root: Fn = a => {
  const [found, steps] = g.whileLoop(
    ([y, count]: readonly [g.Tensor, g.Tensor]) => y.mul(y).sub(a).abs().max().gt(1e-4).logicalAnd(count.lt(30)),
    ([y, count]) => [y.add(a.div(y)).mul(0.5), count.add(1)] as const,
    [a.mul(0).add(1), g.tensor(0)] as const,
  );
  return [found, steps];
};

const either: Fn = (x, w) => [
  g.cond(
    x.sum().gt(0),
    () => x.matmul(w).tanh(),
    () => x.sin().matmul(w).matmul(w),
  ),
];

const nested: Fn = (xs, h) => {
  const inner = (c: g.Tensor, x: g.Tensor): readonly [g.Tensor, g.Tensor] => {
    const next = g.cond(
      x.sum().gt(0),
      () => c.mul(x).cos(),
      () => c.sub(x),
    );
    return [next, next.mul(x)];
  };
  const outer = (c: g.Tensor, rows: g.Tensor): readonly [g.Tensor, g.Tensor] => {
    const [last, ys] = g.scan(inner, c, rows, { reverse: true });
    const halved = g.whileLoop(
      (d: g.Tensor) => d.abs().sum().gt(7),
      d => d.mul(0.5),
      last.detach(),
    );
    return [last.add(halved), ys];
  };
  const [last, ys] = g.scan(outer, h, xs);
  return [last, ys];
};

const cases: readonly (readonly [string, () => Case])[] = [
  ['a training step of an LSTM of two layers', lstm],
  ['a training step of a GRU in both directions', gru],
  ['a while loop', () => entryOf(root, randn(37, 41).abs().add(0.1))],
  ['one branch', () => entryOf(withGradients(either), randn(19, 23).abs(), randn(23, 23))],
  ['the other branch', () => entryOf(withGradients(either), randn(19, 23).abs().neg(), randn(23, 23))],
  ['loops and branches inside one another', () => entryOf(withGradients(nested), randn(5, 4, 33), randn(33))],
];

const compiled = ({ model }: Case): Program => compileToProgram(model, { verify: true }, evaluateConstant).program;

function contentsOf({ model, inputs }: Case): Contents {
  const given = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, x.toTypedArray()]));
  return {
    state: Object.fromEntries(model.state.map(({ name, storage }) => [name, storage.array])),
    inputs: () => given,
  };
}

/** Whether threads meet in a loop or a branch. */
const meets = (steps: readonly EntryStep[]): boolean => steps.some(step => /\[.*\|.*\]/.test(textOf(step)));
const stepsOf = (program: Program, costs: TeamCosts): readonly EntryStep[] =>
  [...planTeam(scheduleProgram(program, wasm), false, costs).team!.entries.values()].flat();

describe('a team of up to four threads gives the bits of one for', () => {
  let team: Team;
  beforeAll(async () => {
    team = await Team.start();
  });
  afterAll(() => team.end());

  test('what comes after a call that failed', () => {
    const places = g.full([64, 64], 2 ** 29, { dtype: 'int64' });
    const program = compiled(entryOf((table, index) => [table.gather(1, index).exp()], randn(64, 64), places));
    const [slot] = program.entries[0].inputs.filter(({ type }) => type.dtype === 'int64');
    const running = team.run(program, 2);
    running.memory.set(new Uint8Array(places.toTypedArray().buffer), slot.offset);
    expect(() => running.run('run')).toThrow(WebAssembly.RuntimeError);
    running.end();
  });

  test.each(cases)('%s', (_, make) => {
    const given = make();
    const program = compiled(given);
    expect(meets(stepsOf(program, divideAll))).toBe(true);
    for (const threads of [1, 2, 3, 4]) {
      const together = team.run(program, threads);
      expect(bitDifference(program, contentsOf(given), runAlone(program), together, threads)).toBeNull();
    }
  });
});

describe('no thread touches what another one changes, in whatever order they come to it, in', () => {
  test.each(cases)('%s', (_, make) => {
    const given = make();
    const program = compiled(given);
    for (const [threads, turns] of [
      [2, inOrder],
      [3, inReverse],
    ] as const) {
      const traced = runTraced(program, threads, turns);
      expect(bitDifference(program, contentsOf(given), runAlone(program), traced, threads)).toBeNull();
      expect([...traced.races]).toEqual([]);
    }
  });
});

test('a loop whose barriers cost more than they save stays on the first thread', () => {
  const program = compiled(lstm());
  expect(text(stepsOf(program, { barrier: 1e6, waking: 0, turn: 0 }))).not.toContain('|');
  expect(meets(stepsOf(program, { barrier: 10, waking: 0, turn: 0 }))).toBe(true);
});
