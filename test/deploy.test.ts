/**
 * The loader of compiled models on a small hand-made module: calls, state files, variants, and every kind of bad input.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { transformSync } from 'esbuild';
import { gzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import wabtModule from 'wabt';
import { declarations } from '../compiler/artifact/declarations.js';
import { artifactFiles } from '../compiler/artifact/write.js';
import type { Program, Slot } from '../compiler/ir/program.js';
import { ArtifactError, instantiate, type Manifest, type Model, type TypedArray } from '../runtime/deploy/index.js';

/** y = x * w, sum = sum of y, then w += 1 and steps += k[0] + k[1]. */
const wat = `(module
  (memory (export "memory") 1 1)
  (func (export "step") (local $i i32)
    (f32.store (i32.const 384) (f32.const 0))
    (loop $next
      (f32.store offset=320 (local.get $i) (f32.mul (f32.load offset=192 (local.get $i)) (f32.load offset=64 (local.get $i))))
      (f32.store (i32.const 384) (f32.add (f32.load (i32.const 384)) (f32.load offset=320 (local.get $i))))
      (f32.store offset=64 (local.get $i) (f32.add (f32.load offset=64 (local.get $i)) (f32.const 1)))
      (br_if $next (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 12))))
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.add (i64.load (i32.const 256)) (i64.load (i32.const 264))))))
  (func (export "flip") (i32.store8 (i32.const 448) (i32.xor (i32.load8_u (i32.const 448)) (i32.const 1)))))`;

const slot = (name: string, dtype: Slot['type']['dtype'], shape: number[], offset: number): Slot => ({
  name,
  type: { dtype, shape },
  offset,
});
const program: Program = {
  name: 'tiny',
  state: [slot('steps', 'int64', [], 0), slot('net.w', 'float32', [3], 64)],
  stateBytes: 128,
  totalBytes: 512,
  entries: [
    {
      name: 'step',
      inputs: [slot('x', 'float32', [3], 192), slot('k', 'int64', [2], 256)],
      outputs: [slot('y', 'float32', [3], 320), slot('sum', 'float32', [], 384)],
      steps: [],
    },
    { name: 'flip', inputs: [slot('on', 'bool', [], 448)], outputs: [slot('on', 'bool', [], 448)], steps: [] },
  ],
};
const initial = new Map<string, ArrayBufferView>([
  ['steps', new BigInt64Array([40n])],
  ['net.w', new Float32Array([1, 2, 3])],
]);

let bytes: Uint8Array<ArrayBuffer>;
let module: WebAssembly.Module;
let files: Map<string, Uint8Array | string>;
let manifest: Manifest;
let folder: string;
const file = (name: string): Uint8Array => files.get(name) as Uint8Array;
const fresh = (): Model => instantiate(module, manifest, file('tiny.safetensors'));

beforeAll(async () => {
  const wabt = await wabtModule();
  bytes = new Uint8Array(wabt.parseWat('tiny.wat', wat).toBinary({}).buffer);
  files = await artifactFiles({
    program,
    state: initial,
    emitted: new Map([['tiny.wasm', bytes]]),
    sources: new Map([['tiny.model.ts', new Uint8Array([1])]]),
  });
  bytes = new Uint8Array(file('tiny.wasm'));
  module = new WebAssembly.Module(bytes);
  manifest = JSON.parse(files.get('tiny.manifest.json') as string);
  folder = mkdtempSync(join(tmpdir(), 'gradc-deploy-'));
  for (const [path, content] of files) writeFileSync(join(folder, path), content);
});
afterAll(() => rmSync(folder, { recursive: true }));

const thrown = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    expect(error).toBeInstanceOf(ArtifactError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};
const rejected = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => null,
    e => e,
  );
  expect(error?.name).toBe('ArtifactError');
  return error.message;
};

