/**
 * The type checker on a model file, and the analysis of its source over the same types: what they find becomes located
 * diagnostics, before anything runs.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DiagnosticCategory, ModuleKind, ModuleResolutionKind, Project, ScriptTarget, ts } from 'ts-morph';
import { analyse, diagnosticOf, replaces } from './analysis/analyse.js';
import { type Diagnostic, isWarning, ModelTypeError } from './diagnostics.js';
import { isOwnFile, ownTypes } from './own-modules.js';

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
  const project = projectOf([file]);
  const errors = project
    .getPreEmitDiagnostics()
    .filter(diagnostic => diagnostic.getCategory() === DiagnosticCategory.Error)
    .map(({ compilerObject }) => compilerObject)
    .filter(({ file: where }) => where === undefined || !isOwnFile(where.fileName));
  const program = project.getProgram().compilerObject;
  const findings = analyse(program);
  const found = [
    ...errors.filter(error => !findings.some(finding => replaces(finding, error))).map(located),
    ...findings.map(diagnosticOf),
  ];
  if (!found.every(isWarning)) throw new ModelTypeError(found);
  const files = program.getSourceFiles().map(source => source.fileName);
  return { warnings: found, files: files.filter(path => existsSync(path) && !isOwnFile(path)) };
}

/** Files and all that they import, under the tsconfig.json above the first. */
export function projectOf(files: readonly string[]): Project {
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
  project.compilerOptions.set({ paths: { ...project.getCompilerOptions().paths, ...ownTypes() } });
  for (const file of files) project.addSourceFileAtPath(file);
  return project;
}

/** What a model file is checked with where no tsconfig.json lies above it. */
const defaults = {
  strict: true,
  target: ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
  module: ModuleKind.NodeNext,
  moduleResolution: ModuleResolutionKind.NodeNext,
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
