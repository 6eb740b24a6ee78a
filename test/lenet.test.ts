/**
 * The artifact of examples/lenet: valid by several judges, free of imports, small, and able to train where no code may be
 * generated.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import binaryen from 'binaryen';
import { transformSync } from 'esbuild';
import { gzipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import wabtModule from 'wabt';
import type { Model } from '../runtime/deploy/index.js';

const repository = fileURLToPath(new URL('..', import.meta.url));
let folder: string;
const file = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(folder, name)));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-lenet-'));
  const { status, stderr } = spawnSync(
    process.execPath,
    ['dist/compiler/cli/main.js', 'build', 'examples/lenet/lenet.model.ts', '--target', 'wasm', '--out', folder],
    {
      cwd: repository,
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['lenet.wasm', 'lenet.relaxed.wasm'])('%s is valid and self-contained', async name => {
  const bytes = file(name);
  const inBinaryen = binaryen.readBinary(bytes);
  inBinaryen.setFeatures(binaryen.Features.All);
  expect(inBinaryen.validate()).toBe(1);
  inBinaryen.dispose();
  const features = {
    simd: true,
    relaxed_simd: true,
    bulk_memory: true,
    sat_float_to_int: true,
    sign_extension: true,
    mutable_globals: true,
  };
  // wabt's typings leave out that validate takes the features too
  const inWabt = (await wabtModule()).readWasm(bytes, features) as {
    validate(features: object): void;
    destroy(): void;
  };
  inWabt.validate(features);
  inWabt.destroy();
  if (name === 'lenet.relaxed.wasm' && !WebAssembly.validate(bytes)) return;
  const module = new WebAssembly.Module(bytes);
  expect(WebAssembly.Module.imports(module)).toEqual([]);
  expect(
    WebAssembly.Module.exports(module)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['memory', 'predict', 'trainStep']);
});

test('is small', () => {
  const kib = (name: string): number => gzipSync(file(name), { level: 9 }).length / 1024;
  expect(kib('lenet.wasm')).toBeLessThan(60);
  expect(kib('lenet.js')).toBeLessThanOrEqual(3);
});

test('trains where no code may be generated', async () => {
  const script = transformSync(new TextDecoder().decode(file('lenet.js')), { format: 'cjs', logLevel: 'silent' }).code;
  const exported: { load?: (options: object) => Promise<Model> } = {};
  const context = { module: { exports: exported }, AbortController, TextEncoder, TextDecoder, WebAssembly };
  runInNewContext(script, context, { contextCodeGeneration: { strings: false, wasm: false } });
  const lenet = await context.module.exports.load!({
    module: new WebAssembly.Module(file('lenet.wasm')),
    state: file('lenet.safetensors'),
  });
  const x = Float32Array.from({ length: 64 * 1024 }, (_, i) => Math.sin(i * (1 + (Math.floor(i / 1024) % 10))));
  const y = Array.from({ length: 64 }, (_, i) => i % 10);
  const losses = Array.from({ length: 60 }, () => lenet.trainStep({ x, y }).loss as number);
  expect(losses[0]).toBeCloseTo(Math.log(10), 1);
  expect(losses[59]).toBeLessThan(losses[0] - 0.05);
  expect(lenet.predict({ x: x.slice(0, 1024) }).logits).toHaveLength(10);
});
