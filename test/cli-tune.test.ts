/**
 * `gradc build --tune`: what was measured is followed by later builds, byte for byte, and changes how contractions are
 * computed but not what comes out. Which plan is fastest is the machine's matter.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineModel, entry, input, manualSeed, nn, randn } from 'gradc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { wasm } from '../backends/wasm/backend.js';
import { scheduleBy } from '../backends/wasm/schedule.js';
import { loaderManifest } from '../compiler/artifact/manifest.js';
import { artifactState } from '../compiler/artifact/write.js';
import { tuneProgram } from '../compiler/cli/tune/tune.js';
import { contractionKey, wasmTunedBy } from '../compiler/cli/tune/tuned-backend.js';
import { readTuning, type Tuning, tuningPath } from '../compiler/cli/tune/tuning-file.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import type { Program } from '../compiler/ir/program.js';
import { compileToProgram, emitProgram, scheduleProgram } from '../compiler/pipeline.js';
import { traceModel } from '../compiler/trace/model.js';
import { instantiate } from '../runtime/deploy/model.js';

const definition = defineModel('layers', () => {
  manualSeed(0);
  const net = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.ReLU(), new nn.Flatten(), new nn.Linear(8 * 36, 10));
  return {
    state: { net },
    entries: { predict: entry({ x: input([2, 3, 8, 8]) }, ({ x }) => ({ y: net.forward(x) })) },
  };
});
const traced = traceModel(definition);
const { program } = compileToProgram(traced, {}, evaluateConstant);
const state = new Map(traced.state.map(({ name, storage }) => [name, storage.array]));
const emitted = (backend: typeof wasm): Uint8Array<ArrayBuffer> =>
  emitProgram(program, backend).get('layers.wasm') as Uint8Array<ArrayBuffer>;
const predict = (bytes: Uint8Array<ArrayBuffer>): Float32Array => {
  const model = instantiate(new WebAssembly.Module(bytes), loaderManifest(program), artifactState(program, state));
  return model.predict({ x: Float32Array.from({ length: 384 }, (_, i) => Math.sin(i)) }).y as Float32Array;
};

/** The plans of each contraction of a program, by its key. */
function offeredPlans(of: Program): Map<string, string[]> {
  const offered = new Map<string, string[]>();
  const listen = (kernel: Kernel, statement: number, plans: readonly { readonly what: string }[]): null => {
    offered.set(
      contractionKey(kernel, statement),
      plans.map(({ what }) => what),
    );
    return null;
  };
  scheduleProgram(of, { ...wasm, schedule: scheduleBy({ choose: listen }) });
  return offered;
}
const tuningOf = (plans: Iterable<readonly [string, string]>): Tuning => ({
  schemaVersion: 1,
  gradc: '',
  machine: '',
  plans: Object.fromEntries([...plans].map(([key, plan]) => [key, { plan, kernel: '', ms: 1, estimatedMs: 1 }])),
});

describe('a tuning', () => {
  const offered = offeredPlans(program);

  test('measures each contraction and takes one of its plans', () => {
    const { plans } = tuneProgram(program, state, { seconds: 0.02 });
    expect(Object.keys(plans).sort()).toEqual([...offered.keys()].sort());
    for (const [key, { plan, ms, estimatedMs }] of Object.entries(plans)) {
      expect(offered.get(key)).toContain(plan);
      expect(ms).toBeLessThanOrEqual(estimatedMs);
    }
  });

  test('every plan gives the same values', () => {
    const expected = predict(emitted(wasm));
    const most = Math.max(...[...offered.values()].map(plans => plans.length));
    expect(most).toBeGreaterThan(6);
    const modules = new Set<string>();
    for (let n = 0; n < most; n++) {
      const bytes = emitted(wasmTunedBy(tuningOf([...offered].map(([key, plans]) => [key, plans[n] ?? plans[0]]))));
      modules.add(Buffer.from(bytes).toString('base64'));
      for (const [i, value] of predict(bytes).entries()) expect(value).toBeCloseTo(expected[i], 5);
    }
    expect(modules.size).toBe(most);
  });

  test('gives the same bytes each time; plans that are not offered are passed over', () => {
    const last = tuningOf([...offered].map(([key, plans]) => [key, plans.at(-1)!]));
    expect(emitted(wasmTunedBy(last))).toEqual(emitted(wasmTunedBy(last)));
    expect(emitted(wasmTunedBy(last))).not.toEqual(emitted(wasm));
    const unknown = tuningOf([...offered].map(([key]) => [key, 'by an abacus']));
    expect(emitted(wasmTunedBy(unknown))).toEqual(emitted(wasm));
  });
});

