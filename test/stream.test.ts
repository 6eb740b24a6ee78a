/**
 * Values passed on in rows: attention is one kernel that never has all its weights in memory, and computes what separate
 * kernels compute, in every backend and for every number of threads; what others need too is written as ever.
 */
import { input, manualSeed, randn, type Tensor, tensor } from 'gradc';
import * as F from 'gradc/functional';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { spreadSlabs } from '../backends/cuda/spread-slabs.js';
import { compileKernel as compileJs } from '../backends/js/emit.js';
import { blockSlabs } from '../backends/wasm/block-slabs.js';
import { compileKernel } from '../backends/wasm/compile.js';
import { hoistFills } from '../backends/wasm/hoist-fills.js';
import { schedule } from '../backends/wasm/schedule.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import { launchesOf, type Program } from '../compiler/ir/program.js';
import { parseKernel, printKernel } from '../compiler/ir/text.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import { compile } from '../compiler/jit.js';
import { inBlocks, isSlabLoop } from '../compiler/lowering/blocks.js';
import { fuse } from '../compiler/passes/fuse.js';
import { planMemory } from '../compiler/passes/plan-memory.js';
import { stream } from '../compiler/passes/stream.js';
import { runProgram } from './support/run-program.js';
import { type Running, runAlone, Team } from './support/team.js';

const silent = { note: () => {} };
const whateverItCosts = { large: 0, steps: Number.POSITIVE_INFINITY };
type Fn = (...inputs: Tensor[]) => Tensor | Tensor[];

/** The program of a function, with values passed on wherever that is possible, and without. */
function programs(fn: Fn, shapes: readonly number[][]): { streamed: Program; separate: Program } {
  const [graph] = compile(
    fn,
    shapes.map(shape => input(shape)),
    { backend: 'js' },
  ).compilation.graphs;
  const fused = fuse(graph, silent);
  const planned = ({ groups }: typeof fused): Program =>
    planMemory('p', [], [{ graph, kernels: groups.map(({ lowered }) => lowered) }]).program;
  return { streamed: planned(stream(fused, silent, whateverItCosts)), separate: planned(fused) };
}

const kernelsIn = ({ entries }: Program): Kernel[] => launchesOf(entries[0].steps).map(({ kernel }) => kernel);
const floats = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(seed + i * 1.37));
const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);
const valuesOf = ({ entries: [{ inputs }] }: Program): Record<string, Float32Array> =>
  Object.fromEntries(inputs.map(({ name, type }, i) => [name, floats(sizeOf(type.shape), i)]));

const scheduled = (kernel: Kernel): Kernel =>
  schedule.reduce((ir, pass) => {
    const next = pass.run(ir, silent);
    verifyKernel(next);
    return next;
  }, kernel);

const heads = [2, 3, 21, 5];
const attention: readonly [string, Fn, number[][]][] = [
  ['of several heads', (q, k, v) => F.scaledDotProductAttention(q, k, v), [heads, heads, heads]],
  ['to places before', (q, k, v) => F.scaledDotProductAttention(q, k, v, { isCausal: true }), [heads, heads, heads]],
  [
    'to fewer places, with a mask',
    (q, k, v, attnMask) => F.scaledDotProductAttention(q, k, v, { attnMask }),
    [
      [19, 6],
      [13, 6],
      [13, 4],
      [19, 13],
    ],
  ],
  [
    'of heads that lie side by side',
    (q, k, v) => {
      const split = (x: Tensor): Tensor => x.reshape([2, 17, 3, 4]).transpose(1, 2);
      return F.scaledDotProductAttention(split(q), split(k), split(v)).transpose(1, 2).reshape([2, 17, 12]);
    },
    [
      [2, 17, 12],
      [2, 17, 12],
      [2, 17, 12],
    ],
  ],
];

