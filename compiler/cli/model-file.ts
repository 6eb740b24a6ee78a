/**
 * Loading a model file: checked by the type checker, bundled with the files it imports, and run.
 *
 * The bundle is ordinary JavaScript with source maps, so that every site speaks of the user's own files. `gradc` itself
 * stays outside of it and resolves to the copy that runs the command; other packages are left to Node.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type BuildFailure, build, type Message, type Metafile, type Plugin } from 'esbuild';
import { fail } from '../errors.js';
import type { ModelDefinition } from '../trace/model.js';
import type { Observer } from './cache/observation.js';
import { type Diagnostic, ModelTypeError } from './diagnostics.js';
import { checkModelPath } from './model-path.js';
import { ownModules } from './own-modules.js';
import { readTuning, type Tuning, tuningPath } from './tune/tuning-file.js';

export interface ModelFile {
  readonly path: string;
  readonly definition: ModelDefinition;
  /** The source files that took part, by their path from the model file's folder. */
  readonly sources: ReadonlyMap<string, Uint8Array>;
  /** Files of packages, which Node has loaded. */
  readonly packageFiles: readonly string[];
  /** From the tuning file beside it, which counts as a source. */
  readonly tuning: Tuning | null;
}

export interface LoadModelOptions {
  /** false: do not run the type checker and the source analysis, which take most of the time. */
  readonly checkTypes?: boolean;
  /** Is told what the analysis finds doubtful. */
  readonly warn?: (warnings: readonly Diagnostic[]) => void;
  /** Sees what the user's code reads. */
  readonly observer?: Observer;
  /** The file's bundle, where it is being made already. */
  readonly bundled?: Promise<Bundle>;
}

/**
 * Throws E401 where the file is missing or exports no model, ModelTypeError where it does not compile, and what its own
 * code throws.
 */
export async function loadModelFile(
  path: string,
  { checkTypes = true, warn, observer, bundled }: LoadModelOptions = {},
): Promise<ModelFile> {
  const file = resolve(path);
  checkModelPath(path);
  if (checkTypes) {
    const { checkSource } = await import('./check-types.js');
    const { warnings } = await checkSource(file);
    warn?.(warnings);
  }
  const { exported, others, inputs, packageFiles } = await runFile(file, observer, bundled);
  if (!isModel(exported)) return refuse(path, exported, others);
  const sources = new Map<string, Uint8Array>(
    inputs.map(input => [relative(dirname(file), input), readFileSync(input)]),
  );
  const tuned = readTuning(path);
  if (tuned !== null) sources.set(basename(tuningPath(path)), new TextEncoder().encode(tuned.text));
  return {
    path,
    definition: exported,
    sources,
    packageFiles,
    tuning: tuned?.tuning ?? null,
  };
}

const isModel = (value: unknown): value is ModelDefinition =>
  (value as Partial<ModelDefinition> | null | undefined)?.kind === 'gradc.model';

/** Throws E401 for a file whose default export is something else. */
function refuse(path: string, exported: unknown, others: Readonly<Record<string, unknown>>): never {
  const named = Object.keys(others).find(name => isModel(others[name]));
  const has =
    exported === undefined ? 'nothing' : typeof exported === 'function' ? `'${exported.name}'` : withArticle(exported);
  return fail('E401', {
    problem: `${path} has no model as its default export, but ${has}`,
    hint: named
      ? `'${named}' is one: write \`export default ${named}\``
      : "write `export default defineModel('name', () => ({ state, entries }))`",
  });
}

const withArticle = (value: unknown): string =>
  value === null ? 'null' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;

export interface RunFile {
  /** By default, and by name. */
  readonly exported: unknown;
  readonly others: Readonly<Record<string, unknown>>;
  /** The file and those of the user's that it imports: absolute paths. */
  readonly inputs: readonly string[];
  readonly packageFiles: readonly string[];
}

/** Bundle a TypeScript file and run it; gives what it exports. Throws ModelTypeError where it is no TypeScript. */
export async function runFile(
  file: string,
  observer?: Observer,
  bundled: Promise<Bundle> = bundleFile(file),
): Promise<RunFile> {
  const { code, metafile } = await bundled;
  const [{ imports }] = Object.values(metafile.outputs);
  const { default: exported, ...others } = await run(code, observer);
  return {
    exported,
    others,
    inputs: Object.keys(metafile.inputs).map(input => resolve(input)),
    packageFiles: imports.flatMap(({ path }) => (path.startsWith('file:') ? [fileURLToPath(path)] : [])),
  };
}

export interface Bundle {
  readonly code: string;
  readonly metafile: Metafile;
}

/** A file with the user's files that it imports. Throws ModelTypeError where one is no TypeScript. */
export async function bundleFile(file: string): Promise<Bundle> {
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [file],
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'es2022',
      sourcemap: 'inline',
      sourcesContent: false,
      sourceRoot: pathToFileURL(`${dirname(file)}/`).href,
      metafile: true,
      write: false,
      logLevel: 'silent',
      outfile: join(dirname(file), 'model.mjs'),
      plugins: [imports(), importMeta()],
    });
    return { code: outputFiles[0].text, metafile };
  } catch (error) {
    throw new ModelTypeError((error as BuildFailure).errors.map(syntaxError));
  }
}

const syntaxError = ({ text, location }: Message): Diagnostic => ({
  kind: 'SyntaxError',
  code: '',
  message: text,
  site: location && { file: location.file, line: location.line, column: location.column + 1, module: '' },
  hint: null,
});

/** gradc becomes the URL of this copy; other packages the URL Node's resolution finds; files are bundled. */
const imports = (): Plugin => ({
  name: 'gradc-imports',
  setup({ onResolve, resolve: resolveImport }) {
    onResolve({ filter: /^[^./]/ }, async ({ path, resolveDir, kind, pluginData }) => {
      if (ownModules.has(path)) return { path: ownModules.get(path)!.href, external: true };
      if (pluginData === 'plain' || kind === 'entry-point' || path.startsWith('node:')) return null;
      const found = await resolveImport(path, { resolveDir, kind, pluginData: 'plain' });
      if (found.external || found.errors.length > 0 || found.namespace !== 'file') return found;
      return { path: pathToFileURL(found.path).href, external: true };
    });
  },
});

/** A bundled file keeps its own `import.meta.url`. */
const importMeta = (): Plugin => ({
  name: 'gradc-import-meta',
  setup({ onLoad, esbuild }) {
    onLoad({ filter: /\.[cm]?[jt]sx?$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      if (!source.includes('import.meta.url')) return null;
      const { code } = esbuild.transformSync(source, {
        loader: path.endsWith('x') ? 'tsx' : 'ts',
        sourcefile: path,
        sourcemap: 'inline',
        define: { 'import.meta.url': JSON.stringify(pathToFileURL(path).href) },
      });
      return { contents: code, loader: 'js' };
    });
  },
});

/** Run a bundle and give what it exports. */
async function run(code: string, observer?: Observer): Promise<Readonly<Record<string, unknown>>> {
  process.setSourceMapsEnabled(true);
  const folder = mkdtempSync(join(tmpdir(), 'gradc-'));
  const file = join(folder, 'model.mjs');
  const load = (): Promise<Readonly<Record<string, unknown>>> => import(pathToFileURL(file).href);
  try {
    writeFileSync(file, code);
    return await (observer?.during(load) ?? load());
  } finally {
    rmSync(folder, { recursive: true });
  }
}
