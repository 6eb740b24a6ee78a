/**
 * Several threads: how kernels are divided, that every number of threads gives the bits of one, and what a loaded model does
 * with its threads.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { arange, defineModel, entry, input, int64, type ModelDefinition } from 'gradc';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { bodyOf } from '../backends/wasm/accesses.js';
import { wasm } from '../backends/wasm/backend.js';
import { divideKernel, measuredCosts } from '../backends/wasm/divide.js';
import { moduleText } from '../backends/wasm/module.js';
import { planTeam } from '../backends/wasm/plan.js';
import { withSharedScratch } from '../backends/wasm/shared-scratch.js';
import { artifactFiles } from '../compiler/artifact/write.js';
import {
  alloc,
  call,
  type Expr,
  index,
  iterOf,
  type Kernel,
  load,
  loop,
  makeIter,
  type Stmt,
  store,
} from '../compiler/ir/kernel.js';
import { printKernel } from '../compiler/ir/text.js';
import { compileToProgram, emitProgram, scheduleProgram } from '../compiler/pipeline.js';
import { traceModel } from '../compiler/trace/model.js';
import lenet from '../examples/lenet/lenet.model.js';
import type { LoadOptions, Model } from '../runtime/deploy/index.js';
import { Lateness } from '../runtime/deploy/lateness.js';
import { join as joinTeam } from '../runtime/deploy/part.js';
import { noTrouble } from '../runtime/deploy/trouble.js';
import { matmul, param, register, softmax } from './support/plain-kernels.js';
import { divideAll } from './support/team.js';

const scheduled = (kernel: Kernel): Kernel =>
  wasm.schedule.reduce((ir, pass) => pass.run(ir, { note: () => {} }), kernel);
const divided = (kernel: Kernel): string => printKernel(divideKernel(scheduled(kernel), divideAll)!.kernel);

describe('a divided kernel', () => {
  test('fills what it stages together, then waits', () => {
    const text = divided(matmul(64, 300, 300));
    expect(text).toMatch(/float32\[\d+\] shared/);
    const [fill, tiles, ...rest] = text.split(/^ *barrier\n/m);
    expect(fill).toContain('thread.x');
    expect(tiles).toContain('thread.x');
    expect(rest).toEqual([]);
  });

  test('rows are independent: no barrier, scratch memory of each thread', () => {
    const text = divided(softmax(40, 300));
    expect(text).toContain('thread.x(40)');
    expect(text).toContain('local');
    expect(text).not.toMatch(/barrier|shared/);
  });

  test('scratch memory of a divided loop is of each thread, also where statements before the loop use the same', () => {
    const [x, scratch] = [param('x', 64), { ...register('scratch'), scope: 'local' as const }];
    const doubled = (at: Expr): Stmt =>
      alloc(scratch, [
        store(scratch, index(0), load(x, at)),
        store(x, at, call('add', load(scratch, index(0)), load(scratch, index(0)))),
      ]);
    const i = makeIter('i', x.size);
    const [before, inside] = withSharedScratch([doubled(index(0)), loop(i, 'thread.x', [doubled(iterOf(i))])]);
    const scopes = (stmt: Stmt): string[] =>
      stmt.kind === 'alloc' ? [stmt.buffer.scope] : bodyOf(stmt).flatMap(scopes);
    expect([scopes(before), scopes(inside)]).toEqual([['shared'], ['local']]);
  });

  test('is left alone where working together costs more than it saves', () => {
    expect(divideKernel(scheduled(matmul(4, 8, 8)), measuredCosts)).toBeNull();
    expect(divideKernel(scheduled(matmul(64, 300, 300)), measuredCosts)).not.toBeNull();
  });
});

const ELEMENTS = 1 << 16;

/** Reads wherever it is told to. */
const wild = defineModel('wild', () => {
  const table = arange(ELEMENTS).div(ELEMENTS);
  return {
    state: { table },
    entries: {
      pick: entry({ index: input([ELEMENTS], int64) }, ({ index }) => ({ out: table.gather(0, index).exp().tanh() })),
    },
  };
});

test('a thread sleeps in a function without loops: Node 20 leaves a barrier early that sleeps in its own loop', () => {
  const { name, graphs, state } = traceModel(
    defineModel('sum', () => ({ state: {}, entries: { run: entry({ x: input([3]) }, ({ x }) => ({ y: x.exp() })) } })),
  );
  const { program } = compileToProgram({ name, graphs, state }, {}, evaluateConstant);
  const text = moduleText(planTeam(scheduleProgram(program, wasm), false, divideAll));
  const sleeping = text.split('\n (func ').filter(code => code.includes('memory.atomic.wait'));
  expect(sleeping).toHaveLength(1);
  expect(sleeping[0]).not.toContain('(loop');
});

