/**
 * The check of a model's types: by the language alone where that is enough, by all that the project brings in where it is
 * not, with the same result.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ts } from '../compiler/cli/typescript.js';

const repository = fileURLToPath(new URL('..', import.meta.url));
/** As built: what users' files are checked against are gradc's declarations, not its sources. */
const built = (name: string): string => join(repository, 'dist/compiler/cli', name);
const { checkedProgram, checkSource }: typeof import('../compiler/cli/check-types.js') = await import(
  built('check-types.js')
);
const { TypeProject }: typeof import('../compiler/cli/type-program.js') = await import(built('type-program.js'));
const { ModelTypeError }: typeof import('../compiler/cli/diagnostics.js') = await import(built('diagnostics.js'));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-check-'));
  mkdirSync(join(folder, 'types/timers'), { recursive: true });
  writeFileSync(join(folder, 'types/timers/index.d.ts'), 'declare function later(f: () => void): { unref(): void };\n');
  const compilerOptions = {
    strict: true,
    module: 'nodenext',
    target: 'es2022',
    typeRoots: ['types'],
    types: ['timers'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
});
afterAll(() => rmSync(folder, { recursive: true }));

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const isWhole = (program: ts.Program): boolean =>
  program.getSourceFiles().some(({ fileName }) => fileName.endsWith('lib.dom.d.ts'));

const model = `import { tensor } from 'gradc';
import { relu } from 'gradc/functional';
export const y = relu(tensor([1, 2]));
`;
const wholeFor: Readonly<Record<string, string>> = {
  'a name of the platform': 'export const url = new URL("file:///");',
  'a name of a package of types': 'later(() => {}).unref();\nexport {};',
  'a global of its own': 'declare global { var mine: number; }\nexport {};',
  'an error silenced by a comment': '// @ts-expect-error\nexport const name: number = "text";',
  'a reference to declarations': '/// <reference lib="dom" />\nexport {};',
  'a class over one of the language': 'export class Wrong extends Error { captureStackTrace = 1; }',
  'gradc of the platform': 'export { loadArtifact } from "gradc/deploy";',
  'a package': 'export { gzipSync } from "fflate";',
};

describe('the language alone', () => {
  test('is enough for a model', () => {
    expect(isWhole(checkedProgram([written('model.ts', model)]))).toBe(false);
    const zoo = readdirSync(join(repository, 'examples/zoo')).map(name => join(repository, 'examples/zoo', name));
    expect(zoo.length).toBeGreaterThan(4);
    expect(isWhole(checkedProgram(zoo))).toBe(false);
  });

  test.each(Object.entries(wholeFor))('is not for %s', (what, text) => {
    const file = written(`${what.replaceAll(' ', '-')}.ts`, `${text}\n${model}`);
    expect(isWhole(checkedProgram([file]))).toBe(true);
  });

  test('is all that what gradc declares of tensors speaks of', () => {
    const files = ['index', 'functional'].map(name => join(repository, `dist/runtime/${name}.d.ts`));
    const program = new TypeProject(files).languageProgram()!;
    const options = { ...program.getCompilerOptions(), skipLibCheck: false };
    const thorough = ts.createProgram(files, options, {
      ...ts.createCompilerHost(options),
      getSourceFile: path => program.getSourceFile(path),
      getDefaultLibLocation: () => '/node_modules/typescript/lib',
    });
    const errors = program
      .getSourceFiles()
      .flatMap(file => thorough.getSemanticDiagnostics(file))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
    expect(errors.filter(message => message.startsWith('Cannot find'))).toEqual([]);
  }, 60_000);
});

test('what it finds wrong is told by the whole program', async () => {
  const wrong = written('wrong.ts', `${model}export const z: string = y;\nlater(() => {}).ref();\n`);
  const error = await checkSource(wrong).catch(caught => caught);
  expect(error).toBeInstanceOf(ModelTypeError);
  expect(
    (error as InstanceType<typeof ModelTypeError>).diagnostics.map(({ code, site }) => [code, site?.line]),
  ).toEqual([
    ['TS2322', 4],
    ['TS2339', 5],
  ]);
});

test('a package of types that is missing is told as ever', async () => {
  const options = { strict: true, module: 'nodenext', types: ['missing'] };
  mkdirSync(join(folder, 'other'));
  writeFileSync(join(folder, 'other/tsconfig.json'), JSON.stringify({ compilerOptions: options }));
  const error = await checkSource(written('other/model.ts', model)).catch(caught => caught);
  expect((error as InstanceType<typeof ModelTypeError>).diagnostics.map(({ code }) => code)).toEqual(['TS2688']);
});
