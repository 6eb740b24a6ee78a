/**
 * The analysis of model sources: each small wrong model of `analysis/models` against the diagnostics written in
 * `analysis/golden`, and silence on the examples and on ordinary modules.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { analyse, diagnosticOf } from '../compiler/cli/analysis/analyse.js';
import type { Finding } from '../compiler/cli/analysis/finding.js';
import { formatDiagnostic } from '../compiler/cli/diagnostics.js';
import { TypeProject } from '../compiler/cli/type-program.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const filesIn = (folder: string): string[] =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder))
        .filter(name => name.endsWith('.ts'))
        .map(name => join(root, folder, name))
    : [];
const models = filesIn('test/analysis/models');
const examples = ['examples/lenet', 'examples/tutorial', 'examples/zoo'].flatMap(filesIn);
const silent = ['fine.model.ts', 'allowed.model.ts'];

let findings: readonly Finding[];
beforeAll(() => {
  findings = analyse(new TypeProject([...models, ...examples]).program());
}, 120_000);

const findingsIn = (file: string): readonly Finding[] =>
  findings.filter(({ node }) => relative(file, node.getSourceFile().fileName) === '');
const reportOn = (file: string): string =>
  findingsIn(file)
    .map(finding => formatDiagnostic(diagnosticOf(finding)))
    .join('\n');

describe('wrong models', () => {
  const wrong = models.filter(file => !silent.includes(basename(file)));

  test.each(wrong.map(file => [basename(file, '.model.ts'), file]))('%s', async (name, file) => {
    expect(findingsIn(file).length).toBeGreaterThan(0);
    await expect(reportOn(file)).toMatchFileSnapshot(`analysis/golden/${name}.txt`);
  });

  test('show every code, each in the model that says so at its head', () => {
    const heads = wrong.map(file => /^\/\*\* ([EW]31\d): /.exec(readFileSync(file, 'utf8'))![1]);
    expect(wrong.map(file => [...new Set(findingsIn(file).map(({ code }) => code))])).toEqual(
      heads.map(code => [code]),
    );
    expect([...heads].sort()).toEqual(['E311', 'E312', 'E313', 'E314', 'E315', 'E316', 'W311', 'W312', 'W313']);
  });
});

test('what is ordinary, or allowed by a comment, is not reported', () => {
  const right = [...models.filter(file => silent.includes(basename(file))), ...examples];
  expect(right.length).toBeGreaterThan(5);
  expect(right.map(reportOn).join('')).toBe('');
});

describe('gradc build', () => {
  const cli = join(root, 'dist/compiler/cli/main.js');
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gradc-analysis-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const build = (body: string, environment: Record<string, string> = {}) => {
    const text = `import { defineModel, entry, input } from 'gradc';
export default defineModel('m', () => ({
  state: {},
  entries: { run: entry({ x: input([4]) }, ({ x }) => ${body}) },
}));
`;
    writeFileSync(join(folder, 'm.model.ts'), text);
    return spawnSync(process.execPath, [cli, 'build', 'm.model.ts', '--json'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });
  };

  test('stops at an error with 3, and says it instead of the type checker', () => {
    const { status, stderr, stdout } = build('({ y: x * 2 })', {
      GITHUB_ACTIONS: 'true',
      GITHUB_WORKSPACE: dirname(folder),
    });
    expect(stderr).toBe(`TraceError E312: JavaScript's * does not work on tensors, here on x * 2
  at m.model.ts:4:61
  4 |   entries: { run: entry({ x: input([4]) }, ({ x }) => ({ y: x * 2 })) },
    |                                                             ^
  hint: call the method: x.mul(2)
::error file=${basename(folder)}/m.model.ts,line=4,col=61,title=TraceError E312::JavaScript's * does not work on tensors, here on x * 2%0Ahint: call the method: x.mul(2)
`);
    expect(JSON.parse(stdout)).toMatchObject({
      exitCode: 3,
      errors: [{ code: 'E312', site: { line: 4, column: 61 } }],
    });
    expect(status).toBe(3);
  });

  test('is what loading by program does too, whether or not it listens to warnings', () => {
    build('({ y: x.mul(x.sum().item()) })');
    const program = `import { loadModelFile } from ${JSON.stringify(join(root, 'dist/compiler/index.js'))};
      await loadModelFile('m.model.ts').catch(({ name, diagnostics }) => console.log(name, diagnostics[0].code));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stdout).toBe('ModelTypeError E313\n');
  });

  test('goes on after a warning', () => {
    const { status, stderr, stdout } = build('({ y: x.mul(2 + 0 * Date.now()) })');
    expect(stderr).toMatch(/^TraceWarning W311: Date\.now\(\) is read once, while entry 'run' is traced/);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'm', warnings: [{ code: 'W311', site: { line: 4 } }] });
    expect(status).toBe(0);
  });
});
