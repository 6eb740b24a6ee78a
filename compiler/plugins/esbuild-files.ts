/**
 * Files of an artifact in esbuild: it carries along what is imported with its `file` loader, so each file is an import of its
 * own, which `assetNames` and `publicPath` apply to. Output that is no ES module knows no address of its own; there the
 * files are in the code. Where the platform wants static imports they stay in the output, by the `copy` loader.
 */
import { dirname, join } from 'node:path';
import type { Loader, PluginBuild } from 'esbuild';
import type { Artifact, Artifacts } from './artifacts.js';
import { importedState, importingModule, inlinedFiles, withFiles } from './spelling.js';

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

/** Likewise, with static imports. */
export const importingForEsbuild = (artifact: Artifact): string => importingModule(artifact, prefix);

/** Answers the imports of both; `loader` says what is made of a file that is no JavaScript. */
export function serveFiles({ onResolve, onLoad }: PluginBuild, artifacts: Artifacts, loader: Loader): void {
  onResolve({ filter: new RegExp(`^${prefix}`) }, ({ path, importer }) => {
    const modelFile = importer.replace(/\?.*/, '');
    const file = path.slice(prefix.length);
    return { path: join(dirname(modelFile), file), namespace, pluginData: { modelFile, file } };
  });
  onLoad({ filter: /^/, namespace }, async ({ pluginData: { modelFile, file } }) => {
    const artifact = await artifacts.of(modelFile, () => {});
    const name = file === importedState(artifact) ? `${artifact.name}.safetensors` : file;
    return { contents: artifact.files.get(name)!, loader: file.endsWith('.js') ? 'js' : loader };
  });
}
