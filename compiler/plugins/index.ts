/**
 * `gradc/plugin`: in Vite, Rollup, Rolldown, esbuild and webpack
 *
 *     import { load } from './digits.model.ts?compiled';
 *
 * compiles the model and gives the module of its artifact. The `.wasm` and `.safetensors` files become assets of the bundle,
 * with hashed names, at addresses relative to the code that asks for them: under any base path, in workers, on a server.
 * One plugin for all through unplugin; what differs is how a bundler is told of a file: see `spelling.ts`.
 *
 * @module gradc/plugin
 */
import { dirname, isAbsolute, resolve } from 'node:path';
import type { PluginBuild } from 'esbuild';
import { createUnplugin, type UnpluginInstance } from 'unplugin';
import { statedSize } from '../cli/byte-size.js';
import { type ArtifactOptions, Artifacts } from './artifacts.js';
import { modelTypes } from './declarations.js';
import { eagerModule } from './eager-module.js';
import { forEsbuild, importingForEsbuild, serveFiles } from './esbuild-files.js';
import { emittedFiles, importingOnDisk, inlinedFiles, onDisk } from './spelling.js';

export interface PluginOptions extends Omit<ArtifactOptions, 'shardBytes'> {
  /** Divide the state among files of at most this size: `'64MB'`, or bytes. */
  readonly shard?: string | number;
  /**
   * A file to write with the types of the compiled models, `src/models.d.ts` say. Without it, mention `gradc/client` in
   * `compilerOptions.types`: entries then take and give typed arrays by any name.
   */
  readonly types?: string;
  /**
   * How the code finds the artifact's files. `'url'` (the default): assets at addresses relative to the code. `'import'`:
   * static imports of a `.wasm` and a `.bin` file that stay in the output, for platforms that compile no WebAssembly at run
   * time and have no addresses, such as Cloudflare Workers; with bundlers other than esbuild, the platform's plugin has to
   * know them.
   */
  readonly files?: 'url' | 'import';
}

/** Written in an import: a model file and `?compiled`; with `&force`, compiled in `vite dev` too. */
const request = /^(?<path>[^?]+\.[cm]?tsx?)\?compiled(?<force>&force)?$/;

/** Where a Vite plugin runs; other bundlers have no environments. */
interface ViteEnvironment {
  readonly mode: 'dev' | 'build';
  readonly config: { readonly consumer: 'client' | 'server'; readonly build: { readonly emitAssets: boolean } };
}
interface LoadContext {
  readonly environment?: ViteEnvironment;
  readonly getNativeBuildContext?: () => { readonly build?: PluginBuild } | null;
  addWatchFile(path: string): void;
  warn(text: string): void;
  emitFile(file: { type: 'asset'; name: string; source: Uint8Array }): string;
}

const plugin: UnpluginInstance<PluginOptions | undefined> = createUnplugin((options = {}, { framework }) => {
  const { checkTypes, threads, revectorize, winograd, checkValues } = options;
  const artifacts = new Artifacts({
    checkTypes,
    threads,
    revectorize,
    winograd,
    checkValues,
    shardBytes: statedSize('shard', options.shard),
  });
  const types = options.types === undefined ? null : modelTypes(options.types);

  async function compiled(context: LoadContext, modelFile: string): Promise<string> {
    const artifact = await artifacts.of(modelFile, text => context.warn(text));
    for (const source of artifact.sources) context.addWatchFile(source);
    types?.(modelFile, artifact);
    const esbuild = context.getNativeBuildContext?.()?.build;
    if (options.files === 'import')
      return esbuild ? importingForEsbuild(artifact) : importingOnDisk(modelFile, artifact);
    if (esbuild) return forEsbuild(esbuild, artifact);
    if (framework === 'webpack' || context.environment?.mode === 'dev') return onDisk(modelFile, artifact);
    if (context.environment?.config.build.emitAssets === false) return inlinedFiles(artifact);
    return emittedFiles(artifact, (name, source) => context.emitFile({ type: 'asset', name, source }));
  }

  return {
    name: 'gradc',
    enforce: 'pre',
    resolveId: {
      filter: { id: request },
      handler(id, importer) {
        const { path } = request.exec(id)!.groups!;
        if (!isAbsolute(path) && !path.startsWith('.')) return null;
        const from = importer === undefined ? process.cwd() : dirname(importer.replace(/\?.*/, ''));
        return `${resolve(from, path)}${id.slice(path.length)}`;
      },
    },
    load: {
      filter: { id: request },
      async handler(id) {
        const { path, force } = request.exec(id)!.groups!;
        const context = this as unknown as LoadContext;
        if (context.environment?.mode === 'dev' && force === undefined) return eagerModule(path);
        return compiled(context, path);
      },
    },
    esbuild: { setup: build => serveFiles(build, artifacts, options.files === 'import' ? 'copy' : 'file') },
    vite: { config: () => ({ worker: { plugins: () => [plugin.vite(options)] } }) },
  };
});

export const { vite, rollup, rolldown, esbuild, webpack } = plugin;
