/**
 * The memory plan: places that never overlap, writes in place only where safe, and planned programs that compute what their
 * graphs say.
 */

import { describe, expect, test } from 'vitest';
import { bytesOf } from '../compiler/ir/dtype.js';
import { type Graph, paramName } from '../compiler/ir/graph.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import { launchesOf } from '../compiler/ir/program.js';
import { numel } from '../compiler/ir/shape.js';
import { parseGraph, parseKernel, printGraph, printKernel } from '../compiler/ir/text.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import { type Block, mostAlive, placeBlocks } from '../compiler/passes/arena.js';
import { fuse } from '../compiler/passes/fuse.js';
import { canShareMemory, shareMemory } from '../compiler/passes/in-place.js';
import { orderGroups } from '../compiler/passes/order.js';
import { type MemoryPlan, planMemory } from '../compiler/passes/plan-memory.js';
import '../compiler/ops/table.js';
import { fillOf, runGraph, runProgram } from './support/run-program.js';

const graph = (params: string, ...lines: string[]): string =>
  printGraph(parseGraph(`graph g(${params}) {\n${lines.join('\n')}\n}`));

/** A small generator of numbers in [0, 1), the same in every run. */
function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('the arena', () => {
  test('blocks alive at once never overlap, whatever their lifetimes', () => {
    for (let seed = 0; seed < 200; seed++) {
      const next = lcg(seed);
      const blocks: Block[] = Array.from({ length: 1 + Math.floor(next() * 25) }, () => {
        const first = Math.floor(next() * 20);
        return { bytes: Math.floor(next() ** 3 * 5000), first, last: first + Math.floor(next() * 8) };
      });
      const { offsets, bytes } = placeBlocks(blocks);
      expect(bytes).toBeGreaterThanOrEqual(mostAlive(blocks));
      for (const [i, a] of blocks.entries()) {
        expect(offsets[i] % 64).toBe(0);
        expect(offsets[i] + a.bytes).toBeLessThanOrEqual(bytes);
        for (const [j, b] of blocks.entries()) {
          const together = i !== j && a.first <= b.last && b.first <= a.last && a.bytes > 0 && b.bytes > 0;
          if (together) expect(offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i]).toBe(true);
        }
      }
    }
  });
  test('the lower bound is reached where blocks follow one another', () => {
    const blocks = [
      { bytes: 640, first: 0, last: 1 },
      { bytes: 64, first: 1, last: 2 },
      { bytes: 640, first: 2, last: 3 },
    ];
    expect(placeBlocks(blocks).bytes).toBe(704);
    expect(mostAlive(blocks)).toBe(704);
  });
});