describe('entries', () => {
  test('read inputs, write outputs, share state', () => {
    const model = fresh();
    expect(model.step({ x: new Float32Array([1, 1, 2]), k: [1, 1] })).toEqual({
      y: new Float32Array([1, 2, 6]),
      sum: 9,
    });
    expect(model.step({ x: [1, 1, 2], k: new Int32Array([-2, 0]) })).toEqual({
      y: new Float32Array([2, 3, 8]),
      sum: 13,
    });
    expect(model.state['net.w']).toEqual(new Float32Array([3, 4, 5]));
    expect(model.state.steps).toEqual(new BigInt64Array([40n]));
    expect(model.flip({ on: true })).toEqual({ on: 0 });
  });

  test('outputs are copies, or views on request', () => {
    const model = fresh();
    const inputs = { x: [1, 1, 1], k: new BigInt64Array(2) };
    const copied = model.step(inputs).y as Float32Array;
    const view = model.step(inputs, { copy: false }).y as Float32Array;
    model.step(inputs);
    expect([...copied]).toEqual([1, 2, 3]);
    expect([...view]).toEqual([3, 4, 5]);
  });

  test('state views write through', () => {
    const model = fresh();
    model.state['net.w'].set(new Float32Array([7, 7, 7]) as never);
    expect(model.step({ x: [1, 0, 0], k: [0, 0] }).sum).toBe(7);
  });

  const x = [1, 2, 3];
  const k = [0, 0];
  test.each<[string, Record<string, unknown>, string]>([
    ['missing', { x }, "step: input 'k' must be int64[2], 2 elements in a BigInt64Array; it is missing"],
    ['unknown', { x, k, z: x }, "step: unknown input 'z'; its inputs are x, k"],
    [
      'length',
      { x: new Float32Array(4), k },
      "step: input 'x' must be float32[3], 3 elements in a Float32Array; given Float32Array of 4 elements",
    ],
    [
      'dtype',
      { x: new Float64Array(3), k },
      "step: input 'x' must be float32[3], 3 elements in a Float32Array; given Float64Array of 3 elements",
    ],
    ['scalar', { x: 3, k }, "step: input 'x' must be float32[3], 3 elements in a Float32Array; given number 3"],
    [
      'fraction',
      { x, k: [0, 1.5] },
      "step: input 'k' must be int64[2], 2 elements in a BigInt64Array; element 1 is 1.5",
    ],
    [
      'no object',
      undefined as never,
      "step: input 'x' must be float32[3], 3 elements in a Float32Array; it is missing",
    ],
  ])('%s input', (_, inputs, message) => {
    expect(thrown(() => fresh().step(inputs as never))).toBe(`ArtifactError E411: ${message}`);
  });

  test('after dispose', () => {
    const model = fresh();
    model.dispose();
    expect(thrown(() => model.step({ x, k }))).toBe("ArtifactError E414: model 'tiny' has been disposed of");
    expect(thrown(() => model.saveState())).toContain('E414');
  });

  test('a module of another model', () => {
    const other = { ...manifest, entries: [{ ...manifest.entries[0], name: 'train' }], totalBytes: 1e9 };
    expect(thrown(() => instantiate(module, other, file('tiny.safetensors')))).toBe(
      "ArtifactError E413: the module is not that of model 'tiny': it does not export function 'train', a memory of 1000000000 bytes",
    );
  });
});

/** A safetensors file by hand: header object or text, and data. */
function stateFile(header: unknown, data: Uint8Array, length?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + data.length);
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  out.set(text, 8);
  out.set(data, 8 + text.length);
  return out;
}
const bytesOf = (...arrays: TypedArray[]): Uint8Array =>
  Uint8Array.from(arrays.flatMap(a => [...new Uint8Array(a.buffer)]));

