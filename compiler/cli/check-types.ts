/**
 * The type checker on a model file, and the analysis of its source over the same types: what they find becomes located
 * diagnostics, before anything runs.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { analyse, diagnosticOf, replaces } from './analysis/analyse.js';
import { type Diagnostic, isWarning, ModelTypeError } from './diagnostics.js';
import { isOwnFile, ownTypes } from './own-modules.js';
import { Project, ts } from './typescript.js';

export interface CheckedSource {
  readonly warnings: readonly Diagnostic[];
  /** The files whose types took part, but gradc's own: absolute paths. */
  readonly files: readonly string[];
}

/**
 * Throws ModelTypeError where the model or a file it imports does not type-check, or does with tensors what cannot be
 * compiled.
 */
export async function checkSource(file: string): Promise<CheckedSource> {
  const program = programOf([file]);
  const errors = ts
    .getPreEmitDiagnostics(program)
    .filter(
      ({ category, file: where }) => category === ts.DiagnosticCategory.Error && !(where && isOwnFile(where.fileName)),
    );
  const findings = analyse(program);
  const found = [
    ...errors.filter(error => !findings.some(finding => replaces(finding, error))).map(located),
    ...findings.map(diagnosticOf),
  ];
  if (!found.every(isWarning)) throw new ModelTypeError(found);
  const files = program.getSourceFiles().map(source => source.fileName);
  return { warnings: found, files: files.filter(path => existsSync(path) && !isOwnFile(path)) };
}

/**
 * Files and all that they import, under the tsconfig.json above the first. The project gives the options and the files
 * of the standard library; the program is made here, so that comments, which nobody asks for, are not parsed.
 */
export function programOf(files: readonly string[]): ts.Program {
  const config = configFor(files[0]);
  const project = new Project({
    tsConfigFilePath: config ?? undefined,
    skipAddingFilesFromTsConfig: true,
    compilerOptions: {
      ...(config === null ? defaults : {}),
      noEmit: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
    },
  });
  const options = project.getCompilerOptions();
  const host = hostOver(project.getModuleResolutionHost());
  return ts.createProgram(files, { ...options, paths: { ...options.paths, ...ownTypes() } }, host);
}

/** Where ts-morph has the declarations of the language. */
const libraryFolder = '/node_modules/typescript/lib';

function hostOver(files: ts.ModuleResolutionHost): ts.CompilerHost {
  return {
    ...ts.sys,
    ...files,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
    getSourceFile(path, version) {
      const text = files.readFile(path);
      return text === undefined ? undefined : ts.createSourceFile(path, text, version, !path.endsWith('.d.ts'));
    },
    getDefaultLibLocation: () => libraryFolder,
    getDefaultLibFileName: options => `${libraryFolder}/${ts.getDefaultLibFileName(options)}`,
    getCurrentDirectory: () => process.cwd(),
    getCanonicalFileName: path => (ts.sys.useCaseSensitiveFileNames ? path : path.toLowerCase()),
    useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
    getNewLine: () => ts.sys.newLine,
  };
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

function located({ code, messageText, file, start }: ts.Diagnostic): Diagnostic {
  const place = file && start !== undefined ? file.getLineAndCharacterOfPosition(start) : null;
  return {
    kind: 'TypeError',
    code: `TS${code}`,
    message: ts.flattenDiagnosticMessageText(messageText, '\n  '),
    site: place && {
      file: relative(process.cwd(), file!.fileName),
      line: place.line + 1,
      column: place.character + 1,
      module: '',
    },
    hint: null,
  };
}