describe('in place', () => {
  const params = 'x: float32[8] read, y: float32[8] read, out: float32[8] write';
  const kernelOf = (body: string, given = params): Kernel => parseKernel(`kernel k(${given}):\n${body}`);
  const shares = (body: string, given?: string): boolean => {
    const kernel = kernelOf(body, given);
    return canShareMemory(kernel, kernel.params[0].buffer, kernel.params[kernel.params.length - 1].buffer);
  };

  test.each([
    ['element by element', '  for i in parallel(8):\n    out[i] = x[i] - 0.1 * y[i]'],
    ['in two loops', '  for i in parallel(2):\n    for j in parallel(4):\n      out[i*4 + j] = x[i*4 + j] * y[7 - i]'],
    ['under a guard', '  for i in parallel(8):\n    if i > 3:\n      out[i] = x[i]'],
    [
      'after a sum of something else',
      '  for i in parallel(8):\n    a: float32[1] register\n    a[0] = 0\n    for r in serial(8):\n      a[0] += y[r]\n    out[i] = x[i] - a[0]',
    ],
    ['not read at all', '  for i in parallel(8):\n    out[i] = y[7 - i]'],
    [
      'after a sum of the row that is replaced',
      '  for i in parallel(2):\n    a: float32[1] register\n    a[0] = 0\n    for r in serial(4):\n      a[0] += x[i*4 + r]\n    for j in parallel(4):\n      out[i*4 + j] = x[i*4 + j] / a[0]',
    ],
  ])('may: %s', (_, body) => {
    expect(shares(body)).toBe(true);
  });

  test.each([
    ['read elsewhere', '  for i in parallel(8):\n    out[i] = x[7 - i]'],
    ['read twice, once elsewhere', '  for i in parallel(8):\n    out[i] = x[i] + x[0]'],
    [
      'read in an earlier sum',
      '  for i in parallel(8):\n    a: float32[1] register\n    a[0] = 0\n    for r in serial(8):\n      a[0] += x[r]\n    out[i] = x[i] - a[0]',
    ],
    [
      'read in a sum of the next row',
      '  for i in parallel(2):\n    a: float32[1] register\n    a[0] = 0\n    for r in serial(4):\n      a[0] += x[4 - i*4 + r]\n    for j in parallel(4):\n      out[i*4 + j] = x[i*4 + j] / a[0]',
    ],
    [
      'read in a sum of a column, rows being replaced',
      '  for i in parallel(2):\n    a: float32[1] register\n    a[0] = 0\n    for r in serial(2):\n      a[0] += x[r*4 + i]\n    for j in parallel(4):\n      out[i*4 + j] = x[i*4 + j] / a[0]',
    ],
    [
      'read in a sum of the row after it is replaced',
      '  for i in parallel(2):\n    for j in parallel(4):\n      out[i*4 + j] = x[i*4 + j]\n    for r in serial(4):\n      y[i] = x[i*4 + r]',
    ],
    [
      'rows whose elements lie between those of others',
      '  for i in parallel(2):\n    a: float32[1] register\n    a[0] = 0\n    for r in serial(4):\n      a[0] += x[i*2 + r]\n    for j in parallel(2):\n      for k in parallel(2):\n        out[i*2 + j*4 + k] = x[i*2 + j*4 + k] / a[0]',
    ],
    ['read in a condition', '  for i in parallel(8):\n    if x[i] > 0:\n      out[i] = x[i]'],
    ['stored several times', '  for i in parallel(8):\n    for j in serial(2):\n      out[i] = x[i] + y[j]'],
    [
      'stored in two places',
      '  for i in parallel(4):\n    out[i] = x[i]\n  for i in parallel(4):\n    out[i + 4] = x[i + 4]',
    ],
    [
      'with overlapping counters',
      '  for i in parallel(2):\n    for j in parallel(4):\n      out[i*3 + j] = x[i*3 + j]',
    ],
    ['accumulated', '  for i in parallel(8):\n    out[i] = 0\n    out[i] += x[i]'],
  ])('may not: %s', (_, body) => {
    expect(shares(body)).toBe(false);
  });

  test('may not: of another size or type', () => {
    expect(shares('  for i in parallel(8):\n    out[i] = x[i]', 'x: float32[16] read, out: float32[8] write')).toBe(
      false,
    );
    expect(shares('  for i in parallel(8):\n    out[i] = f32(x[i])', 'x: int32[8] read, out: float32[8] write')).toBe(
      false,
    );
  });

  test('another output stored later in the same turn may not read it any more, one stored before may', () => {
    const given = 'x: float32[8] read, other: float32[8] write, out: float32[8] write';
    expect(shares('  for i in parallel(8):\n    other[i] = x[i] + 1\n    out[i] = x[i]', given)).toBe(true);
    expect(shares('  for i in parallel(8):\n    out[i] = x[i]\n    other[i] = x[i] + 1', given)).toBe(false);
  });

  test('the two parameters become one that is read and written', () => {
    const kernel = kernelOf('  for i in parallel(8):\n    out[i] = x[i] - 0.1 * y[i]');
    const shared = shareMemory(kernel, kernel.params[0].buffer, kernel.params[2].buffer);
    verifyKernel(shared);
    expect(printKernel(shared)).toBe(
      'kernel k(y: float32[8] read, out: float32[8] readwrite):\n  for i in parallel(8):\n    out[i] = out[i] - 0.1 * y[i]\n',
    );
  });
});

const silent = { note: () => {} };

/** Plan graphs as the pipeline does. */
function plan(texts: readonly string[]): { graphs: Graph[]; memory: MemoryPlan } {
  const graphs = texts.map(text => parseGraph(text));
  const entries = graphs.map(g => ({
    graph: g,
    kernels: orderGroups(fuse(g, silent), silent).groups.map(group => group.lowered),
  }));
  const state = new Map(
    graphs.flatMap(g =>
      g.params.filter(param => param.attrs.role === 'state').map(param => [paramName(param), param.type] as const),
    ),
  );
  return {
    graphs,
    memory: planMemory(
      'm',
      [...state].map(([name, type]) => ({ name, type })),
      entries,
    ),
  };
}
/** Run every entry of a plan and node by node; both must agree to the bit, untouched state included. */
function expectPlanRuns(texts: readonly string[]): MemoryPlan {
  const { graphs, memory } = plan(texts);
  for (const entry of memory.program.entries) for (const { kernel } of launchesOf(entry.steps)) verifyKernel(kernel);
  expectDisjoint(memory);
  for (const g of graphs) {
    const inputs: Record<string, ReturnType<typeof fillOf>> = {};
    for (const [k, slot] of [
      ...memory.program.state,
      ...memory.program.entries.find(e => e.name === g.name)!.inputs,
    ].entries())
      inputs[slot.name] = fillOf(slot.type, k);
    const expected = runGraph(g, inputs);
    const actual = runProgram(memory.program, g.name, inputs);
    expect(actual.results).toEqual(expected.results);
    const state = Object.fromEntries(
      memory.program.state.map(({ name }) => [name, expected.updates[name] ?? inputs[name]]),
    );
    expect(actual.state).toEqual(state);
  }
  return memory;
}

