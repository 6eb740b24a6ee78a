/**
 * The type checker on a model file, and the analysis of its source over the same types: what they find becomes located
 * diagnostics, before anything runs.
 */
import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { analyse, diagnosticOf, replaces } from './analysis/analyse.js';
import { type Diagnostic, isWarning, ModelTypeError } from './diagnostics.js';
import { isOwnFile } from './own-modules.js';
import { isSelfContained } from './self-contained.js';
import { TypeProject } from './type-program.js';
import { ts } from './typescript.js';

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
  const program = checkedProgram([file]);
  const errors = errorsOf(program);
  const findings = analyse(program);
  const found = [
    ...errors.filter(error => !findings.some(finding => replaces(finding, error))).map(located),
    ...findings.map(diagnosticOf),
  ];
  if (!found.every(isWarning)) throw new ModelTypeError(found);
  const files = program.getSourceFiles().map(source => source.fileName);
  return { warnings: found, files: files.filter(path => existsSync(path) && !isOwnFile(path)) };
}

/** The program by which files are judged: of the language alone, where that is enough to find them right. */
export function checkedProgram(files: readonly string[]): ts.Program {
  const project = new TypeProject(files);
  const quick = project.languageProgram();
  return quick && errorsOf(quick).length === 0 && isSelfContained(quick) ? quick : project.program();
}

/** Those outside of gradc itself. */
const errorsOf = (program: ts.Program): ts.Diagnostic[] =>
  ts
    .getPreEmitDiagnostics(program)
    .filter(
      ({ category, file: where }) => category === ts.DiagnosticCategory.Error && !(where && isOwnFile(where.fileName)),
    );

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
