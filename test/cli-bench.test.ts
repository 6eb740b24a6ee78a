/** `gradc bench`: the numbers fit together. How large they are is the machine's matter. */
import { defineModel, entry, input, int64, manualSeed, nn, optim } from 'gradc';
import * as F from 'gradc/functional';
import { beforeAll, describe, expect, test } from 'vitest';
import { countedLaunches } from '../compiler/cli/bench/launches.js';
import { type BenchResult, benchModel, type EntryBench } from '../compiler/cli/bench-model.js';
import type { Launch } from '../compiler/ir/program.js';

const definition = defineModel('perceptron', () => {
  manualSeed(0);
  const net = new nn.Linear(64, 32);
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  return {
    state: { net, opt },
    entries: {
      predict: entry({ x: input([4, 64]) }, ({ x }) => ({ y: net.forward(x) })),
      trainStep: entry({ x: input([4, 64]), y: input([4], int64) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(net.forward(x), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});

describe('bench', () => {
  let result: BenchResult;
  let predict: EntryBench;
  let trainStep: EntryBench;
  beforeAll(async () => {
    result = await benchModel(definition, { seconds: 0.02, variants: ['simd'] });
    [predict, trainStep] = result.entries;
  });

  test('measures every entry eagerly and compiled', () => {
    expect(result.entries.map(({ entry }) => entry)).toEqual(['predict', 'trainStep']);
    for (const { times } of result.entries) {
      expect(times.map(({ mode, variant }) => [mode, variant])).toEqual([
        ['compiled', 'simd'],
        ['eager', 'eager'],
      ]);
      for (const { medianMs, minMs } of times) expect(medianMs).toBeGreaterThanOrEqual(minMs);
    }
    expect(result.ceilings.mulAddGflops).toBeGreaterThan(0);
  });

  test('counts operations, memory and size', () => {
    const products = 2 * 4 * 64 * 32;
    expect(predict.flops).toBeGreaterThanOrEqual(products);
    expect(predict.flops).toBeLessThan(1.2 * products);
    expect(trainStep.flops).toBeGreaterThan(1.9 * products);
    expect(result.stateBytes).toBeGreaterThanOrEqual(4 * (64 * 32 + 32));
    expect(predict.memoryBytes).toBeGreaterThanOrEqual(4 * 4 * 32);
    expect(predict.memoryBytes).toBeLessThanOrEqual(result.memoryBytes);
    expect(predict.moduleBytes).toBeLessThan(result.modules[0].bytes);
    expect(predict.eagerBytes).toBeGreaterThan(0);
  });

  test('divides an entry among its kernels, longest first', () => {
    for (const { kernels, flops, bytes } of result.entries) {
      const sum = (of: (kernel: (typeof kernels)[number]) => number): number =>
        kernels.reduce((total, kernel) => total + of(kernel), 0);
      expect(sum(kernel => kernel.flops)).toBe(flops);
      expect(sum(kernel => kernel.bytes)).toBe(bytes);
      expect(kernels.map(({ medianMs }) => medianMs)).toEqual(
        kernels.map(({ medianMs }) => medianMs).sort((a, b) => b - a),
      );
    }
  });

  test('an entry that is not there is named', async () => {
    await expect(benchModel(definition, { entries: ['train'] })).rejects.toThrow(
      /E501: perceptron has no entry 'train'/,
    );
  });
});

test('launches in loops count as often as they run', () => {
  const launch = (name: string): Launch => ({ kernel: { name } as Launch['kernel'], args: [] });
  const address = { base: 0, strides: [] };
  const counted = countedLaunches([
    launch('a'),
    { trips: 3, body: [launch('b'), { trips: 2, body: [launch('c')] }] },
    { trips: { steps: [launch('d')], holds: address }, body: [launch('e')] },
    { predicate: address, yes: [launch('f')], no: [launch('g')] },
  ]);
  expect(counted.map(({ launch: { kernel }, runs }) => `${kernel.name}${runs}`).join(' ')).toBe('a1 b3 c6 d1 e1 f1 g1');
});
