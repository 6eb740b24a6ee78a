/**
 * What the tables of parameters promise holds for TypeScript, too: every optional parameter of every op can be given by
 * name. The types of ops are written by hand, so a call for each parameter is made from the tables and checked.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as gradc from 'gradc';
import * as F from 'gradc/functional';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TypeProject } from '../compiler/cli/type-program.js';
import { ts } from '../compiler/cli/typescript.js';
import type { Param } from '../compiler/ops/signature.js';

const paramsOf = (member: unknown): readonly Param[] => (member as { params?: readonly Param[] } | null)?.params ?? [];

/** `f(given, given, { dim: given })` for each optional parameter. */
function callsOf(callee: string, params: readonly Param[]): string[] {
  const required = params.filter(({ optional, keywordOnly }) => !optional && !keywordOnly).map(() => 'given');
  const named = params.filter(({ optional, keywordOnly }) => !optional && keywordOnly).map(({ name }) => name);
  return params
    .filter(({ optional }) => optional)
    .map(({ name }) => {
      const settings = [...named, name].map(each => `${each}: given`).join(', ');
      return `${callee}(${[...required, `{ ${settings} }`].join(', ')});`;
    });
}
const callsIn = (path: string, members: object): string[] =>
  Object.entries(members).flatMap(([name, member]) => callsOf(`${path}${name}`, paramsOf(member)));

/** A method that is an op has the op's parameters after the first. */
const callsOfMethods = (): string[] =>
  Object.getOwnPropertyNames(gradc.Tensor.prototype).flatMap(name =>
    callsOf(`tensor.${name}`, paramsOf((gradc as Readonly<Record<string, unknown>>)[name]).slice(1)),
  );

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-named-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Those of the calls that do not pass TypeScript's check, each with what is wrong. */
function refused(calls: readonly string[]): string[] {
  const path = join(folder, 'calls.ts');
  const imports = ["import * as gradc from 'gradc';", "import * as F from 'gradc/functional';"];
  const lines = [...imports, 'declare const given: any;', 'declare const tensor: gradc.Tensor;', ...calls];
  writeFileSync(path, lines.join('\n'));
  const program = new TypeProject([path]).program();
  const source = program.getSourceFile(path)!;
  return program.getSemanticDiagnostics(source).map(({ start, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start!);
    return `${lines[line]} // ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

const calls = [
  ...callsIn('gradc.', gradc),
  ...callsIn('gradc.linalg.', gradc.linalg),
  ...callsIn('gradc.special.', gradc.special),
  ...callsIn('gradc.fft.', gradc.fft),
  ...callsIn('gradc.nn.init.', gradc.nn.init),
  ...callsIn('gradc.nn.utils.', gradc.nn.utils),
  ...callsIn('F.', F),
  ...callsOfMethods(),
];

test('every optional parameter of every op can be given by name', { timeout: 240_000 }, () => {
  expect(calls.length).toBeGreaterThan(1000);
  expect(refused(calls)).toEqual([]);
});
test('a name that an op does not have is refused', { timeout: 240_000 }, () => {
  expect(refused(['tensor.sum({ dim: given });', 'tensor.sum({ dims: given });'])).toEqual([
    expect.stringMatching(/^tensor.sum\(\{ dims: given \}\);.*'dims' does not exist/),
  ]);
});
