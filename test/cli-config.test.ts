/**
 * `gradc.config.ts`, several models, exit codes and annotations: as users meet them, in processes of their own; what
 * needs none is called directly.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configProblems } from '../compiler/cli/config-check.js';
import { placeOfSetting } from '../compiler/cli/config-place.js';
import {
  EnvironmentError,
  exitCodeOf,
  exitCodes,
  githubAnnotation,
  ModelTypeError,
} from '../compiler/cli/diagnostics.js';
import { reachableSources } from '../compiler/cli/reachable-sources.js';
import { staleness } from '../compiler/cli/stale.js';
import { InternalError } from '../compiler/errors.js';

const cli = fileURLToPath(new URL('../dist/compiler/cli/main.js', import.meta.url));
let folder: string;
const path = (name: string): string => join(folder, name);
const write = (name: string, text: string): void => writeFileSync(path(name), text);

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
function gradcIn(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  const run = { cwd, encoding: 'utf8', env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], run);
  return { code: status, out: stdout, err: stderr };
}
const gradc = (...args: string[]): Outcome => gradcIn(folder, args);

const model = (name: string, factor: string): string => `import { defineModel, entry, input, tensor } from 'gradc';
export default defineModel('${name}', () => ({
  state: { factor: tensor(${factor}) },
  entries: { predict: entry({ x: input([3]) }, ({ x }) => ({ y: x.mul(${factor}) })) },
}));
`;
const config = (text: string): void =>
  write('gradc.config.ts', `import { defineConfig } from 'gradc/config';\n\nexport default defineConfig(${text});\n`);

beforeAll(() => {
  if (!existsSync(cli)) throw new Error('dist is missing: run npm run build first');
  folder = mkdtempSync(join(tmpdir(), 'gradc-config-'));
  mkdirSync(path('nested'));
  write('package.json', '{ "type": "module" }');
  write('one.model.ts', model('one', '2'));
  write('two.model.ts', model('two', '3'));
  write('wrong.model.ts', model('wrong', "'three'"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('several models', () => {
  test('each gets a folder; those that cannot be built are told, the others are built', () => {
    const files = ['one.model.ts', 'wrong.model.ts', 'two.model.ts'];
    const { code, out, err } = gradc('build', ...files, '--out', 'all', '--json');
    expect(err).toMatch(/^TypeError TS2345: .*\n {2}at wrong\.model\.ts:3:\d+/);
    const { models, errors, exitCode } = JSON.parse(out);
    expect(models.map(({ name, out }: { name: string; out: string }) => [name, out])).toEqual([
      ['one', 'all/one'],
      ['two', 'all/two'],
    ]);
    expect(errors[0]).toMatchObject({ code: 'TS2345', site: { file: 'wrong.model.ts', line: 3 } });
    expect([code, exitCode]).toEqual([3, 3]);
    expect(existsSync(path('all/two/two.wasm'))).toBe(true);
  });

  test('two of one name do not share a folder', () => {
    write('again.model.ts', model('one', '5'));
    const { code, err } = gradc('build', 'one.model.ts', 'again.model.ts', '--no-typecheck');
    expect(err).toMatch(
      /^UsageError E501: two models are called 'one' and would share dist\/one\n {2}hint: rename one/,
    );
    expect(code).toBe(2);
  });
});

describe('gradc.config.ts', () => {
  test('is found from the folder upward; the command line wins over it, a model over the rest', () => {
    config(`{
  models: ['one.model.ts', { file: 'two.model.ts', out: 'second', targets: ['cuda'] }],
  out: 'built',
  nvcc: 'skip',
  typecheck: false,
}`);
    const { code, out, err } = gradcIn(path('nested'), ['build', '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const files = JSON.parse(out).models.map((built: { files: { path: string }[] }) => built.files[0].path);
    expect(files).toEqual(['one.wasm', 'cuda/two.cu']);
    expect(existsSync(path('built/one/one.wasm'))).toBe(true);
    expect(existsSync(path('second/cuda/two.cu'))).toBe(true);
    const stated = gradcIn(path('nested'), ['build', '../two.model.ts', '--target', 'wasm', '--out', 'here', '--json']);
    expect(JSON.parse(stated.out)).toMatchObject({
      name: 'two',
      out: 'here',
      files: [{ path: 'two.wasm' }, {}, {}, {}, {}, {}],
    });
  });

  test('shows what is wrong at its line', () => {
    config(`{
  models: ['one.model.ts'],
  target: ['wasm'],
}`);
    expect(gradc('build')).toEqual({
      code: 2,
      out: '',
      err: `UsageError E501: target is no setting
  at gradc.config.ts:5:3
  5 |   target: ['wasm'],
    |   ^
  hint: did you mean 'targets'?
`,
    });
  });

  test('that does not run is a matter of usage', () => {
    config("{ out: missing('out') }");
    const { code, err } = gradc('build');
    expect(err).toMatch(/^ReferenceError: missing is not defined\n {2}at gradc\.config\.ts:3:36\n/);
    expect(code).toBe(2);
    rmSync(path('gradc.config.ts'));
  });

  test.each<[unknown, string[]]>([
    [undefined, ['the configuration must be an object, given undefined']],
    [{ models: 'one.model.ts' }, ['models must be a list, given "one.model.ts"']],
    [{ models: [{ out: 'x' }, 5] }, ["models[0] lacks 'file'", 'models[1] must be an object, given 5']],
    [{ targets: ['wasn'] }, ['targets[0] must be one of wasm, cuda, given "wasn"']],
    [{ cache: 1, out: '' }, ['cache must be true, false or a path, given 1', 'out must be a path, given ""']],
    [{ models: [{ file: 'a', typecheck: 'no' }] }, ['models[0].typecheck must be true or false, given "no"']],
    [{ models: ['a'], out: 'dist', cache: false, nvcc: 'auto' }, []],
  ])('%j', (value, problems) => {
    expect(configProblems(value).map(({ problem }) => problem)).toEqual(problems);
  });

  test('places are those of what is written, or of what is around it', () => {
    write(
      'places.ts',
      "const shared = {};\nexport default {\n  models: [\n    { file: 'a' },\n    shared,\n  ],\n} satisfies object;\n",
    );
    const at = (...keys: (string | number)[]): number[] => {
      const { line, column } = placeOfSetting(path('places.ts'), keys);
      return [line, column];
    };
    expect(at('models', 0, 'file')).toEqual([4, 7]);
    expect(at('models', 1, 'file')).toEqual([5, 5]);
    expect(at('out')).toEqual([2, 16]);
  });
});

describe('exit codes and annotations', () => {
  test('are told apart', () => {
    expect(exitCodes).toEqual({ ok: 0, checkFailed: 1, usage: 2, model: 3, environment: 4, internal: 70 });
    expect(exitCodeOf(new ModelTypeError([]))).toBe(3);
    expect(exitCodeOf(new InternalError('a broken invariant'))).toBe(70);
    expect(exitCodeOf(new EnvironmentError('no nvcc'))).toBe(4);
  });

  test('a cache that cannot be written is no obstacle, a folder that cannot is', () => {
    const { out } = gradc('build', 'one.model.ts', '--no-typecheck', '--cache-dir', 'package.json', '--json');
    expect(JSON.parse(out)).toMatchObject({
      outcome: 'built',
      uncached: expect.stringMatching(/^the cache cannot be written: E/),
    });
    const { code, err } = gradc('build', 'one.model.ts', '--no-typecheck', '--out', 'package.json');
    expect(err).toBe('EnvironmentError: cannot write package.json/one.wasm: package.json is a file, not a folder\n');
    expect(code).toBe(4);
  });

  test('in a GitHub workflow diagnostics stand at their lines', () => {
    const site = { file: 'a,b.ts', line: 3, column: 5, module: '' };
    expect(githubAnnotation({ kind: 'TypeError', code: 'TS1', message: '50 %\nof it', site, hint: 'less' })).toBe(
      '::error file=a%2Cb.ts,line=3,col=5,title=TypeError TS1::50 %25%0Aof it%0Ahint: less\n',
    );
    const { err } = gradcIn(folder, ['build', 'wrong.model.ts'], { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: folder });
    expect(err).toMatch(/\n::error file=wrong\.model\.ts,line=3,col=\d+,title=TypeError TS2345::Argument of type/);
  });
});

describe('an artifact', () => {
  const sources = (): Map<string, Uint8Array> => new Map([['two.model.ts', readFileSync(path('two.model.ts'))]]);

  test('is stale where its sources or its files have changed', () => {
    expect(gradc('build', 'two.model.ts', '--no-typecheck').code).toBe(0);
    expect(staleness(path('dist/two'), 'two', sources())).toEqual([]);
    write('dist/two/two.js', '');
    write('two.model.ts', model('two', '4'));
    expect(staleness(path('dist/two'), 'two', sources())).toEqual([
      'two.model.ts has changed since it was built',
      'its two.js is missing or altered',
    ]);
    expect(staleness(path('dist/absent'), 'two', sources())).toEqual(['it has no two.manifest.json']);
    const { code, err } = gradc('compare', 'two.model.ts', '--no-typecheck', '--check');
    expect(err).toBe(
      'ArtifactError E403: the artifact in dist/two is stale: two.model.ts has changed since it was built; its two.js is missing or altered\n  hint: build it again: gradc build two.model.ts\n',
    );
    expect(code).toBe(1);
    expect(gradc('build', 'two.model.ts', '--no-typecheck').code).toBe(0);
    expect(gradc('compare', 'two.model.ts', '--no-typecheck', '--check', '--steps', '1').code).toBe(0);
  });
});

test('sources are found through files that do not parse', () => {
  write('a.ts', "import { b } from './nested/b.js'; export default (;");
  write('nested/b.ts', "export * from '../c';\nconst later = import('../one.model.ts');");
  expect([...reachableSources(path('a.ts'))].map(found => found.slice(folder.length + 1))).toEqual([
    'a.ts',
    'nested/b.ts',
    'c.ts',
    'c/index.ts',
    'c',
    'one.model.ts',
    'nested/b.js',
  ]);
});