describe('state files', () => {
  test('are a picture of the state, aligned and without holes', () => {
    const saved = fresh().saveState();
    expect(saved).toEqual(file('tiny.safetensors'));
    const start = 8 + Number(new DataView(saved.buffer).getBigUint64(0, true));
    expect(start % 64).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(saved.subarray(8, start)));
    expect(header).toEqual({
      steps: { dtype: 'I64', shape: [], data_offsets: [0, 8] },
      '__pad.8': { dtype: 'U8', shape: [56], data_offsets: [8, 64] },
      'net.w': { dtype: 'F32', shape: [3], data_offsets: [64, 76] },
      '__pad.76': { dtype: 'U8', shape: [52], data_offsets: [76, 128] },
    });
    expect(new Float32Array(saved.slice(start + 64, start + 76).buffer)).toEqual(new Float32Array([1, 2, 3]));
  });

  test('resume bit for bit', () => {
    const model = fresh();
    const inputs = { x: [0.1, 0.2, 0.3], k: [3, 4] };
    model.step(inputs);
    const saved = model.saveState();
    const expected = model.step(inputs);
    const other = instantiate(module, manifest, saved);
    expect(other.step(inputs)).toEqual(expected);
    model.loadState(saved);
    expect(model.step(inputs)).toEqual(expected);
  });

  test('from elsewhere are read by name', () => {
    const header = {
      __metadata__: { format: 'pt' },
      'net.w': { dtype: 'F32', shape: [3], data_offsets: [0, 12] },
      steps: { dtype: 'I64', shape: [], data_offsets: [12, 20] },
    };
    const model = instantiate(
      module,
      manifest,
      stateFile(header, bytesOf(new Float32Array([9, 8, 7]), new BigInt64Array([5n]))),
    );
    expect(model.state['net.w']).toEqual(new Float32Array([9, 8, 7]));
    expect(model.state.steps).toEqual(new BigInt64Array([5n]));
  });

  const w = { dtype: 'F32', shape: [3], data_offsets: [0, 12] };
  const steps = { dtype: 'I64', shape: [], data_offsets: [12, 20] };
  const data = new Uint8Array(20);
  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(3), 'damaged: its header cannot be read'],
    ['a hostile header length', stateFile('{}', data, 2n ** 63n), 'damaged: its header cannot be read'],
    [
      'a header longer than the file',
      stateFile('{}', data.subarray(20), 3n),
      'damaged: its tensors have 0 bytes, -1 follow',
    ],
    ['no JSON', stateFile('{"net.w"', data), 'damaged: its header cannot be read'],
    ['JSON of something else', stateFile('7', data), 'damaged: its tensors have 0 bytes, 20 follow the header'],
    ['a malformed entry', stateFile({ 'net.w': null }, data), 'damaged: its header cannot be read: Cannot'],
    [
      'a shape that is none',
      stateFile({ 'net.w': { ...w, shape: 3 }, steps }, data),
      'damaged: its header cannot be read',
    ],
    [
      'places that are no numbers',
      stateFile({ 'net.w': w, steps: { ...steps, data_offsets: [12, '20'] } }, data),
      'damaged: its tensors have 20 bytes, 20 follow the header',
    ],
    [
      'a fraction of a place',
      stateFile({ 'net.w': { ...w, data_offsets: [0, 11.5] }, steps: { ...steps, data_offsets: [11.5, 20] } }, data),
      "damaged: 'steps' has 9 bytes, I64[] needs 8",
    ],
    [
      'a negative range',
      stateFile({ 'net.w': { ...w, data_offsets: [-4, 8] }, steps }, data),
      "damaged: 'net.w' lies at [-4, 8), expected to begin at 0",
    ],
    [
      'a truncated file',
      stateFile({ 'net.w': w, steps }, data.subarray(4)),
      'damaged: its tensors have 20 bytes, 16 follow the header',
    ],
    [
      'an overlap',
      stateFile({ 'net.w': w, steps: { ...steps, data_offsets: [4, 12] } }, data),
      "damaged: 'steps' lies at [4, 12), expected to begin at 12",
    ],
    [
      'sizes that do not match',
      stateFile({ 'net.w': { ...w, shape: [2 ** 40, 2 ** 40] }, steps }, data),
      "'net.w' must be F32[3], the file has F32[1099511627776, 1099511627776]",
    ],
    [
      'an unknown dtype',
      stateFile({ 'net.w': { ...w, dtype: 'F33' }, steps }, data),
      "'net.w' must be F32[3], the file has F33[3]",
    ],
    [
      'bytes that do not match the shape',
      stateFile(
        { 'net.w': { ...w, data_offsets: [0, 8] }, steps: { ...steps, data_offsets: [8, 16] } },
        data.subarray(4),
      ),
      "damaged: 'net.w' has 8 bytes, F32[3] needs 12",
    ],
    [
      'a missing tensor',
      stateFile({ 'net.w': w }, data.subarray(8)),
      "the state does not fit model 'tiny': 'steps' must be I64[], it is missing",
    ],
    [
      'an unexpected tensor',
      stateFile({ 'net.w': w, steps, b: { dtype: 'U8', shape: [1], data_offsets: [20, 21] } }, new Uint8Array(21)),
      "'b' is not in the model",
    ],
    [
      'another shape',
      stateFile({ 'net.w': { ...w, shape: [1, 3] }, steps }, data),
      "'net.w' must be F32[3], the file has F32[1, 3]",
    ],
    [
      'another dtype',
      stateFile({ 'net.w': { ...w, dtype: 'I32' }, steps }, data),
      "'net.w' must be F32[3], the file has I32[3]",
    ],
  ])('refuse %s and change nothing', (_, content, message) => {
    const model = fresh();
    const before = model.saveState();
    expect(thrown(() => model.loadState(content))).toContain(`ArtifactError E412: the state`);
    expect(thrown(() => model.loadState(content))).toContain(message);
    expect(model.saveState()).toEqual(before);
  });
});