describe.each(attention)('attention %s', (_, fn, shapes) => {
  const { streamed, separate } = programs(fn, shapes);
  const values = valuesOf(streamed);
  const [kernel] = kernelsIn(streamed);
  const arrays = (): Float32Array[] =>
    kernel.params.map(({ buffer, access }, i) =>
      access === 'read' ? floats(buffer.size, i) : new Float32Array(buffer.size),
    );
  const run = (compiled: (...arrays: Float32Array[]) => void): Float32Array => {
    const given = arrays();
    compiled(...given);
    return given.at(-1)!;
  };

  test('is one kernel, which keeps one row of weights', () => {
    expect(kernelsIn(separate)).toHaveLength(3);
    expect(kernelsIn(streamed)).toHaveLength(1);
    const places = shapes[1].at(-2)!;
    expect(printKernel(kernel).match(/float32\[\d+\] local/g)).toEqual([`float32[${places}] local`]);
    verifyKernel(kernel);
  });

  test('computes every bit of what three kernels compute', () => {
    const [one, three] = [streamed, separate].map(program => runProgram(program, program.entries[0].name, values));
    expect(one.results).toEqual(three.results);
  });

  test('computes it with blocks of rows in tiles, and with all rows on a device', () => {
    const plain = run(compileJs(kernel));
    const tiled = run(compileKernel(scheduled(kernel)));
    for (const [i, value] of tiled.entries()) expect(value).toBeCloseTo(plain[i], 5);
    const spread = spreadSlabs.run(kernel, silent);
    verifyKernel(spread);
    expect(run(compileJs(spread))).toEqual(plain);
    expect(spread.body[0].kind).toBe('alloc');
  });
});

describe('attention over many places', () => {
  const places = 1449;
  const width = 8;
  const attend = (q: Tensor, k: Tensor, v: Tensor): Tensor => F.scaledDotProductAttention(q, k, v);
  const specs = [0, 1, 2].map(() => input([places, width]));
  const { compilation } = compile(attend, specs);
  let team: Team;
  beforeAll(async () => {
    team = await Team.start();
  });
  afterAll(() => team.end());

  test('needs no memory for its weights', () => {
    const { program } = compilation;
    expect(kernelsIn(program)).toHaveLength(1);
    expect(program.totalBytes).toBeLessThan(8 * places * width * 4);
  });

  test('is what eager computes', () => {
    manualSeed(0);
    const inputs = [0, 1, 2].map(() => randn([places, width])) as [Tensor, Tensor, Tensor];
    const difference = compile(attend, specs)(...inputs).sub(attend(...inputs));
    expect(difference.abs().max().item()).toBeLessThan(1e-5);
  });

  test('gives the same bits with every number of threads, each with rows of its own', () => {
    const { program } = compilation;
    const result = (running: Running): Float32Array => {
      const { inputs, outputs, name } = program.entries[0];
      const at = (offset: number): Float32Array => new Float32Array(running.memory.buffer, offset, places * width);
      for (const [i, { offset }] of inputs.entries()) at(offset).set(floats(places * width, i));
      running.run(name);
      const values = at(outputs[0].offset).slice();
      running.end();
      return values;
    };
    const alone = result(runAlone(program));
    for (const threads of [1, 2, 3]) expect(result(team.run(program, threads))).toEqual(alone);
  });
});

describe('is not passed on', () => {
  const weights = (q: Tensor, k: Tensor): Tensor => q.matmul(k.transpose(0, 1)).softmax(-1);
  const square = [12, 12];

  test('what is a result too', () => {
    const { streamed } = programs((q, k, v) => [weights(q, k).matmul(v), weights(q, k)], [square, square, square]);
    expect(kernelsIn(streamed)).toHaveLength(2);
  });

  test('what others read across rows, as the gradients of keys and values read weights and their gradient', () => {
    const { streamed } = programs(
      (q, k, v) => {
        for (const x of [q, k, v]) x.requiresGrad_();
        weights(q, k).matmul(v).square().sum().backward();
        return [q.grad!, k.grad!, v.grad!];
      },
      [
        [12, 5],
        [12, 5],
        [12, 5],
      ],
    );
    const written = kernelsIn(streamed).flatMap(({ params }) => params.filter(({ access }) => access !== 'read'));
    expect(written.filter(({ buffer }) => buffer.size === 12 * 12)).toHaveLength(2);
    const values = valuesOf(streamed);
    const results = Object.values(runProgram(streamed, streamed.entries[0].name, values).results) as Float32Array[];
    const tensors = Object.values(values).map(array =>
      tensor([...array])
        .reshape([12, 5])
        .requiresGrad_(),
    );
    const [q, k, v] = tensors;
    weights(q, k).matmul(v).square().sum().backward();
    for (const [i, { grad }] of tensors.entries())
      expect(
        tensor([...results[i]])
          .sub(grad!.flatten())
          .abs()
          .max()
          .item(),
      ).toBeLessThan(1e-4);
  });

  test('what is read across rows', () => {
    const { streamed } = programs((q, k, v) => v.matmul(weights(q, k)), [square, square, square]);
    expect(kernelsIn(streamed).map(({ doc }) => doc.match(/batchedMatmul/g)?.length)).toEqual([1, 1]);
  });

  test('what stays in the cache, or takes long to compute', () => {
    const kernels = (places: number, width: number): number =>
      kernelsIn(
        compile(
          (q: Tensor, k: Tensor, v: Tensor) => F.scaledDotProductAttention(q, k, v),
          [0, 1, 2].map(() => input([places, width])),
        ).compilation.program,
      ).length;
    expect(kernels(1024, 16)).toBe(3);
    expect(kernels(1500, 16)).toBe(1);
    expect(kernels(1500, 160)).toBe(3);
  });
});

