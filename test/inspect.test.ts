/** `inspect`: what the pictures, the explanations and the timeline tell, on a model small enough to know by heart. */
import { defineModel, entry, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';
import { traceModel } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { type Stage, stages } from '../compiler/cli/choices.js';
import { boundaries } from '../compiler/cli/inspect/explain.js';
import { layoutGraph } from '../compiler/cli/inspect/graph-layout.js';
import { compileRecorded } from '../compiler/cli/inspect/record.js';
import { stagePage, stagePicture } from '../compiler/cli/inspect/stage-pictures.js';
import { onlyEntry, stageText } from '../compiler/cli/inspect/stage-text.js';
import { standalone } from '../compiler/cli/inspect/svg.js';
import { timeline } from '../compiler/cli/inspect/timeline.js';
import { moduleBackend } from '../compiler/cli/measured-backend.js';

class Block extends nn.Module {
  norm = new nn.LayerNorm(8);
  grow = new nn.Linear(8, 8);
  forward(x: Tensor): Tensor {
    return x.add(F.relu(this.grow.forward(this.norm.forward(x))));
  }
}
class Net extends nn.Module {
  block = new Block();
  head = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    return this.head.forward(this.block.forward(x));
  }
}
const definition = defineModel('seen', () => {
  manualSeed(0);
  const net = new Net();
  const opt = new optim.Adam(net.parameters(), { lr: 0.01 });
  return {
    state: { net, opt },
    entries: {
      predict: entry({ x: input([2, 8]) }, ({ x }) => ({ y: net.forward(x) })),
      trainStep: entry({ x: input([4, 8]), y: input([4], int64) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(net.forward(x), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});
const traced = traceModel(definition);
const whole = compileRecorded(traced, {});
const recorded = { ...whole, compilation: onlyEntry(whole.compilation, 'trainStep') };
const [graph] = recorded.compilation.source.graphs;

describe('the graph', () => {
  const { bands } = layoutGraph(graph);
  const rows = bands.flatMap(({ forward, backward }) => [...forward, ...backward]);

  test('is cut into bands where the module changes', () => {
    expect(bands.map(({ module }) => module)).toEqual(['block.norm', 'block.grow', 'block', 'head', '']);
  });

  test('has the forward pass in order, every row after what it reads', () => {
    const forward = bands.flatMap(band => band.forward);
    for (const [i, row] of forward.entries())
      for (const source of row.sources) expect(forward.indexOf(source)).toBeLessThan(i);
    expect(forward.at(-1)).toMatchObject({ results: ['loss'] });
  });

  test('has the gradient of a module beside it, and the new state of its parameters', () => {
    const head = bands.find(({ module }) => module === 'head')!;
    expect(head.backward.map(({ node }) => node.op)).toContain('batchedMatmul');
    expect(head.updates.map(({ name, kept }) => [name, kept])).toEqual([
      ['net.head.weight', ['opt.exp_avg', 'opt.exp_avg_sq']],
      ['net.head.bias', ['opt.exp_avg', 'opt.exp_avg_sq']],
    ]);
  });

  test('leaves nothing out but views, copies, constants and the optimizer', () => {
    expect(new Set(rows.map(({ node }) => node)).size).toBe(rows.length);
    expect(rows.map(({ node }) => node.op)).toEqual(expect.arrayContaining(['standardize', 'relu', 'le', 'exp']));
  });
});

describe('pictures', () => {
  test.each(stages)('%s is a picture, a page and a text', (stage: Stage) => {
    const picture = standalone(stagePicture(recorded, stage));
    expect(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^>]*><style>[\s\S]*<\/svg>\n$/.test(picture)).toBe(true);
    expect(/="[^"]*(NaN|undefined)/.exec(picture)?.[0]).toBeUndefined();
    const page = stagePage(recorded, stage);
    expect(/^<!doctype html>[\s\S]*prefers-color-scheme: dark[\s\S]*<\/html>\n$/.test(page)).toBe(true);
    expect(/<link|src=|@import/.exec(page)?.[0]).toBeUndefined();
    expect(stageText(recorded, stage)).not.toBe('');
  });

  test('show what is saved for backward, and the line behind a row', () => {
    const picture = stagePicture(recorded, 'backward');
    expect(picture.match(/class="saved"/g)!.length).toBeGreaterThan(5);
    expect(picture).toContain('return x.add(F.relu(this.grow.forward(this.norm.forward(x))));');
    expect(stagePicture(recorded, 'graph')).not.toContain('class="saved"');
  });

  test('of memory have a rectangle for each buffer', () => {
    const { lifetimes } = recorded.compilation.plan.entries[0];
    expect(stagePicture(recorded, 'memory').match(/<g class="row">/g)).toHaveLength(lifetimes.length);
    expect(stageText(recorded, 'memory')).toMatch(/planned peak [\d.]+ KiB, lower bound [\d.]+ KiB/);
  });
});

test('every kernel that reads another is told why it is not part of it', () => {
  const list = boundaries(recorded).get('trainStep')!;
  const [{ groups }] = recorded.compilation.fused;
  expect(list).toHaveLength(groups.length);
  const grow = list.find(({ does }) => does.includes('batchedMatmul') && does.includes('relu'))!;
  expect(grow.apart[0]).toMatchObject({ why: 'an operand of a contraction is read many times' });
  expect(stageText(recorded, 'explain')).toContain(`apart from ${grow.apart[0].from}: an operand of a contraction`);
});

test('the passes are told in order, with what each left', () => {
  const names = recorded.passes.filter(({ on }) => on === 'trainStep').map(({ pass }) => pass);
  expect(names.slice(-4)).toEqual(['dead-code', 'fuse', 'stream', 'order']);
  expect(stageText(recorded, 'passes')).toMatch(/trainStep: fuse +[\d.]+ ms +\d+ kernels/);
});

test('a tuning is told, and what it gained', () => {
  const plan = { plan: 'rows, tiles of 4 x 8', kernel: 'batchedMatmul', ms: 0.5, estimatedMs: 0.75 };
  const tuning = { schemaVersion: 1, gradc: '0.1.0', machine: 'a machine', plans: { key: plan } } as const;
  expect(stageText(recorded, 'passes')).not.toContain('tuned');
  expect(stageText({ ...recorded, tuning }, 'passes')).toMatch(
    /tuned on a machine\n {2}batchedMatmul {2}rows, tiles of 4 x 8: 0\.500 ms, as estimated 0\.750 ms\n$/,
  );
});

test('the modules for the revectorizer can be shown', () => {
  const [plain, revectorized] = [false, true].map(revectorize =>
    stageText({ ...recorded, backend: moduleBackend(null, { revectorize }) }, 'wat'),
  );
  expect(revectorized).toContain('(module');
  expect(revectorized).not.toBe(plain);
});

test('the timeline has every launch once, one after another', () => {
  const { traceEvents } = timeline(traced, whole.compilation, 3);
  const entries = traceEvents.filter(({ name }) => name === 'thread_name').map(({ args }) => args);
  expect(entries).toEqual([{ name: 'predict' }, { name: 'trainStep' }]);
  const kernels = traceEvents.filter(({ ph, tid }) => ph === 'X' && tid === 2);
  expect(kernels).toHaveLength(whole.compilation.program.entries[1].steps.length);
  let end = 0;
  for (const { ts, dur } of kernels) {
    expect(ts).toBeCloseTo(end, 6);
    end = ts! + dur!;
  }
  expect(end).toBeGreaterThan(0);
  expect(kernels.map(({ args }) => args)).toEqual(
    expect.arrayContaining([expect.objectContaining({ module: expect.stringContaining('block.grow') })]),
  );
});