describe('the artifact', () => {
  const load = async (options?: object): Promise<Model> =>
    (await import(/* @vite-ignore */ pathToFileURL(join(folder, 'tiny.js')).href)).load(options);

  test('loads from its folder, and with files given', async () => {
    const inputs = { x: [1, 1, 1], k: [0, 0] };
    expect((await load()).step(inputs).sum).toBe(6);
    const trained = fresh();
    trained.step(inputs);
    expect((await load({ state: trained.saveState() })).step(inputs).sum).toBe(9);
    expect((await load({ module })).step(inputs).sum).toBe(6);
    const nobodys = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
    expect(await rejected(load({ module: nobodys }))).toBe(
      "ArtifactError E413: the module is not that of model 'tiny'",
    );
    expect((await load({ wasm: bytes, state: join(folder, 'tiny.safetensors') })).step(inputs).sum).toBe(6);
  });

  test('its JavaScript imports nothing and is small', async () => {
    expect(files.get('tiny.js')).not.toMatch(/\bimport\s*[({*\w"']|\brequire\b|\beval\b|new Function/);
    expect(gzipSync(new TextEncoder().encode(files.get('tiny.js') as string), { level: 9 }).length).toBeLessThanOrEqual(
      3 * 1024,
    );
  });

  test('runs where no code may be generated, from a ready module', async () => {
    const script = transformSync(files.get('tiny.js') as string, { format: 'cjs', logLevel: 'silent' }).code;
    const exported: { load?: (options: object) => Promise<Model> } = {};
    const context = { module: { exports: exported }, AbortController, TextEncoder, TextDecoder, WebAssembly };
    runInNewContext(script, context, { contextCodeGeneration: { strings: false, wasm: false } });
    const model = await context.module.exports.load!({ module, state: file('tiny.safetensors') });
    expect(model.step({ x: new Float32Array([1, 1, 1]), k: new BigInt64Array(2) }).sum).toBe(6);
  });

  test('records hashes of its files and sources', () => {
    const { files: records, sources, variants } = JSON.parse(files.get('tiny.manifest.json') as string);
    expect(Object.keys(records)).toEqual(['tiny.wasm', 'tiny.safetensors', 'tiny.js', 'tiny.d.ts']);
    expect(sources['tiny.model.ts'].sha256).toBe('4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a');
    expect(variants).toEqual([{ file: 'tiny.wasm', requires: [] }]);
  });

  test('declares its entries', () => {
    const declared = files.get('tiny.d.ts') as string;
    expect(declared).toContain('step(inputs: StepInputs, options?: CallOptions): StepOutputs;');
    expect(declared).toContain(
      '/** float32[3]: 3 elements, row-major */\n  readonly x: Float32Array | readonly (number)[];',
    );
    expect(declared).toContain('/** float32[]: a scalar */\n  readonly sum: number;');
    expect(declared).toContain('readonly "net.w": Float32Array;');
  });

  test('an entry without inputs may be called with none', () => {
    const reset = { name: 'reset', inputs: [], outputs: [], steps: [] };
    expect(declarations({ ...program, entries: [reset] }, false)).toContain('reset(inputs?: ResetInputs,');
  });

  test('names missing, damaged and changed files', async () => {
    expect(await rejected(load({ state: join(folder, 'absent.safetensors') }))).toMatch(
      /^ArtifactError E413: cannot read .*absent\.safetensors: ENOENT/,
    );
    expect(await rejected(load({ wasm: bytes.subarray(0, 20) }))).toMatch(
      /^ArtifactError E413: the module cannot be compiled here: /,
    );
    const changed = file('tiny.safetensors').slice();
    changed[changed.length - 60] ^= 1;
    writeFileSync(join(folder, 'tiny.safetensors'), changed);
    expect(await rejected(load())).toMatch(
      /^ArtifactError E413: file:.*tiny\.safetensors is not the file that was built: its sha256 is [\w+/]{43}=, expected [\w+/]{43}=$/,
    );
  });
});
