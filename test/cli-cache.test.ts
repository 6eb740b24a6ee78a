/**
 * What `gradc build` keeps between builds: used while everything is as it was, and only then. Run as users run it, the
 * built `dist` in processes of its own, since what is to be seen is what one process leaves for the next.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { snapshotOf } from '../compiler/cli/cache/dependencies.js';
import { Observer } from '../compiler/cli/cache/observation.js';
import { Store } from '../compiler/cli/cache/store.js';

const cli = fileURLToPath(new URL('../dist/compiler/cli/main.js', import.meta.url));
let folder: string;
const path = (name: string): string => join(folder, name);
const write = (name: string, text: string): void => writeFileSync(path(name), text);

interface Built {
  readonly outcome: string;
  readonly uncached: string | null;
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
}
function build(...args: string[]): Built {
  const { stdout, stderr } = spawnSync(process.execPath, [cli, 'build', ...args, '--json'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, SCALE: '2' },
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}
const quickly = ['line.model.ts', '--no-typecheck'];

beforeAll(() => {
  if (!existsSync(cli)) throw new Error('dist is missing: run npm run build first');
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-cache-'));
  write('package.json', '{ "type": "module" }');
  write('size.ts', 'export const size = 3;\n');
  write('scale.txt', '5');
  write(
    'line.model.ts',
    `import { readFile } from 'node:fs/promises';
import { defineModel, entry, input, tensor } from 'gradc';
import { size } from './size.js';
const scale = tensor(Number(await readFile(new URL('scale.txt', import.meta.url), 'utf8')));
const offset = tensor(Number(process.env.SCALE));
export default defineModel('line', () => ({
  state: { scale, offset },
  entries: { predict: entry({ x: input([size]) }, ({ x }) => ({ y: x.mul(scale).add(offset) })) },
}));
`,
  );
  return () => rmSync(folder, { recursive: true });
});

describe('a second build', () => {
  test('does nothing where nothing changed, and puts back what is missing or altered', () => {
    const first = build(...quickly);
    expect(first).toMatchObject({ outcome: 'built', uncached: null });
    expect(build(...quickly)).toEqual({ ...first, outcome: 'unchanged' });
    const wasm = readFileSync(path('dist/line/line.wasm'));
    rmSync(path('dist/line/line.wasm'));
    write('dist/line/line.js', 'altered');
    expect(build(...quickly).outcome).toBe('restored');
    expect(readFileSync(path('dist/line/line.wasm'))).toEqual(wasm);
    expect(build(...quickly).outcome).toBe('unchanged');
    expect(build(...quickly, '--out', 'elsewhere').outcome).toBe('restored');
    expect(build(...quickly, '--force').outcome).toBe('built');
  });

  test.each([
    ['a source', 'size.ts', 'export const size = 4;\n'],
    ['a data file the model reads', 'scale.txt', '6'],
    ['a tsconfig.json that was not there', 'tsconfig.json', '{}'],
  ])('compiles again after a change of %s', (_, file, text) => {
    build(...quickly);
    write(file, text);
    expect(build(...quickly).outcome).toBe('built');
    expect(build(...quickly).outcome).toBe('unchanged');
  });

  test('compiles again for another target', () => {
    build(...quickly);
    expect(build(...quickly, '--target', 'wasm,cuda', '--nvcc', 'skip').outcome).toBe('built');
  });

  test('knows the state before a change again', () => {
    const { files } = build(...quickly);
    write('scale.txt', '6');
    expect(build(...quickly).files).not.toEqual(files);
    write('scale.txt', '5');
    expect(build(...quickly)).toMatchObject({ outcome: 'restored', files });
  });

  test('compiles again where a kept content is broken, and without a cache', () => {
    build(...quickly);
    const contents = path('node_modules/.cache/gradc/contents');
    rmSync(path('dist'), { recursive: true });
    for (const name of readdirSync(contents)) writeFileSync(join(contents, name), 'cut off');
    expect(build(...quickly).outcome).toBe('built');
    expect(build(...quickly, '--no-cache').outcome).toBe('built');
    expect(build(...quickly, '--cache-dir', 'kept').outcome).toBe('built');
    expect(readdirSync(path('kept'))).toEqual(['contents', 'records']);
  });

  test('compiles again what ran a program', () => {
    write(
      'line.model.ts',
      `import { execFileSync } from 'node:child_process';\nexecFileSync(process.execPath, ['--version']);\n${readFileSync(path('line.model.ts'), 'utf8')}`,
    );
    expect(build(...quickly)).toMatchObject({ outcome: 'built', uncached: 'its code ran a program' });
    expect(build(...quickly).outcome).toBe('built');
  });

  test('loads no compiler', () => {
    build(...quickly);
    const { stderr } = spawnSync(process.execPath, [cli, 'build', ...quickly], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, SCALE: '2', NODE_DEBUG: 'esm,module' },
    });
    expect(stderr).toContain('build-model.js');
    for (const heavy of ['binaryen', 'ts-morph', 'esbuild', 'pipeline.js'])
      expect(stderr.includes(`/${heavy}`) ? heavy : null).toBe(null);
  });
});

describe('builds at once, and one that is killed,', () => {
  const started = (): ChildProcess =>
    spawn(process.execPath, [cli, 'build', ...quickly], { cwd: folder, env: { ...process.env, SCALE: '2' } });

  test('leave a cache that later builds can use', async () => {
    const [first, second, killed] = [started(), started(), started()];
    const ends = [first, second, killed].map(child => once(child, 'exit'));
    setTimeout(() => killed.kill('SIGKILL'), 300);
    const [[firstCode], [secondCode]] = await Promise.all(ends);
    expect([firstCode, secondCode]).toEqual([0, 0]);
    const { outcome, files } = build(...quickly);
    expect(outcome).toBe('unchanged');
    for (const { path: name, sha256 } of files)
      expect(
        createHash('sha256')
          .update(readFileSync(path(`dist/line/${name}`)))
          .digest('hex'),
      ).toBe(sha256);
  });
});

test('what the code of a model leaves running does not keep the command', () => {
  write('line.model.ts', `setInterval(() => {}, 1000);\n${readFileSync(path('line.model.ts'), 'utf8')}`);
  expect(build(...quickly).outcome).toBe('built');
});

describe('--watch', () => {
  test('builds again after a change, goes on after a mistake, and ends with 0', async () => {
    const child = spawn(process.execPath, [cli, 'build', ...quickly, '--watch', '--json'], { cwd: folder });
    const lines: string[] = [];
    child.stdout.on('data', text => lines.push(...String(text).trim().split('\n')));
    const line = async (n: number): Promise<Built & { readonly exitCode?: number }> => {
      while (lines.length <= n) await once(child.stdout, 'data');
      return JSON.parse(lines[n]);
    };
    expect(await line(0)).toMatchObject({ outcome: 'built' });
    write('size.ts', 'export const size = (;\n');
    expect(await line(1)).toMatchObject({ exitCode: 3, errors: [{ site: { file: 'size.ts', line: 1 } }] });
    write('size.ts', 'export const size = 7;\n');
    expect(await line(2)).toMatchObject({ outcome: 'built' });
    write('scale.txt', '8');
    expect(await line(3)).toMatchObject({ outcome: 'built' });
    child.kill('SIGINT');
    expect((await once(child, 'exit'))[0]).toBe(0);
  });
});

describe('the store', () => {
  const nothing = snapshotOf({ paths: [], environment: [] });

  test('counts what is broken as never kept', () => {
    const store = new Store(folder);
    store.keep('request', nothing, { answer: 42 });
    expect(store.find('request')?.value).toEqual({ answer: 42 });
    const [record] = readdirSync(path('records'));
    write(`records/${record}`, '{"dependencies":');
    expect(store.find('request')).toBe(null);
    mkdirSync(path('contents'));
    write('contents/abc', 'not what the name says');
    expect(store.content('abc')).toBe(null);
  });

  test('finds what was kept in the same state of files and variables', () => {
    const store = new Store(folder);
    const dependencies = { paths: [path('size.ts'), path('absent')], environment: ['GRADC_TEST'] };
    store.keep('request', snapshotOf(dependencies), { state: 1 });
    expect(store.find('request')?.value).toEqual({ state: 1 });
    write('absent', '');
    expect(store.find('request')).toBe(null);
    store.keep('request', snapshotOf(dependencies), { state: 2 });
    rmSync(path('absent'));
    expect(store.find('request')?.value).toEqual({ state: 1 });
    process.env.GRADC_TEST = 'set';
    expect(store.find('request')).toBe(null);
    delete process.env.GRADC_TEST;
  });
});

describe('an observer', () => {
  let observer: Observer;
  beforeEach(() => {
    observer = new Observer();
  });

  test('sees what is read, also by CommonJS, and nothing after its time', async () => {
    const { createRequire } = await import('node:module');
    const commonFs = createRequire(import.meta.url)('fs');
    await observer.during(async () => {
      commonFs.existsSync(path('absent'));
      commonFs.writeFileSync(path('written'), '');
      await commonFs.promises.readFile(path('size.ts'));
      process.env.GRADC_WRITTEN = process.env.GRADC_READ ?? 'x';
    });
    commonFs.existsSync(path('later'));
    expect([...observer.observation.paths]).toEqual([path('absent'), path('size.ts')]);
    expect(observer.observation.environment).toContain('GRADC_READ');
    expect(observer.observation.uncheckable).toBe(null);
    expect(process.env.GRADC_WRITTEN).toBe('x');
    delete process.env.GRADC_WRITTEN;
  });

  test.each<[string, () => unknown]>([
    ['ran a program', () => spawnSync(process.execPath, ['--version'])],
    ['read all environment variables', () => ({ ...process.env })],
    ['used the network', () => fetch('http://127.0.0.1:65530').catch(() => null)],
  ])('notes that code %s', async (what, run) => {
    await observer.during(run);
    expect(observer.observation.uncheckable).toBe(what);
  });
});
