/**
 * The type checker on a model file: what it finds becomes located diagnostics, before anything runs.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DiagnosticCategory, ModuleKind, ModuleResolutionKind, Project, ScriptTarget, ts } from 'ts-morph';
import { type Diagnostic, ModelTypeError } from './diagnostics.js';
import { ownTypes } from './own-modules.js';

/** Throws ModelTypeError where the model or a file it imports does not type-check. */
export async function checkTypes(file: string): Promise<void> {
  const config = configFor(file);
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
  project.addSourceFileAtPath(file);
  project.resolveSourceFileDependencies();
  const errors = project
    .getPreEmitDiagnostics()
    .filter(diagnostic => diagnostic.getCategory() === DiagnosticCategory.Error);
  if (errors.length > 0) throw new ModelTypeError(errors.map(({ compilerObject }) => located(compilerObject)));
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
