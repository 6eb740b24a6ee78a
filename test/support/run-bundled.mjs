/** Bundles a program written in TypeScript with esbuild and runs it, so that a clone needs no build first. */
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

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

/** Bundles `main` (a path from the root of the repository): the address of the bundle. */
export async function bundle(main) {
  const folder = join(repository, 'node_modules', '.cache', 'gradc-bundles');
  const outfile = join(folder, main.replaceAll('/', '-').replace(/\.ts$/, '.mjs'));
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [join(repository, main)],
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
    alias: {
      'gradc/functional': join(repository, 'runtime', 'functional.ts'),
      'gradc/compiler': join(repository, 'compiler', 'index.ts'),
      'gradc/deploy': join(repository, 'runtime', 'deploy', 'index.ts'),
      gradc: join(repository, 'runtime', 'index.ts'),
    },
    // npm packages stay outside.
    external: ['@lezer/*', 'binaryen', 'esbuild', 'fflate', 'koffi', 'ts-morph', 'wabt', 'vitest'],
  });
  return pathToFileURL(outfile).href;
}

/** Calls `runAsProgram` of `main` with the arguments of this process. */
export async function runBundled(main) {
  const { runAsProgram } = await import(await bundle(main));
  await runAsProgram(process.argv.slice(2));
}