function expectDisjoint({ program, entries }: MemoryPlan): void {
  let end = 0;
  for (const { offset, type } of program.state) {
    expect(offset).toBe(end);
    end = Math.ceil((offset + bytesOf(type.dtype) * numel(type.shape)) / 64) * 64;
  }
  expect(program.stateBytes).toBe(end);
  for (const { lifetimes, arenaBytes, lowerBound } of entries) {
    expect(arenaBytes).toBeGreaterThanOrEqual(lowerBound);
    for (const a of lifetimes) {
      expect(a.offset).toBeGreaterThanOrEqual(program.stateBytes);
      expect(a.offset + a.bytes).toBeLessThanOrEqual(program.totalBytes);
      for (const b of lifetimes) {
        const together = a !== b && a.first <= b.last && b.first <= a.last;
        if (together) expect(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset).toBe(true);
      }
    }
  }
}

describe('plan-memory', () => {
  const sgd = graph(
    '%x: float32[4, 3] input, %w: float32[4, 3] state, %m: float32[4, 3] state',
    '%0 = mul(%x, %w) : float32[4, 3]',
    '%1 = sum(%0) {dim: [0, 1], keepdim: false, dtype: null} : float32[]',
    '%2 = full() {size: [], value: 0.9, dtype: "float32"} : float32[]',
    '%3 = mul(%m, %2) : float32[4, 3]',
    '%4 = add(%3, %x) {alpha: 1} : float32[4, 3]',
    '%5 = sub(%w, %4) {alpha: 0.1} : float32[4, 3]',
    'return loss = %1',
    'update %m = %4',
    'update %w = %5',
  );

  test('an optimizer step writes straight over its state', () => {
    const { program, entries } = expectPlanRuns([sgd]);
    expect(entries[0].copies).toBe(0);
    const step = launchesOf(program.entries[0].steps).find(
      ({ kernel }) => kernel.params.filter(({ access }) => access === 'readwrite').length === 2,
    );
    expect(step?.args).toContain(program.state.find(({ name }) => name === 'w')!.offset);
    expect(entries[0].lifetimes.map(({ role }) => role)).toEqual(['input', 'output']);
  });

  test('two states that change places, and three in a ring', () => {
    const swap = graph('%a: float32[5] state, %b: float32[5] state', 'update %a = %b', 'update %b = %a');
    expect(expectPlanRuns([swap]).entries[0].copies).toBe(3);
    const ring = graph(
      '%a: float32[5] state, %b: float32[5] state, %c: float32[5] state, %d: float32[5] state',
      'return old = %a',
      'update %a = %b',
      'update %b = %c',
      'update %c = %a',
      'update %d = %a',
    );
    expectPlanRuns([ring]);
  });

  test('results that are parameters or appear twice', () => {
    expectPlanRuns([
      graph(
        '%x: float32[4] input, %w: float32[4] state',
        '%0 = mul(%x, %w) : float32[4]',
        'return a = %x',
        'return b = %w',
        'return c = %0',
        'return d = %0',
        'update %w = %0',
      ),
    ]);
  });

  test('old state that is still needed is not overwritten', () => {
    const late = graph(
      '%x: float32[4, 4] input, %w: float32[4, 4] state',
      '%0 = batchedMatmul(%w, %x) : float32[4, 4]',
      '%1 = batchedMatmul(%0, %w) : float32[4, 4]',
      'return r = %1',
      'update %w = %0',
    );
    expectPlanRuns([late]);
    const transposed = graph(
      '%w: float32[4, 4] state',
      '%0 = permute(%w) {dims: [1, 0]} : float32[4, 4]',
      'update %w = %0',
    );
    expect(expectPlanRuns([transposed]).entries[0].copies).toBe(1);
    const shared = graph(
      '%a: float32[4] state, %b: float32[4] state',
      '%0 = add(%a, %b) {alpha: 1} : float32[4]',
      'update %a = %0',
      'update %b = %0',
    );
    expectPlanRuns([shared]);
  });

  test('a chain of elementwise kernels needs one temporary', () => {
    const lines = [
      '%0 = exp(%x) : float32[64, 64]',
      '%1 = batchedMatmul(%0, %0) : float32[64, 64]',
      '%2 = relu(%1) : float32[64, 64]',
      '%3 = batchedMatmul(%2, %2) : float32[64, 64]',
      '%4 = batchedMatmul(%3, %3) : float32[64, 64]',
      'return r = %4',
    ];
    const { entries } = expectPlanRuns([graph('%x: float32[64, 64] input', ...lines)]);
    expect(entries[0].lowerBound).toBe(entries[0].arenaBytes);
    expect(entries[0].arenaBytes).toBeLessThanOrEqual(4 * 64 * 64 * 4);
  });

  test('entries share the arena, and state keeps its place', () => {
    const predict = sgd.replace('graph g(', 'graph predict(').replace(/ {2}update.*\n/g, '');
    const { program, entries } = expectPlanRuns([sgd.replace('graph g(', 'graph step('), predict]);
    expect(program.totalBytes).toBe(program.stateBytes + Math.max(...entries.map(e => e.arenaBytes)));
    expect(program.state.map(({ offset }) => offset)).toEqual([0, 64]);
  });

  test('state unknown to the model, or of another type, is refused', () => {
    const g = parseGraph(sgd);
    const kernels = fuse(g, silent).groups.map(group => group.lowered);
    expect(() => planMemory('m', [], [{ graph: g, kernels }])).toThrow(
      "internal: entry g: the model has no state named 'w'",
    );
    expect(() =>
      planMemory('m', [{ name: 'w', type: { dtype: 'float32', shape: [3] } }], [{ graph: g, kernels }]),
    ).toThrow("state 'w' is float32[3], but entry g takes it for float32[4, 3]");
  });
});

