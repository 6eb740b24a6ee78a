/**
 * TypeScript programs over model files, under the tsconfig.json above them: with everything that it brings in, and, much
 * sooner ready, with the language alone.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownTypes } from './own-modules.js';
import { Project, ts } from './typescript.js';

/** Files and all that they import: options and host, from which programs are made that share what they parse. */
export class TypeProject {
  readonly #files: readonly string[];
  readonly #options: ts.CompilerOptions;
  readonly #host: ts.CompilerHost;

  /**
   * The tsconfig.json above the first file counts. ts-morph's project gives the options and the files of the standard
   * library; programs are made here, so that comments, which nobody asks for, are not parsed.
   */
  constructor(files: readonly string[]) {
    const config = configFor(files[0]);
    const project = new Project({
      compilerOptions: {
        ...(config === null ? defaults : optionsOf(config)),
        noEmit: true,
        skipLibCheck: true,
        allowImportingTsExtensions: true,
      },
    });
    const options = project.getCompilerOptions();
    this.#files = files;
    this.#options = { ...options, paths: { ...options.paths, ...ownTypes() } };
    this.#host = hostOver(project.getModuleResolutionHost());
  }

  program(): ts.Program {
    return ts.createProgram(this.#files, this.#options, this.#host);
  }

  /**
   * Without the platform: no DOM, no packages of types that no file imports, which are nine tenths of what is parsed.
   * null where something is wrong with those packages, or there is no library of the language.
   */
  languageProgram(): ts.Program | null {
    const lib = languageLibrary(this.#options);
    if (lib.length === 0 || !this.#packagesAreThere()) return null;
    return ts.createProgram(this.#files, { ...this.#options, lib, types: [] }, this.#host);
  }

  #packagesAreThere(): boolean {
    const from = this.#options.configFilePath as string | undefined;
    return ts
      .getAutomaticTypeDirectiveNames(this.#options, this.#host)
      .every(
        name => ts.resolveTypeReferenceDirective(name, from, this.#options, this.#host).resolvedTypeReferenceDirective,
      );
  }
}

/** What a model file is checked with where no tsconfig.json lies above it. */
const defaults = {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: [],
};

function configFor(file: string): string | null {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const config = join(folder, 'tsconfig.json');
    if (existsSync(config)) return config;
    if (folder === dirname(folder)) return null;
  }
}

/** Without looking for the files that a configuration names, in all folders below. Throws nothing: what is wrong is left out. */
const optionsOf = (config: string): ts.CompilerOptions | undefined =>
  ts.getParsedCommandLineOfConfigFile(config, undefined, {
    ...ts.sys,
    readDirectory: () => [],
    onUnRecoverableConfigFileDiagnostic: () => {},
  })?.options;

/** Of the libraries that the options name or imply, those of ECMAScript. */
function languageLibrary(options: ts.CompilerOptions): string[] {
  if (options.noLib) return [];
  const implied = ts.getDefaultLibFileName(options).replace('.full', '');
  return (options.lib ?? [implied]).filter(name => /^lib\.(es|decorators)/.test(name));
}

/** Where ts-morph has the declarations of the language. */
const libraryFolder = '/node_modules/typescript/lib';

function hostOver(files: ts.ModuleResolutionHost): ts.CompilerHost {
  const parsed = new Map<string, ts.SourceFile | undefined>();
  const parse = (path: string, version: ts.ScriptTarget | ts.CreateSourceFileOptions): ts.SourceFile | undefined => {
    const text = files.readFile(path);
    return text === undefined ? undefined : ts.createSourceFile(path, text, version, !path.endsWith('.d.ts'));
  };
  return {
    ...ts.sys,
    ...files,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
    getSourceFile(path, version) {
      if (!parsed.has(path)) parsed.set(path, parse(path, version));
      return parsed.get(path);
    },
    getDefaultLibLocation: () => libraryFolder,
    getDefaultLibFileName: options => `${libraryFolder}/${ts.getDefaultLibFileName(options)}`,
    getCurrentDirectory: () => process.cwd(),
    getCanonicalFileName: path => (ts.sys.useCaseSensitiveFileNames ? path : path.toLowerCase()),
    useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
    getNewLine: () => ts.sys.newLine,
  };
}
