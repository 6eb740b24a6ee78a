/** Launcher: bundles the TypeScript sources with esbuild and runs them, so that a clone needs no build first. */
import { mkdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = join(repository, 'node_modules', '.cache', 'gradc-reference');
// Of its own for each run: several may go on at once.
const outfile = join(folder, `main.${process.pid}.mjs`);
mkdirSync(folder, { recursive: true });
/** Keeps `import.meta.url` the address of the source file, by which some find the files beside them. */
const moduleUrls = {
  name: 'module-urls',
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return { loader: 'ts', contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) };
    });
  },
};

await build({
  entryPoints: [join(repository, 'test', 'reference', 'main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  keepNames: true,
  sourcemap: 'inline',
  // The package's list of files with side effects speaks of the built files, not of the sources.
  ignoreAnnotations: true,
  logLevel: 'warning',
  plugins: [moduleUrls],
  // npm packages stay outside.
  alias: {
    'gradc/functional': join(repository, 'runtime', 'functional.ts'),
    'gradc/compiler': join(repository, 'compiler', 'index.ts'),
    'gradc/deploy': join(repository, 'runtime', 'deploy', 'index.ts'),
    gradc: join(repository, 'runtime', 'index.ts'),
  },
  external: ['@lezer/*', 'binaryen', 'esbuild', 'fflate', 'koffi', 'ts-morph', 'wabt', 'vitest'],
});
const { runAsProgram } = await import(pathToFileURL(outfile).href).finally(() => rmSync(outfile, { force: true }));
await runAsProgram(process.argv.slice(2));
