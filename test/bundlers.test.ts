/**
 * `?compiled` through every bundler: the same program is built by each, and what it wrote is run by a Node that knows nothing
 * of gradc, in a folder of its own.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { builds } from './bundlers/builds.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-bundlers-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const filesOf = (out: string): string[] =>
  readdirSync(out, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => entry.name)
    .sort();

function run(file: string): { before: number[]; losses: number[]; after: number[] } {
  const program = `import(${JSON.stringify(pathToFileURL(file).href)})
    .then(module => module.answer())
    .then(answer => console.log(JSON.stringify(answer)))`;
  return JSON.parse(execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8', cwd: folder }));
}

test.each(Object.keys(builds))('%s', async name => {
  const out = join(folder, name.replace(/\W+/g, '-'));
  await builds[name](out);
  const files = filesOf(out);
  const main = files.find(file => /^main\.c?js$/.test(file))!;
  expect(main, files.join(', ')).toBeDefined();

  const { before, losses, after } = run(join(out, main));
  expect(before).toEqual([2, 4, 6]);
  // loss = (w - 5)^2 * 14 / 3 and its gradient step, in the numbers of float32
  let slope = 2;
  for (const loss of losses) {
    expect(loss).toBeCloseTo(((slope - 5) ** 2 * 14) / 3, 4);
    slope -= (0.05 * 2 * (slope - 5) * 14) / 3;
  }
  expect(after[0]).toBeCloseTo(slope, 5);

  const inCode = name === 'Vite, for a server' || name === 'esbuild, as CommonJS';
  const assets = files.filter(file => /\.(wasm|safetensors)$/.test(file));
  const kinds = new Set(assets.map(asset => asset.replace(/.*\./, '')));
  expect(kinds).toEqual(new Set(inCode ? [] : ['wasm', 'safetensors']));
  for (const asset of assets) expect(asset).toMatch(/^([\w.]+-)?[\w-]{8,}\.(wasm|safetensors)$/);
});