describe('a thread that does not come', () => {
  test('is named once a second by the call that waits for it', () => {
    const traced = traceModel(wild);
    const { program } = compileToProgram(traced, {}, evaluateConstant);
    const files = emitProgram(program, wasm, { threads: true });
    const module = new WebAssembly.Module(files.get('wild.threads.wasm') as BufferSource);
    const memory = new WebAssembly.Memory({ initial: 40, maximum: 40, shared: true });
    const part = { module, memory, thread: 0, threads: 2, spins: 1000, patience: 1000, trouble: noTrouble() };
    const named: (readonly [thread: number, progress: number])[] = [];
    const { exports } = joinTeam(part, (...late) => {
      if (named.push(late) === 2) throw new Error('it has been waited for long enough');
    });
    const start = performance.now();
    expect(exports.pick as () => void).toThrow('it has been waited for long enough');
    expect(performance.now() - start).toBeGreaterThan(1900);
    expect(named.map(([thread]) => thread)).toEqual([1, 1]);
    expect(named[0]).toEqual(named[1]);
  });

  test('is given up at once where it has ended', () => {
    const lateness = new Lateness(thread => thread === 2);
    lateness.callBegins();
    lateness.late(1, 0);
    expect(() => lateness.late(2, 0)).toThrow('thread 2 has ended');
  });

  test('is given up after a minute in which it does nothing, and later in a call that takes long itself', () => {
    const lateness = new Lateness(() => false);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const seconds = (progress: number): number => {
      for (let second = 1; second < 1000; second++) {
        try {
          lateness.late(1, progress);
        } catch {
          return second;
        }
      }
      return Number.POSITIVE_INFINITY;
    };
    lateness.callBegins();
    for (let progress = 0; progress < 100; progress++) lateness.late(1, progress);
    expect(seconds(100)).toBe(61);
    clock.mockReturnValue(30_000);
    expect(seconds(101)).toBe(361);
    clock.mockRestore();
  });
});

