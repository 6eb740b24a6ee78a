/**
 * `<name>.js`: the loader of runtime/deploy with this artifact's manifest in it, bundled into one file without imports.
 */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Manifest } from '../../runtime/deploy/manifest.js';
import type { FileRecord, VariantRecord } from './manifest.js';

export interface GlueParts {
  readonly manifest: Manifest;
  readonly variants: readonly VariantRecord[];
  readonly stateFile: string;
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** The loader's source, beside this file in the sources as in the build. */
const loader = fileURLToPath(
  new URL(`../../runtime/deploy/loader${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** Bundlers know `new URL(literal, import.meta.url)` and carry the file along. */
const fileExpression = (name: string, { sha256 }: FileRecord): string =>
  `url: () => new URL(${JSON.stringify(`./${name}`)}, import.meta.url), sha256: ${JSON.stringify(sha256)}`;

export async function glueSource({ manifest, variants, stateFile, files }: GlueParts): Promise<string> {
  const modules = variants.map(
    ({ file, requires }) => `{ ${fileExpression(file, files[file])}, requires: ${JSON.stringify(requires)} }`,
  );
  const result = await build({
    stdin: {
      contents: `
        import { loadArtifact } from ${JSON.stringify(loader)};
        const artifact = {
          manifest: ${JSON.stringify(manifest)},
          modules: [${modules.join(', ')}],
          state: { ${fileExpression(stateFile, files[stateFile])} },
        };
        export const load = options => loadArtifact(artifact, options);`,
      resolveDir: '.',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
  });
  return result.outputFiles[0].text;
}
