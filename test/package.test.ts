/**
 * The package as it is published: packed, judged by publint and are-the-types-wrong, and used from an empty project that has
 * nothing but what `package.json` declares as dependencies.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const repository = fileURLToPath(new URL('..', import.meta.url));
const inRepository = (path: string): string => join(repository, path);
let folder: string;
let tarball: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-package-'));
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: repository });
  tarball = join(folder, readdirSync(folder)[0]);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('publint finds nothing', async () => {
  const { buffer, byteOffset, byteLength } = readFileSync(tarball);
  const bytes = (buffer as ArrayBuffer).slice(byteOffset, byteOffset + byteLength);
  const { messages, pkg } = await publint({ strict: true, pack: { tarball: bytes } });
  expect(messages.map(message => formatMessage(message, pkg!))).toEqual([]);
});

test('are-the-types-wrong finds nothing but what is meant', async () => {
  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
  const problems = result.types === false ? ['no types'] : result.problems.map(problem => JSON.stringify(problem));
  // ES modules only, so `require` is told to use `import()`; subpaths need a resolution that reads `exports`
  const meant = /"resolutionKind":"node10"|"CJSResolvesToESM"/;
  expect(problems.filter(problem => !meant.test(problem))).toEqual([]);
});

test('has no install scripts and carries no sources, tests or examples', () => {
  const { scripts } = JSON.parse(readFileSync(inRepository('package.json'), 'utf8'));
  expect(Object.keys(scripts)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(pre|post)?install$/)]));
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  const kinds =
    /^package\/(dist\/(backends|compiler|runtime)\/.*\.(js|d\.ts|js\.map)|[^/]+|compiler\/plugins\/client\.d\.ts|.*\/README\.md)$/;
  expect(files.filter(file => !kinds.test(file))).toEqual([]);
  // more than half of it are maps with the sources in them, by which debuggers show the TypeScript
  expect(statSync(tarball).size).toBeLessThan(2.5 * 2 ** 20);
});

describe('in an empty project', () => {
  let project: string;
  const gradc = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(project, 'node_modules/gradc/dist/compiler/cli/main.js'), ...args], {
      cwd: project,
      encoding: 'utf8',
    });
  const typeCheck = (...files: readonly string[]): string[] => {
    const { stdout } = spawnSync(
      process.execPath,
      [
        inRepository('node_modules/typescript/bin/tsc'),
        ...['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', ''],
        ...files,
      ],
      { cwd: project, encoding: 'utf8' },
    );
    return stdout.split('\n').filter(line => line.includes('error TS'));
  };
  beforeAll(() => {
    project = join(folder, 'project');
    const installed = join(project, 'node_modules', 'gradc');
    mkdirSync(installed, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed]);
    const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies)) {
      const link = join(project, 'node_modules', name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(inRepository(`node_modules/${name}`), link);
    }
    writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module', private: true }));
    writeFileSync(join(project, 'lenet.model.ts'), readFileSync(inRepository('examples/lenet/lenet.model.ts')));
  });

  test('the model of the README is built and trained', () => {
    const built = gradc('build', 'lenet.model.ts', '--out', 'dist/lenet');
    expect(built.stderr).toBe('');
    expect(built.status).toBe(0);
    writeFileSync(
      join(project, 'use.js'),
      `import { load } from './dist/lenet/lenet.js';
       const lenet = await load();
       const batch = { x: new Float32Array(64 * 1024).map((_, i) => Math.sin(i)), y: new BigInt64Array(64).fill(3n) };
       const losses = Array.from({ length: 20 }, () => lenet.trainStep(batch).loss);
       console.log(JSON.stringify(losses));`,
    );
    const losses = JSON.parse(execFileSync(process.execPath, ['use.js'], { cwd: project, encoding: 'utf8' }));
    expect(losses[19]).toBeLessThan(losses[0] / 2);
  });

  test('the entries are typed: what fits passes, what does not is an error', () => {
    const uses = {
      right: 'const { loss } = lenet.trainStep({ x: new Float32Array(65536), y: new Int32Array(64) }); loss.toFixed();',
      missing: 'lenet.trainStep({ x: new Float32Array(65536) });',
      wrongType: "lenet.predict({ x: 'an image' });",
      noSuchOutput: 'lenet.predict({ x: [] }).logit;',
      noSuchEntry: 'lenet.train({});',
    };
    for (const [name, use] of Object.entries(uses))
      writeFileSync(
        join(project, `${name}.ts`),
        `import { load } from './dist/lenet/lenet.js';\nconst lenet = await load();\n${use}\n`,
      );
    expect(typeCheck(...Object.keys(uses).map(name => `${name}.ts`)).sort()).toEqual([
      expect.stringMatching(/^missing\.ts.*Property 'y' is missing/),
      expect.stringMatching(/^noSuchEntry\.ts.*Property 'train' does not exist/),
      expect.stringMatching(/^noSuchOutput\.ts.*Property 'logit' does not exist/),
      expect.stringMatching(/^wrongType\.ts.*Type 'string' is not assignable/),
    ]);
  });

  test('every export can be imported, and says its types: declarations without mistakes of their own', () => {
    const manifest = readFileSync(join(project, 'node_modules/gradc/package.json'), 'utf8');
    const { exports, dependencies } = JSON.parse(manifest);
    const modules = Object.keys(exports).filter(path => exports[path].default);
    writeFileSync(
      join(project, 'types.ts'),
      modules.map((path, i) => `export * as module${i} from 'gradc${path.slice(1)}';`).join('\n'),
    );
    // types of the bundlers that the plugin serves, which a project has or has not
    const isOfBundler = (line: string): boolean => {
      const name = /TS2307: Cannot find module '([^'.][^']*)'/.exec(line)?.[1];
      return name !== undefined && !Object.hasOwn(dependencies, name);
    };
    expect(typeCheck('types.ts').filter(line => !isOfBundler(line))).toEqual([]);
    writeFileSync(
      join(project, 'import.js'),
      `const names = {};
       for (const path of ${JSON.stringify(modules)}) names[path] = Object.keys(await import('gradc' + path.slice(1))).length;
       console.log(JSON.stringify(names));`,
    );
    const names = JSON.parse(execFileSync(process.execPath, ['import.js'], { cwd: project, encoding: 'utf8' }));
    expect(Object.keys(names)).toEqual(modules);
    for (const [path, count] of Object.entries(names)) expect(count, path).toBeGreaterThan(0);
  });
});
