/**
 * `?compiled` through every bundler: the same program is built by each, and what it wrote is run by a Node that knows nothing
 * of gradc, in a folder of its own.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type PluginOptions, rollup } from 'gradc/plugin';
import { rollup as rollupBundle } from 'rollup';
import { ModuleKind, ModuleResolutionKind, Project, ScriptTarget, ts } from 'ts-morph';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builds, project } from './bundlers/builds.js';

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

describe('with Rollup', () => {
  /** The model of the tests, changed, in a project of its own. */
  function projectWith(change: (model: string) => string): string {
    const copy = mkdtempSync(join(folder, 'project-'));
    cpSync(project, copy, { recursive: true });
    const model = join(copy, 'slope.model.ts');
    writeFileSync(model, change(readFileSync(model, 'utf8')));
    return copy;
  }
  const bundle = async (root: string, options: PluginOptions): Promise<void> => {
    const { close } = await rollupBundle({ input: join(root, 'main.js'), plugins: [rollup(options)] });
    await close();
  };

  test("a mistake in a model stops the build and is told at the user's line", async () => {
    const typo = projectWith(model => model.replace('F.mseLoss', 'F.msLoss'));
    await expect(bundle(typo, {})).rejects.toThrow(/msLoss[\s\S]*slope\.model\.ts:14:24/);
    const shapes = projectWith(model => model.replace('y: input([3])', 'y: input([4])'));
    await expect(bundle(shapes, { checkTypes: false })).rejects.toThrow(/slope\.model\.ts:14:24/);
    const missing = projectWith(model => model);
    rmSync(join(missing, 'slope.model.ts'));
    await expect(bundle(missing, { checkTypes: false })).rejects.toThrow(/E401: there is no file .*slope\.model\.ts/);
  });

  test('the state is in as many files as its size asks for', async () => {
    const root = projectWith(model => model);
    const files = (shard?: number): string[] =>
      filesOf(join(root, `out-${shard}`)).filter(name => name.endsWith('.safetensors'));
    for (const shard of [undefined, 4]) {
      const plugins = [rollup({ checkTypes: false, shard })];
      const { write, close } = await rollupBundle({ input: join(root, 'main.js'), plugins });
      await write({ dir: join(root, `out-${shard}`) });
      await close();
    }
    expect(files()).toHaveLength(1);
    expect(files(4).length).toBeGreaterThan(1);
    await expect(bundle(root, { shard: 'large' })).rejects.toThrow(/E501: shard large is no size/);
  });

  test('types of the entries are written where they are asked for', async () => {
    const root = projectWith(model => model);
    const types = join(root, 'types', 'models.d.ts');
    await bundle(root, { checkTypes: false, types });
    const uses = ['{ x: [1, 2, 3], y: new Float32Array(3) }', '{ x: [1, 2, 3] }', "{ x: 'one', y: [1] }"];
    const checker = new Project({
      compilerOptions: {
        strict: true,
        target: ScriptTarget.ES2022,
        module: ModuleKind.ESNext,
        moduleResolution: ModuleResolutionKind.Bundler,
        types: [],
      },
    });
    checker.addSourceFileAtPath(types);
    const files = uses.map((inputs, i) =>
      checker.createSourceFile(
        join(root, `use-${i}.ts`),
        `import { load } from './slope.model.ts?compiled';
        export const loss: number = (await load()).trainStep(${inputs}).loss;`,
      ),
    );
    const errors = files.map(file =>
      file
        .getPreEmitDiagnostics()
        .map(({ compilerObject }) => ts.flattenDiagnosticMessageText(compilerObject.messageText, '\n')),
    );
    expect(errors).toEqual([
      [],
      [expect.stringContaining("Property 'y' is missing")],
      [expect.stringContaining("Type 'string' is not assignable")],
    ]);
  });
});
