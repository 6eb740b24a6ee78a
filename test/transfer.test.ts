/**
 * Loading an artifact over the network: progress, giving up, answers that are wrong or end early, a state in several files,
 * and instances that share a module.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { arange, defineModel, entry, input, type Tensor } from 'gradc';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { wasm } from '../backends/wasm/backend.js';
import type { ArtifactManifest } from '../compiler/artifact/manifest.js';
import { artifactFiles, type Files } from '../compiler/artifact/write.js';
import { byteSize } from '../compiler/cli/byte-size.js';
import { compileToProgram, emitProgram } from '../compiler/pipeline.js';
import { traceModel } from '../compiler/trace/model.js';
import type { LoadOptions, Model } from '../runtime/deploy/index.js';

const ramp = (length: number): Tensor => arange(length).div(length);
const definition = defineModel('wide', () => {
  const state = { a: ramp(60_000), b: ramp(5000).add(1), c: ramp(5000).mul(2), d: ramp(7) };
  const { a, b, c, d } = state;
  return {
    state,
    entries: {
      sum: entry({ x: input([7]) }, ({ x }) => ({ y: x.mul(d).sum().add(a.sum()).add(b.sub(c).sum()) })),
    },
  };
});
const x = new Float32Array(7).fill(1);

async function artifact(shardBytes?: number): Promise<Files> {
  const traced = traceModel(definition);
  const { program } = compileToProgram(traced, {}, evaluateConstant);
  const state = new Map(traced.state.map(({ name, storage }) => [name, storage.array]));
  return artifactFiles({ program, state, emitted: emitProgram(program, wasm), sources: new Map(), shardBytes });
}

type Answer = (response: ServerResponse, content: Uint8Array) => void;
/** Sends a file under a type that is wrong for all of them. */
const whole: Answer = (response, content) => response.writeHead(200, { 'content-type': 'text/plain' }).end(content);
const half: Answer = (response, content) => {
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, content.length / 2));
};

let server: Server;
let origin: string;
let folder: string;
/** What the server has been asked for, by name. */
let asked: string[];
let headers: IncomingMessage['headers'];
let answers: Record<string, Answer>;
let published: Files;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-transfer-'));
  server = createServer((request, response) => {
    const name = request.url!.slice(1);
    asked.push(name);
    headers = request.headers;
    const content = published.get(name);
    if (content === undefined) response.writeHead(404).end();
    else (answers[name] ?? whole)(response, content as Uint8Array);
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  asked = [];
  answers = {};
});

type Load = (options?: LoadOptions) => Promise<Model>;
/** The artifact's JavaScript as if it had come from the server. */
async function loadOf(files: Files, name: string): Promise<Load> {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, (files.get('wide.js') as string).replaceAll('import.meta.url', JSON.stringify(origin)));
  return (await import(/* @vite-ignore */ pathToFileURL(path).href)).load;
}
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail('it loads'),
    error => error,
  );
const message = async (promise: Promise<unknown>): Promise<string> => ((await rejection(promise)) as Error).message;

