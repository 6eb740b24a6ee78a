/**
 * The main job on CUDA: LeNet's artifact, built for both targets. Five training steps of the generated CUDA C, executed on
 * the CPU, agree with the WebAssembly module, step by step and in every parameter; nvcc compiles it without spills.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildWithNvcc, nvccVersion } from '../backends/cuda/nvcc.js';
import { type BuiltArtifact, buildArtifact } from '../compiler/cli/build-artifact.js';
import { CudaUnavailableError, loadCuda } from '../runtime/deploy/cuda.js';
import type { Manifest } from '../runtime/deploy/manifest.js';
import { instantiate } from '../runtime/deploy/model.js';
import { compileForHost, hasHostCompiler } from './support/cuda-host/compile.js';
import { Bits } from './support/cuda-host/values.js';

let files: BuiltArtifact['files'];
let manifest: Manifest;
let state: Uint8Array;

beforeAll(async () => {
  const model = new URL('../examples/lenet/lenet.model.ts', import.meta.url).pathname;
  ({ files } = await buildArtifact(model, { targets: ['wasm', 'cuda'], checkTypes: false, nvcc: 'skip' }));
  manifest = JSON.parse(String(files.get('lenet.manifest.json')));
  state = files.get('lenet.safetensors') as Uint8Array;
}, 120_000);

const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(1, Math.abs(b));

describe.skipIf(!hasHostCompiler)('on the CPU (g++)', () => {
  test('five training steps agree with WebAssembly', async () => {
    const random = new Bits(1);
    const wasm = instantiate(new WebAssembly.Module(files.get('lenet.wasm') as BufferSource), manifest, state);
    const cuda = await loadCuda(await compileForHost(files), manifest, state);
    for (let step = 0; step < 5; step++) {
      const x = random.floats('float32', 64 * 32 * 32);
      const y = BigInt64Array.from({ length: 64 }, () => BigInt(random.below(10)));
      const [got, want] = [cuda.trainStep({ x, y }).loss, wasm.trainStep({ x, y }).loss];
      expect(relative(Number(got), Number(want)), `loss of step ${step}: ${got}, ${want}`).toBeLessThan(1e-4);
    }
    const trained = cuda.state;
    for (const [name, want] of Object.entries(wasm.state)) {
      const worst = Math.max(
        ...Array.from(want as Float32Array, (value, i) => relative(Number(trained[name][i]), value)),
      );
      expect(worst, name).toBeLessThan(1e-4);
    }
    const x = random.floats('float32', 32 * 32);
    const [got, want] = [cuda, wasm].map(model => Array.from(model.predict({ x }).logits as Float32Array));
    for (const [i, value] of want.entries()) expect(relative(got[i], value)).toBeLessThan(1e-4);
    cuda.dispose();
  }, 120_000);
});

const hasDevice = existsSync('/dev/nvidia0') || existsSync('/dev/dxg');

describe.skipIf((await nvccVersion()) === null)('nvcc', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradc-lenet-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('compiles it for sm_80 and sm_90 without spills or stack; without a driver the loader names error 35', async () => {
    const { libraryPath, resources } = await buildWithNvcc(files, folder);
    expect(new Set(resources.map(kernel => kernel.architecture))).toEqual(new Set(['sm_80', 'sm_90']));
    expect(resources.filter(({ spillBytes, stackBytes }) => spillBytes + stackBytes > 0)).toEqual([]);
    if (hasDevice) return;
    const error = await loadCuda(libraryPath, manifest, state).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CudaUnavailableError);
    expect(String(error)).toMatch(/CUDA error (35 \(cudaErrorInsufficientDriver\)|100 \(cudaErrorNoDevice\))/);
  }, 120_000);
});
