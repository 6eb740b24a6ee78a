/** Builds the service for Node and for Workers, each into a folder of its own below `dist/service`. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { esbuild as gradc } from 'gradc/plugin';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** `out`: the folder that gets `node/` and `worker/`. */
export async function buildService(source: string, out: string): Promise<void> {
  const common = { bundle: true, format: 'esm', target: 'es2023', logLevel: 'warning' } as const;
  await Promise.all([
    build({
      ...common,
      entryPoints: { server: `${source}/node.ts` },
      platform: 'node',
      outdir: `${out}/node`,
      plugins: [gradc()],
    }),
    build({
      ...common,
      entryPoints: { worker: `${source}/worker.ts` },
      platform: 'browser',
      outdir: `${out}/worker`,
      plugins: [gradc({ files: 'import' })],
    }),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildService(here('../../../examples/service'), here('../../service'));
