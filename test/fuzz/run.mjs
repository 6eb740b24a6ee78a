/** Launcher: bundles the TypeScript sources with esbuild and runs them, so that a clone needs no build first. */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const outdir = join(here, '..', '..', 'node_modules', '.cache', 'gradc-fuzz');
/** Keeps `import.meta.url` the address of the source file, by which it finds the files beside it. */
const moduleUrls = {
  name: 'module-urls',
  setup(bundler) {
    bundler.onLoad({ filter: /fuzz.main\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return { loader: 'ts', contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) };
    });
  },
};

await build({
  entryPoints: [join(here, 'main.ts'), join(here, 'measure.ts')],
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  ignoreAnnotations: true,
  logLevel: 'warning',
  plugins: [moduleUrls],
});
// Collections of young objects hide what a load allocates: make them rare.
const flags = ['--max-semi-space-size=64'];
const { status } = spawnSync(process.execPath, [...flags, join(outdir, 'main.mjs'), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