describe('a loaded model', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  /** The artifact of a model in a folder: the address of its JavaScript. */
  async function artifact(definition: ModelDefinition, threads: boolean): Promise<URL> {
    const traced = traceModel(definition);
    const { program } = compileToProgram(traced, {}, evaluateConstant);
    const files = await artifactFiles({
      program,
      state: new Map(traced.state.map(({ name, storage }) => [name, storage.array])),
      emitted: emitProgram(program, wasm, { threads }),
      sources: new Map(),
    });
    const folder = mkdtempSync(join(tmpdir(), 'gradc-threads-'));
    folders.push(folder);
    for (const [path, content] of files) writeFileSync(join(folder, path), content);
    return pathToFileURL(join(folder, `${program.name}.js`));
  }

  let url: URL;
  beforeAll(async () => {
    url = await artifact(lenet, true);
  });
  const load = async (options: LoadOptions, from = url): Promise<Model> =>
    (await import(/* @vite-ignore */ from.href)).load(options);

  const batch = {
    x: Float32Array.from({ length: 64 * 1024 }, (_, i) => Math.sin(i)),
    y: BigInt64Array.from({ length: 64 }, (_, i) => BigInt(i % 10)),
  };

  test('trains on several threads as on one, and goes on after its threads have fallen asleep', async () => {
    const models = [await load({}), await load({ threads: 2 }), await load({ threads: 3, requireThreads: true })];
    expect(models.map(model => model.threads.count)).toEqual([1, 2, 3]);
    for (let step = 0; step < 3; step++) {
      const [alone, ...teams] = models.map(model => model.trainStep(batch).loss);
      expect(teams).toEqual([alone, alone]);
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    const [alone, ...teams] = models.map(model => model.saveState());
    for (const state of teams) expect(Buffer.compare(state, alone)).toBe(0);
    for (const model of models) model.dispose();
  });

  test('reads, saves and loads its state, gives copies or views', async () => {
    const model = await load({ threads: 2 });
    const before = model.saveState();
    const { loss } = model.trainStep(batch);
    model.loadState(before);
    expect(model.trainStep(batch).loss).toBe(loss);
    model.state['net.fc3.bias'].fill(7 as never);
    const x = new Float32Array(1024);
    const copied = model.predict({ x }).logits as Float32Array;
    const view = model.predict({ x }, { copy: false }).logits as Float32Array;
    expect([...view]).toEqual([...copied]);
    expect(copied.buffer).toBeInstanceOf(ArrayBuffer);
    expect(view.buffer).toBeInstanceOf(SharedArrayBuffer);
    model.dispose();
    model.dispose();
    expect(() => model.predict({ x })).toThrow("E414: model 'lenet' has been disposed of");
  });

  test('says why it has one thread, or refuses', async () => {
    const one = await artifact(lenet, false);
    expect((await load({ threads: 2 }, one)).threads).toEqual({ count: 1, reason: 'it is built for one thread' });
    await expect(load({ threads: 2, requireThreads: true }, one)).rejects.toThrow('E415: it is built for one thread');
    expect((await load({ threads: 1, requireThreads: true }, one)).threads).toEqual({ count: 1 });
    await expect(load({ threads: 1.5 })).rejects.toThrow('E415: threads must be a whole number from 1 on, given 1.5');

    const alone = new URL('lenet.wasm', url);
    expect((await load({ threads: 2, wasm: alone })).threads.reason).toBe('the module given is for one thread');
    vi.stubGlobal('crossOriginIsolated', false);
    expect((await load({ threads: 2 })).threads.reason).toMatch(/^the page is not cross-origin isolated, /);
    vi.unstubAllGlobals();
    vi.stubGlobal('SharedArrayBuffer', undefined);
    expect((await load({ threads: 2 })).threads.reason).toBe('there is no SharedArrayBuffer here');
    vi.unstubAllGlobals();
  });

  test('whose worker does not start has one thread', async () => {
    const broken = await artifact(lenet, true);
    writeFileSync(new URL('lenet.threads.js', broken), 'throw new Error("no such luck")');
    const { threads } = await load({ threads: 2 }, broken);
    expect(threads).toEqual({ count: 1, reason: 'its worker does not start: no such luck' });
  });

  test('that fails in a thread says so from then on, and keeps its state', async () => {
    const model = await load({ threads: 2 }, await artifact(wild, true));
    const index = new BigInt64Array(ELEMENTS);
    expect((model.pick({ index }).out as Float32Array).length).toBe(ELEMENTS);
    index.fill(1n << 29n, ELEMENTS / 2);
    const told =
      /E415: 'pick' failed with RuntimeError: memory access out of bounds.*; the threads are gone, load the mo/;
    expect(() => model.pick({ index })).toThrow(told);
    expect(() => model.pick({ index })).toThrow(told);
    expect(model.state.table.length).toBe(ELEMENTS);
    model.dispose();
  });

  test('one of whose threads has ended says so instead of waiting for it', async () => {
    const created = once(process, 'worker');
    const model = await load({ threads: 2 }, await artifact(wild, true));
    const [worker] = (await created) as [Worker];
    await worker.terminate();
    expect(() => model.pick({ index: new BigInt64Array(ELEMENTS) })).toThrow(
      /E415: a thread has ended.*load the model/,
    );
    expect(model.state.table.length).toBe(ELEMENTS);
    model.dispose();
  });

  test('one of whose threads is ended within a call says so, and lets the others go', async () => {
    const created: Worker[] = [];
    const watch = (worker: unknown): void => void created.push(worker as Worker);
    process.on('worker', watch);
    const model = await load({ threads: 3 }, await artifact(wild, true));
    process.off('worker', watch);
    const index = new BigInt64Array(ELEMENTS);
    model.pick({ index });
    const exits = created.map(worker => once(worker, 'exit'));
    void created[1].terminate();
    const told = /E415: 'pick' failed with Error: thread 2 has ended, for which it waited; the threads are gone/;
    expect(() => model.pick({ index })).toThrow(told);
    await Promise.all(exits);
    expect(() => model.pick({ index })).toThrow(told);
    model.dispose();
  });

  test('one of whose threads fails on its own says with what', async () => {
    const broken = await artifact(wild, true);
    const thread = new URL('wild.threads.js', broken);
    const failing = `const { Instance } = WebAssembly;
      WebAssembly.Instance = function (...given) {
        const { exports } = new Instance(...given);
        return { exports: { ...exports, 'thread:work': () => { throw new RangeError('no stack is left'); } } };
      };`;
    writeFileSync(thread, failing + readFileSync(thread, 'utf8'));
    const model = await load({ threads: 2 }, broken);
    expect(() => model.pick({ index: new BigInt64Array(ELEMENTS) })).toThrow(
      "E415: 'pick' failed with RangeError: no stack is left in thread 1; the threads are gone, load the model again",
    );
    model.dispose();
  });

  test('lets the process end, with its threads asleep, busy or disposed of', () => {
    for (const last of ['', 'await new Promise(resolve => setTimeout(resolve, 100));', 'model.dispose();']) {
      const program = `
        import { load } from ${JSON.stringify(url.href)};
        const model = await load({ threads: 2 });
        const { loss } = model.trainStep({ x: new Float32Array(65536), y: new BigInt64Array(64) });
        ${last}
        console.log(model.threads.count, loss > 0);`;
      const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
        timeout: 20_000,
      });
      expect({ stdout, stderr, status }).toEqual({ stdout: '2 true\n', stderr: '', status: 0 });
    }
  });

  test('sleeps between calls', () => {
    const program = `
      import { load } from ${JSON.stringify(url.href)};
      const model = await load({ threads: 2 });
      model.trainStep({ x: new Float32Array(65536), y: new BigInt64Array(64) });
      await new Promise(resolve => setTimeout(resolve, 100));
      const before = process.cpuUsage();
      await new Promise(resolve => setTimeout(resolve, 400));
      const { user, system } = process.cpuUsage(before);
      console.log((user + system) / 1000);`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(Number(stdout)).toBeLessThan(200);
  });
});
