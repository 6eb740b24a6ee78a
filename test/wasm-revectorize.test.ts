/**
 * The schedule for V8's revectorizer: wider tiles, the same values bit for bit, with the flag where the engine has it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wasm } from '../backends/wasm/backend.js';
import { compileKernel } from '../backends/wasm/compile.js';
import { revectorized } from '../backends/wasm/revectorized.js';
import { schedule, scheduleOfPairs } from '../backends/wasm/schedule.js';
import { type BuiltArtifact, buildArtifact, writeFiles } from '../compiler/cli/build-artifact.js';
import { measuredBackend } from '../compiler/cli/measured-backend.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import { printKernel } from '../compiler/ir/text.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import type { Pass } from '../compiler/pass.js';
import type { LoadOptions, Model } from '../runtime/deploy/index.js';
import { type ConvShape, conv, convInputGrad, convWeightGrad, matmul } from './support/plain-kernels.js';

const hasFlag = Number.parseInt(process.versions.node, 10) >= 24;
if (hasFlag) setFlagsFromString('--experimental-wasm-revectorize');

function scheduledBy(passes: readonly Pass<Kernel>[], kernel: Kernel): Kernel {
  return passes.reduce((ir, pass) => {
    const out = pass.run(ir, { note: () => {} });
    verifyKernel(out);
    return out;
  }, kernel);
}

function results(kernel: Kernel, relaxed: boolean, plain: Kernel): Float32Array[] {
  const arrays = plain.params.map(({ buffer }, p) =>
    Float32Array.from({ length: buffer.size }, (_, i) => Math.sin(i * (p + 1.7) + p)),
  );
  compileKernel(kernel, { relaxed })(...arrays);
  return arrays;
}

function expectSameBits(kernel: Kernel): void {
  const wide = scheduledBy(scheduleOfPairs, kernel);
  expect(results(wide, false, kernel)).toEqual(results(scheduledBy(schedule, kernel), false, kernel));
}

test('tiles are twice as wide, and nothing but stores comes after their sums', () => {
  expect(printKernel(scheduledBy(schedule, matmul(32, 64, 64)))).toContain('tile: float32[32] register');
  const wide = printKernel(scheduledBy(scheduleOfPairs, matmul(32, 64, 64, { fused: true })));
  expect(wide).toContain('tile: float32[64] register');
  expect(wide).toContain('sums: float32[64] local');
});

describe('the same values bit for bit', () => {
  for (const [m, k, n] of [
    [1, 3, 5],
    [7, 33, 10],
    [32, 64, 64],
    [33, 100, 131],
  ]) {
    for (const transposeB of [false, true]) {
      test(`${m}x${k} @ ${k}x${n}${transposeB ? ', right transposed' : ''}`, () => {
        expectSameBits(matmul(m, k, n, { transposeB }));
        expectSameBits(matmul(m, k, n, { transposeB, fused: true, long: true }));
      });
    }
  }
  const shapes: ConvShape[] = [
    { batch: 2, channels: 3, size: 20, filters: 6, kernel: 5, stride: 1, padding: 0 },
    { batch: 1, channels: 4, size: 30, filters: 8, kernel: 3, stride: 2, padding: 1 },
  ];
  for (const shape of shapes)
    test(`convolution in steps of ${shape.stride} and its gradients`, () => {
      for (const make of [conv, convInputGrad, convWeightGrad]) expectSameBits(make(shape));
    });
});

test('its module lies beside the others', () => {
  const program = { name: 'model', state: [], stateBytes: 0, totalBytes: 0, entries: [] };
  expect([...revectorized.emit(program, { relaxed: true }).keys()]).toEqual([
    'model.revectorize.wasm',
    'model.revectorize.relaxed.wasm',
  ]);
});

test('compare and bench run its schedule where the engine has it', () => {
  if (hasFlag) expect(measuredBackend(null, { revectorize: true }).schedule).toBe(revectorized.schedule);
  else
    expect(() => measuredBackend(null, { revectorize: true })).toThrow(
      /Node .* has no revectorizer: use Node 24 or later/,
    );
  expect(measuredBackend(null)).toBe(wasm);
});

describe('an artifact', () => {
  const modelFile = fileURLToPath(new URL('../examples/lenet/lenet.model.ts', import.meta.url));
  const built = (revectorize: boolean): Promise<BuiltArtifact> =>
    buildArtifact(modelFile, { checkTypes: false, threads: true, revectorize });
  const modules = ({ files }: BuiltArtifact): string[] => [...files.keys()].filter(path => path.endsWith('.wasm'));
  let folder: string;
  let artifact: BuiltArtifact;
  beforeAll(async () => {
    artifact = await built(true);
    folder = mkdtempSync(join(tmpdir(), 'gradc-revectorize-'));
    writeFiles(folder, artifact.files);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('has modules for it only where it is built so', async () => {
    expect(modules(artifact).filter(path => path.includes('revectorize'))).toEqual([
      'lenet.revectorize.wasm',
      'lenet.revectorize.threads.wasm',
      'lenet.revectorize.relaxed.wasm',
      'lenet.revectorize.threads.relaxed.wasm',
    ]);
    expect(artifact.files.get('lenet.d.ts')).toContain('readonly revectorize?: boolean;');
    const plain = await built(false);
    expect(modules(plain)).toEqual(modules(artifact).filter(path => !path.includes('revectorize')));
    for (const path of ['lenet.js', 'lenet.d.ts', 'lenet.manifest.json'])
      expect(plain.files.get(path)).not.toContain('revectorize');
  });

  test('takes them on request, for one thread and for two, and trains to the same bits', async () => {
    const { load } = (await import(/* @vite-ignore */ pathToFileURL(join(folder, 'lenet.js')).href)) as {
      load(options?: LoadOptions & { revectorize?: boolean }): Promise<Model>;
    };
    const trained = async (options: Parameters<typeof load>[0]): Promise<Uint8Array> => {
      const model = await load({ ...options, requireThreads: true });
      const x = Float32Array.from({ length: 64 * 32 * 32 }, (_, i) => Math.sin(i));
      const y = Int32Array.from({ length: 64 }, (_, i) => i % 10);
      for (let step = 0; step < 3; step++) model.trainStep({ x, y });
      const saved = model.saveState();
      model.dispose();
      return saved;
    };
    const plain = await trained({});
    expect(await trained({ revectorize: true })).toEqual(plain);
    expect(await trained({ revectorize: true, threads: 2 })).toEqual(plain);
    rmSync(join(folder, 'lenet.revectorize.wasm'));
    rmSync(join(folder, 'lenet.revectorize.relaxed.wasm'));
    await expect(load({ revectorize: true })).rejects.toThrow(/lenet\.revectorize/);
    expect(await trained({})).toEqual(plain);
  });
});
