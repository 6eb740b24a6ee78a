/** The same program through each bundler, as its users would write the build. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as buildWithEsbuild, type Format } from 'esbuild';
import { esbuild, type PluginOptions, rolldown, rollup, vite, webpack } from 'gradc/plugin';
import { rolldown as bundleWithRolldown } from 'rolldown';
import { rollup as bundleWithRollup } from 'rollup';
import { build as buildWithVite, type InlineConfig } from 'vite';
import webpackCompiler from 'webpack';

export const project = fileURLToPath(new URL('project', import.meta.url));
export const main = join(project, 'main.js');
/** The fixture is checked with the tests' own types. */
const options: PluginOptions = { checkTypes: false };

/** Each writes `main.js` or `main.cjs` and what it needs into a folder. */
export const builds: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  async Rollup(dir) {
    const bundle = await bundleWithRollup({ input: main, plugins: [rollup(options)] });
    await bundle.write({ dir, format: 'es' });
    await bundle.close();
  },
  async Rolldown(dir) {
    const bundle = await bundleWithRolldown({ input: main, plugins: [rolldown(options)] });
    await bundle.write({ dir, format: 'esm' });
    await bundle.close();
  },
  Vite: outDir =>
    buildWithVite({
      ...quiet,
      base: './',
      build: {
        outDir,
        emptyOutDir: true,
        modulePreload: false,
        rolldownOptions: {
          input: main,
          preserveEntrySignatures: 'strict',
          output: { entryFileNames: 'main.js', chunkFileNames: 'chunks/[name]-[hash].js' },
        },
      },
    }),
  'Vite, for a server': outDir =>
    buildWithVite({ ...quiet, build: { outDir, emptyOutDir: true, ssr: main }, ssr: { target: 'node' } }),
  'esbuild, as ES module': folder => withEsbuild(folder, 'esm', 'main.js'),
  'esbuild, as CommonJS': folder => withEsbuild(folder, 'cjs', 'main.cjs'),
  webpack: path =>
    new Promise<void>((done, failed) => {
      webpackCompiler(
        {
          mode: 'production',
          target: 'node20',
          context: project,
          entry: main,
          plugins: [webpack(options)],
          experiments: { outputModule: true },
          output: { path, filename: 'main.js', module: true, library: { type: 'module' } },
        },
        (error, stats) => {
          if (error) failed(error);
          else if (stats?.hasErrors()) failed(new Error(stats.toString('errors-only')));
          else done();
        },
      );
    }),
};

const quiet = { root: project, configFile: false, logLevel: 'warn', plugins: [vite(options)] } satisfies InlineConfig;

const withEsbuild = (outdir: string, format: Format, file: string): Promise<unknown> =>
  buildWithEsbuild({
    entryPoints: { main },
    outdir,
    outExtension: file.endsWith('.cjs') ? { '.js': '.cjs' } : {},
    bundle: true,
    format,
    platform: 'node',
    logLevel: 'warning',
    plugins: [esbuild(options)],
  });