describe('order', () => {
  test('new state waits until the old has been read', () => {
    const text = graph(
      '%x: float32[4, 4] input, %w: float32[4, 4] state',
      '%0 = batchedMatmul(%x, %x) : float32[4, 4]',
      '%1 = sub(%w, %0) {alpha: 1} : float32[4, 4]',
      '%2 = batchedMatmul(%x, %w) : float32[4, 4]',
      'return r = %2',
      'update %w = %1',
    );
    const fused = fuse(parseGraph(text), silent);
    const writer = fused.groups.filter(group => group.outputs[0].op === 'sub');
    const ordered = orderGroups(
      { ...fused, groups: [...writer, ...fused.groups.filter(group => !writer.includes(group))] },
      silent,
    );
    expect(ordered.groups.map(group => group.outputs[0].op)).toEqual(['batchedMatmul', 'sub']);
    expect(expectPlanRuns([text]).entries[0].copies).toBe(0);
  });

  test('what frees memory runs before what takes it', () => {
    // three wide branches, each reduced to a scalar: one after another they need one wide temporary at a time
    const branches = [0, 1, 2].flatMap(i => [
      `%w${i} = batchedMatmul(%x${i}, %x${i}) : float32[32, 32]`,
      `%s${i} = sum(%w${i}) {dim: [0, 1], keepdim: false, dtype: null} : float32[]`,
      `return r${i} = %s${i}`,
    ]);
    const text = graph(
      '%x0: float32[32, 32] input, %x1: float32[32, 32] input, %x2: float32[32, 32] input',
      ...branches,
    );
    const fused = fuse(parseGraph(text), silent);
    const wide = fused.groups.filter(group => group.outputs[0].op === 'batchedMatmul');
    const rest = fused.groups.filter(group => !wide.includes(group));
    const notes: string[] = [];
    const ordered = orderGroups({ ...fused, groups: [...wide, ...rest] }, { note: (_, why) => void notes.push(why) });
    expect(notes).toEqual([
      'reordered: a peak of 4108 bytes and 0 copies of state instead of a peak of 12292 bytes and 0 copies of state',
    ]);
    for (const [i, group] of ordered.groups.entries())
      if (group.outputs[0].op === 'batchedMatmul')
        expect(ordered.groups[i + 1].lowered.reads).toContain(group.outputs[0]);
  });
});
