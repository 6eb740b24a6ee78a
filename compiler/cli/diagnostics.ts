/**
 * Errors as the command line shows them: the sentence, the user's line with a marker, the hint; and their exit codes.
 */
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { type ErrorKind, GradcError, InternalError, type Site } from '../errors.js';
import { placeOf } from '../trace/site.js';

export const exitCodes = { ok: 0, checkFailed: 1, usage: 2, model: 3, environment: 4, internal: 70 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** What the machine lacks: a compiler, a driver. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

/** Problems that are diagnostics already: found in the configuration, or by another thread. */
export class Reported extends Error {
  override readonly name: string = 'Reported';
  constructor(
    readonly diagnostics: readonly Diagnostic[],
    readonly exitCode: ExitCode,
  ) {
    super(diagnostics.map(formatDiagnostic).join('\n'));
  }
}

/** Problems the type checker and the source analysis found in a model file. */
export class ModelTypeError extends Reported {
  override readonly name = 'ModelTypeError';
  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics, exitCodes.model);
  }
}

export interface Diagnostic {
  readonly kind: string;
  readonly code: string;
  readonly message: string;
  readonly site: Site | null;
  readonly hint: string | null;
}

/** Warnings have codes of their own; they do not stop anything. */
export const isWarning = ({ code }: Diagnostic): boolean => code.startsWith('W');

const usageKinds: readonly ErrorKind[] = ['UsageError', 'ArtifactError'];

/** What an error means to the caller of the command. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof GradcError) return usageKinds.includes(error.kind) ? exitCodes.usage : exitCodes.model;
  if (error instanceof Reported) return error.exitCode;
  if (error instanceof EnvironmentError) return exitCodes.environment;
  return isModelsFault(error) ? exitCodes.model : exitCodes.internal;
}

/** Was it thrown by the user's own code, and not by ours below it? */
function isModelsFault(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return !(error instanceof InternalError) && placeOf(error)?.innermost === true;
}

export function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (error instanceof Reported) return error.diagnostics;
  if (error instanceof GradcError)
    return [{ kind: error.kind, code: error.code, message: error.sentence, site: error.site, hint: error.hint }];
  if (!(error instanceof Error))
    return [{ kind: 'Error', code: '', message: `the model threw ${String(error)}`, site: null, hint: null }];
  const code = exitCodeOf(error);
  const place = code === exitCodes.model ? placeOf(error) : null;
  const hint =
    code === exitCodes.internal ? `this is a fault of gradc; please report it with this stack:\n${error.stack}` : null;
  return [
    {
      kind: error.name,
      code: '',
      message: error.message,
      site: place && { file: place.file, line: place.line, column: place.column, module: '' },
      hint,
    },
  ];
}

/** `Kind CODE: sentence`, then the place with its source line, then the hint. */
export function formatDiagnostic({ kind, code, message, site, hint }: Diagnostic): string {
  const lines = [`${[kind, code].filter(Boolean).join(' ')}: ${message}`];
  if (site !== null)
    lines.push(
      `  at ${site.file}:${site.line}:${site.column}${site.module ? ` in ${site.module}` : ''}`,
      ...codeFrame(site),
    );
  if (hint !== null) lines.push(`  hint: ${hint}`);
  return `${lines.join('\n')}\n`;
}

/**
 * The same for a GitHub workflow, which shows it at the line of a pull request: a workflow command, escaped as those
 * want. https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function githubAnnotation(diagnostic: Diagnostic): string {
  const { kind, code, message, site, hint } = diagnostic;
  const data = (text: string): string => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  const property = (text: string): string => data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
  const path = (file: string): string => relative(process.env.GITHUB_WORKSPACE ?? process.cwd(), resolve(file));
  const place = site === null ? [] : [`file=${property(path(site.file))}`, `line=${site.line}`, `col=${site.column}`];
  const properties = [...place, `title=${property([kind, code].filter(Boolean).join(' '))}`].join(',');
  const text = hint === null ? message : `${message}\nhint: ${hint}`;
  return `::${isWarning(diagnostic) ? 'warning' : 'error'} ${properties}::${data(text)}\n`;
}

/** The diagnostics as text; inside a GitHub workflow also as its annotations. */
export function report(diagnostics: readonly Diagnostic[]): string {
  const annotations = process.env.GITHUB_ACTIONS === 'true' ? diagnostics.map(githubAnnotation) : [];
  return diagnostics.map(formatDiagnostic).join('\n') + annotations.join('');
}

/** The source line and a marker under the column; nothing where the file cannot be read. */
function codeFrame({ file, line, column }: Site): string[] {
  try {
    const text = readFileSync(file, 'utf8').split('\n')[line - 1];
    if (text === undefined) return [];
    const gutter = `  ${line} | `;
    return [gutter + text, `${' '.repeat(gutter.length - 2)}| ${' '.repeat(column - 1)}^`];
  } catch {
    return [];
  }
}
