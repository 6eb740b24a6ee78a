/** Mistakes of the first hour: wrong files, wrong exports, wrong names, places that cannot be written; each is told as what it is. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { defineModel, entry, input } from 'gradc';
import { traceModel } from 'gradc/compiler';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { benchModel } from '../compiler/cli/bench-model.js';
import { checkPassNames } from '../compiler/cli/debug-passes.js';
import { loadModelFile } from '../compiler/cli/model-file.js';
import { checkModelPath } from '../compiler/cli/model-path.js';
import { checkNode } from '../compiler/cli/node-version.js';
import { writeOutput } from '../compiler/cli/output-file.js';

const cli = fileURLToPath(new URL('../dist/compiler/cli/main.js', import.meta.url));
const model = `defineModel('small', () => ({
  state: {}, entries: { double: entry({ x: input([2]) }, ({ x }) => ({ y: x.mul(2) })) },
}))`;
const imports = "import { defineModel, entry, input, nn } from 'gradc';\n";

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);
const written = (name: string, text: string): string => {
  writeFileSync(at(name), text);
  return at(name);
};

/** The error without the place of the test and of the folder. */
async function told(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return (error as Error).message.replace(/\n {2}at .*/, '').replaceAll(`${folder}/`, '');
  }
  return 'accepted';
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-mistakes-'));
  mkdirSync(at('models'));
  mkdirSync(at('empty'));
  written('package.json', '{ "type": "module" }');
  written('small.model.ts', `${imports}export default ${model};\n`);
  written('models/other.model.ts', '');
  written('notes.txt', 'notes');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a path that is no model file', () => {
  test.each<[path: string, message: RegExp]>([
    ['smal.model.ts', /there is no file smal\.model\.ts\n {2}hint: did you mean small\.model\.ts\?/],
    ['small', /did you mean small\.model\.ts\?/],
    ['small.ts', /did you mean small\.model\.ts\?/],
    ['transformer.ts', /there is no file transformer\.ts\n {2}hint: paths count from/],
    ['notes.txt/model.ts', /there is no file notes\.txt\/model\.ts/],
    ['models', /models is a folder, and a model file is wanted\n {2}hint: name one of models\/other\.model\.ts/],
    ['empty', /empty is a folder.*\n {2}hint: name the file/],
    ['notes.txt', /notes\.txt is no TypeScript/],
    ['package.json', /package\.json is no TypeScript/],
  ])('%s', async (path, message) => {
    expect(await told(() => checkModelPath(at(path)))).toMatch(message);
  });
  test('and one that is', async () => {
    expect(await told(() => checkModelPath(at('small.model.ts')))).toBe('accepted');
  });
});

describe('a file that exports no model by default', () => {
  test.each<[what: string, text: string, message: RegExp]>([
    [
      'nothing',
      'export const size = 4;',
      /no model as its default export, but nothing\n {2}hint: write `export default def/,
    ],
    ['by name', `${imports}export const net = ${model};`, /'net' is one: write `export default net`/],
    ['a number', 'export default 5;', /default export, but a number/],
    ['an object', 'export default {};', /default export, but an object/],
    ['a class', `${imports}export default class Net extends nn.Module {}`, /default export, but 'Net'/],
  ])('%s', async (what, text, message) => {
    const file = written(`${what.replaceAll(' ', '-')}.ts`, text);
    expect(await told(() => loadModelFile(file, { checkTypes: false }))).toMatch(message);
  });
});

describe('a definition that is no model', () => {
  const doubled = entry({ x: input([2]) }, ({ x }) => ({ y: x.mul(2) }));
  test.each<[what: string, build: () => unknown, message: RegExp]>([
    ['async', async () => ({ state: {}, entries: { doubled } }), /E304: the function given to defineModel is async/],
    ['nothing', () => undefined, /E304: the model has no state: undefined/],
    ['no state', () => ({ entries: { doubled } }), /E304: the model has no state: undefined/],
    ['a list of entries', () => ({ state: {}, entries: [doubled] }), /E304: the model has no entries: \[/],
    ['no entry', () => ({ state: {}, entries: {} }), /E304: the model has no entries\n/],
    [
      'a function as an entry',
      () => ({ state: {}, entries: { run: () => ({}) } }),
      /E304: entry 'run' is a function 'run'/,
    ],
  ])('%s', async (_, build, message) => {
    expect(await told(() => traceModel(defineModel('wrong', build as never)))).toMatch(message);
  });
  test.each<[shape: unknown, dtype: unknown, message: RegExp]>([
    [5, 'float32', /E107: input: the shape must be a list of whole numbers.*given 5/],
    [[-1, 10], 'float32', /given \[-1,10\]\n {2}hint: sizes are fixed/],
    [[2.5], 'float32', /given \[2\.5\]/],
    [[2], 'float', /E108: input: "float" is no dtype\n {2}hint: dtypes: bool, .*float32/],
  ])('input(%j, %j)', async (shape, dtype, message) => {
    expect(await told(() => input(shape as never, dtype as never))).toMatch(message);
  });
});

describe('names that are none', () => {
  test('of a pass', async () => {
    const names = { dump: ['cse', 'all'], explain: ['fuse'], stopAfter: 'decompose' };
    expect(await told(() => checkPassNames(names))).toBe('accepted');
    const mistyped = await told(() => checkPassNames({ dump: ['dead-cod'] }));
    expect(mistyped).toMatch(/--dump: there is no pass 'dead-cod'\n.*did you mean dead-code\?/);
    expect(await told(() => checkPassNames({ stopAfter: 'nonsense' }))).toMatch(/hint: passes: own-gradients, /);
  });
  test('of an entry', async () => {
    const definition = defineModel('small', () => ({
      state: {},
      entries: { double: entry({ x: input([2]) }, ({ x }) => ({ y: x.mul(2) })) },
    }));
    await expect(benchModel(definition, { entries: ['duoble'], seconds: 0.01 })).rejects.toThrow(/its entries: double/);
  });
});

describe('a place that cannot be written', () => {
  test.each<[path: string, message: RegExp]>([
    ['models', /cannot write .*models: it is a folder/],
    ['notes.txt/a.svg', /cannot write .*a\.svg: .*notes\.txt is a file, not a folder/],
    ['notes.txt/deep/a.svg', /notes\.txt is a file, not a folder/],
  ])('%s', async (path, message) => {
    expect(await told(() => writeOutput(at(path), 'text'))).toMatch(message);
  });
  test('folders are made', () => {
    writeOutput(at('new', 'deep', 'a.svg'), 'text');
    expect(existsSync(at('new', 'deep', 'a.svg'))).toBe(true);
  });
});

test('a Node older than the package asks for', async () => {
  const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect(engines.node).toBe('>=20.19.0');
  for (const version of ['20.19.0', '22.3.1', '26.0.0']) expect(await told(() => checkNode(version))).toBe('accepted');
  for (const version of ['18.20.8', '20.18.9'])
    expect(await told(() => checkNode(version))).toBe(`this is Node ${version}, and gradc needs 20.19 or later`);
});

test('builds at once into one folder leave a whole artifact', async () => {
  const build = (): Promise<number | null> =>
    new Promise(ended => {
      const args = [cli, 'build', 'small.model.ts', '--no-typecheck', '--force', '--out', 'out'];
      spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' }).on('exit', ended);
    });
  expect(await Promise.all([build(), build(), build()])).toEqual([0, 0, 0]);
  const { load } = await import(pathToFileURL(at('out', 'small.js')).href);
  expect((await load()).double({ x: [1, 2] }).y).toEqual(Float32Array.of(2, 4));
});