describe('the tuning file', () => {
  const cli = fileURLToPath(new URL('../dist/compiler/cli/main.js', import.meta.url));
  let folder: string;
  const build = (...args: string[]): { outcome: string; tuning: string | null } => {
    const all = [cli, 'build', 'product.model.ts', '--no-typecheck', '--json', ...args];
    const { stdout, stderr } = spawnSync(process.execPath, all, { cwd: folder, encoding: 'utf8' });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };

  beforeAll(() => {
    if (!existsSync(cli)) throw new Error('dist is missing: run npm run build first');
    folder = mkdtempSync(join(tmpdir(), 'gradc-tune-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(folder, 'product.model.ts'),
      `import { defineModel, entry, input, randn } from 'gradc';
const weight = randn([32, 24]);
export default defineModel('product', () => ({
  state: { weight },
  entries: { predict: entry({ x: input([16, 32]) }, ({ x }) => ({ y: x.matmul(weight) })) },
}));
`,
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is written beside the model, and later builds follow it', () => {
    const path = join(folder, 'product.tuning.json');
    expect(build('--tune')).toMatchObject({ outcome: 'built', tuning: 'product.tuning.json' });
    const tuning: Tuning = JSON.parse(readFileSync(path, 'utf8'));
    expect(Object.values(tuning.plans)).toHaveLength(1);
    expect(build()).toMatchObject({ outcome: 'unchanged', tuning: null });
    const manifest = JSON.parse(readFileSync(join(folder, 'dist/product/product.manifest.json'), 'utf8'));
    expect(Object.keys(manifest.sources)).toEqual(['product.model.ts', 'product.tuning.json']);
    const wasmFile = join(folder, 'dist/product/product.wasm');
    const before = readFileSync(wasmFile);
    const same = defineModel('same', () => {
      const weight = randn([32, 24]);
      return {
        state: { weight },
        entries: { predict: entry({ x: input([16, 32]) }, ({ x }) => ({ y: x.matmul(weight) })) },
      };
    });
    const [[key, plans]] = offeredPlans(compileToProgram(traceModel(same), {}, evaluateConstant).program);
    const other = plans.find(plan => plan !== tuning.plans[key].plan)!;
    writeFileSync(path, JSON.stringify(tuningOf([[key, other]])));
    expect(build().outcome).toBe('built');
    expect(readFileSync(wasmFile)).not.toEqual(before);
    const inspect = [cli, 'inspect', 'product.model.ts', '--no-typecheck', '--stage', 'passes'];
    const { stdout } = spawnSync(process.execPath, inspect, { cwd: folder, encoding: 'utf8' });
    expect(stdout).toMatch(new RegExp(`tile-contractions: ${other}: .*, chosen over `));
  });

  test('that is broken is named', () => {
    expect(tuningPath('a/lenet.model.ts')).toBe('a/lenet.tuning.json');
    const model = join(folder, 'broken.model.ts');
    writeFileSync(tuningPath(model), '{ "plans": ');
    expect(() => readTuning(model)).toThrow(/E401: .*broken\.tuning\.json is no tuning of this version of gradc/);
    expect(readTuning(join(folder, 'untuned.model.ts'))).toBe(null);
  });
});