test('products of products of few elements, in straight code, read their own operands', () => {
  const { streamed, separate } = programs(
    (a, b) => a.matmul(b).matmul(a.transpose(0, 1)),
    [
      [2, 2],
      [2, 2],
    ],
  );
  expect(kernelsIn(streamed)).toHaveLength(1);
  const values = valuesOf(separate);
  const expected = Object.values(runProgram(separate, separate.entries[0].name, values).results)[0] as Float32Array;
  const [kernel] = kernelsIn(streamed);
  const out = new Float32Array(4);
  compileKernel(scheduled(kernel))(...Object.values(values), out);
  for (const [i, value] of out.entries()) expect(value).toBeCloseTo(expected[i], 5);
});

const rows = parseKernel(`kernel rows(x: float32[70] read, w: float32[20] read, out: float32[28] write):
  for h in parallel(2):
    for i in parallel(7):
      slab: float32[5] local
      for j in parallel(5):
        slab[j] = x[h*35 + i*5 + j] * 2
      for d in parallel(2):
        acc: float32[1] register
        acc[0] = 0
        for k in serial(5):
          acc[0] += slab[k] * w[h*10 + k*2 + d]
        out[h*14 + i*2 + d] = acc[0]
`);

/** The kernel with its rows in blocks. */
function inBlocksOf(size: number): Kernel {
  const [h] = rows.body;
  if (h.kind !== 'loop' || !isSlabLoop(h.body[0])) throw new Error('no loop over slabs');
  return { ...rows, body: [{ ...h, body: inBlocks(h.body[0], size) }] };
}

describe('blocks of rows', () => {
  const outputOf = (kernel: Kernel): Float32Array => {
    const out = new Float32Array(28);
    compileJs(kernel)(floats(70, 1), floats(20, 2), out);
    return out;
  };

  test.each([1, 2, 3, 7])('of %i compute what single rows compute', size => {
    const kernel = inBlocksOf(size);
    verifyKernel(kernel);
    expect(outputOf(kernel)).toEqual(outputOf(rows));
  });

  test('have their slabs side by side, and the rest a block of its own', () => {
    const text = printKernel(inBlocksOf(3));
    expect(text.match(/float32\[\d+\] local/g)).toEqual(['float32[15] local', 'float32[5] local']);
    expect(text).toContain('slab[ii*5 + j] = x[h*35 + ib*15 + ii*5 + j] * 2');
    expect(text).toContain('x[h*35 + j + 30] * 2');
  });

  test('are as many as the cache holds', () => {
    expect(printKernel(blockSlabs.run(rows, silent))).toContain('float32[35] local');
  });
});

test('what a loop would stage again in every iteration is staged before it, and nothing else', () => {
  const kernel = (index: string): Kernel =>
    parseKernel(`kernel k(w: float32[32] read, out: float32[32] write):
  for i in parallel(4):
    staged: float32[8] local
    for j in parallel(8):
      staged[j] = w[${index}] * 3
    for j in parallel(8):
      out[i*8 + j] = staged[7 - j]
`);
  const hoisted = hoistFills.run(kernel('j'), silent);
  verifyKernel(hoisted);
  expect(hoisted.body[0].kind).toBe('alloc');
  const [before, after] = [kernel('j'), hoisted].map(k => {
    const out = new Float32Array(32);
    compileJs(k)(floats(32, 1), out);
    return out;
  });
  expect(after).toEqual(before);
  const own = kernel('i*8 + j');
  expect(hoistFills.run(own, silent)).toBe(own);
});
