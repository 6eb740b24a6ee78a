/**
 * Files of an artifact in esbuild: it carries along what is imported with its `file` loader, so each file is an import of its
 * own, which `assetNames` and `publicPath` apply to. Output that is no ES module knows no address of its own; there the
 * files are in the code.
 */
import { dirname, join } from 'node:path';
import type { PluginBuild } from 'esbuild';
import type { Artifact, Artifacts } from './artifacts.js';
import { inlinedFiles, withFiles } from './spelling.js';

const namespace = 'gradc-file';
const prefix = `${namespace}:`;

/** The artifact's JavaScript for this build; its imports are those `serveFiles` answers. */
export function forEsbuild({ initialOptions }: PluginBuild, artifact: Artifact): string {
  if (initialOptions.format !== 'esm') return inlinedFiles(artifact);
  const imports: string[] = [];
  const code = withFiles(artifact, file => {
    const index = imports.push(`import file${imports.length} from ${JSON.stringify(prefix + file)};`) - 1;
    return `new URL(file${index}, import.meta.url)`;
  });
  return `${imports.join('\n')}\n${code}`;
}

export function serveFiles({ onResolve, onLoad }: PluginBuild, artifacts: Artifacts): void {
  onResolve({ filter: new RegExp(`^${prefix}`) }, ({ path, importer }) => {
    const modelFile = importer.replace(/\?.*/, '');
    const file = path.slice(prefix.length);
    return { path: join(dirname(modelFile), file), namespace, pluginData: { modelFile, file } };
  });
  onLoad({ filter: /^/, namespace }, async ({ pluginData: { modelFile, file } }) => {
    const { files } = await artifacts.of(modelFile, () => {});
    return { contents: files.get(file)!, loader: 'file' };
  });
}