describe('one state file', () => {
  let files: Files;
  let load: Load;
  beforeAll(async () => {
    files = await artifact();
    load = await loadOf(files, 'one');
  });
  beforeEach(() => {
    published = files;
  });
  const size = (name: string): number => (files.get(name) as Uint8Array).length;

  test('progress counts all bytes, under a wrong content type', async () => {
    const seen: { loaded: number; total: number }[] = [];
    const model = await load({ onProgress: progress => seen.push(progress) });
    const total = size('wide.wasm') + size('wide.safetensors');
    expect(seen.length).toBeGreaterThan(2);
    expect(new Set(seen.map(progress => progress.total))).toEqual(new Set([total]));
    expect(seen.map(({ loaded }) => loaded)).toEqual(seen.map(({ loaded }) => loaded).sort((a, b) => a - b));
    expect(seen.at(-1)!.loaded).toBe(total);
    expect(model.sum({ x }).y).toBe((await load()).sum({ x }).y);
  });

  test('progress of a state from elsewhere counts what the server says', async () => {
    let last = { loaded: 0, total: 0 };
    answers['wide.safetensors'] = (response, content) =>
      response.writeHead(200, { 'content-length': content.length }).end(content);
    await load({ state: `${origin}wide.safetensors`, onProgress: p => (last = p) });
    expect(last).toEqual({
      loaded: size('wide.wasm') + size('wide.safetensors'),
      total: size('wide.wasm') + size('wide.safetensors'),
    });
  });

  test('is given up midway, and the connection ends', async () => {
    const reason = new Error('the page was left');
    const stop = new AbortController();
    const closed = new Promise<void>(resolve => {
      answers['wide.safetensors'] = (response, content) => {
        response.on('close', resolve);
        half(response, content);
      };
    });
    let late = 0;
    const onProgress = ({ loaded }: { loaded: number }): void => {
      if (stop.signal.aborted) late++;
      else if (loaded > size('wide.safetensors') / 4) stop.abort(reason);
    };
    expect(await rejection(load({ signal: stop.signal, onProgress }))).toBe(reason);
    await closed;
    expect(late).toBe(0);
    expect((await load({ state: files.get('wide.safetensors') as Uint8Array })).sum({ x }).y).toBeTypeOf('number');
  });

  test('a signal alone is enough, and one that was aborted before fetches nothing', async () => {
    answers['wide.safetensors'] = half;
    expect(await rejection(load({ signal: AbortSignal.timeout(50) }))).toMatchObject({ name: 'TimeoutError' });
    asked = [];
    expect(await rejection(load({ signal: AbortSignal.abort('no') }))).toBe('no');
    expect(asked).toEqual([]);
  });

  test('when one file fails the others are given up', async () => {
    const closed = new Promise<void>(resolve => {
      answers['wide.safetensors'] = (response, content) => {
        response.on('close', resolve);
        half(response, content);
      };
    });
    answers['wide.wasm'] = response => response.writeHead(500, 'broken').end();
    const failing = load({ signal: new AbortController().signal });
    expect(await message(failing)).toBe(`ArtifactError E413: cannot read ${origin}wide.wasm: 500 broken`);
    await closed;
  });

  test('answers that end early or are parts name the file', async () => {
    answers['wide.safetensors'] = (response, content) => {
      half(response, content);
      setTimeout(() => response.destroy(), 20);
    };
    expect(await message(load())).toMatch(/^ArtifactError E413: cannot read http.*wide\.safetensors: /);
    expect(await message(load({ onProgress: () => {} }))).toMatch(/E413: cannot read http.*wide\.safetensors: /);
    answers['wide.safetensors'] = (response, content) => response.writeHead(206).end(content.subarray(0, 100));
    expect(await message(load())).toMatch(/E413: http.*wide\.safetensors is not the file that was built/);
  });

  test('instances share a module and nothing else', async () => {
    const first = await load();
    asked = [];
    const second = await load({ module: first.module });
    expect(asked).toEqual(['wide.safetensors']);
    expect(second.module).toBe(first.module);
    const before = second.sum({ x }).y;
    first.state.d.fill(100 as never);
    expect(first.sum({ x }).y).not.toBe(before);
    expect(second.sum({ x }).y).toBe(before);
    first.dispose();
    expect(second.sum({ x }).y).toBe(before);
  });

  test('by a fetch of the caller', async () => {
    await load({ fetch: (source, init) => fetch(source, { ...init, headers: { authorization: 'me' } }) });
    expect(headers.authorization).toBe('me');
  });
});

describe('a state in shards', () => {
  const names = [1, 2, 3].map(n => `wide-0000${n}-of-00003.safetensors`);
  let files: Files;
  let load: Load;
  beforeAll(async () => {
    files = await artifact(40_050);
    load = await loadOf(files, 'shards');
  });
  beforeEach(() => {
    published = files;
  });

  test('is whole tensors in each, with hashes in the manifest', async () => {
    const manifest = JSON.parse(files.get('wide.manifest.json') as string) as ArtifactManifest;
    expect(manifest.stateFiles).toEqual(names);
    expect(Object.keys(manifest.files)).toEqual(expect.arrayContaining(names));
    expect([...files.keys()].filter(path => path.endsWith('.safetensors'))).toEqual(names);
    // the first tensor is larger than a shard should be; two of the others fit one
    const tensors = names.map(name => {
      const file = files.get(name) as Uint8Array;
      const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
      return Object.keys(header).filter(key => !key.startsWith('__pad.'));
    });
    expect(tensors).toEqual([['a'], ['b', 'c'], ['d']]);
    expect([...(await artifact(1e9)).keys()]).toContain('wide.safetensors');
  });

  test('is fetched at once and gives the same state', async () => {
    const waiting: (() => void)[] = [];
    for (const name of names)
      answers[name] = (response, content) => {
        waiting.push(() => whole(response, content));
        if (waiting.length === names.length) for (const answer of waiting) answer();
      };
    const model = await load();
    published = await artifact();
    const other = await (await loadOf(published, 'whole'))();
    expect(model.saveState()).toEqual(other.saveState());
    const shards = names.map(name => files.get(name) as Uint8Array);
    other.state.d.fill(0 as never);
    other.loadState([...shards].reverse());
    expect(other.saveState()).toEqual(model.saveState());
  });

  test('says which file is missing, damaged or left out', async () => {
    answers[names[1]] = response => response.writeHead(404, 'Not Found').end();
    expect(await message(load())).toBe(`ArtifactError E413: cannot read ${origin}${names[1]}: 404 Not Found`);
    answers[names[1]] = (response, content) => whole(response, content.slice().fill(1, content.length - 4));
    expect(await message(load())).toMatch(
      `ArtifactError E413: ${origin}${names[1]} is not the file that was built: its sha256 is`,
    );
    const some = [names[0], names[2]].map(name => files.get(name) as Uint8Array);
    expect(await message(load({ state: some }))).toBe(
      "ArtifactError E412: the state does not fit model 'wide': 'b' must be F32[5000], it is missing; 'c' must be F32[5000], it is missing",
    );
  });
});

test('sizes are written with units', () => {
  expect(['64MB', '1.5GiB', '10 kb', '4096', '7B'].map(byteSize)).toEqual([64e6, 1.5 * 2 ** 30, 1e4, 4096, 7]);
  expect(['', 'MB', '-1MB', '0', '0.1', '64XB', '1e3'].map(byteSize)).toEqual(Array(7).fill(null));
});
